/* roll: for each pod from the highest ordinal, see redis_work.h.
 *
 *   look ─▶ judge (roll_plan.h, set_plan.h) ── wait ─▶ look again
 *                                           ── hand over: CLUSTER FAILOVER at the heir, or SENTINEL FAILOVER ─▶ look
 *                                           ── may go ─▶ "may be stopped" ─▶ wait for another run id
 *
 * --ordinal: one pod, and no waiting for its return. Failures: not well in time 6, with the last reason; a handing over
 * that is refused is told and asked for again. */
#include "operator/redis/redis_work_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/redis/roll_plan.h"
#include "operator/redis/sentinel_handover.h"
#include "operator/redis/sentinel_observe.h"
#include "operator/redis/set_observe.h"

#include <stdio.h>

/* What one look says of the pod. */
struct turn {
    enum roll_verdict verdict;
    unsigned heir;
    char reason[CLUSTER_REASON_MAX];
    bool answers;
    bool is_caught_up; /* under Sentinel: the replicas have what a failover must not take back */
    char run_id[CLUSTER_ID_LENGTH + 1];
};

/* ---- looking ---- */

static void judge_cluster(struct work *self, unsigned pod, struct turn *turn) {
    cluster_observation_t *seen = work_look(self);
    const struct cluster_view *view = cluster_observation_view(seen);
    turn->verdict = roll_judge(view, pod, self->call->options.max_lag_bytes, &turn->heir, turn->reason);
    turn->answers = view->pods[pod].answers;
    memcpy(turn->run_id, view->pods[pod].run_id, sizeof turn->run_id);
    cluster_observation_destroy(&seen);
}

static int find_pod(const struct redis_pods *pods, const struct redis_pod *wanted) {
    for (size_t i = 0; i < pods->n; i++) {
        if (pods->pods[i].port == wanted->port && strcmp(pods->pods[i].host, wanted->host) == 0) {
            return (int) i;
        }
    }
    return SET_NOBODY;
}

/* The pod that a majority of the Sentinels names. */
static int ask_sentinels(struct work *self) {
    struct sentinel_asking asking;
    sentinel_asking_make(&asking, self->dialer, &self->pods, 0, &self->sentinels, self->call->options.master_set);
    int named = asking.opinion.has_majority ? find_pod(&self->pods, &asking.opinion.primary) : SET_NOBODY;
    sentinel_asking_finish(&asking);
    return named;
}

static void judge_set(struct work *self, unsigned pod, struct set_catching_up *catching_up, struct turn *turn) {
    bool has_sentinels = self->sentinels.n > 0;
    int named = has_sentinels ? ask_sentinels(self) : SET_NOBODY;
    struct set_server *servers = set_observe(self->dialer, &self->pods);
    turn->verdict = set_roll_judge(servers, self->pods.n, pod, named, has_sentinels, self->call->options.max_lag_bytes,
                                   turn->reason);
    turn->answers = servers[pod].answers;
    turn->is_caught_up = set_has_caught_up(catching_up, servers, self->pods.n);
    memcpy(turn->run_id, servers[pod].run_id, sizeof turn->run_id);
    memory_free(servers);
}

static void judge(struct work *self, unsigned pod, struct set_catching_up *catching_up, struct turn *turn) {
    *turn = (struct turn){.verdict = ROLL_WAIT, .is_caught_up = true};
    if (self->call->options.mode == REDIS_MODE_CLUSTER) {
        judge_cluster(self, pod, turn);
    } else {
        judge_set(self, pod, catching_up, turn);
    }
}

/* ---- handing over ---- */

static void hand_over_slots(struct work *self, unsigned heir) {
    static const char *const words[] = {"CLUSTER", "FAILOVER", NULL};
    const struct redis_pod *pod = &self->pods.pods[heir];
    char error[RESP_ERROR_MAX] = "";
    char text[REDIS_WORK_TEXT];
    if (self->call->options.dry_run) {
        work_print_command(self, pod, words);
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

static void hand_over_primacy(struct work *self) {
    const char *const words[] = {"SENTINEL", "FAILOVER", self->call->options.master_set, NULL};
    char error[RESP_ERROR_MAX];
    char text[REDIS_WORK_TEXT];
    if (self->call->options.dry_run) {
        work_print_command(self, &self->sentinels.pods[0], words);
    } else if (!sentinel_hand_over(self->dialer, &self->sentinels, &self->pods, self->call->options.master_set, error,
                                   sizeof error)) {
        snprintf(text, sizeof text, "SENTINEL FAILOVER: %s", error);
        self->call->tell(self->call->context, text);
    }
}

static void hand_over(struct work *self, unsigned heir) {
    if (self->call->options.mode == REDIS_MODE_CLUSTER) {
        hand_over_slots(self, heir);
    } else {
        hand_over_primacy(self);
    }
}

/* ---- rolling ---- */

/* Until it may be stopped; ret_run_id: of its present life. */
static int make_free(struct work *self, unsigned pod, char ret_run_id[CLUSTER_ID_LENGTH + 1]) {
    uint64_t last_asked_ms = 0;
    struct set_catching_up catching_up = {.looks = 0};
    do {
        struct turn turn;
        judge(self, pod, &catching_up, &turn);
        memcpy(ret_run_id, turn.run_id, sizeof turn.run_id);
        work_tell(self, turn.reason);
        uint64_t now = clock_monotonic_ms();
        bool is_due = last_asked_ms == 0 || now - last_asked_ms >= REDIS_WORK_ASK_AGAIN_MS;
        if (turn.verdict == ROLL_HAND_OVER && is_due && (turn.is_caught_up || self->call->options.dry_run)) {
            last_asked_ms = now;
            hand_over(self, turn.heir);
        }
        if (turn.verdict == ROLL_MAY_GO || self->call->options.dry_run) {
            return REDIS_WORK_DONE;
        }
    } while (work_pause(self));
    return REDIS_WORK_TIMEOUT;
}

static int await_return(struct work *self, unsigned pod, const char run_id[CLUSTER_ID_LENGTH + 1]) {
    struct set_catching_up unused = {.looks = 0};
    do {
        struct turn turn;
        judge(self, pod, &unused, &turn);
        if (turn.answers && turn.run_id[0] != '\0' && strcmp(turn.run_id, run_id) != 0) {
            return REDIS_WORK_DONE;
        }
    } while (work_pause(self));
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

int work_roll(struct work *self) {
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
