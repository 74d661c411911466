/* Gives a text to the key of a dotted path, in every struct that has it. Thread: the main thread. */
#ifndef CALLBOARD_BASE_CONFIG_ASSIGN_H
#define CALLBOARD_BASE_CONFIG_ASSIGN_H

#include "base/config_errors.h"
#include "base/config_table.h"

enum { CONFIG_PARTS_MAX = 8 };

/* The structs that a path is looked up in: the parts, or the items of a section list in each of them. */
struct config_scope {
    struct config_part parts[CONFIG_PARTS_MAX];
    size_t n_parts;
    const char *prefix; /* "" or "namespaces[2]." */
};

/* One value on its way into the fields. */
struct config_assignment {
    struct config_place place;
    const char *path; /* without the scope's prefix */
    struct span text;
    bool is_by_file; /* the text came from the file that <path>_file names */
};

/* NULL: the table, or no part, has it. */
const struct config_key *config_find_key_in_table(const struct config_table *table, struct span path);
const struct config_key *config_find_key(const struct config_scope *scope, struct span path);
/* Is it the beginning, up to a dot, of some key? */
bool config_is_section(const struct config_scope *scope, const char *path);

/* Also for <path>_file of a secret. What is wrong with the text is told; false: there is no such key, which is not
 * told.
 */
bool config_assign(config_errors_t *errors, const struct config_scope *scope,
                   const struct config_assignment *assignment);
/* Tells that there is no such key, and which one may have been meant. */
void config_tell_unknown(config_errors_t *errors, const struct config_scope *scope, struct config_place place,
                         const char *path);

char *config_join(const char *a, const char *b); /* owned by the caller */

/* Reads a whole file of at most `limit` bytes; on failure false and errno text in *ret_reason (static). */
bool config_read_file(const char *path, size_t limit, struct buffer *ret_text, const char **ret_reason);

#endif
