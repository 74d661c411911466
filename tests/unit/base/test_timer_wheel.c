/* The timer wheel: never early, at most a tick late, and robust against what callbacks do to it. */
#include "aborts.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/timer_wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { TICK = 10, ROUND = 1024 * TICK };

/* An object with a timer, as users have them. */
struct object {
    struct timer_entry timer;
    timer_wheel_t *wheel;
    unsigned fired;
    uint64_t next_deadline_ms; /* re-set in the callback, when not 0 */
    struct object *victim;     /* cancelled in the callback */
    struct object *moved;      /* set to moved_deadline_ms in the callback */
    uint64_t moved_deadline_ms;
};

static void on_due(struct timer_entry *entry) {
    struct object *self = list_entry(entry, struct object, timer);
    self->fired++;
    assert_false(timer_entry_is_set(entry));
    if (self->next_deadline_ms != 0) {
        timer_wheel_set(self->wheel, entry, self->next_deadline_ms);
    }
    if (self->victim != NULL) {
        timer_wheel_cancel(self->wheel, &self->victim->timer);
    }
    if (self->moved != NULL) {
        timer_wheel_set(self->wheel, &self->moved->timer, self->moved_deadline_ms);
    }
}

static void object_init(struct object *self, timer_wheel_t *wheel) {
    *self = (struct object){.wheel = wheel};
    timer_entry_init(&self->timer, on_due);
}

static void an_entry_fires_at_its_deadline_or_up_to_a_tick_later_never_earlier(void **state) {
    (void) state;
    for (uint64_t start = 0; start < 25; start++) {
        for (uint64_t deadline = start + 1; deadline < start + 60; deadline++) {
            timer_wheel_t *wheel = timer_wheel_new(start, TICK);
            struct object object;
            object_init(&object, wheel);
            timer_wheel_set(wheel, &object.timer, deadline);
            uint64_t now = start;
            while (object.fired == 0) {
                timer_wheel_advance(wheel, ++now);
            }
            assert_in_range(now, deadline, deadline + TICK - 1);
            timer_wheel_destroy(&wheel);
        }
    }
}

static void an_entry_fires_once(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(1000, TICK);
    struct object object;
    object_init(&object, wheel);
    assert_false(timer_entry_is_set(&object.timer));
    timer_wheel_set(wheel, &object.timer, 1100);
    assert_true(timer_entry_is_set(&object.timer));
    assert_int_equal(timer_wheel_count(wheel), 1);
    assert_int_equal(timer_wheel_advance(wheel, 1100), 1);
    assert_int_equal(timer_wheel_count(wheel), 0);
    assert_int_equal(timer_wheel_advance(wheel, 1100 + 3 * ROUND), 0);
    assert_int_equal(object.fired, 1);
    timer_wheel_destroy(&wheel);
    assert_null(wheel);
    timer_wheel_destroy(&wheel);
}

static void entries_further_away_than_a_round_stay_for_more_rounds(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 3 * ROUND + 50);
    for (uint64_t now = 0; now < 3 * ROUND + 50; now += TICK) {
        assert_int_equal(timer_wheel_advance(wheel, now), 0);
    }
    assert_int_equal(timer_wheel_advance(wheel, 3 * ROUND + 50), 1);
    timer_wheel_destroy(&wheel);
}

static void exactly_one_round_ahead_is_not_now(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, ROUND);
    assert_int_equal(timer_wheel_advance(wheel, ROUND - 1), 0);
    assert_int_equal(timer_wheel_advance(wheel, ROUND), 1);
    timer_wheel_destroy(&wheel);
}

static void a_deadline_that_passed_is_due_with_the_next_tick(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(5000, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 0);
    assert_int_equal(timer_wheel_advance(wheel, 5009), 0);
    assert_int_equal(timer_wheel_advance(wheel, 5010), 1);
    timer_wheel_destroy(&wheel);
}

static void setting_again_moves_the_deadline_either_way(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 100);
    timer_wheel_set(wheel, &object.timer, 500);
    assert_int_equal(timer_wheel_count(wheel), 1);
    assert_int_equal(timer_wheel_advance(wheel, 490), 0);
    timer_wheel_set(wheel, &object.timer, 50000);
    timer_wheel_set(wheel, &object.timer, 500);
    assert_int_equal(timer_wheel_advance(wheel, 500), 1);
    timer_wheel_destroy(&wheel);
}

static void a_cancelled_entry_does_not_fire(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_cancel(wheel, &object.timer);
    timer_wheel_set(wheel, &object.timer, 100);
    timer_wheel_cancel(wheel, &object.timer);
    assert_int_equal(timer_wheel_count(wheel), 0);
    assert_int_equal(timer_wheel_advance(wheel, 1000), 0);
    timer_wheel_destroy(&wheel);
}

static void never_is_a_deadline(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, UINT64_MAX);
    assert_int_equal(timer_wheel_advance(wheel, 10 * ROUND), 0);
    assert_true(timer_entry_is_set(&object.timer));
    timer_wheel_destroy(&wheel);
    assert_false(timer_entry_is_set(&object.timer));
}

static void a_callback_may_set_its_entry_again(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 100);
    object.next_deadline_ms = 200;
    assert_int_equal(timer_wheel_advance(wheel, 100), 1);
    assert_int_equal(timer_wheel_advance(wheel, 190), 0);
    assert_int_equal(timer_wheel_advance(wheel, 200), 1);
    timer_wheel_destroy(&wheel);
}

static void a_callback_that_sets_its_entry_to_the_past_does_not_spin(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 100);
    object.next_deadline_ms = 1;
    assert_int_equal(timer_wheel_advance(wheel, 5 * ROUND), 1);
    assert_int_equal(timer_wheel_advance(wheel, 5 * ROUND), 0);
    assert_int_equal(timer_wheel_advance(wheel, 5 * ROUND + TICK), 1);
    timer_wheel_destroy(&wheel);
}

static void a_callback_may_cancel_another_entry_that_is_due_with_it(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object first;
    struct object second;
    object_init(&first, wheel);
    object_init(&second, wheel);
    first.victim = &second;
    second.victim = &first;
    timer_wheel_set(wheel, &first.timer, 100);
    timer_wheel_set(wheel, &second.timer, 100);
    assert_int_equal(timer_wheel_advance(wheel, 100), 1);
    assert_int_equal(first.fired + second.fired, 1);
    assert_int_equal(timer_wheel_count(wheel), 0);
    timer_wheel_destroy(&wheel);
}

static void a_callback_may_move_another_entry_that_is_due_with_it(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object first;
    struct object second;
    object_init(&first, wheel);
    object_init(&second, wheel);
    first.moved = &second;
    first.moved_deadline_ms = 5000;
    timer_wheel_set(wheel, &first.timer, 100);
    timer_wheel_set(wheel, &second.timer, 200);
    assert_int_equal(timer_wheel_advance(wheel, 1000), 1);
    assert_int_equal(second.fired, 0);
    assert_int_equal(timer_wheel_advance(wheel, 5000), 1);
    assert_int_equal(second.fired, 1);
    timer_wheel_destroy(&wheel);
}

static void free_object(struct timer_entry *entry) {
    memory_free(list_entry(entry, struct object, timer));
}

static void a_callback_may_free_its_object(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    for (int i = 0; i < 3; i++) {
        struct object *object = memory_alloc_zero(sizeof *object);
        timer_entry_init(&object->timer, free_object);
        timer_wheel_set(wheel, &object->timer, 100);
    }
    assert_int_equal(timer_wheel_advance(wheel, 100), 3);
    timer_wheel_destroy(&wheel);
}

static void after_a_pause_longer_than_a_round_everything_due_fires_once(void **state) {
    (void) state;
    enum { OBJECTS = 3000 };
    static struct object objects[OBJECTS];
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    for (uint64_t i = 0; i < OBJECTS; i++) {
        object_init(&objects[i], wheel);
        timer_wheel_set(wheel, &objects[i].timer, (i + 1) * TICK);
    }
    assert_int_equal(timer_wheel_advance(wheel, 2000 * TICK), 2000);
    for (uint64_t i = 0; i < OBJECTS; i++) {
        assert_int_equal(objects[i].fired, i < 2000);
    }
    assert_int_equal(timer_wheel_count(wheel), 1000);
    timer_wheel_destroy(&wheel);
}

static void time_that_goes_back_fires_nothing(void **state) {
    (void) state;
    timer_wheel_t *wheel = timer_wheel_new(1000, TICK);
    struct object object;
    object_init(&object, wheel);
    timer_wheel_set(wheel, &object.timer, 1100);
    assert_int_equal(timer_wheel_advance(wheel, 10), 0);
    assert_int_equal(timer_wheel_advance(wheel, 1099), 0);
    assert_int_equal(timer_wheel_advance(wheel, 1100), 1);
    timer_wheel_destroy(&wheel);
}

/* Random sets, cancels and steps against a plain list of deadlines. */
static void it_agrees_with_a_plain_list(void **state) {
    (void) state;
    enum { OBJECTS = 200 };
    static struct object objects[OBJECTS];
    uint64_t now = 12345;
    timer_wheel_t *wheel = timer_wheel_new(now, TICK);
    for (int i = 0; i < OBJECTS; i++) {
        object_init(&objects[i], wheel);
    }
    for (int round = 0; round < 3000; round++) {
        struct object *object = &objects[random_below(OBJECTS)];
        if (random_below(5) == 0) {
            timer_wheel_cancel(wheel, &object->timer);
        } else {
            timer_wheel_set(wheel, &object->timer, now + random_below(random_below(10) == 0 ? 5 * ROUND : 500));
        }
        now += random_below(random_below(100) == 0 ? 3 * ROUND : 20);
        timer_wheel_advance(wheel, now);
        size_t n_set = 0;
        for (int i = 0; i < OBJECTS; i++) {
            if (timer_entry_is_set(&objects[i].timer)) {
                n_set++;
                assert_true(objects[i].timer.deadline_ms + TICK > now); /* else it would be late */
            }
        }
        assert_int_equal(timer_wheel_count(wheel), n_set);
    }
    timer_wheel_destroy(&wheel);
}

static void advance_inside(struct timer_entry *entry) {
    timer_wheel_advance(list_entry(entry, struct object, timer)->wheel, 5000);
}

static void advance_from_inside_a_callback(void) {
    timer_wheel_t *wheel = timer_wheel_new(0, TICK);
    struct object object = {.wheel = wheel};
    timer_entry_init(&object.timer, advance_inside);
    timer_wheel_set(wheel, &object.timer, 100);
    timer_wheel_advance(wheel, 100);
}

static void advancing_from_inside_a_callback_aborts(void **state) {
    (void) state;
    assert_true(aborts(advance_from_inside_a_callback, NULL, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_fires_at_its_deadline_or_up_to_a_tick_later_never_earlier),
        cmocka_unit_test(an_entry_fires_once),
        cmocka_unit_test(entries_further_away_than_a_round_stay_for_more_rounds),
        cmocka_unit_test(exactly_one_round_ahead_is_not_now),
        cmocka_unit_test(a_deadline_that_passed_is_due_with_the_next_tick),
        cmocka_unit_test(setting_again_moves_the_deadline_either_way),
        cmocka_unit_test(a_cancelled_entry_does_not_fire),
        cmocka_unit_test(never_is_a_deadline),
        cmocka_unit_test(a_callback_may_set_its_entry_again),
        cmocka_unit_test(a_callback_that_sets_its_entry_to_the_past_does_not_spin),
        cmocka_unit_test(a_callback_may_cancel_another_entry_that_is_due_with_it),
        cmocka_unit_test(a_callback_may_move_another_entry_that_is_due_with_it),
        cmocka_unit_test(a_callback_may_free_its_object),
        cmocka_unit_test(after_a_pause_longer_than_a_round_everything_due_fires_once),
        cmocka_unit_test(time_that_goes_back_fires_nothing),
        cmocka_unit_test(it_agrees_with_a_plain_list),
        cmocka_unit_test(advancing_from_inside_a_callback_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
