/* One end of a lane (gateway worker ⇄ shard): batch numbers, cumulative acks, credit. Pure: no clock, no I/O; both ends
 * use it. What is in flight stays below the credit the peer grants, so that ZeroMQ never drops for us; a hole in the
 * numbers means that it did, and the link is reset. Thread: the owner's. */
#ifndef CALLBOARD_BASE_WIRE_LANE_H
#define CALLBOARD_BASE_WIRE_LANE_H

#include "base/wire.h"

enum { WIRE_CREDIT_FRAMES = 4096, WIRE_LANE_BATCHES_MAX = 4096 };
#define WIRE_CREDIT_BYTES ((uint32_t) 16 << 20)

typedef struct wire_lane wire_lane_t;

/* Grants are what we let the peer have in flight; peer_credit is what it lets us (until its first header says more). */
wire_lane_t *wire_lane_new(uint64_t link_epoch, uint16_t shard, uint32_t grant_frames, uint32_t grant_bytes,
                           uint32_t peer_credit_frames, uint32_t peer_credit_bytes);
void wire_lane_destroy(wire_lane_t **self_p);
/* The version negotiated by HELLO and WELCOME; before it, headers carry WIRE_VERSION_MIN. */
void wire_lane_speak(wire_lane_t *self, uint16_t version);

/* May a batch of so many frames and bytes go now? A single batch larger than the whole credit may go when nothing is in
 * flight. A peer that grants 0 gets nothing. */
bool wire_lane_has_credit(const wire_lane_t *self, uint32_t n_frames, size_t bytes);
/* The same without that exception: for who gathers a batch and may stop before it is too large. */
bool wire_lane_fits_credit(const wire_lane_t *self, uint32_t n_frames, size_t bytes);
/* Seals the begun batch with the next number, our ack and our grant; counts it as in flight. */
void wire_lane_seal(wire_lane_t *self, struct buffer *batch, uint32_t n_frames);
/* Seals an ack-only batch (number 0), not counted. */
void wire_lane_seal_ack(wire_lane_t *self, struct buffer *batch);

enum wire_lane_outcome {
    WIRE_LANE_NEXT,     /* a numbered batch: handle its frames, then call wire_lane_consumed */
    WIRE_LANE_ACK_ONLY, /* number 0 */
    WIRE_LANE_OLD_LINK, /* of another link epoch: drop it */
    WIRE_LANE_HOLE,     /* a batch is missing, or an ack for what was never sent: reset the link */
};
enum wire_lane_outcome wire_lane_receive(wire_lane_t *self, const struct wire_batch_header *header);
/* The frames of the oldest received batch not yet consumed are handled: its room may be granted again. (A receiver with
 * an inbox may consume later than it receives, in the same order.) */
void wire_lane_consumed(wire_lane_t *self, uint32_t n_frames, size_t bytes);
/* Has a quarter of the grant been consumed since our last ack went out? Then send one, alone if need be. */
bool wire_lane_ack_is_due(const wire_lane_t *self);
uint32_t wire_lane_in_flight_frames(const wire_lane_t *self);
uint64_t wire_lane_in_flight_bytes(const wire_lane_t *self);
/* What the peer lets us have in flight, as its last header says. */
uint32_t wire_lane_peer_frames(const wire_lane_t *self);
uint32_t wire_lane_peer_bytes(const wire_lane_t *self);
uint64_t wire_lane_link_epoch(const wire_lane_t *self);

#endif
