/* Where the cluster is and who we are there, as kubectl finds it:
 *
 *     --kubeconfig FILE, else $KUBECONFIG (a list of files: what stands in an earlier one counts), else ~/.kube/config,
 *     else, in a pod, the service account that is mounted there
 *
 * --context NAME chooses, else current-context. Paths in a file are relative to it. Files are bounded
 * (base/config_yaml.h: 256 KiB), certificates and tokens too. Nothing is sent, and no credential plugin is run, until
 * the client needs it. Thread: main. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_CONFIG_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_CONFIG_H

#include "base/bytes.h"
#include "operator/arena.h"
#include "operator/kube/kube_access.h"

struct kube_config_options {
    const char *file;    /* --kubeconfig; NULL: not given */
    const char *context; /* --context; NULL: current-context */
};

/* False: *ret_error says where (file:line:column), what and how to mend it; in the arena. */
bool kube_config_read(arena_t *arena, const struct kube_config_options *options, struct kube_access *ret_access,
                      const char **ret_error);

/* A kubeconfig that was read already. */
struct kube_config_file {
    const char *name; /* as messages have it; paths in it are relative to its folder */
    struct span text;
};

/* The same of these, of which the first counts most. */
bool kube_config_read_texts(arena_t *arena, const struct kube_config_file *files, size_t n_files, const char *context,
                            struct kube_access *ret_access, const char **ret_error);
/* The service account of a pod: `folder` has token, ca.crt and namespace. */
bool kube_config_read_in_cluster(arena_t *arena, const char *host, const char *port, const char *folder,
                                 struct kube_access *ret_access, const char **ret_error);

#endif
