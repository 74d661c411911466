/* Which brokers there are and which one is first for a partition. */
#include "gateway/broker_directory.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t loop;
    timer_wheel_t *wheel;
    broker_directory_t *directory;
    unsigned n_added;
    unsigned n_removed;
    struct broker_entry *added[8];
};

static void on_added(void *context, struct broker_entry *entry) {
    struct fixture *fixture = context;
    fixture->added[fixture->n_added++] = entry;
}

static void on_removed(void *context, struct broker_entry *entry) {
    (void) entry;
    ((struct fixture *) context)->n_removed++;
}

static void open_directory(struct fixture *fixture, const char **endpoints, size_t n) {
    static const struct broker_directory_callbacks callbacks = {on_added, on_removed};
    char error[256] = "";
    uv_loop_init(&fixture->loop);
    fixture->wheel = timer_wheel_new(clock_monotonic_ms(), 5);
    fixture->directory = broker_directory_new(&fixture->loop, fixture->wheel,
                                              &(struct config_text_list){(char **) (uintptr_t) endpoints, n}, 50,
                                              &callbacks, fixture, error, sizeof error);
    if (fixture->directory == NULL) {
        fail_msg("%s", error);
    }
}

static void on_closed(void *context) {
    *(bool *) context = true;
}

static void close_directory(struct fixture *fixture) {
    bool closed = false;
    broker_directory_close(&fixture->directory, on_closed, &closed);
    while (!closed) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    timer_wheel_destroy(&fixture->wheel);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
}

static void three_live(struct fixture *fixture) {
    static const char *endpoints[] = {"tcp://10.0.0.1:7700", "tcp://10.0.0.2:7700", "inproc://broker"};
    open_directory(fixture, endpoints, 3);
    broker_directory_set_partitions(fixture->directory, 256);
    broker_directory_set_live(fixture->directory, fixture->added[0], SPAN_LITERAL("broker-0"), 1);
    broker_directory_set_live(fixture->directory, fixture->added[1], SPAN_LITERAL("broker-1"), 2);
    broker_directory_set_live(fixture->directory, fixture->added[2], SPAN_LITERAL("broker-2"), 3);
}

static void fixed_endpoints_are_added_at_once_and_only_once(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    const char *endpoints[] = {"tcp://10.0.0.1:7700", "tcp://[::1]:7700", "ipc:///run/broker", "tcp://10.0.0.1:7700"};
    open_directory(&fixture, endpoints, 4);
    assert_int_equal(fixture.n_added, 3);
    assert_int_equal(broker_directory_known(fixture.directory), 3);
    assert_int_equal(broker_directory_alive(fixture.directory), 0);
    assert_string_equal(fixture.added[1]->address, "tcp://[::1]:7700");
    assert_null(broker_directory_first(fixture.directory, 0));
    close_directory(&fixture);
}

static void malformed_endpoints_are_refused_with_a_reason(void **state) {
    (void) state;
    static const char *bad[] = {"broker:7700",      "tcp://broker",       "tcp://broker:",
                                "tcp://:7700",      "tcp://broker:0",     "tcp://broker:65536",
                                "tcp://broker:77x", "http://broker:7700", "",
                                "tcp://[::1:7700"};
    static const struct broker_directory_callbacks callbacks = {on_added, on_removed};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fixture fixture = {.n_added = 0};
        char error[256] = "";
        uv_loop_init(&fixture.loop);
        fixture.wheel = timer_wheel_new(0, 5);
        assert_null(broker_directory_new(&fixture.loop, fixture.wheel,
                                         &(struct config_text_list){(char **) (uintptr_t) &bad[i], 1}, 50, &callbacks,
                                         &fixture, error, sizeof error));
        assert_non_null(strstr(error, "brokers.endpoints"));
        assert_int_equal(fixture.n_added, 0);
        timer_wheel_destroy(&fixture.wheel);
        assert_int_equal(uv_loop_close(&fixture.loop), 0);
    }
}

static void the_first_broker_of_a_partition_is_the_one_of_highest_rank(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    three_live(&fixture);
    unsigned count[3] = {0};
    for (uint32_t i = 0; i < 256; i++) {
        struct broker_entry *first = broker_directory_first(fixture.directory, i);
        for (size_t k = 0; k < 3; k++) {
            assert_true(partition_rank(i, span_of_text(first->id)) >=
                        partition_rank(i, span_of_text(fixture.added[k]->id)));
            count[k] += first == fixture.added[k];
        }
    }
    assert_true(count[0] > 40 && count[1] > 40 && count[2] > 40);
    close_directory(&fixture);
}

static void only_the_partitions_of_a_broker_that_goes_move(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    three_live(&fixture);
    struct broker_entry *before[256];
    for (uint32_t i = 0; i < 256; i++) {
        before[i] = broker_directory_first(fixture.directory, i);
    }
    uint64_t moved = broker_directory_moved_total(fixture.directory);
    broker_directory_set_gone(fixture.directory, fixture.added[1]);
    unsigned n_moved = 0;
    for (uint32_t i = 0; i < 256; i++) {
        struct broker_entry *now = broker_directory_first(fixture.directory, i);
        assert_ptr_not_equal(now, fixture.added[1]);
        assert_true(before[i] == fixture.added[1] || before[i] == now);
        n_moved += before[i] == fixture.added[1];
    }
    assert_int_equal(broker_directory_moved_total(fixture.directory) - moved, n_moved);
    /* It comes back under its id, as pods do: everything is where it was. */
    broker_directory_set_live(fixture.directory, fixture.added[1], SPAN_LITERAL("broker-1"), 99);
    for (uint32_t i = 0; i < 256; i++) {
        assert_ptr_equal(broker_directory_first(fixture.directory, i), before[i]);
    }
    close_directory(&fixture);
}

static void a_draining_broker_is_asked_only_when_no_other_lives(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    three_live(&fixture);
    broker_directory_set_draining(fixture.directory, fixture.added[0]);
    for (uint32_t i = 0; i < 256; i++) {
        assert_ptr_not_equal(broker_directory_first(fixture.directory, i), fixture.added[0]);
    }
    broker_directory_set_gone(fixture.directory, fixture.added[1]);
    broker_directory_set_gone(fixture.directory, fixture.added[2]);
    assert_ptr_equal(broker_directory_first(fixture.directory, 17), fixture.added[0]);
    assert_int_equal(fixture.n_removed, 0); /* they are still configured */
    close_directory(&fixture);
}

static void the_same_id_behind_another_address_is_found(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    three_live(&fixture);
    struct span id = SPAN_LITERAL("broker-1");
    assert_ptr_equal(broker_directory_find_live(fixture.directory, id, fixture.added[0]), fixture.added[1]);
    assert_null(broker_directory_find_live(fixture.directory, id, fixture.added[1]));
    close_directory(&fixture);
}

static void a_name_is_resolved_and_each_address_is_a_broker(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    const char *endpoints[] = {"tcp://localhost:7700"};
    open_directory(&fixture, endpoints, 1);
    uint64_t deadline_ms = clock_monotonic_ms() + 20000;
    while (fixture.n_added == 0 && clock_monotonic_ms() < deadline_ms) {
        uv_run(&fixture.loop, UV_RUN_NOWAIT);
    }
    assert_in_range(fixture.n_added, 1, 2); /* 127.0.0.1, ::1 or both */
    for (unsigned i = 0; i < fixture.n_added; i++) {
        const char *address = fixture.added[i]->address;
        assert_true(strcmp(address, "tcp://127.0.0.1:7700") == 0 || strcmp(address, "tcp://[::1]:7700") == 0);
    }
    close_directory(&fixture);
}

static void closing_while_a_name_is_being_resolved_ends(void **state) {
    (void) state;
    struct fixture fixture = {.n_added = 0};
    const char *endpoints[] = {"tcp://localhost:7700"};
    open_directory(&fixture, endpoints, 1);
    close_directory(&fixture);
    assert_int_equal(fixture.n_added, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_endpoints_are_added_at_once_and_only_once),
        cmocka_unit_test(malformed_endpoints_are_refused_with_a_reason),
        cmocka_unit_test(the_first_broker_of_a_partition_is_the_one_of_highest_rank),
        cmocka_unit_test(only_the_partitions_of_a_broker_that_goes_move),
        cmocka_unit_test(a_draining_broker_is_asked_only_when_no_other_lives),
        cmocka_unit_test(the_same_id_behind_another_address_is_found),
        cmocka_unit_test(a_name_is_resolved_and_each_address_is_a_broker),
        cmocka_unit_test(closing_while_a_name_is_being_resolved_ends),
    };
    return cmocka_run_group_tests_name("broker_directory", tests, NULL, NULL);
}
