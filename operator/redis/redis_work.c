/* See redis_work.h.
 *
 *   form, heal   see all pods → plan (cluster_plan.c) → send its commands ─▶ again, until healthy
 *                heal is form that gives no slots away: on a cluster that was never formed it refuses
 *   roll         pod n-1 … 0 (replicas first): wait until all is well → a primary hands over → "may be stopped" → wait
 *                until it came back under another run id (redis_work_roll.c)
 *   scale        another number of shards or replicas (redis_work_scale.c)
 *   status       a line a pod, and the plan's reason
 *
 * Failures: refused by the planner 4; nobody answers 5; not well in time 6, with the last reason. */
#include "operator/redis/redis_work.h"

#include "base/clock.h"
#include "operator/redis/cluster_layout.h"
#include "operator/redis/redis_work_parts.h"

#include <inttypes.h>
#include <time.h>

enum { LOOK_AGAIN_MS = 300, PORT = 6379, SENTINEL_PORT = 26379 };

/* ---- telling ---- */

void work_tell(struct work *self, const char *reason) {
    if (strcmp(self->told, reason) != 0) {
        snprintf(self->told, sizeof self->told, "%s", reason);
        self->call->tell(self->call->context, reason);
    }
}

void work_print_command(struct work *self, const struct redis_pod *pod, const char *const *words) {
    struct buffer *out = self->call->out;
    buffer_append_format(out, "redis-cli%s -h %s -p %u", self->call->options.tls ? " --tls" : "", pod->host, pod->port);
    for (size_t i = 0; words[i] != NULL; i++) {
        buffer_append_format(out, " %s", words[i]);
    }
    buffer_append_char(out, '\n');
}

bool work_is_anybody_there(const struct cluster_view *view) {
    for (size_t i = 0; i < view->n; i++) {
        if (view->pods[i].answers || view->pods[i].is_loading) {
            return true;
        }
    }
    return false;
}

/* True: time is left, and a little of it was slept. */
bool work_pause(const struct work *self) {
    struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
    return clock_monotonic_ms() < self->deadline_ms && nanosleep(&pause, NULL) == 0;
}

cluster_observation_t *work_look(struct work *self) {
    return cluster_observe(self->dialer, &self->pods, (unsigned) self->call->options.shards, NULL, NULL);
}

/* ---- form and heal ---- */

static bool gives_slots(const struct cluster_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        if (plan->steps[i].kind == CLUSTER_ADD_SLOTS) {
            return true;
        }
    }
    return false;
}

bool work_do_step(struct work *self, const struct cluster_step *step) {
    const struct redis_pod *pod = &self->pods.pods[step->pod];
    struct cluster_step_words command;
    char error[RESP_ERROR_MAX];
    char text[REDIS_WORK_TEXT];
    cluster_step_command(step, &command);
    if (self->call->options.dry_run) {
        work_print_command(self, pod, command.words);
        return true;
    }
    bool is_done = cluster_step_send(self->dialer, &self->pods, step, error, sizeof error);
    if (!is_done) {
        snprintf(text, sizeof text, "%s: CLUSTER %s: %s", pod->host, command.words[1], error);
        self->call->tell(self->call->context, text);
    }
    return is_done;
}

/* -1: look again; else the exit code. */
static int form_turn(struct work *self, bool may_form, bool *ret_anybody) {
    struct cluster_plan plan;
    cluster_observation_t *seen = work_look(self);
    cluster_plan_make(&plan, cluster_observation_view(seen), CLUSTER_ACTOR_ALL);
    *ret_anybody = work_is_anybody_there(cluster_observation_view(seen));
    int result = -1;
    if (plan.verdict == CLUSTER_STEPS && !may_form && gives_slots(&plan)) {
        work_tell(self, "this cluster was never formed, or lost its slots: form gives them to the first pods");
        result = REDIS_WORK_REFUSED;
    } else {
        work_tell(self, plan.reason);
        for (size_t i = 0; i < plan.n; i++) {
            (void) work_do_step(self, &plan.steps[i]);
        }
        result = plan.verdict == CLUSTER_HEALTHY   ? REDIS_WORK_DONE
                 : plan.verdict == CLUSTER_REFUSED ? REDIS_WORK_REFUSED
                 : self->call->options.dry_run     ? REDIS_WORK_DONE
                                                   : -1;
    }
    cluster_plan_finish(&plan);
    cluster_observation_destroy(&seen);
    return result;
}

static int form(struct work *self, bool may_form) {
    bool is_anybody = false;
    int result;
    do {
        result = form_turn(self, may_form, &is_anybody);
    } while (result < 0 && work_pause(self));
    return result >= 0 ? result : is_anybody ? REDIS_WORK_TIMEOUT : REDIS_WORK_OUTSIDE;
}

/* ---- status ---- */

static void print_pod(struct buffer *out, const struct cluster_view *view, const struct cluster_layout *layout,
                      size_t i) {
    const struct cluster_pod *pod = &view->pods[i];
    const struct cluster_node *line = cluster_view_line(view, i);
    int shard = cluster_layout_shard_number(layout, i);
    buffer_append_format(out, "%-3zu %-40s ", i, pod->name);
    if (shard < 0) {
        buffer_append_text(out, "no shard  ");
    } else {
        buffer_append_format(out, "shard %-3d ", shard);
    }
    if (line == NULL) {
        buffer_append_format(out, "%s\n", pod->is_loading ? "loading" : pod->trouble == NULL ? "silent" : pod->trouble);
        return;
    }
    buffer_append_format(out, "%-8s %5zu slots %8" PRIu64 " keys  knows %zu%s\n",
                         line->is_primary ? "primary" : "replica", cluster_node_slots(&pod->table, line), pod->keys,
                         cluster_table_known(&pod->table), line->is_primary || pod->is_link_up ? "" : "  not in sync");
}

static int status(struct work *self) {
    struct cluster_plan plan;
    cluster_observation_t *seen = work_look(self);
    const struct cluster_view *view = cluster_observation_view(seen);
    struct cluster_layout layout;
    cluster_plan_make(&plan, view, CLUSTER_ACTOR_ALL);
    cluster_layout_make(&layout, view);
    for (size_t i = 0; i < view->n; i++) {
        print_pod(self->call->out, view, &layout, i);
    }
    buffer_append_format(self->call->out, "%s: %s\n", plan.verdict == CLUSTER_HEALTHY ? "healthy" : "not healthy",
                         plan.reason);
    int result = work_is_anybody_there(view) ? REDIS_WORK_DONE : REDIS_WORK_OUTSIDE;
    cluster_plan_finish(&plan);
    cluster_observation_destroy(&seen);
    return result;
}

/* ---- all ---- */

static int usage(struct redis_work_call *call, const char *error) {
    call->tell(call->context, error);
    return REDIS_WORK_USAGE;
}

static int act(struct work *self, const char *action) {
    if (strcmp(action, "form") == 0 || strcmp(action, "heal") == 0) {
        return form(self, strcmp(action, "form") == 0);
    }
    if (strcmp(action, "roll") == 0) {
        return work_roll(self);
    }
    if (strcmp(action, "scale") == 0) {
        return work_scale(self);
    }
    return strcmp(action, "status") == 0
               ? status(self)
               : usage(self->call, "redis: the action is none of form, heal, roll, scale, status");
}

static int act_on_pods(struct work *self, const char *action) {
    const struct redis_options *options = &self->call->options;
    if (options->mode == REDIS_MODE_SENTINEL) {
        return usage(self->call, "redis: Sentinels have no data and no roles; --mode replicated is the set they watch");
    }
    if (options->mode != REDIS_MODE_CLUSTER && strcmp(action, "scale") == 0) {
        return usage(self->call,
                     options->mode == REDIS_MODE_REPLICATED
                         ? "redis: under Sentinel nothing moves when pods come or go: apply the spec with another "
                           "redis.replicas. New pods follow the primary; one that goes hands over first. Of those that "
                           "went the Sentinels are told one after the other: SENTINEL RESET and the set's name"
                         : "redis: one server has no parts: redis.mode sentinel has replicas, cluster has shards; "
                           "backup and restore bring the data there");
    }
    if (options->mode != REDIS_MODE_CLUSTER && strcmp(action, "roll") != 0) {
        return usage(self->call, "redis: outside of --mode cluster there is roll and backup; the agents in the pods do "
                                 "what Sentinel needs");
    }
    if (options->mode == REDIS_MODE_REPLICATED && self->sentinels.n == 0) {
        return usage(self->call, "redis: --mode replicated needs --sentinels: who is primary is what they say");
    }
    if (options->mode == REDIS_MODE_STANDALONE && self->pods.n != 1) {
        return usage(self->call, "redis: --mode standalone is one pod; more are --mode replicated or cluster");
    }
    if (options->mode == REDIS_MODE_CLUSTER && self->pods.n < options->shards && strcmp(action, "scale") != 0) {
        return usage(self->call, "redis: --peers has fewer pods than --shards");
    }
    if (options->ordinal != REDIS_NO_ORDINAL && options->ordinal >= self->pods.n) {
        return usage(self->call, "redis: --ordinal is not in --peers");
    }
    return act(self, action);
}

int redis_work_run(struct redis_work_call *call, const char *action) {
    char error[REDIS_WORK_TEXT];
    struct work self = {.call = call,
                        .deadline_ms = clock_monotonic_ms() + call->options.timeout_s * 1000,
                        .pods = {NULL, 0},
                        .sentinels = {NULL, 0}};
    int result;
    if (!redis_pods_parse(&self.pods, call->options.peers, PORT, error, sizeof error) ||
        !redis_pods_parse(&self.sentinels, call->options.sentinels, SENTINEL_PORT, error, sizeof error)) {
        result = usage(call, error);
    } else if ((self.dialer = redis_dialer_new(&call->options, error, sizeof error)) == NULL) {
        result = usage(call, error);
    } else {
        result = act_on_pods(&self, action);
    }
    redis_dialer_destroy(&self.dialer);
    redis_pods_finish(&self.sentinels);
    redis_pods_finish(&self.pods);
    return result;
}
