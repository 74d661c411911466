/* All rules, in the order of the sections; and what they tell with. */
#include "operator/checks/checks.h"

#include "operator/checks/check_rules.h"
#include "operator/spec/spec_lookup.h"
#include "operator/spec/spec_values.h"

#include <stdarg.h>
#include <stdio.h>

static check_rule_t *const *const lists[] = {
    check_rules_general,  check_rules_gateway,   check_rules_edge,     check_rules_broker, check_rules_redis,
    check_rules_external, check_rules_placement, check_rules_workload, check_rules_config,
};

void checks_run(const spec_document_t *document, struct diagnostics *diagnostics) {
    bool was_skipped = false;
    struct check check = {document, &document->spec, diagnostics, diagnostics->n, &was_skipped};
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

static bool has_error(const struct check *check, const char *path) {
    return diagnostics_has_error_at(check->diagnostics, check->n_before, shown(check, path));
}

void check_tell(const struct check *check, enum diagnostic_code code, const char *path, const char *format, ...) {
    *check->was_skipped = has_error(check, path);
    if (*check->was_skipped) {
        return;
    }
    va_list values;
    va_start(values, format);
    diagnostics_add(check->diagnostics, code, spec_place(check->document, path), shown(check, path), "%s",
                    format_text(check, format, values));
    va_end(values);
}

void check_mend(const struct check *check, const char *format, ...) {
    if (*check->was_skipped) {
        return;
    }
    va_list values;
    va_start(values, format);
    diagnostics_mend(check->diagnostics, "%s", format_text(check, format, values));
    va_end(values);
}

/* Where the value of a field that is not set comes from. */
static const char *origin_of_default(const struct check *check, const char *path) {
    const struct spec_field *field = spec_find_field(span_of_text(path));
    int profile = check->spec->profile;
    arena_t *arena = check->document->arena;
    if (field != NULL && field->by_profile[profile] != NULL) {
        return arena_format(arena, "the profile %s says %s", spec_profile_name(profile), field->by_profile[profile]);
    }
    if (field != NULL && field->by_default != NULL) {
        return arena_format(arena, "its default is %s", field->by_default);
    }
    if (field != NULL && field->derived != NULL) {
        return arena_format(arena, "it follows from others: %s", field->derived);
    }
    return "its default counts";
}

void check_other(const struct check *check, const char *path) {
    if (*check->was_skipped) {
        return;
    }
    if (has_error(check, path)) { /* its value is not what was meant */
        diagnostics_drop_last(check->diagnostics);
        *check->was_skipped = true;
    } else if (check_is_set(check, path)) {
        diagnostics_other(check->diagnostics, spec_place(check->document, path), "%s is set here", shown(check, path));
    } else {
        diagnostics_other(check->diagnostics, SOURCE_NOWHERE, "%s is not set; %s", shown(check, path),
                          origin_of_default(check, path));
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
