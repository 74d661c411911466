/* scale: see redis_work.h.
 *
 *   look twice: does somebody else move slots? ─▶ look ─▶ scale_plan.c ── steps ─▶ send them ─▶ look
 *                                                                      ── moves ─▶ do they fit? ─▶ move slots for
 * TURN_MS ─▶ look ── wait  ─▶ look again ── done  ─▶ which pods may go
 *
 * Nothing is kept between two looks, so whoever ends it may call it again. It ends between two slots, never in one, but
 * by a kill; then that slot is open and gone on with first.
 * Failures: refused 4, with the code that would accept it; our user may not, or nobody answers 5; out of time 6. A slot
 * that does not move is told and tried again. A replica that was made a primary and is made a replica again by its
 * agent, which does not know of more shards yet: refused after RESETS_MAX. */
#include "operator/redis/redis_work_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/redis/slot_mover.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { TURN_MS = 2000, TELL_EVERY_MS = 5000, STILL_MS = 700, RESETS_MAX = 3, GO_ON = -1 };

struct scale_work {
    struct work *work;
    struct scale_goal goal;
    slot_mover_t *mover;
    bool has_begun;   /* something of the cluster was changed by this call */
    bool has_counted; /* the data fit */
    bool accepts_twice;
    bool accepts_memory;
    bool accepts_busy;
    bool is_anybody; /* somebody answered in the last look */
    uint64_t n_moved;
    uint64_t last_told_ms;
    uint64_t last_failover_ms;
    unsigned resets;
};

/* ---- what is accepted ---- */

static bool accept_code(struct scale_work *self, struct span code) {
    struct {
        const char *code;
        bool *accepts;
    } codes[] = {
        {SCALE_CODE_MEMORY, &self->accepts_memory}, {SCALE_CODE_DEGRADED, &self->goal.accepts_degraded},
        {SCALE_CODE_BUSY, &self->accepts_busy},     {SCALE_CODE_TWICE, &self->accepts_twice},
        {SCALE_CODE_FEW, &self->goal.accepts_few},  {SCALE_CODE_FUNCTIONS, &self->goal.accepts_functions},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (span_equal_text(code, codes[i].code)) {
            *codes[i].accepts = true;
            return true;
        }
    }
    return false;
}

static bool read_accepted(struct scale_work *self) {
    const char *text = self->work->call->options.accept;
    while (text != NULL && *text != '\0') {
        size_t size = strcspn(text, ",");
        if (!accept_code(self, span_of(text, size))) {
            char error[REDIS_WORK_TEXT];
            snprintf(error, sizeof error, "redis: --accept: %.*s is no code that scale refuses by: CB3101 to CB3106",
                     (int) size, text);
            self->work->call->tell(self->work->call->context, error);
            return false;
        }
        text += size + (text[size] == ',');
    }
    return true;
}

static int refuse(struct scale_work *self, const char *code, const char *reason) {
    char text[CLUSTER_REASON_MAX + 80];
    if (code == NULL) {
        snprintf(text, sizeof text, "refused: %s", reason);
    } else {
        snprintf(text, sizeof text, "refused[%s]: %s; --accept=%s goes on all the same", code, reason, code);
    }
    self->work->call->tell(self->work->call->context, text);
    return REDIS_WORK_REFUSED;
}

static bool is_dry(const struct scale_work *self) {
    return self->work->call->options.dry_run;
}

/* ---- before anything is done ---- */

static int await_stillness(struct scale_work *self) {
    struct timespec pause = {.tv_nsec = STILL_MS * 1000000L};
    cluster_observation_t *before = work_look(self->work);
    (void) nanosleep(&pause, NULL);
    cluster_observation_t *after = work_look(self->work);
    bool is_still =
        self->accepts_busy || scale_plan_is_still(cluster_observation_view(before), cluster_observation_view(after));
    cluster_observation_destroy(&before);
    cluster_observation_destroy(&after);
    return is_still ? GO_ON : refuse(self, SCALE_CODE_BUSY, "slots change hands and nothing was done here yet");
}

/* ---- steps ---- */

static int send_steps(struct scale_work *self, const struct scale_plan *plan) {
    for (size_t i = 0; i < plan->n; i++) {
        const struct cluster_step *step = &plan->steps[i];
        uint64_t now = clock_monotonic_ms();
        bool is_failover = step->kind == CLUSTER_FAILOVER;
        if (is_failover && self->last_failover_ms != 0 && now - self->last_failover_ms < REDIS_WORK_ASK_AGAIN_MS) {
            continue; /* one is under way, perhaps */
        }
        if (step->kind == CLUSTER_RESET && ++self->resets > RESETS_MAX) {
            return refuse(self, NULL,
                          "a replica that was made an empty primary became a replica again: its agent has the old "
                          "--shards. Apply the spec with the new number first");
        }
        self->last_failover_ms = is_failover ? now : self->last_failover_ms;
        self->has_begun |= work_do_step(self->work, step) && step->kind != CLUSTER_MEET;
    }
    return is_dry(self) ? REDIS_WORK_DONE : GO_ON;
}

/* ---- moves ---- */

static void print_move(void *context, unsigned pod, const char *const *words) {
    struct scale_work *self = context;
    work_print_command(self->work, &self->work->pods.pods[pod], words);
}

static int print_moves(struct scale_work *self, const struct cluster_view *view, const struct scale_plan *plan) {
    for (size_t i = 0; i < plan->n_moves; i++) {
        slot_mover_describe(&self->work->call->options, view, &plan->moves[i], print_move, self);
    }
    return REDIS_WORK_DONE;
}

/* A pod without slots has no heir, whatever keys it got: so its first slot is one without keys, where there is one. */
static void begin_with_empty_slots(const struct cluster_view *view, struct scale_plan *plan, const uint64_t *keys) {
    bool is_begun[CLUSTER_PODS_MAX] = {false};
    size_t first = 0;
    for (size_t i = 0; i < plan->n_moves; i++) {
        struct scale_move move = plan->moves[i];
        if (keys[i] == 0 && !is_begun[move.to] && cluster_view_line(view, move.to)->n_ranges == 0) {
            is_begun[move.to] = true;
            plan->moves[i] = plan->moves[first];
            plan->moves[first++] = move;
        }
    }
}

static int count(struct scale_work *self, const struct cluster_view *view, struct scale_plan *plan) {
    char error[SLOT_MOVER_ERROR_MAX];
    char reason[CLUSTER_REASON_MAX];
    int result = GO_ON;
    if (self->has_counted || plan->is_resumed) {
        return GO_ON;
    }
    uint64_t *keys = memory_alloc_array(plan->n_moves, sizeof *keys);
    if (!slot_mover_count(self->mover, plan->moves, plan->n_moves, keys, error)) {
        work_tell(self->work, error); /* and looked at anew */
    } else if (!scale_plan_fits(plan, view, keys, reason) && !self->accepts_memory) {
        result = refuse(self, SCALE_CODE_MEMORY, reason);
    } else {
        self->has_counted = true;
        begin_with_empty_slots(view, plan, keys);
    }
    memory_free(keys);
    return result;
}

static void tell_progress(struct scale_work *self, size_t left) {
    char text[REDIS_WORK_TEXT];
    uint64_t now = clock_monotonic_ms();
    if (now - self->last_told_ms < TELL_EVERY_MS && left > 0) {
        return;
    }
    self->last_told_ms = now;
    snprintf(text, sizeof text, "%" PRIu64 " slots with %" PRIu64 " keys moved, %zu slots to go", self->n_moved,
             slot_mover_keys(self->mover), left);
    self->work->call->tell(self->work->call->context, text);
}

static int judge_move(struct scale_work *self, enum slot_result result, const char *error) {
    char text[SLOT_MOVER_ERROR_MAX + 160];
    switch (result) {
    case SLOT_TWICE:
        return refuse(self, SCALE_CODE_TWICE, error);
    case SLOT_DENIED:
        snprintf(text, sizeof text,
                 "%s. The user needs +cluster +migrate, and +restore-asking +select there, on the keys of every slot",
                 error);
        self->work->call->tell(self->work->call->context, text);
        return REDIS_WORK_OUTSIDE;
    case SLOT_MOVED:
    case SLOT_NOT_YET:
        break;
    }
    work_tell(self->work, error);
    (void) work_pause(self->work);
    return GO_ON;
}

/* For a while; then the pods are looked at again. */
static int move_some(struct scale_work *self, const struct cluster_view *view, const struct scale_plan *plan) {
    char error[SLOT_MOVER_ERROR_MAX];
    uint64_t end = clock_monotonic_ms() + TURN_MS;
    end = end < self->work->deadline_ms ? end : self->work->deadline_ms;
    self->has_begun = true;
    for (size_t i = 0; i < plan->n_moves && clock_monotonic_ms() < end; i++) {
        enum slot_result result = slot_mover_move(self->mover, view, &plan->moves[i], self->accepts_twice, error);
        if (result != SLOT_MOVED) {
            return judge_move(self, result, error);
        }
        self->n_moved++;
        if (!plan->is_resumed) {
            tell_progress(self, plan->n_moves - i - 1);
        }
    }
    return GO_ON;
}

static int move(struct scale_work *self, const struct cluster_view *view, struct scale_plan *plan) {
    if (is_dry(self)) {
        return print_moves(self, view, plan);
    }
    int result = count(self, view, plan);
    bool is_counted = self->has_counted || plan->is_resumed;
    return result == GO_ON && is_counted ? move_some(self, view, plan) : result;
}

/* ---- the whole ---- */

static int finish(struct scale_work *self, const struct cluster_view *view) {
    struct buffer *out = self->work->call->out;
    size_t staying = (size_t) self->goal.shards * (1 + self->goal.replicas);
    for (size_t i = staying; i < view->n; i++) {
        buffer_append_format(out, "%s may go\n", view->pods[i].name);
    }
    if (staying < view->n) {
        work_tell(self->work, "apply the spec with the new numbers now: its agents forget the pods that go. Without "
                              "agents: stop them, then redis heal with the others in --peers");
    }
    return REDIS_WORK_DONE;
}

static int act(struct scale_work *self, const struct cluster_view *view, struct scale_plan *plan) {
    switch (plan->verdict) {
    case SCALE_DONE:
        work_tell(self->work, plan->reason);
        return finish(self, view);
    case SCALE_REFUSED:
        return refuse(self, plan->code, plan->reason);
    case SCALE_STEPS:
        work_tell(self->work, plan->reason);
        return send_steps(self, plan);
    case SCALE_MOVES:
        if (!self->has_begun || plan->is_resumed) {
            work_tell(self->work, plan->reason);
        }
        return move(self, view, plan);
    case SCALE_WAIT:
        break;
    }
    if (plan->code != NULL && !self->has_begun && self->is_anybody) {
        return refuse(self, plan->code, plan->reason);
    }
    work_tell(self->work, plan->reason);
    return GO_ON;
}

/* The goal where none was said: what the shards have. What hides it is told as the planner tells it. */
static int find_replicas(struct scale_work *self, const struct cluster_view *view) {
    struct scale_plan plan;
    if (self->goal.replicas != REDIS_NO_REPLICAS || scale_plan_replicas_now(view, &self->goal.replicas)) {
        return GO_ON;
    }
    struct scale_goal goal = self->goal;
    goal.replicas = 0;
    scale_plan_make(&plan, view, &goal);
    int result = REDIS_WORK_REFUSED;
    if (plan.verdict == SCALE_WAIT || plan.verdict == SCALE_REFUSED) {
        result = act(self, view, &plan);
    } else {
        work_tell(self->work, "how many replicas each shard has is not to be seen while a pod is away: "
                              "--replicas-per-shard says it");
    }
    scale_plan_finish(&plan);
    return result;
}

static bool knows_goal(const struct scale_work *self) {
    return self->goal.replicas != REDIS_NO_REPLICAS;
}

/* True: look again at once. */
static bool turn(struct scale_work *self, int *ret_result) {
    struct scale_plan plan = {.verdict = SCALE_WAIT};
    cluster_observation_t *seen = work_look(self->work);
    const struct cluster_view *view = cluster_observation_view(seen);
    self->is_anybody = work_is_anybody_there(view);
    *ret_result = self->is_anybody ? find_replicas(self, view) : GO_ON;
    if (*ret_result == GO_ON && self->is_anybody && knows_goal(self)) {
        scale_plan_make(&plan, view, &self->goal);
        *ret_result = act(self, view, &plan);
    }
    bool is_moving = plan.verdict == SCALE_MOVES;
    scale_plan_finish(&plan);
    cluster_observation_destroy(&seen);
    return is_moving && clock_monotonic_ms() < self->work->deadline_ms;
}

static int run(struct scale_work *self) {
    int result = await_stillness(self);
    while (result == GO_ON && (turn(self, &result) || (result == GO_ON && work_pause(self->work)))) {
    }
    if (result != GO_ON) {
        return result;
    }
    if (!self->is_anybody) {
        work_tell(self->work, "none of the pods answers");
        return REDIS_WORK_OUTSIDE;
    }
    self->work->call->tell(self->work->call->context, "out of time: called again, it goes on from here");
    return REDIS_WORK_TIMEOUT;
}

int work_scale(struct work *work) {
    const struct redis_options *options = &work->call->options;
    struct scale_work self = {
        .work = work,
        .goal = {.shards = (unsigned) options->shards, .replicas = (unsigned) options->replicas_per_shard},
        .last_told_ms = clock_monotonic_ms(),
    };
    if (!read_accepted(&self)) {
        return REDIS_WORK_USAGE;
    }
    self.mover = slot_mover_new(work->dialer, &work->pods, options);
    int result = run(&self);
    slot_mover_destroy(&self.mover);
    return result;
}
