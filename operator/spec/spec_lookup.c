/* Where something stands: paths down the tree of a document, and among the settings, which win over the file. */
#include "operator/spec/spec_lookup.h"

#include <string.h>

const config_node_t *spec_child(const config_node_t *map, struct span name) {
    if (map == NULL || map->kind != CONFIG_NODE_MAP) {
        return NULL;
    }
    for (size_t i = 0; i < map->n_children; i++) {
        const config_node_t *child = map->children[i];
        if (child->kind != CONFIG_NODE_REFUSED && span_equal_text(name, child->name)) {
            return child;
        }
    }
    return NULL;
}

static const config_node_t *item_of(const config_node_t *list, struct span digits) {
    uint64_t index;
    bool is_there =
        list != NULL && list->kind == CONFIG_NODE_LIST && span_parse_u64(digits, &index) && index < list->n_children;
    return is_there ? list->children[index] : NULL;
}

/* The child that the first part of the path names: up to a dot or bracket, or within brackets. */
static const config_node_t *step(const config_node_t *at, struct span *path) {
    bool is_index = path->data[0] == '[';
    size_t begin = is_index ? 1 : 0;
    size_t size = begin;
    while (size < path->size && strchr(is_index ? "]" : ".[", path->data[size]) == NULL) {
        size++;
    }
    struct span name = span_of(path->data + begin, size - begin);
    if (is_index && size < path->size) {
        size++; /* the bracket */
    }
    if (size < path->size && path->data[size] == '.') {
        size++;
    }
    *path = span_of(path->data + size, path->size - size);
    return is_index ? item_of(at, name) : spec_child(at, name);
}

const config_node_t *spec_descend(const config_node_t *from, struct span path, const config_node_t **ret_deepest) {
    const config_node_t *at = from;
    while (at != NULL && path.size > 0) {
        if (ret_deepest != NULL) {
            *ret_deepest = at;
        }
        at = step(at, &path);
    }
    if (at != NULL && ret_deepest != NULL) {
        *ret_deepest = at;
    }
    return at;
}

struct source_place spec_place_of_node(const spec_document_t *self, const config_node_t *node) {
    return (struct source_place){.source = self->source, .line = node->value_line, .column = node->value_column};
}

struct source_place spec_place_of_key(const spec_document_t *self, const config_node_t *node) {
    return (struct source_place){.source = self->source, .line = node->line, .column = node->column};
}

struct spec_setting *spec_setting_of(const struct spec_settings *settings, const char *path) {
    struct spec_setting *found = NULL;
    for (size_t i = 0; i < settings->n; i++) { /* the last one counts */
        if (strcmp(settings->items[i].path, path) == 0) {
            found = &settings->items[i];
        }
    }
    return found;
}

static const config_node_t *descend(const spec_document_t *self, const char *path, const config_node_t **ret_deepest) {
    struct span rest = span_of_text(path);
    const config_node_t *from = self->root;
    if (!span_starts_with(rest, span_of_text("metadata."))) {
        from = spec_child(self->root, span_of_text("spec"));
    }
    *ret_deepest = self->root;
    return spec_descend(from, rest, ret_deepest);
}

const config_node_t *spec_node(const spec_document_t *self, const char *path) {
    const config_node_t *deepest;
    return descend(self, path, &deepest);
}

bool spec_is_set(const spec_document_t *self, const char *path) {
    return spec_setting_of(self->settings, path) != NULL || spec_node(self, path) != NULL;
}

struct source_place spec_place(const spec_document_t *self, const char *path) {
    const struct spec_setting *setting = spec_setting_of(self->settings, path);
    if (setting != NULL) {
        return (struct source_place){.source = self->source, .setting = setting->text};
    }
    const config_node_t *deepest;
    const config_node_t *node = descend(self, path, &deepest);
    /* Of a section around it the key is the better place: its value begins with another field. */
    return node != NULL ? spec_place_of_node(self, node) : spec_place_of_key(self, deepest);
}
