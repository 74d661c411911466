/* What stands in ConfigMaps: gateway.yaml and broker.yaml key by key, each with the flag that the program's own table
 * gives it; redis.conf and its like line by line; anything else as a whole. */
#include "operator/diff/diff_parts.h"

#include "base/config_assign.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"
#include "operator/diff/diff_values.h"

#include <string.h>

struct config_walk {
    struct diff_run *run;
    const struct diff_pair *pair;
    const char *file;
    const struct config_table *table;
    bool rolls;
};

static void forget(void *context, const struct config_yaml_error *error) {
    (void) context; /* what is no configuration is compared as a text */
    (void) error;
}

manifest_t *diff_config_tree(arena_t *arena, const char *text) {
    struct config_yaml_errors errors = {.on_error = forget};
    config_node_t *root = text == NULL ? NULL : config_yaml_read(span_of_text(text), &errors);
    manifest_t *tree = root == NULL ? NULL : manifest_of_yaml(arena, root);
    config_node_destroy(&root);
    return tree;
}

static void tell(const struct config_walk *self, const char *path, enum diff_effect effect, const char *old_text,
                 const char *new_text) {
    diff_add_change(self->run, (struct diff_change){
                                   .kind = DIFF_CHANGED,
                                   .effect = effect,
                                   .object = self->pair->name,
                                   .path = arena_format(self->run->diff->arena, "data[%s]%s%s", self->file,
                                                        path[0] == '\0' ? "" : " ", path),
                                   .old_text = old_text,
                                   .new_text = new_text,
                               });
}

static enum diff_effect lasting(const struct config_walk *self) {
    return self->rolls ? DIFF_ROLLS : DIFF_NEXT_START;
}

/* ---- our programs' ---- */

static bool is_map(const manifest_t *node) {
    return node == NULL || manifest_kind(node) == MANIFEST_MAP;
}

static void walk_key(const struct config_walk *self, const char *path, const manifest_t *old_node,
                     const manifest_t *new_node);

static void walk_section(const struct config_walk *self, const char *path, const manifest_t *old_map,
                         const manifest_t *new_map) {
    arena_t *arena = self->run->diff->arena;
    const char *dot = path[0] == '\0' ? "" : ".";
    for (size_t i = 0; old_map != NULL && i < manifest_count(old_map); i++) {
        const char *key = manifest_key_at(old_map, i);
        walk_key(self, arena_format(arena, "%s%s%s", path, dot, key), manifest_at(old_map, i),
                 new_map == NULL ? NULL : manifest_get(new_map, key));
    }
    for (size_t i = 0; new_map != NULL && i < manifest_count(new_map); i++) {
        const char *key = manifest_key_at(new_map, i);
        if (old_map == NULL || manifest_get(old_map, key) == NULL) {
            walk_key(self, arena_format(arena, "%s%s%s", path, dot, key), NULL, manifest_at(new_map, i));
        }
    }
}

static void walk_key(const struct config_walk *self, const char *path, const manifest_t *old_node,
                     const manifest_t *new_node) {
    const struct config_key *row = config_find_key_in_table(self->table, span_of_text(path));
    arena_t *arena = self->run->diff->arena;
    if (row == NULL && is_map(old_node) && is_map(new_node)) {
        walk_section(self, path, old_node, new_node);
        return;
    }
    const char *default_text = row == NULL ? NULL : row->default_text;
    const char *old_text = old_node == NULL ? default_text : diff_text_of(arena, old_node);
    const char *new_text = new_node == NULL ? default_text : diff_text_of(arena, new_node);
    bool are_nodes = old_node != NULL && new_node != NULL;
    bool is_same = are_nodes ? manifest_equal(old_node, new_node)
                             : old_text != NULL && new_text != NULL && strcmp(old_text, new_text) == 0;
    if (!is_same) {
        bool is_hot = row != NULL && (row->flags & CONFIG_RELOADABLE) != 0;
        tell(self, path, is_hot ? DIFF_HOT : lasting(self), old_text, new_text);
    }
}

/* ---- redis.conf and its like ---- */

static bool has_line(const char *text, const char *line, size_t size) {
    for (const char *at = text; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, "\n");
        if (n == size && strncmp(at, line, size) == 0) {
            return true;
        }
        at += n + (at[n] == '\n' ? 1 : 0);
    }
    return false;
}

static size_t count_lines(const char *text, const char *word, size_t size) {
    size_t n_lines = 0;
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, "\n");
        n_lines += n > size && strncmp(at, word, size) == 0 && at[size] == ' ';
        at += n + (at[n] == '\n' ? 1 : 0);
    }
    return n_lines;
}

/* A word that begins one line in both: its value changed. NULL: the line came, or went. */
static const char *line_beside(arena_t *arena, const char *text, const char *other, const char *line) {
    const char *word = arena_text_of(arena, span_of(line, strcspn(line, " ")));
    size_t size = strlen(word);
    bool is_once = count_lines(text, word, size) == 1 && count_lines(other, word, size) == 1;
    return is_once ? arena_format(arena, "%s %s", word, diff_config_line(arena, other, word)) : NULL;
}

static void tell_lines(const struct config_walk *self, const char *text, const char *other, bool is_old) {
    arena_t *arena = self->run->diff->arena;
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, "\n");
        if (n > 0 && !has_line(other, at, n)) {
            const char *line = arena_text_of(arena, span_of(at, n));
            const char *beside = line_beside(arena, text, other, line);
            if (is_old) {
                tell(self, "", lasting(self), line, beside);
            } else if (beside == NULL) {
                tell(self, "", lasting(self), NULL, line);
            }
        }
        at += n + (at[n] == '\n' ? 1 : 0);
    }
}

const char *diff_config_line(arena_t *arena, const char *text, const char *word) {
    size_t size = strlen(word);
    const char *last = NULL;
    for (const char *at = text; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, "\n");
        if (n > size && strncmp(at, word, size) == 0 && at[size] == ' ') {
            last = arena_text_of(arena, span_of(at + size + 1, n - size - 1));
        }
        at += n + (at[n] == '\n' ? 1 : 0);
    }
    return last;
}

/* ---- any ---- */

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static const struct config_table *table_of(const char *file) {
    if (strcmp(file, "gateway.yaml") == 0) {
        return &gateway_config_table;
    }
    return strcmp(file, "broker.yaml") == 0 ? &broker_config_table : NULL;
}

void diff_config_text(struct diff_run *self, const struct diff_pair *pair, const char *key, const char *old_text,
                      const char *new_text, bool rolls) {
    arena_t *arena = self->diff->arena;
    struct config_walk walk = {.run = self, .pair = pair, .file = key, .table = table_of(key), .rolls = rolls};
    if (old_text != NULL && new_text != NULL && strcmp(old_text, new_text) == 0) {
        return;
    }
    const manifest_t *old_tree = walk.table == NULL ? NULL : diff_config_tree(arena, old_text);
    const manifest_t *new_tree = walk.table == NULL ? NULL : diff_config_tree(arena, new_text);
    if (old_tree != NULL && new_tree != NULL) {
        walk_section(&walk, "", old_tree, new_tree);
    } else if (ends_with(key, ".conf") || ends_with(key, ".acl")) {
        tell_lines(&walk, old_text == NULL ? "" : old_text, new_text == NULL ? "" : new_text, true);
        tell_lines(&walk, new_text == NULL ? "" : new_text, old_text == NULL ? "" : old_text, false);
    } else {
        tell(&walk, "", DIFF_IN_PLACE, old_text == NULL ? NULL : "another text", new_text == NULL ? NULL : "this one");
    }
}
