/* Allocation. The plain functions abort when memory is out: everything a peer can make us allocate was charged
 * to a quota first, so a failed small malloc means the process is better restarted. Large, peer-sized blocks go
 * through memory_try_alloc, which may refuse and is failed in turn by the fault tests.
 * Thread: any. */
#ifndef CALLBOARD_BASE_MEMORY_H
#define CALLBOARD_BASE_MEMORY_H

#include <stddef.h>

void *memory_alloc(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
void *memory_alloc_zero(size_t size) __attribute__((malloc, alloc_size(1), returns_nonnull));
/* Array of count members, zeroed; the product is checked. */
void *memory_alloc_array(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2), returns_nonnull));
void *memory_realloc(void *block, size_t size) __attribute__((returns_nonnull, alloc_size(2)));
/* NULL when refused. */
void *memory_try_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *memory_try_realloc(void *block, size_t size) __attribute__((alloc_size(2)));
char *memory_strdup(const char *text) __attribute__((malloc, returns_nonnull));
/* NUL-terminated copy of size bytes. */
char *memory_strndup(const void *bytes, size_t size) __attribute__((malloc, returns_nonnull));
void memory_free(void *block); /* accepts NULL */
/* For auto_destroy on a char * or void *: frees *block_p and nulls it. */
void memory_free_text(char **text_p);

/* Fault tests: the n-th try_ allocation from now on fails (1 = the next); 0 switches it off. */
void memory_fail_nth_try(unsigned long n);

#endif
