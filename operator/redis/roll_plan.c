/* See roll_plan.h. cluster_state alone says nothing of replicas: a shard whose replica is in its first sync is "ok",
 * and stopping its primary then loses what the replica lacks. So a roll asks cluster_plan.c, which asks for
 * master_link_status, and then for the distance. */
#include "operator/redis/roll_plan.h"

#include <inttypes.h>
#include <stdio.h>

static const struct cluster_node *line_of(const struct cluster_view *view, unsigned pod) {
    return view->pods[pod].answers ? cluster_table_myself(&view->pods[pod].table) : NULL;
}

static bool follows(const struct cluster_view *view, unsigned replica, unsigned primary) {
    const struct cluster_node *line = line_of(view, replica);
    const struct cluster_node *other = line_of(view, primary);
    return line != NULL && other != NULL && !line->is_primary && strcmp(line->primary_id, other->id) == 0;
}

bool roll_find_heir(const struct cluster_view *view, unsigned pod, unsigned *ret_heir) {
    bool is_found = false;
    for (unsigned i = 0; i < view->n; i++) {
        if (follows(view, i, pod) && view->pods[i].is_link_up &&
            (!is_found || view->pods[i].offset > view->pods[*ret_heir].offset)) {
            *ret_heir = i;
            is_found = true;
        }
    }
    return is_found;
}

static enum roll_verdict wait_for(char ret_reason[CLUSTER_REASON_MAX], const char *name, const char *what) {
    snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s %s", name, what);
    return ROLL_WAIT;
}

static bool is_any_slot_open(const struct cluster_view *view, unsigned *ret_pod) {
    for (unsigned i = 0; i < view->n; i++) {
        const struct cluster_node *line = line_of(view, i);
        if (line != NULL && line->has_open_slots) {
            *ret_pod = i;
            return true;
        }
    }
    return false;
}

static bool is_any_behind(const struct cluster_view *view, uint64_t max_lag, unsigned *ret_pod) {
    for (unsigned i = 0; i < view->n; i++) {
        for (unsigned k = 0; k < view->n; k++) {
            uint64_t ahead = view->pods[k].offset;
            if (follows(view, i, k) && ahead > view->pods[i].offset && ahead - view->pods[i].offset > max_lag) {
                *ret_pod = i;
                return true;
            }
        }
    }
    return false;
}

enum roll_verdict roll_judge(const struct cluster_view *view, unsigned pod, uint64_t max_lag, unsigned *ret_heir,
                             char ret_reason[CLUSTER_REASON_MAX]) {
    struct cluster_plan plan;
    unsigned other;
    cluster_plan_make(&plan, view, CLUSTER_ACTOR_ALL);
    enum cluster_verdict verdict = plan.verdict;
    snprintf(ret_reason, CLUSTER_REASON_MAX, "%s", plan.reason);
    cluster_plan_finish(&plan);
    if (verdict != CLUSTER_HEALTHY) {
        return ROLL_WAIT;
    }
    if (is_any_slot_open(view, &other)) {
        return wait_for(ret_reason, view->pods[other].name, "has a slot that is on its way to another node");
    }
    if (is_any_behind(view, max_lag, &other)) {
        return wait_for(ret_reason, view->pods[other].name, "is too far behind its primary");
    }
    const struct cluster_node *line = line_of(view, pod);
    if (line->is_primary && line->n_ranges > 0 && roll_find_heir(view, pod, ret_heir)) {
        snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s hands its slots over to pod %s", view->pods[pod].name,
                 view->pods[*ret_heir].name);
        return ROLL_HAND_OVER;
    }
    snprintf(ret_reason, CLUSTER_REASON_MAX, "pod %s may be stopped%s", view->pods[pod].name,
             line->is_primary && line->n_ranges > 0 ? ": it has no replica, its slots are away until it is back" : "");
    return ROLL_MAY_GO;
}
