/* What the backend API reads: frames and parameters, and the sentence each mistake gets. */
#include "broker/backend/backend_request.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEXT(text) SPAN_LITERAL(text)

struct frames_case {
    const char *name;
    struct span frames[7];
    size_t n;
    enum error_code code; /* ERROR_NONE: accepted */
    bool can_be_answered;
};

static const char long_id[BACKEND_ID_MAX + 1] = "0123456789012345678901234567890123456789012345678901234567890123";
static const char long_method[BACKEND_METHOD_MAX + 2] =
    "mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm";

static void frames_are_read_or_refused_by_name(void **state) {
    (void) state;
    struct frames_case cases[] = {
        {"as a DEALER sends it", {TEXT("CB1"), TEXT("publish"), TEXT("7"), TEXT("{}"), TEXT("x")}, 5, ERROR_NONE, true},
        {"as a REQ sends it", {SPAN_EMPTY, TEXT("CB1"), TEXT("info"), TEXT("7"), TEXT("{}")}, 5, ERROR_NONE, true},
        {"without params", {TEXT("CB1"), TEXT("info"), TEXT("7")}, 3, ERROR_NONE, true},
        {"with an empty id", {TEXT("CB1"), TEXT("info"), SPAN_EMPTY}, 3, ERROR_NONE, true},
        {"with the longest id",
         {TEXT("CB1"), TEXT("info"), {(const uint8_t *) long_id, BACKEND_ID_MAX}},
         3,
         ERROR_NONE,
         true},
        {"with the longest method",
         {TEXT("CB1"), {(const uint8_t *) long_method, BACKEND_METHOD_MAX}, TEXT("1")},
         3,
         ERROR_NONE,
         true},
        {"nothing", {SPAN_EMPTY}, 0, ERROR_BAD_REQUEST, false},
        {"a delimiter alone", {SPAN_EMPTY}, 1, ERROR_BAD_REQUEST, false},
        {"two frames", {TEXT("CB1"), TEXT("info")}, 2, ERROR_BAD_REQUEST, false},
        {"six frames",
         {TEXT("CB1"), TEXT("a"), TEXT("1"), TEXT("{}"), TEXT("x"), TEXT("y")},
         6,
         ERROR_BAD_REQUEST,
         false},
        {"a batch of two payloads",
         {TEXT("CB1"), TEXT("batch"), TEXT("1"), TEXT("{}"), TEXT("x"), TEXT("y")},
         6,
         ERROR_NONE,
         true},
        {"another version", {TEXT("CB2"), TEXT("info"), TEXT("7")}, 3, ERROR_BAD_REQUEST, true},
        {"a version with a NUL", {{(const uint8_t *) "CB1\0", 4}, TEXT("info"), TEXT("7")}, 3, ERROR_BAD_REQUEST, true},
        {"an empty method", {TEXT("CB1"), SPAN_EMPTY, TEXT("7")}, 3, ERROR_METHOD_NOT_FOUND, true},
        {"a method too long",
         {TEXT("CB1"), {(const uint8_t *) long_method, BACKEND_METHOD_MAX + 1}, TEXT("7")},
         3,
         ERROR_METHOD_NOT_FOUND,
         true},
        {"an id too long",
         {TEXT("CB1"), TEXT("info"), {(const uint8_t *) long_id, BACKEND_ID_MAX + 1}},
         3,
         ERROR_BAD_REQUEST,
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct backend_request request;
        struct backend_refusal refusal = {.code = ERROR_NONE};
        bool accepted = backend_request_read(cases[i].frames, cases[i].n, &request, &refusal);
        if (accepted != (cases[i].code == ERROR_NONE) || refusal.code != cases[i].code ||
            (request.id.data != NULL) != cases[i].can_be_answered) {
            fail_msg("%s: accepted %d, code %d, id %p", cases[i].name, accepted, (int) refusal.code,
                     (const void *) request.id.data);
        }
        if (!accepted) {
            assert_true(refusal.message[0] != '\0');
        }
    }
}

static void a_delimiter_is_noticed_and_a_payload_kept(void **state) {
    (void) state;
    struct span frames[] = {SPAN_EMPTY, TEXT("CB1"), TEXT("publish"),
                            TEXT("id"), TEXT("{}"),  {(const uint8_t *) "a\0b", 3}};
    struct backend_request request;
    struct backend_refusal refusal;
    assert_true(backend_request_read(frames, 6, &request, &refusal));
    assert_true(request.has_delimiter);
    assert_true(request.has_payload);
    assert_memory_equal(request.payload.data, "a\0b", 3);
}

struct fixture {
    struct buffer text;
    struct buffer tags;
    struct backend_params params;
    struct backend_refusal refusal;
};

static const unsigned ALL = BACKEND_PARAM_CHANNEL | BACKEND_PARAM_CHANNELS | BACKEND_PARAM_KEY | BACKEND_PARAM_TAGS |
                            BACKEND_PARAM_SKIP_HISTORY | BACKEND_PARAM_SINCE | BACKEND_PARAM_LIMIT |
                            BACKEND_PARAM_REVERSE | BACKEND_PARAM_CURSOR;

static bool read_params(struct fixture *fixture, const char *text, unsigned required) {
    fixture->refusal = (struct backend_refusal){.code = ERROR_NONE};
    struct json_value object;
    return backend_params_scan(span_of_text(text), &object, &fixture->refusal) &&
           backend_params_read(object, ALL, required, &fixture->text, &fixture->tags, &fixture->params,
                               &fixture->refusal);
}

static void finish(struct fixture *fixture) {
    buffer_finish(&fixture->text);
    buffer_finish(&fixture->tags);
}

static void every_parameter_is_read(void **state) {
    (void) state;
    struct fixture fixture = {.text = BUFFER_EMPTY, .tags = BUFFER_EMPTY};
    assert_true(read_params(
        &fixture,
        "{\"channel\":\"demo:\\u0061\",\"idempotency_key\":\"k\\n1\",\"tags\":{\"t\":\"v\",\"u\":\"\\u00e9\"},"
        "\"skip_history\":true,\"since\":{\"offset\":9007199254740991,\"epoch\":\"e1\"},\"limit\":7,\"reverse\":true,"
        "\"cursor\":\"18446744073709551615\"}",
        BACKEND_PARAM_CHANNEL));
    assert_true(span_equal_text(fixture.params.channel, "demo:a"));
    assert_true(span_equal_text(fixture.params.key, "k\n1"));
    assert_true(fixture.params.skip_history && fixture.params.reverse && fixture.params.has_since);
    assert_int_equal(fixture.params.limit, 7);
    assert_true(fixture.params.has_limit && fixture.params.cursor == UINT64_MAX);
    assert_true(fixture.params.since.offset == OFFSET_MAX);
    assert_string_equal(fixture.params.since.epoch.text, "e1");
    struct cursor cursor = cursor_of(fixture.params.tags);
    struct wire_tag tag;
    assert_true(wire_next_tag(&cursor, &tag) && span_equal_text(tag.key, "t") && span_equal_text(tag.value, "v"));
    assert_true(wire_next_tag(&cursor, &tag) && span_equal_text(tag.value, "\xc3\xa9"));
    assert_false(wire_next_tag(&cursor, &tag));
    finish(&fixture);
}

static void null_is_as_good_as_absent(void **state) {
    (void) state;
    struct fixture fixture = {.text = BUFFER_EMPTY, .tags = BUFFER_EMPTY};
    assert_true(read_params(&fixture, "{\"channel\":\"demo:a\",\"since\":null,\"limit\":null}", BACKEND_PARAM_CHANNEL));
    assert_false(fixture.params.has_since || fixture.params.has_limit);
    assert_int_equal(fixture.params.limit, BACKEND_HISTORY_LIMIT_DEFAULT);
    assert_false(read_params(&fixture, "{\"channel\":null}", BACKEND_PARAM_CHANNEL));
    finish(&fixture);
}

static void every_mistake_is_named(void **state) {
    (void) state;
    static const struct {
        const char *params;
        const char *message; /* a part of it */
    } cases[] = {
        {"", "params.channel is missing"},
        {"{}", "params.channel is missing"},
        {"[]", "must be a JSON object"},
        {"nonsense", "not JSON"},
        {"{\"channel\":\"demo:a\"", "not JSON"},
        {"{\"channel\":\"demo:a\"} x", "not JSON"},
        {"{\"channel\":\"demo:\xff\"}", "not JSON: invalid UTF-8"},
        {"{\"chanel\":\"demo:a\"}", "params.chanel is not known"},
        {"{\"channel\":\"a\",\"channel\":\"b\"}", "params.channel stands twice"},
        {"{\"channel\":1}", "params.channel must be a string"},
        {"{\"channel\":\"a\\u0000b\"}", "params.channel must be a string"},
        {"{\"channel\":\"\"}", "the channel is empty"},
        {"{\"channel\":\"a b\"}", "byte that is not allowed"},
        {"{\"channel\":\"a{b}\"}", "byte that is not allowed"},
        {"{\"channel\":\"a*\"}", "byte that is not allowed"},
        {"{\"channel\":\"\\u00e9\"}", "byte that is not allowed"},
        {"{\"channel\":\"a\",\"idempotency_key\":7}", "params.idempotency_key must be a string"},
        {"{\"channel\":\"a\",\"tags\":[]}", "params.tags must be an object"},
        {"{\"channel\":\"a\",\"tags\":{\"t\":1}}", "params.tags must be a string"},
        {"{\"channel\":\"a\",\"skip_history\":1}", "params.skip_history must be true or false"},
        {"{\"channel\":\"a\",\"reverse\":\"yes\"}", "params.reverse must be true or false"},
        {"{\"channel\":\"a\",\"limit\":-1}", "params.limit must be a whole number"},
        {"{\"channel\":\"a\",\"limit\":1.5}", "params.limit must be a whole number"},
        {"{\"channel\":\"a\",\"limit\":1e3}", "params.limit must be a whole number"},
        {"{\"channel\":\"a\",\"limit\":10001}", "params.limit must be a whole number"},
        {"{\"channel\":\"a\",\"cursor\":7}", "params.cursor must be a string"},
        {"{\"channel\":\"a\",\"cursor\":\"\"}", "params.cursor must be the cursor of an answer"},
        {"{\"channel\":\"a\",\"cursor\":\"0\"}", "params.cursor must be the cursor of an answer"},
        {"{\"channel\":\"a\",\"cursor\":\"18446744073709551616\"}", "params.cursor must be the cursor of an answer"},
        {"{\"channel\":\"a\",\"since\":5}", "params.since must be"},
        {"{\"channel\":\"a\",\"since\":{}}", "params.since must be"},
        {"{\"channel\":\"a\",\"since\":{\"offset\":9007199254740992}}", "params.since must be"},
        {"{\"channel\":\"a\",\"since\":{\"offset\":1,\"epoch\":2}}", "params.since.epoch must be a string"},
        {"{\"channel\":\"a\",\"channels\":\"b\"}", "params.channels must be a list"},
        {"{\"channel\":\"a\",\"limit\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", "not JSON"},
    };
    struct fixture fixture = {.text = BUFFER_EMPTY, .tags = BUFFER_EMPTY};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (read_params(&fixture, cases[i].params, BACKEND_PARAM_CHANNEL) ||
            fixture.refusal.code != ERROR_BAD_REQUEST || strstr(fixture.refusal.message, cases[i].message) == NULL) {
            fail_msg("%s: code %d, \"%s\"", cases[i].params, (int) fixture.refusal.code, fixture.refusal.message);
        }
    }
    finish(&fixture);
}

static void a_parameter_of_another_method_is_refused(void **state) {
    (void) state;
    struct json_value object;
    struct fixture fixture = {.text = BUFFER_EMPTY, .tags = BUFFER_EMPTY};
    assert_true(backend_params_scan(SPAN_LITERAL("{\"limit\":1}"), &object, &fixture.refusal));
    assert_false(backend_params_read(object, BACKEND_PARAM_CHANNEL, 0, &fixture.text, &fixture.tags, &fixture.params,
                                     &fixture.refusal));
    assert_non_null(strstr(fixture.refusal.message, "params.limit is not known to this method"));
    finish(&fixture);
}

static void lengths_at_their_bounds(void **state) {
    (void) state;
    struct fixture fixture = {.text = BUFFER_EMPTY, .tags = BUFFER_EMPTY};
    char params[1024];
    for (int length = 254; length <= 257; length++) {
        snprintf(params, sizeof params, "{\"channel\":\"%0*d\"}", length, 7);
        assert_int_equal(read_params(&fixture, params, 0), length <= 255);
        snprintf(params, sizeof params, "{\"channel\":\"a\",\"idempotency_key\":\"%0*d\"}", length, 7);
        assert_int_equal(read_params(&fixture, params, 0), length <= BACKEND_KEY_MAX);
    }
    finish(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_read_or_refused_by_name),
        cmocka_unit_test(a_delimiter_is_noticed_and_a_payload_kept),
        cmocka_unit_test(every_parameter_is_read),
        cmocka_unit_test(null_is_as_good_as_absent),
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test(a_parameter_of_another_method_is_refused),
        cmocka_unit_test(lengths_at_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
