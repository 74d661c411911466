/* The sections in one list, and looking a path up in them. Some two hundred rows: a look goes over all of them. */
#include "operator/spec/spec_table.h"

#include "base/check.h"

static const struct spec_fields *const sections[] = {
    &spec_fields_top,      &spec_fields_gateway,   &spec_fields_edge,
    &spec_fields_broker,   &spec_fields_redis,     &spec_fields_redis_external,
    &spec_fields_security, &spec_fields_placement, &spec_fields_operations,
};
enum { N_SECTIONS = sizeof sections / sizeof sections[0] };

const struct spec_fields *const *spec_sections(size_t *ret_n) {
    *ret_n = N_SECTIONS;
    return sections;
}

/* The rest of the path behind this field's own, without "[2]" and the dot; false: another path. */
static bool strip(struct span path, const char *own, struct span *ret_rest) {
    struct span begin = span_of_text(own);
    if (!span_starts_with(path, begin)) {
        return false;
    }
    struct span rest = span_of(path.data + begin.size, path.size - begin.size);
    if (rest.size > 0 && rest.data[0] == '[') {
        const uint8_t *end = memchr(rest.data, ']', rest.size);
        if (end == NULL) {
            return false;
        }
        size_t size = (size_t) (end + 1 - rest.data);
        rest = span_of(rest.data + size, rest.size - size);
    }
    if (rest.size > 0 && rest.data[0] != '.') {
        return false;
    }
    *ret_rest = rest.size == 0 ? rest : span_of(rest.data + 1, rest.size - 1);
    return true;
}

static const struct spec_field *find_in(const struct spec_fields *fields, struct span path) {
    for (size_t i = 0; i < fields->n; i++) {
        const struct spec_field *field = &fields->fields[i];
        struct span rest;
        if (!strip(path, field->path, &rest)) {
            continue;
        }
        if (rest.size == 0) {
            return field;
        }
        const struct spec_field *inner = field->items == NULL ? NULL : find_in(field->items, rest);
        if (inner != NULL) {
            return inner;
        }
    }
    return NULL;
}

const struct spec_field *spec_find_field(struct span path) {
    struct span rest;
    if (strip(path, "metadata", &rest)) {
        return find_in(&spec_fields_metadata, rest);
    }
    if (strip(path, "spec", &rest)) {
        path = rest;
    }
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const struct spec_field *field = find_in(sections[i], path);
        if (field != NULL) {
            return field;
        }
    }
    return NULL;
}

static bool is_below(const struct spec_fields *fields, struct span path) {
    for (size_t i = 0; i < fields->n; i++) {
        struct span own = span_of_text(fields->fields[i].path);
        if (path.size < own.size && own.data[path.size] == '.' && span_starts_with(own, path)) {
            return true;
        }
    }
    return false;
}

bool spec_is_section(struct span path) {
    for (size_t i = 0; i < N_SECTIONS; i++) {
        if (is_below(sections[i], path)) {
            return true;
        }
    }
    return false;
}

const char *spec_type_name(enum spec_type type) {
    switch (type) {
    case SPEC_BOOL:
        return "true or false";
    case SPEC_COUNT:
        return "a whole number";
    case SPEC_MEMORY:
        return "an amount of memory (512Mi, 4Gi)";
    case SPEC_CPU:
        return "an amount of CPU (500m, 2)";
    case SPEC_DURATION:
        return "a duration (500ms, 10s, 5m, 24h, 30d)";
    case SPEC_TEXT:
        return "a text";
    case SPEC_CHOICE:
        return "one of some words";
    case SPEC_TEXT_LIST:
        return "a list of texts";
    case SPEC_PAIRS:
        return "a map of texts";
    case SPEC_ITEM_LIST:
        return "a list of maps";
    case SPEC_RAW_MAP:
        return "a map";
    case SPEC_RAW_LIST:
        return "a list";
    }
    unreachable("a type %d", (int) type);
}

const char *spec_effect_name(enum spec_effect effect) {
    switch (effect) {
    case SPEC_EFFECT_NOTHING:
        return "nothing that runs";
    case SPEC_EFFECT_HOT:
        return "hot: no pod is replaced";
    case SPEC_EFFECT_ROLLS:
        return "rolls: pods are replaced one after the other";
    case SPEC_EFFECT_RECREATE:
        return "re-create: an object has to be deleted and made anew";
    case SPEC_EFFECT_DATA:
        return "data at risk: what Redis holds may not be found any more";
    }
    unreachable("an effect %d", (int) effect);
}

const char *spec_profile_name(int profile) {
    return spec_fields_top.fields[0].choices[profile];
}

const char *spec_default_of(const struct spec_field *field, int profile) {
    const char *own = field->by_profile[profile];
    return own != NULL ? own : field->by_default;
}
