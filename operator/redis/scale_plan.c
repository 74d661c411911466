/* See scale_plan.h. The questions, in order; the first that is not answered well ends the plan:
 *
 *    1 is this one cluster whose pods know each other?        → MEET; never formed: refused
 *    2 are there as many pods as are to stay?                 → refused: apply first
 *    3 does every slot have an owner among the pods?          → wait; where that one lives and is not named: refused
 *    4 does each pod answer, is each replica in sync?         → wait (CB3102 where nothing was begun yet)
 *    5 is a slot open?                                        → its move is gone on with; a mark left behind is closed
 *    6 who serves the slots from now on?                      → CLUSTER FAILOVER to one that stays; CLUSTER RESET of a
 *                                                               replica that is to be a primary, where no pod is free
 *    7 does each of those have its replicas?                  → REPLICATE, by free pods and those that are too many
 *    8 does each have its share?                              → moves
 *    9 is all in sync and known to all?                       → wait; else done
 *
 * Replicas come before slots, so that data never lie on one pod alone that had a replica before. The pods of a shard
 * that goes are free when it is empty, and become replicas then (7 again). Nothing is planned twice: each move takes
 * from one who has more than his share and gives to one who has less, and who is to stay is decided by who has most
 * already. */
#include "operator/redis/scale_plan_parts.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { VOTERS = 3 };

/* ---- answers ---- */

bool scaling_end(struct scaling *s, enum scale_verdict verdict, const char *code, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(s->plan->reason, sizeof s->plan->reason, format, values);
    va_end(values);
    s->plan->verdict = verdict;
    s->plan->code = code;
    return true;
}

void scaling_add_step(struct scaling *s, const struct cluster_step *step) {
    s->plan->steps = memory_realloc(s->plan->steps, (s->plan->n + 1) * sizeof *s->plan->steps);
    s->plan->steps[s->plan->n++] = *step;
}

void scaling_add_move(struct scaling *s, unsigned slot, unsigned from, unsigned to) {
    s->plan->moves = memory_realloc(s->plan->moves, (s->plan->n_moves + 1) * sizeof *s->plan->moves);
    s->plan->moves[s->plan->n_moves++] = (struct scale_move){(uint16_t) slot, (uint16_t) from, (uint16_t) to};
}

const char *scaling_name(const struct scaling *s, size_t pod) {
    return s->view->pods[pod].name;
}

/* ---- 1 to 4: may anything be done? ---- */

static bool acquaint(struct scaling *s) {
    struct cluster_plan plan;
    if (s->layout.unowned > 0) {
        return scaling_end(s, SCALE_REFUSED, NULL,
                           "%u slots belong to no node: form gives them away, or redis-cli --cluster fix",
                           s->layout.unowned);
    }
    bool is_made = cluster_plan_acquaint(&plan, s->view);
    if (is_made) {
        (void) scaling_end(s,
                           plan.verdict == CLUSTER_STEPS     ? SCALE_STEPS
                           : plan.verdict == CLUSTER_REFUSED ? SCALE_REFUSED
                                                             : SCALE_WAIT,
                           NULL, "%s", plan.reason);
        for (size_t i = 0; i < plan.n; i++) {
            scaling_add_step(s, &plan.steps[i]);
        }
    }
    cluster_plan_finish(&plan);
    return is_made;
}

static bool count_pods(struct scaling *s) {
    if (s->goal->shards < VOTERS && !s->goal->accepts_few) {
        return scaling_end(s, SCALE_REFUSED, SCALE_CODE_FEW,
                           "with %u primaries nobody is elected where one of them dies: that takes %d", s->goal->shards,
                           VOTERS);
    }
    if (s->view->n < s->staying) {
        return scaling_end(
            s, SCALE_REFUSED, NULL,
            "%u shards with %u replicas each are %zu pods, and --peers has %zu: apply the spec with more "
            "first and name all of its pods, or say fewer by --replicas-per-shard",
            s->goal->shards, s->goal->replicas, s->staying, s->view->n);
    }
    return false;
}

static bool judge_owners(struct scaling *s) {
    if (s->layout.n_lost > 0 && s->layout.is_lost_alive) {
        return scaling_end(
            s, SCALE_REFUSED, NULL,
            "node %.8s at %s serves slots and is none of --peers: name every pod, also those that shall go",
            s->layout.lost[0]->id, s->layout.lost[0]->host);
    }
    if (s->layout.n_lost > 0) {
        return scaling_end(s, SCALE_WAIT, SCALE_CODE_DEGRADED,
                           "slots of node %.8s are served by nobody who answers: its heir is waited for",
                           s->layout.lost[0]->id);
    }
    if (s->layout.changing > 0) {
        return scaling_end(s, SCALE_WAIT, NULL, "%u slots change hands", s->layout.changing);
    }
    return false;
}

static bool judge_health(struct scaling *s) {
    for (size_t i = 0; i < s->view->n && !s->goal->accepts_degraded; i++) {
        const struct cluster_pod *pod = &s->view->pods[i];
        const struct layout_pod *place = &s->layout.pods[i];
        if (place->place == LAYOUT_SILENT) {
            return scaling_end(s, SCALE_WAIT, SCALE_CODE_DEGRADED, "pod %s %s (%s)", pod->name,
                               pod->is_loading ? "is loading its data" : "does not answer",
                               pod->trouble == NULL ? "no answer" : pod->trouble);
        }
        if (place->place == LAYOUT_REPLICA && !pod->is_link_up) {
            return scaling_end(s, SCALE_WAIT, SCALE_CODE_DEGRADED,
                               "pod %s is not in sync: a shard that moves its data has to have them twice", pod->name);
        }
    }
    return false;
}

/* ---- 5: open slots ---- */

static void add_close(struct scaling *s, size_t pod, unsigned slot) {
    scaling_add_step(s, &(struct cluster_step){.pod = (unsigned) pod, .kind = CLUSTER_CLOSE, .number = slot});
}

/* Who serves for the node at the other end of an open slot now: it may have been taken over from. */
static int server_for(const struct scaling *s, const char *id) {
    int pod = cluster_view_find(s->view, id);
    bool is_replica = pod >= 0 && s->layout.pods[pod].place == LAYOUT_REPLICA;
    return is_replica ? s->layout.pods[pod].owner : pod;
}

static bool is_planned(const struct scaling *s, unsigned slot, const struct scale_move **ret_move) {
    for (size_t i = 0; i < s->plan->n_moves; i++) {
        if (s->plan->moves[i].slot == slot) {
            *ret_move = &s->plan->moves[i];
            return true;
        }
    }
    return false;
}

/* False: this slot's ends do not fit together. */
static bool resume_slot(struct scaling *s, size_t pod, const struct cluster_open_slot *open, bool are_leaving) {
    int owner = s->layout.owner[open->slot];
    int other = server_for(s, open->id);
    const struct scale_move *planned;
    if (open->is_leaving != are_leaving) {
        return true;
    }
    if (open->is_leaving ? owner != (int) pod : owner == (int) pod) {
        add_close(s, pod, open->slot); /* it is where it should be, and the mark was left behind */
        return true;
    }
    int to = open->is_leaving ? other : (int) pod;
    if (is_planned(s, open->slot, &planned)) {
        return planned->to == to;
    }
    if (to < 0 || to == owner) {
        return false;
    }
    scaling_add_move(s, open->slot, (unsigned) owner, (unsigned) to);
    return true;
}

static bool resume_slots(struct scaling *s, bool are_leaving) {
    for (size_t i = 0; i < s->view->n; i++) {
        const struct cluster_node *line = cluster_view_line(s->view, i);
        const struct cluster_table *table = &s->view->pods[i].table;
        for (size_t k = 0; line != NULL && line->is_primary && k < table->n_open; k++) {
            if (!resume_slot(s, i, &table->open[k], are_leaving)) {
                return scaling_end(
                    s, SCALE_REFUSED, NULL,
                    "slot %u is open at pod %s, and the node at the other end, %.8s, is none of the pods or "
                    "of another mind: redis-cli --cluster fix settles that",
                    table->open[k].slot, scaling_name(s, i), table->open[k].id);
            }
        }
    }
    return false;
}

static bool resume(struct scaling *s) {
    if (resume_slots(s, true) || resume_slots(s, false)) {
        s->plan->n = 0;
        s->plan->n_moves = 0;
        return true;
    }
    if (s->plan->n > 0) {
        s->plan->n_moves = 0;
        return scaling_end(s, SCALE_STEPS, NULL, "closing slots that have arrived");
    }
    s->plan->is_resumed = s->plan->n_moves > 0;
    return s->plan->n_moves > 0 &&
           scaling_end(s, SCALE_MOVES, NULL, "going on with %zu slots that are open", s->plan->n_moves);
}

/* ---- 6 to 9: the rest, and done? ---- */

static bool finish(struct scaling *s) {
    for (size_t i = 0; i < s->view->n; i++) {
        if (s->is_primary[i] && scaling_replicas_of(s, i) < s->goal->replicas) {
            return scaling_end(s, SCALE_WAIT, NULL, "no pod is free yet to be a replica of pod %s", scaling_name(s, i));
        }
    }
    for (size_t i = 0; i < s->staying; i++) {
        const struct cluster_pod *pod = &s->view->pods[i];
        if (pod->answers && (!pod->is_state_ok || pod->slots_ok != CLUSTER_SLOTS)) {
            return scaling_end(s, SCALE_WAIT, NULL, "pod %s says the cluster's state is %s with %u slots served well",
                               pod->name, pod->is_state_ok ? "ok" : "fail", pod->slots_ok);
        }
    }
    return scaling_end(s, SCALE_DONE, NULL, "%u shards with %u replicas each: each serves its share", s->goal->shards,
                       s->goal->replicas);
}

void scale_plan_make(struct scale_plan *plan, const struct cluster_view *view, const struct scale_goal *goal) {
    *plan = (struct scale_plan){.verdict = SCALE_WAIT};
    struct scaling s = {
        .plan = plan, .view = view, .goal = goal, .staying = (size_t) goal->shards * (1 + goal->replicas)};
    cluster_layout_make(&s.layout, view);
    (void) (acquaint(&s) || count_pods(&s) || judge_owners(&s) || judge_health(&s) || resume(&s) ||
            scaling_choose_primaries(&s) || scaling_give_replicas(&s) || scaling_await_replicas(&s) ||
            scaling_give_slots(&s) || finish(&s));
}

void scale_plan_finish(struct scale_plan *plan) {
    memory_free(plan->steps);
    memory_free(plan->moves);
    *plan = (struct scale_plan){.verdict = SCALE_WAIT};
}

/* ---- beside it ---- */

bool scale_plan_replicas_now(const struct cluster_view *view, unsigned *ret_replicas) {
    struct cluster_layout layout;
    unsigned replicas[CLUSTER_PODS_MAX] = {0};
    bool is_seen = false;
    cluster_layout_make(&layout, view);
    for (size_t i = 0; i < view->n; i++) {
        if (layout.pods[i].place == LAYOUT_SILENT || layout.n_lost > 0 || layout.changing > 0) {
            return false;
        }
        if (layout.pods[i].place == LAYOUT_REPLICA) {
            replicas[layout.pods[i].owner]++;
        }
    }
    for (size_t i = 0; i < view->n; i++) {
        if (layout.pods[i].place == LAYOUT_OWNER && (!is_seen || replicas[i] < *ret_replicas)) {
            *ret_replicas = replicas[i];
            is_seen = true;
        }
    }
    return is_seen;
}

static bool has_same_open_slots(const struct cluster_pod *a, const struct cluster_pod *b) {
    bool is_same = a->table.n_open == b->table.n_open;
    for (size_t i = 0; is_same && i < a->table.n_open; i++) {
        is_same = a->table.open[i].slot == b->table.open[i].slot;
    }
    return is_same;
}

bool scale_plan_is_still(const struct cluster_view *before, const struct cluster_view *after) {
    struct cluster_layout layouts[2];
    cluster_layout_make(&layouts[0], before);
    cluster_layout_make(&layouts[1], after);
    for (size_t i = 0; i < before->n; i++) {
        bool is_seen_twice = before->pods[i].answers && after->pods[i].answers;
        if (is_seen_twice && !has_same_open_slots(&before->pods[i], &after->pods[i])) {
            return false;
        }
    }
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        int owner = layouts[0].owner[slot];
        int now = layouts[1].owner[slot];
        if (owner != now && owner != LAYOUT_SOMEBODY && now != LAYOUT_SOMEBODY) {
            return false;
        }
    }
    return true;
}
