/* Budgets in a chain, e.g. session -> gateway: a charge is taken by every link or by none.
 *
 * Failure modes: at the bound: the charge is refused and nothing changed; the caller has a defined answer. Released
 * more than charged: our bug, abort, because a budget that drifts would refuse or admit everything one day. */
#include "base/quota.h"

#include "base/check.h"

#include <stdint.h>

void quota_init(struct quota *self, size_t limit, struct quota *parent) {
    self->limit = limit;
    self->used = 0;
    self->high = 0;
    self->parent = parent;
}

static bool fits(const struct quota *self, size_t bytes) {
    size_t limit = self->limit == 0 ? SIZE_MAX : self->limit;
    return self->used <= limit && bytes <= limit - self->used;
}

bool quota_charge(struct quota *self, size_t bytes) {
    for (const struct quota *quota = self; quota != NULL; quota = quota->parent) {
        if (!fits(quota, bytes)) {
            return false;
        }
    }
    quota_charge_anyway(self, bytes);
    return true;
}

void quota_charge_anyway(struct quota *self, size_t bytes) {
    for (struct quota *quota = self; quota != NULL; quota = quota->parent) {
        check(bytes <= SIZE_MAX - quota->used, "quota of %zu bytes charged with %zu more", quota->used, bytes);
        quota->used += bytes;
        if (quota->used > quota->high) {
            quota->high = quota->used;
        }
    }
}

void quota_release(struct quota *self, size_t bytes) {
    for (struct quota *quota = self; quota != NULL; quota = quota->parent) {
        check(bytes <= quota->used, "releasing %zu of %zu bytes", bytes, quota->used);
        quota->used -= bytes;
    }
}
