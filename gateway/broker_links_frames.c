/* What brokers send over the links: to whom it is passed, and what concerns none of those who listen; and what our
 * heartbeats say.
 *
 * Failure modes: a frame that is malformed, or that brokers do not send, resets the link. */
#include "gateway/broker_links_parts.h"

#include "base/log.h"

enum { COMMANDED_OVERHEAD = 64 /* of the frame, beside its bytes */ };

/* ---- frames ---- */

/* Where credit is short, an answer with much in it goes without it: asking again costs less than a link. */
static void confirm_command(uplink_t *uplink, uint16_t shard, struct wire_commanded *answer, struct span bytes) {
    if (bytes.size > 0 && !uplink_admits(uplink, shard, COMMANDED_OVERHEAD + bytes.size)) {
        answer->error = ERROR_TOO_MANY_REQUESTS;
    } else {
        answer->bytes = bytes;
    }
    bool encoded = wire_encode_commanded(uplink_batch(uplink, shard), answer);
    uplink_frame_added(uplink, shard, encoded);
}

static bool on_command(broker_links_t *self, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    struct wire_command command;
    struct buffer bytes = BUFFER_EMPTY;
    if (shard == WIRE_SHARD_SWITCHBOARD || !wire_decode_command(frame->body, &command)) {
        return false;
    }
    struct wire_commanded answer = {.n_workers = 1};
    metric_count(self->metrics, METRIC_COMMANDS);
    self->settings.on_command(self->settings.context, &command, &answer, &bytes);
    answer.request = command.request;
    confirm_command(uplink, shard, &answer, buffer_span(&bytes));
    buffer_finish(&bytes);
    return true;
}

static bool on_totals(broker_links_t *self, const struct wire_frame *frame) {
    if (!wire_decode_totals(frame->body, &self->totals)) {
        return false;
    }
    self->totals_known = true;
    metric_set(self->metrics, METRIC_GATEWAYS, (int64_t) self->totals.gateways);
    return true;
}

static bool on_drain(broker_links_t *self, uplink_t *uplink, const struct wire_frame *frame) {
    struct wire_drain drain;
    struct broker_link *link = uplink_owner_data(uplink);
    if (!wire_decode_drain(frame->body, &drain)) {
        return false;
    }
    log_info("broker_drains", log_text("broker", link->entry->id), log_u64("within_ms", drain.within_ms));
    broker_directory_set_draining(self->directory, link->entry);
    links_tell_ranks(self);
    return true;
}

static bool note_degraded(uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    struct broker_link *link = uplink_owner_data(uplink);
    struct wire_beat_answer answer;
    if (shard >= UPLINK_SHARDS_MAX || !wire_decode_beat_answer(frame->body, &answer)) {
        return false;
    }
    links_note_shard(link, shard, answer.degraded != 0);
    return true;
}

static bool pass_on(broker_links_t *self, enum broker_listener_place place, uplink_t *uplink, uint16_t shard,
                    const struct wire_frame *frame) {
    const struct broker_listener *listener = &self->listeners[place];
    if (shard == WIRE_SHARD_SWITCHBOARD) {
        return false;
    }
    return listener->context == NULL || listener->on_frame(listener->context, uplink, shard, frame);
}

/* An ERROR names its subscription's handle when it answers SUBSCRIBE. */
static bool pass_on_error(broker_links_t *self, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    struct wire_error error;
    if (!wire_decode_error(frame->body, &error)) {
        return false;
    }
    return pass_on(self, error.handle != 0 ? BROKER_LISTENER_HUB : BROKER_LISTENER_REQUESTS, uplink, shard, frame);
}

bool links_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    broker_links_t *self = context;
    switch (frame->kind) {
    case WIRE_PUSH:
    case WIRE_SUBSCRIBED:
    case WIRE_JOIN:
    case WIRE_LEAVE:
    case WIRE_LAGGING:
    case WIRE_LOST:
    case WIRE_RESYNC:
        return pass_on(self, BROKER_LISTENER_HUB, uplink, shard, frame);
    case WIRE_BEAT_ANSWER:
        return note_degraded(uplink, shard, frame) && pass_on(self, BROKER_LISTENER_HUB, uplink, shard, frame);
    case WIRE_PUBLISHED:
    case WIRE_RESULT:
    case WIRE_DELIVER:
        return pass_on(self, BROKER_LISTENER_REQUESTS, uplink, shard, frame);
    case WIRE_ERROR:
        return pass_on_error(self, uplink, shard, frame);
    case WIRE_COMMAND:
        return on_command(self, uplink, shard, frame);
    case WIRE_TOTALS:
        return on_totals(self, frame);
    case WIRE_DRAIN:
        return on_drain(self, uplink, frame);
    default: /* a number from the wire: of a frame that goes up, or of none */
        return false;
    }
}

void links_on_sent(void *context, uplink_t *uplink, uint16_t shard) {
    broker_links_t *self = context;
    const struct broker_listener *listener = &self->listeners[BROKER_LISTENER_REQUESTS];
    if (listener->context != NULL) {
        listener->on_sent(listener->context, uplink, shard);
    }
}

void links_on_credit(void *context, uplink_t *uplink) {
    broker_links_t *self = context;
    (void) uplink;
    for (size_t i = 0; i < BROKER_LISTENERS; i++) {
        if (self->listeners[i].context != NULL) {
            self->listeners[i].on_credit(self->listeners[i].context);
        }
    }
}

/* ---- heartbeats ---- */

/* The lease of this gateway lives in the partition of its id, so it is renewed by the lane of that partition. In mode
 * memory each shard of the one broker keeps leases of its own, so every lane renews. */
static bool renews_lease(const broker_links_t *self, const uplink_t *uplink, uint16_t shard) {
    struct broker_route route;
    return self->mode == WIRE_MODE_MEMORY ||
           (broker_links_route(self, broker_links_hash(span_of_text(self->gateway_id)), &route) &&
            route.uplink == uplink && route.shard == shard);
}

void links_fill_beat(void *context, uplink_t *uplink, uint16_t shard, struct wire_beat *beat) {
    broker_links_t *self = context;
    struct broker_beat_figures figures = {0};
    self->settings.figures(self->settings.context, &figures);
    beat->connections = figures.connections;
    beat->users = figures.users;
    beat->alive = figures.alive;
    beat->dead = figures.dead;
    beat->load_permille = figures.load_permille;
    beat->flags = (uint8_t) ((renews_lease(self, uplink, shard) ? WIRE_BEAT_RENEW_LEASE : 0) |
                             (self->draining ? WIRE_BEAT_DRAINING : 0));
}

void broker_links_set_draining(broker_links_t *self, bool draining) {
    self->draining = draining;
}
