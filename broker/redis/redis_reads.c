/* See redis_reads.h. A request waits with its partition until that goes, is sent, and, where that is harmless, sent
 * again after a cut or a refusal, up to its deadline. At most redis.loads reads are under way, in the order they came;
 * what services ask goes before them, bounded by the link's pipeline only: a lease that is renewed cannot wait for a
 * hundred thousand channels. */
#include "broker/redis/redis_reads.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"

enum { EPOCH_SEED_LENGTH = 13 };

/* ---- ends ---- */

void redis_read_finish(struct redis_read *self, enum engine_outcome outcome) {
    if (!self->is_answered) {
        self->is_answered = true;
        self->kind->complete(self, outcome);
    }
}

void redis_read_destroy(struct redis_read *self) {
    check(self->is_answered, "a read without its completion");
    if (self->kind->drop != NULL) {
        self->kind->drop(self);
    }
    list_remove(&self->link);
    redis_channels_unpin(self->partition->engine->channels, self->channel);
    memory_free(self);
}

void redis_read_fail(struct redis_read *self, enum engine_outcome outcome) {
    redis_read_finish(self, outcome);
    redis_read_destroy(self);
}

/* What it was sent for may have been done. */
static enum engine_outcome outcome_of_no_answer(const struct redis_read *self) {
    return self->kind->changes && self->was_sent ? ENGINE_UNKNOWN : ENGINE_TEMPORARY;
}

static struct list_link *list_of(const struct redis_read *self) {
    return self->kind->is_service ? &self->partition->services : &self->partition->reads;
}

/* In the order in which they were asked. */
static void put_back(struct redis_read *self) {
    struct list_link *list = list_of(self);
    struct list_link *place = list->next;
    while (place != list && list_entry(place, struct redis_read, link)->number < self->number) {
        place = place->next;
    }
    list_insert_before(place, &self->link);
    redis_partition_mark_busy(self->partition);
}

/* It was not done: another try. */
static void wait_again(struct redis_read *self) {
    if (self->is_answered) {
        redis_read_destroy(self);
    } else {
        put_back(self);
    }
}

/* It may have been done by a server that did not answer, or whose answer counts no more. */
static void wait_again_unsure(struct redis_read *self) {
    if (self->kind->changes && !self->may_repeat) {
        redis_read_fail(self, ENGINE_UNKNOWN);
    } else {
        wait_again(self);
    }
}

/* ---- the gate ---- */

void redis_read_tell_when_sure(struct redis_read *self, bool is_safe, size_t bytes) {
    if (!self->is_answered && is_safe && redis_gate_is_needed(self->partition->engine)) {
        redis_gate_hold_read(self->partition, &self->gated, bytes);
    } else {
        self->kind->tell(self);
    }
}

static struct redis_read *read_of(struct redis_gated *gated) {
    return list_entry(gated, struct redis_read, gated);
}

void redis_reads_confirmed(struct redis_gated *gated) {
    struct redis_read *self = read_of(gated);
    self->kind->tell(self);
}

void redis_reads_again(struct redis_gated *gated) {
    struct redis_read *self = read_of(gated);
    if (self->kind->drop != NULL) {
        self->kind->drop(self);
    }
    wait_again_unsure(self);
}

void redis_reads_fail(struct redis_gated *gated, enum engine_outcome outcome) {
    struct redis_read *self = read_of(gated);
    redis_read_fail(self, outcome == ENGINE_TEMPORARY ? outcome_of_no_answer(self) : outcome);
}

uint64_t redis_reads_deadline_ms(const struct redis_gated *gated) {
    return list_entry(gated, struct redis_read, gated)->deadline_ms;
}

/* ---- answers ---- */

static void on_error(struct redis_read *self, struct span text) {
    struct redis_partition *partition = self->partition;
    enum redis_error error = redis_error_classify(text);
    if (redis_routing_take_error(partition, error, text)) {
        wait_again(self);
        return;
    }
    switch (error) {
    case REDIS_ERROR_NO_SCRIPT:
        self->with_text = true;
        wait_again(self);
        return;
    case REDIS_ERROR_UNFIT:
        wait_again(self);
        redis_partition_step(partition, PARTITION_UNFIT);
        redis_routing_doubt(partition->engine);
        return;
    case REDIS_ERROR_REFUSED:
        redis_read_fail(self, ENGINE_TEMPORARY);
        return;
    case REDIS_ERROR_DENIED:
        redis_read_fail(self, ENGINE_DENIED);
        return;
    case REDIS_ERROR_CORRUPT:
        redis_read_fail(self, ENGINE_CORRUPT);
        return;
    case REDIS_ERROR_AGAIN:
    case REDIS_ERROR_MOVED:
    case REDIS_ERROR_OTHER:
        log_warning("redis_read_refused", log_u64("partition", partition->number), log_span("error", text));
        redis_read_fail(self, outcome_of_no_answer(self));
        return;
    }
}

static void take_reply(struct redis_read *self, const struct redis_reply *reply) {
    struct span text = redis_reply_string(reply);
    if (reply->type == REDIS_ERROR) {
        on_error(self, reply->text);
    } else if (text.size == 1 && (text.data[0] == 'R' || text.data[0] == 'B')) {
        struct redis_partition *partition = self->partition;
        wait_again(self);
        redis_partition_step(partition, PARTITION_REFUSED);
    } else {
        self->kind->take(self, reply);
    }
}

/* A place became free: whoever waits. */
static void wake_waiting(struct engine_redis *engine) {
    for (uint32_t i = 0; i < engine->n_partitions; i++) {
        if (!list_is_empty(&engine->partitions[i].reads)) {
            redis_partition_mark_busy(&engine->partitions[i]);
        }
    }
}

static void on_read_reply(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct redis_read *self = request;
    struct redis_partition *partition = self->partition;
    bool was_counted = !self->kind->is_service;
    engine->n_loads -= was_counted;
    if (engine->is_closing) {
        redis_read_fail(self, ENGINE_CANCELLED);
    } else if (reply == NULL) {
        wait_again_unsure(self);
    } else {
        take_reply(self, reply);
    }
    if (!engine->is_closing && was_counted) {
        wake_waiting(engine);
    }
    redis_routing_paid(partition);
}

/* ---- sending ---- */

void redis_read_append_fence(const struct redis_read *self, struct buffer *head) {
    const struct redis_partition *partition = self->partition;
    buffer_append(head, partition->state.gen.text, PARTITION_GEN_LENGTH);
    buffer_append_text(head, "master_replid:");
    buffer_append(head, partition->reign, REDIS_REIGN_LENGTH);
    buffer_append_u64(head, partition->order.applied);
}

void redis_read_append_settling(const struct redis_read *self, bool is_safe, struct buffer *head) {
    char seed[EPOCH_SEED_LENGTH + 1];
    random_base62(seed, EPOCH_SEED_LENGTH);
    redis_read_append_fence(self, head);
    buffer_append(head, seed, EPOCH_SEED_LENGTH);
    buffer_append_char(head, is_safe ? 's' : 'f');
}

void redis_read_key(const struct redis_read *self, const char *what, struct buffer *out) {
    const struct span parts[] = {span_of_text(self->partition->topic), span_of_text(what),
                                 redis_channel_name(self->channel)};
    redis_request_parts(out, parts, 3);
}

void redis_read_hash_key(const struct redis_read *self, struct buffer *out) {
    redis_request_parts(out, (const struct span[]){span_of_text(self->partition->topic), SPAN_LITERAL(":p")}, 2);
}

static void send_read(struct redis_read *self) {
    struct engine_redis *engine = self->partition->engine;
    redis_link_t *link = self->partition->node->command;
    self->was_sent = true;
    self->kind->send(self, redis_link_out(link));
    redis_link_sent(link, on_read_reply, self);
    self->partition->n_owed++;
    if (!self->kind->is_service) {
        engine->n_loads++;
        metric_count(engine->metrics, REDIS_METRIC_LOADS);
    }
}

void redis_reads_pump(struct redis_partition *self) {
    struct engine_redis *engine = self->engine;
    while (!list_is_empty(&self->services) && redis_link_has_room(self->node->command) && redis_gate_has_room(self)) {
        send_read(list_entry(list_pop_front(&self->services), struct redis_read, link));
    }
    while (!list_is_empty(&self->reads) && engine->n_loads < engine->loads_max &&
           redis_link_has_room(self->node->command)) {
        send_read(list_entry(list_pop_front(&self->reads), struct redis_read, link));
    }
}

/* ---- asking ---- */

void redis_read_begin(struct engine_redis *engine, struct redis_read *self, struct span name) {
    list_init(&self->link);
    list_init(&self->gated.link);
    self->number = ++engine->last_read;
    self->channel = redis_channels_pin(engine->channels, name);
    self->partition = engine_redis_partition(engine, self->channel->partition);
    list_push_back(list_of(self), &self->link);
    redis_partition_want(self->partition);
    redis_partition_mark_busy(self->partition);
}

/* ---- deadlines, close ---- */

static void expire(struct list_link *reads, uint64_t now_ms) {
    struct list_link due;
    list_init(&due);
    list_for_each_safe (link, reads) {
        if (list_entry(link, struct redis_read, link)->deadline_ms <= now_ms) {
            list_remove(link);
            list_push_back(&due, link);
        }
    }
    while (!list_is_empty(&due)) {
        struct redis_read *read = list_entry(due.next, struct redis_read, link);
        redis_read_fail(read, outcome_of_no_answer(read));
    }
}

void redis_reads_expire(struct redis_partition *self, uint64_t now_ms) {
    expire(&self->services, now_ms);
    expire(&self->reads, now_ms);
}

static void cancel(struct list_link *reads) {
    while (!list_is_empty(reads)) {
        redis_read_fail(list_entry(reads->next, struct redis_read, link), ENGINE_CANCELLED);
    }
}

void redis_reads_cancel(struct redis_partition *self) {
    cancel(&self->services);
    cancel(&self->reads);
}
