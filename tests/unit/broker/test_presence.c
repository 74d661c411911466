/* Members of a channel: events change them once, loads fill and confirm, the dead are found after their grace. */
#include "broker/presence.h"

#include "broker/gateway_leases.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static presence_t *presence;
static struct buffer info;
static char gone[256];

static int set_up(void **state) {
    (void) state;
    presence = presence_new(100);
    buffer_init(&info, 0);
    gone[0] = '\0';
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    presence_destroy(&presence);
    buffer_finish(&info);
    return 0;
}

static struct engine_presence_entry entry_of(const char *client, const char *user, uint64_t lease_number) {
    buffer_clear(&info);
    wire_append_client_info(&info,
                            &(struct wire_client_info){.client = span_of_text(client), .user = span_of_text(user)});
    return (struct engine_presence_entry){
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g1"), .lease_number = lease_number};
}

static bool join(const char *client, const char *user) {
    struct engine_presence_entry entry = entry_of(client, user, 1);
    return presence_join(presence, &entry, 1000);
}

static bool load(const char *client, const char *user, uint64_t now_ms) {
    struct engine_presence_entry entry = entry_of(client, user, 1);
    return presence_load(presence, &entry, now_ms);
}

static bool leave(const char *client) {
    return presence_leave(presence, span_of_text(client));
}

static void expect_count(uint32_t clients, uint32_t users) {
    struct presence_stats stats = presence_count(presence);
    assert_int_equal(stats.clients, clients);
    assert_int_equal(stats.users, users);
}

static bool nobody_lives(void *context, struct span gateway_id, uint64_t lease_number) {
    (void) context;
    (void) gateway_id;
    (void) lease_number;
    return false;
}

static bool lease_two_lives(void *context, struct span gateway_id, uint64_t lease_number) {
    (void) context;
    return span_equal_text(gateway_id, "g1") && lease_number == 2;
}

static void note_gone(void *context, const struct presence_gone *one) {
    (void) context;
    strncat(gone, (const char *) one->client.data, one->client.size);
    strcat(gone, one->is_told ? "" : "?");
    strcat(gone, one->in_store ? "+ " : "- ");
}

static void clients_and_distinct_users_are_counted(void **state) {
    (void) state;
    assert_true(join("c1", "ann"));
    assert_true(join("c2", "ann"));
    assert_true(join("c3", ""));
    expect_count(3, 2);
    assert_true(leave("c1"));
    expect_count(2, 2);
    assert_true(leave("c2"));
    expect_count(1, 1);
}

static void a_second_join_or_leave_changes_nothing(void **state) {
    (void) state;
    assert_true(join("c1", "ann"));
    assert_false(join("c1", "ann"));
    expect_count(1, 1);
    assert_true(leave("c1"));
    assert_false(leave("c1"));
    expect_count(0, 0);
}

/* A token was refreshed with another info. */
static void who_is_here_may_say_something_else_of_itself(void **state) {
    (void) state;
    join("c1", "u1");
    presence_begin_load(presence);
    load("c1", "u1", 1000);
    presence_end_load(presence, 1000);
    struct buffer infos = BUFFER_EMPTY;
    struct engine_presence_entry entry = entry_of("c1", "u2", 1);
    presence_set(presence, &entry, 2000);
    bool fits = false;
    assert_int_equal(presence_append(presence, &infos, &fits), 1);
    struct cursor cursor = cursor_of(buffer_span(&infos));
    struct wire_client_info seen;
    assert_true(wire_read_client_info(cursor_sized(&cursor), &seen));
    assert_true(span_equal_text(seen.user, "u2"));
    buffer_finish(&infos);
    assert_false(join("c1", "u2")); /* it was here all the time */
    assert_true(leave("c1"));
}

static void malformed_info_changes_nothing(void **state) {
    (void) state;
    struct engine_presence_entry entry = {.info = SPAN_LITERAL("no info"), .gateway_id = SPAN_LITERAL("g1")};
    assert_false(presence_join(presence, &entry, 1000));
    expect_count(0, 0);
}

static void events_during_a_load_win(void **state) {
    (void) state;
    presence_begin_load(presence);
    assert_true(presence_is_loading(presence));
    assert_true(join("new", "ann"));
    assert_false(leave("left"));
    assert_false(load("left", "bob", 1000)); /* it was read before it left */
    assert_true(load("there", "cid", 1000));
    assert_false(load("new", "ann", 1000));
    presence_end_load(presence, 1000);
    assert_true(presence_is_ready(presence));
    expect_count(2, 2);
}

static void who_left_and_came_back_during_a_load_is_there(void **state) {
    (void) state;
    presence_begin_load(presence);
    leave("c1");
    assert_true(join("c1", "ann"));
    presence_end_load(presence, 1000);
    expect_count(1, 1);
}

static void a_failed_load_leaves_it_as_it_was(void **state) {
    (void) state;
    join("c1", "ann");
    presence_begin_load(presence);
    presence_fail_load(presence);
    assert_false(presence_is_ready(presence));
    expect_count(1, 1);
}

static void members_of_a_dead_lease_go_after_their_grace(void **state) {
    (void) state;
    struct presence_lives lives = {nobody_lives, NULL};
    join("c1", "ann");
    assert_false(presence_needs_sweep(presence, &lives, 1000 + PRESENCE_GRACE_MS - 1));
    assert_true(presence_needs_sweep(presence, &lives, 1000 + PRESENCE_GRACE_MS));
    presence_sweep(presence, &lives, 1000 + PRESENCE_GRACE_MS, note_gone, NULL);
    assert_string_equal(gone, "c1+ ");
}

static void a_load_brings_the_new_lease_of_a_member(void **state) {
    (void) state;
    struct presence_lives lives = {lease_two_lives, NULL};
    join("c1", "ann");
    assert_true(presence_needs_sweep(presence, &lives, 60000));
    presence_begin_load(presence);
    struct engine_presence_entry entry = entry_of("c1", "ann", 2);
    assert_false(presence_load(presence, &entry, 60000));
    presence_end_load(presence, 60000);
    assert_false(presence_needs_sweep(presence, &lives, 90000));
    expect_count(1, 1);
}

static bool everybody_lives(void *context, struct span gateway_id, uint64_t lease_number) {
    (void) context;
    (void) gateway_id;
    (void) lease_number;
    return true;
}

static void who_a_load_does_not_know_is_in_doubt_until_confirmed_or_gone(void **state) {
    (void) state;
    struct presence_lives lives = {everybody_lives, NULL};
    join("c1", "ann");
    join("c2", "bob");
    presence_begin_load(presence);
    presence_end_load(presence, 10000); /* the store was lost */
    expect_count(2, 2);
    assert_false(presence_needs_sweep(presence, &lives, 10001));
    struct engine_presence_entry entry = entry_of("c1", "ann", 1);
    assert_false(presence_join(presence, &entry, 12000)); /* RESYNC brought it back: no JOIN */
    assert_true(presence_needs_sweep(presence, &lives, 10000 + PRESENCE_GRACE_MS));
    presence_sweep(presence, &lives, 10000 + PRESENCE_GRACE_MS, note_gone, NULL);
    assert_string_equal(gone, "c2- ");
}

static void set(const char *client, const char *user, uint64_t now_ms) {
    struct engine_presence_entry entry = entry_of(client, user, 1);
    presence_set(presence, &entry, now_ms);
}

/* Who asks right behind its subscribing: the store's event is still on its way. */
static void who_is_set_here_is_listed_at_once_and_told_of_by_the_event(void **state) {
    (void) state;
    set("c1", "ann", 1000);
    expect_count(1, 1);
    set("c1", "ann's other name", 1000);
    expect_count(1, 1);
    assert_true(join("c1", "ann"));
    assert_false(join("c1", "ann"));
    set("c1", "ann", 2000);
    presence_clear(presence, SPAN_LITERAL("c1")); /* its event comes */
    expect_count(1, 1);
    assert_true(leave("c1"));
    expect_count(0, 0);
}

static void who_was_set_and_cleared_before_its_event_was_never_told_of(void **state) {
    (void) state;
    set("c1", "ann", 1000);
    presence_clear(presence, SPAN_LITERAL("c1"));
    expect_count(0, 0);
    set("c2", "bob", 1000);
    assert_false(leave("c2")); /* of its former time */
    expect_count(0, 0);
    assert_true(join("c2", "bob"));
    assert_true(leave("c2"));
}

static void a_load_tells_of_who_was_set_as_of_anybody_new(void **state) {
    (void) state;
    presence_begin_load(presence);
    set("c1", "ann", 1000);
    assert_true(load("c1", "ann", 1000));
    presence_end_load(presence, 1000);
    assert_false(join("c1", "ann"));
    expect_count(1, 1);
}

static void who_was_set_but_never_stored_goes_untold(void **state) {
    (void) state;
    struct presence_lives lives = {everybody_lives, NULL};
    set("c1", "ann", 1000);
    join("c2", "bob");
    presence_begin_load(presence);
    presence_end_load(presence, 1000 + PRESENCE_GRACE_MS);
    presence_sweep(presence, &lives, 1000 + PRESENCE_GRACE_MS, note_gone, NULL);
    assert_string_equal(gone, "c1?- ");
}

static void every_member_is_appended_within_the_bound(void **state) {
    (void) state;
    join("c1", "ann");
    join("c2", "bob");
    struct buffer out = BUFFER_EMPTY;
    bool fits = false;
    assert_int_equal(presence_append(presence, &out, &fits), 2);
    assert_true(fits);
    struct cursor cursor = cursor_of(buffer_span(&out));
    for (int i = 0; i < 2; i++) {
        struct wire_client_info member;
        assert_true(wire_read_client_info(cursor_sized(&cursor), &member));
    }
    assert_true(cursor_is_done(&cursor));
    buffer_clear(&out);
    out.limit = 20;
    presence_append(presence, &out, &fits);
    assert_false(fits);
    buffer_finish(&out);
}

static bool join_numbered(unsigned number, unsigned user) {
    char client[16];
    char name[16];
    snprintf(client, sizeof client, "c%u", number);
    snprintf(name, sizeof name, "u%u", user);
    return join(client, name);
}

static bool leave_numbered(unsigned number) {
    char client[16];
    snprintf(client, sizeof client, "c%u", number);
    return leave(client);
}

static void above_its_bound_it_counts_exactly_without_infos(void **state) {
    (void) state;
    for (unsigned i = 0; i < 100; i++) {
        assert_true(join_numbered(i, i % 7));
    }
    assert_true(presence_has_infos(presence));
    for (unsigned i = 100; i < 300; i++) {
        assert_true(join_numbered(i, i % 11));
        assert_false(presence_has_infos(presence));
        assert_false(join_numbered(i / 2, i / 2 < 100 ? i / 2 % 7 : i / 2 % 11));
    }
    expect_count(300, 11);
    for (unsigned i = 0; i < 250; i++) {
        assert_true(leave_numbered(i));
        assert_false(leave_numbered(i));
        assert_int_equal(presence_wants_infos(presence), 300 - i - 1 <= 50);
    }
    expect_count(50, 11);
    struct presence_lives lives = {nobody_lives, NULL};
    assert_true(presence_needs_sweep(presence, &lives, 60000)); /* it still knows their gateways */
}

static void without_infos_a_member_costs_less_the_larger_they_are(void **state) {
    (void) state;
    static const uint8_t bytes[10000];
    struct buffer large = BUFFER_EMPTY;
    wire_append_client_info(&large, &(struct wire_client_info){.client = SPAN_LITERAL("large"),
                                                               .user = SPAN_LITERAL("ann"),
                                                               .conn_info = span_of(bytes, sizeof bytes)});
    struct engine_presence_entry entry = {.info = buffer_span(&large), .gateway_id = SPAN_LITERAL("g1")};
    presence_join(presence, &entry, 1000);
    assert_true(presence_footprint(presence) > sizeof bytes);
    for (unsigned i = 0; i < 100; i++) {
        join_numbered(i, 0);
    }
    assert_true(presence_footprint(presence) < 101 * 250);
    presence_join(presence, &entry, 1000);
    assert_true(presence_footprint(presence) < 101 * 250);
    buffer_finish(&large);
}

static void a_load_brings_the_infos_back_when_half_of_the_bound_are_left(void **state) {
    (void) state;
    for (unsigned i = 0; i < 101; i++) {
        join_numbered(i, 0);
    }
    for (unsigned i = 50; i < 101; i++) {
        leave_numbered(i);
    }
    assert_true(presence_wants_infos(presence));
    presence_begin_load(presence);
    presence_fail_load(presence);
    assert_false(presence_has_infos(presence));
    presence_begin_load(presence);
    struct buffer whole = BUFFER_EMPTY;
    for (unsigned i = 0; i < 50; i++) {
        char client[16];
        snprintf(client, sizeof client, "c%u", i);
        buffer_clear(&whole);
        wire_append_client_info(&whole, &(struct wire_client_info){.client = span_of_text(client),
                                                                   .user = SPAN_LITERAL("u0"),
                                                                   .conn_info = SPAN_LITERAL("\"info\"")});
        struct engine_presence_entry entry = {.info = buffer_span(&whole), .gateway_id = SPAN_LITERAL("g1")};
        assert_false(presence_load(presence, &entry, 2000));
    }
    presence_end_load(presence, 2000);
    assert_true(presence_has_infos(presence));
    assert_false(presence_wants_infos(presence));
    buffer_clear(&whole);
    bool fits = false;
    assert_int_equal(presence_append(presence, &whole, &fits), 50);
    struct cursor cursor = cursor_of(buffer_span(&whole));
    for (int i = 0; i < 50; i++) {
        struct wire_client_info member;
        assert_true(wire_read_client_info(cursor_sized(&cursor), &member));
        assert_true(span_equal_text(member.conn_info, "\"info\""));
    }
    buffer_finish(&whole);
}

static void leases_say_who_lives(void **state) {
    (void) state;
    gateway_leases_t *leases = gateway_leases_new();
    assert_true(gateway_leases_is_alive(leases, SPAN_LITERAL("g1"), 9)); /* nothing is known yet */
    struct engine_lease list[] = {{.gateway_id = SPAN_LITERAL("g1"), .number = 5, .connections = 3, .users = 2}};
    assert_true(gateway_leases_update(leases, list, 1));
    assert_false(gateway_leases_update(leases, list, 1));
    assert_true(gateway_leases_is_alive(leases, SPAN_LITERAL("g1"), 5));
    assert_true(gateway_leases_is_alive(leases, SPAN_LITERAL("g1"), 0));
    assert_false(gateway_leases_is_alive(leases, SPAN_LITERAL("g1"), 4));
    assert_false(gateway_leases_is_alive(leases, SPAN_LITERAL("g2"), 0));
    assert_int_equal(gateway_leases_totals(leases).connections, 3);
    list[0].number = 6;
    assert_true(gateway_leases_update(leases, list, 1));
    assert_true(gateway_leases_update(leases, NULL, 0));
    assert_false(gateway_leases_is_alive(leases, SPAN_LITERAL("g1"), 6));
    gateway_leases_destroy(&leases);
}

static void leases_of_brokers_are_counted_and_are_no_gateways(void **state) {
    (void) state;
    gateway_leases_t *leases = gateway_leases_new();
    assert_int_equal(gateway_leases_totals(leases).brokers, 1); /* the one that asks */
    struct engine_lease list[] = {{.gateway_id = SPAN_LITERAL("broker:b1"), .number = 7},
                                  {.gateway_id = SPAN_LITERAL("g1"), .number = 5, .connections = 3},
                                  {.gateway_id = SPAN_LITERAL("broker:b2"), .number = 8}};
    assert_true(gateway_leases_update(leases, list, 2));
    assert_false(gateway_leases_update(leases, list, 3)); /* no gateway came */
    assert_int_equal(gateway_leases_totals(leases).brokers, 2);
    assert_int_equal(gateway_leases_totals(leases).gateways, 1);
    assert_int_equal(gateway_leases_totals(leases).connections, 3);
    assert_false(gateway_leases_is_alive(leases, SPAN_LITERAL("broker:b1"), 0));
    gateway_leases_destroy(&leases);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(clients_and_distinct_users_are_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_second_join_or_leave_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_is_here_may_say_something_else_of_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_info_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_during_a_load_win, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_left_and_came_back_during_a_load_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failed_load_leaves_it_as_it_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_of_a_dead_lease_go_after_their_grace, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_load_brings_the_new_lease_of_a_member, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_a_load_does_not_know_is_in_doubt_until_confirmed_or_gone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_is_set_here_is_listed_at_once_and_told_of_by_the_event, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_set_and_cleared_before_its_event_was_never_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_load_tells_of_who_was_set_as_of_anybody_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_was_set_but_never_stored_goes_untold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_member_is_appended_within_the_bound, set_up, tear_down),
        cmocka_unit_test_setup_teardown(above_its_bound_it_counts_exactly_without_infos, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_infos_a_member_costs_less_the_larger_they_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_load_brings_the_infos_back_when_half_of_the_bound_are_left, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(leases_say_who_lives, set_up, tear_down),
        cmocka_unit_test(leases_of_brokers_are_counted_and_are_no_gateways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
