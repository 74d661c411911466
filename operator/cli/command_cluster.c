#include "operator/cli/command_cluster.h"

#include "base/clock.h"
#include "operator/kube/kube_config.h"

#include <signal.h>
#include <stdio.h>

void command_cluster_tell(void *context, const char *text) {
    const struct command_call *call = context;
    if (!call->is_quiet) {
        fprintf(stderr, "%s\n", text);
    }
}

int command_cluster_open(struct command_call *call, const char *command, struct command_cluster *ret_cluster) {
    const struct kube_config_options options = {.file = command_option(call, "kubeconfig"),
                                                .context = command_option(call, "context")};
    const char *error = "";
    ret_cluster->client = NULL;
    if (!kube_config_read(call->arena, &options, &ret_cluster->access, &error)) {
        buffer_append_format(call->messages, "%s %s: %s\n", call->program, command, error);
        return OPERATOR_OUTSIDE;
    }
    if (call->settings.namespace == NULL) {
        call->settings.namespace = ret_cluster->access.namespace;
    }
    ret_cluster->access.namespace = call->settings.namespace;
    (void) signal(SIGPIPE, SIG_IGN); /* a cut connection is an error, not an end */
    ret_cluster->client = kube_client_new(&(struct kube_client_options){
        .access = &ret_cluster->access,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) call->timeout_ms,
        .tell = command_cluster_tell,
        .context = call,
    });
    return OPERATOR_DONE;
}

void command_cluster_close(struct command_cluster *self) {
    kube_client_free(&self->client);
}

int command_cluster_exit(enum kube_result result) {
    switch (result) {
    case KUBE_OK:
        return OPERATOR_DONE;
    case KUBE_TIMED_OUT:
        return OPERATOR_TIMEOUT;
    case KUBE_NOT_FOUND:
    case KUBE_CONFLICT:
    case KUBE_DENIED:
    case KUBE_INVALID:
    case KUBE_BUSY:
    case KUBE_UNREACHABLE:
        break;
    }
    return OPERATOR_OUTSIDE;
}

int command_cluster_fail(struct command_call *call, const char *command, enum kube_result result,
                         const struct kube_answer *answer) {
    buffer_append_format(call->messages, "%s %s: %s\n", call->program, command, answer->message);
    return command_cluster_exit(result);
}
