/* A stream's way:
 *
 *   request: path ─▶ method 405, Origin 403, draining or limit 503, body 400, 411, 413
 *     ├─ OPTIONS: 204
 *     ├─ body ──whole in time──▶ commands ─┬─ a POST to /emulation: http_stream_emulation.c
 *     └─ cf_connect ─▶ commands ───────────┴─▶ OPEN: headers go out, a session is made and given the commands
 *   OPEN ──session closes: disconnect push, last chunk──▶ ENDING ──the kernel has it all, or 5 s──▶ closed
 *     └──── the client goes ─────────────────────────────────────────────▶ closed
 *
 * libwebsockets 4.1.6 does not read from a connection whose answer is under way and, polled all the same, would spin as
 * soon as the client says or closes something. So reading is switched off, and once a second the socket is looked at
 * (MSG_PEEK): what has gone is closed, and who says anything more on it is cut off, too. The headers' memory (4 KiB)
 * stays with the connection: client.streams_max bounds it, and the pool is larger by that.
 *
 * Failure modes: a body that is not whole within client.message_timeout, a client that takes nothing → cut off; the
 * session's own bounds (outbox, write_stall) hold as on a WebSocket. */
#include "gateway/transport/http_stream.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/lws_guard.h"
#include "base/memory.h"
#include "base/random.h"
#include "gateway/transport/http_request.h"
#include "gateway/transport/http_stream_parts.h"
#include "gateway/transport/websocket_frame.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <xxhash.h>

enum { PRESENCE_CHECK_MS = 1000, END_TIMEOUT_MS = 5000, SCRATCH_KEPT_BYTES = 256 * 1024 };

#define REFUSED      "callboard_http_stream_refused_total", "Requests to stream paths that were refused.", METRIC_COUNTER
#define OPEN_STREAMS "callboard_http_streams", "Open streams, in place of WebSockets.", METRIC_GAUGE
#define FORWARDED    "callboard_emulation_forwarded_total", "POSTs whose session somebody else has.", METRIC_COUNTER
#define FORWARD_FAILED                                                                                                 \
    "callboard_emulation_forward_failed_total", "POSTs whose session somebody else has, answered 503 or 504.",         \
        METRIC_COUNTER
#define OPENED "callboard_http_streams_opened_total", "Streams that were opened.", METRIC_COUNTER

const struct metric_description http_stream_metric_table[HTTP_STREAM_METRICS] = {
    [HTTP_STREAM_METRIC_STREAMS_SSE] = {OPEN_STREAMS, "transport=\"sse\""},
    [HTTP_STREAM_METRIC_STREAMS_HTTP] = {OPEN_STREAMS, "transport=\"http_stream\""},
    [HTTP_STREAM_METRIC_OPENED_SSE] = {OPENED, "transport=\"sse\""},
    [HTTP_STREAM_METRIC_OPENED_HTTP] = {OPENED, "transport=\"http_stream\""},
    [HTTP_STREAM_METRIC_POSTS] = {"callboard_emulation_posts_total", "Messages of clients that came as POSTs.",
                                  METRIC_COUNTER, NULL},
    [HTTP_STREAM_METRIC_POSTS_TO_WORKER] = {FORWARDED, "to=\"worker\""},
    [HTTP_STREAM_METRIC_POSTS_TO_GATEWAY] = {FORWARDED, "to=\"gateway\""},
    [HTTP_STREAM_METRIC_POSTS_NOT_SENT] = {FORWARD_FAILED, "reason=\"not_sent\""},
    [HTTP_STREAM_METRIC_POSTS_UNKNOWN] = {FORWARD_FAILED, "reason=\"no_answer\""},
    [HTTP_STREAM_METRIC_REFUSED_METHOD] = {REFUSED, "reason=\"method\""},
    [HTTP_STREAM_METRIC_REFUSED_ORIGIN] = {REFUSED, "reason=\"origin\""},
    [HTTP_STREAM_METRIC_REFUSED_BODY] = {REFUSED, "reason=\"body\""},
    [HTTP_STREAM_METRIC_REFUSED_LIMIT] = {REFUSED, "reason=\"limit\""},
    [HTTP_STREAM_METRIC_REFUSED_DRAINING] = {REFUSED, "reason=\"draining\""},
    [HTTP_STREAM_METRIC_REFUSED_SESSION] = {REFUSED, "reason=\"session\""},
    [HTTP_STREAM_METRIC_BODY_TIMEOUTS] = {"callboard_http_stream_body_timeouts_total",
                                          "Requests whose body did not come in time.", METRIC_COUNTER, NULL},
    [HTTP_STREAM_METRIC_BACKLOGS] = {"callboard_http_stream_backlogs_total",
                                     "Writes to streams that the kernel did not take whole.", METRIC_COUNTER, NULL},
};

void http_stream_count(const http_stream_t *self, enum http_stream_metric row) {
    metric_count(self->service->options.metrics, row);
}

static bool is_sse(const http_stream_t *self) {
    return self->kind == STREAM_SSE;
}

static enum client_encoding encoding_of(const http_stream_t *self) {
    return self->kind == STREAM_PROTOBUF ? CLIENT_ENCODING_PROTOBUF : CLIENT_ENCODING_JSON;
}

static void set_timer(http_stream_t *self, uint64_t in_ms) {
    timer_wheel_set(self->service->options.wheel, &self->timer, clock_monotonic_ms() + in_ms);
}

void http_stream_cut_off(http_stream_t *self) {
    self->state = HTTP_STREAM_ENDING;
    lws_set_timeout(self->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    lws_cancel_service(lws_get_context(self->wsi));
}

/* ---- the transport's methods ---- */

static bool write_bytes(http_stream_t *self, struct span bytes) {
    /* RAW only reads the bytes; the parameter's type is that of the other kinds of write. */
    int written = lws_write(self->wsi, (unsigned char *) (uintptr_t) bytes.data, bytes.size, LWS_WRITE_RAW);
    self->is_backlogged = lws_partial_buffered(self->wsi) != 0;
    return written >= 0;
}

static struct buffer *begin_scratch(http_streams_t *service) {
    if (service->scratch.capacity > SCRATCH_KEPT_BYTES) {
        buffer_finish(&service->scratch);
    }
    buffer_clear(&service->scratch);
    return &service->scratch;
}

static enum transport_write transport_write(struct transport *transport, struct span framed) {
    http_stream_t *self = (http_stream_t *) transport;
    if (self->state != HTTP_STREAM_OPEN) {
        return TRANSPORT_DEAD;
    }
    check(!self->is_backlogged, "a write while in backlog");
    struct buffer *chunk = begin_scratch(self->service);
    stream_append_chunk(chunk, self->kind, framed);
    if (chunk->size > 0 && !write_bytes(self, buffer_span(chunk))) {
        http_stream_cut_off(self);
        return TRANSPORT_DEAD;
    }
    if (!self->is_backlogged) {
        return TRANSPORT_TAKEN;
    }
    http_stream_count(self, HTTP_STREAM_METRIC_BACKLOGS);
    return TRANSPORT_BACKLOG;
}

static void transport_close(struct transport *transport, uint16_t code, const char *reason) {
    http_stream_t *self = (http_stream_t *) transport;
    if (self->state != HTTP_STREAM_OPEN) {
        return;
    }
    struct buffer push = BUFFER_EMPTY;
    client_codec_of(encoding_of(self))->encode_push_disconnect(&push, code, reason);
    struct buffer *end = begin_scratch(self->service);
    stream_append_message(end, self->kind, buffer_span(&push));
    stream_append_end(end);
    buffer_finish(&push);
    bool is_written = write_bytes(self, buffer_span(end));
    if (!is_written || !self->is_backlogged) {
        http_stream_cut_off(self);
        return;
    }
    self->state = HTTP_STREAM_ENDING;
    set_timer(self, END_TIMEOUT_MS);
}

/* Its messages come on connections of their own: those that come all the same wait in the session, bounded there. */
static void transport_pause_reading(struct transport *transport, bool pause) {
    (void) transport;
    (void) pause;
}

static void transport_emulation(struct transport *transport, struct span *ret_session, struct span *ret_node) {
    http_stream_t *self = (http_stream_t *) transport;
    *ret_session = span_of(self->key, HTTP_STREAM_KEY_SIZE);
    *ret_node = span_of_text(self->service->options.node);
}

static const struct transport_methods sse_methods = {
    .write = transport_write,
    .frame = websocket_frame_message,
    .close = transport_close,
    .pause_reading = transport_pause_reading,
    .emulation = transport_emulation,
    .name = "sse",
};
static const struct transport_methods http_stream_methods = {
    .write = transport_write,
    .frame = websocket_frame_message,
    .close = transport_close,
    .pause_reading = transport_pause_reading,
    .emulation = transport_emulation,
    .name = "http_stream",
};

/* ---- is the client still there ---- */

static bool has_gone(const http_stream_t *self) {
    char byte;
    ssize_t n = recv(lws_get_socket_fd(self->wsi), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

static void on_timer(struct timer_entry *entry) {
    http_stream_t *self = list_entry(entry, struct http_stream, timer);
    switch (self->state) {
    case HTTP_STREAM_BODY:
        http_stream_count(self, HTTP_STREAM_METRIC_BODY_TIMEOUTS);
        http_stream_cut_off(self);
        break;
    case HTTP_STREAM_OPEN:
        if (has_gone(self)) {
            http_stream_cut_off(self);
        } else {
            set_timer(self, PRESENCE_CHECK_MS);
        }
        break;
    case HTTP_STREAM_WAITING:
        emulation_on_deadline(self);
        break;
    case HTTP_STREAM_ENDING:
        http_stream_cut_off(self);
        break;
    }
}

void http_stream_on_writable(http_stream_t *self) {
    if (!self->is_backlogged || lws_partial_buffered(self->wsi) != 0) {
        return;
    }
    self->is_backlogged = false;
    if (self->state == HTTP_STREAM_OPEN) {
        session_on_writable(self->session);
    } else {
        http_stream_cut_off(self);
    }
}

/* ---- opening ---- */

static void make_key(http_stream_t *self) {
    do {
        snprintf(self->key, sizeof self->key, "%02x-", self->service->options.worker);
        random_base62(self->key + 3, HTTP_STREAM_KEY_RANDOM);
    } while (http_streams_find(self->service, span_of(self->key, HTTP_STREAM_KEY_SIZE)) != NULL);
    key_table_put(&self->service->by_session, XXH3_64bits(self->key, HTTP_STREAM_KEY_SIZE), self);
}

http_stream_t *http_streams_find(const http_streams_t *self, struct span session) {
    http_stream_t *stream = key_table_find(&self->by_session, XXH3_64bits(session.data, session.size));
    return stream != NULL && span_equal(session, span_of(stream->key, HTTP_STREAM_KEY_SIZE)) ? stream : NULL;
}

static bool send_headers(http_stream_t *self) {
    static const char *const content_types[] = {[STREAM_SSE] = "text/event-stream",
                                                [STREAM_JSON_LINES] = "application/json",
                                                [STREAM_PROTOBUF] = "application/octet-stream"};
    struct buffer *out = begin_scratch(self->service);
    buffer_append_format(out, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n", content_types[self->kind]);
    http_request_append_cors(self->wsi, out);
    buffer_append_text(out, "Cache-Control: private, no-cache, no-store, must-revalidate, max-age=0\r\n"
                            "X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"
                            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    if (is_sse(self)) {
        buffer_append_text(out, "2\r\n\r\n\r\n"); /* an empty line: proxies and browsers see that it has begun */
    }
    return write_bytes(self, buffer_span(out));
}

/* The first commands are there: the answer begins. */
static int open_stream(http_stream_t *self, struct span commands) {
    http_streams_t *service = self->service;
    if (!send_headers(self)) {
        return -1;
    }
    lws_set_timeout(self->wsi, NO_PENDING_TIMEOUT, 0);
    lws_rx_flow_control(self->wsi, 0);
    self->state = HTTP_STREAM_OPEN;
    service->n_streams++;
    metric_change(service->options.metrics,
                  is_sse(self) ? HTTP_STREAM_METRIC_STREAMS_SSE : HTTP_STREAM_METRIC_STREAMS_HTTP, 1);
    http_stream_count(self, is_sse(self) ? HTTP_STREAM_METRIC_OPENED_SSE : HTTP_STREAM_METRIC_OPENED_HTTP);
    make_key(self);
    self->transport.methods = is_sse(self) ? &sse_methods : &http_stream_methods;
    self->session = session_new(service->options.sessions, &self->transport, encoding_of(self));
    session_on_message(self->session, commands);
    set_timer(self, PRESENCE_CHECK_MS);
    return 0;
}

/* ---- requests ---- */

static int refuse(http_streams_t *self, struct lws *wsi, unsigned status, const char *headers,
                  enum http_stream_metric row) {
    metric_count(self->options.metrics, row);
    return http_request_answer(wsi, status, headers);
}

static http_stream_t *new_stream(http_streams_t *self, struct lws *wsi, enum stream_kind kind, bool is_post) {
    http_stream_t *stream = memory_alloc_zero(sizeof *stream);
    stream->service = self;
    stream->wsi = wsi;
    stream->kind = kind;
    stream->is_post = is_post;
    buffer_init(&stream->body, (size_t) self->config->message_size_max);
    timer_entry_init(&stream->timer, on_timer);
    return stream;
}

/* 0: goes on; otherwise the callback's result. */
static int begin_body(http_streams_t *self, struct lws *wsi, http_stream_t **stream_p) {
    size_t size = 0;
    switch (http_request_body_size(wsi, (size_t) self->config->message_size_max, &size)) {
    case HTTP_REQUEST_BODY_OK:
        break;
    case HTTP_REQUEST_BODY_NO_LENGTH:
        return refuse(self, wsi, 411, NULL, HTTP_STREAM_METRIC_REFUSED_BODY);
    case HTTP_REQUEST_BODY_BAD:
        return refuse(self, wsi, 400, NULL, HTTP_STREAM_METRIC_REFUSED_BODY);
    case HTTP_REQUEST_BODY_TOO_BIG:
        return refuse(self, wsi, 413, NULL, HTTP_STREAM_METRIC_REFUSED_BODY);
    }
    if (size == 0) {
        return refuse(self, wsi, 400, NULL, HTTP_STREAM_METRIC_REFUSED_BODY);
    }
    (*stream_p)->body_size = size;
    set_timer(*stream_p, (uint64_t) self->config->message_timeout_ms);
    return 0;
}

/* lws takes an escaped line feed for the end of the request line: the version behind it is lost then, and so are
 * commands, of which SDKs send one here. */
static int begin_query(http_streams_t *self, struct lws *wsi, http_stream_t *stream) {
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP) <= 0 || !http_request_argument(wsi, "cf_connect", &stream->body) ||
        stream->body.size == 0) {
        return refuse(self, wsi, 400, NULL, HTTP_STREAM_METRIC_REFUSED_BODY);
    }
    int result = open_stream(stream, buffer_span(&stream->body));
    buffer_finish(&stream->body);
    return result;
}

/* SSE is text; what else comes says what it is by its content type. */
static enum stream_kind kind_of(struct lws *wsi, bool wants_sse) {
    char type[64];
    if (wants_sse) {
        return STREAM_SSE;
    }
    bool is_binary = lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type) &&
                     strcmp(type, "application/octet-stream") == 0;
    return is_binary ? STREAM_PROTOBUF : STREAM_JSON_LINES;
}

static bool is_full(const http_streams_t *self) {
    return self->n_streams >= (uint64_t) self->config->streams_max;
}

static bool has_method(struct lws *wsi, enum lws_token_indexes method) {
    return lws_hdr_total_length(wsi, method) > 0;
}

int http_streams_on_request(http_streams_t *self, struct lws *wsi, const char *path, http_stream_t **ret_stream) {
    const struct gateway_config *config = self->config;
    bool is_emulation = strcmp(path, config->emulation_path) == 0;
    bool wants_sse = strcmp(path, config->sse_path) == 0;
    bool is_get = has_method(wsi, WSI_TOKEN_GET_URI);
    if (!http_request_origin_is_allowed(wsi, config)) {
        return refuse(self, wsi, 403, NULL, HTTP_STREAM_METRIC_REFUSED_ORIGIN);
    }
    if (has_method(wsi, WSI_TOKEN_OPTIONS_URI)) {
        return http_request_answer_preflight(wsi);
    }
    if (!has_method(wsi, WSI_TOKEN_POST_URI) && !(is_get && wants_sse)) {
        return refuse(self, wsi, 405, wants_sse ? "Allow: GET, POST, OPTIONS\r\n" : "Allow: POST, OPTIONS\r\n",
                      HTTP_STREAM_METRIC_REFUSED_METHOD);
    }
    if (self->is_draining && !is_emulation) {
        return refuse(self, wsi, 503, "Retry-After: 1\r\n", HTTP_STREAM_METRIC_REFUSED_DRAINING);
    }
    if (is_full(self) && !is_emulation) {
        return refuse(self, wsi, 503, "Retry-After: 1\r\n", HTTP_STREAM_METRIC_REFUSED_LIMIT);
    }
    *ret_stream = new_stream(self, wsi, kind_of(wsi, wants_sse), is_emulation);
    return is_get ? begin_query(self, wsi, *ret_stream) : begin_body(self, wsi, ret_stream);
}

int http_stream_on_body(http_stream_t *self, struct span piece) {
    if (self->state != HTTP_STREAM_BODY || piece.size > self->body_size - self->body.size) {
        return -1; /* more than was announced: another request behind it, which nobody reads */
    }
    return buffer_append_span(&self->body, piece) ? 0 : -1;
}

int http_stream_on_body_end(http_stream_t *self) {
    if (self->state != HTTP_STREAM_BODY || self->body.size != self->body_size) {
        return -1;
    }
    timer_wheel_cancel(self->service->options.wheel, &self->timer);
    if (self->is_post) {
        return emulation_deliver(self);
    }
    if (self->service->is_draining) { /* since its headers came */
        self->state = HTTP_STREAM_ENDING;
        return refuse(self->service, self->wsi, 503, "Retry-After: 1\r\n", HTTP_STREAM_METRIC_REFUSED_DRAINING);
    }
    int result = open_stream(self, buffer_span(&self->body));
    buffer_finish(&self->body);
    return result;
}

void http_stream_on_closed(http_stream_t **self_p) {
    http_stream_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    http_streams_t *service = self->service;
    timer_wheel_cancel(service->options.wheel, &self->timer);
    if (self->key[0] != '\0') {
        key_table_take(&service->by_session, XXH3_64bits(self->key, HTTP_STREAM_KEY_SIZE));
        service->n_streams--;
        metric_change(service->options.metrics,
                      is_sse(self) ? HTTP_STREAM_METRIC_STREAMS_SSE : HTTP_STREAM_METRIC_STREAMS_HTTP, -1);
    }
    emulation_forget(self);
    self->state = HTTP_STREAM_ENDING;
    session_on_closed(&self->session);
    buffer_finish(&self->body);
    memory_free(self);
}

/* ---- the service ---- */

bool http_streams_has_path(const http_streams_t *self, const char *path) {
    const struct gateway_config *config = self->config;
    return (config->sse && strcmp(path, config->sse_path) == 0) ||
           (config->http_stream && strcmp(path, config->http_stream_path) == 0) ||
           ((config->sse || config->http_stream) && strcmp(path, config->emulation_path) == 0);
}

http_streams_t *http_streams_new(const struct http_streams_options *options) {
    check(options->n_workers <= 256, "a session's key names workers by one byte");
    http_streams_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    key_table_init(&self->by_session);
    key_table_init(&self->waiting);
    return self;
}

void http_streams_destroy(http_streams_t **self_p) {
    http_streams_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    check(self->n_streams == 0, "%u streams outlive their service", self->n_streams);
    key_table_finish(&self->by_session);
    key_table_finish(&self->waiting);
    buffer_finish(&self->scratch);
    memory_free(self);
}

void http_streams_configure(http_streams_t *self, const struct gateway_config *config) {
    self->config = config;
}

void http_streams_set_draining(http_streams_t *self) {
    self->is_draining = true;
}

uint32_t http_streams_count(const http_streams_t *self) {
    return self->n_streams;
}
