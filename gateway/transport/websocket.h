/* The WebSocket transport: the vhost of a worker's public port. Upgrades that path, Origin and limits allow become
 * sessions; whole messages go in, pre-framed bytes go out. Plain HTTP requests of the port are handed on.
 * The only file that handles the callbacks of the public port; what concerns streams over HTTP goes to http_stream.h.
 * Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_WEBSOCKET_H
#define CALLBOARD_GATEWAY_WEBSOCKET_H

#include "base/metrics.h"
#include "base/timer_wheel.h"
#include "gateway/gateway_config.h"
#include "gateway/memory_guard.h"
#include "gateway/session/session.h"
#include "gateway/transport/forwarded_for.h"
#include "gateway/transport/http_stream.h"
#include "gateway/transport/raw_query.h"
#include "gateway/transport/source_limits.h"
#include "gateway/transport/tls_server.h"
#include "gateway/transport/transport.h"
#include "gateway/transport/websocket_compression.h"

#include <libwebsockets.h>
#include <stdatomic.h>

/* Of the process, counted by all workers. */
struct websocket_totals {
    atomic_bool refuses_tokens;                 /* as the first worker sees it: token.revocations_strict */
    atomic_uint memory_level;                   /* enum memory_level, as the first worker sees it */
    atomic_uint sockets;                        /* accepted, upgraded or not */
    atomic_uint connections;                    /* upgraded */
    atomic_uint_fast64_t handshakes_full_at_us; /* when the bucket of client.handshakes_per_second is full again */
};

struct websocket_service {
    /* The worker fills these before websocket_service_start; config may be replaced between turns. */
    const struct gateway_config *config;
    struct session_environment *sessions;
    timer_wheel_t *wheel;
    metric_values_t *metrics; /* of websocket_metric_table */
    struct websocket_totals *totals;
    struct tls_server tls;    /* with credentials: the port speaks TLS, and nothing else */
    source_limits_t *sources; /* of the process */
    struct trusted_proxies proxies;
    uint32_t connections_max; /* of the process; 0 refuses all */
    bool raw_endpoint;        /* is served */
    bool is_draining;         /* upgrades are answered 503 */
    http_streams_t *streams;  /* SSE and HTTP streaming */
    /* LWS_CALLBACK_HTTP for a path that is none of ours; returns what the lws callback must return. */
    int (*on_http)(void *context, struct lws *wsi, const char *path);
    void *http_context;

    /* Its own. */
    struct lws_context *lws;
    struct lws_vhost *vhost;
    uint32_t connections; /* of this worker */
    bool wants_service;
    struct websocket_compression compression;
    struct lws *raw_wsi; /* whose upgrade was let in last, of the raw endpoint, and what it asks for */
    struct raw_query raw_query;
};

/* Makes the lws context on the loop. False: ret_error says why. One after another in a process. */
bool websocket_service_start(struct websocket_service *self, uv_loop_t *loop, char *ret_error, size_t error_size);
/* Takes the accepted descriptor and its count among the sources (NULL: it comes from a trusted proxy, and whom that
 * speaks for is not known yet), in any case. */
void websocket_service_adopt(struct websocket_service *self, int descriptor, struct source *source);
/* End of a turn, after the sessions were flushed. */
void websocket_service_flush(struct websocket_service *self);
/* Drops every connection (session_on_closed comes inside the call); on_closed when the loop holds nothing any more. */
void websocket_service_close(struct websocket_service *self, uv_loop_t *loop, void (*on_closed)(void *context),
                             void *context);

/* hub_callbacks.frame_compressed; its context is the service. */
payload_t *websocket_frame_publication(void *context, enum client_encoding encoding, struct span message);

/* For admission.c: keeps what this request to the raw endpoint asks for until it is upgraded. False: it is malformed.
 */
bool websocket_note_raw(struct websocket_service *self, struct lws *wsi, struct span path);

enum websocket_metric {
    WEBSOCKET_METRIC_CONNECTIONS,
    WEBSOCKET_METRIC_HANDSHAKES,
    WEBSOCKET_METRIC_REFUSED_PATH,
    WEBSOCKET_METRIC_REFUSED_ORIGIN,
    WEBSOCKET_METRIC_REFUSED_QUERY,
    WEBSOCKET_METRIC_REFUSED_FORWARDED,
    WEBSOCKET_METRIC_REFUSED_SOURCE,
    WEBSOCKET_METRIC_REFUSED_SOURCE_CONNECTIONS,
    WEBSOCKET_METRIC_REFUSED_LIMIT,
    WEBSOCKET_METRIC_REFUSED_RATE,
    WEBSOCKET_METRIC_REFUSED_MEMORY,
    WEBSOCKET_METRIC_REFUSED_DRAINING,
    WEBSOCKET_METRIC_REFUSED_GUARD,
    WEBSOCKET_METRIC_CLOSED_TOO_BIG,
    WEBSOCKET_METRIC_CLOSED_FRAGMENTS,
    WEBSOCKET_METRIC_CLOSED_MESSAGE_TIMEOUT,
    WEBSOCKET_METRIC_CLOSED_COMPRESSION,
    WEBSOCKET_METRIC_CLOSE_TIMEOUTS,
    WEBSOCKET_METRIC_MESSAGES_IN,
    WEBSOCKET_METRIC_BYTES_IN,
    WEBSOCKET_METRIC_WRITES,
    WEBSOCKET_METRIC_BYTES_OUT,
    WEBSOCKET_METRIC_BACKLOGS,
    WEBSOCKET_METRIC_COMPRESSING,
    WEBSOCKET_METRIC_COMPRESSED,
    WEBSOCKET_METRIC_INFLATED,
    WEBSOCKET_METRICS
};
extern const struct metric_description websocket_metric_table[WEBSOCKET_METRICS];

#endif
