/* A request comes in LWS_CALLBACK_HTTP, its headers parsed; the whole answer is made, and written at once. What the
 * kernel does not take lws keeps and sends on; then the connection is closed. One request a connection: what stands
 * behind it, be it a body that its headers hide or another request, is never read as anything (S15, S42).
 *
 * Failure modes: more than CONNECTIONS_MAX connections → closed at accept. A slow or silent peer → lws's timeouts
 * (5 s for headers, SEND_TIMEOUT_S to take an answer). A request that is not one of ours → 4xx and close. */
#include "base/http_service_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/lws_guard.h"
#include "base/memory.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 256,
    SEND_TIMEOUT_S = 30,
    TOKEN_MAX = 512,
    ANSWER_MAX = 64 * 1024 * 1024,
    TX_BYTES = 65536,
    RX_BYTES = 1024
};

static const struct metric_description service_metric_table[SERVICE_METRICS] = {
    [REFUSED_TOKEN] = {"callboard_internal_refused_total", "Requests to the internal listener that were refused.",
                       METRIC_COUNTER, "reason=\"token\""},
    [REFUSED_SOURCE] = {"callboard_internal_refused_total", "Requests to the internal listener that were refused.",
                        METRIC_COUNTER, "reason=\"too_many\""},
    [REFUSED_CALL] = {"callboard_internal_refused_total", "Requests to the internal listener that were refused.",
                      METRIC_COUNTER, "reason=\"call\""},
    [REFUSED_BUSY] = {"callboard_internal_refused_total", "Requests to the internal listener that were refused.",
                      METRIC_COUNTER, "reason=\"busy\""},
    [CALLS] = {"callboard_internal_calls_total", "Calls by hand over the internal listener that were begun.",
               METRIC_COUNTER, NULL},
    [CALLS_OPEN] = {"callboard_internal_calls_open", "Calls by hand that are not answered yet (internal.calls_max).",
                    METRIC_GAUGE, NULL},
    [CALLS_LATE] = {"callboard_internal_calls_late_total",
                    "Calls by hand whose body or answer was not there within internal.call_timeout.", METRIC_COUNTER,
                    NULL},
};

/* --- answering --- */

const char *http_status_text(unsigned status) {
    static const struct {
        unsigned status;
        const char *text;
    } texts[] = {
        {200, "OK"},
        {204, "No Content"},
        {301, "Moved Permanently"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {409, "Conflict"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {429, "Too Many Requests"},
        {500, "Internal Server Error"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].status == status) {
            return texts[i].text;
        }
    }
    return "Status";
}

static void append_answer(struct buffer *out, const struct http_answer *answer, struct span body, bool with_body) {
    buffer_append_format(out, "HTTP/1.1 %u %s\r\n", answer->status, http_status_text(answer->status));
    if (answer->content_type != NULL) {
        buffer_append_format(out, "Content-Type: %s\r\n", answer->content_type);
    }
    if (answer->extra_header != NULL) {
        buffer_append_format(out, "%s\r\n", answer->extra_header);
    }
    buffer_append_format(out,
                         "Content-Length: %zu\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
                         "Connection: close\r\n\r\n",
                         body.size);
    if (with_body) {
        buffer_append_span(out, body);
    }
}

int http_service_send(struct lws *wsi, const struct http_answer *answer, struct span body) {
    struct buffer out;
    buffer_init(&out, ANSWER_MAX);
    append_answer(&out, answer, body, lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) <= 0);
    check(!out.overflow, "an HTTP answer of %zu bytes", body.size);
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, SEND_TIMEOUT_S);
    lws_write(wsi, out.data, out.size, LWS_WRITE_HTTP_HEADERS);
    buffer_finish(&out);
    return -1; /* lws sends what the kernel did not take yet, then closes */
}

static int refuse(struct lws *wsi, unsigned status, const char *extra_header) {
    struct http_answer answer = {.status = status, .content_type = "text/plain", .extra_header = extra_header};
    char body[64];
    int size = snprintf(body, sizeof(body), "%u %s\n", status, http_status_text(status));
    return http_service_send(wsi, &answer, span_of(body, (size_t) size));
}

static bool has_body(struct lws *wsi) {
    char length[8];
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0) {
        return true;
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0) {
        return false;
    }
    return !lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, length, sizeof(length)) ||
           strcmp(length, "0") != 0;
}

static bool has_host(struct lws *wsi) {
    char host[256];
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_HOST, host, sizeof(host));
}

bool http_service_accepts(struct lws *wsi, int *ret_result) {
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) <= 0 && lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) <= 0) {
        *ret_result = refuse(wsi, 405, "Allow: GET, HEAD");
        return false;
    }
    if (!has_host(wsi) || has_body(wsi)) {
        *ret_result = refuse(wsi, 400, NULL);
        return false;
    }
    return true;
}

static const struct http_endpoint *find_endpoint(const char *path, const struct http_endpoint *endpoints, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(endpoints[i].path, path) == 0) {
            return &endpoints[i];
        }
    }
    return NULL;
}

static int answer_from(struct lws *wsi, const struct http_endpoint *endpoint) {
    struct http_answer answer = {.status = 200, .content_type = "application/json"};
    buffer_init(&answer.body, ANSWER_MAX / 2);
    endpoint->handle(endpoint->context, &answer);
    check(!answer.body.overflow, "the answer of %s is too large", endpoint->path);
    int result = http_service_send(wsi, &answer, buffer_span(&answer.body));
    buffer_finish(&answer.body);
    return result;
}

int http_service_answer(struct lws *wsi, const char *path, const struct http_endpoint *endpoints, size_t n_endpoints) {
    int result;
    if (!http_service_accepts(wsi, &result)) {
        return result;
    }
    const struct http_endpoint *endpoint = find_endpoint(path, endpoints, n_endpoints);
    return endpoint == NULL ? refuse(wsi, 404, NULL) : answer_from(wsi, endpoint);
}

/* --- the listener of its own --- */

static const char token_header[] = "x-callboard-token:";

/* Constant time in the token; its length may show. */
static bool is_token(const http_service_t *self, const char *token) {
    size_t size = strlen(self->bearer_token);
    return strlen(token) == size && CRYPTO_memcmp(token, self->bearer_token, size) == 0;
}

static bool has_token_header(struct lws *wsi) {
    return lws_hdr_custom_length(wsi, token_header, (int) sizeof(token_header) - 1) > 0;
}

/* As a bearer token, or in a header of our own: proxies that log in themselves (an API server's) keep Authorization. By
 * both it is nobody's. */
static bool is_authorized(const http_service_t *self, struct lws *wsi) {
    static const char scheme[] = "Bearer ";
    char value[sizeof(scheme) + TOKEN_MAX];
    bool has_bearer = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0;
    if (has_bearer == has_token_header(wsi)) {
        return false;
    }
    if (!has_bearer) {
        int size = lws_hdr_custom_length(wsi, token_header, (int) sizeof(token_header) - 1);
        return size < (int) sizeof(value) &&
               lws_hdr_custom_copy(wsi, value, (int) sizeof(value), token_header, (int) sizeof(token_header) - 1) ==
                   size &&
               is_token(self, value);
    }
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_AUTHORIZATION, value, sizeof(value)) &&
           strncmp(value, scheme, sizeof(scheme) - 1) == 0 && is_token(self, value + sizeof(scheme) - 1);
}

void http_service_count(http_service_t *self, enum service_metric metric) {
    if (self->metrics != NULL) {
        metric_count(self->metrics, metric);
    }
}

/* Of a socket that is gone: the address of nobody, which is a source like others. */
struct ip_address http_service_peer(struct lws *wsi) {
    struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof peer;
    struct ip_address address = {{0}};
    if (getpeername(lws_get_socket_fd(wsi), (struct sockaddr *) &peer, &size) == 0) {
        ip_address_of_socket(&peer, &address);
    }
    return address;
}

static int refuse_token(http_service_t *self, struct lws *wsi, const struct ip_address *peer) {
    char text[IP_ADDRESS_TEXT];
    ip_address_print(peer, text);
    bool has_tried = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_AUTHORIZATION) > 0 || has_token_header(wsi);
    if (has_tried) { /* without one it was no guess */
        auth_failures_count(&self->failures, peer, (int64_t) clock_monotonic_ms());
        log_warning("internal_token_refused", log_text("source", text));
    }
    http_service_count(self, REFUSED_TOKEN);
    return refuse(wsi, 401, "WWW-Authenticate: Bearer");
}

/* 0: go on; else what the lws callback returns. */
static int check_token(http_service_t *self, struct lws *wsi) {
    struct ip_address peer = http_service_peer(wsi);
    if (auth_failures_is_over(&self->failures, &peer, (int64_t) clock_monotonic_ms())) {
        http_service_count(self, REFUSED_SOURCE);
        return refuse(wsi, 429, "Retry-After: 60");
    }
    return is_authorized(self, wsi) ? 0 : refuse_token(self, wsi, &peer);
}

static int on_request(http_service_t *self, struct http_service_connection *connection, struct lws *wsi,
                      const char *path) {
    int result;
    if (http_service_is_call(self, path)) {
        result = check_token(self, wsi);
        return result != 0 ? result : http_service_on_call(self, connection, wsi, path);
    }
    if (!http_service_accepts(wsi, &result)) {
        return result;
    }
    const struct http_endpoint *endpoint = find_endpoint(path, self->options.endpoints, self->options.n_endpoints);
    if (endpoint == NULL) {
        endpoint = find_endpoint(path, self->options.pages, self->options.n_pages);
    }
    bool is_open = endpoint != NULL && endpoint->without_token;
    if (self->bearer_token != NULL && !is_open && (result = check_token(self, wsi)) != 0) {
        return result;
    }
    return endpoint == NULL ? refuse(wsi, 404, NULL) : answer_from(wsi, endpoint);
}

static int on_lws_event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    struct http_service_connection *connection = user;
    if (lws_guard_check(wsi, reason) != LWS_GUARD_PASS) {
        return -1;
    }
    http_service_t *self = lws_context_user(lws_get_context(wsi));
    if (reason == LWS_CALLBACK_HTTP) {
        return on_request(self, connection, wsi, in);
    }
    if (reason == LWS_CALLBACK_HTTP_BODY) {
        return http_service_on_body(connection, span_of(in, size));
    }
    if (reason == LWS_CALLBACK_HTTP_BODY_COMPLETION) {
        return http_service_on_body_end(self, connection);
    }
    if (reason == LWS_CALLBACK_HTTP_WRITEABLE) {
        http_service_on_writable(connection);
    } else if (reason == LWS_CALLBACK_CLOSED_HTTP && connection != NULL) {
        http_service_forget_call(self, connection);
    }
    if (reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE) {
        return -1; /* no WebSocket here */
    }
    if (reason == LWS_CALLBACK_WSI_CREATE) {
        self->n_connections++;
    } else if (reason == LWS_CALLBACK_WSI_DESTROY) {
        self->n_connections--;
    }
    return 0;
}

static void on_accept(void *context, int descriptor, const struct sockaddr_storage *peer) {
    (void) peer;
    http_service_t *self = context;
    if (self->n_connections >= CONNECTIONS_MAX) {
        close(descriptor);
        return;
    }
    lws_adopt_socket_vhost(self->vhost, descriptor); /* closes the descriptor when it fails */
}

/* --- life cycle --- */

static bool create_context(http_service_t *self, char *ret_error, size_t error_size) {
    static const struct lws_protocols protocols[] = {
        {.name = "http",
         .callback = on_lws_event,
         .per_session_data_size = sizeof(struct http_service_connection),
         .rx_buffer_size = RX_BYTES,
         .tx_packet_size = TX_BYTES},
        {.name = NULL},
    };
    const struct lws_guard_service service = {.what = "the HTTP listener", .protocols = protocols, .user = self};
    return lws_guard_open_context(&service, self->loop, &self->lws, &self->vhost, ret_error, error_size);
}

static void free_service(http_service_t *self) {
    metric_values_destroy(&self->metrics);
    memory_free(self->bearer_token);
    memory_free(self);
}

http_service_t *http_service_new(uv_loop_t *loop, const struct http_service_options *options, char *ret_error,
                                 size_t error_size) {
    http_service_t *self = memory_alloc_zero(sizeof(*self));
    self->options = *options;
    self->loop = loop;
    if (options->bearer_token != NULL && options->bearer_token[0] != '\0') {
        self->bearer_token = memory_strdup(options->bearer_token);
    }
    struct tcp_listener_options listen_on = {
        .address = options->address, .port = options->port, .on_accept = on_accept, .context = self};
    self->listener = tcp_listener_new(loop, &listen_on, ret_error, error_size);
    if (self->listener == NULL) {
        free_service(self);
        return NULL;
    }
    self->port = tcp_listener_port(self->listener);
    if (!create_context(self, ret_error, error_size)) {
        http_service_close(&self, NULL, NULL);
        return NULL;
    }
    if (options->calls != NULL) {
        check(self->bearer_token != NULL, "calls without a bearer token");
        self->calls = *options->calls;
    }
    http_service_open_calls(self);
    if (options->metrics != NULL) {
        self->metrics = metric_values_new(options->metrics, service_metric_table, SERVICE_METRICS);
    }
    return self;
}

int http_service_port(const http_service_t *self) {
    return self->port;
}

static void on_part_closed(void *context) {
    http_service_t *self = context;
    self->n_to_close--;
    if (self->n_to_close != 0) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *closed_context = self->closed_context;
    free_service(self);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

static void on_connections_closed(void *context) {
    http_service_close_calls(context, on_part_closed);
}

void http_service_close(http_service_t **self_p, void (*on_closed)(void *context), void *context) {
    http_service_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    self->on_closed = on_closed;
    self->closed_context = context;
    self->n_to_close = 2;
    tcp_listener_close(&self->listener, on_part_closed, self);
    lws_guard_close_context(&self->lws, self->loop, on_connections_closed, self);
}
