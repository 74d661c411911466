/* What was seen of the pods of a Redis Cluster, as values. Thread: any. */
#ifndef CALLBOARD_OPERATOR_CLUSTER_VIEW_H
#define CALLBOARD_OPERATOR_CLUSTER_VIEW_H

#include "operator/redis/cluster_table.h"

enum { CLUSTER_PODS_MAX = 540 };

/* One pod as it was seen. */
struct cluster_pod {
    bool answers;                /* and none of the answers was an error; else only `name` counts */
    bool is_loading;             /* it answers LOADING: alive, not to be asked */
    const char *name;            /* for reasons */
    const char *trouble;         /* why it does not answer; NULL: not told */
    char host[CLUSTER_HOST_MAX]; /* its numeric address now */
    uint16_t port;
    struct cluster_table table;         /* its CLUSTER NODES */
    uint64_t keys;                      /* DBSIZE */
    bool is_link_up;                    /* a replica's master_link_status, and no sync under way */
    char dials[CLUSTER_HOST_MAX];       /* a replica's master_host; "": not told */
    uint64_t offset;                    /* of its replication stream */
    uint64_t used_memory;               /* bytes */
    uint64_t dataset_bytes;             /* of those: what keys take */
    uint64_t maxmemory;                 /* 0: no bound */
    uint64_t libraries;                 /* of functions */
    char run_id[CLUSTER_ID_LENGTH + 1]; /* another one after each start */
    bool is_state_ok;                   /* cluster_state */
    unsigned slots_ok;                  /* cluster_slots_ok */
};

struct cluster_view {
    struct cluster_pod *pods; /* by ordinal */
    size_t n;
    unsigned shards;
};

/* The pod's own line of its table; NULL: it does not answer. */
const struct cluster_node *cluster_view_line(const struct cluster_view *self, size_t pod);
/* The pod with this id, or -1. */
int cluster_view_find(const struct cluster_view *self, const char *id);

#endif
