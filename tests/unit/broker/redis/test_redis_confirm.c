/* Cycles of confirmation on a link that is none: what is asked of the server, and what its answers are worth. */
#include "broker/redis/redis_confirm.h"

#include "base/clock.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { A_CYCLE = 3 };

static struct buffer sent_bytes;
static redis_on_reply on_replies[A_CYCLE];
static unsigned n_sent;

static redis_link_t *link_new(const struct redis_link_options *options) {
    (void) options;
    return NULL;
}

static void link_close(redis_link_t *self, void (*on_closed)(void *context), void *context) {
    (void) self;
    on_closed(context);
}

static struct buffer *link_out(redis_link_t *self) {
    (void) self;
    return &sent_bytes;
}

static void link_sent(redis_link_t *self, redis_on_reply on_reply, void *request) {
    (void) self;
    (void) request;
    assert_true(n_sent < A_CYCLE);
    on_replies[n_sent++] = on_reply;
}

static bool link_is_up(const redis_link_t *self) {
    (void) self;
    return true;
}

static void link_flush(redis_link_t *self) {
    (void) self;
}

static void link_drop(redis_link_t *self, const char *reason) {
    (void) self;
    (void) reason;
}

static void scripts_begin(const redis_scripts_t *self, struct buffer *text, enum redis_script script, bool with_text,
                          size_t n_keys, size_t n_arguments) {
    (void) self;
    (void) script;
    (void) with_text;
    (void) n_keys;
    (void) n_arguments;
    buffer_append_text(text, "SCRIPT ");
}

#define redis_link_new      link_new
#define redis_link_close    link_close
#define redis_link_out      link_out
#define redis_link_sent     link_sent
#define redis_link_is_up    link_is_up
#define redis_link_flush    link_flush
#define redis_link_drop     link_drop
#define redis_scripts_begin scripts_begin
#include "broker/redis/redis_confirm.c"

static unsigned up;
static bool wants_all;
static uint64_t confirmed; /* the last cycle */
static unsigned n_short;
static uint64_t asked_ms; /* how many are up */
static unsigned n_missed;

static void note_confirmed(void *context, uint64_t cycle, struct span replid, uint64_t us) {
    (void) context;
    (void) us;
    assert_true(span_equal_text(replid, "abc"));
    confirmed = cycle;
}

static void note_short(void *context, uint64_t n_replicas, const char *reason) {
    (void) context;
    (void) n_replicas;
    (void) reason;
    n_short++;
}

static unsigned tell_needed(void *context, bool *ret_all, uint64_t *ret_asked_ms) {
    (void) context;
    *ret_all = wants_all;
    *ret_asked_ms = asked_ms;
    return up;
}

static void note_missed_one(void *context) {
    (void) context;
    n_missed++;
}

static struct span key(void *context) {
    (void) context;
    return SPAN_LITERAL("key");
}

static redis_confirm_t *confirm;

static int set_up(void **state) {
    (void) state;
    static const struct redis_confirm_events events = {note_confirmed, note_short, tell_needed, note_missed_one, key};
    const struct redis_confirm_options options = {
        .wait_ms = 100, .link = {.command_timeout_ms = 200}, .events = &events};
    confirm = redis_confirm_new(&options);
    confirmed = n_short = n_missed = 0;
    asked_ms = clock_monotonic_ms();
    up = 1;
    wants_all = true;
    return 0;
}

static void ignore(void *context) {
    (void) context;
}

static int tear_down(void **state) {
    (void) state;
    redis_confirm_close(confirm, ignore, NULL);
    buffer_finish(&sent_bytes);
    return 0;
}

/* One cycle: so many are waited for, and the server answers. */
static void play(unsigned waited_for, const char *first, long long n_replicas, const char *last) {
    char wait[64];
    buffer_clear(&sent_bytes);
    n_sent = 0;
    redis_confirm_flush(confirm);
    assert_int_equal(n_sent, A_CYCLE);
    buffer_append_char(&sent_bytes, '\0');
    snprintf(wait, sizeof wait, "$4\r\nWAIT\r\n$1\r\n%u\r\n", waited_for);
    assert_non_null(strstr((const char *) sent_bytes.data, wait));
    const struct redis_reply replies[A_CYCLE] = {{.type = REDIS_STRING, .text = span_of_text(first)},
                                                 {.type = REDIS_INTEGER, .integer = n_replicas},
                                                 {.type = REDIS_STRING, .text = span_of_text(last)}};
    for (unsigned i = 0; i < A_CYCLE; i++) {
        on_replies[i](confirm, NULL, &replies[i]);
    }
}

static void enough_replicas_confirm_what_came_before(void **state) {
    (void) state;
    up = 2;
    uint64_t ticket = redis_confirm_ticket(confirm);
    play(2, "abc", 1, "abc a:1");
    assert_int_equal(confirmed, 0);
    assert_int_equal(n_short, 1);
    play(2, "abc", 2, "abc a:1 b:1");
    assert_true(confirmed >= ticket);
}

static void one_that_is_held_for_down_does_not_confirm_in_the_place_of_one_that_is_up(void **state) {
    (void) state;
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abc a:1 b:1"); /* whose confirmation was it? */
    assert_int_equal(confirmed, 0);
    assert_int_equal(n_short, 1);
    play(2, "abc", 2, "abc a:1 b:1");
    assert_int_equal(confirmed, 2);
}

/* It may have been promoted, and the one that goes on to follow is of the losing side. */
static void who_follows_no_more_is_missed_until_it_was_asked_anew_who_is_up(void **state) {
    (void) state;
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abc a:1 b:1");
    assert_int_equal(n_missed, 0);
    play(2, "abc", 1, "abc a:1");
    assert_int_equal(n_missed, 1);
    play(2, "abc", 1, "abc a:1"); /* an answer of before says that one is up */
    play(2, "abc", 1, "abc a:1");
    assert_int_equal(confirmed, 0);
    assert_int_equal(n_missed, 1); /* told once */
    asked_ms = clock_monotonic_ms() + 1;
    play(1, "abc", 1, "abc a:1");
    assert_int_equal(confirmed, 5);
}

/* By their names: one that comes as another one goes does not stand for it. */
static void another_one_does_not_confirm_in_the_place_of_who_is_missed(void **state) {
    (void) state;
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abc a:1");
    assert_int_equal(confirmed, 1);
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abc b:1");
    assert_int_equal(confirmed, 1);
    assert_int_equal(n_missed, 1);
    asked_ms = clock_monotonic_ms() + 1;
    play(1, "abc", 1, "abc b:1");
    assert_int_equal(confirmed, 3);
}

static void who_is_missed_and_up_has_to_confirm(void **state) {
    (void) state;
    redis_confirm_ticket(confirm);
    play(1, "abc", 2, "abc a:1 b:1");
    redis_confirm_ticket(confirm);
    play(2, "abc", 1, "abc a:1");
    up = 2;
    asked_ms = clock_monotonic_ms() + 1;
    play(2, "abc", 1, "abc a:1");
    assert_int_equal(confirmed, 1);
    play(2, "abc", 2, "abc a:1 b:1"); /* it is back */
    assert_int_equal(confirmed, 4);
}

static void where_a_number_is_set_others_are_not_asked_for(void **state) {
    (void) state;
    wants_all = false;
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abc a:1 b:1");
    assert_int_equal(confirmed, 1);
}

static void another_server_in_between_confirms_nothing(void **state) {
    (void) state;
    redis_confirm_ticket(confirm);
    play(1, "abc", 1, "abd a:1");
    assert_int_equal(confirmed, 0);
    redis_confirm_tick(confirm);
    play(1, "", 1, " a:1"); /* hidden */
    assert_int_equal(confirmed, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(enough_replicas_confirm_what_came_before),
        TEST(one_that_is_held_for_down_does_not_confirm_in_the_place_of_one_that_is_up),
        TEST(who_follows_no_more_is_missed_until_it_was_asked_anew_who_is_up),
        TEST(another_one_does_not_confirm_in_the_place_of_who_is_missed),
        TEST(who_is_missed_and_up_has_to_confirm),
        TEST(where_a_number_is_set_others_are_not_asked_for),
        TEST(another_server_in_between_confirms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
