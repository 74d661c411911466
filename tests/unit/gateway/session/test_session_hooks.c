/* Hooks: what is asked of workers, what waits for the answer, and what each answer does. */
#include "session_harness.h"

#define CONNECTED(more)                                                                                                \
    "{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION "\"" more ",\"ping\":25,\"pong\":"     \
    "true}}"
#define INTERNAL "\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n"

static struct namespace_options *hooked(void) {
    struct namespace_options *options = add_namespace("hooked");
    options->subscribe_proxy_enabled = options->publish_proxy_enabled = options->sub_refresh_proxy_enabled = true;
    namespace_set_destroy(&t.namespace_set);
    t.namespace_set = namespace_set_new(&t.list);
    t.environment.namespaces = t.namespace_set;
    return options;
}

static void allow(const char *result) {
    answer_verdict(last_call(), WIRE_CALL_RESULT, 0, result, "");
}

static void fill_time(char *out, size_t size, const char *format, int in_s) {
    snprintf(out, size, format, (long long) (test_wall_ms() / 1000 + in_s));
}

/* ---- connect ---- */

static void test_who_connects_without_a_token_is_whom_the_hook_says(void **state) {
    (void) state;
    t.config.connect_hook = true;
    receive("{\"id\":1,\"connect\":{\"name\":\"js\",\"version\":\"5\",\"data\":{\"c\":1},\"subs\":{\"plain:a\":{}}}}\n"
            "{\"id\":2,\"ping\":{}}");
    assert_written("");
    assert_int_equal(n_broker_calls, 1);
    assert_string_equal(last_call()->key, "connect");
    assert_string_equal(last_call()->data, "{\"c\":1}");
    assert_string_equal(last_call()->info,
                        "{\"transport\":\"test\",\"protocol\":\"json\",\"encoding\":\"json\",\"name\":\"js\","
                        "\"version\":\"5\",\"channels\":[\"plain:a\"]}");
    allow("{\"user\":\"42\",\"info\":{\"n\":1},\"data\":{\"d\":1},\"channels\":[\"plain:b\"]}");
    assert_written(""); /* its channels join first; what it named as its own is remembered */
    join("plain:b", NULL, 0);
    join("plain:a", NULL, 0);
    assert_written(
        CONNECTED(",\"data\":{\"d\":1},\"subs\":{\"plain:b\":{},\"plain:a\":{}}") "\n"
                                                                                  "{\"id\":2,\"ping\":{}}\n");
    assert_int_equal(t.environment.users, 1);
    receive("{\"id\":3,\"publish\":{\"channel\":\"plain:a\",\"data\":1}}");
    replace_all(last_call()->info, t.client, "ID");
    assert_string_equal(last_call()->info, "42|ID|{\"n\":1}|");
    answer_fine(last_call());
}

static void test_a_token_is_not_asked_about_and_no_hook_no_question(void **state) {
    (void) state;
    t.config.connect_hook = true;
    connect_user();
    assert_int_equal(n_broker_calls, 0);
}

static void assert_connect_fails(const char *result, const char *expected) {
    close_session();
    open_session();
    receive("{\"id\":1,\"connect\":{}}");
    allow(result);
    assert_written(expected);
    assert_open();
}

static void test_a_connect_verdict_that_cannot_be_used_is_an_internal_error(void **state) {
    (void) state;
    t.config.connect_hook = true;
    assert_connect_fails("", "{\"id\":1," INTERNAL);
    assert_connect_fails("{}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":7}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"expire_at\":-1}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"expire_at\":1.5}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"b64info\":\"%\"}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"channels\":{}}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"meta\":[]}", "{\"id\":1," INTERNAL);
    assert_connect_fails("{\"user\":\"a\",\"expire_at\":1}",
                         "{\"id\":1,\"error\":{\"code\":110,\"message\":\"expired\"}}\n");
    assert_connect_fails("{\"user\":\"a\",\"channels\":[\"nowhere:x\"]}",
                         "{\"id\":1,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
    assert_int_equal(t.environment.calls, 0);
}

static void test_a_connect_is_refused_by_the_hook_and_by_its_silence(void **state) {
    (void) state;
    t.config.connect_hook = true;
    receive("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"ping\":{}}");
    answer_verdict(last_call(), WIRE_CALL_ERROR_TEMPORARY, 503, "busy", "");
    assert_written("{\"id\":1,\"error\":{\"code\":503,\"message\":\"busy\",\"temporary\":true}}\n");
    close_session();
    open_session();
    receive("{\"id\":1,\"connect\":{}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_OUTCOME_UNKNOWN});
    assert_written("{\"id\":1," INTERNAL);
    close_session();
    open_session();
    receive("{\"id\":1,\"connect\":{}}");
    answer_verdict(last_call(), WIRE_CALL_DISCONNECT, 4500, "bye", "");
    assert_closed(4500, "bye");
    close_session();
    open_session();
    receive("{\"id\":1,\"connect\":{}}");
    pass_ms(10010);
    assert_closed(3502, "stale");
}

static void test_a_connection_that_goes_takes_its_question_along(void **state) {
    (void) state;
    t.config.connect_hook = true;
    receive("{\"id\":1,\"connect\":{\"subs\":{\"plain:a\":{}}}}");
    assert_true(t.environment.outbox_budget.used > 0);
    close_session();
    assert_null(last_call()->request);
    assert_int_equal(t.environment.calls, 0);
    assert_int_equal(t.environment.outbox_budget.used, 0);
    open_session();
    t.config.calls_max = 1;
    t.environment.calls = 1;
    receive("{\"id\":1,\"connect\":{}}");
    assert_written("{\"id\":1,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    t.environment.calls = 0;
}

/* ---- subscribe ---- */

static void test_a_subscription_waits_for_the_hook_and_gets_what_it_says(void **state) {
    (void) state;
    hooked()->presence = true;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"hooked:a\",\"data\":{\"k\":1}}}\n"
            "{\"id\":3,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    assert_written("{\"id\":3,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}\n");
    assert_int_equal(n_broker_calls, 1);
    assert_string_equal(last_call()->key, "subscribe");
    assert_string_equal(last_call()->channel, "hooked:a");
    assert_string_equal(last_call()->data, "{\"k\":1}");
    receive("{\"id\":4,\"unsubscribe\":{\"channel\":\"hooked:a\"}}");
    assert_written(""); /* it must not overtake */
    assert_int_equal(n_hub_calls, 0);
    allow("{\"info\":{\"s\":1},\"data\":{\"d\":2}}");
    assert_int_equal(n_hub_calls, 1);
    join("hooked:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{\"data\":{\"d\":2}}}\n{\"id\":4,\"unsubscribe\":{}}\n");
    replace_all(hub_calls[0].info, t.client, "ID");
    assert_string_equal(hub_calls[0].info, "42|ID|{\"n\":\"Ann\"}|{\"s\":1}");
}

static void test_tokens_and_user_limited_channels_do_not_need_the_hook(void **state) {
    (void) state;
    hooked()->allow_user_limited_channels = true;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"hooked:x#42\"}}");
    join("hooked:x#42", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"$hooked:y\"}}");
    assert_written("{\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    assert_int_equal(n_broker_calls, 0);
}

static void test_a_subscription_is_refused_by_the_hook_and_by_its_silence(void **state) {
    (void) state;
    hooked();
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    answer_verdict(last_call(), WIRE_CALL_ERROR, 1403, "no", "");
    assert_written("{\"id\":2,\"error\":{\"code\":1403,\"message\":\"no\"}}\n");
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_WORKER_LOST});
    assert_written("{\"id\":3," INTERNAL);
    receive("{\"id\":4,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    allow("{\"override\":7}");
    assert_written("{\"id\":4," INTERNAL);
    receive("{\"id\":5,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    allow("{\"expire_at\":5}");
    assert_written("{\"id\":5,\"error\":{\"code\":110,\"message\":\"expired\"}}\n");
    t.config.channels_max = 1;
    receive("{\"id\":6,\"subscribe\":{\"channel\":\"hooked:a\"}}\n{\"id\":7,\"subscribe\":{\"channel\":\"hooked:b\"}}");
    assert_written("{\"id\":7,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}\n");
    assert_int_equal(n_hub_calls, 0);
}

/* ---- publish ---- */

static void test_a_publication_is_asked_about_and_may_be_changed(void **state) {
    (void) state;
    hooked();
    connect_user();
    receive("{\"id\":2,\"publish\":{\"channel\":\"hooked:a\",\"data\":{\"n\":1}}}\n"
            "{\"id\":3,\"publish\":{\"channel\":\"hooked:a\",\"data\":{\"n\":2}}}");
    assert_int_equal(n_broker_calls, 1); /* one after another */
    assert_string_equal(last_call()->data, "{\"n\":1}");
    allow("");
    assert_int_equal(n_broker_calls, 3);
    assert_string_equal(broker_calls[1].what, "publish");
    assert_string_equal(broker_calls[1].data, "{\"n\":1}");
    answer_fine(&broker_calls[1]);
    assert_written("{\"id\":2,\"publish\":{}}\n");
    allow("{\"data\":{\"n\":3},\"skip_history\":true,\"tags\":{\"a\":\"b\"}}");
    assert_string_equal(last_call()->data, "{\"n\":3}");
    assert_int_equal(last_call()->flags, WIRE_PUBLISH_SKIP_HISTORY);
    assert_true(last_call()->tags_size > 0);
    answer_fine(last_call());
    assert_written("{\"id\":3,\"publish\":{}}\n");
}

static void test_a_publication_is_refused(void **state) {
    (void) state;
    hooked();
    connect_user();
    receive("{\"id\":2,\"publish\":{\"channel\":\"hooked:a\",\"data\":1}}");
    answer_verdict(last_call(), WIRE_CALL_ERROR, 1403, "no", "");
    assert_written("{\"id\":2,\"error\":{\"code\":1403,\"message\":\"no\"}}\n");
    receive("{\"id\":3,\"publish\":{\"channel\":\"hooked:a\",\"data\":1}}");
    answer_verdict(last_call(), WIRE_CALL_RESULT, 0, "{}", "no JSON");
    assert_written("{\"id\":3," INTERNAL);
    receive("{\"id\":4,\"publish\":{\"channel\":\"hooked:a\",\"data\":1}}");
    allow("{\"tags\":{\"a\":1}}");
    assert_written("{\"id\":4," INTERNAL);
    receive("{\"id\":5,\"publish\":{\"channel\":\"hooked:a\",\"data\":1}}");
    t.environment.refuses_publications = true;
    allow("{}");
    assert_written("{\"id\":5,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    assert_int_equal(n_broker_calls, 4);
}

/* ---- refresh ---- */

static void connect_until(int in_s) {
    char result[256];
    t.config.connect_hook = t.config.refresh_hook = true;
    t.config.pong_timeout_ms = config_of_test.pong_timeout_ms;
    receive("{\"id\":1,\"connect\":{}}");
    fill_time(result, sizeof result, "{\"user\":\"42\",\"meta\":{\"m\":1},\"expire_at\":%lld}", in_s);
    allow(result);
    assert_written(CONNECTED("") "\n"); /* the client has nothing to refresh */
    t.config.pong_timeout_ms = 0;
}

static void test_a_connection_is_extended_by_the_hook(void **state) {
    (void) state;
    char result[256];
    connect_until(20);
    pass_ms(19000);
    assert_int_equal(n_broker_calls, 1);
    pass_ms(1100);
    assert_int_equal(n_broker_calls, 2);
    assert_string_equal(last_call()->key, "refresh");
    assert_non_null(strstr(last_call()->info, "\"meta\":{\"m\":1}"));
    fill_time(result, sizeof result, "{\"expire_at\":%lld,\"meta\":{\"m\":2}}", 5);
    allow(result);
    pass_ms(5100);
    assert_int_equal(n_broker_calls, 3);
    assert_non_null(strstr(last_call()->info, "\"meta\":{\"m\":2}"));
    allow("{}"); /* for ever */
    receive("{\"id\":9,\"refresh\":{\"token\":\"x\"}}");
    assert_closed(3501, "bad request");
}

static void test_a_refresh_that_fails_is_asked_again_until_it_is_too_late(void **state) {
    (void) state;
    connect_until(5);
    pass_ms(5010);
    unsigned asked = 1;
    for (unsigned ms = 0; ms < 24000; ms += 10) {
        if (n_broker_calls > asked) {
            asked = n_broker_calls;
            answer(last_call(), &(struct broker_answer){.error = ERROR_NOT_AVAILABLE});
        }
        pass_ms(10);
    }
    assert_in_range(asked, 6, 9); /* after 0, 1, 3, 6, 10, 15, 21 seconds */
    assert_open();
    pass_ms(1100);
    assert_closed(3005, "connection expired");
}

static void test_a_refresh_ends_the_connection(void **state) {
    (void) state;
    connect_until(5);
    pass_ms(5010);
    allow("{\"expired\":true}");
    assert_closed(3005, "connection expired");
    close_session();
    open_session();
    connect_until(5);
    pass_ms(5010);
    answer_verdict(last_call(), WIRE_CALL_DISCONNECT, 4400, "out", "");
    assert_closed(4400, "out");
}

static void test_a_subscription_is_extended_or_ended_by_the_hook(void **state) {
    (void) state;
    char result[256];
    hooked();
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    fill_time(result, sizeof result, "{\"expire_at\":%lld}", 5);
    allow(result);
    join("hooked:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
    pass_ms(5100);
    assert_string_equal(last_call()->key, "sub_refresh");
    assert_string_equal(last_call()->channel, "hooked:a");
    answer_verdict(last_call(), WIRE_CALL_ERROR, 500, "later", "");
    pass_ms(1100);
    assert_int_equal(n_broker_calls, 3);
    fill_time(result, sizeof result, "{\"expire_at\":%lld}", 5);
    allow(result);
    pass_ms(5100);
    assert_int_equal(n_broker_calls, 4);
    allow("{\"expired\":true}");
    assert_written("{\"push\":{\"channel\":\"hooked:a\",\"unsubscribe\":{\"code\":2501,\"reason\":\"subscription "
                   "expired\"}}}\n");
    assert_open();
}

static void test_a_client_cannot_refresh_what_a_hook_does(void **state) {
    (void) state;
    char result[256];
    hooked();
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"hooked:a\"}}");
    fill_time(result, sizeof result, "{\"expire_at\":%lld}", 60);
    allow(result);
    join("hooked:a", NULL, 0);
    receive("{\"id\":3,\"sub_refresh\":{\"channel\":\"hooked:a\",\"token\":\"x\"}}");
    assert_closed(3501, "bad request");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_who_connects_without_a_token_is_whom_the_hook_says),
        session_test(test_a_token_is_not_asked_about_and_no_hook_no_question),
        session_test(test_a_connect_verdict_that_cannot_be_used_is_an_internal_error),
        session_test(test_a_connect_is_refused_by_the_hook_and_by_its_silence),
        session_test(test_a_connection_that_goes_takes_its_question_along),
        session_test(test_a_subscription_waits_for_the_hook_and_gets_what_it_says),
        session_test(test_tokens_and_user_limited_channels_do_not_need_the_hook),
        session_test(test_a_subscription_is_refused_by_the_hook_and_by_its_silence),
        session_test(test_a_publication_is_asked_about_and_may_be_changed),
        session_test(test_a_publication_is_refused),
        session_test(test_a_connection_is_extended_by_the_hook),
        session_test(test_a_refresh_that_fails_is_asked_again_until_it_is_too_late),
        session_test(test_a_refresh_ends_the_connection),
        session_test(test_a_subscription_is_extended_or_ended_by_the_hook),
        session_test(test_a_client_cannot_refresh_what_a_hook_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
