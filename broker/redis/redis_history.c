/* What is read or removed of a channel: load (position and entries in one step), remove, members. Reading twice does no
 * harm, nor does removing.
 *
 * Only an open partition says no: where the answer would be "that is gone" and the partition is deaf by then, the
 * answer is ENGINE_TEMPORARY. Entries that are not ours leave a hole: the read is not complete. What was read of a safe
 * channel waits in the gate: part of it may be known to the primary alone. */
#include "base/memory.h"
#include "broker/redis/redis_loaded.h"
#include "broker/redis/redis_reads.h"

struct history_read {
    struct redis_read base;
    struct redis_loaded loaded; /* load, remove: the answer, while it is to be confirmed */
    union {
        struct engine_read *load;
        struct engine_remove *remove;
        struct engine_presence_read *presence;
    } request;
};

static struct history_read *history_of(struct redis_read *base) {
    return list_entry(base, struct history_read, base);
}

static const struct history_read *const_history_of(const struct redis_read *base) {
    return (const struct history_read *) (const void *) base;
}

static void drop_loaded(struct redis_read *base) {
    redis_loaded_drop(&history_of(base)->loaded);
}

static struct history_read *history_read_new(const struct redis_read_kind *kind, uint64_t deadline_ms) {
    struct history_read *self = memory_alloc_zero(sizeof *self);
    self->base.kind = kind;
    self->base.deadline_ms = deadline_ms;
    return self;
}

static uint64_t positive(int64_t value) {
    return value < 0 ? 0 : (uint64_t) value;
}

/* ---- load ---- */

static void complete_load(struct redis_read *base, enum engine_outcome outcome) {
    struct engine_read *request = history_of(base)->request.load;
    request->on_done(request, outcome);
}

/* A position of ours that Redis is behind of: the shard has to look, with that position as evidence. */
static void learn(struct history_read *self, const struct position *top) {
    struct engine_redis *engine = self->base.partition->engine;
    const struct position *known = &self->base.channel->known;
    if (epoch_equal(&known->epoch, &top->epoch) && known->offset > top->offset && self->base.channel->n_holds > 0) {
        engine->options.events->on_doubt(engine->options.context, redis_channel_name(self->base.channel));
    }
    redis_channel_learn(self->base.channel, &top->epoch, top->offset);
}

static void answer_load(struct history_read *self) {
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
    bool is_sure = self->base.partition->state.phase == PARTITION_OPEN;
    redis_read_finish(&self->base, is_no && !is_sure ? ENGINE_TEMPORARY : ENGINE_OK);
}

/* Sure: told. */
static void tell_load(struct redis_read *base) {
    struct history_read *self = history_of(base);
    if (!base->is_answered) {
        learn(self, &self->loaded.top);
        answer_load(self);
    }
    redis_read_destroy(base);
}

static void take_load(struct redis_read *base, const struct redis_reply *reply) {
    struct history_read *self = history_of(base);
    struct engine_read *request = self->request.load;
    bool is_sound = reply->type == REDIS_ARRAY && reply->n > 0;
    if (!is_sound || !redis_loaded_parse_head(redis_reply_string(&reply->elements[0]), &self->loaded)) {
        redis_read_fail(base, ENGINE_CORRUPT);
        return;
    }
    if (!base->is_answered) {
        redis_loaded_collect(request, reply, &self->loaded);
    }
    redis_read_tell_when_sure(base, engine_redis_is_safe(base->partition->engine, request->options),
                              sizeof *self + self->loaded.bytes);
}

static void append_epoch(struct buffer *out, const struct epoch *epoch) {
    char text[EPOCH_LENGTH] = {0};
    memcpy(text, epoch->text, strnlen(epoch->text, EPOCH_LENGTH));
    buffer_append(out, text, sizeof text);
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

static void encode_load(const struct history_read *self, struct buffer *head) {
    const struct engine_read *request = self->request.load;
    const struct position nothing = {.offset = 0};
    const struct position *evidence =
        request->has_since && request->since_is_own && request->since.offset <= OFFSET_MAX ? &request->since : &nothing;
    size_t bytes_max = self->base.partition->engine->read_bytes_max;
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

static void send_load(const struct redis_read *base, struct buffer *out) {
    const struct engine_redis *engine = base->partition->engine;
    const struct history_read *self = const_history_of(base);
    struct buffer head = BUFFER_EMPTY;
    redis_read_append_settling(base, engine_redis_is_safe(engine, self->request.load->options), &head);
    encode_load(self, &head);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_LOAD, base->with_text, 3, 1);
    redis_read_hash_key(base, out);
    redis_read_key(base, ":m:", out);
    redis_read_key(base, ":s:", out);
    redis_request_bytes(out, buffer_span(&head));
    buffer_finish(&head);
}

static const struct redis_read_kind load_kind = {
    .complete = complete_load, .drop = drop_loaded, .send = send_load, .take = take_load, .tell = tell_load};

/* ---- remove ---- */

static void complete_remove(struct redis_read *base, enum engine_outcome outcome) {
    struct engine_remove *request = history_of(base)->request.remove;
    request->on_done(request, outcome);
}

static void tell_remove(struct redis_read *base) {
    struct history_read *self = history_of(base);
    if (!base->is_answered) {
        self->request.remove->top = self->loaded.top;
        redis_read_finish(base, ENGINE_OK);
    }
    redis_read_destroy(base);
}

static void take_remove(struct redis_read *base, const struct redis_reply *reply) {
    struct history_read *self = history_of(base);
    struct cursor cursor = cursor_of(redis_reply_string(reply));
    bool is_ours = cursor_u8(&cursor) == 'O';
    struct position top = {.epoch = epoch_from(cursor_bytes(&cursor, EPOCH_LENGTH))};
    top.offset = cursor_u64(&cursor);
    if (!is_ours || !cursor_is_done(&cursor)) {
        redis_read_fail(base, ENGINE_CORRUPT);
        return;
    }
    self->loaded.top = top;
    redis_read_tell_when_sure(base, engine_redis_is_safe(base->partition->engine, self->request.remove->options),
                              sizeof *self);
}

static void send_remove(const struct redis_read *base, struct buffer *out) {
    const struct engine_redis *engine = base->partition->engine;
    const struct namespace_options *options = const_history_of(base)->request.remove->options;
    struct buffer head = BUFFER_EMPTY;
    redis_read_append_settling(base, engine_redis_is_safe(engine, options), &head);
    buffer_append_u64(&head, positive(options->history_meta_ttl_ms));
    buffer_append_u8(&head, base->partition->node->sharded);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_REMOVE, base->with_text, 4, 1);
    redis_read_hash_key(base, out);
    redis_read_key(base, ":m:", out);
    redis_read_key(base, ":s:", out);
    redis_request_text(out, base->partition->topic);
    redis_request_bytes(out, buffer_span(&head));
    buffer_finish(&head);
}

static const struct redis_read_kind remove_kind = {
    .complete = complete_remove, .drop = drop_loaded, .send = send_remove, .take = take_remove, .tell = tell_remove};

/* ---- members ---- */

static void complete_members(struct redis_read *base, enum engine_outcome outcome) {
    struct engine_presence_read *request = history_of(base)->request.presence;
    request->on_done(request, outcome);
}

/* HSCAN's answer: the next cursor, and fields and values in turn. */
static void take_members(struct redis_read *base, const struct redis_reply *scanned) {
    struct history_read *self = history_of(base);
    uint64_t next = 0;
    if (scanned->type != REDIS_ARRAY || scanned->n != 2 ||
        !span_parse_u64(redis_reply_string(&scanned->elements[0]), &next) || scanned->elements[1].type != REDIS_ARRAY) {
        redis_read_fail(base, ENGINE_CORRUPT);
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
            metric_count(base->partition->engine->metrics, REDIS_METRIC_MALFORMED);
        }
    }
    if (!base->is_answered) {
        self->request.presence->n_entries = n;
        self->request.presence->entries = entries;
        self->request.presence->next = next;
    }
    redis_read_finish(base, ENGINE_OK);
    memory_free(entries);
    redis_read_destroy(base);
}

static void send_members(const struct redis_read *base, struct buffer *out) {
    const struct engine_presence_read *request = const_history_of(base)->request.presence;
    redis_request_begin(out, 5);
    redis_request_text(out, "HSCAN");
    redis_read_key(base, ":h:", out);
    redis_request_u64(out, request->cursor);
    redis_request_text(out, "COUNT");
    redis_request_u64(out, request->limit == 0 ? ENGINE_PRESENCE_PAGE : request->limit);
}

static const struct redis_read_kind members_kind = {
    .complete = complete_members, .send = send_members, .take = take_members};

/* ---- asking ---- */

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
    struct history_read *read = history_read_new(&load_kind, request->deadline_ms);
    read->request.load = request;
    redis_read_begin(self, &read->base, request->channel);
}

void redis_reads_remove(struct engine_redis *self, struct engine_remove *request) {
    request->top = (struct position){.offset = 0};
    bool has_history = namespace_has_history(request->options);
    if (self->is_closing || !has_history) {
        redis_answers_later(self, answer_remove_later, request, self->is_closing ? ENGINE_CANCELLED : ENGINE_OK);
        return;
    }
    struct history_read *read = history_read_new(&remove_kind, request->deadline_ms);
    read->request.remove = request;
    redis_read_begin(self, &read->base, request->channel);
}

void redis_reads_presence(struct engine_redis *self, struct engine_presence_read *request) {
    request->n_entries = 0;
    request->entries = NULL;
    request->next = 0;
    if (self->is_closing) {
        redis_answers_later(self, answer_presence_later, request, ENGINE_CANCELLED);
        return;
    }
    struct history_read *read = history_read_new(&members_kind, request->deadline_ms);
    read->request.presence = request;
    redis_read_begin(self, &read->base, request->channel);
}
