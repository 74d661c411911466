/* A tree as JSON, indented by two spaces, one member a line. */
#include "operator/manifest/manifest_emit.h"

static void append_node(const manifest_t *node, unsigned depth, struct buffer *out);

static void append_line(struct buffer *out, unsigned depth) {
    buffer_append_char(out, '\n');
    for (unsigned i = 0; i < depth; i++) {
        buffer_append_text(out, "  ");
    }
}

static void append_members(const manifest_t *node, unsigned depth, struct buffer *out) {
    bool is_map = manifest_kind(node) == MANIFEST_MAP;
    buffer_append_char(out, is_map ? '{' : '[');
    for (size_t i = 0; i < manifest_count(node); i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        append_line(out, depth + 1);
        if (is_map) {
            buffer_append_json_string(out, span_of_text(manifest_key_at(node, i)));
            buffer_append_text(out, ": ");
        }
        append_node(manifest_at(node, i), depth + 1, out);
    }
    if (manifest_count(node) > 0) {
        append_line(out, depth);
    }
    buffer_append_char(out, is_map ? '}' : ']');
}

static void append_node(const manifest_t *node, unsigned depth, struct buffer *out) {
    switch (manifest_kind(node)) {
    case MANIFEST_MAP:
    case MANIFEST_LIST:
        append_members(node, depth, out);
        return;
    case MANIFEST_TEXT:
        buffer_append_json_string(out, span_of_text(manifest_text_of(node)));
        return;
    case MANIFEST_NUMBER:
        buffer_append_text(out, manifest_text_of(node));
        return;
    case MANIFEST_INT:
        buffer_append_i64_decimal(out, manifest_int_of(node));
        return;
    case MANIFEST_BOOL:
        buffer_append_text(out, manifest_bool_of(node) ? "true" : "false");
        return;
    case MANIFEST_NULL:
        buffer_append_text(out, "null");
        return;
    }
}

void manifest_append_json(const manifest_t *node, struct buffer *out) {
    append_node(node, 0, out);
    buffer_append_char(out, '\n');
}

void manifests_append_json(const manifests_t *self, struct buffer *out) {
    buffer_append_text(out, "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [");
    for (size_t i = 0; i < manifests_count(self); i++) {
        buffer_append_text(out, i == 0 ? "" : ",");
        append_line(out, 2);
        append_node(manifests_at(self, i), 2, out);
    }
    buffer_append_text(out, manifests_count(self) == 0 ? "]\n}\n" : "\n  ]\n}\n");
}
