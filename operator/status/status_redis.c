/* Redis and its Sentinels, as their agents' /status says (docs/redis-pods.md): one row a pod, with the primary that a
 * replica follows by its pod's name, and how far it is behind.
 *
 *     replicated, cluster   lag = offset of the primary that it follows - its own, asked one after the other
 */
#include "operator/status/status_parts.h"

#include <string.h>

/* Fields that are taken as they are. */
static void copy_fields(manifest_t *row, const manifest_t *status, arena_t *arena) {
    static const char *const fields[] = {
        "ordinal",          "role",    "link_up",    "syncing",         "offset",    "replicas",
        "version",          "aof",     "rdb",        "loading",         "keys",      "memory_bytes",
        "memory_max_bytes", "evicted", "disk_bytes", "disk_free_bytes", "last_io_s", "uptime_s"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const manifest_t *value = manifest_get(status, fields[i]);
        if (value != NULL) {
            manifest_set(row, fields[i], manifest_copy(arena, value));
        }
    }
    static const char *const of_cluster[] = {"slots", "slots_ok", "slots_failed", "known", "expected", "state"};
    const manifest_t *cluster = manifest_get(status, "cluster");
    for (size_t i = 0; cluster != NULL && i < sizeof of_cluster / sizeof of_cluster[0]; i++) {
        const manifest_t *value = manifest_get(cluster, of_cluster[i]);
        if (value != NULL) {
            manifest_set(row, of_cluster[i], manifest_copy(arena, value));
        }
    }
}

/* The pod at host:port: its address, or a name that begins with the pod's. */
static const char *pod_at(arena_t *arena, const manifest_t **pods, size_t n, const char *address) {
    const char *colon = strrchr(address, ':');
    const char *host =
        arena_text_of(arena, span_of(address, colon == NULL ? strlen(address) : (size_t) (colon - address)));
    const char *first = arena_text_of(arena, span_of(host, strcspn(host, ".")));
    for (size_t i = 0; i < n; i++) {
        const char *name = status_text_at(pods[i], "metadata.name");
        if (strcmp(status_text_at(pods[i], "status.podIP"), host) == 0 || strcmp(name, first) == 0) {
            return name;
        }
    }
    return address;
}

static void add_server(struct status *self, manifest_t *list, const manifest_t **pods, size_t n, size_t i) {
    manifest_t *row = manifest_append_map(list);
    const char *name = status_text_at(pods[i], "metadata.name");
    const char *why;
    const manifest_t *status = status_json_of(self, name, "/status", &why);
    manifest_set_text(row, "pod", name);
    if (status == NULL) {
        manifest_set_text(row, "trouble", why);
        return;
    }
    const char *trouble = status_text_at(status, "trouble");
    manifest_set_bool(row, "ok", status_bool_at(status, "ok"));
    manifest_set_text(row, "reason", status_text_at(status, "reason"));
    manifest_set_text_if(row, "trouble", trouble);
    copy_fields(row, status, self->arena);
    const char *primary = status_text_at(status, "primary");
    if (primary[0] != '\0') {
        manifest_set_text(row, "primary", pod_at(self->arena, pods, n, primary));
    }
}

static const manifest_t *row_of(const manifest_t *list, const char *pod) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        if (strcmp(status_text_at(manifest_at(list, i), "pod"), pod) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

static void add_lags(manifest_t *list) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        manifest_t *row = manifest_at(list, i);
        const manifest_t *primary = row_of(list, status_text_at(row, "primary"));
        int64_t ahead = status_int_at(primary, "offset", -1);
        int64_t own = status_int_at(row, "offset", -1);
        if (ahead >= 0 && own >= 0) {
            manifest_set_int(row, "lag_bytes", ahead > own ? ahead - own : 0);
        }
    }
}

/* ---- Sentinels ---- */

static void add_sentinel(struct status *self, manifest_t *list, const manifest_t *pod, const manifest_t **servers,
                         size_t n_servers) {
    manifest_t *row = manifest_append_map(list);
    const char *name = status_text_at(pod, "metadata.name");
    const char *why;
    const manifest_t *status = status_json_of(self, name, "/status", &why);
    manifest_set_text(row, "pod", name);
    if (status == NULL) {
        manifest_set_text(row, "trouble", why);
        return;
    }
    manifest_set_bool(row, "ok", status_bool_at(status, "ok"));
    manifest_set_text(row, "reason", status_text_at(status, "reason"));
    manifest_set_bool(row, "quorum_reached", status_bool_at(status, "quorum_reached"));
    manifest_set_int(row, "replicas", status_int_at(status, "replicas", 0));
    manifest_set_int(row, "sentinels", status_int_at(status, "sentinels", 0));
    manifest_set_text_if(row, "flags", status_text_at(status, "flags"));
    const char *primary = status_text_at(status, "primary");
    if (primary[0] != '\0') {
        manifest_set_text(row, "primary", pod_at(self->arena, servers, n_servers, primary));
    }
}

/* ---- all ---- */

static const char *variable(const manifest_t *set, const char *name) {
    const manifest_t *list = set == NULL ? NULL : manifest_find(set, "spec.template.spec.containers.0.env");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        if (strcmp(status_text_at(manifest_at(list, i), "name"), name) == 0) {
            return status_text_at(manifest_at(list, i), "value");
        }
    }
    return "";
}

void status_add_redis(struct status *self) {
    const manifest_t *set = status_workload(self, "redis");
    if (set == NULL) {
        return; /* embedded, or another's: the brokers say whether they reach it */
    }
    size_t n;
    size_t n_sentinels;
    const manifest_t **pods = status_pods(self, "redis", &n);
    const manifest_t **sentinels = status_pods(self, "sentinel", &n_sentinels);
    manifest_t *redis = manifest_add_map(self->page, "redis");
    manifest_set_text(redis, "mode", variable(set, "CALLBOARD_AGENT_MODE"));
    manifest_set_int(redis, "pods", status_int_at(set, "spec.replicas", 1));
    manifest_t *servers = manifest_add_list(redis, "servers");
    for (size_t i = 0; i < n; i++) {
        add_server(self, servers, pods, n, i);
    }
    add_lags(servers);
    const manifest_t *sentinel_set = status_workload(self, "sentinel");
    if (sentinel_set != NULL) {
        manifest_set_int(redis, "sentinel_pods", status_int_at(sentinel_set, "spec.replicas", 1));
        manifest_t *list = manifest_add_list(redis, "sentinels");
        for (size_t i = 0; i < n_sentinels; i++) {
            add_sentinel(self, list, sentinels[i], pods, n);
        }
    }
    status_judge_redis(self, redis);
}
