/* Brokers: publications, channels, and what they keep in memory. */
#include "operator/plan/sizing_parts.h"

static bool is_embedded(const struct sizing_work *work) {
    return work->spec->redis.mode == SPEC_REDIS_EMBEDDED;
}

/* When one of several is away the others own its channels. */
static double there(const struct sizing_work *work) {
    double brokers = sizing_most(work->brokers, sizing_need(work, SIZING_BROKERS));
    return brokers > 1 ? brokers - 1 : 1;
}

static void add_pods(const struct sizing_work *work) {
    double rate = sizing_constant(is_embedded(work) ? CONSTANT_SHARD_RATE_MEMORY : CONSTANT_SHARD_RATE_REDIS);
    double shards = (double) work->spec->broker.shard_actors;
    double share = sizing_constant(CONSTANT_CPU_SHARE);
    double pods = sizing_most(1, sizing_ceiling(work->publish_rate / (shards * rate * share)));
    double spare = work->brokers > 1 ? 1 : 0;
    sizing_set(work, SIZING_BROKERS, pods + spare, work->brokers, "%s / (%s × %s × %s) = %s, + %s",
               sizing_n(work, work->publish_rate), sizing_n(work, shards), sizing_n(work, rate), sizing_n(work, share),
               sizing_n(work, work->publish_rate / (shards * rate * share)), sizing_n(work, spare));
}

static void add_cpu(const struct sizing_work *work) {
    double each = sizing_constant_seconds(CONSTANT_BROKER_CPU);
    double share = sizing_constant(CONSTANT_CPU_SHARE);
    double has = (double) work->spec->broker.resources.requests_cpu / 1000;
    sizing_set(work, SIZING_BROKER_CPU, work->publish_rate * each / there(work) / share, has > 0 ? has : -1,
               "%s × 15 µs / %s / %s", sizing_n(work, work->publish_rate), sizing_n(work, there(work)),
               sizing_n(work, share));
}

/* In memory with each channel: all that it keeps in the memory engine, else its tail. */
static double kept_bytes(const struct sizing_work *work) {
    double each = work->message_bytes + sizing_constant(CONSTANT_KEPT_MEMORY);
    double channels = work->channels / there(work);
    if (is_embedded(work)) {
        return channels * work->kept * each;
    }
    double tails = channels * sizing_least(work->kept, sizing_constant(CONSTANT_TAIL_MESSAGES)) * each;
    double most = (double) work->spec->broker.shard_actors * sizing_constant(CONSTANT_TAILS_MEMORY);
    return sizing_least(tails, most);
}

static void add_memory(const struct sizing_work *work) {
    double base = sizing_constant(CONSTANT_PROCESS_MEMORY);
    double channel = sizing_constant(CONSTANT_CHANNEL_MEMORY);
    double share = sizing_constant(CONSTANT_MEMORY_SHARE);
    double all = base + work->channels * channel / there(work) + kept_bytes(work);
    double has = (double) work->spec->broker.resources.limits_memory;
    sizing_set(work, SIZING_BROKER_MEMORY, all / share, has > 0 ? has : -1, "(%s + %s × %s / %s + %s) / %s",
               sizing_amount(work->arena, SIZING_BYTES, base), sizing_n(work, work->channels), sizing_n(work, channel),
               sizing_n(work, there(work)), sizing_amount(work->arena, SIZING_BYTES, kept_bytes(work)),
               sizing_n(work, share));
}

void sizing_add_brokers(const struct sizing_work *work) {
    if (work->publish_rate > 0) {
        add_pods(work);
        add_cpu(work);
    }
    if (work->channels > 0) {
        add_memory(work);
    }
}
