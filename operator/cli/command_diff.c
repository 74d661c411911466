/* diff: what changes from one deployment to another. Each side is specs, which are rendered, or objects as `render`
 * prints them: a file, or a folder of files; also as `kubectl get -o yaml` prints them, without what the server adds. A
 * side that begins with a spec is taken for specs. */
#include "operator/cli/command_live.h"
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/diff/diff.h"
#include "operator/live/live_compare.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A side as objects, while it is read. */
struct side {
    struct command_call *call;
    const char *name; /* as it was given */
    manifests_t *objects;
    bool has_settings; /* --set is of the new side: diff SPEC SPEC --set … shows what a setting does */
    bool has_spec;
    bool is_bad; /* was told */
    struct diff_override *overrides;
    size_t n_overrides;
};

static void refuse(struct side *self, const char *file, const char *why) {
    buffer_append_format(self->call->messages, "callboard-operator diff: %s: %s\n", file, why);
    self->is_bad = true;
}

/* ---- objects ---- */

/* A List has them as items; what kustomize reads beside them is none. */
static void add_object(struct side *self, const char *file, manifest_t *object) {
    const char *kind = manifest_text_of(manifest_get(object, "kind"));
    const manifest_t *items = manifest_get(object, "items");
    if (kind == NULL) {
        refuse(self, file, "no Kubernetes object and no spec: it has no kind");
    } else if (strcmp(kind, "Callboard") == 0) {
        self->has_spec = true;
    } else if (strcmp(kind, "List") == 0 && items != NULL && manifest_kind(items) == MANIFEST_LIST) {
        for (size_t i = 0; i < manifest_count(items); i++) {
            add_object(self, file, manifest_at(items, i));
        }
    } else if (manifest_text_of(manifest_find(object, "metadata.name")) != NULL) {
        manifests_append(self->objects, object);
    } else if (strcmp(kind, "Kustomization") != 0) {
        refuse(self, file, "an object without metadata.name");
    }
}

struct file {
    struct side *side;
    const char *name;
};

static void tell_yaml(void *context, const struct config_yaml_error *error) {
    const struct file *file = context;
    refuse(file->side, arena_format(file->side->call->arena, "%s:%u:%u", file->name, error->line, error->column),
           error->text);
}

static void add_documents(struct side *self, const char *name, struct span text) {
    struct file file = {.side = self, .name = name};
    struct config_yaml_errors errors = {.on_error = tell_yaml, .context = &file};
    struct config_documents documents;
    if (!config_yaml_read_documents(text, &errors, &documents)) {
        return;
    }
    for (size_t i = 0; i < documents.n; i++) {
        add_object(self, name, manifest_of_yaml(self->call->arena, documents.roots[i]));
    }
    config_documents_finish(&documents);
}

static void add_file(struct side *self, const char *name) {
    struct buffer text;
    buffer_init(&text, CONFIG_YAML_BYTES_MAX + 1);
    if (command_read_file(name, &text)) {
        add_documents(self, name, buffer_span(&text));
    } else {
        refuse(self, name, strerror(errno));
    }
    buffer_finish(&text);
}

/* ---- files of a folder ---- */

static int is_read(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return entry->d_name[0] != '.' && dot != NULL &&
           (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0 || strcmp(dot, ".json") == 0);
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_path(struct side *self, const char *path) {
    struct stat status;
    if (strcmp(path, "-") == 0 || stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        add_file(self, path);
        return;
    }
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_read, by_bytes);
    if (n <= 0) {
        refuse(self, path, n < 0 ? strerror(errno) : "no *.yaml, *.yml or *.json in this folder");
    }
    for (int i = 0; i < n; i++) {
        add_file(self, arena_format(self->call->arena, "%s/%s", path, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
}

/* ---- overrides ---- */

static const char *member_text(const config_node_t *map, const char *name) {
    for (size_t i = 0; i < map->n_children; i++) {
        if (strcmp(map->children[i]->name, name) == 0 && map->children[i]->text != NULL) {
            return map->children[i]->text;
        }
    }
    return "";
}

static void add_override(struct side *self, const struct spec *spec, const struct spec_override *override) {
    arena_t *arena = self->call->arena;
    const char *namespace = spec->metadata.namespace;
    for (size_t i = 0; override->patch != NULL && i < override->patch->n_children; i++) {
        if (strcmp(member_text(override->patch->children[i], "op"), "test") == 0) {
            continue; /* changes nothing */
        }
        const struct diff_override item = {
            .object = arena_format(arena, "%s%s%s/%s", namespace, namespace[0] == '\0' ? "" : "/", override->kind,
                                   override->name),
            .op = arena_text(arena, member_text(override->patch->children[i], "op")),
            .path = arena_text(arena, member_text(override->patch->children[i], "path")),
        };
        self->overrides =
            arena_grow(arena, self->overrides, self->n_overrides * sizeof item, (self->n_overrides + 1) * sizeof item);
        self->overrides[self->n_overrides++] = item;
    }
}

static void add_overrides(struct side *self, const struct command_specs *specs) {
    for (size_t i = 0; i < specs->documents.n; i++) {
        const struct spec *spec = &specs->documents.items[i]->spec;
        const struct spec_override *overrides = spec->overrides.items;
        for (size_t k = 0; k < spec->overrides.n; k++) {
            add_override(self, spec, &overrides[k]);
        }
    }
}

/* ---- a side ---- */

/* The specs that `call` names. */
static int render_specs(struct side *self, struct command_call *call) {
    const struct render_options options = {.kubernetes_version = NULL};
    struct command_specs specs;
    int exit_code = command_specs_read(call, "diff", &specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = command_specs_render(&specs, call, &options, self->objects);
        add_overrides(self, &specs);
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    command_specs_finish(&specs);
    return exit_code;
}

static int add_specs(struct side *self) {
    struct command_call one = *self->call;
    one.arguments = &self->name;
    one.n_arguments = 1;
    one.n_files = 0;
    if (!self->has_settings) {
        one.settings.n = 0;
    }
    return render_specs(self, &one);
}

static int read_side(struct side *self) {
    self->objects = manifests_new(self->call->arena);
    add_path(self, self->name);
    if (self->is_bad) {
        return OPERATOR_INVALID;
    }
    if (self->has_spec) {
        self->objects = manifests_new(self->call->arena);
        return add_specs(self);
    }
    manifests_sort(self->objects);
    return OPERATOR_DONE;
}

/* ---- objects that come from a server ---- */

static const manifest_t *same_object(const manifests_t *list, arena_t *arena, const manifest_t *object) {
    const char *name = diff_object_name(arena, object);
    for (size_t i = 0; i < manifests_count(list); i++) {
        if (strcmp(diff_object_name(arena, manifests_at(list, i)), name) == 0) {
            return manifests_at(list, i);
        }
    }
    return NULL;
}

/* What the server added to its objects is no difference to the other side. */
static void settle(struct side *self, const struct side *other) {
    struct live live = live_begin(self->call->arena);
    bool is_live = false;
    for (size_t i = 0; i < manifests_count(self->objects); i++) {
        const manifest_t *object = manifests_at(self->objects, i);
        is_live = is_live || live_is_from_server(object);
        live_compare(&live, object, same_object(other->objects, self->call->arena, object));
    }
    if (is_live) {
        self->objects = live.objects;
    }
}

/* ---- the command ---- */

static int judge(const struct diff *diff) {
    if (diff_is_refused(diff)) {
        return OPERATOR_UNSAFE;
    }
    return diff->n_changes > 0 ? OPERATOR_DIFFERS : OPERATOR_DONE;
}

/* All that --accept gave. */
static struct diff compare(struct command_call *call, const struct side *after, const manifests_t *before) {
    const char **accepted = arena_alloc(call->arena, (call->n_options + 1) * sizeof *accepted);
    size_t n_accepted = 0;
    for (size_t i = 0; i < call->n_options; i++) {
        if (strcmp(call->options[i].name, "accept") == 0) {
            accepted[n_accepted++] = call->options[i].value;
        }
    }
    struct diff diff = diff_manifests(call->arena, before, after->objects, accepted, n_accepted);
    diff.overrides = after->overrides;
    diff.n_overrides = after->n_overrides;
    return diff;
}

static int show(struct command_call *call, const struct diff *diff) {
    if (strcmp(call->output, "json") == 0) {
        diff_print_json(diff, call->out);
    } else {
        diff_print_text(diff, call->has_color, call->is_quiet, call->out);
    }
    return judge(diff);
}

/* What apply would change. */
static int run_live(struct command_call *call) {
    struct command_cluster cluster;
    struct side after = {.call = call, .objects = manifests_new(call->arena)};
    struct live live;
    int exit_code = command_cluster_open(call, "diff", &cluster);
    if (exit_code == OPERATOR_DONE) {
        exit_code = render_specs(&after, call);
    }
    if (exit_code == OPERATOR_DONE) {
        exit_code = command_live_compare(call, "diff", &cluster, after.objects, &live);
    }
    if (exit_code == OPERATOR_DONE) {
        struct diff diff = compare(call, &after, live.objects);
        exit_code = show(call, &diff);
    }
    command_cluster_close(&cluster);
    return exit_code;
}

static int run(struct command_call *call) {
    if (command_option(call, "live") != NULL) {
        return run_live(call);
    }
    if (call->n_arguments != 2 || call->n_files > 0) {
        return command_usage_error(call, "diff", "name two: what is, and what shall be; or --live SPEC…");
    }
    struct side before = {.call = call, .name = call->arguments[0]};
    struct side after = {.call = call, .name = call->arguments[1], .has_settings = true};
    if (strcmp(before.name, "-") == 0 || strcmp(after.name, "-") == 0) {
        return command_usage_error(call, "diff", "both are files or folders: the standard input is read once only");
    }
    int exit_before = read_side(&before);
    int exit_after = read_side(&after);
    if (exit_before != OPERATOR_DONE || exit_after != OPERATOR_DONE) {
        return exit_before != OPERATOR_DONE ? exit_before : exit_after;
    }
    settle(&before, &after);
    settle(&after, &before);
    struct diff diff = compare(call, &after, before.objects);
    return show(call, &diff);
}

static const struct command_option options[] = {
    {"accept", "CODE[,CODE…]", "what may be at risk, as CB3005; may be repeated"},
    {"live", NULL, "what is, is what the cluster has: apply would change this"},
    COMMAND_CLUSTER_OPTIONS,
    {NULL, NULL, NULL},
};

const struct command command_diff = {
    .name = "diff",
    .arguments = "OLD NEW|SPEC…",
    .help = "tell what changes from one deployment to another, what is hot, what rolls, and what is at risk",
    .outputs = "text json",
    .options = options,
    .run = run,
};
