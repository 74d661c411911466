/* What has to be done so that the pods of a StatefulSet are one healthy Redis Cluster: a pure function from what was
 * observed to a list of commands. It is asked again and again; each answer is right whatever was done before, so
 * forming and healing may be interrupted at any command, and both an agent in each pod and an operator from outside may
 * work at once.
 *
 * Layout: S shards, pod i is of shard i mod S; at forming time pods 0…S-1 get the slots, the others follow their
 * shard's primary. Roles move later (failovers), shards do not. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_CLUSTER_PLAN_H
#define CALLBOARD_OPERATOR_CLUSTER_PLAN_H

#include "operator/redis/cluster_table.h"

enum { CLUSTER_PODS_MAX = 540, CLUSTER_REASON_MAX = 640 };

/* One pod as it was seen. */
struct cluster_pod {
    bool answers;                /* and none of the answers was an error; else only `name` counts */
    bool is_loading;             /* it answers LOADING: alive, not to be asked */
    const char *name;            /* for reasons */
    const char *trouble;         /* why it does not answer; NULL: not told */
    char host[CLUSTER_HOST_MAX]; /* its numeric address now */
    uint16_t port;
    struct cluster_table table;         /* its CLUSTER NODES */
    uint64_t keys;                      /* DBSIZE */
    bool is_link_up;                    /* a replica's master_link_status, and no sync under way */
    char dials[CLUSTER_HOST_MAX];       /* a replica's master_host; "": not told */
    uint64_t offset;                    /* of its replication stream */
    char run_id[CLUSTER_ID_LENGTH + 1]; /* another one after each start */
    bool is_state_ok;                   /* cluster_state */
    unsigned slots_ok;                  /* cluster_slots_ok */
};

struct cluster_view {
    struct cluster_pod *pods; /* by ordinal */
    size_t n;
    unsigned shards;
};

enum { CLUSTER_ACTOR_ALL = -1 };

enum cluster_step_kind {
    CLUSTER_SET_EPOCH, /* CLUSTER SET-CONFIG-EPOCH number */
    CLUSTER_ADD_SLOTS, /* CLUSTER ADDSLOTSRANGE slots */
    CLUSTER_MEET,      /* CLUSTER MEET host port */
    CLUSTER_REPLICATE, /* CLUSTER REPLICATE id */
    CLUSTER_FORGET,    /* CLUSTER FORGET id */
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
