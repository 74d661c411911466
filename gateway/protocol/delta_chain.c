/* See the header. */
#include "gateway/protocol/delta_chain.h"

#include "gateway/protocol/delta.h"

struct client_delta delta_chain_next(struct delta_chain *self, const struct wire_publication *publication) {
    bool is_text = (publication->flags & WIRE_PUBLICATION_BINARY) == 0;
    struct client_delta delta = {.is_patch = false, .data = publication->data};
    if (self->has_base && delta_is_due(self->base_flags, publication->flags) && (is_text || !self->is_text_only) &&
        delta_encode(self->base, publication->data, is_text, &self->scratch, &self->patch)) {
        delta = (struct client_delta){.is_patch = true, .data = buffer_span(&self->patch)};
    }
    self->has_base = true;
    self->base_flags = publication->flags;
    self->base = publication->data;
    return delta;
}

void delta_chain_finish(struct delta_chain *self) {
    buffer_finish(&self->scratch);
    buffer_finish(&self->patch);
}
