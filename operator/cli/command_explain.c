/* explain: a field, a section, a code, or what counts in a spec; and the reference of docs/operator.md. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/diagnostics/diagnostic_codes.h"
#include "operator/spec/spec_effective.h"
#include "operator/spec/spec_explain.h"

#include <stdio.h>

static void explain_code(enum diagnostic_code code, struct buffer *out) {
    const struct diagnostic_meaning *meaning = diagnostic_meaning_of(code);
    buffer_append_format(out, "CB%u (%s): %s\n  why:  %s\n  cure: %s\n", meaning->number,
                         diagnostic_is_warning(meaning) ? "warning" : "error", meaning->title, meaning->why,
                         meaning->mend);
}

/* ---- what counts in a spec ---- */

static int explain_effective(struct command_call *call) {
    struct command_specs specs;
    int exit_code = command_specs_read(call, "explain", &specs);
    if (exit_code == OPERATOR_DONE) {
        for (size_t i = 0; i < specs.documents.n; i++) {
            if (strcmp(call->output, "json") == 0) {
                spec_effective_append_json(specs.documents.items[i], call->out);
            } else {
                buffer_append_text(call->out, i == 0 ? "" : "---\n");
                spec_effective_append_text(specs.documents.items[i], call->out);
            }
        }
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    command_specs_finish(&specs);
    return exit_code;
}

/* ---- the reference ---- */

static void append_codes(struct buffer *out) {
    buffer_append_text(out, "\n## Codes\n\n`callboard-operator explain CB2103` prints a row. CB1xxx are warnings.\n\n"
                            "| code | what | why | cure |\n| --- | --- | --- | --- |\n");
    for (unsigned number = 1000; number < 3000; number++) {
        enum diagnostic_code code;
        char text[8];
        snprintf(text, sizeof text, "CB%u", number);
        if (diagnostic_code_parse(span_of_text(text), &code)) {
            const struct diagnostic_meaning *meaning = diagnostic_meaning_of(code);
            buffer_append_format(out, "| CB%u | %s | %s | %s |\n", number, meaning->title, meaning->why, meaning->mend);
        }
    }
}

static int explain_all(struct command_call *call) {
    if (strcmp(call->output, "markdown") == 0) {
        buffer_append_text(call->out,
                           "# Fields and codes of callboard-operator\n\nPrinted by `callboard-operator explain -o "
                           "markdown`; [operator.md](operator.md) says what it is all for. `explain FIELD` "
                           "also says which lines\nof which manifests a field changes.\n\n## Fields\n");
        spec_explain_markdown(call->out);
        append_codes(call->out);
    } else {
        spec_explain_section(SPAN_EMPTY, call->out);
    }
    return OPERATOR_DONE;
}

/* ---- one thing ---- */

static int explain_one(struct command_call *call, struct span what) {
    enum diagnostic_code code;
    const struct spec_field *field = spec_find_field(what);
    if (diagnostic_code_parse(what, &code)) {
        explain_code(code, call->out);
        return OPERATOR_DONE;
    }
    if (field != NULL) {
        spec_explain_field(field, what, call->out);
        return OPERATOR_DONE;
    }
    if (spec_explain_section(what, call->out)) {
        return OPERATOR_DONE;
    }
    struct span near = spec_explain_nearest(what);
    return command_usage_error(call, "explain", "there is no field or code %.*s%s%.*s%s", (int) what.size,
                               (const char *) what.data, near.size > 0 ? "; did you mean " : "", (int) near.size,
                               near.size > 0 ? (const char *) near.data : "", near.size > 0 ? "?" : "");
}

static int run(struct command_call *call) {
    if (command_option(call, "effective") != NULL) {
        return explain_effective(call);
    }
    if (call->n_arguments == 0) {
        return explain_all(call);
    }
    for (size_t i = 0; i < call->n_arguments; i++) {
        buffer_append_text(call->out, i == 0 ? "" : "\n");
        int exit_code = explain_one(call, span_of_text(call->arguments[i]));
        if (exit_code != OPERATOR_DONE) {
            return exit_code;
        }
    }
    return OPERATOR_DONE;
}

static const struct command_option options[] = {
    {"effective", NULL, "of specs: every field with the value that counts, and who gave it"},
    {NULL, NULL, NULL},
};

const struct command command_explain = {
    .name = "explain",
    .arguments = "[FIELD|CODE]…",
    .help = "tell what a field is, what a code means, or with --effective SPEC what counts",
    .outputs = "text json markdown",
    .options = options,
    .run = run,
};
