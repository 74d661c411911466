/* Allocation with one answer each: the plain functions abort when memory is out, the try_ functions say NULL.
 *
 * Failure modes: out of memory in a plain function: check_failed, one log line, abort, and the supervisor starts us
 * anew. Out of memory in a try_ function: the caller refuses the one thing it was for. Fault tests count try_ calls
 * down and refuse the chosen one; the counter is the only state here and idle (0) outside of tests. */
#include "base/memory.h"

#include "base/check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static atomic_ulong tries_left_until_failure;

/* malloc(0) may be NULL by the standard; ours never is. */
static size_t at_least_one(size_t size) {
    return size == 0 ? 1 : size;
}

void *memory_alloc(size_t size) {
    void *block = malloc(at_least_one(size));
    check(block != NULL, "out of memory: %zu bytes", size);
    return block;
}

void *memory_alloc_zero(size_t size) {
    return memory_alloc_array(1, size);
}

void *memory_alloc_array(size_t count, size_t size) {
    void *block = calloc(at_least_one(count), at_least_one(size));
    check(block != NULL, "out of memory: %zu members of %zu bytes", count, size);
    return block;
}

void *memory_realloc(void *block, size_t size) {
    void *moved = realloc(block, at_least_one(size));
    check(moved != NULL, "out of memory: %zu bytes", size);
    return moved;
}

/* Is this try the one a fault test wants refused? */
static bool try_must_fail(void) {
    unsigned long left = atomic_load_explicit(&tries_left_until_failure, memory_order_relaxed);
    while (left != 0) {
        if (atomic_compare_exchange_weak_explicit(&tries_left_until_failure, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return left == 1;
        }
    }
    return false;
}

void *memory_try_alloc(size_t size) {
    return try_must_fail() ? NULL : malloc(at_least_one(size));
}

void *memory_try_realloc(void *block, size_t size) {
    return try_must_fail() ? NULL : realloc(block, at_least_one(size));
}

char *memory_strdup(const char *text) {
    return memory_strndup(text, strlen(text));
}

char *memory_strndup(const void *bytes, size_t size) {
    check(size < SIZE_MAX, "a text of SIZE_MAX bytes");
    char *copy = memory_alloc(size + 1);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    copy[size] = '\0';
    return copy;
}

void memory_free(void *block) {
    free(block);
}

void memory_free_text(char **text_p) {
    memory_free(*text_p);
    *text_p = NULL;
}

void memory_fail_nth_try(unsigned long n) {
    atomic_store_explicit(&tries_left_until_failure, n, memory_order_relaxed);
}
