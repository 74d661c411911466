/* What program.c and program_arguments.c (the command line) share; nobody else includes this. Thread: main. */
#ifndef CALLBOARD_BASE_PROGRAM_PARTS_H
#define CALLBOARD_BASE_PROGRAM_PARTS_H

#include "base/program.h"

enum program_action {
    PROGRAM_ACTION_RUN,
    PROGRAM_ACTION_CHECK,
    PROGRAM_ACTION_HELP,
    PROGRAM_ACTION_VERSION,
    PROGRAM_ACTION_MARKDOWN,
};

/* What the command line said. */
struct program_arguments {
    const struct program_description *description; /* set before reading */
    enum program_action action;
    const char *config_path; /* NULL: no file was named */
    bool watches;            /* --watch */
    const char **settings;   /* key=value, NULL-terminated */
    char **owned_settings;   /* those that came from shortcuts, NULL-terminated */
};

/* False: wrong, and standard error says what. */
bool program_read_arguments(struct program_arguments *self, int argc, char **argv);
void program_finish_arguments(struct program_arguments *self);
void program_print_help(const struct program_arguments *self);
void program_print_markdown(const struct program_arguments *self);

/* Of a NULL-terminated list. */
size_t program_count_texts(char *const *texts);
/* With what stands in them, for some are secrets. Accepts NULL. */
void program_free_texts(char **texts);

#endif
