/* Which brokers there are: the addresses that the configured endpoints stand for, which of them are live, under which
 * configured id, and which one is asked first for a partition. A host name is resolved again and again, and every
 * address it has is a broker (a headless Service). It opens no links itself: it tells its owner which addresses come
 * and go, and is told what the links find. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_BROKER_DIRECTORY_H
#define CALLBOARD_GATEWAY_BROKER_DIRECTORY_H

#include "base/config_reader.h"
#include "base/list.h"
#include "base/partition.h"
#include "base/timer_wheel.h"

#include <uv.h>

enum { BROKER_ENDPOINTS_MAX = 64, BROKERS_MAX = 128 };

typedef struct broker_directory broker_directory_t;

/* One address. What stands here is read by anyone, written by the directory (and `uplink` by its owner). */
struct broker_entry {
    struct list_link link;
    char *address;       /* a ZeroMQ endpoint with a numeric host */
    uint64_t named_by;   /* bit i: configured endpoint i stands for it */
    bool live;           /* WELCOME came, and the link holds */
    bool draining;       /* it said that it goes */
    char *id;            /* its configured id, since the last WELCOME; NULL before the first */
    uint64_t boot_nonce; /* of that WELCOME */
    void *uplink;
};

struct broker_directory_callbacks {
    void (*on_added)(void *context, struct broker_entry *entry);
    /* Named by no endpoint any more, and not live: the entry goes after the call. */
    void (*on_removed)(void *context, struct broker_entry *entry);
};

/* Endpoints that need no resolving are added inside the call. NULL: none, too many, or one is malformed. */
broker_directory_t *broker_directory_new(uv_loop_t *loop, timer_wheel_t *wheel,
                                         const struct config_text_list *endpoints, uint64_t resolve_interval_ms,
                                         const struct broker_directory_callbacks *callbacks, void *context,
                                         char *ret_error, size_t error_size);
/* Calls nothing but on_closed (maybe inside the call). Nulls the caller's pointer. */
void broker_directory_close(broker_directory_t **self_p, void (*on_closed)(void *context), void *context);

/* What links found. */
void broker_directory_set_live(broker_directory_t *self, struct broker_entry *entry, struct span id,
                               uint64_t boot_nonce);
void broker_directory_set_draining(broker_directory_t *self, struct broker_entry *entry);
/* May remove the entry (on_removed) when no endpoint names it any more. */
void broker_directory_set_gone(broker_directory_t *self, struct broker_entry *entry);
/* Known with the first WELCOME; the same for all brokers. */
void broker_directory_set_partitions(broker_directory_t *self, uint32_t n_partitions);

/* The live broker ranked first for a partition, a draining one only where no other is live; NULL: none. */
struct broker_entry *broker_directory_first(const broker_directory_t *self, uint32_t partition);
/* A live entry of this id other than `except`; NULL: none. */
struct broker_entry *broker_directory_find_live(const broker_directory_t *self, struct span id,
                                                const struct broker_entry *except);
uint32_t broker_directory_partitions(const broker_directory_t *self); /* 0: not known yet */
size_t broker_directory_known(const broker_directory_t *self);
size_t broker_directory_alive(const broker_directory_t *self);
/* Partitions whose first broker became another one, since the start. */
uint64_t broker_directory_moved_total(const broker_directory_t *self);
struct list_link *broker_directory_entries(broker_directory_t *self); /* of struct broker_entry */

/* Takes "tcp://host:port" apart; false: it is not of that form. The spans point into `endpoint`. */
bool broker_endpoint_split(const char *endpoint, struct span *ret_host, struct span *ret_port);

#endif
