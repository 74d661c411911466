/* See model_store.h. Hashes and streams of a schedule are small: arrays. */
#include "tests/simulation/model_store.h"

#include "base/memory.h"

struct span model_bytes(struct span bytes) {
    return span_of(memory_strndup(bytes.size == 0 ? "" : (const char *) bytes.data, bytes.size), bytes.size);
}

static void free_bytes(struct span bytes) {
    memory_free((void *) (uintptr_t) bytes.data);
}

static void free_field(struct model_field *field) {
    free_bytes(field->name);
    free_bytes(field->value);
}

static void free_entry(struct model_entry *entry) {
    for (uint32_t i = 0; i < entry->n; i++) {
        free_field(&entry->fields[i]);
    }
    memory_free(entry->fields);
}

struct model_key *model_store_find(const struct model_store *self, struct span name) {
    struct model_key *key = NULL;
    HASH_FIND(by_name, self->keys, name.data, name.size, key);
    return key;
}

struct model_key *model_store_make(struct model_store *self, struct span name, enum model_type type) {
    struct model_key *key = memory_alloc_zero(sizeof *key + name.size + 1);
    key->type = type;
    key->name_size = name.size;
    memcpy(key->name, name.data, name.size);
    HASH_ADD(by_name, self->keys, name[0], key->name_size, key);
    return key;
}

void model_store_delete(struct model_store *self, struct model_key *key) {
    HASH_DELETE(by_name, self->keys, key);
    if (key->type == MODEL_STREAM) {
        for (size_t i = 0; i < key->n; i++) {
            free_entry(&key->entries[i]);
        }
    } else {
        for (size_t i = 0; i < key->n; i++) {
            free_field(&key->fields[i]);
        }
    }
    free_bytes(key->text);
    memory_free(key->fields);
    memory_free(key->entries);
    memory_free(key);
}

void model_store_clear(struct model_store *self) {
    struct model_key *key = NULL;
    struct model_key *next = NULL;
    HASH_ITER(by_name, self->keys, key, next) {
        model_store_delete(self, key);
    }
}

void model_store_copy_key(struct model_store *to, const struct model_key *key) {
    struct model_key *copy = model_store_make(to, span_of(key->name, key->name_size), key->type);
    copy->expires_ms = key->expires_ms;
    if (key->type == MODEL_STRING) {
        copy->text = model_bytes(key->text);
    }
    for (size_t i = 0; i < key->n; i++) {
        if (key->type == MODEL_STREAM) {
            const struct model_entry *entry = &key->entries[i];
            model_entry_append(copy, entry->ms, entry->seq, entry->fields, entry->n);
        } else {
            model_field_set(copy, key->fields[i].name, key->fields[i].value);
        }
    }
    copy->last = key->last;
}

void model_store_copy(struct model_store *to, const struct model_store *from) {
    for (const struct model_key *key = from->keys; key != NULL; key = key->by_name.next) {
        model_store_copy_key(to, key);
    }
}

void model_set_text(struct model_key *key, struct span text) {
    struct span copy = model_bytes(text);
    free_bytes(key->text);
    key->text = copy;
}

struct model_field *model_field_find(const struct model_key *key, struct span name) {
    for (size_t i = 0; i < key->n; i++) {
        if (span_equal(key->fields[i].name, name)) {
            return &key->fields[i];
        }
    }
    return NULL;
}

bool model_field_set(struct model_key *key, struct span name, struct span value) {
    struct model_field *field = model_field_find(key, name);
    struct span copy = model_bytes(value);
    if (field != NULL) {
        free_bytes(field->value);
        field->value = copy;
        return false;
    }
    if (key->n == key->capacity) {
        key->capacity = key->capacity == 0 ? 4 : key->capacity * 2;
        key->fields = memory_realloc(key->fields, key->capacity * sizeof *key->fields);
    }
    key->fields[key->n++] = (struct model_field){model_bytes(name), copy};
    return true;
}

bool model_field_delete(struct model_key *key, struct span name) {
    struct model_field *field = model_field_find(key, name);
    if (field == NULL) {
        return false;
    }
    free_field(field);
    size_t at = (size_t) (field - key->fields);
    memmove(field, field + 1, (key->n - at - 1) * sizeof *field);
    key->n--;
    return true;
}

void model_entry_append(struct model_key *key, uint64_t ms, uint64_t seq, const struct model_field *fields,
                        uint32_t n) {
    if (key->n == key->capacity) {
        key->capacity = key->capacity == 0 ? 8 : key->capacity * 2;
        key->entries = memory_realloc(key->entries, key->capacity * sizeof *key->entries);
    }
    struct model_entry *entry = &key->entries[key->n++];
    *entry = (struct model_entry){ms, seq, n, memory_alloc_array(n + 1, sizeof *fields)};
    for (uint32_t i = 0; i < n; i++) {
        entry->fields[i] = (struct model_field){model_bytes(fields[i].name), model_bytes(fields[i].value)};
    }
    key->last = (struct model_entry){.ms = ms, .seq = seq};
}

void model_entries_trim(struct model_key *key, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free_entry(&key->entries[i]);
    }
    key->n -= count;
    memmove(key->entries, key->entries + count, key->n * sizeof *key->entries);
}
