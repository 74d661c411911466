/* The table of a shard's channels, the pace of their loads, and their timers.
 *
 * Loads: at most redis.loads are out; the others wait, those for whom somebody waits first. So an opening that doubts a
 * hundred thousand channels is healed in a steady stream and the engine's queue stays short. */
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum { WHEEL_TICK_MS = 100, SWEEP_EVERY_MS = 1000, SWEEP_AFTER_LEASES_MS = 3 * PRESENCE_GRACE_MS };
_Static_assert(PRESENCE_GRACE_MS + SWEEP_EVERY_MS <= 4500, "ghosts of presence are gone within 5 s");

static uint64_t hash_of(const slot_table_t *table, const struct slot_link *link) {
    return slot_table_hash_bytes(table, channel_name(slot_entry(link, struct channel, by_name)));
}

channel_set_t *channel_set_new(const struct channel_set_options *options) {
    channel_set_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->engine = options->engine;
    self->n_partitions = (uint32_t) options->config->partitions;
    self->by_name = memory_alloc_array(self->n_partitions, sizeof *self->by_name);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        slot_table_init(&self->by_name[i], hash_of);
    }
    self->wheel = timer_wheel_new(clock_monotonic_ms(), WHEEL_TICK_MS);
    channel_tails_init(&self->tails, (size_t) options->config->tails_bytes_max,
                       (size_t) options->config->tail_bytes_max);
    list_init(&self->loads_wanted);
    buffer_init(&self->scratch, 0);
    return self;
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
    struct channel_cursor cursor = {.partition = 0};
    struct channel *channel = NULL;
    while ((channel = channel_set_each(self, &cursor)) != NULL) {
        list_for_each_safe (link, &channel->subscriptions) {
            channel_unlink(list_entry(link, struct subscription, of_channel));
        }
        channel_destroy(channel, false);
    }
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        slot_table_finish(&self->by_name[i]);
    }
    timer_wheel_destroy(&self->wheel);
    buffer_finish(&self->scratch);
    memory_free(self->by_name);
    memory_free(self);
    *self_p = NULL;
}

channel_t *channel_set_find(const channel_set_t *self, struct span name) {
    const slot_table_t *table = &self->by_name[partition_of(name, self->n_partitions)];
    struct slot_link *link = slot_table_chain(table, slot_table_hash_bytes(table, name));
    while (link != NULL && !span_equal(channel_name(slot_entry(link, struct channel, by_name)), name)) {
        link = link->next;
    }
    return link == NULL ? NULL : slot_entry(link, struct channel, by_name);
}

struct channel *channel_set_each(const channel_set_t *self, struct channel_cursor *cursor) {
    while (cursor->partition < self->n_partitions) {
        struct slot_link *link = slot_table_each(&self->by_name[cursor->partition], &cursor->slots);
        if (link != NULL) {
            return slot_entry(link, struct channel, by_name);
        }
        *cursor = (struct channel_cursor){.partition = cursor->partition + 1};
    }
    return NULL;
}

size_t channel_set_count(const channel_set_t *self) {
    return self->n_channels;
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
    struct channel_cursor cursor = {.partition = 0};
    struct channel *channel = NULL;
    self->generation++;
    while ((channel = channel_set_each(self, &cursor)) != NULL) {
        channel_take_options(channel, namespace_set_find(namespaces, channel_name(channel)));
    }
}

bool channel_set_is_reloaded(const channel_set_t *self) {
    struct channel_cursor cursor = {.partition = 0};
    const struct channel *channel = NULL;
    while ((channel = channel_set_each(self, &cursor)) != NULL) {
        const struct channel_work *work = channel->work;
        if (work != NULL && work->reading && work->read_generation != self->generation) {
            return false;
        }
    }
    return true;
}

/* ---- timers ---- */

static void send_loads(channel_set_t *self) {
    while (!list_is_empty(&self->loads_wanted) && self->loads_out < (uint32_t) self->options.config->redis_loads) {
        channel_send_load(list_entry(list_pop_front(&self->loads_wanted), struct channel_work, load_wanted));
    }
}

static void sweep(channel_set_t *self, uint64_t now_ms) {
    if (now_ms >= self->sweep_until_ms || now_ms - self->swept_ms < SWEEP_EVERY_MS) {
        return;
    }
    self->swept_ms = now_ms;
    if (!gateway_leases_are_fresh(self->options.leases, now_ms)) {
        self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
    }
    struct channel_cursor cursor = {.partition = 0};
    struct channel *channel = NULL;
    while ((channel = channel_set_each(self, &cursor)) != NULL) {
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

void channel_set_shed_tails(channel_set_t *self) {
    channel_tails_shed(&self->tails);
}

void channel_set_flush(channel_set_t *self) {
    send_loads(self);
}

void channel_set_on_leases_changed(channel_set_t *self, uint64_t now_ms) {
    self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
    self->swept_ms = 0; /* with the next tick: a second more would be a second more of ghosts */
}

/* Holes come when the network is slow; so the loads wait for the sweep, which bounds them. */
void channel_set_on_presence_doubt(channel_set_t *self, uint32_t partition, uint64_t now_ms) {
    struct slot_cursor cursor = {.slot = 0};
    struct slot_link *link = NULL;
    while ((link = slot_table_each(&self->by_name[partition], &cursor)) != NULL) {
        struct channel *channel = slot_entry(link, struct channel, by_name);
        if (channel->presence != NULL) {
            channel->presence->in_doubt = true;
            self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
        }
    }
}

void channel_set_on_partition_doubt(channel_set_t *self, uint32_t partition, uint64_t now_ms) {
    struct slot_cursor cursor = {.slot = 0};
    struct slot_link *link = NULL;
    while ((link = slot_table_each(&self->by_name[partition], &cursor)) != NULL) {
        struct channel *channel = slot_entry(link, struct channel, by_name);
        if (channel->presence != NULL) {
            channel_load_presence(channel);
        }
        channel_on_doubt(channel);
    }
    self->sweep_until_ms = now_ms + SWEEP_AFTER_LEASES_MS;
}
