/* batch: many requests in one message, each judged, carried out and answered for itself, all of them at once.
 *
 *   requests ─▶ one call each, its payload the next frame where it says so ─▶ answers as they come ─▶ the last: replies
 *
 * Answers stand in the order of the requests. Publications to one channel keep their order, as those of one DEALER do.
 *
 * Failure modes: one request is malformed: its error among the replies, the others go on. Frames that no request takes,
 * or too few: the whole is refused, nothing is done. An answer that would make the whole longer than ANSWER_BYTES_MAX:
 * error 124 in its place (it was done all the same where it changes something: definite says so). */
#include "base/memory.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

#define ANSWER_BYTES_MAX ((size_t) 4 * 1024 * 1024)

struct backend_batch {
    zmq_msg_t routing;
    bool has_delimiter;
    uint8_t id_size;
    uint8_t id[BACKEND_ID_MAX];
    uint32_t n;
    uint32_t n_left;
    size_t bytes; /* of the answers so far */
    struct buffer answers[];
};

static const char TOO_LARGE[] = "{\"error\":{\"code\":124,\"reason\":\"too_large\",\"message\":\"the answers of this "
                                "batch are too long: ask for it by itself\",\"temporary\":false,\"definite\":false}}";

/* ---- answering ---- */

static void answer_whole(backend_api_t *self, struct backend_batch *batch) {
    struct backend_answer_to to = {
        &batch->routing, batch->has_delimiter, span_of(batch->id, batch->id_size), NULL, 0, NULL};
    buffer_clear(&self->body);
    buffer_append_text(&self->body, "{\"replies\":[");
    for (uint32_t i = 0; i < batch->n; i++) {
        buffer_append_text(&self->body, i == 0 ? "" : ",");
        buffer_append_span(&self->body, buffer_span(&batch->answers[i]));
        buffer_finish(&batch->answers[i]);
    }
    buffer_append_text(&self->body, "]}");
    backend_answer(self, &to, "ok");
    zmq_msg_close(&batch->routing);
    memory_free(batch);
}

void backend_batch_take(backend_api_t *self, struct backend_batch *batch, uint32_t place, const char *kind) {
    struct buffer *answer = &batch->answers[place];
    if (batch->bytes + self->body.size > ANSWER_BYTES_MAX) {
        buffer_append_text(answer, TOO_LARGE);
    } else {
        buffer_append_format(answer, "{\"%s\":", strcmp(kind, "ok") == 0 ? "result" : "error");
        buffer_append_span(answer, buffer_span(&self->body));
        buffer_append_char(answer, '}');
    }
    batch->bytes += answer->size;
    batch->n_left--;
    if (batch->n_left == 0) {
        answer_whole(self, batch);
    }
}

/* ---- asking ---- */

/* One of `requests`, taken apart. */
struct item {
    struct buffer method;
    struct span params;
    bool has_payload;
};

/* False: *ret_refusal says what is wrong with it. Whether it has a payload is read first, so that the frames of the
 * others are found all the same. */
static bool read_item(struct json_value value, struct item *ret_item, struct backend_refusal *ret_refusal) {
    struct json_iterator members = json_iterate(value);
    struct json_value name;
    struct json_value member;
    struct json_value payload = json_member(value, "payload");
    ret_item->has_payload = payload.type == JSON_TRUE;
    ret_item->params = SPAN_EMPTY;
    buffer_clear(&ret_item->method);
    if (value.type != JSON_OBJECT || json_has_duplicate_names(value) ||
        !json_decode_string(json_member(value, "method"), &ret_item->method) || ret_item->method.size == 0 ||
        ret_item->method.size > BACKEND_METHOD_MAX) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "each of requests must be {\"method\": text, \"params\": object, \"payload\": true or false}");
        return false;
    }
    while (json_next(&members, &name, &member)) {
        if (json_name_is(name, "params")) {
            ret_item->params = member.text;
        } else if (json_name_is(name, "payload") ? member.type != JSON_TRUE && member.type != JSON_FALSE
                                                 : !json_name_is(name, "method")) {
            backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                           "each of requests has method, params and payload (true or false: one of the frames behind "
                           "params is its own), and nothing else");
            return false;
        }
    }
    return true;
}

/* How many requests, and payload frames that they want; false: too many or none. */
static bool count(struct json_value requests, uint32_t *ret_n, uint32_t *ret_payloads) {
    struct json_iterator iterator = json_iterate(requests);
    struct json_value name;
    struct json_value value;
    *ret_n = 0;
    *ret_payloads = 0;
    while (json_next(&iterator, &name, &value) && *ret_n <= BACKEND_BATCH_MAX) {
        (*ret_n)++;
        *ret_payloads += json_member(value, "payload").type == JSON_TRUE;
    }
    return *ret_n > 0 && *ret_n <= BACKEND_BATCH_MAX;
}

static struct backend_batch *make(const struct backend_call *call, uint32_t n) {
    struct backend_batch *self = memory_alloc_zero(sizeof *self + n * sizeof self->answers[0]);
    zmq_msg_init(&self->routing);
    zmq_msg_move(&self->routing, call->to.routing);
    self->has_delimiter = call->to.has_delimiter;
    self->id_size = (uint8_t) call->to.id.size;
    memcpy(self->id, call->to.id.data, call->to.id.size);
    self->n = n;
    self->n_left = n;
    for (uint32_t i = 0; i < n; i++) {
        buffer_init(&self->answers[i], SIZE_MAX);
    }
    return self;
}

static struct span payload_frame(const struct backend_call *call, uint32_t i) {
    return i == 0 ? call->payload : call->more[i - 1];
}

/* The last one may be answered at once, and the batch is gone then. */
static void ask_each(backend_api_t *self, const struct backend_call *call, struct backend_batch *batch) {
    struct json_iterator iterator = json_iterate(call->params.requests);
    struct json_value name;
    struct json_value value;
    struct item item = {.method = BUFFER_EMPTY};
    uint32_t n = batch->n;
    uint32_t n_payloads = 0;
    for (uint32_t i = 0; i < n && json_next(&iterator, &name, &value); i++) {
        struct backend_refusal refusal = {.code = ERROR_NONE};
        struct backend_call one = {.to = {.batch = batch, .place = i}, .peer = call->peer, .key = call->key};
        bool is_read = read_item(value, &item, &refusal);
        if (item.has_payload) {
            one.has_payload = true;
            one.payload = payload_frame(call, n_payloads++);
        }
        if (is_read) {
            backend_dispatch(self, &one, buffer_span(&item.method), item.params);
        } else {
            backend_refuse_call(self, &one, &refusal);
        }
    }
    buffer_finish(&item.method);
}

static void batch(backend_api_t *self, struct backend_call *call) {
    struct backend_refusal refusal;
    uint32_t n_frames = (call->has_payload ? 1 : 0) + call->n_more;
    uint32_t n;
    uint32_t n_payloads;
    if (!count(call->params.requests, &n, &n_payloads)) {
        backend_refuse(&refusal, ERROR_BAD_REQUEST, "params.requests must have 1 to %d requests", BACKEND_BATCH_MAX);
    } else if (n_payloads != n_frames) {
        backend_refuse(&refusal, ERROR_BAD_REQUEST,
                       "%u of requests say \"payload\": true, and %u frames are behind params; it is one for each",
                       n_payloads, n_frames);
    } else {
        ask_each(self, call, make(call, n));
        return;
    }
    backend_refuse_call(self, call, &refusal);
}

static const struct backend_method rows[] = {
    {.name = "batch",
     .payload = BACKEND_MAY_HAVE_PAYLOAD,
     .flags = BACKEND_ALONE,
     .allowed = BACKEND_PARAM_REQUESTS,
     .required = BACKEND_PARAM_REQUESTS,
     .handle = batch},
};
const struct backend_method_list backend_batch_methods = BACKEND_METHOD_LIST(rows);
