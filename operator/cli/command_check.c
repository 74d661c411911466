/* check: all that is wrong with specs, as text, JSON or SARIF; with --drift what somebody else changed of them in a
 * cluster. */
#include "operator/cli/command_live.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/diagnostics/diagnostics_print.h"

#include <string.h>

static void print(const struct command_specs *specs, struct command_call *call) {
    if (strcmp(call->output, "json") == 0) {
        diagnostics_print_json(&specs->diagnostics, call->out);
    } else if (strcmp(call->output, "sarif") == 0) {
        diagnostics_print_sarif(&specs->diagnostics, call->out);
    } else {
        command_specs_append_text(specs, call, call->out);
    }
}

/* What is wrong with the specs goes to messages then: the output is the drift. */
static int find_drift(struct command_call *call, struct command_cluster *cluster) {
    const struct render_options options = {NULL, NULL};
    manifests_t *wanted = manifests_new(call->arena);
    struct command_specs specs;
    struct live live;
    int exit_code = command_specs_read(call, "check", &specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = command_specs_render(&specs, call, &options, wanted);
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    command_specs_finish(&specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = command_live_compare(call, "check", cluster, wanted, &live);
    }
    if (exit_code != OPERATOR_DONE) {
        return exit_code;
    }
    if (strcmp(call->output, "json") == 0) {
        live_drift_print_json(&live, call->out);
    } else {
        live_drift_print_text(&live, call->has_color, call->is_quiet, call->out);
    }
    return live.n_drifts > 0 ? OPERATOR_DIFFERS : OPERATOR_DONE;
}

static int run_drift(struct command_call *call) {
    struct command_cluster cluster;
    if (strcmp(call->output, "sarif") == 0) {
        return command_usage_error(call, "check", "--drift is text or json: a drift has no line in a spec");
    }
    int exit_code = command_cluster_open(call, "check", &cluster);
    if (exit_code == OPERATOR_DONE) {
        exit_code = find_drift(call, &cluster);
    }
    command_cluster_close(&cluster);
    return exit_code;
}

static int run(struct command_call *call) {
    if (command_option(call, "drift") != NULL) {
        return run_drift(call);
    }
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

static const struct command_option options[] = {
    {"drift", NULL, "what somebody else changed in the cluster of what was applied, who, and when"},
    COMMAND_CLUSTER_OPTIONS,
    {NULL, NULL, NULL},
};

const struct command command_check = {
    .name = "check",
    .arguments = "SPEC…",
    .help = "tell all that is wrong with specs, each with its place, cause and cure",
    .outputs = "text json sarif",
    .options = options,
    .run = run,
};
