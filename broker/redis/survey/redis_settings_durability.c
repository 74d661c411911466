/* See redis_settings.h: the checks about what Redis forgets: disk and replicas. Without namespaces that keep history
 * there is little to forget, so what would be a warning is a note. */
#include "broker/redis/survey/redis_settings_parts.h"

#define MIB INT64_C(1048576)

enum { BACKLOG_SECONDS = 60 };
#define BACKLOG_LEAST (16 * MIB)

static bool is_primary(const struct redis_judge *judge) {
    return !judge->setup->is_replica && strcmp(judge->facts->role.text, "slave") != 0;
}

static bool waits_for_replicas(const struct redis_setup *setup) {
    return setup->has_safe && !setup->confirms_by_disk && !setup->is_declared;
}

/* ---- disk ---- */

/* How bad is it that a restart forgets something? */
static enum finding_severity loss_severity(const struct redis_setup *setup) {
    if (!setup->keeps_history) {
        return FINDING_NOTE;
    }
    return setup->has_safe && !setup->is_declared ? FINDING_ERROR : FINDING_WARNING;
}

static const char *loss_text(const struct redis_setup *setup) {
    if (!setup->has_safe || setup->is_declared) {
        return "";
    }
    return setup->confirms_by_disk
               ? "; safe channels are confirmed by the disk, so their promise cannot be kept"
               : "; a primary that comes back empty before the failover empties its replicas too, so safe is not kept";
}

void redis_judge_persistence(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    const struct redis_setup *setup = judge->setup;
    static const char mend[] =
        "CONFIG SET appendonly yes, then CONFIG REWRITE; not by editing redis.conf and restarting, "
        "which begins with an empty file";
    if (!facts->aof_enabled.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_PERSISTENCE, "appendonly", "yes");
    } else if (facts->aof_enabled.value != 0) {
        redis_judge_fine(judge, REDIS_CHECK_PERSISTENCE, "the append-only file is on");
    } else if (facts->save.is_known && facts->save.text[0] == '\0') {
        redis_judge_add(judge, REDIS_CHECK_PERSISTENCE, loss_severity(setup),
                        "nothing is written to disk: a restart of Redis forgets all%s", loss_text(setup));
        redis_judge_mend(judge, "%s", mend);
    } else {
        redis_judge_add(judge, REDIS_CHECK_PERSISTENCE, loss_severity(setup),
                        "no append-only file, %s: a restart of Redis forgets what came after the last snapshot%s",
                        facts->save.is_known ? "only snapshots" : "and whether there are snapshots is unknown",
                        loss_text(setup));
        redis_judge_mend(judge, "%s", mend);
    }
}

void redis_judge_appendfsync(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    const char *policy = facts->appendfsync.text;
    bool by_disk = judge->setup->has_safe && judge->setup->confirms_by_disk;
    if (facts->aof_enabled.is_known && facts->aof_enabled.value == 0) {
        redis_judge_fine(judge, REDIS_CHECK_APPENDFSYNC, "does not matter without the append-only file");
    } else if (!facts->appendfsync.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_APPENDFSYNC, "appendfsync", by_disk ? "always" : "everysec");
    } else if (by_disk && strcmp(policy, "always") != 0) {
        redis_judge_add(judge, REDIS_CHECK_APPENDFSYNC, FINDING_ERROR,
                        "appendfsync is %s, but safe channels take what Redis answers for written to disk", policy);
        redis_judge_mend(judge, "CONFIG SET appendfsync always, and in redis.conf; or let replicas confirm");
    } else if (strcmp(policy, "no") == 0) {
        redis_judge_add(judge, REDIS_CHECK_APPENDFSYNC, judge->setup->keeps_history ? FINDING_WARNING : FINDING_NOTE,
                        "appendfsync is no: a power cut forgets what the kernel had not written, up to 30 s");
        redis_judge_mend(judge, "CONFIG SET appendfsync everysec, and in redis.conf");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_APPENDFSYNC, "appendfsync is %s", policy);
    }
}

void redis_judge_disk(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    bool aof_failed = facts->aof_write_status.is_known && strcmp(facts->aof_write_status.text, "ok") != 0;
    bool rdb_failed = facts->rdb_status.is_known && strcmp(facts->rdb_status.text, "ok") != 0;
    bool rdb_stops = !facts->stop_writes.is_known || strcmp(facts->stop_writes.text, "yes") == 0;
    if (aof_failed || (rdb_failed && rdb_stops)) {
        redis_judge_add(judge, REDIS_CHECK_DISK, FINDING_ERROR, "the last %s failed: Redis refuses publishes (MISCONF)",
                        aof_failed ? "write of the append-only file" : "snapshot");
        redis_judge_mend(judge,
                         "look at Redis's log and the room on its disk; it goes on by itself after the next "
                         "write that succeeds%s",
                         aof_failed ? "" : " (BGSAVE tries now)");
    } else if (rdb_failed) {
        redis_judge_add(judge, REDIS_CHECK_DISK, FINDING_WARNING, "the last snapshot failed");
        redis_judge_mend(judge, "look at Redis's log and the room on its disk, then BGSAVE");
    } else if (!facts->aof_write_status.is_known && !facts->rdb_status.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_DISK, "INFO persistence", "aof_last_write_status:ok");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_DISK, "the last writes to disk went well");
    }
}

/* ---- replicas ---- */

void redis_judge_min_replicas(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    int64_t wanted = facts->min_replicas.value;
    if (!facts->min_replicas.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_MIN_REPLICAS, "min-replicas-to-write",
                            judge->setup->is_replicated ? "1 or more" : "0, or at most the replicas there are");
    } else if (wanted > 0 && is_primary(judge) && facts->replicas.is_known && facts->replicas.value < wanted) {
        redis_judge_add(judge, REDIS_CHECK_MIN_REPLICAS, FINDING_ERROR,
                        "min-replicas-to-write is %lld and %lld replicas are near: every publish is refused "
                        "(NOREPLICAS)",
                        (long long) wanted, (long long) facts->replicas.value);
        redis_judge_mend(judge, "bring the replicas back; in need CONFIG SET min-replicas-to-write 0");
    } else if (wanted == 0 && judge->setup->is_replicated) {
        redis_judge_add(judge, REDIS_CHECK_MIN_REPLICAS, judge->setup->keeps_history ? FINDING_WARNING : FINDING_NOTE,
                        "min-replicas-to-write is 0: a primary that is cut off goes on taking publishes which the "
                        "failover then loses");
        redis_judge_mend(judge, "CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 10 on every node, and in "
                                "redis.conf");
    } else if (wanted == 0) {
        redis_judge_fine(judge, REDIS_CHECK_MIN_REPLICAS, "min-replicas-to-write is 0: no failover, no need");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_MIN_REPLICAS, "min-replicas-to-write is set");
    }
}

static void judge_confirming_replicas(const struct redis_judge *judge, int64_t near) {
    bool all = judge->setup->confirm_replicas == REDIS_CONFIRM_ALL;
    int64_t wanted = all ? 1 : (int64_t) judge->setup->confirm_replicas;
    if (near < wanted) {
        redis_judge_add(judge, REDIS_CHECK_REPLICAS, FINDING_ERROR,
                        "safe channels wait for %lld replica%s, %lld %s near: their publishes end as unknown",
                        (long long) wanted, wanted == 1 ? "" : "s", (long long) near, near == 1 ? "is" : "are");
        redis_judge_mend(judge, "bring replicas back or add some (INFO replication shows them); in need lower "
                                "confirm_replicas");
    } else if (near == wanted && !all) {
        redis_judge_add(judge, REDIS_CHECK_REPLICAS, FINDING_NOTE,
                        "safe channels wait for %lld replica%s, and no more are there: without one of them they stop",
                        (long long) wanted, wanted == 1 ? "" : "s");
        redis_judge_mend(judge, "add a replica, so that one may fail");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_REPLICAS, "%lld replica%s near", (long long) near,
                         near == 1 ? " is" : "s are");
    }
}

void redis_judge_replicas(const struct redis_judge *judge) {
    const struct redis_number *near = &judge->facts->replicas;
    if (!is_primary(judge)) {
        redis_judge_fine(judge, REDIS_CHECK_REPLICAS, "a replica itself");
    } else if (!near->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_REPLICAS, "INFO replication",
                            "as many replicas as confirm_replicas, and one more");
    } else if (waits_for_replicas(judge->setup)) {
        judge_confirming_replicas(judge, near->value);
    } else if (near->value == 0 && judge->setup->is_replicated) {
        redis_judge_add(judge, REDIS_CHECK_REPLICAS, FINDING_WARNING,
                        "no replica is near: nobody can take over from this primary");
        redis_judge_mend(judge, "bring replicas back or add one; INFO replication shows them");
    } else {
        redis_judge_fine(judge, REDIS_CHECK_REPLICAS, "%lld replica%s near", (long long) near->value,
                         near->value == 1 ? " is" : "s are");
    }
}

/* WAIT for fewer than all says that some replica has it, not that the one which is promoted has. Sentinel takes the
 * most advanced one of a dead primary; ordered to fail over, it takes one while the others go on confirming. */
void redis_judge_confirm(const struct redis_judge *judge) {
    const struct redis_setup *setup = judge->setup;
    const struct redis_number *near = &judge->facts->replicas;
    if (!waits_for_replicas(setup) || !setup->is_replicated || setup->is_cluster || !is_primary(judge)) {
        redis_judge_fine(judge, REDIS_CHECK_CONFIRM, "no safe channels with Sentinel here");
    } else if (setup->confirm_replicas == REDIS_CONFIRM_ALL) {
        redis_judge_fine(judge, REDIS_CHECK_CONFIRM, "all replicas confirm");
    } else if (!near->is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_CONFIRM, "INFO replication",
                            "redis.confirm_replicas: 0 with two replicas or more");
    } else if (near->value <= (int64_t) setup->confirm_replicas) {
        redis_judge_fine(judge, REDIS_CHECK_CONFIRM, "as many replicas confirm as there are");
    } else {
        redis_judge_add(
            judge, REDIS_CHECK_CONFIRM, FINDING_NOTE,
            "%u of %lld replicas confirm: enough when servers die, not for a failover that is ordered while "
            "the primary lives",
            setup->confirm_replicas, (long long) near->value);
        redis_judge_mend(judge, "set redis.confirm_replicas: 0, or stop publishing around SENTINEL FAILOVER");
    }
}

void redis_judge_backlog(const struct redis_judge *judge) {
    const struct redis_facts *facts = judge->facts;
    if (!judge->setup->is_replicated && facts->replicas.value == 0) {
        redis_judge_fine(judge, REDIS_CHECK_BACKLOG, "no replicas, no need");
        return;
    }
    if (!facts->backlog_bytes.is_known) {
        redis_judge_unknown(judge, REDIS_CHECK_BACKLOG, "repl-backlog-size", "64mb");
        return;
    }
    int64_t by_rate = facts->input_kbps.value * 1024 * BACKLOG_SECONDS;
    int64_t needed = by_rate > BACKLOG_LEAST ? by_rate : BACKLOG_LEAST;
    char size_text[REDIS_SIZE_TEXT_MAX];
    char needed_text[REDIS_SIZE_TEXT_MAX];
    redis_size_text((uint64_t) facts->backlog_bytes.value, size_text);
    if (facts->backlog_bytes.value >= needed) {
        redis_judge_fine(judge, REDIS_CHECK_BACKLOG, "repl-backlog-size is %s", size_text);
        return;
    }
    redis_judge_add(judge, REDIS_CHECK_BACKLOG, FINDING_WARNING,
                    "repl-backlog-size is %s, a minute of writes takes %s: a replica that was away is copied whole",
                    size_text, redis_size_text((uint64_t) needed, needed_text));
    redis_judge_mend(judge, "CONFIG SET repl-backlog-size %lldmb, and in redis.conf",
                     (long long) (needed / MIB < 64 ? 64 : needed / MIB + 1));
}
