/* Configuration as tables (config_table.h). Order: defaults, then the YAML file, then the environment, then
 * command-line settings, then verify(). YAML is read by libyaml's events with the limits of security.md S43: 256 KiB,
 * depth 32, 20,000 events; aliases, anchors, tags, directives, merge keys, duplicate keys and several documents are
 * errors. All errors are reported in one run (the first 50), each as FILE:LINE:COLUMN: key: what is wrong; how to mend
 * it (for unknown keys the nearest known one). Thread: the main thread; a struct that was read is immutable afterwards.
 */
#ifndef CALLBOARD_BASE_CONFIG_READER_H
#define CALLBOARD_BASE_CONFIG_READER_H

#include "base/bytes.h"
#include "base/config_assign.h"      /* config_read_file() */
#include "base/config_environment.h" /* config_wipe_environment() */
#include "base/config_errors.h"      /* config_error() for verify() */
#include "base/config_table.h"
#include "base/config_yaml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_source {
    const char *file_name; /* for messages; NULL when there is no file */
    struct span file_text;
    const config_node_t *file_tree; /* the file where it was read already, or a part of it; file_name is set then too */
    const char *const *environment; /* NAME=value…, NULL-terminated; NULL: none. http.port is CALLBOARD_HTTP_PORT */
    const char *const *settings;    /* key=value…, from --set; NULL-terminated; NULL: none */
};

/* Fills the structs. True when there was no error; else the structs are to be finished too, and `ret_errors` has the
 * lines (each ended by a line feed). A key that several parts have is given to each. Unknown CALLBOARD_ variables are
 * errors too, except CALLBOARD_CONFIG and what Kubernetes sets for services (CALLBOARD_BROKER_PORT=tcp://… and the
 * like). A secret's <key>_file is relative to the folder of the YAML file where it stands there, else to the working
 * folder. A secret itself is refused among `settings`: a command line is readable by everybody on the machine. */
bool config_read(const struct config_part *parts, size_t n_parts, const struct config_source *source,
                 struct buffer *ret_errors);
/* The same, with each error handed to `sink`. */
bool config_read_to_sink(const struct config_part *parts, size_t n_parts, const struct config_source *source,
                         const struct config_error_sink *sink);
/* Frees what the structs own, wipes secrets. The structs themselves are the caller's. */
void config_finish(const struct config_part *parts, size_t n_parts);

/* Compares two readings: appends the dotted keys that differ and are not reloadable, one a line, to `ret_need_restart`.
 */
void config_compare(const struct config_part *old_parts, const struct config_part *new_parts, size_t n_parts,
                    struct buffer *ret_need_restart);
/* A hash over the values of the keys that are not CONFIG_SECRET: the same for two processes with the same behaviour. */
uint64_t config_hash(const struct config_part *part);

void config_print_help(const struct config_table *const *tables, size_t n_tables, struct buffer *out); /* for --help */
void config_print_markdown(const struct config_table *const *tables, size_t n_tables,
                           struct buffer *out); /* for docs/config.md */

#endif
