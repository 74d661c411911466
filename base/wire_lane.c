/* One end of a lane: what we sent and is not acknowledged (a ring of sizes, oldest first), what the peer lets us have
 * in flight, and what we received.
 *
 *   sent ────────────────▶ acked_number … sent_number: in flight, their frames and bytes stay below the peer's credit
 *   ◀──────────── received consumed_number: acknowledged with the next header we write
 *
 * An ack is sent for what was consumed, not for what arrived: so credit measures the work the receiver has yet to do.
 * Numbers run 1 … 2^32-1 and then from 1 again: 0 is the batch that only acknowledges.
 * Failure modes: a number that is not the next, or an ack for what was never sent, is a hole (ZeroMQ dropped, or the
 * peer is wrong); the caller resets the link, nothing is repaired here. */
#include "base/wire_lane.h"

#include "base/check.h"
#include "base/memory.h"

struct sent_batch {
    uint32_t n_frames;
    uint32_t bytes;
};

struct wire_lane {
    uint64_t link_epoch;
    uint16_t shard;
    uint8_t version;
    /* outbound */
    uint32_t peer_credit_frames;
    uint32_t peer_credit_bytes;
    uint32_t sent_number;  /* of the last batch sent */
    uint32_t acked_number; /* of the last batch the peer has consumed */
    struct sent_batch *ring;
    uint32_t ring_capacity; /* power of two */
    uint32_t ring_first;
    uint32_t ring_count;
    uint32_t in_flight_frames;
    uint64_t in_flight_bytes;
    /* inbound */
    uint32_t grant_frames;
    uint32_t grant_bytes;
    uint32_t received_number;
    uint32_t consumed_number;
    uint32_t unacked_batches; /* consumed since our last header went out */
    uint32_t unacked_frames;
    uint64_t unacked_bytes;
};

enum { RING_FIRST_CAPACITY = 16 };

static uint32_t next_number(uint32_t number) {
    return number == UINT32_MAX ? 1 : number + 1;
}

/* How often next_number leads from `from` to `to`. */
static uint32_t number_distance(uint32_t from, uint32_t to) {
    return to >= from ? to - from : to + (UINT32_MAX - from);
}

wire_lane_t *wire_lane_new(uint64_t link_epoch, uint16_t shard, uint32_t grant_frames, uint32_t grant_bytes,
                           uint32_t peer_credit_frames, uint32_t peer_credit_bytes) {
    wire_lane_t *self = memory_alloc_zero(sizeof *self);
    self->link_epoch = link_epoch;
    self->shard = shard;
    self->version = WIRE_VERSION_MIN;
    self->grant_frames = grant_frames;
    self->grant_bytes = grant_bytes;
    self->peer_credit_frames = peer_credit_frames;
    self->peer_credit_bytes = peer_credit_bytes;
    return self;
}

void wire_lane_destroy(wire_lane_t **self_p) {
    if (*self_p == NULL) {
        return;
    }
    memory_free((*self_p)->ring);
    memory_free(*self_p);
    *self_p = NULL;
}

void wire_lane_speak(wire_lane_t *self, uint16_t version) {
    check(version >= WIRE_VERSION_MIN && version <= WIRE_VERSION, "version %u", version);
    self->version = (uint8_t) version;
}

/* ---- outbound ---- */

bool wire_lane_fits_credit(const wire_lane_t *self, uint32_t n_frames, size_t bytes) {
    return self->ring_count < WIRE_LANE_BATCHES_MAX &&
           (uint64_t) self->in_flight_frames + n_frames <= self->peer_credit_frames &&
           self->in_flight_bytes + bytes <= self->peer_credit_bytes;
}

bool wire_lane_has_credit(const wire_lane_t *self, uint32_t n_frames, size_t bytes) {
    if (self->ring_count == 0) {
        return self->peer_credit_frames > 0 && self->peer_credit_bytes > 0;
    }
    return wire_lane_fits_credit(self, n_frames, bytes);
}

static void grow_ring(wire_lane_t *self) {
    uint32_t capacity = self->ring_capacity == 0 ? RING_FIRST_CAPACITY : self->ring_capacity * 2;
    struct sent_batch *ring = memory_alloc_array(capacity, sizeof *ring);
    for (uint32_t i = 0; i < self->ring_count; i++) {
        ring[i] = self->ring[(self->ring_first + i) & (self->ring_capacity - 1)];
    }
    memory_free(self->ring);
    self->ring = ring;
    self->ring_capacity = capacity;
    self->ring_first = 0;
}

/* Everything consumed so far is acknowledged by the header that is being written. */
static void write_header(wire_lane_t *self, struct buffer *batch, uint32_t number) {
    wire_batch_seal(batch, &(struct wire_batch_header){.version = self->version,
                                                       .shard = self->shard,
                                                       .link_epoch = self->link_epoch,
                                                       .number = number,
                                                       .ack = self->consumed_number,
                                                       .credit_frames = self->grant_frames,
                                                       .credit_bytes = self->grant_bytes});
    self->unacked_batches = 0;
    self->unacked_frames = 0;
    self->unacked_bytes = 0;
}

void wire_lane_seal(wire_lane_t *self, struct buffer *batch, uint32_t n_frames) {
    check(self->ring_count < WIRE_LANE_BATCHES_MAX, "sealed without credit");
    if (self->ring_count == self->ring_capacity) {
        grow_ring(self);
    }
    self->sent_number = next_number(self->sent_number);
    uint32_t place = (self->ring_first + self->ring_count) & (self->ring_capacity - 1);
    self->ring[place] = (struct sent_batch){n_frames, (uint32_t) batch->size};
    self->ring_count++;
    self->in_flight_frames += n_frames;
    self->in_flight_bytes += batch->size;
    write_header(self, batch, self->sent_number);
}

void wire_lane_seal_ack(wire_lane_t *self, struct buffer *batch) {
    write_header(self, batch, 0);
}

/* ---- inbound ---- */

static void take_acks(wire_lane_t *self, uint32_t n_batches) {
    for (uint32_t i = 0; i < n_batches; i++) {
        const struct sent_batch *oldest = &self->ring[self->ring_first];
        self->in_flight_frames -= oldest->n_frames;
        self->in_flight_bytes -= oldest->bytes;
        self->ring_first = (self->ring_first + 1) & (self->ring_capacity - 1);
        self->ring_count--;
    }
}

enum wire_lane_outcome wire_lane_receive(wire_lane_t *self, const struct wire_batch_header *header) {
    if (header->link_epoch != self->link_epoch) {
        return WIRE_LANE_OLD_LINK;
    }
    if (header->number != 0 && header->number != next_number(self->received_number)) {
        return WIRE_LANE_HOLE;
    }
    /* 0 is only an ack before the first: later it would count as a number far ahead. */
    uint32_t n_acked = number_distance(self->acked_number, header->ack);
    if (n_acked > self->ring_count) {
        return WIRE_LANE_HOLE;
    }
    take_acks(self, n_acked);
    self->acked_number = header->ack;
    self->peer_credit_frames = header->credit_frames;
    self->peer_credit_bytes = header->credit_bytes;
    if (header->number == 0) {
        return WIRE_LANE_ACK_ONLY;
    }
    self->received_number = header->number;
    return WIRE_LANE_NEXT;
}

void wire_lane_consumed(wire_lane_t *self, uint32_t n_frames, size_t bytes) {
    check(self->consumed_number != self->received_number, "more batches consumed than received");
    self->consumed_number = next_number(self->consumed_number);
    self->unacked_batches++;
    self->unacked_frames += n_frames;
    self->unacked_bytes += bytes;
}

bool wire_lane_ack_is_due(const wire_lane_t *self) {
    return self->unacked_batches > 0 &&
           (self->unacked_batches >= WIRE_LANE_BATCHES_MAX / 4 || self->unacked_frames >= self->grant_frames / 4 ||
            self->unacked_bytes >= self->grant_bytes / 4);
}

uint32_t wire_lane_in_flight_frames(const wire_lane_t *self) {
    return self->in_flight_frames;
}

uint32_t wire_lane_peer_frames(const wire_lane_t *self) {
    return self->peer_credit_frames;
}

uint32_t wire_lane_peer_bytes(const wire_lane_t *self) {
    return self->peer_credit_bytes;
}

uint64_t wire_lane_in_flight_bytes(const wire_lane_t *self) {
    return self->in_flight_bytes;
}

uint64_t wire_lane_link_epoch(const wire_lane_t *self) {
    return self->link_epoch;
}
