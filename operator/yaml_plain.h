/* What a scalar without quotes is to the YAML readers of this world: 1.1 (Ruby, Python), 1.2 (JavaScript), Go's in
 * between. The spec's reader refuses a text that one of them takes for something else; the emitter puts it in quotes.
 * Thread: any (no state). */
#ifndef CALLBOARD_OPERATOR_YAML_PLAIN_H
#define CALLBOARD_OPERATOR_YAML_PLAIN_H

#include "base/bytes.h"

enum yaml_plain {
    YAML_PLAIN_TEXT,        /* to all of them */
    YAML_PLAIN_NULL,        /* nothing, ~, null */
    YAML_PLAIN_BOOL,        /* true, false */
    YAML_PLAIN_BOOL_1_1,    /* yes, no, on, off, y, n */
    YAML_PLAIN_INT,         /* 12, -3, +4 */
    YAML_PLAIN_OCTAL,       /* 0755, 0o755: 493 to some, 755 or a text to others */
    YAML_PLAIN_RADIX,       /* 0xff, 0b101 */
    YAML_PLAIN_UNDERSCORED, /* 1_000 */
    YAML_PLAIN_BASE_60,     /* 12:30 is 750 */
    YAML_PLAIN_FLOAT,       /* 1.30, 1e5, .inf */
    YAML_PLAIN_DATE,        /* 2026-01-31 */
    YAML_PLAIN_SPECIAL,     /* <<, = */
};

enum yaml_plain yaml_plain_of(struct span text);
/* "a number in base 60", as a part of a sentence. */
const char *yaml_plain_name(enum yaml_plain kind);

#endif
