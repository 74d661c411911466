/* See backend_subscriptions.h. */
#include "broker/backend/backend_subscriptions.h"

#include "base/memory.h"

#include <uthash.h>

enum state { ASKING, LIVE, BEHIND };

struct subscription {
    uint32_t handle; /* of this link, never used twice; 0: not asked for yet */
    enum state state;
    bool is_answered; /* subscribe has its ok */
    bool has_history;
    bool has_position; /* SUBSCRIBE with since `at` */
    bool owes_gap;     /* a gap event is due before anything else */
    bool ask_again;    /* at the next tick */
    bool is_own;       /* `at` was told by us, so it may be trusted */
    struct position at;
    struct backend_subscriber subscriber; /* its spans lie in `text` */
    struct span channel;
    struct span key; /* routing and channel, for by_key */
    UT_hash_handle by_handle;
    UT_hash_handle by_key;
    uint8_t text[]; /* routing, channel, id, key */
};

struct backend_subscriptions {
    struct backend_subscriptions_options options;
    struct subscription *by_handle;
    struct subscription *by_key;
    uint32_t last_handle;
};

static struct subscription *find_by_key(backend_subscriptions_t *self, struct span routing, struct span channel) {
    struct subscription *found = NULL;
    struct buffer key = BUFFER_EMPTY;
    buffer_append_span(&key, routing);
    buffer_append_span(&key, channel);
    HASH_FIND(by_key, self->by_key, key.data, key.size, found);
    buffer_finish(&key);
    return found;
}

static void forget_handle(backend_subscriptions_t *self, struct subscription *subscription) {
    if (subscription->handle != 0) {
        HASH_DELETE(by_handle, self->by_handle, subscription);
        subscription->handle = 0;
    }
}

static void send_unsubscribe(backend_subscriptions_t *self, const struct subscription *subscription) {
    uint32_t shard;
    struct buffer *batch = backend_link_batch(self->options.link, subscription->channel, &shard);
    struct wire_unsubscribe frame = {.handle = subscription->handle};
    if (subscription->handle != 0 && batch != NULL && wire_encode_unsubscribe(batch, &frame)) {
        backend_link_added(self->options.link, shard);
    }
}

static void remove_subscription(backend_subscriptions_t *self, struct subscription *subscription) {
    send_unsubscribe(self, subscription);
    forget_handle(self, subscription);
    HASH_DELETE(by_key, self->by_key, subscription);
    memory_free(subscription);
}

/* SUBSCRIBE, on a handle of its own; without a link it waits for on_up. */
static void ask(backend_subscriptions_t *self, struct subscription *subscription) {
    uint32_t shard;
    struct buffer *batch = backend_link_batch(self->options.link, subscription->channel, &shard);
    subscription->ask_again = batch == NULL;
    if (batch == NULL) {
        return;
    }
    if (subscription->handle == 0) {
        subscription->handle = ++self->last_handle;
        HASH_ADD(by_handle, self->by_handle, handle, sizeof subscription->handle, subscription);
    }
    struct wire_subscribe frame = {
        .request = subscription->handle,
        .handle = subscription->handle,
        .flags = (uint8_t) ((subscription->has_position ? WIRE_SUBSCRIBE_SINCE : 0) |
                            (subscription->is_own ? WIRE_SUBSCRIBE_OWN : 0)),
        .since_epoch = subscription->at.epoch,
        .since_offset = subscription->at.offset,
        .channel = subscription->channel,
    };
    if (wire_encode_subscribe(batch, &frame)) {
        backend_link_added(self->options.link, shard);
    } else {
        subscription->ask_again = true;
    }
}

enum error_code backend_subscribe(backend_subscriptions_t *self, const struct backend_subscriber *subscriber,
                                  struct span channel, const struct position *since) {
    if (find_by_key(self, subscriber->routing, channel) != NULL) {
        return ERROR_ALREADY_SUBSCRIBED;
    }
    if (HASH_CNT(by_key, self->by_key) >= self->options.subscriptions_max) {
        return ERROR_LIMIT_EXCEEDED;
    }
    size_t text_size = subscriber->routing.size + channel.size + subscriber->id.size + subscriber->key.size;
    struct subscription *subscription = memory_alloc_zero(sizeof *subscription + text_size);
    struct buffer text = {.data = subscription->text, .capacity = text_size, .limit = text_size};
    buffer_append_span(&text, subscriber->routing);
    buffer_append_span(&text, channel);
    buffer_append_span(&text, subscriber->id);
    buffer_append_span(&text, subscriber->key);
    uint8_t *at = subscription->text;
    subscription->key = span_of(at, subscriber->routing.size + channel.size);
    subscription->subscriber.routing = span_of(at, subscriber->routing.size);
    subscription->channel = span_of(at + subscriber->routing.size, channel.size);
    subscription->subscriber.id = span_of(at + subscription->key.size, subscriber->id.size);
    subscription->subscriber.key = span_of(at + subscription->key.size + subscriber->id.size, subscriber->key.size);
    subscription->subscriber.has_delimiter = subscriber->has_delimiter;
    subscription->has_position = since != NULL;
    subscription->at = since == NULL ? (struct position){.offset = 0} : *since;
    HASH_ADD_KEYPTR(by_key, self->by_key, subscription->key.data, subscription->key.size, subscription);
    ask(self, subscription);
    return ERROR_NONE;
}

bool backend_unsubscribe(backend_subscriptions_t *self, struct span routing, struct span channel) {
    struct subscription *subscription = find_by_key(self, routing, channel);
    if (subscription != NULL) {
        remove_subscription(self, subscription);
    }
    return subscription != NULL;
}

/* ---- events out ---- */

/* False: nothing more for this subscription now; it may be gone. */
static bool tell(backend_subscriptions_t *self, struct subscription *subscription, const char *type,
                 const struct position *position, const struct wire_publication *publication) {
    switch (self->options.on_event(self->options.context, &subscription->subscriber, type, subscription->channel,
                                   position, publication)) {
    case BACKEND_EVENT_SENT:
        return true;
    case BACKEND_EVENT_FULL:
        send_unsubscribe(self, subscription);
        forget_handle(self, subscription);
        subscription->state = BEHIND;
        subscription->ask_again = true;
        return false;
    case BACKEND_EVENT_GONE:
        remove_subscription(self, subscription);
        return false;
    }
    return false;
}

/* The gap event, where one is due. False: not now, or the subscription is gone. */
static bool tell_gap(backend_subscriptions_t *self, struct subscription *subscription) {
    if (!subscription->owes_gap) {
        return true;
    }
    if (!tell(self, subscription, "gap", &subscription->at, NULL)) {
        return false;
    }
    subscription->owes_gap = false;
    return true;
}

/* One publication that is due; it moves the position only when it was sent. */
static bool tell_publication(backend_subscriptions_t *self, struct subscription *subscription,
                             const struct wire_publication *publication) {
    struct position position = {.epoch = subscription->at.epoch, .offset = publication->offset};
    if (!tell_gap(self, subscription) || !tell(self, subscription, "publication", &position, publication)) {
        return false;
    }
    if (publication->offset > 0) {
        subscription->at.offset = publication->offset;
    }
    return true;
}

/* ---- frames in ---- */

static struct subscription *find_by_handle(backend_subscriptions_t *self, uint32_t handle) {
    struct subscription *found = NULL;
    HASH_FIND(by_handle, self->by_handle, &handle, sizeof handle, found);
    return found;
}

/* The position behind the answer, before the publications that come with it. */
static void take_position(backend_subscriptions_t *self, struct subscription *subscription,
                          const struct wire_subscribed *frame) {
    bool is_recovered = (frame->flags & WIRE_SUBSCRIBED_RECOVERED) != 0;
    bool is_first = !subscription->is_answered;
    bool wanted = subscription->has_position || !is_first;
    struct position top = {.epoch = frame->epoch, .offset = frame->offset};
    struct position start =
        is_recovered ? (struct position){.epoch = frame->epoch, .offset = subscription->at.offset} : top;
    subscription->has_history = (frame->flags & WIRE_SUBSCRIBED_HISTORY) != 0;
    subscription->has_position = subscription->has_history;
    subscription->is_own = subscription->has_history;
    subscription->at = start;
    subscription->state = LIVE;
    if (is_first) {
        subscription->is_answered = true;
        self->options.on_subscribed(self->options.context, &subscription->subscriber, ERROR_NONE, &start);
    }
    subscription->owes_gap = subscription->owes_gap || (wanted && !is_recovered);
}

static void on_subscribed(backend_subscriptions_t *self, const struct wire_subscribed *frame) {
    struct subscription *subscription = find_by_handle(self, frame->handle);
    if (subscription == NULL) {
        return;
    }
    take_position(self, subscription, frame);
    if (!tell_gap(self, subscription)) {
        return;
    }
    struct cursor cursor = cursor_of(frame->publications);
    struct wire_publication publication;
    for (uint32_t i = 0; i < frame->n_publications && wire_read_publication(&cursor, &publication); i++) {
        if (publication.offset > subscription->at.offset && !tell_publication(self, subscription, &publication)) {
            return;
        }
    }
    if ((frame->flags & WIRE_SUBSCRIBED_MORE) != 0) {
        ask(self, subscription);
    }
}

static void on_push(backend_subscriptions_t *self, const struct wire_push *frame) {
    struct subscription *subscription = find_by_handle(self, frame->handle);
    struct cursor cursor = cursor_of(frame->publication);
    struct wire_publication publication;
    if (subscription != NULL && subscription->state == LIVE && wire_read_publication(&cursor, &publication)) {
        tell_publication(self, subscription, &publication);
    }
}

/* Who comes and goes is told as it happens; while the subscription is behind it is not: presence says who is there. */
static void on_member(backend_subscriptions_t *self, uint32_t handle, const char *type, struct span info) {
    struct subscription *subscription = find_by_handle(self, handle);
    const struct wire_publication about = {.info = info};
    if (subscription != NULL && subscription->state == LIVE && tell_gap(self, subscription)) {
        tell(self, subscription, type, &subscription->at, &about);
    }
}

static void on_error(backend_subscriptions_t *self, const struct wire_error *frame) {
    struct subscription *subscription = find_by_handle(self, frame->handle);
    if (subscription == NULL) {
        return;
    }
    forget_handle(self, subscription);
    if (subscription->is_answered && (frame->flags & WIRE_ERROR_TEMPORARY) != 0) {
        subscription->state = BEHIND;
        subscription->ask_again = true;
        return;
    }
    if (subscription->is_answered) {
        self->options.on_event(self->options.context, &subscription->subscriber, "end", subscription->channel,
                               &subscription->at, NULL);
    } else {
        self->options.on_subscribed(self->options.context, &subscription->subscriber, (enum error_code) frame->code,
                                    &subscription->at);
    }
    remove_subscription(self, subscription);
}

static void on_lost(backend_subscriptions_t *self, const struct wire_lost *frame) {
    struct subscription *subscription = find_by_handle(self, frame->handle);
    if (subscription != NULL) {
        subscription->at = (struct position){.epoch = frame->epoch, .offset = frame->offset};
        subscription->has_history = !epoch_is_empty(&frame->epoch);
        subscription->has_position = subscription->has_history;
        subscription->is_own = subscription->has_history;
        subscription->owes_gap = true;
        tell_gap(self, subscription);
    }
}

static void on_lagging(backend_subscriptions_t *self, uint32_t handle) {
    struct subscription *subscription = find_by_handle(self, handle);
    if (subscription != NULL) {
        subscription->state = ASKING;
        ask(self, subscription);
    }
}

void backend_subscriptions_on_frame(backend_subscriptions_t *self, const struct wire_frame *frame) {
    struct wire_subscribed subscribed;
    struct wire_push push;
    struct wire_error error;
    struct wire_lost lost;
    struct wire_lagging lagging;
    struct wire_join join;
    struct wire_leave leave;
    if (frame->kind == WIRE_PUSH && wire_decode_push(frame->body, &push)) {
        on_push(self, &push);
    } else if (frame->kind == WIRE_SUBSCRIBED && wire_decode_subscribed(frame->body, &subscribed)) {
        on_subscribed(self, &subscribed);
    } else if (frame->kind == WIRE_ERROR && wire_decode_error(frame->body, &error)) {
        on_error(self, &error);
    } else if (frame->kind == WIRE_LOST && wire_decode_lost(frame->body, &lost)) {
        on_lost(self, &lost);
    } else if (frame->kind == WIRE_LAGGING && wire_decode_lagging(frame->body, &lagging)) {
        on_lagging(self, lagging.handle);
    } else if (frame->kind == WIRE_JOIN && wire_decode_join(frame->body, &join)) {
        on_member(self, join.handle, "join", join.info);
    } else if (frame->kind == WIRE_LEAVE && wire_decode_leave(frame->body, &leave)) {
        on_member(self, leave.handle, "leave", leave.info);
    }
}

/* ---- the link and time ---- */

void backend_subscriptions_on_up(backend_subscriptions_t *self) {
    struct subscription *subscription;
    struct subscription *next;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        ask(self, subscription);
    }
}

void backend_subscriptions_on_down(backend_subscriptions_t *self) {
    struct subscription *subscription;
    struct subscription *next;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        forget_handle(self, subscription);
        subscription->state = ASKING;
        subscription->ask_again = true;
    }
    self->last_handle = 0;
}

void backend_subscriptions_tick(backend_subscriptions_t *self) {
    struct subscription *subscription;
    struct subscription *next;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        if (subscription->ask_again) {
            ask(self, subscription);
        }
    }
}

size_t backend_subscriptions_drop_unless(backend_subscriptions_t *self,
                                         bool (*may)(void *context, const struct backend_subscriber *subscriber,
                                                     struct span channel),
                                         void *context) {
    struct subscription *subscription;
    struct subscription *next;
    size_t n = 0;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        if (!may(context, &subscription->subscriber, subscription->channel)) {
            remove_subscription(self, subscription);
            n++;
        }
    }
    return n;
}

void backend_subscriptions_end(backend_subscriptions_t *self) {
    struct subscription *subscription;
    struct subscription *next;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        if (subscription->is_answered) {
            self->options.on_event(self->options.context, &subscription->subscriber, "end", subscription->channel,
                                   &subscription->at, NULL);
        }
        remove_subscription(self, subscription);
    }
}

size_t backend_subscriptions_count(const backend_subscriptions_t *self) {
    return HASH_CNT(by_key, self->by_key);
}

backend_subscriptions_t *backend_subscriptions_new(const struct backend_subscriptions_options *options) {
    backend_subscriptions_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    return self;
}

void backend_subscriptions_destroy(backend_subscriptions_t **self_p) {
    backend_subscriptions_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    struct subscription *subscription;
    struct subscription *next;
    HASH_ITER(by_key, self->by_key, subscription, next) {
        forget_handle(self, subscription);
        HASH_DELETE(by_key, self->by_key, subscription);
        memory_free(subscription);
    }
    memory_free(self);
    *self_p = NULL;
}
