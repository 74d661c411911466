/* What is wrong with the specs of one run, collected: all of it, sorted by place when it is told, at most
 * DIAGNOSTICS_MAX. Each has a code, a place, a path, what is so, and how to mend it; a conflict names both places.
 * Texts are copied; controls in them become question marks, as they quote what others wrote. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTICS_H
#define CALLBOARD_OPERATOR_DIAGNOSTICS_DIAGNOSTICS_H

#include "base/bytes.h"
#include "operator/arena.h"
#include "operator/diagnostics/diagnostic_codes.h"
#include "operator/diagnostics/source_text.h"

#include <stdbool.h>
#include <stddef.h>

enum { DIAGNOSTICS_MAX = 200 };

struct diagnostic {
    enum diagnostic_code code;
    struct source_place place;
    const char *path; /* spec.redis.sentinel.quorum; "" where there is none */
    const char *what; /* 1 is no majority of 3 sentinels */
    const char *mend; /* two masters could be elected; use 2. "" where the code's says it */
    struct source_place other_place;
    const char *other; /* what is there; NULL: there is no other place */
    size_t order;      /* in which they were found */
};

struct diagnostics {
    arena_t *arena; /* borrowed; outlives this */
    struct diagnostic items[DIAGNOSTICS_MAX];
    size_t n;
    size_t n_dropped; /* above the bound */
    size_t n_errors;
    size_t n_warnings;
};

void diagnostics_init(struct diagnostics *self, arena_t *arena);

/* One more. Its mend is "" until diagnostics_mend. */
void diagnostics_add(struct diagnostics *self, enum diagnostic_code code, struct source_place place, const char *path,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same of a text "what; how to mend it", as the configuration tables tell. */
void diagnostics_add_text(struct diagnostics *self, enum diagnostic_code code, struct source_place place,
                          const char *path, const char *text);
/* For the one added last: how to mend it; the other place of a conflict, and what is there. */
void diagnostics_mend(struct diagnostics *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
void diagnostics_other(struct diagnostics *self, struct source_place place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takes the one added last back. */
void diagnostics_drop_last(struct diagnostics *self);
/* Is there an error among the first `n` at this path, or below it? */
bool diagnostics_has_error_at(const struct diagnostics *self, size_t n, const char *path);

/* By file, line, column; what has no place first. */
void diagnostics_sort(struct diagnostics *self);

#endif
