/* Deltas between publications in the format of Fossil's "delta" (client-protocol.md section 15):
 *
 *   <target size>LF  <count>@<offset>,  <count>:<bytes>  …  <checksum>;
 *
 * Numbers are base 64, digits 0-9 A-Z _ a-z ~, the most significant first. A copy is from the base, an insert brings
 * its bytes along; the checksum is the target as big-endian words, zero-padded, summed modulo 2^32. Thread: any (no
 * state). */
#ifndef CALLBOARD_GATEWAY_DELTA_H
#define CALLBOARD_GATEWAY_DELTA_H

#include "base/wire.h"

/* Puts into `ret_patch`, which is cleared, what makes `target` of `base`. False: that is not shorter than the target,
 * send it whole. `scratch` keeps memory between calls. `is_text`: both are UTF-8, and no insert begins or ends inside a
 * character, so that the patch is UTF-8 too and can travel as a JSON string. */
bool delta_encode(struct span base, struct span target, bool is_text, struct buffer *scratch, struct buffer *ret_patch);

/* Is the publication one that may be sent as a patch of the one before it? Its namespace says so, both are JSON or both
 * are not. */
static inline bool delta_is_due(uint8_t base_flags, uint8_t flags) {
    return (flags & WIRE_PUBLICATION_DELTA) != 0 && ((base_flags ^ flags) & WIRE_PUBLICATION_BINARY) == 0;
}

#endif
