/* What other actors of the broker ask of a shard (the backend API's methods), and what it answers. One allocation each:
 * the spans lie behind the struct, so a request and a reply are freed as one block by memory_free. Ownership passes
 * with actor_post. Thread: made on one, handled on another, never shared. */
#ifndef CALLBOARD_BROKER_SHARD_REQUEST_H
#define CALLBOARD_BROKER_SHARD_REQUEST_H

#include "base/actor.h"
#include "base/error_code.h"
#include "base/position.h"
#include "base/wire.h"

enum shard_request_kind {
    SHARD_REQUEST_PUBLISH,
    SHARD_REQUEST_HISTORY,
    SHARD_REQUEST_HISTORY_REMOVE,
    SHARD_REQUEST_PRESENCE,
    SHARD_REQUEST_PRESENCE_STATS,
    SHARD_REQUEST_INFO, /* this shard's figures */
    SHARD_REQUEST_LEASE_ACQUIRE,
    SHARD_REQUEST_LEASE_RENEW,
    SHARD_REQUEST_LEASE_RELEASE,
    SHARD_REQUEST_KV_GET,
    SHARD_REQUEST_KV_SET,
    SHARD_REQUEST_KV_DEL,
    SHARD_REQUEST_KV_EXISTS,
    SHARD_REQUEST_KV_INCR,
};

struct shard_request {
    struct actor_message message; /* kind SHARD_MESSAGE_REQUEST, see shard.h */
    enum shard_request_kind kind;
    actor_t *reply_to;    /* NULL: no answer is wanted (PULL) */
    uint32_t reply_kind;  /* kind of the reply's actor_message */
    uint64_t ticket;      /* echoed */
    uint64_t deadline_ms; /* monotonic */
    bool is_own;          /* PUBLISH: the broker's own, also while it drains */
    bool skip_history;
    bool delta; /* PUBLISH: as engine_append's */
    bool has_since;
    bool reverse;
    uint32_t limit;  /* HISTORY: publications; PRESENCE: about so many members, 0: all of them */
    uint64_t cursor; /* PRESENCE with a limit: `next` of the page before; 0: from the beginning */
    struct position since;
    struct span channel;
    struct span key;
    struct span data;
    struct span info; /* wire_client_info or empty */
    struct span tags; /* wire_tags or empty */
    uint64_t version; /* PUBLISH: as engine_append's; 0: none */
    struct span version_epoch;
    uint64_t ttl_ms; /* LEASE_…, KV_…, whose name is `channel`: as engine_service's */
    uint64_t token;
    uint64_t wait_until_ms; /* LEASE_ACQUIRE: monotonic; 0: it does not wait */
    int64_t by;             /* KV_INCR */
};
/* Copies the spans of `model` into a new request (its other members too). */
struct shard_request *shard_request_new(const struct shard_request *model);

struct shard_reply {
    struct actor_message message;
    uint64_t ticket;
    uint32_t shard;
    enum shard_request_kind kind;
    enum error_code error;    /* ERROR_NONE: fine */
    const char *message_text; /* static: what is wrong more exactly than the code says; NULL: nothing more */
    uint64_t next;            /* PRESENCE with a limit: cursor of the next page; 0: that was the last */
    struct position position;
    bool duplicate;
    bool suppressed;
    bool not_durable;
    bool is_there;                                  /* KV_…: the key was there */
    uint32_t n;                                     /* publications, entries, clients; INFO: channels held */
    uint32_t m;                                     /* users; INFO: subscribed gateway workers */
    uint64_t brokers, gateways, connections, users; /* INFO, from the leases: the whole cluster */
    uint64_t token;                                 /* LEASE_ACQUIRE */
    uint64_t left_ms;                               /* LEASE_…, KV_…: until its end; 0: none */
    int64_t number;                                 /* KV_INCR */
    enum wire_mode mode;                            /* INFO, LEASE_…, KV_… */
    bool engine_connected;                          /* INFO: and the one that is configured */
    struct span
        bytes; /* wire_publication… or sized wire_client_info… or a value; of an acquire without a key its name */
};
struct shard_reply *shard_reply_new(const struct shard_reply *model);

#endif
