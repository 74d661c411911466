/* Lists of findings: bounded, counted, the worst, JSON that parses whatever the texts are. */
#include "base/findings.h"
#include "base/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void an_empty_list_is_fine(void **state) {
    (void) state;
    struct findings findings = FINDINGS_EMPTY;
    struct buffer json = BUFFER_EMPTY;
    assert_int_equal(findings_worst(&findings), FINDING_FINE);
    findings_append_json(&findings, FINDING_FINE, &json);
    assert_true(span_equal_text(buffer_span(&json), "[]"));
    buffer_finish(&json);
    findings_finish(&findings);
}

static void findings_are_counted_found_and_the_worst_is_known(void **state) {
    (void) state;
    struct findings findings = FINDINGS_EMPTY;
    findings_add(&findings, "a", FINDING_FINE, "here", "%d is well", 1);
    findings_add(&findings, "b", FINDING_WARNING, "here", "%d is not", 2);
    findings_mend(&findings, "set it to %d", 3);
    findings_add(&findings, "b", FINDING_UNKNOWN, "there", "nobody knows");
    assert_int_equal(findings_count(&findings, FINDING_WARNING), 1);
    assert_int_equal(findings_count(&findings, FINDING_ERROR), 0);
    assert_int_equal(findings_worst(&findings), FINDING_WARNING);
    assert_string_equal(findings_find(&findings, "b", NULL)->mend, "set it to 3");
    assert_string_equal(findings_find(&findings, "b", "there")->mend, "");
    assert_null(findings_find(&findings, "a", "there"));
    for (unsigned i = 0; i < FINDING_SEVERITIES; i++) {
        assert_int_equal(finding_severity_parse(finding_severity_text((enum finding_severity) i)), i);
    }
    assert_int_equal(finding_severity_parse("dire"), FINDING_UNKNOWN);
    findings_finish(&findings);
    assert_int_equal(findings.n, 0);
}

static void json_leaves_out_what_is_below_and_parses_whatever_the_texts_are(void **state) {
    (void) state;
    struct findings findings = FINDINGS_EMPTY;
    struct buffer json = BUFFER_EMPTY;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value list;
    struct json_value name;
    struct json_value value;
    findings_add(&findings, "a", FINDING_FINE, "here", "well");
    findings_add(&findings, "b", FINDING_NOTE, "h\"\\", "\xff\x01 \xe2\x82 \xe2\x82\xac%s", "\n");
    findings_append_json(&findings, FINDING_NOTE, &json);
    assert_int_equal(json_scan(buffer_span(&json), &limits, &list, NULL), JSON_OK);
    struct json_iterator iterator = json_iterate(list);
    assert_true(json_next(&iterator, &name, &value));
    struct buffer text = BUFFER_EMPTY;
    assert_true(json_decode_string(json_member(value, "what"), &text));
    assert_true(span_equal_text(buffer_span(&text), "?? ?? \xe2\x82\xac?"));
    assert_false(json_next(&iterator, &name, &value));
    buffer_finish(&text);
    buffer_finish(&json);
    findings_finish(&findings);
}

static void over_the_bound_findings_are_counted_and_no_other_gets_their_mend(void **state) {
    (void) state;
    struct findings findings = FINDINGS_EMPTY;
    for (unsigned i = 0; i < FINDINGS_MAX + 2; i++) {
        findings_add(&findings, "a", FINDING_NOTE, "here", "%u", i);
    }
    findings_mend(&findings, "not yours");
    assert_int_equal(findings.n, FINDINGS_MAX);
    assert_int_equal(findings.n_dropped, 2);
    assert_string_equal(findings.items[FINDINGS_MAX - 1].mend, "");
    findings_finish(&findings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_list_is_fine),
        cmocka_unit_test(findings_are_counted_found_and_the_worst_is_known),
        cmocka_unit_test(json_leaves_out_what_is_below_and_parses_whatever_the_texts_are),
        cmocka_unit_test(over_the_bound_findings_are_counted_and_no_other_gets_their_mend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
