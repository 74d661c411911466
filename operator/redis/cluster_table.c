/* See cluster_table.h. A line is
 *
 *   id ip:port@busport[,hostname[,name=value]…] flag,flag primary-id ping pong config-epoch link-state [slots]…
 *
 * with slots as 5, 5-9, [5->-id] (leaving) or [5-<-id] (coming). Older and newer servers differ in what stands behind
 * the bus port; all of that is passed over. Failures: a line with fewer words, an id of another length, a slot out of
 * range, a node told twice: the whole answer is refused, since half a table would make healthy nodes look lost. */
#include "operator/redis/cluster_table.h"

#include "base/memory.h"

enum { WORDS_BEFORE_SLOTS = 8 };

static struct span next_part(struct span *rest, char separator) {
    const uint8_t *end = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
    struct span part = {rest->data, end == NULL ? rest->size : (size_t) (end - rest->data)};
    size_t taken = end == NULL ? rest->size : part.size + 1;
    *rest = (struct span){rest->data + taken, rest->size - taken};
    return part;
}

static bool set_id(char id[CLUSTER_ID_LENGTH + 1], struct span text) {
    if (text.size != CLUSTER_ID_LENGTH) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("0123456789abcdef", text.data[i]) == NULL || text.data[i] == '\0') {
            return false;
        }
    }
    memcpy(id, text.data, text.size);
    id[text.size] = '\0';
    return true;
}

/* ip:port@busport,… ; the ip may be IPv6 or missing. */
static bool set_address(struct cluster_node *node, struct span text) {
    struct span rest = text;
    struct span address = next_part(&rest, ',');
    rest = address;
    address = next_part(&rest, '@');
    size_t colon = address.size;
    while (colon > 0 && address.data[colon - 1] != ':') {
        colon--;
    }
    uint64_t port = 0;
    if (colon == 0 || colon - 1 >= CLUSTER_HOST_MAX ||
        !span_parse_u64(span_of(address.data + colon, address.size - colon), &port) || port > UINT16_MAX) {
        return false;
    }
    memcpy(node->host, address.data, colon - 1);
    node->host[colon - 1] = '\0';
    node->port = (uint16_t) port;
    return strlen(node->host) == colon - 1;
}

static void set_flags(struct cluster_node *node, struct span text) {
    while (text.size > 0) {
        struct span flag = next_part(&text, ',');
        node->is_myself |= span_equal_text(flag, "myself");
        node->is_primary |= span_equal_text(flag, "master");
        node->is_failed |= span_equal_text(flag, "fail") || span_equal_text(flag, "fail?");
        node->is_handshake |= span_equal_text(flag, "handshake");
        if (span_equal_text(flag, "noaddr")) {
            node->host[0] = '\0';
        }
    }
}

/* [93->-id] or [93-<-id]. */
static bool add_open_slot(struct cluster_table *self, struct cluster_node *node, struct span text) {
    struct cluster_open_slot open;
    uint64_t slot = 0;
    struct span rest = span_of(text.data + 1, text.size - 1);
    struct span number = next_part(&rest, '-');
    if (!span_parse_u64(number, &slot) || slot >= CLUSTER_SLOTS || self->n_open >= CLUSTER_SLOTS ||
        rest.size != CLUSTER_ID_LENGTH + 3 || (rest.data[0] != '>' && rest.data[0] != '<') || rest.data[1] != '-' ||
        rest.data[rest.size - 1] != ']' || !set_id(open.id, span_of(rest.data + 2, CLUSTER_ID_LENGTH))) {
        return false;
    }
    open.slot = (uint16_t) slot;
    open.is_leaving = rest.data[0] == '>';
    self->open = memory_realloc(self->open, (self->n_open + 1) * sizeof *self->open);
    self->open[self->n_open++] = open;
    node->has_open_slots = true;
    return true;
}

static bool add_slots(struct cluster_table *self, struct cluster_node *node, struct span text) {
    if (text.size > 0 && text.data[0] == '[') {
        return add_open_slot(self, node, text);
    }
    struct span rest = text;
    struct span first = next_part(&rest, '-');
    uint64_t from = 0;
    uint64_t to = 0;
    if (!span_parse_u64(first, &from) || (first.size < text.size && !span_parse_u64(rest, &to))) {
        return false;
    }
    to = first.size < text.size ? to : from;
    if (from > to || to >= CLUSTER_SLOTS || self->n_ranges >= CLUSTER_SLOTS) {
        return false;
    }
    self->ranges = memory_realloc(self->ranges, (self->n_ranges + 1) * sizeof *self->ranges);
    self->ranges[self->n_ranges++] = (struct cluster_slots){(uint16_t) from, (uint16_t) to};
    node->n_ranges++;
    return true;
}

static bool parse_line(struct cluster_table *self, struct span line, struct cluster_node *node) {
    struct span words[WORDS_BEFORE_SLOTS];
    for (size_t i = 0; i < WORDS_BEFORE_SLOTS; i++) {
        words[i] = next_part(&line, ' ');
        if (words[i].size == 0) {
            return false;
        }
    }
    *node = (struct cluster_node){.first_range = self->n_ranges};
    if (!set_id(node->id, words[0]) || cluster_table_find(self, node->id) != NULL || !set_address(node, words[1]) ||
        (!span_equal_text(words[3], "-") && !set_id(node->primary_id, words[3])) ||
        !span_parse_u64(words[6], &node->config_epoch)) {
        return false;
    }
    set_flags(node, words[2]);
    node->is_linked = span_equal_text(words[7], "connected");
    while (line.size > 0) {
        struct span slots = next_part(&line, ' ');
        if (!add_slots(self, node, slots)) {
            return false;
        }
    }
    return true;
}

bool cluster_table_parse(struct cluster_table *self, struct span text) {
    *self = CLUSTER_TABLE_EMPTY;
    size_t myself = CLUSTER_TABLE_NODES_MAX;
    while (text.size > 0) {
        struct span line = next_part(&text, '\n');
        if (line.size > 0 && line.data[line.size - 1] == '\r') {
            line.size--;
        }
        if (line.size == 0) {
            continue;
        }
        struct cluster_node node;
        if (self->n >= CLUSTER_TABLE_NODES_MAX || !parse_line(self, line, &node)) {
            cluster_table_finish(self);
            return false;
        }
        myself = node.is_myself ? self->n : myself;
        self->nodes = memory_realloc(self->nodes, (self->n + 1) * sizeof *self->nodes);
        self->nodes[self->n++] = node;
    }
    self->myself = myself < self->n ? myself : self->n;
    return self->n > 0;
}

void cluster_table_finish(struct cluster_table *self) {
    memory_free(self->nodes);
    memory_free(self->ranges);
    memory_free(self->open);
    *self = CLUSTER_TABLE_EMPTY;
}

const struct cluster_node *cluster_table_find(const struct cluster_table *self, const char *id) {
    for (size_t i = 0; i < self->n; i++) {
        if (strcmp(self->nodes[i].id, id) == 0) {
            return &self->nodes[i];
        }
    }
    return NULL;
}

const struct cluster_node *cluster_table_myself(const struct cluster_table *self) {
    return self->myself < self->n ? &self->nodes[self->myself] : NULL;
}

size_t cluster_table_known(const struct cluster_table *self) {
    size_t known = 0;
    for (size_t i = 0; i < self->n; i++) {
        known += !self->nodes[i].is_handshake;
    }
    return known;
}

bool cluster_node_serves(const struct cluster_table *self, const struct cluster_node *node, unsigned slot) {
    for (size_t i = 0; i < node->n_ranges; i++) {
        const struct cluster_slots *range = &self->ranges[node->first_range + i];
        if (slot >= range->first && slot <= range->last) {
            return true;
        }
    }
    return false;
}

size_t cluster_node_slots(const struct cluster_table *self, const struct cluster_node *node) {
    size_t slots = 0;
    for (size_t i = 0; i < node->n_ranges; i++) {
        const struct cluster_slots *range = &self->ranges[node->first_range + i];
        slots += (size_t) range->last - range->first + 1;
    }
    return slots;
}
