/* Happy path: every field of the tables gets its default, or what stands at its path in the file or the settings.
 *
 *   profile ─▶ defaults ─▶ each field's node or setting ─▶ its struct member
 *   then every key of the tree is looked for in the tables: what none has is told.
 *
 * Failure modes: a value that is none leaves the default, and the reading goes on, so that one run tells all of it. A
 * node that the YAML reader refused was told there, and counts as not there. */
#include "operator/spec/spec_decode.h"

#include "base/check.h"
#include "operator/spec/spec_lookup.h"
#include "operator/spec/spec_unknown.h"
#include "operator/spec/spec_values.h"
#include "operator/yaml_plain.h"

struct decoder {
    spec_document_t *document;
    struct spec_reading reading;
    int profile;
};

/* One map that is being read: the tables of its fields, the node (NULL: not there), what stands before their paths in
 * messages ("spec.", "spec.gateway.listeners[0].") and in settings. */
struct scope {
    struct spec_level level;
    const config_node_t *node;
    const char *shown;
    const char *setting;
    void *target;
    bool is_refused; /* something else stood there, which was told: nothing is missing in it */
};

static void decode_scope(struct decoder *self, const struct scope *scope);

static const char *join(struct decoder *self, const char *a, const char *b) {
    return arena_format(self->reading.arena, "%s%s", a, b);
}

static void tell_shape(struct decoder *self, const config_node_t *node, const char *path, const char *wanted) {
    static const char *const kinds[] = {
        [CONFIG_NODE_SCALAR] = "a single value",
        [CONFIG_NODE_MAP] = "a map",
        [CONFIG_NODE_LIST] = "a list",
    };
    diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_WRONG_SHAPE, spec_place_of_node(self->document, node), path,
                    "%s stands where %s belongs", kinds[node->kind], wanted);
    diagnostics_mend(self->reading.diagnostics, "callboard-operator explain %s shows it", path);
}

static bool is_null(const config_node_t *node) {
    return node->kind == CONFIG_NODE_SCALAR && node->is_plain &&
           yaml_plain_of(span_of(node->text, node->text_size)) == YAML_PLAIN_NULL;
}

static void tell_null(struct decoder *self, const config_node_t *node, const char *path) {
    diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_NO_VALUE, spec_place_of_node(self->document, node), path,
                    "there is no value");
}

/* ---- single values ---- */

static struct spec_scalar scalar_of_node(struct decoder *self, const config_node_t *node, const char *path) {
    return (struct spec_scalar){
        .text = span_of(node->text, node->text_size),
        .is_plain = node->is_plain,
        .place = spec_place_of_node(self->document, node),
        .path = path,
    };
}

static bool is_text_type(enum spec_type type) {
    return type == SPEC_TEXT || type == SPEC_CHOICE || type == SPEC_TEXT_LIST || type == SPEC_PAIRS;
}

/* A setting has no quotes: its field says what it is. */
static struct spec_scalar scalar_of_setting(struct decoder *self, const struct spec_field *field,
                                            const struct spec_setting *setting, const char *path) {
    return (struct spec_scalar){
        .text = span_of_text(setting->value),
        .is_plain = !is_text_type(field->type),
        .place = {.source = self->document->source, .setting = setting->text},
        .path = path,
    };
}

static void decode_scalar(struct decoder *self, const struct spec_field *field, void *target, const config_node_t *node,
                          const char *path) {
    if (node->kind != CONFIG_NODE_SCALAR) {
        tell_shape(self, node, path, spec_type_name(field->type));
        return;
    }
    struct spec_scalar scalar = scalar_of_node(self, node, path);
    spec_value_read(&self->reading, field, target, &scalar);
}

/* ---- lists and maps of texts ---- */

static bool is_within_items(struct decoder *self, const struct spec_field *field, const config_node_t *node,
                            const char *path) {
    if (field->items_max == 0 || node->n_children <= (size_t) field->items_max) {
        return true;
    }
    diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_TOO_MANY_ITEMS, spec_place_of_node(self->document, node),
                    path, "%zu items", node->n_children);
    diagnostics_mend(self->reading.diagnostics, "it may have %zu", (size_t) field->items_max);
    return false;
}

static const char *text_of_child(struct decoder *self, const struct spec_field *field, const config_node_t *child,
                                 const char *path) {
    if (child->kind == CONFIG_NODE_REFUSED) {
        return NULL;
    }
    if (child->kind != CONFIG_NODE_SCALAR) {
        tell_shape(self, child, path, "a text");
        return NULL;
    }
    struct spec_scalar scalar = scalar_of_node(self, child, path);
    return spec_value_text(&self->reading, field, &scalar);
}

static void *member_of(const struct spec_field *field, void *target) {
    return (uint8_t *) target + field->offset;
}

static void decode_texts(struct decoder *self, const struct spec_field *field, void *target, const config_node_t *node,
                         const char *path) {
    if (node->kind != CONFIG_NODE_LIST) {
        tell_shape(self, node, path, "a list of texts");
        return;
    }
    if (!is_within_items(self, field, node, path)) {
        return;
    }
    struct spec_texts *texts = member_of(field, target);
    texts->items = arena_alloc(self->reading.arena, (node->n_children + 1) * sizeof *texts->items);
    texts->n = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        const char *item_path = arena_format(self->reading.arena, "%s[%zu]", path, i);
        const char *text = text_of_child(self, field, node->children[i], item_path);
        if (text != NULL) {
            texts->items[texts->n++] = text;
        }
    }
}

/* Separated by commas. */
static void decode_texts_of_setting(struct decoder *self, const struct spec_field *field, void *target,
                                    const struct spec_scalar *whole) {
    struct spec_texts *texts = member_of(field, target);
    texts->items = arena_alloc(self->reading.arena, (whole->text.size + 1) * sizeof *texts->items);
    texts->n = 0;
    struct span rest = whole->text;
    while (rest.size > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma == NULL ? rest.size : (size_t) (comma - rest.data);
        struct spec_scalar part = *whole;
        part.text = span_of_text(arena_text_of(self->reading.arena, span_of(rest.data, size)));
        const char *text = spec_value_text(&self->reading, field, &part);
        if (text != NULL) {
            texts->items[texts->n++] = text;
        }
        rest = comma == NULL ? SPAN_EMPTY : span_of(comma + 1, rest.size - size - 1);
    }
}

static bool is_pair_name(const char *name) {
    static const char *const marks = "-._/";
    size_t size = strlen(name);
    if (size == 0 || size > 253 + 1 + 63) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_letter && (strchr(marks, c) == NULL || i == 0 || i + 1 == size)) {
            return false;
        }
    }
    return true;
}

static void decode_pairs(struct decoder *self, const struct spec_field *field, void *target, const config_node_t *node,
                         const char *path) {
    if (node->kind != CONFIG_NODE_MAP) {
        tell_shape(self, node, path, "a map of texts");
        return;
    }
    if (!is_within_items(self, field, node, path)) {
        return;
    }
    struct spec_pairs *pairs = member_of(field, target);
    pairs->items = arena_alloc(self->reading.arena, (node->n_children + 1) * sizeof *pairs->items);
    pairs->n = 0;
    for (size_t i = 0; i < node->n_children; i++) {
        const config_node_t *child = node->children[i];
        const char *text =
            text_of_child(self, field, child, arena_format(self->reading.arena, "%s.%s", path, child->name));
        if (text != NULL && !is_pair_name(child->name)) {
            diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_BAD_FORMAT, spec_place_of_key(self->document, child),
                            path, "%s is no name", spec_quote(self->reading.arena, span_of_text(child->name)));
            diagnostics_mend(self->reading.diagnostics, "write letters, digits, dashes, dots, underlines, maybe a "
                                                        "domain and a slash before them");
        } else if (text != NULL) {
            pairs->items[pairs->n++] = (struct spec_pair){arena_text(self->reading.arena, child->name), text};
        }
    }
}

/* ---- lists of maps ---- */

static void decode_item(struct decoder *self, const struct spec_field *field, void *item, const config_node_t *node,
                        const char *shown, const char *setting) {
    const struct spec_fields *table = field->items;
    struct scope scope = {
        .level = {&table, 1},
        .node = node,
        .shown = join(self, shown, "."),
        .setting = join(self, setting, "."),
        .target = item,
        .is_refused = node == NULL,
    };
    decode_scope(self, &scope);
}

static void decode_items(struct decoder *self, const struct spec_field *field, void *target, const config_node_t *node,
                         const char *path, const char *setting) {
    if (node->kind != CONFIG_NODE_LIST) {
        tell_shape(self, node, path, "a list of maps");
        return;
    }
    if (!is_within_items(self, field, node, path)) {
        return;
    }
    struct spec_items *items = member_of(field, target);
    items->items = arena_alloc(self->reading.arena, (node->n_children + 1) * field->items->item_size);
    items->n = node->n_children;
    for (size_t i = 0; i < node->n_children; i++) {
        const config_node_t *child = node->children[i];
        const char *item_path = arena_format(self->reading.arena, "%s[%zu]", path, i);
        if (child->kind == CONFIG_NODE_SCALAR || child->kind == CONFIG_NODE_LIST) {
            tell_shape(self, child, item_path, "a map");
        }
        decode_item(self, field, (uint8_t *) items->items + i * field->items->item_size,
                    child->kind == CONFIG_NODE_MAP ? child : NULL, item_path,
                    arena_format(self->reading.arena, "%s[%zu]", setting, i));
    }
}

/* ---- what is passed through ---- */

/* Kubernetes would see something else in it than what is written. */
static void tell_traps(struct decoder *self, const config_node_t *node, const char *path) {
    for (size_t i = 0; i < node->n_children; i++) {
        tell_traps(self, node->children[i], path);
    }
    if (node->kind != CONFIG_NODE_SCALAR || !node->is_plain) {
        return;
    }
    enum yaml_plain kind = yaml_plain_of(span_of(node->text, node->text_size));
    if (kind != YAML_PLAIN_TEXT && kind != YAML_PLAIN_NULL && kind != YAML_PLAIN_BOOL && kind != YAML_PLAIN_INT &&
        kind != YAML_PLAIN_FLOAT) {
        diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_NOT_A_TEXT, spec_place_of_node(self->document, node),
                        path, "%s without quotes is %s to some YAML readers", node->text, yaml_plain_name(kind));
        diagnostics_mend(self->reading.diagnostics, "write %s, or what it shall be",
                         spec_quote(self->reading.arena, span_of(node->text, node->text_size)));
    }
}

static void decode_raw(struct decoder *self, const struct spec_field *field, void *target, const config_node_t *node,
                       const char *path) {
    bool is_map = field->type == SPEC_RAW_MAP;
    if (node->kind != (is_map ? CONFIG_NODE_MAP : CONFIG_NODE_LIST)) {
        tell_shape(self, node, path, is_map ? "a map" : "a list");
        return;
    }
    if (!is_within_items(self, field, node, path)) {
        return;
    }
    if (!field->is_config) {
        tell_traps(self, node, path);
    }
    *(spec_raw_t *) member_of(field, target) = node;
}

/* ---- one field ---- */

static void decode_node(struct decoder *self, const struct spec_field *field, const struct scope *scope,
                        const config_node_t *node, const char *path) {
    if (is_null(node)) {
        tell_null(self, node, path);
        return;
    }
    switch (field->type) {
    case SPEC_BOOL:
    case SPEC_COUNT:
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
    case SPEC_TEXT:
    case SPEC_CHOICE:
        decode_scalar(self, field, scope->target, node, path);
        return;
    case SPEC_TEXT_LIST:
        decode_texts(self, field, scope->target, node, path);
        return;
    case SPEC_PAIRS:
        decode_pairs(self, field, scope->target, node, path);
        return;
    case SPEC_ITEM_LIST:
        decode_items(self, field, scope->target, node, path, join(self, scope->setting, field->path));
        return;
    case SPEC_RAW_MAP:
    case SPEC_RAW_LIST:
        decode_raw(self, field, scope->target, node, path);
        return;
    }
}

static void decode_setting(struct decoder *self, const struct spec_field *field, void *target,
                           struct spec_setting *setting, const char *path) {
    setting->is_used = true;
    struct spec_scalar scalar = scalar_of_setting(self, field, setting, path);
    if (field->type == SPEC_TEXT_LIST) {
        decode_texts_of_setting(self, field, target, &scalar);
    } else if (field->type >= SPEC_TEXT_LIST) {
        diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_BAD_SETTING, scalar.place, path,
                        "%s cannot be given by --set", spec_type_name(field->type));
        diagnostics_mend(self->reading.diagnostics, "write it in the file");
    } else {
        spec_value_read(&self->reading, field, target, &scalar);
    }
}

/* A default that does not parse is a bug of ours; texts of the table are taken as they are. */
static void set_default(struct decoder *self, const struct spec_field *field, void *target) {
    const char *text = spec_default_of(field, self->profile);
    if (field->type == SPEC_TEXT) {
        *(const char **) member_of(field, target) = text == NULL ? "" : text;
        return;
    }
    if (text == NULL) {
        return;
    }
    struct spec_scalar scalar = {
        .text = span_of_text(text), .is_plain = !is_text_type(field->type), .path = field->path};
    bool is_good = spec_value_read(&self->reading, field, target, &scalar);
    check(is_good, "the default of %s", field->path);
}

static void decode_field(struct decoder *self, const struct spec_field *field, const struct scope *scope) {
    set_default(self, field, scope->target);
    struct spec_setting *setting =
        self->document->settings->n == 0
            ? NULL
            : spec_setting_of(self->document->settings, join(self, scope->setting, field->path));
    const config_node_t *node = spec_descend(scope->node, span_of_text(field->path), NULL);
    const char *path = setting == NULL && node == NULL ? field->path : join(self, scope->shown, field->path);
    if (setting != NULL) {
        decode_setting(self, field, scope->target, setting, path);
    } else if (node != NULL) {
        decode_node(self, field, scope, node, path);
    } else if (field->is_required && !scope->is_refused) {
        const config_node_t *around = scope->node != NULL ? scope->node : self->document->root;
        diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_MISSING_FIELD, spec_place_of_node(self->document, around),
                        join(self, scope->shown, field->path), "is needed, and is not there");
    }
}

/* ---- keys that no field has ---- */

static void visit_keys(struct decoder *self, const struct scope *scope, const config_node_t *map, const char *prefix);

static void visit_key(struct decoder *self, const struct scope *scope, const config_node_t *child, const char *path) {
    struct span span = span_of_text(path);
    bool has_dot = strchr(child->name, '.') != NULL;
    bool is_section = spec_level_is_section(&scope->level, span);
    if (has_dot && (is_section || spec_level_field(&scope->level, span) != NULL)) {
        diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_UNKNOWN_FIELD, spec_place_of_key(self->document, child),
                        join(self, scope->shown, path), "the parts of a path are no one key");
        diagnostics_mend(self->reading.diagnostics, "write them as maps inside each other, without the dots");
    } else if (spec_level_field(&scope->level, span) != NULL) {
        return;
    } else if (!is_section) {
        spec_tell_unknown(self->reading.diagnostics, &scope->level, spec_place_of_key(self->document, child), span,
                          join(self, scope->shown, path));
    } else if (child->kind == CONFIG_NODE_MAP) {
        visit_keys(self, scope, child, join(self, path, "."));
    } else if (!is_null(child)) { /* all its lines may be comments */
        tell_shape(self, child, join(self, scope->shown, path), "a map");
    }
}

static void visit_keys(struct decoder *self, const struct scope *scope, const config_node_t *map, const char *prefix) {
    for (size_t i = 0; i < map->n_children; i++) {
        const config_node_t *child = map->children[i];
        if (child->kind != CONFIG_NODE_REFUSED) {
            visit_key(self, scope, child, join(self, prefix, child->name));
        }
    }
}

static void decode_scope(struct decoder *self, const struct scope *scope) {
    for (size_t i = 0; i < scope->level.n; i++) {
        for (size_t k = 0; k < scope->level.tables[i]->n; k++) {
            decode_field(self, &scope->level.tables[i]->fields[k], scope);
        }
    }
    if (scope->node != NULL) {
        visit_keys(self, scope, scope->node, "");
    }
}

/* ---- the document ---- */

/* The map under this key; NULL where there is none, and that is told where something else stands there. */
static const config_node_t *section(struct decoder *self, const char *name) {
    const config_node_t *node = spec_child(self->document->root, span_of_text(name));
    if (node != NULL && node->kind != CONFIG_NODE_MAP) {
        if (!is_null(node)) {
            tell_shape(self, node, name, "a map");
        }
        return NULL;
    }
    return node;
}

/* Something that is no map, or that YAML's reader refused. */
static bool is_refused(const config_node_t *root, const char *name) {
    for (size_t i = 0; i < root->n_children; i++) {
        const config_node_t *child = root->children[i];
        if (strcmp(child->name, name) == 0 && child->kind != CONFIG_NODE_MAP) {
            return !is_null(child);
        }
    }
    return false;
}

/* Which defaults count, before any is read. What is wrong with it is told when the field is. */
static int profile_of(struct decoder *self, const config_node_t *spec) {
    const struct spec_field *field = &spec_fields_top.fields[0];
    const struct spec_setting *setting = spec_setting_of(self->document->settings, field->path);
    const config_node_t *node = spec_child(spec, span_of_text(field->path));
    const char *text = setting != NULL                                    ? setting->value
                       : node != NULL && node->kind == CONFIG_NODE_SCALAR ? node->text
                                                                          : field->by_default;
    int found = SPEC_PROFILE_SMALL;
    for (int i = 0; field->choices[i] != NULL; i++) {
        if (strcmp(field->choices[i], text) == 0) {
            found = i;
        }
    }
    return found;
}

static void tell_unknown_tops(struct decoder *self) {
    static const char *const known[] = {"apiVersion", "kind", "metadata", "spec"};
    const config_node_t *root = self->document->root;
    for (size_t i = 0; i < root->n_children; i++) {
        bool is_known = root->children[i]->kind == CONFIG_NODE_REFUSED;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            is_known = is_known || strcmp(root->children[i]->name, known[k]) == 0;
        }
        if (!is_known) {
            diagnostics_add(self->reading.diagnostics, DIAGNOSTIC_UNKNOWN_FIELD,
                            spec_place_of_key(self->document, root->children[i]), root->children[i]->name,
                            "there is no such field");
            diagnostics_mend(self->reading.diagnostics, "beside apiVersion, kind and metadata there is spec; fields "
                                                        "stand in it");
        }
    }
}

void spec_decode(spec_document_t *document, struct diagnostics *diagnostics) {
    struct decoder self = {.document = document, .reading = {document->arena, diagnostics}};
    tell_unknown_tops(&self);
    const config_node_t *spec = section(&self, "spec");
    self.profile = profile_of(&self, spec);
    const struct spec_fields *metadata = &spec_fields_metadata;
    struct scope scope = {
        .level = {&metadata, 1},
        .node = section(&self, "metadata"),
        .shown = "metadata.",
        .setting = "metadata.",
        .target = &document->spec,
        .is_refused = is_refused(document->root, "metadata"),
    };
    decode_scope(&self, &scope);
    scope = (struct scope){.node = spec, .shown = "spec.", .setting = "", .target = &document->spec};
    scope.level.tables = spec_sections(&scope.level.n);
    decode_scope(&self, &scope);
}
