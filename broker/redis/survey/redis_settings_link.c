/* See redis_settings.h: the checks about the way to the server: connections, time, encryption. */
#include "broker/redis/survey/redis_settings_parts.h"

enum {
    CLIENTS_PERCENT = 80,
    IDLE_SHORT_S = 30, /* our links speak every second, but not while a process stands still */
    SLOW_US = 100000,
    CLOCK_MS = 2000,
};

void redis_judge_clients(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    int64_t bound = facts->clients_max.value;
    if (!facts->clients.is_known || !facts->clients_max.is_known || bound <= 0) {
        redis_judge_unknown(judge, REDIS_CHECK_CLIENTS, "maxclients", "10000");
        return;
    }
    if (bound < (int64_t) judge->setup->n_links) {
        redis_judge_add(judge, REDIS_CHECK_CLIENTS, FINDING_ERROR, "maxclients is %lld, one broker needs %u links",
                        (long long) bound, judge->setup->n_links);
    } else if (facts->clients.value * 100 >= bound * CLIENTS_PERCENT) {
        redis_judge_add(judge, REDIS_CHECK_CLIENTS, FINDING_WARNING, "%lld of maxclients %lld are connected",
                        (long long) facts->clients.value, (long long) bound);
    } else if (facts->rejected_connections.value > 0) {
        redis_judge_add(judge, REDIS_CHECK_CLIENTS, FINDING_NOTE,
                        "%lld of maxclients %lld are connected; %lld were turned away since Redis was started",
                        (long long) facts->clients.value, (long long) bound,
                        (long long) facts->rejected_connections.value);
    } else {
        redis_judge_fine(judge, REDIS_CHECK_CLIENTS, "%lld of maxclients %lld are connected",
                         (long long) facts->clients.value, (long long) bound);
        return;
    }
    redis_judge_mend(judge, "CONFIG SET maxclients 10000, and in redis.conf (Redis needs as many descriptors); CLIENT "
                            "LIST shows who is connected");
}

void redis_judge_idle_timeout(const struct redis_judge *judge) {
    const struct redis_number *timeout = &judge->facts->idle_timeout_s;
    if (!timeout->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_IDLE_TIMEOUT, "timeout", "0");
    } else if (timeout->value == 0) {
        redis_judge_fine(judge, REDIS_CHECK_IDLE_TIMEOUT, "timeout is 0: quiet links stay");
    } else {
        redis_judge_add(judge, REDIS_CHECK_IDLE_TIMEOUT, timeout->value < IDLE_SHORT_S ? FINDING_WARNING : FINDING_NOTE,
                        "timeout is %lld s: links that are quiet for so long are cut", (long long) timeout->value);
        redis_judge_mend(judge, "CONFIG SET timeout 0, and in redis.conf");
    }
}

void redis_judge_slow(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    int64_t slowest_us = facts->slowest_us.is_known ? facts->slowest_us.value : 0;
    int64_t patience_us = (int64_t) judge->setup->patience_ms * 1000;
    if (!facts->slow_commands.is_known && !facts->round_trip_us.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_SLOW, "SLOWLOG GET", "no command above 100 ms");
    } else if (slowest_us >= SLOW_US) {
        redis_judge_add(judge, REDIS_CHECK_SLOW, slowest_us >= patience_us ? FINDING_ERROR : FINDING_WARNING,
                        "a command of the last 10 minutes took %lld ms, everything else waited%s",
                        (long long) (slowest_us / 1000),
                        slowest_us >= patience_us ? " and links were cut (redis.command_timeout)" : "");
        redis_judge_mend(judge,
                         "SLOWLOG GET 16 names it; KEYS, big DELs and other programs' scripts are the usual ones");
    } else if (facts->round_trip_us.value >= SLOW_US) {
        redis_judge_add(judge, REDIS_CHECK_SLOW, FINDING_WARNING, "a question took %lld ms to be answered",
                        (long long) (facts->round_trip_us.value / 1000));
        redis_judge_mend(judge, "redis-cli --latency from here and on the server tell the network from Redis; LATENCY "
                                "DOCTOR, SLOWLOG GET 16, and a machine short of CPU are where to look");
    } else if (!facts->slow_commands.is_known) {
        redis_judge_fine(judge, REDIS_CHECK_SLOW, "answered in %lld ms (the slow log is not shown to this user)",
                         (long long) (facts->round_trip_us.value / 1000));
    } else {
        redis_judge_fine(judge, REDIS_CHECK_SLOW, "answered in %lld ms, no slow command in the last 10 minutes",
                         (long long) (facts->round_trip_us.value / 1000));
    }
}

void redis_judge_clock(const struct redis_judge *judge) {
    const struct redis_number *ahead = &judge->facts->clock_ahead_ms;
    if (!ahead->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_CLOCK, "TIME", "within 2 s of this machine's clock");
        return;
    }
    bool is_far = ahead->value > CLOCK_MS || ahead->value < -CLOCK_MS;
    int64_t distance_ms = ahead->value < 0 ? -ahead->value : ahead->value;
    redis_judge_add(judge, REDIS_CHECK_CLOCK, is_far ? FINDING_WARNING : FINDING_FINE, "its clock is %lld ms %s ours",
                    (long long) distance_ms, ahead->value < 0 ? "behind" : "ahead of");
    if (is_far) {
        redis_judge_mend(judge, "synchronise both machines (chronyc tracking, timedatectl); tokens and Sentinel depend "
                                "on it");
    }
}

void redis_judge_tls(const struct redis_judge *judge) {
    const struct redis_setup *setup = judge->setup;
    if (setup->is_encrypted || setup->is_local) {
        redis_judge_fine(judge, REDIS_CHECK_TLS, "%s",
                         setup->is_encrypted ? "encrypted" : "does not leave this machine");
        return;
    }
    redis_judge_add(judge, REDIS_CHECK_TLS, FINDING_WARNING,
                    "the link leaves this machine unencrypted: publications and the password can be read on the way");
    redis_judge_mend(judge, "use rediss://, or keep brokers and Redis in a network that nobody else reaches");
}

void redis_judge_notify(const struct redis_judge *judge) {
    const struct redis_word *notify = &judge->facts->notify;
    if (!notify->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_NOTIFY, "notify-keyspace-events", "empty");
    } else if (notify->text[0] == '\0') {
        redis_judge_fine(judge, REDIS_CHECK_NOTIFY, "notify-keyspace-events is empty");
    } else {
        redis_judge_add(judge, REDIS_CHECK_NOTIFY, FINDING_NOTE,
                        "notify-keyspace-events is \"%s\": each write of ours publishes events that we do not read",
                        notify->text);
        redis_judge_mend(judge, "CONFIG SET notify-keyspace-events \"\" unless another program needs it");
    }
}
