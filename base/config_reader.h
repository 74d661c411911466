/* Configuration as tables: a key's type, default, bounds and help stand once; parser, environment, --help and
 * docs/config.md come from there. Order: defaults, then the YAML file, then the environment, then command-line
 * settings, then verify(). YAML is read by libyaml's events with the limits of security.md S43: 256 KiB, depth 32,
 * 20,000 events; aliases, anchors, tags, merge keys, duplicate keys and several documents are errors. All errors are
 * reported in one run, each as FILE:LINE:COLUMN: key: what is wrong; how to mend it (for unknown keys the nearest known
 * one). Thread: the main thread; a struct that was read is immutable afterwards. */
#ifndef CALLBOARD_BASE_CONFIG_READER_H
#define CALLBOARD_BASE_CONFIG_READER_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_BOOL,      /* bool: true, false */
    CONFIG_INT,       /* int64_t, min…max */
    CONFIG_BYTES,     /* int64_t: 64KiB, 1MiB, 2GiB or plain bytes */
    CONFIG_DURATION,  /* int64_t milliseconds: 500ms, 10s, 5m, 24h, 30d; plain 0 */
    CONFIG_TEXT,      /* char *, owned; never NULL after reading */
    CONFIG_SECRET,    /* as CONFIG_TEXT; never printed; also read from the file named by <key>_file; wiped at destroy */
    CONFIG_CHOICE,    /* int, index into choices */
    CONFIG_TEXT_LIST, /* struct config_text_list: a YAML list, or comma-separated in the environment */
    CONFIG_SECTION_LIST /* struct config_section_list: a YAML list of maps read by `section`; not in the environment */
};

struct config_text_list {
    char **texts;
    size_t n;
};

struct config_section_list {
    void *items; /* n structs of section->struct_size, each with its defaults set first */
    size_t n;
};

enum config_flag {
    CONFIG_RELOADABLE = 1, /* SIGHUP applies it; others are reported as needing a restart */
    CONFIG_REQUIRED = 2,
};

struct config_table;

struct config_key {
    const char *path; /* dotted: "token.audience"; its parts are nested YAML maps */
    enum config_type type;
    unsigned flags;
    size_t offset;            /* of the field in the table's struct */
    const char *default_text; /* parsed like input; NULL: zero, empty or absent */
    int64_t minimum;          /* numbers: bounds, inclusive; texts: bounds of the length; both 0: unbounded */
    int64_t maximum;
    const char *const *choices;         /* CONFIG_CHOICE: NULL-terminated */
    const struct config_table *section; /* CONFIG_SECTION_LIST */
    const char *help;                   /* one or two sentences: what it does, what happens at the bound */
};

/* Where verify() reports: `path` is a dotted key, list items as namespaces[2].history_size. */
typedef struct config_errors config_errors_t;

struct config_table {
    const char *title; /* heading in the docs */
    const struct config_key *keys;
    size_t n_keys;
    size_t struct_size;
    /* Rules across fields; may be NULL. `self` is the struct. `prefix` goes before the paths it reports ("" or
     * "namespaces[2]."). */
    void (*verify)(const void *self, const char *prefix, config_errors_t *errors);
};

/* One table read into one struct; several parts share a file (the appliance reads gateway and broker keys). */
struct config_part {
    const struct config_table *table;
    void *target; /* struct_size bytes */
};

struct config_source {
    const char *file_name; /* for messages; NULL when there is no file */
    struct span file_text;
    const char *const *environment; /* NAME=value…, NULL-terminated; NULL: none. http.port is CALLBOARD_HTTP_PORT */
    const char *const *settings;    /* key=value…, from --set; NULL-terminated; NULL: none */
};

/* Fills the structs. True when there was no error; else the structs are to be finished too, and `ret_errors` has the
 * lines (each ended by a line feed). Unknown CALLBOARD_ variables are errors too, except CALLBOARD_CONFIG. */
bool config_read(const struct config_part *parts, size_t n_parts, const struct config_source *source,
                 struct buffer *ret_errors);
/* Frees what the structs own, wipes secrets. The structs themselves are the caller's. */
void config_finish(const struct config_part *parts, size_t n_parts);

/* For verify(). */
void config_error(config_errors_t *errors, const char *prefix, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Compares two readings: appends the dotted keys that differ and are not reloadable, one a line, to `ret_need_restart`.
 */
void config_compare(const struct config_part *old_parts, const struct config_part *new_parts, size_t n_parts,
                    struct buffer *ret_need_restart);
/* A hash over the values of the keys that are not CONFIG_SECRET: the same for two processes with the same behaviour. */
uint64_t config_hash(const struct config_part *part);

/* Overwrites in place the values of variables that held secrets (security.md S38); `environ` of the process. */
void config_wipe_environment(const struct config_part *parts, size_t n_parts, char **environment);

void config_print_help(const struct config_table *const *tables, size_t n_tables, struct buffer *out); /* for --help */
void config_print_markdown(const struct config_table *const *tables, size_t n_tables,
                           struct buffer *out); /* for docs/config.md */

/* Reads a whole file of at most `limit` bytes; on failure false and errno text in *ret_reason (static). */
bool config_read_file(const char *path, size_t limit, struct buffer *ret_text, const char **ret_reason);

#endif
