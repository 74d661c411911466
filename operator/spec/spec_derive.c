/* One function a section. Each only fills what neither file nor setting nor profile gave. */
#include "operator/spec/spec_derive.h"

#include <stdlib.h>

#define MIB (INT64_C(1024) * 1024)
#define GIB (1024 * MIB)

enum { LISTENER_PORT = 8000, WINDOW_LEAST_MS = 20000 };

int64_t spec_share(int64_t amount, int64_t percent) {
    return amount / 100 * percent + amount % 100 * percent / 100;
}

int64_t spec_maxmemory_percent(const struct spec *spec) {
    bool has_volume = spec->redis.mode != SPEC_REDIS_EXTERNAL && spec->redis.persistence.size > 0;
    return has_volume ? 60 : 75;
}

int64_t spec_redis_pods(const struct spec *spec) {
    switch ((enum spec_redis_mode) spec->redis.mode) {
    case SPEC_REDIS_EMBEDDED:
    case SPEC_REDIS_EXTERNAL:
        return 0;
    case SPEC_REDIS_STANDALONE:
        return 1;
    case SPEC_REDIS_SENTINEL:
        return spec->redis.replicas;
    case SPEC_REDIS_CLUSTER:
        return spec->redis.cluster.shards * (1 + spec->redis.cluster.replicas_per_shard);
    }
    return 0;
}

bool spec_has_exporter(const struct spec *spec) {
    return spec->monitoring.exporter[0] != '\0' && spec_redis_pods(spec) > 0;
}

bool spec_fails_over_on_sigterm(const struct spec *spec) {
    const struct spec_redis *redis = &spec->redis;
    return redis->mode == SPEC_REDIS_CLUSTER && redis->engine == SPEC_ENGINE_VALKEY &&
           strtol(redis->version, NULL, 10) >= 9;
}

bool spec_edge_has_certificate(const struct spec *spec) {
    const struct spec_listener *listener = spec->gateway.listeners.items;
    return spec->edge.kind != SPEC_EDGE_INGRESS && spec->edge.tls.issuer[0] != '\0' && spec->edge.hosts.n > 0 &&
           listener->tls_secret[0] != '\0';
}

static void derive_limit(struct spec_resources *resources) {
    if (resources->limits_memory == 0) {
        resources->limits_memory = resources->requests_memory;
    }
}

static void derive_drain(struct spec_gateway *gateway) {
    if (gateway->drain.window_ms == 0 && gateway->drain.close_rate > 0) {
        int64_t seconds = (gateway->connections_max + gateway->drain.close_rate - 1) / gateway->drain.close_rate;
        gateway->drain.window_ms = seconds * 1000 > WINDOW_LEAST_MS ? seconds * 1000 : WINDOW_LEAST_MS;
    }
    if (gateway->drain.grace_ms == 0) {
        gateway->drain.grace_ms = gateway->drain.propagation_ms + gateway->drain.window_ms + SPEC_DRAIN_MARGIN_MS;
    }
}

static void derive_gateway(spec_document_t *self) {
    struct spec_gateway *gateway = &self->spec.gateway;
    if (gateway->autoscaling.max > 0 && !spec_is_set(self, "gateway.replicas")) {
        gateway->replicas = 0;
    }
    if (gateway->autoscaling.connections_per_pod == 0) {
        int64_t share = spec_share(gateway->connections_max, 65);
        gateway->autoscaling.connections_per_pod = share > 0 ? share : 1;
    }
    derive_limit(&gateway->resources);
    derive_drain(gateway);
    if (gateway->listeners.n == 0) {
        struct spec_listener *listener = arena_alloc(self->arena, sizeof *listener);
        *listener = (struct spec_listener){.port = LISTENER_PORT, .tls_secret = ""};
        gateway->listeners = (struct spec_items){listener, 1};
    }
}

static void derive_redis_program(spec_document_t *self) {
    struct spec_redis *redis = &self->spec.redis;
    bool is_valkey = redis->engine == SPEC_ENGINE_VALKEY;
    if (redis->version[0] == '\0') {
        redis->version = is_valkey ? "8.0" : "7.2";
    }
    if (redis->image[0] == '\0') {
        redis->image = arena_format(self->arena, "%s:%s", is_valkey ? "valkey/valkey" : "redis", redis->version);
    }
}

/* maxmemory from the limit, where there is a volume or there is to be one; then the volume from maxmemory. */
static void derive_redis_memory(spec_document_t *self) {
    struct spec_redis *redis = &self->spec.redis;
    bool has_size = spec_is_set(self, "redis.persistence.size");
    bool is_without = has_size && redis->persistence.size == 0;
    if (redis->maxmemory == 0) {
        int64_t share = spec_share(redis->resources.limits_memory, is_without ? 75 : 60);
        redis->maxmemory = share / MIB * MIB;
    }
    if (!has_size && redis->persistence.size == 0) {
        redis->persistence.size = (3 * redis->maxmemory + GIB - 1) / GIB * GIB;
    }
}

static void derive_redis(spec_document_t *self) {
    struct spec_redis *redis = &self->spec.redis;
    derive_limit(&redis->resources);
    derive_limit(&redis->sentinel.resources);
    derive_redis_program(self);
    derive_redis_memory(self);
    if (redis->sentinel.quorum == 0) {
        redis->sentinel.quorum = redis->sentinel.replicas / 2 + 1;
    }
    if (redis->external.name[0] == '\0') {
        redis->external.name = self->spec.metadata.name;
    }
    const char *url = redis->external.url;
    if (url[0] != '\0') {
        redis->external.tls = strncmp(url, "rediss", 6) == 0;
        redis->external.cluster_mode = strstr(url, "+cluster://") != NULL;
    }
}

static void derive_secrets(spec_document_t *self) {
    struct spec *spec = &self->spec;
    if (spec->auth.existing_secret[0] == '\0') {
        spec->auth.existing_secret = arena_format(self->arena, "%s-auth", spec->metadata.name);
    }
    if (spec->broker.curve_secret[0] == '\0') {
        spec->broker.curve_secret = arena_format(self->arena, "%s-curve", spec->metadata.name);
    }
    spec->tls.is_on = spec->tls.secret[0] != '\0' || spec->tls.issuer[0] != '\0';
    if (spec->tls.is_on && spec->tls.secret[0] == '\0') {
        spec->tls.secret = arena_format(self->arena, "%s-redis-tls", spec->metadata.name);
    }
}

void spec_derive(spec_document_t *self) {
    if (self->spec.metadata.namespace[0] == '\0' && self->settings->namespace != NULL) {
        self->spec.metadata.namespace = self->settings->namespace;
    }
    derive_gateway(self);
    derive_limit(&self->spec.broker.resources);
    derive_redis(self);
    derive_secrets(self);
}
