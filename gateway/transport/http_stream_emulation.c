/* A POST to /emulation: {"session":"…","node":"…","data":"…"}, or the same in protobuf where the content type says so,
 * is a message of that session's client.
 *
 *   node is this gateway ─┬─ its worker is this one ──▶ session_on_message
 *                         └─ another ──▶ handed over; the POST waits for its word, at most WAIT_MS
 *   another ──▶ asked of a broker (EMULATE, base/wire.h); the POST waits, at most brokers.request_timeout
 *
 * The session's key begins with its worker's number. What is not delivered is answered with an error, so the client's
 * promise fails instead of hanging: 404 for a session or node that there is not (the client reconnects), 400 for a body
 * that is none, 503 where it was surely not delivered (the other worker takes nothing, no broker, no credit), 504 where
 * nobody knows. As many wait as there may be connections; for other gateways client.emulations_max, since anybody can
 * make up a session of a gateway that is not this one. */
#include "base/clock.h"
#include "base/json_scan.h"
#include "base/list.h"
#include "base/memory.h"
#include "gateway/protocol/client_protocol_protobuf.h"
#include "gateway/transport/http_request.h"
#include "gateway/transport/http_stream_parts.h"

#include <xxhash.h>

enum { WAIT_MS = 2000 };

struct emulation_elsewhere {
    struct broker_request request;
    http_stream_t *post;
};

struct emulation_request {
    struct span session;
    struct span node;
    struct span data;
};

/* One of the three members: plain text is borrowed, what has escapes is decoded into `out`. */
static bool read_text(struct json_value value, struct buffer *out, struct span *ret_text) {
    if (json_plain_string(value, ret_text)) {
        return true;
    }
    if (!json_decode_string(value, out)) {
        return false;
    }
    *ret_text = buffer_span(out);
    return true;
}

/* Session and node are ASCII of our own making: they need no escapes. Only data is decoded. */
static bool read_json(struct span body, struct buffer *decoded, struct emulation_request *ret_request) {
    static const struct span names[] = {JSON_NAME("session"), JSON_NAME("node"), JSON_NAME("data")};
    struct json_value object;
    struct json_value values[3];
    if (json_scan(body, &JSON_LIMITS_DEFAULT, &object, NULL) != JSON_OK || object.type != JSON_OBJECT) {
        return false;
    }
    json_members(object, names, 3, values);
    return json_plain_string(values[0], &ret_request->session) && json_plain_string(values[1], &ret_request->node) &&
           read_text(values[2], decoded, &ret_request->data);
}

static bool read_request(const http_stream_t *post, struct buffer *decoded, struct emulation_request *ret_request) {
    struct span body = buffer_span(&post->body);
    bool is_sound =
        post->kind == STREAM_PROTOBUF
            ? client_protobuf_read_emulation(body, &ret_request->session, &ret_request->node, &ret_request->data)
            : read_json(body, decoded, ret_request);
    return is_sound && ret_request->data.size > 0;
}

static int digit(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* False: no key of ours. */
static bool read_worker(struct span session, uint32_t *ret_worker) {
    if (session.size != HTTP_STREAM_KEY_SIZE || session.data[2] != '-') {
        return false;
    }
    int high = digit(session.data[0]);
    int low = digit(session.data[1]);
    *ret_worker = (uint32_t) (high * 16 + low);
    return high >= 0 && low >= 0;
}

static int answer(http_stream_t *post, unsigned status) {
    post->state = HTTP_STREAM_ENDING;
    if (status == 404) {
        http_stream_count(post, HTTP_STREAM_METRIC_REFUSED_SESSION);
    } else if (status == 400) {
        http_stream_count(post, HTTP_STREAM_METRIC_REFUSED_BODY);
    } else if (status == 503) {
        http_stream_count(post, HTTP_STREAM_METRIC_POSTS_NOT_SENT);
    } else if (status == 504) {
        http_stream_count(post, HTTP_STREAM_METRIC_POSTS_UNKNOWN);
    }
    return http_request_answer(post->wsi, status, NULL);
}

/* Of one that waited, not from inside its connection's callback. */
static void answer_late(http_stream_t *post, unsigned status) {
    answer(post, status);
    http_stream_cut_off(post);
}

static void wait(http_stream_t *post, enum http_stream_metric row) {
    http_stream_count(post, row);
    post->state = HTTP_STREAM_WAITING;
    lws_set_timeout(post->wsi, NO_PENDING_TIMEOUT, 0);
    lws_rx_flow_control(post->wsi, 0);
}

static int forward(http_stream_t *post, uint32_t worker, const struct emulation_request *request) {
    http_streams_t *service = post->service;
    const struct emulation_post message = {
        .worker = worker, .session = request->session, .data = request->data, .ticket = ++service->last_ticket};
    if (!service->options.forward(service->options.context, &message)) {
        return answer(post, 503);
    }
    wait(post, HTTP_STREAM_METRIC_POSTS_TO_WORKER);
    post->ticket = message.ticket;
    key_table_put(&service->waiting, post->ticket, post);
    timer_wheel_set(service->options.wheel, &post->timer, clock_monotonic_ms() + WAIT_MS);
    return 0;
}

static unsigned status_of(const struct broker_answer *answer) {
    if (answer->error == ERROR_NONE) {
        return answer->n > 0 ? 204 : 404;
    }
    return answer->error == ERROR_OUTCOME_UNKNOWN ? 504 : 503;
}

static void on_answer_from_elsewhere(struct broker_request *request, const struct broker_answer *answer) {
    struct emulation_elsewhere *elsewhere = list_entry(request, struct emulation_elsewhere, request);
    http_stream_t *post = elsewhere->post;
    post->elsewhere = NULL;
    post->service->n_elsewhere--;
    answer_late(post, status_of(answer));
    memory_free(elsewhere);
}

static int ask_elsewhere(http_stream_t *post, uint32_t worker, const struct emulation_request *request) {
    http_streams_t *service = post->service;
    if (service->n_elsewhere >= (uint64_t) service->config->emulations_max) {
        return answer(post, 503);
    }
    service->n_elsewhere++;
    struct emulation_elsewhere *elsewhere = memory_alloc_zero(sizeof *elsewhere);
    elsewhere->request.on_done = on_answer_from_elsewhere;
    elsewhere->post = post;
    post->elsewhere = elsewhere;
    wait(post, HTTP_STREAM_METRIC_POSTS_TO_GATEWAY);
    broker_emulate(service->options.brokers, &elsewhere->request, request->node, worker, request->session,
                   request->data);
    return 0;
}

static int deliver(http_stream_t *post, const struct emulation_request *request) {
    http_streams_t *service = post->service;
    uint32_t worker;
    bool is_here = span_equal_text(request->node, service->options.node);
    if (!read_worker(request->session, &worker) || (is_here && worker >= service->options.n_workers)) {
        return answer(post, 404);
    }
    http_stream_count(post, HTTP_STREAM_METRIC_POSTS);
    if (!is_here) {
        return ask_elsewhere(post, worker, request);
    }
    if (worker != service->options.worker) {
        return forward(post, worker, request);
    }
    return answer(post, http_streams_emulate(service, request->session, request->data) ? 204 : 404);
}

int emulation_deliver(http_stream_t *post) {
    struct buffer decoded;
    buffer_init(&decoded, post->body_size);
    struct emulation_request request;
    int result = read_request(post, &decoded, &request) ? deliver(post, &request) : answer(post, 400);
    buffer_finish(&decoded);
    return result;
}

bool http_streams_emulate(http_streams_t *self, struct span session, struct span data) {
    http_stream_t *stream = http_streams_find(self, session);
    if (stream == NULL || stream->state != HTTP_STREAM_OPEN) {
        return false;
    }
    session_on_message(stream->session, data);
    return true;
}

void http_streams_on_emulated(http_streams_t *self, uint64_t ticket, bool delivered) {
    http_stream_t *post = key_table_take(&self->waiting, ticket);
    if (post == NULL) {
        return;
    }
    post->ticket = 0;
    answer_late(post, delivered ? 204 : 404);
}

void emulation_on_deadline(http_stream_t *post) {
    emulation_forget(post);
    answer_late(post, 504);
}

void emulation_forget(http_stream_t *post) {
    if (post->ticket != 0) {
        key_table_take(&post->service->waiting, post->ticket);
        post->ticket = 0;
    }
    if (post->elsewhere != NULL) {
        broker_request_cancel(post->service->options.brokers, &post->elsewhere->request);
        memory_free(post->elsewhere);
        post->elsewhere = NULL;
        post->service->n_elsewhere--;
    }
}
