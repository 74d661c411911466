/* notes: what a person must do for specs, as Markdown. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/notes/notes.h"

static int run(struct command_call *call) {
    struct command_specs specs;
    int exit_code = command_specs_read(call, "notes", &specs);
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    if (exit_code == OPERATOR_DONE) {
        for (size_t i = 0; i < specs.documents.n; i++) {
            buffer_append_text(call->out, i == 0 ? "" : "\n");
            notes_append(call->arena, &specs.documents.items[i]->spec, call->out);
        }
    }
    command_specs_finish(&specs);
    return exit_code;
}

const struct command command_notes = {
    .name = "notes",
    .arguments = "SPEC…",
    .help = "tell what a person must do for specs: managed Redis, load balancer, nodes, capacity; as Markdown",
    .outputs = "markdown",
    .run = run,
};
