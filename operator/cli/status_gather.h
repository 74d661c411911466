/* Asks a cluster and its pods for what a page of status needs. What is denied or does not answer is noted, and the page
 * says so; only a server that does not answer at all ends it. Thread: main. */
#ifndef CALLBOARD_OPERATOR_CLI_STATUS_GATHER_H
#define CALLBOARD_OPERATOR_CLI_STATUS_GATHER_H

#include "operator/kube/kube_client.h"
#include "operator/status/status.h"

/* Fills objects, answers, unknowns, name and namespace (where NULL) and server of *input, in the arena. KUBE_OK; else
 * *ret_answer says what the server said. KUBE_NOT_FOUND: no deployment is there, or several and none is named: the
 * message lists them. `pods`: a client with short waits, for what pods answer. */
enum kube_result status_gather(kube_client_t *client, kube_client_t *pods, arena_t *arena, struct status_input *input,
                               struct kube_answer *ret_answer);

#endif
