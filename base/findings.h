/* What an examination of a running set-up found, as a list: each finding has a stable id, says what is so, where, and
 * how to mend it. Brokers tell them in the log, in health and as a metric; callboardctl doctor prints them.
 * Thread: the owner's (values). */
#ifndef CALLBOARD_BASE_FINDINGS_H
#define CALLBOARD_BASE_FINDINGS_H

#include "base/bytes.h"

/* By gravity. What could not be read is worth more attention than a note: it may hide anything below it. */
enum finding_severity {
    FINDING_FINE,
    FINDING_NOTE,    /* worth knowing, nothing to do */
    FINDING_UNKNOWN, /* could not be read: judge it by hand */
    FINDING_WARNING, /* works today; will hurt under load or in a failover */
    FINDING_ERROR,   /* does not work, or breaks what is promised */
    FINDING_SEVERITIES,
};
/* "fine", "note", "unknown", "warning", "error" */
const char *finding_severity_text(enum finding_severity severity);
enum finding_severity finding_severity_parse(const char *text); /* of something else: FINDING_UNKNOWN */

struct finding {
    const char *id; /* static text, stable between releases: redis.eviction */
    enum finding_severity severity;
    char *where;
    char *what;
    char *mend; /* "" where there is nothing to do */
};

enum { FINDINGS_MAX = 4096 };

struct findings {
    struct finding *items;
    size_t n;
    size_t capacity;
    size_t n_dropped; /* over FINDINGS_MAX */
};
#define FINDINGS_EMPTY ((struct findings){NULL, 0, 0, 0})

void findings_finish(struct findings *self); /* frees; empty and usable again */
/* Adds one; its mend is empty until findings_mend. Texts are copied. */
void findings_add(struct findings *self, const char *id, enum finding_severity severity, const char *where,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));
/* How to mend the one added last. */
void findings_mend(struct findings *self, const char *format, ...) __attribute__((format(printf, 2, 3)));

size_t findings_count(const struct findings *self, enum finding_severity severity);
/* FINDING_FINE where there is none. */
enum finding_severity findings_worst(const struct findings *self);
/* The first of that id at that place (where NULL: anywhere); NULL: there is none. */
const struct finding *findings_find(const struct findings *self, const char *id, const char *where);
/* Appends {"id","severity","where","what","mend"},… of at least this severity; `is_first`: no comma before the first,
 * and whether there was none is told there. For a list of several. */
void findings_append_items(const struct findings *self, enum finding_severity at_least, bool *is_first,
                           struct buffer *out);
/* Appends the whole list, with its brackets. */
void findings_append_json(const struct findings *self, enum finding_severity at_least, struct buffer *out);

#endif
