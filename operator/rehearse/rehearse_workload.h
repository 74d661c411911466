/* The workload of a rehearsal: acked publications with numbers, and subscribers that have to get all of them.
 *
 *   one publisher a channel ──▶ brokers (ZeroMQ) ──▶ … ──▶ gateways (WebSocket) ──▶ each subscriber, all channels
 *
 * A publication is tried, under one idempotency key, until it is acked or its patience is over; only then the next one
 * of its channel goes. Each publisher and each subscriber is a thread with a log of its own; the logs come together
 * when all have ended. Thread: the one that made it. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_WORKLOAD_H
#define CALLBOARD_OPERATOR_REHEARSE_WORKLOAD_H

#include "operator/rehearse/rehearse_backend.h"
#include "operator/rehearse/rehearse_event.h"
#include "operator/rehearse/rehearse_tokens.h"

typedef struct rehearse_workload rehearse_workload_t;

struct rehearse_workload_options {
    const char *gateways; /* ws://host:port/path,… */
    const char *gateway_ca_file;
    struct rehearse_backend_options backend;
    struct rehearse_token_options tokens;
    const char *channel; /* the channels' names begin with it */
    uint64_t channels;
    uint64_t subscribers;
    uint64_t rate; /* publications a second, of all channels together */
    uint64_t patience_ms;
};

/* Borrows the texts. NULL: ret_error says what is wrong with the options. */
rehearse_workload_t *rehearse_workload_new(const struct rehearse_workload_options *options, char *ret_error,
                                           size_t error_size);
void rehearse_workload_destroy(rehearse_workload_t **self_p); /* ends it at once; accepts NULL */

enum rehearse_outcome {
    REHEARSE_OK,
    REHEARSE_WAITING,   /* not yet */
    REHEARSE_FORBIDDEN, /* refused for good: rehearse_workload_error says by whom, and how to mend it */
};

/* Starts the subscribers; rehearse_workload_is_ready then says whether each has all channels. */
void rehearse_workload_start(rehearse_workload_t *self);
enum rehearse_outcome rehearse_workload_is_ready(rehearse_workload_t *self);
/* Starts the publishers. */
void rehearse_workload_publish(rehearse_workload_t *self);
const char *rehearse_workload_error(rehearse_workload_t *self); /* also what the last one said that still tries */

/* An event of the one who rehearses: BEGUN, AWAY, BACK, WHOLE. */
void rehearse_workload_note(rehearse_workload_t *self, enum rehearse_event_kind kind);
/* From now on: has a publication of every channel been sent, acked, and delivered to every subscriber? */
void rehearse_workload_mark(rehearse_workload_t *self);
enum rehearse_outcome rehearse_workload_is_past_mark(rehearse_workload_t *self);
/* Tries so far that failed, and publications that were acked: a rehearsal waits for either. */
uint64_t rehearse_workload_failed_tries(const rehearse_workload_t *self);
uint64_t rehearse_workload_acked(const rehearse_workload_t *self);

/* Ends the publishers (each after its present publication), waits at most so long until the subscribers have got all,
 * ends them, reads the histories. The sorted log is valid until the workload goes. */
const struct rehearse_log *rehearse_workload_end(rehearse_workload_t *self, int settle_ms);

#endif
