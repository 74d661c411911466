/* What a setting is: its type, default, bounds and help, once, in a table. Parser (config_reader.h), --help and
 * docs/config.md (config_docs.c) come from it. Thread: any (constants). */
#ifndef CALLBOARD_BASE_CONFIG_TABLE_H
#define CALLBOARD_BASE_CONFIG_TABLE_H

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
    CONFIG_SECRET,    /* as CONFIG_TEXT; never printed; also read from the file named by <key>_file; wiped at the end */
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
    /* A URL. With a password inside it is taken from the environment only (security.md S38): in a file or on a command
     * line too many can read it. Never printed; hashed without the password. */
    CONFIG_PASSWORD_URL = 4,
    /* A secret: of a file the first line. Others below it are accepted elsewhere while a password is exchanged. */
    CONFIG_FIRST_LINE = 8,
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

#endif
