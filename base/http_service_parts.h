/* What http_service.c (the listener and what is answered at once) and http_service_calls.c (calls, answered later)
 * share; nobody else includes this. */
#ifndef CALLBOARD_BASE_HTTP_SERVICE_PARTS_H
#define CALLBOARD_BASE_HTTP_SERVICE_PARTS_H

#include "base/auth_failures.h"
#include "base/http_service.h"
#include "base/list.h"
#include "base/tcp_listener.h"

enum service_metric {
    REFUSED_TOKEN,
    REFUSED_SOURCE,
    REFUSED_CALL,
    REFUSED_BUSY,
    CALLS,
    CALLS_OPEN,
    CALLS_LATE,
    SERVICE_METRICS
};

enum http_call_state { HTTP_CALL_NONE, HTTP_CALL_BODY, HTTP_CALL_OPEN, HTTP_CALL_ANSWER, HTTP_CALL_ENDED };

/* Of a connection; all zero until it carries a call. */
struct http_service_connection {
    struct list_link link; /* in open_calls, from BODY on */
    struct lws *wsi;
    enum http_call_state state;
    uint64_t ticket;
    uint64_t deadline_ms;
    size_t body_size;
    struct buffer body;
    char method[HTTP_CALL_METHOD_MAX + 1];
};

struct http_service {
    struct http_service_options options;
    struct http_service_calls calls; /* prefix NULL: none */
    char *bearer_token;              /* NULL: none asked */
    uv_loop_t *loop;
    tcp_listener_t *listener;
    int port;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    unsigned n_connections;
    struct auth_failures failures;
    metric_values_t *metrics; /* NULL: not counted */
    http_call_box_t *box;     /* NULL without calls */
    uv_timer_t call_timer;
    struct list_link open_calls;
    unsigned n_open_calls;
    uint64_t last_ticket;
    void (*on_calls_closed)(void *context);
    unsigned n_to_close;
    void (*on_closed)(void *context);
    void *closed_context;
};

void http_service_count(http_service_t *self, enum service_metric metric);
/* The address of a connection's other end; of a socket that is gone: of nobody. */
struct ip_address http_service_peer(struct lws *wsi);

/* http_service_calls.c; each returns what the lws callback must return. */
bool http_service_is_call(const http_service_t *self, const char *path);
int http_service_on_call(http_service_t *self, struct http_service_connection *connection, struct lws *wsi,
                         const char *path);
int http_service_on_body(struct http_service_connection *connection, struct span piece);
int http_service_on_body_end(http_service_t *self, struct http_service_connection *connection);
void http_service_on_writable(struct http_service_connection *connection);
void http_service_forget_call(http_service_t *self, struct http_service_connection *connection);
void http_service_open_calls(http_service_t *self);
void http_service_close_calls(http_service_t *self, void (*on_closed)(void *context));

#endif
