/* What waits to be sent to a partition: publications and presence changes, in the order in which they came, until a
 * batch takes them, their deadline passes, or Redis is away and they may pass live. Bounded for the whole engine
 * (broker.inbox_messages, broker.inbox_bytes; the bound is looked at where an append comes in). */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "base/memory.h"

void redis_partition_mark_busy(struct redis_partition *self) {
    if (!list_is_linked(&self->busy_link)) {
        list_push_back(&self->engine->busy, &self->busy_link);
    }
}

void redis_queue_note_deadline(struct redis_partition *self, uint64_t deadline_ms) {
    if (deadline_ms < self->next_deadline_ms) {
        self->next_deadline_ms = deadline_ms;
    }
}

/* ---- in and out ---- */

void redis_queue_charge(struct redis_partition *self, const struct redis_item *item) {
    self->engine->queued_items++;
    self->engine->queued_bytes += item->cost;
    redis_queue_note_deadline(self, item->deadline_ms);
}

static void discharge(struct redis_partition *self, const struct redis_item *item) {
    self->engine->queued_items--;
    self->engine->queued_bytes -= item->cost;
}

void redis_queue_push(struct redis_partition *self, struct redis_item *item) {
    redis_queue_charge(self, item);
    list_push_back(&self->queue, &item->link);
    redis_partition_mark_busy(self);
}

/* Told already, or answered: it is not published again. */
static bool is_over(const struct redis_item *item) {
    return item->is_told || (item->kind != REDIS_PRESENCE && item->request == NULL);
}

void redis_queue_take_back_unsure(struct redis_partition *self, struct redis_batch **batch_p) {
    struct redis_batch *batch = *batch_p;
    for (uint32_t i = 0; i < batch->n_items; i++) {
        if (batch->items[i]->maybe_number == 0) {
            batch->items[i]->maybe_number = batch->number;
        }
    }
    redis_queue_take_back(self, batch_p);
}

void redis_queue_take_back(struct redis_partition *self, struct redis_batch **batch_p) {
    struct redis_batch *batch = *batch_p;
    for (uint32_t i = batch->n_items; i > 0; i--) {
        struct redis_item *item = batch->items[i - 1];
        if (!is_over(item)) {
            redis_queue_charge(self, item);
            list_push_front(&self->queue, &item->link);
            batch->items[i - 1] = NULL;
        }
    }
    redis_batch_destroy(batch_p, self->engine->channels);
    redis_partition_mark_busy(self);
}

struct redis_batch *redis_queue_gather(struct redis_partition *self) {
    struct engine_redis *engine = self->engine;
    struct redis_batch *batch = redis_batch_new(&self->queue, &engine->batch_limits);
    for (uint32_t i = 0; i < batch->n_items; i++) {
        discharge(self, batch->items[i]);
    }
    return batch;
}

/* ---- answers ---- */

void redis_queue_answer(struct redis_partition *self, struct redis_item *item, enum engine_outcome outcome) {
    struct engine_append *request = item->request;
    if (request == NULL) {
        return;
    }
    if (item->maybe_number != 0) {
        outcome = ENGINE_UNKNOWN; /* whatever this sending came to, an earlier one may come back with its server */
    }
    metric_count(self->engine->metrics, outcome == ENGINE_UNKNOWN ? REDIS_METRIC_UNKNOWN : REDIS_METRIC_REFUSED);
    item->request = NULL; /* first: the callee may free it */
    request->on_done(request, outcome);
}

static void refuse(struct redis_partition *self, struct redis_item *item, enum engine_outcome outcome) {
    self->lost_presence = self->lost_presence || item->kind == REDIS_PRESENCE;
    redis_queue_answer(self, item, outcome);
    redis_item_destroy(&item, self->engine->channels);
}

/* Sent again, it would be there twice; under a key or a version Redis sees to that. */
static bool may_be_there(const struct redis_item *item, uint32_t last_number) {
    return item->maybe_number != 0 && item->maybe_number <= last_number && item->request != NULL && item->key == NULL &&
           item->version == NULL;
}

void redis_queue_drop_maybe_there(struct redis_partition *self, uint32_t last_number) {
    struct list_link dropped;
    list_init(&dropped);
    list_for_each_safe (link, &self->queue) {
        if (may_be_there(list_entry(link, struct redis_item, link), last_number)) {
            list_remove(link);
            list_push_back(&dropped, link);
        }
    }
    while (!list_is_empty(&dropped)) {
        struct redis_item *item = list_entry(list_pop_front(&dropped), struct redis_item, link);
        discharge(self, item);
        refuse(self, item, ENGINE_UNKNOWN);
    }
}

void redis_queue_refuse(struct redis_partition *self, enum engine_outcome outcome) {
    struct list_link refused;
    list_init(&refused);
    list_splice_back(&refused, &self->queue);
    while (!list_is_empty(&refused)) {
        struct redis_item *item = list_entry(list_pop_front(&refused), struct redis_item, link);
        discharge(self, item);
        refuse(self, item, outcome);
    }
}

/* ---- deadlines ---- */

bool redis_queue_passes_live(const struct redis_partition *self, const struct redis_item *item) {
    return self->away_since_ms != 0 && clock_monotonic_ms() - self->away_since_ms >= REDIS_FALLBACK_MS &&
           item->maybe_number == 0 &&
           (item->kind == REDIS_PLAIN ||
            (item->kind == REDIS_POSITIONED && item->options->on_engine_down == ENGINE_DOWN_MEMORY &&
             item->version == NULL)); /* whether that is news, only Redis knows */
}

static void expire_queue(struct redis_partition *self, uint64_t now_ms) {
    struct list_link due;
    list_init(&due);
    list_for_each_safe (link, &self->queue) {
        struct redis_item *item = list_entry(link, struct redis_item, link);
        if (item->deadline_ms <= now_ms || redis_queue_passes_live(self, item)) {
            list_remove(link);
            list_push_back(&due, link);
        } else {
            redis_queue_note_deadline(self, item->deadline_ms);
        }
    }
    while (!list_is_empty(&due)) {
        struct redis_item *item = list_entry(list_pop_front(&due), struct redis_item, link);
        discharge(self, item);
        if (item->deadline_ms > now_ms) {
            redis_answers_pass_live(self->engine, item);
        } else {
            refuse(self, item, ENGINE_TEMPORARY);
        }
    }
}

static void expire_batch(struct redis_partition *self, uint64_t now_ms) {
    struct redis_batch *batch = self->batch;
    bool is_awaited = false;
    for (uint32_t i = 0; i < batch->n_items; i++) {
        struct redis_item *item = batch->items[i];
        if (item->deadline_ms <= now_ms) {
            redis_queue_answer(self, item, ENGINE_UNKNOWN);
        } else {
            redis_queue_note_deadline(self, item->deadline_ms);
            is_awaited = true;
        }
    }
    /* Nobody waits for it, and whether it happened the partition's seq tells: not to be sent again. */
    if (!is_awaited && !batch->is_sent) {
        self->lost_presence = self->lost_presence || redis_batch_has_presence(batch);
        self->batch = NULL;
        redis_batch_destroy(&batch, self->engine->channels);
        redis_partition_mark_busy(self);
    }
}

void redis_queue_expire(struct redis_partition *self, uint64_t now_ms) {
    bool is_away = self->away_since_ms != 0 && !list_is_empty(&self->queue);
    if (now_ms >= self->next_deadline_ms || is_away) {
        self->next_deadline_ms = UINT64_MAX;
        expire_queue(self, now_ms);
        if (self->batch != NULL) {
            expire_batch(self, now_ms);
        }
        redis_gate_expire(self, now_ms);
    }
}
