/* See the header.
 *
 *   shard ──requests──▶ current ─────▶ primary   ──events──▶ heard while current
 *         ──holds────▶ both              stand-in ──events──▶ heard while current, and until its last answers are out
 *
 * Both engines know the channels that are held, so that either can be asked at once. Failure modes: the primary goes
 * away while the stand-in is current → nothing, it was not asked; it comes and goes → all shards must have it at one
 * time; the stand-in is left only a tick after the change: what it had taken is answered first. */
#include "broker/engine_fallback.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"

enum { TICK_MS = 100 };

enum fallback_state { WAITING, STANDING_IN, LEAVING, SETTLED };

enum fallback_metric { FALLBACK_STANDING_IN, FALLBACK_BEGUN, FALLBACK_ENDED };
static const struct metric_description metric_rows[] = {
    [FALLBACK_STANDING_IN] = {"callboard_broker_fallback",
                              "Shards on the memory engine because Redis could not be reached at the start.",
                              METRIC_GAUGE, NULL},
    [FALLBACK_BEGUN] = {"callboard_broker_fallback_changes_total", "Shards that changed engines, by which one to.",
                        METRIC_COUNTER, "to=\"memory\""},
    [FALLBACK_ENDED] = {"callboard_broker_fallback_changes_total", "Shards that changed engines, by which one to.",
                        METRIC_COUNTER, "to=\"redis\""},
};

struct engine_fallback;

struct side {
    struct engine_fallback *owner;
    engine_t *engine; /* the stand-in's is NULL when it is not needed any more */
};

struct engine_fallback {
    struct engine base;
    struct engine_options options;
    struct engine_fallback_options how;
    struct side primary;
    struct side stand_in;
    struct side *current;
    enum fallback_state state;
    bool is_noted; /* the choice was told that the primary is connected */
    uint64_t give_up_ms;
    metric_values_t *metrics;
    uv_timer_t timer;
    unsigned n_parts; /* that close before the primary: stand-in, timer */
    bool is_closing;
    void (*on_closed)(void *context);
    void *closed_context;
};

static struct engine_fallback *fallback_of(engine_t *base) {
    return (struct engine_fallback *) (void *) base;
}

/* ---- events of the two ---- */

static bool is_heard(const struct side *side) {
    const struct engine_fallback *self = side->owner;
    return side == self->current || (self->state == LEAVING && side == &self->stand_in);
}

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct side *side = context;
    if (is_heard(side)) {
        side->owner->options.events->on_publication(side->owner->options.context, channel, epoch, offset, publication);
    }
}

static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    struct side *side = context;
    if (is_heard(side)) {
        side->owner->options.events->on_presence(side->owner->options.context, channel, joined, entry);
    }
}

static void on_doubt(void *context, struct span channel) {
    struct side *side = context;
    if (is_heard(side)) {
        side->owner->options.events->on_doubt(side->owner->options.context, channel);
    }
}

static void on_partition_doubt(void *context, uint32_t partition) {
    struct side *side = context;
    if (is_heard(side)) {
        side->owner->options.events->on_partition_doubt(side->owner->options.context, partition);
    }
}

static void on_presence_doubt(void *context, uint32_t partition, bool is_lost) {
    struct side *side = context;
    if (is_heard(side)) {
        engine_doubt_presence(side->owner->options.events, side->owner->options.context, partition, is_lost);
    }
}

static void on_removed(void *context, struct span channel, const struct position *top) {
    struct side *side = context;
    if (is_heard(side)) {
        engine_tell_removed(side->owner->options.events, side->owner->options.context, channel, top);
    }
}

static void on_lease_freed(void *context, struct span name) {
    struct side *side = context;
    if (is_heard(side)) {
        engine_tell_lease_freed(side->owner->options.events, side->owner->options.context, name);
    }
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    struct side *side = context;
    if (side == side->owner->current) {
        side->owner->options.events->on_leases(side->owner->options.context, leases, n_leases);
    }
}

static void note(struct engine_fallback *self, bool connected) {
    if (connected != self->is_noted && (!connected || !self->is_closing)) {
        self->is_noted = connected;
        engine_choice_note(self->how.choice, connected);
    }
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    struct side *side = context;
    struct engine_fallback *self = side->owner;
    if (side == &self->primary) {
        note(self, connected && pubsub_connected);
    }
    if (side == self->current) {
        self->options.events->on_state(self->options.context, connected, pubsub_connected, reason);
    }
}

static const struct engine_events side_events = {.on_publication = on_publication,
                                                 .on_presence = on_presence,
                                                 .on_doubt = on_doubt,
                                                 .on_partition_doubt = on_partition_doubt,
                                                 .on_presence_doubt = on_presence_doubt,
                                                 .on_leases = on_leases,
                                                 .on_state = on_state,
                                                 .on_removed = on_removed,
                                                 .on_lease_freed = on_lease_freed};

/* ---- changing ---- */

static void doubt_everything(struct engine_fallback *self) {
    const struct engine_options *options = &self->options;
    for (uint32_t partition = 0; partition < options->n_partitions; partition++) {
        if (partition_shard(partition, options->n_partitions, options->n_shards) == options->shard) {
            options->events->on_partition_doubt(options->context, partition);
        }
    }
}

static void ask(struct engine_fallback *self, struct side *side, const char *reason) {
    self->current = side;
    metric_set(self->metrics, FALLBACK_STANDING_IN, side == &self->stand_in);
    self->options.events->on_state(self->options.context, true, true, reason);
    doubt_everything(self);
}

static void stand_in(struct engine_fallback *self) {
    log_error("engine_fallback_begins", log_u64("shard", self->options.shard), log_u64("waited_ms", self->how.wait_ms),
              log_text("meaning", "Redis could not be reached at the start: publications and presence are kept in this "
                                  "process's memory only, until Redis is there"));
    self->state = STANDING_IN;
    metric_count(self->metrics, FALLBACK_BEGUN);
    ask(self, &self->stand_in, "Redis could not be reached at the start: memory stands in");
}

static void leave_stand_in(struct engine_fallback *self) {
    log_warning("engine_fallback_ends", log_u64("shard", self->options.shard),
                log_text("meaning", "Redis is there: what memory held is gone, subscribers are told"));
    self->state = LEAVING;
    metric_count(self->metrics, FALLBACK_ENDED);
    ask(self, &self->primary, "Redis is there: memory stands in no more");
}

static void close_stand_in(struct engine_fallback *self);

static void settle(struct engine_fallback *self) {
    self->state = SETTLED;
    uv_timer_stop(&self->timer);
    close_stand_in(self);
}

static void on_tick(uv_timer_t *timer) {
    struct engine_fallback *self = timer->data;
    enum engine_chosen chosen = engine_choice_read(self->how.choice);
    switch (self->state) {
    case WAITING:
        if (chosen == ENGINE_CHOICE_PRIMARY) {
            settle(self);
        } else if (chosen == ENGINE_CHOICE_STAND_IN) {
            stand_in(self);
        } else if (clock_monotonic_ms() >= self->give_up_ms) {
            engine_choice_give_up(self->how.choice);
        }
        break;
    case STANDING_IN:
        if (chosen == ENGINE_CHOICE_PRIMARY) {
            leave_stand_in(self);
        }
        break;
    case LEAVING:
        settle(self);
        break;
    case SETTLED:
        break;
    }
}

/* ---- asking ---- */

static engine_t *current(engine_t *base) {
    return fallback_of(base)->current->engine;
}

static void append(engine_t *base, struct engine_append *request) {
    engine_append(current(base), request);
}

static void read_history(engine_t *base, struct engine_read *request) {
    engine_read(current(base), request);
}

static void remove_history(engine_t *base, struct engine_remove *request) {
    engine_t *engine = current(base);
    engine->methods->remove_history(engine, request);
}

static void hold(engine_t *base, struct span channel, const struct namespace_options *options) {
    struct engine_fallback *self = fallback_of(base);
    self->primary.engine->methods->hold(self->primary.engine, channel, options);
    if (self->stand_in.engine != NULL) {
        self->stand_in.engine->methods->hold(self->stand_in.engine, channel, options);
    }
}

static void release_hold(engine_t *base, struct span channel) {
    struct engine_fallback *self = fallback_of(base);
    self->primary.engine->methods->release(self->primary.engine, channel);
    if (self->stand_in.engine != NULL) {
        self->stand_in.engine->methods->release(self->stand_in.engine, channel);
    }
}

static bool is_sure(engine_t *base, struct span channel) {
    engine_t *engine = current(base);
    return engine->methods->is_sure(engine, channel);
}

static void presence_set(engine_t *base, struct span channel, const struct engine_presence_entry *entry, bool silent) {
    engine_t *engine = current(base);
    engine->methods->presence_set(engine, channel, entry, silent);
}

static void presence_clear(engine_t *base, struct span channel, struct span client,
                           const struct engine_presence_owner *only_of) {
    engine_t *engine = current(base);
    engine->methods->presence_clear(engine, channel, client, only_of);
}

static void presence_read(engine_t *base, struct engine_presence_read *request) {
    engine_t *engine = current(base);
    engine->methods->presence_read(engine, request);
}

static void lease_renew(engine_t *base, const struct engine_lease *lease) {
    engine_t *engine = current(base);
    engine->methods->lease_renew(engine, lease);
}

static void hold_back(engine_t *base, bool on) {
    struct engine_fallback *self = fallback_of(base);
    engine_hold_back(self->primary.engine, on);
    if (self->stand_in.engine != NULL) {
        engine_hold_back(self->stand_in.engine, on);
    }
}

static void serve(engine_t *base, struct engine_service *request) {
    engine_t *engine = current(base);
    engine->methods->serve(engine, request);
}

static void flush(engine_t *base) {
    struct engine_fallback *self = fallback_of(base);
    self->primary.engine->methods->flush(self->primary.engine);
    if (self->stand_in.engine != NULL) {
        self->stand_in.engine->methods->flush(self->stand_in.engine);
    }
}

static bool is_connected(const engine_t *base) {
    const struct engine_fallback *self = (const struct engine_fallback *) (const void *) base;
    return !self->is_closing && self->current->engine->methods->is_connected(self->current->engine);
}

static enum wire_mode mode(const engine_t *base) {
    const struct engine_fallback *self = (const struct engine_fallback *) (const void *) base;
    return self->current->engine->methods->mode(self->current->engine);
}

/* ---- life ---- */

static void finish(void *context) {
    struct engine_fallback *self = context;
    void (*on_closed)(void *context) = self->on_closed;
    void *closed_context = self->closed_context;
    metric_values_destroy(&self->metrics);
    memory_free(self);
    on_closed(closed_context);
}

/* The primary last: whoever asks something meanwhile is answered by it. */
static void on_part_closed(struct engine_fallback *self) {
    if (--self->n_parts == 0 && self->is_closing) {
        self->primary.engine->methods->close(self->primary.engine, finish, self);
    }
}

static void on_stand_in_closed(void *context) {
    on_part_closed(context);
}

static void on_timer_closed(uv_handle_t *timer) {
    on_part_closed(timer->data);
}

static void close_stand_in(struct engine_fallback *self) {
    engine_t *engine = self->stand_in.engine;
    if (engine != NULL) {
        self->stand_in.engine = NULL;
        engine->methods->close(engine, on_stand_in_closed, self);
    }
}

static void close_engine(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct engine_fallback *self = fallback_of(base);
    check(!self->is_closing, "an engine is closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->closed_context = context;
    self->current = &self->primary;
    note(self, false);
    close_stand_in(self);
    uv_close((uv_handle_t *) &self->timer, on_timer_closed);
}

static const struct engine_methods engine_fallback_methods = {
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
    .serve = serve,
    .flush = flush,
    .hold_back = hold_back,
    .is_connected = is_connected,
    .mode = mode,
};

static engine_t *make_side(struct side *side, engine_maker *maker, char *ret_error, size_t error_size) {
    struct engine_fallback *self = side->owner;
    struct engine_options options = self->options;
    options.events = &side_events;
    options.context = side;
    side->engine = maker(self->how.context, &options, ret_error, error_size);
    return side->engine;
}

engine_t *engine_fallback_new(const struct engine_options *options, const struct engine_fallback_options *how,
                              char *ret_error, size_t error_size) {
    struct engine_fallback *self = memory_alloc_zero(sizeof *self);
    self->base.methods = &engine_fallback_methods;
    self->options = *options;
    self->how = *how;
    self->primary.owner = self;
    self->stand_in.owner = self;
    self->current = &self->primary;
    self->give_up_ms = clock_monotonic_ms() + how->wait_ms;
    if (make_side(&self->primary, how->make_primary, ret_error, error_size) == NULL) {
        memory_free(self);
        return NULL;
    }
    check(make_side(&self->stand_in, how->make_stand_in, ret_error, error_size) != NULL, "%s", ret_error);
    self->metrics = metric_values_new(options->metrics, metric_rows, sizeof metric_rows / sizeof *metric_rows);
    uv_timer_init(options->loop, &self->timer);
    self->timer.data = self;
    self->n_parts = 2;
    uv_timer_start(&self->timer, on_tick, TICK_MS, TICK_MS);
    return &self->base;
}
