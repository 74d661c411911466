/* What SUBSCRIBEs get. channel_recover (pure) says which offsets; here they are gathered from the tail and the load
 * that is just being handled, and put into the peer's open batch, so that the reply stands in one FIFO with the pushes:
 * its position is the cursor at this moment, and every push behind it is above it (invariant 4). */
#include "base/check.h"
#include "base/memory.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum { TRIES_MAX = 3 }; /* loads that could not answer a question: then it gets a temporary error */

static void metric(const struct channel *self, enum shard_metric row) {
    metric_count(self->set->options.metrics, row);
}

/* ---- refusing ---- */

static void send_error(const struct subscription *subscription, uint32_t request, enum error_code code) {
    const struct error_description *description = error_describe(code);
    struct wire_error frame = {.request = request,
                               .handle = subscription->handle,
                               .code = (uint16_t) code,
                               .flags = description->temporary ? WIRE_ERROR_TEMPORARY : 0,
                               .message = span_of_text(description->message)};
    gateway_peer_t *peer = subscription->peer;
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &frame));
}

void channel_forget_wait(struct subscription *subscription) {
    if (subscription->wait != NULL) {
        list_remove(&subscription->wait->of_channel);
        memory_free(subscription->wait);
        subscription->wait = NULL;
    }
}

/* A subscription that was never answered goes with its refusal. The channel stays: its caller settles it. */
static void refuse(struct channel *self, struct subscription_wait *wait, enum error_code code) {
    struct subscription *subscription = wait->subscription;
    metric(self, SHARD_SUBSCRIBE_REFUSED);
    send_error(subscription, wait->asked.request, code);
    channel_forget_wait(subscription);
    if (subscription->state == SUBSCRIPTION_ASKING) {
        list_remove(&subscription->of_channel);
        subscription->top = NULL;
        self->n_subscriptions--;
        metric_change(self->set->options.metrics, SHARD_SUBSCRIPTIONS, -1);
        gateway_peer_unsubscribe(&subscription);
    }
}

void channel_refuse_waiting(struct channel *self) {
    list_for_each_safe (link, &channel_work(self)->waiting) {
        refuse(self, list_entry(link, struct subscription_wait, of_channel), ERROR_INTERNAL);
    }
}

/* ---- judging ---- */

static struct channel_recover_answer judge(const struct channel *self, const struct subscription_wait *wait) {
    const struct subscription_question *asked = &wait->asked;
    const struct channel_load *loaded = &self->work->loaded;
    uint64_t most = (uint64_t) self->set->options.config->recovery_publications_max;
    struct channel_recover_question question = {
        .cursor = self->cursor,
        .tail_first = channel_tail_first(&self->tail, self->cursor.offset),
        .has_since = asked->has_since,
        .own = asked->own,
        .since = asked->since,
        .publications_max = asked->limit != 0 && asked->limit < most ? asked->limit : most,
        .loaded = loaded->valid && self->work->loads_sent >= wait->at_load,
        .loaded_top = loaded->top,
        .loaded_since = loaded->since,
        .loaded_first = loaded->first,
        .loaded_last = loaded->last,
        .loaded_gap = loaded->gap,
    };
    return channel_recover(&question);
}

bool channel_needs_load(const struct channel *self, const struct subscription_wait *wait) {
    return judge(self, wait).verdict == CHANNEL_RECOVER_LOAD;
}

/* ---- answering ---- */

static payload_t *publication_at(const struct channel *self, uint64_t offset) {
    payload_t *publication = channel_tail_at(&self->tail, offset);
    const struct channel_load *loaded = &self->work->loaded;
    if (publication == NULL && loaded->valid && offset >= loaded->first && offset <= loaded->last) {
        publication = loaded->publications[offset - loaded->first];
    }
    check(publication != NULL, "offset %llu was promised", (unsigned long long) offset);
    return publication;
}

/* Fills the scratch buffer; returns the last offset that fits into the bound of bytes. At least one always fits. */
static uint64_t gather(struct channel *self, uint64_t first, uint64_t last) {
    struct buffer *scratch = &self->set->scratch;
    size_t bytes_max = (size_t) self->set->options.config->recovery_bytes_max;
    buffer_clear(scratch);
    for (uint64_t offset = first; offset <= last; offset++) {
        struct span bytes = payload_span(publication_at(self, offset));
        if (scratch->size > 0 && scratch->size + bytes.size > bytes_max) {
            return offset - 1;
        }
        buffer_append_span(scratch, bytes);
    }
    return last;
}

/* The wait is over. */
static void send_answer(struct channel *self, struct subscription_wait *wait, uint8_t flags, uint64_t offset,
                        uint32_t n) {
    struct subscription *subscription = wait->subscription;
    gateway_peer_t *peer = subscription->peer;
    struct wire_subscribed frame = {
        .request = wait->asked.request,
        .handle = subscription->handle,
        .flags = (uint8_t) (flags | (epoch_is_empty(&self->cursor.epoch) ? 0 : WIRE_SUBSCRIBED_HISTORY)),
        .epoch = self->cursor.epoch,
        .offset = offset,
        .n_publications = n,
        .publications = n == 0 ? SPAN_EMPTY : buffer_span(&self->set->scratch)};
    channel_forget_wait(subscription);
    gateway_peer_added(peer, wire_encode_subscribed(gateway_peer_batch(peer), &frame));
    if ((flags & WIRE_SUBSCRIBED_MORE) == 0) {
        subscription->state = SUBSCRIPTION_LIVE;
    }
}

/* first…last were found; the bound of bytes may cut them, which a client's recovery does not survive. */
static void send_publications(struct channel *self, struct subscription_wait *wait,
                              const struct channel_recover_answer *answer) {
    channel_tail_use(&self->tail);
    uint64_t last = answer->first > answer->last ? answer->last : gather(self, answer->first, answer->last);
    uint32_t n = (uint32_t) (last + 1 - answer->first);
    bool page = answer->verdict == CHANNEL_RECOVER_PAGE || last < answer->last;
    if (page && !wait->asked.own) {
        metric(self, SHARD_RECOVERED_NO);
        send_answer(self, wait, 0, self->cursor.offset, 0);
        return;
    }
    if (!gateway_peer_has_room(wait->subscription->peer, n == 0 ? 0 : self->set->scratch.size)) {
        refuse(self, wait, ERROR_TOO_MANY_REQUESTS);
        return;
    }
    metric(self, page ? SHARD_RECOVERED_PAGE : SHARD_RECOVERED_YES);
    uint8_t flags = (uint8_t) (WIRE_SUBSCRIBED_RECOVERED | (page ? WIRE_SUBSCRIBED_MORE : 0));
    send_answer(self, wait, flags, page ? last : self->cursor.offset, n);
}

/* False: it waits for a load. */
static bool answer_one(struct channel *self, struct subscription_wait *wait) {
    struct channel_recover_answer answer = judge(self, wait);
    switch (answer.verdict) {
    case CHANNEL_RECOVER_PLAIN:
        send_answer(self, wait, 0, self->cursor.offset, 0);
        return true;
    case CHANNEL_RECOVER_YES:
    case CHANNEL_RECOVER_PAGE:
        send_publications(self, wait, &answer);
        return true;
    case CHANNEL_RECOVER_NO:
        metric(self, SHARD_RECOVERED_NO);
        send_answer(self, wait, 0, self->cursor.offset, 0);
        return true;
    case CHANNEL_RECOVER_LOAD:
        break;
    }
    if (self->work->loaded.valid && self->work->loads_sent >= wait->at_load && ++wait->asked.tries >= TRIES_MAX) {
        refuse(self, wait, ERROR_INTERNAL);
        return true;
    }
    return false;
}

/* What the load brought stands before the tail from now on, as far as it fits: the next who ask need no load. */
static void adopt_loaded(struct channel *self) {
    const struct channel_load *loaded = &self->work->loaded;
    uint64_t cursor = self->cursor.offset;
    if (!loaded->valid || loaded->first == 0 || !epoch_equal(&loaded->top.epoch, &self->cursor.epoch)) {
        return;
    }
    uint64_t tail_first = channel_tail_first(&self->tail, cursor);
    if (loaded->last + 1 < tail_first || loaded->first >= tail_first || loaded->last > cursor) {
        return;
    }
    uint64_t offset = tail_first - 1;
    if (channel_tail_count(&self->tail) == 0) {
        channel_tail_append(&self->tail, channel_tail_room(self), offset, loaded->publications[offset - loaded->first]);
        offset--;
    }
    while (channel_tail_count(&self->tail) > 0 && offset >= loaded->first &&
           channel_tail_prepend(&self->tail, channel_tail_room(self), offset,
                                loaded->publications[offset - loaded->first])) {
        offset--;
    }
}

void channel_answer_waiting(struct channel *self) {
    struct channel_work *work = channel_work(self); /* it stays: nothing here ends it */
    channel_expire_tail(self);
    adopt_loaded(self);
    bool left = false;
    list_for_each_safe (link, &work->waiting) {
        left |= !answer_one(self, list_entry(link, struct subscription_wait, of_channel));
    }
    if (left) {
        struct channel_event event = {.kind = CHANNEL_ON_SUBSCRIBE, .wanted = true, .needs_load = true};
        bool alive = channel_step(self, &event, NULL);
        check(alive, "a channel that is asked does not go");
    }
}

/* ---- what to load ---- */

bool channel_choose_since(const struct channel *self, struct position *ret_since, bool *ret_own) {
    const struct position *cursor = &self->cursor;
    bool found = false;
    list_for_each (link, &self->work->waiting) {
        const struct subscription_question *asked = &list_entry(link, struct subscription_wait, of_channel)->asked;
        bool same = epoch_is_empty(&cursor->epoch) || epoch_is_empty(&asked->since.epoch) ||
                    epoch_equal(&asked->since.epoch, &cursor->epoch);
        if (!asked->has_since || !same) {
            continue;
        }
        bool evidence = asked->own && !epoch_is_empty(&cursor->epoch) && asked->since.offset > cursor->offset;
        if (!found || evidence || asked->since.offset < ret_since->offset) {
            *ret_since = asked->since;
            *ret_own = asked->own;
            found = true;
        }
        if (evidence) {
            break;
        }
    }
    if (found && epoch_is_empty(&ret_since->epoch)) {
        ret_since->epoch = cursor->epoch;
    }
    return found;
}

/* ---- asking ---- */

static void take_place(struct subscription *subscription, bool own) {
    if (subscription->state == SUBSCRIPTION_LAGGING) {
        gateway_peer_forget_told(subscription);
    }
    if (own && subscription->state == SUBSCRIPTION_LIVE) {
        /* The worker says where it stands: nothing is pushed until the reply that brings it to the cursor. */
        gateway_peer_forget_told(subscription);
        subscription->state = SUBSCRIPTION_ASKING;
    }
}

static void wait_for_answer(struct channel_work *work, struct subscription *subscription,
                            const struct subscription_question *question) {
    struct subscription_wait *wait = memory_alloc_zero(sizeof *wait);
    wait->subscription = subscription;
    wait->asked = *question;
    wait->at_load = work->loads_sent + 1;
    list_init(&wait->of_channel);
    list_push_back(&work->waiting, &wait->of_channel);
    subscription->wait = wait;
}

void channel_ask(struct subscription *subscription, const struct subscription_question *question) {
    struct channel *self = channel_of(subscription);
    if (subscription->wait != NULL) {
        /* One at a time: the newer one counts. */
        send_error(subscription, subscription->wait->asked.request, ERROR_INTERNAL);
        channel_forget_wait(subscription);
    }
    if (subscription->state == SUBSCRIPTION_LAGGING && question->has_since && !question->own) {
        /* Nothing flows on this handle: only the worker's own position brings it back. */
        send_error(subscription, question->request, ERROR_INTERNAL);
        return;
    }
    channel_expire_tail(self);
    take_place(subscription, question->own);
    wait_for_answer(channel_work(self), subscription, question);
    struct channel_event event = {
        .kind = CHANNEL_ON_SUBSCRIBE, .wanted = true, .needs_load = channel_needs_load(self, subscription->wait)};
    if (channel_step(self, &event, NULL)) {
        channel_settle(self);
    }
}
