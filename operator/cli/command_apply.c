/* apply: specs into a cluster. Checked first; then the cluster is asked what it has and what it would make of each
 * object; only when nothing speaks against it anything is sent, and with --wait it ends when the pods are ready.
 *
 * Exit codes: 3 the spec, 4 data at risk or a field that cannot be changed (--accept), 5 the cluster denied or did not
 * answer, 6 the time was over. Several specs are judged all together before the first object is sent. */
#include "base/clock.h"
#include "operator/apply/apply.h"
#include "operator/cli/command_cluster.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/render/render_document.h"

#include <string.h>

enum { WAIT_TIMEOUT_MS = 10 * 60 * 1000 };

struct applying {
    struct command_call *call;
    struct command_cluster cluster;
    struct command_specs specs;
    struct apply_options options;
    struct apply_plan *plans; /* one a document */
    const char **waited;
    size_t n;
    bool waits;
    uint64_t deadline_ms;
};

/* ---- options ---- */

static int usage(struct command_call *call, const char *text) {
    return command_usage_error(call, "apply", "%s", text);
}

static int take_options(struct applying *self) {
    struct command_call *call = self->call;
    const char *dry_run = command_option(call, "dry-run");
    const char **accepted = arena_alloc(call->arena, (call->n_options + 1) * sizeof *accepted);
    self->options = (struct apply_options){
        .is_dry_run = dry_run != NULL && strcmp(dry_run, "none") != 0,
        .prunes = command_option(call, "prune") != NULL,
        .forces = command_option(call, "force-conflicts") != NULL,
        .accepted = accepted,
        .tell = command_cluster_tell,
        .context = call,
    };
    for (size_t i = 0; i < call->n_options; i++) {
        if (strcmp(call->options[i].name, "accept") == 0) {
            accepted[self->options.n_accepted++] = call->options[i].value;
        }
    }
    self->waits = command_option(call, "wait") != NULL && !self->options.is_dry_run;
    if (dry_run != NULL && strcmp(dry_run, "server") != 0 && strcmp(dry_run, "none") != 0) {
        return usage(call, "--dry-run is server or none; what would be sent without asking a cluster, render prints");
    }
    if (self->waits && !call->has_timeout) {
        call->timeout_ms = WAIT_TIMEOUT_MS;
    }
    return OPERATOR_DONE;
}

/* ---- what is to be applied ---- */

static int make_plans(struct applying *self) {
    const struct render_options options = {.kubernetes_version = NULL};
    struct command_specs *specs = &self->specs;
    arena_t *arena = self->call->arena;
    manifests_t **rendered = arena_alloc(arena, (specs->documents.n + 1) * sizeof *rendered);
    bool is_good = true;
    for (size_t i = 0; i < specs->documents.n; i++) {
        rendered[i] = manifests_new(arena);
        is_good = render_document(specs->documents.items[i], &options, &specs->diagnostics, rendered[i]) && is_good;
        manifests_sort(rendered[i]);
    }
    if (!is_good) {
        return OPERATOR_INVALID;
    }
    self->n = specs->documents.n;
    self->plans = arena_alloc(arena, (self->n + 1) * sizeof *self->plans);
    self->waited = arena_alloc(arena, (self->n + 1) * sizeof *self->waited);
    for (size_t i = 0; i < self->n; i++) {
        self->plans[i] = (struct apply_plan){
            .arena = arena,
            .client = self->cluster.client,
            .options = self->options,
            .namespace = specs->documents.items[i]->spec.metadata.namespace,
            .instance = specs->documents.items[i]->spec.metadata.name,
        };
        apply_plan_make(&self->plans[i], rendered[i]);
    }
    return OPERATOR_DONE;
}

/* ---- telling ---- */

static int tell_problems(struct applying *self) {
    int exit_code = OPERATOR_DONE;
    for (size_t i = 0; i < self->n; i++) {
        const struct apply_plan *plan = &self->plans[i];
        for (size_t k = 0; k < plan->n_problems; k++) {
            int one = command_cluster_exit(plan->problems[k].result);
            buffer_append_format(self->call->messages, "%s apply: %s\n", self->call->program, plan->problems[k].text);
            exit_code = exit_code == OPERATOR_TIMEOUT ? exit_code : one;
        }
    }
    return exit_code;
}

/* Which pods roll, and what is at risk; true: a risk was not accepted. */
static bool tell_effects(struct applying *self) {
    bool is_refused = false;
    for (size_t i = 0; i < self->n; i++) {
        diff_print_effects(&self->plans[i].diff, self->call->has_color, self->call->is_quiet, self->call->messages);
        is_refused = is_refused || apply_plan_is_refused(&self->plans[i]);
    }
    return is_refused;
}

static void print(struct applying *self) {
    struct command_call *call = self->call;
    if (strcmp(call->output, "json") != 0) {
        for (size_t i = 0; i < self->n; i++) {
            apply_print_text(&self->plans[i], call->has_color, call->is_verbose, call->out);
        }
        return;
    }
    manifest_t *top = manifest_map(call->arena);
    manifest_t *list = manifest_add_list(top, "deployments");
    for (size_t i = 0; i < self->n; i++) {
        manifest_append(list, apply_print_tree(&self->plans[i], self->waited[i]));
    }
    manifest_append_json(top, call->out);
}

/* What was done is seen before the waiting begins. */
static void print_early(struct applying *self) {
    if (strcmp(self->call->output, "json") != 0) {
        print(self);
        command_flush(self->call);
    }
}

static void print_late(struct applying *self, bool is_printed) {
    if (!is_printed || strcmp(self->call->output, "json") == 0) {
        print(self);
    }
}

/* ---- doing ---- */

static int send(struct applying *self) {
    for (size_t i = 0; i < self->n; i++) {
        if (apply_plan_run(&self->plans[i]) != KUBE_OK) {
            return tell_problems(self); /* there were none before */
        }
    }
    return OPERATOR_DONE;
}

/* The most frequent reason of a first run, and the one that another command mends. */
static void tell_secrets(struct applying *self, const char *text) {
    if (strstr(text, "secret \"") != NULL && strstr(text, "not found") != NULL) {
        buffer_append_format(self->call->messages,
                             "%s secret SPEC… | kubectl apply -f - makes the Secrets that the pods need, once\n",
                             self->call->program);
    }
}

static int wait_for(struct applying *self) {
    int exit_code = OPERATOR_DONE;
    for (size_t i = 0; i < self->n; i++) {
        const char *text = "";
        enum kube_result result = apply_wait(&self->plans[i], self->deadline_ms, &text);
        self->waited[i] = result == KUBE_OK ? "done" : text;
        if (result != KUBE_OK) {
            buffer_append_format(self->call->messages, "%s apply: %s\n%s\n", self->call->program,
                                 result == KUBE_TIMED_OUT ? "the time of --timeout is over, and these are not ready:"
                                                          : "waiting ended:",
                                 text);
            exit_code = command_cluster_exit(result);
            tell_secrets(self, text);
        }
    }
    return exit_code;
}

static int apply(struct applying *self) {
    int exit_code = make_plans(self);
    if (exit_code != OPERATOR_DONE) {
        return exit_code;
    }
    exit_code = tell_problems(self);
    bool is_refused = tell_effects(self);
    if (exit_code != OPERATOR_DONE || is_refused || self->options.is_dry_run) {
        if (self->options.is_dry_run) {
            print(self);
        }
        return exit_code != OPERATOR_DONE ? exit_code : is_refused ? OPERATOR_UNSAFE : OPERATOR_DONE;
    }
    exit_code = send(self);
    bool waits = exit_code == OPERATOR_DONE && self->waits;
    if (waits) {
        print_early(self);
        exit_code = wait_for(self);
    }
    print_late(self, waits);
    return exit_code;
}

static int run(struct command_call *call) {
    struct applying self = {.call = call};
    int exit_code = take_options(&self);
    exit_code = exit_code == OPERATOR_DONE ? command_cluster_open(call, "apply", &self.cluster) : exit_code;
    if (exit_code != OPERATOR_DONE) {
        return exit_code;
    }
    self.deadline_ms = clock_monotonic_ms() + (uint64_t) call->timeout_ms;
    exit_code = command_specs_read(call, "apply", &self.specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = apply(&self);
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&self.specs, call);
    }
    command_specs_finish(&self.specs);
    command_cluster_close(&self.cluster);
    return exit_code;
}

static const struct command_option options[] = {
    {"dry-run", "server|none", "server: ask the cluster what it would make of it, and change nothing"},
    {"prune", NULL, "delete what is of this deployment and no longer rendered; never claims and Secrets"},
    {"wait", NULL, "until the pods are the new ones and ready; --timeout is 10m then, if not said"},
    {"force-conflicts", NULL, "take fields that another manager owns, and objects that are another's"},
    {"accept", "CODE[,CODE…]", "what may be at risk, as CB3005; may be repeated"},
    COMMAND_CLUSTER_OPTIONS,
    {NULL, NULL, NULL},
};

const struct command command_apply = {
    .name = "apply",
    .arguments = "SPEC…",
    .help = "put specs into a cluster: ask first what changes and what is at risk, then server-side apply",
    .outputs = "text json",
    .options = options,
    .run = run,
};
