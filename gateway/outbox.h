/* A session's queue of what it still has to send: references to shared, framed payloads, bounded in bytes and frames.
 * Empty, or with one payload, it costs no memory of its own: the ring is allocated with the second payload and freed
 * with the last, so a session that gets one push a turn never allocates.
 *
 * Sessions of one channel hold the same payloads at the end of a turn. So what one write is to carry is gathered once
 * and kept until the turn ends (struct outbox_writes, one for all sessions of a worker): the others find it there,
 * copy nothing, and touch neither the payloads nor their counts. Thread: the worker's. */
#ifndef CALLBOARD_GATEWAY_OUTBOX_H
#define CALLBOARD_GATEWAY_OUTBOX_H

#include "base/payload.h"
#include "base/quota.h"

enum {
    OUTBOX_WRITES = 4,            /* different ones that are kept: a hot channel's forms */
    OUTBOX_WRITE_PAYLOADS = 1024, /* the most that one write carries */
};

/* Several payloads, one behind the other. */
struct outbox_write {
    struct buffer bytes;
    uint32_t count;
    uint32_t n_owed; /* how many outboxes have given it their reference of each payload; its own is one of them */
    payload_t *payloads[OUTBOX_WRITE_PAYLOADS];
};

struct outbox_writes {
    struct outbox_write writes[OUTBOX_WRITES];
    unsigned next; /* the one that is replaced when none fits */
};

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
/* Takes over one reference of the caller's. `all` is the worker's budget over all sessions. OVER_LIMIT: nothing was
 * queued (3008), the reference is still the caller's. */
enum outbox_result outbox_push(struct outbox *self, payload_t *framed, uint32_t bytes_max, uint32_t frames_max,
                               struct quota *all);
/* The same, before everything that waits: for the one reply that must come first. No bound holds for it. */
void outbox_push_first(struct outbox *self, payload_t *framed, struct quota *all);
static inline bool outbox_is_empty(const struct outbox *self) {
    return self->count == 0;
}

/* What one write should carry. */
struct outbox_gathered {
    struct span bytes;          /* until it is consumed */
    uint32_t count;             /* so many payloads, the first ones */
    struct outbox_write *write; /* NULL: the bytes are the first payload's own */
};
/* The first payload's own bytes when it stands alone or is large, else the first ones copied behind each other up to
 * the limit of `writes`. */
struct outbox_gathered outbox_gather(const struct outbox *self, struct outbox_writes *writes);
/* It was written. */
void outbox_consume(struct outbox *self, const struct outbox_gathered *gathered, struct quota *all);

void outbox_writes_init(struct outbox_writes *self, size_t bytes_max);
void outbox_writes_release(struct outbox_writes *self); /* the turn ends: drops the payloads, keeps the memory */
void outbox_writes_finish(struct outbox_writes *self);

#endif
