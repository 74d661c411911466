/* What broker_links.c (which brokers are live; life), broker_links_frames.c (what they send, and our heartbeats) and
 * broker_links_routing.c share; nobody else includes this. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_BROKER_LINKS_PARTS_H
#define CALLBOARD_GATEWAY_BROKER_LINKS_PARTS_H

#include "gateway/broker_links.h"

enum { SHARDS_A_WORD = 64 };

/* What we know of one address beside its directory entry. */
struct broker_link {
    broker_links_t *links;
    struct broker_entry *entry;
    uplink_t *uplink;
    uint8_t mode;
    bool stands_in; /* it said memory, and that this is not as it should be: until its next WELCOME */
    uint64_t degraded[UPLINK_SHARDS_MAX / SHARDS_A_WORD]; /* a bit for each shard, from its last beat */
    char *parked_for; /* the broker id because of which it was parked; NULL: it was not */
};

struct broker_links {
    struct broker_requests_settings settings; /* `config` is not valid after construction */
    char *gateway_id;
    bool has_curve;
    char broker_keys[CURVE_PUBLIC_KEYS][CURVE_KEY_TEXT_LENGTH + 1]; /* the second "": there is one */
    struct curve_keys keys;
    struct uplink_callbacks uplink_callbacks;
    uint32_t heartbeat_ms;
    uint32_t heartbeat_timeout_ms;
    uint32_t move_grace_ms;
    size_t departures_bytes;
    metric_values_t *metrics;
    metric_values_t *uplink_metrics;
    broker_directory_t *directory;
    struct broker_listener listeners[BROKER_LISTENERS];
    uv_idle_t idle;
    struct list_link deferred;
    bool draining;
    enum wire_mode mode;
    struct wire_totals totals;
    bool totals_known;
    uint64_t moved_counted;
    unsigned n_open; /* closing: what libuv still holds */
    void (*on_closed)(void *context);
    void *closed_context;
};

enum links_metric { METRIC_KNOWN, METRIC_ALIVE, METRIC_MOVED, METRIC_REFUSED, METRIC_COMMANDS, METRIC_GATEWAYS };

/* ---- broker_links.c ---- */
void links_tell_ranks(broker_links_t *self);
void links_note_shard(struct broker_link *link, uint16_t shard, bool degraded);

/* ---- broker_links_frames.c: for the uplinks ---- */
bool links_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame);
void links_on_sent(void *context, uplink_t *uplink, uint16_t shard);
void links_on_credit(void *context, uplink_t *uplink);
void links_fill_beat(void *context, uplink_t *uplink, uint16_t shard, struct wire_beat *beat);

#endif
