/* plan: from a workload to what carries it. The workload is spec.workload, or flags, which are settings of those
 * fields: so they are read, bounded and told like --set. Without a SPEC an empty one of --profile is planned for. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/plan/sizing.h"
#include "operator/plan/sizing_print.h"
#include "operator/spec/spec_table.h"

static const struct command_flag flags[] = {
    {"connections", "workload.gateway.connections"},
    {"connect-rate", "workload.gateway.connectRate"},
    {"rate", "workload.publishRate"},
    {"size", "workload.messageBytes"},
    {"fanout", "workload.fanout"},
    {"history", "workload.history.size"},
    {"history-ttl", "workload.history.ttl"},
    {"channels", "workload.channels"},
    {"profile", "profile"},
};

static int read_specs(struct command_call *call, struct command_specs *ret_specs) {
    command_specs_take_flags(call, flags, sizeof flags / sizeof flags[0]);
    if (call->n_files + call->n_arguments > 0) {
        return command_specs_read(call, "plan", ret_specs);
    }
    return command_specs_read_text(call, "plan",
                                   "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: callboard}\n"
                                   "spec: {profile: ha}\n",
                                   ret_specs);
}

static bool has_workload(const struct spec *spec) {
    const struct spec_workload *workload = &spec->workload;
    return workload->connections > 0 || workload->connect_rate > 0 || workload->publish_rate > 0 ||
           workload->channels > 0;
}

static void print_text(const struct command_specs *specs, struct command_call *call) {
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec *spec = &specs->documents.items[i]->spec;
        buffer_append_text(call->out, i == 0 ? "" : "\n");
        sizing_print_text(call->arena, spec, sizing_of(call->arena, spec), call->is_quiet, call->out);
    }
    if (!call->is_quiet) {
        sizing_print_constants_text(call->arena, call->out);
    }
}

static void print_json(const struct command_specs *specs, struct command_call *call) {
    buffer_append_text(call->out, "{\"deployments\": [\n  ");
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec *spec = &specs->documents.items[i]->spec;
        buffer_append_text(call->out, i == 0 ? "" : ",\n  ");
        sizing_print_json(spec, sizing_of(call->arena, spec), call->out);
    }
    buffer_append_text(call->out, "],\n  \"constants\": ");
    sizing_print_constants_json(call->out);
    buffer_append_text(call->out, "}\n");
}

static void print_markdown(const struct command_specs *specs, struct command_call *call) {
    buffer_append_text(
        call->out,
        "# Capacity\n\n"
        "Printed by `callboard-operator plan -o markdown`, from the tables that `plan`, `notes` and `check` calculate "
        "with. A figure is what a workload needs, beside\n"
        "what the spec has; what the workload does not say is not guessed, and has no row. Constants are of one "
        "machine: "
        "measure on yours (`callboardctl bench`)\nbefore the margins are given away.\n");
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec *spec = &specs->documents.items[i]->spec;
        buffer_append_format(call->out, "\n## %s, profile %s\n\n", spec->metadata.name,
                             spec_profile_name(spec->profile));
        sizing_print_markdown_figures(call->arena, spec, sizing_of(call->arena, spec), call->out);
    }
    buffer_append_text(call->out, "\n## Formulas, margins, constants\n");
    sizing_print_markdown_tables(call->arena, call->out);
}

static int print(const struct command_specs *specs, struct command_call *call) {
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec *spec = &specs->documents.items[i]->spec;
        if (!has_workload(spec)) {
            return command_usage_error(call, "plan",
                                       "%s has no workload: set spec.workload, or --connections and --rate",
                                       spec->metadata.name);
        }
    }
    if (strcmp(call->output, "json") == 0) {
        print_json(specs, call);
    } else if (strcmp(call->output, "markdown") == 0) {
        print_markdown(specs, call);
    } else {
        print_text(specs, call);
    }
    return OPERATOR_DONE;
}

static int run(struct command_call *call) {
    struct command_specs specs;
    return command_specs_conclude(&specs, call, read_specs(call, &specs), print);
}

static const struct command_option options[] = {
    {"connections", "N", "at the busiest time; this and those below in place of spec.workload"},
    {"connect-rate", "N", "new connections a second"},
    {"rate", "N", "publications a second"},
    {"size", "SIZE", "of a publication, as 200 or 1Ki"},
    {"fanout", "N", "subscribers that get one, on average"},
    {"history", "N", "publications that a channel keeps"},
    {"history-ttl", "DURATION", "for how long, as 24h"},
    {"channels", "N", "in use at a time"},
    {"profile", "PROFILE", "of the spec; without a SPEC: ha"},
    {NULL, NULL, NULL},
};

const struct command command_plan = {
    .name = "plan",
    .arguments = "[SPEC…]",
    .help = "tell what a workload needs: pods, memory, disk, bandwidth, each with its formula and margin",
    .outputs = "text json markdown",
    .options = options,
    .run = run,
};
