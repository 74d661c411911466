/* See redis_cluster_map.h.
 *
 * CLUSTER SLOTS: [[first, last, primary, replica…]…], a node being [endpoint, port, id, [name, value…]]. The endpoint
 * is an address, a name, empty or nil ("as you reached me"), or "?" (a name is wanted and none is set: the address
 * stands behind, among the names and values). */
#include "broker/redis/topology/redis_cluster_map.h"

#include "base/memory.h"

enum { NOBODY = UINT16_MAX };

struct redis_cluster_map {
    struct redis_cluster_node *nodes;
    size_t n_nodes;
    size_t capacity;
    uint16_t owners[REDIS_CLUSTER_SLOTS];
};

redis_cluster_map_t *redis_cluster_map_new(void) {
    redis_cluster_map_t *self = memory_alloc_zero(sizeof *self);
    for (size_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++) {
        self->owners[slot] = NOBODY;
    }
    return self;
}

void redis_cluster_map_destroy(redis_cluster_map_t **self_p) {
    if (*self_p != NULL) {
        memory_free((*self_p)->nodes);
        memory_free(*self_p);
        *self_p = NULL;
    }
}

/* Its number, made where it is new; NOBODY: there are too many. */
static uint16_t intern(redis_cluster_map_t *self, const struct redis_address *address) {
    for (size_t i = 0; i < self->n_nodes; i++) {
        if (redis_address_equal(&self->nodes[i].address, address)) {
            return (uint16_t) i;
        }
    }
    if (self->n_nodes == REDIS_CLUSTER_NODES_MAX) {
        return NOBODY;
    }
    if (self->n_nodes == self->capacity) {
        self->capacity = self->capacity == 0 ? 16 : self->capacity * 2;
        self->nodes = memory_realloc(self->nodes, self->capacity * sizeof *self->nodes);
    }
    self->nodes[self->n_nodes] = (struct redis_cluster_node){.address = *address};
    return (uint16_t) self->n_nodes++;
}

/* ---- CLUSTER SLOTS ---- */

/* The value of "ip" among a node's names and values. */
static struct span hidden_address(const struct redis_reply *node) {
    const struct redis_reply *pairs = node->n > 3 ? &node->elements[3] : NULL;
    for (size_t i = 0; pairs != NULL && pairs->type == REDIS_ARRAY && i + 1 < pairs->n; i += 2) {
        if (redis_reply_is_text(&pairs->elements[i], "ip")) {
            return redis_reply_string(&pairs->elements[i + 1]);
        }
    }
    return SPAN_EMPTY;
}

/* False: it cannot be reached by what is told. */
static bool parse_node(const struct redis_reply *node, const struct redis_address *asked,
                       struct redis_address *ret_address) {
    if (node->type != REDIS_ARRAY || node->n < 2 || node->elements[1].type != REDIS_INTEGER ||
        node->elements[1].integer <= 0) {
        return false;
    }
    struct span host = redis_reply_string(&node->elements[0]);
    if (span_equal_text(host, "?")) {
        host = hidden_address(node);
        if (host.size == 0) {
            return false;
        }
    }
    return redis_address_set(ret_address, host.size == 0 ? span_of_text(asked->host) : host,
                             (uint64_t) node->elements[1].integer);
}

/* A range whose primary is unreachable by what is told stays unserved; a broken one spoils the whole. */
static bool take_range(redis_cluster_map_t *self, const struct redis_reply *range, const struct redis_address *asked) {
    if (range->type != REDIS_ARRAY || range->n < 3 || range->elements[0].type != REDIS_INTEGER ||
        range->elements[1].type != REDIS_INTEGER) {
        return false;
    }
    int64_t first = range->elements[0].integer;
    int64_t last = range->elements[1].integer;
    if (first < 0 || last < first || last >= REDIS_CLUSTER_SLOTS) {
        return false;
    }
    uint16_t primary = NOBODY;
    unsigned replicas = 0;
    for (size_t i = 2; i < range->n; i++) {
        struct redis_address address;
        if (!parse_node(&range->elements[i], asked, &address)) {
            continue;
        }
        uint16_t number = intern(self, &address);
        if (number == NOBODY) {
            return false;
        }
        primary = i == 2 ? number : primary;
        replicas += i > 2;
    }
    if (primary != NOBODY) {
        self->nodes[primary].replicas = replicas;
    }
    for (int64_t slot = first; slot <= last; slot++) {
        self->owners[slot] = primary;
    }
    return true;
}

redis_cluster_map_t *redis_cluster_map_parse(const struct redis_reply *reply, const struct redis_address *asked) {
    if (reply->type != REDIS_ARRAY) {
        return NULL;
    }
    redis_cluster_map_t *self = redis_cluster_map_new();
    for (size_t i = 0; i < reply->n; i++) {
        if (!take_range(self, &reply->elements[i], asked)) {
            redis_cluster_map_destroy(&self);
            return NULL;
        }
    }
    return self;
}

/* ---- the map ---- */

const struct redis_cluster_node *redis_cluster_map_find(const redis_cluster_map_t *self, uint32_t slot) {
    uint16_t owner = self->owners[slot];
    return owner == NOBODY ? NULL : &self->nodes[owner];
}

bool redis_cluster_map_move(redis_cluster_map_t *self, uint32_t slot, const struct redis_address *address) {
    uint16_t owner = intern(self, address);
    if (owner == NOBODY || owner == self->owners[slot]) {
        return false;
    }
    self->owners[slot] = owner;
    return true;
}

bool redis_cluster_map_equal(const redis_cluster_map_t *a, const redis_cluster_map_t *b) {
    uint16_t pair[2] = {NOBODY, NOBODY}; /* the last that were found alike: slots come in long ranges */
    for (size_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++) {
        uint16_t in_a = a->owners[slot];
        uint16_t in_b = b->owners[slot];
        if ((in_a == pair[0] && in_b == pair[1]) || (in_a == NOBODY && in_b == NOBODY)) {
            continue;
        }
        if (in_a == NOBODY || in_b == NOBODY || a->nodes[in_a].replicas != b->nodes[in_b].replicas ||
            !redis_address_equal(&a->nodes[in_a].address, &b->nodes[in_b].address)) {
            return false;
        }
        pair[0] = in_a;
        pair[1] = in_b;
    }
    return true;
}

size_t redis_cluster_map_unserved(const redis_cluster_map_t *self) {
    size_t n = 0;
    for (size_t slot = 0; slot < REDIS_CLUSTER_SLOTS; slot++) {
        n += self->owners[slot] == NOBODY;
    }
    return n;
}

size_t redis_cluster_map_count(const redis_cluster_map_t *self) {
    return self->n_nodes;
}

const struct redis_address *redis_cluster_map_node(const redis_cluster_map_t *self, size_t number) {
    return &self->nodes[number].address;
}

/* ---- CLUSTER INFO ---- */

/* The value behind "name:" at the start of a line. */
static struct span line_value(struct span text, struct span name) {
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t) (end - text.data);
        struct span line = span_of(text.data, size);
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line.size--;
        }
        if (span_starts_with(line, name)) {
            return span_of(line.data + name.size, line.size - name.size);
        }
        text = end == NULL ? SPAN_EMPTY : span_of(end + 1, text.size - size - 1);
    }
    return SPAN_EMPTY;
}

bool redis_cluster_condition_parse(struct span text, struct redis_cluster_condition *ret_condition) {
    struct span state = line_value(text, SPAN_LITERAL("cluster_state:"));
    ret_condition->is_ok = span_equal_text(state, "ok");
    ret_condition->epoch = 0;
    return state.size > 0 &&
           span_parse_u64(line_value(text, SPAN_LITERAL("cluster_current_epoch:")), &ret_condition->epoch);
}
