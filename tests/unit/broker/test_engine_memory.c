/* The memory engine where the contract cannot look: its budget, its times to the millisecond, its close. */
#include "broker/engine_memory.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* Time stands still unless a test moves it. */
static uint64_t now_us;

static uint64_t fake_monotonic_us(void) {
    return now_us;
}

static int64_t fake_wall_ms(void) {
    return 1700000000000 + (int64_t) (now_us / 1000);
}

struct world {
    uv_loop_t loop;
    metrics_t *metrics;
    engine_t *engine;
    struct namespace_options options;
    unsigned n_publications;
    unsigned n_presence;
    unsigned n_lease_calls;
    size_t n_leases;
    uint64_t lease_number;
    bool is_closed;
};

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    (void) channel, (void) epoch, (void) offset, (void) publication;
    ((struct world *) context)->n_publications++;
}
static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    (void) channel, (void) joined, (void) entry;
    ((struct world *) context)->n_presence++;
}
static void on_doubt(void *context, struct span channel) {
    (void) context, (void) channel;
    fail_msg("the memory engine never doubts");
}
static void on_partition_doubt(void *context, uint32_t partition) {
    (void) context, (void) partition;
    fail_msg("the memory engine never doubts");
}
static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    struct world *world = context;
    world->n_lease_calls++;
    world->n_leases = n_leases;
    world->lease_number = n_leases > 0 ? leases[0].number : 0;
}
static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    (void) context;
    assert_true(connected && pubsub_connected && reason != NULL);
}
static const struct engine_events events = {.on_publication = on_publication,
                                            .on_presence = on_presence,
                                            .on_doubt = on_doubt,
                                            .on_partition_doubt = on_partition_doubt,
                                            .on_leases = on_leases,
                                            .on_state = on_state};

static void turn(struct world *world) {
    uv_run(&world->loop, UV_RUN_NOWAIT);
}

static struct world *world_new(size_t bytes_max) {
    struct world *world = memory_alloc_zero(sizeof *world);
    struct engine_memory_limits limits = ENGINE_MEMORY_LIMITS_DEFAULT;
    limits.bytes_max = bytes_max;
    now_us = 5000000;
    clock_replace(fake_monotonic_us, fake_wall_ms);
    uv_loop_init(&world->loop);
    world->metrics = metrics_new();
    world->options =
        (struct namespace_options){.history_size = 100, .history_ttl_ms = 60000, .history_meta_ttl_ms = 120000};
    const struct engine_options options = {
        .loop = &world->loop, .metrics = world->metrics, .events = &events, .context = world};
    world->engine = engine_memory_new(&options, &limits);
    turn(world);
    return world;
}

static void on_closed(void *context) {
    ((struct world *) context)->is_closed = true;
}

static void close_world(struct world *world) {
    world->engine->methods->close(world->engine, on_closed, world);
    assert_false(world->is_closed);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->is_closed);
}

static void finish_world(struct world **world_p) {
    struct world *world = *world_p;
    if (!world->is_closed) {
        close_world(world);
    }
    assert_int_equal(uv_loop_close(&world->loop), 0);
    metrics_destroy(&world->metrics);
    clock_replace(NULL, NULL);
    memory_free(world);
}
#define auto_world __attribute__((cleanup(finish_world))) struct world

struct asked {
    union {
        struct engine_append append;
        struct engine_read read;
        struct engine_presence_read presence;
    };
    enum engine_outcome outcome;
    unsigned n_done;
    struct world *world;
    struct asked *then; /* appended from within on_done */
};

static void start(struct world *world, struct asked *asked, const char *channel, struct span data, const char *key);

static void on_append_done(struct engine_append *request, enum engine_outcome outcome) {
    struct asked *asked = list_entry(request, struct asked, append);
    asked->outcome = outcome;
    asked->n_done++;
    if (asked->then != NULL) {
        start(asked->world, asked->then, "then", SPAN_LITERAL("{}"), "");
    }
}

static void start(struct world *world, struct asked *asked, const char *channel, struct span data, const char *key) {
    asked->world = world;
    asked->append = (struct engine_append){.channel = span_of_text(channel),
                                           .options = &world->options,
                                           .key = span_of_text(key),
                                           .data = data,
                                           .on_done = on_append_done};
    engine_append(world->engine, &asked->append);
    assert_int_equal(asked->n_done, 0);
}

static struct asked append(struct world *world, const char *channel, size_t size) {
    struct asked asked = {.n_done = 0};
    uint8_t *data = memory_alloc_zero(size);
    start(world, &asked, channel, span_of(data, size), "");
    memory_free(data);
    turn(world);
    assert_int_equal(asked.n_done, 1);
    return asked;
}

static void on_read_done(struct engine_read *request, enum engine_outcome outcome) {
    struct asked *asked = list_entry(request, struct asked, read);
    asked->outcome = outcome;
    asked->n_done++;
}

static struct asked read_all(struct world *world, const char *channel) {
    struct asked asked = {
        .read = {.channel = span_of_text(channel), .options = &world->options, .limit = 1000, .on_done = on_read_done}};
    engine_read(world->engine, &asked.read);
    turn(world);
    assert_int_equal(asked.n_done, 1);
    return asked;
}

static void on_members_read(struct engine_presence_read *request, enum engine_outcome outcome) {
    struct asked *asked = list_entry(request, struct asked, presence);
    asked->outcome = outcome;
    asked->n_done++;
}

static uint32_t count_members(struct world *world, const char *channel) {
    struct asked asked = {.presence = {.channel = span_of_text(channel), .on_done = on_members_read}};
    world->engine->methods->presence_read(world->engine, &asked.presence);
    turn(world);
    assert_int_equal(asked.n_done, 1);
    return asked.presence.n_entries;
}

static void hold(struct world *world, const char *channel) {
    world->engine->methods->hold(world->engine, span_of_text(channel), &world->options);
}

static void release(struct world *world, const char *channel) {
    world->engine->methods->release(world->engine, span_of_text(channel));
}

static void pass_ms(uint64_t ms) {
    now_us += ms * 1000;
}

/* Lets the engine's own second tick, which is the loop's and not the replaced clock's. */
static void wait_tick(struct world *world) {
    unsigned before = world->n_lease_calls;
    while (world->n_lease_calls == before) {
        uv_run(&world->loop, UV_RUN_ONCE);
    }
}

static int64_t metric(struct world *world, const char *name) {
    return metrics_read(world->metrics, name, NULL);
}

static bool same_epoch(const struct position *a, const struct position *b) {
    return epoch_equal(&a->epoch, &b->epoch);
}

/* ---- time ---- */

static void history_goes_at_its_ttl_and_not_before(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    append(world, "x", 10);
    pass_ms(59999);
    assert_int_equal(read_all(world, "x").read.n_publications, 1);
    pass_ms(1);
    struct asked after = read_all(world, "x");
    assert_int_equal(after.read.n_publications, 0);
    assert_int_equal(after.read.top.offset, 1);
}

static void an_append_renews_the_history_of_its_channel(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    append(world, "x", 10);
    pass_ms(50000);
    append(world, "x", 10);
    pass_ms(50000);
    assert_int_equal(read_all(world, "x").read.n_publications, 2);
}

/* Channels know their age in seconds: not before, and a second later for sure. */
static void an_epoch_ends_at_its_meta_ttl_and_not_before(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked first = append(world, "x", 10);
    pass_ms(119999);
    struct asked second = append(world, "x", 10);
    assert_true(same_epoch(&first.append.position, &second.append.position));
    assert_int_equal(second.append.position.offset, 2);
    pass_ms(121000);
    struct asked third = append(world, "x", 10);
    assert_false(same_epoch(&second.append.position, &third.append.position));
    assert_int_equal(third.append.position.offset, 1);
}

static void reading_renews_an_epoch(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked first = append(world, "x", 10);
    pass_ms(100000);
    read_all(world, "x");
    pass_ms(100000);
    struct asked second = append(world, "x", 10);
    assert_true(same_epoch(&first.append.position, &second.append.position));
}

static void a_held_channel_keeps_its_epoch_and_a_released_one_for_its_meta_ttl(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    hold(world, "x");
    struct asked first = append(world, "x", 10);
    pass_ms(1000000);
    wait_tick(world);
    release(world, "x");
    pass_ms(119999);
    struct asked second = append(world, "x", 10);
    assert_true(same_epoch(&first.append.position, &second.append.position));
    assert_int_equal(second.append.position.offset, 2);
}

static void a_key_is_known_to_the_end_of_its_window(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked asked[3] = {{.n_done = 0}};
    start(world, &asked[0], "x", SPAN_LITERAL("1"), "key");
    pass_ms(299999);
    start(world, &asked[1], "x", SPAN_LITERAL("1"), "key");
    pass_ms(1);
    start(world, &asked[2], "x", SPAN_LITERAL("2"), "key");
    turn(world);
    assert_true(asked[1].append.duplicate);
    assert_int_equal(asked[2].outcome, ENGINE_OK);
    assert_false(asked[2].append.duplicate);
}

static void a_lease_lives_four_seconds(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    const struct engine_lease lease = {.gateway_id = SPAN_LITERAL("g"), .boot_nonce = 1};
    world->engine->methods->lease_renew(world->engine, &lease);
    turn(world);
    assert_int_equal(world->n_leases, 1);
    uint64_t number = world->lease_number;
    pass_ms(3999);
    wait_tick(world);
    assert_int_equal(world->n_leases, 1);
    world->engine->methods->lease_renew(world->engine, &lease);
    pass_ms(4000);
    world->engine->methods->lease_renew(world->engine, &lease);
    turn(world);
    assert_int_equal(world->n_leases, 1);
    assert_true(world->lease_number != number);
    pass_ms(4000);
    wait_tick(world);
    assert_int_equal(world->n_leases, 0);
}

static void what_is_past_its_time_is_freed_without_being_touched(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    for (int i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        append(world, name, 100);
    }
    wait_tick(world);
    assert_int_equal(metric(world, "callboard_memory_channels"), 20);
    assert_int_equal(metric(world, "callboard_memory_publications"), 20);
    pass_ms(60000);
    wait_tick(world);
    assert_int_equal(metric(world, "callboard_memory_publications"), 0);
    assert_int_equal(metric(world, "callboard_memory_channels"), 20);
    pass_ms(60000);
    wait_tick(world);
    assert_int_equal(metric(world, "callboard_memory_channels"), 0);
    assert_int_equal(metric(world, "callboard_memory_bytes"), 0);
}

static void a_channel_without_history_leaves_nothing_behind(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    world->options.history_size = 0;
    append(world, "x", 100);
    read_all(world, "x");
    turn(world);
    assert_int_equal(metric(world, "callboard_memory_channels"), 0);
    assert_int_equal(metric(world, "callboard_memory_bytes"), 0);
}

/* ---- the budget ---- */

static void over_the_budget_the_channel_longest_untouched_goes_with_its_epoch(void **state) {
    (void) state;
    auto_world *world = world_new(10000);
    struct asked a = append(world, "a", 3000);
    struct asked b = append(world, "b", 3000);
    struct position a_again = read_all(world, "a").read.top; /* now b is the oldest */
    assert_true(same_epoch(&a.append.position, &a_again));
    append(world, "c", 3000);
    append(world, "d", 2000);
    turn(world);
    assert_int_equal(metric(world, "callboard_memory_evicted_total"), 1);
    struct position a_after = read_all(world, "a").read.top;
    struct position b_after = read_all(world, "b").read.top;
    assert_true(same_epoch(&a.append.position, &a_after));
    assert_int_equal(a_after.offset, 1);
    assert_false(same_epoch(&b.append.position, &b_after));
    assert_int_equal(b_after.offset, 0);
}

static void the_budget_is_kept(void **state) {
    (void) state;
    auto_world *world = world_new(100000);
    for (int i = 0; i < 500; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        assert_int_equal(append(world, name, 1000).outcome, ENGINE_OK);
        assert_true(metric(world, "callboard_memory_bytes") <= 100000);
    }
    assert_true(metric(world, "callboard_memory_evicted_total") > 300);
}

static void a_held_channel_is_never_evicted(void **state) {
    (void) state;
    auto_world *world = world_new(20000);
    hold(world, "held");
    struct asked first = append(world, "held", 3000);
    for (int i = 0; i < 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "c%d", i);
        append(world, name, 3000);
    }
    struct asked read = read_all(world, "held");
    assert_true(position_equal(&read.read.top, &first.append.position));
    assert_int_equal(read.read.n_publications, 1);
}

static void over_the_budget_with_everything_held_an_append_is_refused_and_changes_nothing(void **state) {
    (void) state;
    auto_world *world = world_new(10000);
    hold(world, "x");
    append(world, "x", 6000);
    struct asked refused = append(world, "x", 6000);
    assert_int_equal(refused.outcome, ENGINE_FULL);
    assert_int_equal(world->n_publications, 1);
    assert_int_equal(metric(world, "callboard_memory_refused_total"), 1);
    assert_int_equal(read_all(world, "x").read.top.offset, 1);
    assert_int_equal(append(world, "x", 1000).append.position.offset, 2);
}

static void a_channel_at_its_history_size_goes_on_when_the_budget_is_full(void **state) {
    (void) state;
    auto_world *world = world_new(10000);
    world->options.history_size = 2;
    hold(world, "x");
    append(world, "x", 4000);
    append(world, "x", 4000);
    for (uint64_t i = 3; i < 10; i++) {
        struct asked asked = append(world, "x", 4000);
        assert_int_equal(asked.outcome, ENGINE_OK);
        assert_int_equal(asked.append.position.offset, i);
    }
}

static void room_made_by_a_release_is_used(void **state) {
    (void) state;
    auto_world *world = world_new(10000);
    hold(world, "x");
    append(world, "x", 8000);
    assert_int_equal(append(world, "y", 8000).outcome, ENGINE_FULL);
    release(world, "x");
    assert_int_equal(append(world, "y", 8000).outcome, ENGINE_OK);
}

static void over_the_budget_publications_that_are_not_kept_still_pass(void **state) {
    (void) state;
    auto_world *world = world_new(10000);
    hold(world, "x");
    append(world, "x", 9000);
    assert_int_equal(append(world, "x", 5000).outcome, ENGINE_FULL);
    world->options.history_size = 0;
    assert_int_equal(append(world, "live", 5000).outcome, ENGINE_OK);
    assert_int_equal(world->n_publications, 2);
}

static void a_read_that_would_make_an_epoch_over_the_budget_is_refused(void **state) {
    (void) state;
    auto_world *world = world_new(400);
    hold(world, "a channel whose name is long enough to be felt in a budget of four hundred bytes");
    hold(world, "another");
    hold(world, "a third");
    hold(world, "a fourth");
    assert_int_equal(read_all(world, "another").outcome, ENGINE_FULL);
}

static void held_back_it_grows_no_further_and_idle_channels_make_room(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    hold(world, "x");
    append(world, "x", 8000);
    append(world, "idle", 8000);
    engine_hold_back(world->engine, true);
    engine_hold_back(world->engine, true); /* said with every tick */
    assert_int_equal(append(world, "x", 8000).outcome, ENGINE_OK);
    assert_int_equal(append(world, "x", 8000).outcome, ENGINE_FULL);
    engine_hold_back(world->engine, false);
    assert_int_equal(append(world, "x", 8000).outcome, ENGINE_OK);
}

/* ---- presence ---- */

static void set_member(struct world *world, const char *channel, struct span info, uint64_t lease) {
    const struct engine_presence_entry entry = {info, SPAN_LITERAL("g"), lease};
    world->engine->methods->presence_set(world->engine, span_of_text(channel), &entry, false);
}

static void info_that_cannot_be_read_is_dropped_and_counted(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    set_member(world, "x", SPAN_LITERAL("\xff\xff\xff\xff"), 1);
    turn(world);
    assert_int_equal(world->n_presence, 0);
    assert_int_equal(metric(world, "callboard_memory_malformed_info_total"), 1);
    assert_int_equal(count_members(world, "x"), 0);
}

static void members_of_dead_gateways_are_forgotten_where_nobody_watches(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct buffer info = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = SPAN_LITERAL("c")});
    world->engine->methods->lease_renew(world->engine, &(struct engine_lease){.gateway_id = SPAN_LITERAL("g")});
    turn(world);
    hold(world, "held");
    set_member(world, "held", buffer_span(&info), world->lease_number);
    set_member(world, "idle", buffer_span(&info), world->lease_number);
    wait_tick(world);
    assert_int_equal(count_members(world, "idle"), 1);
    pass_ms(4000);
    wait_tick(world);
    assert_int_equal(count_members(world, "idle"), 0);
    assert_int_equal(count_members(world, "held"), 1); /* its shard clears it, and tells */
    buffer_finish(&info);
}

/* ---- the queue and the close ---- */

static void what_a_completion_asks_for_is_told_in_a_later_turn(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked second = {.n_done = 0};
    struct asked first = {.then = &second};
    start(world, &first, "x", SPAN_LITERAL("{}"), "");
    turn(world);
    assert_int_equal(first.n_done, 1);
    assert_int_equal(second.n_done, 0);
    turn(world);
    assert_int_equal(second.n_done, 1);
}

static void requests_under_way_at_the_close_are_cancelled_and_their_events_dropped(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked asked = {.n_done = 0};
    start(world, &asked, "x", SPAN_LITERAL("{}"), "");
    close_world(world);
    assert_int_equal(asked.n_done, 1);
    assert_int_equal(asked.outcome, ENGINE_CANCELLED);
    assert_int_equal(world->n_publications, 0);
}

static void what_a_cancelled_request_asks_for_is_cancelled_too(void **state) {
    (void) state;
    auto_world *world = world_new(1 << 20);
    struct asked third = {.n_done = 0};
    struct asked second = {.then = &third};
    struct asked first = {.then = &second};
    start(world, &first, "x", SPAN_LITERAL("{}"), "");
    close_world(world);
    assert_int_equal(first.n_done + second.n_done + third.n_done, 3);
    assert_int_equal(third.outcome, ENGINE_CANCELLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_goes_at_its_ttl_and_not_before),
        cmocka_unit_test(an_append_renews_the_history_of_its_channel),
        cmocka_unit_test(an_epoch_ends_at_its_meta_ttl_and_not_before),
        cmocka_unit_test(reading_renews_an_epoch),
        cmocka_unit_test(a_held_channel_keeps_its_epoch_and_a_released_one_for_its_meta_ttl),
        cmocka_unit_test(a_key_is_known_to_the_end_of_its_window),
        cmocka_unit_test(a_lease_lives_four_seconds),
        cmocka_unit_test(what_is_past_its_time_is_freed_without_being_touched),
        cmocka_unit_test(a_channel_without_history_leaves_nothing_behind),
        cmocka_unit_test(over_the_budget_the_channel_longest_untouched_goes_with_its_epoch),
        cmocka_unit_test(the_budget_is_kept),
        cmocka_unit_test(a_held_channel_is_never_evicted),
        cmocka_unit_test(over_the_budget_with_everything_held_an_append_is_refused_and_changes_nothing),
        cmocka_unit_test(a_channel_at_its_history_size_goes_on_when_the_budget_is_full),
        cmocka_unit_test(room_made_by_a_release_is_used),
        cmocka_unit_test(over_the_budget_publications_that_are_not_kept_still_pass),
        cmocka_unit_test(a_read_that_would_make_an_epoch_over_the_budget_is_refused),
        cmocka_unit_test(held_back_it_grows_no_further_and_idle_channels_make_room),
        cmocka_unit_test(info_that_cannot_be_read_is_dropped_and_counted),
        cmocka_unit_test(members_of_dead_gateways_are_forgotten_where_nobody_watches),
        cmocka_unit_test(what_a_completion_asks_for_is_told_in_a_later_turn),
        cmocka_unit_test(requests_under_way_at_the_close_are_cancelled_and_their_events_dropped),
        cmocka_unit_test(what_a_cancelled_request_asks_for_is_cancelled_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
