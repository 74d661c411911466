/* values: a spec as the values of helm/callboard. The chart installs from them what `render` prints of the spec. */
#include "operator/chart/chart_values.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/manifest/manifest_emit.h"

static int print(const struct command_specs *specs, struct command_call *call) {
    if (specs->documents.n != 1) {
        return command_usage_error(
            call, "values", "a release of the chart is one deployment, and here are %zu: give one", specs->documents.n);
    }
    const spec_document_t *document = specs->documents.items[0];
    if (document->spec.overrides.n > 0) {
        buffer_append_format(call->messages,
                             "%s values: %s: a chart cannot apply spec.overrides: leave them out, and "
                             "patch what Helm renders (helm install --post-renderer)\n",
                             call->program, document->spec.metadata.name);
        return OPERATOR_UNSAFE;
    }
    manifest_t *values = chart_values_of(document);
    if (strcmp(call->output, "json") == 0) {
        manifest_append_json(values, call->out);
    } else {
        manifest_append_yaml(values, call->out);
    }
    return OPERATOR_DONE;
}

static int run(struct command_call *call) {
    struct command_specs specs;
    return command_specs_conclude(&specs, call, command_specs_read(call, "values", &specs), print);
}

const struct command command_values = {
    .name = "values",
    .arguments = "SPEC",
    .help = "print the values with which the Helm chart installs what render prints of this spec",
    .outputs = "yaml json",
    .run = run,
};
