/* What is read or removed: load (position and entries in one step), remove, presence. A request waits with its
 * partition until that goes, is sent, and sent again after a cut or a refusal, up to its deadline: reading twice does
 * no harm. At most redis.loads of them are under way, in the order they came.
 *
 * Only an open partition says no: where the answer would be "that is gone" and the partition is deaf by then, the
 * answer is ENGINE_TEMPORARY. Entries that are not ours leave a hole: the read is not complete. What was read of a safe
 * channel waits in the gate: part of it may be known to the primary alone. */
#include "broker/redis/engine_redis_parts.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "broker/redis/link/redis_request.h"
#include "broker/redis/redis_loaded.h"

enum { EPOCH_SEED_LENGTH = 13 };

enum read_kind { READ_LOAD, READ_REMOVE, READ_PRESENCE };

struct redis_read {
    struct list_link link;      /* in its partition's reads while it waits */
    struct redis_gated gated;   /* while its answer is to be confirmed */
    struct redis_loaded loaded; /* that answer */
    struct redis_partition *partition;
    struct redis_channel *channel; /* pinned */
    enum read_kind kind;
    bool with_text;
    bool is_answered; /* by its deadline, while sent */
    uint64_t deadline_ms;
    union {
        struct engine_read *load;
        struct engine_remove *remove;
        struct engine_presence_read *presence;
    } request;
};

/* ---- ends ---- */

static void finish(struct redis_read *self, enum engine_outcome outcome) {
    if (self->is_answered) {
        return;
    }
    self->is_answered = true;
    switch (self->kind) {
    case READ_LOAD:
        self->request.load->on_done(self->request.load, outcome);
        break;
    case READ_REMOVE:
        self->request.remove->on_done(self->request.remove, outcome);
        break;
    case READ_PRESENCE:
        self->request.presence->on_done(self->request.presence, outcome);
        break;
    }
}

static void destroy(struct redis_read *self) {
    check(self->is_answered, "a read without its completion");
    redis_loaded_drop(&self->loaded);
    list_remove(&self->link);
    redis_channels_unpin(self->partition->engine->channels, self->channel);
    memory_free(self);
}

static void fail(struct redis_read *self, enum engine_outcome outcome) {
    finish(self, outcome);
    destroy(self);
}

static void wait_again(struct redis_read *self) {
    if (self->is_answered) {
        destroy(self);
        return;
    }
    list_push_front(&self->partition->reads, &self->link);
    redis_partition_mark_busy(self->partition);
}

/* ---- answers of load ---- */

/* A position of ours that Redis is behind of: the shard has to look, with that position as evidence. */
static void learn(struct redis_read *self, const struct position *top) {
    struct engine_redis *engine = self->partition->engine;
    const struct position *known = &self->channel->known;
    if (epoch_equal(&known->epoch, &top->epoch) && known->offset > top->offset && self->channel->n_holds > 0) {
        engine->options.events->on_doubt(engine->options.context, redis_channel_name(self->channel));
    }
    redis_channel_learn(self->channel, &top->epoch, top->offset);
}

static void answer_load(struct redis_read *self) {
    struct engine_read *request = self->request.load;
    struct redis_loaded *loaded = &self->loaded;
    request->top = loaded->top;
    request->epoch_matches = !request->has_since || epoch_is_empty(&request->since.epoch) ||
                             epoch_equal(&request->since.epoch, &loaded->top.epoch);
    if (!request->epoch_matches) {
        const struct position top = loaded->top;
        redis_loaded_drop(loaded);
        loaded->top = top;
    }
    request->complete = request->epoch_matches && redis_loaded_is_complete(request, loaded);
    request->n_publications = loaded->n;
    request->publications = loaded->publications;
    bool is_no = request->has_since && !request->reverse && !request->complete;
    bool is_sure = self->partition->state.phase == PARTITION_OPEN;
    finish(self, is_no && !is_sure ? ENGINE_TEMPORARY : ENGINE_OK);
}

/* Sure: told. */
static void tell(struct redis_read *self) {
    if (!self->is_answered && self->kind == READ_LOAD) {
        learn(self, &self->loaded.top);
        answer_load(self);
    } else if (!self->is_answered) {
        self->request.remove->top = self->loaded.top;
        finish(self, ENGINE_OK);
    }
    destroy(self);
}

static const struct namespace_options *options_of(const struct redis_read *self) {
    return self->kind == READ_LOAD ? self->request.load->options : self->request.remove->options;
}

static void tell_when_sure(struct redis_read *self) {
    const struct engine_redis *engine = self->partition->engine;
    if (!self->is_answered && redis_gate_is_needed(engine) && engine_redis_is_safe(engine, options_of(self))) {
        redis_gate_hold_read(self->partition, &self->gated, sizeof *self + self->loaded.bytes);
    } else {
        tell(self);
    }
}

static void on_loaded(struct redis_read *self, const struct redis_reply *reply) {
    if (!redis_loaded_parse_head(redis_reply_string(&reply->elements[0]), &self->loaded)) {
        fail(self, ENGINE_CORRUPT);
        return;
    }
    if (!self->is_answered) {
        redis_loaded_collect(self->request.load, reply, &self->loaded);
    }
    tell_when_sure(self);
}

/* ---- the gate's ---- */

static struct redis_read *read_of(struct redis_gated *gated) {
    return list_entry(gated, struct redis_read, gated);
}

void redis_reads_confirmed(struct redis_gated *gated) {
    tell(read_of(gated));
}

void redis_reads_again(struct redis_gated *gated) {
    struct redis_read *self = read_of(gated);
    redis_loaded_drop(&self->loaded);
    wait_again(self);
}

void redis_reads_fail(struct redis_gated *gated, enum engine_outcome outcome) {
    fail(read_of(gated), outcome);
}

uint64_t redis_reads_deadline_ms(const struct redis_gated *gated) {
    return list_entry(gated, struct redis_read, gated)->deadline_ms;
}

/* ---- answers of the others ---- */

static void on_removed(struct redis_read *self, struct span bytes) {
    struct cursor cursor = cursor_of(bytes);
    cursor_u8(&cursor);
    struct position top = {.epoch = epoch_from(cursor_bytes(&cursor, EPOCH_LENGTH))};
    top.offset = cursor_u64(&cursor);
    if (!cursor_is_done(&cursor)) {
        fail(self, ENGINE_CORRUPT);
        return;
    }
    self->loaded.top = top;
    tell_when_sure(self);
}

/* HSCAN's answer: the next cursor, and fields and values in turn. */
static void on_members(struct redis_read *self, const struct redis_reply *scanned) {
    uint64_t next = 0;
    if (scanned->n != 2 || !span_parse_u64(redis_reply_string(&scanned->elements[0]), &next) ||
        scanned->elements[1].type != REDIS_ARRAY) {
        fail(self, ENGINE_CORRUPT);
        return;
    }
    const struct redis_reply *reply = &scanned->elements[1];
    struct engine_presence_entry *entries = reply->n < 2 ? NULL : memory_alloc_array(reply->n / 2, sizeof *entries);
    uint32_t n = 0;
    for (size_t i = 1; i < reply->n; i += 2) {
        struct redis_member member;
        if (redis_member_parse(redis_reply_string(&reply->elements[i]), &member)) {
            entries[n++] = (struct engine_presence_entry){
                .info = member.info, .gateway_id = member.gateway_id, .lease_number = member.lease_number};
        } else {
            metric_count(self->partition->engine->metrics, REDIS_METRIC_MALFORMED);
        }
    }
    if (!self->is_answered) {
        self->request.presence->n_entries = n;
        self->request.presence->entries = entries;
        self->request.presence->next = next;
    }
    finish(self, ENGINE_OK);
    memory_free(entries);
    destroy(self);
}

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
        fail(self, ENGINE_TEMPORARY);
        return;
    case REDIS_ERROR_DENIED:
        fail(self, ENGINE_DENIED);
        return;
    case REDIS_ERROR_CORRUPT:
        fail(self, ENGINE_CORRUPT);
        return;
    case REDIS_ERROR_AGAIN:
    case REDIS_ERROR_MOVED:
    case REDIS_ERROR_OTHER:
        log_warning("redis_read_refused", log_u64("partition", partition->number), log_span("error", text));
        fail(self, ENGINE_TEMPORARY);
        return;
    }
}

static void on_text(struct redis_read *self, struct span text) {
    struct redis_partition *partition = self->partition;
    switch (text.size == 0 ? '\0' : text.data[0]) {
    case 'R':
    case 'B':
        wait_again(self);
        redis_partition_step(partition, PARTITION_REFUSED);
        return;
    case 'O':
        on_removed(self, text);
        return;
    default:
        fail(self, ENGINE_CORRUPT);
    }
}

static void take_reply(struct redis_read *self, const struct redis_reply *reply) {
    if (reply->type == REDIS_ERROR) {
        on_error(self, reply->text);
    } else if (reply->type == REDIS_ARRAY && self->kind == READ_LOAD && reply->n > 0) {
        on_loaded(self, reply);
    } else if (reply->type == REDIS_ARRAY && self->kind == READ_PRESENCE) {
        on_members(self, reply);
    } else {
        on_text(self, redis_reply_string(reply));
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
    engine->n_loads--;
    if (engine->is_closing) {
        fail(self, ENGINE_CANCELLED);
    } else if (reply == NULL) {
        wait_again(self);
    } else {
        take_reply(self, reply);
    }
    if (!engine->is_closing) {
        wake_waiting(engine);
    }
    redis_routing_paid(partition);
}

/* ---- sending ---- */

static void append_epoch(struct buffer *out, const struct epoch *epoch) {
    char text[EPOCH_LENGTH] = {0};
    memcpy(text, epoch->text, strnlen(epoch->text, EPOCH_LENGTH));
    buffer_append(out, text, sizeof text);
}

static void append_common(const struct redis_partition *partition, bool is_safe, struct buffer *head) {
    char seed[EPOCH_SEED_LENGTH + 1];
    random_base62(seed, EPOCH_SEED_LENGTH);
    buffer_append(head, partition->state.gen.text, PARTITION_GEN_LENGTH);
    buffer_append_text(head, "master_replid:");
    buffer_append(head, partition->reign, REDIS_REIGN_LENGTH);
    buffer_append_u64(head, partition->order.applied);
    buffer_append(head, seed, EPOCH_SEED_LENGTH);
    buffer_append_char(head, is_safe ? 's' : 'f');
}

static uint64_t positive(int64_t value) {
    return value < 0 ? 0 : (uint64_t) value;
}

/* The first (reverse: last) offset that is wanted. */
static uint64_t wanted_from(const struct engine_read *request) {
    if (!request->reverse) {
        uint64_t since = request->has_since ? request->since.offset : 0;
        return since >= OFFSET_MAX ? OFFSET_MAX : since + 1;
    }
    bool from_end = !request->has_since || request->since.offset == 0;
    return from_end || request->since.offset > OFFSET_MAX ? OFFSET_MAX : request->since.offset - 1;
}

static void encode_load(const struct redis_read *self, struct buffer *head) {
    const struct engine_read *request = self->request.load;
    const struct position nothing = {.offset = 0};
    const struct position *evidence =
        request->has_since && request->since_is_own && request->since.offset <= OFFSET_MAX ? &request->since : &nothing;
    size_t bytes_max = self->partition->engine->read_bytes_max;
    append_epoch(head, &evidence->epoch);
    buffer_append_u64(head, evidence->offset);
    buffer_append_u32(head, (uint32_t) request->options->history_size);
    buffer_append_u64(head, positive(request->options->history_meta_ttl_ms));
    buffer_append_u32(head, request->limit);
    /* Redis counts what stands before each, too. */
    buffer_append_u64(head, request->bytes_limit == 0 ? bytes_max : request->bytes_limit);
    buffer_append_u64(head, wanted_from(request));
    buffer_append_u8(head, request->reverse);
}

static void key_of(const struct redis_read *self, const char *what, struct buffer *out) {
    const struct span parts[] = {span_of_text(self->partition->topic), span_of_text(what),
                                 redis_channel_name(self->channel)};
    redis_request_parts(out, parts, 3);
}

static void send_script(const struct redis_read *self, struct buffer *out) {
    const struct engine_redis *engine = self->partition->engine;
    struct buffer head = BUFFER_EMPTY;
    append_common(self->partition, engine_redis_is_safe(engine, options_of(self)), &head);
    if (self->kind == READ_LOAD) {
        encode_load(self, &head);
    } else {
        buffer_append_u64(&head, positive(self->request.remove->options->history_meta_ttl_ms));
        buffer_append_u8(&head, self->partition->node->sharded);
    }
    bool is_load = self->kind == READ_LOAD;
    redis_scripts_begin(engine->scripts, out, is_load ? REDIS_SCRIPT_LOAD : REDIS_SCRIPT_REMOVE, self->with_text,
                        is_load ? 3 : 4, 1);
    redis_request_parts(out, (const struct span[]){span_of_text(self->partition->topic), SPAN_LITERAL(":p")}, 2);
    key_of(self, ":m:", out);
    key_of(self, ":s:", out);
    if (!is_load) {
        redis_request_text(out, self->partition->topic);
    }
    redis_request_bytes(out, buffer_span(&head));
    buffer_finish(&head);
}

static void send_scan(const struct redis_read *self, struct buffer *out) {
    const struct engine_presence_read *request = self->request.presence;
    redis_request_begin(out, 5);
    redis_request_text(out, "HSCAN");
    key_of(self, ":h:", out);
    redis_request_u64(out, request->cursor);
    redis_request_text(out, "COUNT");
    redis_request_u64(out, request->limit == 0 ? ENGINE_PRESENCE_PAGE : request->limit);
}

static void send_read(struct redis_read *self) {
    struct engine_redis *engine = self->partition->engine;
    redis_link_t *link = self->partition->node->command;
    struct buffer *out = redis_link_out(link);
    if (self->kind == READ_PRESENCE) {
        send_scan(self, out);
    } else {
        send_script(self, out);
    }
    redis_link_sent(link, on_read_reply, self);
    self->partition->n_owed++;
    engine->n_loads++;
    metric_count(engine->metrics, REDIS_METRIC_LOADS);
}

void redis_reads_pump(struct redis_partition *self) {
    struct engine_redis *engine = self->engine;
    while (!list_is_empty(&self->reads) && engine->n_loads < engine->loads_max &&
           redis_link_has_room(self->node->command)) {
        send_read(list_entry(list_pop_front(&self->reads), struct redis_read, link));
    }
}

/* ---- asking ---- */

static struct redis_read *read_new(struct engine_redis *engine, enum read_kind kind, struct span channel,
                                   uint64_t deadline_ms) {
    struct redis_read *self = memory_alloc_zero(sizeof *self);
    list_init(&self->link);
    list_init(&self->gated.link);
    self->kind = kind;
    self->channel = redis_channels_pin(engine->channels, channel);
    self->partition = engine_redis_partition(engine, self->channel->partition);
    self->deadline_ms = deadline_ms;
    return self;
}

static void begin(struct redis_read *self) {
    list_push_back(&self->partition->reads, &self->link);
    redis_partition_want(self->partition);
    redis_partition_mark_busy(self->partition);
}

static void answer_load_later(void *request, enum engine_outcome outcome) {
    struct engine_read *load = request;
    load->on_done(load, outcome);
}

static void answer_remove_later(void *request, enum engine_outcome outcome) {
    struct engine_remove *remove = request;
    remove->on_done(remove, outcome);
}

static void answer_presence_later(void *request, enum engine_outcome outcome) {
    struct engine_presence_read *presence = request;
    presence->on_done(presence, outcome);
}

void redis_reads_load(struct engine_redis *self, struct engine_read *request) {
    request->top = (struct position){.offset = 0};
    request->epoch_matches = true;
    request->complete = false;
    request->n_publications = 0;
    request->publications = NULL;
    bool has_history = namespace_has_history(request->options);
    if (self->is_closing || !has_history) {
        redis_answers_later(self, answer_load_later, request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
        return;
    }
    struct redis_read *read = read_new(self, READ_LOAD, request->channel, request->deadline_ms);
    read->request.load = request;
    begin(read);
}

void redis_reads_remove(struct engine_redis *self, struct engine_remove *request) {
    request->top = (struct position){.offset = 0};
    bool has_history = namespace_has_history(request->options);
    if (self->is_closing || !has_history) {
        redis_answers_later(self, answer_remove_later, request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
        return;
    }
    struct redis_read *read = read_new(self, READ_REMOVE, request->channel, request->deadline_ms);
    read->request.remove = request;
    begin(read);
}

void redis_reads_presence(struct engine_redis *self, struct engine_presence_read *request) {
    request->n_entries = 0;
    request->entries = NULL;
    request->next = 0;
    if (self->is_closing) {
        redis_answers_later(self, answer_presence_later, request, ENGINE_CANCELLED);
        return;
    }
    struct redis_read *read = read_new(self, READ_PRESENCE, request->channel, request->deadline_ms);
    read->request.presence = request;
    begin(read);
}

/* ---- deadlines, close ---- */

void redis_reads_expire(struct redis_partition *self, uint64_t now_ms) {
    struct list_link due;
    list_init(&due);
    list_for_each_safe (link, &self->reads) {
        if (list_entry(link, struct redis_read, link)->deadline_ms <= now_ms) {
            list_remove(link);
            list_push_back(&due, link);
        }
    }
    while (!list_is_empty(&due)) {
        fail(list_entry(due.next, struct redis_read, link), ENGINE_TEMPORARY);
    }
}

void redis_reads_cancel(struct redis_partition *self) {
    while (!list_is_empty(&self->reads)) {
        fail(list_entry(self->reads.next, struct redis_read, link), ENGINE_CANCELLED);
    }
}
