/* What one Redis server says of itself: fields of INFO, CONFIG GET, ROLE, TIME, CLUSTER INFO, SLOWLOG GET and what our
 * own keys say. Each fact is known or not: what an ACL denies, a managed service hides or an old version lacks stays
 * unknown, and nobody may take it for fine. Parsing is pure; redis_survey.h asks the questions, redis_settings.h
 * judges. Thread: the owner's (values). */
#ifndef CALLBOARD_BROKER_REDIS_FACTS_H
#define CALLBOARD_BROKER_REDIS_FACTS_H

#include "base/redis_reply.h"
#include "broker/redis/link/redis_address.h"

struct redis_number {
    bool is_known;
    int64_t value;
};

enum { REDIS_WORD_MAX = 127, REDIS_FACTS_REPLICAS_MAX = 16 };
struct redis_word {
    bool is_known;
    char text[REDIS_WORD_MAX + 1]; /* printable ASCII, cut */
};

struct redis_facts {
    /* INFO, of every server that lets us read it */
    bool info_is_known;
    struct redis_word version;        /* 7.0.15; of Valkey what it says it is compatible with */
    struct redis_word valkey_version; /* Valkey only */
    struct redis_word mode;           /* standalone, sentinel, cluster */
    struct redis_word role;           /* master, slave; from INFO, else from ROLE */
    struct redis_word master_replid;
    struct redis_word master_link; /* of a replica: up, down */
    struct redis_number loading;
    struct redis_number replicas;                                     /* online, heard of within 10 s */
    struct redis_address replica_addresses[REDIS_FACTS_REPLICAS_MAX]; /* of all that are connected */
    size_t n_replica_addresses;
    struct redis_number backlog_bytes;
    struct redis_number used_memory;
    struct redis_number maxmemory; /* 0: none */
    struct redis_number system_memory;
    struct redis_word eviction_policy;
    struct redis_number evicted_keys; /* since start */
    struct redis_number aof_enabled;
    struct redis_word aof_write_status; /* ok, err */
    struct redis_word rdb_status;       /* ok, err: of the last background save */
    struct redis_number clients;
    struct redis_number clients_max;
    struct redis_number rejected_connections;
    struct redis_number input_kbps; /* now, of all clients */
    struct redis_number output_kbps;

    /* CONFIG GET */
    bool config_is_denied;
    struct redis_word appendfsync; /* always, everysec, no */
    struct redis_word save;        /* "" : no snapshots */
    struct redis_number min_replicas;
    struct redis_number min_replicas_max_lag_s;
    struct redis_number pubsub_hard_bytes; /* client-output-buffer-limit pubsub; 0: none */
    struct redis_number pubsub_soft_bytes;
    struct redis_number pubsub_soft_s;
    struct redis_number idle_timeout_s;  /* timeout; 0: never */
    struct redis_word notify;            /* notify-keyspace-events */
    struct redis_word stop_writes;       /* stop-writes-on-bgsave-error */
    struct redis_number node_timeout_ms; /* cluster-node-timeout */

    /* others */
    struct redis_number has_sharded;    /* SSUBSCRIBE is there: 1 */
    struct redis_number clock_ahead_ms; /* its clock less ours */
    struct redis_number round_trip_us;  /* of the first command of the survey */
    struct redis_number slow_commands;  /* in the slow log, of the last 10 min, at most 16 */
    struct redis_number slowest_us;     /* of them */
    struct redis_number partitions;     /* stored under our prefix; 0: nothing is stored yet */
    struct redis_word cluster_state;    /* ok, fail */
    struct redis_number cluster_slots_assigned;
    struct redis_number cluster_slots_ok;
};

/* "7.0.15" → 700; 0: not a version. */
unsigned redis_version_number(const char *text);
enum { REDIS_VERSION_MIN = 602 /* XTRIM MINID, commands that scripts of ours need */ };

/* Each takes a reply as it came; an error reply or one of another shape leaves its facts unknown. */
void redis_facts_take_info(struct redis_facts *self, const struct redis_reply *reply);
/* CONFIG GET name: [name, value]. */
void redis_facts_take_config(struct redis_facts *self, const struct redis_reply *reply);
void redis_facts_take_role(struct redis_facts *self, const struct redis_reply *reply);
void redis_facts_take_sharded(struct redis_facts *self, const struct redis_reply *reply); /* COMMAND INFO SSUBSCRIBE */
/* TIME, answered at answered_ms of our wall clock. */
void redis_facts_take_time(struct redis_facts *self, const struct redis_reply *reply, int64_t answered_ms,
                           uint64_t round_trip_us);
void redis_facts_take_slowlog(struct redis_facts *self, const struct redis_reply *reply, int64_t server_now_s);
void redis_facts_take_partitions(struct redis_facts *self, const struct redis_reply *reply); /* GET prefix:partitions */
void redis_facts_take_cluster(struct redis_facts *self, const struct redis_reply *reply);    /* CLUSTER INFO */

/* Parameters that are asked for with CONFIG GET, NULL-terminated. */
extern const char *const redis_facts_parameters[];

#endif
