/* Messages of clients whose POST came to another worker than the one that has their stream.
 *
 *   POST ─▶ worker_forward_post ─▶ MESSAGE_EMULATE ─▶ the worker of the stream ─▶ MESSAGE_EMULATED ─▶ the POST is
 * answered
 *
 * Failure modes: a worker that takes no message: the POST is refused, or ends by its own deadline. */
#include "gateway/worker_parts.h"

#include "base/memory.h"

bool worker_forward_post(void *context, const struct emulation_post *post) {
    worker_t *self = context;
    size_t size = sizeof(struct emulate_message) + post->session.size + post->data.size;
    struct emulate_message *emulate = memory_alloc_zero(size);
    emulate->message.kind = MESSAGE_EMULATE;
    emulate->message.bytes = size;
    emulate->from = self->options.index;
    emulate->ticket = post->ticket;
    emulate->session_size = post->session.size;
    emulate->data_size = post->data.size;
    memcpy(emulate->bytes, post->session.data, post->session.size);
    memcpy(emulate->bytes + post->session.size, post->data.data, post->data.size);
    struct actor_message *message = &emulate->message;
    bool is_taken = self->options.to_worker(self->options.context, post->worker, &message);
    memory_free(message);
    return is_taken;
}

bool worker_on_emulated(void *context, struct span session, struct span data) {
    worker_t *self = context;
    return http_streams_emulate(self->streams, session, data);
}

void worker_emulate(worker_t *self, const struct emulate_message *emulate) {
    struct emulated_message *answer = memory_alloc_zero(sizeof(*answer));
    answer->message.kind = MESSAGE_EMULATED;
    answer->message.bytes = sizeof(*answer);
    answer->ticket = emulate->ticket;
    answer->delivered = http_streams_emulate(self->streams, span_of(emulate->bytes, emulate->session_size),
                                             span_of(emulate->bytes + emulate->session_size, emulate->data_size));
    struct actor_message *message = &answer->message;
    self->options.to_worker(self->options.context, emulate->from, &message);
    memory_free(message); /* not taken: the POST ends by its own deadline */
}
