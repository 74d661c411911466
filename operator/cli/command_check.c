/* check: all that is wrong with specs, as text, JSON or SARIF. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/diagnostics/diagnostics_print.h"

static void print(const struct command_specs *specs, struct command_call *call) {
    if (strcmp(call->output, "json") == 0) {
        diagnostics_print_json(&specs->diagnostics, call->out);
    } else if (strcmp(call->output, "sarif") == 0) {
        diagnostics_print_sarif(&specs->diagnostics, call->out);
    } else {
        command_specs_append_text(specs, call, call->out);
    }
}

static int run(struct command_call *call) {
    struct command_specs specs;
    int exit_code = command_specs_read(call, "check", &specs);
    if (exit_code == OPERATOR_DONE) { /* overrides only show on what is rendered */
        const struct render_options options = {NULL, NULL};
        exit_code = command_specs_render(&specs, call, &options, manifests_new(call->arena));
    }
    if (exit_code != OPERATOR_USAGE) {
        print(&specs, call);
        bool is_text = strcmp(call->output, "text") == 0;
        if (is_text && specs.diagnostics.n == 0 && !call->is_quiet) {
            buffer_append_format(call->out, "%zu deployment%s, nothing wrong\n", specs.documents.n,
                                 specs.documents.n == 1 ? "" : "s");
        }
    }
    command_specs_finish(&specs);
    return exit_code;
}

const struct command command_check = {
    .name = "check",
    .arguments = "SPEC…",
    .help = "tell all that is wrong with specs, each with its place, cause and cure",
    .outputs = "text json sarif",
    .run = run,
};
