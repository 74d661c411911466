/* 64-bit keys to pointers: handles, requests, hashes of channel names. Open addressing with linear probing and backward
 * shift, so lookups are one cache line mostly and a removal leaves no grave. Keys that peers or clients choose cannot
 * be steered into one place: they are multiplied by a random odd number of this table. Thread: the owner's. */
#ifndef CALLBOARD_GATEWAY_KEY_TABLE_H
#define CALLBOARD_GATEWAY_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_slot {
    uint64_t key;
    void *value; /* NULL: free */
};

struct key_table {
    struct key_slot *slots;
    size_t count;
    uint64_t multiplier;
    unsigned bits; /* 2^bits slots; 0: none yet */
};

void key_table_init(struct key_table *self);
void key_table_finish(struct key_table *self);                         /* the values are the caller's */
void *key_table_find(const struct key_table *self, uint64_t key);      /* NULL: not there */
void key_table_put(struct key_table *self, uint64_t key, void *value); /* the key is not there yet; value not NULL */
/* Puts another value in the place of one that is there. */
void key_table_replace(struct key_table *self, uint64_t key, void *value);
void *key_table_take(struct key_table *self, uint64_t key); /* removes; NULL: was not there */
/* Every value: start with *place 0; NULL at the end. Nothing may be put or taken in between. */
void *key_table_each(const struct key_table *self, size_t *place);

#endif
