/* The internal HTTP listener of each program on lws: a table of GET paths → handlers. Answers are small and whole.
 * Only GET and HEAD; 404, 405 and `Connection: close` for everything else; optional bearer token (compared in constant
 * time). The same answering code serves a gateway's public port: http_service_answer_on. Thread: that of the uv loop it
 * was made on. */
#ifndef CALLBOARD_BASE_HTTP_SERVICE_H
#define CALLBOARD_BASE_HTTP_SERVICE_H

#include "base/bytes.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <uv.h>

struct http_answer {
    unsigned status;          /* 200, 404, 503 … */
    const char *content_type; /* static text */
    const char *extra_header; /* one more "Name: value" or NULL; static text */
    struct buffer body;       /* the handler fills it; the service frees it */
};

struct http_endpoint {
    const char *path; /* exact, without query */
    void (*handle)(void *context, struct http_answer *answer);
    void *context;
};

typedef struct http_service http_service_t;

struct http_service_options {
    const char *address;                   /* "127.0.0.1", "0.0.0.0", "::" */
    int port;                              /* 0: any free one, see http_service_port */
    const char *bearer_token;              /* NULL or "": none asked */
    const struct http_endpoint *endpoints; /* live as long as the service */
    size_t n_endpoints;
};

/* NULL: could not listen; ret_error says why (address, port, reason). */
http_service_t *http_service_new(uv_loop_t *loop, const struct http_service_options *options, char *ret_error,
                                 size_t error_size);
int http_service_port(const http_service_t *self);
/* Closes; on_closed when the loop holds nothing of it any more. Nulls the caller's pointer. */
void http_service_close(http_service_t **self_p, void (*on_closed)(void *context), void *context);

/* For the HTTP callback of another vhost (LWS_CALLBACK_HTTP and LWS_CALLBACK_HTTP_WRITEABLE, LWS_CALLBACK_CLOSED_HTTP):
 * answers from `endpoints`, or 404. `state_p` is a pointer in the connection's user space that starts as NULL and is
 * freed by the call for CLOSED_HTTP. Returns what the lws callback must return. `path` is only read with
 * LWS_CALLBACK_HTTP. */
int http_service_answer_on(struct lws *wsi, enum lws_callback_reasons reason, const char *path,
                           const struct http_endpoint *endpoints, size_t n_endpoints, void **state_p);

#endif
