/* See event_queue.h. */
#include "base/event_queue.h"

#include "base/clock.h"
#include "base/memory.h"

#include <inttypes.h>

enum { EVENTS_MAX = 256, BYTES_MAX = 128 * 1024 /* of one publication, unless one event alone has more */ };

struct waiting_event {
    struct list_link link;
    size_t size;
    uint8_t bytes[]; /* a JSON object */
};

void event_queue_init(struct event_queue *self, const char *role, const char *id, uint64_t nonce, uint32_t part) {
    *self = (struct event_queue){.bytes = 0};
    list_init(&self->waiting);
    buffer_append_format(&self->origin, ",\"%s\":", role);
    buffer_append_json_string(&self->origin, span_of_text(id));
    buffer_append_format(&self->key_prefix, "events:%s:%.120s:%016" PRIx64 ":%" PRIu32 ":", role, id, nonce, part);
}

static void forget_first(struct event_queue *self) {
    struct waiting_event *event = list_entry(list_pop_front(&self->waiting), struct waiting_event, link);
    self->bytes -= event->size;
    memory_free(event);
}

void event_queue_finish(struct event_queue *self) {
    while (!list_is_empty(&self->waiting)) {
        forget_first(self);
    }
    buffer_finish(&self->text);
    buffer_finish(&self->key);
    buffer_finish(&self->origin);
    buffer_finish(&self->key_prefix);
}

/* ---- in ---- */

void event_queue_begin(const struct event_queue *self, const char *type, struct buffer *out) {
    buffer_append_format(out, "{\"type\":\"%s\",\"time\":%" PRId64, type, clock_wall_ms());
    buffer_append_span(out, buffer_span(&self->origin));
}

static bool append(struct event_queue *self, struct span event, uint64_t bytes_max) {
    if (self->bytes + event.size > bytes_max) {
        return false;
    }
    struct waiting_event *waiting = memory_alloc(sizeof *waiting + event.size);
    waiting->size = event.size;
    memcpy(waiting->bytes, event.data, event.size);
    list_init(&waiting->link);
    list_push_back(&self->waiting, &waiting->link);
    self->bytes += event.size;
    return true;
}

/* Where the hole is: before what comes behind it, and as soon as there is room. */
static void tell_of_lost(struct event_queue *self, uint64_t bytes_max) {
    struct buffer event = BUFFER_EMPTY;
    if (self->n_lost == 0) {
        return;
    }
    event_queue_begin(self, "lost", &event);
    buffer_append_format(&event, ",\"n\":%" PRIu64 "}", self->n_lost);
    self->n_lost = append(self, buffer_span(&event), bytes_max) ? 0 : self->n_lost;
    buffer_finish(&event);
}

bool event_queue_put(struct event_queue *self, struct span event, uint64_t bytes_max) {
    tell_of_lost(self, bytes_max);
    if (self->n_lost > 0 || !append(self, event, bytes_max)) {
        self->n_lost++;
        return false;
    }
    return true;
}

void event_queue_note_lost(struct event_queue *self, uint64_t n, uint64_t bytes_max) {
    self->n_lost += n;
    tell_of_lost(self, bytes_max);
}

/* ---- out ---- */

bool event_queue_is_empty(const struct event_queue *self) {
    return list_is_empty(&self->waiting);
}

static void compose(struct event_queue *self) {
    buffer_clear(&self->text);
    buffer_append_text(&self->text, "{\"events\":[");
    list_for_each (link, &self->waiting) {
        const struct waiting_event *event = list_entry(link, struct waiting_event, link);
        if (self->n_sent == EVENTS_MAX || (self->n_sent > 0 && self->text.size + event->size > BYTES_MAX)) {
            break;
        }
        buffer_append_text(&self->text, self->n_sent > 0 ? "," : "");
        buffer_append_span(&self->text, span_of(event->bytes, event->size));
        self->n_sent++;
    }
    buffer_append_text(&self->text, "]}");
    buffer_clear(&self->key);
    buffer_append_span(&self->key, buffer_span(&self->key_prefix));
    buffer_append_u64_decimal(&self->key, ++self->last_key);
}

bool event_queue_next(struct event_queue *self, struct span *ret_text, struct span *ret_key) {
    if (list_is_empty(&self->waiting)) {
        return false;
    }
    if (self->n_sent == 0) {
        compose(self);
    }
    *ret_text = buffer_span(&self->text);
    *ret_key = buffer_span(&self->key);
    return true;
}

size_t event_queue_acknowledge(struct event_queue *self, uint64_t bytes_max) {
    size_t n = self->n_sent;
    for (; self->n_sent > 0; self->n_sent--) {
        forget_first(self);
    }
    tell_of_lost(self, bytes_max);
    return n;
}
