/* render: the objects of specs as YAML or JSON on standard output, or a file each in a folder that kustomize takes. */
#include "operator/cli/command_specs.h"
#include "operator/cli/commands.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/manifest/manifest_emit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* ---- what of it ---- */

/* --only KIND, or KIND/NAME. */
static bool is_wanted(const manifest_t *object, const char *only) {
    if (only == NULL) {
        return true;
    }
    const char *kind = manifest_text_of(manifest_get(object, "kind"));
    const char *slash = strchr(only, '/');
    size_t size = slash == NULL ? strlen(only) : (size_t) (slash - only);
    bool is_kind = strlen(kind) == size && strncasecmp(kind, only, size) == 0;
    return is_kind &&
           (slash == NULL || strcmp(manifest_text_of(manifest_find(object, "metadata.name")), slash + 1) == 0);
}

static manifests_t *chosen(arena_t *arena, const manifests_t *all, const char *only) {
    manifests_t *list = manifests_new(arena);
    for (size_t i = 0; i < manifests_count(all); i++) {
        manifest_t *object = manifests_at(all, i);
        if (is_wanted(object, only)) {
            manifests_append(list, object);
        }
    }
    return list;
}

static int refuse_only(struct command_call *call, const manifests_t *all, const char *only) {
    struct buffer kinds = BUFFER_EMPTY;
    const char *last = "";
    for (size_t i = 0; i < manifests_count(all); i++) { /* they are sorted by kind */
        const char *kind = manifest_text_of(manifest_get(manifests_at(all, i), "kind"));
        buffer_append_format(&kinds, "%s%s", strcmp(kind, last) == 0 ? "" : " ", strcmp(kind, last) == 0 ? "" : kind);
        last = kind;
    }
    int exit_code = command_usage_error(call, "render", "--only %s: there is none; there are%s (names: without --only)",
                                        only, arena_text_of(call->arena, buffer_span(&kinds)));
    buffer_finish(&kinds);
    return exit_code;
}

/* ---- a folder ---- */

static bool write_file(struct command_call *call, const char *folder, const char *name, const struct buffer *text) {
    const char *path = arena_format(call->arena, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    bool is_written = file != NULL && fwrite(text->data, 1, text->size, file) == text->size;
    if ((file != NULL && fclose(file) != 0) || !is_written) {
        buffer_append_format(call->messages, "%s render: cannot write %s: %s\n", call->program, path, strerror(errno));
        return false;
    }
    if (call->is_verbose) {
        buffer_append_format(call->messages, "%s\n", path);
    }
    return true;
}

/* 01-…yaml in the order of installation would change all names with one object more; the list keeps the order. */
static const char *file_name(struct command_call *call, const manifest_t *object) {
    char *name = arena_format(call->arena, "%s-%s.yaml", manifest_text_of(manifest_get(object, "kind")),
                              manifest_text_of(manifest_find(object, "metadata.name")));
    for (char *at = name; *at != '\0'; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char) (*at - 'A' + 'a') : *at;
    }
    return name;
}

static int write_folder(struct command_call *call, const manifests_t *list, const char *folder) {
    struct buffer text = BUFFER_EMPTY;
    manifest_t *kustomization = manifest_map(call->arena);
    manifest_set_text(kustomization, "apiVersion", "kustomize.config.k8s.io/v1beta1");
    manifest_set_text(kustomization, "kind", "Kustomization");
    manifest_t *resources = manifest_add_list(kustomization, "resources");
    bool is_written = mkdir(folder, 0777) == 0 || errno == EEXIST;
    if (!is_written) {
        buffer_append_format(call->messages, "%s render: cannot make %s: %s\n", call->program, folder, strerror(errno));
    }
    for (size_t i = 0; is_written && i < manifests_count(list); i++) {
        const char *name = file_name(call, manifests_at(list, i));
        buffer_clear(&text);
        manifest_append_yaml(manifests_at(list, i), &text);
        manifest_append_text(resources, name);
        is_written = write_file(call, folder, name, &text);
    }
    buffer_clear(&text);
    manifest_append_yaml(kustomization, &text);
    is_written = is_written && write_file(call, folder, "kustomization.yaml", &text);
    buffer_finish(&text);
    return is_written ? OPERATOR_DONE : OPERATOR_OUTSIDE;
}

/* ---- the command ---- */

/* What the cluster's APIs leave out is told: pods may wait for it. */
static void tell_left_out(const struct spec *spec, struct command_call *call) {
    static const struct spec_texts none = {NULL, 0};
    const struct render_options everything = {NULL, &none};
    const struct render_options as_it_is = {NULL, NULL};
    if (spec->kubernetes.apis.n == 0 || call->is_quiet) {
        return;
    }
    manifests_t *all = manifests_new(call->arena);
    manifests_t *some = manifests_new(call->arena);
    render_manifests(spec, &everything, all);
    render_manifests(spec, &as_it_is, some);
    for (size_t i = 0; i < manifests_count(all); i++) {
        const char *kind = manifest_text_of(manifest_get(manifests_at(all, i), "kind"));
        const char *name = manifest_text_of(manifest_find(manifests_at(all, i), "metadata.name"));
        if (manifests_find(some, kind, name) == NULL) {
            buffer_append_format(call->messages, "%s render: left out: %s %s, as the cluster has no %s\n",
                                 call->program, kind, name,
                                 manifest_text_of(manifest_get(manifests_at(all, i), "apiVersion")));
        }
    }
}

static void print(const manifests_t *list, struct command_call *call) {
    if (strcmp(call->output, "json") == 0) {
        manifests_append_json(list, call->out);
    } else {
        manifests_append_yaml(list, call->out);
    }
}

static const struct command_flag flags[] = {
    {"kube-version", "kubernetes.version"},
    {"api-versions", "kubernetes.apis"},
};

static int render(struct command_specs *specs, struct command_call *call) {
    const struct render_options as_it_is = {NULL, NULL};
    const char *only = command_option(call, "only");
    manifests_t *all = manifests_new(call->arena);
    int exit_code = command_specs_render(specs, call, &as_it_is, all);
    if (exit_code != OPERATOR_DONE) {
        return exit_code;
    }
    for (size_t i = 0; i < specs->documents.n; i++) {
        tell_left_out(&specs->documents.items[i]->spec, call);
    }
    manifests_t *list = chosen(call->arena, all, only);
    if (manifests_count(list) == 0) {
        return refuse_only(call, all, only);
    }
    if (command_option(call, "to") != NULL) {
        return write_folder(call, list, command_option(call, "to"));
    }
    print(list, call);
    return OPERATOR_DONE;
}

static int run(struct command_call *call) {
    struct command_specs specs;
    command_specs_take_flags(call, flags, sizeof flags / sizeof flags[0]);
    int exit_code = command_specs_read(call, "render", &specs);
    if (exit_code == OPERATOR_DONE) {
        exit_code = render(&specs, call);
    }
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(&specs, call);
    }
    command_specs_finish(&specs);
    return exit_code;
}

static const struct command_option options[] = {
    {"only", "KIND[/NAME]", "only these objects"},
    {"kube-version", "1.N", "of the cluster, in place of spec.kubernetes.version"},
    {"api-versions", "LIST", "what the cluster has, as group/version,…; in place of spec.kubernetes.apis"},
    {"to", "FOLDER", "a file for each object and a kustomization.yaml"},
    {NULL, NULL, NULL},
};

const struct command command_render = {
    .name = "render",
    .arguments = "SPEC…",
    .help = "print the Kubernetes objects of specs, or write them into a folder",
    .outputs = "yaml json",
    .options = options,
    .run = run,
};
