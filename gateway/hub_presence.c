/* Presence of the sessions on this worker: told to the broker over the channel's handle, remembered for RESYNC and for
 * a new handle at another broker, where it is told again silently and only as far as the lane's credit goes.
 *
 * Failure modes: no live handle when someone leaves: the clear is kept with the channel, which stays until it could be
 * told; else the entry would stand in the presence of the channel as long as this gateway lives. It was told, and is
 * forgotten there: hub_departures.c. */
#include "gateway/hub_internal.h"

#include "base/partition.h"

enum { FRAME_OVERHEAD = 32 };

static bool has_live_handle(const struct hub_channel *channel) {
    const struct subscription *subscription = &channel->subscription;
    return channel->handle != 0 && uplink_is_live(channel->uplink) &&
           (subscription->state == SUBSCRIPTION_LIVE || subscription->state == SUBSCRIPTION_LAGGING);
}

static void send_set(struct hub_channel *channel, const struct hub_member *member, bool silent) {
    struct wire_presence_set frame = {.handle = channel->handle, .info = payload_span(member->presence)};
    frame.flags =
        (uint8_t) ((member->presence_join_leave ? WIRE_PRESENCE_JOIN_LEAVE : 0) | (silent ? WIRE_PRESENCE_RESYNC : 0));
    bool encoded = wire_encode_presence_set(uplink_batch(channel->uplink, channel->shard), &frame);
    uplink_frame_added(channel->uplink, channel->shard, encoded);
}

static void send_clear(struct hub_channel *channel, struct span client_info) {
    struct wire_client_info info;
    if (!wire_read_client_info(client_info, &info)) {
        return; /* the session's own bytes; an info that cannot be read was never shown to anyone either */
    }
    struct wire_presence_clear frame = {.handle = channel->handle, .client = info.client, .user = info.user};
    bool encoded = wire_encode_presence_clear(uplink_batch(channel->uplink, channel->shard), &frame);
    uplink_frame_added(channel->uplink, channel->shard, encoded);
}

static void resync_later(struct hub_channel *channel) {
    channel->resync_at = 0;
    if (!list_is_linked(&channel->resync)) {
        list_push_back(&channel->hub->resync, &channel->resync);
    }
    hub_work_later(channel->hub);
}

void hub_presence_set(hub_t *self, struct hub_member *member, payload_t *client_info, bool join_leave) {
    struct hub_channel *channel = member->channel;
    (void) self;
    if (channel == NULL || member->state != HUB_MEMBER_JOINED) {
        return;
    }
    channel->n_present += member->presence == NULL;
    payload_unref(&member->presence);
    member->presence = payload_ref(client_info);
    member->presence_join_leave = join_leave;
    if (has_live_handle(channel)) {
        send_set(channel, member, false);
    }
}

void hub_presence_drop(struct hub_channel *channel, struct hub_member *member) {
    if (member->presence == NULL) {
        return;
    }
    if (has_live_handle(channel)) {
        send_clear(channel, payload_span(member->presence));
        hub_departures_note(channel, payload_span(member->presence));
    } else {
        buffer_append_sized(&channel->clears, payload_span(member->presence));
    }
    channel->n_present--;
    payload_unref(&member->presence);
}

void hub_presence_clear(hub_t *self, struct hub_member *member) {
    (void) self;
    if (member->channel != NULL) {
        hub_presence_drop(member->channel, member);
    }
}

void hub_presence_renew(struct hub_channel *channel, bool anew) {
    if (!has_live_handle(channel)) {
        return;
    }
    if (anew) {
        hub_departures_owe(channel);
    }
    struct cursor clears = cursor_of(buffer_span(&channel->clears));
    while (clears.left > 0 && !clears.failed) {
        struct span client_info = cursor_sized(&clears);
        send_clear(channel, client_info);
        hub_departures_note(channel, client_info);
    }
    buffer_finish(&channel->clears);
    if (anew && channel->n_present > 0) {
        resync_later(channel);
    }
}

/* False: out of credit. */
static bool tell_again(struct hub_channel *channel) {
    for (; channel->resync_at < channel->n_slots; channel->resync_at++) {
        const struct hub_member *member = channel->members[channel->resync_at];
        if (member == NULL || member->presence == NULL) {
            continue;
        }
        if (!uplink_admits(channel->uplink, channel->shard, FRAME_OVERHEAD + payload_span(member->presence).size)) {
            return false;
        }
        send_set(channel, member, true);
    }
    return true;
}

/* Who moves to a place that was passed already is not forgotten: leaving lowers resync_at. */
void hub_presence_work(hub_t *self) {
    list_for_each_safe (link, &self->resync) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, resync);
        if (!has_live_handle(channel) || tell_again(channel)) {
            list_remove(&channel->resync); /* without a handle: it is told again with the next one */
        }
    }
}

/* Is this channel asked for by the broker of that uplink? */
static bool is_asked(const struct hub_channel *channel, const struct wire_resync *resync, const uplink_t *uplink,
                     uint32_t partition) {
    bool is_elsewhere = channel->handle != 0 && channel->uplink != uplink;
    struct cursor cursor = cursor_of(resync->partitions);
    for (uint32_t i = 0; i < resync->n; i++) {
        uint32_t named = cursor_u32(&cursor);
        if ((named & ~WIRE_RESYNC_EVERYWHERE) == partition && (named != partition || !is_elsewhere)) {
            return true;
        }
    }
    return resync->n == 0 && !is_elsewhere;
}

bool hub_presence_on_resync(hub_t *self, const uplink_t *uplink, struct span body) {
    struct wire_resync resync;
    if (!wire_decode_resync(body, &resync) || resync.n > PARTITIONS_MAX ||
        resync.partitions.size != (size_t) resync.n * 4) {
        return false;
    }
    uint32_t n_partitions = broker_links_partitions(self->links);
    list_for_each_safe (link, &self->departed) {
        struct hub_channel *channel = list_entry(link, struct hub_channel, departures.link);
        if (n_partitions > 0 && is_asked(channel, &resync, uplink, (uint32_t) (channel->hash & (n_partitions - 1)))) {
            hub_departures_tell_again(channel);
        }
    }
    size_t place = 0;
    for (struct hub_channel *channel = key_table_each(&self->handles, &place); channel != NULL;
         channel = key_table_each(&self->handles, &place)) {
        if (channel->n_present > 0 && n_partitions > 0 &&
            is_asked(channel, &resync, uplink, (uint32_t) (channel->hash & (n_partitions - 1)))) {
            resync_later(channel);
        }
    }
    return true;
}
