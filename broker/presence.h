/* Who is in a channel, in memory: client id → user, info, gateway and its lease number. Loaded once from the engine,
 * then kept by its events; so stats and answers cost no engine call. Counts clients and distinct users.
 *
 * Above infos_max members it keeps of each only who it is (client, user, gateway), not conn_info and chan_info: it
 * still counts exactly and finds the dead, but cannot list. When half of infos_max are left, a load brings the infos
 * again.
 *
 *   EMPTY ──presence_begin_load──▶ LOADING ──presence_load, presence_end_load──▶ READY ──begin_load──▶ LOADING …
 *
 * Events during a load win over what it brings: who left meanwhile does not come back with it. After a load of a READY
 * table, who was not in it is in doubt, and gone when GRACE passed without an event for it. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_PRESENCE_H
#define CALLBOARD_BROKER_PRESENCE_H

#include "base/bytes.h"
#include "broker/engine.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct presence presence_t;

/* Who came just before its gateway died is gone within 5 s, too: behind the grace there is a sweep (channel_set.c), and
 * a load before it. */
enum { PRESENCE_GRACE_MS = 3500 };

presence_t *presence_new(uint32_t infos_max);
void presence_destroy(presence_t **self_p);
bool presence_is_ready(const presence_t *self);
bool presence_is_loading(const presence_t *self);
/* READY, LOADING with the members of before, or the first load is still out? */
bool presence_was_ready(const presence_t *self);

/* An event. True: it changed who is here (tell JOIN or LEAVE). Malformed info changes nothing. */
bool presence_join(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms);
bool presence_leave(presence_t *self, struct span client);
/* A gateway sets a member here, and the store's event of it is still to come. Who is new is listed and counted from now
 * on, so that it finds itself, but the event, or a load, is what changes who is here. Who is here already may say
 * something else of itself (its token was refreshed): taken over. */
void presence_set(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms);
/* A gateway clears a member: gone at once if no event told of it yet. Whoever was told of is the events' business. */
void presence_clear(presence_t *self, struct span client);

void presence_begin_load(presence_t *self);
/* One entry of the load; as presence_join, but not for who left since presence_begin_load. Who is known already keeps
 * the time of before, unless under another lease: that may be newer than the list of leases it is looked up in. */
bool presence_load(presence_t *self, const struct engine_presence_entry *entry, uint64_t now_ms);
void presence_end_load(presence_t *self, uint64_t now_ms);
void presence_fail_load(presence_t *self);

/* Has it every member's whole info? */
bool presence_has_infos(const presence_t *self);
/* It has not, and there are few enough: a load would bring them. */
bool presence_wants_infos(const presence_t *self);

struct presence_stats {
    uint32_t clients;
    uint32_t users;
};
struct presence_stats presence_count(const presence_t *self);

/* Does this gateway live under this lease? */
struct presence_lives {
    bool (*is_alive)(void *context, struct span gateway_id, uint64_t lease_number);
    void *context;
};
/* Is anybody here whose gateway's lease is dead, or in doubt, longer than the grace? Then load again, and sweep. */
bool presence_needs_sweep(const presence_t *self, const struct presence_lives *lives, uint64_t now_ms);
/* Is one of those a member of a gateway that lives, under another lease? Then what is stored of it is old. */
bool presence_sweeps_the_living(const presence_t *self, const struct presence_lives *lives, uint64_t now_ms,
                                bool (*is_known)(void *context, struct span gateway_id));
/* One of those: who, and what is known of it; borrowed for the call. */
struct presence_gone {
    struct span client;
    struct engine_presence_entry entry; /* as it was loaded or set last; without infos where they are left out */
    bool in_store;                      /* the engine still has it */
    bool is_told;                       /* others know of it */
};
/* Calls on_gone for each of those; it may call presence_leave for that client. */
void presence_sweep(presence_t *self, const struct presence_lives *lives, uint64_t now_ms,
                    void (*on_gone)(void *context, const struct presence_gone *gone), void *context);

/* Appends each member's wire_client_info, sized; it has the infos. Returns how many; false in *ret_fits: over the
 * buffer's limit. */
uint32_t presence_append(const presence_t *self, struct buffer *out, bool *ret_fits);
/* Bytes of memory, for a gauge. */
size_t presence_footprint(const presence_t *self);

#endif
