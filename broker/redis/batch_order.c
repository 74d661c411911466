/* See batch_order.h. The list is short in practice (a hole is filled within a round trip or given up after 20 ms), and
 * new entries belong at its end nearly always: so a list searched from the end. */
#include "broker/redis/batch_order.h"

#include "base/check.h"

#define entry_of(link_) list_entry(link_, struct batch_entry, link)

void batch_order_init(struct batch_order *self, size_t n_max, size_t bytes_max) {
    *self = (struct batch_order){.n_max = n_max, .bytes_max = bytes_max};
    list_init(&self->held);
}

void batch_order_let_go(struct batch_order *self, struct batch_entry *entry) {
    list_remove(&entry->link);
    self->n_held--;
    self->held_bytes -= entry->bytes;
}

static enum batch_place keep(struct batch_order *self, struct batch_entry *entry) {
    if (self->n_held >= self->n_max || self->held_bytes + entry->bytes > self->bytes_max) {
        if (self->running) {
            batch_order_expect(self, entry->seq);
        }
        return BATCH_REFUSED;
    }
    struct list_link *place = self->held.previous;
    while (place != &self->held && entry_of(place)->seq > entry->seq) {
        place = place->previous;
    }
    list_init(&entry->link);
    list_insert_before(place->next, &entry->link);
    self->n_held++;
    self->held_bytes += entry->bytes;
    return BATCH_HELD;
}

enum batch_place batch_order_offer(struct batch_order *self, struct batch_entry *entry) {
    if (!self->running) {
        return keep(self, entry);
    }
    if (!partition_gen_equal(&self->gen, &entry->gen)) {
        return BATCH_OTHER_GEN;
    }
    if (entry->seq <= self->applied) {
        return BATCH_OLD;
    }
    if (entry->seq == self->applied + 1) {
        self->applied = entry->seq;
        return BATCH_NEXT;
    }
    return keep(self, entry);
}

struct batch_entry *batch_order_take_ready(struct batch_order *self) {
    if (!self->running || list_is_empty(&self->held)) {
        return NULL;
    }
    struct batch_entry *entry = entry_of(self->held.next);
    if (entry->seq > self->applied + 1) {
        return NULL;
    }
    batch_order_let_go(self, entry);
    entry->is_old = entry->seq <= self->applied;
    if (!entry->is_old) {
        self->applied = entry->seq;
    }
    return entry;
}

void batch_order_adopt(struct batch_order *self, const struct partition_gen *gen, uint64_t seq) {
    self->gen = *gen;
    self->applied = seq;
    self->expected = seq;
}

struct batch_entry *batch_order_take_stale(struct batch_order *self) {
    list_for_each (link, &self->held) {
        struct batch_entry *entry = entry_of(link);
        if (!partition_gen_equal(&self->gen, &entry->gen) || entry->seq <= self->applied) {
            batch_order_let_go(self, entry);
            entry->is_old = true;
            return entry;
        }
    }
    return NULL;
}

struct batch_entry *batch_order_take_any(struct batch_order *self) {
    if (list_is_empty(&self->held)) {
        return NULL;
    }
    struct batch_entry *entry = entry_of(self->held.next);
    batch_order_let_go(self, entry);
    return entry;
}

void batch_order_run(struct batch_order *self, bool running) {
    self->running = running;
}

void batch_order_expect(struct batch_order *self, uint64_t seq) {
    if (seq > self->expected) {
        self->expected = seq;
    }
}

bool batch_order_has_hole(const struct batch_order *self) {
    return self->running && (!list_is_empty(&self->held) || self->expected > self->applied);
}

void batch_order_skip(struct batch_order *self) {
    check(self->running, "nothing to skip to");
    if (!list_is_empty(&self->held)) {
        uint64_t before_first = entry_of(self->held.next)->seq - 1;
        if (before_first > self->applied) {
            self->applied = before_first;
        }
    } else if (self->expected > self->applied) {
        self->applied = self->expected;
    }
}
