/* Which servers a copy is taken from: one for each part of the data. Pure. Thread: any (values). */
#ifndef CALLBOARD_OPERATOR_BACKUP_PLAN_H
#define CALLBOARD_OPERATOR_BACKUP_PLAN_H

#include "operator/redis/set_plan.h"

struct backup_source {
    unsigned pod;
    bool is_replica;
    char *slots; /* "0-5460,7000"; NULL: no cluster */
};

struct backup_plan {
    struct backup_source *sources;
    size_t n;
    char reason[CLUSTER_REASON_MAX]; /* why there is none now */
};

#define BACKUP_PLAN_EMPTY ((struct backup_plan){.n = 0})

/* False: not now, see reason. Finish it each time. */
bool backup_plan_cluster(struct backup_plan *self, const struct cluster_view *view);
bool backup_plan_set(struct backup_plan *self, const struct set_server *servers, size_t n);
void backup_plan_finish(struct backup_plan *self);

/* Are the slots cut in the same parts? Else some moved between the two looks. */
bool backup_plan_has_same_slots(const struct backup_plan *a, const struct backup_plan *b);

#endif
