/* What the files of the switchboard share (switchboard.c, switchboard_peers.c, switchboard_metrics.c) and nobody else
 * includes. Thread: the switchboard's. */
#ifndef CALLBOARD_BROKER_SWITCHBOARD_PARTS_H
#define CALLBOARD_BROKER_SWITCHBOARD_PARTS_H

#include "base/zmq_on_uv.h"
#include "broker/switchboard.h"

#include <stdatomic.h>

#include <uthash.h>

enum { ROUTING_ID_MAX = 255, SWITCHBOARD_ENDPOINT_MAX = 256 };

enum switchboard_metric {
    SWITCHBOARD_PEERS,
    SWITCHBOARD_HELLOS,
    SWITCHBOARD_MALFORMED,
    SWITCHBOARD_UNKNOWN_LINK,
    SWITCHBOARD_REPLACED,
    SWITCHBOARD_SILENT,
    SWITCHBOARD_REFUSED,
    SWITCHBOARD_SEND_FULL,
    SWITCHBOARD_SEND_UNROUTABLE,
    SWITCHBOARD_NOT_ALLOWED,
    SWITCHBOARD_CURVE_REFUSED,
    SWITCHBOARD_BYTES_IN,
    SWITCHBOARD_BYTES_OUT,
    SWITCHBOARD_METRICS_COUNT,
};

extern const struct metric_description switchboard_metric_rows[SWITCHBOARD_METRICS_COUNT];

struct routing_id {
    uint8_t size;
    uint8_t bytes[ROUTING_ID_MAX];
};

/* A gateway worker that is linked. */
struct switchboard_peer {
    UT_hash_handle by_routing;
    UT_hash_handle by_number;
    UT_hash_handle by_name;
    uint32_t number;
    uint64_t link_epoch;
    uint16_t version;
    uint64_t boot_nonce;
    enum wire_mode mode; /* as its WELCOME said */
    uint64_t last_heard_ms;
    struct routing_id routing;
    char *key; /* CURVE: the name of the gateway's key, else "" */
    uint32_t worker;
    size_t name_size; /* of name: worker, then the gateway's id */
    uint8_t name[sizeof(uint32_t) + GATEWAY_ID_MAX];
};

struct switchboard {
    struct switchboard_options options;
    shard_t *const *shards;
    actor_t *actor; /* NULL: not started */
    void *socket;
    zmq_on_uv_t *on_uv;
    uv_timer_t timer;
    metric_values_t *metrics;
    struct switchboard_peer *by_routing;
    struct switchboard_peer *by_number;
    struct switchboard_peer *by_name;
    uint32_t last_number;
    uint64_t tick_ms;
    uint64_t curve_refused; /* as counted already */
    bool quiet;
    bool draining;
    uint32_t drain_within_ms;
    char endpoint[SWITCHBOARD_ENDPOINT_MAX];
    atomic_uint_fast64_t seen_peers;
    atomic_uint_fast64_t config_hash; /* of options at first */
};

/* switchboard_peers.c */
/* HELLO: linked and welcomed, or refused. `key`: the CURVE key it came with, "": none. */
void switchboard_take_hello(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                            const struct wire_hello *hello, const char *key);
/* Ends a link that is silent, or whose key is off the list. */
void switchboard_judge_peer(switchboard_t *self, struct switchboard_peer *peer, uint64_t now_ms);
struct switchboard_peer *switchboard_find_number(const switchboard_t *self, uint32_t number);
struct switchboard_peer *switchboard_find_routing(const switchboard_t *self, const struct routing_id *routing);
/* Every shard hears of it; what they post for this number from now on is dropped. */
void switchboard_drop_peer(switchboard_t *self, struct switchboard_peer *peer, const char *reason);
/* The same, and RESET to the gateway. */
void switchboard_reset_peer(switchboard_t *self, struct switchboard_peer *peer, enum wire_reset_reason reason);
/* Takes the bytes of *batch; a peer that does not take them is gone. */
void switchboard_send(switchboard_t *self, struct switchboard_peer *peer, struct buffer *batch);
void switchboard_send_drain(switchboard_t *self, struct switchboard_peer *peer);
/* RESET for a link that is none of ours. */
void switchboard_refuse(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                        enum wire_reset_reason reason);

#endif
