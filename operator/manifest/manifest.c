/* The tree. Members stand in one array of a node, keys beside them: maps of Kubernetes objects have few keys, so they
 * are looked through. */
#include "operator/manifest/manifest.h"

#include "base/check.h"
#include "base/json_scan.h"
#include "operator/yaml_plain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct member {
    const char *key; /* NULL in lists */
    manifest_t *value;
};

struct manifest {
    enum manifest_kind kind;
    arena_t *arena;
    struct member *members;
    size_t n;
    size_t capacity;
    const char *text;
    int64_t number; /* of an int; 0 or 1 of a bool */
};

/* ---- nodes ---- */

static manifest_t *new_node(arena_t *arena, enum manifest_kind kind) {
    manifest_t *node = arena_alloc(arena, sizeof *node);
    node->kind = kind;
    node->arena = arena;
    return node;
}

manifest_t *manifest_map(arena_t *arena) {
    return new_node(arena, MANIFEST_MAP);
}

manifest_t *manifest_list(arena_t *arena) {
    return new_node(arena, MANIFEST_LIST);
}

static manifest_t *new_text(arena_t *arena, enum manifest_kind kind, const char *text) {
    manifest_t *node = new_node(arena, kind);
    node->text = arena_text(arena, text);
    return node;
}

manifest_t *manifest_text(arena_t *arena, const char *text) {
    check(text != NULL, "a text that is none");
    return new_text(arena, MANIFEST_TEXT, text);
}

manifest_t *manifest_int(arena_t *arena, int64_t value) {
    manifest_t *node = new_node(arena, MANIFEST_INT);
    node->number = value;
    return node;
}

manifest_t *manifest_bool(arena_t *arena, bool value) {
    manifest_t *node = new_node(arena, MANIFEST_BOOL);
    node->number = value;
    return node;
}

manifest_t *manifest_null(arena_t *arena) {
    return new_node(arena, MANIFEST_NULL);
}

static manifest_t *int_or_number(arena_t *arena, const char *text) {
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    return errno == 0 ? manifest_int(arena, value) : new_text(arena, MANIFEST_NUMBER, text);
}

manifest_t *manifest_number(arena_t *arena, const char *text) {
    bool is_int = text[strcspn(text, ".eE")] == '\0' && strcmp(text, "-0") != 0;
    return is_int ? int_or_number(arena, text) : new_text(arena, MANIFEST_NUMBER, text);
}

/* .5, 1. and .inf are numbers in YAML alone. */
static bool is_json_number(const config_node_t *node) {
    struct json_value value;
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    return json_scan(span_of(node->text, node->text_size), &limits, &value, NULL) == JSON_OK;
}

static manifest_t *scalar_of_yaml(arena_t *arena, const config_node_t *node) {
    enum yaml_plain kind = node->is_plain ? yaml_plain_of(span_of(node->text, node->text_size)) : YAML_PLAIN_TEXT;
    switch (kind) {
    case YAML_PLAIN_NULL:
        return manifest_null(arena);
    case YAML_PLAIN_BOOL:
        return manifest_bool(arena, node->text[0] == 't' || node->text[0] == 'T');
    case YAML_PLAIN_INT:
        return int_or_number(arena, node->text);
    case YAML_PLAIN_FLOAT:
        return new_text(arena, is_json_number(node) ? MANIFEST_NUMBER : MANIFEST_TEXT, node->text);
    case YAML_PLAIN_TEXT:
    case YAML_PLAIN_BOOL_1_1:
    case YAML_PLAIN_OCTAL:
    case YAML_PLAIN_RADIX:
    case YAML_PLAIN_UNDERSCORED:
    case YAML_PLAIN_BASE_60:
    case YAML_PLAIN_DATE:
    case YAML_PLAIN_SPECIAL:
        break;
    }
    return manifest_text(arena, node->text);
}

/* As deep as the reader lets a document be. */
manifest_t *manifest_of_yaml(arena_t *arena, const config_node_t *node) {
    if (node->kind == CONFIG_NODE_SCALAR) {
        return scalar_of_yaml(arena, node);
    }
    bool is_map = node->kind == CONFIG_NODE_MAP;
    manifest_t *copy = new_node(arena, is_map ? MANIFEST_MAP : MANIFEST_LIST);
    for (size_t i = 0; i < node->n_children; i++) {
        manifest_t *child = manifest_of_yaml(arena, node->children[i]);
        if (is_map) {
            manifest_set(copy, node->children[i]->name, child);
        } else {
            manifest_append(copy, child);
        }
    }
    return copy;
}

manifest_t *manifest_copy(arena_t *arena, const manifest_t *node) {
    manifest_t *copy = new_node(arena, node->kind);
    copy->number = node->number;
    copy->text = node->text == NULL ? NULL : arena_text(arena, node->text);
    for (size_t i = 0; i < node->n; i++) {
        manifest_t *child = manifest_copy(arena, node->members[i].value);
        if (node->kind == MANIFEST_MAP) {
            manifest_set(copy, node->members[i].key, child);
        } else {
            manifest_append(copy, child);
        }
    }
    return copy;
}

/* ---- members ---- */

static void insert_member(manifest_t *self, size_t index, const char *key, manifest_t *value) {
    if (self->n == self->capacity) {
        size_t capacity = self->capacity == 0 ? 4 : 2 * self->capacity;
        self->members =
            arena_grow(self->arena, self->members, self->n * sizeof *self->members, capacity * sizeof *self->members);
        self->capacity = capacity;
    }
    memmove(self->members + index + 1, self->members + index, (self->n - index) * sizeof *self->members);
    self->members[index] = (struct member){key, value};
    self->n++;
}

static void remove_member(manifest_t *self, size_t index) {
    memmove(self->members + index, self->members + index + 1, (self->n - index - 1) * sizeof *self->members);
    self->n--;
}

static struct member *find_member(const manifest_t *map, const char *key) {
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->members[i].key, key) == 0) {
            return &map->members[i];
        }
    }
    return NULL;
}

/* ---- maps ---- */

void manifest_set(manifest_t *map, const char *key, manifest_t *value) {
    check(map->kind == MANIFEST_MAP, "%s in what is no map", key);
    struct member *member = find_member(map, key);
    if (member != NULL) {
        member->value = value;
    } else {
        insert_member(map, map->n, arena_text(map->arena, key), value);
    }
}

void manifest_set_text(manifest_t *map, const char *key, const char *text) {
    manifest_set(map, key, manifest_text(map->arena, text));
}

static manifest_t *format_node(arena_t *arena, const char *format, va_list values) {
    struct buffer text = BUFFER_EMPTY;
    va_list again;
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    check(size >= 0, "the format %s", format);
    buffer_reserve(&text, (size_t) size + 1);
    vsnprintf((char *) text.data, (size_t) size + 1, format, values);
    manifest_t *node = manifest_text(arena, (const char *) text.data);
    buffer_finish(&text);
    return node;
}

void manifest_set_format(manifest_t *map, const char *key, const char *format, ...) {
    va_list values;
    va_start(values, format);
    manifest_set(map, key, format_node(map->arena, format, values));
    va_end(values);
}

void manifest_set_int(manifest_t *map, const char *key, int64_t value) {
    manifest_set(map, key, manifest_int(map->arena, value));
}

void manifest_set_bool(manifest_t *map, const char *key, bool value) {
    manifest_set(map, key, manifest_bool(map->arena, value));
}

void manifest_set_text_if(manifest_t *map, const char *key, const char *text) {
    if (text != NULL && text[0] != '\0') {
        manifest_set_text(map, key, text);
    }
}

static manifest_t *add(manifest_t *map, const char *key, enum manifest_kind kind) {
    check(map->kind == MANIFEST_MAP, "%s in what is no map", key);
    struct member *member = find_member(map, key);
    if (member != NULL) {
        check(member->value->kind == kind, "%s is there as something else", key);
        return member->value;
    }
    manifest_t *node = new_node(map->arena, kind);
    manifest_set(map, key, node);
    return node;
}

manifest_t *manifest_add_map(manifest_t *map, const char *key) {
    return add(map, key, MANIFEST_MAP);
}

manifest_t *manifest_add_list(manifest_t *map, const char *key) {
    return add(map, key, MANIFEST_LIST);
}

bool manifest_remove(manifest_t *map, const char *key) {
    check(map->kind == MANIFEST_MAP, "%s in what is no map", key);
    struct member *member = find_member(map, key);
    if (member == NULL) {
        return false;
    }
    remove_member(map, (size_t) (member - map->members));
    return true;
}

/* ---- lists ---- */

void manifest_insert(manifest_t *list, size_t index, manifest_t *value) {
    check(list->kind == MANIFEST_LIST && index <= list->n, "item %zu", index);
    insert_member(list, index, NULL, value);
}

void manifest_append(manifest_t *list, manifest_t *value) {
    manifest_insert(list, list->n, value);
}

void manifest_append_text(manifest_t *list, const char *text) {
    manifest_append(list, manifest_text(list->arena, text));
}

void manifest_append_format(manifest_t *list, const char *format, ...) {
    va_list values;
    va_start(values, format);
    manifest_append(list, format_node(list->arena, format, values));
    va_end(values);
}

void manifest_append_int(manifest_t *list, int64_t value) {
    manifest_append(list, manifest_int(list->arena, value));
}

manifest_t *manifest_append_map(manifest_t *list) {
    manifest_t *map = manifest_map(list->arena);
    manifest_append(list, map);
    return map;
}

bool manifest_remove_at(manifest_t *list, size_t index) {
    check(list->kind == MANIFEST_LIST, "item %zu of what is no list", index);
    if (index >= list->n) {
        return false;
    }
    remove_member(list, index);
    return true;
}

/* ---- looking ---- */

enum manifest_kind manifest_kind(const manifest_t *node) {
    return node->kind;
}

size_t manifest_count(const manifest_t *node) {
    return node->n;
}

manifest_t *manifest_at(const manifest_t *node, size_t index) {
    check(index < node->n, "member %zu of %zu", index, node->n);
    return node->members[index].value;
}

const char *manifest_key_at(const manifest_t *map, size_t index) {
    check(map->kind == MANIFEST_MAP && index < map->n, "key %zu of %zu", index, map->n);
    return map->members[index].key;
}

manifest_t *manifest_get(const manifest_t *map, const char *key) {
    struct member *member = map->kind == MANIFEST_MAP ? find_member(map, key) : NULL;
    return member == NULL ? NULL : member->value;
}

static manifest_t *child_of(const manifest_t *node, const char *name) {
    if (node->kind == MANIFEST_MAP) {
        return manifest_get(node, name);
    }
    uint64_t index;
    bool is_there = node->kind == MANIFEST_LIST && span_parse_u64(span_of_text(name), &index) && index < node->n;
    return is_there ? node->members[index].value : NULL;
}

manifest_t *manifest_find(const manifest_t *node, const char *path) {
    char name[128];
    manifest_t *at = NULL;
    for (const char *rest = path; *rest != '\0'; at = child_of(node, name), node = at) {
        size_t size = strcspn(rest, ".");
        if (node == NULL || size >= sizeof name) {
            return NULL;
        }
        memcpy(name, rest, size);
        name[size] = '\0';
        rest += size + (rest[size] == '.');
    }
    return at;
}

const char *manifest_text_of(const manifest_t *node) {
    return node == NULL ? NULL : node->text;
}

int64_t manifest_int_of(const manifest_t *node) {
    return node != NULL && node->kind == MANIFEST_INT ? node->number : 0;
}

bool manifest_bool_of(const manifest_t *node) {
    return node != NULL && node->kind == MANIFEST_BOOL && node->number != 0;
}

static bool is_same_member(const manifest_t *a, size_t index, const manifest_t *b) {
    const struct member *member = &a->members[index];
    if (a->kind == MANIFEST_LIST) {
        return manifest_equal(member->value, b->members[index].value);
    }
    const manifest_t *other = manifest_get(b, member->key);
    return other != NULL && manifest_equal(member->value, other);
}

bool manifest_equal(const manifest_t *a, const manifest_t *b) {
    if (a->kind != b->kind || a->n != b->n || a->number != b->number) {
        return false;
    }
    if (a->text != NULL && strcmp(a->text, b->text) != 0) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (!is_same_member(a, i, b)) {
            return false;
        }
    }
    return true;
}
