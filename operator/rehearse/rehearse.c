/* See rehearse.h.
 *
 *   is Redis well? ─▶ subscribers, publishers, a first publication of every channel ─▶ a while as it always is
 *     ─▶ BEGUN ─▶ the act ─▶ its undoing ─▶ Redis well, every channel acked and delivered ─▶ WHOLE
 *     ─▶ until --for is over ─▶ the end: account, verdict, report
 *
 * Failures: not well before 4; nobody answers, or the act is denied 5; not as before in time, or interrupted 6. What
 * was begun is undone in each case, and what could not be is told. A report is printed once there was a workload. */
#include "operator/rehearse/rehearse.h"

#include "base/clock.h"
#include "operator/rehearse/rehearse_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { SLICE_MS = 50, FIRST_MS = 30000, SETTLE_MS = 10000, LEAD_MAX_MS = 10000, UNDO_MORE_MS = 60000 };

/* ---- what acts use ---- */

void rehearse_tell(struct rehearse *self, const char *format, ...) {
    char text[REHEARSE_TEXT];
    char line[REHEARSE_TEXT + 32];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    if (strcmp(text, self->told) == 0) {
        return;
    }
    memcpy(self->told, text, sizeof text);
    uint64_t ms = clock_monotonic_ms() - self->began_ms;
    snprintf(line, sizeof line, "%6llu.%llu s  %s", (unsigned long long) (ms / 1000),
             (unsigned long long) (ms / 100 % 10), text);
    self->call->tell(self->call->context, line);
}

int rehearse_fail(struct rehearse *self, int result, const char *error) {
    rehearse_tell(self, "%s", error);
    if (self->error[0] == '\0') {
        snprintf(self->error, sizeof self->error, "%s", error);
    }
    return result;
}

bool rehearse_is_interrupted(const struct rehearse *self) {
    return *self->call->is_interrupted != 0;
}

bool rehearse_pause(const struct rehearse *self) {
    struct timespec pause = {.tv_nsec = SLICE_MS * 1000000L};
    if (rehearse_is_interrupted(self) || clock_monotonic_ms() >= self->deadline_ms) {
        return false;
    }
    nanosleep(&pause, NULL);
    return true;
}

int rehearse_stopped(struct rehearse *self, const char *what) {
    char text[REHEARSE_TEXT];
    snprintf(text, sizeof text, "%s: %.800s", rehearse_is_interrupted(self) ? "interrupted" : "out of time", what);
    return rehearse_fail(self, REHEARSE_EXIT_TIMEOUT, text);
}

static enum rehearse_health look_at_pods(struct rehearse *self, char ret_reason[CLUSTER_REASON_MAX]) {
    char reason[REHEARSE_KUBE_REASON_SIZE];
    switch (rehearse_kube_look(self->call->kube, reason)) {
    case REHEARSE_KUBE_DONE:
        return REHEARSE_WELL;
    case REHEARSE_KUBE_WAIT:
        snprintf(ret_reason, CLUSTER_REASON_MAX, "%s", reason);
        return REHEARSE_UNWELL;
    case REHEARSE_KUBE_FAILED:
        break;
    }
    snprintf(ret_reason, CLUSTER_REASON_MAX, "%s", reason);
    return REHEARSE_SILENT;
}

enum rehearse_health rehearse_look(struct rehearse *self, char ret_reason[CLUSTER_REASON_MAX]) {
    enum rehearse_health health = REHEARSE_WELL;
    snprintf(ret_reason, CLUSTER_REASON_MAX, "all pods are ready");
    if (self->call->kube != NULL) {
        health = look_at_pods(self, ret_reason);
    }
    if (self->redis != NULL && health == REHEARSE_WELL) {
        health = rehearse_redis_look(self->redis, ret_reason);
    }
    return health;
}

int rehearse_await_well(struct rehearse *self) {
    char reason[CLUSTER_REASON_MAX];
    do {
        if (rehearse_look(self, reason) == REHEARSE_WELL) {
            return REHEARSE_EXIT_PASSED;
        }
        rehearse_tell(self, "%s", reason);
    } while (rehearse_pause(self));
    return rehearse_stopped(self, reason);
}

/* ---- before ---- */

static int refuse_unwell(struct rehearse *self) {
    if (self->call->is_unwell_accepted) {
        return REHEARSE_EXIT_PASSED;
    }
    rehearse_tell(self, "refused[CB3201]: it is not well as it is; --accept=CB3201 rehearses all the same");
    return REHEARSE_EXIT_REFUSED;
}

/* A node that was cordoned before stays so, and no pod that is evicted could come back: never. */
static int find_node(struct rehearse *self) {
    char reason[REHEARSE_KUBE_REASON_SIZE];
    enum rehearse_kube_outcome outcome =
        rehearse_kube_find_node(self->call->kube, self->call->node, self->node, reason);
    if (outcome != REHEARSE_KUBE_DONE) {
        rehearse_tell(self, "%s", reason);
    }
    return outcome == REHEARSE_KUBE_DONE   ? REHEARSE_EXIT_PASSED
           : outcome == REHEARSE_KUBE_WAIT ? REHEARSE_EXIT_REFUSED
                                           : REHEARSE_EXIT_OUTSIDE;
}

static int check_before(struct rehearse *self) {
    char reason[CLUSTER_REASON_MAX];
    enum rehearse_health health = rehearse_look(self, reason);
    rehearse_tell(self, "%s", reason);
    if (health == REHEARSE_SILENT) {
        return REHEARSE_EXIT_OUTSIDE;
    }
    if (health == REHEARSE_UNWELL && refuse_unwell(self) != REHEARSE_EXIT_PASSED) {
        return REHEARSE_EXIT_REFUSED;
    }
    if (self->call->act == REHEARSE_DRAIN) {
        return find_node(self);
    }
    if (self->call->act == REHEARSE_QUORUM && self->call->redis.mode == REDIS_MODE_CLUSTER &&
        rehearse_redis_shards(self->redis) < 3) {
        rehearse_tell(self, "fewer than three shards have no minority that could be away");
        return REHEARSE_EXIT_USAGE;
    }
    return REHEARSE_EXIT_PASSED;
}

/* With what the clients said last. */
static int nobody_comes(struct rehearse *self, enum rehearse_outcome outcome, const char *what) {
    if (rehearse_is_interrupted(self)) {
        return rehearse_stopped(self, what);
    }
    rehearse_tell(self, "%s: %s", outcome == REHEARSE_FORBIDDEN ? "refused" : what,
                  rehearse_workload_error(self->workload));
    return REHEARSE_EXIT_OUTSIDE;
}

static int start_workload(struct rehearse *self) {
    enum rehearse_outcome outcome;
    self->deadline_ms = clock_monotonic_ms() + (self->call->timeout_ms < FIRST_MS ? self->call->timeout_ms : FIRST_MS);
    rehearse_workload_start(self->workload);
    while ((outcome = rehearse_workload_is_ready(self->workload)) != REHEARSE_OK) {
        if (outcome == REHEARSE_FORBIDDEN || !rehearse_pause(self)) {
            return nobody_comes(self, outcome, "no subscriber comes in");
        }
    }
    rehearse_workload_mark(self->workload);
    rehearse_workload_publish(self->workload);
    while ((outcome = rehearse_workload_is_past_mark(self->workload)) != REHEARSE_OK) {
        if (outcome == REHEARSE_FORBIDDEN || !rehearse_pause(self)) {
            return nobody_comes(self, outcome, "nothing is acked and delivered");
        }
    }
    rehearse_tell(self, "%llu subscribers have all %llu channels, and the first publications",
                  (unsigned long long) self->call->workload.subscribers,
                  (unsigned long long) self->call->workload.channels);
    return REHEARSE_EXIT_PASSED;
}

/* ---- the act ---- */

static void run_until(struct rehearse *self, uint64_t until_ms) {
    while (clock_monotonic_ms() < until_ms && rehearse_pause(self)) {
    }
}

static int await_whole(struct rehearse *self) {
    rehearse_workload_mark(self->workload);
    while (rehearse_workload_is_past_mark(self->workload) != REHEARSE_OK) {
        if (!rehearse_pause(self)) {
            return rehearse_stopped(self, rehearse_workload_error(self->workload));
        }
    }
    rehearse_workload_note(self->workload, REHEARSE_WHOLE);
    rehearse_tell(self, "all is as before");
    return REHEARSE_EXIT_PASSED;
}

static int act(struct rehearse *self) {
    uint64_t lead_ms = self->call->for_ms / 6 < LEAD_MAX_MS ? self->call->for_ms / 6 : LEAD_MAX_MS;
    uint64_t end_ms = clock_monotonic_ms() + self->call->for_ms;
    self->deadline_ms = end_ms + self->call->timeout_ms;
    run_until(self, clock_monotonic_ms() + lead_ms);
    if (rehearse_is_interrupted(self)) {
        return rehearse_stopped(self, "before anything was done");
    }
    self->deadline_ms = clock_monotonic_ms() + self->call->timeout_ms;
    int done = rehearse_do(self);
    if (done == REHEARSE_EXIT_TIMEOUT && !rehearse_is_interrupted(self)) {
        self->deadline_ms = clock_monotonic_ms() + UNDO_MORE_MS; /* to put things back */
    }
    int undone = rehearse_undo(self);
    int whole = undone == REHEARSE_EXIT_PASSED ? await_whole(self) : undone;
    self->deadline_ms = end_ms > self->deadline_ms ? end_ms : self->deadline_ms;
    if (done == REHEARSE_EXIT_PASSED && whole == REHEARSE_EXIT_PASSED) {
        run_until(self, end_ms);
    }
    return done != REHEARSE_EXIT_PASSED ? done : whole;
}

/* ---- after ---- */

static void set_limits(const struct rehearse_call *call, struct rehearse_limits *limits) {
    uint64_t away_ms = call->is_crash || call->act == REHEARSE_QUORUM ? call->away_ms : 0;
    bool is_hard = away_ms > 0 || call->kube != NULL;
    *limits = call->limits;
    if (limits->max_gap_us == 0) {
        limits->max_gap_us = (is_hard ? away_ms + 30000 : 5000) * 1000;
    }
    if (limits->max_whole_us == 0) {
        limits->max_whole_us = call->timeout_ms * 1000;
    }
    limits->must_turn_away = call->act == REHEARSE_QUORUM;
}

static int conclude(struct rehearse *self, int result) {
    struct rehearse_limits limits;
    const struct rehearse_log *log =
        rehearse_workload_end(self->workload, rehearse_is_interrupted(self) ? 0 : SETTLE_MS);
    struct rehearse_account account =
        rehearse_account_of(log->events, log->n, (unsigned) self->call->workload.subscribers);
    set_limits(self->call, &limits);
    struct rehearse_verdict verdict = rehearse_judge(&account, &limits);
    if (log->n_dropped > 0) {
        result = rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, "more events than are kept: lower --rate or --for");
    }
    rehearse_print_report(self->call, &account, &verdict, self->error);
    return result != REHEARSE_EXIT_PASSED ? result : verdict.is_passed ? REHEARSE_EXIT_PASSED : REHEARSE_EXIT_FAILED;
}

static int rehearse_all(struct rehearse *self) {
    char error[REHEARSE_TEXT];
    int result = check_before(self);
    if (result != REHEARSE_EXIT_PASSED) {
        return result;
    }
    if (self->call->redis.dry_run) {
        rehearse_print_steps(self, self->call->out);
        return REHEARSE_EXIT_PASSED;
    }
    self->workload = rehearse_workload_new(&self->call->workload, error, sizeof error);
    if (self->workload == NULL) {
        rehearse_tell(self, "%s", error);
        return REHEARSE_EXIT_USAGE;
    }
    result = start_workload(self);
    return result == REHEARSE_EXIT_PASSED ? conclude(self, act(self)) : result;
}

int rehearse_run(struct rehearse_call *call) {
    char error[REHEARSE_TEXT];
    struct rehearse self = {.call = call, .began_ms = clock_monotonic_ms()};
    int result = REHEARSE_EXIT_USAGE;
    self.deadline_ms = self.began_ms + call->timeout_ms;
    bool needs_redis = call->kube == NULL || call->redis.peers != NULL;
    self.redis = needs_redis ? rehearse_redis_new(&call->redis, error, sizeof error) : NULL;
    if (needs_redis && self.redis == NULL) {
        call->tell(call->context, error);
    } else {
        self.away = (struct rehearse_away){.hooks = call->hooks};
        self.away.dialer = needs_redis ? rehearse_redis_dialer(self.redis) : NULL;
        result = rehearse_all(&self);
    }
    rehearse_workload_destroy(&self.workload);
    rehearse_redis_destroy(&self.redis);
    return result;
}
