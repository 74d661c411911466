/* See backend_pending.h. Places are an array that grows to the bound; free ones form a list by index. */
#include "broker/backend/backend_pending.h"

#include "base/check.h"
#include "base/memory.h"

enum { PART_BITS = 12, PLACE_BITS = 20, FIRST_PLACES = 64 };
static const uint32_t NO_PLACE = UINT32_MAX;

struct backend_pending {
    struct backend_waiting **places; /* each allocated once, so that pointers stay */
    uint32_t *next_free;             /* by place */
    uint32_t first_free;
    uint32_t n_places;
    uint32_t places_max;
    size_t n_used;
};

backend_pending_t *backend_pending_new(size_t places_max) {
    backend_pending_t *self = memory_alloc_zero(sizeof *self);
    self->places_max = places_max > BACKEND_PENDING_MAX ? BACKEND_PENDING_MAX : (uint32_t) places_max;
    self->first_free = NO_PLACE;
    return self;
}

void backend_pending_destroy(backend_pending_t **self_p) {
    backend_pending_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (uint32_t i = 0; i < self->n_places; i++) {
        if (self->places[i]->is_used) {
            backend_pending_remove(self, self->places[i]);
        }
        memory_free(self->places[i]);
    }
    memory_free(self->places);
    memory_free(self->next_free);
    memory_free(self);
    *self_p = NULL;
}

static bool grow(backend_pending_t *self) {
    uint32_t n = self->n_places == 0 ? FIRST_PLACES : self->n_places * 2;
    n = n > self->places_max ? self->places_max : n;
    if (n <= self->n_places) {
        return false;
    }
    self->places = memory_realloc(self->places, n * sizeof *self->places);
    self->next_free = memory_realloc(self->next_free, n * sizeof *self->next_free);
    for (uint32_t i = n; i > self->n_places; i--) {
        self->places[i - 1] = memory_alloc_zero(sizeof **self->places);
        self->places[i - 1]->place = i - 1;
        self->next_free[i - 1] = self->first_free;
        self->first_free = i - 1;
    }
    self->n_places = n;
    return true;
}

struct backend_waiting *backend_pending_add(backend_pending_t *self, zmq_msg_t *routing, bool has_delimiter,
                                            struct span id, const void *method, uint32_t n_parts,
                                            uint64_t deadline_ms) {
    check(n_parts > 0 && n_parts <= BACKEND_PARTS_MAX, "%u parts", n_parts);
    if (self->first_free == NO_PLACE && !grow(self)) {
        return NULL;
    }
    struct backend_waiting *waiting = self->places[self->first_free];
    self->first_free = self->next_free[self->first_free];
    self->n_used++;
    waiting->is_used = true;
    waiting->has_delimiter = has_delimiter;
    waiting->id_size = (uint8_t) id.size;
    if (id.size > 0) { /* of a batch and by hand it has none */
        memcpy(waiting->id, id.data, id.size);
    }
    zmq_msg_init(&waiting->routing);
    waiting->batch = NULL;
    waiting->by_hand = NULL;
    if (routing != NULL) {
        zmq_msg_move(&waiting->routing, routing);
    }
    waiting->parts_left = n_parts;
    waiting->n_parts = n_parts;
    waiting->deadline_ms = deadline_ms;
    waiting->method = method;
    waiting->replies = memory_alloc_array(n_parts, sizeof *waiting->replies);
    return waiting;
}

uint64_t backend_pending_ticket(const struct backend_waiting *waiting, uint32_t part) {
    return (uint64_t) waiting->generation << 32 | (uint64_t) waiting->place << PART_BITS | part;
}

struct backend_waiting *backend_pending_find(const backend_pending_t *self, uint64_t ticket) {
    uint32_t place = (uint32_t) (ticket >> PART_BITS) & ((1U << PLACE_BITS) - 1);
    uint32_t part = (uint32_t) ticket & (BACKEND_PARTS_MAX - 1);
    struct backend_waiting *waiting = place < self->n_places ? self->places[place] : NULL;
    bool is_it = waiting != NULL && waiting->is_used && waiting->generation == (uint32_t) (ticket >> 32) &&
                 part < waiting->n_parts;
    return is_it ? waiting : NULL;
}

struct backend_waiting *backend_pending_take(backend_pending_t *self, struct shard_reply *reply) {
    uint32_t part = (uint32_t) reply->ticket & (BACKEND_PARTS_MAX - 1);
    struct backend_waiting *waiting = backend_pending_find(self, reply->ticket);
    if (waiting == NULL || waiting->replies[part] != NULL) {
        memory_free(reply);
        return NULL;
    }
    waiting->replies[part] = reply;
    waiting->parts_left--;
    return waiting->parts_left == 0 ? waiting : NULL;
}

void backend_pending_remove(backend_pending_t *self, struct backend_waiting *waiting) {
    for (uint32_t i = 0; i < waiting->n_parts; i++) {
        memory_free(waiting->replies[i]);
    }
    memory_free(waiting->replies);
    waiting->replies = NULL;
    zmq_msg_close(&waiting->routing);
    waiting->is_used = false;
    waiting->generation++;
    self->next_free[waiting->place] = self->first_free;
    self->first_free = waiting->place;
    self->n_used--;
}

struct backend_waiting *backend_pending_overdue(backend_pending_t *self, uint64_t now_ms) {
    for (uint32_t n = 0; n < self->n_places; n++) {
        struct backend_waiting *waiting = self->places[n];
        if (waiting->is_used && waiting->deadline_ms <= now_ms) {
            return waiting;
        }
    }
    return NULL;
}

size_t backend_pending_count(const backend_pending_t *self) {
    return self->n_used;
}
