/* Question 8 of scale_plan.c: the slots that move, and whether what is in them has room. */
#include "operator/redis/scale_plan_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int compare_numbers(unsigned a, unsigned b) {
    return a < b ? -1 : a > b;
}

struct share {
    uint16_t pod;
    unsigned has;
    unsigned gets; /* it shall have */
};

static int compare_shares(const void *left, const void *right) {
    const struct share *a = left;
    const struct share *b = right;
    int order = compare_numbers(b->has, a->has);
    return order != 0 ? order : compare_numbers(a->pod, b->pod);
}

/* Who has most already gets what does not divide evenly. */
static size_t list_shares(const struct scaling *s, struct share *ret_shares) {
    size_t n = 0;
    for (size_t i = 0; i < s->view->n; i++) {
        if (s->is_primary[i]) {
            ret_shares[n++] = (struct share){.pod = (uint16_t) i, .has = s->layout.pods[i].n_slots};
        }
    }
    qsort(ret_shares, n, sizeof *ret_shares, compare_shares);
    for (size_t i = 0; i < n; i++) {
        ret_shares[i].gets = CLUSTER_SLOTS / (unsigned) n + (i < CLUSTER_SLOTS % n);
    }
    return n;
}

/* Surpluses are given from the highest slots down, to one after the other. */
static void plan_moves(struct scaling *s, struct share *shares, size_t n) {
    unsigned keeps[CLUSTER_PODS_MAX] = {0};
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        keeps[shares[i].pod] = shares[i].gets;
    }
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        size_t owner = (size_t) s->layout.owner[slot];
        if (keeps[owner] > 0) {
            keeps[owner]--;
            continue;
        }
        while (at < n && shares[at].has >= shares[at].gets) {
            at++;
        }
        if (at == n) {
            return;
        }
        scaling_add_move(s, slot, (unsigned) owner, shares[at].pod);
        shares[at].has++;
    }
}

static bool lacks_functions(struct scaling *s) {
    for (size_t i = 0; i < s->plan->n_moves && !s->goal->accepts_functions; i++) {
        const struct scale_move *move = &s->plan->moves[i];
        if (s->view->pods[move->from].libraries > s->view->pods[move->to].libraries) {
            return scaling_end(s, SCALE_REFUSED, SCALE_CODE_FUNCTIONS,
                               "pod %s has %" PRIu64 " libraries of functions and pod %s has %" PRIu64
                               ": load them there (FUNCTION DUMP, FUNCTION RESTORE) before slots are moved to it",
                               scaling_name(s, move->from), s->view->pods[move->from].libraries,
                               scaling_name(s, move->to), s->view->pods[move->to].libraries);
        }
    }
    return false;
}

bool scaling_give_slots(struct scaling *s) {
    struct share shares[CLUSTER_PODS_MAX];
    size_t n = list_shares(s, shares);
    plan_moves(s, shares, n);
    if (lacks_functions(s)) {
        s->plan->n_moves = 0;
        return true;
    }
    return s->plan->n_moves > 0 && scaling_end(s, SCALE_MOVES, NULL, "%zu slots move", s->plan->n_moves);
}

/* Bytes that come, by the average size of the giver's keys; a twentieth of maxmemory stays free for what grows. */
bool scale_plan_fits(const struct scale_plan *plan, const struct cluster_view *view, const uint64_t *keys,
                     char ret_reason[CLUSTER_REASON_MAX]) {
    double comes[CLUSTER_PODS_MAX] = {0};
    for (size_t i = 0; i < plan->n_moves; i++) {
        const struct cluster_pod *from = &view->pods[plan->moves[i].from];
        double of_key = from->keys == 0 ? 0 : (double) from->dataset_bytes / (double) from->keys;
        comes[plan->moves[i].to] += of_key * (double) keys[i];
    }
    for (size_t i = 0; i < view->n; i++) {
        double bound = (double) view->pods[i].maxmemory * 0.95;
        if (comes[i] > 0 && bound > 0 && (double) view->pods[i].used_memory + comes[i] > bound) {
            snprintf(ret_reason, CLUSTER_REASON_MAX,
                     "pod %s uses %" PRIu64 " of %" PRIu64
                     " bytes of maxmemory and would get %.0f more: it would refuse "
                     "writes. More memory, or more shards",
                     view->pods[i].name, view->pods[i].used_memory, view->pods[i].maxmemory, comes[i]);
            return false;
        }
    }
    return true;
}
