/* The keys of a simulated Redis: strings, hashes, sets and streams, with expiry in wall-clock milliseconds. Values own
 * their bytes; a store is copied whole for a replica or a restart. */
#ifndef CALLBOARD_TESTS_SIMULATION_MODEL_STORE_H
#define CALLBOARD_TESTS_SIMULATION_MODEL_STORE_H

#include "base/bytes.h"

#include <uthash.h>

enum model_type { MODEL_STRING, MODEL_HASH, MODEL_SET, MODEL_STREAM };

struct model_field {
    struct span name;
    struct span value;
};

struct model_entry {
    uint64_t ms;
    uint64_t seq;
    uint32_t n; /* fields */
    struct model_field *fields;
};

struct model_key {
    UT_hash_handle by_name;
    enum model_type type;
    int64_t expires_ms; /* 0: never */
    struct span text;   /* string */
    struct model_field *fields;
    struct model_entry *entries;
    size_t n; /* fields, entries */
    size_t capacity;
    struct model_entry last; /* stream: the highest id ever, n 0 */
    size_t name_size;
    char name[];
};

struct model_store {
    struct model_key *keys;
};

struct model_key *model_store_find(const struct model_store *self, struct span name);
struct model_key *model_store_make(struct model_store *self, struct span name, enum model_type type);
void model_store_delete(struct model_store *self, struct model_key *key);
void model_store_clear(struct model_store *self);
/* It is not there yet. */
void model_store_copy_key(struct model_store *to, const struct model_key *key);
/* `to` is empty. */
void model_store_copy(struct model_store *to, const struct model_store *from);

struct span model_bytes(struct span bytes); /* a copy, owned */
void model_set_text(struct model_key *key, struct span text);
struct model_field *model_field_find(const struct model_key *key, struct span name);
/* True: it is new. */
bool model_field_set(struct model_key *key, struct span name, struct span value);
bool model_field_delete(struct model_key *key, struct span name);
void model_entry_append(struct model_key *key, uint64_t ms, uint64_t seq, const struct model_field *fields, uint32_t n);
/* Drops the first `count` entries. */
void model_entries_trim(struct model_key *key, size_t count);

#endif
