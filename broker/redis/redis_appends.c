/* A partition's own batches, out and back: one is in flight, and numbered.
 *
 *   queue ─▶ build ─▶ append (script) ─▶ O: results ─▶ batch_order ─▶ told
 *              ▲                          R, B, READONLY, MOVED…: it did not happen, its items go back to the front
 *              └──────────────────────────┘
 *
 * Failures. The link cut under a batch: it is unsure and kept; the next hello tells the number of our last batch that
 * happened: a later one goes back to the queue, else it is sent again under its number (the script returns the stored
 * results). Past the deadline: ENGINE_TEMPORARY where never sent, else ENGINE_UNKNOWN; a batch that nobody waits for
 * any more is not sent again. */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "base/log.h"

/* ---- batches out ---- */

static void on_append_reply(void *context, void *request, const struct redis_reply *reply);

static void send_batch(struct redis_partition *self) {
    struct engine_redis *engine = self->engine;
    struct redis_node *node = self->node;
    struct redis_batch *batch = self->batch;
    batch->ordered.entry.gen = self->state.gen;
    const struct redis_batch_head head = {.scripts = engine->scripts,
                                          .topic = span_of_text(self->topic),
                                          .boot_id = engine->boot_id,
                                          .reign = self->reign,
                                          .link_number = self->link_number,
                                          .known_seq = self->order.applied,
                                          .time_s = (uint32_t) (clock_wall_ms() / 1000),
                                          .key_ttl_ms = engine->key_ttl_ms,
                                          .sharded = node->sharded};
    redis_batch_encode(batch, &head, redis_link_out(node->command));
    redis_link_sent(node->command, on_append_reply, batch);
    self->n_owed++;
    batch->is_sent = true;
    batch->sent_us = clock_monotonic_us();
    metric_count(engine->metrics, batch->is_unsure ? REDIS_METRIC_RESENT : REDIS_METRIC_BATCHES);
}

static void build_batch(struct redis_partition *self) {
    self->batch = redis_queue_gather(self);
    self->batch->number = ++self->last_number;
    self->batch->partition = self;
    self->used_ms = clock_monotonic_ms();
}

/* Open, not about to move, and not told to wait. */
static bool may_send(const struct redis_partition *self) {
    return partition_state_goes(&self->state) && self->node == self->target && redis_node_is_up(self->node);
}

void redis_partition_pump(struct redis_partition *self) {
    if (!may_send(self)) {
        list_remove(&self->busy_link);
        return;
    }
    if (self->again_ms > clock_monotonic_ms()) {
        return; /* busy until then: the tick's turn comes by */
    }
    bool has_room = redis_link_has_room(self->node->command) && redis_gate_has_room(self);
    if (self->batch == NULL && !list_is_empty(&self->queue) && has_room) {
        build_batch(self);
    }
    if (self->batch != NULL && !self->batch->is_sent) {
        send_batch(self);
    }
    redis_reads_pump(self);
    bool is_blocked = self->batch == NULL && !list_is_empty(&self->queue);
    if (!is_blocked && list_is_empty(&self->reads) && list_is_empty(&self->services)) {
        list_remove(&self->busy_link);
    } else if (!redis_link_has_room(self->node->command)) {
        metric_count(self->engine->metrics, REDIS_METRIC_PIPELINE_WAITS);
    }
}

/* ---- batches back ---- */

static void place_batch(struct redis_partition *self, struct redis_batch *batch) {
    struct batch_entry *entry = &batch->ordered.entry;
    entry->seq = batch->results.seq;
    entry->bytes = batch->bytes;
    if (!batch->results.told) {
        batch_order_expect(&self->order, entry->seq);
        list_push_back(&self->waiting, &batch->link);
        redis_partition_drain(self);
        return;
    }
    switch (batch_order_offer(&self->order, entry)) {
    case BATCH_NEXT:
        redis_tell_batch(self, &batch, true);
        break;
    case BATCH_HELD:
        break;
    case BATCH_REFUSED:
        metric_count(self->engine->metrics, REDIS_METRIC_HELD_DROPPED);
        redis_tell_batch(self, &batch, false);
        break;
    case BATCH_OLD:       /* the topic was quicker, or it is a resend's stored result */
    case BATCH_OTHER_GEN: /* opened anew meanwhile: the loads tell what is in Redis */
        redis_tell_batch(self, &batch, false);
        break;
    }
    redis_partition_drain(self);
}

static void on_batch_done(struct redis_partition *self, struct redis_batch *batch, struct span results) {
    if (!redis_batch_keep_results(batch, results)) {
        log_error("redis_results_malformed", log_u64("partition", self->number));
        redis_tell_failure(self, &batch, ENGINE_UNKNOWN);
        return;
    }
    metric_observe_us(self->engine->metrics, REDIS_METRIC_LATENCY, clock_monotonic_us() - batch->sent_us);
    place_batch(self, batch);
}

/* Nothing was done by this sending. An earlier one may have done it: then the batch is kept for the next try. */
static void on_batch_not_done(struct redis_partition *self, enum partition_event event) {
    if (!self->batch->is_unsure) {
        redis_queue_take_back(self, &self->batch);
    }
    redis_partition_step(self, event);
    redis_partition_mark_busy(self);
}

static void on_batch_error(struct redis_partition *self, struct span text) {
    struct redis_batch *batch = self->batch;
    enum engine_outcome outcome = ENGINE_TEMPORARY;
    enum redis_error error = redis_error_classify(text);
    if (redis_routing_take_error(self, error, text)) {
        if (!batch->is_unsure) {
            redis_queue_take_back(self, &self->batch);
        }
        redis_partition_mark_busy(self);
        return;
    }
    switch (error) {
    case REDIS_ERROR_NO_SCRIPT:
        batch->with_text = true;
        redis_partition_mark_busy(self);
        return;
    case REDIS_ERROR_UNFIT:
        on_batch_not_done(self, PARTITION_UNFIT);
        redis_routing_doubt(self->engine);
        return;
    case REDIS_ERROR_REFUSED:
        redis_refused_keep(self, batch);
        break;
    case REDIS_ERROR_DENIED:
        outcome = ENGINE_DENIED;
        break;
    case REDIS_ERROR_CORRUPT:
        outcome = ENGINE_CORRUPT;
        break;
    case REDIS_ERROR_AGAIN:
    case REDIS_ERROR_MOVED:
    case REDIS_ERROR_OTHER:
        outcome = ENGINE_UNKNOWN;
        break;
    }
    log_warning("redis_append_refused", log_u64("partition", self->number), log_span("error", text));
    self->batch = NULL;
    redis_tell_failure(self, &batch, batch->is_unsure ? ENGINE_UNKNOWN : outcome);
    redis_partition_mark_busy(self);
}

static void take_append(struct redis_partition *self, struct redis_batch *batch, const struct redis_reply *reply) {
    if (reply->type == REDIS_ERROR) {
        on_batch_error(self, reply->text);
        return;
    }
    struct span text = redis_reply_string(reply);
    char code = text.size == 0 ? '\0' : (char) text.data[0];
    if (code == 'O') {
        self->batch = NULL;
        redis_partition_mark_busy(self);
        on_batch_done(self, batch, span_of(text.data + 1, text.size - 1));
    } else if (code == 'R' || code == 'B') {
        on_batch_not_done(self, PARTITION_REFUSED);
    } else {
        /* STALE can only be said to an older hello than ours; anything else is no answer at all. */
        batch->is_unsure = true;
        redis_link_drop(self->node->command, "a batch was not answered as expected");
    }
}

static void on_append_reply(void *context, void *request, const struct redis_reply *reply) {
    const struct redis_node *node = context;
    struct redis_batch *batch = request;
    struct redis_partition *self = batch->partition;
    batch->is_sent = false;
    if (reply == NULL || node->engine->is_closing) {
        batch->is_unsure = true;
    } else {
        take_append(self, batch, reply);
    }
    redis_routing_paid(self);
}
