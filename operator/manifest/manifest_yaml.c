/* A tree as YAML by libyaml's emitter: it knows what must be escaped. What it does not know is what other readers take
 * a plain scalar for, so the style is chosen here (yaml_plain.h).
 *
 * Failure modes: none but a bug of ours (a text that is not UTF-8), which aborts; the buffer grows without a bound. */
#include "operator/manifest/manifest_emit.h"

#include "base/check.h"
#include "operator/yaml_plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <yaml.h>

static int write_bytes(void *context, unsigned char *bytes, size_t size) {
    buffer_append(context, bytes, size);
    return 1;
}

static void emit(yaml_emitter_t *emitter, yaml_event_t *event, int is_made) {
    check(is_made && yaml_emitter_emit(emitter, event), "libyaml: %s",
          emitter->problem == NULL ? "no memory" : emitter->problem);
}

static yaml_scalar_style_t style_of(const char *text) {
    if (strchr(text, '\n') != NULL) {
        return YAML_LITERAL_SCALAR_STYLE;
    }
    return yaml_plain_of(span_of_text(text)) == YAML_PLAIN_TEXT ? YAML_ANY_SCALAR_STYLE
                                                                : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
}

static void emit_scalar(yaml_emitter_t *emitter, const char *text, yaml_scalar_style_t style) {
    yaml_event_t event;
    int is_made =
        yaml_scalar_event_initialize(&event, NULL, NULL, (const yaml_char_t *) text, (int) strlen(text), 1, 1, style);
    emit(emitter, &event, is_made);
}

static void emit_node(yaml_emitter_t *emitter, const manifest_t *node);

static void emit_map(yaml_emitter_t *emitter, const manifest_t *map) {
    yaml_event_t event;
    yaml_mapping_style_t style = manifest_count(map) == 0 ? YAML_FLOW_MAPPING_STYLE : YAML_BLOCK_MAPPING_STYLE;
    emit(emitter, &event, yaml_mapping_start_event_initialize(&event, NULL, NULL, 1, style));
    for (size_t i = 0; i < manifest_count(map); i++) {
        emit_scalar(emitter, manifest_key_at(map, i), style_of(manifest_key_at(map, i)));
        emit_node(emitter, manifest_at(map, i));
    }
    emit(emitter, &event, yaml_mapping_end_event_initialize(&event));
}

static void emit_list(yaml_emitter_t *emitter, const manifest_t *list) {
    yaml_event_t event;
    yaml_sequence_style_t style = manifest_count(list) == 0 ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE;
    emit(emitter, &event, yaml_sequence_start_event_initialize(&event, NULL, NULL, 1, style));
    for (size_t i = 0; i < manifest_count(list); i++) {
        emit_node(emitter, manifest_at(list, i));
    }
    emit(emitter, &event, yaml_sequence_end_event_initialize(&event));
}

static void emit_node(yaml_emitter_t *emitter, const manifest_t *node) {
    char number[32];
    switch (manifest_kind(node)) {
    case MANIFEST_MAP:
        emit_map(emitter, node);
        return;
    case MANIFEST_LIST:
        emit_list(emitter, node);
        return;
    case MANIFEST_TEXT:
        emit_scalar(emitter, manifest_text_of(node), style_of(manifest_text_of(node)));
        return;
    case MANIFEST_NUMBER:
        emit_scalar(emitter, manifest_text_of(node), YAML_PLAIN_SCALAR_STYLE);
        return;
    case MANIFEST_INT:
        snprintf(number, sizeof number, "%" PRId64, manifest_int_of(node));
        emit_scalar(emitter, number, YAML_PLAIN_SCALAR_STYLE);
        return;
    case MANIFEST_BOOL:
        emit_scalar(emitter, manifest_bool_of(node) ? "true" : "false", YAML_PLAIN_SCALAR_STYLE);
        return;
    case MANIFEST_NULL:
        emit_scalar(emitter, "null", YAML_PLAIN_SCALAR_STYLE);
        return;
    }
}

void manifest_append_yaml(const manifest_t *node, struct buffer *out) {
    yaml_emitter_t emitter;
    yaml_event_t event;
    check(yaml_emitter_initialize(&emitter), "libyaml has no memory");
    yaml_emitter_set_output(&emitter, write_bytes, out);
    yaml_emitter_set_encoding(&emitter, YAML_UTF8_ENCODING);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1);
    yaml_emitter_set_break(&emitter, YAML_LN_BREAK);
    emit(&emitter, &event, yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING));
    emit(&emitter, &event, yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1));
    emit_node(&emitter, node);
    emit(&emitter, &event, yaml_document_end_event_initialize(&event, 1));
    emit(&emitter, &event, yaml_stream_end_event_initialize(&event));
    yaml_emitter_delete(&emitter);
}

void manifests_append_yaml(const manifests_t *self, struct buffer *out) {
    for (size_t i = 0; i < manifests_count(self); i++) {
        buffer_append_text(out, "---\n");
        manifest_append_yaml(manifests_at(self, i), out);
    }
}
