/* The tables as text for people. Keys that several tables have are printed once, with the first; where the tables
 * differ in the default, each default is named. */
#include "base/check.h"
#include "base/config_reader.h"
#include "base/config_values.h"

#include <inttypes.h>
#include <string.h>

enum { HELP_WIDTH = 100, HELP_INDENT = 6 };

static const struct config_key *find_key(const struct config_table *table, const char *path) {
    for (size_t i = 0; i < table->n_keys; i++) {
        if (strcmp(table->keys[i].path, path) == 0) {
            return &table->keys[i];
        }
    }
    return NULL;
}

static bool is_in_earlier_table(const struct config_table *const *tables, size_t n_before, const char *path) {
    for (size_t i = 0; i < n_before; i++) {
        if (find_key(tables[i], path) != NULL) {
            return true;
        }
    }
    return false;
}

static const char *type_name(enum config_type type) {
    switch (type) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_INT:
        return "number";
    case CONFIG_BYTES:
        return "size";
    case CONFIG_DURATION:
        return "duration";
    case CONFIG_TEXT:
        return "text";
    case CONFIG_SECRET:
        return "secret";
    case CONFIG_CHOICE:
        return "one of";
    case CONFIG_TEXT_LIST:
        return "list of texts";
    case CONFIG_SECTION_LIST:
        return "list of sections";
    }
    unreachable("config type %d", (int) type);
}

/* For numbers the bounds, for texts the bounds of their length. */
static void append_bounds(struct buffer *out, const struct config_key *key) {
    if (key->minimum == 0 && key->maximum == 0) {
        return;
    }
    bool is_amount = key->type == CONFIG_INT || key->type == CONFIG_BYTES || key->type == CONFIG_DURATION;
    enum config_type type = is_amount ? key->type : CONFIG_INT;
    buffer_append_text(out, key->type == CONFIG_TEXT_LIST ? ", each " : ", ");
    if (!is_amount && key->minimum == 0) {
        buffer_append_format(out, "at most %" PRId64 " bytes", key->maximum);
        return;
    }
    config_append_amount(out, type, key->minimum);
    if (key->maximum == INT64_MAX) {
        buffer_append_text(out, " or more");
    } else {
        buffer_append_text(out, " to ");
        config_append_amount(out, type, key->maximum);
    }
    buffer_append_text(out, is_amount ? "" : " bytes");
}

/* "size, 1KiB to 16MiB" */
static void append_type(struct buffer *out, const struct config_key *key) {
    buffer_append_text(out, type_name(key->type));
    for (int i = 0; key->type == CONFIG_CHOICE && key->choices[i] != NULL; i++) {
        buffer_append_format(out, "%s %s", i == 0 ? "" : ",", key->choices[i]);
    }
    append_bounds(out, key);
}

/* The zero of its type where the table has none. */
static const char *default_text(const struct config_key *key) {
    if (key->default_text != NULL) {
        return key->default_text;
    }
    switch (key->type) {
    case CONFIG_BOOL:
        return "false";
    case CONFIG_INT:
    case CONFIG_BYTES:
    case CONFIG_DURATION:
        return "0";
    case CONFIG_CHOICE:
        return key->choices[0];
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_TEXT_LIST:
    case CONFIG_SECTION_LIST:
        return "";
    }
    unreachable("config type %d", (int) key->type);
}

static void append_code(struct buffer *out, const char *text) {
    if (text[0] == '\0') {
        buffer_append_text(out, "empty");
    } else {
        buffer_append_format(out, "`%s`", text);
    }
}

static void append_default_of(struct buffer *out, const struct config_key *key) {
    if ((key->flags & CONFIG_REQUIRED) != 0) {
        buffer_append_text(out, "required");
    } else {
        append_code(out, default_text(key));
    }
}

/* One default, or one for each table where they differ. */
static void append_default(struct buffer *out, const struct config_table *const *tables, size_t n_tables,
                           const struct config_key *key) {
    append_default_of(out, key);
    for (size_t i = 0; i < n_tables; i++) {
        const struct config_key *other = find_key(tables[i], key->path);
        if (other != NULL && strcmp(default_text(other), default_text(key)) != 0) {
            buffer_append_text(out, "; ");
            append_default_of(out, other);
            buffer_append_format(out, " in %s", tables[i]->title);
        }
    }
}

/* ---- --help ---- */

/* Words of a text, broken before HELP_WIDTH. */
static void append_wrapped(struct buffer *out, const char *text) {
    size_t column = HELP_WIDTH;
    while (*text != '\0') {
        size_t size = strcspn(text, " ");
        if (column + 1 + size > HELP_WIDTH) {
            buffer_append_format(out, "%s%*s", column == HELP_WIDTH ? "" : "\n", HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            buffer_append_char(out, ' ');
            column++;
        }
        buffer_append(out, text, size);
        column += size;
        text += size + strspn(text + size, " ");
    }
    buffer_append_char(out, '\n');
}

/* `list` is "items[]." for the keys of a section, else "". */
static void print_help_of(const char *list, const struct config_key *key, struct buffer *out) {
    buffer_append_format(out, "  %s%s  (", list, key->path);
    append_type(out, key);
    if ((key->flags & CONFIG_REQUIRED) != 0) {
        buffer_append_text(out, "; required");
    } else if (default_text(key)[0] != '\0') {
        buffer_append_format(out, "; default %s", default_text(key));
    }
    buffer_append_text(out, ")\n");
    append_wrapped(out, key->help);
}

static void print_help_of_section(const struct config_key *list, struct buffer *out) {
    struct buffer prefix = BUFFER_EMPTY;
    buffer_append_format(&prefix, "%s[].", list->path);
    buffer_append_char(&prefix, '\0');
    for (size_t i = 0; i < list->section->n_keys; i++) {
        print_help_of((const char *) prefix.data, &list->section->keys[i], out);
    }
    buffer_finish(&prefix);
}

void config_print_help(const struct config_table *const *tables, size_t n_tables, struct buffer *out) {
    buffer_append_text(out, "Settings: in the YAML file with maps for the parts of a key; in the environment as\n"
                            "CALLBOARD_HTTP_PORT for http.port; on the command line as --set http.port=8000.\n"
                            "A secret is also read from the file that its key with _file behind it names.\n");
    for (size_t i = 0; i < n_tables; i++) {
        buffer_append_format(out, "\n%s\n", tables[i]->title);
        for (size_t k = 0; k < tables[i]->n_keys; k++) {
            const struct config_key *key = &tables[i]->keys[k];
            if (is_in_earlier_table(tables, i, key->path)) {
                continue;
            }
            print_help_of("", key, out);
            if (key->type == CONFIG_SECTION_LIST) {
                print_help_of_section(key, out);
            }
        }
    }
}

/* ---- docs/config.md ---- */

/* In a cell of a table a bar would end it. */
static void append_cell(struct buffer *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            buffer_append_char(out, '\\');
        }
        buffer_append_char(out, *text);
    }
}

static void print_row(const struct config_table *const *tables, size_t n_tables, const struct config_key *key,
                      struct buffer *out) {
    buffer_append_format(out, "| `%s` | ", key->path);
    append_type(out, key);
    buffer_append_text(out, " | ");
    append_default(out, tables, n_tables, key);
    buffer_append_text(out, " | ");
    append_cell(out, key->help);
    buffer_append_text(out, (key->flags & CONFIG_RELOADABLE) != 0 ? " (R) |\n" : " |\n");
}

static void print_table_head(struct buffer *out) {
    buffer_append_text(out, "| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
}

/* The sections of a list have a table of their own, printed where the list is met first. */
static void print_sections(const struct config_table *const *tables, size_t n_before, const struct config_table *table,
                           struct buffer *out) {
    for (size_t k = 0; k < table->n_keys; k++) {
        const struct config_key *key = &table->keys[k];
        if (key->type != CONFIG_SECTION_LIST || is_in_earlier_table(tables, n_before, key->path)) {
            continue;
        }
        buffer_append_format(out, "\n### %s: each item of `%s`\n\n", key->section->title, key->path);
        print_table_head(out);
        for (size_t n = 0; n < key->section->n_keys; n++) {
            print_row(&key->section, 1, &key->section->keys[n], out);
        }
    }
}

static void print_intro(struct buffer *out) {
    buffer_append_text(
        out,
        "# Configuration\n\n"
        "Printed from the tables in the code; do not edit this file.\n\n"
        "Settings come from four places, the later wins: the defaults below, the YAML file, the environment, and "
        "`--set key=value` on the command line. `http.port` is\n\n"
        "```yaml\nhttp:\n  port: 8000\n```\n\n"
        "in the file, `CALLBOARD_HTTP_PORT=8000` in the environment and `--set http.port=8000` on the command line. "
        "Lists of texts are separated by commas in the environment and on the command line; lists of sections stand in "
        "the file only.\n\n"
        "Whatever is wrong is told in one run, each with its file, line and column, and nothing starts: unknown keys "
        "(with the nearest known one), values out of bounds, keys that stand twice. The file is YAML without anchors, "
        "aliases, tags, merge keys and second documents, at most 256 KiB; texts that other YAML readers take for "
        "something else (`yes`, `on`, `no`, `null`) must be quoted.\n\n"
        "* **size**: `512`, `64KiB`, `1MiB`, `2GiB`.\n"
        "* **duration**: one number with its unit: `500ms`, `10s`, `5m`, `24h`, `30d`; or `0`.\n"
        "* **secret**: never printed. `token.secret_file: secret.txt` reads `token.secret` from a file (at most 64 "
        "KiB, "
        "one line end at its end is no part of it; relative to the folder of the YAML file). Refused with `--set`, "
        "because everybody on the machine can read command lines.\n"
        "* **(R)**: applied by a reload (SIGHUP); all other changes are reported as needing a restart.\n");
}

void config_print_markdown(const struct config_table *const *tables, size_t n_tables, struct buffer *out) {
    print_intro(out);
    for (size_t i = 0; i < n_tables; i++) {
        buffer_append_format(out, "\n## %s\n\n", tables[i]->title);
        print_table_head(out);
        for (size_t k = 0; k < tables[i]->n_keys; k++) {
            const struct config_key *key = &tables[i]->keys[k];
            if (!is_in_earlier_table(tables, i, key->path)) {
                print_row(tables, n_tables, key, out);
            }
        }
        print_sections(tables, i, tables[i], out);
    }
    for (size_t i = 1; i < n_tables; i++) {
        buffer_append_format(out, "\n%s also has these keys of the tables above:", tables[i]->title);
        for (size_t k = 0; k < tables[i]->n_keys; k++) {
            if (is_in_earlier_table(tables, i, tables[i]->keys[k].path)) {
                buffer_append_format(out, " `%s`", tables[i]->keys[k].path);
            }
        }
        buffer_append_text(out, ".\n");
    }
}
