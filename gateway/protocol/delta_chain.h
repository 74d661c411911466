/* Publications one after another as a subscriber with delta gets them in a list: the first whole, each later one as a
 * patch of the one before it where that is due and shorter. Thread: the caller's. */
#ifndef CALLBOARD_GATEWAY_DELTA_CHAIN_H
#define CALLBOARD_GATEWAY_DELTA_CHAIN_H

#include "gateway/protocol/client_protocol.h"

struct delta_chain {
    bool has_base;
    bool is_text_only; /* JSON: data that is not JSON is never patched */
    uint8_t base_flags;
    struct span base; /* borrowed from the publication before */
    struct buffer scratch;
    struct buffer patch;
};

/* What goes for the publication's data; valid until the next call. */
struct client_delta delta_chain_next(struct delta_chain *self, const struct wire_publication *publication);
void delta_chain_finish(struct delta_chain *self);

#endif
