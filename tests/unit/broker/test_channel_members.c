/* Who is in a channel, over a scripted engine: members are loaded, swept, asked for again, read again after a doubt. */
#include "tests/unit/broker/channel_harness.h"

static void members_are_swept_only_when_a_fresh_load_still_says_dead(void **state) {
    (void) state;
    options.presence = true;
    options.join_leave = true;
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info,
                            &(struct wire_client_info){.client = SPAN_LITERAL("c1"), .user = SPAN_LITERAL("ann")});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g9"), .lease_number = 4};
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
    struct engine_presence_read *read = engine.presence_read;
    engine.presence_read = NULL;
    read->n_entries = 1;
    read->entries = &entry;
    read->on_done(read, ENGINE_OK);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
    expect_nothing(); /* the first load is no news */

    tells_leases = true; /* its gateway is dead */
    tell_leases();
    channel_set_on_leases_changed(channels, now_us / 1000);
    pass_ms(7000);
    assert_non_null(engine.presence_read);
    assert_string_equal(engine.cleared, "");
    read = engine.presence_read;
    read->n_entries = 1;
    read->entries = &entry;
    read->on_done(read, ENGINE_OK);
    assert_string_equal(engine.cleared, "c1@g9.4");
    assert_int_equal(n_swept_living, 0);
    channel_on_presence(channel(), false, &entry, now_us / 1000);
    struct wire_leave leave;
    assert_true(wire_decode_leave(expect(WIRE_LEAVE), &leave));
    channel_on_presence(channel(), false, &entry, now_us / 1000);
    expect_nothing();
    buffer_finish(&info);
}

/* A set that waited under the gateway's former lease overtook the one under the new lease. */
static void a_living_gateway_is_asked_again_for_a_member_that_is_swept_under_its_former_lease(void **state) {
    (void) state;
    options.presence = true;
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = SPAN_LITERAL("c1")});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g9"), .lease_number = 4};
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
    for (int i = 0; i < 2; i++) { /* the first load, and the one before the sweep */
        struct engine_presence_read *read = engine.presence_read;
        assert_non_null(read);
        engine.presence_read = NULL;
        read->n_entries = 1;
        read->entries = &entry;
        read->on_done(read, ENGINE_OK);
        assert_int_equal(n_swept_living, i);
        told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g9"), .number = 5};
        tells_leases = true;
        tell_leases();
        channel_set_on_leases_changed(channels, now_us / 1000);
        pass_ms(7000);
    }
    assert_string_equal(engine.cleared, "c1@g9.4");
    buffer_finish(&info);
}

static void answer_presence(uint64_t cursor, const char *client, uint64_t next);

/* Of gateway g1, which lives. */
static void hold_with_presence(void) {
    options.presence = true;
    told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g1"), .number = 1};
    tells_leases = true;
    tell_leases();
    ask(1, 1, NULL, 0, false);
    answer_read("e", 0, 0, 0);
    expect_answer(1, NO, 0);
}

static void members_whose_changes_were_missed_are_read_again(void **state) {
    (void) state;
    hold_with_presence();
    answer_presence(0, "c1", 0);
    pass_ms(60000);
    assert_null(engine.presence_read); /* nobody asks while nothing is in doubt */
    channel_set_on_presence_doubt(channels, partition_of(channel_name(channel()), (uint32_t) config.partitions),
                                  now_us / 1000);
    assert_null(engine.presence_read); /* not at once: holes come when the network is slow */
    pass_ms(2000);
    answer_presence(0, "c2", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 2); /* c1 has its grace */
    pass_ms(3 * PRESENCE_GRACE_MS);
    answer_presence(0, "c2", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

static void fail_presence(enum engine_outcome outcome) {
    struct engine_presence_read *read = engine.presence_read;
    assert_non_null(read);
    engine.presence_read = NULL;
    read->on_done(read, outcome);
}

static void members_that_could_not_be_read_now_are_read_a_second_later(void **state) {
    (void) state;
    hold_with_presence();
    answer_presence(0, "c1", 0);
    pass_ms(60000);
    channel_set_on_partition_doubt(channels, partition_of(channel_name(channel()), (uint32_t) config.partitions),
                                   now_us / 1000);
    fail_presence(ENGINE_TEMPORARY);
    assert_null(engine.presence_read);
    pass_ms(2000);
    answer_presence(0, "c1", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

/* The page that is asked for brings one member. */
static void answer_presence(uint64_t cursor, const char *client, uint64_t next) {
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.client = span_of_text(client)});
    struct engine_presence_entry entry = {
        .info = buffer_span(&info), .gateway_id = SPAN_LITERAL("g1"), .lease_number = 1};
    struct engine_presence_read *read = engine.presence_read;
    assert_non_null(read);
    assert_int_equal(read->cursor, cursor);
    engine.presence_read = NULL;
    read->n_entries = 1;
    read->entries = &entry;
    read->next = next;
    read->on_done(read, ENGINE_OK);
    buffer_finish(&info);
}

static void members_are_loaded_page_by_page_and_anew_after_a_doubt(void **state) {
    (void) state;
    options.presence = true;
    told_lease = (struct engine_lease){.gateway_id = SPAN_LITERAL("g1"), .number = 1};
    tells_leases = true;
    tell_leases();
    ask(1, 1, NULL, 0, false);
    answer_presence(0, "c1", 41);
    assert_null(channel_presence(channel()));
    channel_set_on_partition_doubt(channels, partition_of(SPAN_LITERAL("news:a"), 256), now_us / 1000);
    answer_presence(41, "c2", 42);
    answer_presence(42, "c3", 0);
    answer_presence(0, "c1", 0); /* what was read first may not be true any more */
    assert_non_null(channel_presence(channel()));
    assert_null(engine.presence_read);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 3); /* c2 and c3 have their grace */
    pass_ms(4500); /* with a load behind it, that is the 5 s in which who is gone is seen to be */
    answer_presence(0, "c1", 0);
    assert_int_equal(presence_count(channel_presence(channel())).clients, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(members_are_swept_only_when_a_fresh_load_still_says_dead),
        TEST(a_living_gateway_is_asked_again_for_a_member_that_is_swept_under_its_former_lease),
        TEST(members_whose_changes_were_missed_are_read_again),
        TEST(members_that_could_not_be_read_now_are_read_a_second_later),
        TEST(members_are_loaded_page_by_page_and_anew_after_a_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
