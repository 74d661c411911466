/* A deployment in a Kubernetes cluster as a rehearsal needs it: have its workloads rolled out, restart one, empty a
 * node. Each call ends within the client's time of a call. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_KUBE_H
#define CALLBOARD_OPERATOR_REHEARSE_KUBE_H

#include "operator/kube/kube_client.h"

typedef struct rehearse_kube rehearse_kube_t;

enum { REHEARSE_KUBE_NAME_SIZE = 256, REHEARSE_KUBE_REASON_SIZE = 400, REHEARSE_WORKLOADS_MAX = 16 };

struct rehearse_kube_options {
    kube_client_t *client; /* outlives it */
    const char *instance;  /* metadata.name of the spec */
};

rehearse_kube_t *rehearse_kube_new(const struct rehearse_kube_options *options);
void rehearse_kube_destroy(rehearse_kube_t **self_p); /* accepts NULL */

enum rehearse_kube_outcome {
    REHEARSE_KUBE_DONE,
    REHEARSE_KUBE_WAIT,   /* reason says for what */
    REHEARSE_KUBE_FAILED, /* the API server did not answer, denied, or there is nothing of this name */
};

/* Are all pods of all Deployments and StatefulSets of their template, and ready? */
enum rehearse_kube_outcome rehearse_kube_look(rehearse_kube_t *self, char ret_reason[REHEARSE_KUBE_REASON_SIZE]);

/* As the last look saw them, in the order in which they are restarted: gateways, brokers, Redis, Sentinels. */
size_t rehearse_kube_count(const rehearse_kube_t *self);
const char *rehearse_kube_name(const rehearse_kube_t *self, size_t workload); /* Deployment/shop-gateway */
/* As `kubectl rollout restart` does. False: ret_reason says why not. */
bool rehearse_kube_restart(rehearse_kube_t *self, size_t workload, char ret_reason[REHEARSE_KUBE_REASON_SIZE]);

/* The node that has most of the pods; WAIT: it takes no pods as it is (cordoned). `wanted` NULL: any. */
enum rehearse_kube_outcome rehearse_kube_find_node(rehearse_kube_t *self, const char *wanted,
                                                   char ret_node[REHEARSE_KUBE_NAME_SIZE],
                                                   char ret_reason[REHEARSE_KUBE_REASON_SIZE]);
/* True: no new pods on it. */
bool rehearse_kube_cordon(rehearse_kube_t *self, const char *node, bool is_cordoned,
                          char ret_reason[REHEARSE_KUBE_REASON_SIZE]);
/* Evicts what is there of the deployment, one pod after another, as far as its budgets let: WAIT, with the pod and why.
 * DONE: none is there any more. *ret_evicted: how many in this call. */
enum rehearse_kube_outcome rehearse_kube_empty(rehearse_kube_t *self, const char *node, size_t *ret_evicted,
                                               char ret_reason[REHEARSE_KUBE_REASON_SIZE]);

#endif
