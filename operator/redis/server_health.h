/* What one server says of itself, and what a kubelet is told of it: pure. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_SERVER_HEALTH_H
#define CALLBOARD_OPERATOR_SERVER_HEALTH_H

#include "operator/redis/redis_options.h"

enum { SERVER_REASON_MAX = 256 };

struct server_facts {
    enum redis_mode mode;
    bool has_answered; /* anything at all: PONG, or an error such as LOADING, BUSY, MASTERDOWN, NOAUTH, WRONGPASS */
    bool is_pong;
    bool is_loading;
    bool knows_role; /* INFO replication was answered */
    bool is_replica;
    bool is_link_up;
    bool is_syncing;
    bool knows_cluster; /* CLUSTER INFO was answered */
    uint64_t known_nodes;
    uint64_t expected_nodes;
    uint64_t own_slots; /* of a primary: whether it serves any; UINT64_MAX: not asked */
    bool is_spare;      /* a primary without slots whose cluster is well: it waits for `redis scale` */
    bool has_quorum;    /* Sentinel: CKQUORUM */
};

enum server_probe { SERVER_PROBE_LIVE, SERVER_PROBE_READY, SERVER_PROBE_STARTED };

/* Whether the probe succeeds; ret_reason says why not, or what the server is. */
bool server_probe_verdict(const struct server_facts *facts, enum server_probe probe,
                          char ret_reason[SERVER_REASON_MAX]);

#endif
