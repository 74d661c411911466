/* Counted also while there is no bound, so that one that a reload brings knows who is there already. */
#include "gateway/session/user_limits.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/user_count.h"

#include <uv.h>

struct user_limits {
    uv_mutex_t mutex;
    user_count_t *users;
};

user_limits_t *user_limits_new(void) {
    user_limits_t *self = memory_alloc_zero(sizeof *self);
    check(uv_mutex_init(&self->mutex) == 0, "a mutex");
    self->users = user_count_new();
    return self;
}

void user_limits_destroy(user_limits_t **self_p) {
    user_limits_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        user_count_destroy(&self->users);
        uv_mutex_destroy(&self->mutex);
        memory_free(self);
    }
}

bool user_limits_take(user_limits_t *self, struct span user, uint32_t most) {
    uv_mutex_lock(&self->mutex);
    bool may = most == 0 || user_count_of(self->users, user) < most;
    if (may) {
        user_count_add(self->users, user);
    }
    uv_mutex_unlock(&self->mutex);
    return may;
}

void user_limits_release(user_limits_t *self, struct span user) {
    uv_mutex_lock(&self->mutex);
    user_count_remove(self->users, user);
    uv_mutex_unlock(&self->mutex);
}
