/* Publications that nobody waits for, and shards whose inbox is full: PULL waits with them, for so long. */
#include "broker/backend/backend_push_wait.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

enum { INBOX = 2, SHARDS = 2 };

/* A shard that is stuck until it is let go. */
struct stuck_shard {
    actor_t *actor;
    uv_sem_t go;
    atomic_uint entered;
    atomic_uint handled;
    char order[64];
};

static struct {
    struct stuck_shard shards[SHARDS];
    actor_t *actors[SHARDS];
    uv_loop_t loop;
    uv_timer_t tick;
    backend_push_wait_t *wait;
    bool is_paused;
    unsigned pauses;
    unsigned taken;
    unsigned dropped;
} t;

static void on_message(void *context, struct actor_message *message) {
    struct stuck_shard *self = context;
    const struct shard_request *request = (const struct shard_request *) (void *) message;
    atomic_fetch_add(&self->entered, 1);
    uv_sem_wait(&self->go);
    uv_sem_post(&self->go); /* open from now on */
    strncat(self->order, (const char *) request->data.data, 1);
    memory_free(message);
    atomic_fetch_add(&self->handled, 1);
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    memory_free(message);
}

static void on_pause(void *context, bool paused) {
    (void) context;
    assert_true(paused != t.is_paused);
    t.is_paused = paused;
    t.pauses += paused;
}

static void on_end(void *context, bool is_taken) {
    (void) context;
    t.taken += is_taken;
    t.dropped += !is_taken;
}

static void start(uint64_t wait_ms) {
    static const struct actor_callbacks callbacks = {.on_message = on_message, .drop_message = drop_message};
    static const struct backend_push_wait_callbacks wait_callbacks = {.on_pause = on_pause, .on_end = on_end};
    struct actor_limits limits = {.inbox_messages = INBOX, .inbox_bytes = 1 << 20};
    char error[256];
    memset(&t, 0, sizeof t);
    for (unsigned i = 0; i < SHARDS; i++) {
        uv_sem_init(&t.shards[i].go, 0);
        t.shards[i].actor = actor_new("shard", &callbacks, &t.shards[i], &limits, error, sizeof error);
        assert_non_null(t.shards[i].actor);
        t.actors[i] = t.shards[i].actor;
    }
    uv_loop_init(&t.loop);
    uv_timer_init(&t.loop, &t.tick);
    t.wait = backend_push_wait_new(&t.loop, t.actors, SHARDS, wait_ms, &wait_callbacks, NULL);
}

static void finish(void) {
    backend_push_wait_close(&t.wait);
    uv_close((uv_handle_t *) &t.tick, NULL);
    uv_run(&t.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&t.loop), 0);
    for (unsigned i = 0; i < SHARDS; i++) {
        uv_sem_post(&t.shards[i].go);
        actor_destroy(&t.shards[i].actor, 10000);
        uv_sem_destroy(&t.shards[i].go);
    }
}

static enum backend_push_result push(uint32_t shard, const char *letter) {
    struct shard_request model = {.data = span_of(letter, 1)};
    return backend_push_wait_post(t.wait, shard, shard_request_new(&model));
}

/* The shard handles one, which sticks, and its inbox is full. */
static void fill(uint32_t shard) {
    assert_int_equal(push(shard, "a"), BACKEND_PUSH_TAKEN);
    while (atomic_load(&t.shards[shard].entered) == 0) {
        uv_sleep(1);
    }
    assert_int_equal(push(shard, "b"), BACKEND_PUSH_TAKEN);
    assert_int_equal(push(shard, "c"), BACKEND_PUSH_TAKEN);
}

static void on_tick(uv_timer_t *timer) {
    (void) timer;
}

static void run_until(const unsigned *value, unsigned expected) {
    uv_timer_start(&t.tick, on_tick, 1, 1);
    for (unsigned i = 0; *value != expected && i < 20000; i++) {
        uv_run(&t.loop, UV_RUN_ONCE);
    }
    uv_timer_stop(&t.tick);
    assert_int_equal(*value, expected);
}

static void what_a_full_shard_cannot_take_waits_and_goes_out_in_order(void **state) {
    (void) state;
    start(60000);
    fill(0);
    assert_false(t.is_paused);
    assert_int_equal(push(0, "d"), BACKEND_PUSH_WAITS);
    assert_true(t.is_paused);
    assert_int_equal(push(1, "e"), BACKEND_PUSH_WAITS); /* of the same broadcast: it does not overtake */
    uv_sem_post(&t.shards[0].go);
    run_until(&t.taken, 2);
    assert_false(t.is_paused);
    assert_int_equal(t.pauses, 1);
    assert_int_equal(t.dropped, 0);
    uv_sem_post(&t.shards[1].go);
    while (atomic_load(&t.shards[0].handled) < 4 || atomic_load(&t.shards[1].handled) < 1) {
        uv_sleep(1);
    }
    assert_string_equal(t.shards[0].order, "abcd");
    assert_string_equal(t.shards[1].order, "e");
    finish();
}

static void after_the_wait_it_is_dropped_and_the_shard_given_up(void **state) {
    (void) state;
    start(20);
    fill(0);
    assert_int_equal(push(0, "d"), BACKEND_PUSH_WAITS);
    assert_int_equal(push(0, "e"), BACKEND_PUSH_WAITS);
    run_until(&t.dropped, 2); /* the second waits no more: its shard is given up */
    assert_false(t.is_paused);
    assert_int_equal(push(0, "f"), BACKEND_PUSH_DROPPED);
    assert_int_equal(push(1, "g"), BACKEND_PUSH_TAKEN); /* the others go on */
    assert_int_equal(t.pauses, 1);
    uv_sem_post(&t.shards[0].go);
    while (atomic_load(&t.shards[0].handled) < 3) {
        uv_sleep(1);
    }
    assert_int_equal(push(0, "h"), BACKEND_PUSH_TAKEN);
    finish();
}

static void a_wait_of_nothing_drops_at_once(void **state) {
    (void) state;
    start(0);
    fill(0);
    assert_int_equal(push(0, "d"), BACKEND_PUSH_DROPPED);
    assert_int_equal(t.pauses, 0);
    finish();
}

static void what_waits_at_the_end_is_told_as_dropped(void **state) {
    (void) state;
    start(60000);
    fill(0);
    assert_int_equal(push(0, "d"), BACKEND_PUSH_WAITS);
    finish();
    assert_int_equal(t.dropped, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_full_shard_cannot_take_waits_and_goes_out_in_order),
        cmocka_unit_test(after_the_wait_it_is_dropped_and_the_shard_given_up),
        cmocka_unit_test(a_wait_of_nothing_drops_at_once),
        cmocka_unit_test(what_waits_at_the_end_is_told_as_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
