/* What a worker judges tokens by, at one moment: keys and revocations, as one value that is exchanged whole. Counted
 * references, never changed: the keeper makes a new one, workers take it when it reaches them. Thread: any. */
#ifndef CALLBOARD_GATEWAY_TOKEN_TRUST_H
#define CALLBOARD_GATEWAY_TOKEN_TRUST_H

#include "base/token.h"
#include "gateway/token/revocations.h"

#include <stdatomic.h>

struct token_trust {
    atomic_uint references;
    token_keys_t *keys;              /* NULL: no token is accepted */
    token_keys_t *subscription_keys; /* NULL: `keys` serve subscription tokens too */
    revocations_t *revocations;      /* NULL: none */
};
typedef struct token_trust token_trust_t;

/* Takes the keys, and a reference to the revocations; all of them may be NULL. */
token_trust_t *token_trust_new(token_keys_t **keys_p, token_keys_t **subscription_keys_p, revocations_t *revocations);
token_trust_t *token_trust_ref(token_trust_t *self);
void token_trust_unref(token_trust_t **self_p); /* accepts NULL */

#endif
