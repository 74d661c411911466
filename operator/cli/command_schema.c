/* schema: the JSON Schema of a spec, for editors, CI and the chart. */
#include "operator/cli/commands.h"
#include "operator/spec/spec_schema.h"

static int run(struct command_call *call) {
    if (call->n_arguments + call->n_files > 0) {
        return command_usage_error(call, "schema", "it takes no spec");
    }
    spec_schema_append(call->out);
    return OPERATOR_DONE;
}

const struct command command_schema = {
    .name = "schema",
    .arguments = "",
    .help = "print the JSON Schema of a spec: # yaml-language-server: $schema=… makes editors complete it",
    .outputs = "json",
    .run = run,
};
