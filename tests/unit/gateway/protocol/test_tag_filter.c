/* Tags filters: which tags pass, which requests are none, equal ones shared and judged once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wire.h"
#include "gateway/protocol/tag_filter.h"

static tag_filter_set_t *set;

static int set_up(void **state) {
    (void) state;
    set = tag_filter_set_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    assert_int_equal(tag_filter_set_count(set), 0);
    tag_filter_set_destroy(&set);
    return 0;
}

static tag_filter_t *take_span(struct span json) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value request;
    assert_int_equal(json_scan(json, &limits, &request, NULL), JSON_OK);
    return tag_filter_take(set, request);
}

static tag_filter_t *take(const char *json) {
    return take_span(span_of_text(json));
}

/* "a=1 b=x": two tags; "e=": an empty one. */
static struct span read_tags(struct buffer *out, const char *text) {
    char copy[256];
    char *rest = NULL;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *pair = strtok_r(copy, " ", &rest); pair != NULL; pair = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(pair, '=');
        *equals = '\0';
        wire_append_tag(out, &(struct wire_tag){span_of_text(pair), span_of_text(equals + 1)});
    }
    return buffer_span(out);
}

static void expect(const char *json, const char *tags, bool passes) {
    struct buffer bytes = BUFFER_EMPTY;
    tag_filter_t *filter = take(json);
    if (filter == NULL || tag_filter_passes(filter, read_tags(&bytes, tags)) != passes) {
        print_error("filter %s, tags %s\n", json, tags);
    }
    assert_non_null(filter);
    buffer_clear(&bytes);
    assert_int_equal(tag_filter_passes(filter, read_tags(&bytes, tags)), passes);
    tag_filter_release(&filter);
    buffer_finish(&bytes);
}

#define LEAF(cmp, val)  "{\"key\":\"k\",\"cmp\":\"" cmp "\",\"val\":\"" val "\"}"
#define LIST(cmp, vals) "{\"key\":\"k\",\"cmp\":\"" cmp "\",\"vals\":[" vals "]}"

static const struct {
    const char *filter;
    const char *tags;
    bool passes;
} rows[] = {
    {LEAF("eq", "x"), "k=x", true},
    {LEAF("eq", "x"), "k=y", false},
    {LEAF("eq", "x"), "j=x", false},
    {LEAF("eq", "x"), "", false},
    {LEAF("eq", ""), "k=", true},
    {LEAF("eq", ""), "", false},
    {LEAF("neq", "x"), "k=y", true},
    {LEAF("neq", "x"), "k=x", false},
    {LEAF("neq", "x"), "", true},
    {LIST("in", "\"a\",\"b\""), "k=b", true},
    {LIST("in", "\"a\",\"b\""), "k=c", false},
    {LIST("in", "\"a\",\"\""), "", false},
    {LIST("nin", "\"a\",\"b\""), "k=b", false},
    {LIST("nin", "\"a\",\"b\""), "k=c", true},
    {LIST("nin", "\"a\",\"b\""), "", true},
    {LEAF("ex", ""), "k=", true},
    {LEAF("ex", ""), "j=1", false},
    {LEAF("nex", ""), "k=", false},
    {LEAF("nex", ""), "j=1", true},
    {LEAF("sw", "ab"), "k=abc", true},
    {LEAF("sw", "ab"), "k=a", false},
    {LEAF("ew", "bc"), "k=abc", true},
    {LEAF("ew", "abc"), "k=bc", false},
    {LEAF("ct", "b"), "k=abc", true},
    {LEAF("ct", "ac"), "k=abc", false},
    {LEAF("ct", ""), "k=", true},
    {LEAF("sw", ""), "", false},
    /* numbers, not texts */
    {LEAF("lt", "10"), "k=9", true},
    {LEAF("lt", "10"), "k=10", false},
    {LEAF("lt", "10"), "k=10.0", false},
    {LEAF("lte", "10"), "k=10.0", true},
    {LEAF("lte", "10"), "k=10.01", false},
    {LEAF("gt", "10"), "k=9.99", false},
    {LEAF("gt", "10"), "k=10.000001", true},
    {LEAF("gt", "-2"), "k=-1.5", true},
    {LEAF("gt", "-1.5"), "k=-1.25", true},
    {LEAF("lt", "-1.25"), "k=-1.5", true},
    {LEAF("lt", "0"), "k=-0", false},
    {LEAF("gte", "0"), "k=-0.0", true},
    {LEAF("gte", "007"), "k=7", true},
    {LEAF("gt", "123456789012345678901234567890"), "k=123456789012345678901234567891", true},
    {LEAF("lt", "0.1"), "k=0.09999999999999999999999", true},
    {LEAF("gt", "1"), "k=two", false},
    {LEAF("lt", "1"), "k=", false},
    {LEAF("gt", "1"), "k=2e3", false},
    {LEAF("gt", "1"), "k=2.", false},
    {LEAF("gt", "1"), "k=+2", false},
    {LEAF("gt", "1"), "", false},
    /* combinations */
    {"{\"op\":\"and\",\"nodes\":[" LEAF("sw", "a") "," LEAF("ew", "c") "]}", "k=abc", true},
    {"{\"op\":\"and\",\"nodes\":[" LEAF("sw", "a") "," LEAF("ew", "c") "]}", "k=ab", false},
    {"{\"op\":\"or\",\"nodes\":[" LEAF("sw", "a") "," LEAF("ew", "c") "]}", "k=xc", true},
    {"{\"op\":\"or\",\"nodes\":[" LEAF("sw", "a") "," LEAF("ew", "c") "]}", "k=xx", false},
    {"{\"op\":\"not\",\"nodes\":[" LEAF("eq", "a") "]}", "k=a", false},
    {"{\"op\":\"not\",\"nodes\":[" LEAF("eq", "a") "]}", "", true},
    {"{\"op\":\"or\",\"nodes\":[{\"op\":\"and\",\"nodes\":[" LIST(
         "in", "\"a\",\"b\"") ",{\"op\":\"not\",\"nodes\":["
                              "{\"key\":\"draft\",\"cmp\":\"ex\"}]}]},{\"key\":\"p\",\"cmp\":\"gte\",\"val\":\"5\"}]}",
     "k=b p=1", true},
    {"{\"op\":\"or\",\"nodes\":[{\"op\":\"and\",\"nodes\":[" LIST(
         "in", "\"a\",\"b\"") ",{\"op\":\"not\",\"nodes\":["
                              "{\"key\":\"draft\",\"cmp\":\"ex\"}]}]},{\"key\":\"p\",\"cmp\":\"gte\",\"val\":\"5\"}]}",
     "k=b p=1 draft=", false},
    {"{\"op\":\"or\",\"nodes\":[{\"op\":\"and\",\"nodes\":[" LIST(
         "in", "\"a\",\"b\"") ",{\"op\":\"not\",\"nodes\":["
                              "{\"key\":\"draft\",\"cmp\":\"ex\"}]}]},{\"key\":\"p\",\"cmp\":\"gte\",\"val\":\"5\"}]}",
     "k=z p=5", true},
    /* as SDKs may write it */
    {"{\"op\":\"\",\"key\":\"\\u006b\",\"cmp\":\"eq\",\"val\":\"\\u0078\",\"vals\":[],\"nodes\":null,\"other\":1}",
     "k=x", true},
};

static void test_which_tags_pass(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        expect(rows[i].filter, rows[i].tags, rows[i].passes);
    }
}

static const char *const malformed[] = {
    "{}",
    "[]",
    "\"eq\"",
    "{\"op\":\"xor\",\"nodes\":[" LEAF("eq", "a") "]}",
    "{\"op\":1}",
    "{\"op\":\"and\"}",
    "{\"op\":\"and\",\"nodes\":[]}",
    "{\"op\":\"and\",\"nodes\":{}}",
    "{\"op\":\"and\",\"nodes\":[1]}",
    "{\"op\":\"and\",\"nodes\":[{}]}",
    "{\"op\":\"not\",\"nodes\":[" LEAF("eq", "a") "," LEAF("eq", "a") "]}",
    "{\"key\":\"k\"}",
    "{\"key\":\"k\",\"cmp\":\"like\",\"val\":\"x\"}",
    "{\"key\":\"k\",\"cmp\":\"EQ\",\"val\":\"x\"}",
    "{\"key\":\"\",\"cmp\":\"eq\",\"val\":\"x\"}",
    "{\"cmp\":\"eq\",\"val\":\"x\"}",
    "{\"key\":1,\"cmp\":\"eq\",\"val\":\"x\"}",
    "{\"key\":\"k\",\"cmp\":\"eq\",\"val\":1}",
    "{\"key\":\"k\",\"cmp\":\"eq\",\"val\":\"\\u0000\"}",
    "{\"key\":\"k\",\"cmp\":\"in\",\"val\":\"x\"}",
    "{\"key\":\"k\",\"cmp\":\"in\",\"vals\":[1]}",
    "{\"key\":\"k\",\"cmp\":\"in\",\"vals\":\"x\"}",
    "{\"key\":\"k\",\"cmp\":\"eq\",\"vals\":[\"x\"]}",
    LEAF("lt", "ten"),
    LEAF("gt", ""),
    LEAF("gte", "1e3"),
};

static void test_what_is_no_filter(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_null(take(malformed[i]));
    }
}

/* `n` times the text between two others. */
static bool is_taken(const char *before, const char *part, size_t n, const char *between, const char *after) {
    struct buffer json = BUFFER_EMPTY;
    buffer_append_text(&json, before);
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(&json, i == 0 ? "" : between);
        buffer_append_text(&json, part);
    }
    buffer_append_text(&json, after);
    tag_filter_t *filter = take_span(buffer_span(&json));
    bool taken = filter != NULL;
    tag_filter_release(&filter);
    buffer_finish(&json);
    return taken;
}

static void test_the_bounds(void **state) {
    (void) state;
    assert_true(is_taken("{\"op\":\"or\",\"nodes\":[", LEAF("eq", "a"), 63, ",", "]}"));
    assert_false(is_taken("{\"op\":\"or\",\"nodes\":[", LEAF("eq", "a"), 64, ",", "]}"));
    assert_false(is_taken("{\"op\":\"or\",\"nodes\":[", LEAF("eq", "a"), 5000, ",", "]}"));
    assert_true(is_taken("{\"key\":\"k\",\"cmp\":\"in\",\"vals\":[", "\"v\"", 64, ",", "]}"));
    assert_false(is_taken("{\"key\":\"k\",\"cmp\":\"in\",\"vals\":[", "\"v\"", 65, ",", "]}"));
    assert_true(is_taken("{\"key\":\"k\",\"cmp\":\"eq\",\"val\":\"", "v", 4000, "", "\"}"));
    assert_false(is_taken("{\"key\":\"k\",\"cmp\":\"eq\",\"val\":\"", "v", 4100, "", "\"}"));
    struct buffer deep = BUFFER_EMPTY;
    for (unsigned levels = 5; levels <= 6; levels++) {
        buffer_clear(&deep);
        for (unsigned i = 0; i < levels; i++) {
            buffer_append_text(&deep, "{\"op\":\"not\",\"nodes\":[");
        }
        buffer_append_text(&deep, LEAF("eq", "a"));
        for (unsigned i = 0; i < levels; i++) {
            buffer_append_text(&deep, "]}");
        }
        tag_filter_t *filter = take_span(buffer_span(&deep));
        assert_int_equal(filter != NULL, levels == 5);
        tag_filter_release(&filter);
    }
    buffer_finish(&deep);
}

static void test_equal_filters_are_one_and_judged_once(void **state) {
    (void) state;
    tag_filter_t *a = take("{\"key\":\"k\",\"cmp\":\"eq\",\"val\":\"x\"}");
    tag_filter_t *b = take(" { \"val\" : \"\\u0078\", \"cmp\":\"eq\" , \"key\":\"k\", \"op\":\"\" }");
    tag_filter_t *other = take("{\"key\":\"k\",\"cmp\":\"eq\",\"val\":\"y\"}");
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, other);
    assert_int_equal(tag_filter_set_count(set), 2);
    struct buffer bytes = BUFFER_EMPTY;
    struct span tags = read_tags(&bytes, "k=x");
    assert_true(tag_filter_passes_once(a, tags, 1));
    assert_true(tag_filter_passes_once(b, SPAN_EMPTY, 1)); /* the answer of before: it did not look */
    assert_false(tag_filter_passes_once(b, SPAN_EMPTY, 2));
    assert_false(tag_filter_passes_once(other, tags, 2));
    buffer_finish(&bytes);
    tag_filter_release(&a);
    assert_int_equal(tag_filter_set_count(set), 2);
    tag_filter_release(&b);
    assert_int_equal(tag_filter_set_count(set), 1);
    tag_filter_release(&other);
    tag_filter_release(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_which_tags_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_filter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_bounds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_equal_filters_are_one_and_judged_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
