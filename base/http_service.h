/* The internal HTTP listener of each program on lws: a table of GET paths → handlers, and where the owner wants them
 * calls by POST, answered later by another thread (http_call.h). Answers are small and whole; 400, 401, 404, 405 for
 * everything else; one request a connection; optional bearer token (compared in constant time; a source that gave ten
 * wrong ones in a minute gets 429 until it is over). A gateway's public port answers with the same code:
 * http_service_answer, http_service_send. Thread: that of the uv loop it was made on. */
#ifndef CALLBOARD_BASE_HTTP_SERVICE_H
#define CALLBOARD_BASE_HTTP_SERVICE_H

#include "base/bytes.h"
#include "base/http_call.h"
#include "base/metrics.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <uv.h>

struct http_answer {
    unsigned status;          /* 200, 404, 503 … */
    const char *content_type; /* static text */
    const char *extra_header; /* more "Name: value", \r\n between them, or NULL; static text */
    struct buffer body;       /* the handler fills it; the service frees it */
};

struct http_endpoint {
    const char *path; /* exact, without query */
    void (*handle)(void *context, struct http_answer *answer);
    void *context;
    bool without_token; /* for probes: answered to everybody who reaches the port */
};

typedef struct http_service http_service_t;

/* POST prefix/METHOD with a JSON body. Only where a bearer token is asked for. */
struct http_service_calls {
    const char *prefix;         /* "/admin/api/" */
    const char *const *methods; /* those that may be called, NULL-terminated; GET on the prefix lists them */
    size_t body_max;            /* internal.body_max: 413 above */
    unsigned calls_max;         /* internal.calls_max: 503 above */
    uint64_t timeout_ms;        /* internal.call_timeout: until the body is whole and answered */
    /* Takes the call; it is answered by http_call_answer, now or later, from any thread. */
    void (*take)(void *context, struct http_call *call);
    void *context;
    /* Each call once, when it is answered, on the thread that does it; NULL: nobody looks. */
    void (*observe)(const struct http_call *call);
};

struct http_service_options {
    const char *address;                   /* "127.0.0.1", "0.0.0.0", "::" */
    int port;                              /* 0: any free one, see http_service_port */
    const char *bearer_token;              /* NULL or "": none asked */
    const struct http_endpoint *endpoints; /* live as long as the service */
    size_t n_endpoints;
    const struct http_endpoint *pages; /* more of them: admin_page.h; NULL: none */
    size_t n_pages;
    const struct http_service_calls *calls; /* copied; NULL: none */
    metrics_t *metrics;                     /* NULL: refusals are not counted */
};

/* NULL: could not listen; ret_error says why (address, port, reason). */
http_service_t *http_service_new(uv_loop_t *loop, const struct http_service_options *options, char *ret_error,
                                 size_t error_size);
int http_service_port(const http_service_t *self);
/* Closes; on_closed (may be NULL) when the loop holds nothing of it any more. Nulls the caller's pointer, accepts NULL.
 * Not from a handler. */
void http_service_close(http_service_t **self_p, void (*on_closed)(void *context), void *context);

/* --- for LWS_CALLBACK_HTTP of another vhost; both return what the lws callback must return --- */

/* Answers from the table: 404 when the path is not there. No token is asked. */
int http_service_answer(struct lws *wsi, const char *path, const struct http_endpoint *endpoints, size_t n_endpoints);
/* False when the request may not be served at all (method, missing Host, a body): *ret_result is the answer's result.
 */
bool http_service_accepts(struct lws *wsi, int *ret_result);
/* Sends a whole answer; `body` is used instead of answer->body, which stays untouched. Statuses from 400 on, but 503,
 * close the connection. */
int http_service_send(struct lws *wsi, const struct http_answer *answer, struct span body);
/* "Forbidden" for 403. */
const char *http_status_text(unsigned status);

#endif
