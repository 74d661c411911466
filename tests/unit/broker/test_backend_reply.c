/* Bodies of replies, byte for byte. */
#include "broker/backend/backend_reply.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void assert_text(struct buffer *out, const char *expected) {
    buffer_append_char(out, '\0');
    assert_string_equal((const char *) out->data, expected);
    buffer_clear(out);
}

static void errors_carry_the_lists_words_or_ours(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    backend_append_error(&out, ERROR_TOO_MANY_REQUESTS, NULL);
    assert_text(&out, "{\"code\":111,\"reason\":\"too_many_requests\",\"message\":\"too many "
                      "requests\",\"temporary\":true,\"definite\":true}");
    backend_append_error(&out, ERROR_OUTCOME_UNKNOWN, "no \"answer\"");
    assert_text(&out, "{\"code\":120,\"reason\":\"outcome_unknown\",\"message\":\"no "
                      "\\\"answer\\\"\",\"temporary\":true,\"definite\":false}");
    buffer_finish(&out);
}

static void a_publication_is_answered_with_its_position(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    struct shard_reply reply = {.position = {.epoch = {"abc"}, .offset = 9007199254740991}};
    backend_append_published(&out, &reply);
    assert_text(&out, "{\"offset\":9007199254740991,\"epoch\":\"abc\",\"duplicate\":false}");
    reply.duplicate = true;
    reply.not_durable = true;
    backend_append_published(&out, &reply);
    assert_text(&out, "{\"offset\":9007199254740991,\"epoch\":\"abc\",\"duplicate\":true,\"durable\":false}");
    buffer_finish(&out);
}

static void history_keeps_payloads_byte_for_byte_and_marks_binary_ones(void **state) {
    (void) state;
    struct buffer info = BUFFER_EMPTY;
    struct buffer tags = BUFFER_EMPTY;
    struct buffer publications = BUFFER_EMPTY;
    struct buffer out = BUFFER_EMPTY;
    struct wire_client_info client = {
        .user = SPAN_LITERAL("u\"1"), .client = SPAN_LITERAL("c1"), .conn_info = SPAN_LITERAL("{\"n\": 1}")};
    wire_append_client_info(&info, &client);
    struct wire_tag tag = {SPAN_LITERAL("k"), SPAN_LITERAL("v")};
    wire_append_tag(&tags, &tag);
    struct wire_publication json = {.offset = 1,
                                    .time_ms = 5,
                                    .data = SPAN_LITERAL("{\"n\":9007199254740993, \"n\":1.0e2}"),
                                    .info = buffer_span(&info),
                                    .tags = buffer_span(&tags)};
    struct wire_publication binary = {
        .offset = 2, .flags = WIRE_PUBLICATION_BINARY, .data = {(const uint8_t *) "\0\1\2", 3}};
    wire_append_publication(&publications, &json);
    wire_append_publication(&publications, &binary);
    struct shard_reply reply = {.n = 2, .bytes = buffer_span(&publications), .position = {.epoch = {"e"}, .offset = 2}};
    backend_append_history(&out, &reply);
    assert_text(&out,
                "{\"publications\":[{\"offset\":1,\"data\":{\"n\":9007199254740993, \"n\":1.0e2},\"time\":5,"
                "\"info\":{\"user\":\"u\\\"1\",\"client\":\"c1\",\"conn_info\":{\"n\": 1}},\"tags\":{\"k\":\"v\"}},"
                "{\"offset\":2,\"b64data\":\"AAEC\"}],\"offset\":2,\"epoch\":\"e\"}");
    reply = (struct shard_reply){.position = {.epoch = {"e"}, .offset = 0}};
    backend_append_history(&out, &reply);
    assert_text(&out, "{\"publications\":[],\"offset\":0,\"epoch\":\"e\"}");
    buffer_finish(&info);
    buffer_finish(&tags);
    buffer_finish(&publications);
    buffer_finish(&out);
}

static void presence_is_keyed_by_client(void **state) {
    (void) state;
    struct buffer info = BUFFER_EMPTY;
    struct buffer entries = BUFFER_EMPTY;
    struct buffer out = BUFFER_EMPTY;
    struct wire_client_info client = {
        .user = SPAN_LITERAL(""), .client = SPAN_LITERAL("c1"), .chan_info = SPAN_LITERAL("not json")};
    wire_append_client_info(&info, &client);
    buffer_append_sized(&entries, buffer_span(&info));
    struct shard_reply reply = {.n = 1, .bytes = buffer_span(&entries)};
    backend_append_presence(&out, &reply);
    assert_text(&out, "{\"presence\":{\"c1\":{\"user\":\"\",\"client\":\"c1\",\"b64chan_info\":\"bm90IGpzb24=\"}}}");
    reply.next = UINT64_MAX;
    backend_append_presence(&out, &reply);
    assert_text(&out, "{\"presence\":{\"c1\":{\"user\":\"\",\"client\":\"c1\",\"b64chan_info\":\"bm90IGpzb24=\"}},"
                      "\"cursor\":\"18446744073709551615\"}");
    reply = (struct shard_reply){.n = 3, .m = 2};
    backend_append_presence_stats(&out, &reply);
    assert_text(&out, "{\"num_clients\":3,\"num_users\":2}");
    buffer_finish(&info);
    buffer_finish(&entries);
    buffer_finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_the_lists_words_or_ours),
        cmocka_unit_test(a_publication_is_answered_with_its_position),
        cmocka_unit_test(history_keeps_payloads_byte_for_byte_and_marks_binary_ones),
        cmocka_unit_test(presence_is_keyed_by_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
