/* The switchboard: the actor that owns the ROUTER to all gateway workers. It reads batch headers only, hands each batch
 * to its shard and sends what shards post; it knows links, no channels.
 * A peer is a gateway worker that said HELLO: (gateway id, worker), a link epoch, a routing id that libzmq chose. Its
 * number is never used twice, so whatever is on its way to or from a link that is gone cannot reach the next one.
 * Thread: switchboard_new, _start, _quiet, _destroy: the broker's owner; switchboard_post_*: any. */
#ifndef CALLBOARD_BROKER_SWITCHBOARD_H
#define CALLBOARD_BROKER_SWITCHBOARD_H

#include "base/actor.h"
#include "base/curve_zap.h"
#include "broker/shard.h"

typedef struct switchboard switchboard_t;

struct switchboard_options {
    void *zmq_context;
    const struct broker_config *config;
    metrics_t *metrics;
    const char *broker_id;
    uint32_t n_shards;
    const char *endpoint;        /* NULL: none but the next */
    const char *inproc_endpoint; /* NULL: none; gateways of this process */
    uint64_t boot_nonce;
    uint64_t config_hash;
    /* CURVE: the server's pair, and the handler that judges its clients and runs already; NULL: none (only for local
     * endpoints). */
    const struct curve_keys *curve_keys;
    curve_zap_t *curve_zap;
};

/* Not yet running: the shards are made with it, then it is started with them. */
switchboard_t *switchboard_new(const struct switchboard_options *options);
/* Binds and listens. False: ret_error says why (at least 256 bytes). */
bool switchboard_start(switchboard_t *self, shard_t *const *shards, char *ret_error, size_t error_size);
/* Behind its return nothing is posted to shards any more; what they post is still sent. Harmless when not started. */
void switchboard_quiet(switchboard_t *self);
/* Nobody posts any more. */
void switchboard_destroy(switchboard_t **self_p);

/* What shards need: context is the switchboard. */
void switchboard_post_batch(void *context, uint32_t peer, uint64_t link_epoch, struct buffer *batch);
void switchboard_post_reset(void *context, uint32_t peer, enum wire_reset_reason reason);
/* DRAIN to all peers, now and to those that come later. */
void switchboard_post_drain(switchboard_t *self, uint32_t within_ms);

/* The namespaces are other ones since a reload: for the next HELLO. Any thread. */
void switchboard_set_config_hash(switchboard_t *self, uint64_t hash);

struct switchboard_figures {
    uint64_t peers;
    uint64_t stalled_ms;
};
void switchboard_read_figures(const switchboard_t *self, struct switchboard_figures *ret_figures);
/* Where it listens, with the port that a wildcard was given; "" without an endpoint. Lives as long as it. */
const char *switchboard_endpoint(const switchboard_t *self);

#endif
