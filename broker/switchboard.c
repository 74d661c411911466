/*   gateway worker ──DEALER──▶ ROUTER ─▶ header ─┬─ lane 0xffff: HELLO → peer, WELCOME; RESET → gone
 *                                                └─ lane s: known link → shard s's inbox; unknown → RESET
 *   shards ──sealed batches──▶ inbox ─▶ ROUTER ─▶ gateway worker
 *
 * Trust: routing ids are libzmq's own and HANDOVER stays off, so nobody takes over a connection; with CURVE a gateway
 * id belongs to the key that used it first, as long as one of its workers is linked. libzmq asks for the key only when
 * a connection is made; so every half second links whose key is off the list are RESET(NOT_ALLOWED), and what comes on
 * their connections counts for nothing: HELLO is refused, batches have no link.
 *
 * Failure modes and the answer to each: HELLO from elsewhere for a (gateway, worker) that is linked → the old link is
 * RESET(REPLACED), the new one counts; a batch of an unknown link → RESET(UNKNOWN_LINK), its gateway says HELLO again;
 * no common version → RESET(VERSION); garbage → counted, and the link it came on is reset; a send that the ROUTER
 * refuses: unroutable → the peer is gone, full → counted and reset (credit makes it unreachable); a peer silent for
 * broker.peer_timeout → dropped, unless it was us who slept. Shards are told of every link that ends. */
#include "broker/switchboard.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/wire_lane.h"
#include "base/zmq_on_uv.h"
#include "broker/gateway_leases.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include <uthash.h>

enum {
    ROUTING_ID_MAX = 255,
    GATEWAY_ID_MAX = 255,
    PEERS_MAX = 8192,
    TICK_MS = 500,
    STOP_DEADLINE_MS = 10000,
    ENDPOINT_MAX = 256,
};

enum switchboard_metric {
    METRIC_PEERS,
    METRIC_HELLOS,
    METRIC_MALFORMED,
    METRIC_UNKNOWN_LINK,
    METRIC_REPLACED,
    METRIC_SILENT,
    METRIC_REFUSED,
    METRIC_SEND_FULL,
    METRIC_SEND_UNROUTABLE,
    METRIC_NOT_ALLOWED,
    METRIC_CURVE_REFUSED,
    METRIC_BYTES_IN,
    METRIC_BYTES_OUT,
    METRICS_COUNT,
};

static const struct metric_description metric_rows[METRICS_COUNT] = {
    [METRIC_PEERS] = {"callboard_broker_links", "Gateway workers that are linked.", METRIC_GAUGE, NULL},
    [METRIC_HELLOS] = {"callboard_broker_hellos_total", "HELLO frames of gateway workers.", METRIC_COUNTER, NULL},
    [METRIC_MALFORMED] = {"callboard_broker_malformed_batches_total", "Messages that are no batch of ours.",
                          METRIC_COUNTER, NULL},
    [METRIC_UNKNOWN_LINK] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                             "reason=\"unknown_link\""},
    [METRIC_REPLACED] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                         "reason=\"replaced\""},
    [METRIC_SILENT] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                       "reason=\"silent\""},
    [METRIC_REFUSED] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                        "reason=\"refused\""},
    [METRIC_SEND_FULL] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                          "reason=\"full\""},
    [METRIC_SEND_UNROUTABLE] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.",
                                METRIC_COUNTER, "reason=\"gone\""},
    [METRIC_NOT_ALLOWED] = {"callboard_broker_links_ended_total", "Links refused or ended, by reason.", METRIC_COUNTER,
                            "reason=\"key_not_allowed\""},
    [METRIC_CURVE_REFUSED] = {"callboard_curve_zap_refused_total",
                              "Connections refused because their key is not on the list.", METRIC_COUNTER,
                              "endpoint=\"gateways\""},
    [METRIC_BYTES_IN] = {"callboard_broker_link_received_bytes_total", "Bytes of batches received.", METRIC_COUNTER,
                         NULL},
    [METRIC_BYTES_OUT] = {"callboard_broker_link_sent_bytes_total", "Bytes of batches sent.", METRIC_COUNTER, NULL},
};

struct routing_id {
    uint8_t size;
    uint8_t bytes[ROUTING_ID_MAX];
};

struct peer {
    UT_hash_handle by_routing;
    UT_hash_handle by_number;
    UT_hash_handle by_name;
    uint32_t number;
    uint64_t link_epoch;
    uint16_t version;
    uint64_t boot_nonce;
    uint64_t last_heard_ms;
    struct routing_id routing;
    char *key; /* CURVE: the name of the gateway's key, else "" */
    uint32_t worker;
    size_t name_size; /* of name: worker, then the gateway's id */
    uint8_t name[sizeof(uint32_t) + GATEWAY_ID_MAX];
};

enum message_kind { MESSAGE_BATCH = 1, MESSAGE_RESET, MESSAGE_DRAIN, MESSAGE_QUIET };

struct message {
    struct actor_message message;
    uint32_t peer;
    uint64_t link_epoch;
    enum wire_reset_reason reason;
    uint32_t within_ms;
    struct buffer batch;
    uv_sem_t *done;
};

struct switchboard {
    struct switchboard_options options;
    shard_t *const *shards;
    actor_t *actor; /* NULL: not started */
    void *socket;
    zmq_on_uv_t *on_uv;
    uv_timer_t timer;
    metric_values_t *metrics;
    struct peer *by_routing;
    struct peer *by_number;
    struct peer *by_name;
    uint32_t last_number;
    uint64_t tick_ms;
    uint64_t curve_refused; /* as counted already */
    bool quiet;
    bool draining;
    uint32_t drain_within_ms;
    char endpoint[ENDPOINT_MAX];
    atomic_uint_fast64_t seen_peers;
};

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
        metric_add(self->metrics, METRIC_BYTES_OUT, size);
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
        return "a second broker beside one on the memory engine";
    case WIRE_RESET_REPLACED:
        return "this gateway worker linked itself from elsewhere";
    case WIRE_RESET_NOT_ALLOWED:
        return "the gateway's key is not on the list of broker.curve_allowed_dir";
    }
    return "";
}

static void send_reset(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                       enum wire_reset_reason reason) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_reset(&batch, &(struct wire_reset){(uint16_t) reason, span_of_text(reset_text(reason))});
    seal_own(&batch, link_epoch, WIRE_VERSION_MIN);
    send_bytes(self, routing, &batch);
}

/* ---- peers ---- */

static struct span gateway_id_of(const struct peer *peer) {
    return span_of(peer->name + sizeof peer->worker, peer->name_size - sizeof peer->worker);
}

static void log_link(const char *event, const struct peer *peer, const char *reason) {
    log_info(event, log_span("gateway", gateway_id_of(peer)), log_u64("worker", peer->worker),
             log_u64("link", peer->number), log_text("reason", reason));
}

/* Every shard hears of it; what they post for this number from now on is dropped here. */
static void drop_peer(switchboard_t *self, struct peer *peer, const char *reason) {
    log_link("gateway_unlinked", peer, reason);
    for (uint32_t i = 0; i < self->options.n_shards && !self->quiet; i++) {
        shard_post_peer_left(self->shards[i], peer->number);
    }
    HASH_DELETE(by_routing, self->by_routing, peer);
    HASH_DELETE(by_number, self->by_number, peer);
    HASH_DELETE(by_name, self->by_name, peer);
    memory_free(peer->key);
    memory_free(peer);
    metric_change(self->metrics, METRIC_PEERS, -1);
    atomic_store(&self->seen_peers, HASH_CNT(by_number, self->by_number));
}

static void reset_peer(switchboard_t *self, struct peer *peer, enum wire_reset_reason reason) {
    send_reset(self, &peer->routing, peer->link_epoch, reason);
    drop_peer(self, peer, reset_text(reason));
}

static void send_to_peer(switchboard_t *self, struct peer *peer, struct buffer *batch) {
    switch (send_bytes(self, &peer->routing, batch)) {
    case ZMQ_SENT:
        break;
    case ZMQ_FULL:
        metric_count(self->metrics, METRIC_SEND_FULL);
        log_error("send_refused_despite_credit", log_span("gateway", gateway_id_of(peer)),
                  log_u64("worker", peer->worker));
        drop_peer(self, peer, "full");
        break;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        metric_count(self->metrics, METRIC_SEND_UNROUTABLE);
        drop_peer(self, peer, "gone");
        break;
    }
}

static struct peer *find_by_number(const switchboard_t *self, uint32_t number) {
    struct peer *peer = NULL;
    HASH_FIND(by_number, self->by_number, &number, sizeof number, peer);
    return peer;
}

static struct peer *find_by_routing(const switchboard_t *self, const struct routing_id *routing) {
    struct peer *peer = NULL;
    HASH_FIND(by_routing, self->by_routing, routing->bytes, routing->size, peer);
    return peer;
}

/* ---- HELLO ---- */

static bool is_degraded(const switchboard_t *self, enum wire_mode *ret_mode) {
    bool degraded = false;
    for (uint32_t i = 0; i < self->options.n_shards; i++) {
        struct shard_figures figures;
        shard_read_figures(self->shards[i], &figures);
        degraded |= !figures.engine_connected;
        *ret_mode = figures.mode;
    }
    return degraded;
}

static void send_drain(switchboard_t *self, struct peer *peer) {
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_drain(&batch, &(struct wire_drain){self->drain_within_ms});
    seal_own(&batch, peer->link_epoch, peer->version);
    send_to_peer(self, peer, &batch);
}

static void send_welcome(switchboard_t *self, struct peer *peer) {
    const struct broker_config *config = self->options.config;
    enum wire_mode mode = WIRE_MODE_MEMORY;
    bool degraded = is_degraded(self, &mode);
    struct wire_welcome welcome = {.version = peer->version,
                                   .broker_id = span_of_text(self->options.broker_id),
                                   .boot_nonce = self->options.boot_nonce,
                                   .shards = (uint16_t) self->options.n_shards,
                                   .partitions = (uint32_t) config->partitions,
                                   .mode = (uint8_t) mode,
                                   .degraded = degraded,
                                   .heartbeat_ms = (uint32_t) config->heartbeat_ms,
                                   .credit_frames = WIRE_CREDIT_FRAMES,
                                   .credit_bytes = WIRE_CREDIT_BYTES,
                                   .config_hash = self->options.config_hash};
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    wire_encode_welcome(&batch, &welcome);
    if (self->draining) {
        wire_encode_drain(&batch, &(struct wire_drain){self->drain_within_ms});
    }
    seal_own(&batch, peer->link_epoch, peer->version);
    send_to_peer(self, peer, &batch);
}

static void make_name(struct peer *peer, const struct wire_hello *hello) {
    peer->worker = hello->worker;
    memcpy(peer->name, &peer->worker, sizeof peer->worker);
    memcpy(peer->name + sizeof peer->worker, hello->gateway_id.data, hello->gateway_id.size);
    peer->name_size = sizeof peer->worker + hello->gateway_id.size;
}

static void tell_shards(switchboard_t *self, const struct peer *peer) {
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
    for (const struct peer *peer = self->by_number; peer != NULL; peer = peer->by_number.next) {
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
    metric_count(self->metrics, METRIC_REFUSED);
    log_warning("gateway_refused", log_span("gateway", hello->gateway_id), log_u64("worker", hello->worker),
                log_text("reason", reset_text(reason)));
    send_reset(self, routing, link_epoch, reason);
    return false;
}

static void add_peer(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                     const struct wire_hello *hello, const char *key) {
    struct peer *peer = memory_alloc_zero(sizeof *peer);
    struct peer *old = NULL;
    make_name(peer, hello);
    HASH_FIND(by_name, self->by_name, peer->name, peer->name_size, old);
    if (old != NULL) {
        metric_count(self->metrics, METRIC_REPLACED);
        reset_peer(self, old, WIRE_RESET_REPLACED);
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
    metric_change(self->metrics, METRIC_PEERS, 1);
    atomic_store(&self->seen_peers, HASH_CNT(by_number, self->by_number));
    log_link("gateway_linked", peer, "hello");
    if (hello->config_hash != 0 && hello->config_hash != self->options.config_hash) {
        log_warning("config_differs", log_span("gateway", hello->gateway_id), log_u64("theirs", hello->config_hash),
                    log_u64("ours", self->options.config_hash));
    }
    tell_shards(self, peer);
    send_welcome(self, peer);
}

static void on_hello(switchboard_t *self, const struct routing_id *routing, uint64_t link_epoch,
                     const struct wire_hello *hello, const char *key) {
    metric_count(self->metrics, METRIC_HELLOS);
    struct peer *known = find_by_routing(self, routing);
    if (known != NULL && known->link_epoch == link_epoch) {
        send_welcome(self, known);
        return;
    }
    if (known != NULL) {
        drop_peer(self, known, "starts anew");
    }
    if (is_acceptable(self, routing, link_epoch, hello, key)) {
        add_peer(self, routing, link_epoch, hello, key);
    }
}

/* ---- receiving ---- */

static void on_malformed(switchboard_t *self, const struct routing_id *routing) {
    metric_count(self->metrics, METRIC_MALFORMED);
    struct peer *peer = find_by_routing(self, routing);
    if (peer != NULL) {
        reset_peer(self, peer, WIRE_RESET_BAD_FRAME);
    }
}

static void on_own_lane(switchboard_t *self, const struct routing_id *routing, const struct wire_batch_header *header,
                        struct cursor *frames, const char *key) {
    struct wire_frame frame;
    enum wire_outcome outcome;
    while ((outcome = wire_frame_next(frames, &frame)) == WIRE_OK) {
        struct wire_hello hello;
        struct wire_reset reset;
        if (frame.kind == WIRE_HELLO && wire_decode_hello(frame.body, &hello)) {
            on_hello(self, routing, header->link_epoch, &hello, key);
        } else if (frame.kind == WIRE_RESET && wire_decode_reset(frame.body, &reset)) {
            struct peer *peer = find_by_routing(self, routing);
            if (peer != NULL && peer->link_epoch == header->link_epoch) {
                drop_peer(self, peer, "reset by the gateway");
            }
        } else if ((frame.flags & WIRE_FRAME_SKIP) == 0) {
            on_malformed(self, routing);
            return;
        }
    }
    if (outcome != WIRE_END) {
        on_malformed(self, routing);
    }
}

static void on_shard_lane(switchboard_t *self, const struct routing_id *routing, const struct wire_batch_header *header,
                          zmq_msg_t *batch) {
    struct peer *peer = find_by_routing(self, routing);
    if (peer == NULL || peer->link_epoch != header->link_epoch) {
        metric_count(self->metrics, METRIC_UNKNOWN_LINK);
        send_reset(self, routing, header->link_epoch, WIRE_RESET_UNKNOWN_LINK);
        return;
    }
    if (header->shard >= self->options.n_shards) {
        on_malformed(self, routing);
        return;
    }
    peer->last_heard_ms = clock_monotonic_ms();
    shard_post_batch(self->shards[header->shard], peer->number, batch);
}

/* The mark of a CURVE client, made by the ZAP handler; "" without CURVE. */
static const char *key_of_message(zmq_msg_t *message) {
    const char *key = zmq_msg_gets(message, "User-Id");
    return key == NULL ? "" : key;
}

static void on_message(void *context, zmq_msg_t *frames, size_t n_frames) {
    switchboard_t *self = context;
    if (self->quiet) {
        return;
    }
    struct routing_id routing = {.size = 0};
    if (n_frames == 0 || zmq_msg_size(&frames[0]) > ROUTING_ID_MAX) {
        metric_count(self->metrics, METRIC_MALFORMED);
        return;
    }
    routing.size = (uint8_t) zmq_msg_size(&frames[0]);
    memcpy(routing.bytes, zmq_msg_data(&frames[0]), routing.size);
    struct wire_batch_header header;
    struct cursor rest;
    struct span batch = n_frames == 2 ? span_of(zmq_msg_data(&frames[1]), zmq_msg_size(&frames[1])) : SPAN_EMPTY;
    if (wire_batch_open(batch, &header, &rest) != WIRE_OK) {
        on_malformed(self, &routing);
        return;
    }
    metric_add(self->metrics, METRIC_BYTES_IN, batch.size);
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        on_own_lane(self, &routing, &header, &rest, key_of_message(&frames[1]));
    } else {
        on_shard_lane(self, &routing, &header, &frames[1]);
    }
}

/* ---- what shards and the broker post ---- */

static void drop_message(void *context, struct actor_message *base) {
    (void) context;
    struct message *message = (struct message *) (void *) base;
    buffer_finish(&message->batch);
    if (message->done != NULL) {
        uv_sem_post(message->done);
    }
    memory_free(message);
}

static void on_drain(switchboard_t *self, uint32_t within_ms) {
    self->draining = true;
    self->drain_within_ms = within_ms;
    struct peer *peer = NULL;
    struct peer *next = NULL;
    HASH_ITER(by_number, self->by_number, peer, next) {
        send_drain(self, peer);
    }
}

static void on_posted(void *context, struct actor_message *base) {
    switchboard_t *self = context;
    struct message *message = (struct message *) (void *) base;
    struct peer *peer = find_by_number(self, message->peer);
    switch ((enum message_kind) base->kind) {
    case MESSAGE_BATCH:
        if (peer != NULL) {
            send_to_peer(self, peer, &message->batch);
        }
        break;
    case MESSAGE_RESET:
        if (peer != NULL) {
            reset_peer(self, peer, message->reason);
        }
        break;
    case MESSAGE_DRAIN:
        on_drain(self, message->within_ms);
        break;
    case MESSAGE_QUIET:
        self->quiet = true;
        break;
    }
    drop_message(context, base);
}

static void post(switchboard_t *self, const struct message *model) {
    struct message *message = memory_alloc(sizeof *message);
    *message = *model;
    message->message.bytes = sizeof *message + model->batch.size;
    struct actor_message *base = &message->message;
    if (actor_post_control(self->actor, &base) != ACTOR_POSTED) {
        drop_message(self, &message->message);
    }
}

void switchboard_post_batch(void *context, uint32_t peer, uint64_t link_epoch, struct buffer *batch) {
    post(context, &(struct message){
                      .message = {.kind = MESSAGE_BATCH}, .peer = peer, .link_epoch = link_epoch, .batch = *batch});
    *batch = BUFFER_EMPTY;
}

void switchboard_post_reset(void *context, uint32_t peer, enum wire_reset_reason reason) {
    post(context, &(struct message){.message = {.kind = MESSAGE_RESET}, .peer = peer, .reason = reason});
}

void switchboard_post_drain(switchboard_t *self, uint32_t within_ms) {
    post(self, &(struct message){.message = {.kind = MESSAGE_DRAIN}, .within_ms = within_ms});
}

void switchboard_quiet(switchboard_t *self) {
    if (self->actor == NULL) {
        return;
    }
    uv_sem_t done;
    check(uv_sem_init(&done, 0) == 0, "semaphore");
    post(self, &(struct message){.message = {.kind = MESSAGE_QUIET}, .done = &done});
    uv_sem_wait(&done);
    uv_sem_destroy(&done);
}

/* ---- silence, and keys taken off the list ---- */

static void judge_peer(switchboard_t *self, struct peer *peer, uint64_t now_ms) {
    if (now_ms - peer->last_heard_ms > (uint64_t) self->options.config->peer_timeout_ms) {
        metric_count(self->metrics, METRIC_SILENT);
        drop_peer(self, peer, "silent");
    } else if (!is_key_allowed(self, peer->key)) {
        metric_count(self->metrics, METRIC_NOT_ALLOWED);
        log_warning("gateway_key_revoked", log_span("gateway", gateway_id_of(peer)), log_text("key", peer->key));
        reset_peer(self, peer, WIRE_RESET_NOT_ALLOWED);
    }
}

static void count_curve_refusals(switchboard_t *self) {
    uint64_t total = self->options.curve_zap == NULL ? 0 : curve_zap_refused_total(self->options.curve_zap);
    metric_add(self->metrics, METRIC_CURVE_REFUSED, total - self->curve_refused);
    self->curve_refused = total;
}

static void on_tick(uv_timer_t *timer) {
    switchboard_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    bool slept = now_ms - self->tick_ms > 2 * TICK_MS;
    self->tick_ms = now_ms;
    count_curve_refusals(self);
    if (slept) {
        return; /* what they sent meanwhile is not read yet */
    }
    struct peer *peer = NULL;
    struct peer *next = NULL;
    HASH_ITER(by_number, self->by_number, peer, next) {
        judge_peer(self, peer, now_ms);
    }
}

/* ---- life ---- */

static void set_option(void *socket, int option, int value) {
    check(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "ZeroMQ option %d: %s", option,
          zmq_strerror(errno));
}

static void set_options(switchboard_t *self) {
    void *socket = self->socket;
    /* Credit keeps each lane below this; the mark is for the sum of a peer's lanes. */
    int mark = 2 * WIRE_CREDIT_FRAMES * (int) (self->options.n_shards + 1);
    int64_t message_max = (int64_t) WIRE_BATCH_MAX;
    set_option(socket, ZMQ_LINGER, 0);
    set_option(socket, ZMQ_ROUTER_MANDATORY, 1);
    set_option(socket, ZMQ_SNDHWM, mark);
    set_option(socket, ZMQ_RCVHWM, mark);
    set_option(socket, ZMQ_IPV6, self->options.endpoint != NULL && strchr(self->options.endpoint, '[') != NULL);
    set_option(socket, ZMQ_TCP_KEEPALIVE, 1);
    set_option(socket, ZMQ_TCP_KEEPALIVE_IDLE, 5);
    set_option(socket, ZMQ_TCP_KEEPALIVE_INTVL, 2);
    set_option(socket, ZMQ_TCP_KEEPALIVE_CNT, 3);
    set_option(socket, ZMQ_HANDSHAKE_IVL, 5000);
    check(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0, "ZMQ_MAXMSGSIZE");
}

static bool bind_to(switchboard_t *self, const char *endpoint, char *ret_error, size_t error_size) {
    if (endpoint == NULL || zmq_bind(self->socket, endpoint) == 0) {
        return true;
    }
    snprintf(ret_error, error_size, "cannot listen for gateways on %s: %s", endpoint, zmq_strerror(errno));
    return false;
}

static bool open_socket(switchboard_t *self, char *ret_error, size_t error_size) {
    const struct switchboard_options *options = &self->options;
    self->socket = zmq_socket(options->zmq_context, ZMQ_ROUTER);
    if (self->socket == NULL) {
        snprintf(ret_error, error_size, "no ZeroMQ socket: %s", zmq_strerror(errno));
        return false;
    }
    set_options(self);
    if (options->curve_keys != NULL &&
        !curve_keys_apply_server(self->socket, options->curve_keys, "callboard-gateways")) {
        snprintf(ret_error, error_size, "this libzmq does not take CURVE keys");
        return false;
    }
    if (!bind_to(self, options->inproc_endpoint, ret_error, error_size) ||
        !bind_to(self, options->endpoint, ret_error, error_size)) {
        return false;
    }
    if (options->endpoint != NULL) {
        size_t size = sizeof self->endpoint;
        zmq_getsockopt(self->socket, ZMQ_LAST_ENDPOINT, self->endpoint, &size);
    }
    return true;
}

static const struct zmq_on_uv_callbacks socket_callbacks = {.on_message = on_message};

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    switchboard_t *self = context;
    self->actor = actor; /* before the first peer, hence before anyone posts */
    if (!open_socket(self, ret_error, error_size)) {
        if (self->socket != NULL) {
            zmq_close(self->socket);
        }
        return false;
    }
    self->on_uv = zmq_on_uv_new(actor_loop(actor), self->socket, &socket_callbacks, self, 0);
    check(self->on_uv != NULL, "the loop refused the socket's descriptor");
    self->tick_ms = clock_monotonic_ms();
    uv_timer_init(actor_loop(actor), &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_tick, TICK_MS, TICK_MS);
    return true;
}

static void on_released(void *context) {
    switchboard_t *self = context;
    zmq_close(self->socket);
    self->socket = NULL;
}

static void on_stop(void *context) {
    switchboard_t *self = context;
    uv_close((uv_handle_t *) &self->timer, NULL);
    zmq_on_uv_close(&self->on_uv, on_released, self);
}

static const struct actor_callbacks callbacks = {
    .on_start = on_start, .on_message = on_posted, .on_stop = on_stop, .drop_message = drop_message};

static void finish(switchboard_t *self) {
    struct peer *peer = NULL;
    struct peer *next = NULL;
    self->quiet = true;
    HASH_ITER(by_number, self->by_number, peer, next) {
        drop_peer(self, peer, "the broker ends");
    }
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

switchboard_t *switchboard_new(const struct switchboard_options *options) {
    switchboard_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->metrics = metric_values_new(options->metrics, metric_rows, METRICS_COUNT);
    return self;
}

bool switchboard_start(switchboard_t *self, shard_t *const *shards, char *ret_error, size_t error_size) {
    self->shards = shards;
    /* on_start notes the actor itself: shards may post before actor_new returns. */
    actor_t *actor = actor_new("switchboard", &callbacks, self, &ACTOR_LIMITS_DEFAULT, ret_error, error_size);
    if (actor == NULL) {
        self->actor = NULL;
    }
    return actor != NULL;
}

void switchboard_destroy(switchboard_t **self_p) {
    switchboard_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    if (self->actor != NULL) {
        actor_destroy(&self->actor, STOP_DEADLINE_MS);
    }
    finish(self);
    *self_p = NULL;
}

void switchboard_read_figures(const switchboard_t *self, struct switchboard_figures *ret_figures) {
    *ret_figures = (struct switchboard_figures){.peers = atomic_load(&self->seen_peers),
                                                .stalled_ms = self->actor == NULL ? 0 : actor_stalled_ms(self->actor)};
}

const char *switchboard_endpoint(const switchboard_t *self) {
    return self->endpoint;
}
