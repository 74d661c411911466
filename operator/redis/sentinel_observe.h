/* Asks Sentinels and the servers of their set. Each call opens its own connections. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_SENTINEL_OBSERVE_H
#define CALLBOARD_OPERATOR_SENTINEL_OBSERVE_H

#include "operator/redis/redis_dialer.h"
#include "operator/redis/sentinel_plan.h"

/* Every Sentinel of the list (at most SENTINELS_MAX) about the set; views[i] is of sentinels->pods[i]. ret_trouble: why
 * the last silent one is silent. */
void sentinel_observe(redis_dialer_t *dialer, const struct redis_pods *sentinels, const char *master_set,
                      struct sentinel_view views[SENTINELS_MAX], char ret_trouble[RESP_ERROR_MAX]);

/* What all of them say of the set, and where its pods are now. */
struct sentinel_asking {
    struct sentinel_set set; /* borrows the pods */
    struct sentinel_opinion opinion;
    char trouble[RESP_ERROR_MAX]; /* why the last silent one is silent; empty: all answer */
    char (*addresses)[48];
};
void sentinel_asking_make(struct sentinel_asking *self, redis_dialer_t *dialer, const struct redis_pods *pods,
                          size_t own_pod, const struct redis_pods *sentinels, const char *master_set);
void sentinel_asking_finish(struct sentinel_asking *self);

/* ROLE of one server; ret_primary: whom a replica follows. UNKNOWN: no answer. */
enum sentinel_role sentinel_observe_role(redis_dialer_t *dialer, const struct redis_pod *pod,
                                         struct redis_pod *ret_primary);

/* SENTINEL FAILOVER at the first that takes it (one under way counts). False: ret_error has what the last one said. */
bool sentinel_failover(redis_dialer_t *dialer, const struct redis_pods *sentinels, const char *master_set,
                       char *ret_error, size_t error_size);

/* Pure: the answers to SENTINEL MASTER and ROLE. */
bool sentinel_view_parse(const struct redis_reply *reply, struct sentinel_view *ret_view);
enum sentinel_role sentinel_role_parse(const struct redis_reply *reply, struct redis_pod *ret_primary);

#endif
