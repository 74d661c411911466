/* A file as lines, for messages that show one. A line ends where libyaml's marks say it does: at LF, CR, CRLF, and at
 * the NEL, LS and PS of Unicode. Columns are characters. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_DIAGNOSTICS_SOURCE_TEXT_H
#define CALLBOARD_OPERATOR_DIAGNOSTICS_SOURCE_TEXT_H

#include "base/bytes.h"

struct source_text {
    const char *name;  /* as it was given: deploy.yaml; "-" is the standard input */
    struct span bytes; /* borrowed */
};

/* Line `line` (from 1) without its end; empty when there are not so many. */
struct span source_text_line(const struct source_text *self, unsigned line);

/* The character at the beginning of the text, when it is not to be seen for what it is: it looks like nothing or like a
 * space, or turns the text behind it round. 0: another one. */
uint32_t source_text_hidden(struct span text, size_t *ret_size);

/* Where a value stands. */
struct source_place {
    const struct source_text *source; /* NULL: in no file */
    unsigned line;                    /* from 1; 0: the file as a whole */
    unsigned column;
    const char *setting; /* --set PATH=VALUE that gave the value; NULL: the file did. Owned by the arena of the spec */
};
#define SOURCE_NOWHERE ((struct source_place){NULL, 0, 0, NULL})

#endif
