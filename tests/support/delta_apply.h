/* Applies a Fossil delta, written from its description (client-protocol.md section 15): the other side of
 * gateway/protocol/delta.c. Thread: any. */
#ifndef CALLBOARD_TESTS_DELTA_APPLY_H
#define CALLBOARD_TESTS_DELTA_APPLY_H

#include "base/bytes.h"

/* False: the patch is none, does not fit the base, or its checksum is wrong. */
bool delta_apply(struct span base, struct span patch, struct buffer *ret_target);
/* Every insert of the patch is whole UTF-8. */
bool delta_inserts_are_text(struct span patch);

#endif
