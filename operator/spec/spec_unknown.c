/* Which field may have been meant. Once so many diagnostics are there that no more are kept, nothing is compared: a
 * file full of unknown keys takes no longer than it must. */
#include "operator/spec/spec_unknown.h"

#include "base/config_nearest.h"

const struct spec_field *spec_level_field(const struct spec_level *level, struct span path) {
    for (size_t i = 0; i < level->n; i++) {
        for (size_t k = 0; k < level->tables[i]->n; k++) {
            if (span_equal_text(path, level->tables[i]->fields[k].path)) {
                return &level->tables[i]->fields[k];
            }
        }
    }
    return NULL;
}

/* Does `own` go on behind `path` and a dot? */
static bool goes_on(struct span own, struct span path) {
    return own.size > path.size && own.data[path.size] == '.' && span_starts_with(own, path);
}

bool spec_level_is_section(const struct spec_level *level, struct span path) {
    for (size_t i = 0; i < level->n; i++) {
        for (size_t k = 0; k < level->tables[i]->n; k++) {
            if (goes_on(span_of_text(level->tables[i]->fields[k].path), path)) {
                return true;
            }
        }
    }
    return false;
}

/* What stands before the last dot, and behind it. */
static struct span parent_of(struct span path) {
    const uint8_t *dot = path.size == 0 ? NULL : memrchr(path.data, '.', path.size);
    return span_of(path.data, dot == NULL ? 0 : (size_t) (dot - path.data));
}

static struct span leaf_of(struct span path) {
    struct span parent = parent_of(path);
    size_t begin = parent.size == 0 ? 0 : parent.size + 1;
    return begin <= path.size && (parent.size > 0 || path.size == 0 || path.data[0] != '.')
               ? span_of(path.data + begin, path.size - begin)
               : path;
}

/* Of the field's path the part that stands beside the unknown one; empty: it stands elsewhere. */
static struct span name_beside(struct span own, struct span parent) {
    if (parent.size > 0) {
        if (!goes_on(own, parent)) {
            return SPAN_EMPTY;
        }
        own = span_of(own.data + parent.size + 1, own.size - parent.size - 1);
    }
    const uint8_t *dot = memchr(own.data, '.', own.size);
    return dot == NULL ? own : span_of(own.data, (size_t) (dot - own.data));
}

static struct span nearest_beside(const struct spec_level *level, struct span path) {
    struct span parent = parent_of(path);
    struct config_nearest nearest = config_nearest_to(leaf_of(path));
    for (size_t i = 0; i < level->n; i++) {
        for (size_t k = 0; k < level->tables[i]->n; k++) {
            struct span beside = name_beside(span_of_text(level->tables[i]->fields[k].path), parent);
            if (beside.size > 0) {
                config_nearest_consider(&nearest, beside);
            }
        }
    }
    return nearest.best;
}

/* A field elsewhere whose path ends with this name; NULL: none. */
static const char *same_elsewhere(const struct spec_level *level, struct span path) {
    struct span leaf = leaf_of(path);
    for (size_t i = 0; i < level->n; i++) {
        for (size_t k = 0; k < level->tables[i]->n; k++) {
            const char *own = level->tables[i]->fields[k].path;
            if (span_equal(leaf_of(span_of_text(own)), leaf)) {
                return own;
            }
        }
    }
    return NULL;
}

void spec_tell_unknown(struct diagnostics *diagnostics, const struct spec_level *level, struct source_place place,
                       struct span path, const char *shown) {
    diagnostics_add(diagnostics, DIAGNOSTIC_UNKNOWN_FIELD, place, shown, "there is no such field");
    if (diagnostics->n_dropped > 0) {
        return;
    }
    struct span near = nearest_beside(level, path);
    const char *elsewhere = same_elsewhere(level, path);
    if (near.size > 0) {
        diagnostics_mend(diagnostics, "did you mean %.*s?", (int) near.size, (const char *) near.data);
    } else if (elsewhere != NULL) {
        diagnostics_mend(diagnostics, "did you mean %s?", elsewhere);
    }
}
