/* One deployment, as `kind: Callboard` asks for it: every field with its value, defaults and what follows from other
 * fields filled in. The table in spec_table.h says for each field what it is; renderers, plan, notes and chart read
 * this struct and nothing else. Texts are never NULL ("" where there is none); lists are n items. Everything lives in
 * the arena of the document it was read from (spec_document.h). Thread: any once it was read (immutable).
 *
 * Quantities: memory in bytes, CPU in thousandths of a core, time in ms, shares in percent. 0 means "none" or "no
 * limit" where the field's comment says so. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_H

#include "base/config_yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum spec_profile {
    SPEC_PROFILE_DEV,
    SPEC_PROFILE_SMALL,
    SPEC_PROFILE_HA,
    SPEC_PROFILE_CLUSTER,
    SPEC_PROFILE_ELASTICACHE,
    SPEC_PROFILES,
};
enum spec_autoscaling_provider { SPEC_SCALED_BY_ADAPTER, SPEC_SCALED_BY_KEDA };
enum spec_edge_kind { SPEC_EDGE_NONE, SPEC_EDGE_INGRESS, SPEC_EDGE_GATEWAY, SPEC_EDGE_LOAD_BALANCER };
enum spec_redis_mode {
    SPEC_REDIS_EMBEDDED, /* the broker's memory engine: no Redis */
    SPEC_REDIS_STANDALONE,
    SPEC_REDIS_SENTINEL,
    SPEC_REDIS_CLUSTER,
    SPEC_REDIS_EXTERNAL,
};
enum spec_redis_engine { SPEC_ENGINE_REDIS, SPEC_ENGINE_VALKEY };
enum spec_appendfsync { SPEC_FSYNC_EVERYSEC, SPEC_FSYNC_ALWAYS, SPEC_FSYNC_NO };
enum spec_retention { SPEC_RETAIN, SPEC_DELETE };
enum spec_announce { SPEC_ANNOUNCE_HOSTNAME, SPEC_ANNOUNCE_IP };
enum spec_provider {
    SPEC_PROVIDER_OTHER,
    SPEC_PROVIDER_ELASTICACHE,
    SPEC_PROVIDER_MEMORYSTORE,
    SPEC_PROVIDER_AZURE,
    SPEC_PROVIDER_UPSTASH,
    SPEC_PROVIDER_REDISCLOUD,
};
enum spec_durability { SPEC_DURABILITY_DEFAULT, SPEC_DURABILITY_DISABLED, SPEC_DURABILITY_ASYNC, SPEC_DURABILITY_SYNC };
enum spec_spread { SPEC_SPREAD_NONE, SPEC_SPREAD_PREFERRED, SPEC_SPREAD_REQUIRED };
enum spec_pod_security { SPEC_POD_RESTRICTED, SPEC_POD_OPENSHIFT };
enum spec_pull_policy { SPEC_PULL_IF_NOT_PRESENT, SPEC_PULL_ALWAYS, SPEC_PULL_NEVER };

struct spec_texts {
    const char **items;
    size_t n;
};

struct spec_pair {
    const char *name;
    const char *value;
};

struct spec_pairs { /* labels and their like, in the order of the file */
    struct spec_pair *items;
    size_t n;
};

/* Items of a list of maps: an array of the struct that the field's comment names. */
struct spec_items {
    void *items;
    size_t n;
};

/* What is passed through as it stands; NULL: nothing. manifest_of_yaml() makes a tree of it. */
typedef const config_node_t *spec_raw_t;

struct spec_resources {
    int64_t requests_cpu; /* thousandths of a core; 0: none asked for */
    int64_t requests_memory;
    int64_t limits_cpu;    /* 0: no limit */
    int64_t limits_memory; /* requests_memory where the spec has none */
};

struct spec_listener {
    int64_t port;
    const char *tls_secret; /* "": plain */
};

struct spec_parent_ref {
    const char *name;
    const char *namespace; /* "": the deployment's own */
    const char *section;
    int64_t port; /* 0: any */
};

struct spec_peer { /* of a network policy */
    const char *cidr;
    struct spec_pairs namespace_labels;
    struct spec_pairs pod_labels;
    int64_t port; /* 0: any */
};

struct spec_override {
    const char *kind;
    const char *name;
    spec_raw_t patch; /* a list of {op, path, value | from} */
};

struct spec_metadata {
    const char *name;
    const char *namespace; /* "": what kubectl or --namespace says */
    struct spec_pairs labels;
    struct spec_pairs annotations;
};

struct spec_image {
    const char *repository;
    const char *tag;
    const char *digest; /* "sha256:…" or ""; wins over the tag */
    int pull_policy;    /* enum spec_pull_policy */
    struct spec_texts pull_secrets;
};

struct spec_gateway {
    int64_t replicas; /* 0: the autoscaler decides */
    struct {
        int64_t min;
        int64_t max; /* 0: no autoscaling */
        int64_t connections_per_pod;
        int64_t cpu_percent; /* 0: not by CPU */
        int64_t scale_down_window_ms;
        int provider; /* enum spec_autoscaling_provider */
        const char *prometheus_url;
    } autoscaling;
    int64_t connections_max;       /* a pod */
    int64_t connection_age_max_ms; /* 0: no bound */
    struct spec_resources resources;
    struct {
        int64_t propagation_ms; /* load balancers learn of it */
        int64_t close_rate;     /* connections a second */
        int64_t window_ms;      /* in which they are closed */
        int64_t grace_ms;       /* terminationGracePeriodSeconds; derived where it is not set */
    } drain;
    struct spec_items listeners; /* struct spec_listener; at least one */
    struct spec_texts allowed_origins;
    spec_raw_t config;
};

struct spec_edge {
    int kind; /* enum spec_edge_kind */
    const char *class;
    struct spec_texts hosts;
    struct {
        const char *secret;
        const char *issuer; /* of cert-manager */
        const char *issuer_kind;
    } tls;
    int64_t idle_timeout_ms;
    struct spec_pairs annotations;
    struct spec_items parent_refs; /* struct spec_parent_ref */
};

struct spec_broker {
    int64_t replicas;
    int64_t partitions;
    int64_t shard_actors; /* a broker */
    struct spec_resources resources;
    struct {
        int64_t gateways;
        int64_t backend;
        int64_t backend_pull;
        int64_t internal;
    } ports;
    const char *curve_secret; /* key pairs of brokers, gateways and services; "": <name>-curve */
    spec_raw_t namespaces;    /* checked against base/namespace_options.h */
    spec_raw_t config;
};

struct spec_external {
    int provider; /* enum spec_provider */
    const char *url;
    const char *endpoint; /* host:port */
    bool cluster_mode;
    bool tls;
    const char *tls_ca_secret;
    const char *auth_secret; /* its keys: spec.auth.keys */
    const char *auth_user;
    bool auth_iam;
    int durability; /* enum spec_durability */
    /* What the notes need to write the provider's commands. */
    const char *name;
    const char *region;
    const char *node_type;
    int64_t shards;
    int64_t replicas_per_shard;
    bool multi_az;
    const char *subnet_group;
    struct spec_texts security_groups;
    const char *user_group;
};

struct spec_redis {
    int mode; /* enum spec_redis_mode */
    const char *image;
    int engine;          /* enum spec_redis_engine */
    const char *version; /* "7.2" */
    int64_t replicas;    /* pods with data with Sentinel, the primary among them */
    struct spec_resources resources;
    struct {
        int64_t size; /* 0: no volume, nothing outlives the pod */
        const char *class;
        int retention; /* enum spec_retention */
    } persistence;
    int appendfsync; /* enum spec_appendfsync */
    int64_t maxmemory;
    int64_t stream_node_max_bytes;
    int64_t min_replicas_to_write;
    int64_t min_replicas_max_lag_ms;
    struct spec_pairs config; /* further lines of redis.conf */
    struct {
        int64_t replicas;
        int64_t quorum;
        int64_t down_after_ms;
        int64_t failover_timeout_ms;
        const char *master_set;
        struct spec_resources resources;
    } sentinel;
    struct {
        int64_t shards;
        int64_t replicas_per_shard;
        int64_t node_timeout_ms;
        int announce; /* enum spec_announce */
    } cluster;
    struct spec_external external;
};

struct spec_auth {
    const char *existing_secret; /* "": <name>-auth */
    struct {                     /* names of keys in it */
        const char *token_secret;
        const char *internal_token;
        const char *redis_password;
        const char *sentinel_password;
        const char *exporter_password;
    } keys;
};

struct spec_tls { /* of what runs inside: Redis and Sentinel */
    const char *issuer;
    const char *issuer_kind;
    const char *secret;
    bool is_on; /* one of both is set */
};

struct spec_scheduling {
    int spread_node; /* enum spec_spread */
    int spread_zone;
    int64_t nodes; /* that are known to be there; 0: unknown */
    int64_t zones;
    struct spec_pairs node_selector;
    spec_raw_t tolerations;
    const char *priority_class;
    const char *runtime_class;
};

struct spec_disruption {
    bool budgets;
    int64_t gateway_percent; /* maxUnavailable of gateways */
    int64_t broker_pods;
    int64_t redis_pods;
};

struct spec_monitoring {
    bool pod_monitor;
    bool rules;
    bool dashboards;
    const char *exporter; /* an image; "": none */
    struct spec_pairs labels;
};

struct spec_backup {
    const char *schedule; /* cron; "": no backups */
    int64_t retention;    /* copies */
    const char *target;   /* a claim */
};

struct spec_workload {
    int64_t connections;
    int64_t connect_rate; /* a second */
    int64_t publish_rate;
    int64_t message_bytes;
    int64_t fanout; /* subscribers of a publication */
    int64_t history_size;
    int64_t history_ttl_ms;
    int64_t channels;
};

struct spec {
    int profile; /* enum spec_profile */
    struct spec_metadata metadata;
    struct spec_image image;
    struct spec_gateway gateway;
    struct spec_edge edge;
    struct spec_broker broker;
    struct spec_redis redis;
    struct spec_auth auth;
    struct spec_tls tls;
    struct spec_scheduling scheduling;
    struct spec_disruption disruption;
    struct {
        bool enabled;
        struct spec_items from; /* struct spec_peer */
        struct spec_items to;
    } network_policy;
    int pod_security; /* enum spec_pod_security */
    struct spec_monitoring monitoring;
    struct spec_backup backup;
    struct spec_workload workload;
    struct spec_items overrides; /* struct spec_override */
    struct {
        const char *version; /* "1.30" */
        const char *cluster_domain;
        struct spec_texts apis; /* group/version that the cluster has beside its own */
    } kubernetes;
};

#endif
