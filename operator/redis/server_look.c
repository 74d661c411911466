/* See server_look.h. A cut connection is opened anew once in the same call, so that a server that closed an idle one is
 * not told from a dead one by a failed probe. A refused login is an answer too (alive); the rest stays unknown then. */
#include "operator/redis/server_look.h"

#include "base/memory.h"
#include "operator/redis/cluster_layout.h"
#include "operator/redis/info_field.h"

#include <stdio.h>

struct server_look {
    redis_dialer_t *dialer;
    const struct redis_options *options;
    const struct redis_pod *pod;
    const char *address;
    uint64_t expected_nodes;
    resp_client_t *client; /* NULL: to be opened */
};

server_look_t *server_look_new(redis_dialer_t *dialer, const struct redis_options *options, const struct redis_pod *pod,
                               const char *address, uint64_t expected_nodes) {
    server_look_t *self = memory_alloc_zero(sizeof *self);
    *self = (server_look_t){dialer, options, pod, address, expected_nodes, NULL};
    return self;
}

void server_look_destroy(server_look_t **self_p) {
    if (*self_p != NULL) {
        resp_client_destroy(&(*self_p)->client);
        memory_free(*self_p);
        *self_p = NULL;
    }
}

static void note_loading(struct server_facts *facts, const struct redis_reply *reply) {
    facts->is_loading |= reply->type == REDIS_ERROR && span_starts_with(reply->text, SPAN_LITERAL("LOADING"));
}

static bool ask_ping(server_look_t *self, struct server_facts *facts) {
    const struct redis_reply *reply = resp_client_call(self->client, "PING");
    if (reply == NULL) {
        return false;
    }
    facts->has_answered = true;
    facts->is_pong = redis_reply_is_text(reply, "PONG");
    note_loading(facts, reply);
    return true;
}

static bool ask_role(server_look_t *self, struct server_facts *facts) {
    const struct redis_reply *reply = resp_client_call(self->client, "INFO", "replication");
    if (reply == NULL || reply->type != REDIS_STRING) {
        return reply != NULL;
    }
    facts->knows_role = true;
    facts->is_replica = info_field_is(reply->text, "role", "slave");
    facts->is_link_up = info_field_is(reply->text, "master_link_status", "up");
    facts->is_syncing = info_field_is(reply->text, "master_sync_in_progress", "1");
    return true;
}

static bool ask_cluster(server_look_t *self, struct server_facts *facts) {
    struct cluster_table table = CLUSTER_TABLE_EMPTY;
    const struct redis_reply *reply = resp_client_call(self->client, "CLUSTER", "NODES");
    if (reply != NULL && reply->type == REDIS_STRING && cluster_table_parse(&table, reply->text)) {
        const struct cluster_node *myself = cluster_table_myself(&table);
        facts->knows_cluster = true;
        facts->known_nodes = cluster_table_known(&table);
        facts->own_slots = myself == NULL ? 0 : cluster_node_slots(&table, myself);
        facts->is_spare = cluster_table_is_spare(&table, self->expected_nodes, (unsigned) self->options->shards);
    }
    cluster_table_finish(&table);
    return reply != NULL;
}

static bool ask_quorum(server_look_t *self, struct server_facts *facts) {
    const struct redis_reply *reply = resp_client_call(self->client, "SENTINEL", "CKQUORUM", self->options->master_set);
    facts->has_quorum =
        reply != NULL && reply->type == REDIS_STATUS && span_starts_with(reply->text, SPAN_LITERAL("OK"));
    return reply != NULL;
}

/* Connects and logs in. True: to be asked further. */
static bool open_connection(server_look_t *self, struct server_facts *facts, char ret_trouble[RESP_ERROR_MAX]) {
    enum redis_service service =
        self->options->mode == REDIS_MODE_SENTINEL ? REDIS_SERVICE_SENTINEL : REDIS_SERVICE_REDIS;
    self->client =
        redis_dialer_connect_at(self->dialer, service, self->pod, self->address, ret_trouble, RESP_ERROR_MAX);
    if (self->client == NULL) {
        return false;
    }
    bool is_in = resp_client_login(self->client, ret_trouble, RESP_ERROR_MAX);
    facts->has_answered |= resp_client_has_answered(self->client);
    if (!is_in) {
        resp_client_destroy(&self->client);
    }
    return is_in;
}

static bool ask_all(server_look_t *self, struct server_facts *facts) {
    if (!ask_ping(self, facts)) {
        return false;
    }
    switch (self->options->mode) {
    case REDIS_MODE_STANDALONE:
    case REDIS_MODE_REPLICATED:
        return ask_role(self, facts);
    case REDIS_MODE_CLUSTER:
        return ask_role(self, facts) && ask_cluster(self, facts);
    case REDIS_MODE_SENTINEL:
        return ask_quorum(self, facts);
    }
    return false;
}

struct server_facts server_look(server_look_t *self, char ret_trouble[RESP_ERROR_MAX]) {
    struct server_facts facts = {.mode = self->options->mode, .expected_nodes = self->expected_nodes};
    ret_trouble[0] = '\0';
    bool was_open = self->client != NULL;
    if (!was_open && !open_connection(self, &facts, ret_trouble)) {
        return facts;
    }
    if (ask_all(self, &facts)) {
        return facts;
    }
    snprintf(ret_trouble, RESP_ERROR_MAX, "%s", resp_client_error(self->client));
    resp_client_destroy(&self->client);
    if (was_open && open_connection(self, &facts, ret_trouble) && !ask_all(self, &facts)) {
        snprintf(ret_trouble, RESP_ERROR_MAX, "%s", resp_client_error(self->client));
        resp_client_destroy(&self->client);
    }
    return facts;
}
