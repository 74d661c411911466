/* What a service orders for a user's sessions: whom it meets, what they are told, and what is wrong with an order. */
#include "session_harness.h"

static uint32_t n_met;

static enum error_code order(const struct wire_command *command) {
    n_met = UINT32_MAX;
    enum error_code error = session_carry_out(&t.environment, command, &n_met);
    flush();
    return error;
}

#define ORDER(name, ...)                                                                                               \
    order(&(struct wire_command){.action = WIRE_COMMAND_##name, .user = SPAN_LITERAL("42"), __VA_ARGS__})

/* Somebody else, over a connection of their own. */
struct other {
    struct test_transport transport;
    session_t *session;
};

static void open_other(struct other *self, const char *claims) {
    char message[4096];
    self->transport = (struct test_transport){.base = {&test_methods}, .answer = TRANSPORT_TAKEN};
    self->session = session_new(&t.environment, &self->transport.base, CLIENT_ENCODING_JSON);
    snprintf(message, sizeof message, "{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token(claims));
    session_on_message(self->session, span_of_text(message));
    flush();
    buffer_clear(&self->transport.written);
}

static void close_other(struct other *self) {
    session_on_closed(&self->session);
    buffer_finish(&self->transport.written);
}

/* ---- whom ---- */

static void test_an_order_for_somebody_who_is_not_here_happens_to_nobody(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(
        order(&(struct wire_command){.action = WIRE_COMMAND_DISCONNECT, .user = SPAN_LITERAL("43"), .code = 3503}),
        ERROR_NONE);
    assert_int_equal(n_met, 0);
    assert_open();
}

static void test_an_order_meets_every_session_of_its_user_or_one_client(void **state) {
    (void) state;
    struct other twin;
    struct other stranger;
    connect_user();
    open_other(&twin, "{\"sub\":\"42\"}");
    open_other(&stranger, "{\"sub\":\"4\"}");
    assert_int_equal(ORDER(DISCONNECT, .client = SPAN_LITERAL("nobody"), .code = 3503), ERROR_NONE);
    assert_int_equal(n_met, 0);
    assert_int_equal(ORDER(DISCONNECT, .client = span_of_text(t.client), .code = 3503), ERROR_NONE);
    assert_int_equal(n_met, 1);
    assert_int_equal(t.transport.close_code, 3503);
    assert_int_equal(twin.transport.close_code, 0);
    assert_int_equal(ORDER(DISCONNECT, .code = 3503), ERROR_NONE);
    assert_int_equal(n_met, 1); /* who is being closed is met no more */
    assert_int_equal(twin.transport.close_code, 3503);
    assert_int_equal(stranger.transport.close_code, 0);
    close_other(&twin);
    close_other(&stranger);
}

static void test_a_message_meets_everybody_who_is_connected(void **state) {
    (void) state;
    struct other stranger;
    connect_user();
    open_other(&stranger, "{\"sub\":\"4\"}");
    const struct wire_command message = {.action = WIRE_COMMAND_MESSAGE, .detail = SPAN_LITERAL("{\"a\":\n1}")};
    assert_int_equal(order(&message), ERROR_NONE);
    assert_int_equal(n_met, 2);
    assert_written("{\"push\":{\"message\":{\"data\":{\"a\":1}}}}\n");
    static const char expected[] = "{\"push\":{\"message\":{\"data\":{\"a\":1}}}}";
    assert_memory_equal(stranger.transport.written.data, expected, sizeof expected - 1);
    assert_int_equal(order(&(struct wire_command){.action = WIRE_COMMAND_MESSAGE}), ERROR_BAD_REQUEST);
    assert_int_equal(order(&(struct wire_command){.action = WIRE_COMMAND_MESSAGE, .detail = SPAN_LITERAL("{")}),
                     ERROR_BAD_REQUEST);
    assert_int_equal(n_met, 0);
    close_other(&stranger);
}

static void test_what_is_wrong_with_an_order(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(order(&(struct wire_command){.action = WIRE_COMMAND_DISCONNECT}), ERROR_BAD_REQUEST);
    assert_int_equal(ORDER(DISCONNECT, .detail = SPAN_LITERAL("{\"whitelist\":")), ERROR_BAD_REQUEST);
    assert_int_equal(order(&(struct wire_command){.action = 99, .user = SPAN_LITERAL("42")}), ERROR_NOT_AVAILABLE);
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("nowhere:a")), ERROR_UNKNOWN_CHANNEL);
    assert_int_equal(n_met, 0);
    assert_int_equal(n_hub_calls, 0);
    assert_open();
}

/* ---- disconnect ---- */

static void test_a_disconnect_has_the_services_code_and_reason(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(DISCONNECT, .code = 4500, .reason = SPAN_LITERAL("closing time")), ERROR_NONE);
    assert_closed(4500, "closing time");
}

static void test_who_is_on_the_whitelist_stays(void **state) {
    (void) state;
    char detail[128];
    connect_user();
    snprintf(detail, sizeof detail, "{\"whitelist\":[\"other\",\"%s\"]}", t.client);
    assert_int_equal(ORDER(DISCONNECT, .code = 3503, .detail = span_of_text(detail)), ERROR_NONE);
    assert_int_equal(n_met, 0);
    assert_open();
}

/* ---- unsubscribe ---- */

#define UNSUBSCRIBED(channel)                                                                                          \
    "{\"push\":{\"channel\":\"" channel "\",\"unsubscribe\":{\"code\":2000,\"reason\":\"server unsubscribe\"}}}"

static void test_an_unsubscribe_takes_one_channel_away_and_says_so(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    subscribe_plainly("plain:b");
    assert_int_equal(ORDER(UNSUBSCRIBE, .channel = SPAN_LITERAL("plain:a"), .code = 2000), ERROR_NONE);
    assert_int_equal(n_met, 1);
    assert_written(UNSUBSCRIBED("plain:a") "\n");
    assert_null(hub_call("plain:a")->member);
    assert_non_null(hub_call("plain:b")->member);
    assert_int_equal(ORDER(UNSUBSCRIBE, .channel = SPAN_LITERAL("plain:a"), .code = 2000), ERROR_NONE);
    assert_int_equal(n_met, 0);
    assert_written("");
}

static void test_an_unsubscribe_without_a_channel_takes_all_of_them(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    subscribe_plainly("plain:b");
    assert_int_equal(ORDER(UNSUBSCRIBE, .code = 2000), ERROR_NONE);
    assert_int_equal(n_met, 1);
    assert_null(hub_call("plain:a")->member);
    assert_null(hub_call("plain:b")->member);
    assert_open();
}

static void test_a_subscribe_that_is_under_way_is_refused(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":5,\"subscribe\":{\"channel\":\"plain:a\"}}");
    assert_int_equal(ORDER(UNSUBSCRIBE, .channel = SPAN_LITERAL("plain:a"), .code = 2000), ERROR_NONE);
    assert_int_equal(n_met, 1);
    assert_written("{\"id\":5,\"error\":{\"code\":103,\"message\":\"permission denied\"}}\n");
    assert_null(hub_call("plain:a")->member);
}

static void test_a_channel_of_the_token_that_is_taken_away_while_it_connects_is_not_waited_for(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channels\":[\"plain:a\",\"plain:b\"]}"));
    join("plain:a", NULL, 0);
    assert_written("");
    assert_int_equal(ORDER(UNSUBSCRIBE, .channel = SPAN_LITERAL("plain:b"), .code = 2000), ERROR_NONE);
    assert_written("{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION
                   "\",\"subs\":{\"plain:a\":{}},\"ping\":25,\"pong\":true}}\n");
}

/* ---- subscribe ---- */

static void test_a_subscribe_asks_no_permission_and_is_told_when_it_has_joined(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("closed:a")), ERROR_NONE);
    assert_int_equal(n_met, 1);
    assert_written("");
    join("closed:a", NULL, 0);
    assert_written("{\"push\":{\"channel\":\"closed:a\",\"subscribe\":{}}}\n");
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("closed:a")), ERROR_NONE);
    assert_int_equal(n_met, 0); /* it is */
}

static void test_a_subscribe_may_name_where_it_begins(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("forced:a"),
                           .detail = SPAN_LITERAL("{\"recover_since\":{\"epoch\":\"kxYz\",\"offset\":5}}")),
                     ERROR_NONE);
    assert_true(hub_call("forced:a")->has_since);
    assert_int_equal(hub_call("forced:a")->since.offset, 5);
    join("forced:a", "kxYz", 7);
    assert_non_null(strstr(written(), "\"channel\":\"forced:a\",\"subscribe\":{\"recoverable\":true"));
}

static void test_one_channel_more_than_there_may_be_closes_the_connection(void **state) {
    (void) state;
    t.config.channels_max = 1;
    connect_user();
    subscribe_plainly("plain:a");
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("plain:b")), ERROR_NONE);
    assert_closed(3505, "channel limit");
}

static void test_a_channel_that_cannot_be_joined_closes_the_connection(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(SUBSCRIBE, .channel = SPAN_LITERAL("plain:a")), ERROR_NONE);
    struct hub_member *member = hub_call("plain:a")->member;
    hub_leave(NULL, member);
    t.environment.to_hub.on_join_failed(member, ERROR_INTERNAL);
    flush();
    assert_closed(3004, "internal server error");
}

/* ---- refresh ---- */

static void refresh_until(int64_t expire_at_s) {
    char detail[64];
    snprintf(detail, sizeof detail, "{\"expire_at\":%lld}", (long long) expire_at_s);
    assert_int_equal(ORDER(REFRESH, .detail = span_of_text(detail)), ERROR_NONE);
    assert_int_equal(n_met, 1);
}

static void test_a_refresh_gives_a_connection_another_end(void **state) {
    (void) state;
    connect_user();
    refresh_until(WALL_START_S + 30);
    assert_written("{\"push\":{\"refresh\":{\"expires\":true,\"ttl\":30}}}\n");
    refresh_until(0);
    assert_written("{\"push\":{\"refresh\":{}}}\n");
    pass_ms(3000);
    assert_open();
}

static void test_a_refresh_may_say_that_it_is_over(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(REFRESH, .detail = SPAN_LITERAL("{\"expired\":true}")), ERROR_NONE);
    assert_closed(3005, "connection expired");
    close_session();
    open_session();
    connect_user();
    refresh_until(WALL_START_S - 60);
    assert_closed(3005, "connection expired");
}

static void test_a_refresh_exchanges_what_others_see_of_a_user(void **state) {
    (void) state;
    connect_user();
    assert_int_equal(ORDER(REFRESH, .detail = SPAN_LITERAL("{\"info\":{\"n\":\"Eve\"}}")), ERROR_NONE);
    assert_written("");
    receive("{\"id\":2,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    replace_all(broker_calls[0].info, t.client, "ID");
    assert_string_equal(broker_calls[0].info, "42|ID|{\"n\":\"Eve\"}|");
    answer_fine(&broker_calls[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_an_order_for_somebody_who_is_not_here_happens_to_nobody),
        session_test(test_an_order_meets_every_session_of_its_user_or_one_client),
        session_test(test_a_message_meets_everybody_who_is_connected),
        session_test(test_what_is_wrong_with_an_order),
        session_test(test_a_disconnect_has_the_services_code_and_reason),
        session_test(test_who_is_on_the_whitelist_stays),
        session_test(test_an_unsubscribe_takes_one_channel_away_and_says_so),
        session_test(test_an_unsubscribe_without_a_channel_takes_all_of_them),
        session_test(test_a_subscribe_that_is_under_way_is_refused),
        session_test(test_a_channel_of_the_token_that_is_taken_away_while_it_connects_is_not_waited_for),
        session_test(test_a_subscribe_asks_no_permission_and_is_told_when_it_has_joined),
        session_test(test_a_subscribe_may_name_where_it_begins),
        session_test(test_one_channel_more_than_there_may_be_closes_the_connection),
        session_test(test_a_channel_that_cannot_be_joined_closes_the_connection),
        session_test(test_a_refresh_gives_a_connection_another_end),
        session_test(test_a_refresh_may_say_that_it_is_over),
        session_test(test_a_refresh_exchanges_what_others_see_of_a_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
