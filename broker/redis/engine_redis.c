/* See engine_redis.h; the map of the parts is in engine_redis_parts.h.
 *
 *   topology ─▶ nodes (redis_routing.c, redis_node.c) ─▶ partitions (redis_partition.c) ─▶ events, completions
 *
 * Each turn: requests go into the queues of their partitions; flush builds at most one batch a partition and writes
 * everything with one write a link. */
#include "broker/redis/engine_redis.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/redis/engine_redis_parts.h"

#include <stdio.h>
#include <xxhash.h>

struct redis_partition *engine_redis_partition(struct engine_redis *self, uint32_t number) {
    check(number >= self->first_partition && number - self->first_partition < self->n_partitions,
          "partition %u is not of shard %u", number, self->options.shard);
    return &self->partitions[number - self->first_partition];
}

/* ---- state, as the shard hears it ---- */

static const char *trouble_of(const struct engine_redis *self, bool *ret_ready, bool *ret_hears) {
    const char *trouble = self->topology_trouble;
    *ret_ready = self->home != NULL;
    *ret_hears = self->home != NULL;
    list_for_each (link, &self->nodes) {
        const struct redis_node *node = list_entry(link, struct redis_node, link);
        if (!node->is_wanted && list_is_empty(&node->partitions)) {
            continue; /* on its way out */
        }
        if (!node->is_ready) {
            *ret_ready = false;
            trouble = node->reason;
        }
        *ret_hears = *ret_hears && (list_is_empty(&node->partitions) || redis_node_hears(node));
    }
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        *ret_ready = *ret_ready && self->partitions[i].node != NULL;
    }
    return trouble;
}

void engine_redis_tell_state(struct engine_redis *self) {
    bool is_ready = false;
    bool hears = false;
    const char *trouble = trouble_of(self, &is_ready, &hears);
    const char *reason = is_ready ? (hears ? "connected" : "pub/sub is being connected")
                                  : (trouble != NULL ? trouble : "no Redis is known for some of the channels");
    bool is_same = is_ready == self->is_ready && hears == self->all_hear && strcmp(reason, self->reason) == 0;
    if (self->is_closing || is_same) {
        return;
    }
    self->is_ready = is_ready;
    self->all_hear = hears;
    self->reason = reason;
    metric_set(self->metrics, REDIS_METRIC_UP, is_ready);
    metric_set(self->metrics, REDIS_METRIC_PUBSUB_UP, hears);
    self->options.events->on_state(self->options.context, is_ready, hears, reason);
}

/* ---- appends ---- */

static void answer_append(void *request, enum engine_outcome outcome) {
    struct engine_append *append = request;
    append->on_done(append, outcome);
}

static payload_t *encode_publication(struct engine_redis *self, const struct engine_append *request,
                                     uint8_t **ret_bytes) {
    const struct wire_publication publication = {.time_ms = clock_wall_ms(),
                                                 .flags = engine_publication_flags(request),
                                                 .data = request->data,
                                                 .info = request->info,
                                                 .tags = request->tags};
    buffer_clear(&self->scratch);
    if (!wire_append_publication(&self->scratch, &publication)) {
        return NULL;
    }
    payload_t *payload = payload_new_uninitialised(self->scratch.size, ret_bytes);
    memcpy(*ret_bytes, self->scratch.data, self->scratch.size);
    return payload;
}

static bool queue_is_full(const struct engine_redis *self) {
    return self->queued_items >= self->queue_items_max || self->queued_bytes >= self->queue_bytes_max;
}

static struct redis_item *item_new(struct engine_redis *self, struct span channel, enum redis_channel_kind kind,
                                   uint64_t deadline_ms) {
    struct redis_item *item = memory_alloc_zero(sizeof *item);
    list_init(&item->link);
    item->kind = kind;
    item->channel = redis_channels_pin(self->channels, channel);
    item->deadline_ms = deadline_ms;
    item->cost = sizeof *item;
    return item;
}

static struct redis_item *append_item(struct engine_redis *self, struct engine_append *request, payload_t *publication,
                                      uint8_t *bytes) {
    bool is_stored = namespace_has_history(request->options) && !request->skip_history;
    struct redis_item *item =
        item_new(self, request->channel, is_stored ? REDIS_POSITIONED : REDIS_PLAIN, request->deadline_ms);
    item->options = request->options;
    item->request = request;
    item->publication = publication;
    item->bytes = bytes;
    item->cost += payload_footprint(publication) + request->key.size;
    if (request->key.size > 0) {
        item->key = memory_strndup(request->key.data, request->key.size);
        item->key_size = (uint32_t) request->key.size;
        item->payload_hash = XXH64(request->data.data, request->data.size, 0);
    }
    if (request->version != 0 && is_stored) {
        item->version = memory_alloc(sizeof *item->version + request->version_epoch.size);
        *item->version = (struct redis_item_version){request->version, request->version_epoch.size};
        if (request->version_epoch.size > 0) {
            memcpy(item->version->epoch, request->version_epoch.data, request->version_epoch.size);
        }
        item->cost += sizeof *item->version + request->version_epoch.size;
    }
    return item;
}

/* A reload made the first namespace safe, and the server does not write through, or hides which one it is: the promise
 * cannot be kept. */
static bool cannot_be_safe(const struct redis_partition *partition, const struct namespace_options *options) {
    const struct engine_redis *engine = partition->engine;
    const struct redis_node *node = partition->node;
    bool is_unfit = node != NULL && node->is_ready && engine->confirm_kind != REDIS_CONFIRM_DECLARED &&
                    (node->is_hidden || !node->writes_through);
    return is_unfit && engine_redis_is_safe(engine, options);
}

static void append(engine_t *base, struct engine_append *request) {
    struct engine_redis *self = engine_redis_of(base);
    request->position = (struct position){.offset = 0};
    request->duplicate = false;
    request->suppressed = false;
    request->not_durable = false;
    if (self->is_closing || queue_is_full(self)) {
        metric_count(self->metrics, REDIS_METRIC_REFUSED);
        redis_answers_later(self, answer_append, request, self->is_closing ? ENGINE_CANCELLED : ENGINE_FULL);
        return;
    }
    uint8_t *bytes = NULL;
    payload_t *publication = encode_publication(self, request, &bytes);
    if (publication == NULL) {
        redis_answers_later(self, answer_append, request, engine_not_encoded(request, self->scratch.limit));
        return;
    }
    struct redis_item *item = append_item(self, request, publication, bytes);
    struct redis_partition *partition = engine_redis_partition(self, item->channel->partition);
    if (redis_queue_passes_live(partition, item)) {
        redis_answers_pass_live(self, item);
        return;
    }
    if (item->kind == REDIS_POSITIONED && cannot_be_safe(partition, item->options)) {
        log_error("redis_not_safe", log_span("channel", request->channel),
                  log_text("hint", "durability safe needs replicas (redis.confirm), or appendfsync always"));
        item->request = NULL;
        redis_item_destroy(&item, self->channels);
        redis_answers_later(self, answer_append, request, ENGINE_DENIED);
        return;
    }
    redis_partition_want(partition);
    redis_queue_push(partition, item);
}

/* ---- presence ---- */

static void push_presence(struct engine_redis *self, struct span channel, enum redis_presence_action action,
                          struct span client, struct span value) {
    struct redis_item *item = item_new(self, channel, REDIS_PRESENCE, clock_monotonic_ms() + REDIS_PRESENCE_WAIT_MS);
    struct redis_partition *partition = engine_redis_partition(self, item->channel->partition);
    redis_partition_want(partition);
    if (queue_is_full(self)) {
        partition->lost_presence = true;
        redis_item_destroy(&item, self->channels);
        return;
    }
    buffer_append_u8(&item->member, (uint8_t) action);
    buffer_append_u8(&item->member, (uint8_t) client.size);
    buffer_append_span(&item->member, client);
    buffer_append_sized(&item->member, value);
    item->cost += item->member.size;
    if (!redis_refused_follow(partition, item)) {
        redis_queue_push(partition, item);
    }
}

static void presence_set(engine_t *base, struct span channel, const struct engine_presence_entry *entry, bool silent) {
    struct engine_redis *self = engine_redis_of(base);
    struct wire_client_info info;
    struct buffer value = BUFFER_EMPTY;
    const struct redis_member member = {entry->gateway_id, entry->lease_number, entry->info};
    bool is_sound = wire_read_client_info(entry->info, &info) && info.client.size <= UINT8_MAX &&
                    redis_member_append(&value, &member);
    if (!is_sound) {
        metric_count(self->metrics, REDIS_METRIC_MALFORMED);
    } else if (!self->is_closing) {
        push_presence(self, channel, silent ? REDIS_PRESENCE_SET_SILENTLY : REDIS_PRESENCE_SET, info.client,
                      buffer_span(&value));
    }
    buffer_finish(&value);
}

static void presence_clear(engine_t *base, struct span channel, struct span client,
                           const struct engine_presence_owner *only_of) {
    struct engine_redis *self = engine_redis_of(base);
    struct buffer begins_with = BUFFER_EMPTY;
    bool is_sound = client.size <= UINT8_MAX;
    if (only_of != NULL) {
        const struct redis_member owner = {only_of->gateway_id, only_of->lease_number, SPAN_EMPTY};
        is_sound = redis_member_append(&begins_with, &owner) && is_sound;
    }
    if (!self->is_closing && is_sound) {
        push_presence(self, channel, REDIS_PRESENCE_CLEAR, client, buffer_span(&begins_with));
    }
    buffer_finish(&begins_with);
}

static void presence_read(engine_t *base, struct engine_presence_read *request) {
    redis_reads_presence(engine_redis_of(base), request);
}

static void lease_renew(engine_t *base, const struct engine_lease *lease) {
    struct engine_redis *self = engine_redis_of(base);
    if (!self->is_closing) {
        redis_leases_renew(self->leases, lease);
    }
}

/* ---- reads, holds ---- */

static void read_history(engine_t *base, struct engine_read *request) {
    redis_reads_load(engine_redis_of(base), request);
}

static void remove_history(engine_t *base, struct engine_remove *request) {
    redis_reads_remove(engine_redis_of(base), request);
}

static void hold(engine_t *base, struct span name, const struct namespace_options *options) {
    struct engine_redis *self = engine_redis_of(base);
    struct redis_channel *channel = redis_channels_pin(self->channels, name);
    struct redis_partition *partition = engine_redis_partition(self, channel->partition);
    channel->options = options;
    if (channel->n_holds++ == 0) {
        list_push_back(&partition->held, &channel->held_link);
        redis_renewals_begin(channel);
    }
    if (!self->is_closing) {
        redis_partition_want(partition);
    }
}

static void release_hold(engine_t *base, struct span name) {
    struct engine_redis *self = engine_redis_of(base);
    struct redis_channel *channel = redis_channels_find(self->channels, name);
    check(channel != NULL && channel->n_holds > 0, "release of a channel that is not held");
    engine_redis_partition(self, channel->partition)->used_ms = clock_monotonic_ms();
    if (--channel->n_holds == 0) {
        list_remove(&channel->held_link);
    }
    redis_channels_unpin(self->channels, channel);
}

static bool is_sure(engine_t *base, struct span name) {
    struct engine_redis *self = engine_redis_of(base);
    uint32_t number = partition_of(name, self->options.n_partitions);
    return engine_redis_partition(self, number)->state.phase == PARTITION_OPEN;
}

static bool is_connected(const engine_t *base) {
    return ((const struct engine_redis *) (const void *) base)->is_ready;
}

static enum wire_mode mode(const engine_t *base) {
    (void) base;
    return WIRE_MODE_REDIS;
}

static void serve(engine_t *base, struct engine_service *request) {
    redis_services_ask(engine_redis_of(base), request);
}

/* ---- the end of a turn ---- */

static void flush(engine_t *base) {
    struct engine_redis *self = engine_redis_of(base);
    if (self->is_closing) {
        return;
    }
    list_for_each_safe (link, &self->busy) {
        redis_partition_pump(list_entry(link, struct redis_partition, busy_link));
    }
    list_for_each (link, &self->nodes) {
        redis_node_flush(list_entry(link, struct redis_node, link));
    }
}

/* ---- close ---- */

static void finish_close(struct engine_redis *self) {
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        redis_partition_finish(&self->partitions[i]);
    }
    redis_answers_give(self);
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    redis_leases_destroy(&self->leases);
    redis_channels_destroy(&self->channels);
    redis_scripts_destroy(&self->scripts);
    metric_values_destroy(&self->metrics);
    redis_tls_destroy(&self->tls);
    buffer_finish(&self->scratch);
    memory_free(self->partitions);
    memory_free(self);
    on_closed(context);
}

void engine_redis_part_closed(struct engine_redis *self) {
    if (--self->n_closing == 0 && self->is_closing) {
        finish_close(self);
    }
}

static void on_topology_closed(void *context) {
    engine_redis_part_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) {
    engine_redis_part_closed(handle->data);
}

static void close_engine(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct engine_redis *self = engine_redis_of(base);
    check(!self->is_closing, "closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    self->n_closing += 4; /* beside nodes that were left and are not gone yet */
    uv_close((uv_handle_t *) &self->idle, on_handle_closed);
    uv_close((uv_handle_t *) &self->tick, on_handle_closed);
    uv_close((uv_handle_t *) &self->hole_timer, on_handle_closed);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        redis_routing_let_go(&self->partitions[i]);
    }
    redis_topology_close(self->topology, on_topology_closed, self);
    list_for_each_safe (link, &self->nodes) {
        redis_node_close(list_entry(link, struct redis_node, link));
    }
}

/* ---- construction ---- */

static const struct engine_methods methods = {
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
    .is_connected = is_connected,
    .mode = mode,
};

/* The partitions of this shard: partition_shard is contiguous. */
static void make_partitions(struct engine_redis *self) {
    const struct engine_options *options = &self->options;
    struct partition_tag *tags = memory_alloc_array(options->n_partitions, sizeof *tags);
    partition_tags(options->n_partitions, tags);
    uint32_t number = 0;
    while (partition_shard(number, options->n_partitions, options->n_shards) != options->shard) {
        number++;
    }
    self->first_partition = number;
    while (number < options->n_partitions &&
           partition_shard(number, options->n_partitions, options->n_shards) == options->shard) {
        number++;
    }
    self->n_partitions = number - self->first_partition;
    self->partitions = memory_alloc_array(self->n_partitions, sizeof *self->partitions);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        uint32_t n = self->first_partition + i;
        redis_partition_init(&self->partitions[i], self, n, &tags[n]);
        batch_order_init(&self->partitions[i].order, self->gate_items_max, self->gate_bytes_max);
    }
    memory_free(tags);
}

static void make_handles(struct engine_redis *self) {
    uv_loop_t *loop = self->options.loop;
    uv_idle_init(loop, &self->idle);
    uv_timer_init(loop, &self->tick);
    uv_timer_init(loop, &self->hole_timer);
    self->idle.data = self;
    self->tick.data = self;
    self->hole_timer.data = self;
    self->last_tick_ms = clock_monotonic_ms();
    uv_timer_start(&self->tick, redis_ticks_on_tick, REDIS_TICK_MS, REDIS_TICK_MS);
}

engine_t *engine_redis_new(const struct engine_options *options, const struct broker_config *config, char *ret_error,
                           size_t error_size) {
    struct engine_redis *self = memory_alloc_zero(sizeof *self);
    self->base.methods = &methods;
    self->options = *options;
    self->reason = "Redis is being connected";
    if (!engine_redis_take_settings(self, config, ret_error, error_size)) {
        memory_free(self);
        return NULL;
    }
    memcpy(self->boot_id, "b:", 2);
    random_base62(self->boot_id + 2, REDIS_BOOT_ID_LENGTH - 2);
    list_init(&self->nodes);
    list_init(&self->busy);
    list_init(&self->holes);
    list_init(&self->done);
    buffer_init(&self->scratch, WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE - sizeof(uint32_t));
    self->home_slot = partition_redis_slot(span_of_text(self->prefix));
    self->scripts = redis_scripts_new();
    self->channels = redis_channels_new(options->n_partitions);
    self->metrics = metric_values_new(options->metrics, redis_metric_rows, REDIS_METRICS);
    self->leases = redis_leases_new(self);
    make_partitions(self);
    make_handles(self);
    redis_routing_start(self, config->redis_sentinel_user, config->redis_sentinel_password);
    char where[REDIS_URL_TEXT_MAX + 1];
    redis_url_describe(&self->url, where, sizeof where);
    log_info("redis_engine_started", log_u64("shard", options->shard), log_text("redis", where),
             log_text("prefix", self->prefix));
    return &self->base;
}
