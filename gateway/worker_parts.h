/* What a worker's files share: worker.c (the turn, messages, the owner's side), worker_start.c (its parts: made, asked
 * by the links, ended), worker_drain.c, worker_emulation.c. Nobody else includes this. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_WORKER_PARTS_H
#define CALLBOARD_GATEWAY_WORKER_PARTS_H

#include "gateway/worker.h"

#include "gateway/event_feed.h"
#include "gateway/http_api/http_api.h"
#include "gateway/http_api/http_api_by_hand.h"
#include "gateway/hub.h"
#include "gateway/revocation_feed.h"
#include "gateway/transport/listener.h"

enum worker_message {
    MESSAGE_RELOAD,
    MESSAGE_CERTIFICATE,
    MESSAGE_TRUST,
    MESSAGE_DRAIN,
    MESSAGE_EMULATE,  /* a client's message that came to another worker */
    MESSAGE_EMULATED, /* what became of it, back to that worker */
    MESSAGE_CALL,     /* struct http_call: by hand, from the internal listener */
};
enum drain_state { DRAIN_WAITING, DRAIN_DELAY, DRAIN_CLOSING, DRAIN_LEAVING, DRAIN_DONE };

struct emulate_message {
    struct actor_message message;
    uint32_t from; /* the worker that has the POST */
    uint64_t ticket;
    size_t session_size;
    size_t data_size;
    uint8_t bytes[]; /* session, data */
};

struct emulated_message {
    struct actor_message message;
    uint64_t ticket;
    bool delivered;
};

struct worker {
    struct worker_options options; /* as started; what a reload replaces is in `sessions` and `websockets` */
    actor_t *actor;

    /* The thread's. */
    uv_loop_t *loop;
    token_trust_t *trust; /* a reference; `sessions` borrows its parts */
    struct session_environment sessions;
    struct websocket_service websockets;
    http_streams_t *streams;
    revocation_feed_t *revocations; /* of the first worker */
    user_places_t *user_places;
    http_api_t *http_api;        /* of the first worker, where it has keys */
    http_api_by_hand_t *by_hand; /* of the first worker, where internal.operations is on */
    event_feed_t *events;
    listener_t *listener;
    int port;
    timer_wheel_t *wheel;
    uv_timer_t tick;
    hub_t *hub;
    broker_requests_t *brokers;
    metric_values_t *session_metrics;
    metric_values_t *websocket_metrics;
    metric_values_t *tls_metrics;
    metric_values_t *stream_metrics;
    metric_values_t *memory_metrics;
    uint64_t memory_max;
    uint64_t started_ms;
    uint64_t figures_due_ms;
    enum drain_state drain;
    uint64_t drain_due_ms;  /* of the next step */
    uint64_t drain_ends_ms; /* the window is over, or nobody is waited for any more */

    /* Seen by others: copied a few times a second, and read, under the mutex. Nothing waits long for it. */
    uv_mutex_t figures_mutex;
    struct worker_figures figures;
};

/* ---- worker.c ---- */
void worker_publish_figures(worker_t *self);
void worker_apply_settings(worker_t *self, const struct worker_settings *settings);
/* Takes the reference. Between two messages nobody walks the hub, so sessions may end here. */
void worker_apply_trust(worker_t *self, token_trust_t *trust);
/* token.revocations_strict: are tokens taken at the moment? */
void worker_judge_revocations(worker_t *self);
void worker_on_tick(uv_timer_t *timer);

/* ---- worker_start.c: for the actor ---- */
bool worker_on_start(void *context, actor_t *actor, char *ret_error, size_t error_size);
void worker_on_stop(void *context);

/* ---- worker_drain.c ---- */
void worker_begin_drain(worker_t *self);
void worker_advance_drain(worker_t *self, uint64_t now_ms);

/* ---- worker_emulation.c ---- */
/* For http_streams_options. */
bool worker_forward_post(void *context, const struct emulation_post *post);
/* For broker_requests_settings: one that came by a broker. */
bool worker_on_emulated(void *context, struct span session, struct span data);
/* MESSAGE_EMULATE. */
void worker_emulate(worker_t *self, const struct emulate_message *emulate);

#endif
