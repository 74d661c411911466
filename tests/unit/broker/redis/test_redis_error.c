/* What error replies mean, as Redis 7 and 6.2 word them. */
#include "broker/redis/redis_error.h"

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
    {"BUSY Redis is busy running a script.", "BUSY", REDIS_ERROR_REFUSED},
    {"TRYAGAIN Multiple keys request during rehashing of slot", "TRYAGAIN", REDIS_ERROR_REFUSED},
    {"READONLY You can't write against a read only replica.", "READONLY", REDIS_ERROR_UNFIT},
    {"LOADING Redis is loading the dataset in memory", "LOADING", REDIS_ERROR_UNFIT},
    {"MASTERDOWN Link with MASTER is down", "MASTERDOWN", REDIS_ERROR_UNFIT},
    {"MOVED 3999 127.0.0.1:6381", "MOVED", REDIS_ERROR_UNFIT},
    {"ASK 3999 127.0.0.1:6381", "ASK", REDIS_ERROR_UNFIT},
    {"CLUSTERDOWN Hash slot not served", "CLUSTERDOWN", REDIS_ERROR_UNFIT},
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_error_has_its_meaning)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
