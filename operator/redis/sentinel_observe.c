/* See sentinel_observe.h. All Sentinels are asked, never one through a Service: one that was cut off for an hour would
 * answer too. One that does not know the set, or answers an error, counts as silent. */
#include "operator/redis/sentinel_observe.h"

#include "base/memory.h"

#include <stdio.h>

static bool set_pod(struct redis_pod *pod, struct span host, uint64_t port) {
    if (host.size == 0 || host.size > REDIS_POD_NAME_MAX || port == 0 || port > UINT16_MAX ||
        memchr(host.data, '\0', host.size) != NULL) {
        return false;
    }
    memcpy(pod->host, host.data, host.size);
    pod->host[host.size] = '\0';
    pod->port = (uint16_t) port;
    return true;
}

/* name, value, name, value… */
bool sentinel_view_parse(const struct redis_reply *reply, struct sentinel_view *ret_view) {
    struct span host = SPAN_EMPTY;
    uint64_t port = 0;
    *ret_view = (struct sentinel_view){.answers = false};
    if (reply->type != REDIS_ARRAY) {
        return false;
    }
    for (size_t i = 0; i + 1 < reply->n; i += 2) {
        struct span value = redis_reply_string(&reply->elements[i + 1]);
        if (redis_reply_is_text(&reply->elements[i], "ip")) {
            host = value;
        } else if (redis_reply_is_text(&reply->elements[i], "port")) {
            (void) span_parse_u64(value, &port);
        } else if (redis_reply_is_text(&reply->elements[i], "num-slaves")) {
            (void) span_parse_u64(value, &ret_view->known_replicas);
        } else if (redis_reply_is_text(&reply->elements[i], "config-epoch")) {
            (void) span_parse_u64(value, &ret_view->config_epoch);
        }
    }
    struct redis_pod named;
    ret_view->answers = set_pod(&named, host, port);
    if (ret_view->answers) {
        memcpy(ret_view->host, named.host, sizeof named.host);
        ret_view->port = named.port;
    }
    return ret_view->answers;
}

enum sentinel_role sentinel_role_parse(const struct redis_reply *reply, struct redis_pod *ret_primary) {
    *ret_primary = (struct redis_pod){.port = 0};
    if (reply->type != REDIS_ARRAY || reply->n == 0) {
        return SENTINEL_ROLE_UNKNOWN;
    }
    if (redis_reply_is_text(&reply->elements[0], "master")) {
        return SENTINEL_ROLE_PRIMARY;
    }
    if (!redis_reply_is_text(&reply->elements[0], "slave")) {
        return SENTINEL_ROLE_UNKNOWN;
    }
    if (reply->n >= 3 && reply->elements[2].type == REDIS_INTEGER && reply->elements[2].integer > 0) {
        (void) set_pod(ret_primary, redis_reply_string(&reply->elements[1]), (uint64_t) reply->elements[2].integer);
    }
    return SENTINEL_ROLE_REPLICA;
}

static bool ask_sentinel(redis_dialer_t *dialer, const struct redis_pod *sentinel, const char *master_set,
                         struct sentinel_view *view, char ret_trouble[RESP_ERROR_MAX]) {
    resp_client_t *client =
        redis_dialer_open(dialer, REDIS_SERVICE_SENTINEL, sentinel, NULL, ret_trouble, RESP_ERROR_MAX);
    if (client == NULL) {
        return false;
    }
    const struct redis_reply *reply = resp_client_call(client, "SENTINEL", "MASTER", master_set);
    bool is_answer = reply != NULL && sentinel_view_parse(reply, view);
    if (!is_answer) {
        struct span text = reply == NULL ? span_of_text(resp_client_error(client)) : reply->text;
        snprintf(ret_trouble, RESP_ERROR_MAX, "%.*s", (int) (text.size < 200 ? text.size : 200),
                 text.size == 0 ? "" : (const char *) text.data);
    }
    resp_client_destroy(&client);
    return is_answer;
}

void sentinel_observe(redis_dialer_t *dialer, const struct redis_pods *sentinels, const char *master_set,
                      struct sentinel_view views[SENTINELS_MAX], char ret_trouble[RESP_ERROR_MAX]) {
    ret_trouble[0] = '\0';
    for (size_t i = 0; i < sentinels->n && i < SENTINELS_MAX; i++) {
        views[i] = (struct sentinel_view){.answers = false};
        (void) ask_sentinel(dialer, &sentinels->pods[i], master_set, &views[i], ret_trouble);
    }
}

void sentinel_asking_make(struct sentinel_asking *self, redis_dialer_t *dialer, const struct redis_pods *pods,
                          size_t own_pod, const struct redis_pods *sentinels, const char *master_set) {
    struct sentinel_view views[SENTINELS_MAX];
    char error[RESP_ERROR_MAX];
    self->addresses = memory_alloc_array(pods->n, sizeof *self->addresses);
    for (size_t i = 0; i < pods->n; i++) {
        if (!redis_dialer_resolve(dialer, pods->pods[i].host, self->addresses[i], error, sizeof error)) {
            self->addresses[i][0] = '\0';
        }
    }
    self->set = (struct sentinel_set){pods->pods, (const char(*)[48]) self->addresses, pods->n, own_pod};
    sentinel_observe(dialer, sentinels, master_set, views, self->trouble);
    self->opinion = sentinel_opinion_of(views, sentinels->n < SENTINELS_MAX ? sentinels->n : SENTINELS_MAX, &self->set);
}

void sentinel_asking_finish(struct sentinel_asking *self) {
    memory_free(self->addresses);
    self->addresses = NULL;
}

enum sentinel_role sentinel_observe_role(redis_dialer_t *dialer, const struct redis_pod *pod,
                                         struct redis_pod *ret_primary) {
    char error[RESP_ERROR_MAX];
    *ret_primary = (struct redis_pod){.port = 0};
    resp_client_t *client = redis_dialer_open(dialer, REDIS_SERVICE_REDIS, pod, NULL, error, sizeof error);
    if (client == NULL) {
        return SENTINEL_ROLE_UNKNOWN;
    }
    const struct redis_reply *reply = resp_client_call(client, "ROLE");
    enum sentinel_role role = reply == NULL ? SENTINEL_ROLE_UNKNOWN : sentinel_role_parse(reply, ret_primary);
    resp_client_destroy(&client);
    return role;
}

/* INPROG: another pod asked first. */
static bool is_taken(const struct redis_reply *reply) {
    return resp_reply_is_ok(reply) ||
           (reply != NULL && reply->type == REDIS_ERROR && span_starts_with(reply->text, SPAN_LITERAL("INPROG")));
}

bool sentinel_failover(redis_dialer_t *dialer, const struct redis_pods *sentinels, const char *master_set,
                       char *ret_error, size_t error_size) {
    for (size_t i = 0; i < sentinels->n; i++) {
        resp_client_t *client =
            redis_dialer_open(dialer, REDIS_SERVICE_SENTINEL, &sentinels->pods[i], NULL, ret_error, error_size);
        if (client == NULL) {
            continue;
        }
        const struct redis_reply *reply = resp_client_call(client, "SENTINEL", "FAILOVER", master_set);
        bool is_done = is_taken(reply);
        if (!is_done) {
            struct span text = reply == NULL ? span_of_text(resp_client_error(client)) : reply->text;
            snprintf(ret_error, error_size, "%.*s", (int) (text.size < 200 ? text.size : 200),
                     text.size == 0 ? "" : (const char *) text.data);
        }
        resp_client_destroy(&client);
        if (is_done) {
            return true;
        }
    }
    return false;
}
