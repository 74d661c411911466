/* status: one page on an installation (operator/status/status.h), once, or anew with every change.
 *
 *     cluster ─▶ status_gather ─▶ status_make ─▶ text | JSON          with -f SPEC also drift, and the warnings of
 * check
 *
 * -w looks every two seconds and draws when something but the time differs; it ends with --for, with a signal, or with
 * the output. A server that does not answer is a line of the page then, and asked again. Bounds: a page has --timeout,
 * and what one pod answers 2.5 seconds. */
#include "base/clock.h"
#include "operator/cli/command_live.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/cli/status_gather.h"
#include "operator/manifest/manifest_emit.h"
#include "operator/spec/spec_amount.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POD_TIMEOUT_MS = 2500, LOOK_EVERY_MS = 2000, WATCH_MS = 12 * 3600 * 1000 };

struct looking {
    struct command_call *call;
    struct command_cluster cluster;
    kube_client_t *pods;
    const manifests_t *wanted; /* of -f; NULL: none was given */
    const char *const *warnings;
    size_t n_warnings;
    const char *name; /* NULL: the only one */
    const char *namespace;
    arena_t *arena;         /* of the page that is shown */
    manifest_t *page;       /* NULL: none yet */
    struct buffer is_shown; /* its text without the first line */
};

/* ---- the spec ---- */

static void keep_warnings(struct looking *self, const struct command_specs *specs) {
    const char **lines = arena_alloc(self->call->arena, (specs->diagnostics.n + 1) * sizeof *lines);
    for (size_t i = 0; i < specs->diagnostics.n; i++) {
        const struct diagnostic *item = &specs->diagnostics.items[i];
        const struct diagnostic_meaning *meaning = diagnostic_meaning_of(item->code);
        lines[self->n_warnings++] =
            arena_format(self->call->arena, "CB%u %s: %s", meaning->number, item->path, item->what);
    }
    self->warnings = lines;
}

/* The one that NAME names, or the only one. */
static int choose_document(struct looking *self, const struct command_specs *specs) {
    const struct spec_metadata *chosen = NULL;
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec_metadata *metadata = &specs->documents.items[i]->spec.metadata;
        bool is_it = self->name == NULL ? specs->documents.n == 1 : strcmp(metadata->name, self->name) == 0;
        chosen = is_it ? metadata : chosen;
    }
    if (chosen == NULL) {
        return command_usage_error(self->call, "status",
                                   self->name == NULL ? "the specs are several: name one of them"
                                                      : "the specs do not have this NAME");
    }
    self->name = arena_text(self->call->arena, chosen->name);
    self->namespace = chosen->namespace[0] == '\0' ? NULL : arena_text(self->call->arena, chosen->namespace);
    return OPERATOR_DONE;
}

static int read_specs(struct looking *self) {
    struct command_call files = *self->call;
    struct command_specs specs;
    const struct render_options options = {.kubernetes_version = NULL};
    manifests_t *wanted = manifests_new(self->call->arena);
    files.n_arguments = 0; /* those are names */
    int exit_code = command_specs_read(&files, "status", &specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = command_specs_render(&specs, &files, &options, wanted);
    }
    if (exit_code == OPERATOR_DONE) {
        exit_code = choose_document(self, &specs);
        keep_warnings(self, &specs);
        self->wanted = wanted;
    } else {
        command_specs_tell(&specs, &files);
    }
    command_specs_finish(&specs);
    return exit_code;
}

/* Only the objects of the deployment that is shown. */
static manifests_t *wanted_here(const struct looking *self, arena_t *arena, const struct status_input *input) {
    manifests_t *here = manifests_new(arena);
    for (size_t i = 0; i < manifests_count(self->wanted); i++) {
        manifest_t *object = manifests_at(self->wanted, i);
        const manifest_t *labels = manifest_find(object, "metadata.labels");
        const char *instance =
            labels == NULL ? NULL : manifest_text_of(manifest_get(labels, "app.kubernetes.io/instance"));
        if (instance != NULL && strcmp(instance, input->name) == 0) {
            manifests_append(here, object);
        }
    }
    return here;
}

/* What may not be compared is not known, and no reason to show nothing. */
static void add_drift(struct looking *self, arena_t *arena, struct status_input *input) {
    struct command_call call = *self->call;
    struct buffer messages = BUFFER_EMPTY;
    struct live live;
    call.arena = arena;
    call.messages = &messages;
    int exit_code = command_live_compare(&call, "status", &self->cluster, wanted_here(self, arena, input), &live);
    if (exit_code == OPERATOR_DONE) {
        input->drifts = (int64_t) live.n_drifts;
        input->first_drift = live.n_drifts == 0 ? NULL
                             : live.drifts[0].path == NULL
                                 ? live.drifts[0].object
                                 : arena_format(arena, "%s %s", live.drifts[0].object, live.drifts[0].path);
    } else {
        struct status_unknown *unknowns = arena_alloc(arena, (input->n_unknowns + 1) * sizeof *unknowns);
        memcpy(unknowns, input->unknowns, input->n_unknowns * sizeof *unknowns);
        const char *why = arena_text_of(arena, buffer_span(&messages));
        unknowns[input->n_unknowns++] =
            (struct status_unknown){"drift", arena_text_of(arena, span_of(why, strcspn(why, "\n")))};
        input->unknowns = unknowns;
    }
    buffer_finish(&messages);
}

/* ---- a page ---- */

/* KUBE_OK: self->page is the new one. */
static enum kube_result look(struct looking *self, struct kube_answer *answer) {
    arena_t *arena = arena_new();
    struct status_input input = {.name = self->name,
                                 .namespace = self->namespace,
                                 .drifts = -1,
                                 .warnings = self->warnings,
                                 .n_warnings = self->n_warnings,
                                 .before = self->page};
    uint64_t deadline_ms = clock_monotonic_ms() + (uint64_t) self->call->timeout_ms;
    kube_client_set_deadline(self->cluster.client, deadline_ms);
    kube_client_set_deadline(self->pods, deadline_ms);
    enum kube_result result = status_gather(self->cluster.client, self->pods, arena, &input, answer);
    if (result != KUBE_OK) {
        answer->message = arena_text(self->call->arena, answer->message);
        arena_destroy(&arena);
        return result;
    }
    if (self->wanted != NULL) {
        add_drift(self, arena, &input);
    }
    input.now_ms = clock_wall_ms();
    manifest_t *page = status_make(arena, &input); /* borrows of the one before */
    arena_destroy(&self->arena);
    self->arena = arena;
    self->page = page;
    return KUBE_OK;
}

static void print(const struct looking *self, struct buffer *out) {
    if (strcmp(self->call->output, "json") == 0) {
        manifest_append_json(self->page, out);
    } else {
        status_print_text(self->page, self->call->has_color, out);
    }
}

static int verdict(const struct looking *self) {
    return self->page != NULL && status_is_healthy(self->page) ? OPERATOR_DONE : OPERATOR_DIFFERS;
}

/* ---- anew and anew ---- */

/* Without what differs each time: the line, or the member, with the time. */
static struct span without_time(const struct looking *self, const struct buffer *text) {
    struct span all = buffer_span(text);
    const char *mark = strcmp(self->call->output, "json") == 0 ? "\"time_ms\"" : "";
    const uint8_t *at = memmem(all.data, all.size, mark, strlen(mark));
    const uint8_t *end = at == NULL ? NULL : memchr(at, '\n', all.size - (size_t) (at - all.data));
    return end == NULL ? all : span_of(end, all.size - (size_t) (end - all.data));
}

/* False: nobody reads any more. */
static bool draw(struct looking *self, const struct buffer *text) {
    struct span rest = without_time(self, text);
    if (span_equal(rest, buffer_span(&self->is_shown))) {
        return true;
    }
    buffer_clear(&self->is_shown);
    buffer_append(&self->is_shown, rest.data, rest.size);
    if (isatty(STDOUT_FILENO) == 1) {
        fputs("\033[H\033[2J", stdout);
    }
    return fwrite(text->data, 1, text->size, stdout) == text->size && fflush(stdout) == 0;
}

static bool show(struct looking *self, enum kube_result result, const struct kube_answer *answer) {
    struct buffer text = BUFFER_EMPTY;
    if (result == KUBE_OK) {
        print(self, &text);
    } else {
        buffer_append_format(&text, "the cluster is not asked:\n%s\n", answer->message);
    }
    bool is_read = draw(self, &text);
    buffer_finish(&text);
    return is_read;
}

static int watch(struct looking *self, int64_t for_ms) {
    uint64_t end_ms = clock_monotonic_ms() + (uint64_t) for_ms;
    const struct timespec pause = {.tv_sec = LOOK_EVERY_MS / 1000};
    enum kube_result result;
    bool is_read;
    do {
        struct kube_answer answer;
        result = look(self, &answer);
        is_read = show(self, result, &answer);
    } while (is_read && clock_monotonic_ms() + LOOK_EVERY_MS < end_ms && nanosleep(&pause, NULL) == 0);
    return result == KUBE_OK ? verdict(self) : command_cluster_exit(result);
}

static int once(struct looking *self) {
    struct kube_answer answer;
    enum kube_result result = look(self, &answer);
    if (result != KUBE_OK) {
        return command_cluster_fail(self->call, "status", result, &answer);
    }
    print(self, self->call->out);
    return verdict(self);
}

/* ---- the command ---- */

static int act(struct looking *self) {
    const char *for_text = command_option(self->call, "for");
    int64_t for_ms = WATCH_MS;
    if (for_text != NULL && !spec_duration_parse(span_of_text(for_text), &for_ms)) {
        return command_usage_error(self->call, "status", "--for: %s is no duration, as 10m", for_text);
    }
    int exit_code = self->call->n_files > 0 ? read_specs(self) : OPERATOR_DONE;
    if (exit_code != OPERATOR_DONE) {
        return exit_code;
    }
    self->pods = kube_client_new(
        &(struct kube_client_options){.access = &self->cluster.access, .call_timeout_ms = POD_TIMEOUT_MS});
    exit_code = command_option(self->call, "watch") != NULL ? watch(self, for_ms) : once(self);
    kube_client_free(&self->pods);
    return exit_code;
}

static int run(struct command_call *call) {
    struct looking self = {.call = call, .is_shown = BUFFER_EMPTY};
    if (call->n_arguments > 1) {
        return command_usage_error(call, "status", "one deployment is shown: [NAME]");
    }
    self.name = call->n_arguments == 1 ? call->arguments[0] : NULL;
    int exit_code = command_cluster_open(call, "status", &self.cluster);
    if (exit_code == OPERATOR_DONE) {
        exit_code = act(&self);
    }
    command_cluster_close(&self.cluster);
    arena_destroy(&self.arena);
    buffer_finish(&self.is_shown);
    return exit_code;
}

static const struct command_option options[] = {
    {"watch", NULL, "-w: look again every 2 s, and draw anew what has changed"},
    {"for", "DURATION", "how long --watch goes on (12h)"},
    COMMAND_CLUSTER_OPTIONS,
    {NULL, NULL, NULL},
};

const struct command command_status = {
    .name = "status",
    .arguments = "[NAME]",
    .help =
        "show what runs, who is primary, who is behind, what runs out, and what is wrong first; -f SPEC: drift, too",
    .outputs = "text json",
    .options = options,
    .run = run,
};
