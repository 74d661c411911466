/* What the links tell of requests: answers, batches that went, links that were lost.
 *
 * Failure modes: an answer that comes after the end is dropped and counted; one of another kind than was asked resets
 * the link. */
#include "gateway/broker_requests_parts.h"

#include "base/clock.h"

/* NULL: it has ended before. */
static struct broker_request *take_answered(broker_requests_t *self, uplink_t *uplink, uint32_t id) {
    struct broker_request *request = key_table_find(&self->pending, id);
    if (request == NULL || request->uplink != uplink) {
        metric_count(self->metrics, METRIC_LATE);
        return NULL;
    }
    requests_forget(self, request);
    metric_observe_us(self->metrics, METRIC_SECONDS, clock_monotonic_us() - request->started_us);
    return request;
}

static bool on_published(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_published published;
    if (!wire_decode_published(body, &published)) {
        return false;
    }
    const struct broker_request *asked = key_table_find(&self->pending, published.request);
    if (asked != NULL && asked->kind != WIRE_PUBLISH) {
        return false;
    }
    struct broker_request *request = take_answered(self, uplink, published.request);
    if (request != NULL) {
        request->on_done(request,
                         &(struct broker_answer){.position = {published.epoch, published.offset},
                                                 .duplicate = (published.flags & WIRE_PUBLISHED_DUPLICATE) != 0,
                                                 .suppressed = (published.flags & WIRE_PUBLISHED_SUPPRESSED) != 0});
    }
    return true;
}

static bool on_result(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_result result;
    if (!wire_decode_result(body, &result)) {
        return false;
    }
    const struct broker_request *asked = key_table_find(&self->pending, result.request);
    if (asked != NULL && asked->kind != result.of) {
        return false;
    }
    if (asked != NULL && asked->kind == WIRE_CALL && asked->uplink == uplink) {
        self->call_first = asked->call->asked;
    }
    struct broker_request *request = take_answered(self, uplink, result.request);
    if (request != NULL) {
        request->on_done(request, &(struct broker_answer){.position = {result.epoch, result.offset},
                                                          .n = result.n,
                                                          .m = result.m,
                                                          .bytes = result.bytes});
    }
    return true;
}

static bool on_error(broker_requests_t *self, uplink_t *uplink, struct span body) {
    struct wire_error error;
    if (!wire_decode_error(body, &error)) {
        return false;
    }
    if (error.code == ERROR_NOT_AVAILABLE && requests_ask_elsewhere(self, uplink, error.request)) {
        return true;
    }
    struct broker_request *request = take_answered(self, uplink, error.request);
    if (request != NULL) {
        bool is_unknown = (error.flags & WIRE_ERROR_UNKNOWN_OUTCOME) != 0;
        enum error_code code = is_unknown ? ERROR_OUTCOME_UNKNOWN : error_describe(error.code)->code;
        requests_count_failure(self, code);
        request->on_done(request, &(struct broker_answer){.error = code});
    }
    return true;
}

/* As many answers as the credit that we gave for the questions: none is asked of the lane. */
static bool on_deliver(broker_requests_t *self, uplink_t *uplink, uint16_t shard, struct span body) {
    struct wire_deliver frame;
    if (!wire_decode_deliver(body, &frame)) {
        return false;
    }
    struct wire_delivered delivered = {.origin = frame.origin, .request = frame.request};
    delivered.found = self->on_emulated != NULL && self->on_emulated(self->context, frame.session, frame.data);
    struct buffer *batch = uplink_batch(uplink, shard);
    size_t start = batch->size;
    uplink_frame_added(uplink, shard, wire_mark_skippable(batch, start, wire_encode_delivered(batch, &delivered)));
    return true;
}

bool requests_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    broker_requests_t *self = context;
    if (frame->kind == WIRE_PUBLISHED) {
        return on_published(self, uplink, frame->body);
    }
    if (frame->kind == WIRE_DELIVER) {
        return on_deliver(self, uplink, shard, frame->body);
    }
    return frame->kind == WIRE_RESULT ? on_result(self, uplink, frame->body) : on_error(self, uplink, frame->body);
}

void requests_on_sent(void *context, uplink_t *uplink, uint16_t shard) {
    broker_requests_t *self = context;
    list_for_each_safe (link, &self->unsent[shard % UNSENT_LISTS]) {
        struct broker_request *request = list_entry(link, struct broker_request, link);
        if (request->uplink == uplink && request->shard == shard) {
            request->sent = true;
            list_remove(&request->link);
            list_push_back(&self->sent, &request->link);
        }
    }
}

static void end_requests_of(broker_requests_t *self, struct list_link *list, const uplink_t *uplink) {
    list_for_each_safe (link, list) {
        struct broker_request *request = list_entry(link, struct broker_request, link);
        if (uplink == NULL || request->uplink == uplink) {
            requests_finish_later(self, request, request->sent ? requests_error_when_cut_off(request) : ERROR_INTERNAL);
        }
    }
}

void requests_on_lost(void *context, uplink_t *uplink) {
    broker_requests_t *self = context;
    for (size_t i = 0; i < UNSENT_LISTS; i++) {
        end_requests_of(self, &self->unsent[i], uplink);
    }
    end_requests_of(self, &self->sent, uplink);
}
