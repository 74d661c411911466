/* notes: what a person must do for specs, as Markdown. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/notes/notes.h"

static int print(const struct command_specs *specs, struct command_call *call) {
    for (size_t i = 0; i < specs->documents.n; i++) {
        buffer_append_text(call->out, i == 0 ? "" : "\n");
        notes_append(call->arena, &specs->documents.items[i]->spec, call->out);
    }
    return OPERATOR_DONE;
}

static int run(struct command_call *call) {
    struct command_specs specs;
    return command_specs_conclude(&specs, call, command_specs_read(call, "notes", &specs), print);
}

const struct command command_notes = {
    .name = "notes",
    .arguments = "SPEC…",
    .help = "tell what a person must do for specs: managed Redis, load balancer, nodes, capacity; as Markdown",
    .outputs = "markdown",
    .run = run,
};
