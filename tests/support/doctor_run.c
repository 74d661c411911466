/* See doctor_run.h. */
#include "tests/support/doctor_run.h"

#include "base/check.h"
#include "tests/support/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PATIENCE_MS = 30000, ARGUMENTS_MAX = 24 };

void doctor_run(struct doctor_run *run, const char *program, const char *const *before, const char *const *settings,
                const char *const *arguments) {
    const char *argv[ARGUMENTS_MAX] = {program};
    size_t n = 1;
    for (size_t i = 0; before != NULL && before[i] != NULL; i++) {
        argv[n++] = before[i];
    }
    argv[n++] = "doctor";
    argv[n++] = "--json";
    for (size_t i = 0; arguments[i] != NULL; i++) {
        assert_true(n < ARGUMENTS_MAX - 1);
        argv[n++] = arguments[i];
    }
    process_t *process = process_start(argv, settings);
    check(process_wait_exit(process, PATIENCE_MS, &run->status), "doctor does not end");
    const char *output = process_output(process, PROCESS_STDOUT);
    run->text = BUFFER_EMPTY;
    buffer_append_text(&run->text, output);
    while (run->text.size > 0 && run->text.data[run->text.size - 1] == '\n') {
        run->text.size--;
    }
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    if (json_scan(buffer_span(&run->text), &limits, &run->report, NULL) != JSON_OK) {
        fail_msg("no JSON (exit code %d): %s%s", run->status, output, process_output(process, PROCESS_STDERR));
    }
    process_stop(&process);
}
void doctor_run_finish(struct doctor_run *run) {
    buffer_finish(&run->text);
}

bool doctor_run_text_is(struct json_value object, const char *name, const char *text) {
    struct buffer decoded = BUFFER_EMPTY;
    bool is = json_decode_string(json_member(object, name), &decoded) && span_equal_text(buffer_span(&decoded), text);
    buffer_finish(&decoded);
    return is;
}

unsigned doctor_run_count(const struct doctor_run *run, const char *id, const char *severity) {
    struct json_iterator findings = json_iterate(json_member(run->report, "findings"));
    struct json_value name;
    struct json_value finding;
    unsigned n = 0;
    while (json_next(&findings, &name, &finding)) {
        n += doctor_run_text_is(finding, "id", id) &&
             (severity == NULL || doctor_run_text_is(finding, "severity", severity));
    }
    return n;
}

void doctor_run_print_bad(const struct doctor_run *run) {
    struct json_iterator findings = json_iterate(json_member(run->report, "findings"));
    struct json_value name;
    struct json_value finding;
    while (json_next(&findings, &name, &finding)) {
        if (!doctor_run_text_is(finding, "severity", "fine")) {
            print_message("%.*s\n", (int) finding.text.size, (const char *) finding.text.data);
        }
    }
}

void doctor_run_expect(const struct doctor_run *run, const char *id, const char *severity) {
    if (doctor_run_count(run, id, severity) == 0) {
        doctor_run_print_bad(run);
        fail_msg("no %s of %s", severity, id);
    }
}

void doctor_run_expect_sound(const struct doctor_run *run) {
    static const char *const severities[] = {"fine", "note", "unknown", "warning", "error"};
    struct json_iterator findings = json_iterate(json_member(run->report, "findings"));
    struct json_value name;
    struct json_value finding;
    unsigned n = 0;
    while (json_next(&findings, &name, &finding)) {
        unsigned n_severities = 0;
        for (size_t i = 0; i < sizeof severities / sizeof *severities; i++) {
            n_severities += doctor_run_text_is(finding, "severity", severities[i]);
        }
        assert_int_equal(n_severities, 1);
        assert_false(doctor_run_text_is(finding, "where", ""));
        assert_false(doctor_run_text_is(finding, "what", ""));
        bool is_bad = doctor_run_text_is(finding, "severity", "error") ||
                      doctor_run_text_is(finding, "severity", "warning") ||
                      doctor_run_text_is(finding, "severity", "unknown");
        if (is_bad && doctor_run_text_is(finding, "mend", "")) {
            fail_msg("does not say how to mend it: %.*s", (int) finding.text.size, (const char *) finding.text.data);
        }
        n++;
    }
    assert_true(n > 0);
}
