/* Clients whose network lets no WebSocket through (client-protocol.md 25). The answer of one HTTP request is the way
 * down, for as long as the connection lives; each POST to /emulation is a message on the way up:
 *
 *   GET  /connection/sse?cf_connect=…   ┐ first commands      text/event-stream, an event for each reply
 *   POST /connection/sse                ├───────────────▶ session ───▶
 *   POST /connection/http_stream        ┘                     lines of JSON, or protobuf with lengths
 *   POST /emulation {session, node, data} ───▶ the worker of that session ───▶ session_on_message, 204
 *                                              (of that gateway, by way of a broker)
 *
 * A stream is a transport like a WebSocket; `session` of its connect reply is a secret of 128 bits that names worker
 * and stream, and who holds it may send as that client. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_HTTP_STREAM_H
#define CALLBOARD_GATEWAY_HTTP_STREAM_H

#include "base/metrics.h"
#include "base/timer_wheel.h"
#include "gateway/broker_requests.h"
#include "gateway/gateway_config.h"
#include "gateway/session/session.h"
#include "gateway/transport/transport.h"

#include <libwebsockets.h>

typedef struct http_streams http_streams_t;
typedef struct http_stream http_stream_t;

/* A message that came to a worker that does not have its session. */
struct emulation_post {
    uint32_t worker; /* that has it */
    struct span session;
    struct span data;
    uint64_t ticket; /* for http_streams_on_emulated, at the worker that asks */
};

struct http_streams_options {
    struct session_environment *sessions;
    timer_wheel_t *wheel;
    metric_values_t *metrics; /* of http_stream_metric_table */
    uint32_t worker;          /* index of this one */
    uint32_t n_workers;
    const char *node;           /* the gateway's id */
    broker_requests_t *brokers; /* the way to the other gateways; outlives the service */
    /* Hands it to that worker. False: not now (503). */
    bool (*forward)(void *context, const struct emulation_post *post);
    void *context;
};

http_streams_t *http_streams_new(const struct http_streams_options *options);
/* No stream is left. Nulls, accepts NULL. */
void http_streams_destroy(http_streams_t **self_p);
/* Now, and after a reload. `is_draining`: new streams are answered 503. */
void http_streams_configure(http_streams_t *self, const struct gateway_config *config);
void http_streams_set_draining(http_streams_t *self);
uint32_t http_streams_count(const http_streams_t *self);

/* Is this path one of ours and switched on? */
bool http_streams_has_path(const http_streams_t *self, const char *path);
/* LWS_CALLBACK_HTTP on such a path; returns what the callback must return. *ret_stream: goes with the connection, and
 * into the calls below, for the other HTTP callbacks of this connection. */
int http_streams_on_request(http_streams_t *self, struct lws *wsi, const char *path, http_stream_t **ret_stream);
int http_stream_on_body(http_stream_t *self, struct span piece);
int http_stream_on_body_end(http_stream_t *self);
void http_stream_on_writable(http_stream_t *self);
/* The connection is gone: frees. Nulls, accepts NULL. */
void http_stream_on_closed(http_stream_t **self_p);

/* A message of another worker's POST; false: there is no such session. */
bool http_streams_emulate(http_streams_t *self, struct span session, struct span data);
/* The answer to what was forwarded; a ticket whose POST is gone is passed over. */
void http_streams_on_emulated(http_streams_t *self, uint64_t ticket, bool delivered);

enum http_stream_metric {
    HTTP_STREAM_METRIC_STREAMS_SSE,
    HTTP_STREAM_METRIC_STREAMS_HTTP,
    HTTP_STREAM_METRIC_OPENED_SSE,
    HTTP_STREAM_METRIC_OPENED_HTTP,
    HTTP_STREAM_METRIC_POSTS,
    HTTP_STREAM_METRIC_POSTS_TO_WORKER,
    HTTP_STREAM_METRIC_POSTS_TO_GATEWAY,
    HTTP_STREAM_METRIC_POSTS_NOT_SENT,
    HTTP_STREAM_METRIC_POSTS_UNKNOWN,
    HTTP_STREAM_METRIC_REFUSED_METHOD,
    HTTP_STREAM_METRIC_REFUSED_ORIGIN,
    HTTP_STREAM_METRIC_REFUSED_BODY,
    HTTP_STREAM_METRIC_REFUSED_LIMIT,
    HTTP_STREAM_METRIC_REFUSED_DRAINING,
    HTTP_STREAM_METRIC_REFUSED_SESSION,
    HTTP_STREAM_METRIC_BODY_TIMEOUTS,
    HTTP_STREAM_METRIC_BACKLOGS,
    HTTP_STREAM_METRICS
};
extern const struct metric_description http_stream_metric_table[HTTP_STREAM_METRICS];

#endif
