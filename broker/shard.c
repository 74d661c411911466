/* The actor: its turn, its figures, its life. What it is sent is in shard_messages.c, the lanes to gateway workers in
 * shard_peers.c, their frames in shard_frames.c, what the engine tells in shard_events.c.
 *
 *   switchboard ──batch──▶ shard_take_batch ─▶ shard_handle_frame … ─▶ channels, operations ─▶ engine
 *   switchboard ◀──sealed batches── end of turn ◀── channels ◀── engine events
 *
 * Failure modes: see there; the engine away → beats say degraded, WELCOME too. */
#include "broker/shard.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/shard_parts.h"

enum { TICK_MS = 100, STOP_DEADLINE_MS = 10000 };

/* ---- figures ---- */

bool shard_stands_in(const struct shard *self) {
    return self->options.config->redis_url[0] != '\0' && self->engine->methods->mode(self->engine) == WIRE_MODE_MEMORY;
}

bool shard_is_degraded(const struct shard *self) {
    return !self->engine->methods->is_connected(self->engine) || shard_stands_in(self);
}

static void publish_engine(struct shard *self) {
    atomic_store(&self->engine_connected, self->engine->methods->is_connected(self->engine));
    atomic_store(&self->mode, (int) self->engine->methods->mode(self->engine));
    atomic_store(&self->stands_in, shard_stands_in(self));
}

void shard_publish_figures(struct shard *self) {
    struct wire_totals totals = gateway_leases_totals(self->leases);
    uint64_t subscriptions = 0;
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        subscriptions += gateway_peer_subscriptions(entry->peer);
    }
    atomic_store(&self->seen_peers, HASH_CNT(by_number, self->peers));
    atomic_store(&self->seen_channels, channel_set_count(self->channels));
    atomic_store(&self->seen_subscriptions, subscriptions);
    atomic_store(&self->seen_operations, self->n_operations);
    atomic_store(&self->seen_brokers, totals.brokers);
    atomic_store(&self->seen_gateways, totals.gateways);
    atomic_store(&self->seen_connections, totals.connections);
    atomic_store(&self->seen_users, totals.users);
    publish_engine(self);
    metric_set(self->metrics, SHARD_OPERATIONS, self->n_operations);
    metric_set(self->metrics, SHARD_OPERATIONS_BYTES, (int64_t) self->operations_quota.used);
    metric_set(self->metrics, SHARD_INBOX_MESSAGES, (int64_t) actor_inbox_messages(self->actor));
    metric_set(self->metrics, SHARD_INBOX_BYTES, (int64_t) actor_inbox_bytes(self->actor));
}

/* What began before the reload still has the old options. */
static void follow_reload(struct shard *self) {
    if (atomic_load(&self->seen_reload) != self->reload && shard_operations_are_behind(self, self->reload) &&
        channel_set_is_reloaded(self->channels)) {
        atomic_store(&self->seen_reload, self->reload);
    }
}

/* ---- end of turn ---- */

static void resync_doubtful(struct shard *self) {
    if (!self->has_members_doubts) {
        return;
    }
    uint32_t n_partitions = (uint32_t) self->options.config->partitions;
    uint32_t *partitions = memory_alloc_array(n_partitions, sizeof *partitions);
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_partitions; i++) {
        if (self->members_doubts[i] != SHARD_MEMBERS_SURE) {
            bool everywhere = self->members_doubts[i] == SHARD_MEMBERS_DOUBTED_EVERYWHERE;
            partitions[n++] = i | (everywhere ? WIRE_RESYNC_EVERYWHERE : 0);
            self->members_doubts[i] = SHARD_MEMBERS_SURE;
        }
    }
    self->has_members_doubts = false;
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        if (gateway_peer_notes(entry->peer)->has_set_presence) {
            shard_resync(entry->peer, partitions, n);
        }
    }
    memory_free(partitions);
}

static void on_flush(void *context) {
    struct shard *self = context;
    if (self->engine == NULL) {
        return;
    }
    resync_doubtful(self);
    channel_set_flush(self->channels);
    self->engine->methods->flush(self->engine);
    shard_flush_peers(self);
}

static void on_tick(uv_timer_t *timer) {
    struct shard *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    shard_keep_own_lease(self, now_ms);
    channel_set_tick(self->channels, now_ms);
    shard_commands_tick(self, now_ms);
    shard_leases_tick(self, now_ms);
    shard_guard_memory(self, now_ms);
    shard_tell_lost_occupancies(self);
    follow_reload(self);
    shard_publish_figures(self);
}

/* ---- life ---- */

static bool on_start(void *context, actor_t *actor, char *ret_error, size_t error_size) {
    struct shard *self = context;
    const struct shard_options *options = &self->options;
    self->actor = actor;
    self->engine_options = (struct engine_options){.loop = actor_loop(actor),
                                                   .shard = options->index,
                                                   .n_shards = options->n_shards,
                                                   .n_partitions = (uint32_t) options->config->partitions,
                                                   .broker_id = options->broker_id,
                                                   .boot_nonce = options->boot_nonce,
                                                   .metrics = options->metrics,
                                                   .namespaces = options->namespaces,
                                                   .findings = options->findings,
                                                   .events = &shard_engine_events,
                                                   .context = self};
    self->engine = options->make_engine(options->engine_context, &self->engine_options, ret_error, error_size);
    if (self->engine == NULL) {
        return false;
    }
    publish_engine(self);
    self->users = user_registry_new();
    self->channels = channel_set_new(&(struct channel_set_options){.engine = self->engine,
                                                                   .config = options->config,
                                                                   .leases = self->leases,
                                                                   .metrics = self->metrics,
                                                                   .on_swept_living = shard_doubt_members_everywhere,
                                                                   .on_occupied = shard_tell_occupied,
                                                                   .context = self});
    shard_start_leases(self);
    uv_timer_init(actor_loop(actor), &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_tick, TICK_MS, TICK_MS);
    return true;
}

static void on_engine_closed(void *context) {
    struct shard *self = context;
    self->engine = NULL;
}

static void on_stop(void *context) {
    struct shard *self = context;
    uv_close((uv_handle_t *) &self->timer, NULL);
    lease_queues_close(self->lease_queues);
    channel_set_close(self->channels);
    self->engine->methods->close(self->engine, on_engine_closed, self);
}

static const struct actor_callbacks callbacks = {.on_start = on_start,
                                                 .on_message = shard_take_message,
                                                 .on_flush = on_flush,
                                                 .on_stop = on_stop,
                                                 .drop_message = shard_drop_message};

static void finish(struct shard *self) {
    struct shard_peer_entry *entry = NULL;
    struct shard_peer_entry *next = NULL;
    shard_commands_drop(self);
    lease_queues_destroy(&self->lease_queues);
    HASH_ITER(by_number, self->peers, entry, next) {
        shard_drop_peer(self, entry);
    }
    channel_set_destroy(&self->channels);
    user_registry_destroy(&self->users);
    gateway_leases_destroy(&self->leases);
    buffer_finish(&self->scratch);
    metric_values_destroy(&self->metrics);
    memory_free(self->members_doubts);
    memory_free(self);
}

shard_t *shard_new(const struct shard_options *options, char *ret_error, size_t error_size) {
    struct shard *self = memory_alloc_zero(sizeof *self);
    char name[32];
    snprintf(name, sizeof name, "shard %u", options->index);
    self->options = *options;
    self->metrics = metric_values_new(options->metrics, shard_metric_rows, SHARD_METRICS_COUNT);
    self->leases = gateway_leases_new();
    self->members_doubts = memory_alloc_zero((size_t) options->config->partitions);
    list_init(&self->dirty);
    list_init(&self->operations);
    list_init(&self->commands);
    quota_init(&self->operations_quota, 0, NULL);
    buffer_init(&self->scratch, 0);
    struct actor_limits limits = {(size_t) options->config->inbox_messages, (size_t) options->config->inbox_bytes};
    actor_t *actor = actor_new(name, &callbacks, self, &limits, ret_error, error_size);
    if (actor == NULL) {
        finish(self);
        return NULL;
    }
    return self;
}

void shard_destroy(shard_t **self_p) {
    shard_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    actor_destroy(&self->actor, STOP_DEADLINE_MS);
    check(list_is_empty(&self->operations), "the engine left an operation without its completion");
    finish(self);
    *self_p = NULL;
}

actor_t *shard_actor(const shard_t *self) {
    return self->actor;
}

void shard_read_figures(const shard_t *self, struct shard_figures *ret_figures) {
    bool draining = atomic_load(&self->seen_draining); /* first: the others are then not older */
    *ret_figures = (struct shard_figures){.engine_connected = atomic_load(&self->engine_connected),
                                          .pubsub_connected = atomic_load(&self->pubsub_connected),
                                          .engine_reason = atomic_load(&self->engine_reason),
                                          .mode = (enum wire_mode) atomic_load(&self->mode),
                                          .stands_in = atomic_load(&self->stands_in),
                                          .peers = atomic_load(&self->seen_peers),
                                          .channels = atomic_load(&self->seen_channels),
                                          .subscriptions = atomic_load(&self->seen_subscriptions),
                                          .operations = atomic_load(&self->seen_operations),
                                          .reloads = atomic_load(&self->seen_reload),
                                          .draining = draining,
                                          .brokers = atomic_load(&self->seen_brokers),
                                          .gateways = atomic_load(&self->seen_gateways),
                                          .connections = atomic_load(&self->seen_connections),
                                          .users = atomic_load(&self->seen_users)};
}
