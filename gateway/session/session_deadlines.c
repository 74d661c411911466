/* What a session waits for, on one timer: connect, pings and pongs, expiries, a stalled write.
 *
 * Happy path: the timer stands on the earliest deadline; when it fires, every deadline that is due is taken away and
 * handled, and the timer is set again. Pings go out every ping_interval, the first at a random time in its second half,
 * so that clients that came together do not answer together. A ping that is still unanswered is not followed by
 * another.
 *
 * Failure modes: no connect command in time: 3502. No pong in time: 3012; but while our own backlog stands in the
 * ping's way, or we have stopped reading, the client may not be blamed: it gets the time again (a stalled write ends in
 * 3008). Expiry without refresh: 3005, or 2501 for a subscription, after a grace; what hooks extend: when it is over
 * (session_hook_refresh.c). Older than connection_age_max: 3011, at an age by chance, as what one deploy or outage
 * brought together would leave together for ever. */
#include "gateway/session/session_commands.h"

#include "base/clock.h"
#include "base/random.h"

enum { AGE_STEPS = 1000000 };

static void rearm(session_t *self) {
    uint64_t earliest = UINT64_MAX;
    for (unsigned i = 0; i < SESSION_DEADLINES; i++) {
        if (self->deadlines[i] != 0 && self->deadlines[i] < earliest) {
            earliest = self->deadlines[i];
        }
    }
    if (earliest == UINT64_MAX) {
        timer_wheel_cancel(self->environment->wheel, &self->timer);
    } else if (!timer_entry_is_set(&self->timer) || self->timer.deadline_ms != earliest) {
        timer_wheel_set(self->environment->wheel, &self->timer, earliest);
    }
}

void session_set_deadline(session_t *self, enum session_deadline which, uint64_t at_ms) {
    self->deadlines[which] = at_ms;
    rearm(self);
}

void session_cancel_deadlines(session_t *self) {
    for (unsigned i = 0; i < SESSION_DEADLINES; i++) {
        self->deadlines[i] = 0;
    }
    timer_wheel_cancel(self->environment->wheel, &self->timer);
}

static uint64_t in_ms(int64_t delay_ms) {
    return clock_monotonic_ms() + (uint64_t) (delay_ms < 0 ? 0 : delay_ms);
}

uint64_t session_grace_end_ms(const session_t *self, int64_t expire_at_s) {
    int64_t left_ms = expire_at_s * 1000 - clock_wall_ms();
    return in_ms(left_ms + self->environment->config->expired_close_delay_ms);
}

/* ---- pings ---- */

static void set_owes_pong(session_t *self, bool owes) {
    struct session_environment *environment = self->environment;
    if (self->owes_pong == owes) {
        return;
    }
    self->owes_pong = owes;
    environment->dead += owes ? 1 : -1U;
    environment->alive += owes ? -1U : 1;
    session_count_change(self, SESSION_METRIC_DEAD, owes ? 1 : -1);
}

static payload_t *framed_ping(session_t *self) {
    const struct client_codec *codec = self->pings_by_frames ? client_codec_of(CLIENT_ENCODING_RAW) : self->codec;
    payload_t **ping = &self->environment->pings[codec->encoding];
    if (*ping == NULL) {
        struct buffer message = BUFFER_EMPTY;
        codec->encode_ping(&message);
        *ping = self->transport->methods->frame(codec->encoding, buffer_span(&message));
        buffer_finish(&message);
    }
    return *ping;
}

void session_ping_by_frames(session_t *self) {
    self->pings_by_frames = true;
}

void session_start_pings(session_t *self) {
    int64_t half_ms = self->environment->config->ping_interval_ms / 2;
    if (half_ms > 0) {
        session_set_deadline(self, SESSION_DEADLINE_PING, in_ms(half_ms + random_below((uint32_t) half_ms + 1)));
    }
}

static void on_ping_due(session_t *self) {
    const struct gateway_config *config = self->environment->config;
    session_set_deadline(self, SESSION_DEADLINE_PING, in_ms(config->ping_interval_ms));
    if (self->owes_pong) {
        return;
    }
    session_queue(self, payload_ref(framed_ping(self)));
    if (config->pong_timeout_ms > 0 && self->state == SESSION_CONNECTED) {
        set_owes_pong(self, true);
        session_set_deadline(self, SESSION_DEADLINE_PONG, in_ms(config->pong_timeout_ms));
    }
}

static void on_pong_missing(session_t *self) {
    if (self->backlogged || self->is_paused) {
        session_set_deadline(self, SESSION_DEADLINE_PONG, in_ms(self->environment->config->pong_timeout_ms));
        return;
    }
    session_disconnect(self, DISCONNECT_NO_PONG);
}

void session_handle_pong(session_t *self, const struct client_command *command) {
    (void) command;
    if (!self->owes_pong) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    set_owes_pong(self, false);
    session_set_deadline(self, SESSION_DEADLINE_PONG, 0);
}

void session_on_pong(session_t *self) {
    if (self->owes_pong && (self->pings_by_frames || self->raw != NULL)) {
        session_handle_pong(self, NULL);
    }
}

/* ---- age ---- */

void session_start_aging(session_t *self) {
    int64_t most_ms = self->environment->config->connection_age_max_ms;
    if (most_ms > 0) {
        uint64_t spread_ms = (uint64_t) most_ms / 5;
        uint64_t earlier_ms = spread_ms * random_below(AGE_STEPS + 1) / AGE_STEPS;
        session_set_deadline(self, SESSION_DEADLINE_AGE, in_ms(most_ms) - earlier_ms);
    }
}

/* A reload may have taken the bound away. */
static void on_too_old(session_t *self) {
    if (self->environment->config->connection_age_max_ms > 0) {
        session_count(self, SESSION_METRIC_AGED);
        session_disconnect(self, DISCONNECT_FORCE_RECONNECT);
    }
}

/* ---- the others ---- */

static void on_no_connect(session_t *self) {
    session_disconnect(self, DISCONNECT_STALE);
}

static void on_stalled(session_t *self) {
    session_disconnect(self, DISCONNECT_SLOW);
}

static void (*const handlers[SESSION_DEADLINES])(session_t *self) = {
    [SESSION_DEADLINE_CONNECT] = on_no_connect,
    [SESSION_DEADLINE_PING] = on_ping_due,
    [SESSION_DEADLINE_PONG] = on_pong_missing,
    [SESSION_DEADLINE_EXPIRY] = session_on_expired,
    [SESSION_DEADLINE_SUBSCRIPTION] = session_expire_subscriptions,
    [SESSION_DEADLINE_STALL] = on_stalled,
    [SESSION_DEADLINE_FLUSH] = session_flush_waiting,
    [SESSION_DEADLINE_AGE] = on_too_old,
};

static void on_timer(struct timer_entry *entry) {
    session_t *self = list_entry(entry, struct session, timer);
    uint64_t now_ms = clock_monotonic_ms();
    for (unsigned i = 0; i < SESSION_DEADLINES && self->state != SESSION_CLOSING; i++) {
        if (self->deadlines[i] != 0 && self->deadlines[i] <= now_ms) {
            self->deadlines[i] = 0;
            handlers[i](self);
        }
    }
    if (self->state != SESSION_CLOSING) {
        rearm(self);
    }
}

void session_init_deadlines(session_t *self) {
    timer_entry_init(&self->timer, on_timer);
    session_set_deadline(self, SESSION_DEADLINE_CONNECT, in_ms(self->environment->config->connect_timeout_ms));
}
