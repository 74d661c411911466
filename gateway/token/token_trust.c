/* See the header. */
#include "gateway/token/token_trust.h"

#include "base/memory.h"

token_trust_t *token_trust_new(token_keys_t **keys_p, token_keys_t **subscription_keys_p, revocations_t *revocations) {
    token_trust_t *self = memory_alloc_zero(sizeof *self);
    atomic_init(&self->references, 1);
    self->keys = *keys_p;
    self->subscription_keys = *subscription_keys_p;
    self->revocations = revocations == NULL ? NULL : revocations_ref(revocations);
    *keys_p = NULL;
    *subscription_keys_p = NULL;
    return self;
}

token_trust_t *token_trust_ref(token_trust_t *self) {
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    return self;
}

void token_trust_unref(token_trust_t **self_p) {
    token_trust_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    token_keys_destroy(&self->keys);
    token_keys_destroy(&self->subscription_keys);
    revocations_unref(&self->revocations);
    memory_free(self);
}
