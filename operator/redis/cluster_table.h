/* The answer of CLUSTER NODES as a value: what one node knows of all. Bounded: CLUSTER_TABLE_NODES_MAX nodes. Thread:
 * any (values). */
#ifndef CALLBOARD_OPERATOR_CLUSTER_TABLE_H
#define CALLBOARD_OPERATOR_CLUSTER_TABLE_H

#include "base/bytes.h"

enum { CLUSTER_SLOTS = 16384, CLUSTER_ID_LENGTH = 40, CLUSTER_TABLE_NODES_MAX = 1024, CLUSTER_HOST_MAX = 64 };

struct cluster_slots {
    uint16_t first;
    uint16_t last;
};

/* A slot that its owner moves away, or that is moved here. */
struct cluster_open_slot {
    uint16_t slot;
    bool is_leaving;                /* MIGRATING; else IMPORTING */
    char id[CLUSTER_ID_LENGTH + 1]; /* the node at the other end */
};

struct cluster_node {
    char id[CLUSTER_ID_LENGTH + 1];
    char primary_id[CLUSTER_ID_LENGTH + 1]; /* empty: it is a primary (or not known) */
    char host[CLUSTER_HOST_MAX];            /* empty: not known yet */
    uint16_t port;
    bool is_myself;
    bool is_primary;
    bool is_failed; /* fail or fail? */
    bool is_handshake;
    bool is_linked; /* the bus link to it is up */
    uint64_t config_epoch;
    size_t first_range; /* of cluster_table.ranges */
    size_t n_ranges;
    bool has_open_slots; /* one is on the way to another node */
};

struct cluster_table {
    struct cluster_node *nodes;
    size_t n;
    struct cluster_slots *ranges;
    size_t n_ranges;
    struct cluster_open_slot *open; /* of the node itself: it tells no others' */
    size_t n_open;
    size_t myself; /* index of it; n: none */
};

#define CLUSTER_TABLE_EMPTY ((struct cluster_table){.nodes = NULL})

/* False: it is no such answer, or over a bound; the table is empty then. Finish it all the same. */
bool cluster_table_parse(struct cluster_table *self, struct span text);
void cluster_table_finish(struct cluster_table *self);

const struct cluster_node *cluster_table_find(const struct cluster_table *self, const char *id); /* NULL: not there */
const struct cluster_node *cluster_table_myself(const struct cluster_table *self);               /* NULL: not there */
/* Nodes that are known for good (no handshake under way). */
size_t cluster_table_known(const struct cluster_table *self);
bool cluster_node_serves(const struct cluster_table *self, const struct cluster_node *node, unsigned slot);
size_t cluster_node_slots(const struct cluster_table *self, const struct cluster_node *node);

#endif
