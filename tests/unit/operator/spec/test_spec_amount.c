/* Amounts: what is one, how much, and how it is written again. */
#include "operator/spec/spec_amount.h"
#include "operator/spec/spec_values.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const struct {
    enum spec_type type;
    const char *text;
    int64_t value; /* -1: none */
    const char *again;
} samples[] = {
    {SPEC_MEMORY, "0", 0, "0"},
    {SPEC_MEMORY, "4096", 4096, "4Ki"},
    {SPEC_MEMORY, "1.5Gi", 1610612736, "1536Mi"},
    {SPEC_MEMORY, "1G", 1000000000, "1000000000"},
    {SPEC_MEMORY, "128Mi", 134217728, "128Mi"},
    {SPEC_MEMORY, "2048Gi", INT64_C(2199023255552), "2Ti"},
    {SPEC_MEMORY, "1.0005Ki", -1, NULL},
    {SPEC_MEMORY, "0.1", -1, NULL},
    {SPEC_MEMORY, "1m", -1, NULL},
    {SPEC_MEMORY, "-1", -1, NULL},
    {SPEC_MEMORY, "01", -1, NULL},
    {SPEC_MEMORY, "1 Gi", -1, NULL},
    {SPEC_MEMORY, "", -1, NULL},
    {SPEC_MEMORY, "Gi", -1, NULL},
    {SPEC_MEMORY, "9999999999999999", -1, NULL},
    {SPEC_MEMORY, "999999999999999Ti", -1, NULL},
    {SPEC_CPU, "500m", 500, "500m"},
    {SPEC_CPU, "2", 2000, "2"},
    {SPEC_CPU, "1.5", 1500, "1500m"},
    {SPEC_CPU, "0.001", 1, "1m"},
    {SPEC_CPU, "0.5m", -1, NULL},
    {SPEC_CPU, "1.", -1, NULL},
    {SPEC_DURATION, "0", 0, "0"},
    {SPEC_DURATION, "500ms", 500, "500ms"},
    {SPEC_DURATION, "90s", 90000, "90s"},
    {SPEC_DURATION, "60s", 60000, "1m"},
    {SPEC_DURATION, "24h", 86400000, "1d"},
    {SPEC_DURATION, "1.5h", -1, NULL},
    {SPEC_DURATION, "60", -1, NULL},
    {SPEC_DURATION, "1w", -1, NULL},
};

static bool parse(enum spec_type type, struct span text, int64_t *ret_value) {
    return type == SPEC_MEMORY ? spec_memory_parse(text, ret_value)
           : type == SPEC_CPU  ? spec_cpu_parse(text, ret_value)
                               : spec_duration_parse(text, ret_value);
}

static void amounts_are_read_and_written(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        int64_t value = -1;
        bool is_good = parse(samples[i].type, span_of_text(samples[i].text), &value);
        if (is_good != (samples[i].value >= 0) || (is_good && value != samples[i].value)) {
            fail_msg("\"%s\" is %" PRId64, samples[i].text, value);
        }
        if (is_good) {
            struct buffer text = BUFFER_EMPTY;
            spec_append_amount(&text, samples[i].type, value);
            buffer_append_char(&text, '\0');
            assert_string_equal((char *) text.data, samples[i].again);
            buffer_finish(&text);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
