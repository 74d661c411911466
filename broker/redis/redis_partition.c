/* One partition of this shard: partition_state says what to do, this does it.
 *
 *   queue ─▶ batch (one in flight) ─▶ append ─▶ results ─┐        (redis_appends.c)
 *                                                        ├─▶ batch_order ─▶ redis_tell ─▶ (gate)
 *                                topic ─▶ message ───────┘
 *
 * Failures. The link cut: suspect, hello first on the next one; what it tells of our last batch decides what is sent
 * again. A message that is missing for 20 ms: the tops are compared and the order goes on without it. Another
 * generation: what was applied of the old one is not told any more, and each held channel is loaded. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/redis/link/redis_request.h"

#include <stdio.h>

/* A copy of a topic's message that came ahead of its turn. */
struct held_message {
    struct redis_ordered ordered;
    size_t size;
    uint8_t bytes[];
};

static struct span topic_of(const struct redis_partition *self) {
    return span_of_text(self->topic);
}

static void hash_key(const struct redis_partition *self, struct buffer *out) {
    const struct span parts[] = {topic_of(self), SPAN_LITERAL(":p")};
    redis_request_parts(out, parts, 2);
}

static struct redis_batch *batch_of(struct redis_ordered *ordered) {
    return list_entry(ordered, struct redis_batch, ordered);
}

static struct redis_ordered *ordered_of(struct batch_entry *entry) {
    return list_entry(entry, struct redis_ordered, entry);
}

/* ---- applying in order ---- */

static void apply_message(struct redis_partition *self, struct span bytes) {
    struct redis_topic_message message;
    if (!redis_topic_parse(bytes, &message)) {
        metric_count(self->engine->metrics, REDIS_METRIC_MALFORMED);
    } else if (redis_tell_message(self, &message, REDIS_TELL_AT_ONCE)) {
        redis_gate_hold_message(self, bytes);
    }
}

static void apply_ordered(struct redis_partition *self, struct redis_ordered *ordered) {
    if (ordered->is_own_batch) {
        struct redis_batch *batch = batch_of(ordered);
        redis_tell_batch(self, &batch, !ordered->entry.is_old);
        return;
    }
    struct held_message *message = list_entry(ordered, struct held_message, ordered);
    if (!ordered->entry.is_old) {
        apply_message(self, span_of(message->bytes, message->size));
    }
    memory_free(message);
}

/* Batches that wrote nothing told: their answers only wait until what they saw was told. */
static void answer_waiting(struct redis_partition *self, bool all) {
    list_for_each_safe (link, &self->waiting) {
        struct redis_batch *batch = list_entry(link, struct redis_batch, link);
        if (all || batch->ordered.entry.seq <= self->order.applied) {
            list_remove(link);
            redis_tell_batch(self, &batch, true);
        }
    }
}

void redis_partition_drain(struct redis_partition *self) {
    struct batch_entry *entry;
    while ((entry = batch_order_take_ready(&self->order)) != NULL) {
        apply_ordered(self, ordered_of(entry));
    }
    answer_waiting(self, false);
    engine_redis_note_hole(self);
}

static void drop_stale(struct redis_partition *self) {
    struct batch_entry *entry;
    while ((entry = batch_order_take_stale(&self->order)) != NULL) {
        apply_ordered(self, ordered_of(entry));
    }
}

void redis_partition_heal(struct redis_partition *self) {
    metric_count(self->engine->metrics, REDIS_METRIC_HOLES);
    redis_tops_compare(self);
    if (!self->order.running) {
        return; /* asking found the link cut: joining again reads seq and compares every held channel */
    }
    batch_order_skip(&self->order);
    engine_doubt_presence(self->engine->options.events, self->engine->options.context, self->number, false);
    redis_partition_drain(self);
}

/* ---- the state machine's actions ---- */

static void on_hello_reply(void *context, void *request, const struct redis_reply *reply);
static void on_check_reply(void *context, void *request, const struct redis_reply *reply);

static void send_hello(struct redis_partition *self, bool with_text) {
    struct engine_redis *engine = self->engine;
    char gen[PARTITION_GEN_LENGTH + 1];
    random_base62(gen, PARTITION_GEN_LENGTH);
    const struct partition_gen none = {{0}};
    struct buffer head = BUFFER_EMPTY;
    buffer_append(&head, engine->boot_id, REDIS_BOOT_ID_LENGTH);
    self->link_number = ++engine->hello_number;
    buffer_append_u32(&head, self->link_number);
    buffer_append_u32(&head, (uint32_t) (clock_wall_ms() / 1000));
    buffer_append(&head, gen, PARTITION_GEN_LENGTH);
    buffer_append(&head, self->state.known ? self->state.gen.text : none.text, PARTITION_GEN_LENGTH);
    buffer_append_u64(&head, self->state.known ? self->order.applied : 0);
    buffer_append_u8(&head, self->node->sharded);
    buffer_append_u8(&head, self->was_cut);
    struct buffer *out = redis_link_out(self->node->command);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_HELLO, with_text, 2, 1);
    hash_key(self, out);
    redis_request_bytes(out, topic_of(self));
    redis_request_bytes(out, buffer_span(&head));
    redis_link_sent(self->node->command, on_hello_reply, self);
    self->n_owed++;
    buffer_finish(&head);
}

static void send_check(struct redis_partition *self) {
    redis_node_ask_replid(self->node);
    struct buffer *out = redis_link_out(self->node->command);
    redis_request_begin(out, 4);
    redis_request_text(out, "HMGET");
    hash_key(self, out);
    redis_request_text(out, "reign");
    redis_request_text(out, "s");
    redis_link_sent(self->node->command, on_check_reply, self);
    self->n_owed++;
}

static void change_topic(struct redis_partition *self, unsigned actions) {
    redis_pubsub_t *pubsub = self->node == NULL ? NULL : self->node->pubsub;
    if (pubsub != NULL && (actions & PARTITION_DO_SUBSCRIBE) != 0) {
        redis_pubsub_subscribe(pubsub, self->number, topic_of(self));
    }
    if (pubsub != NULL && (actions & PARTITION_DO_UNSUBSCRIBE) != 0) {
        redis_pubsub_unsubscribe(pubsub, self->number);
    }
}

static void adopt(struct redis_partition *self, uint64_t seq) {
    batch_order_adopt(&self->order, &self->state.gen, seq);
    answer_waiting(self, true);
}

static void act(struct redis_partition *self, unsigned actions, const struct partition_input *input) {
    struct engine_redis *engine = self->engine;
    change_topic(self, actions);
    bool can_ask = redis_node_is_up(self->node); /* else its end is on the way, and forgets what was asked */
    if ((actions & PARTITION_DO_HELLO) != 0 && can_ask) {
        send_hello(self, false);
    }
    if ((actions & PARTITION_DO_CHECK) != 0 && can_ask) {
        send_check(self);
    }
    if ((actions & PARTITION_DO_ADOPT) != 0) {
        adopt(self, input->seq);
    }
    if ((actions & PARTITION_DO_EXPECT) != 0) {
        batch_order_expect(&self->order, input->seq);
        engine_redis_note_hole(self);
    }
    if ((actions & PARTITION_DO_DOUBT) != 0) {
        redis_gate_note_doubt(self);
        engine->options.events->on_partition_doubt(engine->options.context, self->number);
    }
    if ((actions & PARTITION_DO_DROP) != 0 && self->node != NULL) {
        redis_link_drop(self->node->command, "this server cannot take writes now");
    }
}

static void begin_to_go(struct redis_partition *self) {
    batch_order_run(&self->order, true);
    drop_stale(self);
    redis_partition_drain(self);
    redis_partition_mark_busy(self);
    if (self->lost_presence) {
        self->lost_presence = false;
        engine_doubt_presence(self->engine->options.events, self->engine->options.context, self->number, true);
    }
}

static void drop_held(struct redis_partition *self) {
    struct batch_entry *entry;
    while ((entry = batch_order_take_any(&self->order)) != NULL) {
        entry->is_old = true;
        apply_ordered(self, ordered_of(entry));
    }
}

/* What hello told beside gen and seq. */
struct introduction {
    uint32_t last_number; /* of our last batch that happened */
    char reign[REDIS_REIGN_LENGTH + 1];
};

static bool is_later(const struct redis_batch *batch, const struct redis_batch *latest, uint32_t last_number) {
    return redis_batch_is_safe(batch) && batch->number > (latest == NULL ? last_number : latest->number);
}

/* The latest own safe batch above that number whose results are there and wait for their turn; NULL: none. */
static struct redis_batch *latest_waiting(struct redis_partition *self, uint32_t last_number) {
    struct redis_batch *latest = NULL;
    list_for_each (link, &self->waiting) {
        struct redis_batch *batch = list_entry(link, struct redis_batch, link);
        latest = is_later(batch, latest, last_number) ? batch : latest;
    }
    list_for_each (link, &self->order.held) {
        struct redis_ordered *ordered = ordered_of(list_entry(link, struct batch_entry, link));
        if (ordered->is_own_batch) {
            latest = is_later(batch_of(ordered), latest, last_number) ? batch_of(ordered) : latest;
        }
    }
    return latest;
}

/* What has a result of another reign and was not told yet: confirmed in this one it would be acked, and is not there.
 * Batches that this reign does not know are sent again, the latest first to the front of the queue. */
static void take_back_waiting(struct redis_partition *self, uint32_t last_number) {
    struct redis_batch *batch = NULL;
    while (redis_gate_is_needed(self->engine) && (batch = latest_waiting(self, last_number)) != NULL) {
        if (list_is_linked(&batch->link)) {
            list_remove(&batch->link);
        } else {
            batch_order_let_go(&self->order, &batch->ordered.entry);
        }
        redis_queue_take_back_unsure(self, &batch);
    }
}

/* Everything sent before this hello has happened by now, or never will. */
static void take_introduction(struct redis_partition *self, const struct introduction *introduction, bool is_other) {
    memcpy(self->reign, introduction->reign, sizeof self->reign);
    self->was_cut = false;
    if (self->batch != NULL && !self->batch->is_sent && self->batch->number > introduction->last_number) {
        redis_queue_take_back_unsure(self, &self->batch);
    }
    if (is_other) {
        take_back_waiting(self, introduction->last_number);
        redis_gate_reopen(self, introduction->last_number);
        redis_queue_drop_maybe_there(self, introduction->last_number);
    }
}

static void feed(struct redis_partition *self, struct partition_input input, const struct introduction *introduction) {
    enum partition_phase before = self->state.phase;
    bool went = partition_state_goes(&self->state);
    input.applied = self->order.applied;
    self->was_cut = self->was_cut || input.event == PARTITION_COMMAND_DOWN;
    if (introduction != NULL) {
        bool is_same = self->state.known && partition_gen_equal(&self->state.gen, &input.gen);
        take_introduction(self, introduction, !is_same);
    }
    unsigned actions = partition_state_step(&self->state, &input);
    bool goes = partition_state_goes(&self->state);
    if (went && !goes) {
        batch_order_run(&self->order, false);
    }
    act(self, actions, &input);
    if (self->state.phase == PARTITION_REOPENING && before != PARTITION_REOPENING) {
        metric_count(self->engine->metrics, REDIS_METRIC_OPENINGS);
    }
    if (!went && goes) {
        begin_to_go(self);
    }
    if (self->state.phase == PARTITION_CLOSED) {
        drop_held(self);
    }
}

void redis_partition_step(struct redis_partition *self, enum partition_event event) {
    feed(self, (struct partition_input){.event = event}, NULL);
}

void redis_partition_want(struct redis_partition *self) {
    self->used_ms = clock_monotonic_ms();
    redis_partition_step(self, PARTITION_WANTED);
}

/* ---- answers to hello and check ---- */

/* 'O', opened B, gen c16, seq I8, reign c40, last batch I4 */
static bool parse_hello(struct span bytes, struct partition_input *ret_input, struct introduction *ret_introduction,
                        bool *ret_opened) {
    struct cursor cursor = cursor_of(bytes);
    bool is_ok = cursor_u8(&cursor) == 'O';
    *ret_opened = cursor_u8(&cursor) == 1;
    struct span gen = cursor_bytes(&cursor, PARTITION_GEN_LENGTH);
    ret_input->seq = cursor_u64(&cursor);
    struct span reign = cursor_bytes(&cursor, REDIS_REIGN_LENGTH);
    ret_introduction->last_number = cursor_u32(&cursor);
    if (!is_ok || !cursor_is_done(&cursor)) {
        return false;
    }
    memcpy(ret_input->gen.text, gen.data, PARTITION_GEN_LENGTH);
    memcpy(ret_introduction->reign, reign.data, REDIS_REIGN_LENGTH);
    return true;
}

static void on_hello_error(struct redis_partition *self, struct span text) {
    enum redis_error error = redis_error_classify(text);
    if (redis_routing_take_error(self, error, text)) {
        redis_partition_step(self, PARTITION_HELLO_FAILED);
        return;
    }
    switch (error) {
    case REDIS_ERROR_NO_SCRIPT:
        if (redis_node_is_up(self->node)) {
            send_hello(self, true);
        }
        return;
    case REDIS_ERROR_UNFIT:
        redis_partition_step(self, PARTITION_HELLO_FAILED);
        redis_partition_step(self, PARTITION_UNFIT);
        redis_routing_doubt(self->engine);
        return;
    case REDIS_ERROR_DENIED:
        redis_queue_refuse(self, ENGINE_DENIED);
        break;
    case REDIS_ERROR_CORRUPT:
        redis_queue_refuse(self, ENGINE_CORRUPT);
        break;
    case REDIS_ERROR_REFUSED:
        redis_queue_refuse(self, ENGINE_TEMPORARY);
        break;
    case REDIS_ERROR_AGAIN:
    case REDIS_ERROR_MOVED:
    case REDIS_ERROR_OTHER:
        break;
    }
    log_warning("redis_hello_refused", log_u64("partition", self->number), log_span("error", text));
    redis_partition_step(self, PARTITION_HELLO_FAILED);
}

static void take_hello(struct redis_partition *self, const struct redis_reply *reply) {
    struct partition_input input = {.event = PARTITION_HELLO_DONE};
    struct introduction introduction = {.last_number = 0};
    bool opened = false;
    if (reply->type == REDIS_ERROR) {
        on_hello_error(self, reply->text);
        return;
    }
    if (!parse_hello(redis_reply_string(reply), &input, &introduction, &opened)) {
        redis_partition_step(self, PARTITION_HELLO_FAILED);
        redis_link_drop(self->node->command, "hello was not answered as expected");
        return;
    }
    if (opened) {
        log_debug("redis_partition_opened", log_u64("partition", self->number));
    }
    feed(self, input, &introduction);
}

static void on_hello_reply(void *context, void *request, const struct redis_reply *reply) {
    const struct redis_node *node = context;
    struct redis_partition *self = request;
    if (reply != NULL && !node->engine->is_closing) { /* the link's end is told by COMMAND_DOWN */
        take_hello(self, reply);
    }
    redis_routing_paid(self);
}

static void take_check(struct redis_partition *self, const struct redis_reply *reply) {
    if (reply->type != REDIS_ARRAY || reply->n != 2) {
        if (reply->type == REDIS_ERROR) {
            redis_routing_take_error(self, redis_error_classify(reply->text), reply->text);
        }
        redis_partition_step(self, PARTITION_SEQ_FAILED);
        return;
    }
    struct span reign = redis_reply_string(&reply->elements[0]);
    struct span place = redis_reply_string(&reply->elements[1]);
    struct partition_input input = {.event = PARTITION_SEQ_READ};
    bool is_ours =
        redis_reign_is_own(reign) ? span_equal_text(reign, self->reign) : span_equal_text(reign, self->node->replid);
    if (is_ours && place.size == PARTITION_GEN_LENGTH + sizeof input.seq) {
        struct cursor cursor = cursor_of(place);
        memcpy(input.gen.text, cursor_bytes(&cursor, PARTITION_GEN_LENGTH).data, PARTITION_GEN_LENGTH);
        input.seq = cursor_u64(&cursor);
    }
    feed(self, input, NULL);
}

static void on_check_reply(void *context, void *request, const struct redis_reply *reply) {
    const struct redis_node *node = context;
    struct redis_partition *self = request;
    if (reply != NULL && !node->engine->is_closing) {
        take_check(self, reply);
    }
    redis_routing_paid(self);
}

/* ---- the topic ---- */

static void hold_message(struct redis_partition *self, const struct redis_topic_message *head, struct span bytes) {
    struct held_message *message = memory_alloc(sizeof *message + bytes.size);
    *message = (struct held_message){.size = bytes.size};
    memcpy(message->bytes, bytes.data, bytes.size);
    message->ordered.entry = (struct batch_entry){.gen = head->gen, .seq = head->seq, .bytes = bytes.size};
    list_init(&message->ordered.entry.link);
    enum batch_place place = batch_order_offer(&self->order, &message->ordered.entry);
    check(place == BATCH_HELD || place == BATCH_REFUSED, "a message ahead was placed as %d", place);
    if (place == BATCH_REFUSED) {
        metric_count(self->engine->metrics, REDIS_METRIC_HELD_DROPPED);
        memory_free(message);
    }
    engine_redis_note_hole(self);
}

static void tell_removed(const struct redis_partition *self, struct span bytes) {
    const struct engine_redis *engine = self->engine;
    struct redis_topic_message message;
    if (!redis_topic_parse(bytes, &message)) {
        metric_count(engine->metrics, REDIS_METRIC_MALFORMED);
        return;
    }
    const struct redis_topic_channel *removed = &message.channels[0];
    const struct redis_channel *channel = redis_channels_find(engine->channels, removed->name);
    if (channel != NULL && channel->n_holds > 0 && channel->partition == self->number) {
        struct position top = {removed->place.epoch, removed->place.first};
        engine_tell_removed(engine->options.events, engine->options.context, removed->name, &top);
    }
}

static void tell_freed(const struct redis_partition *self, struct span bytes) {
    const struct engine_redis *engine = self->engine;
    struct redis_topic_message message;
    if (!redis_topic_parse(bytes, &message)) {
        metric_count(engine->metrics, REDIS_METRIC_MALFORMED);
    } else if (partition_of(message.channels[0].name, engine->options.n_partitions) == self->number) {
        engine_tell_lease_freed(engine->options.events, engine->options.context, message.channels[0].name);
    }
}

void redis_partition_on_message(struct redis_partition *self, struct span bytes) {
    struct redis_topic_message head;
    if (!redis_topic_peek(bytes, &head)) {
        metric_count(self->engine->metrics, REDIS_METRIC_MALFORMED);
        return;
    }
    if (head.kind == REDIS_TOPIC_REMOVED) {
        tell_removed(self, bytes);
        return;
    }
    if (head.kind == REDIS_TOPIC_FREED) {
        tell_freed(self, bytes);
        return;
    }
    bool is_ours = partition_gen_equal(&head.gen, &self->order.gen);
    if (!self->order.running || (is_ours && head.seq > self->order.applied + 1)) {
        hold_message(self, &head, bytes);
    } else if (!is_ours) {
        redis_partition_step(self, PARTITION_OTHER_GEN);
        hold_message(self, &head, bytes); /* hello tells whether it is of the new gen */
    } else if (head.seq == self->order.applied + 1) {
        struct batch_entry entry = {.gen = head.gen, .seq = head.seq};
        batch_order_offer(&self->order, &entry);
        apply_message(self, bytes);
        redis_partition_drain(self);
    }
}

/* ---- life ---- */

void redis_partition_init(struct redis_partition *self, struct engine_redis *engine, uint32_t number,
                          const struct partition_tag *tag) {
    self->engine = engine;
    self->number = number;
    self->slot = partition_redis_slot(span_of_text(tag->text));
    self->next_deadline_ms = UINT64_MAX;
    self->away_since_ms = clock_monotonic_ms();
    snprintf(self->topic, sizeof self->topic, "%s:{%s}", engine->prefix, tag->text);
    list_init(&self->held);
    list_init(&self->queue);
    list_init(&self->refused);
    list_init(&self->waiting);
    list_init(&self->reads);
    list_init(&self->services);
    list_init(&self->of_node);
    list_init(&self->gate);
    list_init(&self->gate_link);
    list_init(&self->busy_link);
    list_init(&self->hole_link);
}

bool redis_partition_is_idle(const struct redis_partition *self, uint64_t now_ms) {
    return self->state.phase != PARTITION_CLOSED && list_is_empty(&self->held) && list_is_empty(&self->queue) &&
           list_is_empty(&self->refused) && list_is_empty(&self->reads) && list_is_empty(&self->services) &&
           list_is_empty(&self->waiting) && list_is_empty(&self->gate) && self->batch == NULL &&
           self->order.n_held == 0 && now_ms - self->used_ms >= self->engine->topic_idle_ms;
}

void redis_partition_finish(struct redis_partition *self) {
    if (self->batch != NULL) {
        redis_tell_failure(self, &self->batch, ENGINE_CANCELLED);
    }
    redis_refused_release(self);
    redis_queue_refuse(self, ENGINE_CANCELLED);
    redis_gate_finish(self);
    while (!list_is_empty(&self->waiting)) {
        struct redis_batch *batch = list_entry(self->waiting.next, struct redis_batch, link);
        redis_tell_failure(self, &batch, ENGINE_CANCELLED);
    }
    struct batch_entry *entry;
    while ((entry = batch_order_take_any(&self->order)) != NULL) {
        struct redis_ordered *ordered = ordered_of(entry);
        if (ordered->is_own_batch) {
            struct redis_batch *batch = batch_of(ordered);
            redis_tell_failure(self, &batch, ENGINE_CANCELLED);
        } else {
            memory_free(list_entry(ordered, struct held_message, ordered));
        }
    }
    redis_reads_cancel(self);
}
