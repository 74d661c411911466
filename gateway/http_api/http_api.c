/* A connection's way, one request each:
 *
 *   headers ──not ours: 400, 401, 404, 405, 411, 413, 503──▶ answered, closed
 *     └─▶ BODY ──whole──▶ CALL ──its brokers have answered──▶ ANSWER ──written──▶ closed
 *           └──http.api_timeout──▶ cut off
 *
 * The key is judged before a byte of the body is read. What stands behind the body is never read: libwebsockets 4.1.6
 * does not read while an answer is under way, and reading is switched off, so that it does not spin either; the
 * connection is closed behind its answer. Header lines can be made of a request's query (an escaped line feed ends
 * libwebsockets' request line), so a request with a query is none (security.md S42).
 *
 * Failure modes: more than http_api.connections_max requests: 503. A caller that goes away while its call is under way
 * is noticed when the answer is written; what it asked for happens all the same. */
#include "gateway/http_api/http_api.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/http_service.h"
#include "base/log.h"
#include "base/lws_guard.h"
#include "base/memory.h"
#include "base/tcp_listener.h"
#include "gateway/http_api/http_api_error.h"
#include "gateway/transport/http_request.h"

#include <stdio.h>
#include <strings.h>
#include <unistd.h>

enum { SPARE_CONNECTIONS = 64, RX_BYTES = 4096, TX_BYTES = 65536, HEADER_BYTES = 320 };

enum connection_state { CONNECTION_NEW, CONNECTION_BODY, CONNECTION_CALL, CONNECTION_ANSWER, CONNECTION_ENDED };

struct connection {
    http_api_t *api;
    struct lws *wsi;
    const struct http_api_method *method;
    http_api_key_t *key; /* until the call has it */
    http_api_call_t *call;
    struct buffer body;
    size_t body_size;
    struct timer_entry timer; /* the body is whole */
    enum connection_state state;
    bool wants_transport_errors;
};

struct http_api {
    struct http_api_service service;
    http_api_keys_t *keys;
    uv_loop_t *loop;
    metric_values_t *metrics;
    tcp_listener_t *listener;
    int port;
    struct lws_context *lws;
    struct lws_vhost *vhost;
    uint32_t n_sockets;  /* adopted */
    uint32_t n_requests; /* with a body or a call under way */
    unsigned n_to_close;
    void (*on_closed)(void *context);
    void *closed_context;
};

/* ---- answering ---- */

static int refuse(http_api_t *self, struct lws *wsi, unsigned status, const char *extra_header, enum error_code code,
                  const char *message, enum http_api_metric row) {
    struct buffer body = BUFFER_EMPTY;
    struct http_answer answer = {.status = status, .content_type = "application/json", .extra_header = extra_header};
    metric_count(self->metrics, row);
    buffer_append_text(&body, "{\"error\":");
    http_api_append_error(&body, code, message);
    buffer_append_char(&body, '}');
    int result = http_service_send(wsi, &answer, buffer_span(&body));
    buffer_finish(&body);
    return result;
}

static void cut_off(struct connection *connection) {
    connection->state = CONNECTION_ENDED;
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    lws_cancel_service(lws_get_context(connection->wsi));
}

/* All of it is in the kernel: the connection ends. */
static void end_when_written(struct connection *connection) {
    if (lws_partial_buffered(connection->wsi) == 0) {
        cut_off(connection);
    }
}

static void on_call_done(void *context) {
    struct connection *connection = context;
    struct buffer body = BUFFER_EMPTY;
    struct http_answer answer = {.content_type = "application/json"};
    connection->state = CONNECTION_ANSWER;
    answer.status = http_api_call_answer(connection->call, connection->wants_transport_errors, &body);
    http_service_send(connection->wsi, &answer, buffer_span(&body));
    buffer_finish(&body);
    end_when_written(connection);
}

/* ---- who asks for what ---- */

/* "name:" of a header that libwebsockets has no token for. False: absent, empty, or does not fit. */
static bool copy_custom_header(struct lws *wsi, const char *name, char *ret_text, int size) {
    int length = lws_hdr_custom_length(wsi, name, (int) strlen(name));
    return length > 0 && length < size && lws_hdr_custom_copy(wsi, ret_text, size, name, (int) strlen(name)) == length;
}

/* The key by one header; by both it is nobody's. */
static http_api_key_t *find_key(http_api_t *self, struct lws *wsi) {
    static const char scheme[] = "apikey ";
    char key[HEADER_BYTES];
    char authorization[HEADER_BYTES];
    bool has_key = lws_hdr_custom_length(wsi, "x-api-key:", 10) > 0;
    bool has_authorization = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0;
    if (has_key == has_authorization) {
        return NULL;
    }
    if (has_key) {
        return copy_custom_header(wsi, "x-api-key:", key, sizeof key)
                   ? http_api_keys_find(self->keys, span_of_text(key))
                   : NULL;
    }
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, authorization, sizeof authorization) ||
        strncasecmp(authorization, scheme, sizeof scheme - 1) != 0) {
        return NULL;
    }
    return http_api_keys_find(self->keys, span_of_text(authorization + sizeof scheme - 1));
}

static bool wants_transport_errors(const http_api_t *self, struct lws *wsi) {
    char mode[32];
    return self->service.config->http_api_transport_errors ||
           (copy_custom_header(wsi, "x-centrifugo-error-mode:", mode, sizeof mode) &&
            strcasecmp(mode, "transport") == 0);
}

static bool is_sound(struct lws *wsi) {
    char text[HEADER_BYTES];
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP, text, sizeof text) && strcmp(text, "HTTP/1.1") == 0 &&
           lws_guard_copy_single_header(wsi, WSI_TOKEN_HOST, text, sizeof text) &&
           lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) <= 0;
}

/* 0: goes on; otherwise it was answered. */
static int judge_body(http_api_t *self, struct lws *wsi, size_t *ret_size) {
    static const enum http_api_metric row = HTTP_API_METRIC_REFUSED_BODY;
    switch (http_request_body_size(wsi, (size_t) self->service.config->http_api_body_max, ret_size)) {
    case HTTP_REQUEST_BODY_OK:
        if (*ret_size > 0) {
            return 0;
        }
        return refuse(self, wsi, 400, NULL, ERROR_BAD_REQUEST, "the body is empty; send a JSON object, at least {}",
                      row);
    case HTTP_REQUEST_BODY_NO_LENGTH:
        return refuse(self, wsi, 411, NULL, ERROR_BAD_REQUEST, "one Content-Length is needed, and no Transfer-Encoding",
                      row);
    case HTTP_REQUEST_BODY_BAD:
        return refuse(self, wsi, 400, NULL, ERROR_BAD_REQUEST, "Content-Length is no plain decimal number", row);
    case HTTP_REQUEST_BODY_TOO_BIG:
        return refuse(self, wsi, 413, NULL, ERROR_TOO_LARGE, "the body is longer than http_api.body_max", row);
    }
    return -1;
}

/* 0: goes on; otherwise it was answered. */
static int judge_request(http_api_t *self, struct lws *wsi) {
    if (!is_sound(wsi)) {
        return refuse(self, wsi, 400, NULL, ERROR_BAD_REQUEST,
                      "a request is of HTTP/1.1, with one Host and without a query (keys come in X-API-Key)",
                      HTTP_API_METRIC_REFUSED_REQUEST);
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) <= 0) {
        return refuse(self, wsi, 405, "Allow: POST", ERROR_BAD_REQUEST, "methods are called by POST",
                      HTTP_API_METRIC_REFUSED_REQUEST);
    }
    if (self->n_requests >= (uint64_t) self->service.config->http_api_connections_max) {
        return refuse(self, wsi, 503, "Retry-After: 1", ERROR_TOO_MANY_REQUESTS,
                      "http_api.connections_max requests are under way; nothing was done, try again",
                      HTTP_API_METRIC_REFUSED_BUSY);
    }
    return 0;
}

static const struct http_api_method *find_method(const char *path) {
    static const char prefix[] = "/api/";
    return strncmp(path, prefix, sizeof prefix - 1) == 0 ? http_api_method_find(span_of_text(path + sizeof prefix - 1))
                                                         : NULL;
}

/* ---- a request ---- */

static void on_body_late(struct timer_entry *entry) {
    struct connection *connection = list_entry(entry, struct connection, timer);
    metric_count(connection->api->metrics, HTTP_API_METRIC_TIMEOUTS);
    cut_off(connection);
}

static int on_request(http_api_t *self, struct connection *connection, struct lws *wsi, const char *path) {
    size_t size = 0;
    int result = connection->state == CONNECTION_NEW ? judge_request(self, wsi) : -1;
    if (result != 0) {
        return result;
    }
    http_api_key_t *key = find_key(self, wsi);
    if (key == NULL) {
        return refuse(self, wsi, 401, "WWW-Authenticate: apikey", ERROR_UNAUTHORIZED,
                      "one of http_api.keys is needed, in X-API-Key or as Authorization: apikey",
                      HTTP_API_METRIC_REFUSED_KEY);
    }
    const struct http_api_method *method = find_method(path);
    result = method != NULL ? judge_body(self, wsi, &size)
                            : refuse(self, wsi, 404, NULL, ERROR_METHOD_NOT_FOUND,
                                     "no such method; they are at /api/NAME, as docs/http-api.md lists them",
                                     HTTP_API_METRIC_REFUSED_REQUEST);
    if (result != 0) {
        http_api_key_release(&key);
        return result;
    }
    *connection = (struct connection){.api = self,
                                      .wsi = wsi,
                                      .method = method,
                                      .key = key,
                                      .body_size = size,
                                      .state = CONNECTION_BODY,
                                      .wants_transport_errors = wants_transport_errors(self, wsi)};
    buffer_init(&connection->body, size);
    timer_entry_init(&connection->timer, on_body_late);
    timer_wheel_set(self->service.wheel, &connection->timer,
                    clock_monotonic_ms() + (uint64_t) self->service.config->http_api_timeout_ms);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    self->n_requests++;
    return 0;
}

static int on_body(struct connection *connection, struct span piece) {
    bool fits = connection->state == CONNECTION_BODY && piece.size <= connection->body_size - connection->body.size;
    return fits && buffer_append_span(&connection->body, piece) ? 0 : -1;
}

static int on_body_end(struct connection *connection) {
    http_api_t *self = connection->api;
    if (connection->state != CONNECTION_BODY || connection->body.size != connection->body_size) {
        return -1;
    }
    timer_wheel_cancel(self->service.wheel, &connection->timer);
    connection->state = CONNECTION_CALL;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    lws_rx_flow_control(connection->wsi, 0);
    connection->call = http_api_call_new(&self->service, &connection->key, connection->method);
    http_api_call_start(connection->call, buffer_span(&connection->body), on_call_done, connection);
    return 0;
}

static void on_closed_connection(struct connection *connection) {
    http_api_t *self = connection->api;
    if (connection->state == CONNECTION_NEW) {
        return;
    }
    timer_wheel_cancel(self->service.wheel, &connection->timer);
    http_api_call_destroy(&connection->call);
    http_api_key_release(&connection->key);
    buffer_finish(&connection->body);
    connection->state = CONNECTION_NEW;
    self->n_requests--;
}

/* ---- libwebsockets ---- */

static void count_socket(http_api_t *self, bool opened) {
    self->n_sockets = opened ? self->n_sockets + 1 : self->n_sockets - 1;
    metric_set(self->metrics, HTTP_API_METRIC_CONNECTIONS, self->n_sockets);
}

static int on_lws_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    if (lws_guard_check(wsi, reason) != LWS_GUARD_PASS) {
        return -1;
    }
    http_api_t *self = lws_context_user(lws_get_context(wsi));
    struct connection *connection = user;
    if (reason == LWS_CALLBACK_WSI_CREATE || reason == LWS_CALLBACK_WSI_DESTROY) {
        count_socket(self, reason == LWS_CALLBACK_WSI_CREATE);
    } else if (reason == LWS_CALLBACK_HTTP) {
        return on_request(self, connection, wsi, in);
    } else if (reason == LWS_CALLBACK_HTTP_BODY) {
        return on_body(connection, span_of(in, size));
    } else if (reason == LWS_CALLBACK_HTTP_BODY_COMPLETION) {
        return on_body_end(connection);
    } else if (reason == LWS_CALLBACK_HTTP_WRITEABLE && connection->state == CONNECTION_ANSWER) {
        end_when_written(connection);
    } else if (reason == LWS_CALLBACK_CLOSED_HTTP && connection != NULL) {
        on_closed_connection(connection);
    } else if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE) {
        return -1; /* no WebSocket here */
    }
    return 0;
}

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    http_api_t *self = context;
    (void) peer;
    if (self->n_sockets >= (uint64_t) self->service.config->http_api_connections_max + SPARE_CONNECTIONS) {
        metric_count(self->metrics, HTTP_API_METRIC_REFUSED_BUSY);
        close(descriptor);
        return;
    }
    lws_adopt_socket_vhost(self->vhost, descriptor); /* closes the descriptor when it fails */
}

static bool create_context(http_api_t *self, char *ret_error, size_t error_size) {
    static const struct lws_protocols protocols[] = {
        {.name = "api",
         .callback = on_lws_event,
         .per_session_data_size = sizeof(struct connection),
         .rx_buffer_size = RX_BYTES,
         .tx_packet_size = TX_BYTES},
        {.name = NULL},
    };
    const struct lws_guard_service service = {.what = "the HTTP API", .protocols = protocols, .user = self};
    return lws_guard_open_context(&service, self->loop, &self->lws, &self->vhost, ret_error, error_size);
}

/* ---- life ---- */

static void ignore_closed(void *context) {
    (void) context;
}

http_api_t *http_api_new(const struct http_api_options *options, char *ret_error, size_t error_size) {
    http_api_t *self = memory_alloc_zero(sizeof *self);
    self->loop = options->loop;
    self->metrics = metric_values_new(options->metrics, http_api_metric_table, HTTP_API_METRICS);
    self->service = (struct http_api_service){
        .config = options->config,
        .namespaces = options->namespaces,
        .brokers = options->brokers,
        .wheel = options->wheel,
        .metrics = self->metrics,
        .revocations = options->revocations,
        .refuses_publications = options->refuses_publications,
        .read_figures = options->read_figures,
        .context = options->context,
    };
    self->keys = http_api_keys_new(&options->config->http_api_keys);
    const struct tcp_listener_options listen_on = {.address = options->config->http_api_address,
                                                   .port = (int) options->config->http_api_port,
                                                   .on_accept = on_accept,
                                                   .context = self};
    self->listener = tcp_listener_new(options->loop, &listen_on, ret_error, error_size);
    if (self->listener == NULL) {
        http_api_close(&self, ignore_closed, NULL);
        return NULL;
    }
    self->port = tcp_listener_port(self->listener);
    if (!create_context(self, ret_error, error_size)) {
        http_api_close(&self, ignore_closed, NULL);
        return NULL;
    }
    log_info("http_api_listens", log_text("address", options->config->http_api_address),
             log_u64("port", (uint64_t) self->port), log_u64("keys", options->config->http_api_keys.n));
    return self;
}

void http_api_configure(http_api_t *self, const struct gateway_config *config, const namespace_set_t *namespaces) {
    if (self == NULL) {
        return;
    }
    self->service.config = config;
    self->service.namespaces = namespaces;
    http_api_keys_destroy(&self->keys);
    self->keys = http_api_keys_new(&config->http_api_keys);
}

int http_api_port(const http_api_t *self) {
    return self->port;
}

static void on_part_closed(void *context) {
    http_api_t *self = context;
    self->n_to_close--;
    if (self->n_to_close != 0) {
        return;
    }
    void (*on_closed)(void *closed_context) = self->on_closed;
    void *closed_context = self->closed_context;
    check(self->n_requests == 0, "%u requests outlive the HTTP API", self->n_requests);
    http_api_keys_destroy(&self->keys);
    metric_values_destroy(&self->metrics);
    memory_free(self);
    on_closed(closed_context);
}

void http_api_close(http_api_t **self_p, void (*on_closed)(void *context), void *context) {
    http_api_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    self->on_closed = on_closed;
    self->closed_context = context;
    self->n_to_close = 2;
    if (self->listener == NULL) {
        on_part_closed(self);
    } else {
        tcp_listener_close(&self->listener, on_part_closed, self);
    }
    lws_guard_close_context(&self->lws, self->loop, on_part_closed, self);
}
