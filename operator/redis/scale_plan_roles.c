/* Questions 6 and 7 of scale_plan.c. A shard is kept where its primary stays, or a replica of it; of those the fuller
 * ones, so that one that was being emptied when the work was interrupted goes on to be. What is missing is made of free
 * pods, and only then of replicas that are too many. */
#include "operator/redis/scale_plan_parts.h"

#include <inttypes.h>
#include <stdlib.h>

enum shard_rank {
    RANK_STAYS, /* its primary is one of the pods that stay */
    RANK_HEIR,  /* one of its replicas is */
    RANK_GOES,
};

struct shard {
    uint16_t owner;
    int heir; /* the pod that stays, of RANK_HEIR */
    enum shard_rank rank;
    bool is_small;    /* it is being filled or emptied */
    unsigned members; /* that stay */
    unsigned slots;
};

/* ---- who serves the slots from now on ---- */

static bool is_staying(const struct scaling *s, size_t pod) {
    return pod < s->staying;
}

unsigned scaling_replicas_of(const struct scaling *s, size_t pod) {
    unsigned n = 0;
    for (size_t i = 0; i < s->staying; i++) {
        const struct layout_pod *place = &s->layout.pods[i];
        n += (place->place == LAYOUT_REPLICA && place->owner == (int) pod) ||
             (place->place == LAYOUT_FREE && place->follows == (int) pod && !s->is_primary[i]);
    }
    return n;
}

static int heir_of(const struct scaling *s, size_t owner) {
    for (size_t i = 0; i < s->staying; i++) {
        if (s->layout.pods[i].place == LAYOUT_REPLICA && s->layout.pods[i].owner == (int) owner &&
            s->layout.pods[i].follows == (int) owner && s->view->pods[i].is_link_up) {
            return (int) i;
        }
    }
    return SCALE_NOBODY;
}

static int compare_numbers(unsigned a, unsigned b) {
    return a < b ? -1 : a > b;
}

/* Those that are kept come first. */
static int compare_shards(const void *left, const void *right) {
    const struct shard *a = left;
    const struct shard *b = right;
    int order = compare_numbers(a->rank == RANK_GOES, b->rank == RANK_GOES);
    order = order != 0 ? order : compare_numbers(a->is_small, b->is_small);
    order = order != 0 ? order : compare_numbers(a->rank, b->rank);
    order = order != 0 ? order : compare_numbers(b->members, a->members);
    order = order != 0 ? order : compare_numbers(b->slots, a->slots);
    return order != 0 ? order : compare_numbers(a->owner, b->owner);
}

static size_t list_shards(const struct scaling *s, struct shard *ret_shards) {
    size_t n = 0;
    for (size_t i = 0; i < s->view->n; i++) {
        if (s->layout.pods[i].place == LAYOUT_OWNER) {
            int heir = is_staying(s, i) ? SCALE_NOBODY : heir_of(s, i);
            ret_shards[n++] = (struct shard){
                .owner = (uint16_t) i,
                .heir = heir,
                .rank = is_staying(s, i) ? RANK_STAYS
                        : heir >= 0      ? RANK_HEIR
                                         : RANK_GOES,
                .is_small = (unsigned) s->layout.pods[i].n_slots * s->layout.shards * 4 < 3 * CLUSTER_SLOTS,
                .members = is_staying(s, i) + scaling_replicas_of(s, i),
                .slots = s->layout.pods[i].n_slots,
            };
        }
    }
    qsort(ret_shards, n, sizeof *ret_shards, compare_shards);
    return n;
}

static bool is_followed(const struct scaling *s, size_t pod) {
    for (size_t i = 0; i < s->staying; i++) {
        if (s->layout.pods[i].follows == (int) pod) {
            return true;
        }
    }
    return false;
}

static int free_primary(const struct scaling *s, bool with_replicas) {
    for (size_t i = 0; i < s->staying; i++) {
        if (s->layout.pods[i].place == LAYOUT_FREE && s->layout.pods[i].is_primary && !s->is_primary[i] &&
            (!with_replicas || is_followed(s, i))) {
            return (int) i;
        }
    }
    return SCALE_NOBODY;
}

/* The last one of the shard that has most: it is to be a primary. */
static int replica_to_reset(const struct scaling *s) {
    int chosen = SCALE_NOBODY;
    for (size_t i = 0; i < s->staying; i++) {
        const struct layout_pod *place = &s->layout.pods[i];
        bool is_replica = place->place == LAYOUT_REPLICA || (place->place == LAYOUT_FREE && !place->is_primary);
        if (is_replica && (chosen < 0 || place->owner < 0 || s->layout.pods[chosen].owner < 0 ||
                           scaling_replicas_of(s, (size_t) place->owner) >=
                               scaling_replicas_of(s, (size_t) s->layout.pods[chosen].owner))) {
            chosen = (int) i;
        }
    }
    return chosen;
}

static bool refuse_keys(struct scaling *s, size_t pod) {
    s->plan->n = 0;
    return scaling_end(s, SCALE_REFUSED, NULL,
                       "pod %s serves no slots but has %" PRIu64 " keys: empty it (FLUSHALL) if they may go",
                       scaling_name(s, pod), s->view->pods[pod].keys);
}

static void choose(struct scaling *s, size_t pod) {
    s->is_primary[pod] = true;
    s->primaries++;
}

static bool choose_new(struct scaling *s) {
    while (s->primaries < s->goal->shards) {
        int pod = free_primary(s, true);
        pod = pod < 0 ? free_primary(s, false) : pod;
        if (pod < 0) {
            pod = replica_to_reset(s);
            if (pod < 0) {
                return scaling_end(s, SCALE_WAIT, NULL, "no pod is free to be a primary");
            }
            scaling_add_step(s, &(struct cluster_step){.pod = (unsigned) pod, .kind = CLUSTER_RESET});
            return scaling_end(s, SCALE_STEPS, NULL, "pod %s, a replica, becomes an empty primary",
                               scaling_name(s, (size_t) pod));
        }
        if (s->view->pods[pod].keys > 0) {
            return refuse_keys(s, (size_t) pod);
        }
        choose(s, (size_t) pod);
    }
    return false;
}

bool scaling_choose_primaries(struct scaling *s) {
    struct shard shards[CLUSTER_PODS_MAX];
    size_t n = list_shards(s, shards);
    for (size_t i = 0; i < n && s->primaries < s->goal->shards && shards[i].rank != RANK_GOES; i++) {
        if (shards[i].rank == RANK_HEIR) {
            scaling_add_step(s, &(struct cluster_step){.pod = (unsigned) shards[i].heir, .kind = CLUSTER_FAILOVER});
            (void) scaling_end(s, SCALE_STEPS, NULL, "pod %s takes over from pod %s, which is to go",
                               scaling_name(s, (size_t) shards[i].heir), scaling_name(s, shards[i].owner));
        }
        choose(s, shards[i].owner);
    }
    return s->plan->n > 0 || choose_new(s);
}

/* ---- replicas ---- */

/* A pod that stays and may follow another one from now on. */
static int candidate(const struct scaling *s, const bool *is_taken, const unsigned *replicas) {
    int excess = SCALE_NOBODY;
    for (size_t i = 0; i < s->staying; i++) {
        const struct layout_pod *place = &s->layout.pods[i];
        if (is_taken[i] || s->is_primary[i]) {
            continue;
        }
        if (place->place == LAYOUT_FREE && (place->follows < 0 || !s->is_primary[place->follows])) {
            return (int) i;
        }
        int of = place->place == LAYOUT_REPLICA ? place->owner
                 : place->place == LAYOUT_FREE  ? place->follows
                                                : SCALE_NOBODY;
        if (of >= 0 && s->is_primary[of] && replicas[of] > s->goal->replicas) {
            excess = (int) i;
        }
    }
    return excess;
}

static void add_follow(struct scaling *s, size_t pod, size_t primary) {
    struct cluster_step step = {.pod = (unsigned) pod, .kind = CLUSTER_REPLICATE};
    memcpy(step.id, cluster_view_line(s->view, primary)->id, sizeof step.id);
    scaling_add_step(s, &step);
}

bool scaling_give_replicas(struct scaling *s) {
    bool is_taken[CLUSTER_PODS_MAX] = {false};
    unsigned replicas[CLUSTER_PODS_MAX] = {0};
    for (size_t i = 0; i < s->staying; i++) {
        const struct layout_pod *place = &s->layout.pods[i];
        if (place->place == LAYOUT_REPLICA && place->follows != place->owner && s->is_primary[place->owner]) {
            add_follow(s, i, (size_t) place->owner); /* it follows one that follows that one */
            is_taken[i] = true;
        }
    }
    for (size_t i = 0; i < s->view->n; i++) {
        replicas[i] = s->is_primary[i] ? scaling_replicas_of(s, i) : 0;
    }
    for (size_t i = 0; i < s->view->n; i++) {
        while (s->is_primary[i] && replicas[i] < s->goal->replicas) {
            int pod = candidate(s, is_taken, replicas);
            if (pod < 0) {
                break; /* those of a shard that goes: when it is empty */
            }
            int before =
                s->layout.pods[pod].place == LAYOUT_REPLICA ? s->layout.pods[pod].owner : s->layout.pods[pod].follows;
            if (before >= 0 && s->is_primary[before]) {
                replicas[before]--;
            }
            replicas[i]++;
            is_taken[pod] = true;
            if (s->layout.pods[pod].is_primary && s->view->pods[pod].keys > 0) {
                return refuse_keys(s, (size_t) pod);
            }
            add_follow(s, (size_t) pod, i);
        }
    }
    return s->plan->n > 0 && scaling_end(s, SCALE_STEPS, NULL, "replicas follow the primaries that lack one");
}

bool scaling_await_replicas(struct scaling *s) {
    for (size_t i = 0; i < s->staying && !s->goal->accepts_degraded; i++) {
        int follows = s->layout.pods[i].follows;
        if (follows >= 0 && s->is_primary[follows] && !s->view->pods[i].is_link_up) {
            return scaling_end(s, SCALE_WAIT, NULL, "waiting for the replica %s to be in sync", scaling_name(s, i));
        }
    }
    return false;
}
