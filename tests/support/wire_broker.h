/* A tiny scripted broker for tests of what speaks to brokers: a ROUTER socket in the test's own thread. It greets,
 * answers heartbeats, keeps the lanes (numbers, acks, credit) and hands every other frame to the test, which answers as
 * it likes. Every wait has a deadline and fails the test. Thread: the test's, which also runs the loop under test. */
#ifndef CALLBOARD_TESTS_WIRE_BROKER_H
#define CALLBOARD_TESTS_WIRE_BROKER_H

#include "base/wire.h"

typedef struct wire_broker wire_broker_t;

enum { WIRE_BROKER_DEADLINE_MS = 20000 };

struct wire_broker_settings {
    void *zmq_context;
    const char *endpoint;
    const char *id;
    uint16_t shards;        /* 0: 1 */
    uint32_t partitions;    /* 0: 256 */
    enum wire_mode mode;    /* 0: redis */
    uint32_t credit_frames; /* 0: the usual; what the gateway may have in flight a lane */
    uint64_t boot_nonce;
    /* Turns the loop under test once, without waiting. */
    void (*turn)(void *context);
    void *context;
};

wire_broker_t *wire_broker_new(const struct wire_broker_settings *settings);
void wire_broker_destroy(wire_broker_t **self_p); /* gone without a word; accepts NULL */

/* Off: HELLO gets no WELCOME. On at first. */
void wire_broker_set_greeting(wire_broker_t *self, bool on);
/* Off: beats get no answer, as from a stuck shard actor. */
void wire_broker_set_beating(wire_broker_t *self, bool on);
/* Off: what is received is not acknowledged, so the gateway's credit runs out. */
void wire_broker_set_acking(wire_broker_t *self, bool on);
/* Told in the next beat answers of shard 0. */
void wire_broker_set_tops(wire_broker_t *self, uint32_t handle, uint64_t offset);
/* WELCOME says it of all shards where one is; beats say it of their shard. */
void wire_broker_set_degraded(wire_broker_t *self, uint16_t shard, bool degraded);

/* Receives what is there, turns the loop once. */
void wire_broker_poll(wire_broker_t *self);
unsigned wire_broker_hellos(const wire_broker_t *self);
unsigned wire_broker_beats(const wire_broker_t *self);
uint8_t wire_broker_last_beat_flags(const wire_broker_t *self);
/* The reason of the last RESET from the gateway; 0: none came. */
uint16_t wire_broker_reset_reason(const wire_broker_t *self);
bool wire_broker_is_linked(const wire_broker_t *self);
void wire_broker_await_link(wire_broker_t *self);

/* The next frame that is neither HELLO nor BEAT, which must be of this kind; the shard it came on in *ret_shard (may be
 * NULL). Valid until the next call. */
struct wire_frame wire_broker_expect(wire_broker_t *self, enum wire_kind kind, uint16_t *ret_shard);
struct wire_frame wire_broker_expect_any(wire_broker_t *self);
/* Has such a frame come (after a few turns)? */
bool wire_broker_has_frame(wire_broker_t *self);
bool wire_broker_has_frame_soon(wire_broker_t *self, unsigned turns); /* … within so many turns */

/* A batch to the gateway: encode frames into it, then send. */
struct buffer *wire_broker_batch(wire_broker_t *self);
void wire_broker_send(wire_broker_t *self, uint16_t shard, uint32_t n_frames);
/* The same with a number left out: a hole. */
void wire_broker_send_with_hole(wire_broker_t *self, uint16_t shard, uint32_t n_frames);

#endif
