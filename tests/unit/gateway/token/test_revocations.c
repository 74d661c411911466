/* The list of revocations: what a line may be, and whom it hits. */
#include "gateway/token/revocations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define NOW_S 1767225600

static revocations_t *read_text(const char *text) {
    char error[256] = "";
    revocations_t *revocations = revocations_read(span_of_text(text), NOW_S, error, sizeof error);
    if (revocations == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return revocations;
}

static void tokens_of_a_user_before_a_moment_and_single_ones_are_hit(void **state) {
    (void) state;
    revocations_t *revocations = read_text("# who left\n"
                                           "{\"user\":\"42\",\"not_before\":100}\r\n"
                                           "\n"
                                           "{\"user\":\"Zo\\u00eb\",\"not_before\":50}\n"
                                           "{\"user\":\"42\",\"not_before\":200}\n"
                                           "{\"user\":\"42\",\"not_before\":150}\n"
                                           "{\"jti\":\"one\"}\n"
                                           "{\"jti\":\"late\",\"until\":1767225601}\n"
                                           "{\"jti\":\"gone\",\"until\":1767225600}");
    static const struct {
        const char *user;
        int64_t issued_at_s; /* -1: none */
        const char *jti;
        bool is_hit;
    } rows[] = {
        {"42", 199, "", true},   {"42", 200, "", false},   {"42", -1, "", true},      {"42", 0, "", true},
        {"4", 0, "", false},     {"421", 0, "", false},    {"", -1, "", false},       {"Zo\xc3\xab", 49, "", true},
        {"7", 500, "one", true}, {"7", 500, "late", true}, {"7", 500, "gone", false}, {"7", 500, "on", false},
        {"7", 500, "", false},   {"42", 300, "one", true}, {"", 500, "one", true},    {"7", 500, "onee", false},
    };
    assert_int_equal(revocations_count(revocations), 4);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bool is_hit = revocations_have(revocations, span_of_text(rows[i].user), rows[i].issued_at_s >= 0,
                                       rows[i].issued_at_s, span_of_text(rows[i].jti));
        if (is_hit != rows[i].is_hit) {
            fail_msg("row %zu", i);
        }
    }
    revocations_t *second = revocations_ref(revocations);
    revocations_unref(&revocations);
    assert_int_equal(revocations_count(second), 4);
    revocations_unref(&second);
    assert_false(revocations_have(NULL, SPAN_LITERAL("42"), false, 0, SPAN_LITERAL("one")));
}

static void a_long_list_is_searched_whole(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    for (unsigned i = 0; i < 5000; i++) {
        buffer_append_format(&text, "{\"user\":\"u%u\",\"not_before\":%u}\n", i * 7919 % 5000, i);
    }
    char error[256];
    revocations_t *revocations = revocations_read(buffer_span(&text), NOW_S, error, sizeof error);
    assert_int_equal(revocations_count(revocations), 5000);
    for (unsigned i = 0; i < 5000; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%u", i * 7919 % 5000);
        assert_true(i == 0 || revocations_have(revocations, span_of_text(user), true, i - 1, SPAN_EMPTY));
        assert_false(revocations_have(revocations, span_of_text(user), true, i, SPAN_EMPTY));
    }
    revocations_unref(&revocations);
    buffer_finish(&text);
}

static void a_line_that_is_not_understood_refuses_the_file(void **state) {
    (void) state;
    static const struct {
        const char *line;
        const char *reason;
    } rows[] = {
        {"42", "no JSON object"},
        {"user 42", "no JSON object"},
        {"{\"user\":\"42\"}", "must have"},
        {"{\"user\":\"42\",\"until\":1}", "not_before"},
        {"{\"user\":\"42\",\"not_before\":\"1\"}", "whole seconds"},
        {"{\"user\":\"42\",\"not_before\":-1}", "whole seconds"},
        {"{\"user\":\"42\",\"not_before\":1.5}", "whole seconds"},
        {"{\"user\":42,\"not_before\":1}", "user must be a text"},
        {"{\"user\":\"\",\"not_before\":1}", "user must be a text"},
        {"{\"user\":\"42\",\"not_before\":1,\"jti\":\"x\"}", "must have"},
        {"{\"user\":\"42\",\"user\":\"43\"}", "whole seconds"},
        {"{\"User\":\"42\",\"not_before\":1}", "must have"},
        {"{\"jti\":\"\"}", "jti must be a text"},
        {"{\"jti\":7}", "jti must be a text"},
        {"{\"jti\":\"x\",\"until\":\"tomorrow\"}", "until must be"},
        {"{\"jti\":\"x\",\"other\":1}", "must have"},
        {"{\"jti\":\"x\"}{\"jti\":\"y\"}", "no JSON object"},
        {"{}", "must have"},
        {" # no comment", "no JSON object"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[200];
        char error[256] = "";
        snprintf(text, sizeof text, "{\"jti\":\"good\"}\n%s\n", rows[i].line);
        if (revocations_read(span_of_text(text), NOW_S, error, sizeof error) != NULL) {
            fail_msg("%s: is taken", rows[i].line);
        }
        if (strncmp(error, "line 2: ", 8) != 0 || strstr(error, rows[i].reason) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].line, error, rows[i].reason);
        }
    }
}

static void a_user_s_line_may_end_too(void **state) {
    (void) state;
    revocations_t *revocations = read_text("{\"user\":\"a\",\"not_before\":100,\"until\":1767225600}\n"
                                           "{\"user\":\"b\",\"not_before\":100,\"until\":1767225601}\n"
                                           "{\"jti\":\"t\",\"until\":0}\n");
    assert_false(revocations_have(revocations, SPAN_LITERAL("a"), true, 50, SPAN_EMPTY));
    assert_true(revocations_have(revocations, SPAN_LITERAL("b"), true, 50, SPAN_EMPTY));
    assert_int_equal(revocations_count(revocations), 1);
    revocations_unref(&revocations);
}

static void two_lists_revoke_what_either_does(void **state) {
    (void) state;
    revocations_t *first = read_text("{\"user\":\"a\",\"not_before\":100}\n{\"jti\":\"one\"}\n");
    revocations_t *second = read_text("{\"user\":\"a\",\"not_before\":200}\n{\"user\":\"b\",\"not_before\":50}\n");
    revocations_t *both = revocations_union(first, second);
    revocations_t *alone = revocations_union(NULL, first);
    revocations_t *none = revocations_union(NULL, NULL);
    revocations_unref(&first);
    revocations_unref(&second);
    assert_int_equal(revocations_count(both), 3);
    assert_true(revocations_have(both, SPAN_LITERAL("a"), true, 199, SPAN_EMPTY));
    assert_true(revocations_have(both, SPAN_LITERAL("b"), true, 49, SPAN_EMPTY));
    assert_true(revocations_have(both, SPAN_EMPTY, false, 0, SPAN_LITERAL("one")));
    assert_false(revocations_have(alone, SPAN_LITERAL("a"), true, 199, SPAN_EMPTY));
    assert_true(revocations_have(alone, SPAN_LITERAL("a"), true, 99, SPAN_LITERAL("two")));
    assert_int_equal(revocations_count(none), 0);
    revocations_unref(&both);
    revocations_unref(&alone);
    revocations_unref(&none);
}

static void nothing_is_a_list_too(void **state) {
    (void) state;
    revocations_t *revocations = read_text("");
    assert_int_equal(revocations_count(revocations), 0);
    assert_false(revocations_have(revocations, SPAN_LITERAL("42"), false, 0, SPAN_LITERAL("x")));
    revocations_unref(&revocations);
    revocations_unref(&revocations);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_of_a_user_before_a_moment_and_single_ones_are_hit),
        cmocka_unit_test(a_long_list_is_searched_whole),
        cmocka_unit_test(a_line_that_is_not_understood_refuses_the_file),
        cmocka_unit_test(a_user_s_line_may_end_too),
        cmocka_unit_test(two_lists_revoke_what_either_does),
        cmocka_unit_test(nothing_is_a_list_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
