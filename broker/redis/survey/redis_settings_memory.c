/* See redis_settings.h: the checks about memory and buffers. */
#include "broker/redis/survey/redis_settings_parts.h"

#define MIB INT64_C(1048576)

enum {
    NEAR_PERCENT = 80,
    FULL_PERCENT = 95,
    UNLIMITED_PERCENT = 50,   /* of the machine: an AOF rewrite may need as much again for a while */
    SUGGESTED_PERCENT = 60,   /* of the machine, for maxmemory */
    BUFFERED_MESSAGES = 8,    /* of the largest size */
    SOFT_SECONDS_PATIENT = 10 /* a soft limit over so long a time is not met by a short stand-still */
};

static int64_t percent(int64_t part, int64_t whole) {
    return whole <= 0 ? 0 : (int64_t) ((double) part * 100 / (double) whole);
}

void redis_judge_eviction(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    const char *policy = facts->eviction_policy.text;
    if (!facts->eviction_policy.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_EVICTION, "maxmemory-policy", "noeviction");
    } else if (strcmp(policy, "noeviction") == 0 && facts->evicted_keys.value > 0) {
        redis_judge_add(judge, REDIS_CHECK_EVICTION, FINDING_NOTE,
                        "maxmemory-policy is noeviction now, but %lld keys were evicted since Redis was started",
                        (long long) facts->evicted_keys.value);
    } else if (strcmp(policy, "noeviction") == 0) {
        redis_judge_fine(judge, REDIS_CHECK_EVICTION, "maxmemory-policy is noeviction");
    } else {
        bool is_limited = !facts->maxmemory.is_known || facts->maxmemory.value > 0;
        bool hurts = judge->setup->keeps_history;
        redis_judge_add(judge, REDIS_CHECK_EVICTION,
                        !hurts       ? FINDING_NOTE
                        : is_limited ? FINDING_ERROR
                                     : FINDING_WARNING,
                        "maxmemory-policy is %s: %s (%lld keys evicted so far)", policy,
                        !hurts       ? "presence may be thrown away when memory is short"
                        : is_limited ? "history is thrown away when memory is short"
                                     : "history is thrown away as soon as maxmemory is set and reached",
                        (long long) facts->evicted_keys.value);
        redis_judge_mend(judge, "CONFIG SET maxmemory-policy noeviction, and the same in redis.conf or the service's "
                                "parameter group");
    }
}

void redis_judge_memory_limit(const struct redis_judge *judge) {
    const struct redis_number *maxmemory = &judge->facts->maxmemory;
    const struct redis_number *machine = &judge->facts->system_memory;
    char text[REDIS_SIZE_TEXT_MAX];
    if (!maxmemory->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_MEMORY_LIMIT, "maxmemory", "about 60 % of the machine");
    } else if (maxmemory->value > 0) {
        redis_judge_fine(judge, REDIS_CHECK_MEMORY_LIMIT, "maxmemory is %s",
                         redis_size_text((uint64_t) maxmemory->value, text));
    } else {
        redis_judge_add(judge, REDIS_CHECK_MEMORY_LIMIT, FINDING_WARNING,
                        "maxmemory is not set: when the machine's memory is out the kernel ends Redis");
        if (machine->is_known && machine->value > 0) {
            redis_judge_mend(judge,
                             "CONFIG SET maxmemory %lldmb (60 %% of the machine, if Redis has it for itself), "
                             "and in redis.conf",
                             (long long) (machine->value / 100 * SUGGESTED_PERCENT / MIB));
        } else {
            redis_judge_mend(judge, "CONFIG SET maxmemory to about 60 %% of the machine, and in redis.conf");
        }
    }
}

/* maxmemory, or that of the machine; 0: not known. */
static int64_t memory_of(const struct redis_facts *facts) {
    return facts->maxmemory.is_known && facts->maxmemory.value > 0 ? facts->maxmemory.value
                                                                   : facts->system_memory.value;
}

void redis_judge_retention(const struct redis_judge *judge) {
    int64_t whole = memory_of(judge->facts);
    uint64_t history = judge->setup->history_bytes;
    char history_text[REDIS_SIZE_TEXT_MAX];
    char whole_text[REDIS_SIZE_TEXT_MAX];
    if (whole <= 0) {
        redis_judge_unknown(judge, REDIS_CHECK_RETENTION, "maxmemory",
                            "twice what one channel's history_size of broker.publication_bytes may take");
        return;
    }
    bool is_large = history > (uint64_t) whole / 2;
    redis_judge_add(judge, REDIS_CHECK_RETENTION, is_large ? FINDING_NOTE : FINDING_FINE,
                    "one channel's history may take %s of %s", redis_size_text(history, history_text),
                    redis_size_text((uint64_t) whole, whole_text));
    if (is_large) {
        redis_judge_mend(judge, "lower history_size of the namespace, or broker.publication_bytes, to what is needed");
    }
}

void redis_judge_memory(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    bool is_limited = facts->maxmemory.is_known && facts->maxmemory.value > 0;
    int64_t whole = memory_of(facts);
    if (!facts->used_memory.is_known || whole <= 0) {
        redis_judge_unknown(judge, REDIS_CHECK_MEMORY, "used_memory or its bound", "at most 80 % of maxmemory");
        return;
    }
    char used_text[REDIS_SIZE_TEXT_MAX];
    char whole_text[REDIS_SIZE_TEXT_MAX];
    int64_t share = percent(facts->used_memory.value, whole);
    bool is_full = is_limited && share >= FULL_PERCENT;
    bool is_near = share >= (is_limited ? NEAR_PERCENT : UNLIMITED_PERCENT);
    redis_judge_add(
        judge, REDIS_CHECK_MEMORY,
        is_full   ? FINDING_ERROR
        : is_near ? FINDING_WARNING
                  : FINDING_FINE,
        "%s of %s are used, %lld %% of %s%s", redis_size_text((uint64_t) facts->used_memory.value, used_text),
        redis_size_text((uint64_t) whole, whole_text), (long long) share, is_limited ? "maxmemory" : "the machine",
        is_full ? ": publishes are refused, or soon will be" : "");
    if (is_near) {
        redis_judge_mend(judge, "raise maxmemory, or keep less: history_size, history_ttl and history_meta_ttl of the "
                                "namespaces; MEMORY DOCTOR and redis-cli --bigkeys show what is large");
    }
}

/* A broker that stands still for as long as it may without being cut must find everything waiting. */
static int64_t needed_buffer(const struct redis_judge *judge) {
    int64_t by_messages = (int64_t) judge->setup->message_bytes * BUFFERED_MESSAGES;
    int64_t by_rate = judge->facts->output_kbps.value * 1024 * judge->setup->patience_ms / 1000;
    int64_t needed = by_messages > by_rate ? by_messages : by_rate;
    return needed < MIB ? MIB : (needed + MIB - 1) / MIB * MIB;
}

void redis_judge_pubsub_buffer(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    int64_t needed = needed_buffer(judge);
    int64_t hard = facts->pubsub_hard_bytes.value;
    int64_t soft = facts->pubsub_soft_bytes.value;
    int64_t soft_s = facts->pubsub_soft_s.value;
    char hard_text[REDIS_SIZE_TEXT_MAX];
    char soft_text[REDIS_SIZE_TEXT_MAX];
    char needed_text[REDIS_SIZE_TEXT_MAX];
    if (!facts->pubsub_hard_bytes.is_known || !facts->pubsub_soft_s.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_PUBSUB_BUFFER, "client-output-buffer-limit pubsub",
                            "at least \"pubsub 32mb 8mb 60\"");
        return;
    }
    bool is_hard_small = hard > 0 && hard < needed;
    bool is_soft_small = soft > 0 && soft < needed && soft_s < SOFT_SECONDS_PATIENT;
    if (!is_hard_small && !is_soft_small) {
        redis_judge_fine(judge, REDIS_CHECK_PUBSUB_BUFFER, "client-output-buffer-limit pubsub has room for %s",
                         redis_size_text((uint64_t) needed, needed_text));
        return;
    }
    redis_judge_add(judge, REDIS_CHECK_PUBSUB_BUFFER, FINDING_WARNING,
                    "client-output-buffer-limit pubsub is %s, or %s for %lld s: a broker may be %s behind",
                    hard == 0 ? "unlimited" : redis_size_text((uint64_t) hard, hard_text),
                    redis_size_text((uint64_t) soft, soft_text), (long long) soft_s,
                    redis_size_text((uint64_t) needed, needed_text));
    redis_judge_mend(judge, "CONFIG SET client-output-buffer-limit \"pubsub %lldmb %lldmb 60\", and in redis.conf",
                     (long long) (needed / MIB < 32 ? 32 : needed / MIB),
                     (long long) (needed / MIB < 32 ? 8 : needed / MIB / 4));
}
