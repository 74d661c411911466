/* See set_observe.h. A server that loads its data, refuses the login or INFO is a silent one whose trouble says so. */
#include "operator/redis/set_observe.h"

#include "base/memory.h"
#include "operator/redis/info_field.h"

#include <stdio.h>

static void copy(char *ret_text, size_t size, struct span text) {
    snprintf(ret_text, size, "%.*s", (int) (text.size < size ? text.size : size - 1),
             text.size == 0 ? "" : (const char *) text.data);
}

/* Of the lines dbN:keys=… */
static uint64_t count_keys(struct span info) {
    uint64_t keys = 0;
    for (unsigned db = 0; db < SET_DATABASES_MAX; db++) {
        char name[16];
        snprintf(name, sizeof name, "db%u", db);
        struct span line = info_field(info, name);
        if (line.size > 5 && memcmp(line.data, "keys=", 5) == 0) {
            const uint8_t *comma = memchr(line.data, ',', line.size);
            uint64_t more = 0;
            (void) span_parse_u64(
                span_of(line.data + 5, comma == NULL ? line.size - 5 : (size_t) (comma - line.data) - 5), &more);
            keys += more;
        }
    }
    return keys;
}

void set_server_read(struct set_server *server, struct span info) {
    bool is_replica = info_field_is(info, "role", "slave");
    server->is_primary = info_field_is(info, "role", "master");
    server->is_in_sync = is_replica && info_field_is(info, "master_link_status", "up") &&
                         !info_field_is(info, "master_sync_in_progress", "1");
    server->offset = info_field_u64(info, is_replica ? "slave_repl_offset" : "master_repl_offset", 0);
    server->is_loading = info_field_is(info, "loading", "1");
    server->is_saving_well =
        !info_field_is(info, "aof_enabled", "1") || info_field_is(info, "aof_last_write_status", "ok");
    server->is_cluster = info_field_is(info, "cluster_enabled", "1");
    server->keys = count_keys(info);
    copy(server->replication_id, sizeof server->replication_id, info_field(info, "master_replid"));
    copy(server->run_id, sizeof server->run_id, info_field(info, "run_id"));
    struct span valkey = info_field(info, "valkey_version");
    copy(server->version, sizeof server->version, valkey.size > 0 ? valkey : info_field(info, "redis_version"));
    server->answers = (server->is_primary || is_replica) && !server->is_loading;
}

static void look(redis_dialer_t *dialer, const struct redis_pod *pod, struct set_server *server) {
    snprintf(server->name, sizeof server->name, "%s", pod->host);
    resp_client_t *client =
        redis_dialer_open(dialer, REDIS_SERVICE_REDIS, pod, NULL, server->trouble, sizeof server->trouble);
    if (client == NULL) {
        return;
    }
    const struct redis_reply *reply = resp_client_call(client, "INFO");
    if (reply != NULL && reply->type == REDIS_STRING) {
        set_server_read(server, reply->text);
        snprintf(server->trouble, sizeof server->trouble, "%s", server->is_loading ? "it is loading its data" : "");
    } else {
        copy(server->trouble, sizeof server->trouble,
             reply == NULL ? span_of_text(resp_client_error(client)) : reply->text);
    }
    resp_client_destroy(&client);
}

struct set_server *set_observe(redis_dialer_t *dialer, const struct redis_pods *pods) {
    struct set_server *servers = memory_alloc_array(pods->n, sizeof *servers);
    for (size_t i = 0; i < pods->n; i++) {
        look(dialer, &pods->pods[i], &servers[i]);
    }
    return servers;
}
