/* See cluster_plan.h. The questions, in order; the first that is not answered well ends the plan:
 *
 *   1 is a slot claimed by two pods that do not know each other?      → refused: two clusters
 *   2 are there slots of nobody?                                      → form: epochs, slots (only on empty pods)
 *   3 does a pod not know another, or not under its present address?  → MEET
 *   4 does a shard lack a replica that a pod could be, or
 *     does a replica dial its primary where that is no more?          → REPLICATE (cluster_layout.h says who)
 *   5 are slots those of a node that is none of the pods?             → wait for its replica, or refused: data is gone
 *   6 do tables still name nodes that are gone?                       → FORGET
 *   7 is the state ok and every replica in sync?                      → wait for it; else healthy
 *
 * Question 3 is what mends a cluster whose pods all came back with new addresses: the tables hold ids with old
 * addresses, nobody reaches anybody, and one MEET for each peer is enough. It is harmless where all is well, and does
 * not wait for a pod that is missing: the others have to reach each other to elect its heir.
 * A pod that does not answer stops whatever would need to be sure that it holds nothing (2, 5, 6), not the rest. */
#include "operator/redis/cluster_plan.h"

#include "base/memory.h"
#include "operator/redis/cluster_layout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum { NOBODY = -1 };

struct planning {
    struct cluster_plan *plan;
    const struct cluster_view *view;
    int actor;
    unsigned spares; /* pods that wait for redis scale */
    struct cluster_layout layout;
};

/* ---- answers ---- */

static bool end_with(struct planning *p, enum cluster_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* True: the plan is made. */
static bool end_with(struct planning *p, enum cluster_verdict verdict, const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(p->plan->reason, sizeof p->plan->reason, format, values);
    va_end(values);
    p->plan->verdict = verdict;
    return true;
}

static void add_step(struct planning *p, const struct cluster_step *step) {
    if (p->actor != CLUSTER_ACTOR_ALL && (unsigned) p->actor != step->pod) {
        return;
    }
    p->plan->steps = memory_realloc(p->plan->steps, (p->plan->n + 1) * sizeof *p->plan->steps);
    p->plan->steps[p->plan->n++] = *step;
}

/* `is_needed`: some pod has something to do here. With steps of ours the plan is made, else we wait for the others. */
static bool end_with_steps(struct planning *p, bool is_needed, const char *what) {
    if (p->plan->n > 0) {
        return end_with(p, CLUSTER_STEPS, "%s", what);
    }
    return is_needed && end_with(p, CLUSTER_WAIT, "waiting for other pods: %s", what);
}

/* ---- what is known of a pod ---- */

static const struct cluster_node *own_line(const struct cluster_pod *pod) {
    return pod->answers ? cluster_table_myself(&pod->table) : NULL;
}

static size_t own_slots(const struct cluster_pod *pod) {
    const struct cluster_node *line = own_line(pod);
    return line == NULL ? 0 : cluster_node_slots(&pod->table, line);
}

static bool is_empty(const struct cluster_pod *pod) {
    const struct cluster_node *line = own_line(pod);
    return line != NULL && line->is_primary && line->n_ranges == 0 && pod->keys == 0;
}

/* The first pod that does not answer (or has no line of its own), or NOBODY. */
static int silent_pod(const struct cluster_view *view) {
    for (size_t i = 0; i < view->n; i++) {
        if (own_line(&view->pods[i]) == NULL) {
            return (int) i;
        }
    }
    return NOBODY;
}

static bool wait_for_silent(struct planning *p, int silent, const char *why) {
    const struct cluster_pod *pod = &p->view->pods[silent];
    const char *trouble = pod->trouble == NULL ? "no answer" : pod->trouble;
    return end_with(p, CLUSTER_WAIT, "pod %s %s (%s); %s", pod->name,
                    pod->is_loading ? "is loading its data" : "does not answer", pod->is_loading ? "LOADING" : trouble,
                    why);
}

static bool knows(const struct cluster_pod *pod, const char *id) {
    const struct cluster_node *node = cluster_table_find(&pod->table, id);
    return node != NULL && !node->is_handshake;
}

/* ---- 1: who owns what ---- */

static bool find_owners(struct planning *p) {
    cluster_layout_make(&p->layout, p->view);
    if (p->layout.conflict[0] == LAYOUT_NOBODY) {
        return false;
    }
    return end_with(p, CLUSTER_REFUSED,
                    "pods %s and %s both serve slot %u and do not know each other: these are two clusters. "
                    "Merging them would lose one's data: empty the volumes of those that do not belong",
                    p->view->pods[p->layout.conflict[0]].name, p->view->pods[p->layout.conflict[1]].name,
                    p->layout.conflict_slot);
}

/* ---- 2: slots of nobody: forming ---- */

struct cluster_slots cluster_plan_slots(unsigned shard, unsigned shards) {
    /* redis-cli adds the same share as a float and rounds; in integers: round(i * 16384 / S). */
    unsigned first = (2 * shard * CLUSTER_SLOTS + shards) / (2 * shards);
    unsigned next = (2 * (shard + 1) * CLUSTER_SLOTS + shards) / (2 * shards);
    return (struct cluster_slots){(uint16_t) first, (uint16_t) (next - 1)};
}

static unsigned count_unowned(const struct planning *p, struct cluster_slots range) {
    unsigned unowned = 0;
    for (unsigned slot = range.first; slot <= range.last; slot++) {
        unowned += p->layout.owner[slot] == LAYOUT_NOBODY;
    }
    return unowned;
}

/* Before it knows another node; later Redis settles equal epochs by itself. */
static void form_epoch(struct planning *p, size_t i) {
    const struct cluster_pod *pod = &p->view->pods[i];
    const struct cluster_node *line = own_line(pod);
    if (pod->table.n == 1 && line->config_epoch == 0 && is_empty(pod)) {
        add_step(p, &(struct cluster_step){.pod = (unsigned) i, .kind = CLUSTER_SET_EPOCH, .number = i + 1});
    }
}

static bool form_shard(struct planning *p, unsigned shard, struct cluster_slots range) {
    const struct cluster_pod *pod = &p->view->pods[shard];
    if (count_unowned(p, range) != (unsigned) range.last - range.first + 1) {
        return end_with(p, CLUSTER_REFUSED,
                        "some of the slots %u-%u are served and some belong to no node: not a state that forming "
                        "leaves behind. redis-cli --cluster fix gives them to a node",
                        range.first, range.last);
    }
    if (!is_empty(pod)) {
        return end_with(p, CLUSTER_REFUSED,
                        "pod %s should get the slots %u-%u, but it is not empty (%s). Empty its volume if the data may "
                        "go, or give the slots by redis-cli --cluster fix",
                        pod->name, range.first, range.last,
                        pod->keys > 0        ? "it has keys"
                        : own_slots(pod) > 0 ? "it serves other slots"
                                             : "it is a replica");
    }
    add_step(p, &(struct cluster_step){.pod = shard, .kind = CLUSTER_ADD_SLOTS, .slots = range});
    return false;
}

static bool form(struct planning *p) {
    int silent = silent_pod(p->view);
    if (p->layout.unowned == 0) {
        return false;
    }
    if (silent != NOBODY) {
        return wait_for_silent(p, silent, "all have to before slots are given away");
    }
    for (size_t i = 0; i < p->view->n; i++) {
        form_epoch(p, i);
    }
    for (unsigned shard = 0; shard < p->view->shards; shard++) {
        struct cluster_slots range = cluster_plan_slots(shard, p->view->shards);
        if (count_unowned(p, range) > 0 && form_shard(p, shard, range)) {
            p->plan->n = 0;
            return true;
        }
    }
    return end_with_steps(p, true, "forming: giving the slots to the first pods");
}

/* ---- 3: everybody knows everybody, where they are now ---- */

static bool is_meeting(const struct cluster_pod *pod, const struct cluster_pod *peer) {
    for (size_t k = 0; k < pod->table.n; k++) {
        const struct cluster_node *node = &pod->table.nodes[k];
        if (node->is_handshake && node->port == peer->port && strcmp(node->host, peer->host) == 0) {
            return true;
        }
    }
    return false;
}

static bool must_meet(const struct cluster_pod *pod, const struct cluster_pod *peer) {
    const struct cluster_node *node = cluster_table_find(&pod->table, own_line(peer)->id);
    if (node == NULL || node->is_handshake) {
        return !is_meeting(pod, peer);
    }
    return node->port != peer->port || strcmp(node->host, peer->host) != 0 || (node->is_failed && !node->is_linked);
}

/* A peer that was reset knows nobody, though all know it. Its own agent introduces it; from outside the hub does. */
static bool is_forgotten_by(const struct planning *p, const struct cluster_pod *pod, const struct cluster_pod *peer) {
    return p->actor == CLUSTER_ACTOR_ALL && !knows(peer, own_line(pod)->id) && !is_meeting(pod, peer);
}

static bool meet_from(struct planning *p, size_t i) {
    bool is_needed = false;
    for (size_t j = 0; j < p->view->n; j++) {
        const struct cluster_pod *peer = &p->view->pods[j];
        if (j != i && own_line(peer) != NULL &&
            (must_meet(&p->view->pods[i], peer) || is_forgotten_by(p, &p->view->pods[i], peer))) {
            is_needed = true;
            struct cluster_step step = {.pod = (unsigned) i, .kind = CLUSTER_MEET, .port = peer->port};
            memcpy(step.host, peer->host, sizeof step.host);
            add_step(p, &step);
        }
    }
    return is_needed;
}

/* Whom the others are introduced to: of those that serve slots the one that knows most. */
static int hub_of(const struct cluster_view *view) {
    int hub = NOBODY;
    for (size_t i = 0; i < view->n; i++) {
        const struct cluster_pod *pod = &view->pods[i];
        if (own_slots(pod) > 0 &&
            (hub == NOBODY || cluster_table_known(&pod->table) > cluster_table_known(&view->pods[hub].table))) {
            hub = (int) i;
        }
    }
    return hub;
}

static bool meet(struct planning *p) {
    int hub = hub_of(p->view);
    bool is_needed = false;
    if (p->actor != CLUSTER_ACTOR_ALL) {
        is_needed = own_line(&p->view->pods[p->actor]) != NULL && meet_from(p, (size_t) p->actor);
    } else if (hub != NOBODY) {
        is_needed = meet_from(p, (size_t) hub);
    }
    return end_with_steps(p, is_needed, "introducing pods to each other by their present addresses");
}

static bool await_acquaintance(struct planning *p) {
    for (size_t i = 0; i < p->view->n; i++) {
        for (size_t j = 0; j < p->view->n; j++) {
            const struct cluster_node *line = own_line(&p->view->pods[j]);
            if (i != j && own_line(&p->view->pods[i]) != NULL && line != NULL && !knows(&p->view->pods[i], line->id)) {
                return end_with(p, CLUSTER_WAIT, "waiting for pod %s to hear of pod %s", p->view->pods[i].name,
                                p->view->pods[j].name);
            }
        }
    }
    return false;
}

/* ---- 4: replicas ---- */

/* Gossip may mend the primary's address in a replica's table and leave the link at the old one for good; REPLICATE of
 * the same primary dials anew. Only where the table has the new one: the link is made from it. */
static bool dials_elsewhere(const struct cluster_pod *pod, const struct cluster_pod *primary) {
    const struct cluster_node *known = cluster_table_find(&pod->table, own_line(primary)->id);
    return !own_line(pod)->is_primary && !pod->is_link_up && pod->dials[0] != '\0' &&
           strcmp(pod->dials, primary->host) != 0 && known != NULL && strcmp(known->host, primary->host) == 0;
}

/* A pod that follows an owner as it should, and does not reach it. */
static int lost_sight_of(const struct planning *p, size_t i) {
    int owner = p->layout.pods[i].place == LAYOUT_REPLICA ? p->layout.pods[i].owner : LAYOUT_NOBODY;
    return owner >= 0 && dials_elsewhere(&p->view->pods[i], &p->view->pods[owner]) ? owner : LAYOUT_STAYS;
}

static bool follow(struct planning *p) {
    bool is_needed = false;
    int16_t follows[CLUSTER_PODS_MAX];
    cluster_layout_assign(&p->layout, p->view, follows, &p->spares);
    for (size_t i = 0; i < p->view->n; i++) {
        const struct cluster_pod *pod = &p->view->pods[i];
        int primary = follows[i] == LAYOUT_STAYS ? lost_sight_of(p, i) : follows[i];
        if (primary == LAYOUT_STAYS) {
            continue;
        }
        if (p->layout.pods[i].is_primary && pod->keys > 0) {
            p->plan->n = 0;
            return end_with(p, CLUSTER_REFUSED,
                            "pod %s serves no slots but has %" PRIu64
                            " keys: as a replica it would lose them. Empty it "
                            "(FLUSHALL) if they may go",
                            pod->name, pod->keys);
        }
        struct cluster_step step = {.pod = (unsigned) i, .kind = CLUSTER_REPLICATE};
        memcpy(step.id, own_line(&p->view->pods[primary])->id, sizeof step.id);
        is_needed = true;
        add_step(p, &step);
    }
    return end_with_steps(p, is_needed, "replicas follow the primary of their shard");
}

/* ---- 5: slots of a node that is none of the pods ---- */

static bool has_heir(const struct cluster_view *view, const char *id, size_t *ret_pod) {
    for (size_t i = 0; i < view->n; i++) {
        const struct cluster_node *line = own_line(&view->pods[i]);
        if (line != NULL && strcmp(line->primary_id, id) == 0) {
            *ret_pod = i;
            return true;
        }
    }
    return false;
}

static bool judge_lost(struct planning *p, const struct cluster_node *lost, unsigned slot) {
    size_t heir;
    int silent = silent_pod(p->view);
    if (has_heir(p->view, lost->id, &heir)) {
        return end_with(p, CLUSTER_WAIT, "waiting for pod %s to take over slot %u and others from node %.8s",
                        p->view->pods[heir].name, slot, lost->id);
    }
    if (silent != NOBODY) {
        return wait_for_silent(p, silent, "slots that no pod serves may be its own");
    }
    if (p->layout.is_lost_alive) {
        return end_with(p, CLUSTER_WAIT,
                        "node %.8s at %s serves slot %u and others and is none of these pods: the cluster was made "
                        "larger than this list of pods is",
                        lost->id, lost->host, slot);
    }
    return end_with(p, CLUSTER_REFUSED,
                    "slot %u and others belong to node %.40s, which is none of the pods, and no pod is its replica. "
                    "Bring back the volume it lived on; or, to give its data up, redis-cli --cluster fix "
                    "--cluster-fix-with-unreachable-masters",
                    slot, lost->id);
}

/* The one of them that is told to serve it. */
static const struct cluster_node *lost_owner(const struct planning *p, unsigned slot) {
    for (size_t i = 0; i < p->view->n; i++) {
        const struct cluster_table *table = &p->view->pods[i].table;
        for (size_t k = 0; p->view->pods[i].answers && k < table->n; k++) {
            if (cluster_node_serves(table, &table->nodes[k], slot)) {
                return &table->nodes[k];
            }
        }
    }
    return p->layout.lost[0];
}

static bool judge_lost_owners(struct planning *p) {
    for (unsigned slot = 0; slot < CLUSTER_SLOTS; slot++) {
        if (p->layout.owner[slot] == LAYOUT_SOMEBODY) {
            return judge_lost(p, lost_owner(p, slot), slot);
        }
    }
    return false;
}

/* ---- 6: nodes that are gone ---- */

/* Failed, or without an address: that is what a node becomes whose address another one answers at. */
static bool is_ghost(const struct planning *p, const struct cluster_node *node) {
    return (node->is_failed || node->host[0] == '\0') && !node->is_linked && !node->is_handshake &&
           node->n_ranges == 0 && cluster_view_find(p->view, node->id) < 0;
}

static bool forget(struct planning *p) {
    bool is_needed = false;
    if (silent_pod(p->view) != NOBODY) {
        return false;
    }
    for (size_t i = 0; i < p->view->n; i++) {
        const struct cluster_pod *pod = &p->view->pods[i];
        for (size_t k = 0; k < pod->table.n; k++) {
            if (is_ghost(p, &pod->table.nodes[k])) {
                is_needed = true;
                struct cluster_step step = {.pod = (unsigned) i, .kind = CLUSTER_FORGET};
                memcpy(step.id, pod->table.nodes[k].id, sizeof step.id);
                add_step(p, &step);
            }
        }
    }
    return end_with_steps(p, is_needed, "forgetting nodes whose volume is gone");
}

/* ---- 7: well? ---- */

static bool await_health(struct planning *p) {
    int silent = silent_pod(p->view);
    if (silent != NOBODY) {
        return wait_for_silent(p, silent, "it is missing");
    }
    for (size_t i = 0; i < p->view->n; i++) {
        const struct cluster_pod *pod = &p->view->pods[i];
        if (!pod->is_state_ok || pod->slots_ok != CLUSTER_SLOTS) {
            return end_with(p, CLUSTER_WAIT, "pod %s says the cluster's state is %s with %u slots served well",
                            pod->name, pod->is_state_ok ? "ok" : "fail", pod->slots_ok);
        }
        if (!own_line(pod)->is_primary && !pod->is_link_up) {
            return end_with(p, CLUSTER_WAIT, "waiting for the replica %s to be in sync", pod->name);
        }
    }
    if (p->layout.changing > 0 || p->layout.shards == 0) {
        return end_with(p, CLUSTER_WAIT, "%u slots change hands", p->layout.changing);
    }
    if (p->spares > 0) {
        return end_with(p, CLUSTER_HEALTHY,
                        "every slot is served and every replica is in sync; %u of %u shards wait for redis scale "
                        "--shards %u",
                        p->view->shards - p->layout.shards, p->view->shards, p->view->shards);
    }
    return end_with(p, CLUSTER_HEALTHY, "every slot is served and every replica is in sync");
}

bool cluster_plan_acquaint(struct cluster_plan *plan, const struct cluster_view *view) {
    *plan = CLUSTER_PLAN_EMPTY;
    struct planning p = {.plan = plan, .view = view, .actor = CLUSTER_ACTOR_ALL};
    return find_owners(&p) || form(&p) || meet(&p) || await_acquaintance(&p);
}

void cluster_plan_make(struct cluster_plan *plan, const struct cluster_view *view, int actor) {
    *plan = CLUSTER_PLAN_EMPTY;
    struct planning p = {.plan = plan, .view = view, .actor = actor};
    (void) (find_owners(&p) || form(&p) || meet(&p) || await_acquaintance(&p) || follow(&p) || judge_lost_owners(&p) ||
            forget(&p) || await_health(&p));
}

void cluster_plan_finish(struct cluster_plan *plan) {
    memory_free(plan->steps);
    *plan = CLUSTER_PLAN_EMPTY;
}

/* ---- commands ---- */

void cluster_step_command(const struct cluster_step *step, struct cluster_step_words *ret) {
    *ret = (struct cluster_step_words){.words = {"CLUSTER"}};
    snprintf(ret->numbers[0], sizeof ret->numbers[0], "%" PRIu64, step->number);
    switch (step->kind) {
    case CLUSTER_SET_EPOCH:
        ret->words[1] = "SET-CONFIG-EPOCH";
        ret->words[2] = ret->numbers[0];
        break;
    case CLUSTER_ADD_SLOTS:
        snprintf(ret->numbers[0], sizeof ret->numbers[0], "%u", step->slots.first);
        snprintf(ret->numbers[1], sizeof ret->numbers[1], "%u", step->slots.last);
        ret->words[1] = "ADDSLOTSRANGE";
        ret->words[2] = ret->numbers[0];
        ret->words[3] = ret->numbers[1];
        break;
    case CLUSTER_MEET:
        snprintf(ret->numbers[0], sizeof ret->numbers[0], "%u", step->port);
        ret->words[1] = "MEET";
        ret->words[2] = step->host;
        ret->words[3] = ret->numbers[0];
        break;
    case CLUSTER_REPLICATE:
        ret->words[1] = "REPLICATE";
        ret->words[2] = step->id;
        break;
    case CLUSTER_FORGET:
        ret->words[1] = "FORGET";
        ret->words[2] = step->id;
        break;
    case CLUSTER_FAILOVER:
        ret->words[1] = "FAILOVER";
        break;
    case CLUSTER_RESET:
        ret->words[1] = "RESET";
        ret->words[2] = "SOFT";
        break;
    case CLUSTER_CLOSE:
        ret->words[1] = "SETSLOT";
        ret->words[2] = ret->numbers[0];
        ret->words[3] = "STABLE";
        break;
    }
}
