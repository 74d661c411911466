/* One handler for each frame a gateway worker sends, in the order of base/wire.h. A handler answers what it can at
 * once; the rest goes through channel_ask or shard_operate. False: the frame is malformed; the caller resets the link.
 */
#include "base/channel_name.h"
#include "base/check.h"
#include "base/clock.h"
#include "broker/shard_parts.h"

enum {
    TOPS_MAX = 16384,      /* of one BEAT_ANSWER: of channels that changed, and as many of the walk */
    TOPS_SCARCE = 1024,    /* where credit is short: what is not told waits for the next beat */
    TOP_BYTES = 12,        /* handle, offset */
    WALK_EVERY_MS = 20000, /* every subscription's top is told at least so often */
};

static void send_error(gateway_peer_t *peer, uint32_t request, uint32_t handle, enum error_code code) {
    const struct error_description *description = error_describe(code);
    struct wire_error frame = {.request = request,
                               .handle = handle,
                               .code = (uint16_t) code,
                               .flags = description->temporary ? WIRE_ERROR_TEMPORARY : 0,
                               .message = span_of_text(description->message)};
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &frame));
}

static struct operation_origin origin_of(const gateway_peer_t *peer, uint32_t request) {
    return (struct operation_origin){.peer = gateway_peer_number(peer), .request = request};
}

/* ---- subscribing ---- */

/* Why a new subscription cannot be; NONE: *ret_options is the channel's. */
static enum error_code judge_subscribe(const struct shard *self, struct span channel,
                                       const struct namespace_options **ret_options) {
    if (channel_name_check(channel) != CHANNEL_NAME_OK || !shard_owns(self, channel)) {
        return ERROR_BAD_REQUEST;
    }
    *ret_options = namespace_set_find(self->options.namespaces, channel);
    if (*ret_options == NULL) {
        return ERROR_UNKNOWN_CHANNEL;
    }
    return self->draining ? ERROR_INTERNAL : ERROR_NONE;
}

static bool is_refused_for_memory(struct shard *self, const struct subscription *subscription, uint8_t flags) {
    return subscription == NULL && shard_refuses_subscription(self, (flags & WIRE_SUBSCRIBE_OWN) != 0);
}

static bool on_subscribe(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_subscribe frame;
    if (!wire_decode_subscribe(body, &frame)) {
        return false;
    }
    struct subscription *subscription = gateway_peer_find(peer, frame.handle);
    const struct namespace_options *options = NULL;
    enum error_code code = judge_subscribe(self, frame.channel, &options);
    if (code == ERROR_NONE && subscription != NULL &&
        !span_equal(channel_name(channel_of(subscription)), frame.channel)) {
        code = ERROR_BAD_REQUEST; /* a handle names one channel */
    }
    if (code == ERROR_NONE && is_refused_for_memory(self, subscription, frame.flags)) {
        code = ERROR_TOO_MANY_REQUESTS;
    }
    if (code != ERROR_NONE) {
        metric_count(self->metrics, SHARD_SUBSCRIBE_REFUSED);
        send_error(peer, frame.request, frame.handle, code);
        return true;
    }
    if (subscription == NULL) {
        subscription = gateway_peer_subscribe(peer, frame.handle);
        channel_link(self->channels, frame.channel, options, subscription);
    }
    struct subscription_question question = {.request = frame.request,
                                             .has_since = (frame.flags & WIRE_SUBSCRIBE_SINCE) != 0,
                                             .own = (frame.flags & WIRE_SUBSCRIBE_OWN) != 0,
                                             .since = {frame.since_epoch, frame.since_offset},
                                             .limit = frame.limit};
    channel_ask(subscription, &question);
    return true;
}

static bool on_unsubscribe(struct shard *self, gateway_peer_t *peer, struct span body) {
    (void) self;
    struct wire_unsubscribe frame;
    if (!wire_decode_unsubscribe(body, &frame)) {
        return false;
    }
    struct subscription *subscription = gateway_peer_find(peer, frame.handle);
    if (subscription != NULL) {
        channel_unlink(subscription);
        gateway_peer_unsubscribe(&subscription);
    }
    return true;
}

/* ---- requests ---- */

static bool on_publish(struct shard *self, gateway_peer_t *peer, struct span body, bool overload) {
    struct wire_publish frame;
    if (!wire_decode_publish(body, &frame)) {
        return false;
    }
    struct shard_request request = {.kind = SHARD_REQUEST_PUBLISH,
                                    .deadline_ms =
                                        frame.deadline_ms == 0 ? 0 : clock_monotonic_ms() + frame.deadline_ms,
                                    .skip_history = (frame.flags & WIRE_PUBLISH_SKIP_HISTORY) != 0,
                                    .delta = (frame.flags & WIRE_PUBLISH_DELTA) != 0,
                                    .channel = frame.channel,
                                    .key = frame.key,
                                    .data = frame.data,
                                    .info = frame.info,
                                    .tags = frame.tags,
                                    .version = frame.version,
                                    .version_epoch = frame.version_epoch};
    struct operation_origin origin = origin_of(peer, frame.request);
    shard_operate(self, &request, &origin, overload);
    return true;
}

static bool on_history(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_history frame;
    if (!wire_decode_history(body, &frame)) {
        return false;
    }
    struct shard_request request = {.kind = SHARD_REQUEST_HISTORY,
                                    .has_since = (frame.flags & WIRE_HISTORY_SINCE) != 0,
                                    .reverse = (frame.flags & WIRE_HISTORY_REVERSE) != 0,
                                    .since = {frame.since_epoch, frame.since_offset},
                                    .limit = frame.limit,
                                    .channel = frame.channel};
    struct operation_origin origin = origin_of(peer, frame.request);
    shard_operate(self, &request, &origin, false);
    return true;
}

static bool on_history_remove(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_history_remove frame;
    if (!wire_decode_history_remove(body, &frame)) {
        return false;
    }
    struct shard_request request = {.kind = SHARD_REQUEST_HISTORY_REMOVE, .channel = frame.channel};
    struct operation_origin origin = origin_of(peer, frame.request);
    shard_operate(self, &request, &origin, false);
    return true;
}

static bool on_presence(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_presence frame;
    if (!wire_decode_presence(body, &frame)) {
        return false;
    }
    struct shard_request request = {.kind = SHARD_REQUEST_PRESENCE, .channel = frame.channel};
    struct operation_origin origin = origin_of(peer, frame.request);
    shard_operate(self, &request, &origin, false);
    return true;
}

static bool on_presence_stats(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_presence_stats frame;
    if (!wire_decode_presence_stats(body, &frame)) {
        return false;
    }
    struct shard_request request = {.kind = SHARD_REQUEST_PRESENCE_STATS, .channel = frame.channel};
    struct operation_origin origin = origin_of(peer, frame.request);
    shard_operate(self, &request, &origin, false);
    return true;
}

/* ---- presence ---- */

/* A handle that is retired, or a namespace without members: nothing to do. */
static channel_t *presence_channel(gateway_peer_t *peer, uint32_t handle) {
    struct subscription *subscription = gateway_peer_find(peer, handle);
    if (subscription == NULL) {
        return NULL;
    }
    const struct namespace_options *options = channel_options(channel_of(subscription));
    return options->presence || options->join_leave ? channel_of(subscription) : NULL;
}

static bool on_presence_set(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_presence_set frame;
    struct wire_client_info info;
    if (!wire_decode_presence_set(body, &frame) || !wire_read_client_info(frame.info, &info)) {
        return false;
    }
    channel_t *channel = presence_channel(peer, frame.handle);
    if (channel != NULL) {
        struct span gateway_id = gateway_peer_gateway_id(peer);
        struct engine_presence_entry entry = {.info = frame.info,
                                              .gateway_id = gateway_id,
                                              .lease_number = gateway_leases_number(self->leases, gateway_id)};
        gateway_peer_notes(peer)->has_set_presence = true;
        channel_set_member(channel, &entry, clock_monotonic_ms());
        /* Never silent: what is no news changes no field, and what is must reach every broker's memory. */
        self->engine->methods->presence_set(self->engine, channel_name(channel), &entry, false);
    }
    return true;
}

static bool on_presence_clear(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_presence_clear frame;
    if (!wire_decode_presence_clear(body, &frame)) {
        return false;
    }
    channel_t *channel = presence_channel(peer, frame.handle);
    if (channel != NULL) {
        channel_clear_member(channel, frame.client);
        self->engine->methods->presence_clear(self->engine, channel_name(channel), frame.client, NULL);
    }
    return true;
}

/* ---- beats ---- */

/* Where the gateway says so; what is linked and is no gateway (the backend API) never does. */
static void renew_lease(struct shard *self, gateway_peer_t *peer, const struct wire_beat *beat) {
    if ((beat->flags & WIRE_BEAT_RENEW_LEASE) == 0) {
        return;
    }
    struct engine_lease lease = {.gateway_id = gateway_peer_gateway_id(peer),
                                 .boot_nonce = gateway_peer_boot_nonce(peer),
                                 .connections = beat->connections,
                                 .users = beat->users,
                                 .alive = beat->alive,
                                 .dead = beat->dead};
    self->engine->methods->lease_renew(self->engine, &lease);
}

static bool on_beat(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_beat frame;
    if (!wire_decode_beat(body, &frame)) {
        return false;
    }
    renew_lease(self, peer, &frame);
    uint64_t walk =
        (uint64_t) gateway_peer_subscriptions(peer) * (uint64_t) self->options.config->heartbeat_ms / WALK_EVERY_MS + 1;
    buffer_clear(&self->scratch);
    uint32_t n_max =
        gateway_peer_has_room(peer, (size_t) 2 * TOPS_MAX * TOP_BYTES) ? (uint32_t) TOPS_MAX : (uint32_t) TOPS_SCARCE;
    uint32_t n = gateway_peer_append_tops(peer, (uint32_t) walk, n_max, &self->scratch);
    struct wire_beat_answer answer = {.sent_us = frame.sent_us,
                                      .degraded = shard_is_degraded(self),
                                      .n_tops = n,
                                      .tops = buffer_span(&self->scratch)};
    gateway_peer_added(peer, wire_encode_beat_answer(gateway_peer_batch(peer), &answer));
    return true;
}

static bool on_reset(struct shard *self, gateway_peer_t *peer, struct span body) {
    struct wire_reset frame;
    if (!wire_decode_reset(body, &frame)) {
        return false;
    }
    shard_fail_peer(self, peer, WIRE_RESET_UNKNOWN_LINK);
    return true;
}

/* ---- dispatch ---- */

static bool handle_unknown(struct shard *self, const struct wire_frame *frame) {
    if ((frame->flags & WIRE_FRAME_SKIP) == 0) {
        return false;
    }
    metric_count(self->metrics, SHARD_FRAMES_UNKNOWN);
    return true;
}

bool shard_handle_frame(struct shard *self, gateway_peer_t *peer, const struct wire_frame *frame, bool overload) {
    metric_count(self->metrics, SHARD_FRAMES_IN);
    switch (frame->kind) {
    case WIRE_SUBSCRIBE:
        return on_subscribe(self, peer, frame->body);
    case WIRE_UNSUBSCRIBE:
        return on_unsubscribe(self, peer, frame->body);
    case WIRE_PUBLISH:
        return on_publish(self, peer, frame->body, overload);
    case WIRE_PRESENCE_SET:
        return on_presence_set(self, peer, frame->body);
    case WIRE_PRESENCE_CLEAR:
        return on_presence_clear(self, peer, frame->body);
    case WIRE_PRESENCE:
        return on_presence(self, peer, frame->body);
    case WIRE_PRESENCE_STATS:
        return on_presence_stats(self, peer, frame->body);
    case WIRE_HISTORY:
        return on_history(self, peer, frame->body);
    case WIRE_HISTORY_REMOVE:
        return on_history_remove(self, peer, frame->body);
    case WIRE_CALL:
        return shard_on_call(self, peer, frame->body);
    case WIRE_COMMAND:
        return shard_on_command(self, peer, frame->body);
    case WIRE_COMMANDED:
        return shard_on_commanded(self, peer, frame->body);
    case WIRE_BEAT:
        return on_beat(self, peer, frame->body);
    case WIRE_RESET:
        return on_reset(self, peer, frame->body);
    case WIRE_EMULATE:
        return shard_on_emulate(self, peer, frame->body);
    case WIRE_DELIVERED:
        return shard_on_delivered(self, frame->body);
    case WIRE_USER_TAKE:
        return shard_on_user_take(self, peer, frame->body);
    case WIRE_USER_COUNTS:
        return shard_on_user_counts(self, peer, frame->body);
    default: /* a number from outside, not an enum: HELLO elsewhere, frames that only brokers send, unknown ones */
        return handle_unknown(self, frame);
    }
}
