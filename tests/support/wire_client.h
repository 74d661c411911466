/* A gateway worker for tests: a DEALER that says HELLO and speaks lanes as base/wire_lane does, one thread, blocking
 * with deadlines. It can misbehave on purpose: withhold acks, repeat numbers, send any bytes. */
#ifndef CALLBOARD_TESTS_SUPPORT_WIRE_CLIENT_H
#define CALLBOARD_TESTS_SUPPORT_WIRE_CLIENT_H

#include "base/wire.h"

typedef struct wire_client wire_client_t;

struct wire_client_options {
    void *zmq_context;
    const char *endpoint;
    const char *gateway_id;
    uint32_t worker;
    uint32_t grant_frames; /* 0: the usual credit */
    uint32_t grant_bytes;
};

/* A frame as it came: decode it with wire_decode_…; freed by the next receive. */
struct wire_received {
    uint16_t shard;
    uint8_t kind;
    struct span body;
};

wire_client_t *wire_client_new(const struct wire_client_options *options);
void wire_client_destroy(wire_client_t **self_p);

/* HELLO with a new link epoch; waits for WELCOME. Fails the test when none comes. */
struct wire_welcome wire_client_link(wire_client_t *self);
void wire_client_hello(wire_client_t *self, uint16_t version_min, uint16_t version_max);
uint64_t wire_client_link_epoch(const wire_client_t *self);
uint16_t wire_client_shards(const wire_client_t *self);
/* The shard that owns the channel, as WELCOME told. */
uint16_t wire_client_shard_of(const wire_client_t *self, const char *channel);

/* The batch open for this shard: encode frames into it, then wire_client_send. */
struct buffer *wire_client_batch(wire_client_t *self, uint16_t shard);
void wire_client_send(wire_client_t *self, uint16_t shard, uint32_t n_frames);
/* Any bytes as one message. */
void wire_client_send_raw(wire_client_t *self, struct span bytes);
/* No acks from now on (false), or again, with what was due (true). */
void wire_client_set_acking(wire_client_t *self, bool acking);

/* The next frame, whichever; false: none within timeout_ms. TOTALS are skipped. */
bool wire_client_receive(wire_client_t *self, struct wire_received *ret_frame, int timeout_ms);
/* The next frame must be of this kind (BEAT_ANSWER, TOTALS and, unless asked for, RESYNC are skipped). Fails the test
 * otherwise. */
struct span wire_client_expect(wire_client_t *self, uint8_t kind);
/* Nothing but beats comes for so long. */
bool wire_client_is_silent(wire_client_t *self, int for_ms);

/* Shortcuts; request numbers count up from 1. They return the request number. */
uint32_t wire_client_subscribe(wire_client_t *self, const char *channel, uint32_t handle, const struct position *since,
                               bool own);
uint32_t wire_client_publish(wire_client_t *self, const char *channel, const char *data);
uint32_t wire_client_publish_keyed(wire_client_t *self, const char *channel, const char *key, const char *data);
void wire_client_beat(wire_client_t *self, uint16_t shard);
void wire_client_unsubscribe(wire_client_t *self, const char *channel, uint32_t handle);

#endif
