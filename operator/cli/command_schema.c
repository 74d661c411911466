/* schema: the JSON Schema of a spec, for editors and CI; or that of the chart's values, which the chart has as its
 * values.schema.json. */
#include "operator/chart/chart_values.h"
#include "operator/cli/commands.h"
#include "operator/spec/spec_schema.h"

static int run(struct command_call *call) {
    if (call->n_arguments + call->n_files > 0) {
        return command_usage_error(call, "schema", "it takes no spec");
    }
    if (command_option(call, "values") != NULL) {
        spec_schema_append_values(&chart_test_fields, call->out);
    } else {
        spec_schema_append(call->out);
    }
    return OPERATOR_DONE;
}

static const struct command_option options[] = {
    {"values", NULL, "of the Helm chart's values in place of a spec's"},
    {NULL, NULL, NULL},
};

const struct command command_schema = {
    .name = "schema",
    .arguments = "",
    .help = "print the JSON Schema of a spec: # yaml-language-server: $schema=… makes editors complete it",
    .outputs = "json",
    .options = options,
    .run = run,
};
