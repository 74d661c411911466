/* What the files of redis_settings share and nobody else includes: one function a check. Each appends one finding. */
#ifndef CALLBOARD_BROKER_REDIS_SETTINGS_PARTS_H
#define CALLBOARD_BROKER_REDIS_SETTINGS_PARTS_H

#include "broker/redis/survey/redis_settings.h"

struct redis_judge {
    const struct redis_facts *facts;
    const struct redis_setup *setup;
    struct findings *findings;
};

enum { REDIS_SIZE_TEXT_MAX = 32 };
/* "32 MiB" */
const char *redis_size_text(uint64_t bytes, char ret_text[REDIS_SIZE_TEXT_MAX]);

#define redis_judge_add(judge, check, severity, ...)                                                                   \
    findings_add((judge)->findings, redis_check_id(check), (severity), (judge)->setup->where, __VA_ARGS__)
#define redis_judge_fine(judge, check, ...) redis_judge_add(judge, check, FINDING_FINE, __VA_ARGS__)
#define redis_judge_mend(judge, ...)        findings_mend((judge)->findings, __VA_ARGS__)
/* `setting` could not be read; `wanted` says how it should be. */
void redis_judge_unknown(const struct redis_judge *judge, enum redis_check check, const char *setting,
                         const char *wanted);

/* redis_settings.c */
void redis_judge_version(const struct redis_judge *judge);
void redis_judge_mode(const struct redis_judge *judge);
void redis_judge_role(const struct redis_judge *judge);
void redis_judge_identity(const struct redis_judge *judge);
void redis_judge_partitions(const struct redis_judge *judge);
void redis_judge_rights(const struct redis_judge *judge);
void redis_judge_cluster(const struct redis_judge *judge);
void redis_judge_node_timeout(const struct redis_judge *judge);

/* redis_settings_memory.c */
void redis_judge_eviction(const struct redis_judge *judge);
void redis_judge_memory_limit(const struct redis_judge *judge);
void redis_judge_retention(const struct redis_judge *judge);
void redis_judge_memory(const struct redis_judge *judge);
void redis_judge_pubsub_buffer(const struct redis_judge *judge);

/* redis_settings_durability.c */
void redis_judge_persistence(const struct redis_judge *judge);
void redis_judge_appendfsync(const struct redis_judge *judge);
void redis_judge_disk(const struct redis_judge *judge);
void redis_judge_min_replicas(const struct redis_judge *judge);
void redis_judge_replicas(const struct redis_judge *judge);
void redis_judge_confirm(const struct redis_judge *judge);
void redis_judge_backlog(const struct redis_judge *judge);

/* redis_settings_link.c */
void redis_judge_clients(const struct redis_judge *judge);
void redis_judge_idle_timeout(const struct redis_judge *judge);
void redis_judge_slow(const struct redis_judge *judge);
void redis_judge_clock(const struct redis_judge *judge);
void redis_judge_tls(const struct redis_judge *judge);
void redis_judge_notify(const struct redis_judge *judge);

#endif
