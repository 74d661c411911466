/* The hash table whose links lie in its members. */
#include "broker/slot_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { MEMBERS = 1000 };

struct member {
    struct slot_link link;
    uint32_t key;
    unsigned n_seen;
};

static slot_table_t table;
static struct member members[MEMBERS];

static uint64_t hash_of(const slot_table_t *self, const struct slot_link *link) {
    return slot_table_hash_number(self, slot_entry(link, struct member, link)->key);
}

static int set_up(void **state) {
    (void) state;
    slot_table_init(&table, hash_of);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){.key = i * 64};
    }
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    slot_table_finish(&table);
    return 0;
}

static struct member *find(uint32_t key) {
    struct slot_link *link = slot_table_chain(&table, slot_table_hash_number(&table, key));
    while (link != NULL && slot_entry(link, struct member, link)->key != key) {
        link = link->next;
    }
    return link == NULL ? NULL : slot_entry(link, struct member, link);
}

static void add(uint32_t first, uint32_t n) {
    for (uint32_t i = first; i < first + n; i++) {
        slot_table_add(&table, &members[i].link);
    }
}

static void an_empty_table_has_nothing(void **state) {
    (void) state;
    assert_null(find(0));
    assert_null(slot_table_each(&table, &(struct slot_cursor){.slot = 0}));
}

static void members_are_found_while_it_grows(void **state) {
    (void) state;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        add(i, 1);
        assert_ptr_equal(find(members[i / 2].key), &members[i / 2]);
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_ptr_equal(find(members[i].key), &members[i]);
    }
    assert_null(find(1));
    assert_int_equal(table.n, MEMBERS);
    assert_true(table.n <= 2 * table.n_slots && table.n_slots < 2 * table.n);
}

static void a_removed_member_is_gone_and_the_others_stay(void **state) {
    (void) state;
    add(0, MEMBERS);
    for (uint32_t i = 0; i < MEMBERS; i += 2) {
        slot_table_remove(&table, &members[i].link);
    }
    assert_int_equal(table.n, MEMBERS / 2);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_ptr_equal(find(members[i].key), i % 2 == 0 ? NULL : &members[i]);
    }
    slot_table_add(&table, &members[0].link);
    assert_ptr_equal(find(members[0].key), &members[0]);
}

static void everyone_is_visited_once(void **state) {
    (void) state;
    add(0, MEMBERS);
    struct slot_cursor cursor = {.slot = 0};
    for (struct slot_link *link = NULL; (link = slot_table_each(&table, &cursor)) != NULL;) {
        slot_entry(link, struct member, link)->n_seen++;
    }
    for (uint32_t i = 0; i < MEMBERS; i++) {
        assert_int_equal(members[i].n_seen, 1);
    }
}

static void whoever_is_visited_may_be_removed(void **state) {
    (void) state;
    add(0, MEMBERS);
    struct slot_cursor cursor = {.slot = 0};
    size_t n = 0;
    for (struct slot_link *link = NULL; (link = slot_table_each(&table, &cursor)) != NULL; n++) {
        slot_table_remove(&table, link);
    }
    assert_int_equal(n, MEMBERS);
    assert_int_equal(table.n, 0);
}

static void tables_do_not_agree_on_hashes(void **state) {
    (void) state;
    slot_table_t other;
    slot_table_init(&other, hash_of);
    assert_int_not_equal(slot_table_hash_bytes(&table, SPAN_LITERAL("news:a")),
                         slot_table_hash_bytes(&other, SPAN_LITERAL("news:a")));
    slot_table_finish(&other);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_table_has_nothing),
        TEST(members_are_found_while_it_grows),
        TEST(a_removed_member_is_gone_and_the_others_stay),
        TEST(everyone_is_visited_once),
        TEST(whoever_is_visited_may_be_removed),
        TEST(tables_do_not_agree_on_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
