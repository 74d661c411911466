/* Makes sure that what a server executed is on its replicas: the confirm link of redis.md, "Durability: fast and safe".
 *
 * Cycles, one under way at a time: a small write that tells the server's replid, WAIT for enough replicas, and the
 * replid again. Replication is one ordered stream, so a cycle covers everything that the server had executed before its
 * write: everything that this process had an answer or a message of before the cycle began. The next cycle takes all
 * that came meanwhile: three commands a round trip of replication, not per publication. The replid is read twice, in
 * the same pipeline: a server demoted and promoted again in between has lost data and counts replicas all the same.
 *
 * WAIT counts replicas and names none. Where all that may be promoted have to have it, one that is taken for down and
 * follows all the same could confirm in the place of one that is up: so the last reading also tells who follows,
 * and those have to confirm, however many are said to be up. One of them that is gone may have been promoted at that
 * moment, while the others go on to follow this server: it is missed, and nothing is confirmed without it, until those
 * who know were asked afterwards how many are up.
 *
 * Failures: too few replicas, another replid in between, an error, the link cut: that cycle confirmed nothing, and the
 * next covers what it was to cover. A server that is no primary any more is left. Whoever waits knows how long he may.
 * Thread: the loop's; nothing is called back inside a call. */
#ifndef CALLBOARD_BROKER_REDIS_CONFIRM_H
#define CALLBOARD_BROKER_REDIS_CONFIRM_H

#include "broker/redis/link/redis_link.h"
#include "broker/redis/redis_scripts.h"

typedef struct redis_confirm redis_confirm_t;

struct redis_confirm_events {
    /* Everything with a ticket up to `cycle` is sure, in the reign of this replid. */
    void (*on_confirmed)(void *context, uint64_t cycle, struct span replid, uint64_t us);
    /* A cycle confirmed nothing: replicas that answered in time, or why there was no answer (static text, else NULL).
     */
    void (*on_short)(void *context, uint64_t n_replicas, const char *reason);
    /* How many replicas have to have it, now. At least 1. *ret_all: and all others that follow. *ret_asked_ms: when it
     * was asked how many are up (monotonic). */
    unsigned (*needed)(void *context, bool *ret_all, uint64_t *ret_asked_ms);
    /* One that followed does so no more: ask anew how many are up. */
    void (*on_missed)(void *context);
    /* A key of our own whose slot this server serves; SPAN_EMPTY: none at the moment. */
    struct span (*key)(void *context);
};

struct redis_confirm_options {
    struct redis_link_options link; /* loop, url, limits; the rest is set here */
    const redis_scripts_t *scripts;
    uint32_t wait_ms; /* WAIT's bound; well below link.command_timeout_ms */
    const struct redis_confirm_events *events;
    void *context;
};

redis_confirm_t *redis_confirm_new(const struct redis_confirm_options *options);
void redis_confirm_close(redis_confirm_t *self, void (*on_closed)(void *context), void *context);

/* The first cycle that covers what this process knows now; it is begun with the next flush. */
uint64_t redis_confirm_ticket(redis_confirm_t *self);
/* End of a turn: begins a cycle where one is wanted, and writes. */
void redis_confirm_flush(redis_confirm_t *self);
/* This is not the server that the partitions are spoken to at: the address may mean another one by now. */
void redis_confirm_drop(redis_confirm_t *self, const char *reason);
/* Now and then: a cycle that ended with an error may be tried again. */
void redis_confirm_tick(redis_confirm_t *self);

#endif
