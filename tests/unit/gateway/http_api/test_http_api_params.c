/* The parameters of a command of the HTTP API: each as it is read, and each mistake with its name. */
#include "gateway/http_api/http_api_params.h"

#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum {
    PUBLISH = HTTP_API_CHANNEL | HTTP_API_DATA | HTTP_API_PUBLISHING,
    BROADCAST = HTTP_API_CHANNELS | HTTP_API_DATA | HTTP_API_PUBLISHING,
    HISTORY = HTTP_API_CHANNEL | HTTP_API_SINCE | HTTP_API_PAGE,
};

static struct buffer text;
static struct buffer tags;
static struct http_api_params params;
static struct http_api_refusal refusal;

static bool read_as(unsigned wanted, const char *json) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value object;
    assert_int_equal(json_scan(span_of_text(json), &limits, &object, NULL), JSON_OK);
    memset(&refusal, 0, sizeof refusal);
    return http_api_params_read(object, wanted, &text, &tags, &params, &refusal);
}

static int free_buffers(void **state) {
    (void) state;
    buffer_finish(&text);
    buffer_finish(&tags);
    return 0;
}

#define assert_span(span, expected) assert_true(span_equal_text((span), (expected)))

static void everything_of_publish_is_read(void **state) {
    (void) state;
    assert_true(read_as(PUBLISH, "{\"channel\":\"demo:\\u0061\",\"data\":{\"x\":[1, 2]},\"idempotency_key\":\"k\\n\","
                                 "\"tags\":{\"lang\":\"de\",\"n\":\"1\"},\"skip_history\":true,\"delta\":true,"
                                 "\"version\":9007199254740991,\"version_epoch\":\"e\"}"));
    assert_span(params.channel, "demo:a");
    assert_span(params.data, "{\"x\":[1, 2]}");
    assert_false(params.is_binary);
    assert_span(params.key, "k\n");
    assert_true(params.skip_history && params.delta);
    assert_int_equal(params.version, 9007199254740991);
    assert_span(params.version_epoch, "e");
    struct cursor cursor = cursor_of(params.tags);
    struct wire_tag tag;
    assert_true(wire_next_tag(&cursor, &tag));
    assert_span(tag.key, "lang");
    assert_span(tag.value, "de");
    assert_true(wire_next_tag(&cursor, &tag));
    assert_span(tag.value, "1");
    assert_false(wire_next_tag(&cursor, &tag));
}

static void b64data_counts_whichever_comes_first(void **state) {
    (void) state;
    static const char *const both[] = {"{\"channel\":\"a\",\"data\":1,\"b64data\":\"/wA=\"}",
                                       "{\"channel\":\"a\",\"b64data\":\"/wA=\",\"data\":1}"};
    for (size_t i = 0; i < 2; i++) {
        assert_true(read_as(PUBLISH, both[i]));
        assert_true(params.is_binary);
        assert_true(span_equal(params.data, SPAN_LITERAL("\xff\0")));
    }
}

static void data_may_be_null_and_null_stands_for_whatever_else_is_not_there(void **state) {
    (void) state;
    assert_true(read_as(PUBLISH, "{\"channel\":\"a\",\"data\":null,\"tags\":null,\"version\":null,\"delta\":null}"));
    assert_span(params.data, "null");
    assert_true(params.version == 0 && params.tags.size == 0 && !params.delta);
    assert_false(read_as(PUBLISH, "{\"channel\":null,\"data\":1}"));
    assert_string_equal(refusal.message, "channel is missing");
}

static void a_page_of_history_is_read(void **state) {
    (void) state;
    assert_true(read_as(HISTORY, "{\"channel\":\"a\",\"limit\":-1,\"reverse\":true,\"since\":{\"offset\":7,"
                                 "\"epoch\":\"AbCd\"}}"));
    assert_true(params.has_since && params.reverse);
    assert_int_equal(params.limit, -1);
    assert_int_equal(params.since.offset, 7);
    assert_string_equal(params.since.epoch.text, "AbCd");
    assert_true(read_as(HISTORY, "{\"channel\":\"a\",\"since\":{}}"));
    assert_true(params.has_since && params.since.offset == 0 && epoch_is_empty(&params.since.epoch));
}

static void what_another_method_knows_is_passed_over(void **state) {
    (void) state;
    assert_true(read_as(HTTP_API_CHANNEL, "{\"channel\":\"a\",\"data\":1,\"version\":\"no number\",\"newer\":[]}"));
    assert_true(params.data.size == 0 && params.version == 0);
}

static void channels_are_read_one_by_one(void **state) {
    (void) state;
    assert_true(read_as(BROADCAST, "{\"channels\":[\"a\",5,\"has space\",\"b\"],\"data\":1}"));
    static const bool good[] = {true, false, false, true};
    struct json_iterator iterator = json_iterate(params.channels);
    struct json_value name;
    struct json_value value;
    for (size_t i = 0; i < 4; i++) {
        struct span channel;
        assert_true(json_next(&iterator, &name, &value));
        assert_int_equal(http_api_channel_read(value, "channels", &text, &channel, &refusal), good[i]);
    }
    assert_int_equal(refusal.code, ERROR_BAD_REQUEST);
}

static void each_mistake_is_refused_by_its_name(void **state) {
    (void) state;
    static const struct {
        unsigned wanted;
        const char *json;
        const char *says;
    } cases[] = {
        {PUBLISH, "[]", "a command must be a JSON object"},
        {PUBLISH, "{\"data\":1}", "channel is missing"},
        {PUBLISH, "{\"channel\":\"a\"}", "data (or b64data) is missing"},
        {BROADCAST, "{\"data\":1}", "channels is missing"},
        {BROADCAST, "{\"channels\":[],\"data\":1}", "channels must be an array"},
        {BROADCAST, "{\"channels\":\"a\",\"data\":1}", "channels must be an array"},
        {PUBLISH, "{\"channel\":7,\"data\":1}", "channel must be a string"},
        {PUBLISH, "{\"channel\":\"\",\"data\":1}", "channel is no channel name"},
        {PUBLISH, "{\"channel\":\"a\",\"channel\":\"b\",\"data\":1}", "a name twice"},
        {PUBLISH, "{\"channel\":\"a\",\"b64data\":\"\"}", "b64data must be"},
        {PUBLISH, "{\"channel\":\"a\",\"b64data\":\"/w\"}", "b64data must be"},
        {PUBLISH, "{\"channel\":\"a\",\"b64data\":5}", "b64data must be"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"idempotency_key\":\"\\u0000\"}", "idempotency_key must be"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"tags\":[]}", "tags must be an object"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"tags\":{\"a\":1}}", "tags must be"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"skip_history\":1}", "skip_history must be true or false"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"delta\":\"fossil\"}", "delta must be true or false"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"version\":9007199254740992}", "version must be a whole number"},
        {PUBLISH, "{\"channel\":\"a\",\"data\":1,\"version\":1.5}", "version must be a whole number"},
        {HISTORY, "{\"channel\":\"a\",\"since\":5}", "since must be an object"},
        {HISTORY, "{\"channel\":\"a\",\"since\":{\"offset\":-1}}", "since.offset must be"},
        {HISTORY, "{\"channel\":\"a\",\"since\":{\"epoch\":1}}", "since.epoch must be"},
        {HISTORY, "{\"channel\":\"a\",\"limit\":\"5\"}", "limit must be a whole number"},
        {HISTORY, "{\"channel\":\"a\",\"reverse\":0}", "reverse must be true or false"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(read_as(cases[i].wanted, cases[i].json));
        assert_int_equal(refusal.code, ERROR_BAD_REQUEST);
        if (strstr(refusal.message, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].json, refusal.message);
        }
    }
}

/* {"channel":"a","data":1,NAME:…}, with so many bytes of x in place of the dollar. */
static bool takes(const char *format, size_t n) {
    char json[16384];
    char filler[8192] = "";
    memset(filler, 'x', n);
    filler[n] = '\0';
    snprintf(json, sizeof json, format, filler);
    return read_as(PUBLISH, json);
}

static void texts_are_taken_up_to_their_bounds(void **state) {
    (void) state;
    static const struct {
        const char *format;
        size_t most;
    } bounds[] = {
        {"{\"channel\":\"%s\",\"data\":1}", 255},
        {"{\"channel\":\"a\",\"data\":1,\"idempotency_key\":\"%s\"}", HTTP_API_KEY_MAX},
        {"{\"channel\":\"a\",\"data\":1,\"version_epoch\":\"%s\"}", WIRE_VERSION_EPOCH_MAX},
        {"{\"channel\":\"a\",\"data\":1,\"tags\":{\"%s\":\"v\"}}", HTTP_API_KEY_MAX},
        {"{\"channel\":\"a\",\"data\":1,\"tags\":{\"k\":\"%s\"}}", HTTP_API_TAG_MAX},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        assert_true(takes(bounds[i].format, bounds[i].most));
        assert_false(takes(bounds[i].format, bounds[i].most + 1));
    }
}

static void tags_and_names_are_taken_up_to_their_bounds(void **state) {
    (void) state;
    for (int more = 0; more < 2; more++) {
        struct buffer json = BUFFER_EMPTY;
        buffer_append_text(&json, "{\"channel\":\"a\",\"data\":1,\"tags\":{");
        for (int i = 0; i < HTTP_API_TAGS_MAX + more; i++) {
            buffer_append_format(&json, "%s\"t%d\":\"\"", i == 0 ? "" : ",", i);
        }
        buffer_append_text(&json, "}}");
        buffer_append_char(&json, '\0');
        assert_int_equal(read_as(PUBLISH, (const char *) json.data), more == 0);
        buffer_clear(&json);
        buffer_append_text(&json, "{\"channel\":\"a\",\"data\":1");
        for (int i = 2; i < HTTP_API_NAMES_MAX + more; i++) {
            buffer_append_format(&json, ",\"n%d\":0", i);
        }
        buffer_append_text(&json, "}");
        buffer_append_char(&json, '\0');
        assert_int_equal(read_as(PUBLISH, (const char *) json.data), more == 0);
        buffer_finish(&json);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_of_publish_is_read),
        cmocka_unit_test(b64data_counts_whichever_comes_first),
        cmocka_unit_test(data_may_be_null_and_null_stands_for_whatever_else_is_not_there),
        cmocka_unit_test(a_page_of_history_is_read),
        cmocka_unit_test(what_another_method_knows_is_passed_over),
        cmocka_unit_test(channels_are_read_one_by_one),
        cmocka_unit_test(each_mistake_is_refused_by_its_name),
        cmocka_unit_test(texts_are_taken_up_to_their_bounds),
        cmocka_unit_test(tags_and_names_are_taken_up_to_their_bounds),
    };
    return cmocka_run_group_tests_name("http_api_params", tests, NULL, free_buffers);
}
