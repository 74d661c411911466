/* Replies: every type, in any cut of the bytes, the caps, and what is broken. */
#include "base/redis_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static redis_reader_t *reader;

static int setup(void **state) {
    (void) state;
    reader = redis_reader_new(&(struct redis_reply_limits){.bytes = 4096, .elements = 20});
    return 0;
}

static int teardown(void **state) {
    (void) state;
    redis_reader_destroy(&reader);
    return 0;
}

static const struct redis_reply *read_one(const char *text) {
    assert_true(redis_reader_feed(reader, span_of_text(text)));
    const struct redis_reply *reply = NULL;
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_REPLY);
    return reply;
}

static void assert_broken(const char *text, const char *words) {
    const struct redis_reply *reply = NULL;
    bool fed = redis_reader_feed(reader, span_of_text(text));
    assert_true(!fed || redis_reader_next(reader, &reply) == REDIS_READ_BROKEN);
    if (strstr(redis_reader_error(reader), words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", redis_reader_error(reader), words);
    }
    assert_false(redis_reader_feed(reader, SPAN_LITERAL("+OK\r\n"))); /* it cannot resume */
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_BROKEN);
}

static void every_type_is_read(void **state) {
    (void) state;
    const struct redis_reply *reply = read_one("+OK\r\n");
    assert_int_equal(reply->type, REDIS_STATUS);
    assert_true(redis_reply_is_text(reply, "OK"));
    reply = read_one("-ERR no\r\n");
    assert_int_equal(reply->type, REDIS_ERROR);
    assert_true(span_equal_text(reply->text, "ERR no"));
    assert_false(redis_reply_is_text(reply, "ERR no"));
    reply = read_one(":-9223372036854775807\r\n");
    assert_int_equal(reply->type, REDIS_INTEGER);
    assert_true(reply->integer == -INT64_MAX);
    reply = read_one("$-1\r\n");
    assert_int_equal(reply->type, REDIS_NIL);
    reply = read_one("*-1\r\n");
    assert_int_equal(reply->type, REDIS_NIL);
    reply = read_one("$0\r\n\r\n");
    assert_int_equal(reply->type, REDIS_STRING);
    assert_int_equal(reply->text.size, 0);
}

static void strings_are_bytes(void **state) {
    (void) state;
    static const char text[] = "$5\r\n\0\r\n\xff\n\r\n";
    assert_true(redis_reader_feed(reader, span_of(text, sizeof text - 1)));
    const struct redis_reply *reply = NULL;
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_REPLY);
    assert_int_equal(reply->text.size, 5);
    assert_memory_equal(reply->text.data, "\0\r\n\xff\n", 5);
}

static void arrays_hold_their_elements_side_by_side(void **state) {
    (void) state;
    const struct redis_reply *reply = read_one("*4\r\n$1\r\na\r\n:7\r\n*2\r\n$1\r\nb\r\n$-1\r\n*0\r\n");
    assert_int_equal(reply->type, REDIS_ARRAY);
    assert_int_equal(reply->n, 4);
    assert_true(redis_reply_is_text(&reply->elements[0], "a"));
    assert_int_equal(reply->elements[1].integer, 7);
    assert_int_equal(reply->elements[2].n, 2);
    assert_true(redis_reply_is_text(&reply->elements[2].elements[0], "b"));
    assert_int_equal(reply->elements[2].elements[1].type, REDIS_NIL);
    assert_int_equal(reply->elements[3].n, 0);
}

static void bytes_may_come_one_by_one(void **state) {
    (void) state;
    static const char text[] = "*2\r\n$3\r\nfoo\r\n*1\r\n:12\r\n";
    const struct redis_reply *reply = NULL;
    for (size_t i = 0; i + 2 < sizeof text; i++) {
        assert_true(redis_reader_feed(reader, span_of(text + i, 1)));
        assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_MORE);
    }
    assert_true(redis_reader_feed(reader, span_of(text + sizeof text - 2, 1)));
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_REPLY);
    assert_true(redis_reply_is_text(&reply->elements[0], "foo"));
    assert_int_equal(reply->elements[1].elements[0].integer, 12);
}

static void several_replies_come_out_in_order(void **state) {
    (void) state;
    assert_true(redis_reader_feed(reader, SPAN_LITERAL(":1\r\n:2\r\n:3\r\n:")));
    const struct redis_reply *reply = NULL;
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_REPLY);
        assert_int_equal(reply->integer, i);
    }
    assert_int_equal(redis_reader_next(reader, &reply), REDIS_READ_MORE);
    assert_int_equal(read_one("4\r\n")->integer, 4);
}

static void many_replies_over_the_cap_together_are_fine(void **state) {
    (void) state;
    for (int i = 0; i < 100; i++) {
        char text[1100];
        int head = snprintf(text, sizeof text, "$1000\r\n");
        memset(text + head, 'x', 1000);
        strcpy(text + head + 1000, "\r\n");
        assert_int_equal(read_one(text)->text.size, 1000);
    }
}

static void a_string_over_the_cap_breaks_the_reader(void **state) {
    (void) state;
    char text[8192];
    int head = snprintf(text, sizeof text, "$5000\r\n");
    memset(text + head, 'x', 5000);
    strcpy(text + head + 5000, "\r\n");
    assert_broken(text, "larger than redis.reply_bytes");
}

static void an_announced_array_over_the_cap_breaks_the_reader_before_its_elements_come(void **state) {
    (void) state;
    assert_broken("*2000000000\r\n", "too many elements");
}

static void nested_elements_count_together(void **state) {
    (void) state;
    assert_broken("*10\r\n*9\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*9\r\n", "too many elements");
}

static void what_is_no_reply_breaks_the_reader(void **state) {
    (void) state;
    assert_broken("HTTP/1.1 400\r\n", "Protocol error");
}

static void a_reply_nested_too_deep_breaks_the_reader(void **state) {
    (void) state;
    assert_broken("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n", "nested");
}

int main(void) {
#define spec(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        spec(every_type_is_read),
        spec(strings_are_bytes),
        spec(arrays_hold_their_elements_side_by_side),
        spec(bytes_may_come_one_by_one),
        spec(several_replies_come_out_in_order),
        spec(many_replies_over_the_cap_together_are_fine),
        spec(a_string_over_the_cap_breaks_the_reader),
        spec(an_announced_array_over_the_cap_breaks_the_reader_before_its_elements_come),
        spec(nested_elements_count_together),
        spec(what_is_no_reply_breaks_the_reader),
        spec(a_reply_nested_too_deep_breaks_the_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
