/* The files gateway.yaml and broker.yaml: what the spec's fields decide, then the user's own keys, then the namespaces,
 * the same in both. The checksum is over the keys that a running program does not take up by a reload; only such a
 * change rolls the pods. */
#include "operator/render/render_parts.h"

#include "base/config_assign.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/spec/spec_values.h"

#include <string.h>
#include <xxhash.h>

#define AUTH_FOLDER  "/etc/callboard/auth/"
#define CURVE_FOLDER "/etc/callboard/curve/"

static void set_duration(const struct render *self, manifest_t *map, const char *key, int64_t ms) {
    struct buffer text = BUFFER_EMPTY;
    spec_append_duration(&text, ms);
    manifest_set_text(map, key, arena_text_of(self->arena, buffer_span(&text)));
    buffer_finish(&text);
}

/* Maps are merged, everything else is replaced. */
static void merge(manifest_t *map, const manifest_t *more) {
    for (size_t i = 0; more != NULL && i < manifest_count(more); i++) {
        const char *key = manifest_key_at(more, i);
        manifest_t *value = manifest_at(more, i);
        manifest_t *mine = manifest_get(map, key);
        if (mine != NULL && manifest_kind(mine) == MANIFEST_MAP && manifest_kind(value) == MANIFEST_MAP) {
            merge(mine, value);
        } else {
            manifest_set(map, key, value);
        }
    }
}

static void add_rest(const struct render *self, manifest_t *top, spec_raw_t config) {
    if (config != NULL) {
        merge(top, manifest_of_yaml(self->arena, config));
    }
    if (self->spec->broker.namespaces != NULL) {
        manifest_set(top, "namespaces", manifest_of_yaml(self->arena, self->spec->broker.namespaces));
    }
}

/* ---- the checksum ---- */

/* A copy without the keys that are reloaded. */
static manifest_t *lasting(const struct render *self, const manifest_t *map, const struct config_table *table,
                           const char *prefix) {
    manifest_t *rest = manifest_map(self->arena);
    for (size_t i = 0; i < manifest_count(map); i++) {
        const char *key = manifest_key_at(map, i);
        const manifest_t *value = manifest_at(map, i);
        const char *path = arena_format(self->arena, "%s%s", prefix, key);
        const struct config_key *row = config_find_key_in_table(table, span_of_text(path));
        if (row == NULL && manifest_kind(value) == MANIFEST_MAP) {
            manifest_t *inner = lasting(self, value, table, arena_format(self->arena, "%s.", path));
            if (manifest_count(inner) > 0) {
                manifest_set(rest, key, inner);
            }
        } else if (row == NULL || (row->flags & CONFIG_RELOADABLE) == 0) {
            manifest_set(rest, key, manifest_copy(self->arena, value));
        }
    }
    return rest;
}

static struct render_config finish(const struct render *self, const manifest_t *top, const struct config_table *table) {
    struct buffer text = BUFFER_EMPTY;
    manifest_append_yaml(lasting(self, top, table, ""), &text);
    const char *checksum = arena_format(self->arena, "%016llx", (unsigned long long) XXH64(text.data, text.size, 0));
    buffer_clear(&text);
    manifest_append_yaml(top, &text);
    struct render_config config = {.text = arena_text_of(self->arena, buffer_span(&text)), .checksum = checksum};
    buffer_finish(&text);
    return config;
}

/* ---- gateway.yaml ---- */

static void set_http(const struct render *self, manifest_t *http) {
    const struct spec_gateway *gateway = &self->spec->gateway;
    const struct spec_listener *listener = gateway->listeners.items;
    manifest_set_text(http, "address", "0.0.0.0");
    manifest_set_int(http, "port", listener->port);
    if (listener->tls_secret[0] != '\0') {
        manifest_set_text(http, "tls_certificate_file", "/etc/callboard/tls/tls.crt");
        manifest_set_text(http, "tls_key_file", "/etc/callboard/tls/tls.key");
    }
    for (size_t i = 0; i < gateway->allowed_origins.n; i++) {
        manifest_append_text(manifest_add_list(http, "allowed_origins"), gateway->allowed_origins.items[i]);
    }
}

static void set_internal(manifest_t *top, int64_t port) {
    manifest_t *internal = manifest_add_map(top, "internal");
    manifest_set_text(internal, "address", "0.0.0.0");
    manifest_set_int(internal, "port", port);
    manifest_set_text(internal, "token_file", AUTH_FOLDER "internal-token");
}

struct render_config render_gateway_config(const struct render *self) {
    const struct spec *spec = self->spec;
    manifest_t *top = manifest_map(self->arena);
    set_http(self, manifest_add_map(top, "http"));
    set_internal(top, RENDER_GATEWAY_INTERNAL_PORT);
    manifest_t *brokers = manifest_add_map(top, "brokers");
    manifest_append_format(manifest_add_list(brokers, "endpoints"), "tcp://%s:%lld",
                           render_host(self, render_pods_name(self, RENDER_BROKER)),
                           (long long) spec->broker.ports.gateways);
    manifest_set_text(brokers, "curve_key_file", CURVE_FOLDER "gateway.key");
    manifest_set_text(brokers, "curve_broker_key", CURVE_FOLDER "broker.key.pub");
    manifest_t *token = manifest_add_map(top, "token");
    manifest_set_text(token, "secret_file", AUTH_FOLDER "token-secret");
    manifest_set_text(token, "audience", spec->metadata.name);
    manifest_set_text(token, "issuer", spec->metadata.name);
    manifest_t *client = manifest_add_map(top, "client");
    manifest_set_int(client, "connections_max", spec->gateway.connections_max);
    if (spec->gateway.connection_age_max_ms > 0) {
        set_duration(self, client, "connection_age_max", spec->gateway.connection_age_max_ms);
    }
    manifest_t *drain = manifest_add_map(top, "drain");
    set_duration(self, drain, "delay", spec->gateway.drain.propagation_ms);
    set_duration(self, drain, "window", spec->gateway.drain.window_ms);
    add_rest(self, top, spec->gateway.config);
    return finish(self, top, &gateway_config_table);
}

/* ---- broker.yaml ---- */

/* Sentinels and cluster nodes by their pods' names: a Service's address would hide which of them answered. */
static const char *pod_list(const struct render *self, const char *component, int64_t n, int64_t port) {
    struct buffer text = BUFFER_EMPTY;
    for (int64_t i = 0; i < n; i++) {
        buffer_append_format(&text, "%s%s:%lld", i == 0 ? "" : ",", render_pod_host(self, component, i),
                             (long long) port);
    }
    const char *list = arena_text_of(self->arena, buffer_span(&text));
    buffer_finish(&text);
    return list;
}

static const char *external_url(const struct render *self) {
    const struct spec_external *external = &self->spec->redis.external;
    if (external->url[0] != '\0') {
        return external->url;
    }
    return arena_format(self->arena, "redis%s%s://%s", external->tls ? "s" : "",
                        external->cluster_mode ? "+cluster" : "", external->endpoint);
}

static const char *redis_url(const struct render *self) {
    const struct spec_redis *redis = &self->spec->redis;
    const char *scheme = self->spec->tls.is_on ? "rediss" : "redis";
    switch ((enum spec_redis_mode) redis->mode) {
    case SPEC_REDIS_EMBEDDED:
        return "";
    case SPEC_REDIS_STANDALONE:
        return arena_format(self->arena, "%s://%s:%d", scheme, render_host(self, render_name(self, RENDER_REDIS)),
                            RENDER_REDIS_PORT);
    case SPEC_REDIS_SENTINEL:
        return arena_format(self->arena, "%s+sentinel://%s/%s", scheme,
                            pod_list(self, RENDER_SENTINEL, redis->sentinel.replicas, RENDER_SENTINEL_PORT),
                            redis->sentinel.master_set);
    case SPEC_REDIS_CLUSTER: {
        int64_t n = redis->cluster.shards < 3 ? redis->cluster.shards : 3; /* the others are learnt from these */
        return arena_format(self->arena, "%s+cluster://%s", scheme, pod_list(self, RENDER_REDIS, n, RENDER_REDIS_PORT));
    }
    case SPEC_REDIS_EXTERNAL:
        return external_url(self);
    }
    return "";
}

static void set_redis(const struct render *self, manifest_t *top) {
    const struct spec_redis *redis = &self->spec->redis;
    bool is_external = redis->mode == SPEC_REDIS_EXTERNAL;
    if (redis->mode == SPEC_REDIS_EMBEDDED) {
        return;
    }
    manifest_t *map = manifest_add_map(top, "redis");
    manifest_set_text(map, "url", redis_url(self));
    manifest_set_text_if(map, "user", is_external ? redis->external.auth_user : "callboard");
    if (!is_external || redis->external.auth_secret[0] != '\0') {
        manifest_set_text(map, "password_file",
                          is_external ? "/etc/callboard/redis-auth/redis-password" : AUTH_FOLDER "redis-password");
    }
    if (redis->mode == SPEC_REDIS_SENTINEL) {
        manifest_set_text(map, "sentinel_user", "callboard");
        manifest_set_text(map, "sentinel_password_file", AUTH_FOLDER "sentinel-password");
    }
    if (is_external ? redis->external.tls_ca_secret[0] != '\0' : self->spec->tls.is_on) {
        manifest_set_text(map, "tls_ca_file", "/etc/callboard/redis-tls/ca.crt");
    }
}

struct render_config render_broker_config(const struct render *self) {
    const struct spec_broker *broker = &self->spec->broker;
    manifest_t *top = manifest_map(self->arena);
    manifest_t *own = manifest_add_map(top, "broker");
    manifest_set_format(own, "endpoint", "tcp://0.0.0.0:%lld", (long long) broker->ports.gateways);
    manifest_set_int(own, "partitions", broker->partitions);
    manifest_set_int(own, "shards", broker->shard_actors);
    manifest_set_text(own, "curve_key_file", CURVE_FOLDER "broker.key");
    manifest_set_text(own, "curve_allowed_dir", CURVE_FOLDER "gateways");
    manifest_t *backend = manifest_add_map(top, "backend");
    manifest_set_format(backend, "endpoint", "tcp://0.0.0.0:%lld", (long long) broker->ports.backend);
    manifest_set_format(backend, "pull_endpoint", "tcp://0.0.0.0:%lld", (long long) broker->ports.backend_pull);
    manifest_set_text(backend, "curve_key_file", CURVE_FOLDER "broker.key");
    manifest_set_text(backend, "curve_allowed_dir", "/etc/callboard/services");
    set_internal(top, broker->ports.internal);
    set_redis(self, top);
    add_rest(self, top, broker->config);
    return finish(self, top, &broker_config_table);
}
