/* One set of Redis servers (a primary and its replicas, or one server) as it was seen, and what may be done to it: may
 * a pod be stopped now, and whom is a copy taken from. Pure. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_SET_PLAN_H
#define CALLBOARD_OPERATOR_SET_PLAN_H

#include "operator/redis/roll_plan.h"

enum { SET_NAME_MAX = 256, SET_DATABASES_MAX = 64, SET_NOBODY = -1 };

struct set_server {
    bool answers; /* else only name and trouble count */
    bool is_loading;
    bool is_primary;
    bool is_in_sync;     /* a replica whose link is up and that is not in its first sync */
    bool is_saving_well; /* its append-only file takes what it writes, or it has none */
    bool is_cluster;
    uint64_t offset;
    uint64_t keys; /* of all databases */
    char name[SET_NAME_MAX];
    char trouble[256]; /* why it does not answer */
    char replication_id[CLUSTER_ID_LENGTH + 1];
    char run_id[CLUSTER_ID_LENGTH + 1]; /* another one after each start */
    char version[32];
};

/* The one that says it is primary. SET_NOBODY: none, or two; ret_reason says which. */
int set_primary(const struct set_server *servers, size_t n, char ret_reason[CLUSTER_REASON_MAX]);

/* named: the pod that a majority of the Sentinels names; SET_NOBODY: none, or none was asked (one server alone).
 * ROLL_HAND_OVER: SENTINEL FAILOVER first. */
enum roll_verdict set_roll_judge(const struct set_server *servers, size_t n, unsigned pod, int named,
                                 bool has_sentinels, uint64_t max_lag, char ret_reason[CLUSTER_REASON_MAX]);

/* Before a failover is ordered. Sentinel promotes any replica that answers, and one that is just back may be linked for
 * a second before the stream reaches it: it would take back what clients were told meanwhile. So all have to be in sync
 * at two looks, and then to reach the place where the primary was at the second. Begin with zeros. */
struct set_catching_up {
    unsigned looks;
    uint64_t wanted;
};
bool set_has_caught_up(struct set_catching_up *self, const struct set_server *servers, size_t n);

/* The server that a copy is taken from: the replica in sync that is farthest, or the one server of a set of one.
 * SET_NOBODY: wait; ret_reason says for what. */
int set_backup_source(const struct set_server *servers, size_t n, char ret_reason[CLUSTER_REASON_MAX]);

#endif
