/* Commands that ask a cluster: which one, by --kubeconfig, --context and -n, and what its failures are for the exit
 * code. A command lists COMMAND_CLUSTER_OPTIONS among its own options. Thread: main. */
#ifndef CALLBOARD_OPERATOR_CLI_COMMAND_CLUSTER_H
#define CALLBOARD_OPERATOR_CLI_COMMAND_CLUSTER_H

#include "operator/cli/command.h"
#include "operator/kube/kube_client.h"

#define COMMAND_CLUSTER_OPTIONS                                                                                        \
    {"kubeconfig", "FILE",                                                                                             \
     "the cluster and who we are there; without: $KUBECONFIG, ~/.kube/config, the pod's account"},                     \
    {                                                                                                                  \
        "context", "NAME", "of the kubeconfig; without: its current-context"                                           \
    }

struct command_cluster { /* stays where it was opened */
    struct kube_access access;
    kube_client_t *client; /* within call->timeout_ms from now; kube_client_set_deadline says otherwise */
};

/* Reads the kubeconfig; sends nothing yet. -n, where it is given, is the namespace of the client; where it is not, the
 * context's namespace becomes call->settings.namespace, so that specs without one are rendered for where they go.
 * OPERATOR_DONE, or OPERATOR_OUTSIDE and it is told. */
int command_cluster_open(struct command_call *call, const char *command, struct command_cluster *ret_cluster);
void command_cluster_close(struct command_cluster *self);

/* OPERATOR_TIMEOUT, OPERATOR_OUTSIDE, or OPERATOR_DONE. */
int command_cluster_exit(enum kube_result result);
/* Tells the answer's message, too. */
int command_cluster_fail(struct command_call *call, const char *command, enum kube_result result,
                         const struct kube_answer *answer);
/* A line for a person, at once, unless -q: for progress of what takes long. `context` is the struct command_call. */
void command_cluster_tell(void *context, const char *text);

#endif
