/* What a cluster has of specs' objects, for `diff --live` and `check --drift`. Thread: main. */
#ifndef CALLBOARD_OPERATOR_CLI_COMMAND_LIVE_H
#define CALLBOARD_OPERATOR_CLI_COMMAND_LIVE_H

#include "operator/cli/command_cluster.h"
#include "operator/live/live_compare.h"

/* Compares each object of `wanted` with the cluster's, and finds those with our labels that are rendered no more.
 * Whatever of it may not be read is told, and OPERATOR_OUTSIDE: half a comparison would pass for a whole one. */
int command_live_compare(struct command_call *call, const char *command, struct command_cluster *cluster,
                         const manifests_t *wanted, struct live *ret_live);

#endif
