/* Who is linked: HELLO and what it is judged by, silence, keys taken off the list, and what is sent.
 *
 * Trust: routing ids are libzmq's own and HANDOVER stays off, so nobody takes over a connection; with CURVE a gateway
 * id belongs to the key that used it first, as long as one of its workers is linked. libzmq asks for the key only when
 * a connection is made; so every half second links whose key is off the list are RESET(NOT_ALLOWED), and what comes on
 * their connections counts for nothing: HELLO is refused, batches have no link.
 *
 * Failure modes: HELLO from elsewhere for a (gateway, worker) that is linked → the old link is RESET(REPLACED), the new
 * one counts; no common version → RESET(VERSION); a send that the ROUTER refuses: unroutable → the peer is gone, full →
 * counted and dropped (credit makes it unreachable); a peer silent for broker.peer_timeout → dropped. Shards are told
 * of every link that ends. */
#include "broker/switchboard_parts.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wire_lane.h"
#include "broker/gateway_leases.h"

enum { PEERS_MAX = 8192 };

/* ---- sending ---- */

/* Takes the bytes of *batch. */
static enum zmq_send_result send_bytes(switchboard_t *self, const struct routing_id *routing, struct buffer *batch) {
    zmq_msg_t frames[2];
    size_t size = batch->size;
    zmq_msg_init_size(&frames[0], routing->size);
    memcpy(zmq_msg_data(&frames[0]), routing->bytes, routing->size);
    zmq_on_uv_frame_take(&frames[1], batch->data, size);
    *batch = BUFFER_EMPTY;
    enum zmq_send_result result = zmq_on_uv_send(self->on_uv, frames, 2);
    zmq_msg_close(&frames[0]);
    zmq_msg_close(&frames[1]);
    if (result == ZMQ_SENT) {
        metric_add(self->metrics, SWITCHBOARD_BYTES_OUT, size);
    }
    return result;
}

static void seal_own(struct buffer *batch, uint64_t link_epoch, uint16_t version) {
    wire_batch_seal(batch, &(struct wire_batch_header){.version = (uint8_t) version,
                                                       .shard = WIRE_SHARD_SWITCHBOARD,
                                                       .link_epoch = link_epoch,
                                                       .credit_frames = WIRE_CREDIT_FRAMES,
                                                       .credit_bytes = WIRE_CREDIT_BYTES});
}

static const char *reset_text(enum wire_reset_reason reason) {
    switch (reason) {
    case WIRE_RESET_UNKNOWN_LINK:
        return "no HELLO was seen for this link epoch";
    case WIRE_RESET_HOLE:
        return "a batch is missing";
    case WIRE_RESET_BAD_FRAME:
        return "malformed, or not yours to send";
    case WIRE_RESET_VERSION:
        return "no common version of the wire";
    case WIRE_RESET_OVERFLOW:
        return "too much waits for you";
    case WIRE_RESET_MODE:
        return "a second broker beside one on the memory engine, or the broker's engine is another one now";
    case WIRE_RESET_REPLACED:
        return "this gateway worker linked itself from elsewhere";
    case WIRE_RESET_NOT_ALLOWED:
        return "the gateway's key is not on the list of broker.curve_allowed_dir";
    }
    return "";
}

void switchboard_refuse(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                        enum wire_reset_reason reason) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_reset(&batch, &(struct wire_reset){(uint16_t) reason, span_of_text(reset_text(reason))});
    seal_own(&batch, link_epoch, WIRE_VERSION_MIN);
    send_bytes(self, routing, &batch);
}

/* ---- peers ---- */

static struct span gateway_id_of(const struct switchboard_peer *peer) {
    return span_of(peer->name + sizeof peer->worker, peer->name_size - sizeof peer->worker);
}

static void log_link(const char *event, const struct switchboard_peer *peer, const char *reason) {
    log_info(event, log_span("gateway", gateway_id_of(peer)), log_u64("worker", peer->worker),
             log_u64("link", peer->number), log_text("reason", reason));
}

/* Every shard hears of it; what they post for this number from now on is dropped here. */
void switchboard_drop_peer(switchboard_t *self, struct switchboard_peer *peer, const char *reason) {
    log_link("gateway_unlinked", peer, reason);
    for (uint32_t i = 0; i < self->options.n_shards && !self->quiet; i++) {
        shard_post_peer_left(self->shards[i], peer->number);
    }
    HASH_DELETE(by_routing, self->by_routing, peer);
    HASH_DELETE(by_number, self->by_number, peer);
    HASH_DELETE(by_name, self->by_name, peer);
    memory_free(peer->key);
    memory_free(peer);
    metric_change(self->metrics, SWITCHBOARD_PEERS, -1);
    atomic_store(&self->seen_peers, HASH_CNT(by_number, self->by_number));
}

void switchboard_reset_peer(switchboard_t *self, struct switchboard_peer *peer, enum wire_reset_reason reason) {
    switchboard_refuse(self, &peer->routing, peer->link_epoch, reason);
    switchboard_drop_peer(self, peer, reset_text(reason));
}

void switchboard_send(switchboard_t *self, struct switchboard_peer *peer, struct buffer *batch) {
    switch (send_bytes(self, &peer->routing, batch)) {
    case ZMQ_SENT:
        break;
    case ZMQ_FULL:
        metric_count(self->metrics, SWITCHBOARD_SEND_FULL);
        log_error("send_refused_despite_credit", log_span("gateway", gateway_id_of(peer)),
                  log_u64("worker", peer->worker));
        switchboard_drop_peer(self, peer, "full");
        break;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        metric_count(self->metrics, SWITCHBOARD_SEND_UNROUTABLE);
        switchboard_drop_peer(self, peer, "gone");
        break;
    }
}

struct switchboard_peer *switchboard_find_number(const switchboard_t *self, uint32_t number) {
    struct switchboard_peer *peer = NULL;
    HASH_FIND(by_number, self->by_number, &number, sizeof number, peer);
    return peer;
}

struct switchboard_peer *switchboard_find_routing(const switchboard_t *self, const struct routing_id *routing) {
    struct switchboard_peer *peer = NULL;
    HASH_FIND(by_routing, self->by_routing, routing->bytes, routing->size, peer);
    return peer;
}

/* ---- HELLO ---- */

/* Memory where one shard's is. */
static enum wire_mode engine_mode(const switchboard_t *self, bool *ret_degraded) {
    enum wire_mode mode = WIRE_MODE_REDIS;
    *ret_degraded = false;
    for (uint32_t i = 0; i < self->options.n_shards; i++) {
        struct shard_figures figures;
        shard_read_figures(self->shards[i], &figures);
        *ret_degraded |= !figures.engine_connected || figures.stands_in;
        mode = figures.mode == WIRE_MODE_MEMORY ? WIRE_MODE_MEMORY : mode;
    }
    return mode;
}

void switchboard_send_drain(switchboard_t *self, struct switchboard_peer *peer) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_drain(&batch, &(struct wire_drain){self->drain_within_ms});
    seal_own(&batch, peer->link_epoch, peer->version);
    switchboard_send(self, peer, &batch);
}

static void send_welcome(switchboard_t *self, struct switchboard_peer *peer) {
    const struct broker_config *config = self->options.config;
    bool degraded = false;
    peer->mode = engine_mode(self, &degraded);
    struct wire_welcome welcome = {.version = peer->version,
                                   .broker_id = span_of_text(self->options.broker_id),
                                   .boot_nonce = self->options.boot_nonce,
                                   .shards = (uint16_t) self->options.n_shards,
                                   .partitions = (uint32_t) config->partitions,
                                   .mode = (uint8_t) peer->mode,
                                   .degraded = degraded,
                                   .heartbeat_ms = (uint32_t) config->heartbeat_ms,
                                   .credit_frames = WIRE_CREDIT_FRAMES,
                                   .credit_bytes = WIRE_CREDIT_BYTES,
                                   .config_hash = atomic_load(&self->config_hash)};
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_welcome(&batch, &welcome);
    if (self->draining) {
        wire_encode_drain(&batch, &(struct wire_drain){self->drain_within_ms});
    }
    seal_own(&batch, peer->link_epoch, peer->version);
    switchboard_send(self, peer, &batch);
}

static void make_name(struct switchboard_peer *peer, const struct wire_hello *hello) {
    peer->worker = hello->worker;
    memcpy(peer->name, &peer->worker, sizeof peer->worker);
    memcpy(peer->name + sizeof peer->worker, hello->gateway_id.data, hello->gateway_id.size);
    peer->name_size = sizeof peer->worker + hello->gateway_id.size;
}

static void tell_shards(switchboard_t *self, const struct switchboard_peer *peer) {
    struct shard_peer model = {.number = peer->number,
                               .link_epoch = peer->link_epoch,
                               .version = peer->version,
                               .worker = peer->worker,
                               .boot_nonce = peer->boot_nonce,
                               .gateway_id = gateway_id_of(peer)};
    for (uint32_t i = 0; i < self->options.n_shards && !self->quiet; i++) {
        shard_post_peer_joined(self->shards[i], &model);
    }
}

/* The key a gateway id belongs to while one of its workers is linked; NULL: nobody's. */
static const char *key_of_gateway(const switchboard_t *self, struct span gateway_id) {
    for (const struct switchboard_peer *peer = self->by_number; peer != NULL; peer = peer->by_number.next) {
        if (span_equal(gateway_id_of(peer), gateway_id)) {
            return peer->key;
        }
    }
    return NULL;
}

/* Without a key it came over inproc: a CURVE server lets in nobody without one. */
static bool is_key_allowed(const switchboard_t *self, const char *key) {
    return key[0] == '\0' || self->options.curve_zap == NULL || curve_zap_allows(self->options.curve_zap, key);
}

/* 0: no common one. */
static uint16_t common_version(const struct wire_hello *hello) {
    uint16_t version = hello->version_max < WIRE_VERSION ? hello->version_max : WIRE_VERSION;
    return version >= WIRE_VERSION_MIN && version >= hello->version_min ? version : 0;
}

/* Not empty, not too long, and not what a broker's lease is called. */
static bool is_gateway_id(struct span id) {
    return id.size > 0 && id.size <= GATEWAY_ID_MAX && !span_starts_with(id, SPAN_LITERAL(LEASE_OF_BROKER));
}

static bool is_acceptable(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                          const struct wire_hello *hello, const char *key) {
    const char *owner = key_of_gateway(self, hello->gateway_id);
    enum wire_reset_reason reason;
    if (!is_key_allowed(self, key)) {
        reason = WIRE_RESET_NOT_ALLOWED;
    } else if (common_version(hello) == 0) {
        reason = WIRE_RESET_VERSION;
    } else if (!is_gateway_id(hello->gateway_id) || (owner != NULL && strcmp(owner, key) != 0)) {
        reason = WIRE_RESET_BAD_FRAME;
    } else if (HASH_CNT(by_number, self->by_number) >= PEERS_MAX) {
        reason = WIRE_RESET_OVERFLOW;
    } else {
        return true;
    }
    metric_count(self->metrics, SWITCHBOARD_REFUSED);
    log_warning("gateway_refused", log_span("gateway", hello->gateway_id), log_u64("worker", hello->worker),
                log_text("reason", reset_text(reason)));
    switchboard_refuse(self, routing, link_epoch, reason);
    return false;
}

static void add_peer(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                     const struct wire_hello *hello, const char *key) {
    struct switchboard_peer *peer = memory_alloc_zero(sizeof *peer);
    struct switchboard_peer *old = NULL;
    make_name(peer, hello);
    HASH_FIND(by_name, self->by_name, peer->name, peer->name_size, old);
    if (old != NULL) {
        metric_count(self->metrics, SWITCHBOARD_REPLACED);
        switchboard_reset_peer(self, old, WIRE_RESET_REPLACED);
    }
    peer->number = ++self->last_number;
    peer->link_epoch = link_epoch;
    peer->version = common_version(hello);
    peer->boot_nonce = hello->boot_nonce;
    peer->last_heard_ms = clock_monotonic_ms();
    peer->routing = *routing;
    peer->key = memory_strdup(key);
    HASH_ADD(by_routing, self->by_routing, routing.bytes[0], peer->routing.size, peer);
    HASH_ADD(by_number, self->by_number, number, sizeof peer->number, peer);
    HASH_ADD(by_name, self->by_name, name[0], peer->name_size, peer);
    metric_change(self->metrics, SWITCHBOARD_PEERS, 1);
    atomic_store(&self->seen_peers, HASH_CNT(by_number, self->by_number));
    log_link("gateway_linked", peer, "hello");
    uint64_t ours = atomic_load(&self->config_hash);
    if (hello->config_hash != 0 && hello->config_hash != ours) {
        log_warning("config_differs", log_span("gateway", hello->gateway_id), log_u64("theirs", hello->config_hash),
                    log_u64("ours", ours));
    }
    tell_shards(self, peer);
    send_welcome(self, peer);
}

void switchboard_take_hello(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                            const struct wire_hello *hello, const char *key) {
    metric_count(self->metrics, SWITCHBOARD_HELLOS);
    struct switchboard_peer *known = switchboard_find_routing(self, routing);
    if (known != NULL && known->link_epoch == link_epoch) {
        send_welcome(self, known);
        return;
    }
    if (known != NULL) {
        switchboard_drop_peer(self, known, "starts anew");
    }
    if (is_acceptable(self, routing, link_epoch, hello, key)) {
        add_peer(self, routing, link_epoch, hello, key);
    }
}

/* ---- silence, keys taken off the list, and another engine (redis.fallback) ---- */

void switchboard_judge_peer(switchboard_t *self, struct switchboard_peer *peer, uint64_t now_ms) {
    bool degraded = false;
    if (now_ms - peer->last_heard_ms > (uint64_t) self->options.config->peer_timeout_ms) {
        metric_count(self->metrics, SWITCHBOARD_SILENT);
        switchboard_drop_peer(self, peer, "silent");
    } else if (!is_key_allowed(self, peer->key)) {
        metric_count(self->metrics, SWITCHBOARD_NOT_ALLOWED);
        log_warning("gateway_key_revoked", log_span("gateway", gateway_id_of(peer)), log_text("key", peer->key));
        switchboard_reset_peer(self, peer, WIRE_RESET_NOT_ALLOWED);
    } else if (peer->mode != engine_mode(self, &degraded)) {
        switchboard_reset_peer(self, peer, WIRE_RESET_MODE); /* what it may do beside other brokers is different now */
    }
}
