/* Batches of one partition, applied strictly in the order of their numbers (redis.md, "Two connections, one order").
 * Pure: no clock, no I/O; what a batch is, the caller knows.
 *
 *   offered: the next one → apply, then take what became ready; an old one → drop; ahead → held until the missing one
 *   comes, or until the caller gives it up (skip); of another gen → the caller asks (hello).
 *
 * While it does not run everything is held: the answer of hello, or a read of seq, decides what was old. Over a bound
 * the newest is refused and, where the order runs, expected. Thread: the owner's. */
#ifndef CALLBOARD_BROKER_BATCH_ORDER_H
#define CALLBOARD_BROKER_BATCH_ORDER_H

#include "base/list.h"
#include "broker/redis/partition_state.h"

#include <stddef.h>

/* Embedded in what the caller holds. */
struct batch_entry {
    struct list_link link;
    struct partition_gen gen;
    uint64_t seq;
    size_t bytes;
    bool is_old; /* out: it comes out of the order, but what it did was applied already (it came twice) */
};

struct batch_order {
    struct list_link held; /* by seq, lowest first */
    size_t n_held;
    size_t held_bytes;
    size_t n_max;
    size_t bytes_max;
    bool running; /* else everything is held: the partition is being joined, opened, or suspect */
    struct partition_gen gen;
    uint64_t applied;  /* the last batch applied */
    uint64_t expected; /* somebody said that batches up to here exist */
};

enum batch_place {
    BATCH_NEXT,      /* apply it now; then ask batch_order_take_ready */
    BATCH_OLD,       /* was applied before: drop it */
    BATCH_HELD,      /* the order keeps it */
    BATCH_OTHER_GEN, /* drop it, and ask */
    BATCH_REFUSED,   /* over a bound: drop it; what it held is expected */
};

void batch_order_init(struct batch_order *self, size_t n_max, size_t bytes_max);
/* BATCH_NEXT has already counted it as applied. */
enum batch_place batch_order_offer(struct batch_order *self, struct batch_entry *entry);
/* The held batch that is next now, counted as applied and no longer held, or one that is_old; NULL: none. */
struct batch_entry *batch_order_take_ready(struct batch_order *self);
/* From here on gen and everything above seq. */
void batch_order_adopt(struct batch_order *self, const struct partition_gen *gen, uint64_t seq);
/* Runs or holds. After it began to run: batch_order_take_stale until NULL, then batch_order_take_ready. */
void batch_order_run(struct batch_order *self, bool running);
/* What is held of another gen, or not above what was applied (is_old); NULL: none. */
struct batch_entry *batch_order_take_stale(struct batch_order *self);
/* This held one is held no longer. */
void batch_order_let_go(struct batch_order *self, struct batch_entry *entry);
/* Any held entry, for dropping them all; NULL: none is left. */
struct batch_entry *batch_order_take_any(struct batch_order *self);
/* Batches up to seq exist. */
void batch_order_expect(struct batch_order *self, uint64_t seq);
/* Is something missing that should have come? */
bool batch_order_has_hole(const struct batch_order *self);
/* Gives the missing ones up: the first held one is next, or what was expected counts as applied. */
void batch_order_skip(struct batch_order *self);

#endif
