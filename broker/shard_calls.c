/* CALL frames of gateways: to the backend API, whose workers answer, and back.
 *
 *   gateway worker ──CALL──▶ this shard ──shard_call──▶ backend API ──request──▶ worker
 *                  ◀─RESULT, ERROR──    ◀─shard_called──            ◀──done─────
 *
 * The shard keeps nothing: the link's number (never used twice) and the request travel along.
 * Failure modes: there is no backend API: 108, as where no worker takes the method; its inbox is full: 111; the link
 * has ended: the answer is dropped; an answer that fits no frame: 124. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/shard_occupancy.h"
#include "broker/shard_parts.h"

enum { DEADLINE_DEFAULT_MS = 2000, FRAME_ROOM = 256 };

static struct span move_into(uint8_t **at, struct span bytes) {
    struct span copy = {bytes.size == 0 ? NULL : *at, bytes.size};
    if (bytes.size > 0) {
        memcpy(*at, bytes.data, bytes.size);
        *at += bytes.size;
    }
    return copy;
}

struct shard_call *shard_call_new(const struct shard_call *model) {
    size_t bytes = model->method.size + model->channel.size + model->info.size + model->details.size + model->data.size;
    struct shard_call *call = memory_alloc(sizeof *call + bytes);
    uint8_t *at = (uint8_t *) (call + 1);
    *call = *model;
    call->message.bytes = sizeof *call + bytes;
    call->method = move_into(&at, model->method);
    call->channel = move_into(&at, model->channel);
    call->info = move_into(&at, model->info);
    call->details = move_into(&at, model->details);
    call->data = move_into(&at, model->data);
    return call;
}

struct shard_called *shard_called_new(const struct shard_called *model) {
    size_t bytes = model->text.size + model->payload.size;
    struct shard_called *called = memory_alloc(sizeof *called + bytes);
    uint8_t *at = (uint8_t *) (called + 1);
    *called = *model;
    called->message.bytes = sizeof *called + bytes;
    called->text = move_into(&at, model->text);
    called->payload = move_into(&at, model->payload);
    return called;
}

static void refuse(gateway_peer_t *peer, uint32_t request, enum error_code code) {
    const struct error_description *description = error_describe(code);
    struct wire_error error = {.request = request,
                               .code = (uint16_t) code,
                               .flags = (uint8_t) ((description->temporary ? WIRE_ERROR_TEMPORARY : 0) |
                                                   (code == ERROR_OUTCOME_UNKNOWN ? WIRE_ERROR_UNKNOWN_OUTCOME : 0)),
                               .message = span_of_text(description->message)};
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &error));
}

static enum error_code pass_on(const struct shard *self, const gateway_peer_t *peer, const struct wire_call *frame) {
    const struct shard_call_desk *desk = self->options.calls;
    actor_t *actor = desk == NULL ? NULL : atomic_load(&desk->actor);
    if (actor == NULL) {
        return ERROR_NOT_AVAILABLE;
    }
    uint32_t patience_ms = frame->deadline_ms == 0 ? DEADLINE_DEFAULT_MS : frame->deadline_ms;
    struct shard_call *call = shard_call_new(&(struct shard_call){.message = {.kind = desk->kind},
                                                                  .reply_to = self->actor,
                                                                  .reply_kind = SHARD_MESSAGE_CALLED,
                                                                  .peer = gateway_peer_number(peer),
                                                                  .request = frame->request,
                                                                  .deadline_ms = clock_monotonic_ms() + patience_ms,
                                                                  .method = frame->method,
                                                                  .channel = frame->channel,
                                                                  .info = frame->info,
                                                                  .details = frame->details,
                                                                  .data = frame->data});
    struct actor_message *message = &call->message;
    enum actor_post_result posted = actor_post(actor, &message);
    if (posted != ACTOR_POSTED) {
        memory_free(call);
    }
    return posted == ACTOR_POSTED ? ERROR_NONE : posted == ACTOR_FULL ? ERROR_TOO_MANY_REQUESTS : ERROR_NOT_AVAILABLE;
}

bool shard_on_call(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_call frame;
    if (!wire_decode_call(body, &frame) || frame.request == 0) {
        return false;
    }
    enum error_code code = pass_on(self, peer, &frame);
    if (code != ERROR_NONE) {
        refuse(peer, frame.request, code);
    }
    return true;
}

void shard_on_called(struct shard *self, const struct shard_called *called) {
    gateway_peer_t *peer = shard_find_peer(self, called->peer);
    if (peer == NULL || gateway_peer_notes(peer)->is_failed) {
        return;
    }
    if (called->error != ERROR_NONE) {
        refuse(peer, called->request, called->error);
        return;
    }
    if (called->text.size + called->payload.size > WIRE_FRAME_MAX - FRAME_ROOM) {
        refuse(peer, called->request, ERROR_TOO_LARGE);
        return;
    }
    buffer_clear(&self->scratch);
    buffer_append_sized(&self->scratch, called->text);
    buffer_append_sized(&self->scratch, called->payload);
    struct wire_result result = {.request = called->request,
                                 .of = WIRE_CALL,
                                 .n = (uint32_t) called->outcome,
                                 .m = called->code,
                                 .bytes = buffer_span(&self->scratch)};
    gateway_peer_added(peer, wire_encode_result(gateway_peer_batch(peer), &result));
}

/* ---- events of channels ---- */

static void post_occupancy(struct shard *self, struct span channel, bool is_occupied) {
    const struct shard_call_desk *desk = self->options.calls;
    size_t bytes = sizeof(struct shard_occupancy) + channel.size;
    struct shard_occupancy *change = memory_alloc(bytes);
    uint8_t *at = (uint8_t *) (change + 1);
    *change = (struct shard_occupancy){.message = {.kind = desk->occupancy_kind, .bytes = bytes},
                                       .is_occupied = is_occupied,
                                       .n_lost = self->n_occupancies_lost};
    change->channel = move_into(&at, channel);
    struct actor_message *message = &change->message;
    actor_t *actor = atomic_load(&desk->actor);
    if (actor != NULL && actor_post(actor, &message) == ACTOR_POSTED) {
        self->n_occupancies_lost = 0;
    } else {
        self->n_occupancies_lost += channel.size > 0 ? 1 : 0;
        memory_free(change);
    }
}

void shard_tell_occupied(void *context, struct span channel, bool is_occupied) {
    struct shard *self = context;
    if (self->options.calls != NULL) {
        post_occupancy(self, channel, is_occupied);
    }
}

void shard_tell_lost_occupancies(struct shard *self) {
    if (self->n_occupancies_lost > 0) {
        post_occupancy(self, SPAN_EMPTY, false);
    }
}
