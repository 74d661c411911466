/* A command of callboardctl as one table: what it takes, what it does, in words. Parsing, --help, the manual pages,
 * docs/callboardctl.md and bash's completion are all made from it, so none can say something else. Texts are ASCII.
 * Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_COMMAND_H
#define CALLBOARD_TOOLS_CTL_COMMAND_H

#include "base/bytes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ctl_options; /* ctl.h */

enum ctl_kind {
    CTL_FLAG,     /* takes nothing */
    CTL_TEXT,     /* anything, or one of `choices` */
    CTL_NUMBER,   /* from minimum to maximum */
    CTL_DURATION, /* 500us, 20ms, 10s, 2m, 1h, 30d; minimum and maximum are microseconds */
    CTL_FILE,     /* the name of a file */
};

/* A list ends with one whose name is NULL. */
struct ctl_option {
    const char *name; /* without its dashes */
    char letter;      /* its short form; 0: none */
    enum ctl_kind kind;
    const char *value;   /* what the manual calls what it takes: N, CHANNEL, EPOCH:OFFSET */
    const char *choices; /* with blanks between; NULL: anything */
    uint64_t minimum, maximum;
    bool many;           /* each one counts; else the last does */
    const char *initial; /* what holds without it; NULL: nothing to say */
    const char *section; /* a heading that begins here; NULL: none */
    const char *help;
};

struct ctl_operand {
    const char *name;
    const char *choices;
    bool optional; /* so are those behind it */
    bool many;     /* the last one only: so many as there are */
    const char *help;
};

enum { CTL_GIVEN_MAX = 256 };

/* What a command line holds, judged against the table. Texts belong to argv. */
struct ctl_arguments {
    const struct ctl_command *command;
    struct ctl_given {
        int option; /* its place in the table */
        char *text; /* NULL: a flag */
        uint64_t number;
    } given[CTL_GIVEN_MAX];
    size_t n_given;
    char **operands; /* in argv, and like that with a NULL behind them */
    size_t n_operands;
};

struct ctl_command {
    const char *name;
    const char *summary;                /* a line: what it does */
    const char *description;            /* paragraphs, an empty line between */
    const struct ctl_operand *operands; /* NULL: none */
    const struct ctl_option *options;   /* NULL: none */
    const char *examples;               /* shell commands, a line each */
    const char *table;                  /* heading of what append_table appends; NULL: none */
    void (*append_table)(struct buffer *out);
    int (*run)(const struct ctl_options *options, const struct ctl_arguments *arguments);
};

/* ---- ctl_arguments.c ---- */

enum ctl_parsed { CTL_PARSED, CTL_PARSED_HELP, CTL_PARSED_WRONG };
/* argv[0] is the command's name. `global` are options that may stand here too, told by `take_global`. With
 * `stops_early` the first operand ends it, and *ret_n_used says how many words were read. WRONG: it was printed. */
enum ctl_parsed ctl_parse(const struct ctl_command *command, const struct ctl_option *global,
                          void (*take_global)(void *context, const struct ctl_given *given), void *context, int argc,
                          char **argv, bool stops_early, struct ctl_arguments *ret, int *ret_n_used);
/* The last text given for this option; NULL: none. */
const char *ctl_text(const struct ctl_arguments *self, int option);
/* The last number or duration given; else `otherwise`. */
uint64_t ctl_number(const struct ctl_arguments *self, int option, uint64_t otherwise);
bool ctl_has(const struct ctl_arguments *self, int option);
/* Each text of an option that may be given more than once: begin with *at = 0; NULL: there are no more. */
const char *ctl_next(const struct ctl_arguments *self, int option, size_t *at);
/* NULL: fewer were given. */
const char *ctl_operand(const struct ctl_arguments *self, size_t at);
size_t ctl_n_options(const struct ctl_option *options);
size_t ctl_n_operands(const struct ctl_operand *operands);

/* ---- ctl_help.c ---- */

/* What --help prints of a command; NULL: of callboardctl itself. */
void ctl_append_help(struct buffer *out, const struct ctl_command *command);
/* "a, b or c" of choices with blanks between. */
void ctl_append_choices(struct buffer *out, const char *choices);
/* What it does, what it takes, what holds without it. */
void ctl_append_option_text(struct buffer *out, const struct ctl_option *option);
/* " CHANNEL [DATA] [OPTION]...": what stands behind the command's name. */
void ctl_append_usage(struct buffer *out, const struct ctl_command *command);
extern const char ctl_exit_codes[]; /* a line */
extern const char ctl_about[];      /* what callboardctl is; paragraphs */

#endif
