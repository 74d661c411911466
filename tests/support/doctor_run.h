/* One run of callboardctl doctor --json, and what it found. Failures end the cmocka test. Thread: the test's. */
#ifndef CALLBOARD_TESTS_DOCTOR_RUN_H
#define CALLBOARD_TESTS_DOCTOR_RUN_H

#include "base/json_scan.h"

struct doctor_run {
    int status; /* exit code */
    struct buffer text;
    struct json_value report;
};

/* program: callboardctl. before: its options before the command, or NULL; settings: NAME=value for the environment, or
 * NULL; arguments: behind "doctor --json". All NULL-terminated. */
void doctor_run(struct doctor_run *run, const char *program, const char *const *before, const char *const *settings,
                const char *const *arguments);
void doctor_run_finish(struct doctor_run *run);

/* How many findings of this id have this severity (NULL: any). */
unsigned doctor_run_count(const struct doctor_run *run, const char *id, const char *severity);
/* At least one. */
void doctor_run_expect(const struct doctor_run *run, const char *id, const char *severity);
/* Every finding is whole, and what is not fine says how to mend it. */
void doctor_run_expect_sound(const struct doctor_run *run);
/* Prints those that are not fine. */
void doctor_run_print_bad(const struct doctor_run *run);
bool doctor_run_text_is(struct json_value object, const char *name, const char *text);

#endif
