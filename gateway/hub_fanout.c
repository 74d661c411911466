/* One publication to many sessions: encoded and framed once for each encoding that has a member, then the same payload
 * for all of them. Costs a call of `deliver` per member, nothing else.
 *
 * A member may leave at any time, also inside the calls made here: its slot becomes a hole, nobody moves, and the holes
 * are closed when the outermost fan-out ends. Who joins inside stands behind the end and gets the next one. */
#include "gateway/hub_internal.h"

void hub_compact(struct hub_channel *channel) {
    if (channel->fanning_out > 0 || channel->n_slots == channel->n_members) {
        return;
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < channel->n_slots; i++) {
        if (channel->members[i] != NULL) {
            channel->members[n] = channel->members[i];
            channel->members[n]->index = n;
            n++;
        }
    }
    channel->n_slots = n;
    channel->resync_at = 0; /* who moved may not have been told again yet */
}

/* What is to be encoded: a publication, or a join or leave. */
struct message {
    const struct wire_publication *publication;
    bool joined;
    const struct wire_client_info *info;
};

static payload_t *encode(struct hub_channel *channel, enum client_encoding encoding, const struct message *message) {
    hub_t *hub = channel->hub;
    const struct client_codec *codec = client_codec_of(encoding);
    buffer_clear(&hub->encoded);
    if (message->publication != NULL) {
        const struct subscription *subscription = &channel->subscription;
        codec->encode_push_publication(&hub->encoded, hub_channel_name(channel), message->publication,
                                       subscription->has_history ? &subscription->at.epoch : NULL);
    } else {
        codec->encode_push_presence(&hub->encoded, hub_channel_name(channel), message->joined, message->info);
    }
    return hub->callbacks.frame(encoding, buffer_span(&hub->encoded));
}

static void fan_out(struct hub_channel *channel, const struct message *message) {
    hub_t *hub = channel->hub;
    payload_t *framed[CLIENT_ENCODINGS] = {NULL};
    uint32_t n_slots = channel->n_slots;
    uint64_t n_delivered = 0;
    channel->fanning_out++;
    for (uint32_t i = 0; i < n_slots; i++) {
        struct hub_member *member = channel->members[i];
        if (member == NULL || (message->publication == NULL && !member->wants_presence_events)) {
            continue;
        }
        enum client_encoding encoding = member->encoding;
        if (framed[encoding] == NULL) {
            framed[encoding] = encode(channel, encoding, message);
        }
        hub->callbacks.deliver(member, framed[encoding]);
        n_delivered++;
    }
    channel->fanning_out--;
    hub_compact(channel);
    for (size_t i = 0; i < CLIENT_ENCODINGS; i++) {
        payload_unref(&framed[i]);
    }
    metric_add(hub->metrics, HUB_METRIC_DELIVERIES, n_delivered);
}

void hub_fan_out_publication(struct hub_channel *channel, const struct wire_publication *publication) {
    fan_out(channel, &(struct message){.publication = publication});
}

void hub_fan_out_presence(struct hub_channel *channel, bool joined, const struct wire_client_info *info) {
    fan_out(channel, &(struct message){.joined = joined, .info = info});
}

void hub_fan_out_lost(struct hub_channel *channel, const struct position *position) {
    hub_t *hub = channel->hub;
    uint32_t n_slots = channel->n_slots;
    channel->fanning_out++;
    for (uint32_t i = 0; i < n_slots; i++) {
        if (channel->members[i] != NULL) {
            hub->callbacks.on_lost(channel->members[i], position);
        }
    }
    channel->fanning_out--;
    hub_compact(channel);
}
