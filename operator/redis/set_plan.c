/* See set_plan.h.
 *
 *   roll     every server answers, exactly one is primary and it is the one that the Sentinels name, every other one is
 *            in sync, none far behind, all append-only files are written ─▶ a replica may go; the primary hands over
 *            (a set of one server: it may go, and is away until it is back)
 *   backup   a replica in sync does the work, not the primary: that one's clients would feel the fork, and Sentinel
 *            would take the copying connection for a replica and remember it
 *
 * Failures: two primaries, or another one than the Sentinels name, are waited for: a failover is under way, or the
 * agents mend it. */
#include "operator/redis/set_plan.h"

#include <stdarg.h>
#include <stdio.h>

static bool refuse(char ret_reason[CLUSTER_REASON_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool refuse(char ret_reason[CLUSTER_REASON_MAX], const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(ret_reason, CLUSTER_REASON_MAX, format, values);
    va_end(values);
    return false;
}

static bool is_alone_well(const struct set_server *server, char ret_reason[CLUSTER_REASON_MAX]) {
    if (!server->answers) {
        return refuse(ret_reason, "pod %s does not answer (%s)", server->name, server->trouble);
    }
    if (!server->is_saving_well) {
        return refuse(ret_reason, "pod %s cannot write its append-only file: stopped now, it would lose data",
                      server->name);
    }
    return true;
}

int set_primary(const struct set_server *servers, size_t n, char ret_reason[CLUSTER_REASON_MAX]) {
    int primary = SET_NOBODY;
    for (size_t i = 0; i < n; i++) {
        if (servers[i].answers && servers[i].is_primary) {
            if (primary != SET_NOBODY) {
                (void) refuse(ret_reason, "pods %s and %s both say that they are primary", servers[primary].name,
                              servers[i].name);
                return SET_NOBODY;
            }
            primary = (int) i;
        }
    }
    if (primary == SET_NOBODY) {
        (void) refuse(ret_reason, "no pod says that it is primary");
    }
    return primary;
}

static bool is_replica_well(const struct set_server *server, const struct set_server *primary, uint64_t max_lag,
                            char ret_reason[CLUSTER_REASON_MAX]) {
    if (!server->is_in_sync) {
        return refuse(ret_reason, "waiting for the replica %s to be in sync", server->name);
    }
    if (strcmp(server->replication_id, primary->replication_id) != 0) {
        return refuse(ret_reason, "the replica %s follows another one than %s", server->name, primary->name);
    }
    if (primary->offset > server->offset && primary->offset - server->offset > max_lag) {
        return refuse(ret_reason, "pod %s is too far behind its primary", server->name);
    }
    return true;
}

static bool are_replicas_well(const struct set_server *servers, size_t n, int primary, uint64_t max_lag,
                              char ret_reason[CLUSTER_REASON_MAX]) {
    for (size_t i = 0; i < n; i++) {
        if ((int) i != primary && !is_replica_well(&servers[i], &servers[primary], max_lag, ret_reason)) {
            return false;
        }
    }
    return true;
}

enum roll_verdict set_roll_judge(const struct set_server *servers, size_t n, unsigned pod, int named,
                                 bool has_sentinels, uint64_t max_lag, char ret_reason[CLUSTER_REASON_MAX]) {
    for (size_t i = 0; i < n; i++) {
        if (!is_alone_well(&servers[i], ret_reason)) {
            return ROLL_WAIT;
        }
    }
    int primary = set_primary(servers, n, ret_reason);
    if (primary == SET_NOBODY) {
        return ROLL_WAIT;
    }
    if (has_sentinels && named == SET_NOBODY) {
        (void) refuse(ret_reason, "no majority of the Sentinels names one of the pods as primary");
        return ROLL_WAIT;
    }
    if (has_sentinels && named != primary) {
        (void) refuse(ret_reason, "the Sentinels name pod %s as primary, but pod %s is", servers[named].name,
                      servers[primary].name);
        return ROLL_WAIT;
    }
    if (!are_replicas_well(servers, n, primary, max_lag, ret_reason)) {
        return ROLL_WAIT;
    }
    if ((int) pod == primary && n > 1) {
        snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s is primary and hands over", servers[pod].name);
        return ROLL_HAND_OVER;
    }
    snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s may be stopped%s", servers[pod].name,
             n > 1 ? "" : ": it has no replica, Redis is away until it is back");
    return ROLL_MAY_GO;
}

bool set_has_caught_up(struct set_catching_up *self, const struct set_server *servers, size_t n) {
    char reason[CLUSTER_REASON_MAX];
    int primary = set_primary(servers, n, reason);
    bool is_there = primary != SET_NOBODY;
    for (size_t i = 0; is_there && i < n; i++) {
        is_there = (int) i == primary || (servers[i].answers && servers[i].is_in_sync &&
                                          strcmp(servers[i].replication_id, servers[primary].replication_id) == 0 &&
                                          (self->looks < 2 || servers[i].offset >= self->wanted));
    }
    if (is_there && self->looks < 2) {
        self->looks++;
        self->wanted = servers[primary].offset;
        return false;
    }
    return is_there;
}

int set_backup_source(const struct set_server *servers, size_t n, char ret_reason[CLUSTER_REASON_MAX]) {
    int best = SET_NOBODY;
    int primary = set_primary(servers, n, ret_reason);
    if (n == 1) {
        return is_alone_well(&servers[0], ret_reason) ? 0 : SET_NOBODY;
    }
    for (size_t i = 0; primary != SET_NOBODY && i < n; i++) {
        if (servers[i].answers && servers[i].is_in_sync &&
            strcmp(servers[i].replication_id, servers[primary].replication_id) == 0 &&
            (best == SET_NOBODY || servers[i].offset > servers[best].offset)) {
            best = (int) i;
        }
    }
    if (primary != SET_NOBODY && best == SET_NOBODY) {
        (void) refuse(ret_reason, "waiting for a replica of %s that is in sync", servers[primary].name);
    }
    return best;
}
