/* The actor as its users see it: starting, the inbox's order and bounds, stopping. */
#include "base/actor.h"
#include "base/check.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { STOP_DEADLINE_MS = 20000, KIND_NUMBER = 1, KIND_BLOCK, PRODUCERS_MAX = 8 };

struct number {
    struct actor_message message;
    unsigned producer;
    unsigned value;
};

struct fixture {
    actor_t *actor;
    bool refuse_start;
    bool leave_timer; /* on_start opens a timer that on_stop closes */
    uv_timer_t timer;
    uv_sem_t gate; /* a KIND_BLOCK message waits here */
    uv_sem_t blocked;
    atomic_uint handled;
    atomic_uint dropped;
    atomic_uint flushes;
    atomic_uint flushes_at_stop;
    atomic_bool on_thread;
    atomic_bool stopped;
    atomic_bool out_of_order;
    unsigned next[PRODUCERS_MAX]; /* the actor's */
};

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    struct fixture *self = context;
    atomic_store(&self->on_thread, actor_is_on_thread(actor));
    if (self->refuse_start) {
        snprintf(ret_error, error_size, "port in use");
        return false;
    }
    if (self->leave_timer) {
        uv_timer_init(actor_loop(actor), &self->timer);
    }
    return true;
}

static void on_message(void *context, struct actor_message *message) {
    struct fixture *self = context;
    struct number *number = (struct number *) message;
    if (message->kind == KIND_BLOCK) {
        uv_sem_post(&self->blocked);
        uv_sem_wait(&self->gate);
    } else if (number->value != self->next[number->producer]++) {
        atomic_store(&self->out_of_order, true);
    }
    atomic_fetch_add(&self->handled, 1);
    memory_free(number);
}

static void on_flush(void *context) {
    struct fixture *self = context;
    atomic_fetch_add(&self->flushes, 1);
}

static void on_stop(void *context) {
    struct fixture *self = context;
    atomic_store(&self->stopped, true);
    atomic_store(&self->flushes_at_stop, atomic_load(&self->flushes));
    if (self->leave_timer) {
        uv_close((uv_handle_t *) &self->timer, NULL);
    }
}

static void drop_message(void *context, struct actor_message *message) {
    struct fixture *self = context;
    atomic_fetch_add(&self->dropped, 1);
    memory_free(message);
}

static const struct actor_callbacks callbacks = {on_start, on_message, on_flush, on_stop, drop_message};

static struct actor_message *make(uint32_t kind, unsigned producer, unsigned value, size_t bytes) {
    struct number *number = memory_alloc_zero(sizeof(*number));
    number->message.kind = kind;
    number->message.bytes = bytes;
    number->producer = producer;
    number->value = value;
    return &number->message;
}

static actor_t *start(struct fixture *self, const struct actor_limits *limits) {
    char error[256] = "";
    uv_sem_init(&self->gate, 0);
    uv_sem_init(&self->blocked, 0);
    self->actor = actor_new("tested", &callbacks, self, limits, error, sizeof(error));
    if (self->actor == NULL && !self->refuse_start) {
        fail_msg("%s", error);
    }
    return self->actor;
}

static void finish(struct fixture *self) {
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    uv_sem_destroy(&self->gate);
    uv_sem_destroy(&self->blocked);
}

static void block(struct fixture *self) {
    struct actor_message *message = make(KIND_BLOCK, 0, 0, sizeof(struct number));
    assert_int_equal(actor_post(self->actor, &message), ACTOR_POSTED);
    uv_sem_wait(&self->blocked);
}

static void on_start_runs_on_the_new_thread_before_actor_new_returns(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self, NULL);
    assert_true(atomic_load(&self.on_thread));
    assert_false(actor_is_on_thread(self.actor));
    assert_string_equal(actor_name(self.actor), "tested");
    finish(&self);
}

static void a_refused_start_gives_null_and_the_reason(void **state) {
    (void) state;
    struct fixture self = {.refuse_start = true};
    char error[256] = "";
    assert_null(actor_new("tested", &callbacks, &self, NULL, error, sizeof(error)));
    assert_string_equal(error, "port in use");
    assert_false(atomic_load(&self.stopped));
}

static void what_was_posted_before_the_stop_is_handled_and_flushed(void **state) {
    (void) state;
    struct fixture self = {.leave_timer = true};
    start(&self, NULL);
    for (unsigned i = 0; i < 100; i++) {
        struct actor_message *message = make(KIND_NUMBER, 0, i, sizeof(struct number));
        assert_int_equal(actor_post(self.actor, &message), ACTOR_POSTED);
        assert_null(message);
    }
    finish(&self);
    assert_int_equal(atomic_load(&self.handled), 100);
    assert_false(atomic_load(&self.out_of_order));
    assert_true(atomic_load(&self.stopped));
    assert_true(atomic_load(&self.flushes_at_stop) >= 1);
}

static void the_inbox_is_bounded_in_messages_and_control_passes(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self, &(struct actor_limits){3, 1 << 20});
    block(&self);
    for (unsigned i = 0; i < 3; i++) {
        struct actor_message *message = make(KIND_NUMBER, 0, i, sizeof(struct number));
        assert_int_equal(actor_post(self.actor, &message), ACTOR_POSTED);
    }
    struct actor_message *refused = make(KIND_NUMBER, 0, 3, sizeof(struct number));
    assert_int_equal(actor_post(self.actor, &refused), ACTOR_FULL);
    assert_non_null(refused);
    assert_int_equal(actor_inbox_messages(self.actor), 3);
    assert_int_equal(actor_post_control(self.actor, &refused), ACTOR_POSTED);
    assert_null(refused);
    assert_int_equal(actor_inbox_messages(self.actor), 4);
    uv_sem_post(&self.gate);
    finish(&self);
    assert_int_equal(atomic_load(&self.handled), 5);
}

static void the_inbox_is_bounded_in_bytes(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self, &(struct actor_limits){1000, 1000});
    block(&self);
    struct actor_message *large = make(KIND_NUMBER, 0, 0, 900);
    assert_int_equal(actor_post(self.actor, &large), ACTOR_POSTED);
    struct actor_message *refused = make(KIND_NUMBER, 0, 1, 101);
    assert_int_equal(actor_post(self.actor, &refused), ACTOR_FULL);
    assert_int_equal(actor_inbox_bytes(self.actor), 900);
    struct actor_message *fits = make(KIND_NUMBER, 0, 1, 100);
    assert_int_equal(actor_post(self.actor, &fits), ACTOR_POSTED);
    memory_free(refused);
    uv_sem_post(&self.gate);
    finish(&self);
    assert_int_equal(atomic_load(&self.handled), 3);
}

static void a_stopped_actor_refuses_and_the_message_stays_the_callers(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self, NULL);
    actor_stop(self.actor, STOP_DEADLINE_MS);
    actor_stop(self.actor, STOP_DEADLINE_MS);
    struct actor_message *message = make(KIND_NUMBER, 0, 0, sizeof(struct number));
    assert_int_equal(actor_post(self.actor, &message), ACTOR_STOPPED);
    assert_int_equal(actor_post_control(self.actor, &message), ACTOR_STOPPED);
    assert_non_null(message);
    memory_free(message);
    finish(&self);
}

static void a_stuck_handler_shows_in_the_liveness_clock(void **state) {
    (void) state;
    struct fixture self = {0};
    start(&self, NULL);
    block(&self);
    uint64_t give_up = uv_hrtime() + 20ull * 1000000000;
    while (actor_stalled_ms(self.actor) < 400 && uv_hrtime() < give_up) {
        uv_sleep(20);
    }
    assert_true(actor_stalled_ms(self.actor) >= 400);
    uv_sem_post(&self.gate);
    give_up = uv_hrtime() + 20ull * 1000000000;
    while (actor_stalled_ms(self.actor) >= 400 && uv_hrtime() < give_up) {
        uv_sleep(20);
    }
    assert_true(actor_stalled_ms(self.actor) < 400);
    finish(&self);
}

struct producer {
    struct fixture *fixture;
    unsigned number;
    unsigned n;
    unsigned posted;
    bool until_stopped;
};

static void produce(void *argument) {
    struct producer *self = argument;
    while (self->until_stopped || self->posted < self->n) {
        struct actor_message *message = make(KIND_NUMBER, self->number, self->posted, sizeof(struct number));
        enum actor_post_result result;
        while ((result = actor_post(self->fixture->actor, &message)) == ACTOR_FULL) {
            uv_sleep(0);
        }
        if (result == ACTOR_STOPPED) {
            memory_free(message);
            return;
        }
        self->posted++;
    }
}

static void run_producers(struct fixture *self, struct producer *producers, uv_thread_t *threads, unsigned n) {
    for (unsigned i = 0; i < PRODUCERS_MAX; i++) {
        producers[i] = (struct producer){.fixture = self, .number = i, .n = n, .until_stopped = n == 0};
        assert_int_equal(uv_thread_create(&threads[i], produce, &producers[i]), 0);
    }
}

static void many_producers_lose_nothing_and_each_ones_order_is_kept(void **state) {
    (void) state;
    struct fixture self = {0};
    struct producer producers[PRODUCERS_MAX];
    uv_thread_t threads[PRODUCERS_MAX];
    start(&self, &(struct actor_limits){500, 1 << 20});
    run_producers(&self, producers, threads, 20000);
    for (unsigned i = 0; i < PRODUCERS_MAX; i++) {
        uv_thread_join(&threads[i]);
    }
    finish(&self);
    assert_int_equal(atomic_load(&self.handled), PRODUCERS_MAX * 20000);
    assert_int_equal(atomic_load(&self.dropped), 0);
    assert_false(atomic_load(&self.out_of_order));
}

static void stopping_under_fire_accounts_for_every_message(void **state) {
    (void) state;
    for (unsigned round = 0; round < 20; round++) {
        struct fixture self = {0};
        struct producer producers[PRODUCERS_MAX];
        uv_thread_t threads[PRODUCERS_MAX];
        start(&self, &(struct actor_limits){50, 1 << 20});
        run_producers(&self, producers, threads, 0);
        while (atomic_load(&self.handled) < 1000) {
            uv_sleep(0);
        }
        actor_stop(self.actor, STOP_DEADLINE_MS);
        unsigned posted = 0;
        for (unsigned i = 0; i < PRODUCERS_MAX; i++) {
            uv_thread_join(&threads[i]);
            posted += producers[i].posted;
        }
        finish(&self);
        assert_int_equal(atomic_load(&self.handled) + atomic_load(&self.dropped), posted);
        assert_false(atomic_load(&self.out_of_order));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(on_start_runs_on_the_new_thread_before_actor_new_returns),
        cmocka_unit_test(a_refused_start_gives_null_and_the_reason),
        cmocka_unit_test(what_was_posted_before_the_stop_is_handled_and_flushed),
        cmocka_unit_test(the_inbox_is_bounded_in_messages_and_control_passes),
        cmocka_unit_test(the_inbox_is_bounded_in_bytes),
        cmocka_unit_test(a_stopped_actor_refuses_and_the_message_stays_the_callers),
        cmocka_unit_test(a_stuck_handler_shows_in_the_liveness_clock),
        cmocka_unit_test(many_producers_lose_nothing_and_each_ones_order_is_kept),
        cmocka_unit_test(stopping_under_fire_accounts_for_every_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
