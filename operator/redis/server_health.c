/* See server_health.h.
 *
 *   live     an answer, whatever it says: a server that loads, runs a long script or refuses our login is alive, and
 *            killing it would only make it load again
 *   started  it answers and has loaded its data
 *   ready    PONG, and primary or replica in sync; in a cluster it also knows all the nodes and has its part (slots, or
 *            a primary). Not cluster_state: one dead shard would make every pod unready and empty the Service. A pod
 * that is kept for a shard to come is ready without: it would stop the roll that brings its configuration */
#include "operator/redis/server_health.h"

#include <inttypes.h>
#include <stdio.h>

static bool answer(char ret_reason[SERVER_REASON_MAX], bool verdict, const char *reason) {
    snprintf(ret_reason, SERVER_REASON_MAX, "%s", reason);
    return verdict;
}

static bool is_ready_in_cluster(const struct server_facts *facts, char ret_reason[SERVER_REASON_MAX]) {
    if (!facts->knows_cluster) {
        return answer(ret_reason, false, "CLUSTER INFO is not answered");
    }
    if (facts->known_nodes < facts->expected_nodes) {
        snprintf(ret_reason, SERVER_REASON_MAX, "knows %" PRIu64 " of %" PRIu64 " nodes", facts->known_nodes,
                 facts->expected_nodes);
        return false;
    }
    if (!facts->is_replica && facts->own_slots == 0 && !facts->is_spare) {
        return answer(ret_reason, false, "serves no slots and follows no primary yet");
    }
    return true;
}

static bool is_ready(const struct server_facts *facts, char ret_reason[SERVER_REASON_MAX]) {
    if (!facts->is_pong) {
        return answer(ret_reason, false, "does not answer PING with PONG");
    }
    if (facts->mode == REDIS_MODE_SENTINEL) {
        return answer(ret_reason, facts->has_quorum,
                      facts->has_quorum ? "sentinel with a quorum" : "CKQUORUM finds no quorum");
    }
    if (!facts->knows_role) {
        return answer(ret_reason, false, "INFO replication is not answered");
    }
    if (facts->is_replica && (!facts->is_link_up || facts->is_syncing)) {
        return answer(ret_reason, false,
                      facts->is_syncing ? "replica in its first sync" : "replica without its primary");
    }
    if (facts->mode == REDIS_MODE_CLUSTER && !is_ready_in_cluster(facts, ret_reason)) {
        return false;
    }
    return answer(ret_reason, true,
                  facts->is_replica ? "replica in sync"
                  : facts->is_spare ? "primary of a shard to come: it waits for redis scale"
                                    : "primary");
}

bool server_probe_verdict(const struct server_facts *facts, enum server_probe probe,
                          char ret_reason[SERVER_REASON_MAX]) {
    if (!facts->has_answered) {
        return answer(ret_reason, false, "no answer");
    }
    if (probe == SERVER_PROBE_LIVE) {
        return answer(ret_reason, true, "answers");
    }
    if (facts->is_loading) {
        return answer(ret_reason, false, "loading its data");
    }
    return probe == SERVER_PROBE_STARTED ? answer(ret_reason, true, "started") : is_ready(facts, ret_reason);
}
