/* What is wrong with Redis: that writes are refused comes first, then what the next failure would lose.
 *
 *     set        nobody, or two, primary · another one than a majority of the Sentinels names · no quorum
 *     cluster    slots that nobody serves
 *     each       cannot write its file · no room in memory or on its volume · a replica out of sync, or none */
#include "operator/status/status_parts.h"

#include <string.h>

enum { SLOTS = 16384, MEMORY_WARNING_PERCENT = 90, DISK_WARNING_PERCENT = 15, DISK_ERROR_PERCENT = 5, LAG_S = 10 };

struct redis_judging {
    struct status *status;
    const manifest_t *redis;
    const manifest_t *servers;
    const char *mode;
    size_t n_answering; /* that told their role */
    size_t n_primaries;
    const char *primary; /* the last one that says so */
};

static bool is_role(const manifest_t *row, const char *role) {
    return strcmp(status_text_at(row, "role"), role) == 0;
}

static void count(struct redis_judging *self) {
    for (size_t i = 0; i < manifest_count(self->servers); i++) {
        const manifest_t *row = manifest_at(self->servers, i);
        self->n_answering += manifest_get(row, "role") != NULL;
        if (is_role(row, "primary")) {
            self->n_primaries++;
            self->primary = status_text_at(row, "pod");
        }
    }
}

/* ---- a set under Sentinel ---- */

/* The pod that most of all Sentinels name; NULL: no majority. */
static const char *named_primary(const struct redis_judging *self, int64_t *ret_votes) {
    const manifest_t *list = manifest_get(self->redis, "sentinels");
    int64_t all = status_int_at(self->redis, "sentinel_pods", 0);
    *ret_votes = 0;
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const char *named = status_text_at(manifest_at(list, i), "primary");
        int64_t votes = 0;
        for (size_t k = 0; k < manifest_count(list); k++) {
            votes += named[0] != '\0' && strcmp(status_text_at(manifest_at(list, k), "primary"), named) == 0;
        }
        *ret_votes = votes > *ret_votes ? votes : *ret_votes;
        if (2 * votes > all) {
            return named;
        }
    }
    return NULL;
}

static int64_t count_quorum(const struct redis_judging *self, int64_t *ret_answering) {
    const manifest_t *list = manifest_get(self->redis, "sentinels");
    int64_t reached = 0;
    *ret_answering = 0;
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        *ret_answering += manifest_get(row, "quorum_reached") != NULL;
        reached += status_bool_at(row, "quorum_reached");
    }
    return reached;
}

static void judge_sentinels(const struct redis_judging *self) {
    struct status *status = self->status;
    int64_t answering;
    int64_t votes;
    int64_t all = status_int_at(self->redis, "sentinel_pods", 0);
    int64_t reached = count_quorum(self, &answering);
    const char *named = named_primary(self, &votes);
    if (all == 0 || answering == 0) {
        return;
    }
    if (reached == 0) {
        status_add_error(status, "sentinels", "no Sentinel finds a quorum: a primary that dies is not replaced",
                         "bring the Sentinel pods back; they need each other, and Redis, by name");
    } else if (2 * answering > all && named == NULL) {
        status_add_error(status, "sentinels", "they do not agree on a primary",
                         "a failover may be under way; if it stays so, look at their logs for +switch-master");
    } else if (named != NULL && self->n_primaries == 1 && strcmp(named, self->primary) != 0) {
        status_add_error(status, "redis",
                         arena_format(status->arena, "%lld of %lld Sentinels name %s as primary, but %s is",
                                      (long long) votes, (long long) all, named, self->primary),
                         "the agents mend it within seconds; if it stays so, SENTINEL FAILOVER at one Sentinel");
    }
    if (reached > 0 && reached < all && answering == all) {
        status_add_warning(
            status, "sentinels",
            arena_format(status->arena, "%lld of %lld find a quorum", (long long) reached, (long long) all), "");
    }
}

static void judge_set(const struct redis_judging *self) {
    struct status *status = self->status;
    bool all_answer = (int64_t) self->n_answering >= status_int_at(self->redis, "pods", 0);
    if (self->n_primaries == 0 && all_answer && self->n_answering > 0) {
        status_add_error(status, "redis", "no pod is primary: nothing is written",
                         "the Sentinels choose one when they have a quorum; see them below");
    } else if (self->n_primaries > 1) {
        status_add_error(status, "redis",
                         arena_format(status->arena, "%zu pods say that they are primary", self->n_primaries),
                         "the agents let all follow the one that the Sentinels name; writes to others are lost");
    }
    judge_sentinels(self);
}

/* ---- a cluster ---- */

static void judge_cluster(const struct redis_judging *self) {
    struct status *status = self->status;
    int64_t served = -1;
    int64_t failed = 0;
    for (size_t i = 0; i < manifest_count(self->servers); i++) {
        const manifest_t *row = manifest_at(self->servers, i);
        int64_t ok = status_int_at(row, "slots_ok", -1);
        served = ok > served ? ok : served; /* one that is cut off sees fewer */
        failed = status_int_at(row, "slots_failed", 0) > failed ? status_int_at(row, "slots_failed", 0) : failed;
    }
    if (served >= 0 && served < SLOTS) {
        status_add_error(
            status, "redis",
            arena_format(status->arena, "%lld of %d slots are served: channels of the others are not written",
                         (long long) served, SLOTS),
            "bring the pods of that shard back; the agents heal what can be healed, and refuse in their log "
            "(cluster_state) what a person has to decide");
    }
}

/* Each primary of a cluster with slots, and the one of a set, has somebody in sync behind it. */
static void judge_replicas(const struct redis_judging *self, const manifest_t *primary) {
    const char *name = status_text_at(primary, "pod");
    size_t n_in_sync = 0;
    size_t n_following = 0;
    for (size_t i = 0; i < manifest_count(self->servers); i++) {
        const manifest_t *row = manifest_at(self->servers, i);
        bool follows = is_role(row, "replica") && strcmp(status_text_at(row, "primary"), name) == 0;
        n_following += follows;
        n_in_sync += follows && status_bool_at(row, "link_up") && !status_bool_at(row, "syncing");
    }
    bool is_lone = strcmp(self->mode, "standalone") == 0 || status_int_at(self->redis, "pods", 1) == 1;
    bool is_empty = strcmp(self->mode, "cluster") == 0 && status_int_at(primary, "slots", 0) == 0;
    if (is_lone || is_empty || n_in_sync > 0) {
        return;
    }
    status_add_warning(self->status, name,
                       n_following == 0 ? "no replica follows it: if it dies, its data are away"
                                        : "no replica of it is in sync: if it dies now, writes are lost",
                       "wait for the first sync, or bring the replica's pod back");
}

/* ---- each server ---- */

static void judge_disk(const struct redis_judging *self, const manifest_t *row, const char *pod) {
    int64_t size = status_int_at(row, "disk_bytes", 0);
    int64_t free = status_int_at(row, "disk_free_bytes", 0);
    if (size <= 0 || free * 100 > size * DISK_WARNING_PERCENT) {
        return;
    }
    const char *what =
        arena_format(self->status->arena, "%lld %% of its volume are free", (long long) (free * 100 / size));
    static const char mend[] =
        "grow redis.persistence.size, or keep less history; a file that cannot be written stops writes";
    if (free * 100 > size * DISK_ERROR_PERCENT) {
        status_add_warning(self->status, pod, what, mend);
    } else {
        status_add_error(self->status, pod, what, mend);
    }
}

static void judge_memory(const struct redis_judging *self, const manifest_t *row, const char *pod) {
    int64_t used = status_int_at(row, "memory_bytes", 0);
    int64_t max = status_int_at(row, "memory_max_bytes", 0);
    if (max > 0 && used >= max) {
        status_add_error(self->status, pod, "its memory is full: publishes to channels with history are refused",
                         "raise redis.maxmemory and the limits, or lower history.size and history.ttl of namespaces");
    } else if (max > 0 && used * 100 > max * MEMORY_WARNING_PERCENT) {
        status_add_warning(
            self->status, pod,
            arena_format(self->status->arena, "%lld %% of maxmemory are used", (long long) (used * 100 / max)),
            "raise redis.maxmemory and the limits, or keep less history");
    }
    if (status_int_at(row, "evicted", 0) > 0) {
        status_add_warning(self->status, pod, "it has thrown keys away", "maxmemory-policy has to be noeviction");
    }
}

static void judge_server(const struct redis_judging *self, const manifest_t *row) {
    struct status *status = self->status;
    const char *pod = status_text_at(row, "pod");
    if (strcmp(status_text_at(row, "aof"), "err") == 0) {
        status_add_error(status, pod, "its append-only file cannot be written: writes are refused",
                         "look at its volume: is it full, or read-only? kubectl logs tells Redis' words");
    } else if (strcmp(status_text_at(row, "rdb"), "err") == 0) {
        status_add_warning(status, pod, "its last snapshot failed", "look at its volume and memory; its log says why");
    }
    judge_disk(self, row, pod);
    judge_memory(self, row, pod);
    if (is_role(row, "primary")) {
        judge_replicas(self, row);
    } else if (is_role(row, "replica") && !status_bool_at(row, "link_up")) {
        status_add_warning(status, pod, "its link to its primary is down", "");
    } else if (is_role(row, "replica") && status_int_at(row, "last_io_s", 0) > LAG_S) {
        status_add_warning(status, pod,
                           arena_format(status->arena, "has heard nothing of its primary for %lld s",
                                        (long long) status_int_at(row, "last_io_s", 0)),
                           "");
    }
}

void status_judge_redis(struct status *status, const manifest_t *redis) {
    struct redis_judging self = {.status = status,
                                 .redis = redis,
                                 .servers = manifest_get(redis, "servers"),
                                 .mode = status_text_at(redis, "mode")};
    count(&self);
    if (strcmp(self.mode, "cluster") == 0) {
        judge_cluster(&self);
    } else if (strcmp(self.mode, "replicated") == 0) {
        judge_set(&self);
    }
    for (size_t i = 0; i < manifest_count(self.servers); i++) {
        judge_server(&self, manifest_at(self.servers, i));
    }
}
