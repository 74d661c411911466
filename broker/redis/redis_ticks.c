/* What comes round by time: deadlines of what waits, seconds of partitions, holes that did not close by themselves.
 *
 * This process having stood still for a second makes everything suspect: the command links are cut, and hello goes
 * first. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- holes ---- */

static void on_hole_timer(uv_timer_t *timer) {
    struct engine_redis *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    list_for_each_safe (link, &self->holes) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, hole_link);
        if (partition->hole_applied != partition->order.applied) {
            partition->hole_applied = partition->order.applied;
            partition->hole_since_ms = now_ms;
        } else if (now_ms - partition->hole_since_ms >= REDIS_HOLE_MS) {
            list_remove(link);
            redis_partition_heal(partition);
            break; /* telling may change the list: the next round goes on */
        }
    }
    if (!list_is_empty(&self->holes)) {
        uv_timer_start(timer, on_hole_timer, REDIS_HOLE_MS / 4, 0);
    }
}

void engine_redis_note_hole(struct redis_partition *partition) {
    struct engine_redis *self = partition->engine;
    bool has_hole = batch_order_has_hole(&partition->order);
    if (!has_hole) {
        list_remove(&partition->hole_link);
    } else if (!list_is_linked(&partition->hole_link)) {
        partition->hole_since_ms = clock_monotonic_ms();
        partition->hole_applied = partition->order.applied;
        list_push_back(&self->holes, &partition->hole_link);
        if (!uv_is_active((uv_handle_t *) &self->hole_timer)) {
            uv_timer_start(&self->hole_timer, on_hole_timer, REDIS_HOLE_MS, 0);
        }
    }
}

/* ---- the tick ---- */

/* Seconds for all; where a hello is to be said again, or while deaf, more often. */
static bool is_due(const struct engine_redis *self, const struct redis_partition *partition) {
    switch (partition->state.phase) {
    case PARTITION_CLOSED:
    case PARTITION_OPEN:
        return self->n_tick % REDIS_TICKS_SECOND == 0;
    case PARTITION_DEAF:
        return self->n_tick % REDIS_TICKS_DEAF == 0;
    case PARTITION_JOINING:
    case PARTITION_REOPENING:
    case PARTITION_SUSPECT:
        return self->n_tick % REDIS_TICKS_HELLO == 0;
    }
    unreachable("phase %d", (int) partition->state.phase);
}

static void tick_partition(struct engine_redis *self, struct redis_partition *partition, uint64_t now_ms) {
    if (self->n_tick % REDIS_TICKS_SECOND == 0) {
        redis_refused_second(partition);
    }
    redis_queue_expire(partition, now_ms);
    redis_reads_expire(partition, now_ms);
    if (self->n_tick % REDIS_TICKS_SECOND == 0 && redis_partition_is_idle(partition, now_ms)) {
        redis_partition_step(partition, PARTITION_IDLE);
    } else if (is_due(self, partition) && partition->node == partition->target && redis_node_is_up(partition->node)) {
        redis_partition_step(partition, PARTITION_TICK);
    }
}

static void notice_stall(struct engine_redis *self, uint64_t now_ms) {
    if (now_ms - self->last_tick_ms > REDIS_STALL_MS) {
        log_warning("redis_engine_stalled", log_u64("ms", now_ms - self->last_tick_ms));
        list_for_each (link, &self->nodes) {
            struct redis_node *node = list_entry(link, struct redis_node, link);
            if (node->is_ready) {
                redis_link_drop(node->command, "this process stood still");
            }
        }
    }
    self->last_tick_ms = now_ms;
}

static void tick_second(struct engine_redis *self) {
    metric_set(self->metrics, REDIS_METRIC_QUEUED, (int64_t) self->queued_items);
    redis_routing_tick(self);
    if (redis_node_is_up(self->home)) {
        redis_leases_read(self->leases);
    }
    redis_renewals_tick(self);
    redis_watch_tick(self);
}

void redis_ticks_on_tick(uv_timer_t *timer) {
    struct engine_redis *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    notice_stall(self, now_ms);
    self->n_tick++;
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        tick_partition(self, &self->partitions[i], now_ms);
    }
    list_for_each (link, &self->nodes) {
        struct redis_node *node = list_entry(link, struct redis_node, link);
        if (node->confirm != NULL) {
            redis_confirm_tick(node->confirm);
        }
    }
    redis_figures_show(self);
    redis_tops_tick(self);
    if (self->n_tick % REDIS_TICKS_SECOND == 0) {
        tick_second(self);
    }
}
