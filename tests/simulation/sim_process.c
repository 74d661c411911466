/* See sim_process.h. */
#include "tests/simulation/sim_process.h"

#include "base/check.h"

#include <stdio.h>

static struct sim_process *current;

void sim_process_init(struct sim_process *self, const char *name, int index) {
    *self = (struct sim_process){.wake_us = UINT64_MAX, .index = index};
    snprintf(self->name, sizeof self->name, "%s", name);
    list_init(&self->handles);
    list_init(&self->closing);
    list_init(&self->requests);
    self->loop.data = self;
    self->latency_us = 200;
}

struct sim_process *sim_process_current(void) {
    return current;
}

void sim_process_enter(struct sim_process *self) {
    check(self == NULL || current == NULL, "%s inside %s", self->name, current->name);
    current = self;
}

static void plan(struct sim_process *self, uint64_t at_us);

static void turn(struct sim_process *self) {
    sim_process_enter(self);
    sim_uv_poll(self);
    if (self->actor != NULL) {
        sim_actor_take_inbox(self->actor);
    }
    sim_uv_close_handles(self);
    sim_uv_timers(self);
    if (self->actor != NULL) {
        sim_actor_flush(self->actor);
    }
    sim_process_enter(NULL);
}

static void on_wake(void *context, uint64_t number) {
    struct sim_process *self = context;
    if (self->is_dead || number != self->wake_number) {
        return;
    }
    self->wake_us = UINT64_MAX;
    if (sim_now_us() < self->still_until_us) {
        plan(self, self->still_until_us);
        return;
    }
    turn(self);
    plan(self, sim_uv_next_us(self));
}

static void plan(struct sim_process *self, uint64_t at_us) {
    if (at_us >= self->wake_us || at_us == UINT64_MAX) {
        return;
    }
    self->wake_us = at_us;
    sim_at(at_us, on_wake, self, ++self->wake_number);
}

void sim_process_wake(struct sim_process *self) {
    if (self == current || self->is_dead) {
        return; /* what comes inside its turn is seen at its end */
    }
    uint64_t at_us = sim_now_us() + sim_between(5, self->latency_us);
    plan(self, at_us < self->still_until_us ? self->still_until_us : at_us);
}

void sim_process_stand_still(struct sim_process *self, uint64_t until_us) {
    if (until_us > self->still_until_us) {
        self->still_until_us = until_us;
    }
}

void sim_process_run_out(struct sim_process *self) {
    for (int i = 0; i < 1000 && !sim_uv_is_empty(self); i++) {
        turn(self);
    }
    check(sim_uv_is_empty(self), "%s left handles in its loop", self->name);
}
