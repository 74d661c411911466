/* How one reaches a Kubernetes API server, and as whom. kube_config_read() fills it, kube_client_new() takes it.
 * Texts live in the arena that they were read into; what is a secret (token, password, client_key) stands in no
 * message. Thread: any (constant once it is read). */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_ACCESS_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_ACCESS_H

#include "operator/manifest/manifest.h"

#include <stdbool.h>
#include <stddef.h>

/* A program that answers with credentials (client.authentication.k8s.io ExecCredential). */
struct kube_exec {
    const char *place; /* kubeconfig:line, for messages */
    const char *api_version;
    const char *command;            /* as it is run: a path, or a name that PATH has */
    const char *const *arguments;   /* ended by NULL; without the command itself */
    const char *const *environment; /* NAME=VALUE, ended by NULL; beside the process' own */
    const char *install_hint;       /* what the file says for when the command is not there; NULL */
    bool provides_cluster_info;
    bool is_interactive; /* interactiveMode Always or IfAvailable: it may talk on the terminal where there is one */
    bool needs_terminal; /* interactiveMode Always */
};

struct kube_access {
    const char *context;   /* its name, or "in-cluster" */
    const char *place;     /* where the server stands: kubeconfig:line, or the service account's folder */
    const char *server;    /* https://host:port/prefix, without a slash at the end */
    const char *namespace; /* of the context; "default" */
    /* of the server; each NULL where it is not set */
    const char *ca_pem; /* NULL: the system's authorities */
    const char *tls_server_name;
    const char *proxy_url; /* NULL: HTTPS_PROXY and NO_PROXY count */
    bool skips_verification;
    const manifest_t *exec_config; /* the extension that a plugin is told; NULL */
    /* of the user */
    const char *client_certificate_pem;
    const char *client_key_pem;
    const char *token;
    const char *token_file; /* read again each minute; counts before `token` */
    const char *user_name;  /* basic authentication */
    const char *password;
    const char *impersonated_user;
    const char *const *impersonated_groups; /* ended by NULL; NULL: none */
    const struct kube_exec *exec;
};

#endif
