/* Calls by POST, one a connection, answered by another thread. Beside them GET on the prefix says which methods there
 * are.
 *
 *   headers ──not ours: 400, 403, 404, 405, 411, 413, 415, 503──▶ answered, closed
 *     └─▶ BODY ──whole──▶ OPEN ──its thread has answered──▶ ANSWER ──written──▶ closed
 *           └──timeout: cut off     └──timeout: 504, the answer that comes later is dropped
 *
 * The token was judged before a byte of the body is read. Reading is switched off while the call is open: what stands
 * behind the body is never read (S42). A request with a query is none: header lines can be made of an escaped line
 * feed. Browsers send no such request from another site: the token stands in a header that only our page sets, there
 * are no cookies, and a JSON body is asked for, which no form can send.
 *
 * Failure modes: calls_max calls are open: 503. A caller that goes away: its call happens all the same. */
#include "base/http_service_parts.h"

#include "base/clock.h"
#include "base/lws_guard.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TICK_MS = 100, HEADER_BYTES = 128, LENGTH_BYTES = 16 };

/* ---- answering ---- */

static int send_json(struct lws *wsi, unsigned status, const char *extra_header, struct span body) {
    const struct http_answer answer = {
        .status = status, .content_type = "application/json", .extra_header = extra_header};
    return http_service_send(wsi, &answer, body);
}

static int refuse(http_service_t *self, struct lws *wsi, unsigned status, enum error_code code, const char *message) {
    struct buffer body = BUFFER_EMPTY;
    http_service_count(self, status == 503 ? REFUSED_BUSY : REFUSED_CALL);
    http_call_append_error(&body, code, message);
    int result = send_json(wsi, status,
                           status == 405   ? "Allow: POST"
                           : status == 503 ? "Retry-After: 1"
                                           : NULL,
                           buffer_span(&body));
    buffer_finish(&body);
    return result;
}

static void cut_off(struct http_service_connection *connection) {
    connection->state = HTTP_CALL_ENDED;
    lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
    lws_cancel_service(lws_get_context(connection->wsi));
}

void http_service_on_writable(struct http_service_connection *connection) {
    if (connection->state == HTTP_CALL_ANSWER && lws_partial_buffered(connection->wsi) == 0) {
        cut_off(connection);
    }
}

static void answer(struct http_service_connection *connection, unsigned status, struct span body) {
    connection->state = HTTP_CALL_ANSWER;
    send_json(connection->wsi, status, NULL, body);
    http_service_on_writable(connection);
}

static void on_answered(void *context, struct http_call *call) {
    http_service_t *self = context;
    list_for_each_safe (link, &self->open_calls) {
        struct http_service_connection *connection = list_entry(link, struct http_service_connection, link);
        if (connection->state == HTTP_CALL_OPEN && connection->ticket == call->ticket) {
            answer(connection, call->status, buffer_span(&call->answer));
            return;
        }
    }
}

static void on_late(http_service_t *self, struct http_service_connection *connection) {
    struct buffer body = BUFFER_EMPTY;
    http_service_count(self, CALLS_LATE);
    if (connection->state == HTTP_CALL_BODY) {
        cut_off(connection);
        return;
    }
    http_call_append_error(&body, ERROR_OUTCOME_UNKNOWN,
                           "no answer in internal.call_timeout; what changes something may have been done");
    answer(connection, 504, buffer_span(&body));
    buffer_finish(&body);
}

static void on_tick(uv_timer_t *timer) {
    http_service_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    list_for_each_safe (link, &self->open_calls) {
        struct http_service_connection *connection = list_entry(link, struct http_service_connection, link);
        bool is_waiting = connection->state == HTTP_CALL_BODY || connection->state == HTTP_CALL_OPEN;
        if (is_waiting && connection->deadline_ms <= now_ms) {
            on_late(self, connection);
        }
    }
}

/* ---- what is asked for ---- */

bool http_service_is_call(const http_service_t *self, const char *path) {
    return self->calls.prefix != NULL && strncmp(path, self->calls.prefix, strlen(self->calls.prefix)) == 0;
}

static bool is_method_name(const char *name) {
    size_t size = strlen(name);
    return size > 0 && size <= HTTP_CALL_METHOD_MAX && strspn(name, "abcdefghijklmnopqrstuvwxyz_") == size;
}

static bool is_listed(const http_service_t *self, const char *name) {
    for (const char *const *method = self->calls.methods; *method != NULL; method++) {
        if (strcmp(*method, name) == 0) {
            return true;
        }
    }
    return false;
}

static int list_methods(const http_service_t *self, struct lws *wsi) {
    struct buffer body = BUFFER_EMPTY;
    int result;
    if (!http_service_accepts(wsi, &result)) {
        return result;
    }
    buffer_append_text(&body, "{\"methods\":[");
    for (const char *const *method = self->calls.methods; *method != NULL; method++) {
        buffer_append_format(&body, "%s\"%s\"", method == self->calls.methods ? "" : ",", *method);
    }
    buffer_append_text(&body, "]}\n");
    result = send_json(wsi, 200, NULL, buffer_span(&body));
    buffer_finish(&body);
    return result;
}

static bool is_sound(struct lws *wsi) {
    char text[HEADER_BYTES * 2];
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP, text, sizeof text) && strcmp(text, "HTTP/1.1") == 0 &&
           lws_guard_copy_single_header(wsi, WSI_TOKEN_HOST, text, sizeof text) &&
           lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS) <= 0;
}

static bool sends_json(struct lws *wsi) {
    static const char json[] = "application/json";
    char type[HEADER_BYTES];
    return lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, type, sizeof type) &&
           strncasecmp(type, json, sizeof json - 1) == 0 && strchr("; ", type[sizeof json - 1]) != NULL;
}

/* 0: goes on; otherwise it was answered. */
static int judge_body(http_service_t *self, struct lws *wsi, size_t *ret_size) {
    char text[LENGTH_BYTES];
    uint64_t size = 0;
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
        lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0) {
        return refuse(self, wsi, 411, ERROR_BAD_REQUEST, "one Content-Length is needed, and no Transfer-Encoding");
    }
    if (!lws_guard_copy_single_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof text) ||
        !span_parse_u64(span_of_text(text), &size) || size == 0) {
        return refuse(self, wsi, 400, ERROR_BAD_REQUEST,
                      "Content-Length must be a plain decimal number; send a JSON object, at least {}");
    }
    if (size > self->calls.body_max) {
        return refuse(self, wsi, 413, ERROR_TOO_LARGE, "the body is longer than internal.body_max");
    }
    if (!sends_json(wsi)) {
        return refuse(self, wsi, 415, ERROR_BAD_REQUEST, "Content-Type must be application/json");
    }
    *ret_size = (size_t) size;
    return 0;
}

/* 0: goes on; otherwise it was answered. */
static int judge(http_service_t *self, struct lws *wsi, const char *method, size_t *ret_size) {
    if (!is_sound(wsi)) {
        return refuse(self, wsi, 400, ERROR_BAD_REQUEST, "a call is of HTTP/1.1, with one Host and without a query");
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) <= 0) {
        return refuse(self, wsi, 405, ERROR_BAD_REQUEST, "methods are called by POST");
    }
    if (!is_method_name(method)) {
        return refuse(self, wsi, 404, ERROR_METHOD_NOT_FOUND, NULL);
    }
    if (!is_listed(self, method)) {
        return refuse(self, wsi, 403, ERROR_PERMISSION_DENIED,
                      "internal.operations is not for this method (read: channels, presence, history; publish: also "
                      "publish)");
    }
    if (self->n_open_calls >= self->calls.calls_max) {
        return refuse(self, wsi, 503, ERROR_TOO_MANY_REQUESTS,
                      "internal.calls_max calls are open; nothing was done, try again");
    }
    return judge_body(self, wsi, ret_size);
}

/* ---- a call ---- */

static void show_open(http_service_t *self) {
    if (self->metrics != NULL) {
        metric_set(self->metrics, CALLS_OPEN, self->n_open_calls);
    }
}

int http_service_on_call(http_service_t *self, struct http_service_connection *connection, struct lws *wsi,
                         const char *path) {
    const char *method = path + strlen(self->calls.prefix);
    size_t size = 0;
    if (connection->state != HTTP_CALL_NONE) {
        return -1;
    }
    if (method[0] == '\0' && lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) <= 0) {
        return list_methods(self, wsi);
    }
    int result = judge(self, wsi, method, &size);
    if (result != 0) {
        return result;
    }
    *connection = (struct http_service_connection){
        .wsi = wsi,
        .state = HTTP_CALL_BODY,
        .ticket = ++self->last_ticket,
        .deadline_ms = clock_monotonic_ms() + self->calls.timeout_ms,
        .body_size = size,
    };
    buffer_init(&connection->body, size);
    memcpy(connection->method, method, strlen(method));
    list_init(&connection->link);
    list_push_back(&self->open_calls, &connection->link);
    self->n_open_calls++;
    http_service_count(self, CALLS);
    show_open(self);
    lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
    return 0;
}

int http_service_on_body(struct http_service_connection *connection, struct span piece) {
    bool fits = connection->state == HTTP_CALL_BODY && piece.size <= connection->body_size - connection->body.size;
    return fits && buffer_append_span(&connection->body, piece) ? 0 : -1;
}

int http_service_on_body_end(http_service_t *self, struct http_service_connection *connection) {
    char source[IP_ADDRESS_TEXT];
    if (connection->state != HTTP_CALL_BODY || connection->body.size != connection->body_size) {
        return -1;
    }
    struct ip_address peer = http_service_peer(connection->wsi);
    ip_address_print(&peer, source);
    connection->state = HTTP_CALL_OPEN;
    lws_set_timeout(connection->wsi, NO_PENDING_TIMEOUT, 0);
    lws_rx_flow_control(connection->wsi, 0);
    self->calls.take(self->calls.context, http_call_new(self->box, connection->ticket, span_of_text(connection->method),
                                                        source, &connection->body));
    return 0;
}

void http_service_forget_call(http_service_t *self, struct http_service_connection *connection) {
    if (connection->state == HTTP_CALL_NONE) {
        return;
    }
    connection->state = HTTP_CALL_NONE;
    list_remove(&connection->link);
    buffer_finish(&connection->body);
    self->n_open_calls--;
    show_open(self);
}

/* ---- life ---- */

void http_service_open_calls(http_service_t *self) {
    list_init(&self->open_calls);
    if (self->calls.prefix == NULL) {
        return;
    }
    self->box = http_call_box_new(self->loop, on_answered, self->calls.observe, self);
    uv_timer_init(self->loop, &self->call_timer);
    self->call_timer.data = self;
    uv_timer_start(&self->call_timer, on_tick, TICK_MS, TICK_MS);
}

static void on_timer_closed(uv_handle_t *handle) {
    http_service_t *self = handle->data;
    http_call_box_close(&self->box, self->on_calls_closed, self);
}

void http_service_close_calls(http_service_t *self, void (*on_closed)(void *context)) {
    if (self->box == NULL) {
        on_closed(self);
        return;
    }
    self->on_calls_closed = on_closed;
    uv_close((uv_handle_t *) &self->call_timer, on_timer_closed);
}
