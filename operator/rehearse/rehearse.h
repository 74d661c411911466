/* `callboard-operator rehearse failover | quorum | restart-all | drain`: does to a running installation what a bad
 * night does, while a workload of its own tells what its users would notice, puts things back, and prints a verdict.
 * Thread: main. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_H
#define CALLBOARD_OPERATOR_REHEARSE_H

#include "operator/arena.h"
#include "operator/redis/redis_options.h"
#include "operator/rehearse/rehearse_account.h"
#include "operator/rehearse/rehearse_away.h"
#include "operator/rehearse/rehearse_kube.h"
#include "operator/rehearse/rehearse_workload.h"

#include <signal.h>

enum rehearse_act {
    REHEARSE_FAILOVER, /* every shard changes its primary, by order; with `is_crash` one loses it */
    REHEARSE_QUORUM,   /* nobody can take over while a primary is away */
    REHEARSE_RESTART,  /* every pod is replaced, one workload after the other, as a new version is rolled out */
    REHEARSE_DRAIN,    /* the node with most pods is emptied */
};

/* As the operator's exit codes (operator.md 4.2). */
enum rehearse_exit {
    REHEARSE_EXIT_PASSED = 0,
    REHEARSE_EXIT_FAILED = 1,
    REHEARSE_EXIT_USAGE = 2,
    REHEARSE_EXIT_REFUSED = 4, /* not well before */
    REHEARSE_EXIT_OUTSIDE = 5, /* nobody answers, or what has to be done was denied */
    REHEARSE_EXIT_TIMEOUT = 6, /* not as before in time, or interrupted */
};

struct rehearse_call {
    enum rehearse_act act;
    bool is_crash;
    bool is_unwell_accepted;
    struct redis_options redis; /* of RESTART and DRAIN without peers: Redis is looked at by its pods only */
    struct rehearse_hooks hooks;
    rehearse_kube_t *kube; /* of RESTART and DRAIN; else NULL */
    const char *instance;  /* of kube */
    const char *node;      /* of DRAIN; NULL: any */
    struct rehearse_workload_options workload;
    struct rehearse_limits limits; /* 0: the act's own */
    uint64_t for_ms;               /* the workload runs at least so long */
    uint64_t away_ms;              /* how long something is taken away */
    uint64_t timeout_ms;           /* until all has to be as before */
    bool is_json;
    arena_t *arena;
    struct buffer *out;                            /* the report; of a dry run the steps */
    void (*tell)(void *context, const char *text); /* progress, as it happens, and errors */
    void *context;
    const volatile sig_atomic_t *is_interrupted;
};

int rehearse_run(struct rehearse_call *call);

#endif
