/* What has to be done so that the pods of a StatefulSet are one healthy Redis Cluster: a pure function from what was
 * observed to a list of commands. It is asked again and again; each answer is right whatever was done before, so
 * forming and healing may be interrupted at any command, and both an agent in each pod and an operator from outside may
 * work at once.
 *
 * At forming time pods 0…S-1 get the slots, and pod i follows the primary of shard i mod S. From then on shards are
 * what Redis says they are, and only what is missing is added (cluster_layout.h): roles move by failovers, and shards
 * by `redis scale`. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_CLUSTER_PLAN_H
#define CALLBOARD_OPERATOR_CLUSTER_PLAN_H

#include "operator/redis/cluster_view.h"

enum { CLUSTER_REASON_MAX = 640 };

enum { CLUSTER_ACTOR_ALL = -1 };

enum cluster_step_kind {
    CLUSTER_SET_EPOCH, /* CLUSTER SET-CONFIG-EPOCH number */
    CLUSTER_ADD_SLOTS, /* CLUSTER ADDSLOTSRANGE slots */
    CLUSTER_MEET,      /* CLUSTER MEET host port */
    CLUSTER_REPLICATE, /* CLUSTER REPLICATE id */
    CLUSTER_FORGET,    /* CLUSTER FORGET id */
    CLUSTER_FAILOVER,  /* CLUSTER FAILOVER */
    CLUSTER_RESET,     /* CLUSTER RESET SOFT */
    CLUSTER_CLOSE,     /* CLUSTER SETSLOT number STABLE */
};

struct cluster_step {
    unsigned pod; /* who is told */
    enum cluster_step_kind kind;
    uint64_t number;
    struct cluster_slots slots;
    char host[CLUSTER_HOST_MAX];
    uint16_t port;
    char id[CLUSTER_ID_LENGTH + 1];
};

enum cluster_verdict {
    CLUSTER_HEALTHY, /* state ok, every slot served, every replica in sync */
    CLUSTER_STEPS,   /* do these, then look again */
    CLUSTER_WAIT,    /* nothing to do now; reason says for what */
    CLUSTER_REFUSED, /* going on could lose data: a person has to decide; reason says what and how */
};

struct cluster_plan {
    enum cluster_verdict verdict;
    char reason[CLUSTER_REASON_MAX]; /* also with steps: what they are for */
    struct cluster_step *steps;      /* in this order */
    size_t n;
};

#define CLUSTER_PLAN_EMPTY ((struct cluster_plan){.verdict = CLUSTER_WAIT})

/* actor: the pod whose commands alone are wanted (an agent commands its own server only), or CLUSTER_ACTOR_ALL. Another
 * pod's work is then waited for. Overwrites *plan; finish it each time. */
void cluster_plan_make(struct cluster_plan *plan, const struct cluster_view *view, int actor);
/* Its first part: true where the pods are no one cluster yet whose members know each other, and the plan says what is
 * done about it, or why nothing is. */
bool cluster_plan_acquaint(struct cluster_plan *plan, const struct cluster_view *view);
void cluster_plan_finish(struct cluster_plan *plan);

/* As redis-cli cuts them: shard s of S. */
struct cluster_slots cluster_plan_slots(unsigned shard, unsigned shards);

enum { CLUSTER_STEP_WORDS = 6, CLUSTER_STEP_WORD_MAX = 80 };
struct cluster_step_words { /* of the command, NULL-terminated */
    const char *words[CLUSTER_STEP_WORDS];
    char numbers[2][CLUSTER_STEP_WORD_MAX];
};
void cluster_step_command(const struct cluster_step *step, struct cluster_step_words *ret_words);

#endif
