/* A pointer is walked down to the container that holds its last name; what is done then depends on whether that is a
 * map or a list.
 *
 * Failure modes: a place that is not there, an index behind a list's end or one that is no number, a test that finds
 * something else, a move into itself. Each leaves the object as it was. The object as a whole is nobody's to replace.
 */
#include "operator/manifest/json_patch.h"

#include <string.h>

enum { NAME_MAX_BYTES = 512, DEPTH_MAX = 64 };

/* Where a pointer leads to. */
struct place {
    manifest_t *parent; /* map or list */
    const char *name;   /* of the member, unescaped */
    bool is_list;
    bool is_end; /* "-", or the index behind the last one: only to add */
    size_t index;
    manifest_t *node; /* what is there; NULL: nothing */
};

struct patching {
    arena_t *arena;
    manifest_t *object;
    const char *why;
};

static bool fail(struct patching *self, const char *why) {
    self->why = why;
    return false;
}

/* ---- pointers ---- */

/* The next name of the pointer, unescaped; NULL: a ~ that is none of ~0 and ~1, or a name without end. */
static const char *next_name(struct patching *self, const char **at_p) {
    char name[NAME_MAX_BYTES];
    size_t size = 0;
    const char *at = *at_p + 1; /* the slash */
    for (; *at != '\0' && *at != '/'; at++) {
        char c = *at;
        if (c == '~') {
            at++;
            if (*at != '0' && *at != '1') {
                return NULL;
            }
            c = *at == '0' ? '~' : '/';
        }
        if (size == sizeof name - 1) {
            return NULL;
        }
        name[size++] = c;
    }
    name[size] = '\0';
    *at_p = at;
    return arena_text(self->arena, name);
}

/* Digits without a zero before them, as RFC 6901 has it. */
static bool parse_index(const char *text, size_t *ret_index) {
    size_t index = 0;
    size_t n = strlen(text);
    if (n == 0 || n > 9 || (n > 1 && text[0] == '0')) {
        return false;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        index = index * 10 + (size_t) (*at - '0');
    }
    *ret_index = index;
    return true;
}

static bool step(struct patching *self, manifest_t *parent, const char *name, const char *path, struct place *ret) {
    *ret = (struct place){.parent = parent, .name = name, .is_list = manifest_kind(parent) == MANIFEST_LIST};
    if (manifest_kind(parent) == MANIFEST_MAP) {
        ret->node = manifest_get(parent, name);
        return true;
    }
    if (!ret->is_list) {
        return fail(self, arena_format(self->arena, "%s leads into a single value", path));
    }
    size_t n = manifest_count(parent);
    if (strcmp(name, "-") == 0) {
        ret->index = n;
    } else if (!parse_index(name, &ret->index)) {
        return fail(self, arena_format(self->arena, "%s: \"%s\" is no index of a list", path, name));
    }
    if (ret->index > n) {
        return fail(self, arena_format(self->arena, "%s is behind the end of a list of %zu", path, n));
    }
    ret->is_end = ret->index == n;
    ret->node = ret->is_end ? NULL : manifest_at(parent, ret->index);
    return true;
}

static bool find_place(struct patching *self, const char *path, struct place *ret) {
    if (path == NULL || path[0] != '/') {
        return fail(self, "a place begins with /");
    }
    manifest_t *parent = self->object;
    const char *at = path;
    for (size_t depth = 0; depth < DEPTH_MAX; depth++) {
        const char *name = next_name(self, &at);
        if (name == NULL) {
            return fail(self, arena_format(self->arena, "%s: a ~ is written ~0, a / in a name ~1", path));
        }
        const char *so_far = arena_text_of(self->arena, span_of(path, (size_t) (at - path)));
        if (!step(self, parent, name, so_far, ret)) {
            return false;
        }
        if (*at == '\0') {
            return true;
        }
        if (ret->node == NULL) {
            return fail(self, arena_format(self->arena, "%s is not there", so_far));
        }
        parent = ret->node;
    }
    return fail(self, arena_format(self->arena, "%s is too deep", path));
}

/* One that is there. */
static bool find_node(struct patching *self, const char *path, struct place *ret) {
    if (!find_place(self, path, ret)) {
        return false;
    }
    return ret->node != NULL || fail(self, arena_format(self->arena, "%s is not there", path));
}

/* ---- operations ---- */

static void put(const struct place *place, manifest_t *value) {
    if (place->is_list) {
        manifest_insert(place->parent, place->index, value);
    } else {
        manifest_set(place->parent, place->name, value);
    }
}

static void take(const struct place *place) {
    if (place->is_list) {
        (void) manifest_remove_at(place->parent, place->index);
    } else {
        (void) manifest_remove(place->parent, place->name);
    }
}

static bool add(struct patching *self, const char *path, const manifest_t *value) {
    struct place place;
    if (!find_place(self, path, &place)) {
        return false;
    }
    put(&place, manifest_copy(self->arena, value));
    return true;
}

static bool replace(struct patching *self, const char *path, const manifest_t *value) {
    struct place place;
    if (!find_node(self, path, &place)) {
        return false;
    }
    if (place.is_list) {
        take(&place);
    }
    put(&place, manifest_copy(self->arena, value)); /* a key keeps its place in its map */
    return true;
}

static bool remove_node(struct patching *self, const char *path) {
    struct place place;
    if (!find_node(self, path, &place)) {
        return false;
    }
    take(&place);
    return true;
}

static bool is_inside(const char *path, const char *around) {
    size_t size = strlen(around);
    return strncmp(path, around, size) == 0 && path[size] == '/';
}

/* A move takes away first: an index behind what goes is counted without it. */
static bool move(struct patching *self, const char *from, const char *path) {
    struct place source;
    if (!find_node(self, from, &source)) {
        return false;
    }
    if (is_inside(path, from)) {
        return fail(self, arena_format(self->arena, "%s is inside of what is moved", path));
    }
    take(&source);
    if (add(self, path, source.node)) {
        return true;
    }
    put(&source, source.node);
    return false;
}

static bool copy(struct patching *self, const char *from, const char *path) {
    struct place source;
    return find_node(self, from, &source) && add(self, path, source.node);
}

static bool test(struct patching *self, const char *path, const manifest_t *value) {
    struct place place;
    if (!find_node(self, path, &place)) {
        return false;
    }
    return manifest_equal(place.node, value) || fail(self, arena_format(self->arena, "%s has another value", path));
}

const char *json_patch_apply(arena_t *arena, manifest_t *object, const struct json_patch_operation *operation) {
    struct patching self = {.arena = arena, .object = object};
    const char *op = operation->op;
    bool is_done;
    if (strcmp(op, "add") == 0) {
        is_done = add(&self, operation->path, operation->value);
    } else if (strcmp(op, "remove") == 0) {
        is_done = remove_node(&self, operation->path);
    } else if (strcmp(op, "replace") == 0) {
        is_done = replace(&self, operation->path, operation->value);
    } else if (strcmp(op, "move") == 0) {
        is_done = move(&self, operation->from, operation->path);
    } else if (strcmp(op, "copy") == 0) {
        is_done = copy(&self, operation->from, operation->path);
    } else if (strcmp(op, "test") == 0) {
        is_done = test(&self, operation->path, operation->value);
    } else {
        is_done = fail(&self, arena_format(arena, "no operation is called %s", op));
    }
    return is_done ? NULL : self.why;
}
