/* subscribe, recovery, what the hub tells, presence, unsubscribe, subscription tokens and their expiry. */
#include "session_harness.h"

#define DENIED "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"

/* ---- what is granted ---- */

static void test_a_plain_subscribe_is_answered_when_the_hub_has_joined(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\",\"flag\":1}}");
    assert_written("");
    assert_false(hub_call("plain:a")->has_since);
    join("plain:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

static void test_a_recoverable_subscription_learns_its_position(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recoverable\":true,\"flag\":1}}");
    join("news", "kxYz", 7);
    assert_written(
        "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":7,\"positioned\":true}}\n");
}

static void test_a_position_may_be_wished_alone(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"positioned\":true}}");
    join("news", "kxYz", 0);
    assert_written("{\"id\":2,\"subscribe\":{\"epoch\":\"kxYz\",\"positioned\":true}}\n");
}

static void test_what_is_not_granted_is_simply_missing(void **state) {
    (void) state;
    connect_user();
    receive(
        "{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\",\"recoverable\":true,\"positioned\":true,\"join_leave\":true,"
        "\"delta\":\"fossil\"}}");
    assert_false(hub_call("plain:a")->member->wants_presence_events);
    join("plain:a", "kxYz", 7);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

static void test_forced_features_come_unasked(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\"}}");
    assert_true(hub_call("forced:a")->member->wants_presence_events);
    join("forced:a", "kxYz", 3);
    assert_written(
        "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":3,\"positioned\":true}}\n");
}

static void test_the_brokers_word_counts_where_it_has_no_history(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recoverable\":true,\"recover\":true,\"offset\":3}}");
    join("news", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

/* ---- recovery ---- */

static void test_a_recovery_that_hits_brings_what_was_missed_and_the_offset_asked_from(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"recoverable\":true,\"recover\":true,\"epoch\":\"kxYz\","
            "\"offset\":6,"
            "\"flag\":1}}");
    struct hub_channel *call = hub_call("news");
    assert_true(call->has_since);
    assert_int_equal(call->since.offset, 6);
    assert_string_equal(call->since.epoch.text, "kxYz");
    struct buffer missed = BUFFER_EMPTY;
    wire_append_publication(&missed, &(struct wire_publication){.offset = 7, .data = SPAN_LITERAL("{\"a\":1}")});
    join_recovered("news", "kxYz", 7, 1, buffer_span(&missed));
    buffer_finish(&missed);
    assert_written(
        "{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"publications\":[{\"data\":{\"a\":1},"
        "\"offset\":7}],\"recovered\":true,\"offset\":6,\"positioned\":true,\"was_recovering\":true}}\n");
}

static void test_a_recovery_with_nothing_missed(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\",\"recover\":true,\"epoch\":\"kxYz\",\"offset\":7}}");
    join_recovered("forced:a", "kxYz", 7, 0, SPAN_EMPTY);
    assert_written("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"recovered\":true,\"offset\":7,"
                   "\"positioned\":true,\"was_recovering\":true}}\n");
}

static void test_a_recovery_that_misses_says_where_the_stream_stands(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\",\"recover\":true,\"epoch\":\"old\",\"offset\":6}}");
    join("forced:a", "kxYz", 7);
    assert_written("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":7,\"positioned\":true,"
                   "\"was_recovering\":true}}\n");
}

static void test_flag_2_makes_a_miss_error_112(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\",\"recover\":true,\"epoch\":\"old\",\"offset\":6,"
            "\"flag\":3}}");
    join("forced:a", "kxYz", 7);
    assert_written("{\"id\":2,\"error\":{\"code\":112,\"message\":\"unrecoverable position\"}}\n");
    assert_null(hub_call("forced:a")->member);
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"forced:a\"}}"); /* it may come again */
    join("forced:a", "kxYz", 7);
    assert_true(strstr(written(), "\"id\":3,\"subscribe\"") != NULL);
}

static void test_since_is_used_only_where_recovery_was_asked_for_and_granted(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\",\"epoch\":\"kxYz\",\"offset\":6}}");
    assert_false(hub_call("forced:a")->has_since);
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"plain:a\",\"recover\":true,\"epoch\":\"kxYz\",\"offset\":6}}");
    assert_false(hub_call("plain:a")->has_since);
    join("plain:a", "kxYz", 7);
    assert_written("{\"id\":3,\"subscribe\":{}}\n");
}

/* ---- refusals ---- */

static void test_subscribes_that_are_refused(void **state) {
    (void) state;
    static const struct {
        const char *request;
        const char *error;
    } rows[] = {
        {"\"channel\":\"closed:a\"", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"$secret\"", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"dialog#7\"", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"nowhere:a\"", "\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n"},
        {"\"channel\":\"a b\"", "\"error\":{\"code\":107,\"message\":\"bad request\"}}\n"},
        {"\"channel\":\"news\",\"tf\":{\"op\":\"and\"}", "\"error\":{\"code\":107,\"message\":\"bad request\"}}\n"},
        {"\"channel\":\"news\",\"type\":1", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"news\",\"type\":2", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"news\",\"type\":3", "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
        {"\"channel\":\"news\",\"type\":4", "\"error\":{\"code\":108,\"message\":\"not available\"}}\n"},
        {"\"channel\":\"news\",\"type\":5", "\"error\":{\"code\":107,\"message\":\"bad request\"}}\n"},
        {"\"channel\":\"news\",\"token\":\"nonsense\"",
         "\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n"},
    };
    connect_user();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[512];
        char expected[512];
        snprintf(message, sizeof message, "{\"id\":2,\"subscribe\":{%s}}", rows[i].request);
        snprintf(expected, sizeof expected, "{\"id\":2,%s", rows[i].error);
        receive(message);
        assert_written(expected);
        assert_int_equal(n_hub_calls, 0);
    }
    assert_open();
}

static void test_subscribes_that_end_the_connection(void **state) {
    (void) state;
    static const char *const rows[] = {
        "{\"id\":2,\"subscribe\":{}}",
        "{\"id\":2,\"subscribe\":{\"channel\":\"\"}}",
        "{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"delta\":\"vcdiff\"}}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        connect_user();
        receive(rows[i]);
        assert_written("");
        assert_closed(3501, "bad request");
        close_session();
        open_session();
    }
}

static void test_the_anonymous_subscribe_only_where_that_is_allowed(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{}"));
    written();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}");
    assert_written("{\"id\":2," DENIED);
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"open:a\"}}");
    join("open:a", NULL, 0);
    assert_written("{\"id\":3,\"subscribe\":{}}\n");
}

static void test_a_user_limited_channel_is_for_those_it_lists(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"dialog#7,42\"}}");
    join("dialog#7,42", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

static void test_a_channel_can_be_subscribed_once(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"plain:a\"}}");
    assert_written("{\"id\":3,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}\n");
    join("plain:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
    receive("{\"id\":4,\"subscribe\":{\"channel\":\"plain:a\"}}");
    assert_written("{\"id\":4,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}\n");
}

static void test_there_is_a_most_of_channels(void **state) {
    (void) state;
    t.config.channels_max = 2;
    connect_user();
    subscribe_plainly("plain:a");
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"plain:b\"}}\n{\"id\":4,\"subscribe\":{\"channel\":\"plain:c\"}}");
    assert_written("{\"id\":4,\"error\":{\"code\":106,\"message\":\"limit exceeded\"}}\n");
    join("plain:b", NULL, 0);
    assert_written("{\"id\":3,\"subscribe\":{}}\n");
    receive("{\"id\":5,\"unsubscribe\":{\"channel\":\"plain:a\"}}");
    assert_written("{\"id\":5,\"unsubscribe\":{}}\n");
    subscribe_plainly("plain:c");
}

static void test_a_join_that_fails_is_answered_with_its_error(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}");
    struct hub_member *member = hub_call("plain:a")->member;
    hub_leave(NULL, member);
    t.environment.to_hub.on_join_failed(member, ERROR_TOO_MANY_REQUESTS);
    flush();
    assert_written("{\"id\":2,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    subscribe_plainly("plain:a");
}

/* ---- subscribed ---- */

static void test_unsubscribe_always_succeeds_and_nothing_follows(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"unsubscribe\":{\"channel\":\"never\"}}");
    assert_written("{\"id\":2,\"unsubscribe\":{}}\n");
    subscribe_plainly("plain:a");
    receive("{\"id\":3,\"unsubscribe\":{\"channel\":\"plain:a\"}}");
    assert_written("{\"id\":3,\"unsubscribe\":{}}\n");
    assert_null(hub_call("plain:a")->member);
    receive("{\"id\":4,\"unsubscribe\":{\"channel\":\"\"}}");
    assert_closed(3501, "bad request");
}

static void test_lost_continuity_ends_a_positioned_subscription(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\"}}");
    join("forced:a", "kxYz", 3);
    written();
    const struct position position = {.offset = 1};
    t.environment.to_hub.on_lost(hub_call("forced:a")->member, &position);
    flush();
    assert_written(
        "{\"push\":{\"channel\":\"forced:a\",\"unsubscribe\":{\"code\":2500,\"reason\":\"insufficient state\"}}}\n");
    assert_null(hub_call("forced:a")->member);
    assert_open();
}

static void test_lost_continuity_does_not_concern_who_has_no_position(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    const struct position position = {.offset = 1};
    t.environment.to_hub.on_lost(hub_call("plain:a")->member, &position);
    flush();
    assert_written("");
    assert_non_null(hub_call("plain:a")->member);
}

static void test_the_session_enters_presence_after_its_reply(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"join_leave\":true}}");
    assert_true(hub_call("news")->member->wants_presence_events);
    assert_int_equal(hub_call("news")->n_presence_sets, 0);
    join("news", NULL, 0);
    assert_int_equal(hub_call("news")->n_presence_sets, 1);
    assert_true(hub_call("news")->told_join);
    replace_all(hub_call("news")->info, t.client, "ID");
    assert_string_equal(hub_call("news")->info, "42|ID|{\"n\":\"Ann\"}|");
    receive("{\"id\":3,\"unsubscribe\":{\"channel\":\"news\"}}");
    assert_int_equal(hub_call("news")->n_presence_clears, 1);
}

static void test_without_presence_and_join_leave_nobody_is_told(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    assert_int_equal(hub_call("plain:a")->n_presence_sets, 0);
}

/* ---- tokens ---- */

static void subscribe_with_token(const char *channel, const char *signed_token) {
    char message[4096];
    snprintf(message, sizeof message, "{\"id\":2,\"subscribe\":{\"channel\":\"%s\",\"token\":\"%s\"}}", channel,
             signed_token);
    receive(message);
}

static void test_a_token_opens_a_private_channel(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"data\":{\"d\":1}}"));
    join("$secret", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{\"data\":{\"d\":1}}}\n");
}

static void test_a_token_decides_alone(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("closed:a", token("{\"sub\":\"42\",\"channel\":\"closed:a\"}"));
    join("closed:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
    subscribe_with_token("nowhere:a", token("{\"sub\":\"42\",\"channel\":\"nowhere:a\"}"));
    assert_written("{\"id\":2,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
}

static void test_an_expired_subscription_token_is_error_109(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"exp\":\"$PAST\"}"));
    assert_written("{\"id\":2,\"error\":{\"code\":109,\"message\":\"token expired\"}}\n");
    subscribe_with_token("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"expire_at\":\"$PAST\"}"));
    assert_written("{\"id\":2,\"error\":{\"code\":110,\"message\":\"expired\"}}\n");
    assert_open();
}

static void test_somebody_elses_token_is_the_end(void **state) {
    (void) state;
    static const char *const claims[] = {
        "{\"sub\":\"7\",\"channel\":\"$secret\"}",
        "{\"channel\":\"$secret\"}",
        "{\"sub\":\"42\",\"channel\":\"$other\"}",
        "{\"sub\":\"42\",\"channel\":\"\"}",
        "{\"sub\":\"42\"}",
        "{\"sub\":\"42\",\"channel\":\"$secret\",\"client\":\"0b6e\"}",
    };
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        connect_user();
        subscribe_with_token("$secret", token(claims[i]));
        assert_written("");
        assert_closed(3500, "invalid token");
        close_session();
        open_session();
    }
}

static void test_chan_info_of_a_token_goes_into_presence(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"info\":{\"role\":\"x\"}}"));
    join("$secret", NULL, 0);
    replace_all(hub_call("$secret")->info, t.client, "ID");
    assert_string_equal(hub_call("$secret")->info, "42|ID|{\"n\":\"Ann\"}|{\"role\":\"x\"}");
}

static void test_an_override_of_a_token_counts(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("forced:a", token("{\"sub\":\"42\",\"channel\":\"forced:a\",\"override\":{\"force_recovery\":"
                                           "{\"value\":false},\"force_positioning\":{\"value\":false}}}"));
    join("forced:a", "kxYz", 3);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

static void test_binary_claims_reach_json_clients_as_base64(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token(
        "$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"b64data\":\"AAH/\",\"b64info\":\"eyJhIjoxfQ==\"}"));
    join("$secret", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{\"data\":\"AAH/\"}}\n");
    replace_all(hub_call("$secret")->info, t.client, "ID");
    assert_string_equal(hub_call("$secret")->info, "42|ID|{\"n\":\"Ann\"}|{\"a\":1}");
}

/* ---- expiry ---- */

static void subscribe_until_the_next_minute(void) {
    subscribe_with_token("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"exp\":\"$EXP\"}"));
    join("$secret", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{\"expires\":true,\"ttl\":60}}\n");
}

/* 60 s of the token and 25 s of grace; pings are off, so that they do not disturb. */
static void test_a_subscription_that_is_not_refreshed_ends_after_its_grace(void **state) {
    (void) state;
    t.config.pong_timeout_ms = 0;
    t.config.ping_interval_ms = 0;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    written();
    subscribe_until_the_next_minute();
    subscribe_plainly("plain:a");
    pass_ms(84900);
    assert_written("");
    pass_ms(200);
    assert_written(
        "{\"push\":{\"channel\":\"$secret\",\"unsubscribe\":{\"code\":2501,\"reason\":\"subscription expired\"}}}\n");
    assert_null(hub_call("$secret")->member);
    assert_non_null(hub_call("plain:a")->member);
    assert_open();
}

static void refresh_subscription(const char *channel, const char *signed_token) {
    char message[4096];
    snprintf(message, sizeof message, "{\"id\":3,\"sub_refresh\":{\"channel\":\"%s\",\"token\":\"%s\"}}", channel,
             signed_token);
    receive(message);
}

static void test_a_refreshed_subscription_goes_on(void **state) {
    (void) state;
    t.config.ping_interval_ms = 0;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    written();
    subscribe_until_the_next_minute();
    pass_ms(60000);
    refresh_subscription("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"exp\":\"$EXP\"}"));
    assert_written("{\"id\":3,\"sub_refresh\":{\"expires\":true,\"ttl\":60}}\n");
    pass_ms(84900);
    assert_written("");
    refresh_subscription("$secret", token("{\"sub\":\"42\",\"channel\":\"$secret\"}"));
    assert_written("{\"id\":3,\"sub_refresh\":{}}\n");
    pass_ms(100000);
    assert_written("");
    assert_non_null(hub_call("$secret")->member);
}

static void test_old_sdks_leave_the_channel_of_sub_refresh_out(void **state) {
    (void) state;
    connect_user();
    subscribe_until_the_next_minute();
    refresh_subscription("", token("{\"sub\":\"42\",\"channel\":\"$secret\",\"exp\":\"$EXP\"}"));
    assert_written("{\"id\":3,\"sub_refresh\":{\"expires\":true,\"ttl\":60}}\n");
    subscribe_plainly("plain:a"); /* does not expire */
    refresh_subscription("", token("{\"sub\":\"42\",\"channel\":\"plain:a\",\"exp\":\"$EXP\"}"));
    assert_written("{\"id\":3," DENIED);
}

static void test_sub_refreshes_that_are_refused(void **state) {
    (void) state;
    connect_user();
    subscribe_until_the_next_minute();
    refresh_subscription("other", token("{\"sub\":\"42\",\"channel\":\"other\"}"));
    assert_written("{\"id\":3," DENIED);
    receive("{\"id\":3,\"sub_refresh\":{\"channel\":\"$secret\"}}");
    assert_written("{\"id\":3,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    receive("{\"id\":3,\"sub_refresh\":{\"channel\":\"$secret\",\"token\":\"x\",\"type\":1}}");
    assert_written("{\"id\":3,\"error\":{\"code\":108,\"message\":\"not available\"}}\n");
    assert_open();
}

static void test_sub_refreshes_that_end_the_connection(void **state) {
    (void) state;
    static const struct {
        const char *claims;
        int code;
        const char *reason;
    } rows[] = {
        {"{\"sub\":\"42\",\"channel\":\"$secret\",\"exp\":\"$PAST\"}", 3006, "subscription expired"},
        {"{\"sub\":\"42\",\"channel\":\"$secret\",\"expire_at\":\"$PAST\"}", 3006, "subscription expired"},
        {"{\"sub\":\"7\",\"channel\":\"$secret\"}", 3500, "invalid token"},
        {"{\"sub\":\"42\",\"channel\":\"$other\"}", 3500, "invalid token"},
        {"{\"sub\":\"42\"}", 3500, "invalid token"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        connect_user();
        subscribe_until_the_next_minute();
        refresh_subscription("$secret", token(rows[i].claims));
        assert_written("");
        assert_closed(rows[i].code, rows[i].reason);
        close_session();
        open_session();
    }
    connect_user();
    receive("{\"id\":3,\"sub_refresh\":{}}");
    assert_closed(3501, "bad request");
}

static void test_a_new_chan_info_is_told_to_presence(void **state) {
    (void) state;
    connect_user();
    subscribe_with_token("news", token("{\"sub\":\"42\",\"channel\":\"news\",\"info\":1}"));
    join("news", NULL, 0);
    refresh_subscription("news", token("{\"sub\":\"42\",\"channel\":\"news\",\"info\":1}"));
    assert_int_equal(hub_call("news")->n_presence_sets, 1);
    refresh_subscription("news", token("{\"sub\":\"42\",\"channel\":\"news\",\"info\":2}"));
    assert_int_equal(hub_call("news")->n_presence_sets, 2);
    replace_all(hub_call("news")->info, t.client, "ID");
    assert_string_equal(hub_call("news")->info, "42|ID|{\"n\":\"Ann\"}|2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_a_plain_subscribe_is_answered_when_the_hub_has_joined),
        session_test(test_a_recoverable_subscription_learns_its_position),
        session_test(test_a_position_may_be_wished_alone),
        session_test(test_what_is_not_granted_is_simply_missing),
        session_test(test_forced_features_come_unasked),
        session_test(test_the_brokers_word_counts_where_it_has_no_history),
        session_test(test_a_recovery_that_hits_brings_what_was_missed_and_the_offset_asked_from),
        session_test(test_a_recovery_with_nothing_missed),
        session_test(test_a_recovery_that_misses_says_where_the_stream_stands),
        session_test(test_flag_2_makes_a_miss_error_112),
        session_test(test_since_is_used_only_where_recovery_was_asked_for_and_granted),
        session_test(test_subscribes_that_are_refused),
        session_test(test_subscribes_that_end_the_connection),
        session_test(test_the_anonymous_subscribe_only_where_that_is_allowed),
        session_test(test_a_user_limited_channel_is_for_those_it_lists),
        session_test(test_a_channel_can_be_subscribed_once),
        session_test(test_there_is_a_most_of_channels),
        session_test(test_a_join_that_fails_is_answered_with_its_error),
        session_test(test_unsubscribe_always_succeeds_and_nothing_follows),
        session_test(test_lost_continuity_ends_a_positioned_subscription),
        session_test(test_lost_continuity_does_not_concern_who_has_no_position),
        session_test(test_the_session_enters_presence_after_its_reply),
        session_test(test_without_presence_and_join_leave_nobody_is_told),
        session_test(test_a_token_opens_a_private_channel),
        session_test(test_a_token_decides_alone),
        session_test(test_an_expired_subscription_token_is_error_109),
        session_test(test_somebody_elses_token_is_the_end),
        session_test(test_chan_info_of_a_token_goes_into_presence),
        session_test(test_an_override_of_a_token_counts),
        session_test(test_binary_claims_reach_json_clients_as_base64),
        session_test(test_a_subscription_that_is_not_refreshed_ends_after_its_grace),
        session_test(test_a_refreshed_subscription_goes_on),
        session_test(test_old_sdks_leave_the_channel_of_sub_refresh_out),
        session_test(test_sub_refreshes_that_are_refused),
        session_test(test_sub_refreshes_that_end_the_connection),
        session_test(test_a_new_chan_info_is_told_to_presence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
