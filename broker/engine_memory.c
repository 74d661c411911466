/* See engine_memory.h.
 *
 * A call does its work at once, in the order of the calls, and puts what there is to tell into one queue: the events
 * and completions, with everything they need held by reference. The queue is delivered by an idle handle at the
 * beginning of the loop's next turn, before the actor flushes: so nothing is told inside a call, order is the order of
 * the calls, and nobody waits for more than the turn.
 *
 *   append, read, … ──▶ store ──▶ queue ──▶ (next turn) events, completions
 *   timer, 1 s ──▶ leases that lapsed, channels past their time, on_leases
 *
 * Failures. Over the byte budget with nothing left to evict: appends, and reads that would have to make an epoch, end
 * as ENGINE_TEMPORARY, counted. Presence and holds are always taken (they are bounded by the gateways' connections) and
 * push idle channels out instead. A publication that no frame can carry: ENGINE_TOO_LARGE. Closing: what is queued is
 * told as ENGINE_CANCELLED, events are dropped. The queue is bounded by what its shard takes in one turn. */
#include "broker/engine_memory.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/memory/memory_leases.h"
#include "broker/memory/memory_store.h"

enum {
    TICK_MS = 1000,
    SWEEP_TICKS = 60, /* every channel is looked at once in so many ticks */
    SWEEP_CHANNELS_MIN = 1024,
};

enum metric_row {
    METRIC_BYTES,
    METRIC_CHANNELS,
    METRIC_PUBLICATIONS,
    METRIC_KEYS,
    METRIC_MEMBERS,
    METRIC_APPENDS,
    METRIC_DUPLICATES,
    METRIC_KEY_REUSED,
    METRIC_EVICTED,
    METRIC_REFUSED,
    METRIC_MALFORMED_INFO,
};

static const struct metric_description metric_rows[] = {
    [METRIC_BYTES] = {"callboard_memory_bytes", "Bytes the memory engine holds for channels.", METRIC_GAUGE, NULL},
    [METRIC_CHANNELS] = {"callboard_memory_channels", "Channels the memory engine knows.", METRIC_GAUGE, NULL},
    [METRIC_PUBLICATIONS] = {"callboard_memory_publications", "Publications kept as history.", METRIC_GAUGE, NULL},
    [METRIC_KEYS] = {"callboard_memory_keys", "Idempotency keys inside their window.", METRIC_GAUGE, NULL},
    [METRIC_MEMBERS] = {"callboard_memory_members", "Presence entries.", METRIC_GAUGE, NULL},
    [METRIC_APPENDS] = {"callboard_memory_appends_total", "Publications taken.", METRIC_COUNTER, NULL},
    [METRIC_DUPLICATES] = {"callboard_memory_duplicates_total", "Appends answered from their idempotency key.",
                           METRIC_COUNTER, NULL},
    [METRIC_KEY_REUSED] = {"callboard_memory_key_reused_total",
                           "Appends refused because their key names another payload.", METRIC_COUNTER, NULL},
    [METRIC_EVICTED] = {"callboard_memory_evicted_total",
                        "Idle channels forgotten, with their epoch, to stay inside memory.bytes.", METRIC_COUNTER,
                        NULL},
    [METRIC_REFUSED] = {"callboard_memory_refused_total",
                        "Requests refused because memory.bytes is full of channels in use.", METRIC_COUNTER, NULL},
    [METRIC_MALFORMED_INFO] = {"callboard_memory_malformed_info_total",
                               "Presence entries dropped because their client info cannot be read.", METRIC_COUNTER,
                               NULL},
};

struct engine_memory {
    struct engine base;
    struct engine_options options;
    struct engine_memory_limits limits;
    struct memory_store store;
    struct memory_leases leases;
    struct list_link deliveries; /* what is to be told in the next turn, in order */
    struct buffer scratch;       /* the publication being encoded */
    bool state_is_due;           /* on_state with the next deliveries */
    bool leases_are_due;         /* on_leases with the next deliveries */
    uint64_t n_evicted_told;     /* of the store's count, in the metric */
    metric_values_t *metrics;
    uv_idle_t idle; /* active while there is something to tell */
    uv_timer_t tick;
    unsigned n_handles;
    bool is_closing;
    void (*on_closed)(void *context);
    void *on_closed_context;
};

/* Something to tell; embedded first. `deliver` frees it. */
struct delivery {
    struct list_link link;
    void (*deliver)(struct engine_memory *self, struct delivery *delivery);
};

static struct engine_memory *self_of(engine_t *base) {
    return (struct engine_memory *) (void *) base;
}

static void wake(struct engine_memory *self);

static void enqueue(struct engine_memory *self, struct delivery *delivery) {
    list_init(&delivery->link);
    list_push_back(&self->deliveries, &delivery->link);
    wake(self);
}

/* ---- append ---- */

struct append_delivery {
    struct delivery base;
    struct engine_append *request;
    memory_channel_t *channel; /* pinned */
    payload_t *publication;    /* NULL: no event */
    struct position position;
    enum engine_outcome outcome;
    bool duplicate;
};

static void deliver_append(struct engine_memory *self, struct delivery *base) {
    struct append_delivery *delivery = (struct append_delivery *) base;
    if (delivery->publication != NULL && !self->is_closing) {
        self->options.events->on_publication(self->options.context, memory_channel_name(delivery->channel),
                                             &delivery->position.epoch, delivery->position.offset,
                                             delivery->publication);
    }
    payload_unref(&delivery->publication);
    memory_store_unpin(&self->store, delivery->channel);
    struct engine_append *request = delivery->request;
    enum engine_outcome outcome = self->is_closing ? ENGINE_CANCELLED : delivery->outcome;
    request->position = delivery->position;
    request->duplicate = delivery->duplicate;
    request->not_durable = false;
    memory_free(delivery);
    request->on_done(request, outcome);
}

static payload_t *encode(struct engine_memory *self, const struct engine_append *request, uint64_t offset) {
    bool is_binary = request->options->publication_data_format == PUBLICATION_BINARY;
    const struct wire_publication publication = {.offset = offset,
                                                 .time_ms = clock_wall_ms(),
                                                 .flags = is_binary ? WIRE_PUBLICATION_BINARY : 0,
                                                 .data = request->data,
                                                 .info = request->info,
                                                 .tags = request->tags};
    buffer_clear(&self->scratch);
    return wire_append_publication(&self->scratch, &publication) ? payload_new(buffer_span(&self->scratch)) : NULL;
}

static enum engine_outcome answer_from_key(struct engine_memory *self, struct append_delivery *delivery,
                                           const struct memory_key *key, struct memory_fingerprint fingerprint) {
    if (key->fingerprint.low != fingerprint.low || key->fingerprint.high != fingerprint.high) {
        metric_count(self->metrics, METRIC_KEY_REUSED);
        return ENGINE_KEY_REUSED;
    }
    metric_count(self->metrics, METRIC_DUPLICATES);
    delivery->position = key->position;
    delivery->duplicate = true;
    return ENGINE_OK;
}

static bool make_room(struct engine_memory *self, size_t bytes) {
    if (memory_store_make_room(&self->store, bytes)) {
        return true;
    }
    metric_count(self->metrics, METRIC_REFUSED);
    return false;
}

/* Takes a publication whose key is not known. */
static enum engine_outcome take(struct engine_memory *self, struct append_delivery *delivery,
                                struct memory_fingerprint fingerprint, uint64_t now_ms) {
    const struct engine_append *request = delivery->request;
    memory_channel_t *channel = delivery->channel;
    bool is_stored = namespace_has_history(request->options) && !request->skip_history;
    if (is_stored) {
        memory_channel_settle(channel, request->options, now_ms);
    }
    payload_t *publication = encode(self, request, is_stored ? channel->top.offset + 1 : 0);
    if (publication == NULL) {
        return ENGINE_TOO_LARGE;
    }
    size_t cost = request->key.size > 0 ? memory_channel_key_cost(channel, request->key) : 0;
    if (is_stored) {
        cost += memory_channel_push_cost(channel, request->options, payload_footprint(publication));
    }
    if (cost > 0 && !make_room(self, cost)) {
        payload_unref(&publication);
        return ENGINE_TEMPORARY;
    }
    if (is_stored) {
        memory_channel_push(channel, request->options, publication, now_ms);
        delivery->position = channel->top;
    }
    if (request->key.size > 0) {
        memory_channel_add_key(channel, request->key, fingerprint, &delivery->position,
                               now_ms + self->limits.key_ttl_ms);
    }
    delivery->publication = publication;
    metric_count(self->metrics, METRIC_APPENDS);
    return ENGINE_OK;
}

static void append(engine_t *base, struct engine_append *request) {
    struct engine_memory *self = self_of(base);
    uint64_t now_ms = clock_monotonic_ms();
    struct append_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_append;
    delivery->request = request;
    delivery->channel = memory_store_pin(&self->store, request->channel);

    const struct memory_key *known = NULL;
    struct memory_fingerprint fingerprint = {0, 0};
    if (request->key.size > 0) {
        fingerprint = memory_fingerprint_of(request->data);
        known = memory_channel_find_key(delivery->channel, request->key, now_ms);
    }
    delivery->outcome =
        known != NULL ? answer_from_key(self, delivery, known, fingerprint) : take(self, delivery, fingerprint, now_ms);
    enqueue(self, &delivery->base);
}

/* ---- read, remove_history ---- */

struct read_delivery {
    struct delivery base;
    struct engine_read *request;
    enum engine_outcome outcome;
    struct position top;
    bool epoch_matches;
    bool complete;
    uint32_t n_publications;
    payload_t **publications;
};

static void deliver_read(struct engine_memory *self, struct delivery *base) {
    struct read_delivery *delivery = (struct read_delivery *) base;
    struct engine_read *request = delivery->request;
    request->top = delivery->top;
    request->epoch_matches = delivery->epoch_matches;
    request->complete = delivery->complete;
    request->n_publications = delivery->n_publications;
    request->publications = delivery->publications;
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : delivery->outcome);
    for (uint32_t i = 0; i < delivery->n_publications; i++) {
        payload_unref(&delivery->publications[i]);
    }
    memory_free(delivery->publications);
    memory_free(delivery);
}

/* The wanted range: from `first` on, `count` of them, upwards or downwards. */
struct range {
    uint64_t first;
    uint64_t count;
    bool down;
};

static struct range wanted_range(const struct engine_read *request, const memory_channel_t *channel) {
    uint64_t oldest = memory_channel_oldest(channel);
    uint64_t top = channel->top.offset;
    struct range range = {.down = request->reverse};
    if (request->reverse) {
        bool from_end = !request->has_since || request->since.offset == 0 || request->since.offset > top;
        range.first = from_end ? top : request->since.offset - 1;
        range.count = range.first >= oldest ? range.first - oldest + 1 : 0;
    } else {
        uint64_t since = request->has_since ? request->since.offset : 0;
        range.first = since >= oldest ? since + 1 : oldest;
        range.count = range.first <= top ? top - range.first + 1 : 0;
    }
    if (range.count > request->limit) {
        range.count = request->limit;
    }
    return range;
}

/* References up to `range.count` publications, less where their bytes reach the bound; at least one. */
static void collect(const struct engine_memory *self, struct read_delivery *delivery, const memory_channel_t *channel,
                    struct range range) {
    size_t bytes_max =
        delivery->request->bytes_limit == 0 ? self->limits.read_bytes_max : delivery->request->bytes_limit;
    size_t bytes = 0;
    delivery->publications = range.count == 0 ? NULL : memory_alloc_array(range.count, sizeof(payload_t *));
    for (uint64_t i = 0; i < range.count; i++) {
        payload_t *publication = memory_channel_at(channel, range.down ? range.first - i : range.first + i);
        bytes += payload_span(publication).size;
        if (i > 0 && bytes > bytes_max) {
            return;
        }
        delivery->publications[delivery->n_publications++] = payload_ref(publication);
    }
}

/* Is nothing missing between since and what is told? */
static bool is_complete(const struct engine_read *request, const memory_channel_t *channel) {
    if (!request->has_since || request->reverse || request->since.offset > channel->top.offset) {
        return false;
    }
    bool is_at_top = request->since.offset == channel->top.offset;
    return is_at_top || (request->limit > 0 && request->since.offset + 1 >= memory_channel_oldest(channel));
}

static enum engine_outcome read_channel(struct engine_memory *self, struct read_delivery *delivery,
                                        memory_channel_t *channel, uint64_t now_ms) {
    const struct engine_read *request = delivery->request;
    delivery->epoch_matches = true;
    if (!namespace_has_history(request->options)) {
        return ENGINE_OK;
    }
    memory_channel_expire(channel, now_ms);
    if (epoch_is_empty(&channel->top.epoch) && !make_room(self, 0)) {
        return ENGINE_TEMPORARY;
    }
    memory_channel_settle(channel, request->options, now_ms);
    delivery->top = channel->top;
    if (request->has_since && !epoch_is_empty(&request->since.epoch) &&
        !epoch_equal(&request->since.epoch, &channel->top.epoch)) {
        delivery->epoch_matches = false;
        return ENGINE_OK;
    }
    delivery->complete = is_complete(request, channel);
    collect(self, delivery, channel, wanted_range(request, channel));
    return ENGINE_OK;
}

static void read_history(engine_t *base, struct engine_read *request) {
    struct engine_memory *self = self_of(base);
    struct read_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_read;
    delivery->request = request;
    memory_channel_t *channel = memory_store_pin(&self->store, request->channel);
    delivery->outcome = read_channel(self, delivery, channel, clock_monotonic_ms());
    memory_store_unpin(&self->store, channel);
    enqueue(self, &delivery->base);
}

struct remove_delivery {
    struct delivery base;
    struct engine_remove *request;
    struct position top;
};

static void deliver_remove(struct engine_memory *self, struct delivery *base) {
    struct remove_delivery *delivery = (struct remove_delivery *) base;
    struct engine_remove *request = delivery->request;
    request->top = delivery->top;
    memory_free(delivery);
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
}

static void remove_history(engine_t *base, struct engine_remove *request) {
    struct engine_memory *self = self_of(base);
    struct remove_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_remove;
    delivery->request = request;
    memory_channel_t *channel = memory_store_pin(&self->store, request->channel);
    memory_channel_drop_history(channel);
    if (namespace_has_history(request->options)) {
        memory_channel_settle(channel, request->options, clock_monotonic_ms());
        delivery->top = channel->top;
    }
    memory_store_unpin(&self->store, channel);
    enqueue(self, &delivery->base);
}

/* ---- holding ---- */

static void hold(engine_t *base, struct span name, const struct namespace_options *options) {
    struct engine_memory *self = self_of(base);
    (void) options; /* what it costs to listen is the same for all */
    memory_store_hold(&self->store, name);
}

static void release_hold(engine_t *base, struct span name) {
    struct engine_memory *self = self_of(base);
    bool was_held = memory_store_release(&self->store, name, clock_monotonic_ms());
    check(was_held, "release of a channel that is not held");
}

static bool is_sure(engine_t *base, struct span channel) {
    (void) base;
    (void) channel;
    return true; /* what is not here is nowhere */
}

/* ---- presence ---- */

struct presence_delivery {
    struct delivery base;
    memory_channel_t *channel; /* pinned */
    payload_t *bytes;          /* as in struct memory_member */
    size_t info_size;
    uint64_t lease_number;
    bool joined;
};

static struct engine_presence_entry entry_of(payload_t *bytes, size_t info_size, uint64_t lease_number) {
    struct span span = payload_span(bytes);
    return (struct engine_presence_entry){.info = span_of(span.data, info_size),
                                          .gateway_id = span_of(span.data + info_size, span.size - info_size),
                                          .lease_number = lease_number};
}

static void deliver_presence(struct engine_memory *self, struct delivery *base) {
    struct presence_delivery *delivery = (struct presence_delivery *) base;
    if (!self->is_closing) {
        struct engine_presence_entry entry = entry_of(delivery->bytes, delivery->info_size, delivery->lease_number);
        self->options.events->on_presence(self->options.context, memory_channel_name(delivery->channel),
                                          delivery->joined, &entry);
    }
    payload_unref(&delivery->bytes);
    memory_store_unpin(&self->store, delivery->channel);
    memory_free(delivery);
}

static void tell_presence(struct engine_memory *self, memory_channel_t *channel, const struct memory_member *member,
                          bool joined) {
    struct presence_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_presence;
    delivery->channel = channel;
    delivery->bytes = payload_ref(member->bytes);
    delivery->info_size = member->info_size;
    delivery->lease_number = member->lease_number;
    delivery->joined = joined;
    memory_store_pin_again(&self->store, channel);
    enqueue(self, &delivery->base);
}

static void presence_set(engine_t *base, struct span name, const struct engine_presence_entry *entry, bool silent) {
    struct engine_memory *self = self_of(base);
    struct wire_client_info info;
    if (!wire_read_client_info(entry->info, &info)) {
        metric_count(self->metrics, METRIC_MALFORMED_INFO);
        return;
    }
    memory_channel_t *channel = memory_store_pin(&self->store, name);
    bool is_new = memory_channel_set_member(channel, info.client, entry->info, entry->gateway_id, entry->lease_number);
    if (is_new && !silent) {
        tell_presence(self, channel, memory_channel_find_member(channel, info.client), true);
    }
    memory_store_make_room(&self->store, 0);
    memory_store_unpin(&self->store, channel);
}

static void presence_clear(engine_t *base, struct span name, struct span client) {
    struct engine_memory *self = self_of(base);
    memory_channel_t *channel = memory_store_find(&self->store, name);
    const struct memory_member *member = channel == NULL ? NULL : memory_channel_find_member(channel, client);
    if (member == NULL) {
        return;
    }
    tell_presence(self, channel, member, false);
    memory_channel_remove_member(channel, member);
}

struct presence_read_delivery {
    struct delivery base;
    struct engine_presence_read *request;
    uint32_t n_entries;
    struct engine_presence_entry *entries;
    payload_t **bytes; /* what the entries point into */
};

static void deliver_presence_read(struct engine_memory *self, struct delivery *base) {
    struct presence_read_delivery *delivery = (struct presence_read_delivery *) base;
    struct engine_presence_read *request = delivery->request;
    request->n_entries = delivery->n_entries;
    request->entries = delivery->entries;
    request->on_done(request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
    for (uint32_t i = 0; i < delivery->n_entries; i++) {
        payload_unref(&delivery->bytes[i]);
    }
    memory_free(delivery->entries);
    memory_free(delivery->bytes);
    memory_free(delivery);
}

static void copy_members(struct presence_read_delivery *delivery, const memory_channel_t *channel) {
    size_t n_members = memory_channel_members(channel);
    delivery->entries = memory_alloc_array(n_members, sizeof *delivery->entries);
    delivery->bytes = memory_alloc_array(n_members, sizeof(payload_t *));
    for (const struct memory_member *member = channel->members; member != NULL; member = member->hh.next) {
        uint32_t i = delivery->n_entries++;
        delivery->bytes[i] = payload_ref(member->bytes);
        delivery->entries[i] = entry_of(member->bytes, member->info_size, member->lease_number);
    }
}

static void presence_read(engine_t *base, struct engine_presence_read *request) {
    struct engine_memory *self = self_of(base);
    struct presence_read_delivery *delivery = memory_alloc_zero(sizeof *delivery);
    delivery->base.deliver = deliver_presence_read;
    delivery->request = request;
    const memory_channel_t *channel = memory_store_find(&self->store, request->channel);
    if (channel != NULL && channel->members != NULL) {
        copy_members(delivery, channel);
    }
    enqueue(self, &delivery->base);
}

static void lease_renew(engine_t *base, const struct engine_lease *lease) {
    struct engine_memory *self = self_of(base);
    if (memory_leases_renew(&self->leases, lease, clock_monotonic_ms())) {
        self->leases_are_due = true; /* its gateway waits for the number */
        wake(self);
    }
}

/* ---- telling ---- */

static void tell_leases(struct engine_memory *self) {
    struct engine_lease *leases = self->leases.n == 0 ? NULL : memory_alloc_array(self->leases.n, sizeof *leases);
    memory_leases_list(&self->leases, leases);
    self->leases_are_due = false;
    self->options.events->on_leases(self->options.context, leases, self->leases.n);
    memory_free(leases);
}

static void tell_state(struct engine_memory *self) {
    self->state_is_due = false;
    self->options.events->on_state(self->options.context, true, true, "the engine is this process's memory");
}

static void update_gauges(struct engine_memory *self) {
    const struct memory_totals *totals = &self->store.totals;
    metric_set(self->metrics, METRIC_BYTES, (int64_t) totals->bytes);
    metric_set(self->metrics, METRIC_CHANNELS, (int64_t) totals->channels);
    metric_set(self->metrics, METRIC_PUBLICATIONS, (int64_t) totals->publications);
    metric_set(self->metrics, METRIC_KEYS, (int64_t) totals->keys);
    metric_set(self->metrics, METRIC_MEMBERS, (int64_t) totals->members);
    metric_add(self->metrics, METRIC_EVICTED, self->store.n_evicted - self->n_evicted_told);
    self->n_evicted_told = self->store.n_evicted;
}

static void deliver_all(struct engine_memory *self, struct list_link *deliveries) {
    struct list_link *link = NULL;
    while ((link = list_pop_front(deliveries)) != NULL) {
        struct delivery *delivery = list_entry(link, struct delivery, link);
        delivery->deliver(self, delivery);
    }
}

static void close_handles(struct engine_memory *self);

/* One turn's deliveries; what the callbacks ask for is told in the next. */
static void on_idle(uv_idle_t *idle) {
    struct engine_memory *self = idle->data;
    struct list_link turn;
    list_init(&turn);
    list_splice_back(&turn, &self->deliveries);
    if (self->state_is_due && !self->is_closing) {
        tell_state(self);
    }
    if (self->leases_are_due && !self->is_closing) {
        tell_leases(self);
    }
    deliver_all(self, &turn);
    update_gauges(self);
    if (!list_is_empty(&self->deliveries) || (self->leases_are_due && !self->is_closing)) {
        return;
    }
    uv_idle_stop(idle);
    if (self->is_closing) {
        close_handles(self);
    }
}

static void wake(struct engine_memory *self) {
    if (!uv_is_closing((uv_handle_t *) &self->idle)) {
        uv_idle_start(&self->idle, on_idle);
    }
}

static void on_tick(uv_timer_t *timer) {
    struct engine_memory *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    size_t share = self->store.totals.channels / SWEEP_TICKS;
    memory_leases_expire(&self->leases, now_ms);
    memory_store_sweep(&self->store, share > SWEEP_CHANNELS_MIN ? share : SWEEP_CHANNELS_MIN, &self->leases, now_ms);
    update_gauges(self);
    tell_leases(self);
}

static void flush(engine_t *base) {
    (void) base; /* nothing leaves the process */
}

static bool is_connected(const engine_t *base) {
    const struct engine_memory *self = (const struct engine_memory *) (const void *) base;
    return !self->is_closing;
}

static enum wire_mode mode(const engine_t *base) {
    (void) base;
    return WIRE_MODE_MEMORY;
}

/* ---- life ---- */

static void finish(struct engine_memory *self) {
    deliver_all(self, &self->deliveries); /* asked for while the handles were closing */
    memory_store_finish(&self->store);
    memory_leases_finish(&self->leases);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->scratch);
    void (*on_closed)(void *context) = self->on_closed;
    void *context = self->on_closed_context;
    memory_free(self);
    on_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) {
    struct engine_memory *self = handle->data;
    if (--self->n_handles == 0) {
        finish(self);
    }
}

static void close_handles(struct engine_memory *self) {
    uv_close((uv_handle_t *) &self->idle, on_handle_closed);
    uv_close((uv_handle_t *) &self->tick, on_handle_closed);
}

static void close_engine(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct engine_memory *self = self_of(base);
    check(!self->is_closing, "an engine is closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    uv_timer_stop(&self->tick);
    wake(self);
}

static const struct engine_methods engine_memory_methods = {
    .close = close_engine,
    .append = append,
    .read = read_history,
    .remove_history = remove_history,
    .hold = hold,
    .release = release_hold,
    .is_sure = is_sure,
    .presence_set = presence_set,
    .presence_clear = presence_clear,
    .presence_read = presence_read,
    .lease_renew = lease_renew,
    .flush = flush,
    .is_connected = is_connected,
    .mode = mode,
};

engine_t *engine_memory_new(const struct engine_options *options, const struct engine_memory_limits *limits) {
    struct engine_memory *self = memory_alloc_zero(sizeof *self);
    self->base.methods = &engine_memory_methods;
    self->options = *options;
    self->limits = *limits;
    memory_store_init(&self->store, limits->bytes_max);
    memory_leases_init(&self->leases, limits->lease_ms);
    list_init(&self->deliveries);
    /* What a PUSH frame can carry: its handle goes before the publication. */
    buffer_init(&self->scratch, WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE - sizeof(uint32_t));
    self->metrics = metric_values_new(options->metrics, metric_rows, sizeof metric_rows / sizeof *metric_rows);
    uv_idle_init(options->loop, &self->idle);
    uv_timer_init(options->loop, &self->tick);
    self->idle.data = self;
    self->tick.data = self;
    self->n_handles = 2;
    self->state_is_due = true;
    self->leases_are_due = true;
    uv_timer_start(&self->tick, on_tick, TICK_MS, TICK_MS);
    wake(self);
    return &self->base;
}
