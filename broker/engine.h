/* The engine: what keeps a shard's channels. One asynchronous contract with two equals, engine_memory and
 * redis/engine_redis; tests/contract/engine_contract.c runs the same suite on both. One engine object belongs to one
 * shard actor.
 *
 * Order. Results come as completions and publications come as events; per channel the events are in offset order, each
 * once, and the completion of an own append comes after the event of that append. Every request's completion is called
 * exactly once, later (never inside the call), on the shard's thread, also on shutdown (then with ENGINE_CANCELLED).
 * Only the engine assigns offsets. "No" is only said by an engine that is sure: otherwise ENGINE_TEMPORARY.
 *
 * Ownership. A request is embedded by the caller and borrowed until its completion; its spans are copied before the
 * call returns. Thread: the shard's. */
#ifndef CALLBOARD_BROKER_ENGINE_H
#define CALLBOARD_BROKER_ENGINE_H

#include "base/list.h"
#include "base/metrics.h"
#include "base/namespace_options.h"
#include "base/payload.h"
#include "base/position.h"
#include "base/wire.h"
#include "broker/finding_board.h"

#include <uv.h>

typedef struct engine engine_t;

/* How a request ended. Definite: nothing was done. */
enum engine_outcome {
    ENGINE_OK,
    ENGINE_TEMPORARY,  /* definite, may pass: engine away, opening, read not possible now */
    ENGINE_FULL,       /* definite, may pass: a bound of queue or memory is reached */
    ENGINE_UNKNOWN,    /* sent, no answer by the deadline: it may have happened */
    ENGINE_KEY_REUSED, /* definite: the idempotency key names another payload */
    ENGINE_TOO_LARGE,  /* definite */
    ENGINE_CORRUPT,    /* definite: foreign bytes in our keys */
    ENGINE_DENIED,     /* definite: Redis refused by ACL */
    ENGINE_CANCELLED,  /* the engine is closing; unknown for appends */
};
const char *engine_outcome_text(enum engine_outcome outcome);

/* Options of a request are borrowed until its completion, those of hold until it is held with others or released: a
 * reload replaces them. */

/* ---- appending ---- */
struct engine_append {
    /* in */
    struct span channel;
    const struct namespace_options *options;
    struct span key; /* idempotency key, empty: none */
    struct span data;
    struct span info;  /* wire_client_info or empty */
    struct span tags;  /* wire_tags or empty */
    bool skip_history; /* no position, not stored */
    bool delta;        /* may be sent as a patch, whatever the namespace's delta_publish; where patches are allowed */
    /* 0: none, else at most OFFSET_MAX, and only where it is stored. Where the channel's newest version is not below
     * it, and is of the same version epoch (an empty one is of every), nothing is stored and nobody is told:
     * `suppressed`. */
    uint64_t version;
    struct span version_epoch; /* at most WIRE_VERSION_EPOCH_MAX bytes */
    uint64_t deadline_ms;      /* monotonic */
    void (*on_done)(struct engine_append *request, enum engine_outcome outcome);
    /* out, valid in on_done with ENGINE_OK */
    struct position position; /* empty epoch, offset 0: the channel has no history, or it was skipped */
    bool duplicate;           /* the key was known: position is the first result's */
    bool suppressed;          /* its version is not news: position is where the channel stands */
    bool not_durable;         /* on_engine_down: memory, or memory stands in for Redis */
    /* the engine's own */
    struct list_link link;
    void *engine_data;
};

/* Of the publication, as its namespace and its publisher say. */
static inline uint8_t engine_publication_flags(const struct engine_append *request) {
    const struct namespace_options *options = request->options;
    bool has_delta = options->delta_publish || (request->delta && namespace_allows_delta(options));
    bool is_binary = options->publication_data_format == PUBLICATION_BINARY;
    return (uint8_t) ((is_binary ? WIRE_PUBLICATION_BINARY : 0) | (has_delta ? WIRE_PUBLICATION_DELTA : 0));
}

/* Why a publication could not be encoded below `limit` bytes: no frame carries it, or memory is out (which may pass).
 */
enum engine_outcome engine_not_encoded(const struct engine_append *request, size_t limit);

/* ---- reading ---- */
struct engine_read {
    /* in */
    struct span channel;
    const struct namespace_options *options;
    bool has_since;
    struct position since; /* empty epoch: any epoch will do; forward: what is above, reverse: what is below */
    bool since_is_own;     /* a broker's or a gateway's own position: evidence for what Redis lost */
    bool reverse;          /* newest first; since.offset 0 with has_since is "from the end" */
    uint32_t limit;        /* publications at most; 0: only the position */
    size_t bytes_limit;    /* of encoded publications, 0: the engine's bound; one is given all the same */
    uint64_t deadline_ms;
    void (*on_done)(struct engine_read *request, enum engine_outcome outcome);
    /* out: the settled position (top) and the wanted entries, read in one step. Without has_since: the oldest `limit`
     * (or newest, reverse). With another epoch than since.epoch: entries none, epoch_matches false. */
    struct position top;
    bool epoch_matches;
    /* Every offset from since.offset+1 to top.offset (or to where a limit cut) is there. Told for forward reads with
     * has_since; with limit 0 only since = top is complete, a since above the top never is. At most history_size
     * publications are told, also where more are still stored. */
    bool complete;
    uint32_t n_publications;
    payload_t **publications; /* encoded wire_publication each; borrowed for on_done: payload_ref what you keep */
    /* the engine's own */
    struct list_link link;
    void *engine_data;
};

/* ---- history_remove ---- */
struct engine_remove {
    struct span channel;
    const struct namespace_options *options;
    uint64_t deadline_ms;
    void (*on_done)(struct engine_remove *request, enum engine_outcome outcome);
    struct position top; /* out: kept */
    struct list_link link;
    void *engine_data;
};

/* ---- presence ---- */
struct engine_presence_entry {
    struct span info; /* wire_client_info: user, client, conn_info, chan_info */
    struct span gateway_id;
    uint64_t lease_number;
};
/* Who set an entry: a gateway, under one of its leases. */
struct engine_presence_owner {
    struct span gateway_id;
    uint64_t lease_number;
};
enum { ENGINE_PRESENCE_PAGE = 1000 };
/* A page of the members. Who is there from the first page's reading to the last's is told at least once; who comes or
 * goes meanwhile may be told or not. A page may have fewer entries than the limit, or none, before the last. */
struct engine_presence_read {
    struct span channel;
    uint64_t cursor; /* 0: from the beginning; else `next` of the page before */
    uint32_t limit;  /* about so many entries; a small channel may come whole. 0: ENGINE_PRESENCE_PAGE */
    uint64_t deadline_ms;
    void (*on_done)(struct engine_presence_read *request, enum engine_outcome outcome);
    /* out, of all gateways, also of dead ones: the caller knows the leases. In channels that nobody holds the engine
     * may forget entries of dead leases. */
    uint32_t n_entries;
    const struct engine_presence_entry *entries; /* borrowed for on_done */
    uint64_t next;                               /* 0: that was the last page */
    struct list_link link;
    void *engine_data;
};

/* ---- leases and values of services (the backend API's lease.* and kv.*) ---- */
enum engine_service_verb {
    ENGINE_LEASE_ACQUIRE,
    ENGINE_LEASE_RENEW,
    ENGINE_LEASE_RELEASE,
    ENGINE_LEASE_LEAVE, /* nobody here waits for it any more */
    ENGINE_KV_GET,
    ENGINE_KV_SET,
    ENGINE_KV_DEL,
    ENGINE_KV_EXISTS,
    ENGINE_KV_INCR,
};
enum { ENGINE_SERVICE_NONCE_MAX = 320 };
#define ENGINE_NUMBER_MAX (((int64_t) 1 << 53) - 1)

/* Tokens of a name rise with every acquisition, whoever acquires: docs/leases.md says what that rests on. They are
 * below 2^53. An acquire is granted where the name is free and nobody waited before: an engine of another broker that
 * asked with `waits` and was told no keeps its place for a few seconds from its last asking. */
struct engine_service {
    /* in */
    struct span name; /* the lease's, or the key: a channel's name by its form */
    enum engine_service_verb verb;
    uint64_t ttl_ms;   /* ACQUIRE, RENEW: above 0; SET: 0: for ever; INCR: of a new value, 0: for ever */
    uint64_t token;    /* RENEW, RELEASE */
    struct span nonce; /* ACQUIRE: names this asking, so that it may be repeated; 1 to ENGINE_SERVICE_NONCE_MAX bytes */
    bool waits;        /* ACQUIRE */
    struct span value; /* SET */
    int64_t by;        /* INCR, within ENGINE_NUMBER_MAX */
    uint64_t deadline_ms;
    void (*on_done)(struct engine_service *request, enum engine_outcome outcome);
    /* out, valid in on_done with ENGINE_OK */
    bool is_done;        /* granted, renewed, released; the key was there; INCR: counted. False: held by another, lost,
                            not there; INCR: no number, or over ENGINE_NUMBER_MAX */
    uint64_t left_ms;    /* of the lease, whosever it is, or of the value; 0: none */
    uint64_t granted;    /* ACQUIRE: the token */
    struct span content; /* GET: borrowed for on_done */
    int64_t number;      /* INCR */
    /* the engine's own */
    struct list_link link;
    void *engine_data;
};
static inline bool engine_service_is_lease(enum engine_service_verb verb) {
    return verb <= ENGINE_LEASE_LEAVE;
}
static inline bool engine_service_only_reads(enum engine_service_verb verb) {
    return verb == ENGINE_KV_GET || verb == ENGINE_KV_EXISTS;
}

/* For a lease made now: by the wall clock, below 2^53. So later ones are higher but for clocks that disagree; a member
 * whose newer set is then taken for an older one is swept with its old lease, and set again. */
uint64_t engine_lease_number(void);

/* A gateway's lease as every broker sees it. */
struct engine_lease {
    struct span gateway_id;
    uint64_t
        number; /* never 0; a later one when the lease had to be made anew: it lapsed, or the boot nonce is another */
    uint64_t boot_nonce;
    uint32_t connections, users, alive, dead;
};

/* Calls up, given at construction. All on the shard's thread, never inside a call down. */
struct engine_events {
    /* A publication of a channel of this shard, own or another broker's, from an open partition. Offset 0: without
     * position. `publication`: encoded wire_publication, borrowed; payload_ref it to keep it. */
    void (*on_publication)(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication);
    /* HSET made a new field / HDEL removed one. info: wire_client_info. */
    void (*on_presence)(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry);
    /* This held channel may lack something, or its epoch may have changed: load it (engine_read with own since). */
    void (*on_doubt)(void *context, struct span channel);
    /* As on_doubt for every held channel of the partition, presence too: it was opened anew. */
    void (*on_partition_doubt)(void *context, uint32_t partition);
    /* Presence of the partition's held channels has to be read anew: a batch of others never came, and what it said of
     * members nobody will say again. Their publications are doubted one by one. is_lost: changes of ours were given up,
     * or came so late that others may have overtaken them; then the gateways are asked for their members, too. May be
     * NULL. */
    void (*on_presence_doubt)(void *context, uint32_t partition, bool is_lost);
    /* All live leases, every second and when one got a new number; the first one after a start as soon as it is known,
     * also when there are none. */
    void (*on_leases)(void *context, const struct engine_lease *leases, size_t n_leases);
    /* Is the engine of use? For health, WELCOME and beats; called at each change. reason is static text. */
    void (*on_state)(void *context, bool connected, bool pubsub_connected, const char *reason);
    /* The history of this held channel was removed, by whoever, up to `top`: what is remembered of it must not be told
     * any more. May be NULL. Best effort: who hears nothing forgets it by its age. */
    void (*on_removed)(void *context, struct span channel, const struct position *top);
    /* The lease of this name was released, by whoever: who waits for it may ask again. May be NULL. Best effort. */
    void (*on_lease_freed)(void *context, struct span name);
};

static inline void engine_doubt_presence(const struct engine_events *events, void *context, uint32_t partition,
                                         bool is_lost) {
    if (events->on_presence_doubt != NULL) {
        events->on_presence_doubt(context, partition, is_lost);
    }
}

static inline void engine_tell_removed(const struct engine_events *events, void *context, struct span channel,
                                       const struct position *top) {
    if (events->on_removed != NULL) {
        events->on_removed(context, channel, top);
    }
}

static inline void engine_tell_lease_freed(const struct engine_events *events, void *context, struct span name) {
    if (events->on_lease_freed != NULL) {
        events->on_lease_freed(context, name);
    }
}

/* The virtual table; the struct is the first member of each implementation. */
struct engine_methods {
    /* Closes: cancels requests, closes handles; on_closed later, then the memory is gone. */
    void (*close)(engine_t *self, void (*on_closed)(void *context), void *context);
    void (*append)(engine_t *self, struct engine_append *request);
    void (*read)(engine_t *self, struct engine_read *request);
    void (*remove_history)(engine_t *self, struct engine_remove *request);
    /* A channel is held from its first subscriber (or own publish) until it is released: the engine listens to its
     * partition, and doubts are told for held channels. Calls are paired; after a reload a pair brings new options. */
    void (*hold)(engine_t *self, struct span channel, const struct namespace_options *options);
    void (*release)(engine_t *self, struct span channel);
    /* May this engine say "no" for the channel now (redis.md: only an open partition does)? */
    bool (*is_sure)(engine_t *self, struct span channel);
    /* Fire and forget, in order with appends of the channel; on_presence tells what changed. `silent`: no on_presence
     * anywhere (resync, move). */
    /* Under an older lease of the gateway than what is stored: it waited somewhere, and changes nothing. */
    void (*presence_set)(engine_t *self, struct span channel, const struct engine_presence_entry *entry, bool silent);
    /* only_of NULL: whoever set it. Else only the entry that this owner set: what another broker has set anew since the
     * caller looked stays. Both borrowed for the call. */
    void (*presence_clear)(engine_t *self, struct span channel, struct span client,
                           const struct engine_presence_owner *only_of);
    void (*presence_read)(engine_t *self, struct engine_presence_read *request);
    /* Keep this gateway's lease alive for 4 s from now (called every heartbeat by the shard that keeps leases; in mode
     * memory by every shard, each on its own engine). `number` is ignored. */
    void (*lease_renew)(engine_t *self, const struct engine_lease *lease);
    void (*serve)(engine_t *self, struct engine_service *request);
    /* Before the loop sleeps: one write for everything of this turn. */
    void (*flush)(engine_t *self);
    /* Memory is short: from now on what it keeps grows no further, or it may again. NULL: it keeps nothing that grows.
     */
    void (*hold_back)(engine_t *self, bool on);
    bool (*is_connected)(const engine_t *self);
    enum wire_mode (*mode)(const engine_t *self);
};
struct engine {
    const struct engine_methods *methods;
};

static inline void engine_append(engine_t *self, struct engine_append *request) {
    self->methods->append(self, request);
}
static inline void engine_read(engine_t *self, struct engine_read *request) {
    self->methods->read(self, request);
}

static inline void engine_hold_back(engine_t *self, bool on) {
    if (self->methods->hold_back != NULL) {
        self->methods->hold_back(self, on);
    }
}

/* What every engine is made from. */
struct engine_options {
    uv_loop_t *loop;
    uint32_t shard;
    uint32_t n_shards;
    uint32_t n_partitions;
    const char *broker_id;
    uint64_t boot_nonce;
    metrics_t *metrics;
    const namespace_set_t *namespaces;
    finding_board_t *findings; /* where what is found out about servers is told; NULL: nowhere */
    const struct engine_events *events;
    void *context; /* for events */
};

#endif
