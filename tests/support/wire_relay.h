/* Stands between a gateway worker and a broker and passes their batches on, but for what it is told to take out: how a
 * publication gets lost although link and numbers hold. Serves one worker, also when that links anew. Every call is
 * without waiting. Thread: the test's. */
#ifndef CALLBOARD_TESTS_SUPPORT_WIRE_RELAY_H
#define CALLBOARD_TESTS_SUPPORT_WIRE_RELAY_H

#include <stdbool.h>

typedef struct wire_relay wire_relay_t;

/* Gateways connect to `front`; the broker listens at `back`. */
wire_relay_t *wire_relay_new(void *zmq_context, const char *front, const char *back);
void wire_relay_destroy(wire_relay_t **self_p);

/* Passes on what is there, both ways. */
void wire_relay_poll(wire_relay_t *self);

/* So many of the next PUSH frames do not reach the gateway. */
void wire_relay_drop_pushes(wire_relay_t *self, unsigned n);
/* So many of the next beats' answers arrive without their tops. */
void wire_relay_drop_tops(wire_relay_t *self, unsigned n);
/* The next batch with a PUSH in it is lost as a whole: a hole in the lane's numbers. */
void wire_relay_drop_batch(wire_relay_t *self);

unsigned wire_relay_dropped(const wire_relay_t *self); /* pushes, also those of a lost batch */
unsigned wire_relay_beat_answers(const wire_relay_t *self);

#endif
