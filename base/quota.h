/* A byte budget: nothing is queued without a charge; whoever destroys the queued thing releases it.
 * A quota may have a parent: a charge must fit in both, or neither takes it.
 * Thread: the owner's. */
#ifndef CALLBOARD_BASE_QUOTA_H
#define CALLBOARD_BASE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>

struct quota {
    size_t limit; /* 0 = without bound of its own (the parent still counts) */
    size_t used;
    size_t high; /* most that was used at once */
    struct quota *parent;
};

void quota_init(struct quota *self, size_t limit, struct quota *parent);
bool quota_charge(struct quota *self, size_t bytes);        /* false: at the bound, nothing charged */
void quota_charge_anyway(struct quota *self, size_t bytes); /* for what must not be refused; may exceed the limit */
void quota_release(struct quota *self, size_t bytes);       /* checks that it was charged */
static inline bool quota_is_over(const struct quota *self) {
    return self->limit != 0 && self->used > self->limit;
}

#endif
