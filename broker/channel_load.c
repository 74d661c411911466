/* A channel's load: asked for by its state, sent when the set has room for it, and what it brought handed to the state.
 * At most one is out; who comes meanwhile is served by it or by the next.
 *
 *   channel_want_load ──▶ set's queue ──▶ channel_send_load ──▶ engine ──▶ CHANNEL_ON_LOADED or CHANNEL_ON_LOAD_FAILED
 *
 * Failure modes: the engine cannot read now, or the deadline passed: the state decides whether to try again. */
#include "base/clock.h"
#include "broker/channel_parts.h"
#include "broker/shard_metrics.h"

enum { LOAD_PUBLICATIONS = 1024 }; /* of one load from the cursor */

static void metric(const struct channel *self, enum shard_metric row) {
    metric_count(self->set->options.metrics, row);
}

void channel_want_load(struct channel *self, bool has_since, const struct position *since) {
    struct channel_work *work = channel_work(self);
    work->load_has_since = has_since;
    work->load_since = *since;
    metric_change(self->set->options.metrics, SHARD_LOADS_WAITING, 1);
    if (has_since) {
        metric(self, SHARD_HEALS);
    }
    /* Those for whom somebody waits go first. */
    if (list_is_empty(&work->waiting)) {
        list_push_back(&self->set->loads_wanted, &work->load_wanted);
    } else {
        list_push_front(&self->set->loads_wanted, &work->load_wanted);
    }
}

static uint64_t publication_offset(const payload_t *publication) {
    struct cursor cursor = cursor_of(payload_span(publication));
    return cursor_u64(&cursor);
}

/* The unbroken run at the beginning of what came. */
static void find_run(struct channel_load *loaded, const struct engine_read *read) {
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

static void note_loaded(struct channel_load *loaded, const struct engine_read *read) {
    *loaded = (struct channel_load){.valid = true, .top = read->top};
    if (!read->has_since || read->limit == 0) {
        return;
    }
    loaded->since = read->since;
    if (epoch_is_empty(&read->since.epoch)) {
        loaded->since.epoch = read->top.epoch;
    }
    if (read->epoch_matches) {
        find_run(loaded, read);
    }
}

static void on_loaded(struct channel *self, const struct engine_read *read) {
    struct channel_load *loaded = &self->work->loaded;
    note_loaded(loaded, read);
    struct channel_event event = {.kind = CHANNEL_ON_LOADED,
                                  .wanted = self->n_subscriptions > 0,
                                  .position = loaded->top,
                                  .first = loaded->first,
                                  .last = loaded->last,
                                  .gap = loaded->gap};
    bool alive = channel_step(self, &event, NULL);
    if (alive) {
        *loaded = (struct channel_load){.valid = false};
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
    struct channel_work *work = list_entry(read, struct channel_work, read);
    struct channel *self = work->channel;
    channel_set_t *set = self->set;
    work->reading = false;
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
void channel_send_load(struct channel_work *work) {
    struct channel *self = work->channel;
    const struct broker_config *config = self->set->options.config;
    struct engine_read *read = &work->read;
    bool own = true;
    *read = (struct engine_read){.channel = channel_name(self),
                                 .options = self->options,
                                 .has_since = true,
                                 .since = work->load_since,
                                 .limit = LOAD_PUBLICATIONS,
                                 .bytes_limit = (size_t) config->recovery_bytes_max,
                                 .deadline_ms = clock_monotonic_ms() + (uint64_t) config->publish_timeout_ms,
                                 .on_done = on_read_done};
    if (!work->load_has_since) {
        read->has_since = channel_choose_since(self, &read->since, &own);
        read->limit = read->has_since ? (uint32_t) config->recovery_publications_max : 0;
    }
    read->since_is_own = read->has_since && own;
    work->reading = true;
    work->read_generation = self->set->generation;
    work->loads_sent++;
    self->set->loads_out++;
    metric(self, SHARD_LOADS);
    metric_change(self->set->options.metrics, SHARD_LOADS_WAITING, -1);
    engine_read(self->set->engine, read);
}
