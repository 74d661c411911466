/* What error replies mean, as Redis 7 and 6.2 word them. */
#include "broker/redis/link/redis_error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct sample {
    const char *text;
    const char *code;
    enum redis_error error;
};

static const struct sample samples[] = {
    {"OOM command not allowed when used memory > 'maxmemory'.", "OOM", REDIS_ERROR_REFUSED},
    {"OOM command not allowed when used memory > 'maxmemory'. script: 5f, on @user_script:12.", "OOM",
     REDIS_ERROR_REFUSED},
    {"ERR Error running script (call to f_5f0a): @user_script:12: @user_script: 12: -OOM command not allowed when used "
     "memory > 'maxmemory'.",
     "OOM", REDIS_ERROR_REFUSED},
    {"ERR Error running script (call to f_5f0a): @user_script:3: -READONLY You can't write against a read only "
     "replica.",
     "READONLY", REDIS_ERROR_UNFIT},
    {"ERR Error running script (call to f_5f0a): @user_script:3: WRONGTYPE Operation against a key holding the wrong "
     "kind",
     "WRONGTYPE", REDIS_ERROR_CORRUPT},
    {"MISCONF Redis is configured to save RDB snapshots", "MISCONF", REDIS_ERROR_REFUSED},
    {"NOREPLICAS Not enough good replicas to write.", "NOREPLICAS", REDIS_ERROR_REFUSED},
    {"BUSY Redis is busy running a script.", "BUSY", REDIS_ERROR_AGAIN},
    {"TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN", REDIS_ERROR_AGAIN},
    {"READONLY You can't write against a read only replica.", "READONLY", REDIS_ERROR_UNFIT},
    {"LOADING Redis is loading the dataset in memory", "LOADING", REDIS_ERROR_UNFIT},
    {"MASTERDOWN Link with MASTER is down", "MASTERDOWN", REDIS_ERROR_UNFIT},
    {"MOVED 3999 127.0.0.1:6381", "MOVED", REDIS_ERROR_MOVED},
    {"ASK 3999 127.0.0.1:6381", "ASK", REDIS_ERROR_AGAIN},
    {"CLUSTERDOWN Hash slot not served", "CLUSTERDOWN", REDIS_ERROR_AGAIN},
    {"NOSCRIPT No matching script. Please use EVAL.", "NOSCRIPT", REDIS_ERROR_NO_SCRIPT},
    {"NOPERM this user has no permissions to run the 'evalsha' command", "NOPERM", REDIS_ERROR_DENIED},
    {"NOAUTH Authentication required.", "NOAUTH", REDIS_ERROR_DENIED},
    {"WRONGPASS invalid username-password pair", "WRONGPASS", REDIS_ERROR_DENIED},
    {"WRONGTYPE Operation against a key holding the wrong kind of value script: 5f, on @user_script:9.", "WRONGTYPE",
     REDIS_ERROR_CORRUPT},
    {"ERR unknown command", "ERR", REDIS_ERROR_OTHER},
    {"ERR Error running script (call to f_5f0a): @user_script:3: user_script:3: attempt to index a nil value", "ERR",
     REDIS_ERROR_OTHER},
    {"OOMPH", "ERR", REDIS_ERROR_OTHER},
    {"", "ERR", REDIS_ERROR_OTHER},
};

static void each_error_has_its_meaning(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct span text = span_of_text(samples[i].text);
        assert_string_equal(redis_error_code(text), samples[i].code);
        assert_int_equal(redis_error_classify(text), samples[i].error);
    }
}

static void moved_and_ask_name_slot_and_address(void **state) {
    (void) state;
    uint32_t slot = 0;
    struct span address = SPAN_EMPTY;
    assert_true(redis_error_parse_moved(SPAN_LITERAL("MOVED 3999 127.0.0.1:6381"), &slot, &address));
    assert_int_equal(slot, 3999);
    assert_true(span_equal_text(address, "127.0.0.1:6381"));
    assert_true(redis_error_parse_moved(SPAN_LITERAL("ASK 16383 ::1:6381"), &slot, &address));
    assert_int_equal(slot, 16383);
    assert_true(span_equal_text(address, "::1:6381"));
    assert_true(redis_error_parse_moved(SPAN_LITERAL("MOVED 0 :6381"), &slot, &address));
    assert_int_equal(slot, 0);
    assert_true(span_equal_text(address, ":6381"));
}

static void what_is_no_redirection_is_refused(void **state) {
    (void) state;
    static const char *const texts[] = {
        "", "MOVED", "MOVED ", "MOVED 1", "MOVED x a:1", "MOVED  1 a:1", "MOVED 65536 a:1", "READONLY 1 a:1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint32_t slot = 0;
        struct span address = SPAN_EMPTY;
        assert_false(redis_error_parse_moved(span_of_text(texts[i]), &slot, &address));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_error_has_its_meaning),
        cmocka_unit_test(moved_and_ask_name_slot_and_address),
        cmocka_unit_test(what_is_no_redirection_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
