/* One socket is one life of a link: after a loss the old socket is closed and a new one dials, with a new link epoch,
 * so that nothing of the old link can be taken for the new one's.
 *
 * Happy path: dial, HELLO as soon as ZeroMQ takes it, WELCOME, lanes: what goes out is uplink_lanes.c, what comes in
 * uplink_receive.c.
 *
 * Failure modes:
 * - TCP breaks and ZeroMQ reconnects behind our back: the broker knows the new connection by no HELLO and says
 *   RESET(UNKNOWN_LINK). Lost.
 * - a broker that we do not want (mode, partitions): told by RESET, asked again after the longest delay.
 * - no connection, no WELCOME: dialled anew, by backoff.
 * Lane 0xffff is the switchboard's: no numbers, no credit (wire.h). */
#include "gateway/uplink.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "gateway/uplink_parts.h"

enum {
    BACKOFF_FIRST_MS = 200,
    BACKOFF_CAP_MS = 5000,
    BACKOFF_FLOOR_MS = 20,
    GREETING_TIMEOUT_MS = 3000,
    PARKED_DELAY_MS = 3600 * 1000,
    NOT_REACHED_LOG_EACH = 10,
};

/* A socket that zmq_on_uv still holds. */
struct closing_socket {
    uplink_t *uplink;
    void *socket;
};

/* clang-format off */
const struct metric_description uplink_metric_table[] = {
#define UPLINK_METRIC_ROW(id, text, describes, kind, constant) {.name = text, .help = describes, .type = kind, .labels = constant},
    UPLINK_METRICS(UPLINK_METRIC_ROW)
#undef UPLINK_METRIC_ROW
};
/* clang-format on */
const size_t uplink_metric_count = sizeof uplink_metric_table / sizeof uplink_metric_table[0];

/* ---- the end of a link ---- */

void uplink_set_timer(uplink_t *self, uint64_t delay_ms) {
    timer_wheel_set(self->settings.wheel, &self->timer, clock_monotonic_ms() + delay_ms);
}

/* The first time, then now and then: a broker may be away for long. */
static void tell_not_reached(uplink_t *self, const char *reason) {
    if (self->n_not_reached++ % NOT_REACHED_LOG_EACH == 0) {
        log_warning("broker_not_reached", log_text("endpoint", self->endpoint), log_text("reason", reason),
                    log_u64("attempts", self->n_not_reached));
    }
}

/* The rest is done by uplink_settle. delay_ms 0: by backoff. */
void uplink_die(uplink_t *self, const char *reason, enum uplink_metric metric, uint32_t delay_ms) {
    if (self->state != UPLINK_GREETING && self->state != UPLINK_LIVE) {
        return;
    }
    self->was_live = self->state == UPLINK_LIVE;
    self->state = UPLINK_DYING;
    self->death_delay = delay_ms;
    uplink_count(self, self->was_live ? metric : UPLINK_METRIC_GREETINGS_FAILED);
    if (self->was_live) {
        metric_change(self->settings.metrics, UPLINK_METRIC_LIVE, -1);
        log_warning("broker_link_lost", log_text("endpoint", self->endpoint), log_text("reason", reason));
    } else {
        tell_not_reached(self, reason);
    }
    self->settings.callbacks->on_wake(self->settings.context);
}

static void uplink_free(uplink_t *self) {
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->closed_context;
    buffer_finish(&self->scrap);
    memory_free(self->endpoint);
    memory_free(self);
    on_closed(context);
}

static void on_socket_released(void *context) {
    struct closing_socket *closing = context;
    uplink_t *self = closing->uplink;
    zmq_close(closing->socket);
    memory_free(closing);
    self->n_closing--;
    if (self->closing && self->n_closing == 0) {
        uplink_free(self);
    }
}

static void close_socket(uplink_t *self) {
    if (self->socket == NULL) {
        return;
    }
    struct closing_socket *closing = memory_alloc(sizeof *closing);
    *closing = (struct closing_socket){.uplink = self, .socket = self->socket};
    self->socket = NULL;
    self->n_closing++;
    if (self->on_uv == NULL) {
        on_socket_released(closing);
        return;
    }
    zmq_on_uv_close(&self->on_uv, on_socket_released, closing);
}

static void drop_lanes(uplink_t *self) {
    for (uint16_t i = 0; i < self->n_lanes; i++) {
        wire_lane_destroy(&self->lanes[i].lane);
        buffer_finish(&self->lanes[i].batch);
    }
    memory_free(self->lanes);
    self->lanes = NULL;
    self->n_lanes = 0;
}

void uplink_settle(uplink_t *self) {
    if (self->state != UPLINK_DYING) {
        return;
    }
    close_socket(self);
    drop_lanes(self);
    self->state = UPLINK_WAITING;
    uplink_set_timer(self, self->death_delay != 0 ? self->death_delay : backoff_next_ms(&self->backoff));
    if (self->was_live) {
        self->was_live = false;
        self->settings.callbacks->on_lost(self->settings.context, self);
    }
}

/* ---- dialling ---- */

static void greet(uplink_t *self) {
    wire_batch_begin(&self->scrap);
    wire_encode_hello(&self->scrap, &(struct wire_hello){.version_min = WIRE_VERSION_MIN,
                                                         .version_max = WIRE_VERSION,
                                                         .gateway_id = span_of_text(self->settings.gateway_id),
                                                         .worker = self->settings.worker,
                                                         .boot_nonce = self->settings.boot_nonce,
                                                         .config_hash = *self->settings.config_hash});
    uplink_seal_for_switchboard(self);
    switch (uplink_send(self, buffer_span(&self->scrap))) {
    case UPLINK_SENT:
        self->hello_sent = true;
        return;
    case UPLINK_SEND_FULL: /* not connected yet: on_writable */
        return;
    case UPLINK_SEND_FAILED:
        uplink_die(self, "send failed", UPLINK_METRIC_LOST_OTHER, 0);
        return;
    }
}

static void on_writable(void *context) {
    uplink_t *self = context;
    if (self->state == UPLINK_GREETING && !self->hello_sent) {
        greet(self);
    }
}

static bool set_option(void *socket, int option, int value) {
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

/* pitfalls.md 4.2 */
static bool set_options(void *socket) {
    int64_t message_max = (int64_t) WIRE_BATCH_MAX;
    return set_option(socket, ZMQ_LINGER, 0) && set_option(socket, ZMQ_SNDHWM, 2 * WIRE_CREDIT_FRAMES) &&
           set_option(socket, ZMQ_RCVHWM, 2 * WIRE_CREDIT_FRAMES) && set_option(socket, ZMQ_IMMEDIATE, 1) &&
           set_option(socket, ZMQ_HANDSHAKE_IVL, 3000) && set_option(socket, ZMQ_HEARTBEAT_IVL, 500) &&
           set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, 1500) && set_option(socket, ZMQ_HEARTBEAT_TTL, 2000) &&
           set_option(socket, ZMQ_TCP_KEEPALIVE, 1) && set_option(socket, ZMQ_TCP_KEEPALIVE_IDLE, 10) &&
           set_option(socket, ZMQ_TCP_KEEPALIVE_INTVL, 5) && set_option(socket, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
           set_option(socket, ZMQ_RECONNECT_IVL, 200) && set_option(socket, ZMQ_RECONNECT_IVL_MAX, 5000) &&
           set_option(socket, ZMQ_IPV6, 1) &&
           zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0;
}

static bool open_socket(uplink_t *self) {
    static const struct zmq_on_uv_callbacks callbacks = {uplink_on_message, uplink_on_flush, on_writable};
    const struct uplink_settings *settings = &self->settings;
    self->socket = zmq_socket(settings->zmq_context, ZMQ_DEALER);
    if (self->socket == NULL) {
        return false;
    }
    bool is_curved = settings->keys != NULL && !span_starts_with(span_of_text(self->endpoint), SPAN_LITERAL("inproc"));
    self->batch_close = is_curved ? WIRE_BATCH_CLOSE_CURVE : WIRE_BATCH_CLOSE;
    if (!set_options(self->socket) ||
        (is_curved &&
         !curve_keys_apply_client(self->socket, settings->keys, settings->broker_public_keys[self->broker_key])) ||
        zmq_connect(self->socket, self->endpoint) != 0) {
        return false;
    }
    self->on_uv = zmq_on_uv_new(settings->loop, self->socket, &callbacks, self, 0);
    return self->on_uv != NULL;
}

static void dial(uplink_t *self) {
    self->state = UPLINK_GREETING;
    self->hello_sent = false;
    do {
        self->link_epoch = random_u64();
    } while (self->link_epoch == 0);
    uplink_set_timer(self, GREETING_TIMEOUT_MS);
    if (!open_socket(self)) {
        log_warning("broker_dial_failed", log_text("endpoint", self->endpoint),
                    log_text("reason", zmq_strerror(zmq_errno())));
        uplink_die(self, "dial failed", UPLINK_METRIC_LOST_OTHER, 0);
        return;
    }
    greet(self);
}

/* While the brokers' pair is exchanged for another one, some have this one and some that. Which one a broker has shows
 * only in that no connection comes about. */
static void take_other_key(uplink_t *self) {
    const char *next = self->settings.keys == NULL ? NULL : self->settings.broker_public_keys[1];
    if (!self->hello_sent && next != NULL && next[0] != '\0') {
        self->broker_key = 1 - self->broker_key;
    }
}

static void on_timer(struct timer_entry *timer) {
    uplink_t *self = list_entry(timer, uplink_t, timer);
    switch (self->state) {
    case UPLINK_WAITING:
        dial(self);
        return;
    case UPLINK_GREETING:
        take_other_key(self);
        uplink_die(self,
                   self->hello_sent ? "no WELCOME"
                                    : "no connection; is the broker there, and do the CURVE keys of both ends fit?",
                   UPLINK_METRIC_LOST_OTHER, 0);
        return;
    case UPLINK_LIVE:
        uplink_beat_all(self);
        return;
    case UPLINK_DYING:
        return;
    }
}

void uplink_park(uplink_t *self) {
    if (self->state == UPLINK_LIVE) {
        uplink_tell_reset(self, WIRE_RESET_REPLACED, "another link goes to this broker");
        uplink_die(self, "replaced", UPLINK_METRIC_LOST_OTHER, PARKED_DELAY_MS);
    }
}

void uplink_hurry(uplink_t *self) {
    if (self->state == UPLINK_WAITING) {
        uplink_set_timer(self, 0);
    }
}

/* ---- life ---- */

uplink_t *uplink_new(const struct uplink_settings *settings) {
    check(settings->heartbeat_ms > 0, "heartbeat of 0 ms");
    uplink_t *self = memory_alloc_zero(sizeof *self);
    self->settings = *settings;
    self->endpoint = memory_strdup(settings->endpoint);
    self->settings.endpoint = self->endpoint;
    backoff_init(&self->backoff, BACKOFF_FIRST_MS, BACKOFF_CAP_MS, BACKOFF_FLOOR_MS);
    timer_entry_init(&self->timer, on_timer);
    dial(self);
    return self;
}

void uplink_close(uplink_t **self_p, void (*on_closed)(void *context), void *context) {
    uplink_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        on_closed(context);
        return;
    }
    if (self->state == UPLINK_LIVE) {
        metric_change(self->settings.metrics, UPLINK_METRIC_LIVE, -1);
    }
    self->state = UPLINK_WAITING;
    timer_wheel_cancel(self->settings.wheel, &self->timer);
    drop_lanes(self);
    self->closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    self->n_closing++; /* holds it while close_socket may release at once */
    close_socket(self);
    self->n_closing--;
    if (self->n_closing == 0) {
        uplink_free(self);
    }
}

void uplink_reset(uplink_t *self, enum wire_reset_reason reason) {
    if (self->state == UPLINK_LIVE) {
        uplink_tell_reset(self, reason, "the gateway starts anew");
        uplink_die(self, "own reset", UPLINK_METRIC_LOST_OTHER, 0);
    }
}

bool uplink_is_live(const uplink_t *self) {
    return self->state == UPLINK_LIVE;
}

uint16_t uplink_shards(const uplink_t *self) {
    return self->n_lanes;
}

const char *uplink_endpoint(const uplink_t *self) {
    return self->endpoint;
}

void uplink_set_owner_data(uplink_t *self, void *data) {
    self->owner_data = data;
}

void *uplink_owner_data(const uplink_t *self) {
    return self->owner_data;
}
