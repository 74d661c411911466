/* See rehearse_redis.h. What "well" means is asked of the planners that also allow a roll (roll_plan.h, set_plan.h),
 * and beside that every Sentinel has to answer: one that is away already makes another rehearsal than the one asked
 * for. */
#include "operator/rehearse/rehearse_redis.h"

#include "base/memory.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/roll_plan.h"
#include "operator/redis/sentinel_handover.h"
#include "operator/redis/sentinel_observe.h"
#include "operator/redis/set_observe.h"

#include <stdio.h>

enum { PORT = 6379, SENTINEL_PORT = 26379 };

struct rehearse_redis {
    const struct redis_options *options;
    redis_dialer_t *dialer;
    struct redis_pods pods;
    struct redis_pods sentinels;
    unsigned shards;
    int primaries[REHEARSE_SHARDS_MAX];
    int heirs[REHEARSE_SHARDS_MAX];
};

static bool check_options(const rehearse_redis_t *self, char *ret_error, size_t error_size) {
    const char *wrong = NULL;
    if (self->options->mode != REDIS_MODE_CLUSTER && self->options->mode != REDIS_MODE_REPLICATED) {
        wrong = "--mode is cluster or replicated (Redis under Sentinel): elsewhere nothing can take over";
    } else if (self->pods.n == 0) {
        wrong = "--peers LIST says which Redis pods there are";
    } else if (self->options->mode == REDIS_MODE_REPLICATED && self->sentinels.n == 0) {
        wrong = "--mode replicated needs --sentinels: who is primary is what they say";
    } else if (self->options->mode == REDIS_MODE_REPLICATED && self->pods.n < 2) {
        wrong = "--peers has no replica";
    } else if (self->options->mode == REDIS_MODE_CLUSTER && self->pods.n <= self->options->shards) {
        wrong = "--peers has no more pods than --shards: there is no replica";
    }
    if (wrong != NULL) {
        snprintf(ret_error, error_size, "%s", wrong);
    }
    return wrong == NULL;
}

rehearse_redis_t *rehearse_redis_new(const struct redis_options *options, char *ret_error, size_t error_size) {
    rehearse_redis_t *self = memory_alloc_zero(sizeof *self);
    self->options = options;
    self->shards = options->mode == REDIS_MODE_CLUSTER ? (unsigned) options->shards : 1;
    if (!redis_pods_parse(&self->pods, options->peers, PORT, ret_error, error_size) ||
        !redis_pods_parse(&self->sentinels, options->sentinels, SENTINEL_PORT, ret_error, error_size) ||
        !check_options(self, ret_error, error_size) ||
        (self->dialer = redis_dialer_new(options, ret_error, error_size)) == NULL) {
        rehearse_redis_destroy(&self);
    }
    return self;
}

void rehearse_redis_destroy(rehearse_redis_t **self_p) {
    rehearse_redis_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    redis_dialer_destroy(&self->dialer);
    redis_pods_finish(&self->pods);
    redis_pods_finish(&self->sentinels);
    memory_free(self);
    *self_p = NULL;
}

/* ---- a cluster ---- */

static bool is_any_there(const struct cluster_view *view) {
    bool is_there = false;
    for (size_t i = 0; i < view->n; i++) {
        is_there = is_there || view->pods[i].answers || view->pods[i].is_loading;
    }
    return is_there;
}

static void keep_shards(rehearse_redis_t *self, const struct cluster_view *view) {
    for (unsigned shard = 0; shard < self->shards; shard++) {
        self->primaries[shard] = REHEARSE_NOBODY;
        self->heirs[shard] = REHEARSE_NOBODY;
        for (unsigned i = shard; i < view->n; i += self->shards) {
            const struct cluster_node *line = cluster_table_myself(&view->pods[i].table);
            unsigned heir;
            if (line != NULL && line->is_primary && line->n_ranges > 0) {
                self->primaries[shard] = (int) i;
                self->heirs[shard] = roll_find_heir(view, i, &heir) ? (int) heir : REHEARSE_NOBODY;
            }
        }
    }
}

static enum rehearse_health look_at_cluster(rehearse_redis_t *self, char ret_reason[CLUSTER_REASON_MAX]) {
    cluster_observation_t *seen = cluster_observe(self->dialer, &self->pods, self->shards, NULL, NULL);
    const struct cluster_view *view = cluster_observation_view(seen);
    enum rehearse_health health = is_any_there(view) ? REHEARSE_UNWELL : REHEARSE_SILENT;
    unsigned heir;
    if (roll_judge(view, 0, self->options->max_lag_bytes, &heir, ret_reason) != ROLL_WAIT) {
        health = REHEARSE_WELL;
        keep_shards(self, view);
        snprintf(ret_reason, CLUSTER_REASON_MAX, "every slot is served and every replica is in sync");
    }
    cluster_observation_destroy(&seen);
    return health;
}

/* ---- a set under Sentinel ---- */

static int find_pod(const struct redis_pods *pods, const struct redis_pod *wanted) {
    for (size_t i = 0; i < pods->n; i++) {
        if (pods->pods[i].port == wanted->port && strcmp(pods->pods[i].host, wanted->host) == 0) {
            return (int) i;
        }
    }
    return SET_NOBODY;
}

static bool is_any_server_there(const struct set_server *servers, size_t n) {
    bool is_there = false;
    for (size_t i = 0; i < n; i++) {
        is_there = is_there || servers[i].answers;
    }
    return is_there;
}

/* The replica that has most. */
static int find_set_heir(const struct set_server *servers, size_t n, int primary) {
    int best = REHEARSE_NOBODY;
    for (size_t i = 0; i < n; i++) {
        if ((int) i != primary && servers[i].is_in_sync &&
            (best == REHEARSE_NOBODY || servers[i].offset > servers[best].offset)) {
            best = (int) i;
        }
    }
    return best;
}

static enum rehearse_health look_at_set(rehearse_redis_t *self, char ret_reason[CLUSTER_REASON_MAX]) {
    struct sentinel_asking asking;
    struct set_server *servers = set_observe(self->dialer, &self->pods);
    sentinel_asking_make(&asking, self->dialer, &self->pods, 0, &self->sentinels, self->options->master_set);
    int named = asking.opinion.has_majority ? find_pod(&self->pods, &asking.opinion.primary) : SET_NOBODY;
    enum rehearse_health health =
        is_any_server_there(servers, self->pods.n) || asking.opinion.answering > 0 ? REHEARSE_UNWELL : REHEARSE_SILENT;
    unsigned asked = named == SET_NOBODY ? 0 : (unsigned) named;
    if (asking.opinion.answering < self->sentinels.n) {
        snprintf(ret_reason, CLUSTER_REASON_MAX, "%zu of %zu Sentinels answer for the set %s (%s)",
                 asking.opinion.answering, self->sentinels.n, self->options->master_set, asking.trouble);
    } else if (set_roll_judge(servers, self->pods.n, asked, named, true, self->options->max_lag_bytes, ret_reason) !=
               ROLL_WAIT) {
        health = REHEARSE_WELL;
        self->primaries[0] = named;
        self->heirs[0] = find_set_heir(servers, self->pods.n, named);
        snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s is primary, every replica is in sync, every Sentinel agrees",
                 servers[named].name);
    }
    sentinel_asking_finish(&asking);
    memory_free(servers);
    return health;
}

enum rehearse_health rehearse_redis_look(rehearse_redis_t *self, char ret_reason[CLUSTER_REASON_MAX]) {
    return self->options->mode == REDIS_MODE_CLUSTER ? look_at_cluster(self, ret_reason)
                                                     : look_at_set(self, ret_reason);
}

/* ---- who is who ---- */

unsigned rehearse_redis_shards(const rehearse_redis_t *self) {
    return self->shards;
}

int rehearse_redis_primary(const rehearse_redis_t *self, unsigned shard) {
    return self->primaries[shard];
}

int rehearse_redis_heir(const rehearse_redis_t *self, unsigned shard) {
    return self->heirs[shard];
}

int rehearse_redis_other_primary(rehearse_redis_t *self, unsigned shard, int old) {
    for (unsigned i = shard; i < self->pods.n; i += self->shards) {
        struct redis_pod followed;
        if ((int) i != old &&
            sentinel_observe_role(self->dialer, &self->pods.pods[i], &followed) == SENTINEL_ROLE_PRIMARY) {
            return (int) i;
        }
    }
    return REHEARSE_NOBODY;
}

const struct redis_pods *rehearse_redis_pods(const rehearse_redis_t *self) {
    return &self->pods;
}

const struct redis_pods *rehearse_redis_sentinels(const rehearse_redis_t *self) {
    return &self->sentinels;
}

redis_dialer_t *rehearse_redis_dialer(rehearse_redis_t *self) {
    return self->dialer;
}

/* ---- orders ---- */

void rehearse_redis_hand_over_command(const rehearse_redis_t *self, unsigned to, char *ret_command, size_t size) {
    bool is_cluster = self->options->mode == REDIS_MODE_CLUSTER;
    const struct redis_pod *pod = is_cluster ? &self->pods.pods[to] : &self->sentinels.pods[0];
    snprintf(ret_command, size, "redis-cli%s -h %s -p %u %s%s", self->options->tls ? " --tls" : "", pod->host,
             pod->port, is_cluster ? "CLUSTER FAILOVER" : "SENTINEL FAILOVER ",
             is_cluster ? "" : self->options->master_set);
}

static bool hand_slots_over(rehearse_redis_t *self, unsigned to, char *ret_error, size_t error_size) {
    char why[RESP_ERROR_MAX] = "";
    const struct redis_pod *pod = &self->pods.pods[to];
    resp_client_t *client = redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, pod, NULL, why, sizeof why);
    const struct redis_reply *reply = client == NULL ? NULL : resp_client_call(client, "CLUSTER", "FAILOVER");
    bool is_taken = resp_reply_is_ok(reply);
    if (!is_taken) {
        struct span text = client == NULL  ? span_of_text(why)
                           : reply == NULL ? span_of_text(resp_client_error(client))
                                           : reply->text;
        snprintf(ret_error, error_size, "CLUSTER FAILOVER at %s: %.*s", pod->host,
                 (int) (text.size < 200 ? text.size : 200), text.size == 0 ? "" : (const char *) text.data);
    }
    resp_client_destroy(&client);
    return is_taken;
}

bool rehearse_redis_hand_over(rehearse_redis_t *self, unsigned to, char *ret_error, size_t error_size) {
    char why[RESP_ERROR_MAX];
    if (self->options->mode == REDIS_MODE_CLUSTER) {
        return hand_slots_over(self, to, ret_error, error_size);
    }
    if (sentinel_hand_over(self->dialer, &self->sentinels, &self->pods, self->options->master_set, why, sizeof why)) {
        return true;
    }
    snprintf(ret_error, error_size, "SENTINEL FAILOVER %s: %s", self->options->master_set, why);
    return false;
}
