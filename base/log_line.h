/* A line of the log and the fields on it: base/log.h is how lines are written. A line is at most PIPE_BUF bytes, so
 * that a write to a pipe is taken whole or not at all and lines of several processes on one stderr do not mix. Thread:
 * the owner's. */
#ifndef CALLBOARD_BASE_LOG_LINE_H
#define CALLBOARD_BASE_LOG_LINE_H

#include "base/bytes.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

enum log_field_type { LOG_FIELD_NONE, LOG_FIELD_TEXT, LOG_FIELD_SPAN, LOG_FIELD_U64, LOG_FIELD_I64, LOG_FIELD_BOOL };

struct log_field {
    const char *name;
    enum log_field_type type;
    union {
        const char *text;
        struct span span;
        uint64_t u64;
        int64_t i64;
        bool boolean;
    } value;
};

#define log_text(field, v) ((struct log_field){.name = (field), .type = LOG_FIELD_TEXT, .value.text = (v)})
#define log_span(field, v) ((struct log_field){.name = (field), .type = LOG_FIELD_SPAN, .value.span = (v)})
#define log_u64(field, v)  ((struct log_field){.name = (field), .type = LOG_FIELD_U64, .value.u64 = (v)})
#define log_i64(field, v)  ((struct log_field){.name = (field), .type = LOG_FIELD_I64, .value.i64 = (v)})
#define log_bool(field, v) ((struct log_field){.name = (field), .type = LOG_FIELD_BOOL, .value.boolean = (v)})
#define log_nothing        ((struct log_field){.name = NULL, .type = LOG_FIELD_NONE})

/* While it is built. */
struct log_line {
    char text[PIPE_BUF];
    size_t size;
    bool is_full; /* what was appended last did not fit */
    bool is_cut;  /* some field was left out */
};

/* {"time":now,"level":level,"event":event */
void log_line_begin(struct log_line *line, const char *level, const char *event);
/* ,"name":value */
void log_line_add(struct log_line *line, const struct log_field *field);
/* } and the line feed */
void log_line_end(struct log_line *line);

#endif
