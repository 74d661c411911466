/* The table of a shard's channels, the pace of their loads, and their timers.
 *
 * Loads: at most redis.loads are out; the others wait, those for whom somebody waits first. So an opening that doubts a
 * hundred thousand channels is healed in a steady stream and the engine's queue stays short. */
#include "base/clock.h"
#include "base/memory.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum { WHEEL_TICK_MS = 100, SWEEP_EVERY_MS = 1000, SWEEP_AFTER_LEASES_MS = 3 * PRESENCE_GRACE_MS };

channel_set_t *channel_set_new(const struct channel_set_options *options) {
    channel_set_t *self = memory_alloc_zero(sizeof *self);
    size_t n_partitions = (size_t) options->config->partitions;
    self->options = *options;
    self->engine = options->engine;
    self->partitions = memory_alloc_array(n_partitions, sizeof *self->partitions);
    for (size_t i = 0; i < n_partitions; i++) {
        list_init(&self->partitions[i]);
    }
    self->wheel = timer_wheel_new(clock_monotonic_ms(), WHEEL_TICK_MS);
    channel_tails_init(&self->tails, (size_t) options->config->tails_bytes_max);
    list_init(&self->loads_wanted);
    buffer_init(&self->scratch, 0);
    return self;
}

static void let_go(struct list_link *list) {
    list_for_each_safe (link, list) {
        channel_unlink(list_entry(link, struct subscription, of_channel));
    }
}

void channel_set_close(channel_set_t *self) {
    self->closing = true;
}

void channel_set_destroy(channel_set_t **self_p) {
    channel_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    self->closing = true;
    struct channel *channel = NULL;
    struct channel *next = NULL;
    HASH_ITER(by_name, self->by_name, channel, next) {
        let_go(&channel->live);
        let_go(&channel->aside);
        channel_destroy(channel, false);
    }
    timer_wheel_destroy(&self->wheel);
    buffer_finish(&self->scratch);
    memory_free(self->partitions);
    memory_free(self);
    *self_p = NULL;
}

channel_t *channel_set_find(const channel_set_t *self, struct span name) {
    struct channel *found = NULL;
    HASH_FIND(by_name, self->by_name, name.data, name.size, found);
    return found;
}

size_t channel_set_count(const channel_set_t *self) {
    return HASH_CNT(by_name, self->by_name);
}

void channel_set_expect(channel_set_t *self, struct span name, const struct namespace_options *options) {
    if (channel_set_find(self, name) != NULL) {
        return;
    }
    if (!channel_tails_make_room(&self->tails, sizeof(struct channel) + name.size)) {
        metric_count(self->options.metrics, SHARD_TAILS_REFUSED);
        return;
    }
    channel_settle(channel_new(self, name, options));
}

/* ---- reloading ---- */

void channel_set_reload(channel_set_t *self, const namespace_set_t *namespaces) {
    struct channel *channel = NULL;
    struct channel *next = NULL;
    self->generation++;
    HASH_ITER(by_name, self->by_name, channel, next) {
        channel_take_options(channel, namespace_set_find(namespaces, channel_name(channel)));
    }
}

bool channel_set_is_reloaded(const channel_set_t *self) {
    for (const struct channel *channel = self->by_name; channel != NULL; channel = channel->by_name.next) {
        if (channel->reading && channel->read_generation != self->generation) {
            return false;
        }
    }
    return true;
}

/* ---- timers ---- */

static void send_loads(channel_set_t *self) {
    while (!list_is_empty(&self->loads_wanted) && self->loads_out < (uint32_t) self->options.config->redis_loads) {
        channel_send_load(list_entry(list_pop_front(&self->loads_wanted), struct channel, load_wanted));
    }
}

static void sweep(channel_set_t *self, uint64_t now_ms) {
    if (now_ms >= self->sweep_until_ms || now_ms - self->swept_ms < SWEEP_EVERY_MS) {
        return;
    }
    self->swept_ms = now_ms;
    for (struct channel *channel = self->by_name; channel != NULL; channel = channel->by_name.next) {
        if (self->presence_reads_out >= (uint32_t) self->options.config->redis_loads) {
            /* The others are looked at in a second. */
            self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
            return;
        }
        channel_sweep_presence(channel, now_ms);
    }
}

void channel_set_tick(channel_set_t *self, uint64_t now_ms) {
    timer_wheel_advance(self->wheel, now_ms);
    sweep(self, now_ms);
    metric_set(self->options.metrics, SHARD_TAIL_BYTES, (int64_t) self->tails.quota.used);
    metric_add(self->options.metrics, SHARD_TAILS_GIVEN_UP, self->tails.n_given_up);
    self->tails.n_given_up = 0;
}

void channel_set_flush(channel_set_t *self) {
    send_loads(self);
}

void channel_set_on_leases_changed(channel_set_t *self, uint64_t now_ms) {
    self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
}

void channel_set_on_partition_doubt(channel_set_t *self, uint32_t partition, uint64_t now_ms) {
    list_for_each_safe (link, &self->partitions[partition]) {
        struct channel *channel = list_entry(link, struct channel, of_partition);
        if (channel->presence != NULL) {
            channel_load_presence(channel);
        }
        channel_on_doubt(channel);
    }
    self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
}
