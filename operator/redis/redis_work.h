/* `callboard-operator redis form | heal | roll | scale | status`: the work on a Redis Cluster from outside, as an agent
 * does it from inside. Every command looks first, sends the next commands, and looks again, until all is well or the
 * time is over; so each may be interrupted and started again. Thread: main. */
#ifndef CALLBOARD_OPERATOR_REDIS_WORK_H
#define CALLBOARD_OPERATOR_REDIS_WORK_H

#include "operator/redis/redis_options.h"

/* As the operator's exit codes (operator.md 4.2). */
enum redis_work_exit {
    REDIS_WORK_DONE = 0,
    REDIS_WORK_USAGE = 2,
    REDIS_WORK_REFUSED = 4,
    REDIS_WORK_OUTSIDE = 5,
    REDIS_WORK_TIMEOUT = 6,
};

struct redis_work_call {
    struct redis_options options;
    struct buffer *out;                            /* what was asked for: the commands of a dry run, the status */
    void (*tell)(void *context, const char *text); /* progress, as it happens, without a line feed */
    void *context;
};

/* action: form, heal, roll, scale or status. An error is told. */
int redis_work_run(struct redis_work_call *call, const char *action);

#endif
