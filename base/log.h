/* The log: one JSON line per event on stderr: {"time","level","event", inherited context, fields…}.
 * The event is an id in snake_case, never a sentence with values in it. Foreign text is escaped and cut at 256 bytes.
 * At most `log.rate` lines a second for one event id; then one line "log_suppressed" with the count each second.
 * A line is at most PIPE_BUF (4,096) bytes; fields that do not fit are left out, and the line says "cut":true.
 * Writing never blocks: a line that stderr does not take is counted (callboard_log_lost_total) and dropped.
 * Thread: any. This file holds the only mutable state at file scope of the project. */
#ifndef CALLBOARD_BASE_LOG_H
#define CALLBOARD_BASE_LOG_H

#include "base/log_line.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

#define LOG_AT(level, event, ...)                                                                                      \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__},                                               \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/* log_info("broker_started", log_text("broker", id), log_u64("port", port)); without fields: log_nothing. */
#define log_debug(event, ...)   LOG_AT(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...)    LOG_AT(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warning(event, ...) LOG_AT(LOG_LEVEL_WARNING, event, __VA_ARGS__)
#define log_error(event, ...)   LOG_AT(LOG_LEVEL_ERROR, event, __VA_ARGS__)

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n_fields);
/* Lines below this level are not written; at start LOG_LEVEL_INFO. */
void log_set_level(enum log_level level);
bool log_level_parse(struct span text, enum log_level *ret_level); /* debug, info, warning, error */
/* Lines a second and event id; 0 = no limit, which is how it starts. */
void log_set_rate(unsigned lines_per_second);
/* Writes the "log_suppressed" lines of the seconds that are over. Every log_write does so too; call this about once a
 * second (and before the end), so that a count is told also when nothing else is logged any more. */
void log_report_suppressed(void);
/* Added to every line, e.g. the program's name and id; the text is copied (127 bytes of it). NULL value removes it.
 * At most 8 of them. */
void log_set_context(const char *name, const char *value);
/* Tests and embedders: lines go to this function (with the line feed) instead of stderr; NULL puts stderr back. It is
 * called by one thread at a time, and must not log. */
void log_set_sink(void (*sink)(void *context, struct span line), void *context);
uint64_t log_lost_total(void);
uint64_t log_suppressed_total(void);

#endif
