/* What redis_work.c and redis_work_*.c share and nobody else includes. */
#ifndef CALLBOARD_OPERATOR_REDIS_WORK_PARTS_H
#define CALLBOARD_OPERATOR_REDIS_WORK_PARTS_H

#include "operator/redis/cluster_observe.h"
#include "operator/redis/redis_work.h"

enum { REDIS_WORK_TEXT = 900, REDIS_WORK_ASK_AGAIN_MS = 5000 };

struct work {
    struct redis_work_call *call;
    redis_dialer_t *dialer;
    struct redis_pods pods;
    struct redis_pods sentinels; /* of a set */
    uint64_t deadline_ms;
    char told[CLUSTER_REASON_MAX];
};

/* Once for each reason. */
void work_tell(struct work *self, const char *reason);
/* As redis-cli would send it. */
void work_print_command(struct work *self, const struct redis_pod *pod, const char *const *words);
/* True: time is left, and a little of it was slept. */
bool work_pause(const struct work *self);
cluster_observation_t *work_look(struct work *self);

bool work_is_anybody_there(const struct cluster_view *view);

/* Sends one command of a plan, or prints it in a dry run; false: it was refused, which is told. */
bool work_do_step(struct work *self, const struct cluster_step *step);

/* In redis_work_roll.c and redis_work_scale.c. */
int work_roll(struct work *self);
int work_scale(struct work *self);

#endif
