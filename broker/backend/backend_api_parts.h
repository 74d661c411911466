/* What the files of the backend API's actor share (backend_api.c, backend_inbound.c, backend_answer.c,
 * backend_events.c, backend_metrics.c) and nobody else includes. Thread: the actor's. */
#ifndef CALLBOARD_BROKER_BACKEND_BACKEND_API_PARTS_H
#define CALLBOARD_BROKER_BACKEND_BACKEND_API_PARTS_H

#include "base/zmq_on_uv.h"
#include "broker/backend/backend_api.h"
#include "broker/backend/backend_link.h"
#include "broker/backend/backend_methods.h"
#include "broker/backend/backend_request.h"
#include "broker/backend/backend_sockets.h"
#include "broker/backend/backend_subscriptions.h"

/* Kinds of messages of the actor. */
enum { BACKEND_MESSAGE_REPLY = 1, BACKEND_MESSAGE_NAMESPACES = 2 };

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
    BACKEND_METRIC_NOT_ALLOWED,
    BACKEND_METRIC_CURVE_REFUSED,
    BACKEND_METRICS_COUNT
};

extern const struct metric_description backend_metric_rows[BACKEND_METRICS_COUNT];

struct backend_api {
    struct backend_api_options options;
    actor_t *actor;
    metric_values_t *metrics;
    struct backend_sockets sockets;
    zmq_on_uv_t *router_on_uv;
    zmq_on_uv_t *pull_on_uv;
    char link_id[256];
    uv_timer_t sweep_timer;
    uint64_t keys_due_ms;                   /* when subscriptions' keys are judged again */
    uint64_t curve_refused;                 /* as counted already */
    backend_link_t *link;                   /* NULL without a ROUTER */
    backend_subscriptions_t *subscriptions; /* as well */
    backend_pending_t *pending;
    struct backend_context context;
    struct buffer text; /* scratch: decoded strings */
    struct buffer tags; /* scratch: encoded tags */
    struct buffer body; /* scratch: the answer */
};

/* Whom an answer goes to. */
struct backend_answer_to {
    zmq_msg_t *routing;
    bool has_delimiter;
    struct span id;
};

/* A request that was read and judged as far as it can be before a shard is asked. */
struct backend_judged {
    const struct backend_method *method;
    struct backend_params params;
    uint32_t n_parts;
    bool is_prepared;           /* the lone part's channel is in the model already */
    struct span peer_key;       /* the name of the CURVE key; empty without CURVE */
    struct shard_request model; /* of every part; its spans are the frames' or scratch */
};

/* backend_inbound.c: callbacks of the sockets. */
void backend_on_request(void *context, zmq_msg_t *frames, size_t n_frames);
void backend_on_push(void *context, zmq_msg_t *frames, size_t n_frames);

/* backend_answer.c */
void backend_init_frame(zmq_msg_t *frame, struct span bytes);
/* Sends what `body` holds, and a payload where there is one; takes the routing frame. */
enum zmq_send_result backend_send(backend_api_t *self, const struct backend_answer_to *to, const char *kind,
                                  const struct span *payload);
void backend_answer(backend_api_t *self, const struct backend_answer_to *to, const char *kind);
void backend_answer_error(backend_api_t *self, const struct backend_answer_to *to, enum error_code code,
                          const char *message);
/* All parts are answered: the answer, and it is forgotten. */
void backend_finish_waiting(backend_api_t *self, struct backend_waiting *waiting);
/* No shard answered in time. */
void backend_answer_unknown(backend_api_t *self, struct backend_waiting *waiting);

/* backend_events.c */
void backend_start_subscriptions(backend_api_t *self);
void backend_answer_subscription(backend_api_t *self, const struct backend_request *request, zmq_msg_t *routing,
                                 const struct backend_judged *judged);
/* Does the key behind a request or a subscription still count? An empty one: without CURVE. */
bool backend_is_key_allowed(const backend_api_t *self, struct span key);
void backend_judge_subscriptions(backend_api_t *self, uint64_t now_ms);

#endif
