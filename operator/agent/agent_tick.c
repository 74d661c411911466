/* See agent_tick.h.
 *
 *   cluster     own table: all known, none failed, our part taken? ─yes─▶ nothing (each 30th time all pods are seen)
 *                                  └no─▶ see all pods → plan (cluster_plan.c) → send our steps, one after the other
 *   replicated  ask all Sentinels → who is named by a majority, what is its ROLE, whom do we follow → sentinel_mend()
 *
 * Every step is one command, and what comes next is planned anew from what is seen: so an agent may be killed anywhere.
 * Failures: a step that the server refuses is logged and planned again at the next tick; the same reason is logged once
 * until it changes. Without a majority of the Sentinels nothing is touched. */
#include "operator/agent/agent_tick.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/sentinel_observe.h"

enum { FULL_LOOK_EVERY = 30, STAGGER_MS = 2000 };

struct agent_tick {
    const struct agent_config *config;
    const atomic_bool *is_stopped;
    redis_dialer_t *dialer;
    unsigned ticks_since_look;
    char told[CLUSTER_REASON_MAX];
    uint64_t wrong_since_ms; /* under Sentinel; 0: nothing is wrong */
    enum sentinel_mend wrong;
    struct redis_pod wrong_primary;
};

agent_tick_t *agent_tick_new(const struct agent_config *config, const atomic_bool *is_stopped,
                             char ret_error[AGENT_ERROR_MAX]) {
    redis_dialer_t *dialer = redis_dialer_new(&config->options, ret_error, AGENT_ERROR_MAX);
    if (dialer == NULL) {
        return NULL;
    }
    agent_tick_t *self = memory_alloc_zero(sizeof *self);
    self->config = config;
    self->is_stopped = is_stopped;
    self->dialer = dialer;
    self->ticks_since_look = FULL_LOOK_EVERY; /* the first one looks at all */
    return self;
}

void agent_tick_destroy(agent_tick_t **self_p) {
    if (*self_p != NULL) {
        redis_dialer_destroy(&(*self_p)->dialer);
        memory_free(*self_p);
        *self_p = NULL;
    }
}

static bool is_stopped(void *context) {
    const agent_tick_t *self = context;
    return atomic_load_explicit(self->is_stopped, memory_order_relaxed);
}

static resp_client_t *open_own(agent_tick_t *self) {
    char error[RESP_ERROR_MAX];
    const struct agent_config *config = self->config;
    resp_client_t *client = redis_dialer_connect_at(self->dialer, REDIS_SERVICE_REDIS, &config->self,
                                                    config->options.host, error, sizeof error);
    if (client != NULL && !resp_client_login(client, error, sizeof error)) {
        resp_client_destroy(&client);
    }
    if (client == NULL) {
        log_debug("own_server_silent", log_text("reason", error));
    }
    return client;
}

/* ---- cluster ---- */

static bool is_table_well(const struct agent_config *config, const struct cluster_table *table) {
    const struct cluster_node *myself = cluster_table_myself(table);
    if (myself == NULL || table->n != config->peers.n || (myself->is_primary && myself->n_ranges == 0)) {
        return false;
    }
    for (size_t i = 0; i < table->n; i++) {
        if (table->nodes[i].is_failed || table->nodes[i].is_handshake ||
            (!table->nodes[i].is_linked && !table->nodes[i].is_myself)) {
            return false;
        }
    }
    return true;
}

/* True: nothing to do, as far as our own server sees. */
static bool is_own_view_well(agent_tick_t *self) {
    resp_client_t *client = open_own(self);
    struct cluster_table table = CLUSTER_TABLE_EMPTY;
    const struct redis_reply *reply = client == NULL ? NULL : resp_client_call(client, "CLUSTER", "NODES");
    /* Without an answer (or while it loads) nothing can be done for it either. */
    bool is_asked = reply != NULL && reply->type == REDIS_STRING && cluster_table_parse(&table, reply->text);
    bool is_well = !is_asked || is_table_well(self->config, &table);
    cluster_table_finish(&table);
    resp_client_destroy(&client);
    return is_well;
}

static void send_steps(agent_tick_t *self, const struct cluster_plan *plan) {
    for (size_t i = 0; i < plan->n && !is_stopped(self); i++) {
        struct cluster_step_words command;
        char error[RESP_ERROR_MAX];
        cluster_step_command(&plan->steps[i], &command);
        const char *argument = command.words[2] == NULL ? "" : command.words[2];
        if (cluster_step_send(self->dialer, &self->config->peers, &plan->steps[i], error, sizeof error)) {
            log_info("cluster_step", log_text("command", command.words[1]), log_text("argument", argument));
        } else {
            log_warning("cluster_step_refused", log_text("command", command.words[1]), log_text("argument", argument),
                        log_text("reason", error));
        }
    }
}

static const char *verdict_name(enum cluster_verdict verdict) {
    switch (verdict) {
    case CLUSTER_HEALTHY:
        return "healthy";
    case CLUSTER_STEPS:
        return "steps";
    case CLUSTER_WAIT:
        return "waiting";
    case CLUSTER_REFUSED:
        return "refused";
    }
    return "";
}

static void tell_plan(agent_tick_t *self, const struct cluster_plan *plan) {
    if (strcmp(self->told, plan->reason) == 0) {
        return;
    }
    snprintf(self->told, sizeof self->told, "%s", plan->reason);
    if (plan->verdict == CLUSTER_REFUSED) {
        log_error("cluster_state", log_text("verdict", verdict_name(plan->verdict)), log_text("reason", plan->reason));
    } else {
        log_info("cluster_state", log_text("verdict", verdict_name(plan->verdict)), log_text("reason", plan->reason));
    }
}

static void tick_cluster(agent_tick_t *self) {
    if (self->ticks_since_look < FULL_LOOK_EVERY && is_own_view_well(self)) {
        self->ticks_since_look++;
        return;
    }
    struct cluster_plan plan;
    cluster_observation_t *seen =
        cluster_observe(self->dialer, &self->config->peers, (unsigned) self->config->options.shards, is_stopped, self);
    cluster_plan_make(&plan, cluster_observation_view(seen), (int) self->config->ordinal);
    if (!is_stopped(self)) {
        tell_plan(self, &plan);
        send_steps(self, &plan);
        self->ticks_since_look = plan.verdict == CLUSTER_HEALTHY ? 0 : FULL_LOOK_EVERY;
    }
    cluster_plan_finish(&plan);
    cluster_observation_destroy(&seen);
}

/* ---- under Sentinel ---- */

static void follow(agent_tick_t *self, const struct redis_pod *primary) {
    char port[8];
    snprintf(port, sizeof port, "%u", primary->port);
    resp_client_t *client = open_own(self);
    if (client != NULL && resp_reply_is_ok(resp_client_call(client, "REPLICAOF", primary->host, port))) {
        log_warning("replica_follows", log_text("primary", primary->host),
                    log_text("reason", "a majority of the Sentinels names it"));
    } else {
        log_warning("replica_follow_refused", log_text("primary", primary->host));
    }
    resp_client_destroy(&client);
}

static void mend(agent_tick_t *self, enum sentinel_mend what, const struct redis_pod *primary) {
    char error[RESP_ERROR_MAX] = "";
    switch (what) {
    case SENTINEL_MEND_NOTHING:
        return;
    case SENTINEL_MEND_FOLLOW:
        follow(self, primary);
        break;
    case SENTINEL_MEND_FAILOVER:
        if (sentinel_failover(self->dialer, &self->config->sentinels, self->config->options.master_set, error,
                              sizeof error)) {
            log_warning("failover_asked_for", log_text("named", primary->host),
                        log_text("reason", "the Sentinels name it as primary, but it is a replica"));
        } else {
            log_error("failover_refused", log_text("named", primary->host), log_text("reason", error));
        }
        break;
    }
    self->wrong_since_ms = 0; /* seen anew before the next attempt */
}

static void judge(agent_tick_t *self, const struct sentinel_set *set, const struct sentinel_opinion *opinion) {
    struct redis_pod ignored;
    struct sentinel_mend_facts facts = {.down_after_ms = 0};
    facts.own = sentinel_observe_role(self->dialer, &self->config->self, &facts.own_primary);
    facts.named = opinion->is_self ? facts.own : sentinel_observe_role(self->dialer, &opinion->primary, &ignored);
    enum sentinel_mend wrong = sentinel_mend(opinion, set, &facts);
    uint64_t now = clock_monotonic_ms();
    bool is_same = wrong == self->wrong && strcmp(self->wrong_primary.host, opinion->primary.host) == 0;
    self->wrong_since_ms = wrong == SENTINEL_MEND_NOTHING         ? 0
                           : is_same && self->wrong_since_ms != 0 ? self->wrong_since_ms
                                                                  : now;
    self->wrong = wrong;
    self->wrong_primary = opinion->primary;
    /* The pods are staggered, so that one asks for a failover and the others see it. */
    facts.down_after_ms = self->config->options.down_after_ms +
                          (wrong == SENTINEL_MEND_FAILOVER ? (uint64_t) self->config->ordinal * STAGGER_MS : 0);
    facts.wrong_for_ms = self->wrong_since_ms == 0 ? 0 : now - self->wrong_since_ms;
    mend(self, sentinel_mend(opinion, set, &facts), &opinion->primary);
}

static void tick_replicated(agent_tick_t *self) {
    struct sentinel_asking asking;
    sentinel_asking_make(&asking, self->dialer, &self->config->peers, self->config->ordinal, &self->config->sentinels,
                         self->config->options.master_set);
    if (asking.opinion.has_majority) {
        judge(self, &asking.set, &asking.opinion);
    } else {
        self->wrong_since_ms = 0;
    }
    sentinel_asking_finish(&asking);
}

void agent_tick(agent_tick_t *self) {
    switch (self->config->options.mode) {
    case REDIS_MODE_CLUSTER:
        tick_cluster(self);
        break;
    case REDIS_MODE_REPLICATED:
        tick_replicated(self);
        break;
    case REDIS_MODE_STANDALONE:
    case REDIS_MODE_SENTINEL:
        break;
    }
}
