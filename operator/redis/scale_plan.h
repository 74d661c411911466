/* What has to be done so that a formed Redis Cluster has another number of shards, or of replicas of each: a pure
 * function from what was observed to the next commands and slots to move. Asked again and again, it ends in the goal
 * from any state that such work leaves behind, so it may be interrupted at any command.
 *
 * Goal: of the pods 0…S(1+R)-1 ("those that stay") S serve the slots, each as many as the others (±1), and each of them
 * is followed by R of the rest; all pods behind them serve nothing. Who serves already goes on: a shard more takes free
 * pods, a shard less gives its slots to the others. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_SCALE_PLAN_H
#define CALLBOARD_OPERATOR_SCALE_PLAN_H

#include "operator/redis/cluster_layout.h"
#include "operator/redis/cluster_plan.h"

/* What is refused unless it is accepted; the codes are diagnostics (CB31xx). */
#define SCALE_CODE_MEMORY    "CB3101" /* the data would not fit */
#define SCALE_CODE_DEGRADED  "CB3102" /* a shard is not whole */
#define SCALE_CODE_BUSY      "CB3103" /* somebody else moves slots */
#define SCALE_CODE_TWICE     "CB3104" /* a key is on both sides of a move */
#define SCALE_CODE_FEW       "CB3105" /* too few primaries to elect an heir */
#define SCALE_CODE_FUNCTIONS "CB3106" /* a library of functions is missing where slots go */

struct scale_goal {
    unsigned shards;
    unsigned replicas; /* of each */
    bool accepts_degraded;
    bool accepts_few;
    bool accepts_functions;
};

struct scale_move {
    uint16_t slot;
    uint16_t from; /* the pod that serves it */
    uint16_t to;
};

enum scale_verdict {
    SCALE_DONE,
    SCALE_STEPS,   /* send these, then look again */
    SCALE_MOVES,   /* move these slots, one after the other; look again in between */
    SCALE_WAIT,    /* nothing to do now; reason says for what */
    SCALE_REFUSED, /* a person decides */
};

struct scale_plan {
    enum scale_verdict verdict;
    const char *code; /* of a refusal that may be accepted, and of a WAIT that is one where nothing was begun yet */
    char reason[CLUSTER_REASON_MAX];
    struct cluster_step *steps;
    size_t n;
    struct scale_move *moves;
    size_t n_moves;
    bool is_resumed; /* the moves are of slots that are open already */
};

void scale_plan_make(struct scale_plan *plan, const struct cluster_view *view, const struct scale_goal *goal);
void scale_plan_finish(struct scale_plan *plan);

/* Replicas that each shard has now, at the least: the goal where none is given. False: not to be seen now. */
bool scale_plan_replicas_now(const struct cluster_view *view, unsigned *ret_replicas);

/* Whether two looks saw the same owners and open slots: if not, somebody moves slots at this moment. */
bool scale_plan_is_still(const struct cluster_view *before, const struct cluster_view *after);

/* The keys of each move's slot, as its owner counts them, against the memory of those who get them. False: ret_reason
 * says who would be too full; that is CB3101. */
bool scale_plan_fits(const struct scale_plan *plan, const struct cluster_view *view, const uint64_t *keys,
                     char ret_reason[CLUSTER_REASON_MAX]);

#endif
