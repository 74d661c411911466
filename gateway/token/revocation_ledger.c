/* A hash table by kind and name. Every operation but take walks it whole, which is thousands of entries twice a second
 * at most.
 *
 * Failure modes: a line that is no revocation is passed over (LEDGER_BAD): gateways of another version may write some
 * that this one does not know. */
#include "gateway/token/revocation_ledger.h"

#include "base/memory.h"

#define uthash_malloc(size)      memory_alloc(size)
#define uthash_free(block, size) memory_free(block)
#include <uthash.h>

struct entry {
    UT_hash_handle by_key;
    uint64_t offset; /* 0: the stream has it not, as far as is known */
    int64_t not_before_s;
    int64_t until_s;
    size_t key_size;
    uint8_t key[]; /* 'u' or 't', the name */
};

enum { KIND_USER = 'u', KIND_TOKEN = 't' };

struct revocation_ledger {
    struct entry *entries;
    struct buffer key; /* scratch: kind and name */
};

revocation_ledger_t *revocation_ledger_new(void) {
    return memory_alloc_zero(sizeof(revocation_ledger_t));
}

static void drop(revocation_ledger_t *self, struct entry *entry) {
    HASH_DELETE(by_key, self->entries, entry);
    memory_free(entry);
}

void revocation_ledger_destroy(revocation_ledger_t **self_p) {
    revocation_ledger_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (struct entry *entry = self->entries, *next; entry != NULL; entry = next) {
        next = entry->by_key.next;
        drop(self, entry);
    }
    buffer_finish(&self->key);
    memory_free(self);
}

/* Its key stands in self->key. */
static struct entry *find_or_add(revocation_ledger_t *self) {
    struct entry *entry;
    HASH_FIND(by_key, self->entries, self->key.data, self->key.size, entry);
    if (entry == NULL) {
        entry = memory_alloc_zero(sizeof *entry + self->key.size);
        entry->not_before_s = -1;
        entry->key_size = self->key.size;
        memcpy(entry->key, self->key.data, self->key.size);
        HASH_ADD_KEYPTR(by_key, self->entries, entry->key, entry->key_size, entry);
    }
    return entry;
}

enum ledger_outcome revocation_ledger_take(revocation_ledger_t *self, struct span line, uint64_t offset,
                                           int64_t now_s) {
    struct revocation read;
    buffer_clear(&self->key);
    buffer_reserve(&self->key, line.size + 1);
    buffer_append_u8(&self->key, KIND_USER);
    if (revocation_read(line, &self->key, &read) != NULL) {
        return LEDGER_BAD;
    }
    if (read.until_s <= now_s) {
        return LEDGER_KNOWN;
    }
    self->key.data[0] = read.is_user ? KIND_USER : KIND_TOKEN;
    struct entry *entry = find_or_add(self);
    bool is_covered = read.not_before_s <= entry->not_before_s && read.until_s <= entry->until_s;
    bool covers = read.not_before_s >= entry->not_before_s && read.until_s >= entry->until_s;
    bool is_news = read.not_before_s > entry->not_before_s;
    if (!is_covered) {
        entry->not_before_s = is_news ? read.not_before_s : entry->not_before_s;
        entry->until_s = read.until_s > entry->until_s ? read.until_s : entry->until_s;
    }
    if (covers && offset > entry->offset) {
        entry->offset = offset; /* what stands there says all that is held */
    } else if (!covers && !is_covered) {
        entry->offset = 0; /* nothing in the stream does */
    }
    return is_news ? LEDGER_NEW : LEDGER_KNOWN;
}

size_t revocation_ledger_expire(revocation_ledger_t *self, int64_t now_s) {
    size_t n = 0;
    for (struct entry *entry = self->entries, *next; entry != NULL; entry = next) {
        next = entry->by_key.next;
        if (entry->until_s <= now_s) {
            drop(self, entry);
            n++;
        }
    }
    return n;
}

size_t revocation_ledger_count(const revocation_ledger_t *self) {
    return HASH_CNT(by_key, self->entries);
}

void revocation_ledger_forget_offsets(revocation_ledger_t *self) {
    for (struct entry *entry = self->entries; entry != NULL; entry = entry->by_key.next) {
        entry->offset = 0;
    }
}

static void append(const struct entry *entry, struct buffer *out) {
    const struct revocation revocation = {
        .is_user = entry->key[0] == KIND_USER,
        .name = span_of(entry->key + 1, entry->key_size - 1),
        .not_before_s = entry->not_before_s,
        .until_s = entry->until_s,
    };
    revocation_append(out, &revocation);
}

bool revocation_ledger_find_below(const revocation_ledger_t *self, uint64_t offset, struct buffer *out) {
    for (const struct entry *entry = self->entries; entry != NULL; entry = entry->by_key.next) {
        if (entry->offset < offset) {
            append(entry, out);
            return true;
        }
    }
    return false;
}

void revocation_ledger_write(const revocation_ledger_t *self, struct buffer *out) {
    for (const struct entry *entry = self->entries; entry != NULL; entry = entry->by_key.next) {
        append(entry, out);
        buffer_append_char(out, '\n');
    }
}
