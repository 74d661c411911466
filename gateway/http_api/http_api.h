/* The HTTP API for services on a listener of its own: POST /api/METHOD with a key, JSON in and out, as Centrifugo's
 * server API (client-protocol.md 26; docs/http-api.md). One worker of the gateway serves it with its links to the
 * brokers. Thread: that worker's. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_H
#define CALLBOARD_GATEWAY_HTTP_API_H

#include "gateway/http_api/http_api_call.h"

#include <uv.h>

typedef struct http_api http_api_t;

struct http_api_options {
    uv_loop_t *loop;
    const struct gateway_config *config; /* with at least one key */
    const namespace_set_t *namespaces;
    broker_requests_t *brokers;
    revocation_feed_t *revocations;
    timer_wheel_t *wheel;
    metrics_t *metrics;
    const bool *refuses_publications; /* lives as long; memory is short: error 111 */
    void (*read_figures)(void *context, struct http_api_figures *ret_figures);
    void *context;
};

/* Listens when it returns. NULL: ret_error says why. */
http_api_t *http_api_new(const struct http_api_options *options, char *ret_error, size_t error_size);
/* After a reload; NULL is accepted. */
void http_api_configure(http_api_t *self, const struct gateway_config *config, const namespace_set_t *namespaces);
int http_api_port(const http_api_t *self);
/* Requests under way get no answer. on_closed when the loop holds nothing of it any more, perhaps inside. Nulls,
 * accepts NULL. Before its brokers. */
void http_api_close(http_api_t **self_p, void (*on_closed)(void *context), void *context);

#endif
