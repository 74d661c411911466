/* See redis_work.h.
 *
 *   form, heal   see all pods → plan (cluster_plan.c) → send its commands ─▶ again, until healthy
 *                heal is form that gives no slots away: on a cluster that was never formed it refuses
 *   roll         pod n-1 … 0 (replicas first): wait until all is well → a primary hands over → "may be stopped" → wait
 * until it came back under another run id; --ordinal: one pod, and no waiting for its return status       a line a pod,
 * and the plan's reason
 *
 * Failures: refused by the planner 4; nobody answers 5; not well in time 6, with the last reason. */
#include "operator/redis/redis_work.h"

#include "base/clock.h"
#include "operator/redis/cluster_observe.h"
#include "operator/redis/roll_plan.h"

#include <inttypes.h>
#include <time.h>

enum { LOOK_AGAIN_MS = 300, ASK_AGAIN_MS = 5000, PORT = 6379, TEXT_SIZE = 900 };

struct work {
    struct redis_work_call *call;
    redis_dialer_t *dialer;
    struct redis_pods pods;
    uint64_t deadline_ms;
    char told[CLUSTER_REASON_MAX];
};

/* ---- telling ---- */

static void tell(struct work *self, const char *reason) {
    if (strcmp(self->told, reason) != 0) {
        snprintf(self->told, sizeof self->told, "%s", reason);
        self->call->tell(self->call->context, reason);
    }
}

static void print_command(struct work *self, const struct redis_pod *pod, const char *const *words) {
    struct buffer *out = self->call->out;
    buffer_append_format(out, "redis-cli%s -h %s -p %u", self->call->options.tls ? " --tls" : "", pod->host, pod->port);
    for (size_t i = 0; words[i] != NULL; i++) {
        buffer_append_format(out, " %s", words[i]);
    }
    buffer_append_char(out, '\n');
}

static bool is_anybody_there(const struct cluster_view *view) {
    for (size_t i = 0; i < view->n; i++) {
        if (view->pods[i].answers || view->pods[i].is_loading) {
            return true;
        }
    }
    return false;
}

/* True: time is left, and a little of it was slept. */
static bool pause_in_time(const struct work *self) {
    struct timespec pause = {.tv_nsec = LOOK_AGAIN_MS * 1000000L};
    return clock_monotonic_ms() < self->deadline_ms && nanosleep(&pause, NULL) == 0;
}

static cluster_observation_t *look(struct work *self) {
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

static void do_steps(struct work *self, const struct cluster_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        const struct redis_pod *pod = &self->pods.pods[plan->steps[i].pod];
        struct cluster_step_words command;
        char error[RESP_ERROR_MAX];
        char text[TEXT_SIZE];
        cluster_step_command(&plan->steps[i], &command);
        if (self->call->options.dry_run) {
            print_command(self, pod, command.words);
        } else if (!cluster_step_send(self->dialer, &self->pods, &plan->steps[i], error, sizeof error)) {
            snprintf(text, sizeof text, "%s: CLUSTER %s: %s", pod->host, command.words[1], error);
            self->call->tell(self->call->context, text);
        }
    }
}

/* -1: look again; else the exit code. */
static int form_turn(struct work *self, bool may_form, bool *ret_anybody) {
    struct cluster_plan plan;
    cluster_observation_t *seen = look(self);
    cluster_plan_make(&plan, cluster_observation_view(seen), CLUSTER_ACTOR_ALL);
    *ret_anybody = is_anybody_there(cluster_observation_view(seen));
    int result = -1;
    if (plan.verdict == CLUSTER_STEPS && !may_form && gives_slots(&plan)) {
        tell(self, "this cluster was never formed, or lost its slots: form gives them to the first pods");
        result = REDIS_WORK_REFUSED;
    } else {
        tell(self, plan.reason);
        do_steps(self, &plan);
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
    } while (result < 0 && pause_in_time(self));
    return result >= 0 ? result : is_anybody ? REDIS_WORK_TIMEOUT : REDIS_WORK_OUTSIDE;
}

/* ---- roll ---- */

static void hand_over(struct work *self, unsigned heir) {
    static const char *const words[] = {"CLUSTER", "FAILOVER", NULL};
    const struct redis_pod *pod = &self->pods.pods[heir];
    char error[RESP_ERROR_MAX] = "";
    char text[TEXT_SIZE];
    if (self->call->options.dry_run) {
        print_command(self, pod, words);
        return;
    }
    resp_client_t *client = redis_dialer_open(self->dialer, REDIS_SERVICE_REDIS, pod, NULL, error, sizeof error);
    const struct redis_reply *reply = client == NULL ? NULL : resp_client_command(client, words);
    if (!resp_reply_is_ok(reply)) {
        struct span why = client == NULL  ? span_of_text(error)
                          : reply == NULL ? span_of_text(resp_client_error(client))
                                          : reply->text;
        snprintf(text, sizeof text, "%s: CLUSTER FAILOVER: %.*s", pod->host, (int) (why.size < 200 ? why.size : 200),
                 why.size == 0 ? "" : (const char *) why.data);
        self->call->tell(self->call->context, text);
    }
    resp_client_destroy(&client);
}

/* Until it may be stopped; ret_run_id: of its present life. */
static int make_free(struct work *self, unsigned pod, char ret_run_id[CLUSTER_ID_LENGTH + 1]) {
    uint64_t last_asked_ms = 0;
    do {
        unsigned heir;
        char reason[CLUSTER_REASON_MAX];
        cluster_observation_t *seen = look(self);
        const struct cluster_view *view = cluster_observation_view(seen);
        enum roll_verdict verdict = roll_judge(view, pod, self->call->options.max_lag_bytes, &heir, reason);
        memcpy(ret_run_id, view->pods[pod].run_id, CLUSTER_ID_LENGTH + 1);
        cluster_observation_destroy(&seen);
        tell(self, reason);
        uint64_t now = clock_monotonic_ms();
        if (verdict == ROLL_HAND_OVER && (last_asked_ms == 0 || now - last_asked_ms >= ASK_AGAIN_MS)) {
            last_asked_ms = now;
            hand_over(self, heir);
        }
        if (verdict == ROLL_MAY_GO || self->call->options.dry_run) {
            return REDIS_WORK_DONE;
        }
    } while (pause_in_time(self));
    return REDIS_WORK_TIMEOUT;
}

static int await_return(struct work *self, unsigned pod, const char run_id[CLUSTER_ID_LENGTH + 1]) {
    do {
        cluster_observation_t *seen = look(self);
        const struct cluster_pod *now = &cluster_observation_view(seen)->pods[pod];
        bool is_back = now->answers && now->run_id[0] != '\0' && strcmp(now->run_id, run_id) != 0;
        cluster_observation_destroy(&seen);
        if (is_back) {
            return REDIS_WORK_DONE;
        }
    } while (pause_in_time(self));
    return REDIS_WORK_TIMEOUT;
}

static int roll_pod(struct work *self, unsigned pod, bool awaits_return) {
    char run_id[CLUSTER_ID_LENGTH + 1];
    int result = make_free(self, pod, run_id);
    if (result != REDIS_WORK_DONE || self->call->options.dry_run) {
        return result;
    }
    buffer_append_format(self->call->out, "%s may be stopped\n", self->pods.pods[pod].host);
    return awaits_return ? await_return(self, pod, run_id) : REDIS_WORK_DONE;
}

static int roll(struct work *self) {
    uint64_t ordinal = self->call->options.ordinal;
    if (ordinal != REDIS_NO_ORDINAL) {
        return roll_pod(self, (unsigned) ordinal, false);
    }
    int result = REDIS_WORK_DONE;
    for (size_t i = self->pods.n; i > 0 && result == REDIS_WORK_DONE; i--) {
        self->deadline_ms = clock_monotonic_ms() + self->call->options.timeout_s * 1000;
        result = roll_pod(self, (unsigned) (i - 1), true);
    }
    return result;
}

/* ---- status ---- */

static void print_pod(struct buffer *out, const struct cluster_view *view, size_t i) {
    const struct cluster_pod *pod = &view->pods[i];
    const struct cluster_node *line = pod->answers ? cluster_table_myself(&pod->table) : NULL;
    buffer_append_format(out, "%-3zu %-40s shard %-3zu ", i, pod->name, i % view->shards);
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
    cluster_observation_t *seen = look(self);
    const struct cluster_view *view = cluster_observation_view(seen);
    cluster_plan_make(&plan, view, CLUSTER_ACTOR_ALL);
    for (size_t i = 0; i < view->n; i++) {
        print_pod(self->call->out, view, i);
    }
    buffer_append_format(self->call->out, "%s: %s\n", plan.verdict == CLUSTER_HEALTHY ? "healthy" : "not healthy",
                         plan.reason);
    int result = is_anybody_there(view) ? REDIS_WORK_DONE : REDIS_WORK_OUTSIDE;
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
        return roll(self);
    }
    return strcmp(action, "status") == 0 ? status(self)
                                         : usage(self->call, "redis: the action is none of form, heal, roll, status");
}

static int act_on_pods(struct work *self, const char *action) {
    const struct redis_options *options = &self->call->options;
    if (options->mode != REDIS_MODE_CLUSTER) {
        return usage(self->call,
                     "redis: --mode cluster is what there is to be done from outside; the agents in the pods "
                     "do what Sentinel needs");
    }
    if (self->pods.n < options->shards) {
        return usage(self->call, "redis: --peers has fewer pods than --shards");
    }
    if (options->ordinal != REDIS_NO_ORDINAL && options->ordinal >= self->pods.n) {
        return usage(self->call, "redis: --ordinal is not in --peers");
    }
    return act(self, action);
}

int redis_work_run(struct redis_work_call *call, const char *action) {
    char error[TEXT_SIZE];
    struct work self = {
        .call = call, .deadline_ms = clock_monotonic_ms() + call->options.timeout_s * 1000, .pods = {NULL, 0}};
    int result;
    if (!redis_pods_parse(&self.pods, call->options.peers, PORT, error, sizeof error)) {
        result = usage(call, error);
    } else if ((self.dialer = redis_dialer_new(&call->options, error, sizeof error)) == NULL) {
        result = usage(call, error);
    } else {
        result = act_on_pods(&self, action);
    }
    redis_dialer_destroy(&self.dialer);
    redis_pods_finish(&self.pods);
    return result;
}
