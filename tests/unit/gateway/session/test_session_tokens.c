/* What a session does when tokens are revoked, when the key of one is still being fetched, and when subscription tokens
 * have keys of their own. */
#include "session_harness.h"

#define OTHER_SECRET "the secret of subscription tokens, 32 bytes and more"

static revocations_t *revocations;
static unsigned n_awaited;

static void take_list(const char *lines) {
    char error[256] = "";
    revocations_unref(&revocations);
    revocations = revocations_read(span_of_text(lines), test_wall_ms() / 1000, error, sizeof error);
    assert_non_null(revocations);
    t.environment.revocations = revocations;
    session_end_revoked(&t.environment);
    flush();
}

static int tear_down_all(void **state) {
    int result = tear_down(state);
    revocations_unref(&revocations);
    return result;
}

static void connect_with(const char *claims) {
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token(claims));
}

static void test_a_revoked_user_is_closed_with_3500(void **state) {
    (void) state;
    connect_with("{\"sub\":\"42\",\"iat\":1000}");
    assert_non_null(strstr(written(), "\"connect\""));
    take_list("{\"user\":\"43\",\"not_before\":5000}\n{\"user\":\"42\",\"not_before\":1000}");
    assert_open();
    take_list("{\"user\":\"42\",\"not_before\":1001}");
    assert_closed(3500, "invalid token");
}

static void test_a_token_without_iat_counts_as_issued_before(void **state) {
    (void) state;
    connect_user();
    take_list("{\"user\":\"42\",\"not_before\":0}");
    assert_closed(3500, "invalid token");
}

static void test_a_single_token_is_revoked_by_its_jti(void **state) {
    (void) state;
    connect_with("{\"sub\":\"42\",\"jti\":\"a\"}");
    take_list("{\"jti\":\"b\"}");
    assert_open();
    take_list("{\"jti\":\"a\"}");
    assert_closed(3500, "invalid token");
}

static void test_a_fresh_token_takes_the_place_of_the_one_that_is_revoked(void **state) {
    (void) state;
    connect_with("{\"sub\":\"42\",\"jti\":\"old\",\"iat\":1000}");
    receive_with_token("{\"id\":2,\"refresh\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"jti\":\"new\",\"iat\":2000}"));
    take_list("{\"jti\":\"old\"}\n{\"user\":\"42\",\"not_before\":2000}");
    assert_open();
    take_list("{\"jti\":\"new\"}");
    assert_closed(3500, "invalid token");
}

static void test_revoked_tokens_open_nothing(void **state) {
    (void) state;
    take_list("{\"user\":\"42\",\"not_before\":1000}\n{\"jti\":\"x\"}");
    connect_with("{\"sub\":\"42\",\"iat\":999}");
    assert_closed(3500, "invalid token");
    close_session();
    open_session();
    connect_with("{\"sub\":\"7\",\"jti\":\"x\"}");
    assert_closed(3500, "invalid token");
    close_session();
    open_session();
    connect_with("{\"sub\":\"42\",\"iat\":1000}");
    assert_open();
    written();
    receive_with_token("{\"id\":3,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"$news\",\"iat\":999}"));
    assert_written("{\"id\":3,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    receive_with_token("{\"id\":4,\"refresh\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"iat\":999}"));
    assert_closed(3500, "invalid token");
}

static void test_who_needed_no_token_is_not_concerned(void **state) {
    (void) state;
    t.config.allow_anonymous = true;
    receive("{\"id\":1,\"connect\":{}}");
    written();
    take_list("{\"user\":\"42\",\"not_before\":9999999999}\n{\"jti\":\"a\"}");
    assert_open();
}

static void test_a_revoked_subscription_token_ends_its_subscription_only(void **state) {
    (void) state;
    connect_user();
    receive_with_token("{\"id\":2,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"$news\",\"jti\":\"s\",\"iat\":5}"));
    join("$news", "e", 0);
    written();
    take_list("{\"jti\":\"other\"}");
    assert_written("");
    take_list("{\"jti\":\"s\"}");
    assert_written("{\"push\":{\"channel\":\"$news\",\"unsubscribe\":{\"code\":2501,\"reason\":\"subscription "
                   "expired\"}}}\n");
    assert_open();
}

static void on_key_awaited(void *context) {
    assert_ptr_equal(context, &t);
    n_awaited++;
}

/* Keys are fetched, and a token names one that is not there. */
static void expect_keys(void) {
    char error[256];
    const struct token_rules rules = {.any_audience = true, .keys_may_follow = true};
    token_keys_destroy(&t.keys);
    t.keys = token_keys_new(&rules);
    assert_true(token_keys_add_secret(t.keys, NULL, TOKEN_HS256, SPAN_LITERAL(SECRET), error, sizeof error));
    t.environment.keys = t.keys;
    t.environment.on_key_awaited = on_key_awaited;
    t.environment.token_context = &t;
    n_awaited = 0;
}

static const char *token_of_kid(const char *kid, const char *secret, const char *claims) {
    static char text[2048];
    struct buffer out = BUFFER_EMPTY;
    assert_true(token_sign_with_secret(&out, kid, TOKEN_HS256, span_of_text(secret), span_of_text(claims)));
    snprintf(text, sizeof text, "%.*s", (int) out.size, (const char *) out.data);
    buffer_finish(&out);
    return text;
}

#define COME_BACK(id)                                                                                                  \
    "{\"id\":" id ",\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n"

static void test_who_comes_before_the_key_is_told_to_come_back(void **state) {
    (void) state;
    expect_keys();
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token_of_kid("new", SECRET, "{\"sub\":\"42\"}"));
    assert_written(COME_BACK("1"));
    assert_open();
    assert_int_equal(n_awaited, 1);
}

static void test_nobody_is_closed_while_the_key_is_awaited(void **state) {
    (void) state;
    expect_keys();
    connect_user();
    receive_with_token("{\"id\":2,\"refresh\":{\"token\":\"%s\"}}", token_of_kid("new", SECRET, "{\"sub\":\"42\"}"));
    assert_written(COME_BACK("2"));
    const char *of_channel = token_of_kid("new", SECRET, "{\"sub\":\"42\",\"channel\":\"$news\"}");
    receive_with_token("{\"id\":3,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}", of_channel);
    assert_written(COME_BACK("3"));
    receive_with_token("{\"id\":4,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"$news\",\"exp\":\"$EXP\"}"));
    join("$news", "e", 0);
    written();
    of_channel = token_of_kid("new", SECRET, "{\"sub\":\"42\",\"channel\":\"$news\"}");
    receive_with_token("{\"id\":5,\"sub_refresh\":{\"channel\":\"$news\",\"token\":\"%s\"}}", of_channel);
    assert_written(COME_BACK("5"));
    assert_open();
    assert_int_equal(n_awaited, 3);
}

static void test_subscription_tokens_may_have_keys_of_their_own(void **state) {
    (void) state;
    char error[256];
    const struct token_rules rules = {.any_audience = true};
    token_keys_t *own = token_keys_new(&rules);
    assert_true(token_keys_add_secret(own, NULL, TOKEN_HS256, SPAN_LITERAL(OTHER_SECRET), error, sizeof error));
    t.environment.subscription_keys = own;
    connect_user();
    receive_with_token("{\"id\":2,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"$news\"}"));
    assert_written("{\"id\":2,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    receive_with_token("{\"id\":3,\"subscribe\":{\"channel\":\"$news\",\"token\":\"%s\"}}",
                       token_of_kid(NULL, OTHER_SECRET, "{\"sub\":\"42\",\"channel\":\"$news\"}"));
    join("$news", "e", 0);
    assert_non_null(strstr(written(), "\"subscribe\""));
    receive_with_token("{\"id\":4,\"refresh\":{\"token\":\"%s\"}}",
                       token_of_kid(NULL, OTHER_SECRET, "{\"sub\":\"42\"}"));
    assert_closed(3500, "invalid token");
    token_keys_destroy(&own);
}

#define token_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down_all)

static void test_no_token_is_taken_while_nobody_knows_which_are_revoked(void **state) {
    (void) state;
    t.environment.refuses_tokens = true;
    connect_with("{\"sub\":\"42\"}");
    assert_written("{\"id\":1,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
    close_session();
    open_session();
    t.environment.refuses_tokens = false;
    connect_user();
    t.environment.refuses_tokens = true;
    receive_with_token("{\"id\":2,\"refresh\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    assert_non_null(strstr(written(), "\"code\":100"));
    receive_with_token("{\"id\":3,\"subscribe\":{\"channel\":\"closed:x\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"closed:x\"}"));
    assert_non_null(strstr(written(), "\"code\":100"));
    assert_open();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        token_test(test_no_token_is_taken_while_nobody_knows_which_are_revoked),
        token_test(test_a_revoked_user_is_closed_with_3500),
        token_test(test_a_token_without_iat_counts_as_issued_before),
        token_test(test_a_single_token_is_revoked_by_its_jti),
        token_test(test_a_fresh_token_takes_the_place_of_the_one_that_is_revoked),
        token_test(test_revoked_tokens_open_nothing),
        token_test(test_who_needed_no_token_is_not_concerned),
        token_test(test_a_revoked_subscription_token_ends_its_subscription_only),
        token_test(test_who_comes_before_the_key_is_told_to_come_back),
        token_test(test_nobody_is_closed_while_the_key_is_awaited),
        token_test(test_subscription_tokens_may_have_keys_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
