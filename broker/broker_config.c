/* The broker's settings: one row a key, then the rules between them. */
#include "broker/broker_config.h"

#include "base/channel_name.h"
#include "base/curve_keys.h"
#include "broker/redis/link/redis_url.h"

#include <stdint.h>
#include <string.h>

static const char *const confirms[] = {"auto", "replicas", "disk", "declared",
                                       NULL};                                        /* as enum redis_confirm_setting */
static const char *const operations[] = {"off", "read", "publish", NULL};            /* as enum admin_operations */
static const char *const log_levels[] = {"debug", "info", "warning", "error", NULL}; /* as enum log_level */

static const char *const fallbacks[] = {"none", "memory", NULL}; /* as enum redis_fallback */

#define SECOND INT64_C(1000)
#define HOUR   (3600 * SECOND)
#define KIB    INT64_C(1024)
#define MIB    (1024 * KIB)
#define GIB    (1024 * MIB)

#define KEY(key_path, key_type, field, ...)                                                                            \
    { .path = (key_path), .type = (key_type), .offset = offsetof(struct broker_config, field), __VA_ARGS__ }
#define RANGE(from, to) .minimum = (from), .maximum = (to)
#define RELOADABLE      .flags = CONFIG_RELOADABLE

static const struct config_key keys[] = {
    KEY("broker.id", CONFIG_TEXT, id, RANGE(0, 128),
        .help = "Its name among the brokers: gateways rank them by it, so it must outlive a restart and be its own. "
                "Empty: the host name."),
    KEY("broker.shards", CONFIG_INT, shards, RANGE(0, 16), .default_text = "0",
        .help = "Threads that own channels. 0: as many as the cores this process may use, at most 16."),
    KEY("broker.memory_max", CONFIG_BYTES, memory_max, RANGE(0, 16384 * GIB), .default_text = "0",
        .help =
            "Memory that the process may hold: from 80 % on tails are given up (who comes back is served from the "
            "history), from 90 % on new subscriptions are refused with error 111 and the memory engine grows no "
            "further, from 95 % on publications are refused with error 111. 0: what the control group allows, or the "
            "machine has."),
    KEY("broker.partitions", CONFIG_INT, partitions, RANGE(64, 4096), .default_text = "256",
        .help = "Slices of the channels, a power of two; the same in all brokers, and fixed for the data in Redis."),
    KEY("broker.endpoint", CONFIG_TEXT, endpoint, RANGE(1, 255), .default_text = "tcp://127.0.0.1:7700",
        .help = "Where gateways connect: tcp://address:port."),
    KEY("broker.curve_key_file", CONFIG_TEXT, curve_key_file, RANGE(0, 4096),
        .help = "The brokers' key pair (callboardctl keygen). Needed where broker.endpoint is reached from other "
                "machines."),
    KEY("broker.curve_allowed_dir", CONFIG_TEXT, curve_allowed_dir, RANGE(0, 4096),
        .help = "Folder of the public keys (*.pub) of the gateways that may connect; read again when it changes."),
    KEY("broker.heartbeat", CONFIG_DURATION, heartbeat_ms, RANGE(50, 60 * SECOND), .default_text = "500ms",
        .help = "How often a link to a gateway says that it lives."),
    KEY("broker.peer_timeout", CONFIG_DURATION, peer_timeout_ms, RANGE(100, 600 * SECOND), .default_text = "4s",
        .help = "A gateway that is silent for so long is dropped with its subscriptions. Above broker.heartbeat."),
    KEY("broker.lease", CONFIG_DURATION, lease_ms, RANGE(500, 600 * SECOND), .default_text = "4s",
        .help = "How long presence outlives the gateway that reported it."),
    KEY("broker.inbox_messages", CONFIG_INT, inbox_messages, RANGE(64, 10000000), .default_text = "65536",
        .help = "Messages waiting for one shard; at the bound publishers are told error 111."),
    KEY("broker.inbox_bytes", CONFIG_BYTES, inbox_bytes, RANGE(1 * MIB, 64 * GIB), .default_text = "64MiB",
        .help = "Bytes waiting for one shard; at the bound publishers are told error 111."),
    KEY("broker.commands_max", CONFIG_INT, commands_max, RANGE(1, 100000), .default_text = "256",
        .help = "Commands of services for sessions (disconnect and its like) of one shard that not every gateway has "
                "confirmed yet; at the bound more are answered with error 111."),
    KEY("broker.tail_messages", CONFIG_INT, tail_messages_max, RANGE(0, 1000000), .default_text = "1024",
        .help = "Newest publications of a channel held in memory for those who come back; the oldest goes."),
    KEY("broker.tail_bytes", CONFIG_BYTES, tail_bytes_max, RANGE(0, 16 * GIB), .default_text = "4MiB",
        .help = "Bytes of these publications for each channel; the oldest goes."),
    KEY("broker.tail_idle", CONFIG_DURATION, tail_idle_ms, RANGE(1 * SECOND, 24 * HOUR), .default_text = "60s",
        .help = "A channel without subscribers and publications for so long leaves memory (not the history)."),
    KEY("broker.presence_memory", CONFIG_INT, presence_infos_max, RANGE(0, 10000000), .default_text = "10000",
        .help = "Members of a channel that are held in memory with their infos, and told in one answer. Above it only "
                "who they are is held: they are still counted exactly, but a list of them is refused with error 124, "
                "except page by page through the backend API; at half of it the infos are read again."),
    KEY("broker.tails_bytes", CONFIG_BYTES, tails_bytes_max, RANGE(1 * MIB, 1024 * GIB), .default_text = "256MiB",
        .help =
            "Bytes of such publications in one shard; at the bound the tail that was not used for longest goes, and "
            "recovery reads the history."),
    KEY("memory.bytes", CONFIG_BYTES, memory_bytes_max, RANGE(1 * MIB, 1024 * GIB), .default_text = "512MiB",
        .help = "What the memory engine may hold; at the bound idle channels are forgotten, longest unused first, and "
                "then publishers are told error 111."),
    KEY("memory.services_bytes", CONFIG_BYTES, memory_services_bytes_max, RANGE(64 * KIB, 64 * GIB),
        .default_text = "64MiB",
        .help = "What the memory engine may hold of leases and values of services; at the bound more are refused with "
                "error 111."),
    KEY("broker.recovery_publications", CONFIG_INT, recovery_publications_max, RANGE(1, 100000), .default_text = "300",
        .help =
            "Publications that a subscriber may have missed and still gets all of; above it is told that it was not "
            "recovered."),
    KEY("broker.recovery_bytes", CONFIG_BYTES, recovery_bytes_max, RANGE(1 * KIB, 16 * MIB), .default_text = "1MiB",
        .help = "Their bytes; above it is told that it was not recovered."),
    KEY("broker.publication_bytes", CONFIG_BYTES, publication_bytes_max, RANGE(1 * KIB, 16 * MIB),
        .default_text = "1MiB", .help = "Larger publications are refused with error 124."),
    KEY("broker.publish_timeout", CONFIG_DURATION, publish_timeout_ms, RANGE(50, 600 * SECOND), .default_text = "2s",
        .help = "How long storing a publication is tried while Redis is away; then it is refused."),
    KEY("broker.idempotency_window", CONFIG_DURATION, key_ttl_ms, RANGE(1 * SECOND, 24 * HOUR), .default_text = "5m",
        .help = "How long an idempotency key is remembered: the same key again is answered with the first result."),

    KEY("redis.url", CONFIG_TEXT, redis_url, RANGE(0, 4096), .flags = CONFIG_PASSWORD_URL,
        .help = "redis://host:port/db, unix:///path, redis+sentinel://a,b,c/master or redis+cluster://a,b,c; rediss:// "
                "with TLS. Empty: everything is kept in memory by this one broker. A password inside is taken from the "
                "environment only; elsewhere use redis.password_file."),
    KEY("redis.password", CONFIG_SECRET, redis_password, RANGE(0, 511), .flags = CONFIG_FIRST_LINE,
        .help = "The password for Redis. Of a file the first line."),
    KEY("redis.user", CONFIG_TEXT, redis_user, RANGE(0, 255),
        .help = "The user for Redis (ACL). Empty: the default user."),
    KEY("redis.tls_ca_file", CONFIG_TEXT, redis_tls_ca_file, RANGE(0, 4096),
        .help = "With rediss://: the authorities (PEM) that may have signed Redis's certificate. Empty: the system's."),
    KEY("redis.tls_certificate_file", CONFIG_TEXT, redis_tls_certificate_file, RANGE(0, 4096),
        .help = "The broker's own certificate (PEM), where Redis asks for one. With redis.tls_key_file."),
    KEY("redis.tls_key_file", CONFIG_TEXT, redis_tls_key_file, RANGE(0, 4096), .help = "Its private key (PEM)."),
    KEY("redis.tls_server_name", CONFIG_TEXT, redis_tls_server_name, RANGE(0, 255),
        .help = "The name that Redis's certificates must be made for. Empty: the host that is dialled."),
    KEY("redis.sentinel_user", CONFIG_TEXT, redis_sentinel_user, RANGE(0, 255),
        .help = "The user for the Sentinels (ACL); redis.user is not for them."),
    KEY("redis.sentinel_password", CONFIG_SECRET, redis_sentinel_password, RANGE(0, 511), .flags = CONFIG_FIRST_LINE,
        .help = "The password for the Sentinels, where they ask for one. Of a file the first line."),
    KEY("redis.confirm", CONFIG_CHOICE, redis_confirm, .choices = confirms, .default_text = "auto",
        .help = "What makes a publication of a safe channel sure. replicas: so many have it. disk: appendfsync always, "
                "which is checked. declared: the provider's promise, which cannot be. auto: replicas with Sentinel and "
                "Cluster, disk with one server."),
    KEY("redis.confirm_replicas", CONFIG_INT, redis_confirm_replicas, RANGE(0, 16), .default_text = "0",
        .help =
            "How many replicas have to have it. 0: all that Sentinel or Cluster hold for up, whichever is promoted, "
            "also by order; with one server, one. 1: the loss of the primary takes nothing back, a failover by order "
            "may."),
    KEY("redis.prefix", CONFIG_TEXT, redis_prefix, RANGE(1, 32), .default_text = "cb",
        .help = "What all keys and topics begin with: letters, digits, dashes, underlines. One for each data set."),
    KEY("redis.pipeline_commands", CONFIG_INT, redis_pipeline_commands, RANGE(1, 1000000), .default_text = "1024",
        .help = "Commands on their way to one Redis connection; at the bound publications and reads wait, up to "
                "broker.inbox_messages and their deadline."),
    KEY("redis.pipeline_bytes", CONFIG_BYTES, redis_pipeline_bytes, RANGE(64 * KIB, 1 * GIB), .default_text = "8MiB",
        .help = "Bytes on their way to one Redis connection, with the same end."),
    KEY("redis.command_timeout", CONFIG_DURATION, redis_command_timeout_ms, RANGE(50, 600 * SECOND),
        .default_text = "2s", .help = "A connection whose answer takes longer is dropped and made anew."),
    KEY("redis.reply_bytes", CONFIG_BYTES, redis_reply_bytes, RANGE(1 * MIB, 1 * GIB), .default_text = "64MiB",
        .help = "A connection with a larger answer is dropped and made anew."),
    KEY("redis.held_batches", CONFIG_INT, redis_held_batches, RANGE(1, 100000), .default_text = "1024",
        .help = "Batches of a partition that came too early and wait for the one before; more are dropped, and the "
                "channels are healed from the history."),
    KEY("redis.held_bytes", CONFIG_BYTES, redis_held_bytes, RANGE(64 * KIB, 1 * GIB), .default_text = "4MiB",
        .help = "Their bytes, with the same end."),
    KEY("redis.batch_publications", CONFIG_INT, redis_batch_publications, RANGE(1, 10000), .default_text = "256",
        .help = "Publications in one script call; more wait for the next."),
    KEY("redis.loads", CONFIG_INT, redis_loads, RANGE(1, 10000), .default_text = "64",
        .help = "Channels read at once after Redis came back; the others wait."),
    KEY("redis.compared_channels", CONFIG_INT, redis_compared_channels, RANGE(0, 10000000), .default_text = "50000",
        .help = "Channels of a shard whose positions are compared with Redis each second (0.8 us of Redis each): a key "
                "that went alone, deleted by hand or evicted, is so told to subscribers within two seconds. Where more "
                "are in use they are compared in turn, and it takes longer. 0: it is told with the next publication."),
    KEY("redis.topic_idle", CONFIG_DURATION, redis_topic_idle_ms, RANGE(1 * SECOND, 24 * HOUR), .default_text = "60s",
        .help = "How long a partition's topic is listened to after its last use."),
    KEY("redis.survey", CONFIG_DURATION, redis_survey_ms, RANGE(0, 24 * HOUR), .default_text = "5m",
        .help = "How often the settings of each Redis server are examined for what will hurt, beside each time a "
                "connection is made: what is found is logged, and shown in health and metrics. 0: only then."),
    KEY("redis.fallback", CONFIG_CHOICE, redis_fallback, .choices = fallbacks, .default_text = "none",
        .help = "Where Redis cannot be reached at the start. none: publications are refused until it is there. memory: "
                "the broker keeps channels in its memory meanwhile, says so everywhere, and every subscriber is told "
                "that continuity is lost when Redis comes. Only for a broker that is the only one."),
    KEY("redis.fallback_after", CONFIG_DURATION, redis_fallback_after_ms, RANGE(100, 600 * SECOND),
        .default_text = "5s", .help = "How long after the start Redis is waited for before redis.fallback counts."),

    KEY("backend.endpoint", CONFIG_TEXT, backend_endpoint, RANGE(0, 255), .default_text = "tcp://127.0.0.1:7710",
        .help = "Where backend services connect for requests: tcp://address:port. Empty: off."),
    KEY("backend.pull_endpoint", CONFIG_TEXT, backend_pull_endpoint, RANGE(0, 255),
        .default_text = "tcp://127.0.0.1:7711",
        .help = "Where backend services push publications without an answer. Empty: off."),
    KEY("backend.curve_key_file", CONFIG_TEXT, backend_curve_key_file, RANGE(0, 4096),
        .help = "The key pair that backend services know (callboardctl keygen). Needed where the endpoints are reached "
                "from other machines."),
    KEY("backend.curve_allowed_dir", CONFIG_TEXT, backend_curve_allowed_dir, RANGE(0, 4096),
        .help = "Folder of the public keys (*.pub) of the services that may connect; read again when it changes."),
    KEY("backend.rights_required", CONFIG_BOOL, backend_rights_required, .default_text = "false",
        .help = "A key without NAME.rights beside its NAME.pub is for nothing; else it is for everything."),
    KEY("backend.requests", CONFIG_INT, backend_requests_max, RANGE(1, 1000000), .default_text = "65536",
        .help = "Requests without an answer yet, of all services together; one more is answered with error 111."),
    KEY("backend.push_wait", CONFIG_DURATION, backend_push_wait_ms, RANGE(0, 60 * SECOND), .default_text = "1s",
        .help =
            "How long a push waits for a shard whose inbox is full, and backend.pull_endpoint with it; then what is "
            "pushed to that shard is dropped until it takes one again. 0: is dropped at once."),
    KEY("backend.subscriptions", CONFIG_INT, backend_subscriptions_max, RANGE(0, 1000000), .default_text = "10000",
        .help = "Subscriptions of all services together; one more is answered with error 106."),
    KEY("backend.name_bytes", CONFIG_INT, backend_name_bytes_max, RANGE(1, 255), .default_text = "255",
        .help = "How long the name of a lease or a key of kv may be; longer ones are refused with error 107."),
    KEY("backend.lease_ttl_max", CONFIG_DURATION, backend_lease_ttl_max_ms, RANGE(1 * SECOND, 24 * HOUR),
        .default_text = "1h", .help = "The longest that a lease may be acquired or renewed for; more is error 107."),
    KEY("backend.lease_wait_max", CONFIG_DURATION, backend_lease_wait_max_ms, RANGE(0, 24 * HOUR), .default_text = "5m",
        .help = "The longest that lease.acquire may wait; more is error 107. Each that waits takes one of "
                "backend.requests."),
    KEY("backend.lease_waiters", CONFIG_INT, backend_lease_waiters, RANGE(1, 1000000), .default_text = "10000",
        .help = "Acquisitions of leases that wait in one shard; more are refused with error 111."),
    KEY("backend.value_bytes", CONFIG_BYTES, backend_value_bytes_max, RANGE(1 * KIB, 1 * MIB), .default_text = "64KiB",
        .help = "How large a value of kv.set may be; larger ones are refused with error 124."),
    KEY("backend.value_ttl_max", CONFIG_DURATION, backend_value_ttl_max_ms, RANGE(0, 8760 * HOUR), .default_text = "0",
        .help =
            "The longest that a value may stay; a longer ttl is error 107, and one without takes this. 0: values may "
            "stay for ever."),
    KEY("backend.workers", CONFIG_INT, backend_workers_max, RANGE(0, 10000), .default_text = "256",
        .help = "Services that may register with work; one more is answered with error 106."),
    KEY("backend.calls", CONFIG_INT, backend_calls_max, RANGE(1, 1000000), .default_text = "65536",
        .help = "Calls of clients that workers have not answered yet; one more is answered with error 111."),
    KEY("backend.worker_calls", CONFIG_INT, backend_worker_calls_max, RANGE(1, 1000000), .default_text = "256",
        .help = "The same at one worker; it gets no more then, and where all have as much, a call is answered with "
                "error 111."),

    KEY("events.channel", CONFIG_TEXT, events_channel, RELOADABLE, RANGE(0, 255),
        .help = "Where services are told which channels are occupied (docs/backend-api.md, Events), for namespaces "
                "with occupancy_events: a channel whose namespace has a history. Empty: nowhere."),
    KEY("events.queue", CONFIG_BYTES, events_queue, RELOADABLE, RANGE(4 * KIB, 1 * GIB), .default_text = "1MiB",
        .help = "Such events that wait while Redis is away; more are dropped, counted, and told as lost."),
    KEY("events.vacated_after", CONFIG_DURATION, events_vacated_after_ms, RELOADABLE, RANGE(0, 600 * SECOND),
        .default_text = "5s",
        .help =
            "So long after its last subscriber left a channel is told as vacated, unless somebody came back: longer "
            "than channels take from one broker to another. 0: at once."),

    KEY("internal.address", CONFIG_TEXT, internal_address, RANGE(1, 255), .default_text = "127.0.0.1",
        .help = "Address of the internal listener: metrics, health, stats. Never a public one."),
    KEY("internal.port", CONFIG_INT, internal_port, RANGE(0, 65535), .default_text = "9001",
        .help = "Port of the internal listener. 0: a free one, which the start message names."),
    KEY("internal.token", CONFIG_SECRET, internal_token, RANGE(16, 4096),
        .help = "What is asked for there, but for health checks: as a bearer token, or in X-Callboard-Token. Empty: "
                "nothing is asked for."),
    KEY("internal.admin", CONFIG_BOOL, internal_admin,
        .help =
            "Serve the admin page there at /admin/: figures, charts and health in a browser. Needs internal.token."),
    KEY("internal.operations", CONFIG_CHOICE, internal_operations, .choices = operations,
        .help = "What the admin page may do by hand: read (channels, presence, history), or publish as well, which "
                "leaves a line in the log each time. Needs internal.admin."),
    KEY("internal.body_max", CONFIG_BYTES, internal_body_max, RANGE(1024, 1024 * 1024), .default_text = "128KiB",
        .help = "Longest body of a call by hand; a longer one is refused with 413."),
    KEY("internal.calls_max", CONFIG_INT, internal_calls_max, RANGE(1, 200), .default_text = "16",
        .help = "Calls by hand that may be open at once; more are refused with 503."),
    KEY("internal.call_timeout", CONFIG_DURATION, internal_call_timeout_ms, RANGE(1000, 300000), .default_text = "15s",
        .help = "A call by hand must be there whole and answered within it; else it is cut off, or answered with 504."),
    KEY("drain.window", CONFIG_DURATION, drain_window_ms, RANGE(0, 1 * HOUR), .default_text = "5s",
        .help = "After SIGTERM: how long handing its channels over to other brokers may take."),
    KEY("log.level", CONFIG_CHOICE, log_level, RELOADABLE, .choices = log_levels, .default_text = "info",
        .help = "What is logged: this and what is worse."),
    KEY("log.rate", CONFIG_INT, log_rate, RELOADABLE, RANGE(1, 1000000), .default_text = "10",
        .help = "Lines a second of one event; more are counted, and the count is logged."),
    KEY("namespaces", CONFIG_SECTION_LIST, namespaces, RELOADABLE, .section = &namespace_options_table,
        .help = "What channels keep and allow; the same in gateways and brokers."),
};

/* ---- rules ---- */

/* An endpoint that others can reach needs keys, and keys need the list of who may come. */
static void verify_curve(const char *endpoint, const char *endpoint_path, const char *key_file, const char *key_path,
                         const char *allowed_dir, const char *allowed_path, const char *prefix,
                         config_errors_t *errors) {
    if (endpoint[0] != '\0' && !curve_endpoint_is_well_formed(endpoint)) {
        config_error(errors, prefix, endpoint_path, "%s is no endpoint; write tcp://address:port", endpoint);
        return;
    }
    if (endpoint[0] != '\0' && key_file[0] == '\0' && !curve_endpoint_is_local(endpoint)) {
        config_error(errors, prefix, endpoint_path,
                     "can be reached from other machines, so it must be encrypted; set %s and %s, or use 127.0.0.1",
                     key_path, allowed_path);
    }
    if (key_file[0] != '\0' && allowed_dir[0] == '\0') {
        config_error(errors, prefix, allowed_path, "is needed with %s: without it nobody could connect", key_path);
    }
}

static void verify_endpoints(const struct broker_config *self, const char *prefix, config_errors_t *errors) {
    verify_curve(self->endpoint, "broker.endpoint", self->curve_key_file, "broker.curve_key_file",
                 self->curve_allowed_dir, "broker.curve_allowed_dir", prefix, errors);
    verify_curve(self->backend_endpoint, "backend.endpoint", self->backend_curve_key_file, "backend.curve_key_file",
                 self->backend_curve_allowed_dir, "backend.curve_allowed_dir", prefix, errors);
    verify_curve(self->backend_pull_endpoint, "backend.pull_endpoint", self->backend_curve_key_file,
                 "backend.curve_key_file", self->backend_curve_allowed_dir, "backend.curve_allowed_dir", prefix,
                 errors);
}

static bool is_prefix_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Settings that would be passed over in silence are a mistake: whoever set them believes in them. */
static void verify_redis_kind(const struct broker_config *self, const struct redis_url *url, const char *prefix,
                              config_errors_t *errors) {
    const struct tls_key {
        const char *path;
        const char *value;
    } tls_keys[] = {
        {"redis.tls_ca_file", self->redis_tls_ca_file},
        {"redis.tls_certificate_file", self->redis_tls_certificate_file},
        {"redis.tls_key_file", self->redis_tls_key_file},
        {"redis.tls_server_name", self->redis_tls_server_name},
    };
    for (size_t i = 0; !url->tls && i < sizeof tls_keys / sizeof *tls_keys; i++) {
        if (tls_keys[i].value[0] != '\0') {
            config_error(errors, prefix, tls_keys[i].path,
                         "is for TLS, and redis.url has none; write rediss:// there, or take this out");
        }
    }
    if ((self->redis_tls_certificate_file[0] == '\0') != (self->redis_tls_key_file[0] == '\0')) {
        config_error(errors, prefix, "redis.tls_certificate_file",
                     "and redis.tls_key_file belong together; set both or none");
    }
    bool has_sentinel_login = self->redis_sentinel_user[0] != '\0' || self->redis_sentinel_password[0] != '\0';
    if (has_sentinel_login && url->kind != REDIS_URL_SENTINEL) {
        config_error(errors, prefix, "redis.sentinel_password",
                     "and redis.sentinel_user are for redis+sentinel://, and redis.url is no such; take them out");
    }
}

static void verify_redis_url(const struct broker_config *self, const char *prefix, config_errors_t *errors) {
    struct redis_url url = {.kind = REDIS_URL_STANDALONE};
    char error[256];
    if (self->redis_url[0] != '\0' && !redis_url_parse(span_of_text(self->redis_url), &url, error, sizeof error)) {
        config_error(errors, prefix, "redis.url", "%s", error);
        return;
    }
    verify_redis_kind(self, &url, prefix, errors);
}

static void verify_redis(const struct broker_config *self, const char *prefix, config_errors_t *errors) {
    verify_redis_url(self, prefix, errors);
    for (const char *c = self->redis_prefix; *c != '\0'; c++) {
        if (!is_prefix_byte(*c)) {
            config_error(errors, prefix, "redis.prefix", "must be letters, digits, dashes and underlines only");
            return;
        }
    }
}

static void verify_events(const struct broker_config *self, const char *prefix, config_errors_t *errors) {
    namespace_set_t *set = namespace_set_new(&self->namespaces);
    struct span channel = span_of_text(self->events_channel);
    bool is_needed = false;
    for (size_t i = 0; i < self->namespaces.n; i++) {
        is_needed |= ((const struct namespace_options *) self->namespaces.items + i)->occupancy_events;
    }
    const struct namespace_options *options = channel.size == 0 ? NULL : namespace_set_find(set, channel);
    if (channel.size == 0 && is_needed) {
        config_error(errors, prefix, "events.channel", "is needed with occupancy_events");
    } else if (channel.size > 0 && channel_name_check(channel) != CHANNEL_NAME_OK) {
        config_error(errors, prefix, "events.channel", "is no name of a channel");
    } else if (channel.size > 0 && (options == NULL || !namespace_has_history(options))) {
        config_error(errors, prefix, "events.channel",
                     "needs a namespace with history_size and history_ttl, else nobody who was away is told");
    } else if (options != NULL && options->occupancy_events) {
        config_error(errors, prefix, "events.channel",
                     "must not be of a namespace with occupancy_events, which would tell of itself");
    }
    namespace_set_destroy(&set);
}

static void verify(const void *target, const char *prefix, config_errors_t *errors) {
    const struct broker_config *self = target;
    if ((self->partitions & (self->partitions - 1)) != 0) {
        config_error(errors, prefix, "broker.partitions", "must be a power of two, like 256");
    }
    if (self->peer_timeout_ms <= self->heartbeat_ms) {
        config_error(errors, prefix, "broker.peer_timeout",
                     "must be above broker.heartbeat, else every gateway is dropped at once");
    }
    if (self->internal_admin && self->internal_token[0] == '\0') {
        config_error(errors, prefix, "internal.token", "is needed with internal.admin: the page shows what clients do");
    }
    if (self->internal_operations != 0 && !self->internal_admin) {
        config_error(errors, prefix, "internal.operations", "needs internal.admin: true, and internal.token");
    }
    verify_endpoints(self, prefix, errors);
    verify_redis(self, prefix, errors);
    namespace_set_verify(&self->namespaces, prefix, errors);
    verify_events(self, prefix, errors);
}

const struct config_table broker_config_table = {
    .title = "Broker",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .struct_size = sizeof(struct broker_config),
    .verify = verify,
};
