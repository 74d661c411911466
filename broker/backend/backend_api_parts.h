/* What the files of the backend API's actor share (its life, what comes in, what goes out, the methods)
 * and nobody else includes. Thread: the actor's. */
#ifndef CALLBOARD_BROKER_BACKEND_BACKEND_API_PARTS_H
#define CALLBOARD_BROKER_BACKEND_BACKEND_API_PARTS_H

#include "base/backoff.h"
#include "base/event_queue.h"
#include "base/zmq_on_uv.h"
#include "broker/backend/backend_api.h"
#include "broker/backend/backend_link.h"
#include "broker/backend/backend_methods.h"
#include "broker/backend/backend_orders.h"
#include "broker/backend/backend_peers.h"
#include "broker/backend/backend_push_wait.h"
#include "broker/backend/backend_request.h"
#include "broker/backend/backend_rights.h"
#include "broker/backend/backend_sockets.h"
#include "broker/backend/backend_subscriptions.h"
#include "broker/backend/worker_pool.h"
#include "broker/shard_call.h"
#include "broker/shard_occupancy.h"

#include <stdatomic.h>
#include <uthash.h>

/* Kinds of messages of the actor. */
enum { BACKEND_MESSAGE_REPLY = 1, BACKEND_MESSAGE_NAMESPACES = 2, BACKEND_MESSAGE_TOLD = 6, BACKEND_MESSAGE_ENDS = 7 };

enum backend_metric {
    BACKEND_METRIC_REQUESTS,
    BACKEND_METRIC_BAD_REQUESTS,
    BACKEND_METRIC_REFUSED_BUSY,
    BACKEND_METRIC_REPLIES_DROPPED,
    BACKEND_METRIC_PENDING,
    BACKEND_METRIC_SUBSCRIPTIONS,
    BACKEND_METRIC_EVENTS,
    BACKEND_METRIC_EVENTS_BEHIND,
    BACKEND_METRIC_PUSHES,
    BACKEND_METRIC_PUSH_BAD,
    BACKEND_METRIC_PUSH_BUSY,
    BACKEND_METRIC_PUSH_WAITS,
    BACKEND_METRIC_NOT_ALLOWED,
    BACKEND_METRIC_CURVE_REFUSED,
    BACKEND_METRIC_WORKERS,
    BACKEND_METRIC_WORKERS_LOST,
    BACKEND_METRIC_CALLS_OPEN,
    BACKEND_METRIC_CALLS_ANSWERED,
    BACKEND_METRIC_CALLS_NO_WORKER,
    BACKEND_METRIC_CALLS_BUSY,
    BACKEND_METRIC_CALLS_LOST,
    BACKEND_METRIC_CALLS_OVERDUE,
    BACKEND_METRIC_CALLS_INVALID,
    BACKEND_METRIC_CALLS_LATE,
    BACKEND_METRIC_LINKS_CUT,
    BACKEND_METRIC_OCCUPANCY_TOLD,
    BACKEND_METRIC_OCCUPANCY_LOST,
    BACKEND_METRIC_OCCUPANCY_RETRIES,
    BACKEND_METRIC_OCCUPANCY_BYTES,
    BACKEND_METRIC_OCCUPANCY_HELD,
    BACKEND_METRICS_COUNT
};

extern const struct metric_description backend_metric_rows[BACKEND_METRICS_COUNT];

/* Over the last seconds, for `info`. */
struct backend_rates {
    uint64_t at_ms;
    uint64_t publications;
    uint64_t requests;
    double publications_per_s;
    double requests_per_s;
};

/* Events of channels that wait to be told (backend_occupancy.c). */
struct backend_occupancy {
    struct buffer channel; /* empty: nothing is told */
    uint64_t bytes_max;
    uint64_t vacated_after_ms;
    struct event_queue queue;
    struct backoff backoff;
    uint64_t ticket; /* of the last publication */
    uint64_t due_ms; /* of the next step: sending, or giving the answer up */
    bool is_asking;
    bool is_failing;
    struct backend_vacated *held; /* by name; told when they are due */
    struct list_link by_due;
    size_t held_bytes;
    uint64_t stops_ms; /* then "stopped" is told; 0: not yet */
    bool has_stopped;
    atomic_bool is_on;   /* for other threads: there is a channel */
    atomic_bool is_told; /* for other threads: "stopped", too */
};

struct backend_batch;

struct backend_api {
    struct backend_api_options options;
    actor_t *actor;
    metric_values_t *metrics;
    struct backend_sockets sockets;
    zmq_on_uv_t *router_on_uv;
    zmq_on_uv_t *pull_on_uv;
    backend_push_wait_t *push_wait; /* NULL without a PULL */
    char link_id[256];
    uv_timer_t sweep_timer;
    uint64_t keys_due_ms;                   /* when subscriptions' keys are judged again */
    uint64_t curve_refused;                 /* as counted already */
    backend_link_t *link;                   /* NULL without a ROUTER */
    backend_subscriptions_t *subscriptions; /* as well */
    backend_orders_t *orders;               /* as well */
    backend_pending_t *pending;
    backend_peers_t *peers;   /* NULL without CURVE */
    backend_rights_t *rights; /* as well */
    uint64_t started_ms;
    struct backend_rates rates;
    worker_pool_t *workers;
    struct backend_worker_call *calls; /* by number */
    uint64_t last_call;
    bool is_ending; /* of the thread that asks backend_api_tell_end */
    struct backend_occupancy occupancy;
    struct buffer text;            /* scratch: decoded strings */
    struct buffer tags;            /* scratch: encoded tags */
    struct buffer body;            /* scratch: the answer */
    struct buffer item;            /* scratch: the channel of the part that was prepared last */
    struct json_iterator channels; /* a broadcast's list: parts are prepared in order */
};

/* Whom an answer goes to; nobody: a push. */
struct backend_answer_to {
    zmq_msg_t *routing; /* NULL: nobody */
    bool has_delimiter;
    struct span id;
    struct backend_batch *batch; /* NULL: none; else it is answered at this place of it */
    uint32_t place;
    struct http_call *by_hand; /* NULL: not by hand */
};

/* Does nobody wait for an answer: is it a push? */
static inline bool backend_is_push(const struct backend_answer_to *to) {
    return to->routing == NULL && to->batch == NULL && to->by_hand == NULL;
}

/* One request as its handler gets it. Its spans are the frames' or scratch: gone when the handler returns. */
struct backend_call {
    const struct backend_method *method;
    struct backend_answer_to to;
    struct span peer;             /* routing id of its connection; it says nothing about who that is */
    struct span key;              /* the name of the CURVE key; empty without CURVE */
    bool is_trusted;              /* no key is asked for: by hand, where internal.token was given */
    struct json_value object;     /* params */
    struct backend_params params; /* of it, unless BACKEND_OWN_PARAMS */
    bool has_payload;
    struct span payload;
    const struct span *more; /* frames behind the payload, n_more: of a batch */
    uint32_t n_more;
};

/* backend_inbound.c: callbacks of the sockets. */
void backend_on_request(void *context, zmq_msg_t *frames, size_t n_frames);
void backend_on_push(void *context, zmq_msg_t *frames, size_t n_frames);

/* The method, the rights of the key, payload and params: judged, then handled. */
void backend_dispatch(backend_api_t *self, struct backend_call *call, struct span method, struct span params);
/* Is the key for this channel (or lease, or whatever its patterns are asked about)? False: *ret_refusal says so. */
bool backend_may(backend_api_t *self, const struct backend_call *call, struct span name,
                 struct backend_refusal *ret_refusal);

/* backend_shards.c */
/* Handler of methods that shards answer: method->steps. */
void backend_ask_shards(backend_api_t *self, struct backend_call *call);
/* Keeps a call for n_parts answers that come later. NULL: too many are kept; it was answered with 111. When the
 * deadline passes it is answered with 120. */
struct backend_waiting *backend_keep(backend_api_t *self, struct backend_call *call, uint32_t n_parts,
                                     uint64_t deadline_ms);
/* A message to a shard; takes it. */
enum error_code backend_post(backend_api_t *self, uint32_t shard, struct shard_request *request);
void backend_start_pull(backend_api_t *self);
bool backend_find_namespace(const backend_api_t *self, struct span channel,
                            const struct namespace_options **ret_options, struct backend_refusal *ret_refusal);

/* backend_answer.c */
void backend_init_frame(zmq_msg_t *frame, struct span bytes);
/* Sends what `body` holds, and a payload where there is one; takes the routing frame. */
enum zmq_send_result backend_send(backend_api_t *self, const struct backend_answer_to *to, const char *kind,
                                  const struct span *payload);
/* What `body` holds, as `ok` or `error`. */
/* False: the peer is gone, or does not read; counted. */
bool backend_answer(backend_api_t *self, const struct backend_answer_to *to, const char *kind);
void backend_answer_nothing(backend_api_t *self, const struct backend_answer_to *to); /* ok and {} */
void backend_refuse_call(backend_api_t *self, const struct backend_call *call, const struct backend_refusal *refusal);
void backend_answer_error(backend_api_t *self, const struct backend_answer_to *to, enum error_code code,
                          const char *message);
/* A kept call: answered and forgotten. */
void backend_answer_waiting(backend_api_t *self, struct backend_waiting *waiting, const char *kind,
                            const struct span *payload);
void backend_refuse_waiting(backend_api_t *self, struct backend_waiting *waiting, enum error_code code,
                            const char *message);
/* All parts are answered: the answer, and it is forgotten. */
void backend_finish_waiting(backend_api_t *self, struct backend_waiting *waiting);
/* No shard answered in time. */
void backend_answer_unknown(backend_api_t *self, struct backend_waiting *waiting);

/* backend_methods_info.c */
void backend_measure(backend_api_t *self, uint64_t now_ms);

/* backend_methods_batch.c: one of its requests is answered with what `body` holds. */
void backend_batch_take(backend_api_t *self, struct backend_batch *batch, uint32_t place, const char *kind);

/* backend_by_hand.c: a call from the internal listener; and its answer, what `body` holds. */
void backend_take_by_hand(backend_api_t *self, struct http_call *call);
void backend_answer_by_hand(backend_api_t *self, struct http_call *call, const char *kind);

/* backend_methods_sessions.c */
/* An answer to an order; false: it is none. */
bool backend_on_order_frame(backend_api_t *self, const struct wire_frame *frame);
void backend_end_orders(backend_api_t *self); /* the link is down: nobody will answer */
void backend_sweep_orders(backend_api_t *self);

/* worker_calls.c */
void backend_workers_start(backend_api_t *self);
void backend_workers_stop(backend_api_t *self); /* every call fails */
void backend_workers_finish(backend_api_t *self);
void backend_workers_tick(backend_api_t *self, uint64_t now_ms);
void backend_take_call(backend_api_t *self, struct shard_call *call);

/* backend_methods_rpc.c: what a worker answered a service, or why none did. */
void backend_answer_rpc(backend_api_t *self, uint64_t ticket, const struct shard_called *answer);

/* backend_occupancy.c */
void backend_occupancy_start(backend_api_t *self);
void backend_occupancy_finish(backend_api_t *self);
/* The settings of events, of which nothing is referred to later. */
void backend_occupancy_configure(backend_api_t *self, const struct broker_config *config);
void backend_occupancy_tick(backend_api_t *self, uint64_t now_ms);
void backend_take_occupancy(backend_api_t *self, struct shard_occupancy *change); /* takes it */
/* BACKEND_MESSAGE_ENDS: the broker is drained. */
void backend_occupancy_stop(backend_api_t *self);
/* BACKEND_MESSAGE_TOLD: what came of the publication; takes it. */
void backend_occupancy_told(backend_api_t *self, struct shard_reply *reply);

/* backend_events.c */
void backend_start_subscriptions(backend_api_t *self);
/* Does the key behind a request or a subscription still count? An empty one: without CURVE. */
bool backend_is_key_allowed(const backend_api_t *self, struct span key);
void backend_judge_keys(backend_api_t *self, uint64_t now_ms);

#endif
