/* Judged text ─▶ tree. The recursion is as deep as KUBE_JSON_DEPTH_MAX lets the text be. */
#include "operator/kube/kube_json.h"

#include "base/json_scan.h"
#include "operator/kube/kube_client.h"

/* A list of KUBE_LIST_ITEMS_MAX objects of our kinds is far below; one page has at most KUBE_BODY_BYTES_MAX anyway. */
enum { TOKENS_MAX = 4 * 1024 * 1024, NAMES_MAX = 4096 };

struct reading {
    arena_t *arena;
    struct buffer scratch; /* a decoded string */
    bool has_nul;          /* some string has \u0000, which no text of ours can hold */
};

static const char *decoded(struct reading *self, struct json_value string) {
    buffer_clear(&self->scratch);
    if (!json_decode_string(string, &self->scratch)) {
        self->has_nul = true;
        return "";
    }
    return arena_text_of(self->arena, buffer_span(&self->scratch));
}

static manifest_t *build(struct reading *self, struct json_value value);

static manifest_t *build_members(struct reading *self, struct json_value value) {
    bool is_map = value.type == JSON_OBJECT;
    manifest_t *node = is_map ? manifest_map(self->arena) : manifest_list(self->arena);
    struct json_iterator members = json_iterate(value);
    struct json_value name;
    struct json_value member;
    while (json_next(&members, &name, &member)) {
        manifest_t *child = build(self, member);
        if (is_map) {
            manifest_set(node, decoded(self, name), child);
        } else {
            manifest_append(node, child);
        }
    }
    return node;
}

static manifest_t *build(struct reading *self, struct json_value value) {
    switch (value.type) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return build_members(self, value);
    case JSON_STRING:
        return manifest_text(self->arena, decoded(self, value));
    case JSON_NUMBER:
        return manifest_number(self->arena, arena_text_of(self->arena, value.text));
    case JSON_TRUE:
    case JSON_FALSE:
        return manifest_bool(self->arena, value.type == JSON_TRUE);
    case JSON_NULL:
    case JSON_NONE:
        break;
    }
    return manifest_null(self->arena);
}

manifest_t *kube_json_read(arena_t *arena, struct span text, const char **ret_error) {
    const struct json_limits limits = {.depth = KUBE_JSON_DEPTH_MAX, .tokens = TOKENS_MAX, .names = NAMES_MAX};
    struct json_value value;
    struct json_error error;
    if (json_scan(text, &limits, &value, &error) != JSON_OK) {
        *ret_error = arena_format(arena, "%s at byte %zu", json_outcome_text(error.outcome), error.offset);
        return NULL;
    }
    struct reading self = {.arena = arena, .scratch = BUFFER_EMPTY};
    manifest_t *tree = build(&self, value);
    buffer_finish(&self.scratch);
    if (self.has_nul) {
        *ret_error = "a string with \\u0000";
        return NULL;
    }
    return tree;
}

/* ---- what is asked of answers ---- */

const char *kube_text_at(const manifest_t *object, const char *path) {
    const manifest_t *node = object == NULL ? NULL : manifest_find(object, path);
    const char *text = node != NULL && manifest_kind(node) == MANIFEST_TEXT ? manifest_text_of(node) : NULL;
    return text == NULL ? "" : text;
}

int64_t kube_int_at(const manifest_t *object, const char *path, int64_t fallback) {
    const manifest_t *node = object == NULL ? NULL : manifest_find(object, path);
    return node != NULL && manifest_kind(node) == MANIFEST_INT ? manifest_int_of(node) : fallback;
}

const char *kube_metadata_text(const manifest_t *object, const char *group, const char *name) {
    const manifest_t *metadata = manifest_get(object, "metadata");
    const manifest_t *map = metadata == NULL ? NULL : manifest_get(metadata, group);
    const manifest_t *node = map == NULL ? NULL : manifest_get(map, name);
    const char *text = node == NULL ? NULL : manifest_text_of(node);
    return text == NULL ? "" : text;
}
