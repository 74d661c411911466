/* See redis_pubsub.h.
 *
 *   link up ─▶ (S)SUBSCRIBE probe, wanted topics… ─▶ confirmed one by one ─▶ messages
 *      every 5 s: was the last probe heard? ─▶ send_probe ─▶ … ─▶ our own message
 *
 * Failures: the link cut, a probe missed twice, the probe's topic ended → everything is subscribed anew on a new
 * connection. A topic that the server ended, or refused with MOVED, is told lost; the slot it lives in is elsewhere.
 * Messages of unknown topics and shapes are dropped. */
#include "broker/redis/link/redis_pubsub.h"

#include "base/check.h"
#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

struct topic {
    struct span name;   /* empty: not wanted */
    unsigned n_asked;   /* subscriptions not yet confirmed: only the last one counts */
    unsigned n_leaving; /* unsubscriptions not yet confirmed */
};

struct redis_pubsub {
    struct redis_pubsub_options options;
    redis_link_t *link;
    struct topic *topics;
    struct buffer probe_topic;
    uv_timer_t timer;
    unsigned n_missed;
    bool probe_is_out;
    bool is_up;
    bool is_closing;
    unsigned n_handles;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* ---- subscribing ---- */

static void command(redis_pubsub_t *self, const char *sharded, const char *plain, struct span name) {
    struct buffer *out = redis_link_out(self->link);
    redis_request_begin(out, 2);
    redis_request_text(out, self->options.sharded ? sharded : plain);
    redis_request_bytes(out, name);
    redis_link_sent(self->link, NULL, NULL);
}

static void on_link_up(void *context) {
    redis_pubsub_t *self = context;
    buffer_clear(&self->probe_topic);
    buffer_append_span(&self->probe_topic, self->options.events->probe_topic(self->options.context));
    command(self, "SSUBSCRIBE", "SUBSCRIBE", buffer_span(&self->probe_topic));
    for (uint32_t i = 0; i < self->options.n_topics; i++) {
        struct topic *topic = &self->topics[i];
        topic->n_asked = topic->name.size > 0;
        topic->n_leaving = 0;
        if (topic->name.size > 0) {
            command(self, "SSUBSCRIBE", "SUBSCRIBE", topic->name);
        }
    }
    redis_link_flush(self->link);
}

static void on_link_down(void *context, const char *reason) {
    redis_pubsub_t *self = context;
    self->is_up = false;
    self->probe_is_out = false;
    self->n_missed = 0;
    if (!self->is_closing) {
        self->options.events->on_down(self->options.context, reason);
    }
}

void redis_pubsub_subscribe(redis_pubsub_t *self, uint32_t topic, struct span name) {
    check(topic < self->options.n_topics && name.size > 0, "topic %u", topic);
    self->topics[topic].name = name;
    if (redis_link_is_up(self->link)) {
        self->topics[topic].n_asked++;
        command(self, "SSUBSCRIBE", "SUBSCRIBE", name);
    }
}

void redis_pubsub_unsubscribe(redis_pubsub_t *self, uint32_t topic) {
    check(topic < self->options.n_topics, "topic %u", topic);
    if (redis_link_is_up(self->link) && self->topics[topic].name.size > 0) {
        self->topics[topic].n_leaving++;
        command(self, "SUNSUBSCRIBE", "UNSUBSCRIBE", self->topics[topic].name);
    }
    self->topics[topic].name = SPAN_EMPTY;
}

bool redis_pubsub_is_wanted(const redis_pubsub_t *self, uint32_t topic) {
    check(topic < self->options.n_topics, "topic %u", topic);
    return self->topics[topic].name.size > 0;
}

/* ---- hearing ---- */

static struct topic *find_topic(redis_pubsub_t *self, struct span name, uint32_t *ret_number) {
    *ret_number = self->options.events->find_topic(self->options.context, name);
    return *ret_number < self->options.n_topics ? &self->topics[*ret_number] : NULL;
}

static bool is_probe(const redis_pubsub_t *self, struct span name) {
    return span_equal(name, buffer_span(&self->probe_topic));
}

static void on_subscribed(redis_pubsub_t *self, struct span name) {
    if (is_probe(self, name)) {
        self->is_up = true;
        self->options.events->on_up(self->options.context);
        return;
    }
    uint32_t number = 0;
    struct topic *topic = find_topic(self, name, &number);
    if (topic != NULL && topic->n_asked > 0 && --topic->n_asked == 0 && topic->name.size > 0) {
        self->options.events->on_confirmed(self->options.context, number);
    }
}

static void lose_topic(redis_pubsub_t *self, uint32_t number) {
    self->topics[number].name = SPAN_EMPTY;
    self->options.events->on_lost(self->options.context, number);
}

static void on_unsubscribed(redis_pubsub_t *self, struct span name) {
    uint32_t number = 0;
    struct topic *topic = find_topic(self, name, &number);
    if (topic != NULL && topic->n_leaving > 0) {
        topic->n_leaving--;
    } else if (topic != NULL && topic->name.size > 0) {
        lose_topic(self, number);
    } else if (is_probe(self, name)) {
        redis_link_drop(self->link, "Redis ended the probe's subscription");
    }
}

/* The topic's slot is elsewhere: told lost where it was to be subscribed; one that was being left is left. */
static bool is_moved_away(redis_pubsub_t *self, struct span error) {
    uint32_t number = span_starts_with(error, SPAN_LITERAL("MOVED "))
                          ? self->options.events->find_moved(self->options.context, error)
                          : UINT32_MAX;
    struct topic *topic = number < self->options.n_topics ? &self->topics[number] : NULL;
    if (topic == NULL) {
        return false;
    }
    if (topic->n_asked > 0) {
        topic->n_asked--;
        lose_topic(self, number);
        return true;
    }
    if (topic->n_leaving > 0) {
        topic->n_leaving--;
        return true;
    }
    return false;
}

static void on_message(redis_pubsub_t *self, struct span name, struct span message) {
    if (is_probe(self, name)) {
        self->probe_is_out = false;
        self->n_missed = 0;
        return;
    }
    uint32_t number = 0;
    struct topic *topic = find_topic(self, name, &number);
    if (topic != NULL && span_equal(topic->name, name)) {
        self->options.events->on_message(self->options.context, number, message);
    }
}

static void on_push(void *context, const struct redis_reply *reply) {
    redis_pubsub_t *self = context;
    if (self->is_closing) {
        return;
    }
    if (reply->type == REDIS_ERROR) {
        if (!self->is_up || !is_moved_away(self, reply->text)) {
            redis_link_drop(self->link, "Redis refused a subscription");
        }
        return;
    }
    if (reply->type != REDIS_ARRAY || reply->n != 3) {
        return;
    }
    const struct redis_reply *kind = &reply->elements[0];
    struct span name = redis_reply_string(&reply->elements[1]);
    if (redis_reply_is_text(kind, "message") || redis_reply_is_text(kind, "smessage")) {
        on_message(self, name, redis_reply_string(&reply->elements[2]));
    } else if (redis_reply_is_text(kind, "subscribe") || redis_reply_is_text(kind, "ssubscribe")) {
        on_subscribed(self, name);
    } else if (redis_reply_is_text(kind, "unsubscribe") || redis_reply_is_text(kind, "sunsubscribe")) {
        on_unsubscribed(self, name);
    }
}

/* ---- the probe ---- */

static void on_probe(uv_timer_t *timer) {
    redis_pubsub_t *self = timer->data;
    if (!self->is_up) {
        return;
    }
    if (self->probe_is_out && ++self->n_missed >= 2) {
        redis_link_drop(self->link, "the pub/sub link does not hear its own probe");
        return;
    }
    self->probe_is_out = self->options.events->send_probe(self->options.context, buffer_span(&self->probe_topic));
}

/* ---- life ---- */

static const struct redis_link_events link_events = {on_link_up, on_link_down, on_push};

redis_pubsub_t *redis_pubsub_new(const struct redis_pubsub_options *options) {
    redis_pubsub_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->topics = memory_alloc_array(options->n_topics, sizeof *self->topics);
    buffer_init(&self->probe_topic, 0);
    struct redis_link_options link = options->link;
    link.is_pubsub = true;
    link.events = &link_events;
    link.context = self;
    self->link = redis_link_new(&link);
    uv_timer_init(link.loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_probe, options->probe_ms, options->probe_ms);
    self->n_handles = 2;
    return self;
}

static void on_part_closed(redis_pubsub_t *self) {
    if (--self->n_handles > 0) {
        return;
    }
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    memory_free(self->topics);
    buffer_finish(&self->probe_topic);
    memory_free(self);
    on_closed(context);
}

static void on_link_closed(void *context) {
    on_part_closed(context);
}

static void on_timer_closed(uv_handle_t *handle) {
    on_part_closed(handle->data);
}

void redis_pubsub_close(redis_pubsub_t *self, void (*on_closed)(void *context), void *context) {
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
    redis_link_close(self->link, on_link_closed, self);
}

bool redis_pubsub_is_up(const redis_pubsub_t *self) {
    return self->is_up;
}

void redis_pubsub_flush(redis_pubsub_t *self) {
    redis_link_flush(self->link);
}

void redis_pubsub_set_sharded(redis_pubsub_t *self, bool sharded) {
    if (self->options.sharded != sharded) {
        self->options.sharded = sharded;
        redis_link_drop(self->link, "the server changed its way of pub/sub");
    }
}
