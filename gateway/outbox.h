/* A session's queue of what it still has to send: references to shared, framed payloads, bounded in bytes and frames.
 * Empty, or with one payload, it costs no memory of its own: the ring is allocated with the second payload and freed
 * with the last, so a session that gets one push a turn never allocates.
 * Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_OUTBOX_H
#define CALLBOARD_GATEWAY_OUTBOX_H

#include "base/payload.h"
#include "base/quota.h"

struct outbox {
    union {
        payload_t *only;  /* capacity 0: the one payload, if count is 1 */
        payload_t **ring; /* else */
    } queue;
    uint32_t capacity; /* power of two */
    uint32_t first;
    uint32_t count;
    uint32_t bytes; /* of payloads; the same is charged to the worker's quota */
};

enum outbox_result { OUTBOX_QUEUED, OUTBOX_OVER_LIMIT };

void outbox_init(struct outbox *self);
void outbox_finish(struct outbox *self, struct quota *all); /* unrefs and releases what is left */
/* Takes a reference of its own. `all` is the worker's budget over all sessions. OVER_LIMIT: nothing was queued (3008).
 */
enum outbox_result outbox_push(struct outbox *self, payload_t *framed, uint32_t bytes_max, uint32_t frames_max,
                               struct quota *all);
/* The same, before everything that waits: for the one reply that must come first. No bound holds for it. */
void outbox_push_first(struct outbox *self, payload_t *framed, struct quota *all);
static inline bool outbox_is_empty(const struct outbox *self) {
    return self->count == 0;
}
/* What one write should carry: the first payload's own bytes when it stands alone or is large, else the first ones
 * copied into `scratch` up to its limit. *ret_count: how many payloads that is. */
struct span outbox_gather(struct outbox *self, struct buffer *scratch, uint32_t *ret_count);
/* The first `count` payloads were written. */
void outbox_consume(struct outbox *self, uint32_t count, struct quota *all);

#endif
