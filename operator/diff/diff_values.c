/* See diff_values.h. */
#include "operator/diff/diff_values.h"

#include "operator/diff/diff_parts.h"

#include <string.h>

enum { TEXT_BYTES_MAX = 160 };

/* ---- as text ---- */

static const char *scalar_text(arena_t *arena, const manifest_t *node) {
    switch (manifest_kind(node)) {
    case MANIFEST_TEXT:
    case MANIFEST_NUMBER:
        return manifest_text_of(node);
    case MANIFEST_INT:
        return arena_format(arena, "%lld", (long long) manifest_int_of(node));
    case MANIFEST_BOOL:
        return manifest_bool_of(node) ? "true" : "false";
    case MANIFEST_NULL:
        return "null";
    case MANIFEST_MAP:
    case MANIFEST_LIST:
        break;
    }
    return NULL;
}

static bool is_scalar(const manifest_t *node) {
    return manifest_kind(node) != MANIFEST_MAP && manifest_kind(node) != MANIFEST_LIST;
}

/* {name: a, port: 1}, one line. */
static void append_flow(arena_t *arena, const manifest_t *node, struct buffer *out) {
    bool is_map = manifest_kind(node) == MANIFEST_MAP;
    if (is_scalar(node)) {
        buffer_append_text(out, scalar_text(arena, node));
        return;
    }
    buffer_append_text(out, is_map ? "{" : "[");
    for (size_t i = 0; i < manifest_count(node); i++) {
        buffer_append_format(out, "%s%s%s", i == 0 ? "" : ", ", is_map ? manifest_key_at(node, i) : "",
                             is_map ? ": " : "");
        append_flow(arena, manifest_at(node, i), out);
    }
    buffer_append_text(out, is_map ? "}" : "]");
}

/* Cut where a character begins. */
static size_t cut_at(const struct buffer *text, size_t limit) {
    while (limit > 0 && (text->data[limit] & 0xC0) == 0x80) {
        limit--;
    }
    return limit;
}

const char *diff_text_of(arena_t *arena, const manifest_t *node) {
    if (node == NULL) {
        return NULL;
    }
    struct buffer text = BUFFER_EMPTY;
    append_flow(arena, node, &text);
    for (size_t i = 0; i < text.size; i++) {
        text.data[i] = text.data[i] < ' ' ? ' ' : text.data[i];
    }
    bool is_long = text.size > TEXT_BYTES_MAX;
    size_t size = is_long ? cut_at(&text, TEXT_BYTES_MAX) : text.size;
    const char *line = arena_format(arena, "%.*s%s", (int) size, (const char *) text.data, is_long ? "…" : "");
    buffer_finish(&text);
    return line;
}

/* ---- places ---- */

const char *diff_path_join(arena_t *arena, const char *path, const char *key) {
    bool has_dot = strchr(key, '.') != NULL;
    return path[0] == '\0' ? key : arena_format(arena, has_dot ? "%s[%s]" : "%s.%s", path, key);
}

/* ---- the same? ---- */

static bool is_empty(const manifest_t *node) {
    return node == NULL || manifest_kind(node) == MANIFEST_NULL || (!is_scalar(node) && manifest_count(node) == 0);
}

static bool is_same_scalar(const char *kind, const char *path, const manifest_t *old_node, const manifest_t *new_node) {
    arena_t *scratch = arena_new();
    const char *default_text = diff_default_of(kind, path);
    const char *a = old_node == NULL ? default_text : scalar_text(scratch, old_node);
    const char *b = new_node == NULL ? default_text : scalar_text(scratch, new_node);
    bool is_same = a != NULL && b != NULL && (strcmp(a, b) == 0 || diff_is_same_amount(path, a, b));
    arena_destroy(&scratch);
    return is_same;
}

/* All below is what the API server would put there. */
static bool is_default(arena_t *arena, const char *kind, const char *path, const manifest_t *node) {
    bool is_all = true;
    if (is_empty(node)) {
        return true;
    }
    if (is_scalar(node)) {
        return is_same_scalar(kind, path, NULL, node);
    }
    bool is_map = manifest_kind(node) == MANIFEST_MAP;
    for (size_t i = 0; is_all && is_map && i < manifest_count(node); i++) {
        is_all = is_default(arena, kind, diff_path_join(arena, path, manifest_key_at(node, i)), manifest_at(node, i));
    }
    return is_all && is_map;
}

bool diff_is_same_value(const char *kind, const char *path, const manifest_t *a, const manifest_t *b) {
    if (is_empty(a) || is_empty(b)) {
        arena_t *scratch = arena_new();
        bool is_same = is_default(scratch, kind, path, is_empty(a) ? b : a);
        arena_destroy(&scratch);
        return is_same;
    }
    if (is_scalar(a) && is_scalar(b)) {
        return is_same_scalar(kind, path, a, b);
    }
    return !is_scalar(a) && !is_scalar(b) && manifest_equal(a, b);
}

/* ---- lists ---- */

const char *diff_item_name(const manifest_t *item) {
    static const char *const keys[] = {"name", "mountPath", "topologyKey", "key", "type"};
    for (size_t i = 0; item != NULL && manifest_kind(item) == MANIFEST_MAP && i < sizeof keys / sizeof keys[0]; i++) {
        const char *name = manifest_text_of(manifest_get(item, keys[i]));
        if (name != NULL) {
            return name;
        }
    }
    return manifest_kind(item) == MANIFEST_MAP ? manifest_text_of(manifest_find(item, "metadata.name")) : NULL;
}

manifest_t *diff_item_named(const manifest_t *list, const char *name) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        const char *other = diff_item_name(manifest_at(list, i));
        if (other != NULL && strcmp(other, name) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

bool diff_is_named(const manifest_t *list) {
    for (size_t i = 0; i < manifest_count(list); i++) {
        const char *name = diff_item_name(manifest_at(list, i));
        if (name == NULL || diff_item_named(list, name) != manifest_at(list, i)) {
            return false;
        }
    }
    return true;
}
