/* One setting's value: from text into its field, and what else is done with a field whose type only the table knows.
 * Thread: the main thread. */
#ifndef CALLBOARD_BASE_CONFIG_VALUES_H
#define CALLBOARD_BASE_CONFIG_VALUES_H

#include "base/config_table.h"

/* All fields of a struct that was zeroed before; a default that does not parse is a bug of ours and aborts. */
void config_values_init(const struct config_table *table, void *target);
/* Frees what the fields own and wipes secrets; the struct is zeroed. */
void config_values_finish(const struct config_table *table, void *target);

/* Replaces the field's value by what the text says (lists: separated by commas). False: `ret_why` has what is wrong
 * with it (never a secret), and the field keeps its value. Not for CONFIG_SECTION_LIST. */
bool config_value_parse(const struct config_key *key, void *target, struct span text, struct buffer *ret_why);
/* An empty list, then its elements: CONFIG_TEXT_LIST. */
void config_value_clear_list(const struct config_key *key, void *target);
bool config_value_append_text(const struct config_key *key, void *target, struct span text, struct buffer *ret_why);
/* One more struct with its defaults: CONFIG_SECTION_LIST. The items before may move. */
void *config_value_append_item(const struct config_key *key, void *target);

/* As it would be written in the file: 64KiB, 1500ms, 12. */
void config_append_amount(struct buffer *out, enum config_type type, int64_t value);
/* Bytes of a foreign text for a message: quoted, escaped, at most 64 of them. */
void config_append_quoted(struct buffer *out, struct span text);
/* The password inside scheme://user:password@host; empty without. */
struct span config_url_password(struct span url);

#endif
