/* A plan, or what became of it, as text:
 *
 *     created    push/ConfigMap/shop-gateway
 *     configured push/Deployment/shop-gateway
 *     unchanged  push/Service/shop-gateway
 *     skipped    push/PodMonitor/shop-gateway: the cluster has no PodMonitor of monitoring.coreos.com/v1
 *     pruned     push/PodDisruptionBudget/shop-redis
 *
 * and as a tree for JSON. */
#include "operator/apply/apply_parts.h"
#include "operator/kube/kube_json.h"

#include <string.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

const char *apply_state_name(enum apply_state state, bool is_dry_run) {
    static const char *const names[] = {"created", "configured", "unchanged", "re-created",
                                        "pruned",  "skipped",    "failed",    "not sent"};
    (void) is_dry_run;
    return names[state];
}

static const char *color_of(enum apply_state state) {
    switch (state) {
    case APPLY_CREATED:
        return GREEN;
    case APPLY_CONFIGURED:
    case APPLY_SKIPPED:
    case APPLY_PENDING:
        return YELLOW;
    case APPLY_RECREATED:
    case APPLY_PRUNED:
    case APPLY_FAILED:
        return RED;
    case APPLY_UNCHANGED:
        break;
    }
    return "";
}

static void append_line(const struct apply_plan *self, const struct apply_object *object, bool has_color,
                        struct buffer *out) {
    const char *name = apply_state_name(object->state, self->options.is_dry_run);
    const char *color = has_color ? color_of(object->state) : "";
    buffer_append_format(out, "%s%-10s%s %s%s%s%s\n", color, name, color[0] == '\0' ? "" : NORMAL, object->name,
                         object->note == NULL ? "" : ": ", object->note == NULL ? "" : object->note,
                         self->options.is_dry_run ? " (dry run)" : "");
}

static void append_changes(const struct apply_plan *self, const struct apply_object *object, struct buffer *out) {
    for (size_t i = 0; i < self->diff.n_changes; i++) {
        const struct diff_change *change = &self->diff.changes[i];
        if (change->path != NULL && strcmp(change->object, object->name) == 0) {
            buffer_append_format(out, "    %-10s %s: %s → %s\n", diff_effect_name(change->effect), change->path,
                                 change->old_text == NULL ? "none" : change->old_text,
                                 change->new_text == NULL ? "none" : change->new_text);
        }
    }
}

void apply_print_text(const struct apply_plan *self, bool has_color, bool is_verbose, struct buffer *out) {
    for (size_t i = 0; i < self->n; i++) {
        append_line(self, &self->objects[i], has_color, out);
        if (is_verbose) {
            append_changes(self, &self->objects[i], out);
        }
    }
    for (size_t i = 0; i < self->n_pruned; i++) {
        append_line(self, &self->pruned[i], has_color, out);
    }
}

/* ---- a tree ---- */

static void add_object(const struct apply_plan *self, const struct apply_object *object, manifest_t *list) {
    manifest_t *map = manifest_append_map(list);
    manifest_set_text(map, "apiVersion", kube_text_at(object->wanted, "apiVersion"));
    manifest_set_text(map, "kind", kube_text_at(object->wanted, "kind"));
    manifest_set_text(map, "namespace", self->namespace);
    manifest_set_text(map, "name", kube_text_at(object->wanted, "metadata.name"));
    manifest_set_text(map, "result", apply_state_name(object->state, self->options.is_dry_run));
    manifest_set_text_if(map, "note", object->note);
}

manifest_t *apply_print_tree(const struct apply_plan *self, const char *waited) {
    manifest_t *top = manifest_map(self->arena);
    manifest_set_text(top, "namespace", self->namespace);
    manifest_set_text(top, "instance", self->instance);
    manifest_set_bool(top, "dryRun", self->options.is_dry_run);
    manifest_t *objects = manifest_add_list(top, "objects");
    for (size_t i = 0; i < self->n; i++) {
        add_object(self, &self->objects[i], objects);
    }
    for (size_t i = 0; i < self->n_pruned; i++) {
        add_object(self, &self->pruned[i], objects);
    }
    manifest_t *problems = manifest_add_list(top, "problems");
    for (size_t i = 0; i < self->n_problems; i++) {
        manifest_append_text(problems, self->problems[i].text);
    }
    manifest_t *risks = manifest_add_list(top, "risks");
    for (size_t i = 0; i < self->diff.n_risks; i++) {
        const struct diff_risk *risk = &self->diff.risks[i];
        manifest_t *map = manifest_append_map(risks);
        manifest_set_format(map, "code", "CB%u", diagnostic_meaning_of(risk->code)->number);
        manifest_set_text(map, "object", risk->object);
        manifest_set_text(map, "text", risk->text);
        manifest_set_bool(map, "accepted", risk->is_accepted);
    }
    manifest_set_text_if(top, "waited", waited);
    return top;
}
