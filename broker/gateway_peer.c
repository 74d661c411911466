/* See the header. What is in flight is wire_lane's business; here is what waits to go.
 *
 *   replies ──────────────▶ open batch ──8 KiB, or end of turn, with credit──▶ sealed, sent
 *   pushes ──with credit──▶     │
 *   LAGGING ◀── to_tell ◀── no credit
 *
 * Failure modes: a peer that does not acknowledge lags (pushes) and then is broken (replies); it never makes memory
 * grow. LAGGING is told only when a good part of the credit is free, so that a slow peer does not flap. */
#include "broker/gateway_peer.h"

#include "base/check.h"
#include "base/memory.h"

enum {
    RESERVE_FRAMES = 256, /* of the credit, kept for control frames */
    RESUME_PART = 4,      /* of the credit is free when a lagging peer is told to come back */
};
#define RESERVE_BYTES ((size_t) 64 << 10)
#define SMALL_REPLY   ((size_t) 1024)

struct gateway_peer {
    struct gateway_peer_options options;
    char *gateway_id;
    wire_lane_t *lane;
    struct buffer batch; /* begun, maybe without a frame yet */
    uint32_t n_frames;   /* in it */
    bool begun;
    bool broken;
    struct list_link dirty;
    slot_table_t subscriptions; /* by handle */
    struct list_link changed;   /* LIVE ones */
    struct list_link to_tell;   /* LAGGING ones */
    struct gateway_peer_notes notes;
};

static uint64_t hash_of(const slot_table_t *table, const struct slot_link *link) {
    return slot_table_hash_number(table, slot_entry(link, struct subscription, by_handle)->handle);
}

gateway_peer_t *gateway_peer_new(const struct gateway_peer_options *options) {
    gateway_peer_t *self = memory_alloc_zero(sizeof *self);
    self->options = *options;
    self->gateway_id = memory_strndup(options->gateway_id.data, options->gateway_id.size);
    self->options.gateway_id = span_of(self->gateway_id, options->gateway_id.size);
    self->lane = wire_lane_new(options->link_epoch, options->shard, WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES,
                               WIRE_CREDIT_FRAMES, WIRE_CREDIT_BYTES);
    wire_lane_speak(self->lane, options->version);
    self->batch = BUFFER_EMPTY;
    list_init(&self->dirty);
    slot_table_init(&self->subscriptions, hash_of);
    list_init(&self->changed);
    list_init(&self->to_tell);
    return self;
}

void gateway_peer_destroy(gateway_peer_t **self_p) {
    gateway_peer_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    struct subscription *subscription = NULL;
    while ((subscription = gateway_peer_first(self)) != NULL) {
        gateway_peer_unsubscribe(&subscription);
    }
    slot_table_finish(&self->subscriptions);
    list_remove(&self->dirty);
    wire_lane_destroy(&self->lane);
    buffer_finish(&self->batch);
    memory_free(self->gateway_id);
    memory_free(self);
    *self_p = NULL;
}

uint32_t gateway_peer_number(const gateway_peer_t *self) {
    return self->options.number;
}

uint64_t gateway_peer_link_epoch(const gateway_peer_t *self) {
    return self->options.link_epoch;
}

struct span gateway_peer_gateway_id(const gateway_peer_t *self) {
    return self->options.gateway_id;
}

uint32_t gateway_peer_worker(const gateway_peer_t *self) {
    return self->options.worker;
}

uint64_t gateway_peer_boot_nonce(const gateway_peer_t *self) {
    return self->options.boot_nonce;
}

gateway_peer_t *gateway_peer_from_dirty(struct list_link *link) {
    return list_entry(link, gateway_peer_t, dirty);
}

struct gateway_peer_notes *gateway_peer_notes(gateway_peer_t *self) {
    return &self->notes;
}

static void make_dirty(gateway_peer_t *self) {
    if (!list_is_linked(&self->dirty)) {
        list_push_back(self->options.dirty, &self->dirty);
    }
}

/* ---- in ---- */

enum wire_lane_outcome gateway_peer_receive(gateway_peer_t *self, const struct wire_batch_header *header) {
    enum wire_lane_outcome outcome = wire_lane_receive(self->lane, header);
    if (self->n_frames > 0 || !list_is_empty(&self->to_tell)) {
        make_dirty(self); /* its acks may have brought credit */
    }
    return outcome;
}

void gateway_peer_consumed(gateway_peer_t *self, uint32_t n_frames, size_t bytes) {
    wire_lane_consumed(self->lane, n_frames, bytes);
    if (wire_lane_ack_is_due(self->lane)) {
        make_dirty(self);
    }
}

/* ---- out ---- */

struct buffer *gateway_peer_batch(gateway_peer_t *self) {
    if (!self->begun) {
        wire_batch_begin(&self->batch);
        self->begun = true;
    }
    return &self->batch;
}

/* May what is open go now? */
static bool has_credit(const gateway_peer_t *self) {
    return wire_lane_has_credit(self->lane, self->n_frames, self->batch.size);
}

/* May so much more be put behind what is open? Only an empty batch may take what is larger than the whole credit. */
static bool has_credit_for(const gateway_peer_t *self, uint32_t n_frames, size_t bytes) {
    return self->n_frames == 0 ? wire_lane_has_credit(self->lane, n_frames, WIRE_BATCH_HEADER_SIZE + bytes)
                               : wire_lane_fits_credit(self->lane, self->n_frames + n_frames, self->batch.size + bytes);
}

static void send_batch(gateway_peer_t *self) {
    wire_lane_seal(self->lane, &self->batch, self->n_frames);
    self->options.send(self->options.context, self, &self->batch);
    self->begun = false;
    self->n_frames = 0;
}

/* One more frame stands in the open batch. */
static void note_frame(gateway_peer_t *self) {
    self->n_frames++;
    if (self->batch.size >= self->options.batch_close && has_credit(self)) {
        send_batch(self);
        return;
    }
    make_dirty(self);
}

void gateway_peer_added(gateway_peer_t *self, bool encoded) {
    if (!encoded) {
        self->broken = true;
        make_dirty(self);
        return;
    }
    note_frame(self);
}

bool gateway_peer_is_broken(const gateway_peer_t *self) {
    return self->broken;
}

bool gateway_peer_admits(const gateway_peer_t *self, size_t bytes) {
    return self->batch.size + bytes + RESERVE_BYTES <= WIRE_BATCH_MAX &&
           has_credit_for(self, 1 + RESERVE_FRAMES, bytes + RESERVE_BYTES);
}

bool gateway_peer_has_room(const gateway_peer_t *self, size_t bytes) {
    return bytes <= SMALL_REPLY || gateway_peer_admits(self, bytes);
}

bool gateway_peer_push(gateway_peer_t *self, struct subscription *subscription, struct span publication) {
    size_t bytes = WIRE_FRAME_HEADER_SIZE + sizeof(uint32_t) + publication.size;
    if (!has_credit_for(self, 1 + RESERVE_FRAMES, bytes + RESERVE_BYTES) ||
        !wire_append_push(gateway_peer_batch(self), subscription->handle, publication)) {
        return false;
    }
    if (!list_is_linked(&subscription->to_tell)) {
        list_push_back(&self->changed, &subscription->to_tell);
    }
    note_frame(self);
    return true;
}

bool gateway_peer_tell_member(gateway_peer_t *self, const struct subscription *subscription, bool joined,
                              struct span info) {
    if (!has_credit_for(self, 1 + RESERVE_FRAMES, info.size + SMALL_REPLY + RESERVE_BYTES)) {
        return false;
    }
    struct buffer *batch = gateway_peer_batch(self);
    bool encoded = joined ? wire_encode_join(batch, &(struct wire_join){subscription->handle, info})
                          : wire_encode_leave(batch, &(struct wire_leave){subscription->handle, info});
    if (encoded) {
        note_frame(self);
    }
    return encoded;
}

void gateway_peer_lag(gateway_peer_t *self, struct subscription *subscription) {
    subscription->state = SUBSCRIPTION_LAGGING;
    list_remove(&subscription->to_tell);
    list_push_back(&self->to_tell, &subscription->to_tell);
    make_dirty(self);
}

void gateway_peer_forget_told(struct subscription *subscription) {
    list_remove(&subscription->to_tell);
}

static void tell_lagging(gateway_peer_t *self) {
    uint32_t frames = wire_lane_peer_frames(self->lane) / RESUME_PART;
    uint32_t bytes = wire_lane_peer_bytes(self->lane) / RESUME_PART;
    if (list_is_empty(&self->to_tell) || !has_credit_for(self, frames, bytes)) {
        return;
    }
    while (!list_is_empty(&self->to_tell) && has_credit_for(self, 1 + RESERVE_FRAMES, RESERVE_BYTES)) {
        struct list_link *link = list_pop_front(&self->to_tell);
        struct subscription *subscription = list_entry(link, struct subscription, to_tell);
        gateway_peer_added(self,
                           wire_encode_lagging(gateway_peer_batch(self), &(struct wire_lagging){subscription->handle}));
    }
}

void gateway_peer_flush(gateway_peer_t *self) {
    tell_lagging(self);
    list_remove(&self->dirty);
    if (self->n_frames > 0 && has_credit(self)) {
        send_batch(self);
    }
    if (wire_lane_ack_is_due(self->lane)) {
        struct buffer ack = BUFFER_EMPTY;
        wire_batch_begin(&ack);
        wire_lane_seal_ack(self->lane, &ack);
        self->options.send(self->options.context, self, &ack);
    }
}

/* ---- beats ---- */

static bool append_top(const struct subscription *subscription, struct buffer *out) {
    if (subscription->state != SUBSCRIPTION_LIVE || *subscription->top == 0) {
        return false;
    }
    buffer_append_u32(out, subscription->handle);
    buffer_append_u64(out, *subscription->top);
    return true;
}

static struct subscription *walk_on(gateway_peer_t *self) {
    struct slot_link *link = slot_table_walk(&self->subscriptions);
    return link == NULL ? NULL : slot_entry(link, struct subscription, by_handle);
}

uint32_t gateway_peer_append_tops(gateway_peer_t *self, uint32_t n_walk, uint32_t n_max, struct buffer *out) {
    uint32_t n = 0;
    while (n < n_max && !list_is_empty(&self->changed)) {
        struct list_link *link = list_pop_front(&self->changed);
        n += append_top(list_entry(link, struct subscription, to_tell), out);
    }
    for (uint32_t i = 0; i < n_walk && i < n_max && self->subscriptions.n > 0; i++) {
        n += append_top(walk_on(self), out);
    }
    return n;
}

/* ---- subscriptions ---- */

struct subscription *gateway_peer_find(gateway_peer_t *self, uint32_t handle) {
    struct slot_link *link =
        slot_table_chain(&self->subscriptions, slot_table_hash_number(&self->subscriptions, handle));
    while (link != NULL && slot_entry(link, struct subscription, by_handle)->handle != handle) {
        link = link->next;
    }
    return link == NULL ? NULL : slot_entry(link, struct subscription, by_handle);
}

struct subscription *gateway_peer_subscribe(gateway_peer_t *self, uint32_t handle) {
    struct subscription *subscription = memory_alloc_zero(sizeof *subscription);
    subscription->handle = handle;
    subscription->peer = self;
    list_init(&subscription->of_channel);
    list_init(&subscription->to_tell);
    slot_table_add(&self->subscriptions, &subscription->by_handle);
    return subscription;
}

void gateway_peer_unsubscribe(struct subscription **subscription_p) {
    struct subscription *subscription = *subscription_p;
    gateway_peer_t *self = subscription->peer;
    check(!list_is_linked(&subscription->of_channel), "handle %u is still in its channel", subscription->handle);
    slot_table_remove(&self->subscriptions, &subscription->by_handle);
    list_remove(&subscription->to_tell);
    memory_free(subscription);
    *subscription_p = NULL;
}

struct subscription *gateway_peer_first(gateway_peer_t *self) {
    return walk_on(self);
}

uint32_t gateway_peer_subscriptions(const gateway_peer_t *self) {
    return (uint32_t) self->subscriptions.n;
}
