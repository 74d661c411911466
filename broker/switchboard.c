/*   gateway worker ──DEALER──▶ ROUTER ─▶ header ─┬─ lane 0xffff: HELLO → peer, WELCOME; RESET → gone
 *                                                └─ lane s: known link → shard s's inbox; unknown → RESET
 *   shards ──sealed batches──▶ inbox ─▶ ROUTER ─▶ gateway worker
 *
 * Who is linked, and what ends a link, is switchboard_peers.c. Failure modes here: a batch of an unknown link →
 * RESET(UNKNOWN_LINK), its gateway says HELLO again; garbage → counted, and the link it came on is reset; it slept
 * itself → nobody is called silent in that tick. */
#include "broker/switchboard.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/curve_keys.h"
#include "base/memory.h"
#include "base/wire_lane.h"
#include "broker/switchboard_parts.h"

#include <errno.h>
#include <stdio.h>

enum { TICK_MS = 500, STOP_DEADLINE_MS = 10000 };

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

/* ---- receiving ---- */

static void on_malformed(switchboard_t *self, const struct routing_id *routing) {
    metric_count(self->metrics, SWITCHBOARD_MALFORMED);
    struct switchboard_peer *peer = switchboard_find_routing(self, routing);
    if (peer != NULL) {
        switchboard_reset_peer(self, peer, WIRE_RESET_BAD_FRAME);
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
            switchboard_take_hello(self, routing, header->link_epoch, &hello, key);
        } else if (frame.kind == WIRE_RESET && wire_decode_reset(frame.body, &reset)) {
            struct switchboard_peer *peer = switchboard_find_routing(self, routing);
            if (peer != NULL && peer->link_epoch == header->link_epoch) {
                switchboard_drop_peer(self, peer, "reset by the gateway");
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
    struct switchboard_peer *peer = switchboard_find_routing(self, routing);
    if (peer == NULL || peer->link_epoch != header->link_epoch) {
        metric_count(self->metrics, SWITCHBOARD_UNKNOWN_LINK);
        switchboard_refuse(self, routing, header->link_epoch, WIRE_RESET_UNKNOWN_LINK);
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
        metric_count(self->metrics, SWITCHBOARD_MALFORMED);
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
    metric_add(self->metrics, SWITCHBOARD_BYTES_IN, batch.size);
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
    struct switchboard_peer *peer = NULL;
    struct switchboard_peer *next = NULL;
    HASH_ITER(by_number, self->by_number, peer, next) {
        switchboard_send_drain(self, peer);
    }
}

static void on_posted(void *context, struct actor_message *base) {
    switchboard_t *self = context;
    struct message *message = (struct message *) (void *) base;
    struct switchboard_peer *peer = switchboard_find_number(self, message->peer);
    switch ((enum message_kind) base->kind) {
    case MESSAGE_BATCH:
        if (peer != NULL) {
            switchboard_send(self, peer, &message->batch);
        }
        break;
    case MESSAGE_RESET:
        if (peer != NULL) {
            switchboard_reset_peer(self, peer, message->reason);
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

/* ---- time ---- */

static void count_curve_refusals(switchboard_t *self) {
    uint64_t total = self->options.curve_zap == NULL ? 0 : curve_zap_refused_total(self->options.curve_zap);
    metric_add(self->metrics, SWITCHBOARD_CURVE_REFUSED, total - self->curve_refused);
    self->curve_refused = total;
}

static void on_tick(uv_timer_t *timer) {
    switchboard_t *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    bool slept = now_ms - self->tick_ms > 2 * TICK_MS;
    self->tick_ms = now_ms;
    count_curve_refusals(self);
    /* Asleep: what they sent meanwhile is not read yet. Quiet: they are judged by the shards' figures, too, and those
     * end meanwhile. */
    if (slept || self->quiet) {
        return;
    }
    struct switchboard_peer *peer = NULL;
    struct switchboard_peer *next = NULL;
    HASH_ITER(by_number, self->by_number, peer, next) {
        switchboard_judge_peer(self, peer, now_ms);
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
    struct switchboard_peer *peer = NULL;
    struct switchboard_peer *next = NULL;
    self->quiet = true;
    HASH_ITER(by_number, self->by_number, peer, next) {
        switchboard_drop_peer(self, peer, "the broker ends");
    }
    metric_values_destroy(&self->metrics);
    memory_free(self);
}

switchboard_t *switchboard_new(const struct switchboard_options *options) {
    switchboard_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    atomic_init(&self->config_hash, options->config_hash);
    self->metrics = metric_values_new(options->metrics, switchboard_metric_rows, SWITCHBOARD_METRICS_COUNT);
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

void switchboard_set_config_hash(switchboard_t *self, uint64_t hash) {
    atomic_store(&self->config_hash, hash);
}

void switchboard_read_figures(const switchboard_t *self, struct switchboard_figures *ret_figures) {
    *ret_figures = (struct switchboard_figures){.peers = atomic_load(&self->seen_peers),
                                                .stalled_ms = self->actor == NULL ? 0 : actor_stalled_ms(self->actor)};
}

const char *switchboard_endpoint(const switchboard_t *self) {
    return self->endpoint;
}
