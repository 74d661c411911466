/* A held channel keeps its epoch, however long nothing is published there: its meta key is renewed when half of the
 * meta ttl has passed since it was held or renewed last. All channels are looked at in turn, each about every 20 s, and
 * where there are few every second; what is sent costs one PEXPIRE a channel and half of a meta ttl (15 days by
 * default). Loads and appends renew it too (load.lua, append.lua).
 *
 * Failure modes: the answer does not come, or is an error → asked again at the next turn; the key is gone already
 * → the channel is doubted, loaded, and its subscribers are told of the new epoch (redis_tops.c finds it sooner, where
 * channels are compared). */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

enum {
    SLOTS_MIN = 256, /* at least so many slots of the table are looked at in a second */
    ROUND_S = 20,    /* all of them in so many seconds */
};

struct renewal {
    struct redis_channel *channel; /* pinned */
};

static uint32_t now_s(void) {
    return (uint32_t) (clock_monotonic_ms() / 1000);
}

static void on_renewed(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct renewal *renewal = request;
    struct redis_channel *channel = renewal->channel;
    bool is_held = channel->n_holds > 0 && !engine->is_closing;
    if (reply == NULL || reply->type != REDIS_INTEGER) {
        channel->renewed_s = 0;
    } else if (reply->integer == 0 && is_held) {
        engine->options.events->on_doubt(engine->options.context, redis_channel_name(channel));
    }
    redis_channels_unpin(engine->channels, channel);
    memory_free(renewal);
}

static bool is_due(const struct redis_channel *channel, uint32_t now) {
    return channel->n_holds > 0 && namespace_has_history(channel->options) &&
           (int64_t) (now - channel->renewed_s) * 1000 >= channel->options->history_meta_ttl_ms / 2;
}

static void renew(struct engine_redis *self, struct redis_channel *channel, uint32_t now) {
    const struct redis_partition *partition = engine_redis_partition(self, channel->partition);
    if (partition->state.phase != PARTITION_OPEN || !redis_node_is_up(partition->node) ||
        !redis_link_has_room(partition->node->command)) {
        return;
    }
    struct renewal *renewal = memory_alloc_zero(sizeof *renewal);
    renewal->channel = redis_channels_pin(self->channels, redis_channel_name(channel));
    channel->renewed_s = now;
    redis_link_t *link = partition->node->command;
    struct buffer *out = redis_link_out(link);
    const struct span key[] = {span_of_text(partition->topic), SPAN_LITERAL(":m:"), redis_channel_name(channel)};
    redis_request_begin(out, 3);
    redis_request_text(out, "PEXPIRE");
    redis_request_parts(out, key, 3);
    redis_request_u64(out, (uint64_t) channel->options->history_meta_ttl_ms);
    redis_link_sent(link, on_renewed, renewal);
    metric_count(self->metrics, REDIS_METRIC_RENEWALS);
}

void redis_renewals_begin(struct redis_channel *channel) {
    channel->renewed_s = now_s();
}

void redis_renewals_tick(struct engine_redis *self) {
    uint32_t now = now_s();
    size_t n_slots = redis_channels_slots(self->channels);
    size_t n = n_slots / ROUND_S + SLOTS_MIN;
    for (size_t i = 0; i < n && i < n_slots; i++) {
        struct redis_channel *channel = redis_channels_slot(self->channels, self->renewal_slot++ % n_slots);
        for (; channel != NULL; channel = channel->next_in_slot) {
            if (is_due(channel, now)) {
                renew(self, channel, now);
            }
        }
    }
}
