/* Deadlines of many objects in O(1): pings, expiries, request timeouts. A hashed wheel of 1,024 slots; an entry fires
 * at its deadline or up to one tick later, never earlier; entries further away than a round stay for more rounds. A
 * fired entry is unlinked before its callback, which may set it again (it fires in a later advance then, however near
 * the deadline), cancel or move others (also those due in the same advance), or free its own object; it may not advance
 * or destroy the wheel. "Later" is counted in advances: nothing fires by itself. Thread: the owner's. */
#ifndef CALLBOARD_BASE_TIMER_WHEEL_H
#define CALLBOARD_BASE_TIMER_WHEEL_H

#include "base/list.h"

#include <stdint.h>

typedef struct timer_wheel timer_wheel_t;

struct timer_entry {
    struct list_link link;
    uint64_t deadline_ms;
    void (*on_due)(struct timer_entry *entry); /* find the object with list_entry(entry, type, member) */
};

timer_wheel_t *timer_wheel_new(uint64_t now_ms, uint32_t tick_ms);
void timer_wheel_destroy(timer_wheel_t **self_p); /* unlinks what is left, calls nothing */

void timer_entry_init(struct timer_entry *entry, void (*on_due)(struct timer_entry *entry));
/* Sets or moves the deadline; one that passed is due with the next tick. */
void timer_wheel_set(timer_wheel_t *self, struct timer_entry *entry, uint64_t deadline_ms);
void timer_wheel_cancel(timer_wheel_t *self, struct timer_entry *entry); /* harmless when not set */
static inline bool timer_entry_is_set(const struct timer_entry *entry) {
    return list_is_linked(&entry->link);
}
/* Fires what is due at `now_ms`; returns how many. After a pause longer than a round everything due fires once, at
 * once, in no order that means anything. */
size_t timer_wheel_advance(timer_wheel_t *self, uint64_t now_ms);
size_t timer_wheel_count(const timer_wheel_t *self);

#endif
