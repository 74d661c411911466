/* A hashed timing wheel: time is cut into ticks, tick t belongs to slot t modulo 1,024.
 *
 *        slot   0      1      2            1,023
 *             +------+------+------+ ... +------+
 *             | list | list | list |     | list |      an entry sits in the slot of the first tick at or after its
 *             +------+------+------+ ... +------+      deadline, together with those of later rounds
 *                        ^ tick: everything up to here was fired
 *
 * Happy path: set and cancel touch one list. advance visits the slots of the ticks that passed (each at most once),
 * moves what is due to a list of its own, then fires that list entry by entry.
 *
 * Failure modes: a callback sets its entry again, even for a time that passed: it waits for a later advance, so one
 * advance always ends. A callback cancels or moves an entry that is due in the same advance: it leaves the due list
 * and does not fire. A callback frees its own object: the entry was unlinked before. Time stands still or goes back:
 * nothing fires. A long pause: every slot is visited once. Advancing or destroying from inside a callback is a bug of
 * ours and aborts. */
#include "base/timer_wheel.h"

#include "base/check.h"
#include "base/memory.h"

enum { SLOTS = 1024 };

struct timer_wheel {
    uint32_t tick_ms;
    uint64_t tick; /* the last one that was fired */
    size_t n_set;  /* entries in slots and in `due` */
    bool is_firing;
    struct list_link due; /* filled and emptied by one advance */
    struct list_link slots[SLOTS];
};

timer_wheel_t *timer_wheel_new(uint64_t now_ms, uint32_t tick_ms) {
    check(tick_ms > 0, "a tick of 0 ms");
    timer_wheel_t *self = memory_alloc_zero(sizeof *self);
    self->tick_ms = tick_ms;
    self->tick = now_ms / tick_ms;
    list_init(&self->due);
    for (size_t i = 0; i < SLOTS; i++) {
        list_init(&self->slots[i]);
    }
    return self;
}

void timer_wheel_destroy(timer_wheel_t **self_p) {
    timer_wheel_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    check(!self->is_firing, "timer wheel destroyed from inside a callback");
    for (size_t i = 0; i < SLOTS; i++) {
        while (list_pop_front(&self->slots[i]) != NULL) {
        }
    }
    memory_free(self);
}

void timer_entry_init(struct timer_entry *entry, void (*on_due)(struct timer_entry *entry)) {
    list_init(&entry->link);
    entry->deadline_ms = 0;
    entry->on_due = on_due;
}

/* The first tick at or after the deadline: fired then, an entry is late by less than a tick and never early. */
static uint64_t tick_of(const timer_wheel_t *self, uint64_t deadline_ms) {
    return deadline_ms / self->tick_ms + (deadline_ms % self->tick_ms != 0);
}

void timer_wheel_set(timer_wheel_t *self, struct timer_entry *entry, uint64_t deadline_ms) {
    timer_wheel_cancel(self, entry);
    uint64_t tick = tick_of(self, deadline_ms);
    if (tick <= self->tick) {
        tick = self->tick + 1; /* passed already: due with the next tick */
    }
    entry->deadline_ms = deadline_ms;
    list_push_back(&self->slots[tick % SLOTS], &entry->link);
    self->n_set++;
}

void timer_wheel_cancel(timer_wheel_t *self, struct timer_entry *entry) {
    if (timer_entry_is_set(entry)) {
        list_remove(&entry->link);
        self->n_set--;
    }
}

/* Moves what a slot has for ticks up to `tick` to the due list; later rounds stay. */
static void collect_slot(timer_wheel_t *self, struct list_link *slot, uint64_t tick) {
    list_for_each_safe (link, slot) {
        const struct timer_entry *entry = list_entry(link, struct timer_entry, link);
        if (tick_of(self, entry->deadline_ms) <= tick) {
            list_remove(link);
            list_push_back(&self->due, link);
        }
    }
}

static void collect_due(timer_wheel_t *self, uint64_t tick) {
    uint64_t passed = tick - self->tick;
    uint64_t first = self->tick + 1;
    for (uint64_t i = 0; i < passed && i < SLOTS; i++) {
        collect_slot(self, &self->slots[(first + i) % SLOTS], tick);
    }
    self->tick = tick;
}

static size_t fire_due(timer_wheel_t *self) {
    size_t fired = 0;
    struct list_link *link;
    self->is_firing = true;
    while ((link = list_pop_front(&self->due)) != NULL) {
        struct timer_entry *entry = list_entry(link, struct timer_entry, link);
        self->n_set--;
        fired++;
        entry->on_due(entry); /* may have freed the entry */
    }
    self->is_firing = false;
    return fired;
}

size_t timer_wheel_advance(timer_wheel_t *self, uint64_t now_ms) {
    check(!self->is_firing, "timer wheel advanced from inside a callback");
    uint64_t tick = now_ms / self->tick_ms;
    if (tick <= self->tick) {
        return 0;
    }
    collect_due(self, tick);
    return fire_due(self);
}

size_t timer_wheel_count(const timer_wheel_t *self) {
    return self->n_set;
}
