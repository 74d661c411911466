/* How a subscription gets what is published: what is granted of what it asks for, its filter, and batching by time. */
#include "tests/unit/gateway/session/session_harness.h"

/* ---- what is granted ---- */

static struct namespace_options *news(void) {
    static char *types[] = {(char *) "fossil"};
    struct namespace_options *options = &t.namespaces[0]; /* the one without a name */
    options->allowed_delta_types = (struct config_text_list){types, 1};
    options->allow_tags_filter = true;
    return options;
}

static void test_delta_is_granted_where_allowed_and_possible(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"delta\":\"fossil\"}}");
    join("a", "kxYz", 7);
    assert_written("{\"id\":2,\"subscribe\":{}}\n"); /* not allowed */
    news();
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"b\",\"delta\":\"fossil\"}}");
    assert_true(hub_call("b")->member->wants_delta);
    join("b", "kxYz", 7);
    assert_written("{\"id\":3,\"subscribe\":{\"delta\":true}}\n");
    receive("{\"id\":4,\"subscribe\":{\"channel\":\"c\",\"delta\":\"fossil\",\"tf\":{\"key\":\"k\",\"cmp\":\"ex\"}}}");
    assert_false(hub_call("c")->member->wants_delta); /* not with a filter */
    join("c", "kxYz", 7);
    assert_written("{\"id\":4,\"subscribe\":{}}\n");
    news()->publication_data_format = PUBLICATION_BINARY;
    receive("{\"id\":5,\"subscribe\":{\"channel\":\"d\",\"delta\":\"fossil\"}}");
    assert_false(hub_call("d")->member->wants_delta); /* JSON carries no patch of bytes */
}

static void test_channel_ids_are_for_those_who_understand_them(void **state) {
    (void) state;
    static const struct {
        int setting;
        int flag;
        bool is_granted;
    } rows[] = {{CHANNEL_COMPACTION_OFF, 1, false},
                {CHANNEL_COMPACTION_JSON, 1, true},
                {CHANNEL_COMPACTION_ALL, 3, true},
                {CHANNEL_COMPACTION_JSON, 0, false},
                {CHANNEL_COMPACTION_JSON, 2, false}};
    connect_user();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char message[128];
        char channel[16];
        t.config.channel_compaction = rows[i].setting;
        snprintf(channel, sizeof channel, "plain:%zu", i);
        snprintf(message, sizeof message, "{\"id\":%zu,\"subscribe\":{\"channel\":\"%s\",\"flag\":%d}}", i + 2, channel,
                 rows[i].flag);
        receive(message);
        assert_int_equal(hub_call(channel)->member->is_compacted, rows[i].is_granted);
    }
}

/* ---- filters ---- */

static void test_a_filter_needs_the_namespaces_permission_and_to_be_one(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"tf\":{\"key\":\"k\",\"cmp\":\"ex\"}}}");
    assert_written("{\"id\":2,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    news();
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"a\",\"tf\":{\"key\":\"k\",\"cmp\":\"like\"}}}");
    assert_written("{\"id\":3,\"error\":{\"code\":107,\"message\":\"bad request\"}}\n");
    receive("{\"id\":4,\"subscribe\":{\"channel\":\"a\",\"tf\":\"k\"}}");
    assert_closed(3501, "bad request");
}

static void append_tagged(struct buffer *publications, uint64_t offset, const char *value) {
    struct buffer tags = BUFFER_EMPTY;
    wire_append_tag(&tags, &(struct wire_tag){SPAN_LITERAL("k"), span_of_text(value)});
    wire_append_publication(publications, &(struct wire_publication){
                                              .offset = offset, .data = SPAN_LITERAL("1"), .tags = buffer_span(&tags)});
    buffer_finish(&tags);
}

static void test_what_was_recovered_is_filtered_and_the_position_is_not(void **state) {
    (void) state;
    news()->force_recovery = true;
    connect_user();
    receive(
        "{\"id\":2,\"subscribe\":{\"channel\":\"a\",\"recover\":true,\"offset\":4,\"epoch\":\"kxYz\",\"tf\":{\"key\":"
        "\"k\",\"cmp\":\"eq\",\"val\":\"x\"}}}");
    assert_non_null(hub_call("a")->member->filter);
    assert_int_equal(tag_filter_set_count(t.environment.tag_filters), 1);
    struct buffer publications = BUFFER_EMPTY;
    append_tagged(&publications, 5, "y");
    append_tagged(&publications, 6, "x");
    append_tagged(&publications, 7, "y");
    join_recovered("a", "kxYz", 7, 3, buffer_span(&publications));
    buffer_finish(&publications);
    assert_written("{\"id\":2,\"subscribe\":{\"recoverable\":true,\"epoch\":\"kxYz\",\"publications\":[{\"data\":1,"
                   "\"offset\":6,\"tags\":{\"k\":\"x\"}}],\"recovered\":true,\"offset\":4,\"positioned\":true,"
                   "\"was_recovering\":true}}\n");
    receive("{\"id\":3,\"unsubscribe\":{\"channel\":\"a\"}}");
    assert_int_equal(tag_filter_set_count(t.environment.tag_filters), 0);
}

static void test_who_publishes_is_told_apart_where_it_is_excluded(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"a\"}}");
    assert_true(hub_call("a")->member->excluded_client == 0);
    news()->exclude_publisher = true;
    receive("{\"id\":3,\"subscribe\":{\"channel\":\"b\"}}");
    assert_true(hub_call("b")->member->excluded_client == client_id_hash(span_of_text(t.client)));
}

/* ---- batching by time ---- */

static void subscribe_lazily(void) {
    t.namespaces[0].flush_interval_ms = 200;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"lazy\"}}");
    join("lazy", "kxYz", 7);
    assert_written("{\"id\":2,\"subscribe\":{}}\n"); /* a reply waits for nothing */
}

static void test_pushes_wait_for_each_other_and_go_in_one_write(void **state) {
    (void) state;
    subscribe_lazily();
    unsigned n_writes = t.transport.n_writes;
    deliver("lazy", "1");
    flush();
    pass_ms(100);
    deliver("lazy", "2");
    flush();
    pass_ms(90);
    deliver("lazy", "3");
    assert_written("");
    pass_ms(20); /* 200 ms after the first, not after the last */
    assert_written("1\n2\n3\n");
    assert_int_equal(t.transport.n_writes, n_writes + 1);
    pass_ms(1000);
    deliver("lazy", "4");
    flush();
    assert_written("");
    pass_ms(210);
    assert_written("4\n");
}

static void test_a_reply_takes_what_waits_along_in_order(void **state) {
    (void) state;
    subscribe_lazily();
    deliver("lazy", "1");
    flush();
    receive("{\"id\":3,\"ping\":{}}");
    assert_written("1\n{\"id\":3,\"ping\":{}}\n");
    pass_ms(500);
    assert_written("");
    receive("{\"id\":4,\"subscribe\":{\"channel\":\"plain:now\"}}");
    join("plain:now", NULL, 0);
    written();
    deliver("lazy", "2");
    deliver("plain:now", "3"); /* one that does not wait */
    flush();
    assert_written("2\n3\n");
}

static void test_what_waits_goes_before_its_time_where_the_outbox_holds_no_more(void **state) {
    (void) state;
    t.config.outbox_frames = 16;
    subscribe_lazily();
    for (int i = 0; i < 17; i++) {
        deliver("lazy", "x");
    }
    assert_written("x\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\nx\n");
    assert_open();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_delta_is_granted_where_allowed_and_possible),
        session_test(test_channel_ids_are_for_those_who_understand_them),
        session_test(test_a_filter_needs_the_namespaces_permission_and_to_be_one),
        session_test(test_what_was_recovered_is_filtered_and_the_position_is_not),
        session_test(test_who_publishes_is_told_apart_where_it_is_excluded),
        session_test(test_pushes_wait_for_each_other_and_go_in_one_write),
        session_test(test_a_reply_takes_what_waits_along_in_order),
        session_test(test_what_waits_goes_before_its_time_where_the_outbox_holds_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
