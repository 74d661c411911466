/* What scale_plan.c and scale_plan_*.c share and nobody else includes. */
#ifndef CALLBOARD_OPERATOR_SCALE_PLAN_PARTS_H
#define CALLBOARD_OPERATOR_SCALE_PLAN_PARTS_H

#include "operator/redis/scale_plan.h"

enum { SCALE_NOBODY = -1 };

struct scaling {
    struct scale_plan *plan;
    const struct cluster_view *view;
    const struct scale_goal *goal;
    size_t staying; /* pods below this number */
    struct cluster_layout layout;
    bool is_primary[CLUSTER_PODS_MAX]; /* of those that shall serve the slots */
    unsigned primaries;
};

/* True: the plan is made. */
bool scaling_end(struct scaling *s, enum scale_verdict verdict, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void scaling_add_step(struct scaling *s, const struct cluster_step *step);
void scaling_add_move(struct scaling *s, unsigned slot, unsigned from, unsigned to);
const char *scaling_name(const struct scaling *s, size_t pod);
/* Among those that stay. */
unsigned scaling_replicas_of(const struct scaling *s, size_t pod);

/* Each true where the plan is made. In scale_plan_roles.c: who serves, who follows; in scale_plan_slots.c: which slots.
 */
bool scaling_choose_primaries(struct scaling *s);
bool scaling_give_replicas(struct scaling *s);
bool scaling_await_replicas(struct scaling *s);
bool scaling_give_slots(struct scaling *s);

#endif
