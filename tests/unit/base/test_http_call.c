/* A call's way back to the loop of the listener: from another thread, and when nobody waits any more. */
#include "base/http_call.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include <cmocka.h>

static uint64_t answered[8];
static unsigned n_answered;
static atomic_uint n_observed;

static void on_answered(void *context, struct http_call *call) {
    (void) context;
    assert_int_equal(call->status, 200);
    assert_memory_equal(call->answer.data, "{}", 2);
    answered[n_answered++] = call->ticket;
}

static void observe(const struct http_call *call) {
    assert_string_equal(call->method, "history");
    atomic_fetch_add(&n_observed, 1);
}

static void on_closed(void *context) {
    *(bool *) context = true;
}

static struct http_call *make(http_call_box_t *box, uint64_t ticket) {
    struct buffer body = BUFFER_EMPTY;
    buffer_append_text(&body, "{\"channel\":\"a\"}");
    struct http_call *call = http_call_new(box, ticket, span_of_text("history"), "127.0.0.1", &body);
    assert_int_equal(body.size, 0); /* it was taken */
    assert_memory_equal(call->body.data, "{\"channel\":\"a\"}", 15);
    assert_true(call->message.bytes > sizeof *call);
    return call;
}

static void answer_on_a_thread(void *argument) {
    struct http_call *call = argument;
    call->status = 200;
    buffer_append_text(&call->answer, "{}");
    http_call_answer(call);
}

static void reset(uv_loop_t *loop) {
    uv_loop_init(loop);
    n_answered = 0;
    atomic_store(&n_observed, 0);
}

static void answers_of_another_thread_come_on_the_loop(void **state) {
    (void) state;
    uv_loop_t loop;
    uv_thread_t threads[2];
    bool is_closed = false;
    reset(&loop);
    http_call_box_t *box = http_call_box_new(&loop, on_answered, observe, NULL);
    for (uint64_t i = 0; i < 2; i++) {
        uv_thread_create(&threads[i], answer_on_a_thread, make(box, 7 + i));
    }
    while (n_answered < 2) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    assert_int_equal(answered[0] + answered[1], 7 + 8);
    assert_int_equal(atomic_load(&n_observed), 2);
    uv_thread_join(&threads[0]);
    uv_thread_join(&threads[1]);
    http_call_box_close(&box, on_closed, &is_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    uv_loop_close(&loop);
}

static void an_answer_behind_the_closing_is_seen_by_the_observer_alone(void **state) {
    (void) state;
    uv_loop_t loop;
    bool is_closed = false;
    reset(&loop);
    http_call_box_t *box = http_call_box_new(&loop, on_answered, observe, NULL);
    struct http_call *before = make(box, 1);
    struct http_call *behind = make(box, 2);
    http_call_refuse(before, 503, ERROR_INTERNAL, "not \"yet\"");
    http_call_box_close(&box, on_closed, &is_closed);
    assert_null(box);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    uv_loop_close(&loop);
    answer_on_a_thread(behind);
    assert_int_equal(n_answered, 0);
    assert_int_equal(atomic_load(&n_observed), 2);
}

static void an_error_says_what_the_code_means(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    http_call_append_error(&out, ERROR_OUTCOME_UNKNOWN, NULL);
    buffer_append_char(&out, '\0');
    assert_string_equal((const char *) out.data,
                        "{\"error\":{\"code\":120,\"reason\":\"outcome_unknown\",\"message\":\"outcome unknown\","
                        "\"temporary\":true,\"definite\":false}}");
    buffer_finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_of_another_thread_come_on_the_loop),
        cmocka_unit_test(an_answer_behind_the_closing_is_seen_by_the_observer_alone),
        cmocka_unit_test(an_error_says_what_the_code_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
