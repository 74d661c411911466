/* See agent_leave.h.
 *
 *   cluster     a primary with slots: CLUSTER FAILOVER at its best replica in sync, until ROLE says replica
 *   replicated  a primary: all replicas reach its offset → SENTINEL FAILOVER, until the Sentinels name another;
 *               REPLICAOF that one, until ROLE says so
 *
 * Asked again each 2 s while it does not happen. Failures: no replica in sync → it is waited for, to the end of the
 * time; under Sentinel 5 s, since one that hangs is none of those that will be promoted; no answer of the own server →
 * there is nothing to hand over. */
#include "operator/agent/agent_leave.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/roll_plan.h"
#include "operator/redis/sentinel_handover.h"
#include "operator/redis/sentinel_observe.h"
#include "operator/redis/set_observe.h"
#include "operator/redis/set_plan.h"

#include <time.h>

enum { ASK_AGAIN_MS = 2000, LOOK_AGAIN_MS = 100, CATCH_UP_MS = 5000 };

struct leaving {
    const struct agent_config *config;
    redis_dialer_t *dialer;
    uint64_t last_asked_ms;    /* 0: never */
    uint64_t waiting_since_ms; /* for the replicas; 0: not yet */
    struct set_catching_up catching_up;
    bool are_replicas_there;
    char *error;
};

static bool may_ask(struct leaving *self) {
    uint64_t now = clock_monotonic_ms();
    if (self->last_asked_ms != 0 && now - self->last_asked_ms < ASK_AGAIN_MS) {
        return false;
    }
    self->last_asked_ms = now;
    return true;
}

static void ask_heir(struct leaving *self, const struct redis_pod *heir) {
    char error[RESP_ERROR_MAX] = "";
    resp_client_t *client = redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, heir, NULL, error, sizeof error);
    const struct redis_reply *reply = client == NULL ? NULL : resp_client_call(client, "CLUSTER", "FAILOVER");
    if (resp_reply_is_ok(reply)) {
        log_info("handing_over", log_text("to", heir->host));
        snprintf(self->error, AGENT_ERROR_MAX, "%s was asked to take over and has not yet", heir->host);
    } else {
        struct span text = client == NULL  ? span_of_text(error)
                           : reply == NULL ? span_of_text(resp_client_error(client))
                                           : reply->text;
        snprintf(self->error, AGENT_ERROR_MAX, "%s does not take over: %.*s", heir->host,
                 (int) (text.size < 150 ? text.size : 150), text.size == 0 ? "" : (const char *) text.data);
        log_warning("handing_over_refused", log_text("reason", self->error));
    }
    resp_client_destroy(&client);
}

/* True: it holds no slots of its own any more. */
static bool hand_over_slots(struct leaving *self) {
    unsigned heir;
    unsigned own = self->config->ordinal;
    cluster_observation_t *seen =
        cluster_observe(self->dialer, &self->config->peers, (unsigned) self->config->options.shards, NULL, NULL);
    const struct cluster_view *view = cluster_observation_view(seen);
    const struct cluster_node *line = view->pods[own].answers ? cluster_table_myself(&view->pods[own].table) : NULL;
    bool is_free = line == NULL || !line->is_primary || line->n_ranges == 0 || view->n <= view->shards;
    if (!is_free && !roll_find_heir(view, own, &heir)) {
        snprintf(self->error, AGENT_ERROR_MAX, "this pod serves slots and none of its replicas is in sync");
    } else if (!is_free && may_ask(self)) {
        ask_heir(self, &self->config->peers.pods[heir]);
    }
    cluster_observation_destroy(&seen);
    return is_free;
}

/* Sentinel takes any replica that answers, also one that is just back and behind. */
static bool may_failover(struct leaving *self) {
    uint64_t now = clock_monotonic_ms();
    if (self->are_replicas_there) {
        return may_ask(self);
    }
    if (self->waiting_since_ms == 0) {
        self->waiting_since_ms = now;
    }
    struct set_server *servers = set_observe(self->dialer, &self->config->peers);
    self->are_replicas_there = set_has_caught_up(&self->catching_up, servers, self->config->peers.n);
    memory_free(servers);
    if (!self->are_replicas_there && now - self->waiting_since_ms >= CATCH_UP_MS) {
        self->are_replicas_there = true;
        log_warning("replicas_behind", log_text("reason", "a replica is not in step; handing over all the same"));
    }
    snprintf(self->error, AGENT_ERROR_MAX, "waiting for the replicas to be in step");
    return self->are_replicas_there && may_ask(self);
}

static void ask_sentinels(struct leaving *self) {
    char error[RESP_ERROR_MAX] = "no Sentinel answers";
    struct redis_pod own = self->config->self;
    bool is_taken =
        sentinel_hand_over(self->dialer, &self->config->sentinels, &(struct redis_pods){.pods = &own, .n = 1},
                           self->config->options.master_set, error, sizeof error);
    snprintf(self->error, AGENT_ERROR_MAX, "%s",
             is_taken ? "a failover was asked for and has not happened yet" : error);
    log_info("handing_over", log_bool("taken", is_taken), log_text("reason", self->error));
}

/* The failover has happened, and our server has not heard of it (Sentinel tells it after 8 s): until then it would take
 * writes that are lost. */
static void follow(struct leaving *self, const struct redis_pod *primary) {
    struct redis_pod ignored;
    char port[8];
    char error[RESP_ERROR_MAX] = "";
    if (sentinel_observe_role(self->dialer, primary, &ignored) != SENTINEL_ROLE_PRIMARY) {
        return;
    }
    snprintf(port, sizeof port, "%u", primary->port);
    resp_client_t *client =
        redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, &self->config->self, NULL, error, sizeof error);
    if (client != NULL && resp_reply_is_ok(resp_client_call(client, "REPLICAOF", primary->host, port))) {
        log_info("handed_over", log_text("to", primary->host));
    }
    resp_client_destroy(&client);
}

/* True: the own server is no primary any more. A failover is only asked for while the Sentinels name this pod: asked
 * for once more behind it, it would come back here. */
static bool hand_over_set(struct leaving *self) {
    struct redis_pod ignored;
    struct sentinel_asking asking;
    const struct agent_config *config = self->config;
    if (config->peers.n < 2 || sentinel_observe_role(self->dialer, &config->self, &ignored) != SENTINEL_ROLE_PRIMARY) {
        return true;
    }
    sentinel_asking_make(&asking, self->dialer, &config->peers, config->ordinal, &config->sentinels,
                         config->options.master_set);
    if (!asking.opinion.has_majority) {
        snprintf(self->error, AGENT_ERROR_MAX, "no majority of the Sentinels names a primary; %s", asking.trouble);
    } else if (!asking.opinion.is_self) {
        follow(self, &asking.opinion.primary);
    } else if (may_failover(self)) {
        ask_sentinels(self);
    }
    sentinel_asking_finish(&asking);
    return false;
}

enum agent_exit agent_leave(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]) {
    bool is_cluster = config->options.mode == REDIS_MODE_CLUSTER;
    if (!is_cluster && config->options.mode != REDIS_MODE_REPLICATED) {
        return AGENT_DONE;
    }
    struct leaving self = {.config = config, .error = ret_error};
    self.dialer = redis_dialer_new(&config->options, ret_error, AGENT_ERROR_MAX);
    if (self.dialer == NULL) {
        return AGENT_INVALID;
    }
    uint64_t end = clock_monotonic_ms() + config->options.timeout_s * 1000;
    bool is_free = false;
    while (!(is_free = is_cluster ? hand_over_slots(&self) : hand_over_set(&self)) && clock_monotonic_ms() < end) {
        struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
        (void) nanosleep(&pause, NULL);
    }
    redis_dialer_destroy(&self.dialer);
    if (is_free) {
        log_info("may_be_stopped", log_nothing);
    }
    return is_free ? AGENT_DONE : AGENT_TIMEOUT;
}
