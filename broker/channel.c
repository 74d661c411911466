/* One channel: what channel_state's actions mean.
 *
 *   engine ──publication──▶ channel_on_publication ─▶ state ─▶ push: tail, then every live subscription's open batch
 *   SUBSCRIBE ─▶ channel_ask ─▶ state ─▶ load (paced by the set) ─▶ loaded ─▶ state ─▶ answers (channel_answer.c)
 *
 * A push is one copy into each gateway worker's batch; who has no credit for it is lagging from there on, alone.
 * Failure modes: see channel_state.c; beside them: at broker.tails_bytes the tail that was not used for longest is
 * given up, then recoveries read the engine; no room to keep publications beside a load makes another load. */
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum {
    KEPT_MAX = 1024,
    RETRY_MS = 250, /* an engine that is away is asked again */
    EXPECT_MS = 5000,
    LOAD_PUBLICATIONS = 1024, /* of one load from the cursor */
};
#define KEPT_BYTES_MAX ((size_t) 4 << 20)

static void metric(const struct channel *self, enum shard_metric row) {
    metric_count(self->set->options.metrics, row);
}

/* ---- life ---- */

static uint32_t tail_count_max(const channel_set_t *set, const struct namespace_options *options) {
    if (!namespace_has_history(options)) {
        return 0;
    }
    int64_t most = set->options.config->tail_messages_max;
    return (uint32_t) (options->history_size < most ? options->history_size : most);
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
    self->tail.count_max = tail_count_max(self->set, self->options);
    /* A pair: the engine knows the new options, and holds the channel as often as before. */
    self->set->engine->methods->hold(self->set->engine, channel_name(self), self->options);
    self->set->engine->methods->release(self->set->engine, channel_name(self));
    if (had_history != namespace_has_history(self->options)) {
        /* The load brings the positions that there are from now on, or none; subscribers are told in any case. */
        take_event(self, CHANNEL_ON_RELOAD);
    }
}

static void on_due(struct timer_entry *entry) {
    struct channel *self = list_entry(entry, struct channel, due);
    struct channel_event event = {.kind = CHANNEL_ON_TIME, .wanted = self->n_subscriptions > 0};
    if (channel_step(self, &event, NULL)) {
        channel_settle(self);
    }
}

struct channel *channel_new(channel_set_t *set, struct span name, const struct namespace_options *options) {
    struct channel *self = memory_alloc_zero(sizeof *self + name.size + 1);
    self->set = set;
    self->options = options;
    self->name_size = name.size;
    memcpy(self->name, name.data, name.size);
    self->partition = partition_of(name, (uint32_t) set->options.config->partitions);
    self->footprint = sizeof *self + name.size;
    quota_charge_anyway(&set->tails.quota, self->footprint);
    channel_tail_init(&self->tail, tail_count_max(set, options), (size_t) set->options.config->tail_bytes_max,
                      &set->tails);
    timer_entry_init(&self->due, on_due);
    list_init(&self->live);
    list_init(&self->aside);
    list_init(&self->waiting);
    list_init(&self->load_wanted);
    list_init(&self->of_partition);
    list_push_front(&set->partitions[self->partition], &self->of_partition);
    HASH_ADD(by_name, set->by_name, name[0], self->name_size, self);
    set->engine->methods->hold(set->engine, name, options);
    metric_change(set->options.metrics, SHARD_CHANNELS, 1);
    return self;
}

static void drop_kept(struct channel *self) {
    for (uint32_t i = 0; i < self->n_kept; i++) {
        payload_unref(&self->kept[i]);
    }
    quota_release(&self->set->tails.quota, self->kept_bytes);
    memory_free(self->kept);
    self->kept = NULL;
    self->n_kept = 0;
    self->kept_capacity = 0;
    self->kept_bytes = 0;
}

/* `release`: the engine still lives and holds the channel. */
void channel_destroy(struct channel *self, bool release) {
    channel_set_t *set = self->set;
    check(self->n_subscriptions == 0, "%s still has subscriptions", self->name);
    check(!release || (!self->reading && (self->presence == NULL || !presence_is_loading(self->presence))),
          "%s is being read", self->name);
    if (release) {
        set->engine->methods->release(set->engine, channel_name(self));
    }
    drop_kept(self);
    channel_tail_finish(&self->tail);
    presence_destroy(&self->presence);
    timer_wheel_cancel(set->wheel, &self->due);
    list_remove(&self->load_wanted);
    list_remove(&self->of_partition);
    HASH_DELETE(by_name, set->by_name, self);
    quota_release(&set->tails.quota, self->footprint);
    metric_change(set->options.metrics, SHARD_CHANNELS, -1);
    memory_free(self);
}

/* ---- fan-out ---- */

static void lag(struct channel *self, struct subscription *subscription) {
    list_remove(&subscription->of_channel);
    list_push_back(&self->aside, &subscription->of_channel);
    gateway_peer_lag(subscription->peer, subscription);
    metric(self, SHARD_LAGGING);
}

static void fan_out(struct channel *self, payload_t *publication) {
    struct span bytes = payload_span(publication);
    uint64_t n = 0;
    list_for_each_safe (link, &self->live) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        if (gateway_peer_push(subscription->peer, subscription, bytes)) {
            n++;
        } else {
            lag(self, subscription);
        }
    }
    metric_add(self->set->options.metrics, SHARD_PUSHES, n);
    metric(self, SHARD_PUBLICATIONS);
}

static void push(struct channel *self, uint64_t offset, payload_t *publication) {
    if (!channel_tail_append(&self->tail, offset, publication)) {
        metric(self, SHARD_TAILS_REFUSED);
    }
    fan_out(self, publication);
}

void channel_tell_members(struct channel *self, bool joined, struct span info) {
    if (!self->options->join_leave) {
        return;
    }
    list_for_each (link, &self->live) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        if (!gateway_peer_tell_member(subscription->peer, subscription, joined, info)) {
            metric(self, SHARD_MEMBERS_NOT_TOLD);
        }
    }
}

static void tell_lost(struct channel *self, const struct position *position) {
    metric(self, SHARD_LOST);
    list_for_each (link, &self->live) {
        struct subscription *subscription = list_entry(link, struct subscription, of_channel);
        struct wire_lost lost = {subscription->handle, position->epoch, position->offset};
        gateway_peer_added(subscription->peer, wire_encode_lost(gateway_peer_batch(subscription->peer), &lost));
    }
}

/* ---- publications that wait ---- */

static bool has_keep_room(const struct channel *self, const payload_t *publication) {
    return self->n_kept < KEPT_MAX && self->kept_bytes + payload_footprint(publication) <= KEPT_BYTES_MAX;
}

static void keep(struct channel *self, uint64_t offset, payload_t *publication) {
    if (self->n_kept == self->kept_capacity) {
        self->kept_capacity = self->kept_capacity == 0 ? 4 : self->kept_capacity * 2;
        self->kept = memory_realloc(self->kept, self->kept_capacity * sizeof *self->kept);
    }
    if (self->n_kept == 0) {
        self->kept_first = offset;
    }
    self->kept[self->n_kept++] = payload_ref(publication);
    self->kept_bytes += payload_footprint(publication);
    quota_charge_anyway(&self->set->tails.quota, payload_footprint(publication));
}

static void push_kept(struct channel *self, uint64_t first, uint64_t last) {
    for (uint64_t offset = first; offset <= last; offset++) {
        check(offset >= self->kept_first && offset - self->kept_first < self->n_kept, "kept run");
        push(self, offset, self->kept[offset - self->kept_first]);
    }
}

static void push_loaded(struct channel *self, uint64_t first, uint64_t last) {
    for (uint64_t offset = first; offset <= last; offset++) {
        check(self->loaded.valid && offset >= self->loaded.first && offset <= self->loaded.last, "loaded run");
        push(self, offset, self->loaded.publications[offset - self->loaded.first]);
    }
}

/* ---- the load ---- */

static void want_load(struct channel *self, bool has_since, const struct position *since) {
    self->load_has_since = has_since;
    self->load_since = *since;
    metric_change(self->set->options.metrics, SHARD_LOADS_WAITING, 1);
    if (has_since) {
        metric(self, SHARD_HEALS);
    }
    /* Those for whom somebody waits go first. */
    if (list_is_empty(&self->waiting)) {
        list_push_back(&self->set->loads_wanted, &self->load_wanted);
    } else {
        list_push_front(&self->set->loads_wanted, &self->load_wanted);
    }
}

static uint64_t publication_offset(const payload_t *publication) {
    struct cursor cursor = cursor_of(payload_span(publication));
    return cursor_u64(&cursor);
}

/* The unbroken run at the beginning of what came. */
static void find_run(struct channel *self, const struct engine_read *read) {
    struct channel_load *loaded = &self->loaded;
    if (read->n_publications == 0) {
        loaded->gap = loaded->top.offset > loaded->since.offset;
        return;
    }
    loaded->first = publication_offset(read->publications[0]);
    loaded->last = loaded->first;
    while (loaded->last - loaded->first + 1 < read->n_publications &&
           publication_offset(read->publications[loaded->last - loaded->first + 1]) == loaded->last + 1) {
        loaded->last++;
    }
    loaded->publications = read->publications;
    loaded->gap = loaded->first != loaded->since.offset + 1;
}

static void note_loaded(struct channel *self, const struct engine_read *read) {
    self->loaded = (struct channel_load){.valid = true, .top = read->top};
    if (!read->has_since || read->limit == 0) {
        return;
    }
    self->loaded.since = read->since;
    if (epoch_is_empty(&read->since.epoch)) {
        self->loaded.since.epoch = read->top.epoch;
    }
    if (read->epoch_matches) {
        find_run(self, read);
    }
}

static void on_loaded(struct channel *self, const struct engine_read *read) {
    note_loaded(self, read);
    const struct channel_load *loaded = &self->loaded;
    struct channel_event event = {.kind = CHANNEL_ON_LOADED,
                                  .wanted = self->n_subscriptions > 0,
                                  .position = loaded->top,
                                  .first = loaded->first,
                                  .last = loaded->last,
                                  .gap = loaded->gap};
    bool alive = channel_step(self, &event, NULL);
    if (alive) {
        self->loaded = (struct channel_load){.valid = false};
        channel_settle(self);
    }
}

static void on_load_failed(struct channel *self) {
    metric(self, SHARD_LOADS_FAILED);
    struct channel_event event = {.kind = CHANNEL_ON_LOAD_FAILED,
                                  .wanted = self->n_subscriptions > 0,
                                  .do_without_positions = !namespace_has_history(self->options)};
    if (channel_step(self, &event, NULL)) {
        channel_settle(self);
    }
}

static void on_read_done(struct engine_read *read, enum engine_outcome outcome) {
    struct channel *self = list_entry(read, struct channel, read);
    channel_set_t *set = self->set;
    self->reading = false;
    set->loads_out--;
    if (set->closing) {
        return;
    }
    if (outcome == ENGINE_OK) {
        on_loaded(self, read);
    } else {
        on_load_failed(self);
    }
}

/* Its turn has come: what those who wait need is decided now, with all of them that came meanwhile. */
void channel_send_load(struct channel *self) {
    const struct broker_config *config = self->set->options.config;
    struct engine_read *read = &self->read;
    bool own = true;
    *read = (struct engine_read){.channel = channel_name(self),
                                 .options = self->options,
                                 .has_since = true,
                                 .since = self->load_since,
                                 .limit = LOAD_PUBLICATIONS,
                                 .bytes_limit = (size_t) config->recovery_bytes_max,
                                 .deadline_ms = clock_monotonic_ms() + (uint64_t) config->publish_timeout_ms,
                                 .on_done = on_read_done};
    if (!self->load_has_since) {
        read->has_since = channel_choose_since(self, &read->since, &own);
        read->limit = read->has_since ? (uint32_t) config->recovery_publications_max : 0;
    }
    read->since_is_own = read->has_since && own;
    self->reading = true;
    self->read_generation = self->set->generation;
    self->loads_sent++;
    self->set->loads_out++;
    metric(self, SHARD_LOADS);
    metric_change(self->set->options.metrics, SHARD_LOADS_WAITING, -1);
    engine_read(self->set->engine, read);
}

/* ---- the state's actions ---- */

static void set_due(struct channel *self, uint64_t delay_ms) {
    timer_wheel_set(self->set->wheel, &self->due, clock_monotonic_ms() + delay_ms);
}

static void act(struct channel *self, const struct channel_action *action, const struct channel_event *event,
                payload_t *publication) {
    switch (action->kind) {
    case CHANNEL_LOAD:
        want_load(self, action->has_since, &action->position);
        break;
    case CHANNEL_PUSH:
        push(self, event->position.offset, publication);
        break;
    case CHANNEL_PASS:
        fan_out(self, publication);
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

/* Presence is read of a channel that would go: it stays until that is back. */
static bool is_free_to_go(const struct channel *self) {
    return self->presence == NULL || !presence_is_loading(self->presence);
}

bool channel_step(struct channel *self, const struct channel_event *event, payload_t *publication) {
    struct channel_actions actions;
    channel_state_step(&self->state, event, &actions);
    for (unsigned i = 0; i < actions.n; i++) {
        if (actions.list[i].kind == CHANNEL_FREE) {
            if (is_free_to_go(self)) {
                channel_destroy(self, true);
                return false;
            }
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
    if (self->n_subscriptions == 0 && !timer_entry_is_set(&self->due)) {
        bool idle = self->state.phase == CHANNEL_IDLE;
        set_due(self, idle ? (uint64_t) self->set->options.config->tail_idle_ms : EXPECT_MS);
    }
    return true;
}

/* ---- subscribing ---- */

void channel_link(channel_set_t *set, struct span name, const struct namespace_options *options,
                  struct subscription *subscription) {
    struct channel *self = channel_set_find(set, name);
    if (self == NULL) {
        self = channel_new(set, name, options);
    }
    check(subscription->channel == NULL, "linked twice");
    subscription->channel = self;
    subscription->top = &self->state.cursor.offset;
    subscription->state = SUBSCRIPTION_ASKING;
    list_push_back(&self->aside, &subscription->of_channel);
    self->n_subscriptions++;
    metric_change(set->options.metrics, SHARD_SUBSCRIPTIONS, 1);
    if (self->state.phase == CHANNEL_IDLE || self->state.phase == CHANNEL_ABSENT) {
        timer_wheel_cancel(set->wheel, &self->due);
    }
    if ((options->presence || options->join_leave) && self->presence == NULL) {
        channel_load_presence(self);
    }
}

/* The last to be called for a subscription; the channel may be gone behind it. */
void channel_unlink(struct subscription *subscription) {
    struct channel *self = subscription->channel;
    list_remove(&subscription->of_channel);
    list_remove(&subscription->waiting);
    list_remove(&subscription->changed);
    gateway_peer_forget_lag(subscription);
    subscription->channel = NULL;
    self->n_subscriptions--;
    metric_change(self->set->options.metrics, SHARD_SUBSCRIPTIONS, -1);
    if (!self->set->closing) {
        channel_settle(self);
    }
}

/* ---- events of the engine ---- */

void channel_on_publication(channel_t *self, const struct epoch *epoch, uint64_t offset, payload_t *publication) {
    struct channel_event event = {.kind = CHANNEL_ON_PUBLICATION,
                                  .wanted = self->n_subscriptions > 0,
                                  .position = {*epoch, offset},
                                  .keep_room = has_keep_room(self, publication)};
    bool again = self->state.load_again;
    if (!channel_step(self, &event, publication)) {
        return;
    }
    if (!again && self->state.load_again && self->state.phase != CHANNEL_LIVE) {
        metric(self, SHARD_KEPT_DROPPED);
    }
    if (self->state.phase == CHANNEL_IDLE) {
        set_due(self, (uint64_t) self->set->options.config->tail_idle_ms);
    }
    channel_settle(self);
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
    return self->state.cursor;
}

enum channel_phase channel_phase_of(const channel_t *self) {
    return self->state.phase;
}

bool channel_read_tail(channel_t *self, const struct position *since, uint32_t limit, size_t bytes_max,
                       struct buffer *out, uint32_t *ret_n) {
    const struct position *cursor = &self->state.cursor;
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
