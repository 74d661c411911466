/* One request to the HTTP API: its body becomes commands (one, or those of a batch), each command one or more requests
 * to brokers (one for each channel of a broadcast), and their answers one JSON answer.
 *
 *   body ─▶ commands ──rights, rate, parameters──▶ parts ─▶ broker_requests ─▶ results ─▶ answer
 *
 * Thread: the worker's that serves the API. */
#ifndef CALLBOARD_GATEWAY_HTTP_API_CALL_H
#define CALLBOARD_GATEWAY_HTTP_API_CALL_H

#include "base/metrics.h"
#include "base/namespace_options.h"
#include "gateway/broker_requests.h"
#include "gateway/gateway_config.h"
#include "gateway/http_api/http_api_keys.h"
#include "gateway/revocation_feed.h"

typedef struct http_api_call http_api_call_t;

/* Of this gateway, for the method info. */
struct http_api_figures {
    const char *id;
    uint32_t connections;
    uint32_t users;
    uint64_t channels;
    uint64_t subscriptions;
    uint64_t uptime_s;
};

/* What calls share. config and namespaces may be replaced between turns. */
struct http_api_service {
    const struct gateway_config *config;
    const namespace_set_t *namespaces;
    broker_requests_t *brokers;
    revocation_feed_t *revocations;
    timer_wheel_t *wheel;
    metric_values_t *metrics;         /* of http_api_metric_table */
    const bool *refuses_publications; /* memory is short: error 111 */
    void (*read_figures)(void *context, struct http_api_figures *ret_figures);
    void *context;
};

struct http_api_method;
/* NULL: there is none of this name. */
const struct http_api_method *http_api_method_find(struct span name);

/* Takes the key's reference; nulls the caller's pointer. */
http_api_call_t *http_api_call_new(const struct http_api_service *service, http_api_key_t **key_p,
                                   const struct http_api_method *method);
/* `body` lives as long as the call. on_done comes once, perhaps inside; not after http_api_call_destroy. */
void http_api_call_start(http_api_call_t *self, struct span body, void (*on_done)(void *context), void *context);
/* Once done: appends the answer; returns its status. `transport_errors`: a failed command is a status and the bare
 * error. */
unsigned http_api_call_answer(const http_api_call_t *self, bool transport_errors, struct buffer *out);
/* What is still open is no longer waited for; it may happen all the same. Nulls, accepts NULL. */
void http_api_call_destroy(http_api_call_t **self_p);

/* clang-format off */
#define HTTP_API_METHODS(X)                                                                       \
    X(PUBLISH, "publish") X(BROADCAST, "broadcast") X(SUBSCRIBE, "subscribe") X(UNSUBSCRIBE, "unsubscribe") \
    X(DISCONNECT, "disconnect") X(REFRESH, "refresh") X(PRESENCE, "presence") X(PRESENCE_STATS, "presence_stats") \
    X(HISTORY, "history") X(HISTORY_REMOVE, "history_remove") X(CHANNELS, "channels") X(INFO, "info") X(BATCH, "batch")     \
    X(REVOKE_TOKEN, "revoke_token") X(INVALIDATE_USER_TOKENS, "invalidate_user_tokens")
/* clang-format on */

enum http_api_metric {
#define HTTP_API_METRIC_MEMBER(NAME, name) HTTP_API_METRIC_COMMANDS_##NAME,
    HTTP_API_METHODS(HTTP_API_METRIC_MEMBER)
#undef HTTP_API_METRIC_MEMBER
#define HTTP_API_METRIC_MEMBER(NAME, name) HTTP_API_METRIC_SECONDS_##NAME, /* in the same order */
        HTTP_API_METHODS(HTTP_API_METRIC_MEMBER)
#undef HTTP_API_METRIC_MEMBER
#define HTTP_API_METRIC_ERROR(name, code, reason, message, temporary, definite) HTTP_API_METRIC_ERROR_##name,
            ERROR_CODES(HTTP_API_METRIC_ERROR)
#undef HTTP_API_METRIC_ERROR
                HTTP_API_METRIC_CONNECTIONS,
    HTTP_API_METRIC_REFUSED_BUSY,
    HTTP_API_METRIC_REFUSED_KEY,
    HTTP_API_METRIC_REFUSED_REQUEST,
    HTTP_API_METRIC_REFUSED_BODY,
    HTTP_API_METRIC_TIMEOUTS,
    HTTP_API_METRIC_SECONDS,
    HTTP_API_METRICS
};
extern const struct metric_description http_api_metric_table[HTTP_API_METRICS];

#endif
