/* See agent_status.h.
 *
 *     {"ok":true,"reason":"replica in sync","mode":"cluster","ordinal":4,"role":"replica","primary":"10.0.0.7:6379",
 *      "link_up":true,"syncing":false,"offset":123, … "cluster":{"state":"ok", … }}
 *
 * Failures: a server that does not answer leaves only ok, reason, mode, ordinal and trouble. Figures that it does not
 * tell are left out, so that nobody takes them for 0. */
#include "operator/agent/agent_status.h"

#include "operator/redis/info_field.h"

#include <stdio.h>
#include <sys/statvfs.h>

/* ---- members ---- */

static void append_text(struct buffer *out, const char *name, struct span text) {
    buffer_append_format(out, ",\"%s\":", name);
    buffer_append_json_string(out, text);
}

static void append_bool(struct buffer *out, const char *name, bool value) {
    buffer_append_format(out, ",\"%s\":%s", name, value ? "true" : "false");
}

static void append_u64(struct buffer *out, const char *name, uint64_t value) {
    buffer_append_format(out, ",\"%s\":%llu", name, (unsigned long long) value);
}

static void append_figure(struct buffer *out, const char *name, struct span info, const char *field) {
    uint64_t value;
    if (span_parse_u64(info_field(info, field), &value)) {
        append_u64(out, name, value);
    }
}

static bool append_verdict(const struct agent_status_facts *facts, struct buffer *out) {
    char reason[SERVER_REASON_MAX];
    bool is_ready = server_probe_verdict(facts->server, SERVER_PROBE_READY, reason);
    buffer_append_format(out, "{\"ok\":%s,\"reason\":", is_ready ? "true" : "false");
    buffer_append_json_string(out, span_of_text(reason));
    append_text(out, "mode", span_of_text(redis_mode_name(facts->server->mode)));
    append_u64(out, "ordinal", facts->ordinal);
    if (facts->trouble[0] != '\0') {
        append_text(out, "trouble", span_of_text(facts->trouble));
    }
    return is_ready;
}

/* ---- a server of data ---- */

static uint64_t count_keys(struct span info) {
    struct span line = info_field(info, "db0");
    const uint8_t *comma = line.size == 0 ? NULL : memchr(line.data, ',', line.size);
    uint64_t keys = 0;
    if (comma != NULL && span_starts_with(line, SPAN_LITERAL("keys="))) {
        (void) span_parse_u64(span_of(line.data + 5, (size_t) (comma - line.data) - 5), &keys);
    }
    return keys;
}

static void append_replication(struct span info, struct buffer *out) {
    bool is_replica = info_field_is(info, "role", "slave");
    append_text(out, "role", span_of_text(is_replica ? "replica" : "primary"));
    append_figure(out, "offset", info, is_replica ? "slave_repl_offset" : "master_repl_offset");
    if (!is_replica) {
        append_figure(out, "replicas", info, "connected_slaves");
        return;
    }
    struct span host = info_field(info, "master_host");
    struct span port = info_field(info, "master_port");
    char primary[REDIS_POD_NAME_MAX + 8];
    snprintf(primary, sizeof primary, "%.*s:%.*s", (int) host.size, host.size == 0 ? "" : (const char *) host.data,
             (int) port.size, port.size == 0 ? "" : (const char *) port.data);
    append_text(out, "primary", span_of_text(primary));
    append_bool(out, "link_up", info_field_is(info, "master_link_status", "up"));
    append_bool(out, "syncing", info_field_is(info, "master_sync_in_progress", "1"));
    append_figure(out, "last_io_s", info, "master_last_io_seconds_ago");
}

/* "ok", "err", or "off" for one that it does not write. */
static void append_persistence(struct span info, struct buffer *out) {
    bool has_file = info_field_is(info, "aof_enabled", "1");
    bool is_written =
        info_field_is(info, "aof_last_write_status", "ok") && !info_field_is(info, "aof_last_bgrewrite_status", "err");
    append_text(out, "aof", span_of_text(!has_file ? "off" : is_written ? "ok" : "err"));
    append_text(out, "rdb", span_of_text(info_field_is(info, "rdb_last_bgsave_status", "err") ? "err" : "ok"));
    append_figure(out, "rdb_age_at", info, "rdb_last_save_time");
}

static void append_cluster(const struct server_facts *facts, struct span cluster, struct buffer *out) {
    buffer_append_text(out, ",\"cluster\":{\"state\":");
    buffer_append_json_string(out, info_field(cluster, "cluster_state"));
    append_u64(out, "slots", facts->own_slots);
    append_figure(out, "slots_ok", cluster, "cluster_slots_ok");
    append_figure(out, "slots_failed", cluster, "cluster_slots_fail");
    append_u64(out, "known", facts->known_nodes);
    append_u64(out, "expected", facts->expected_nodes);
    append_figure(out, "shards", cluster, "cluster_size");
    buffer_append_char(out, '}');
}

bool agent_status_append_server(const struct agent_status_facts *facts, struct span info, struct span cluster,
                                struct buffer *out) {
    bool is_ready = append_verdict(facts, out);
    if (info.size > 0) {
        struct span valkey = info_field(info, "valkey_version");
        append_text(out, "version", valkey.size > 0 ? valkey : info_field(info, "redis_version"));
        append_figure(out, "uptime_s", info, "uptime_in_seconds");
        append_replication(info, out);
        append_persistence(info, out);
        append_bool(out, "loading", info_field_is(info, "loading", "1"));
        append_u64(out, "keys", count_keys(info));
        append_figure(out, "memory_bytes", info, "used_memory");
        append_figure(out, "memory_max_bytes", info, "maxmemory");
        append_figure(out, "evicted", info, "evicted_keys");
        append_figure(out, "clients", info, "connected_clients");
    }
    if (facts->disk_bytes > 0) {
        append_u64(out, "disk_bytes", facts->disk_bytes);
        append_u64(out, "disk_free_bytes", facts->disk_free_bytes);
    }
    if (cluster.size > 0) {
        append_cluster(facts->server, cluster, out);
    }
    buffer_append_text(out, "}\n");
    return is_ready;
}

/* ---- a Sentinel ---- */

static struct span field_of(const struct redis_reply *set, const char *name) {
    for (size_t i = 0; set->type == REDIS_ARRAY && i + 1 < set->n; i += 2) {
        if (redis_reply_is_text(&set->elements[i], name)) {
            return redis_reply_string(&set->elements[i + 1]);
        }
    }
    return SPAN_EMPTY;
}

static void append_count(struct buffer *out, const char *name, const struct redis_reply *set, const char *field,
                         uint64_t more) {
    uint64_t value;
    if (span_parse_u64(field_of(set, field), &value)) {
        append_u64(out, name, value + more);
    }
}

bool agent_status_append_sentinel(const struct agent_status_facts *facts, const char *master_set,
                                  const struct redis_reply *set, struct buffer *out) {
    bool is_ready = append_verdict(facts, out);
    append_text(out, "set", span_of_text(master_set));
    append_bool(out, "quorum_reached", facts->server->has_quorum);
    if (set != NULL && set->type == REDIS_ARRAY) {
        struct span host = field_of(set, "ip");
        struct span port = field_of(set, "port");
        char primary[REDIS_POD_NAME_MAX + 8];
        snprintf(primary, sizeof primary, "%.*s:%.*s", (int) host.size, host.size == 0 ? "" : (const char *) host.data,
                 (int) port.size, port.size == 0 ? "" : (const char *) port.data);
        append_text(out, "primary", span_of_text(primary));
        append_text(out, "flags", field_of(set, "flags"));
        append_count(out, "replicas", set, "num-slaves", 0);
        append_count(out, "sentinels", set, "num-other-sentinels", 1);
        append_count(out, "quorum", set, "quorum", 0);
    }
    buffer_append_text(out, "}\n");
    return is_ready;
}

/* ---- asking ---- */

static resp_client_t *open_own(const struct agent_config *config, redis_dialer_t *dialer) {
    char error[RESP_ERROR_MAX];
    enum redis_service service =
        config->options.mode == REDIS_MODE_SENTINEL ? REDIS_SERVICE_SENTINEL : REDIS_SERVICE_REDIS;
    resp_client_t *client =
        redis_dialer_connect_at(dialer, service, &config->self, config->options.host, error, sizeof error);
    if (client != NULL && !resp_client_login(client, error, sizeof error)) {
        resp_client_destroy(&client);
    }
    return client;
}

static struct span text_of(const struct redis_reply *reply) {
    return reply != NULL && reply->type == REDIS_STRING ? reply->text : SPAN_EMPTY;
}

static void add_disk(const struct agent_config *config, struct agent_status_facts *facts) {
    struct statvfs volume;
    if (config->options.mode != REDIS_MODE_SENTINEL && statvfs(config->options.data, &volume) == 0) {
        facts->disk_bytes = (uint64_t) volume.f_blocks * volume.f_frsize;
        facts->disk_free_bytes = (uint64_t) volume.f_bavail * volume.f_frsize;
    }
}

/* An answer is valid until the next one comes: CLUSTER INFO first, its few bytes are kept. */
static bool ask_server(const struct agent_config *config, resp_client_t *client, struct agent_status_facts *facts,
                       struct buffer *out) {
    struct buffer cluster = BUFFER_EMPTY;
    if (client != NULL && config->options.mode == REDIS_MODE_CLUSTER) {
        struct span text = text_of(resp_client_call(client, "CLUSTER", "INFO"));
        buffer_append(&cluster, text.data, text.size);
    }
    add_disk(config, facts);
    struct span info = client == NULL ? SPAN_EMPTY : text_of(resp_client_call(client, "INFO"));
    bool is_ready = agent_status_append_server(facts, info, buffer_span(&cluster), out);
    buffer_finish(&cluster);
    return is_ready;
}

bool agent_status_write(const struct agent_config *config, redis_dialer_t *dialer, const struct server_facts *facts,
                        const char *trouble, struct buffer *out) {
    struct agent_status_facts all = {.server = facts, .trouble = trouble, .ordinal = config->ordinal};
    resp_client_t *client = facts->has_answered ? open_own(config, dialer) : NULL;
    bool is_ready;
    if (config->options.mode == REDIS_MODE_SENTINEL) {
        const char *set = config->options.master_set;
        is_ready = agent_status_append_sentinel(
            &all, set, client == NULL ? NULL : resp_client_call(client, "SENTINEL", "MASTER", set), out);
    } else {
        is_ready = ask_server(config, client, &all, out);
    }
    resp_client_destroy(&client);
    return is_ready;
}
