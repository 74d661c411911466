/* The raw endpoint's records: what a message means, and what a publication becomes. */
#include "gateway/protocol/client_protocol_raw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void expect_records(const struct buffer *out, const char *wanted) {
    struct buffer text = BUFFER_EMPTY;
    struct cursor cursor = cursor_of(buffer_span(out));
    enum client_raw_kind kind;
    struct span bytes;
    while (client_raw_next_record(&cursor, &kind, &bytes)) {
        buffer_append_format(&text, "%d:", (int) kind);
        buffer_append_span(&text, bytes);
        buffer_append_char(&text, '|');
    }
    assert_true(cursor_is_done(&cursor));
    buffer_append_char(&text, '\0');
    assert_string_equal((const char *) text.data, wanted);
    buffer_finish(&text);
}

static void messages_become_data(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *data;
    } cases[] = {{"hello", "\"hello\""},
                 {"{\"a\": 1}", "{\"a\": 1}"},
                 {" 12 ", "12"},
                 {"\"quoted\"", "\"quoted\""},
                 {"", "\"\""},
                 {"a\"b\n", "\"a\\\"b\\n\""},
                 {"{\"a\":}", "\"{\\\"a\\\":}\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer records = BUFFER_EMPTY;
        struct buffer scratch = BUFFER_EMPTY;
        struct client_command command;
        client_raw_append_record(&records, CLIENT_RAW_TEXT, span_of_text(cases[i].text));
        struct cursor cursor = cursor_of(buffer_span(&records));
        assert_int_equal(client_codec_raw.decode_next(&cursor, &scratch, &command), CLIENT_DECODE_OK);
        assert_int_equal(command.kind, CLIENT_COMMAND_PUBLISH);
        assert_true(span_equal_text(command.body.publish.data, cases[i].data));
        assert_int_equal(client_codec_raw.decode_next(&cursor, &scratch, &command), CLIENT_DECODE_END);
        buffer_finish(&records);
        buffer_finish(&scratch);
    }
}

static void a_ping_is_an_object_of_that_type(void **state) {
    (void) state;
    assert_true(client_raw_is_ping(SPAN_LITERAL("{\"type\":\"ping\"}")));
    assert_true(client_raw_is_ping(SPAN_LITERAL(" {\"n\":1,\"type\":\"ping\"}\n")));
    assert_false(client_raw_is_ping(SPAN_LITERAL("{\"type\":\"pong\"}")));
    assert_false(client_raw_is_ping(SPAN_LITERAL("{\"Type\":\"ping\"}")));
    assert_false(client_raw_is_ping(SPAN_LITERAL("[\"type\",\"ping\"]")));
    assert_false(client_raw_is_ping(SPAN_LITERAL("\"ping\"")));
    assert_false(client_raw_is_ping(SPAN_EMPTY));
}

static void publications_are_their_data(void **state) {
    (void) state;
    const struct {
        struct wire_publication publication;
        const char *plain;
        const char *enveloped;
    } cases[] = {
        {{.offset = 7, .data = SPAN_LITERAL("{\"a\":1}")}, "1:{\"a\":1}|", "1:{\"data\":{\"a\":1},\"offset\":7}|"},
        {{.offset = 1, .data = SPAN_LITERAL("\"te\\u00e9xt\"")},
         "1:te\xc3\xa9xt|",
         "1:{\"data\":\"te\\u00e9xt\",\"offset\":1,\"epoch\":\"E\"}|"},
        {{.data = SPAN_LITERAL("\"a\\u0000b\"")}, "1:\"a\\u0000b\"|", "1:{\"data\":\"a\\u0000b\"}|"},
        {{.flags = WIRE_PUBLICATION_BINARY, .data = SPAN_LITERAL("\"\x01")},
         "2:\"\x01|",
         "1:{\"data\":\"IgE=\",\"binary\":true}|"},
        {{.data = SPAN_LITERAL("")}, "1:|", "1:{\"data\":null}|"},
    };
    const struct epoch epoch = epoch_from(SPAN_LITERAL("E"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out = BUFFER_EMPTY;
        client_codec_raw.encode_push_publication(&out, NULL, &cases[i].publication, &epoch, NULL);
        expect_records(&out, cases[i].plain);
        buffer_clear(&out);
        client_codec_raw_envelope.encode_push_publication(&out, NULL, &cases[i].publication, &epoch, NULL);
        expect_records(&out, cases[i].enveloped);
        buffer_finish(&out);
    }
}

static void the_beginning_tells_position_and_loss(void **state) {
    (void) state;
    struct buffer publications = BUFFER_EMPTY;
    const struct wire_publication publication = {.offset = 6, .data = SPAN_LITERAL("1")};
    wire_append_publication(&publications, &publication);
    const struct client_subscribed recovered = {.recovered = true,
                                                .was_recovering = true,
                                                .epoch = epoch_from(SPAN_LITERAL("E")),
                                                .offset = 5,
                                                .n_publications = 1,
                                                .publications = buffer_span(&publications)};
    const struct client_subscribed lost = {.was_recovering = true, .offset = 5};
    struct buffer out = BUFFER_EMPTY;
    client_codec_raw.encode_subscribed(&out, 1, &recovered);
    expect_records(&out, "1:1|");
    buffer_clear(&out);
    client_codec_raw_envelope.encode_subscribed(&out, 1, &recovered);
    expect_records(&out, "1:{\"type\":\"position\",\"offset\":5,\"epoch\":\"E\"}|1:{\"data\":1,\"offset\":6}|");
    buffer_clear(&out);
    client_codec_raw.encode_subscribed(&out, 1, &lost);
    expect_records(&out, "1:{\"type\":\"error\",\"code\":112,\"message\":\"unrecoverable position\"}|");
    buffer_clear(&out);
    client_codec_raw.encode_ping(&out);
    expect_records(&out, "9:.|");
    buffer_finish(&out);
    buffer_finish(&publications);
}

static void records_that_are_cut_short_end(void **state) {
    (void) state;
    struct buffer records = BUFFER_EMPTY;
    client_raw_append_record(&records, CLIENT_RAW_BINARY, SPAN_LITERAL("abc"));
    for (size_t size = 0; size < records.size; size++) {
        struct cursor cursor = cursor_of(span_of(records.data, size));
        enum client_raw_kind kind;
        struct span bytes;
        assert_false(client_raw_next_record(&cursor, &kind, &bytes));
    }
    buffer_finish(&records);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_become_data),           cmocka_unit_test(a_ping_is_an_object_of_that_type),
        cmocka_unit_test(publications_are_their_data),    cmocka_unit_test(the_beginning_tells_position_and_loss),
        cmocka_unit_test(records_that_are_cut_short_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
