/* The order of batches: next, old, ahead, another gen, bounds, adopting, skipping; and random arrival. */
#include "broker/redis/batch_order.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct batch_order order;
static struct batch_entry entries[64];
static unsigned n_entries;

static struct partition_gen gen_named(char name) {
    struct partition_gen gen = {{0}};
    memset(gen.text, name, PARTITION_GEN_LENGTH);
    return gen;
}

static int fresh(void **state) {
    (void) state;
    batch_order_init(&order, 8, 1000);
    const struct partition_gen gen = gen_named('a');
    batch_order_adopt(&order, &gen, 40);
    batch_order_run(&order, true);
    n_entries = 0;
    return 0;
}

static enum batch_place offer_sized(char gen, uint64_t seq, size_t bytes) {
    struct batch_entry *entry = &entries[n_entries++];
    *entry = (struct batch_entry){.gen = gen_named(gen), .seq = seq, .bytes = bytes};
    list_init(&entry->link);
    return batch_order_offer(&order, entry);
}

static enum batch_place offer(char gen, uint64_t seq) {
    return offer_sized(gen, seq, 10);
}

static uint64_t take_ready(void) {
    struct batch_entry *entry = batch_order_take_ready(&order);
    return entry == NULL ? 0 : entry->seq;
}

static void the_next_one_is_applied_at_once(void **state) {
    (void) state;
    assert_int_equal(offer('a', 41), BATCH_NEXT);
    assert_int_equal(offer('a', 42), BATCH_NEXT);
    assert_int_equal(order.applied, 42);
}

static void an_old_one_is_dropped(void **state) {
    (void) state;
    assert_int_equal(offer('a', 40), BATCH_OLD);
    offer('a', 41);
    assert_int_equal(offer('a', 41), BATCH_OLD);
}

static void one_ahead_waits_for_those_before_it(void **state) {
    (void) state;
    assert_int_equal(offer('a', 43), BATCH_HELD);
    assert_int_equal(offer('a', 42), BATCH_HELD);
    assert_int_equal(take_ready(), 0);
    assert_true(batch_order_has_hole(&order));
    assert_int_equal(offer('a', 41), BATCH_NEXT);
    assert_int_equal(take_ready(), 42);
    assert_int_equal(take_ready(), 43);
    assert_int_equal(take_ready(), 0);
    assert_false(batch_order_has_hole(&order));
}

/* Worked scenario 8: the reply says 41, the topic was quicker with 42, and says both again. */
static void what_comes_twice_while_held_comes_out_as_old(void **state) {
    (void) state;
    offer('a', 42);
    offer('a', 42);
    offer('a', 41);
    struct batch_entry *first = batch_order_take_ready(&order);
    assert_false(first->is_old);
    struct batch_entry *second = batch_order_take_ready(&order);
    assert_int_equal(second->seq, 42);
    assert_true(second->is_old);
    assert_int_equal(take_ready(), 0);
    assert_int_equal(order.applied, 42);
}

static void another_gen_is_told_apart(void **state) {
    (void) state;
    assert_int_equal(offer('b', 41), BATCH_OTHER_GEN);
    assert_int_equal(order.applied, 40);
}

static void while_it_does_not_run_everything_is_held(void **state) {
    (void) state;
    batch_order_run(&order, false);
    assert_int_equal(offer('a', 41), BATCH_HELD);
    assert_int_equal(offer('b', 7), BATCH_HELD);
    assert_int_equal(take_ready(), 0);
    assert_false(batch_order_has_hole(&order));
}

static void adopting_sifts_what_was_held(void **state) {
    (void) state;
    batch_order_run(&order, false);
    offer('a', 41); /* of the gen that ended */
    offer('b', 6);  /* before the answer of hello */
    offer('b', 7);
    offer('b', 8);
    const struct partition_gen gen = gen_named('b');
    batch_order_adopt(&order, &gen, 6);
    batch_order_run(&order, true);
    unsigned n_stale = 0;
    struct batch_entry *stale;
    while ((stale = batch_order_take_stale(&order)) != NULL) {
        assert_true(stale->is_old);
        n_stale++;
    }
    assert_int_equal(n_stale, 2);
    assert_int_equal(take_ready(), 7);
    assert_int_equal(take_ready(), 8);
}

static void over_a_bound_the_newest_is_refused_and_expected(void **state) {
    (void) state;
    for (uint64_t seq = 42; seq < 50; seq++) {
        assert_int_equal(offer('a', seq), BATCH_HELD);
    }
    assert_int_equal(offer('a', 50), BATCH_REFUSED);
    assert_int_equal(order.expected, 50);
    assert_int_equal(order.n_held, 8);
}

static void the_bound_of_bytes_counts_what_is_held(void **state) {
    (void) state;
    assert_int_equal(offer_sized('a', 42, 600), BATCH_HELD);
    assert_int_equal(offer_sized('a', 43, 600), BATCH_REFUSED);
    assert_int_equal(offer_sized('a', 41, 600), BATCH_NEXT); /* what is applied at once is not held */
    assert_int_equal(take_ready(), 42);
    assert_int_equal(order.held_bytes, 0);
}

static void skipping_goes_on_with_the_first_held_one(void **state) {
    (void) state;
    offer('a', 45);
    offer('a', 47);
    batch_order_skip(&order);
    assert_int_equal(take_ready(), 45);
    assert_int_equal(take_ready(), 0);
    assert_true(batch_order_has_hole(&order));
    batch_order_skip(&order);
    assert_int_equal(take_ready(), 47);
}

static void what_was_expected_is_a_hole_until_it_comes_or_is_skipped(void **state) {
    (void) state;
    batch_order_expect(&order, 42);
    assert_true(batch_order_has_hole(&order));
    offer('a', 41);
    assert_true(batch_order_has_hole(&order));
    batch_order_skip(&order);
    assert_false(batch_order_has_hole(&order));
    assert_int_equal(order.applied, 42);
    assert_int_equal(offer('a', 42), BATCH_OLD);
}

static void any_order_of_arrival_is_applied_in_order_each_once(void **state) {
    for (unsigned round = 0; round < 2000; round++) {
        fresh(state);
        uint64_t seqs[16];
        for (unsigned i = 0; i < 16; i++) {
            seqs[i] = 41 + i / 2; /* each twice: reply and topic */
        }
        uint64_t last = 40;
        for (unsigned left = 16; left > 0; left--) {
            unsigned k = random_below(left);
            enum batch_place place = offer_sized('a', seqs[k], 1);
            if (place == BATCH_NEXT) {
                assert_int_equal(seqs[k], ++last);
            }
            if (place == BATCH_REFUSED) {
                continue; /* 8 held: it is offered again */
            }
            seqs[k] = seqs[left - 1];
            struct batch_entry *entry;
            while ((entry = batch_order_take_ready(&order)) != NULL) {
                if (!entry->is_old) {
                    assert_int_equal(entry->seq, ++last);
                }
            }
        }
        while (order.n_held > 0) {
            batch_order_skip(&order);
            while (take_ready() != 0) {
            }
        }
    }
}

int main(void) {
#define spec(name) cmocka_unit_test_setup(name, fresh)
    const struct CMUnitTest tests[] = {
        spec(the_next_one_is_applied_at_once),
        spec(an_old_one_is_dropped),
        spec(one_ahead_waits_for_those_before_it),
        spec(what_comes_twice_while_held_comes_out_as_old),
        spec(another_gen_is_told_apart),
        spec(while_it_does_not_run_everything_is_held),
        spec(adopting_sifts_what_was_held),
        spec(over_a_bound_the_newest_is_refused_and_expected),
        spec(the_bound_of_bytes_counts_what_is_held),
        spec(skipping_goes_on_with_the_first_held_one),
        spec(what_was_expected_is_a_hole_until_it_comes_or_is_skipped),
        spec(any_order_of_arrival_is_applied_in_order_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
