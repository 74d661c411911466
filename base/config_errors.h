/* The lines that tell what is wrong with a configuration, and where each value stands, so that rules which know only
 * paths point at a line of the file too. Thread: the main thread. */
#ifndef CALLBOARD_BASE_CONFIG_ERRORS_H
#define CALLBOARD_BASE_CONFIG_ERRORS_H

#include "base/bytes.h"
#include "base/config_table.h"

enum config_origin { CONFIG_FROM_NOWHERE, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT, CONFIG_FROM_SETTINGS };

struct config_place {
    enum config_origin origin;
    struct span variable; /* its name, in the environment; borrowed from there */
    unsigned line;        /* in the file; 0: the file as a whole */
    unsigned column;
};

struct config_record {
    char *path; /* with its prefix: namespaces[2].name */
    struct config_place place;
    bool is_by_file; /* the value came from the file that <path>_file names */
};

/* Takes the errors one by one in place of lines; `path` may be "", and both texts are valid during the call only. */
struct config_error_sink {
    void (*on_error)(void *context, struct config_place place, const char *path, const char *text);
    void *context;
};

struct config_errors {
    const struct config_error_sink *sink; /* NULL: lines */
    struct buffer *lines;
    size_t begin; /* of our lines in `lines` */
    unsigned n;
    const char *file_name; /* may be NULL */
    struct config_record *records;
    size_t n_records;
};

void config_errors_init(config_errors_t *self, const char *file_name, struct buffer *ret_lines);
void config_errors_finish(config_errors_t *self);
/* After so many that more are of no use; nothing more is written. */
bool config_errors_are_full(const config_errors_t *self);

/* That this path was set here; the last one counts. */
void config_errors_record(config_errors_t *self, const char *path, struct config_place place, bool is_by_file);
/* NULL: not set by anybody. */
const struct config_record *config_errors_find(const config_errors_t *self, const char *path);

/* One line, unless the same stands there already. `path` may be "". */
void config_errors_add(config_errors_t *self, struct config_place place, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* For verify(): `prefix` and `path` are joined; the place is that of the path, or of the section around it. */
void config_error(config_errors_t *self, const char *prefix, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
