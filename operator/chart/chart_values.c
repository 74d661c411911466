/* A spec's fields as a nested tree: dotted paths become maps in maps. Only what was set stands in it, so that a person
 * sees at a glance what differs from the defaults, and a newer chart's defaults count. */
#include "operator/chart/chart_values.h"

#include "operator/chart/chart_fields.h"
#include "operator/spec/spec_values.h"

/* ---- one value, from the struct ---- */

static const void *member_of(const struct spec_field *field, const void *target) {
    return (const uint8_t *) target + field->offset;
}

static manifest_t *amount_of(arena_t *arena, enum spec_type type, int64_t value) {
    struct buffer text = BUFFER_EMPTY;
    spec_append_amount(&text, type, value);
    manifest_t *node = manifest_text(arena, arena_text_of(arena, buffer_span(&text)));
    buffer_finish(&text);
    return node;
}

static manifest_t *texts_of(arena_t *arena, const struct spec_texts *texts) {
    manifest_t *list = manifest_list(arena);
    for (size_t i = 0; i < texts->n; i++) {
        manifest_append_text(list, texts->items[i]);
    }
    return list;
}

static manifest_t *pairs_of(arena_t *arena, const struct spec_pairs *pairs) {
    manifest_t *map = manifest_map(arena);
    for (size_t i = 0; i < pairs->n; i++) {
        manifest_set_text(map, pairs->items[i].name, pairs->items[i].value);
    }
    return map;
}

/* Of an item nobody noted what was set: nothing, none and 0 say the same as no key at all. */
static bool is_nothing(const manifest_t *value) {
    switch (manifest_kind(value)) {
    case MANIFEST_MAP:
    case MANIFEST_LIST:
        return manifest_count(value) == 0;
    case MANIFEST_TEXT:
        return manifest_text_of(value)[0] == '\0';
    case MANIFEST_INT:
        return manifest_int_of(value) == 0;
    case MANIFEST_BOOL:
        return !manifest_bool_of(value);
    case MANIFEST_NULL:
    case MANIFEST_NUMBER:
        return false;
    }
    return false;
}

static manifest_t *value_of(arena_t *arena, const struct spec_field *field, const void *target);

static manifest_t *items_of(arena_t *arena, const struct spec_field *field, const struct spec_items *items) {
    manifest_t *list = manifest_list(arena);
    for (size_t i = 0; i < items->n; i++) {
        const uint8_t *item = (const uint8_t *) items->items + i * field->items->item_size;
        manifest_t *map = manifest_append_map(list);
        for (size_t k = 0; k < field->items->n; k++) {
            const struct spec_field *own = &field->items->fields[k];
            manifest_t *value = value_of(arena, own, item);
            if (own->is_required || !is_nothing(value)) {
                chart_set_at(map, own->path, value);
            }
        }
    }
    return list;
}

static manifest_t *value_of(arena_t *arena, const struct spec_field *field, const void *target) {
    const void *member = member_of(field, target);
    switch (field->type) {
    case SPEC_BOOL:
        return manifest_bool(arena, *(const bool *) member);
    case SPEC_COUNT:
        return manifest_int(arena, *(const int64_t *) member);
    case SPEC_MEMORY:
    case SPEC_CPU:
    case SPEC_DURATION:
        return amount_of(arena, field->type, *(const int64_t *) member);
    case SPEC_TEXT:
        return manifest_text(arena, *(const char *const *) member);
    case SPEC_CHOICE:
        return manifest_text(arena, field->choices[*(const int *) member]);
    case SPEC_TEXT_LIST:
        return texts_of(arena, member);
    case SPEC_PAIRS:
        return pairs_of(arena, member);
    case SPEC_ITEM_LIST:
        return items_of(arena, field, member);
    case SPEC_RAW_MAP:
    case SPEC_RAW_LIST:
        break;
    }
    spec_raw_t raw = *(const spec_raw_t *) member;
    manifest_t *none = field->type == SPEC_RAW_MAP ? manifest_map(arena) : manifest_list(arena);
    return raw == NULL ? none : manifest_of_yaml(arena, raw);
}

/* ---- all of a spec ---- */

/* A namespace is the release's; the version of Kubernetes a chart asks the cluster for, and a spec cannot. */
static bool is_wanted(const spec_document_t *document, const char *path) {
    if (strcmp(path, "metadata.namespace") == 0) {
        return false;
    }
    return strcmp(path, "kubernetes.version") == 0 || spec_is_set(document, path);
}

static void add_fields(const spec_document_t *document, const struct spec_fields *fields, const char *prefix,
                       manifest_t *values) {
    for (size_t i = 0; i < fields->n; i++) {
        const struct spec_field *field = &fields->fields[i];
        const char *path = arena_format(document->arena, "%s%s", prefix, field->path);
        if (is_wanted(document, path)) {
            chart_set_at(values, path, value_of(document->arena, field, &document->spec));
        }
    }
}

manifest_t *chart_values_of(const spec_document_t *document) {
    size_t n;
    const struct spec_fields *const *sections = spec_sections(&n);
    manifest_t *values = manifest_map(document->arena);
    add_fields(document, &spec_fields_metadata, "metadata.", values);
    for (size_t i = 0; i < n; i++) {
        add_fields(document, sections[i], "", values);
    }
    return values;
}
