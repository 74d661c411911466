/* Frames of brokers to the hub: read, and turned into events of their channel.
 *
 * Failure modes: a malformed frame: false to the link, which is reset, and everything moves to a new link; a push that
 * was lost although the link holds: the broker's beat tells tops, and one that stays above W from one beat to the next
 * makes the channel ask from W. */
#include "gateway/hub_internal.h"

#include "base/log.h"

/* NULL: retired, or another link's. */
static struct hub_channel *find_handle(hub_t *self, const uplink_t *uplink, uint32_t handle) {
    struct hub_channel *channel = key_table_find(&self->handles, handle);
    if (channel == NULL || channel->uplink != uplink) {
        hub_count(self, HUB_METRIC_RETIRED);
        return NULL;
    }
    return channel;
}

static bool on_push(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_push push;
    struct wire_publication publication;
    if (!wire_decode_push(body, &push)) {
        return false;
    }
    struct cursor cursor = cursor_of(push.publication);
    if (!wire_read_publication(&cursor, &publication) || !cursor_is_done(&cursor) || publication.offset > OFFSET_MAX) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, push.handle);
    if (channel != NULL) {
        hub_count(self, HUB_METRIC_PUSHES);
        hub_occur(channel, &(struct hub_occasion){
                               .event = {.kind = SUBSCRIPTION_PUSHED, .position = {.offset = publication.offset}},
                               .publication = &publication});
    }
    return true;
}

static bool on_subscribed(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_subscribed frame;
    if (!wire_decode_subscribed(body, &frame)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, frame.handle);
    if (channel == NULL || frame.request != channel->request) {
        return true;
    }
    channel->request = 0;
    bool has_history = (frame.flags & WIRE_SUBSCRIBED_HISTORY) != 0;
    struct hub_answer answer = {
        .has_since = channel->asked_since,
        .since = channel->asked,
        .recovered = channel->asked_since && has_history && (frame.flags & WIRE_SUBSCRIBED_RECOVERED) != 0,
        .position = {frame.epoch, frame.offset},
        .n_publications = frame.n_publications,
        .publications = frame.publications,
    };
    if (answer.recovered && epoch_is_empty(&answer.since.epoch)) {
        answer.since.epoch = frame.epoch; /* a client that knows only an offset takes any epoch */
    }
    if (answer.recovered && !hub_answer_is_dense(&answer)) {
        log_error("broker_answer_has_holes", log_span("channel", hub_channel_name(channel)),
                  log_u64("since", answer.since.offset), log_u64("offset", answer.position.offset),
                  log_u64("publications", answer.n_publications));
        return false;
    }
    answer.since = channel->asked;
    bool is_own = channel->subscription.ask == SUBSCRIPTION_ASK_OWN;
    hub_occur(channel, &(struct hub_occasion){.event = {.kind = SUBSCRIPTION_ANSWERED,
                                                        .position = answer.position,
                                                        .has_history = has_history,
                                                        .recovered = answer.recovered,
                                                        .more = is_own && (frame.flags & WIRE_SUBSCRIBED_MORE) != 0},
                                              .answer = &answer});
    return true;
}

static bool on_error(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_error error;
    if (!wire_decode_error(body, &error)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, error.handle);
    if (channel != NULL && error.request == channel->request) {
        const struct error_description *description = error_describe(error.code);
        channel->request = 0;
        hub_occur(channel, &(struct hub_occasion){.event = {.kind = SUBSCRIPTION_REFUSED,
                                                            .temporary = (error.flags & WIRE_ERROR_TEMPORARY) != 0},
                                                  .code = description->code});
    }
    return true;
}

static bool on_presence(hub_t *self, uplink_t *uplink, const struct wire_frame *frame) {
    struct wire_join join; /* JOIN and LEAVE have the same fields */
    struct wire_client_info info;
    if (!wire_decode_join(frame->body, &join) || !wire_read_client_info(join.info, &info)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, join.handle);
    if (channel != NULL) {
        hub_fan_out_presence(channel, frame->kind == WIRE_JOIN, &info);
    }
    return true;
}

static bool on_lagging(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_lagging lagging;
    if (!wire_decode_lagging(body, &lagging)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, lagging.handle);
    if (channel != NULL) {
        hub_count(self, HUB_METRIC_LAGGING);
        hub_occur_plainly(channel, SUBSCRIPTION_LAGGED);
    }
    return true;
}

static bool on_lost_frame(hub_t *self, uplink_t *uplink, struct span body) {
    struct wire_lost lost;
    if (!wire_decode_lost(body, &lost)) {
        return false;
    }
    struct hub_channel *channel = find_handle(self, uplink, lost.handle);
    if (channel != NULL) {
        hub_occur(channel,
                  &(struct hub_occasion){.event = {.kind = SUBSCRIPTION_LOST, .position = {lost.epoch, lost.offset}}});
    }
    return true;
}

/* ---- position sync ---- */

/* Tops told by an earlier beat that W has still not reached: the pushes would have come before this beat's answer. */
static void judge_suspects(hub_t *self, const uplink_t *uplink, uint16_t shard) {
    list_for_each_safe (link, &self->suspects) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, suspect);
        if (channel->uplink != uplink || channel->shard != shard) {
            continue;
        }
        list_remove(&channel->suspect);
        if (channel->subscription.state == SUBSCRIPTION_LIVE &&
            channel->subscription.at.offset < channel->suspected_top) {
            hub_count(self, HUB_METRIC_BEHIND);
            log_warning("push_lost", log_span("channel", hub_channel_name(channel)),
                        log_u64("offset", channel->subscription.at.offset), log_u64("top", channel->suspected_top));
            hub_occur_plainly(channel, SUBSCRIPTION_BEHIND);
        }
    }
}

static void suspect(hub_t *self, const uplink_t *uplink, uint32_t handle, uint64_t top) {
    struct hub_channel *channel = key_table_find(&self->handles, handle);
    if (channel == NULL || channel->uplink != uplink || channel->subscription.state != SUBSCRIPTION_LIVE ||
        !channel->subscription.knows || top <= channel->subscription.at.offset) {
        return;
    }
    channel->suspected_top = top;
    if (!list_is_linked(&channel->suspect)) {
        list_push_back(&self->suspects, &channel->suspect);
    }
}

static bool on_tops(hub_t *self, uplink_t *uplink, uint16_t shard, struct span body) {
    struct wire_beat_answer answer;
    if (!wire_decode_beat_answer(body, &answer) || answer.tops.size != (size_t) answer.n_tops * 12) {
        return false;
    }
    judge_suspects(self, uplink, shard);
    struct cursor tops = cursor_of(answer.tops);
    while (tops.left > 0) {
        uint32_t handle = cursor_u32(&tops);
        suspect(self, uplink, handle, cursor_u64(&tops));
    }
    return true;
}

bool hub_on_frame(void *context, uplink_t *uplink, uint16_t shard, const struct wire_frame *frame) {
    hub_t *self = context;
    switch (frame->kind) {
    case WIRE_PUSH:
        return on_push(self, uplink, frame->body);
    case WIRE_SUBSCRIBED:
        return on_subscribed(self, uplink, frame->body);
    case WIRE_ERROR:
        return on_error(self, uplink, frame->body);
    case WIRE_JOIN:
    case WIRE_LEAVE:
        return on_presence(self, uplink, frame);
    case WIRE_LAGGING:
        return on_lagging(self, uplink, frame->body);
    case WIRE_LOST:
        return on_lost_frame(self, uplink, frame->body);
    case WIRE_RESYNC:
        return hub_presence_on_resync(self, uplink, frame->body);
    case WIRE_BEAT_ANSWER:
        return on_tops(self, uplink, shard, frame->body);
    default: /* a number; broker_links passes only these */
        return false;
    }
}
