/* Reads the sources of a configuration, one after another, into the structs of its parts.
 *
 *   defaults ─▶ YAML file ─▶ environment ─▶ settings (--set) ─▶ required keys ─▶ verify() of items, then of parts
 *
 * Happy path: each source is cut into dotted paths and texts, which config_assign() gives to the fields. What was set
 * is recorded with its place, so that verify(), which knows only paths, still points at a line of the file.
 *
 * Failure modes: all are lines for a person, and the reading goes on, so that one run shows them all. A file that is no
 * YAML leaves only the other sources. A wrong value leaves the field at what it was before. */
#include "base/config_reader.h"

#include "base/check.h"
#include "base/cleanup.h"
#include "base/config_values.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* ---- the file ---- */

static struct config_place place_of_node(const config_node_t *node) {
    return (struct config_place){.origin = CONFIG_FROM_FILE, .line = node->line, .column = node->column};
}

static void read_map(config_errors_t *errors, const struct config_scope *scope, const config_node_t *map,
                     const char *path);

/* Words that YAML 1.1 and 1.2 read as something else than the text they are. */
static bool is_ambiguous_word(const config_node_t *node) {
    static const char *const words[] = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(node->text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_text_type(enum config_type type) {
    return type == CONFIG_TEXT || type == CONFIG_SECRET || type == CONFIG_TEXT_LIST;
}

/* A scalar that may stand for a value of this type; tells when not. `path` is a full one. */
static bool is_good_scalar(config_errors_t *errors, const struct config_key *key, const config_node_t *node,
                           const char *path) {
    if (node->kind != CONFIG_NODE_SCALAR) {
        config_errors_add(errors, place_of_node(node), path, "must be a single value, not a map or a list");
        return false;
    }
    if (node->is_plain && (node->text_size == 0 || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0)) {
        config_errors_add(errors, place_of_node(node), path,
                          "has no value; give one (\"\" is the empty text), or leave the key out for its default");
        return false;
    }
    if (node->is_plain && is_text_type(key->type) && is_ambiguous_word(node)) {
        config_errors_add(errors, place_of_node(node), path,
                          "a plain %s is not a text to every YAML reader; put it in quotes", node->text);
        return false;
    }
    return true;
}

/* Replaces the list in every part that has it. */
static void read_text_list(config_errors_t *errors, const struct config_scope *scope, const struct config_key *key,
                           const config_node_t *node, const char *full_path) {
    if (node->kind != CONFIG_NODE_LIST) {
        config_errors_add(errors, place_of_node(node), full_path, "must be a list, like [a, b]");
        return;
    }
    struct buffer why = BUFFER_EMPTY;
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_key *own = config_find_key_in_table(scope->parts[i].table, span_of_text(key->path));
        if (own == NULL) {
            continue;
        }
        config_value_clear_list(own, scope->parts[i].target);
        for (size_t k = 0; k < node->n_children; k++) {
            const config_node_t *child = node->children[k];
            bool is_good = child->kind != CONFIG_NODE_REFUSED && is_good_scalar(errors, key, child, full_path);
            if (is_good &&
                !config_value_append_text(own, scope->parts[i].target, span_of(child->text, child->text_size), &why)) {
                config_errors_add(errors, place_of_node(child), full_path, "%.*s", (int) why.size,
                                  (const char *) why.data);
                buffer_clear(&why);
            }
        }
    }
    buffer_finish(&why);
    config_errors_record(errors, full_path, place_of_node(node), false);
}

/* One more item in every part that has the list, then the map into them. */
static void read_section(config_errors_t *errors, const struct config_scope *scope, const struct config_key *key,
                         const config_node_t *node, const char *full_path, size_t index) {
    char suffix[32];
    snprintf(suffix, sizeof suffix, "[%zu]", index);
    auto_destroy(memory_free_text) char *item_path = config_join(full_path, suffix);
    auto_destroy(memory_free_text) char *prefix = config_join(item_path, ".");
    if (node->kind != CONFIG_NODE_MAP) {
        if (node->kind != CONFIG_NODE_REFUSED) {
            config_errors_add(errors, place_of_node(node), item_path, "must be a map: lines like `key: value`");
        }
        return;
    }
    config_errors_record(errors, item_path, place_of_node(node), false);
    struct config_scope inner = {.prefix = prefix};
    for (size_t i = 0; i < scope->n_parts; i++) {
        const struct config_key *own = config_find_key_in_table(scope->parts[i].table, span_of_text(key->path));
        if (own != NULL) {
            void *item = config_value_append_item(own, scope->parts[i].target);
            inner.parts[inner.n_parts++] = (struct config_part){own->section, item};
        }
    }
    read_map(errors, &inner, node, "");
}

static void read_section_list(config_errors_t *errors, const struct config_scope *scope, const struct config_key *key,
                              const config_node_t *node, const char *full_path) {
    if (node->kind != CONFIG_NODE_LIST) {
        config_errors_add(errors, place_of_node(node), full_path, "must be a list: lines like `- key: value`");
        return;
    }
    config_errors_record(errors, full_path, place_of_node(node), false);
    for (size_t i = 0; i < node->n_children && !config_errors_are_full(errors); i++) {
        read_section(errors, scope, key, node->children[i], full_path, i);
    }
}

static void read_value(config_errors_t *errors, const struct config_scope *scope, const struct config_key *key,
                       const config_node_t *node) {
    auto_destroy(memory_free_text) char *full_path = config_join(scope->prefix, key->path);
    if (key->type == CONFIG_TEXT_LIST) {
        read_text_list(errors, scope, key, node, full_path);
    } else if (key->type == CONFIG_SECTION_LIST) {
        read_section_list(errors, scope, key, node, full_path);
    } else if (is_good_scalar(errors, key, node, full_path)) {
        struct config_assignment assignment = {place_of_node(node), key->path, span_of(node->text, node->text_size),
                                               false};
        config_assign(errors, scope, &assignment);
    }
}

/* A map of keys; nothing at all is an empty one (all its lines may be comments). */
static void read_inner_map(config_errors_t *errors, const struct config_scope *scope, const config_node_t *node,
                           const char *path) {
    auto_destroy(memory_free_text) char *full_path = config_join(scope->prefix, path);
    if (node->kind == CONFIG_NODE_MAP) {
        auto_destroy(memory_free_text) char *path_with_dot = config_join(path, ".");
        config_errors_record(errors, full_path, place_of_node(node), false);
        read_map(errors, scope, node, path_with_dot);
    } else if (node->kind != CONFIG_NODE_SCALAR || !node->is_plain || node->text_size > 0) {
        config_errors_add(errors, place_of_node(node), full_path, "must be a map: indented lines like `key: value`");
    }
}

static void read_member(config_errors_t *errors, const struct config_scope *scope, const config_node_t *node,
                        const char *path) {
    const struct config_key *key = config_find_key(scope, span_of_text(path));
    if (strchr(node->name, '.') != NULL && key != NULL) {
        config_errors_add(errors, place_of_node(node), path,
                          "write the parts of the key as maps inside each other, without the dots");
    } else if (key != NULL) {
        read_value(errors, scope, key, node);
    } else if (config_is_section(scope, path)) {
        read_inner_map(errors, scope, node, path);
    } else if (node->kind == CONFIG_NODE_SCALAR) {
        struct config_assignment assignment = {place_of_node(node), path, span_of(node->text, node->text_size), false};
        if (!config_assign(errors, scope, &assignment)) {
            config_tell_unknown(errors, scope, place_of_node(node), path);
        }
    } else {
        config_tell_unknown(errors, scope, place_of_node(node), path);
    }
}

/* `path` is what stands before its keys: "" or ending with a dot. */
static void read_map(config_errors_t *errors, const struct config_scope *scope, const config_node_t *map,
                     const char *path) {
    for (size_t i = 0; i < map->n_children && !config_errors_are_full(errors); i++) {
        const config_node_t *node = map->children[i];
        if (node->kind == CONFIG_NODE_REFUSED) {
            continue;
        }
        auto_destroy(memory_free_text) char *member_path = config_join(path, node->name);
        read_member(errors, scope, node, member_path);
    }
}

static void on_yaml_error(void *context, const struct config_yaml_error *error) {
    struct config_place place = {.origin = CONFIG_FROM_FILE, .line = error->line, .column = error->column};
    config_errors_add(context, place, "", "%s", error->text);
}

static void read_file(config_errors_t *errors, const struct config_scope *scope, struct span text) {
    struct config_yaml_errors yaml_errors = {on_yaml_error, errors};
    auto_destroy(config_node_destroy) config_node_t *root = config_yaml_read(text, &yaml_errors);
    if (root != NULL) {
        read_map(errors, scope, root, "");
    }
}

/* ---- settings of the command line ---- */

static void read_setting(config_errors_t *errors, const struct config_scope *scope, const char *entry) {
    struct config_place place = {.origin = CONFIG_FROM_SETTINGS};
    const char *equals = strchr(entry, '=');
    if (equals == NULL || equals == entry) {
        config_errors_add(errors, place, "", "write it as key=value, like http.port=8000");
        return;
    }
    auto_destroy(memory_free_text) char *path = memory_strndup(entry, (size_t) (equals - entry));
    struct config_assignment assignment = {place, path, span_of_text(equals + 1), false};
    if (!config_assign(errors, scope, &assignment)) {
        config_tell_unknown(errors, scope, place, path);
    }
}

/* ---- rules ---- */

static void verify(config_errors_t *errors, const struct config_table *table, const void *target, const char *prefix);

static void verify_sections(config_errors_t *errors, const struct config_key *key, const void *target,
                            const char *prefix) {
    const struct config_section_list *list = (const void *) ((const uint8_t *) target + key->offset);
    for (size_t i = 0; i < list->n && !config_errors_are_full(errors); i++) {
        char suffix[32];
        snprintf(suffix, sizeof suffix, "[%zu].", i);
        auto_destroy(memory_free_text) char *path = config_join(prefix, key->path);
        auto_destroy(memory_free_text) char *inner_prefix = config_join(path, suffix);
        verify(errors, key->section, (const uint8_t *) list->items + i * key->section->struct_size, inner_prefix);
    }
}

static void verify(config_errors_t *errors, const struct config_table *table, const void *target, const char *prefix) {
    for (size_t i = 0; i < table->n_keys; i++) {
        const struct config_key *key = &table->keys[i];
        auto_destroy(memory_free_text) char *path = config_join(prefix, key->path);
        if ((key->flags & CONFIG_REQUIRED) != 0 && config_errors_find(errors, path) == NULL) {
            config_error(errors, prefix, key->path, "is required, and is not set");
        }
        if (key->type == CONFIG_SECTION_LIST) {
            verify_sections(errors, key, target, prefix);
        }
    }
    if (table->verify != NULL) {
        table->verify(target, prefix, errors);
    }
}

/* ---- all of it ---- */

static bool read(config_errors_t *errors, const struct config_part *parts, size_t n_parts,
                 const struct config_source *source) {
    check(n_parts <= CONFIG_PARTS_MAX, "%zu parts", n_parts);
    struct config_scope scope = {.n_parts = n_parts, .prefix = ""};
    for (size_t i = 0; i < n_parts; i++) {
        scope.parts[i] = parts[i];
        memset(parts[i].target, 0, parts[i].table->struct_size);
        config_values_init(parts[i].table, parts[i].target);
    }
    if (source->file_tree != NULL) {
        read_map(errors, &scope, source->file_tree, "");
    } else if (source->file_name != NULL) {
        read_file(errors, &scope, source->file_text);
    }
    if (source->environment != NULL) {
        config_read_environment(errors, &scope, source->environment);
    }
    for (size_t i = 0; source->settings != NULL && source->settings[i] != NULL; i++) {
        read_setting(errors, &scope, source->settings[i]);
    }
    for (size_t i = 0; i < n_parts; i++) {
        verify(errors, parts[i].table, parts[i].target, "");
    }
    bool is_good = errors->n == 0;
    config_errors_finish(errors);
    return is_good;
}

bool config_read(const struct config_part *parts, size_t n_parts, const struct config_source *source,
                 struct buffer *ret_errors) {
    config_errors_t errors;
    config_errors_init(&errors, source->file_name, ret_errors);
    return read(&errors, parts, n_parts, source);
}

bool config_read_to_sink(const struct config_part *parts, size_t n_parts, const struct config_source *source,
                         const struct config_error_sink *sink) {
    config_errors_t errors = {.sink = sink, .file_name = source->file_name};
    return read(&errors, parts, n_parts, source);
}

void config_finish(const struct config_part *parts, size_t n_parts) {
    for (size_t i = 0; i < n_parts; i++) {
        config_values_finish(parts[i].table, parts[i].target);
    }
}
