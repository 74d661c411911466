/* Events that wait to be published into a channel that services listen to (docs/backend-api.md, "Events"), for whoever
 * publishes them: gateways tell of clients, brokers of channels.
 *
 *   put ─▶ waiting, in order ─▶ next: one publication of many, with its key ─▶ acknowledge: forgotten
 *            └ no room: counted, a "lost" event tells of it       └─ not acknowledged: next gives the same again
 *
 * One publication is under way at a time, so the order holds, and a storm makes few publications. Failure modes: none
 * of its own; the bound is the caller's. Thread: the owner's. */
#ifndef CALLBOARD_BASE_EVENT_QUEUE_H
#define CALLBOARD_BASE_EVENT_QUEUE_H

#include "base/bytes.h"
#include "base/list.h"

struct event_queue {
    struct list_link waiting; /* oldest first; the first n_sent are in text */
    uint64_t bytes;
    size_t n_sent;
    struct buffer text; /* the publication that is under way */
    struct buffer key;
    struct buffer origin; /* members of every event that say whose it is */
    struct buffer key_prefix;
    uint64_t last_key;
    uint64_t n_lost; /* not told of yet */
};

/* `role`: "gateway" or "broker", and its id; with nonce and part no key is ever used twice. */
void event_queue_init(struct event_queue *self, const char *role, const char *id, uint64_t nonce, uint32_t part);
void event_queue_finish(struct event_queue *self);

/* {"type","time","gateway": id — without the closing brace: more members, each with a comma before it, may follow. */
void event_queue_begin(const struct event_queue *self, const char *type, struct buffer *out);
/* A whole event. False: above bytes_max, it is lost. */
bool event_queue_put(struct event_queue *self, struct span event, uint64_t bytes_max);
/* So many never came here; told of as soon as there is room. */
void event_queue_note_lost(struct event_queue *self, uint64_t n, uint64_t bytes_max);

bool event_queue_is_empty(const struct event_queue *self);
/* What is to be published, again and again until it is acknowledged; valid until then. False: nothing waits. */
bool event_queue_next(struct event_queue *self, struct span *ret_text, struct span *ret_key);
/* It stands there: forgotten. Where there is room now, lost events are told of. Returns how many it were. */
size_t event_queue_acknowledge(struct event_queue *self, uint64_t bytes_max);

#endif
