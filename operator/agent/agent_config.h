/* The agent's own part of an installation: its options, the pods by ordinal, and which of them it is. Thread: read by
 * all once it is made. */
#ifndef CALLBOARD_OPERATOR_AGENT_CONFIG_H
#define CALLBOARD_OPERATOR_AGENT_CONFIG_H

#include "operator/redis/redis_options.h"
#include "operator/redis/redis_pods.h"

enum { AGENT_ERROR_MAX = 768, AGENT_REDIS_PORT = 6379, AGENT_SENTINEL_PORT = 26379 };

/* As the operator's (docs/operator-redis.md). */
enum agent_exit {
    AGENT_DONE = 0,
    AGENT_USAGE = 2,
    AGENT_INVALID = 3,
    AGENT_REFUSED = 4,
    AGENT_OUTSIDE = 5,
    AGENT_TIMEOUT = 6
};

struct agent_config {
    struct redis_options options;
    struct redis_pods peers;
    struct redis_pods sentinels;
    unsigned ordinal;
    struct redis_pod self; /* its name, and the port of its own server */
};

/* argv[first…] over the environment. False: ret_error says what and how to mend it. ret_rest: as redis_options_read. */
bool agent_config_read(struct agent_config *self, int argc, char **argv, int first, int *ret_rest,
                       char ret_error[AGENT_ERROR_MAX]);
void agent_config_finish(struct agent_config *self);

#endif
