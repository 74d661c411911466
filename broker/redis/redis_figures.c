/* What waits where, as figures for the metrics: looked up at each tick, so that nothing is counted on the way.
 *
 *   queue ─▶ batch ─▶ pipeline (each link's) ─▶ Redis ─▶ held back (each partition's order) ─▶ gate ─▶ told */
#include "broker/redis/engine_redis_parts.h"

static void show_pipelines(const struct engine_redis *self) {
    size_t n_commands = 0;
    size_t n_bytes = 0;
    list_for_each (link, &self->nodes) {
        const struct redis_node *node = list_entry(link, struct redis_node, link);
        if (node->command != NULL) {
            redis_link_add_load(node->command, &n_commands, &n_bytes);
        }
    }
    metric_set(self->metrics, REDIS_METRIC_PIPELINE_COMMANDS, (int64_t) n_commands);
    metric_set(self->metrics, REDIS_METRIC_PIPELINE_BYTES, (int64_t) n_bytes);
}

static void show_partitions(const struct engine_redis *self) {
    size_t n_held = 0;
    size_t held_bytes = 0;
    int64_t n_topics = 0;
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        const struct redis_partition *partition = &self->partitions[i];
        n_held += partition->order.n_held;
        held_bytes += partition->order.held_bytes;
        n_topics += partition->state.phase != PARTITION_CLOSED;
    }
    metric_set(self->metrics, REDIS_METRIC_HELD, (int64_t) n_held);
    metric_set(self->metrics, REDIS_METRIC_HELD_BYTES, (int64_t) held_bytes);
    metric_set(self->metrics, REDIS_METRIC_TOPICS, n_topics);
}

void redis_figures_show(const struct engine_redis *self) {
    show_pipelines(self);
    show_partitions(self);
    metric_set(self->metrics, REDIS_METRIC_UNCONFIRMED, (int64_t) self->unconfirmed_items);
    metric_set(self->metrics, REDIS_METRIC_UNCONFIRMED_BYTES, (int64_t) self->unconfirmed_bytes);
}
