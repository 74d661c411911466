/* The broker's settings. The table is in broker_config.c; docs/config.md is printed from it.
 * Thread: immutable after reading; a reload makes a new one. */
#ifndef CALLBOARD_BROKER_CONFIG_H
#define CALLBOARD_BROKER_CONFIG_H

#include "base/config_reader.h"
#include "base/namespace_options.h"

/* redis.confirm: what makes a safe channel's publication sure. */
enum redis_confirm_setting {
    REDIS_CONFIRM_BY_AUTO,
    REDIS_CONFIRM_BY_REPLICAS,
    REDIS_CONFIRM_BY_DISK,
    REDIS_CONFIRM_BY_DECLARATION,
};

/* What a broker does that cannot reach Redis at its start. */
enum redis_fallback { REDIS_FALLBACK_NONE, REDIS_FALLBACK_MEMORY };

struct broker_config {
    char *id;                /* broker.id: default the host name (a pod's name survives its restart) */
    int64_t memory_max;      /* broker.memory_max: 0 = that of the cgroup */
    int64_t shards;          /* broker.shards: 0 = cores of the cgroup, at most 16 */
    int64_t partitions;      /* broker.partitions, 256 */
    char *endpoint;          /* broker.endpoint for gateways, tcp://127.0.0.1:7700 */
    char *curve_key_file;    /* broker.curve_key_file: needed off loopback */
    char *curve_allowed_dir; /* broker.curve_allowed_dir: *.pub of gateways */
    int64_t heartbeat_ms;    /* broker.heartbeat, 500ms */
    int64_t peer_timeout_ms; /* broker.peer_timeout, 4s: a silent gateway link is dropped */
    int64_t lease_ms;        /* broker.lease, 4s */
    int64_t drain_window_ms; /* drain.window, 5s */
    int64_t inbox_messages;  /* broker.inbox_messages, 65536 */
    int64_t inbox_bytes;     /* broker.inbox_bytes, 64MiB */
    int64_t commands_max;    /* broker.commands_max, 256 */
    /* memory and tails */
    int64_t tail_messages_max;         /* broker.tail_messages, 1024 a channel */
    int64_t tail_bytes_max;            /* broker.tail_bytes, 4MiB a channel */
    int64_t tail_idle_ms;              /* broker.tail_idle, 60s */
    int64_t presence_infos_max;        /* broker.presence_memory, 10000 a channel */
    int64_t tails_bytes_max;           /* broker.tails_bytes, 256MiB a shard */
    int64_t memory_bytes_max;          /* memory.bytes, 512MiB a process: idle channels are evicted */
    int64_t memory_services_bytes_max; /* memory.services_bytes, 64MiB a process: 111 */
    int64_t recovery_publications_max; /* broker.recovery_publications, 300 */
    int64_t recovery_bytes_max;        /* broker.recovery_bytes, 1MiB */
    int64_t publication_bytes_max;     /* broker.publication_bytes, 64KiB…1MiB: 124 */
    int64_t publish_timeout_ms;        /* broker.publish_timeout, 2s */
    int64_t key_ttl_ms;                /* broker.idempotency_window, 5m */
    /* redis */
    char *redis_url;      /* redis.url, "" = memory engine; secret inside is refused (use redis.password_file) */
    char *redis_password; /* redis.password, secret */
    char *redis_user;
    char *redis_tls_ca_file;          /* redis.tls_ca_file: "" = the system's authorities */
    char *redis_tls_certificate_file; /* redis.tls_certificate_file, with redis.tls_key_file */
    char *redis_tls_key_file;
    char *redis_tls_server_name; /* redis.tls_server_name: "" = the host that is dialled */
    char *redis_sentinel_user;
    char *redis_sentinel_password;    /* redis.sentinel_password, secret */
    int redis_confirm;                /* redis.confirm, enum redis_confirm_setting */
    int64_t redis_confirm_replicas;   /* redis.confirm_replicas, 0: all that are up */
    char *redis_prefix;               /* redis.prefix, cb */
    int64_t redis_pipeline_commands;  /* redis.pipeline_commands, 1024 */
    int64_t redis_pipeline_bytes;     /* redis.pipeline_bytes, 8MiB */
    int64_t redis_command_timeout_ms; /* redis.command_timeout, 2s */
    int64_t redis_reply_bytes;        /* redis.reply_bytes, 64MiB */
    int64_t redis_held_batches;       /* redis.held_batches, 1024 a partition */
    int64_t redis_held_bytes;         /* redis.held_bytes, 4MiB a partition */
    int64_t redis_batch_publications; /* redis.batch_publications, 256 in one script call */
    int64_t redis_compared_channels;  /* redis.compared_channels, a second, 50000; 0: none */
    int64_t redis_loads;              /* redis.loads, reads under way at once after an opening, 64 */
    int redis_fallback;               /* redis.fallback: enum redis_fallback */
    int64_t redis_fallback_after_ms;  /* redis.fallback_after, 5s */
    int64_t redis_topic_idle_ms;      /* redis.topic_idle, 60s */
    int64_t redis_survey_ms;          /* redis.survey, 5m */
    /* backends */
    char *backend_endpoint;      /* backend.endpoint, tcp://127.0.0.1:7710; "" = off */
    char *backend_pull_endpoint; /* backend.pull_endpoint, tcp://127.0.0.1:7711; "" = off */
    char *backend_curve_key_file;
    char *backend_curve_allowed_dir;
    bool backend_rights_required;
    int64_t backend_requests_max;      /* backend.requests, in flight a process, 65536: 111 */
    int64_t backend_push_wait_ms;      /* backend.push_wait, 1 s: then a push to a full shard is dropped */
    int64_t backend_workers_max;       /* backend.workers, 256: 106 */
    int64_t backend_calls_max;         /* backend.calls, 65536 open: 111 */
    char *events_channel;              /* events.channel; empty: nobody is told of occupied channels */
    int64_t events_queue;              /* events.queue, 1MiB: counted, told as lost */
    int64_t events_vacated_after_ms;   /* events.vacated_after, 5 s */
    int64_t backend_worker_calls_max;  /* backend.worker_calls, 256 open at one worker: 111 when all have it */
    int64_t backend_subscriptions_max; /* backend.subscriptions, a process, 10000: 106 */
    int64_t backend_name_bytes_max;    /* backend.name_bytes, 255: 107 */
    int64_t backend_lease_ttl_max_ms;  /* backend.lease_ttl_max, 1h: 107 */
    int64_t backend_lease_wait_max_ms; /* backend.lease_wait_max, 5m: 107 */
    int64_t backend_lease_waiters;     /* backend.lease_waiters, a shard, 10000: 111 */
    int64_t backend_value_bytes_max;   /* backend.value_bytes, 64KiB: 124 */
    int64_t backend_value_ttl_max_ms;  /* backend.value_ttl_max, 0: values may stay for ever */
    /* internal HTTP */
    char *internal_address; /* internal.address, 127.0.0.1 */
    int64_t internal_port;  /* internal.port, 9001 */
    bool internal_admin;
    int internal_operations; /* enum admin_operations */
    int64_t internal_body_max;
    int64_t internal_calls_max;
    int64_t internal_call_timeout_ms;
    char *internal_token;
    int log_level;
    int64_t log_rate;
    struct config_section_list namespaces;
};

extern const struct config_table broker_config_table;

#endif
