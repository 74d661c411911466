/* What the server subscribes a client to when it connects: by its token, its personal channel, and what it had before.
 */
#include "session_harness.h"

#define CONNECTED(subs)                                                                                                \
    "{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION "\"" subs ",\"ping\":25,\"pong\":"     \
    "true}}"
#define CONNECT "{\"id\":1,\"connect\":{\"token\":\"%s\"}}"

static void test_the_reply_waits_for_every_channel_and_tells_each(void **state) {
    (void) state;
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"forced:a\",\"plain:b\",\"forced:a\"]}"));
    assert_int_equal(n_hub_calls, 2);
    assert_written("");
    join("forced:a", "kxYz", 7);
    assert_written("");
    join("plain:b", NULL, 0);
    assert_written(CONNECTED(",\"subs\":{\"forced:a\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":7,"
                             "\"positioned\":true},\"plain:b\":{}}") "\n");
    assert_open();
}

static void test_nothing_is_said_before_the_reply(void **state) {
    (void) state;
    receive_with_token(CONNECT "\n{\"id\":2,\"ping\":{}}",
                       token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"plain:b\"]}"));
    join("plain:a", NULL, 0);
    deliver("plain:a", "early");
    flush();
    assert_written("");
    join("plain:b", NULL, 0);
    assert_written(CONNECTED(",\"subs\":{\"plain:a\":{},\"plain:b\":{}}") "\nearly\n{\"id\":2,\"ping\":{}}\n");
}

static void test_subs_of_a_token_carry_info_data_and_overrides(void **state) {
    (void) state;
    receive_with_token(CONNECT,
                       token("{\"sub\":\"42\",\"channels\":[\"closed:x\"],\"subs\":{\"news\":{\"info\":{\"r\":1},"
                             "\"data\":{\"hello\":1},\"override\":{\"force_recovery\":{\"value\":true}}},"
                             "\"closed:y\":{\"b64data\":\"eyJ4IjoxfQ==\"}}}"));
    assert_int_equal(n_hub_calls, 2);
    join("news", "kxYz", 3);
    join("closed:y", NULL, 0);
    assert_written(CONNECTED(",\"subs\":{\"news\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"offset\":3,\"positioned\":"
                             "true,\"data\":{\"hello\":1}},\"closed:y\":{\"data\":{\"x\":1}}}") "\n");
    assert_int_equal(hub_call("news")->n_presence_sets, 1);
    replace_all(hub_call("news")->info, t.client, "ID");
    assert_string_equal(hub_call("news")->info, "42|ID||{\"r\":1}");
}

static void test_the_personal_channel(void **state) {
    (void) state;
    t.config.personal_channel = true;
    t.config.personal_channel_namespace = (char *) "forced";
    receive_with_token(CONNECT, token("{\"sub\":\"42\"}"));
    join("forced:#42", "kxYz", 0);
    assert_written(
        CONNECTED(",\"subs\":{\"forced:#42\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"positioned\":true}}") "\n");
    close_session();
    open_session();
    t.config.allow_anonymous = true;
    receive("{\"id\":1,\"connect\":{}}");
    assert_written(CONNECTED("") "\n");
}

static void test_a_client_recovers_what_it_had(void **state) {
    (void) state;
    receive_with_token(
        "{\"id\":1,\"connect\":{\"token\":\"%s\",\"subs\":{\"forced:a\":{\"recover\":true,\"epoch\":\"kxYz\","
        "\"offset\":7}}}}",
        token("{\"sub\":\"42\",\"channels\":[\"forced:a\"]}"));
    assert_true(hub_call("forced:a")->has_since);
    assert_int_equal(hub_call("forced:a")->since.offset, 7);
    join_recovered("forced:a", "kxYz", 7, 0, SPAN_EMPTY);
    assert_written(CONNECTED(",\"subs\":{\"forced:a\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"recovered\":true,"
                             "\"offset\":7,\"positioned\":true,\"was_recovering\":true}}") "\n");
}

static void test_what_a_client_names_is_judged_as_if_it_asked(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\",\"subs\":{\"closed:a\":{},\"news\":{},\"$private\":{},"
                       "\"dialog#41\":{}}}}",
                       token("{\"sub\":\"42\"}"));
    assert_int_equal(n_hub_calls, 1);
    join("news", "kxYz", 7);
    assert_written(CONNECTED(",\"subs\":{\"news\":{}}") "\n");
}

static void test_unknown_channels(void **state) {
    (void) state;
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"news\",\"nowhere:a\"]}"));
    assert_written("{\"id\":1,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
    assert_null(hub_call("news")->member);
    receive("{\"id\":2,\"ping\":{}}");
    assert_closed(3501, "bad request");
    close_session();
    open_session();
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\",\"subs\":{\"nowhere:a\":{}}}}",
                       token("{\"sub\":\"42\"}"));
    assert_written("");
    assert_closed(3501, "bad request");
}

static void test_too_many_channels(void **state) {
    (void) state;
    t.config.channels_max = 2;
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"plain:b\",\"plain:c\"]}"));
    assert_written("");
    assert_closed(3505, "channel limit");
    close_session();
    open_session();
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\",\"subs\":{\"a\":{},\"b\":{},\"c\":{}}}}",
                       token("{\"sub\":\"42\"}"));
    assert_closed(3505, "channel limit");
}

static void test_a_channel_that_cannot_be_joined(void **state) {
    (void) state;
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"plain:b\"]}"));
    join("plain:a", NULL, 0);
    struct hub_member *member = hub_call("plain:b")->member;
    hub_leave(NULL, member);
    t.environment.to_hub.on_join_failed(member, ERROR_INTERNAL);
    flush();
    assert_written("");
    assert_closed(3004, "internal server error");
}

static void connect_to(const char *claims) {
    receive_with_token(CONNECT, token(claims));
    join("forced:a", "kxYz", 7);
    written();
}

static void test_lost_continuity_closes_the_connection(void **state) {
    (void) state;
    connect_to("{\"sub\":\"42\",\"channels\":[\"forced:a\"]}");
    const struct position position = {.offset = 9};
    t.environment.to_hub.on_lost(hub_call("forced:a")->member, &position);
    flush();
    assert_written("");
    assert_closed(3010, "insufficient state");
}

static void test_the_client_may_not_subscribe_to_it_again_but_may_leave(void **state) {
    (void) state;
    connect_to("{\"sub\":\"42\",\"channels\":[\"forced:a\"]}");
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"forced:a\"}}");
    assert_written("{\"id\":2,\"error\":{\"code\":105,\"message\":\"already subscribed\"}}\n");
    receive("{\"id\":3,\"unsubscribe\":{\"channel\":\"forced:a\"}}");
    assert_written("{\"id\":3,\"unsubscribe\":{}}\n");
    assert_null(hub_call("forced:a")->member);
}

static void test_a_refresh_with_the_same_channels_goes_on(void **state) {
    (void) state;
    connect_to("{\"sub\":\"42\",\"channels\":[\"forced:a\"]}");
    receive_with_token("{\"id\":2,\"refresh\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"subs\":{\"forced:a\":{}}}"));
    assert_open();
    receive_with_token("{\"id\":3,\"refresh\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    assert_closed(3010, "insufficient state");
}

static void test_who_goes_while_connecting_leaves_everything(void **state) {
    (void) state;
    receive_with_token(CONNECT "\n{\"id\":2,\"ping\":{}}",
                       token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"plain:b\"]}"));
    join("plain:a", NULL, 0);
}

static void test_a_join_that_nobody_answers_is_stale(void **state) {
    (void) state;
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"plain:a\"]}"));
    pass_ms(10100);
    assert_closed(3502, "stale");
}

/* ---- the user's place among his connections at all gateways ---- */

static void ask_for_places(void) {
    t.environment.user_places = (user_places_t *) &t; /* never looked into */
}

static void test_the_reply_waits_for_the_place_too(void **state) {
    (void) state;
    ask_for_places();
    receive_with_token(CONNECT "\n{\"id\":2,\"ping\":{}}", token("{\"sub\":\"42\",\"channels\":[\"plain:a\"]}"));
    join("plain:a", NULL, 0);
    assert_written("");
    judge_place(true);
    flush();
    assert_written(CONNECTED(",\"subs\":{\"plain:a\":{}}") "\n{\"id\":2,\"ping\":{}}\n");
    assert_open();
    close_session();
    assert_int_equal(n_places_told, 1);
}

static void test_a_place_that_is_refused_ends_it_without_a_reply(void **state) {
    (void) state;
    ask_for_places();
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"forced:a\",\"plain:b\"]}"));
    join("forced:a", "kxYz", 7);
    judge_place(false);
    flush();
    assert_written("");
    assert_closed(3504, "connection limit");
    assert_int_equal(hub_call("forced:a")->n_presence_sets, 0);
    assert_null(hub_call("plain:b")->member);
    assert_int_equal(t.environment.connections, 0);
}

static void test_who_goes_before_his_place_is_judged_takes_none(void **state) {
    (void) state;
    ask_for_places();
    receive_with_token(CONNECT, token("{\"sub\":\"42\"}"));
    assert_non_null(place_asked);
    close_session();
    assert_null(place_asked);
    assert_int_equal(n_places_told, 1);
    open_session();
    receive_with_token(CONNECT, token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"nowhere:b\"]}"));
    assert_null(place_asked); /* error 102: it is of no use any more */
}

static void test_who_closes_already_does_not_come_back_by_an_answer(void **state) {
    (void) state;
    ask_for_places();
    receive_with_token(CONNECT, token("{\"sub\":\"42\"}"));
    const struct wire_command command = {.action = WIRE_COMMAND_DISCONNECT, .user = SPAN_LITERAL("42"), .code = 3503};
    uint32_t n = 0;
    assert_int_equal(session_carry_out(&t.environment, &command, &n), ERROR_NONE);
    if (place_asked != NULL) {
        judge_place(true);
    }
    flush();
    assert_written("");
    assert_closed(3503, "force disconnect");
}

static void test_the_anonymous_need_no_place(void **state) {
    (void) state;
    ask_for_places();
    t.config.allow_anonymous = true;
    receive("{\"id\":1,\"connect\":{}}");
    assert_null(place_asked);
    assert_written(CONNECTED("") "\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_the_reply_waits_for_every_channel_and_tells_each),
        session_test(test_nothing_is_said_before_the_reply),
        session_test(test_subs_of_a_token_carry_info_data_and_overrides),
        session_test(test_the_personal_channel),
        session_test(test_a_client_recovers_what_it_had),
        session_test(test_what_a_client_names_is_judged_as_if_it_asked),
        session_test(test_unknown_channels),
        session_test(test_too_many_channels),
        session_test(test_a_channel_that_cannot_be_joined),
        session_test(test_lost_continuity_closes_the_connection),
        session_test(test_the_client_may_not_subscribe_to_it_again_but_may_leave),
        session_test(test_a_refresh_with_the_same_channels_goes_on),
        session_test(test_who_goes_while_connecting_leaves_everything),
        session_test(test_a_join_that_nobody_answers_is_stale),
        session_test(test_the_reply_waits_for_the_place_too),
        session_test(test_a_place_that_is_refused_ends_it_without_a_reply),
        session_test(test_who_goes_before_his_place_is_judged_takes_none),
        session_test(test_who_closes_already_does_not_come_back_by_an_answer),
        session_test(test_the_anonymous_need_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
