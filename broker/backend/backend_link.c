/* See backend_link.h. */
#include "broker/backend/backend_link.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "base/wire_lane.h"
#include "base/zmq_on_uv.h"

enum { RETRY_MS = 200, GREETING_MS = 2000 };

enum state { DOWN, GREETING, UP };

/* One shard's lane and what is open for it. */
struct lane {
    wire_lane_t *lane;
    struct buffer batch;
    uint32_t n_frames;
};

struct backend_link {
    struct backend_link_options options;
    enum state state;
    void *socket;
    zmq_on_uv_t *on_uv;
    uv_timer_t timer;
    uint64_t boot_nonce;
    uint64_t link_epoch;
    uint64_t state_since_ms;
    uint32_t n_partitions;
    uint16_t n_shards;
    struct lane *lanes;
    void (*on_closed)(void *context);
    void *closed_context;
    unsigned handles_left; /* to be closed */
};

static void free_lanes(backend_link_t *self) {
    for (uint16_t i = 0; i < self->n_shards; i++) {
        wire_lane_destroy(&self->lanes[i].lane);
        buffer_finish(&self->lanes[i].batch);
    }
    memory_free(self->lanes);
    self->lanes = NULL;
    self->n_shards = 0;
}

static void enter(backend_link_t *self, enum state state) {
    self->state = state;
    self->state_since_ms = clock_monotonic_ms();
}

/* Takes the buffer's bytes. A full pipe cannot be, by credit; if it is, the hole that follows resets the link. */
static void send_batch(backend_link_t *self, const struct buffer *batch) {
    zmq_msg_t frame;
    check(zmq_msg_init_size(&frame, batch->size) == 0, "no memory for a batch of %zu bytes", batch->size);
    memcpy(zmq_msg_data(&frame), batch->data, batch->size);
    if (zmq_on_uv_send(self->on_uv, &frame, 1) != ZMQ_SENT) {
        log_warning("backend_link_full", log_nothing);
    }
    zmq_msg_close(&frame);
}

static void go_down(backend_link_t *self, const char *reason) {
    bool was_up = self->state == UP;
    log_warning("backend_link_down", log_text("reason", reason));
    free_lanes(self);
    enter(self, DOWN);
    if (was_up) {
        self->options.on_down(self->options.context);
    }
}

static void say_hello(backend_link_t *self) {
    struct buffer batch = BUFFER_EMPTY;
    struct wire_hello hello = {
        .version_min = WIRE_VERSION_MIN,
        .version_max = WIRE_VERSION,
        .gateway_id = span_of_text(self->options.id),
        .boot_nonce = self->boot_nonce,
    };
    self->link_epoch = random_u64();
    struct wire_batch_header header = {
        .version = WIRE_VERSION_MIN, .shard = WIRE_SHARD_SWITCHBOARD, .link_epoch = self->link_epoch};
    wire_batch_begin(&batch);
    wire_encode_hello(&batch, &hello);
    wire_batch_seal(&batch, &header);
    send_batch(self, &batch);
    buffer_finish(&batch);
    enter(self, GREETING);
}

static void on_welcome(backend_link_t *self, const struct wire_welcome *welcome) {
    if (welcome->shards == 0 || !partition_count_is_valid(welcome->partitions)) {
        go_down(self, "welcome");
        return;
    }
    self->n_shards = welcome->shards;
    self->n_partitions = welcome->partitions;
    self->lanes = memory_alloc_array(self->n_shards, sizeof *self->lanes);
    for (uint16_t i = 0; i < self->n_shards; i++) {
        self->lanes[i].lane = wire_lane_new(self->link_epoch, i, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES,
                                            welcome->credit_frames, welcome->credit_bytes);
        wire_lane_speak(self->lanes[i].lane, welcome->version);
    }
    enter(self, UP);
    self->options.on_up(self->options.context);
}

static void on_switchboard_frame(backend_link_t *self, const struct wire_frame *frame) {
    struct wire_welcome welcome;
    if (frame->kind == WIRE_WELCOME && self->state == GREETING && wire_decode_welcome(frame->body, &welcome)) {
        on_welcome(self, &welcome);
    } else if (frame->kind == WIRE_RESET) {
        go_down(self, "reset");
    } else if (frame->kind == WIRE_DRAIN) {
        self->options.on_drain(self->options.context);
    }
}

static struct buffer *open_batch(backend_link_t *self, uint32_t shard) {
    struct lane *lane = &self->lanes[shard];
    if (lane->n_frames == 0) {
        wire_batch_begin(&lane->batch);
    }
    return &lane->batch;
}

/* A command for sessions, which it has none of: confirmed, so that nobody waits for it. */
static void confirm_command(backend_link_t *self, uint16_t shard, struct span body) {
    struct wire_command command;
    struct wire_commanded answer = {.n_workers = 1};
    if (!wire_decode_command(body, &command)) {
        go_down(self, "malformed COMMAND");
        return;
    }
    answer.request = command.request;
    wire_encode_commanded(open_batch(self, shard), &answer);
    backend_link_added(self, shard);
}

/* The batch's frames, in order; a frame's handler may bring the link down. */
static void handle_frames(backend_link_t *self, const struct wire_batch_header *header, struct cursor frames,
                          size_t bytes) {
    struct wire_frame frame;
    uint32_t n = 0;
    enum wire_outcome outcome;
    while ((outcome = wire_frame_next(&frames, &frame)) == WIRE_OK) {
        n++;
        if (header->shard == WIRE_SHARD_SWITCHBOARD) {
            on_switchboard_frame(self, &frame);
        } else if (frame.kind == WIRE_COMMAND) {
            confirm_command(self, header->shard, frame.body);
        } else {
            self->options.on_frame(self->options.context, &frame);
        }
        if (self->link_epoch != header->link_epoch ||
            (self->state == DOWN && header->shard != WIRE_SHARD_SWITCHBOARD)) {
            return;
        }
    }
    if (outcome != WIRE_END) {
        go_down(self, wire_outcome_text(outcome));
    } else if (header->shard != WIRE_SHARD_SWITCHBOARD && header->number != 0) {
        wire_lane_consumed(self->lanes[header->shard].lane, n, bytes);
    }
}

static void on_message(void *context, zmq_msg_t *frames, size_t n_frames) {
    backend_link_t *self = context;
    struct wire_batch_header header;
    struct cursor cursor;
    if (n_frames != 1) {
        return;
    }
    struct span batch = span_of(zmq_msg_data(&frames[0]), zmq_msg_size(&frames[0]));
    if (wire_batch_open(batch, &header, &cursor) != WIRE_OK || header.link_epoch != self->link_epoch ||
        self->state == DOWN) {
        return;
    }
    if (header.shard == WIRE_SHARD_SWITCHBOARD) {
        handle_frames(self, &header, cursor, batch.size);
        return;
    }
    if (self->state != UP || header.shard >= self->n_shards) {
        return;
    }
    switch (wire_lane_receive(self->lanes[header.shard].lane, &header)) {
    case WIRE_LANE_NEXT:
        handle_frames(self, &header, cursor, batch.size);
        return;
    case WIRE_LANE_ACK_ONLY:
    case WIRE_LANE_OLD_LINK:
        return;
    case WIRE_LANE_HOLE:
        go_down(self, "hole");
        return;
    }
}

static void beat(backend_link_t *self) {
    struct wire_beat frame = {.sent_us = clock_monotonic_us()};
    for (uint16_t i = 0; i < self->n_shards; i++) {
        if (self->lanes[i].n_frames == 0) {
            wire_batch_begin(&self->lanes[i].batch);
        }
        wire_encode_beat(&self->lanes[i].batch, &frame);
        self->lanes[i].n_frames++;
    }
    backend_link_flush(self);
}

static void on_timer(uv_timer_t *timer) {
    backend_link_t *self = timer->data;
    uint64_t waited_ms = clock_monotonic_ms() - self->state_since_ms;
    switch (self->state) {
    case DOWN:
        if (waited_ms >= RETRY_MS) {
            say_hello(self);
        }
        return;
    case GREETING:
        if (waited_ms >= GREETING_MS) {
            go_down(self, "no welcome");
        }
        return;
    case UP:
        beat(self);
        return;
    }
}

bool backend_link_is_up(const backend_link_t *self) {
    return self->state == UP;
}

struct buffer *backend_link_batch(backend_link_t *self, struct span channel, uint32_t *ret_shard) {
    if (self->state != UP) {
        return NULL;
    }
    *ret_shard = partition_shard(partition_of(channel, self->n_partitions), self->n_partitions, self->n_shards);
    return open_batch(self, *ret_shard);
}

void backend_link_added(backend_link_t *self, uint32_t shard) {
    self->lanes[shard].n_frames++;
}

static void flush_lane(backend_link_t *self, struct lane *lane) {
    if (lane->n_frames > 0 && wire_lane_has_credit(lane->lane, lane->n_frames, lane->batch.size)) {
        wire_lane_seal(lane->lane, &lane->batch, lane->n_frames);
        send_batch(self, &lane->batch);
        lane->n_frames = 0;
    } else if (wire_lane_ack_is_due(lane->lane)) {
        struct buffer ack = BUFFER_EMPTY;
        wire_batch_begin(&ack);
        wire_lane_seal_ack(lane->lane, &ack);
        send_batch(self, &ack);
        buffer_finish(&ack);
    }
}

void backend_link_flush(backend_link_t *self) {
    for (uint16_t i = 0; self->state == UP && i < self->n_shards; i++) {
        flush_lane(self, &self->lanes[i]);
    }
}

backend_link_t *backend_link_new(const struct backend_link_options *options) {
    static const struct zmq_on_uv_callbacks callbacks = {.on_message = on_message};
    backend_link_t *self = memory_alloc_zero(sizeof *self);
    int zero = 0;
    self->options = *options;
    self->boot_nonce = random_u64();
    self->socket = zmq_socket(options->zmq_context, ZMQ_DEALER);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &zero, sizeof zero);
    if (zmq_connect(self->socket, options->endpoint) != 0 ||
        (self->on_uv = zmq_on_uv_new(options->loop, self->socket, &callbacks, self, 0)) == NULL) {
        zmq_close(self->socket);
        memory_free(self);
        return NULL;
    }
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_timer, 0, options->heartbeat_ms);
    return self;
}

static void finish_close(backend_link_t *self) {
    if (--self->handles_left > 0) {
        return;
    }
    zmq_close(self->socket);
    free_lanes(self);
    self->on_closed(self->closed_context);
    memory_free(self);
}

static void on_socket_closed(void *context) {
    finish_close(context);
}

static void on_timer_closed(uv_handle_t *handle) {
    finish_close(handle->data);
}

void backend_link_close(backend_link_t **self_p, void (*on_closed)(void *context), void *context) {
    backend_link_t *self = *self_p;
    *self_p = NULL;
    self->on_closed = on_closed;
    self->closed_context = context;
    self->handles_left = 2;
    zmq_on_uv_close(&self->on_uv, on_socket_closed, self);
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
}
