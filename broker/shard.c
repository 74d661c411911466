/* The actor. One page: messages in, engine events, the end of the turn, leases, life.
 *
 *   switchboard ──batch──▶ on_batch ─▶ shard_handle_frame … ─▶ channels, operations ─▶ engine
 *   switchboard ◀──sealed batches── end of turn ◀── channels ◀── engine events
 *
 * Failure modes: a hole in a lane's numbers, a malformed frame, replies that outgrow their bound → the link is reset,
 * the gateway comes back with HELLO and its positions; the engine away → beats say degraded, WELCOME too; a batch for a
 * peer that left meanwhile → dropped (its link is gone). */
#include "broker/shard.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/partition.h"
#include "broker/shard_parts.h"

enum { TICK_MS = 100, TOTALS_EVERY_MS = 2000, STOP_DEADLINE_MS = 10000, OWN_ID_MAX = 255 };

struct shard_batch {
    struct actor_message message;
    uint32_t peer;
    bool overload;
    zmq_msg_t batch;
};

struct peer_message {
    struct actor_message message;
    struct shard_peer peer; /* gateway_id lies behind */
    char gateway_id[];
};

struct drain_message {
    struct actor_message message;
};

struct reload_message {
    struct actor_message message;
    const namespace_set_t *namespaces;
    uint32_t number;
};

/* ---- peers ---- */

static struct shard_peer_entry *find_entry(const struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = NULL;
    HASH_FIND(by_number, self->peers, &number, sizeof number, entry);
    return entry;
}

gateway_peer_t *shard_find_peer(const struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = find_entry(self, number);
    return entry == NULL ? NULL : entry->peer;
}

static enum shard_metric metric_of_reset(enum wire_reset_reason reason) {
    switch (reason) {
    case WIRE_RESET_HOLE:
        return SHARD_RESETS_HOLE;
    case WIRE_RESET_OVERFLOW:
        return SHARD_RESETS_OVERFLOW;
    case WIRE_RESET_BAD_FRAME:
    case WIRE_RESET_UNKNOWN_LINK:
    case WIRE_RESET_VERSION:
    case WIRE_RESET_MODE:
    case WIRE_RESET_REPLACED:
    case WIRE_RESET_NOT_ALLOWED:
        break;
    }
    return SHARD_RESETS_BAD_FRAME;
}

void shard_fail_peer(struct shard *self, gateway_peer_t *peer, enum wire_reset_reason reason) {
    struct gateway_peer_notes *notes = gateway_peer_notes(peer);
    if (notes->is_failed) {
        return;
    }
    notes->is_failed = true;
    metric_count(self->metrics, metric_of_reset(reason));
    log_warning("gateway_link_reset", log_span("gateway", gateway_peer_gateway_id(peer)),
                log_u64("worker", gateway_peer_worker(peer)), log_u64("shard", self->options.index),
                log_u64("reason", reason));
    self->options.uplink.reset(self->options.uplink.context, gateway_peer_number(peer), reason);
}

static void send_batch(void *context, const gateway_peer_t *peer, struct buffer *batch) {
    struct shard *self = context;
    metric_count(self->metrics, SHARD_BATCHES_OUT);
    self->options.uplink.send_batch(self->options.uplink.context, gateway_peer_number(peer),
                                    gateway_peer_link_epoch(peer), batch);
}

static void on_peer_joined(struct shard *self, const struct shard_peer *model) {
    struct shard_peer_entry *entry = memory_alloc_zero(sizeof *entry);
    entry->number = model->number;
    entry->peer = gateway_peer_new(&(struct gateway_peer_options){.number = model->number,
                                                                  .link_epoch = model->link_epoch,
                                                                  .version = model->version,
                                                                  .shard = (uint16_t) self->options.index,
                                                                  .gateway_id = model->gateway_id,
                                                                  .worker = model->worker,
                                                                  .boot_nonce = model->boot_nonce,
                                                                  .batch_close = self->options.batch_close,
                                                                  .send = send_batch,
                                                                  .context = self,
                                                                  .dirty = &self->dirty});
    HASH_ADD(by_number, self->peers, number, sizeof entry->number, entry);
    metric_change(self->metrics, SHARD_PEERS, 1);
}

static void drop_peer(struct shard *self, struct shard_peer_entry *entry) {
    struct subscription *subscription = NULL;
    while ((subscription = gateway_peer_first(entry->peer)) != NULL) {
        channel_unlink(subscription);
        gateway_peer_unsubscribe(&subscription);
    }
    gateway_peer_destroy(&entry->peer);
    HASH_DELETE(by_number, self->peers, entry);
    memory_free(entry);
    metric_change(self->metrics, SHARD_PEERS, -1);
}

static void on_peer_left(struct shard *self, uint32_t number) {
    struct shard_peer_entry *entry = find_entry(self, number);
    if (entry != NULL) {
        drop_peer(self, entry);
    }
}

/* ---- batches ---- */

bool shard_owns(const struct shard *self, struct span channel) {
    uint32_t n_partitions = (uint32_t) self->options.config->partitions;
    uint32_t partition = partition_of(channel, n_partitions);
    return partition_shard(partition, n_partitions, self->options.n_shards) == self->options.index;
}

/* False: the link is reset. */
static bool handle_frames(struct shard *self, gateway_peer_t *peer, struct cursor *frames, bool overload,
                          uint32_t *ret_n_frames) {
    struct wire_frame frame;
    enum wire_outcome outcome;
    while ((outcome = wire_frame_next(frames, &frame)) == WIRE_OK) {
        if (!shard_handle_frame(self, peer, &frame, overload)) {
            log_warning("bad_frame", log_text("kind", wire_kind_name(frame.kind)), log_u64("number", frame.kind),
                        log_u64("bytes", frame.body.size));
            return false;
        }
        (*ret_n_frames)++;
    }
    return outcome == WIRE_END;
}

static void on_batch(struct shard *self, const struct shard_batch *message) {
    gateway_peer_t *peer = shard_find_peer(self, message->peer);
    if (peer == NULL || gateway_peer_notes(peer)->is_failed) {
        return;
    }
    metric_count(self->metrics, SHARD_BATCHES_IN);
    zmq_msg_t *batch = (zmq_msg_t *) (uintptr_t) &message->batch;
    struct span bytes = span_of(zmq_msg_data(batch), zmq_msg_size(batch));
    struct wire_batch_header header;
    struct cursor frames;
    if (wire_batch_open(bytes, &header, &frames) != WIRE_OK) {
        shard_fail_peer(self, peer, WIRE_RESET_BAD_FRAME);
        return;
    }
    uint32_t n_frames = 0;
    switch (gateway_peer_receive(peer, &header)) {
    case WIRE_LANE_ACK_ONLY:
    case WIRE_LANE_OLD_LINK:
        return;
    case WIRE_LANE_HOLE:
        shard_fail_peer(self, peer, WIRE_RESET_HOLE);
        return;
    case WIRE_LANE_NEXT:
        break;
    }
    if (!handle_frames(self, peer, &frames, message->overload, &n_frames)) {
        shard_fail_peer(self, peer, WIRE_RESET_BAD_FRAME);
        return;
    }
    gateway_peer_consumed(peer, n_frames, bytes.size);
}

/* ---- messages ---- */

static void on_request(struct shard *self, struct shard_request *request) {
    struct operation_origin origin = {
        .reply_to = request->reply_to, .reply_kind = request->reply_kind, .ticket = request->ticket};
    shard_operate(self, request, &origin, false);
}

static void publish_figures(struct shard *self) {
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
    atomic_store(&self->engine_connected, self->engine->methods->is_connected(self->engine));
    metric_set(self->metrics, SHARD_OPERATIONS, self->n_operations);
    metric_set(self->metrics, SHARD_OPERATIONS_BYTES, (int64_t) self->operations_quota.used);
    metric_set(self->metrics, SHARD_INBOX_MESSAGES, (int64_t) actor_inbox_messages(self->actor));
    metric_set(self->metrics, SHARD_INBOX_BYTES, (int64_t) actor_inbox_bytes(self->actor));
}

static void on_drain(struct shard *self) {
    self->draining = true;
    publish_figures(self);
    atomic_store(&self->seen_draining, true);
}

static void on_reload(struct shard *self, const struct reload_message *message) {
    self->options.namespaces = message->namespaces;
    self->reload = message->number;
    channel_set_reload(self->channels, message->namespaces);
}

/* What began before the reload still has the old options. */
static void follow_reload(struct shard *self) {
    if (atomic_load(&self->seen_reload) != self->reload && shard_operations_are_behind(self, self->reload) &&
        channel_set_is_reloaded(self->channels)) {
        atomic_store(&self->seen_reload, self->reload);
    }
}

static void drop_message(void *context, struct actor_message *message) {
    (void) context;
    if (message->kind == SHARD_MESSAGE_BATCH) {
        zmq_msg_close(&((struct shard_batch *) (void *) message)->batch);
    }
    memory_free(message);
}

static void on_message(void *context, struct actor_message *message) {
    struct shard *self = context;
    switch ((enum shard_message_kind) message->kind) {
    case SHARD_MESSAGE_BATCH:
        on_batch(self, (struct shard_batch *) (void *) message);
        break;
    case SHARD_MESSAGE_PEER_JOINED:
        on_peer_joined(self, &((struct peer_message *) (void *) message)->peer);
        break;
    case SHARD_MESSAGE_PEER_LEFT:
        on_peer_left(self, ((struct peer_message *) (void *) message)->peer.number);
        break;
    case SHARD_MESSAGE_REQUEST:
        on_request(self, (struct shard_request *) (void *) message);
        break;
    case SHARD_MESSAGE_DRAIN:
        on_drain(self);
        break;
    case SHARD_MESSAGE_RELOAD:
        on_reload(self, (struct reload_message *) (void *) message);
        break;
    }
    drop_message(context, message);
}

static void post(shard_t *self, struct actor_message *message) {
    if (actor_post_control(self->actor, &message) != ACTOR_POSTED) {
        drop_message(self, message);
    }
}

static struct peer_message *peer_message_new(enum shard_message_kind kind, const struct shard_peer *peer) {
    struct peer_message *message = memory_alloc_zero(sizeof *message + peer->gateway_id.size);
    message->message.kind = kind;
    message->message.bytes = sizeof *message + peer->gateway_id.size;
    message->peer = *peer;
    if (peer->gateway_id.size > 0) {
        memcpy(message->gateway_id, peer->gateway_id.data, peer->gateway_id.size);
    }
    message->peer.gateway_id = span_of(message->gateway_id, peer->gateway_id.size);
    return message;
}

void shard_post_peer_joined(shard_t *self, const struct shard_peer *peer) {
    post(self, &peer_message_new(SHARD_MESSAGE_PEER_JOINED, peer)->message);
}

void shard_post_peer_left(shard_t *self, uint32_t number) {
    post(self, &peer_message_new(SHARD_MESSAGE_PEER_LEFT, &(struct shard_peer){.number = number})->message);
}

void shard_post_batch(shard_t *self, uint32_t peer, zmq_msg_t *batch) {
    struct shard_batch *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_BATCH;
    message->message.bytes = sizeof *message + zmq_msg_size(batch);
    message->peer = peer;
    zmq_msg_init(&message->batch);
    zmq_msg_move(&message->batch, batch);
    struct actor_message *base = &message->message;
    if (actor_post(self->actor, &base) == ACTOR_POSTED) {
        return;
    }
    message->overload = true;
    post(self, &message->message);
}

void shard_post_drain(shard_t *self) {
    struct drain_message *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_DRAIN;
    message->message.bytes = sizeof *message;
    post(self, &message->message);
}

void shard_post_reload(shard_t *self, const namespace_set_t *namespaces, uint32_t number) {
    struct reload_message *message = memory_alloc_zero(sizeof *message);
    message->message.kind = SHARD_MESSAGE_RELOAD;
    message->message.bytes = sizeof *message;
    message->namespaces = namespaces;
    message->number = number;
    post(self, &message->message);
}

/* ---- events of the engine ---- */

static void on_publication(void *context, struct span channel, const struct epoch *epoch, uint64_t offset,
                           payload_t *publication) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_publication(found, epoch, offset, publication);
    }
}

static void on_presence(void *context, struct span channel, bool joined, const struct engine_presence_entry *entry) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_presence(found, joined, entry, clock_monotonic_ms());
    }
}

static void on_doubt(void *context, struct span channel) {
    struct shard *self = context;
    channel_t *found = channel_set_find(self->channels, channel);
    if (found != NULL) {
        channel_on_doubt(found);
    }
}

static void on_partition_doubt(void *context, uint32_t partition) {
    struct shard *self = context;
    channel_set_on_partition_doubt(self->channels, partition, clock_monotonic_ms());
    self->doubtful[self->n_doubtful++] = partition;
    if (self->n_doubtful == (uint32_t) self->options.config->partitions) {
        self->n_doubtful--; /* told twice before the turn ended: the last is repeated, none is missing */
    }
}

static void resync(gateway_peer_t *peer, const uint32_t *partitions, uint32_t n) {
    struct buffer bytes = BUFFER_EMPTY;
    for (uint32_t i = 0; i < n; i++) {
        buffer_append_u32(&bytes, partitions[i]);
    }
    struct wire_resync frame = {.n = n, .partitions = buffer_span(&bytes)};
    gateway_peer_added(peer, wire_encode_resync(gateway_peer_batch(peer), &frame));
    buffer_finish(&bytes);
}

/* Whoever set members under another number is asked for them again. */
static void follow_lease(struct shard *self, gateway_peer_t *peer) {
    struct gateway_peer_notes *notes = gateway_peer_notes(peer);
    uint64_t number = gateway_leases_number(self->leases, gateway_peer_gateway_id(peer));
    if (number == 0 || number == notes->lease_number) {
        return;
    }
    if (notes->has_set_presence) {
        resync(peer, NULL, 0);
    }
    notes->lease_number = number;
}

static void send_totals(struct shard *self) {
    struct wire_totals totals = gateway_leases_totals(self->leases);
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        gateway_peer_added(entry->peer, wire_encode_totals(gateway_peer_batch(entry->peer), &totals));
    }
}

static void on_leases(void *context, const struct engine_lease *leases, size_t n_leases) {
    struct shard *self = context;
    uint64_t now_ms = clock_monotonic_ms();
    if (gateway_leases_update(self->leases, leases, n_leases)) {
        channel_set_on_leases_changed(self->channels, now_ms);
        for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
            follow_lease(self, entry->peer);
        }
    }
    if (self->options.index == 0 && now_ms - self->totals_ms >= TOTALS_EVERY_MS) {
        self->totals_ms = now_ms;
        send_totals(self);
    }
}

static void on_state(void *context, bool connected, bool pubsub_connected, const char *reason) {
    struct shard *self = context;
    atomic_store(&self->engine_connected, connected);
    atomic_store(&self->pubsub_connected, pubsub_connected);
    log_info("engine_state", log_u64("shard", self->options.index), log_bool("connected", connected),
             log_bool("pubsub_connected", pubsub_connected), log_text("reason", reason == NULL ? "" : reason));
}

static const struct engine_events engine_events = {.on_publication = on_publication,
                                                   .on_presence = on_presence,
                                                   .on_doubt = on_doubt,
                                                   .on_partition_doubt = on_partition_doubt,
                                                   .on_leases = on_leases,
                                                   .on_state = on_state};

/* ---- end of turn ---- */

static void resync_doubtful(struct shard *self) {
    if (self->n_doubtful == 0) {
        return;
    }
    for (struct shard_peer_entry *entry = self->peers; entry != NULL; entry = entry->by_number.next) {
        if (gateway_peer_notes(entry->peer)->has_set_presence) {
            resync(entry->peer, self->doubtful, self->n_doubtful);
        }
    }
    self->n_doubtful = 0;
}

static void flush_peers(struct shard *self) {
    struct list_link dirty;
    list_init(&dirty);
    list_splice_back(&dirty, &self->dirty);
    struct list_link *link = NULL;
    while ((link = list_pop_front(&dirty)) != NULL) {
        gateway_peer_t *peer = gateway_peer_from_dirty(link);
        gateway_peer_flush(peer);
        if (gateway_peer_is_broken(peer)) {
            shard_fail_peer(self, peer, WIRE_RESET_OVERFLOW);
        }
    }
}

static void on_flush(void *context) {
    struct shard *self = context;
    if (self->engine == NULL) {
        return;
    }
    resync_doubtful(self);
    channel_set_flush(self->channels);
    self->engine->methods->flush(self->engine);
    flush_peers(self);
}

/* The broker's own, so that brokers are counted as gateways are. One shard's word is enough. */
static void keep_own_lease(struct shard *self, uint64_t now_ms) {
    if (self->options.index != 0 || now_ms - self->own_lease_ms < (uint64_t) self->options.config->heartbeat_ms) {
        return;
    }
    char id[sizeof LEASE_OF_BROKER + OWN_ID_MAX];
    int size = snprintf(id, sizeof id, LEASE_OF_BROKER "%.*s", OWN_ID_MAX, self->options.broker_id);
    struct engine_lease lease = {.gateway_id = span_of(id, (size_t) size), .boot_nonce = self->options.boot_nonce};
    self->own_lease_ms = now_ms;
    self->engine->methods->lease_renew(self->engine, &lease);
}

static void on_tick(uv_timer_t *timer) {
    struct shard *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    keep_own_lease(self, now_ms);
    channel_set_tick(self->channels, now_ms);
    follow_reload(self);
    publish_figures(self);
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
                                                   .events = &engine_events,
                                                   .context = self};
    self->engine = options->make_engine(options->engine_context, &self->engine_options, ret_error, error_size);
    if (self->engine == NULL) {
        return false;
    }
    atomic_store(&self->mode, (int) self->engine->methods->mode(self->engine));
    atomic_store(&self->engine_connected, self->engine->methods->is_connected(self->engine));
    self->channels = channel_set_new(&(struct channel_set_options){
        .engine = self->engine, .config = options->config, .leases = self->leases, .metrics = self->metrics});
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
    channel_set_close(self->channels);
    self->engine->methods->close(self->engine, on_engine_closed, self);
}

static const struct actor_callbacks callbacks = {.on_start = on_start,
                                                 .on_message = on_message,
                                                 .on_flush = on_flush,
                                                 .on_stop = on_stop,
                                                 .drop_message = drop_message};

static void finish(struct shard *self) {
    struct shard_peer_entry *entry = NULL;
    struct shard_peer_entry *next = NULL;
    HASH_ITER(by_number, self->peers, entry, next) {
        drop_peer(self, entry);
    }
    channel_set_destroy(&self->channels);
    gateway_leases_destroy(&self->leases);
    buffer_finish(&self->scratch);
    metric_values_destroy(&self->metrics);
    memory_free(self->doubtful);
    memory_free(self);
}

shard_t *shard_new(const struct shard_options *options, char *ret_error, size_t error_size) {
    struct shard *self = memory_alloc_zero(sizeof *self);
    char name[32];
    snprintf(name, sizeof name, "shard %u", options->index);
    self->options = *options;
    self->metrics = metric_values_new(options->metrics, shard_metric_rows, SHARD_METRICS_COUNT);
    self->leases = gateway_leases_new();
    self->doubtful = memory_alloc_array((size_t) options->config->partitions, sizeof *self->doubtful);
    list_init(&self->dirty);
    list_init(&self->operations);
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
                                          .mode = (enum wire_mode) atomic_load(&self->mode),
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
