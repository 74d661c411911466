/* A client's session on its connection: decodes commands, keeps the connection's state, its subscriptions and what it
 * still has to be sent. It knows its transport only by transport_methods, and the channels only by hub and brokers.
 *
 *   new ──connect command──▶ connected ──▶ closing ──session_on_closed──▶ (freed)
 *    │  └──error reply to connect──▶ refused ─┐ ▲
 *    └────────── 3501, 3502 ──────────────────┴─┘
 *
 * Nothing is written inside a call: replies and pushes go to the outbox, the session becomes dirty, and
 * session_flush_dirty writes once for each dirty session at the end of the loop's turn; closing waits for it as well.
 * So no session disappears while the hub walks its members. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_SESSION_H
#define CALLBOARD_GATEWAY_SESSION_H

#include "base/list.h"
#include "base/metrics.h"
#include "base/quota.h"
#include "base/timer_wheel.h"
#include "base/token.h"
#include "gateway/broker_requests.h"
#include "gateway/gateway_config.h"
#include "gateway/hub.h"
#include "gateway/outbox.h"
#include "gateway/token/revocations.h"
#include "gateway/transport/transport.h"
#include "gateway/user_places.h"

typedef struct session session_t;
typedef struct event_feed event_feed_t;
typedef struct user_limits user_limits_t;

/* A command that is handled: what it is, and since when, in the low bits of the clock: an hour is enough. */
struct session_begun {
    uint32_t at_us;
    uint8_t kind; /* enum client_command_kind */
};

/* What the sessions of one worker share. The worker fills the first part after session_environment_init; config, keys
 * and namespaces may be replaced between turns (reload), the old ones may then go. */
struct session_environment {
    const struct gateway_config *config;
    const token_keys_t *keys;              /* NULL: every token is invalid */
    const token_keys_t *subscription_keys; /* NULL: keys serve subscription tokens too */
    const revocations_t *revocations;      /* NULL: none */
    const namespace_set_t *namespaces;
    hub_t *hub;
    broker_requests_t *brokers;
    timer_wheel_t *wheel;
    event_feed_t *events;       /* NULL: services are told nothing */
    user_limits_t *user_limits; /* of the process; NULL: no bound for a user */
    user_places_t *user_places; /* of the cluster; NULL: the process judges alone */
    metric_values_t *metrics;   /* of session_metric_table; NULL: nothing is counted */
    struct quota outbox_budget; /* over all sessions; set its limit with quota_init */
    /* A token names a kid that no key has, and keys are fetched: ask for them. NULL: nobody fetches. */
    void (*on_key_awaited)(void *token_context);
    void *token_context;
    struct hub_callbacks to_hub; /* for hub_new: the sessions' callbacks with the transport's frame function */

    bool refuses_publications; /* memory is short: clients' are answered with error 111 */
    bool refuses_tokens;       /* nobody knows which are revoked: error 100 */

    /* Figures for stats and heartbeats. A connection counts once its connect command was accepted. */
    uint32_t connections;
    uint32_t alive; /* answered their last ping, or were sent none yet */
    uint32_t dead;  /* owe a pong */
    uint32_t calls; /* questions to workers that are open */
    uint32_t users; /* different user ids, without the anonymous */

    /* The sessions' own. */
    struct list_link sessions; /* every one that is not closing */
    struct list_link closing;
    struct list_link dirty;
    user_count_t *user_count;
    tag_filter_set_t *tag_filters;
    struct buffer decoded;      /* scratch of the decoder, per command */
    struct buffer replies;      /* those of the message that is being handled */
    const session_t *handled;   /* whose message that is */
    struct session_begun begun; /* the last command */
    struct outbox_writes writes;
    payload_t *pings[CLIENT_ENCODINGS]; /* framed once, sent to everybody */
};

/* `frame` is the transport's (transport_methods.frame). */
void session_environment_init(struct session_environment *self,
                              payload_t *(*frame)(enum client_encoding encoding, struct span message));
void session_environment_finish(struct session_environment *self); /* every session is gone */
/* Sets the gauges of what all sessions hold together; a few times a second. */
void session_environment_show(const struct session_environment *self);

/* On an accepted connection; the transport is borrowed until session_on_closed. */
session_t *session_new(struct session_environment *environment, struct transport *transport,
                       enum client_encoding encoding);
/* One whole message of the client's, borrowed for the call. */
void session_on_message(session_t *self, struct span message);
/* The raw endpoint: the session is one of CLIENT_ENCODING_RAW or RAW_ENVELOPE, and takes messages by
 * session_on_raw_message instead. Texts are copied. */
struct session_raw_options {
    struct span channel;
    struct span token;
    bool reads;  /* is subscribed */
    bool writes; /* may publish; a token may take either away */
    bool has_since;
    struct position since; /* its epoch may be empty: any */
    uint32_t last;         /* so many publications first; 0: none */
};
void session_begin_raw(session_t *self, const struct session_raw_options *options);
void session_on_raw_message(session_t *self, struct span message, bool is_binary);
/* Its pings are the transport's own instead of empty replies, before it connects (those of the raw endpoint always
 * are). */
void session_ping_by_frames(session_t *self);
/* The transport's own answer to its own ping; of others it means nothing. */
void session_on_pong(session_t *self);
/* The transport took its backlog: write on. */
void session_on_writable(session_t *self);
/* The connection is gone: leaves every channel, cancels every request, frees. Never inside a call of the session's into
 * the transport. */
void session_on_closed(session_t **self_p);

/* End of a turn, before the brokers' batches are flushed: goes on with commands that had to wait, writes once for each
 * session that has something to send, then closes those that are to be closed. */
void session_flush_dirty(struct session_environment *environment);
/* Before a drain: in which order they go is chance. By age those of one deploy, one shop or one office, who came
 * together, would all be gone at once. */
void session_shuffle(struct session_environment *environment);
/* Closes at most n sessions with 3001 (they go at the next flush); returns how many. */
size_t session_drain_some(struct session_environment *environment, size_t n);
/* Memory is short: closes those with the longest queues with 3008, at least half as long as the longest and not just a
 * moment's; returns how many. */
size_t session_shed_slowest(struct session_environment *environment);

/* The revocations are other ones: closes with 3500 whose token is revoked, and ends with 2501 the subscriptions whose
 * token is. Not while the hub walks its members. */
void session_end_revoked(struct session_environment *environment);

/* The namespaces are other ones: ends the subscriptions to channels that have none any more (session_reload.c). Not
 * while the hub walks its members. */
void session_end_unserved(struct session_environment *environment);

/* Appends who of this user is connected here, wire_client_info each sized; command->limit at most (session_orders.c).
 */
enum error_code session_list_connections(struct session_environment *environment, const struct wire_command *command,
                                         struct buffer *out, uint32_t *ret_n);

/* What a service orders for the sessions of a user (session_orders.c), of which ret_n were concerned. The error is for
 * the service. Not while the hub walks its members. */
enum error_code session_carry_out(struct session_environment *environment, const struct wire_command *command,
                                  uint32_t *ret_n);

/* The frame function is missing here, it comes with session_environment_init. */
extern const struct hub_callbacks session_hub_callbacks;

extern const struct metric_description session_metric_table[];
extern const size_t session_metric_count;

#endif
