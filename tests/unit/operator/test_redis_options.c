/* The options and the lists of pods. */
#include "operator/redis/redis_options.h"
#include "operator/redis/redis_pods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool read_words(struct redis_options *options, const char *prefix, const char *const *words, int n,
                       int *ret_rest, char error[256]) {
    return redis_options_read(options, REDIS_OPTIONS_AGENT, prefix, n, (char **) words, 0, ret_rest, error, 256);
}

static void reads_flags_over_the_environment(void **state) {
    static const char *const words[] = {"--mode", "cluster", "--shards=5", "--tls", "--", "redis-server", "--x"};
    struct redis_options options;
    char error[256] = "";
    int rest;
    (void) state;
    setenv("TESTED_SHARDS", "4", 1);
    setenv("TESTED_MASTER_SET", "mine", 1);
    setenv("POD_NAME", "redis-7", 1);
    assert_true(read_words(&options, "TESTED", words, 7, &rest, error));
    assert_int_equal(options.mode, REDIS_MODE_CLUSTER);
    assert_int_equal(options.shards, 5);
    assert_true(options.tls);
    assert_string_equal(options.master_set, "mine");
    assert_string_equal(options.pod_name, "redis-7");
    assert_int_equal(options.command_timeout_ms, 1000); /* its default */
    assert_int_equal(options.ordinal, REDIS_NO_ORDINAL);
    assert_int_equal(rest, 5);
    unsetenv("TESTED_SHARDS");
    unsetenv("TESTED_MASTER_SET");
    unsetenv("POD_NAME");
}

static void says_what_is_wrong(void **state) {
    static const struct {
        const char *word;
        const char *error;
    } cases[] = {
        {"--shard=3", "did you mean --shards?"},
        {"--shards=0", "--shards: 0 is no whole number from 1 to 90"},
        {"--shards=-1", "no whole number"},
        {"--mode=clustered", "none of standalone, replicated, cluster, sentinel"},
        {"--tls=yes", "neither true nor false"},
        {"--peers", "--peers needs its LIST"},
        {"--dry-run", "no such option"}, /* the operator's */
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct redis_options options;
        char error[256] = "";
        int rest;
        assert_false(read_words(&options, NULL, &cases[i].word, 1, &rest, error));
        if (strstr(error, cases[i].error) == NULL) {
            fail_msg("%s: %s", cases[i].word, error);
        }
    }
}

static void reads_lists_of_pods(void **state) {
    struct redis_pods pods;
    char error[256] = "";
    (void) state;
    assert_true(redis_pods_parse(&pods, "a-{0..2}.b:7000,c,[::1]:8000,::1", 6379, error, sizeof error));
    assert_int_equal(pods.n, 6);
    assert_string_equal(pods.pods[2].host, "a-2.b");
    assert_int_equal(pods.pods[2].port, 7000);
    assert_string_equal(pods.pods[3].host, "c");
    assert_int_equal(pods.pods[3].port, 6379);
    assert_string_equal(pods.pods[4].host, "::1");
    assert_int_equal(pods.pods[4].port, 8000);
    assert_string_equal(pods.pods[5].host, "::1");
    assert_int_equal(pods.pods[5].port, 6379);
    redis_pods_finish(&pods);
    assert_true(redis_pods_parse(&pods, NULL, 6379, error, sizeof error));
    assert_int_equal(pods.n, 0);
    static const char *const wrong[] = {"a,,b",     "a,",      ",a",      "a:0", "a:99999",     "a:x",
                                        "a-{3..1}", "a-{0..}", "a-{0..2", "a b", "a-{0..9999}", "a'b"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (redis_pods_parse(&pods, wrong[i], 6379, error, sizeof error)) {
            fail_msg("taken: %s", wrong[i]);
        }
    }
    uint64_t ordinal;
    assert_true(redis_pod_ordinal("callboard-redis-12", &ordinal));
    assert_int_equal(ordinal, 12);
    assert_false(redis_pod_ordinal("redis", &ordinal));
    assert_false(redis_pod_ordinal(NULL, &ordinal));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_flags_over_the_environment),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(reads_lists_of_pods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
