/* See engine_redis.h; the map of the parts is in engine_redis_parts.h.
 *
 *   command link up ─▶ examine the server (ROLE, SSUBSCRIBE?, number of partitions) ─▶ ready: every partition hears
 *                                                                                      COMMAND_UP
 *   pub/sub link   ─▶ made when the server is known to have sharded pub/sub or not    PUBSUB_UP, TOPIC_CONFIRMED
 *
 * Each turn: requests go into the queues of their partitions; flush builds at most one batch a partition and writes
 * everything with one write. Failures: a server that is no primary, is loading, or holds data of another number of
 * partitions is left again and tried anew, and on_state says why; this process having stood still for a second makes
 * everything suspect (the command link is cut, and hello goes first). */
#include "broker/redis/engine_redis.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/redis/engine_redis_parts.h"
#include "broker/redis/redis_request.h"

#include <stdio.h>
#include <xxhash.h>

#define BATCH_BYTES    ((size_t) 1 << 20)
#define READ_BYTES     ((size_t) 4 << 20)
#define REPLY_ELEMENTS ((size_t) 1000000)
enum { PROBE_MS = 5000, PRESENCE_WAIT_MS = 10000 };

static const struct metric_description metric_rows[REDIS_METRICS] = {
    [REDIS_METRIC_UP] = {"callboard_redis_connected", "Shards whose command link to Redis is of use.", METRIC_GAUGE,
                         NULL},
    [REDIS_METRIC_PUBSUB_UP] = {"callboard_redis_pubsub_connected", "Shards whose pub/sub link is of use.",
                                METRIC_GAUGE, NULL},
    [REDIS_METRIC_RECONNECTS] = {"callboard_redis_disconnects_total", "Links to Redis that were cut or not made.",
                                 METRIC_COUNTER, NULL},
    [REDIS_METRIC_BATCHES] = {"callboard_redis_batches_total", "Batches sent to Redis.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_PUBLICATIONS] = {"callboard_redis_publications_total", "Own publications that Redis took.",
                                   METRIC_COUNTER, NULL},
    [REDIS_METRIC_DUPLICATES] = {"callboard_redis_duplicates_total", "Appends answered from their idempotency key.",
                                 METRIC_COUNTER, NULL},
    [REDIS_METRIC_RESENT] = {"callboard_redis_resent_total", "Batches sent again after a cut.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_REFUSED] = {"callboard_redis_refused_total", "Appends that ended with a definite error.",
                              METRIC_COUNTER, NULL},
    [REDIS_METRIC_UNKNOWN] = {"callboard_redis_unknown_total", "Appends that ended without an answer of Redis.",
                              METRIC_COUNTER, NULL},
    [REDIS_METRIC_LIVE_ONLY] = {"callboard_redis_live_only_total",
                                "Publications passed live through this broker alone while Redis was away.",
                                METRIC_COUNTER, NULL},
    [REDIS_METRIC_LOADS] = {"callboard_redis_loads_total", "Channels read from Redis.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_OPENINGS] = {"callboard_redis_openings_total",
                               "Partitions opened or met anew after Redis restarted or forgot something.",
                               METRIC_COUNTER, NULL},
    [REDIS_METRIC_HOLES] = {"callboard_redis_holes_total", "Batches of others that never came and were read instead.",
                            METRIC_COUNTER, NULL},
    [REDIS_METRIC_MALFORMED] = {"callboard_redis_malformed_total", "Bytes in Redis that are not ours.", METRIC_COUNTER,
                                NULL},
    [REDIS_METRIC_QUEUED] = {"callboard_redis_queued", "Publications and presence changes waiting for Redis.",
                             METRIC_GAUGE, NULL},
    [REDIS_METRIC_LATENCY] = {"callboard_redis_batch_seconds", "From sending a batch to its results.", METRIC_HISTOGRAM,
                              NULL},
};

struct redis_partition *engine_redis_partition(struct engine_redis *self, uint32_t number) {
    check(number >= self->first_partition && number - self->first_partition < self->n_partitions,
          "partition %u is not of shard %u", number, self->options.shard);
    return &self->partitions[number - self->first_partition];
}

static void step_all(struct engine_redis *self, enum partition_event event) {
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        redis_partition_step(&self->partitions[i], event);
    }
}

/* ---- state, as the shard hears it ---- */

static bool pubsub_is_up(const struct engine_redis *self) {
    return self->pubsub != NULL && redis_pubsub_is_up(self->pubsub);
}

static void tell_state(struct engine_redis *self, const char *reason) {
    self->reason = reason;
    metric_set(self->metrics, REDIS_METRIC_UP, self->is_ready);
    metric_set(self->metrics, REDIS_METRIC_PUBSUB_UP, pubsub_is_up(self));
    self->options.events->on_state(self->options.context, self->is_ready, pubsub_is_up(self), reason);
}

/* ---- answers of the next turn ---- */

struct redis_answer {
    struct list_link link;
    void (*answer)(void *request, enum engine_outcome outcome);
    void *request;
    enum engine_outcome outcome;
    struct redis_item *live; /* told live before the answer, or NULL */
};

static void tell_live(struct engine_redis *self, struct redis_item *item) {
    const struct epoch none = {{0}};
    metric_count(self->metrics, REDIS_METRIC_LIVE_ONLY);
    self->options.events->on_publication(self->options.context, redis_channel_name(item->channel), &none, 0,
                                         item->publication);
    struct engine_append *request = item->request;
    item->request = NULL;
    redis_item_destroy(&item, self->channels);
    if (request != NULL) {
        request->not_durable = true;
        request->on_done(request, ENGINE_OK);
    }
}

static void drop_live(struct engine_redis *self, struct redis_item *item) {
    struct engine_append *request = item->request;
    item->request = NULL;
    redis_item_destroy(&item, self->channels);
    if (request != NULL) {
        request->on_done(request, ENGINE_CANCELLED);
    }
}

static void answer_all(struct engine_redis *self) {
    struct list_link answers;
    list_init(&answers);
    list_splice_back(&answers, &self->done); /* what is added meanwhile waits for the next turn */
    while (!list_is_empty(&answers)) {
        struct redis_answer *answer = list_entry(list_pop_front(&answers), struct redis_answer, link);
        if (answer->live != NULL) {
            (self->is_closing ? drop_live : tell_live)(self, answer->live);
        } else {
            answer->answer(answer->request, self->is_closing ? ENGINE_CANCELLED : answer->outcome);
        }
        memory_free(answer);
    }
}

static void on_idle(uv_idle_t *idle) {
    struct engine_redis *self = idle->data;
    answer_all(self);
    if (list_is_empty(&self->done)) {
        uv_idle_stop(idle);
    }
}

static struct redis_answer *new_answer(struct engine_redis *self) {
    struct redis_answer *answer = memory_alloc_zero(sizeof *answer);
    list_init(&answer->link);
    list_push_back(&self->done, &answer->link);
    if (!self->is_closing) {
        uv_idle_start(&self->idle, on_idle);
    }
    return answer;
}

void engine_redis_answer_later(struct engine_redis *self, void (*answer)(void *request, enum engine_outcome outcome),
                               void *request, enum engine_outcome outcome) {
    struct redis_answer *later = new_answer(self);
    later->answer = answer;
    later->request = request;
    later->outcome = outcome;
}

void engine_redis_pass_live(struct engine_redis *self, struct redis_item *item) {
    new_answer(self)->live = item;
}

bool engine_redis_passes_live(const struct engine_redis *self, const struct redis_item *item) {
    return !self->is_ready && clock_monotonic_ms() - self->away_since_ms >= REDIS_FALLBACK_MS &&
           (item->kind == REDIS_PLAIN ||
            (item->kind == REDIS_POSITIONED && item->options->on_engine_down == ENGINE_DOWN_MEMORY));
}

/* ---- appends ---- */

static void answer_append(void *request, enum engine_outcome outcome) {
    struct engine_append *append = request;
    append->on_done(append, outcome);
}

static payload_t *encode_publication(struct engine_redis *self, const struct engine_append *request,
                                     uint8_t **ret_bytes) {
    bool is_binary = request->options->publication_data_format == PUBLICATION_BINARY;
    const struct wire_publication publication = {.time_ms = clock_wall_ms(),
                                                 .flags = is_binary ? WIRE_PUBLICATION_BINARY : 0,
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
    return item;
}

static void append(engine_t *base, struct engine_append *request) {
    struct engine_redis *self = engine_redis_of(base);
    request->position = (struct position){.offset = 0};
    request->duplicate = false;
    request->not_durable = false;
    if (self->is_closing || queue_is_full(self)) {
        metric_count(self->metrics, REDIS_METRIC_REFUSED);
        engine_redis_answer_later(self, answer_append, request, self->is_closing ? ENGINE_CANCELLED : ENGINE_TEMPORARY);
        return;
    }
    uint8_t *bytes = NULL;
    payload_t *publication = encode_publication(self, request, &bytes);
    if (publication == NULL) {
        engine_redis_answer_later(self, answer_append, request, ENGINE_TOO_LARGE);
        return;
    }
    struct redis_item *item = append_item(self, request, publication, bytes);
    if (engine_redis_passes_live(self, item)) {
        engine_redis_pass_live(self, item);
        return;
    }
    struct redis_partition *partition = engine_redis_partition(self, item->channel->partition);
    redis_partition_want(partition);
    redis_partition_push(partition, item);
}

/* ---- presence ---- */

static void push_presence(struct engine_redis *self, struct span channel, enum redis_presence_action action,
                          struct span client, struct span value) {
    struct redis_item *item = item_new(self, channel, REDIS_PRESENCE, clock_monotonic_ms() + PRESENCE_WAIT_MS);
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
    redis_partition_push(partition, item);
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

static void presence_clear(engine_t *base, struct span channel, struct span client) {
    struct engine_redis *self = engine_redis_of(base);
    if (!self->is_closing && client.size <= UINT8_MAX) {
        push_presence(self, channel, REDIS_PRESENCE_CLEAR, client, SPAN_EMPTY);
    }
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

/* ---- the end of a turn ---- */

static void flush(engine_t *base) {
    struct engine_redis *self = engine_redis_of(base);
    if (self->is_closing) {
        return;
    }
    list_for_each_safe (link, &self->busy) {
        redis_partition_pump(list_entry(link, struct redis_partition, busy_link));
    }
    self->replid_asked = false;
    redis_link_flush(self->command);
    if (self->pubsub != NULL) {
        redis_pubsub_flush(self->pubsub);
    }
}

/* ---- the command link ---- */

static void on_replid(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct engine_redis *self = context;
    self->replid[0] = '\0';
    static const char mark[] = "master_replid:";
    struct span text = reply == NULL ? SPAN_EMPTY : redis_reply_string(reply);
    const uint8_t *at = text.size == 0 ? NULL : memmem(text.data, text.size, mark, sizeof mark - 1);
    if (at != NULL && text.size - (size_t) (at - text.data) >= sizeof mark - 1 + sizeof self->replid - 1) {
        memcpy(self->replid, at + sizeof mark - 1, sizeof self->replid - 1);
    }
}

void engine_redis_ask_replid(struct engine_redis *self) {
    if (self->replid_asked) {
        return;
    }
    self->replid_asked = true;
    redis_request_texts(redis_link_out(self->command), 2, (const char *const[]){"INFO", "replication"});
    redis_link_sent(self->command, on_replid, NULL);
}

static void make_pubsub(struct engine_redis *self);

static void ready(struct engine_redis *self) {
    self->is_ready = true;
    make_pubsub(self);
    tell_state(self, pubsub_is_up(self) ? "connected" : "pub/sub is being connected");
    step_all(self, PARTITION_COMMAND_UP);
    redis_leases_on_ready(self->leases);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        redis_partition_mark_busy(&self->partitions[i]);
    }
}

static void exam_over(struct engine_redis *self, const char *unfit) {
    if (unfit != NULL && self->unfit == NULL) {
        self->unfit = unfit;
    }
    if (--self->n_exams > 0) {
        return;
    }
    if (self->unfit != NULL) {
        redis_link_drop(self->command, self->unfit);
        return;
    }
    ready(self);
}

static const char *unfit_of(const struct redis_reply *reply) {
    if (reply->type != REDIS_ERROR) {
        return NULL;
    }
    if (span_starts_with(reply->text, SPAN_LITERAL("NOAUTH"))) {
        return "Redis asks for a password";
    }
    if (span_starts_with(reply->text, SPAN_LITERAL("LOADING"))) {
        return "Redis is loading its data";
    }
    return redis_error_classify(reply->text) == REDIS_ERROR_UNFIT ? "this server cannot take writes now" : NULL;
}

static void on_role(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    if (reply == NULL) {
        return;
    }
    const char *unfit = unfit_of(reply);
    if (unfit == NULL && reply->type == REDIS_ARRAY && reply->n > 0 &&
        !redis_reply_is_text(&reply->elements[0], "master")) {
        unfit = "this Redis is a replica; name the primary";
    }
    exam_over(context, unfit);
}

static void on_sharded(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct engine_redis *self = context;
    if (reply == NULL) {
        return;
    }
    self->sharded = reply->type == REDIS_ARRAY && reply->n == 1 && reply->elements[0].type == REDIS_ARRAY;
    exam_over(self, unfit_of(reply));
}

static void on_partitions_set(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    if (reply != NULL) {
        exam_over(context, unfit_of(reply));
    }
}

static void on_partitions(void *context, void *request, const struct redis_reply *reply) {
    (void) request;
    struct engine_redis *self = context;
    if (reply == NULL) {
        return;
    }
    uint64_t stored = 0;
    bool is_other = span_parse_u64(redis_reply_string(reply), &stored) && stored != self->options.n_partitions;
    if (is_other) {
        log_error("redis_partitions_differ", log_text("prefix", self->prefix), log_u64("stored", stored),
                  log_u64("configured", self->options.n_partitions),
                  log_text("hint", "set broker.partitions to the stored number, or choose another redis.prefix"));
    }
    exam_over(self,
              is_other ? "the data in Redis has another number of partitions than broker.partitions" : unfit_of(reply));
}

static void examine(struct engine_redis *self) {
    char partitions[16];
    char key[REDIS_PREFIX_MAX + 16];
    snprintf(partitions, sizeof partitions, "%u", self->options.n_partitions);
    snprintf(key, sizeof key, "%s:partitions", self->prefix);
    struct buffer *out = redis_link_out(self->command);
    self->unfit = NULL;
    self->n_exams = 4;
    redis_request_texts(out, 1, (const char *const[]){"ROLE"});
    redis_link_sent(self->command, on_role, NULL);
    redis_request_texts(out, 3, (const char *const[]){"COMMAND", "INFO", "SSUBSCRIBE"});
    redis_link_sent(self->command, on_sharded, NULL);
    redis_request_texts(out, 4, (const char *const[]){"SET", key, partitions, "NX"});
    redis_link_sent(self->command, on_partitions_set, NULL);
    redis_request_texts(out, 2, (const char *const[]){"GET", key});
    redis_link_sent(self->command, on_partitions, NULL);
    redis_link_flush(self->command);
}

static void on_command_up(void *context) {
    struct engine_redis *self = context;
    self->link_number++;
    examine(self);
}

static void on_command_down(void *context, const char *reason) {
    struct engine_redis *self = context;
    if (self->is_closing) {
        return;
    }
    metric_count(self->metrics, REDIS_METRIC_RECONNECTS);
    self->replid_asked = false;
    bool was_ready = self->is_ready;
    self->is_ready = false;
    if (was_ready || self->away_since_ms == 0) {
        self->away_since_ms = clock_monotonic_ms();
    }
    if (was_ready) {
        step_all(self, PARTITION_COMMAND_DOWN);
    }
    if (was_ready || self->reason != reason) {
        log_warning("redis_link_down", log_u64("shard", self->options.shard), log_text("reason", reason));
        tell_state(self, reason);
    }
}

static void no_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static const struct redis_link_events command_events = {on_command_up, on_command_down, no_push};

/* ---- the pub/sub link ---- */

static void on_pubsub_up(void *context) {
    struct engine_redis *self = context;
    step_all(self, PARTITION_PUBSUB_UP);
    tell_state(self, self->is_ready ? "connected" : self->reason);
}

static void on_pubsub_down(void *context, const char *reason) {
    struct engine_redis *self = context;
    metric_count(self->metrics, REDIS_METRIC_RECONNECTS);
    step_all(self, PARTITION_PUBSUB_DOWN);
    if (self->is_ready) {
        tell_state(self, reason);
    }
}

static void on_topic_confirmed(void *context, uint32_t topic) {
    redis_partition_step(engine_redis_partition(context, topic), PARTITION_TOPIC_CONFIRMED);
}

static void on_topic_message(void *context, uint32_t topic, struct span message) {
    redis_partition_on_message(engine_redis_partition(context, topic), message);
}

static void ignore_reply(void *context, void *request, const struct redis_reply *reply) {
    (void) context;
    (void) request;
    (void) reply;
}

static bool send_probe(void *context, struct span topic) {
    struct engine_redis *self = context;
    if (!self->is_ready || !redis_link_is_up(self->command)) {
        return false;
    }
    struct buffer *out = redis_link_out(self->command);
    redis_request_begin(out, 3);
    redis_request_text(out, self->sharded ? "SPUBLISH" : "PUBLISH");
    redis_request_bytes(out, topic);
    redis_request_text(out, "?");
    redis_link_sent(self->command, ignore_reply, NULL);
    return true;
}

/* prefix:{tag} → the partition that owns the tag's slot. */
static uint32_t find_topic(void *context, struct span name) {
    const struct engine_redis *self = context;
    size_t prefix = strlen(self->prefix) + 2;
    if (name.size <= prefix + 1 || name.size > prefix + 1 + PARTITION_TAG_MAX) {
        return UINT32_MAX;
    }
    uint32_t slot = partition_redis_slot(span_of(name.data + prefix, name.size - prefix - 1));
    uint32_t number = slot * (self->options.n_partitions / 64) / (REDIS_SLOTS / 64);
    return number >= self->first_partition && number - self->first_partition < self->n_partitions ? number : UINT32_MAX;
}

static const struct redis_pubsub_events pubsub_events = {on_pubsub_up,     on_pubsub_down, on_topic_confirmed,
                                                         on_topic_message, send_probe,     find_topic};

static void make_pubsub(struct engine_redis *self) {
    if (self->pubsub != NULL) {
        redis_pubsub_set_sharded(self->pubsub, self->sharded);
        return;
    }
    char probe[REDIS_PREFIX_MAX + REDIS_BOOT_ID_LENGTH + 16];
    snprintf(probe, sizeof probe, "%s:probe:%s", self->prefix, self->boot_id);
    const struct redis_pubsub_options options = {.link = self->link_options,
                                                 .sharded = self->sharded,
                                                 .n_topics = self->options.n_partitions,
                                                 .probe_topic = probe,
                                                 .probe_ms = PROBE_MS,
                                                 .events = &pubsub_events,
                                                 .context = self};
    self->pubsub = redis_pubsub_new(&options);
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        struct redis_partition *partition = &self->partitions[i];
        if (partition->state.phase != PARTITION_CLOSED) {
            redis_pubsub_subscribe(self->pubsub, partition->number, span_of_text(partition->topic));
        }
    }
}

/* ---- time ---- */

static void on_hole_timer(uv_timer_t *timer) {
    struct engine_redis *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    list_for_each_safe (link, &self->holes) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, hole_link);
        if (partition->hole_applied != partition->order.applied) {
            partition->hole_applied = partition->order.applied;
            partition->hole_since_ms = now_ms;
        } else if (now_ms - partition->hole_since_ms >= REDIS_HOLE_MS) {
            list_remove(link);
            redis_partition_heal(partition);
            break; /* telling may change the list: the next round goes on */
        }
    }
    if (!list_is_empty(&self->holes)) {
        uv_timer_start(timer, on_hole_timer, REDIS_HOLE_MS / 4, 0);
    }
}

void engine_redis_note_hole(struct redis_partition *partition) {
    struct engine_redis *self = partition->engine;
    bool has_hole = batch_order_has_hole(&partition->order);
    if (!has_hole) {
        list_remove(&partition->hole_link);
    } else if (!list_is_linked(&partition->hole_link)) {
        partition->hole_since_ms = clock_monotonic_ms();
        partition->hole_applied = partition->order.applied;
        list_push_back(&self->holes, &partition->hole_link);
        if (!uv_is_active((uv_handle_t *) &self->hole_timer)) {
            uv_timer_start(&self->hole_timer, on_hole_timer, REDIS_HOLE_MS, 0);
        }
    }
}

static void tick_partition(struct engine_redis *self, struct redis_partition *partition, uint64_t now_ms) {
    redis_partition_expire(partition, now_ms);
    bool is_second = self->n_tick % REDIS_TICKS_SECOND == 0;
    bool is_deaf_tick = partition->state.phase == PARTITION_DEAF && self->n_tick % REDIS_TICKS_DEAF == 0;
    if (is_second && redis_partition_is_idle(partition, now_ms)) {
        redis_partition_step(partition, PARTITION_IDLE);
    } else if ((is_second || is_deaf_tick) && self->is_ready && redis_link_is_up(self->command)) {
        redis_partition_step(partition, PARTITION_TICK);
    }
}

static void on_tick(uv_timer_t *timer) {
    struct engine_redis *self = timer->data;
    uint64_t now_ms = clock_monotonic_ms();
    if (now_ms - self->last_tick_ms > REDIS_STALL_MS && self->is_ready) {
        log_warning("redis_engine_stalled", log_u64("ms", now_ms - self->last_tick_ms));
        redis_link_drop(self->command, "this process stood still");
    }
    self->last_tick_ms = now_ms;
    self->n_tick++;
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        tick_partition(self, &self->partitions[i], now_ms);
    }
    if (self->n_tick % REDIS_TICKS_SECOND == 0) {
        metric_set(self->metrics, REDIS_METRIC_QUEUED, (int64_t) self->queued_items);
        if (self->is_ready) {
            redis_leases_read(self->leases);
        }
    }
}

/* ---- close ---- */

static void finish_close(struct engine_redis *self) {
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        redis_partition_finish(&self->partitions[i]);
    }
    answer_all(self);
    void (*on_closed)(void *) = self->on_closed;
    void *context = self->on_closed_context;
    redis_leases_destroy(&self->leases);
    redis_channels_destroy(&self->channels);
    redis_scripts_destroy(&self->scripts);
    metric_values_destroy(&self->metrics);
    buffer_finish(&self->scratch);
    memory_free(self->partitions);
    memory_free(self);
    on_closed(context);
}

static void part_closed(struct engine_redis *self) {
    if (--self->n_closing == 0) {
        finish_close(self);
    }
}

static void on_part_closed(void *context) {
    part_closed(context);
}

static void on_handle_closed(uv_handle_t *handle) {
    part_closed(handle->data);
}

static void close_engine(engine_t *base, void (*on_closed)(void *context), void *context) {
    struct engine_redis *self = engine_redis_of(base);
    check(!self->is_closing, "closed twice");
    self->is_closing = true;
    self->on_closed = on_closed;
    self->on_closed_context = context;
    self->n_closing = self->pubsub == NULL ? 4 : 5;
    uv_close((uv_handle_t *) &self->idle, on_handle_closed);
    uv_close((uv_handle_t *) &self->tick, on_handle_closed);
    uv_close((uv_handle_t *) &self->hole_timer, on_handle_closed);
    redis_link_close(self->command, on_part_closed, self);
    if (self->pubsub != NULL) {
        redis_pubsub_close(self->pubsub, on_part_closed, self);
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
    .flush = flush,
    .is_connected = is_connected,
    .mode = mode,
};

static bool refuse(char *ret_error, size_t error_size, const char *message) {
    snprintf(ret_error, error_size, "%s", message);
    return false;
}

static bool text_is_set(const char *text) {
    return text != NULL && text[0] != '\0';
}

static bool read_url(const struct broker_config *config, struct redis_url *ret_url, char *ret_error,
                     size_t error_size) {
    if (!redis_url_parse(span_of_text(config->redis_url), ret_url, ret_error, error_size)) {
        return false;
    }
    if (ret_url->kind != REDIS_URL_STANDALONE || ret_url->tls) {
        return refuse(ret_error, error_size, "redis.url: only redis:// and unix:// are in this release");
    }
    if (text_is_set(config->redis_user)) {
        snprintf(ret_url->user, sizeof ret_url->user, "%s", config->redis_user);
    }
    if (text_is_set(config->redis_password)) {
        if (strlen(config->redis_password) > REDIS_URL_PASSWORD_MAX) {
            return refuse(ret_error, error_size, "redis.password: at most 511 bytes");
        }
        snprintf(ret_url->password, sizeof ret_url->password, "%s", config->redis_password);
    }
    return true;
}

static bool prefix_is_valid(const char *prefix) {
    size_t size = strlen(prefix);
    return size > 0 && size <= REDIS_PREFIX_MAX &&
           strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-") == size;
}

static bool settings_are_valid(const struct engine_options *options, const struct broker_config *config,
                               char *ret_error, size_t error_size) {
    if (text_is_set(config->redis_prefix) && !prefix_is_valid(config->redis_prefix)) {
        return refuse(ret_error, error_size, "redis.prefix: 1 to 32 letters, digits and :_.-");
    }
    if (!partition_count_is_valid(options->n_partitions)) {
        return refuse(ret_error, error_size, "broker.partitions: a power of two from 64 to 4096");
    }
    const struct namespace_options *namespaces = config->namespaces.items;
    for (size_t i = 0; i < config->namespaces.n; i++) {
        if (namespaces[i].durability == DURABILITY_SAFE) {
            snprintf(ret_error, error_size,
                     "namespace \"%s\": durability safe is not in this release; standalone Redis is fast",
                     namespaces[i].name);
            return false;
        }
    }
    return true;
}

static size_t setting(int64_t value, size_t fallback) {
    return value > 0 ? (size_t) value : fallback;
}

static void take_settings(struct engine_redis *self, const struct broker_config *config) {
    size_t items = setting(config->redis_batch_publications, 256);
    self->batch_limits.items = items > REDIS_BATCH_ITEMS_MAX ? REDIS_BATCH_ITEMS_MAX : items;
    self->batch_limits.bytes = BATCH_BYTES;
    self->queue_items_max = setting(config->inbox_messages, 65536);
    self->queue_bytes_max = setting(config->inbox_bytes, (size_t) 64 << 20);
    self->lease_ms = setting(config->lease_ms, 4000);
    self->topic_idle_ms = setting(config->redis_topic_idle_ms, 60000);
    self->key_ttl_ms = (uint32_t) setting(config->key_ttl_ms, 300000);
    self->loads_max = (uint32_t) setting(config->redis_loads, 64);
    self->read_bytes_max = READ_BYTES;
    snprintf(self->prefix, sizeof self->prefix, "%s", text_is_set(config->redis_prefix) ? config->redis_prefix : "cb");
    self->link_options = (struct redis_link_options){
        .loop = self->options.loop,
        .url = self->url,
        .client_name = "callboard-broker",
        .commands_max = setting(config->redis_pipeline_commands, 1024),
        .bytes_max = setting(config->redis_pipeline_bytes, (size_t) 8 << 20),
        .reply_limits = {.bytes = setting(config->redis_reply_bytes, (size_t) 64 << 20), .elements = REPLY_ELEMENTS},
        .command_timeout_ms = (uint32_t) setting(config->redis_command_timeout_ms, 2000),
    };
}

/* The partitions of this shard: partition_shard is contiguous. */
static void make_partitions(struct engine_redis *self, const struct broker_config *config) {
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
        batch_order_init(&self->partitions[i].order, setting(config->redis_held_batches, 1024),
                         setting(config->redis_held_bytes, (size_t) 4 << 20));
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
    uv_timer_start(&self->tick, on_tick, REDIS_TICK_MS, REDIS_TICK_MS);
    struct redis_link_options link = self->link_options;
    link.events = &command_events;
    link.context = self;
    self->command = redis_link_new(&link);
}

engine_t *engine_redis_new(const struct engine_options *options, const struct broker_config *config, char *ret_error,
                           size_t error_size) {
    struct redis_url url;
    if (!read_url(config, &url, ret_error, error_size) || !settings_are_valid(options, config, ret_error, error_size)) {
        return NULL;
    }
    struct engine_redis *self = memory_alloc_zero(sizeof *self);
    self->base.methods = &methods;
    self->options = *options;
    self->url = url;
    self->reason = "Redis is being connected";
    take_settings(self, config);
    memcpy(self->boot_id, "b:", 2);
    random_base62(self->boot_id + 2, REDIS_BOOT_ID_LENGTH - 2);
    list_init(&self->busy);
    list_init(&self->holes);
    list_init(&self->done);
    buffer_init(&self->scratch, WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE - sizeof(uint32_t));
    self->scripts = redis_scripts_new();
    self->channels = redis_channels_new(options->n_partitions);
    self->metrics = metric_values_new(options->metrics, metric_rows, REDIS_METRICS);
    self->leases = redis_leases_new(self);
    make_partitions(self, config);
    make_handles(self);
    char where[REDIS_URL_HOST_MAX + 32];
    redis_url_describe(&self->url, where, sizeof where);
    log_info("redis_engine_started", log_u64("shard", options->shard), log_text("redis", where),
             log_text("prefix", self->prefix));
    return &self->base;
}
