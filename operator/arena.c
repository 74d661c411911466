/* Blocks of 16 KiB, cut from the front; what is larger than a quarter of one gets a block of its own, behind the one
 * that is being cut. */
#include "operator/arena.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>

enum { BLOCK_BYTES = 16 * 1024, OWN_BLOCK_BYTES = BLOCK_BYTES / 4, ALIGNMENT = _Alignof(max_align_t) };

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *current; /* is cut from; NULL at first */
    size_t bytes;
};

arena_t *arena_new(void) {
    return memory_alloc_zero(sizeof(arena_t));
}

void arena_destroy(arena_t **self_p) {
    arena_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    *self_p = NULL;
    for (struct block *block = self->current; block != NULL;) {
        struct block *next = block->next;
        memory_free(block);
        block = next;
    }
    memory_free(self);
}

static struct block *new_block(arena_t *self, size_t size) {
    struct block *block = memory_alloc_zero(sizeof *block + size);
    block->size = size;
    self->bytes += sizeof *block + size;
    return block;
}

void *arena_alloc(arena_t *self, size_t size) {
    check(size <= SIZE_MAX / 2, "an allocation of %zu bytes", size);
    size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *current = self->current;
    if (current != NULL && current->size - current->used >= rounded) {
        void *memory = current->bytes + current->used;
        current->used += rounded;
        return memory;
    }
    bool has_own = rounded > OWN_BLOCK_BYTES;
    struct block *block = new_block(self, has_own ? rounded : BLOCK_BYTES);
    block->used = rounded;
    if (has_own && current != NULL) {
        block->next = current->next;
        current->next = block;
    } else {
        block->next = current;
        self->current = block;
    }
    return block->bytes;
}

void *arena_grow(arena_t *self, void *block, size_t old_size, size_t size) {
    check(size >= old_size, "grows from %zu to %zu bytes", old_size, size);
    void *grown = arena_alloc(self, size);
    if (old_size > 0) {
        memcpy(grown, block, old_size);
    }
    return grown;
}

char *arena_text_of(arena_t *self, struct span text) {
    char *copy = arena_alloc(self, text.size + 1);
    if (text.size > 0) {
        memcpy(copy, text.data, text.size);
    }
    return copy;
}

char *arena_text(arena_t *self, const char *text) {
    return arena_text_of(self, span_of_text(text));
}

char *arena_format(arena_t *self, const char *format, ...) {
    va_list values;
    va_start(values, format);
    va_list again;
    va_copy(again, values);
    int size = vsnprintf(NULL, 0, format, again);
    va_end(again);
    check(size >= 0, "the format %s", format);
    char *text = arena_alloc(self, (size_t) size + 1);
    vsnprintf(text, (size_t) size + 1, format, values);
    va_end(values);
    return text;
}

size_t arena_bytes(const arena_t *self) {
    return self->bytes;
}
