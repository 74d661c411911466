/* publish, history, presence, presence_stats and refresh. */
#include "session_harness.h"

#define ERROR_REPLY(id, code, text) "{\"id\":" id ",\"error\":{\"code\":" code ",\"message\":\"" text "\"}}\n"
#define DENIED(id)                  ERROR_REPLY(id, "103", "permission denied")
#define UNAVAILABLE(id)             ERROR_REPLY(id, "108", "not available")
#define BAD(id)                     ERROR_REPLY(id, "107", "bad request")
#define UNKNOWN(id)                 ERROR_REPLY(id, "102", "unknown channel")

/* ---- publish ---- */

static void test_a_publication_goes_out_byte_for_byte_with_its_publishers_info(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\": {\"b\":9007199254740993, \"a\":\"\\u0041\"} }}");
    struct broker_call *call = last_call();
    assert_string_equal(call->what, "publish");
    assert_string_equal(call->channel, "news");
    assert_string_equal(call->data, "{\"b\":9007199254740993, \"a\":\"\\u0041\"}");
    replace_all(call->info, t.client, "ID");
    assert_string_equal(call->info, "42|ID|{\"n\":\"Ann\"}|");
    assert_written("");
    answer_fine(call);
    assert_written("{\"id\":4,\"publish\":{}}\n");
}

static void test_a_publication_is_answered_as_the_broker_answered(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_OUTCOME_UNKNOWN});
    assert_written("{\"id\":4,\"error\":{\"code\":120,\"message\":\"outcome unknown\",\"temporary\":true}}\n");
    receive("{\"id\":5,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_INTERNAL});
    assert_written("{\"id\":5,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
}

static void test_an_idempotency_key_counts_among_its_users_alone(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1,\"idempotency_key\":\"a:\\u0062\"}}");
    assert_string_equal(last_call()->key, "client:2:42:a:b");
    answer_fine(last_call());
    assert_written("{\"id\":4,\"publish\":{}}\n");
    receive("{\"id\":5,\"publish\":{\"channel\":\"news\",\"data\":1,\"idempotency_key\":\"\"}}");
    assert_string_equal(last_call()->key, "");
    answer(last_call(), &(struct broker_answer){.error = ERROR_KEY_REUSED});
    assert_written(ERROR_REPLY("5", "121", "idempotency key was used with another payload"));
}

static void test_an_idempotency_key_is_bounded(void **state) {
    (void) state;
    char message[512];
    connect_user();
    snprintf(message, sizeof message,
             "{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1,\"idempotency_key\":\"%0256d\"}}", 1);
    receive(message);
    assert_written(BAD("4"));
    assert_int_equal(n_broker_calls, 0);
    snprintf(message, sizeof message,
             "{\"id\":5,\"publish\":{\"channel\":\"news\",\"data\":1,\"idempotency_key\":\"%0255d\"}}", 1);
    receive(message);
    assert_int_equal(n_broker_calls, 1);
}

static void test_publications_that_are_refused(void **state) {
    (void) state;
    static const struct {
        const char *request;
        const char *expected;
    } rows[] = {
        {"\"channel\":\"closed:a\",\"data\":1", DENIED("4")},
        {"\"channel\":\"plain:a\",\"data\":1", DENIED("4")}, /* for subscribers only */
        {"\"channel\":\"nowhere:a\",\"data\":1", UNKNOWN("4")},
        {"\"channel\":\"a b\",\"data\":1", BAD("4")},
        {"\"channel\":\"news\"", BAD("4")},
        {"\"channel\":\"news\",\"data\":1,\"type\":1", DENIED("4")}, /* maps */
        {"\"channel\":\"news\",\"data\":1,\"type\":2", BAD("4")},
    };
    connect_user();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[512];
        snprintf(message, sizeof message, "{\"id\":4,\"publish\":{%s}}", rows[i].request);
        receive(message);
        assert_written(rows[i].expected);
    }
    assert_int_equal(n_broker_calls, 0);
    receive("{\"id\":4,\"publish\":{\"data\":1}}");
    assert_closed(3501, "bad request");
}

static void test_subscribers_may_publish_where_that_is_allowed(void **state) {
    (void) state;
    connect_user();
    subscribe_plainly("plain:a");
    receive("{\"id\":4,\"publish\":{\"channel\":\"plain:a\",\"data\":1}}");
    answer_fine(last_call());
    assert_written("{\"id\":4,\"publish\":{}}\n");
    receive("{\"id\":5,\"unsubscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":6,\"publish\":{\"channel\":\"plain:a\","
            "\"data\":1}}");
    assert_written("{\"id\":5,\"unsubscribe\":{}} + " DENIED("6"));
}

static void test_the_anonymous_publish_only_where_that_is_allowed(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{}"));
    written();
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    assert_written(DENIED("4"));
    receive("{\"id\":5,\"publish\":{\"channel\":\"open:a\",\"data\":1}}");
    answer_fine(last_call());
    assert_written("{\"id\":5,\"publish\":{}}\n");
}

static void test_chan_info_goes_along_where_the_publisher_is_subscribed(void **state) {
    (void) state;
    connect_user();
    receive_with_token("{\"id\":2,\"subscribe\":{\"channel\":\"news\",\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channel\":\"news\",\"info\":[1]}"));
    join("news", NULL, 0);
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    replace_all(last_call()->info, t.client, "ID");
    assert_string_equal(last_call()->info, "42|ID|{\"n\":\"Ann\"}|[1]");
    receive("{\"id\":5,\"publish\":{\"channel\":\"other\",\"data\":1}}");
    replace_all(last_call()->info, t.client, "ID");
    assert_string_equal(last_call()->info, "42|ID|{\"n\":\"Ann\"}|");
}

/* ---- history ---- */

static void test_history_is_read_as_asked(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":2,\"since\":{\"offset\":6,\"epoch\":\"kxYz\"}}}");
    struct broker_call *call = last_call();
    assert_string_equal(call->what, "history");
    assert_true(call->has_since);
    assert_int_equal(call->since.offset, 6);
    assert_string_equal(call->since.epoch.text, "kxYz");
    assert_int_equal(call->limit, 2);
    assert_false(call->reverse);
    struct buffer publications = BUFFER_EMPTY;
    wire_append_publication(&publications, &(struct wire_publication){.offset = 7, .data = SPAN_LITERAL("{\"a\":1}")});
    wire_append_publication(&publications, &(struct wire_publication){.offset = 8, .data = SPAN_LITERAL("{\"a\":2}")});
    answer(call, &(struct broker_answer){
                     .position = {epoch_from(SPAN_LITERAL("kxYz")), 8}, .n = 2, .bytes = buffer_span(&publications)});
    buffer_finish(&publications);
    assert_written(
        "{\"id\":5,\"history\":{\"publications\":[{\"data\":{\"a\":1},\"offset\":7},{\"data\":{\"a\":2},\"offset\":8}],"
        "\"epoch\":\"kxYz\",\"offset\":8}}\n");
}

static void test_history_limits(void **state) {
    (void) state;
    static const struct {
        const char *request;
        uint32_t limit;
    } rows[] = {
        {"\"channel\":\"news\"", 0},
        {"\"channel\":\"news\",\"limit\":0", 0},
        {"\"channel\":\"news\",\"limit\":1", 1},
        {"\"channel\":\"news\",\"limit\":-1", 300},
        {"\"channel\":\"news\",\"limit\":-2147483648", 300},
        {"\"channel\":\"news\",\"limit\":300", 300},
        {"\"channel\":\"news\",\"limit\":301", 300},
        {"\"channel\":\"news\",\"limit\":2147483647,\"reverse\":true", 300},
    };
    connect_user();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[512];
        snprintf(message, sizeof message, "{\"id\":5,\"history\":{%s}}", rows[i].request);
        receive(message);
        assert_int_equal(last_call()->limit, rows[i].limit);
        assert_false(last_call()->has_since);
    }
    assert_true(last_call()->reverse);
}

static void test_a_since_of_another_epoch_is_error_112(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":2,\"since\":{\"offset\":6,\"epoch\":\"old\"}}}");
    answer(last_call(), &(struct broker_answer){.position = {epoch_from(SPAN_LITERAL("kxYz")), 8}});
    assert_written(ERROR_REPLY("5", "112", "unrecoverable position"));
    receive("{\"id\":6,\"history\":{\"channel\":\"news\",\"limit\":2,\"since\":{\"offset\":6}}}");
    answer(last_call(), &(struct broker_answer){.position = {epoch_from(SPAN_LITERAL("kxYz")), 8}});
    assert_written("{\"id\":6,\"history\":{\"publications\":[],\"epoch\":\"kxYz\",\"offset\":8}}\n");
    receive("{\"id\":7,\"history\":{\"channel\":\"news\"}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_UNRECOVERABLE_POSITION});
    assert_written(ERROR_REPLY("7", "112", "unrecoverable position"));
}

static void test_histories_that_are_refused(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":5,\"history\":{\"channel\":\"plain:a\"}}");
    assert_written(UNAVAILABLE("5"));
    receive("{\"id\":5,\"history\":{\"channel\":\"forced:a\"}}");
    assert_written(DENIED("5"));
    receive("{\"id\":5,\"history\":{\"channel\":\"nowhere:a\"}}");
    assert_written(UNKNOWN("5"));
    receive("{\"id\":5,\"history\":{\"channel\":\"a b\"}}");
    assert_written(BAD("5"));
    receive("{\"id\":5,\"history\":{\"channel\":\"news\",\"limit\":1,\"reverse\":true,\"since\":{\"offset\":0}}}");
    assert_written(BAD("5"));
    assert_int_equal(n_broker_calls, 0);
    receive("{\"id\":5,\"history\":{}}");
    assert_closed(3501, "bad request");
}

/* ---- presence ---- */

static void test_presence_is_a_map_of_client_ids(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":7,\"presence\":{\"channel\":\"news\"}}");
    assert_string_equal(last_call()->what, "presence");
    struct buffer info = BUFFER_EMPTY;
    struct buffer entries = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("7"), .client = SPAN_LITERAL("9f")});
    buffer_append_sized(&entries, buffer_span(&info));
    answer(last_call(), &(struct broker_answer){.n = 1, .bytes = buffer_span(&entries)});
    buffer_finish(&info);
    buffer_finish(&entries);
    assert_written("{\"id\":7,\"presence\":{\"presence\":{\"9f\":{\"user\":\"7\",\"client\":\"9f\"}}}}\n");
}

static void test_presence_stats_are_two_numbers(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":8,\"presence_stats\":{\"channel\":\"news\"}}");
    assert_string_equal(last_call()->what, "presence_stats");
    answer(last_call(), &(struct broker_answer){.n = 3, .m = 2});
    assert_written("{\"id\":8,\"presence_stats\":{\"num_clients\":3,\"num_users\":2}}\n");
}

static void test_presences_that_are_refused(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":7,\"presence\":{\"channel\":\"plain:a\"}}");
    assert_written(UNAVAILABLE("7"));
    receive("{\"id\":7,\"presence_stats\":{\"channel\":\"plain:a\"}}");
    assert_written(UNAVAILABLE("7"));
    receive("{\"id\":7,\"presence\":{\"channel\":\"nowhere:a\"}}");
    assert_written(UNKNOWN("7"));
    receive("{\"id\":7,\"presence_stats\":{\"channel\":\"a b\"}}");
    assert_written(BAD("7"));
    receive("{\"id\":7,\"presence\":{\"channel\":\"news\"}}");
    answer(last_call(), &(struct broker_answer){.error = ERROR_INTERNAL});
    assert_written("{\"id\":7,\"error\":{\"code\":100,\"message\":\"internal server error\",\"temporary\":true}}\n");
    close_session();
    open_session();
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{}"));
    written();
    receive("{\"id\":7,\"presence\":{\"channel\":\"news\"}}");
    assert_written(DENIED("7"));
    receive("{\"id\":7,\"presence_stats\":{}}");
    assert_closed(3501, "bad request");
}

/* ---- refresh ---- */

static void connect_for_a_minute(void) {
    t.config.ping_interval_ms = 0;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"exp\":\"$EXP\"}"));
    written();
}

static void refresh(const char *claims) {
    receive_with_token("{\"id\":11,\"refresh\":{\"token\":\"%s\"}}", token(claims));
}

static void test_a_connection_that_is_not_refreshed_ends_after_its_grace(void **state) {
    (void) state;
    connect_for_a_minute();
    pass_ms(84900);
    assert_open();
    pass_ms(200);
    assert_closed(3005, "connection expired");
}

static void test_a_refreshed_connection_goes_on(void **state) {
    (void) state;
    connect_for_a_minute();
    pass_ms(60000);
    refresh("{\"sub\":\"42\",\"exp\":\"$EXP\"}");
    assert_written("{\"id\":11,\"refresh\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION
                   "\",\"expires\":true,\"ttl\":60}}\n");
    pass_ms(84900);
    assert_open();
    refresh("{\"sub\":\"42\"}");
    assert_written("{\"id\":11,\"refresh\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION "\"}}\n");
    pass_ms(200000);
    assert_open();
}

static void test_refreshes_that_end_the_connection(void **state) {
    (void) state;
    static const struct {
        const char *claims;
        int code;
        const char *reason;
    } rows[] = {
        {"{\"sub\":\"42\",\"exp\":\"$PAST\"}", 3005, "connection expired"},
        {"{\"sub\":\"42\",\"expire_at\":\"$PAST\"}", 3005, "connection expired"},
        {"{\"sub\":\"7\"}", 3500, "invalid token"},
        {"{}", 3500, "invalid token"},
        {"{\"sub\":\"42\",\"channel\":\"news\"}", 3500, "invalid token"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        connect_user();
        refresh(rows[i].claims);
        assert_written("");
        assert_closed(rows[i].code, rows[i].reason);
        close_session();
        open_session();
    }
    connect_user();
    receive("{\"id\":11,\"refresh\":{}}");
    assert_closed(3501, "bad request");
    close_session();
    open_session();
    connect_user();
    receive("{\"id\":11,\"refresh\":{\"token\":\"nonsense\"}}");
    assert_closed(3500, "invalid token");
}

/* It connects again with this token, and is subscribed as the token says. */
static void test_a_refresh_with_other_server_side_channels_makes_it_reconnect(void **state) {
    (void) state;
    connect_user();
    refresh("{\"sub\":\"42\",\"channels\":[\"news\"]}");
    assert_closed(3010, "insufficient state");
}

static void test_a_new_conn_info_is_told_to_presence_and_goes_with_publications(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"news\"}}");
    join("news", NULL, 0);
    refresh("{\"sub\":\"42\",\"info\":{\"n\":\"Ann\"}}");
    assert_int_equal(hub_call("news")->n_presence_sets, 1);
    refresh("{\"sub\":\"42\",\"info\":{\"n\":\"Bea\"}}");
    assert_int_equal(hub_call("news")->n_presence_sets, 2);
    written();
    replace_all(hub_call("news")->info, t.client, "ID");
    assert_string_equal(hub_call("news")->info, "42|ID|{\"n\":\"Bea\"}|");
    receive("{\"id\":4,\"publish\":{\"channel\":\"news\",\"data\":1}}");
    replace_all(last_call()->info, t.client, "ID");
    assert_string_equal(last_call()->info, "42|ID|{\"n\":\"Bea\"}|");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_a_publication_goes_out_byte_for_byte_with_its_publishers_info),
        session_test(test_a_publication_is_answered_as_the_broker_answered),
        session_test(test_an_idempotency_key_counts_among_its_users_alone),
        session_test(test_an_idempotency_key_is_bounded),
        session_test(test_publications_that_are_refused),
        session_test(test_subscribers_may_publish_where_that_is_allowed),
        session_test(test_the_anonymous_publish_only_where_that_is_allowed),
        session_test(test_chan_info_goes_along_where_the_publisher_is_subscribed),
        session_test(test_history_is_read_as_asked),
        session_test(test_history_limits),
        session_test(test_a_since_of_another_epoch_is_error_112),
        session_test(test_histories_that_are_refused),
        session_test(test_presence_is_a_map_of_client_ids),
        session_test(test_presence_stats_are_two_numbers),
        session_test(test_presences_that_are_refused),
        session_test(test_a_connection_that_is_not_refreshed_ends_after_its_grace),
        session_test(test_a_refreshed_connection_goes_on),
        session_test(test_refreshes_that_end_the_connection),
        session_test(test_a_refresh_with_other_server_side_channels_makes_it_reconnect),
        session_test(test_a_new_conn_info_is_told_to_presence_and_goes_with_publications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
