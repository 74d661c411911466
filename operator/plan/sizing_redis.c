/* Redis: streams in memory, the file they are logged in, and the one core that executes.
 *
 *     channel = its keys + blocks × block;  publications in a block = stream-node-max-bytes / (payload + 48)
 *
 * Fitted to tests/bench/kept_sizes.py from above: never less than measured but for 2 % at publications that are as
 * large as a block. */
#include "operator/plan/sizing_parts.h"

#include "operator/spec/spec_derive.h"

static bool is_ours(const struct sizing_work *work) {
    return spec_redis_pods(work->spec) > 0;
}

static double block_of(const struct sizing_work *work) {
    double entry = work->message_bytes + sizing_constant(CONSTANT_ENTRY_MEMORY);
    return sizing_most(entry, (double) work->spec->redis.stream_node_max_bytes);
}

static double blocks_of(const struct sizing_work *work) {
    double entry = work->message_bytes + sizing_constant(CONSTANT_ENTRY_MEMORY);
    double in_block = sizing_most(1, (double) (int64_t) (block_of(work) / entry));
    return sizing_ceiling(work->kept / in_block);
}

static double data_of(const struct sizing_work *work) {
    double channel = sizing_constant(CONSTANT_STREAM_MEMORY) +
                     blocks_of(work) * (block_of(work) + sizing_constant(CONSTANT_BLOCK_MEMORY));
    return work->channels * channel;
}

static double written_of(const struct sizing_work *work) {
    return work->publish_rate * (work->message_bytes + sizing_constant(CONSTANT_APPEND_DISK)) / work->primaries;
}

/* ---- memory ---- */

static void add_maxmemory(const struct sizing_work *work) {
    double share = sizing_constant(CONSTANT_MEMORY_SHARE);
    double maxmemory = data_of(work) / work->primaries / share;
    double has = is_ours(work) ? (double) work->spec->redis.maxmemory : -1;
    sizing_set(work, SIZING_REDIS_MAXMEMORY, maxmemory, has, "%s / %s / %s",
               sizing_amount(work->arena, SIZING_BYTES, data_of(work)), sizing_n(work, work->primaries),
               sizing_n(work, share));
    if (!is_ours(work)) {
        return;
    }
    double part = (double) spec_maxmemory_percent(work->spec) / 100;
    sizing_set(work, SIZING_REDIS_MEMORY, maxmemory / part, (double) work->spec->redis.resources.limits_memory,
               "%s / %s", sizing_amount(work->arena, SIZING_BYTES, maxmemory), sizing_n(work, part));
    double primaries = sizing_most(1, sizing_ceiling(data_of(work) / share / has));
    sizing_set(work, SIZING_REDIS_FOR_MEMORY, primaries, work->primaries, "%s / %s / %s",
               sizing_amount(work->arena, SIZING_BYTES, data_of(work)), sizing_n(work, share),
               sizing_amount(work->arena, SIZING_BYTES, has));
}

static void add_data(const struct sizing_work *work) {
    sizing_set(work, SIZING_REDIS_DATA, data_of(work), -1,
               "%s × (%s + %s × (%s + %s)); a channel keeps %s publications", sizing_n(work, work->channels),
               sizing_n(work, sizing_constant(CONSTANT_STREAM_MEMORY)), sizing_n(work, blocks_of(work)),
               sizing_n(work, block_of(work)), sizing_n(work, sizing_constant(CONSTANT_BLOCK_MEMORY)),
               sizing_n(work, work->kept));
}

/* ---- disk ---- */

static void add_volume(const struct sizing_work *work) {
    double size = (double) work->spec->redis.persistence.size;
    if (!is_ours(work) || size <= 0) {
        return;
    }
    double data = data_of(work) / work->primaries;
    double growth = sizing_most(data, sizing_constant(CONSTANT_REWRITE_MIN));
    double meanwhile = sizing_constant(CONSTANT_REWRITE_TIME) * written_of(work);
    double by_rate = data + growth + data + meanwhile;
    double by_memory = 3 * sizing_need(work, SIZING_REDIS_MAXMEMORY);
    sizing_set(work, SIZING_REDIS_VOLUME, sizing_most(by_rate, by_memory), size, "the most of %s and %s + %s + %s + %s",
               sizing_amount(work->arena, SIZING_BYTES, by_memory), sizing_amount(work->arena, SIZING_BYTES, data),
               sizing_amount(work->arena, SIZING_BYTES, growth), sizing_amount(work->arena, SIZING_BYTES, data),
               sizing_amount(work->arena, SIZING_BYTES, meanwhile));
}

/* ---- rate ---- */

static void add_rate(const struct sizing_work *work) {
    double share = sizing_constant(CONSTANT_CPU_SHARE);
    double cores = work->publish_rate * sizing_constant_seconds(CONSTANT_APPEND_CPU) / share;
    sizing_set(work, SIZING_REDIS_FOR_RATE, sizing_most(1, sizing_ceiling(cores)), work->primaries,
               "%s × 21 µs / %s = %s", sizing_n(work, work->publish_rate), sizing_n(work, share),
               sizing_n(work, cores));
    sizing_set(work, SIZING_REDIS_DISK, written_of(work), -1, "%s × (%s + %s) / %s", sizing_n(work, work->publish_rate),
               sizing_n(work, work->message_bytes), sizing_n(work, sizing_constant(CONSTANT_APPEND_DISK)),
               sizing_n(work, work->primaries));
}

void sizing_add_redis(const struct sizing_work *work) {
    if (work->primaries <= 0 || work->kept <= 0) { /* without history nothing is stored */
        return;
    }
    if (work->channels > 0) {
        add_data(work);
        add_maxmemory(work);
        add_volume(work);
    }
    if (work->publish_rate > 0) {
        add_rate(work);
    }
}
