/* What a shard does without when its process is near the end of its memory (broker.memory_max; base/process_memory.h):
 *
 *   from 80 % on   tails go, the longest unused first, a quarter of their bytes with every tick: the engine still has
 *                  what was in them
 *   from 90 % on   new subscriptions are refused with error 111, but not those of gateways that go on with what they
 *                  had (moving, lagging); the memory engine grows no further: idle channels make room,
 *                  and who goes on is refused, too, where they do not
 *   from 95 % on   publications are refused with error 111
 *
 * One shard looks for all with every tick, and any of them when much came in since: a burst is not waited for. What is
 * refused is definite and temporary. */
#include "broker/shard_parts.h"

#include "base/log.h"

enum { TRIM_EVERY_MS = 1000, LOOKS_A_BUDGET = 256 /* bytes published since the last look, by the budget */ };

static const char *text_of(enum memory_level level) {
    switch (level) {
    case MEMORY_FINE:
        return "fine";
    case MEMORY_SHEDS:
        return "gives up tails";
    case MEMORY_REFUSES_NEWCOMERS:
        return "refuses subscriptions";
    case MEMORY_REFUSES_PUBLICATIONS:
        return "refuses publications";
    }
    return "unknown";
}

static enum memory_level level_of(const struct shard *self) {
    return (enum memory_level) atomic_load_explicit(&self->options.memory->level, memory_order_relaxed);
}

static void look(struct shard *self) {
    struct shard_memory *memory = self->options.memory;
    uint64_t used_bytes = process_memory_bytes();
    enum memory_level level = process_memory_level(used_bytes, memory->budget_bytes);
    self->published_bytes = 0;
    atomic_store_explicit(&memory->used_bytes, used_bytes, memory_order_relaxed);
    if (atomic_exchange(&memory->level, level) != level) {
        LOG_AT(level == MEMORY_FINE ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "broker_memory_level",
               log_text("level", text_of(level)), log_u64("used", used_bytes),
               log_u64("broker.memory_max", memory->budget_bytes));
    }
}

static void look_for_all(struct shard *self, uint64_t now_ms) {
    look(self);
    metric_set(self->metrics, SHARD_MEMORY_BYTES,
               (int64_t) atomic_load_explicit(&self->options.memory->used_bytes, memory_order_relaxed));
    metric_set(self->metrics, SHARD_MEMORY_LEVEL, (int64_t) level_of(self));
    if (level_of(self) >= MEMORY_SHEDS && now_ms - self->trimmed_ms >= TRIM_EVERY_MS) {
        self->trimmed_ms = now_ms;
        process_memory_give_back(); /* what went meanwhile */
    }
}

void shard_guard_memory(struct shard *self, uint64_t now_ms) {
    if (self->options.memory == NULL) {
        return;
    }
    if (self->options.index == 0) {
        look_for_all(self, now_ms);
    }
    enum memory_level level = level_of(self);
    if (level >= MEMORY_SHEDS) {
        channel_set_shed_tails(self->channels);
    }
    engine_hold_back(self->engine, level >= MEMORY_REFUSES_NEWCOMERS);
}

bool shard_refuses_subscription(struct shard *self, bool own) {
    bool refuses = self->options.memory != NULL && !own && level_of(self) >= MEMORY_REFUSES_NEWCOMERS;
    if (refuses) {
        metric_count(self->metrics, SHARD_MEMORY_REFUSED_SUBSCRIPTIONS);
    }
    return refuses;
}

bool shard_refuses_publication(struct shard *self, size_t bytes) {
    if (self->options.memory == NULL) {
        return false;
    }
    self->published_bytes += bytes;
    if (self->published_bytes >= self->options.memory->budget_bytes / LOOKS_A_BUDGET) {
        look(self);
    }
    bool refuses = level_of(self) >= MEMORY_REFUSES_PUBLICATIONS;
    if (refuses) {
        metric_count(self->metrics, SHARD_MEMORY_REFUSED_PUBLICATIONS);
    }
    return refuses;
}
