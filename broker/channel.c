/* One channel: what channel_state's actions mean.
 *
 *   engine ──publication──▶ channel_on_publication ─▶ state ─▶ push: tail, then every live subscription's open batch
 *   SUBSCRIBE ─▶ channel_ask ─▶ state ─▶ load (paced by the set) ─▶ loaded ─▶ state ─▶ answers (channel_answer.c)
 *
 * A push is one copy into each gateway worker's batch; who has no credit for it is lagging from there on, alone. What
 * has no position (no history, or it passed live) such a worker misses for good: that is counted and logged. Failure
 * modes: see channel_state.c; beside them: at broker.tails_bytes the tail that was not used for longest is given up,
 * then recoveries read the engine; no room to keep publications beside a load makes another load. */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum {
    KEPT_MAX = 1024,
    RETRY_MS = 250, /* an engine that is away is asked again */
    EXPECT_MS = 5000,
};
#define KEPT_BYTES_MAX ((size_t) 4 << 20)

static void metric(const struct channel *self, enum shard_metric row) {
    metric_count(self->set->options.metrics, row);
}

/* ---- options ---- */

struct channel_tail_room channel_tail_room(const struct channel *self) {
    int64_t most = self->set->options.config->tail_messages_max;
    if (!namespace_has_history(self->options)) {
        most = 0;
    } else if (self->options->history_size < most) {
        most = self->options->history_size;
    }
    return (struct channel_tail_room){&self->set->tails, (uint32_t) most};
}

static void take_event(struct channel *self, enum channel_event_kind kind) {
    if (channel_step(self, &(struct channel_event){.kind = kind, .wanted = self->n_subscriptions > 0}, NULL)) {
        channel_settle(self);
    }
}

/* What a namespace that is gone leaves behind. */
static const struct namespace_options closed_options = {.name = NULL};

void channel_take_options(struct channel *self, const struct namespace_options *options) {
    bool had_history = namespace_has_history(self->options);
    self->options = options == NULL ? &closed_options : options;
    /* A pair: the engine knows the new options, and holds the channel as often as before. */
    self->set->engine->methods->hold(self->set->engine, channel_name(self), self->options);
    self->set->engine->methods->release(self->set->engine, channel_name(self));
    if (had_history != namespace_has_history(self->options)) {
        /* The load brings the positions that there are from now on, or none; subscribers are told in any case. */
        take_event(self, CHANNEL_ON_RELOAD);
    }
}

/* ---- what is there only while it is needed ---- */

struct channel_work *channel_work(struct channel *self) {
    if (self->work == NULL) {
        struct channel_work *work = memory_alloc_zero(sizeof *work);
        work->channel = self;
        list_init(&work->waiting);
        list_init(&work->load_wanted);
        self->work = work;
    }
    return self->work;
}

static bool is_at_work(const struct channel_work *work) {
    const struct channel_state *state = &work->state;
    return work->reading || work->loaded.valid || state->load_out || state->load_again || state->kept_first != 0 ||
           !list_is_empty(&work->waiting);
}

static void end_work(struct channel *self) {
    if (self->work != NULL && !is_at_work(self->work)) {
        memory_free(self->work);
        self->work = NULL;
    }
}

static void end_due(struct channel *self) {
    if (self->due != NULL) {
        timer_wheel_cancel(self->set->wheel, &self->due->entry);
        memory_free(self->due);
        self->due = NULL;
    }
}

static void on_due(struct timer_entry *entry) {
    struct channel *self = list_entry(entry, struct channel_due, entry)->channel;
    end_due(self);
    take_event(self, CHANNEL_ON_TIME);
}

static void set_due(struct channel *self, uint64_t delay_ms) {
    if (self->due == NULL) {
        self->due = memory_alloc_zero(sizeof *self->due);
        self->due->channel = self;
        timer_entry_init(&self->due->entry, on_due);
    }
    timer_wheel_set(self->set->wheel, &self->due->entry, clock_monotonic_ms() + delay_ms);
}

/* ---- life ---- */

static size_t footprint(const struct channel *self) {
    return offsetof(struct channel, name) + self->name_size;
}

struct channel *channel_new(channel_set_t *set, struct span name, const struct namespace_options *options) {
    struct channel *self = memory_alloc_zero(offsetof(struct channel, name) + name.size);
    self->set = set;
    self->options = options;
    self->phase = CHANNEL_ABSENT;
    self->name_size = (uint8_t) name.size;
    memcpy(self->name, name.data, name.size);
    quota_charge_anyway(&set->tails.quota, footprint(self));
    list_init(&self->subscriptions);
    slot_table_add(&set->by_name[partition_of(name, set->n_partitions)], &self->by_name);
    set->n_channels++;
    set->engine->methods->hold(set->engine, name, options);
    metric_change(set->options.metrics, SHARD_CHANNELS, 1);
    return self;
}

static void drop_kept(struct channel *self) {
    struct channel_work *work = self->work;
    if (work == NULL) {
        return;
    }
    for (uint32_t i = 0; i < work->n_kept; i++) {
        payload_unref(&work->kept[i]);
    }
    quota_release(&self->set->tails.quota, work->kept_bytes);
    memory_free(work->kept);
    work->kept = NULL;
    work->n_kept = 0;
    work->kept_capacity = 0;
    work->kept_bytes = 0;
}

/* `release`: the engine still lives and holds the channel. */
void channel_destroy(struct channel *self, bool release) {
    channel_set_t *set = self->set;
    check(self->n_subscriptions == 0, "%.*s still has subscriptions", self->name_size, self->name);
    check(!release || ((self->work == NULL || !self->work->reading) && !channel_reads_presence(self)),
          "%.*s is being read", self->name_size, self->name);
    if (release) {
        set->engine->methods->release(set->engine, channel_name(self));
    }
    drop_kept(self);
    if (self->work != NULL) {
        list_remove(&self->work->load_wanted);
        memory_free(self->work);
    }
    end_due(self);
    channel_tail_clear(&self->tail);
    channel_presence_destroy(self);
    slot_table_remove(&set->by_name[partition_of(channel_name(self), set->n_partitions)], &self->by_name);
    set->n_channels--;
    quota_release(&set->tails.quota, footprint(self));
    metric_change(set->options.metrics, SHARD_CHANNELS, -1);
    memory_free(self);
}

/* ---- fan-out ---- */

static void lag(struct channel *self, struct subscription *subscription) {
    gateway_peer_lag(subscription->peer, subscription);
    metric(self, SHARD_LAGGING);
}

/* It lags, and what has no position cannot be asked for later: that worker's subscribers never get it. */
static void miss(struct channel *self, const struct subscription *subscription) {
    metric(self, SHARD_MISSED);
    log_warning("publication_missed", log_span("channel", channel_name(self)),
                log_span("gateway", gateway_peer_gateway_id(subscription->peer)),
                log_u64("worker", gateway_peer_worker(subscription->peer)),
                log_text("reason", "it takes too slowly, and without history nothing can be recovered"));
}

static void fan_out(struct channel *self, payload_t *publication, bool has_position) {
    struct span bytes = payload_span(publication);
    uint64_t n = 0;
    list_for_each (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        if (subscription->state == SUBSCRIPTION_LIVE && gateway_peer_push(subscription->peer, subscription, bytes)) {
            n++;
            continue;
        }
        if (subscription->state == SUBSCRIPTION_LIVE) {
            lag(self, subscription);
        }
        if (!has_position && subscription->state == SUBSCRIPTION_LAGGING) {
            miss(self, subscription);
        }
    }
    metric_add(self->set->options.metrics, SHARD_PUSHES, n);
    metric(self, SHARD_PUBLICATIONS);
}

void channel_expire_tail(struct channel *self) {
    if (self->tail.ring != NULL) {
        channel_tail_expire(&self->tail, clock_wall_ms() - self->options->history_ttl_ms);
    }
}

static void push(struct channel *self, uint64_t offset, payload_t *publication) {
    channel_expire_tail(self);
    if (!channel_tail_append(&self->tail, channel_tail_room(self), offset, publication)) {
        metric(self, SHARD_TAILS_REFUSED);
    }
    fan_out(self, publication, true);
}

void channel_tell_members(struct channel *self, bool joined, struct span info) {
    if (!self->options->join_leave) {
        return;
    }
    list_for_each (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        if (subscription->state == SUBSCRIPTION_LIVE &&
            !gateway_peer_tell_member(subscription->peer, subscription, joined, info)) {
            metric(self, SHARD_MEMBERS_NOT_TOLD);
        }
    }
}

static void tell_lost(struct channel *self, const struct position *position) {
    metric(self, SHARD_LOST);
    list_for_each (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        if (subscription->state != SUBSCRIPTION_LIVE) {
            continue;
        }
        struct wire_lost lost = {subscription->handle, position->epoch, position->offset};
        gateway_peer_added(subscription->peer, wire_encode_lost(gateway_peer_batch(subscription->peer), &lost));
    }
}

/* ---- publications that wait ---- */

static bool has_keep_room(const struct channel *self, const payload_t *publication) {
    const struct channel_work *work = self->work;
    return work == NULL ||
           (work->n_kept < KEPT_MAX && work->kept_bytes + payload_footprint(publication) <= KEPT_BYTES_MAX);
}

static void keep(struct channel *self, uint64_t offset, payload_t *publication) {
    struct channel_work *work = channel_work(self);
    if (work->n_kept == work->kept_capacity) {
        work->kept_capacity = work->kept_capacity == 0 ? 4 : work->kept_capacity * 2;
        work->kept = memory_realloc(work->kept, work->kept_capacity * sizeof *work->kept);
    }
    if (work->n_kept == 0) {
        work->kept_first = offset;
    }
    work->kept[work->n_kept++] = payload_ref(publication);
    work->kept_bytes += payload_footprint(publication);
    quota_charge_anyway(&self->set->tails.quota, payload_footprint(publication));
}

static void push_kept(struct channel *self, uint64_t first, uint64_t last) {
    const struct channel_work *work = self->work;
    for (uint64_t offset = first; offset <= last; offset++) {
        check(work != NULL && offset >= work->kept_first && offset - work->kept_first < work->n_kept, "kept run");
        push(self, offset, work->kept[offset - work->kept_first]);
    }
}

static void push_loaded(struct channel *self, uint64_t first, uint64_t last) {
    for (uint64_t offset = first; offset <= last; offset++) {
        check(self->work != NULL && self->work->loaded.valid, "nothing is loaded");
        const struct channel_load *loaded = &self->work->loaded;
        check(offset >= loaded->first && offset <= loaded->last, "loaded run");
        push(self, offset, loaded->publications[offset - loaded->first]);
    }
}

/* ---- the state's actions ---- */

static void act(struct channel *self, const struct channel_action *action, const struct channel_event *event,
                payload_t *publication) {
    switch (action->kind) {
    case CHANNEL_LOAD:
        channel_want_load(self, action->has_since, &action->position);
        break;
    case CHANNEL_PUSH:
        push(self, event->position.offset, publication);
        break;
    case CHANNEL_PASS:
        fan_out(self, publication, false);
        break;
    case CHANNEL_KEEP:
        keep(self, event->position.offset, publication);
        break;
    case CHANNEL_PUSH_LOADED:
        push_loaded(self, action->first, action->last);
        break;
    case CHANNEL_PUSH_KEPT:
        push_kept(self, action->first, action->last);
        break;
    case CHANNEL_DROP_KEPT:
        drop_kept(self);
        break;
    case CHANNEL_EMPTY_TAIL:
        channel_tail_clear(&self->tail);
        break;
    case CHANNEL_TELL_LOST:
        tell_lost(self, &action->position);
        break;
    case CHANNEL_ANSWER:
        channel_answer_waiting(self);
        break;
    case CHANNEL_FAIL:
        channel_refuse_waiting(self);
        break;
    case CHANNEL_RETRY:
        set_due(self, RETRY_MS);
        break;
    case CHANNEL_FREE:
        unreachable("free is the last action");
    }
}

/* The pure state is put together from the channel's rest and its work, and taken apart again before its actions are
 * carried out: they already stand behind it, and may step again. */
static void step_state(struct channel *self, const struct channel_event *event, struct channel_actions *ret_actions) {
    struct channel_state state = self->work == NULL ? (struct channel_state){.load_out = false} : self->work->state;
    state.phase = (enum channel_phase) self->phase;
    state.cursor = self->cursor;
    state.past = self->past;
    channel_state_step(&state, event, ret_actions);
    self->phase = (uint8_t) state.phase;
    self->cursor = state.cursor;
    self->past = state.past;
    if (self->work != NULL || state.load_out || state.load_again || state.kept_first != 0) {
        channel_work(self)->state = state;
    }
}

bool channel_step(struct channel *self, const struct channel_event *event, payload_t *publication) {
    struct channel_actions actions;
    step_state(self, event, &actions);
    for (unsigned i = 0; i < actions.n; i++) {
        if (actions.list[i].kind == CHANNEL_FREE) {
            if (!channel_reads_presence(self)) {
                channel_destroy(self, true);
                return false;
            }
            /* It stays until that is back. */
            set_due(self, EXPECT_MS);
            return true;
        }
        act(self, &actions.list[i], event, publication);
    }
    return true;
}

bool channel_settle(struct channel *self) {
    if (self->n_subscriptions == 0 &&
        !channel_step(self, &(struct channel_event){.kind = CHANNEL_ON_LAST_LEFT}, NULL)) {
        return false;
    }
    if (self->n_subscriptions == 0 && self->due == NULL) {
        bool idle = self->phase == CHANNEL_IDLE;
        set_due(self, idle ? (uint64_t) self->set->options.config->tail_idle_ms : EXPECT_MS);
    }
    end_work(self);
    return true;
}

/* ---- subscribing ---- */

static void tell_occupied(const struct channel *self, bool is_occupied) {
    const struct channel_set_options *options = &self->set->options;
    if (self->options != NULL && self->options->occupancy_events && options->on_occupied != NULL) {
        options->on_occupied(options->context, channel_name(self), is_occupied);
    }
}

void channel_link(channel_set_t *set, struct span name, const struct namespace_options *options,
                  struct subscription *subscription) {
    struct channel *self = channel_set_find(set, name);
    if (self == NULL) {
        self = channel_new(set, name, options);
    }
    check(subscription->top == NULL, "linked twice");
    subscription->top = &self->cursor.offset;
    subscription->state = SUBSCRIPTION_ASKING;
    list_push_back(&self->subscriptions, &subscription->of_channel);
    self->n_subscriptions++;
    metric_change(set->options.metrics, SHARD_SUBSCRIPTIONS, 1);
    if (self->n_subscriptions == 1) {
        tell_occupied(self, true);
    }
    if (self->phase == CHANNEL_IDLE || self->phase == CHANNEL_ABSENT) {
        end_due(self);
    }
    if ((options->presence || options->join_leave) && self->presence == NULL) {
        channel_load_presence(self);
    }
}

channel_t *channel_of(const struct subscription *subscription) {
    const uint64_t *top = subscription->top;
    return top == NULL ? NULL : list_entry((uintptr_t) top, struct channel, cursor.offset);
}

/* The last to be called for a subscription; the channel may be gone behind it. */
void channel_unlink(struct subscription *subscription) {
    struct channel *self = channel_of(subscription);
    list_remove(&subscription->of_channel);
    channel_forget_wait(subscription);
    gateway_peer_forget_told(subscription);
    subscription->top = NULL;
    self->n_subscriptions--;
    metric_change(self->set->options.metrics, SHARD_SUBSCRIPTIONS, -1);
    if (!self->set->closing && self->n_subscriptions == 0) {
        tell_occupied(self, false);
    }
    if (!self->set->closing) {
        channel_settle(self);
    }
}

/* ---- events of the engine ---- */

static bool needs_load_again(const struct channel *self) {
    return self->work != NULL && self->work->state.load_again;
}

void channel_on_publication(channel_t *self, const struct epoch *epoch, uint64_t offset, payload_t *publication) {
    struct channel_event event = {.kind = CHANNEL_ON_PUBLICATION,
                                  .wanted = self->n_subscriptions > 0,
                                  .position = {*epoch, offset},
                                  .keep_room = has_keep_room(self, publication)};
    bool again = needs_load_again(self);
    if (!channel_step(self, &event, publication)) {
        return;
    }
    if (!again && needs_load_again(self) && self->phase != CHANNEL_LIVE) {
        metric(self, SHARD_KEPT_DROPPED);
    }
    if (self->phase == CHANNEL_IDLE) {
        set_due(self, (uint64_t) self->set->options.config->tail_idle_ms);
    }
    channel_settle(self);
}

void channel_on_removed(channel_t *self, const struct position *top) {
    if (epoch_equal(&top->epoch, &self->cursor.epoch)) {
        channel_tail_drop_to(&self->tail, top->offset);
    }
}

void channel_on_doubt(channel_t *self) {
    take_event(self, CHANNEL_ON_DOUBT);
}

/* ---- reading ---- */

struct span channel_name(const channel_t *self) {
    return span_of(self->name, self->name_size);
}

const struct namespace_options *channel_options(const channel_t *self) {
    return self->options;
}

struct position channel_cursor(const channel_t *self) {
    return self->cursor;
}

enum channel_phase channel_phase_of(const channel_t *self) {
    return (enum channel_phase) self->phase;
}

bool channel_read_tail(channel_t *self, const struct position *since, uint32_t limit, size_t bytes_max,
                       struct buffer *out, uint32_t *ret_n) {
    channel_expire_tail(self);
    const struct position *cursor = &self->cursor;
    bool same = epoch_is_empty(&since->epoch) || epoch_equal(&since->epoch, &cursor->epoch);
    if (epoch_is_empty(&cursor->epoch) || !same || since->offset > cursor->offset ||
        since->offset + 1 < channel_tail_first(&self->tail, cursor->offset)) {
        return false;
    }
    channel_tail_use(&self->tail);
    *ret_n = 0;
    for (uint64_t offset = since->offset + 1; offset <= cursor->offset && *ret_n < limit; offset++) {
        struct span bytes = payload_span(channel_tail_at(&self->tail, offset));
        if (out->size + bytes.size > bytes_max) {
            break;
        }
        buffer_append_span(out, bytes);
        (*ret_n)++;
    }
    return true;
}
