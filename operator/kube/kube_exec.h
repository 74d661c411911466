/* A credential plugin: a program of the kubeconfig that prints an ExecCredential (client.authentication.k8s.io v1 and
 * v1beta1). It is started by posix_spawn without a shell, gets KUBERNETES_EXEC_INFO, and has a bound in time and
 * output; when it does not end, it is killed. Thread: main. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_EXEC_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_EXEC_H

#include "operator/arena.h"
#include "operator/kube/kube_access.h"

enum { KUBE_EXEC_TIMEOUT_MS = 60000, KUBE_EXEC_OUTPUT_MAX = 1024 * 1024 };

/* What a plugin answered. Each of the texts is NULL where it gave none. */
struct kube_exec_credential {
    const char *token;
    const char *client_certificate_pem;
    const char *client_key_pem;
    int64_t expires_ms; /* wall time; 0: not said */
};

/* False: *ret_error says which plugin of which file, what happened and how to mend it; never what it printed on its
 * standard output. `access` has an exec. */
bool kube_exec_run(arena_t *arena, const struct kube_access *access, int64_t timeout_ms,
                   struct kube_exec_credential *ret_credential, const char **ret_error);

/* Pure: the answer alone. NULL: good, else what is wrong with it. */
const char *kube_exec_answer(arena_t *arena, const char *api_version, struct span text,
                             struct kube_exec_credential *ret_credential);
/* Pure: KUBERNETES_EXEC_INFO. */
const char *kube_exec_info(arena_t *arena, const struct kube_access *access, bool is_interactive);

#endif
