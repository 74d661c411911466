/* redis.conf, sentinel.conf and users.acl as templates for callboard-agent: what differs between pods and what is
 * secret is a place like ${pod-ip} that it fills (docs/redis-pods.md), so one ConfigMap serves all pods and holds no
 * secret.
 *
 * Defaults, then the user's own lines, then ours: of two lines the last one counts, and what the agent and durability
 * need is ours. What stands among ours is refused in redis.config (checks/check_redis.c), so that nobody's line is
 * without effect silently. */
#include "operator/render/render_parts.h"

#include "operator/spec/spec_derive.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* As tests/support/documented_acl.c takes it from docs/redis.md: what the broker sends, and what its checks ask. */
#define BROKER_RIGHTS                                                                                                  \
    "~cb:* ~{cb}* resetchannels &cb:* -@all +eval +evalsha +get +set +del +hget +hmget +hset +hdel +hgetall +hscan "   \
    "+xadd +xrange +xrevrange +xtrim +pexpire +pttl +sadd +srem +smembers +publish +spublish +subscribe +unsubscribe " \
    "+ssubscribe +sunsubscribe +wait +time +role +select +info +command|info +client|setname +cluster|slots "          \
    "+cluster|info +config|get +slowlog|get"
#define SENTINEL_READER_RIGHTS                                                                                         \
    "resetchannels &+switch-master &+promoted-slave -@all +sentinel|master +sentinel|get-master-addr-by-name "         \
    "+sentinel|slaves +sentinel|sentinels +sentinel|myid +subscribe +client|setname"
/* redis_exporter without its look at CONFIG, which would show it the replicas' password. */
#define EXPORTER_RIGHTS                                                                                                \
    "resetchannels -@all +ping +info +client|setname +slowlog|len +slowlog|get +latency|latest +latency|histogram "    \
    "+cluster|info"
/* Nobody can log in as this one, and it keeps every right: as the default user Redis loads its own append-only file,
 * and without a right it leaves out, with a line in its log, every transaction in there, which is all that scripts
 * wrote (Redis, and Valkey before 9.1). */
#define DEFAULT_USER "user default off resetpass ~* &* +@all\n"
/* Sentinel at a server, as its documentation has it, and +failover: Valkey 9.0 sends that in the transaction that
 * promotes a replica, and refused there, no failover ever happens. */
#define SENTINEL_RIGHTS                                                                                                \
    "resetchannels allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite +role +publish +info "     \
    "+client|setname +client|kill +script|kill +failover"

static const char *finish(const struct render *self, struct buffer *text) {
    const char *copy = arena_text_of(self->arena, buffer_span(text));
    buffer_finish(text);
    return copy;
}

static bool is_mode(const struct render *self, enum spec_redis_mode mode) {
    return self->spec->redis.mode == (int) mode;
}

/* ---- what both have ---- */

static void add_listener(const struct render *self, struct buffer *out, int port) {
    buffer_append_text(out, "bind * -::*\nprotected-mode no\n");
    if (!self->spec->tls.is_on) {
        buffer_append_format(out, "port %d\n", port);
        return;
    }
    buffer_append_format(out,
                         "port 0\ntls-port %d\ntls-cert-file /tls/tls.crt\ntls-key-file /tls/tls.key\n"
                         "tls-ca-cert-file /tls/ca.crt\ntls-auth-clients no\ntls-replication yes\n",
                         port);
}

/* ---- redis.conf ---- */

/* What the user's lines may change. */
static void add_defaults(const struct render *self, struct buffer *out) {
    buffer_append_text(out, "tcp-backlog 4096\ntcp-keepalive 60\ntimeout 0\nlatency-monitor-threshold 50\n"
                            "disable-thp yes\noom-score-adj no\nmaxmemory-clients 10%\n"
                            "client-output-buffer-limit normal 0 0 0\n"
                            "client-output-buffer-limit replica 512mb 128mb 60\n"
                            "client-output-buffer-limit pubsub 256mb 64mb 60\nlazyfree-lazy-eviction yes\n"
                            "lazyfree-lazy-expire yes\nlazyfree-lazy-server-del yes\nlazyfree-lazy-user-del yes\n"
                            "repl-backlog-size 64mb\nrepl-diskless-sync yes\nrepl-diskless-sync-delay 0\n");
    if (self->spec->redis.persistence.size > 0) {
        buffer_append_text(out, "aof-use-rdb-preamble yes\naof-load-truncated yes\nno-appendfsync-on-rewrite no\n"
                                "auto-aof-rewrite-percentage 100\nauto-aof-rewrite-min-size 256mb\n");
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct spec_pair *) a)->name, ((const struct spec_pair *) b)->name);
}

/* By name, as the chart cannot but have them; a name stands there once. */
static void add_own(const struct render *self, struct buffer *out) {
    const struct spec_pairs *own = &self->spec->redis.config;
    struct spec_pair *lines = arena_alloc(self->arena, (own->n + 1) * sizeof *lines);
    for (size_t i = 0; i < own->n; i++) {
        lines[i] = own->items[i];
    }
    qsort(lines, own->n, sizeof *lines, by_name);
    for (size_t i = 0; i < own->n; i++) {
        buffer_append_format(out, "%s %s\n", lines[i].name, lines[i].value);
    }
}

static void add_persistence(const struct render *self, struct buffer *out) {
    static const char *const fsync[] = {"everysec", "always", "no"}; /* enum spec_appendfsync */
    buffer_append_text(out, "save \"\"\n");
    if (self->spec->redis.persistence.size == 0) {
        buffer_append_text(out, "appendonly no\n");
    } else {
        buffer_append_format(out, "appendonly yes\nappendfsync %s\n", fsync[self->spec->redis.appendfsync]);
    }
}

static void add_memory(const struct render *self, struct buffer *out) {
    const struct spec_redis *redis = &self->spec->redis;
    if (redis->maxmemory > 0) {
        buffer_append_format(out, "maxmemory %lld\n", (long long) redis->maxmemory);
    }
    buffer_append_format(out, "maxmemory-policy noeviction\nstream-node-max-bytes %lld\n",
                         (long long) redis->stream_node_max_bytes);
}

static void add_replication(const struct render *self, struct buffer *out) {
    const struct spec_redis *redis = &self->spec->redis;
    buffer_append_text(out, "masteruser agent\nmasterauth ${secret:redis-password}\n");
    if (redis->min_replicas_to_write > 0) {
        buffer_append_format(out, "min-replicas-to-write %lld\nmin-replicas-max-lag %lld\n",
                             (long long) redis->min_replicas_to_write,
                             (long long) (redis->min_replicas_max_lag_ms + 999) / 1000);
    }
    if (is_mode(self, SPEC_REDIS_SENTINEL)) {
        buffer_append_format(out, "replica-announce-ip ${pod-fqdn}\nreplica-announce-port %d\n", RENDER_REDIS_PORT);
    }
}

static void add_cluster(const struct render *self, struct buffer *out) {
    const struct spec_redis *redis = &self->spec->redis;
    if (!is_mode(self, SPEC_REDIS_CLUSTER)) {
        return;
    }
    buffer_append_format(out,
                         "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout %lld\n"
                         "cluster-announce-ip ${pod-ip}\ncluster-require-full-coverage no\n"
                         "cluster-allow-replica-migration no\ncluster-allow-pubsubshard-when-down yes\n",
                         (long long) redis->cluster.node_timeout_ms);
    if (redis->cluster.announce == SPEC_ANNOUNCE_HOSTNAME) {
        buffer_append_text(out, "cluster-announce-hostname ${pod-fqdn}\ncluster-preferred-endpoint-type hostname\n");
    }
    if (self->spec->tls.is_on) {
        buffer_append_text(out, "tls-cluster yes\n");
    }
    if (spec_fails_over_on_sigterm(self->spec)) {
        buffer_append_text(out, "shutdown-on-sigterm failover\n");
    }
}

static const char *redis_conf(const struct render *self) {
    struct buffer out = BUFFER_EMPTY;
    add_defaults(self, &out);
    add_own(self, &out);
    add_listener(self, &out, RENDER_REDIS_PORT);
    buffer_append_text(&out, "dir /data\naclfile /conf/users.acl\nshutdown-timeout 10\n");
    add_persistence(self, &out);
    add_memory(self, &out);
    add_replication(self, &out);
    add_cluster(self, &out);
    return finish(self, &out);
}

/* Before a planned failover under Sentinel writes are held. */
#define PAUSE_RIGHTS " +client|pause +client|unpause"

static const char *redis_users(const struct render *self) {
    struct buffer out = BUFFER_EMPTY;
    const char *more = is_mode(self, SPEC_REDIS_SENTINEL) ? PAUSE_RIGHTS : "";
    buffer_append_format(&out,
                         DEFAULT_USER
                         "user callboard on ${acl:redis-password} " BROKER_RIGHTS "\n"
                         "user agent on ${acl:redis-password} resetchannels -@all +ping +info +role +dbsize "
                         "+cluster +replicaof +psync +replconf%s\n"
                         "user backup on ${acl:redis-password} resetchannels -@all +ping +info +role +dbsize "
                         "+cluster|info +cluster|nodes +psync +replconf\n"
                         "user operator on ${acl:redis-password} ~cb:* ~{cb}* resetchannels -@all +ping +info "
                         "+role +dbsize +select +cluster +migrate +restore +restore-asking%s\n",
                         more, more);
    if (self->spec->tls.is_on) { /* callboard-agent's, by a password that it makes itself */
        buffer_append_text(&out, "user renewal on ${own-acl} resetchannels -@all +ping +config|set\n");
    }
    if (is_mode(self, SPEC_REDIS_SENTINEL)) {
        buffer_append_text(&out, "user sentinel on ${acl:sentinel-password} " SENTINEL_RIGHTS "\n");
    }
    if (self->spec->monitoring.exporter[0] != '\0') {
        buffer_append_text(&out, "user exporter on ${acl:exporter-password} " EXPORTER_RIGHTS "\n");
    }
    return finish(self, &out);
}

/* ---- sentinel.conf ---- */

static const char *sentinel_conf(const struct render *self) {
    const struct spec_redis *redis = &self->spec->redis;
    const char *set = redis->sentinel.master_set;
    struct buffer out = BUFFER_EMPTY;
    add_listener(self, &out, RENDER_SENTINEL_PORT);
    buffer_append_format(&out,
                         "dir /conf\naclfile /conf/users.acl\nsentinel resolve-hostnames yes\n"
                         "sentinel announce-hostnames yes\nsentinel announce-ip ${pod-fqdn}\n"
                         "sentinel announce-port %d\nsentinel myid ${sentinel-id}\nsentinel deny-scripts-reconfig yes\n"
                         "sentinel sentinel-user sentinel\nsentinel sentinel-pass ${secret:sentinel-password}\n",
                         RENDER_SENTINEL_PORT);
    buffer_append_format(&out, "sentinel monitor %s %s %d %lld\n", set, render_pod_host(self, RENDER_REDIS, 0),
                         RENDER_REDIS_PORT, (long long) redis->sentinel.quorum);
    buffer_append_format(&out,
                         "sentinel auth-user %s sentinel\nsentinel auth-pass %s ${secret:sentinel-password}\n"
                         "sentinel down-after-milliseconds %s %lld\nsentinel failover-timeout %s %lld\n"
                         "sentinel parallel-syncs %s 1\nsentinel master-reboot-down-after-period %s 60000\n",
                         set, set, set, (long long) redis->sentinel.down_after_ms, set,
                         (long long) redis->sentinel.failover_timeout_ms, set, set);
    return finish(self, &out);
}

static const char *sentinel_users(const struct render *self) {
    struct buffer out = BUFFER_EMPTY;
    buffer_append_text(&out,
                       "user default off\nuser callboard on ${acl:sentinel-password} " SENTINEL_READER_RIGHTS " +ping\n"
                       "user agent on ${acl:sentinel-password} resetchannels -@all +ping +sentinel|master "
                       "+sentinel|failover +sentinel|ckquorum\n"
                       "user sentinel on ${acl:sentinel-password} allchannels -@all +ping +publish +subscribe +info "
                       "+sentinel +client|setname\n");
    return finish(self, &out);
}

/* ---- the ConfigMaps ---- */

static const char *add_map(const struct render *self, const char *component, const char *file, const char *conf,
                           const char *users) {
    manifest_t *map = render_add(self, "v1", "ConfigMap", render_name(self, component), component);
    manifest_t *data = manifest_add_map(map, "data");
    manifest_set_text(data, file, conf);
    manifest_set_text(data, "users.acl", users);
    struct buffer all = BUFFER_EMPTY;
    buffer_append_format(&all, "%s%s", conf, users);
    const char *checksum = arena_format(self->arena, "%016llx", (unsigned long long) XXH64(all.data, all.size, 0));
    buffer_finish(&all);
    return checksum;
}

const char *render_redis_files(const struct render *self) {
    return add_map(self, RENDER_REDIS, "redis.conf", redis_conf(self), redis_users(self));
}

const char *render_sentinel_files(const struct render *self) {
    return add_map(self, RENDER_SENTINEL, "sentinel.conf", sentinel_conf(self), sentinel_users(self));
}
