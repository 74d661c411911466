/* What scalars without quotes are to other readers. */
#include "operator/yaml_plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    const char *text;
    enum yaml_plain kind;
} samples[] = {
    {"", YAML_PLAIN_NULL},
    {"~", YAML_PLAIN_NULL},
    {"Null", YAML_PLAIN_NULL},
    {"true", YAML_PLAIN_BOOL},
    {"FALSE", YAML_PLAIN_BOOL},
    {"yes", YAML_PLAIN_BOOL_1_1},
    {"No", YAML_PLAIN_BOOL_1_1},
    {"on", YAML_PLAIN_BOOL_1_1},
    {"y", YAML_PLAIN_BOOL_1_1},
    {"nope", YAML_PLAIN_TEXT},
    {"12", YAML_PLAIN_INT},
    {"-3", YAML_PLAIN_INT},
    {"+4", YAML_PLAIN_INT},
    {"0", YAML_PLAIN_INT},
    {"0755", YAML_PLAIN_OCTAL},
    {"0o17", YAML_PLAIN_OCTAL},
    {"08", YAML_PLAIN_OCTAL},
    {"0x1F", YAML_PLAIN_RADIX},
    {"0b101", YAML_PLAIN_RADIX},
    {"1_000", YAML_PLAIN_UNDERSCORED},
    {"_1", YAML_PLAIN_TEXT},
    {"12:30", YAML_PLAIN_BASE_60},
    {"190:20:30.15", YAML_PLAIN_BASE_60},
    {"12:60", YAML_PLAIN_TEXT},
    {"redis:6379", YAML_PLAIN_TEXT},
    {"10.0.0.1:80", YAML_PLAIN_TEXT},
    {"1.30", YAML_PLAIN_FLOAT},
    {".5", YAML_PLAIN_FLOAT},
    {"1.", YAML_PLAIN_FLOAT},
    {"1e5", YAML_PLAIN_FLOAT},
    {"12345e7", YAML_PLAIN_FLOAT},
    {"-.inf", YAML_PLAIN_FLOAT},
    {".NaN", YAML_PLAIN_FLOAT},
    {"1.2.3", YAML_PLAIN_TEXT},
    {"7.2.5-alpine", YAML_PLAIN_TEXT},
    {".", YAML_PLAIN_TEXT},
    {"-", YAML_PLAIN_TEXT},
    {"1m", YAML_PLAIN_TEXT},
    {"2026-01-31", YAML_PLAIN_DATE},
    {"2026-1-1T10:00:00Z", YAML_PLAIN_DATE},
    {"2026-01", YAML_PLAIN_TEXT},
    {"<<", YAML_PLAIN_SPECIAL},
    {"=", YAML_PLAIN_SPECIAL},
};

static void each_scalar_is_told_apart(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        enum yaml_plain kind = yaml_plain_of(span_of_text(samples[i].text));
        if (kind != samples[i].kind) {
            fail_msg("\"%s\" is %s, not %s", samples[i].text, yaml_plain_name(kind), yaml_plain_name(samples[i].kind));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_scalar_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
