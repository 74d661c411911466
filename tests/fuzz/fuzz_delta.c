/* Any two payloads (split at the first FF byte): a patch, where there is one, is shorter, gives the target back, and is
 * UTF-8 where both are. */
#include <stdlib.h>

#include "base/utf8.h"
#include "gateway/protocol/delta.h"
#include "tests/support/delta_apply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void try_pair(struct span base, struct span target, bool is_text) {
    struct buffer scratch = BUFFER_EMPTY;
    struct buffer patch = BUFFER_EMPTY;
    struct buffer result = BUFFER_EMPTY;
    if (delta_encode(base, target, is_text, &scratch, &patch)) {
        require(patch.size < target.size);
        require(delta_apply(base, buffer_span(&patch), &result));
        require(span_equal(buffer_span(&result), target));
        require(!is_text || (utf8_is_valid(buffer_span(&patch)) && delta_inserts_are_text(buffer_span(&patch))));
    }
    buffer_finish(&scratch);
    buffer_finish(&patch);
    buffer_finish(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *split = size == 0 ? NULL : memchr(data, 0xff, size);
    size_t at = split == NULL ? size / 2 : (size_t) (split - data);
    struct span base = span_of(data, at);
    struct span target = span_of(data + at + (split != NULL), size - at - (split != NULL));
    try_pair(base, target, false);
    if (utf8_is_valid(base) && utf8_is_valid(target)) {
        try_pair(base, target, true);
    }
    return 0;
}
