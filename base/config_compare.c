/* What a reload changes, and whether two processes are set alike. Both look at values, not at the text they came from:
 * 60s and 1m are the same. Secrets are compared, but never hashed. */
#include "base/check.h"
#include "base/config_reader.h"
#include "base/config_values.h"

#include <string.h>
#include <xxhash.h>

static bool is_equal(const struct config_key *key, const void *a, const void *b);
static uint64_t hash_values(const struct config_table *table, const void *target, uint64_t seed);

static const void *const_field_of(const struct config_key *key, const void *target) {
    return (const uint8_t *) target + key->offset;
}

static bool text_lists_are_equal(const struct config_text_list *a, const struct config_text_list *b) {
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->texts[i], b->texts[i]) != 0) {
            return false;
        }
    }
    return true;
}

static bool sections_are_equal(const struct config_table *table, const struct config_section_list *a,
                               const struct config_section_list *b) {
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        for (size_t k = 0; k < table->n_keys; k++) {
            if (!is_equal(&table->keys[k], (const uint8_t *) a->items + i * table->struct_size,
                          (const uint8_t *) b->items + i * table->struct_size)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_equal(const struct config_key *key, const void *a, const void *b) {
    const void *field_a = const_field_of(key, a);
    const void *field_b = const_field_of(key, b);
    switch (key->type) {
    case CONFIG_BOOL:
        return *(const bool *) field_a == *(const bool *) field_b;
    case CONFIG_INT:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        return *(const int64_t *) field_a == *(const int64_t *) field_b;
    case CONFIG_CHOICE:
        return *(const int *) field_a == *(const int *) field_b;
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return strcmp(*(char *const *) field_a, *(char *const *) field_b) == 0;
    case CONFIG_TEXT_LIST:
        return text_lists_are_equal(field_a, field_b);
    case CONFIG_SECTION_LIST:
        return sections_are_equal(key->section, field_a, field_b);
    }
    unreachable("config type %d", (int) key->type);
}

static uint64_t hash_number(int64_t value, uint64_t seed) {
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t) ((uint64_t) value >> (8 * i));
    }
    return XXH64(bytes, sizeof bytes, seed);
}

static uint64_t hash_text(struct span text, uint64_t seed) {
    return XXH64(text.data, text.size, hash_number((int64_t) text.size, seed));
}

/* Without the password inside, if there is one. */
static uint64_t hash_url(struct span url, uint64_t seed) {
    struct span password = config_url_password(url);
    if (password.size == 0) {
        return hash_text(url, seed);
    }
    size_t before = (size_t) (password.data - url.data);
    seed = hash_text(span_of(url.data, before), seed);
    return hash_text(span_of(password.data + password.size, url.size - before - password.size), seed);
}

static uint64_t hash_text_list(const struct config_text_list *list, uint64_t seed) {
    seed = hash_number((int64_t) list->n, seed);
    for (size_t i = 0; i < list->n; i++) {
        seed = hash_text(span_of_text(list->texts[i]), seed);
    }
    return seed;
}

static uint64_t hash_sections(const struct config_table *table, const struct config_section_list *list, uint64_t seed) {
    seed = hash_number((int64_t) list->n, seed);
    for (size_t i = 0; i < list->n; i++) {
        seed = hash_values(table, (const uint8_t *) list->items + i * table->struct_size, seed);
    }
    return seed;
}

static uint64_t hash_value(const struct config_key *key, const void *target, uint64_t seed) {
    const void *field = const_field_of(key, target);
    seed = hash_text(span_of_text(key->path), seed);
    switch (key->type) {
    case CONFIG_BOOL:
        return hash_number(*(const bool *) field, seed);
    case CONFIG_INT:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        return hash_number(*(const int64_t *) field, seed);
    case CONFIG_CHOICE:
        return hash_number(*(const int *) field, seed);
    case CONFIG_TEXT:
        return hash_url(span_of_text(*(char *const *) field), seed);
    case CONFIG_SECRET:
        return seed;
    case CONFIG_TEXT_LIST:
        return hash_text_list(field, seed);
    case CONFIG_SECTION_LIST:
        return hash_sections(key->section, field, seed);
    }
    unreachable("config type %d", (int) key->type);
}

static uint64_t hash_values(const struct config_table *table, const void *target, uint64_t seed) {
    for (size_t i = 0; i < table->n_keys; i++) {
        seed = hash_value(&table->keys[i], target, seed);
    }
    return seed;
}

uint64_t config_hash(const struct config_part *part) {
    return hash_values(part->table, part->target, 0);
}

static bool has_line(struct span lines, struct span line) {
    while (lines.size > 0) {
        const uint8_t *feed = memchr(lines.data, '\n', lines.size);
        size_t size = (size_t) (feed - lines.data);
        if (span_equal(span_of(lines.data, size), line)) {
            return true;
        }
        lines = span_of(feed + 1, lines.size - size - 1);
    }
    return false;
}

static void compare_part(const struct config_part *old_part, const struct config_part *new_part,
                         struct buffer *ret_need_restart) {
    for (size_t i = 0; i < old_part->table->n_keys; i++) {
        const struct config_key *key = &old_part->table->keys[i];
        struct span path = span_of_text(key->path);
        if ((key->flags & CONFIG_RELOADABLE) == 0 && !is_equal(key, old_part->target, new_part->target) &&
            !has_line(buffer_span(ret_need_restart), path)) {
            buffer_append_span(ret_need_restart, path);
            buffer_append_char(ret_need_restart, '\n');
        }
    }
}

void config_compare(const struct config_part *old_parts, const struct config_part *new_parts, size_t n_parts,
                    struct buffer *ret_need_restart) {
    for (size_t i = 0; i < n_parts; i++) {
        check(old_parts[i].table == new_parts[i].table, "parts in another order");
        compare_part(&old_parts[i], &new_parts[i], ret_need_restart);
    }
}
