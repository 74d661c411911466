/* Memory that goes away all at once: what one spec, one set of diagnostics or one set of manifests is made of has one
 * owner, so nobody below it frees anything. Aborts when memory is out (base/memory.h). Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_ARENA_H
#define CALLBOARD_OPERATOR_ARENA_H

#include "base/bytes.h"

typedef struct arena arena_t;

arena_t *arena_new(void);
void arena_destroy(arena_t **self_p);

void *arena_alloc(arena_t *self, size_t size) __attribute__((returns_nonnull)); /* zeroed, aligned for anything */
/* A block of `size` bytes that begins as `block` did, which had `old_size` (NULL: 0); for arrays that grow. */
void *arena_grow(arena_t *self, void *block, size_t old_size, size_t size) __attribute__((returns_nonnull));
char *arena_text(arena_t *self, const char *text) __attribute__((returns_nonnull));
char *arena_text_of(arena_t *self, struct span text) __attribute__((returns_nonnull)); /* NUL-terminated */
char *arena_format(arena_t *self, const char *format, ...) __attribute__((format(printf, 2, 3), returns_nonnull));
size_t arena_bytes(const arena_t *self); /* held, for the bench */

#endif
