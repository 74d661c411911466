/* What one subscriber got of one publisher, whose publications are numbered 1, 2, 3…: which were there once, which came
 * twice, which came after a later one. What never came is what was published less what was taken once.
 *
 *   highest ─▶ 9    seen: bit i says whether highest − i came      1 0 1 1 …   (9 yes, 8 no, 7 yes, 6 yes)
 *
 * The window reaches 63 back. What is older than that was either taken before, or is so late that it is as good as
 * lost: it is judged as doubled. Thread: the owner's. */
#ifndef CALLBOARD_TOOLS_SEQUENCE_CHECK_H
#define CALLBOARD_TOOLS_SEQUENCE_CHECK_H

#include <stdint.h>

struct sequence_check {
    uint64_t highest;
    uint64_t seen;
};

enum sequence_outcome { SEQUENCE_TAKEN, SEQUENCE_LATE, SEQUENCE_DOUBLED };

static inline enum sequence_outcome sequence_check_take(struct sequence_check *self, uint64_t number) {
    if (number > self->highest) {
        uint64_t ahead = number - self->highest;
        self->seen = ahead > 63 ? 1 : self->seen << ahead | 1;
        self->highest = number;
        return SEQUENCE_TAKEN;
    }
    uint64_t back = self->highest - number;
    if (back > 63 || (self->seen >> back & 1) != 0) {
        return SEQUENCE_DOUBLED;
    }
    self->seen |= UINT64_C(1) << back;
    return SEQUENCE_LATE;
}

#endif
