/* What was applied or read of safe channels, and is told only when it is confirmed: the one place that keeps the
 * promise "nothing is told before replicas have it" (redis.md, durability safe). Before the channels, not in them: to a
 * channel a publication that is not confirmed does not exist yet.
 *
 *   batch_order ─▶ redis_tell: fast channels at once ─▶ gate (a partition's, in order) ─▶ confirmed ─▶ redis_tell: safe
 *   redis_reads: a safe channel's answer ────────────▶ ┘
 *
 * A ticket is the confirm cycle that began after the thing was known here. Failures: not confirmed by its deadline, a
 * publish is answered unknown and a read temporary; the thing itself stays, and is told when the confirmation comes.
 * The link cut, the same reign: it stays, and is confirmed over the next link. Another reign: own batches that it does
 * not know did not survive, and go back to the queue; others' messages are dropped, since the loads that follow tell
 * what is there; reads are asked again. Over its bound (redis.held_batches, redis.held_bytes) nothing more is sent, so
 * that publishers meet the queue's bound; others' messages are dropped, and the channels loaded later. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/memory.h"

/* A copy of a topic's message with publications of safe channels. */
struct gated_message {
    struct redis_gated gated;
    size_t size;
    uint8_t bytes[];
};

bool redis_gate_is_needed(const struct engine_redis *self) {
    return self->confirm_kind == REDIS_CONFIRM_REPLICAS;
}

bool redis_gate_has_room(const struct redis_partition *self) {
    return self->n_gated < self->engine->gate_items_max && self->gated_bytes < self->engine->gate_bytes_max;
}

static struct redis_batch *batch_of(struct redis_gated *gated) {
    return list_entry(gated, struct redis_batch, gated);
}

/* ---- in ---- */

static uint64_t next_ticket(struct redis_partition *self) {
    return self->node == NULL ? UINT64_MAX : redis_confirm_ticket(redis_node_confirm(self->node));
}

static void note_waiting(struct redis_partition *self) {
    if (self->node != NULL && !list_is_linked(&self->gate_link)) {
        list_push_back(&self->node->gated, &self->gate_link);
    }
}

static void hold(struct redis_partition *self, struct redis_gated *gated, enum redis_gated_kind kind, size_t bytes) {
    gated->kind = kind;
    gated->bytes = bytes;
    gated->ticket = next_ticket(self);
    list_init(&gated->link);
    list_push_back(&self->gate, &gated->link);
    self->n_gated++;
    self->gated_bytes += bytes;
    self->engine->unconfirmed_items++;
    self->engine->unconfirmed_bytes += bytes;
    note_waiting(self);
}

static void unhold(struct redis_partition *self, struct redis_gated *gated) {
    list_remove(&gated->link);
    self->n_gated--;
    self->gated_bytes -= gated->bytes;
    self->engine->unconfirmed_items--;
    self->engine->unconfirmed_bytes -= gated->bytes;
    if (list_is_empty(&self->gate)) {
        list_remove(&self->gate_link);
    }
}

void redis_gate_hold_batch(struct redis_partition *self, struct redis_batch *batch, bool tell) {
    batch->gated_tell = tell;
    hold(self, &batch->gated, REDIS_GATED_BATCH, batch->bytes + sizeof *batch);
    for (uint32_t i = 0; i < batch->n_items; i++) {
        if (batch->items[i]->request != NULL) {
            redis_queue_note_deadline(self, batch->items[i]->deadline_ms);
        }
    }
}

void redis_gate_hold_message(struct redis_partition *self, struct span bytes) {
    if (!redis_gate_has_room(self)) {
        metric_count(self->engine->metrics, REDIS_METRIC_CONFIRM_OVERFLOWS);
        self->gate_doubt = next_ticket(self);
        return;
    }
    struct gated_message *message = memory_alloc(sizeof *message + bytes.size);
    *message = (struct gated_message){.size = bytes.size};
    memcpy(message->bytes, bytes.data, bytes.size);
    hold(self, &message->gated, REDIS_GATED_MESSAGE, sizeof *message + bytes.size);
}

void redis_gate_hold_read(struct redis_partition *self, struct redis_gated *gated, size_t bytes) {
    hold(self, gated, REDIS_GATED_READ, bytes);
    redis_queue_note_deadline(self, redis_reads_deadline_ms(gated));
}

/* ---- out ---- */

static void tell_message(struct redis_partition *self, struct redis_gated *gated) {
    struct gated_message *message = list_entry(gated, struct gated_message, gated);
    struct redis_topic_message parsed;
    if (redis_topic_parse(span_of(message->bytes, message->size), &parsed)) {
        redis_tell_message(self, &parsed, REDIS_TELL_CONFIRMED);
    }
    memory_free(message);
}

static void tell(struct redis_partition *self, struct redis_gated *gated) {
    struct redis_batch *batch = NULL;
    switch (gated->kind) {
    case REDIS_GATED_BATCH:
        batch = batch_of(gated);
        redis_tell_confirmed_batch(self, &batch, batch->gated_tell);
        break;
    case REDIS_GATED_MESSAGE:
        tell_message(self, gated);
        break;
    case REDIS_GATED_READ:
        redis_reads_confirmed(gated);
        break;
    }
}

static struct redis_gated *first(const struct redis_partition *self) {
    return list_is_empty(&self->gate) ? NULL : list_entry(self->gate.next, struct redis_gated, link);
}

static void release(struct redis_partition *self, uint64_t cycle) {
    struct redis_gated *gated;
    while ((gated = first(self)) != NULL && gated->ticket <= cycle) {
        unhold(self, gated);
        tell(self, gated);
    }
    if (self->gate_doubt != 0 && (self->gate_doubt <= cycle || list_is_empty(&self->gate))) {
        self->gate_doubt = 0;
        self->engine->options.events->on_partition_doubt(self->engine->options.context, self->number);
    }
    redis_partition_mark_busy(self); /* there is room again */
}

void redis_gate_on_confirmed(struct redis_node *node, uint64_t cycle, struct span replid) {
    bool is_other = false;
    list_for_each_safe (link, &node->gated) {
        struct redis_partition *partition = list_entry(link, struct redis_partition, gate_link);
        if (span_equal_text(replid, partition->reign)) {
            release(partition, cycle);
        } else {
            /* Opened in another reign than this server's: the partition's next answer or second tells it so, or this
             * link leads to another server than the partition's: to a primary that was replaced and does not know it.
             */
            redis_confirm_ticket(node->confirm);
            is_other = true;
        }
    }
    if (is_other) {
        redis_confirm_drop(node->confirm, "this server is in another reign than the partitions");
    }
}

void redis_gate_on_node(struct redis_partition *self) {
    if (list_is_empty(&self->gate)) {
        return;
    }
    note_waiting(self);
    uint64_t ticket = next_ticket(self);
    list_for_each (link, &self->gate) {
        list_entry(link, struct redis_gated, link)->ticket = ticket;
    }
    self->gate_doubt = self->gate_doubt == 0 ? 0 : ticket;
}

void redis_gate_note_doubt(struct redis_partition *self) {
    if (!list_is_empty(&self->gate)) {
        self->gate_doubt = next_ticket(self);
    }
}

/* ---- another reign ---- */

static void survive(struct redis_partition *self, struct redis_gated *gated, uint32_t last_number) {
    struct redis_batch *batch = NULL;
    switch (gated->kind) {
    case REDIS_GATED_BATCH:
        batch = batch_of(gated);
        if (batch->number > last_number) {
            unhold(self, gated);
            redis_queue_take_back_unsure(self, &batch);
        }
        break;
    case REDIS_GATED_MESSAGE:
        unhold(self, gated);
        memory_free(list_entry(gated, struct gated_message, gated));
        break;
    case REDIS_GATED_READ:
        unhold(self, gated);
        redis_reads_again(gated);
        break;
    }
}

/* Backwards: what goes to the front of a queue goes there in its order. */
void redis_gate_reopen(struct redis_partition *self, uint32_t last_number) {
    struct list_link *link = self->gate.previous;
    while (link != &self->gate) {
        struct redis_gated *gated = list_entry(link, struct redis_gated, link);
        link = link->previous;
        survive(self, gated, last_number);
    }
    self->gate_doubt = 0; /* every held channel is loaded anyway */
    redis_gate_note_doubt(self);
    redis_gate_on_node(self);
}

/* ---- deadlines, close ---- */

static void expire_batch(struct redis_partition *self, struct redis_batch *batch, uint64_t now_ms) {
    for (uint32_t i = 0; i < batch->n_items; i++) {
        struct redis_item *item = batch->items[i];
        if (item->request == NULL) {
            continue;
        }
        if (item->deadline_ms <= now_ms) {
            redis_queue_answer(self, item, ENGINE_UNKNOWN);
        } else {
            redis_queue_note_deadline(self, item->deadline_ms);
        }
    }
}

void redis_gate_expire(struct redis_partition *self, uint64_t now_ms) {
    list_for_each_safe (link, &self->gate) {
        struct redis_gated *gated = list_entry(link, struct redis_gated, link);
        if (gated->kind == REDIS_GATED_BATCH) {
            expire_batch(self, batch_of(gated), now_ms);
        } else if (gated->kind == REDIS_GATED_READ && redis_reads_deadline_ms(gated) <= now_ms) {
            unhold(self, gated);
            redis_reads_fail(gated, ENGINE_TEMPORARY);
        } else if (gated->kind == REDIS_GATED_READ) {
            redis_queue_note_deadline(self, redis_reads_deadline_ms(gated));
        }
    }
}

void redis_gate_finish(struct redis_partition *self) {
    struct redis_gated *gated;
    while ((gated = first(self)) != NULL) {
        unhold(self, gated);
        if (gated->kind == REDIS_GATED_BATCH) {
            struct redis_batch *batch = batch_of(gated);
            redis_tell_failure(self, &batch, ENGINE_CANCELLED);
        } else if (gated->kind == REDIS_GATED_MESSAGE) {
            memory_free(list_entry(gated, struct gated_message, gated));
        } else {
            redis_reads_fail(gated, ENGINE_CANCELLED);
        }
    }
}
