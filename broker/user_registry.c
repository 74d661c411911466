/* The sum is kept beside the parts, so that a question costs one look-up however many workers there are. */
#include "broker/user_registry.h"

#include "base/check.h"
#include "base/memory.h"

struct user_registry {
    user_count_t *sums;
    uint64_t connections;
};

user_registry_t *user_registry_new(void) {
    user_registry_t *self = memory_alloc_zero(sizeof *self);
    self->sums = user_count_new();
    return self;
}

void user_registry_destroy(user_registry_t **self_p) {
    user_registry_t *self = *self_p;
    *self_p = NULL;
    if (self != NULL) {
        user_count_destroy(&self->sums);
        memory_free(self);
    }
}

static uint32_t of_worker(const user_count_t *worker, uint64_t user) {
    return worker == NULL ? 0 : user_count_at(worker, user);
}

static uint32_t of_others(const user_registry_t *self, const user_count_t *worker, uint64_t user) {
    uint32_t sum = user_count_at(self->sums, user);
    uint32_t own = of_worker(worker, user);
    check(sum >= own, "a worker has more connections of a user than all together");
    return sum - own;
}

/* What numbers from outside come to stays in range. */
static uint32_t sum_of(uint32_t others, uint32_t mine) {
    return mine > UINT32_MAX - others ? UINT32_MAX - others : mine;
}

bool user_registry_set(user_registry_t *self, user_count_t **worker_p, uint64_t user, uint32_t connections) {
    if (*worker_p == NULL && connections > 0) {
        *worker_p = user_count_new();
    }
    uint32_t before = of_worker(*worker_p, user);
    if (before == 0 && connections == 0) {
        return true;
    }
    if (before == 0 && user_count_different(*worker_p) >= USER_REGISTRY_USERS_MAX) {
        return false;
    }
    uint32_t others = of_others(self, *worker_p, user);
    uint32_t mine = sum_of(others, connections);
    self->connections = self->connections - before + mine;
    user_count_set(*worker_p, user, mine);
    user_count_set(self->sums, user, others + mine);
    return true;
}

bool user_registry_take(user_registry_t *self, user_count_t **worker_p, uint64_t user, uint32_t mine, uint32_t most,
                        uint32_t *ret_others) {
    uint32_t others = of_others(self, *worker_p, user);
    bool may = (uint64_t) others + mine <= most;
    user_registry_set(self, worker_p, user, may || mine == 0 ? mine : mine - 1);
    *ret_others = others;
    return may;
}

void user_registry_forget(user_registry_t *self, user_count_t **worker_p) {
    uint32_t at = 0;
    uint64_t user;
    uint32_t connections;
    while (*worker_p != NULL && user_count_next(*worker_p, &at, &user, &connections)) {
        user_count_set(self->sums, user, user_count_at(self->sums, user) - connections);
        self->connections -= connections;
    }
    user_count_destroy(worker_p);
}

uint32_t user_registry_users(const user_registry_t *self) {
    return user_count_different(self->sums);
}

uint64_t user_registry_all_connections(const user_registry_t *self) {
    return self->connections;
}

uint32_t user_registry_connections(const user_registry_t *self, uint64_t user) {
    return user_count_at(self->sums, user);
}
