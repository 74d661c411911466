/* See cluster_observe.h. A pod that is loading its data answers no question but PING: it is seen as alive and silent.
 * An answer that is an error (NOPERM, cluster support disabled) counts as no answer, with the server's words as the
 * trouble: a plan made of half of the answers could take a full node for an empty one. */
#include "operator/redis/cluster_observe.h"

#include "base/memory.h"
#include "operator/redis/info_field.h"

#include <stdio.h>

struct cluster_observation {
    struct cluster_view view;
    char (*troubles)[RESP_ERROR_MAX]; /* one a pod */
};

static bool note_trouble(struct cluster_pod *pod, char trouble[RESP_ERROR_MAX], const char *what,
                         const struct redis_reply *reply, const resp_client_t *client) {
    struct span text = reply == NULL ? span_of_text(resp_client_error(client)) : reply->text;
    pod->is_loading = reply != NULL && span_starts_with(reply->text, SPAN_LITERAL("LOADING"));
    snprintf(trouble, RESP_ERROR_MAX, "%s: %.*s", what, (int) (text.size < 180 ? text.size : 180),
             text.size == 0 ? "" : (const char *) text.data);
    pod->trouble = trouble;
    return false;
}

static void read_info(struct cluster_pod *pod, struct span info) {
    struct span run_id = info_field(info, "run_id");
    bool is_replica = info_field_is(info, "role", "slave");
    pod->is_link_up =
        info_field_is(info, "master_link_status", "up") && !info_field_is(info, "master_sync_in_progress", "1");
    struct span dials = is_replica ? info_field(info, "master_host") : SPAN_EMPTY;
    snprintf(pod->dials, sizeof pod->dials, "%.*s", (int) dials.size, dials.size == 0 ? "" : (const char *) dials.data);
    pod->offset = info_field_u64(info, is_replica ? "slave_repl_offset" : "master_repl_offset", 0);
    pod->used_memory = info_field_u64(info, "used_memory", 0);
    pod->dataset_bytes = info_field_u64(info, "used_memory_dataset", 0);
    pod->maxmemory = info_field_u64(info, "maxmemory", 0);
    pod->libraries = info_field_u64(info, "number_of_libraries", 0);
    snprintf(pod->run_id, sizeof pod->run_id, "%.*s", (int) run_id.size,
             run_id.size == 0 ? "" : (const char *) run_id.data);
}

static bool look(struct cluster_pod *pod, char trouble[RESP_ERROR_MAX], resp_client_t *client) {
    const struct redis_reply *reply = resp_client_call(client, "CLUSTER", "INFO");
    if (reply == NULL || reply->type != REDIS_STRING) {
        return note_trouble(pod, trouble, "CLUSTER INFO", reply, client);
    }
    pod->is_state_ok = info_field_is(reply->text, "cluster_state", "ok");
    pod->slots_ok = (unsigned) info_field_u64(reply->text, "cluster_slots_ok", 0);
    reply = resp_client_call(client, "INFO");
    if (reply == NULL || reply->type != REDIS_STRING) {
        return note_trouble(pod, trouble, "INFO", reply, client);
    }
    read_info(pod, reply->text);
    reply = resp_client_call(client, "DBSIZE");
    if (reply == NULL || reply->type != REDIS_INTEGER || reply->integer < 0) {
        return note_trouble(pod, trouble, "DBSIZE", reply, client);
    }
    pod->keys = (uint64_t) reply->integer;
    reply = resp_client_call(client, "CLUSTER", "NODES");
    if (reply == NULL || reply->type != REDIS_STRING || !cluster_table_parse(&pod->table, reply->text)) {
        return note_trouble(pod, trouble, "CLUSTER NODES", reply, client);
    }
    return true;
}

static void look_at_pod(redis_dialer_t *dialer, const struct redis_pod *where, struct cluster_pod *pod,
                        char trouble[RESP_ERROR_MAX]) {
    char address[IP_ADDRESS_TEXT];
    pod->name = where->host;
    pod->port = where->port;
    pod->trouble = trouble;
    resp_client_t *client = redis_dialer_open(dialer, REDIS_SERVICE_REDIS, where, address, trouble, RESP_ERROR_MAX);
    if (client == NULL) {
        return;
    }
    memcpy(pod->host, address, sizeof address);
    pod->answers = look(pod, trouble, client);
    resp_client_destroy(&client);
}

cluster_observation_t *cluster_observe(redis_dialer_t *dialer, const struct redis_pods *pods, unsigned shards,
                                       bool (*is_stopped)(void *context), void *context) {
    cluster_observation_t *self = memory_alloc_zero(sizeof *self);
    self->view.n = pods->n;
    self->view.shards = shards;
    self->view.pods = memory_alloc_array(pods->n, sizeof *self->view.pods);
    self->troubles = memory_alloc_array(pods->n, sizeof *self->troubles);
    for (size_t i = 0; i < pods->n; i++) {
        self->view.pods[i].name = pods->pods[i].host;
        if (is_stopped == NULL || !is_stopped(context)) {
            look_at_pod(dialer, &pods->pods[i], &self->view.pods[i], self->troubles[i]);
        }
    }
    return self;
}

void cluster_observation_destroy(cluster_observation_t **self_p) {
    cluster_observation_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->view.n; i++) {
        cluster_table_finish(&self->view.pods[i].table);
    }
    memory_free(self->view.pods);
    memory_free(self->troubles);
    memory_free(self);
    *self_p = NULL;
}

const struct cluster_view *cluster_observation_view(const cluster_observation_t *self) {
    return &self->view;
}

bool cluster_step_send(redis_dialer_t *dialer, const struct redis_pods *pods, const struct cluster_step *step,
                       char *ret_error, size_t error_size) {
    struct cluster_step_words command;
    cluster_step_command(step, &command);
    resp_client_t *client =
        redis_dialer_open(dialer, REDIS_SERVICE_REDIS, &pods->pods[step->pod], NULL, ret_error, error_size);
    if (client == NULL) {
        return false;
    }
    const struct redis_reply *reply = resp_client_command(client, command.words);
    bool is_done = resp_reply_is_ok(reply);
    if (!is_done) {
        struct span text = reply == NULL ? span_of_text(resp_client_error(client)) : reply->text;
        snprintf(ret_error, error_size, "%.*s", (int) (text.size < 200 ? text.size : 200),
                 text.size == 0 ? "" : (const char *) text.data);
    }
    resp_client_destroy(&client);
    return is_done;
}
