/* A session's life: connect, messages, pings, the order of commands. */
#include "session_harness.h"

#include "base/metrics.h"
#include "gateway/session/session_commands.h"

#define CONNECTED_REPLY "{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION "\",\"ping\":25,\"pong\":true}"

/* ---- connect ---- */

static void test_a_token_connects_its_user(void **state) {
    (void) state;
    connect_user();
    assert_open();
    assert_int_equal(t.environment.connections, 1);
    assert_int_equal(t.environment.alive, 1);
    assert_int_equal(t.environment.users, 1);
}

static void test_an_expiring_token_says_for_how_long(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"exp\":\"$EXP\"}"));
    assert_written("{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION
                   "\",\"expires\":true,\"ttl\":60,\"ping\":25,\"pong\":true}}\n");
}

static void test_expire_at_counts_before_exp(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"exp\":\"$EXP\",\"expire_at\":0}"));
    assert_written("{\"id\":1,\"connect\":" CONNECTED_REPLY "}\n");
}

static void test_the_command_id_is_echoed_whatever_it_is(void **state) {
    (void) state;
    receive_with_token("{\"id\":4294967295,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    assert_written("{\"id\":4294967295,\"connect\":" CONNECTED_REPLY "}\n");
}

static void test_every_connection_has_a_client_id_of_its_own(void **state) {
    (void) state;
    connect_user();
    char first[37];
    memcpy(first, t.client, sizeof first);
    close_session();
    open_session();
    connect_user();
    assert_string_not_equal(first, t.client);
    assert_int_equal(strlen(t.client), 36);
}

static void test_without_credentials_nobody_connects(void **state) {
    (void) state;
    receive("{\"id\":1,\"connect\":{\"name\":\"js\"}}");
    assert_written("");
    assert_closed(3501, "bad request");
}

static void test_the_anonymous_may_connect_where_that_is_configured(void **state) {
    (void) state;
    t.config.allow_anonymous = true;
    receive("{\"id\":1,\"connect\":{\"name\":\"js\"}}");
    assert_written("{\"id\":1,\"connect\":" CONNECTED_REPLY "}\n");
    assert_int_equal(t.environment.connections, 1);
    assert_int_equal(t.environment.users, 0);
}

static void test_a_token_without_a_user_is_anonymous(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{}"));
    assert_written("{\"id\":1,\"connect\":" CONNECTED_REPLY "}\n");
    assert_int_equal(t.environment.users, 0);
}

static void test_an_invalid_token_is_the_end(void **state) {
    (void) state;
    receive("{\"id\":1,\"connect\":{\"token\":\"eyJ.eyJ.sig\"}}");
    assert_written("");
    assert_closed(3500, "invalid token");
}

static void test_a_subscription_token_does_not_connect(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"channel\":\"news\"}"));
    assert_closed(3500, "invalid token");
}

static void test_without_keys_no_token_is_valid(void **state) {
    (void) state;
    t.environment.keys = NULL;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    assert_closed(3500, "invalid token");
}

static void test_an_expired_token_is_an_error_the_client_can_mend(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"exp\":\"$PAST\"}"));
    assert_written("{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}\n");
    assert_open();
    assert_int_equal(t.environment.connections, 0);
}

static void test_an_expire_at_in_the_past_is_error_110(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"expire_at\":\"$PAST\"}"));
    assert_written("{\"id\":1,\"error\":{\"code\":110,\"message\":\"expired\"}}\n");
}

static void test_the_rest_of_a_message_after_a_refused_connect_is_not_run(void **state) {
    (void) state;
    char rest[] = "{\"id\":1,\"connect\":{\"token\":\"%s\"}}\n{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}";
    receive_with_token(rest, token("{\"sub\":\"42\",\"exp\":\"$PAST\"}"));
    assert_written("{\"id\":1,\"error\":{\"code\":109,\"message\":\"token expired\"}}\n");
    assert_open();
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"news\"}}");
    assert_closed(3501, "bad request");
}

static void test_a_refused_client_that_does_not_go_is_stale(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"exp\":\"$PAST\"}"));
    pass_ms(9900);
    assert_open();
    pass_ms(200);
    assert_closed(3502, "stale");
}

static void test_who_says_nothing_is_stale(void **state) {
    (void) state;
    pass_ms(9900);
    assert_open();
    pass_ms(200);
    assert_closed(3502, "stale");
}

static void test_connect_comes_first(void **state) {
    (void) state;
    static const char *const first[] = {
        "{}",
        "{\"id\":1,\"ping\":{}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"news\"}}",
        "{\"id\":1,\"publish\":{\"channel\":\"news\",\"data\":1}}",
        "{\"send\":{\"data\":1}}",
        "{\"id\":1,\"refresh\":{\"token\":\"x\"}}",
        "{\"id\":1}",
        "",
        "\n",
        "hello",
    };
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++) {
        receive(first[i]);
        assert_written("");
        assert_closed(3501, "bad request");
        close_session();
        open_session();
    }
}

static void test_connect_comes_once(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"connect\":{}}");
    assert_written("");
    assert_closed(3501, "bad request");
}

/* ---- messages ---- */

static void test_replies_of_one_message_share_a_frame(void **state) {
    (void) state;
    char message[] =
        "{\"id\":1,\"connect\":{\"token\":\"%s\"}}\n{\"id\":2,\"ping\":{}}\n{\"id\":3,\"rpc\":{\"method\":\"m\"}}\n";
    receive_with_token(message, token("{\"sub\":\"42\"}"));
    assert_written("{\"id\":1,\"connect\":" CONNECTED_REPLY "} + {\"id\":2,\"ping\":{}} + "
                   "{\"id\":3,\"error\":{\"code\":108,\"message\":\"not available\"}}\n");
    assert_int_equal(t.transport.n_writes, 1);
}

static void test_what_a_turn_brings_goes_out_in_one_write(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    unsigned before = t.transport.n_writes;
    deliver("plain:a", "1");
    session_on_message(t.session, SPAN_LITERAL("{\"id\":3,\"ping\":{}}"));
    deliver("plain:a", "2");
    flush();
    assert_int_equal(t.transport.n_writes, before + 1);
    assert_written("1\n{\"id\":3,\"ping\":{}}\n2\n");
}

static void test_nothing_is_written_before_the_flush(void **state) {
    (void) state;
    connect_user();
    unsigned before = t.transport.n_writes;
    session_on_message(t.session, SPAN_LITERAL("{\"id\":3,\"ping\":{}}"));
    assert_int_equal(t.transport.n_writes, before);
    flush();
    assert_int_equal(t.transport.n_writes, before + 1);
    flush();
    assert_int_equal(t.transport.n_writes, before + 1);
}

static void test_what_was_answered_before_a_mistake_still_goes_out(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"ping\":{}}\nnonsense\n{\"id\":3,\"ping\":{}}");
    assert_written("{\"id\":2,\"ping\":{}}\n");
    assert_closed(3501, "bad request");
}

static void test_messages_after_the_end_are_ignored(void **state) {
    (void) state;
    connect_user();
    session_on_message(t.session, SPAN_LITERAL("nonsense"));
    session_on_message(t.session, SPAN_LITERAL("{\"id\":2,\"ping\":{}}"));
    flush();
    session_on_message(t.session, SPAN_LITERAL("{\"id\":3,\"ping\":{}}"));
    flush();
    assert_written("");
    assert_closed(3501, "bad request");
    assert_int_equal(t.environment.connections, 0);
}

static void test_rpc_is_not_available_and_send_closes(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":9,\"rpc\":{\"method\":\"m\",\"data\":{}}}");
    assert_written("{\"id\":9,\"error\":{\"code\":108,\"message\":\"not available\"}}\n");
    receive("{\"send\":{\"data\":{}}}");
    assert_closed(3508, "not available");
}

static void test_rpc_is_a_question_to_workers_and_those_are_bounded(void **state) {
    (void) state;
    t.config.rpc = true;
    t.config.calls_max = 1;
    connect_user();
    receive("{\"id\":2,\"rpc\":{\"method\":\"m\",\"data\":{\"a\":1}}}\n{\"id\":3,\"rpc\":{\"method\":\"m\"}}");
    assert_written("{\"id\":3,\"error\":{\"code\":111,\"message\":\"too many requests\",\"temporary\":true}}\n");
    assert_int_equal(n_broker_calls, 1);
    assert_string_equal(last_call()->key, "rpc:m");
    assert_string_equal(last_call()->data, "{\"a\":1}");
    assert_string_equal(last_call()->info, "{\"transport\":\"test\",\"protocol\":\"json\",\"encoding\":\"json\"}");
    answer_verdict(last_call(), WIRE_CALL_RESULT, 0, "{}", "[1,\n2]");
    assert_written("{\"id\":2,\"rpc\":{\"data\":[1,2]}}\n");
    receive("{\"id\":4,\"rpc\":{\"method\":\"m\"}}");
    answer_verdict(last_call(), WIRE_CALL_RESULT, 0, "{\"b64data\":\"/w==\"}", "");
    assert_written("{\"id\":4,\"rpc\":{\"data\":\"/w==\"}}\n");
    receive("{\"id\":5,\"rpc\":{\"method\":\"m\"}}");
    answer_verdict(last_call(), WIRE_CALL_ERROR, 1500, "full", "");
    assert_written("{\"id\":5,\"error\":{\"code\":1500,\"message\":\"full\"}}\n");
    receive("{\"id\":6,\"rpc\":{\"method\":\"m\"}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_NOT_AVAILABLE});
    assert_written("{\"id\":6,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
    receive("{\"id\":7,\"rpc\":{\"method\":\"m\"}}");
    answer_verdict(last_call(), WIRE_CALL_DISCONNECT, 4500, "bye", "");
    assert_closed(4500, "bye");
}

/* ---- pings ---- */

/* Until the ping comes; returns after how long. */
static unsigned wait_for_ping(void) {
    for (unsigned ms = 0; ms < 30000; ms += 10) {
        pass_ms(10);
        if (strcmp(written(), "{}\n") == 0) {
            return ms;
        }
    }
    fail_msg("no ping within 30 s");
    return 0;
}

static void test_the_first_ping_comes_in_the_second_half_of_the_interval(void **state) {
    (void) state;
    unsigned least = UINT32_MAX;
    unsigned most = 0;
    for (int i = 0; i < 20; i++) {
        connect_user();
        unsigned ms = wait_for_ping();
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
        close_session();
        open_session();
    }
    assert_true(least >= 12400 && most <= 25100);
    assert_true(most - least > 500); /* 20 random times within 500 ms of 12,500: once in 10^26 */
}

static void test_pings_and_pongs_go_on(void **state) {
    (void) state;
    connect_user();
    wait_for_ping();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(t.environment.alive, 0);
        assert_int_equal(t.environment.dead, 1);
        receive("{}");
        assert_int_equal(t.environment.alive, 1);
        assert_int_equal(t.environment.dead, 0);
        unsigned ms = wait_for_ping();
        assert_true(ms >= 24800 && ms <= 25100);
    }
    assert_open();
}

static void test_who_does_not_answer_a_ping_is_gone(void **state) {
    (void) state;
    connect_user();
    wait_for_ping();
    receive("{\"id\":2,\"ping\":{}}"); /* application data is no pong */
    pass_ms(7900);
    assert_open();
    pass_ms(200);
    assert_closed(3012, "no pong");
}

static void test_a_pong_nobody_asked_for_is_a_mistake(void **state) {
    (void) state;
    connect_user();
    receive("{}");
    assert_closed(3501, "bad request");
}

static void test_a_second_pong_for_one_ping_is_a_mistake(void **state) {
    (void) state;
    connect_user();
    wait_for_ping();
    receive("{}\n{}");
    assert_closed(3501, "bad request");
}

static void test_without_an_interval_there_are_no_pings(void **state) {
    (void) state;
    t.config.ping_interval_ms = 0;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\"}"));
    assert_written("{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION "\"}}\n");
    pass_ms(60000);
    assert_written("");
    assert_open();
}

static void test_our_own_backlog_is_not_held_against_the_client(void **state) {
    (void) state;
    connect_user();
    t.config.write_stall_ms = 60000;
    wait_for_ping();
    t.transport.answer = TRANSPORT_BACKLOG;
    receive("{\"id\":2,\"ping\":{}}");
    pass_ms(10000);
    assert_open();
    t.transport.answer = TRANSPORT_TAKEN;
    session_on_writable(t.session);
    flush();
    receive("{}");
    assert_open();
    assert_int_equal(t.environment.dead, 0);
}

/* ---- order ---- */

static void test_commands_after_a_subscribe_of_their_channel_wait_for_it(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"plain:a\"}}\n"
            "{\"id\":4,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":5,\"ping\":{}}");
    assert_written("");
    assert_true(t.transport.paused);
    assert_int_equal(n_hub_calls, 1);
    receive("{\"id\":6,\"ping\":{}}"); /* the transport had read it already */
    join("plain:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n{\"id\":3,\"unsubscribe\":{}} + {\"id\":5,\"ping\":{}}\n"
                   "{\"id\":6,\"ping\":{}}\n");
    assert_int_equal(n_hub_calls, 2);
    assert_null(hub_calls[0].member);
    assert_false(t.transport.paused);
    join("plain:a", NULL, 0);
    assert_written("{\"id\":4,\"subscribe\":{}}\n");
}

static void test_commands_of_other_channels_do_not_wait(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"plain:b\"}}\n"
            "{\"id\":4,\"publish\":{\"channel\":\"c\",\"data\":1}}\n{\"id\":5,\"ping\":{}}");
    assert_written("{\"id\":5,\"ping\":{}}\n");
    assert_int_equal(n_hub_calls, 2);
    assert_int_equal(n_broker_calls, 1);
    join("plain:b", NULL, 0);
    join("plain:a", NULL, 0);
    answer_fine(last_call());
    assert_written("{\"id\":3,\"subscribe\":{}}\n{\"id\":2,\"subscribe\":{}}\n{\"id\":4,\"publish\":{}}\n");
}

static void test_a_publish_after_a_subscribe_finds_the_client_subscribed(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"publish\":{\"channel\":\"plain:a\","
            "\"data\":1}}");
    assert_int_equal(n_broker_calls, 0);
    join("plain:a", NULL, 0);
    assert_int_equal(n_broker_calls, 1);
    answer_fine(last_call());
    assert_written("{\"id\":2,\"subscribe\":{}}\n{\"id\":3,\"publish\":{}}\n");
}

static void test_waiting_commands_go_on_after_a_subscribe_that_failed(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"plain:a\"}}");
    struct hub_channel *call = hub_call("plain:a");
    struct hub_member *member = call->member;
    hub_leave(NULL, member);
    t.environment.to_hub.on_join_failed(member, ERROR_INTERNAL);
    flush();
    assert_written("{\"id\":2,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n"
                   "{\"id\":3,\"unsubscribe\":{}}\n");
    assert_false(t.transport.paused);
}

static void test_reading_stops_while_too_much_is_in_flight(void **state) {
    (void) state;
    connect_user();
    t.config.commands_in_flight = 2;
    receive(
        "{\"id\":1,\"publish\":{\"channel\":\"a\",\"data\":1}}\n{\"id\":2,\"publish\":{\"channel\":\"a\",\"data\":2}}\n"
        "{\"id\":3,\"publish\":{\"channel\":\"a\",\"data\":3}}\n{\"id\":4,\"publish\":{\"channel\":\"a\",\"data\":4}}"
        "\n");
    assert_int_equal(n_broker_calls, 2);
    assert_true(t.transport.paused);
    answer_fine(&broker_calls[1]);
    assert_int_equal(n_broker_calls, 3);
    assert_string_equal(broker_calls[2].data, "3");
    assert_true(t.transport.paused);
    answer_fine(&broker_calls[0]);
    assert_int_equal(n_broker_calls, 4);
    assert_false(t.transport.paused);
    answer_fine(&broker_calls[2]);
    answer_fine(&broker_calls[3]);
    assert_written(
        "{\"id\":2,\"publish\":{}}\n{\"id\":1,\"publish\":{}}\n{\"id\":3,\"publish\":{}}\n{\"id\":4,\"publish\":{}}\n");
}

static void test_a_client_we_do_not_read_owes_no_pong(void **state) {
    (void) state;
    connect_user();
    wait_for_ping();
    receive(
        "{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"plain:a\"}}\n{}");
    pass_ms(10000);
    assert_open();
    join("plain:a", NULL, 0);
    assert_written("{\"id\":2,\"subscribe\":{}}\n{\"id\":3,\"unsubscribe\":{}}\n");
    assert_int_equal(t.environment.dead, 0);
}

static void test_what_is_kept_is_bounded(void **state) {
    (void) state;
    connect_user();
    t.config.message_size_max = 100;
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"unsubscribe\":{\"channel\":\"plain:a\"}}");
    for (int i = 0; i < 18; i++) {
        assert_open();
        receive("{\"id\":4,\"ping\":{}}");
    }
    assert_open();
    for (int i = 0; i < 3; i++) {
        receive("{\"id\":4,\"ping\":{}}");
    }
    assert_closed(3013, "too many requests");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_a_token_connects_its_user),
        session_test(test_an_expiring_token_says_for_how_long),
        session_test(test_expire_at_counts_before_exp),
        session_test(test_the_command_id_is_echoed_whatever_it_is),
        session_test(test_every_connection_has_a_client_id_of_its_own),
        session_test(test_without_credentials_nobody_connects),
        session_test(test_the_anonymous_may_connect_where_that_is_configured),
        session_test(test_a_token_without_a_user_is_anonymous),
        session_test(test_an_invalid_token_is_the_end),
        session_test(test_a_subscription_token_does_not_connect),
        session_test(test_without_keys_no_token_is_valid),
        session_test(test_an_expired_token_is_an_error_the_client_can_mend),
        session_test(test_an_expire_at_in_the_past_is_error_110),
        session_test(test_the_rest_of_a_message_after_a_refused_connect_is_not_run),
        session_test(test_a_refused_client_that_does_not_go_is_stale),
        session_test(test_who_says_nothing_is_stale),
        session_test(test_connect_comes_first),
        session_test(test_connect_comes_once),
        session_test(test_replies_of_one_message_share_a_frame),
        session_test(test_what_a_turn_brings_goes_out_in_one_write),
        session_test(test_nothing_is_written_before_the_flush),
        session_test(test_what_was_answered_before_a_mistake_still_goes_out),
        session_test(test_messages_after_the_end_are_ignored),
        session_test(test_rpc_is_not_available_and_send_closes),
        session_test(test_rpc_is_a_question_to_workers_and_those_are_bounded),
        session_test(test_the_first_ping_comes_in_the_second_half_of_the_interval),
        session_test(test_pings_and_pongs_go_on),
        session_test(test_who_does_not_answer_a_ping_is_gone),
        session_test(test_a_pong_nobody_asked_for_is_a_mistake),
        session_test(test_a_second_pong_for_one_ping_is_a_mistake),
        session_test(test_without_an_interval_there_are_no_pings),
        session_test(test_our_own_backlog_is_not_held_against_the_client),
        session_test(test_commands_after_a_subscribe_of_their_channel_wait_for_it),
        session_test(test_commands_of_other_channels_do_not_wait),
        session_test(test_a_publish_after_a_subscribe_finds_the_client_subscribed),
        session_test(test_waiting_commands_go_on_after_a_subscribe_that_failed),
        session_test(test_reading_stops_while_too_much_is_in_flight),
        session_test(test_a_client_we_do_not_read_owes_no_pong),
        session_test(test_what_is_kept_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
