/* As whom requests are sent, now: what the kubeconfig has, a token file that others renew (read again each minute, as
 * tokens of service accounts live an hour), or what a plugin gave until it expires. Thread: one at a time. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_CREDENTIALS_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_CREDENTIALS_H

#include "operator/arena.h"
#include "operator/kube/kube_http.h"

typedef struct kube_credentials kube_credentials_t;

kube_credentials_t *kube_credentials_new(const struct kube_access *access); /* outlives it */
void kube_credentials_free(kube_credentials_t **self_p);                    /* wipes what is secret */

/* *ret_identity is valid until the next call. False: *ret_error (in `arena`) says why there is none. */
bool kube_credentials_get(kube_credentials_t *self, int64_t timeout_ms, arena_t *arena,
                          struct kube_http_identity *ret_identity, const char **ret_error);
/* The server does not take them (401): the next get makes or reads them anew. False: they would be the same. */
bool kube_credentials_refused(kube_credentials_t *self);

/* Pure: the token of a file's text, without the white space around it; SPAN_EMPTY: it is none. */
struct span kube_credentials_token(struct span text);

#endif
