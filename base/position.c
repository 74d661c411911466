/* Epochs and positions as texts.
 *
 * An epoch that came from a peer is only ever compared. One that we could not have made (too long, odd bytes) becomes
 * "_", which epoch_new never makes: so it never matches, and the client recovers by the full state. */
#include "base/position.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>

struct epoch epoch_new(void) {
    struct epoch epoch = {{0}};
    random_base62(epoch.text, EPOCH_LENGTH);
    return epoch;
}

static bool is_epoch_text(struct span text) {
    if (text.size > EPOCH_TEXT_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x21 || text.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

struct epoch epoch_from(struct span text) {
    struct epoch epoch = {{0}};
    if (!is_epoch_text(text)) {
        epoch.text[0] = '_';
    } else if (text.size > 0) {
        memcpy(epoch.text, text.data, text.size);
    }
    return epoch;
}

void position_format(const struct position *self, char *ret_text, size_t size) {
    snprintf(ret_text, size, "%s:%" PRIu64, self->epoch.text, self->offset);
}

bool position_parse(struct span text, struct position *ret_position) {
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    uint64_t offset = 0;
    if (colon == 0 || !span_parse_u64(span_of(text.data + colon, text.size - colon), &offset) || offset > OFFSET_MAX) {
        return false;
    }
    struct span epoch = span_of(text.data, colon - 1);
    if (!is_epoch_text(epoch)) {
        return false;
    }
    *ret_position = (struct position){epoch_from(epoch), offset};
    return true;
}
