/* Presence changes that Redis refused: it is full, cannot save, or has too few replicas. A publisher is told no and may
 * try again; of these nobody hears, and nobody would try again: a set that is lost is a member whom nobody sees, a
 * clear that is lost one who never goes, since his gateway lives. So they wait here, with all that come behind them for
 * their order's sake, and go back to the front of the queue each second.
 *
 *   queue ─▶ batch ─▶ refused ─▶ here ──each second──▶ queue
 *   presence_set, presence_clear, while something waits here ─▶ here
 *
 * Bounds: they count as queued (broker.inbox_messages, broker.inbox_bytes) and have the queue's deadline. Past it, or
 * where the queue is full, the gateways are asked for their whole sets, every few seconds until that goes well; by then
 * a Redis that refuses everything has let the leases run out, too, and entries of the old ones are swept. */
#include "broker/redis/engine_redis_parts.h"

enum { ASK_EVERY_S = 2 };

static void keep(struct redis_partition *self, struct redis_item *item) {
    redis_queue_charge(self, item);
    list_push_back(&self->refused, &item->link);
}

void redis_refused_keep(struct redis_partition *self, struct redis_batch *batch) {
    for (uint32_t i = 0; i < batch->n_items; i++) {
        struct redis_item *item = batch->items[i];
        if (item->kind == REDIS_PRESENCE && !item->is_told) {
            batch->items[i] = NULL;
            keep(self, item);
        }
    }
    if (list_is_empty(&self->refused)) {
        return;
    }
    list_for_each_safe (link, &self->queue) {
        if (list_entry(link, struct redis_item, link)->kind == REDIS_PRESENCE) {
            list_remove(link);
            list_push_back(&self->refused, link);
        }
    }
}

bool redis_refused_follow(struct redis_partition *self, struct redis_item *item) {
    if (list_is_empty(&self->refused)) {
        return false;
    }
    keep(self, item);
    return true;
}

void redis_refused_release(struct redis_partition *self) {
    if (!list_is_empty(&self->refused)) {
        list_splice_back(&self->refused, &self->queue);
        list_splice_back(&self->queue, &self->refused);
        redis_partition_mark_busy(self);
    }
}

static bool is_turn_to_ask(const struct redis_partition *self) {
    uint64_t second = self->engine->n_tick / REDIS_TICKS_SECOND;
    return self->lost_presence && self->state.phase == PARTITION_OPEN && (second + self->number) % ASK_EVERY_S == 0;
}

void redis_refused_second(struct redis_partition *self) {
    redis_refused_release(self);
    if (is_turn_to_ask(self)) {
        self->lost_presence = false;
        engine_doubt_presence(self->engine->options.events, self->engine->options.context, self->number, true);
    }
}
