/* A client without WebSockets sends by POSTs, and a load balancer brings each to whatever gateway it likes:
 *
 *   gateway A, worker a ──EMULATE(node, worker, session, data)──▶ this shard ──DELIVER──▶ gateway B, worker b
 *                       ◀──────────RESULT(n)───────────────────           ◀──DELIVERED──
 *
 * The shard keeps nothing: where the answer goes (the asker's peer number, never used twice, and its request) travels
 * with the question. Any shard of any broker would do, as every worker is linked to all.
 *
 * Failure modes: that worker is not linked here → RESULT(0), as where it has no such session; its lane has no credit →
 * ERROR(111), nothing was sent; it answers never, or a link breaks → the asker's deadline; the asker has gone → the
 * answer is dropped. */
#include "broker/shard_parts.h"

static void answer(gateway_peer_t *peer, uint32_t request, bool found) {
    struct wire_result result = {.request = request, .of = WIRE_EMULATE, .n = found};
    gateway_peer_added(peer, wire_encode_result(gateway_peer_batch(peer), &result));
}

static void refuse(gateway_peer_t *peer, uint32_t request) {
    const struct error_description *description = error_describe(ERROR_TOO_MANY_REQUESTS);
    struct wire_error error = {.request = request,
                               .code = (uint16_t) description->code,
                               .flags = WIRE_ERROR_TEMPORARY,
                               .message = span_of_text(description->message)};
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &error));
}

bool shard_on_emulate(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_emulate frame;
    if (!wire_decode_emulate(body, &frame)) {
        return false;
    }
    gateway_peer_t *owner = shard_find_worker(self, frame.node, frame.worker);
    if (owner == NULL || gateway_peer_notes(owner)->is_failed) {
        metric_count(self->metrics, SHARD_EMULATIONS_NO_GATEWAY);
        answer(peer, frame.request, false);
        return true;
    }
    if (!gateway_peer_admits(owner, WIRE_FRAME_HEADER_SIZE + body.size)) {
        metric_count(self->metrics, SHARD_EMULATIONS_NO_CREDIT);
        refuse(peer, frame.request);
        return true;
    }
    metric_count(self->metrics, SHARD_EMULATIONS_PASSED);
    struct wire_deliver deliver = {
        .origin = gateway_peer_number(peer), .request = frame.request, .session = frame.session, .data = frame.data};
    struct buffer *batch = gateway_peer_batch(owner);
    size_t start = batch->size;
    gateway_peer_added(owner, wire_mark_skippable(batch, start, wire_encode_deliver(batch, &deliver)));
    return true;
}

bool shard_on_delivered(struct shard *self, struct span body) {
    struct wire_delivered frame;
    if (!wire_decode_delivered(body, &frame)) {
        return false;
    }
    gateway_peer_t *asker = shard_find_peer(self, frame.origin);
    if (asker != NULL) {
        answer(asker, frame.request, frame.found != 0);
    }
    return true;
}
