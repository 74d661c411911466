/* All rules, in the order of the sections; and what they tell with. */
#include "operator/checks/checks.h"

#include "operator/checks/check_rules.h"
#include "operator/spec/spec_lookup.h"
#include "operator/spec/spec_values.h"

#include <stdarg.h>
#include <stdio.h>

static check_rule_t *const *const lists[] = {
    check_rules_general, check_rules_gateway,  check_rules_edge,      check_rules_broker,
    check_rules_redis,   check_rules_external, check_rules_placement, check_rules_config,
};

void checks_run(const spec_document_t *document, struct diagnostics *diagnostics) {
    struct check check = {document, &document->spec, diagnostics};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        for (size_t k = 0; lists[i][k] != NULL; k++) {
            lists[i][k](&check);
        }
    }
}

static const char *format_text(const struct check *check, const char *format, va_list values) {
    char text[512];
    vsnprintf(text, sizeof text, format, values);
    return arena_text(check->document->arena, text);
}

static const char *shown(const struct check *check, const char *path) {
    bool is_metadata = strncmp(path, "metadata.", 9) == 0;
    return arena_format(check->document->arena, "%s%s", is_metadata ? "" : "spec.", path);
}

void check_tell(const struct check *check, enum diagnostic_code code, const char *path, const char *format, ...) {
    va_list values;
    va_start(values, format);
    diagnostics_add(check->diagnostics, code, spec_place(check->document, path), shown(check, path), "%s",
                    format_text(check, format, values));
    va_end(values);
}

void check_mend(const struct check *check, const char *format, ...) {
    va_list values;
    va_start(values, format);
    diagnostics_mend(check->diagnostics, "%s", format_text(check, format, values));
    va_end(values);
}

void check_other(const struct check *check, const char *path) {
    if (check_is_set(check, path)) {
        diagnostics_other(check->diagnostics, spec_place(check->document, path), "%s is set here", shown(check, path));
    } else {
        diagnostics_other(check->diagnostics, SOURCE_NOWHERE, "%s is not set; its value comes from the profile %s",
                          shown(check, path), spec_profile_name(check->spec->profile));
    }
}

bool check_is_set(const struct check *check, const char *path) {
    return spec_is_set(check->document, path);
}

const char *check_amount(const struct check *check, enum spec_type type, int64_t value) {
    struct buffer text = BUFFER_EMPTY;
    spec_append_amount(&text, type, value);
    const char *kept = arena_text_of(check->document->arena, buffer_span(&text));
    buffer_finish(&text);
    return kept;
}
