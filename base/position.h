/* A place in a channel's stream: (epoch, offset). Offsets are 1, 2, 3… below 2^53; 0 is "before the first".
 * Epochs of ours are 16 random base62 characters; clients may send any text, a longer one never matches. */
#ifndef CALLBOARD_BASE_POSITION_H
#define CALLBOARD_BASE_POSITION_H

#include "base/bytes.h"

enum { EPOCH_LENGTH = 16, EPOCH_TEXT_MAX = 23 };

/* A value; zeroed it is the empty epoch ("unknown"). Compared by its text. */
struct epoch {
    char text[EPOCH_TEXT_MAX + 1]; /* NUL-terminated, NUL-padded */
};

struct position {
    struct epoch epoch;
    uint64_t offset;
};

#define OFFSET_MAX ((uint64_t) 9007199254740991) /* 2^53 - 1 */

struct epoch epoch_new(void); /* random */
/* An empty text gives the empty epoch; a text too long, or with bytes outside 0x21–0x7E, gives "_", which never
 * matches. */
struct epoch epoch_from(struct span text);
static inline struct span epoch_span(const struct epoch *self) {
    return span_of_text(self->text);
}
static inline bool epoch_is_empty(const struct epoch *self) {
    return self->text[0] == '\0';
}
static inline bool epoch_equal(const struct epoch *a, const struct epoch *b) {
    return memcmp(a->text, b->text, sizeof a->text) == 0;
}
static inline bool position_equal(const struct position *a, const struct position *b) {
    return a->offset == b->offset && epoch_equal(&a->epoch, &b->epoch);
}

/* What "epoch:offset" takes at most, with its NUL. */
enum { POSITION_TEXT_SIZE = EPOCH_TEXT_MAX + 1 + 20 + 1 };

/* "epoch:offset", for --since and logs; cut where size is less than POSITION_TEXT_SIZE. */
void position_format(const struct position *self, char *ret_text, size_t size);
/* The reverse: split at the last colon; the epoch may be empty (any), the offset is plain decimal and at most
 * OFFSET_MAX. False and *ret_position untouched otherwise. */
bool position_parse(struct span text, struct position *ret_position);

#endif
