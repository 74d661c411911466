/* Answers to services: the frames of one, and what a request that waited for shards comes to. A peer that is gone or
 * does not read: the answer is dropped and counted; the peer's retry under the same key finds the first result. */
#include "base/check.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

void backend_init_frame(zmq_msg_t *frame, struct span bytes) {
    check(zmq_msg_init_size(frame, bytes.size) == 0, "no memory for a frame of %zu bytes", bytes.size);
    if (bytes.size > 0) {
        memcpy(zmq_msg_data(frame), bytes.data, bytes.size);
    }
}

/* Sends what `body` holds, and a payload where there is one; takes the routing frame. */
enum zmq_send_result backend_send(backend_api_t *self, const struct backend_answer_to *to, const char *kind,
                                  const struct span *payload) {
    zmq_msg_t frames[7];
    size_t n = 0;
    zmq_msg_init(&frames[n]);
    zmq_msg_move(&frames[n++], to->routing);
    if (to->has_delimiter) {
        zmq_msg_init(&frames[n++]);
    }
    backend_init_frame(&frames[n++], SPAN_LITERAL("CB1"));
    backend_init_frame(&frames[n++], span_of_text(kind));
    backend_init_frame(&frames[n++], to->id);
    backend_init_frame(&frames[n++], buffer_span(&self->body));
    if (payload != NULL) {
        backend_init_frame(&frames[n++], *payload);
    }
    enum zmq_send_result result = zmq_on_uv_send(self->router_on_uv, frames, n);
    for (size_t i = 0; i < n; i++) {
        zmq_msg_close(&frames[i]);
    }
    return result;
}

bool backend_answer(backend_api_t *self, const struct backend_answer_to *to, const char *kind) {
    if (to->batch != NULL) {
        backend_batch_take(self, to->batch, to->place, kind);
        return true;
    }
    if (to->by_hand != NULL) {
        backend_answer_by_hand(self, to->by_hand, kind);
        return true;
    }
    bool is_out = to->routing == NULL || backend_send(self, to, kind, NULL) == ZMQ_SENT;
    if (!is_out) {
        metric_count(self->metrics, BACKEND_METRIC_REPLIES_DROPPED);
    }
    return is_out;
}

void backend_answer_error(backend_api_t *self, const struct backend_answer_to *to, enum error_code code,
                          const char *message) {
    buffer_clear(&self->body);
    backend_append_error(&self->body, code, message);
    backend_answer(self, to, "error");
}

void backend_answer_nothing(backend_api_t *self, const struct backend_answer_to *to) {
    buffer_clear(&self->body);
    buffer_append_text(&self->body, "{}");
    backend_answer(self, to, "ok");
}

void backend_refuse_call(backend_api_t *self, const struct backend_call *call, const struct backend_refusal *refusal) {
    metric_count(self->metrics, backend_is_push(&call->to) ? BACKEND_METRIC_PUSH_BAD : BACKEND_METRIC_BAD_REQUESTS);
    backend_answer_error(self, &call->to, refusal->code, refusal->message);
}

/* More than the list's words, where a person would ask what to do; NULL: they will do. */
static const char *explain(const struct shard_reply *reply) {
    if (reply->message_text != NULL) {
        return reply->message_text;
    }
    if (reply->error == ERROR_INTERNAL) {
        return "not possible at the moment: Redis is away, or the broker stops; nothing was done, try again";
    }
    if (reply->error == ERROR_NOT_AVAILABLE) {
        return reply->kind == SHARD_REQUEST_PRESENCE || reply->kind == SHARD_REQUEST_PRESENCE_STATS
                   ? "the channel's namespace has no presence; set its presence: true"
                   : "the channel's namespace has no history; set its history_size and history_ttl";
    }
    if (reply->error == ERROR_BAD_REQUEST && reply->kind == SHARD_REQUEST_PUBLISH) {
        return "params.version needs a channel with history, and no skip_history";
    }
    if (reply->error == ERROR_OUTCOME_UNKNOWN) {
        return "no answer from Redis in time: it may have been done; try again under the same idempotency_key";
    }
    return NULL;
}

static struct backend_answer_to who_waits(struct backend_waiting *waiting) {
    return (struct backend_answer_to){&waiting->routing, waiting->has_delimiter, span_of(waiting->id, waiting->id_size),
                                      waiting->batch,    waiting->batch_place,   waiting->by_hand};
}

static void forget(backend_api_t *self, struct backend_waiting *waiting) {
    backend_pending_remove(self->pending, waiting);
    metric_set(self->metrics, BACKEND_METRIC_PENDING, (int64_t) backend_pending_count(self->pending));
}

void backend_answer_waiting(backend_api_t *self, struct backend_waiting *waiting, const char *kind,
                            const struct span *payload) {
    struct backend_answer_to to = who_waits(waiting);
    if (payload == NULL) {
        backend_answer(self, &to, kind);
    } else if (backend_send(self, &to, kind, payload) != ZMQ_SENT) {
        metric_count(self->metrics, BACKEND_METRIC_REPLIES_DROPPED);
    }
    forget(self, waiting);
}

void backend_refuse_waiting(backend_api_t *self, struct backend_waiting *waiting, enum error_code code,
                            const char *message) {
    struct backend_answer_to to = who_waits(waiting);
    backend_answer_error(self, &to, code, message);
    forget(self, waiting);
}

void backend_finish_waiting(backend_api_t *self, struct backend_waiting *waiting) {
    const struct backend_method *method = waiting->method;
    const struct shard_reply *first = waiting->replies[0];
    if (!method->steps->answers_each_part && first->error != ERROR_NONE) {
        const char *help = first->error == ERROR_OUTCOME_UNKNOWN ? method->help_unknown : NULL;
        backend_refuse_waiting(self, waiting, first->error, help == NULL ? explain(first) : help);
        return;
    }
    buffer_clear(&self->body);
    if (method->steps->append_result == NULL) {
        buffer_append_text(&self->body, "{}");
    } else {
        method->steps->append_result(self, waiting, &self->body);
    }
    struct backend_answer_to to = who_waits(waiting);
    if (!backend_answer(self, &to, "ok") && method->steps->take_back != NULL) {
        method->steps->take_back(self, waiting);
    }
    forget(self, waiting);
}

void backend_answer_unknown(backend_api_t *self, struct backend_waiting *waiting) {
    const struct backend_method *method = waiting->method;
    if ((method->flags & BACKEND_READS) != 0) {
        backend_refuse_waiting(self, waiting, ERROR_INTERNAL, "no answer in time; nothing was done, try again");
    } else {
        backend_refuse_waiting(self, waiting, ERROR_OUTCOME_UNKNOWN, method->help_unknown);
    }
}
