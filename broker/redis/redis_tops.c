/* Which held channels of a partition missed something? One call for up to 256 channels reads where they stand in Redis;
 * those that are doubtful are told to the shard, and it loads them. Asked for two reasons:
 *
 *   after a batch that never came   channels that are further in Redis than what was told, or of another epoch, or not
 *                                   yet settled in this generation
 *   each second (redis.compared_channels of them in a shard; more in turn): channels that Redis forgot. A meta key that
 *                                   went alone (deleted by hand, evicted, brought back from an old copy) changes
 * nothing that the partition's numbers show. Being further is no reason here: that is what its numbers are for, and
 * under load what is under way would look like it.
 *
 * Failure modes of the second: no answer, or another generation → the next second asks again; the partition's own check
 * finds out why. */
#include "broker/redis/engine_redis_parts.h"

#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

enum { CHANNELS_A_CALL = 256, CHANNEL_REPLY_SIZE = 1 + EPOCH_LENGTH + 8 };

enum tops_reason { TOPS_AFTER_HOLE, TOPS_QUIET };

struct tops_channel {
    struct redis_channel *channel; /* pinned */
    struct position known;         /* when it was asked */
};

struct tops_call {
    struct redis_partition *partition;
    struct partition_gen gen;
    enum tops_reason reason;
    bool with_text;
    size_t n;
    struct tops_channel channels[];
};

/* What Redis says of one channel. */
struct stand {
    uint8_t state; /* as scripts/tops.lua: '1', '0', '-' */
    struct position top;
};

static void call_destroy(struct engine_redis *engine, struct tops_call *call) {
    for (size_t i = 0; i < call->n; i++) {
        redis_channels_unpin(engine->channels, call->channels[i].channel);
    }
    memory_free(call);
}

static void doubt(struct engine_redis *engine, const struct tops_call *call, const struct redis_channel *channel) {
    if (channel->n_holds > 0) {
        redis_gate_note_doubt(call->partition);
        engine->options.events->on_doubt(engine->options.context, redis_channel_name(channel));
    }
}

static void doubt_all(struct engine_redis *engine, const struct tops_call *call) {
    for (size_t i = 0; i < call->n; i++) {
        doubt(engine, call, call->channels[i].channel);
    }
}

/* Further than what was told, or not comparable. */
static bool is_ahead(const struct tops_channel *asked, const struct stand *stand) {
    const struct position *known = &asked->channel->known;
    return stand->state != '1' || !epoch_equal(&stand->top.epoch, &known->epoch) || stand->top.offset > known->offset;
}

/* Redis has forgotten what was known before it was asked, and nobody here has heard of it meanwhile. */
static bool is_forgotten(const struct tops_channel *asked, const struct stand *stand) {
    const struct position *known = &asked->known;
    bool is_news = epoch_equal(&known->epoch, &asked->channel->known.epoch);
    return is_news && !(epoch_equal(&stand->top.epoch, &known->epoch) && stand->top.offset >= known->offset);
}

static void compare(struct engine_redis *engine, const struct tops_call *call, struct span bytes) {
    struct cursor cursor = cursor_of(bytes);
    cursor_u8(&cursor);
    cursor_u64(&cursor);
    for (size_t i = 0; i < call->n; i++) {
        struct stand stand = {.state = cursor_u8(&cursor)};
        struct span text = cursor_bytes(&cursor, EPOCH_LENGTH);
        stand.top.offset = cursor_u64(&cursor);
        if (stand.state != '-') {
            stand.top.epoch = epoch_from(text);
        }
        if (call->reason == TOPS_QUIET ? is_forgotten(&call->channels[i], &stand)
                                       : is_ahead(&call->channels[i], &stand)) {
            doubt(engine, call, call->channels[i].channel);
        }
    }
}

static void send_call(struct engine_redis *engine, struct tops_call *call);

static void on_tops_reply(void *context, void *request, const struct redis_reply *reply) {
    struct engine_redis *engine = ((struct redis_node *) context)->engine;
    struct tops_call *call = request;
    if (!engine->is_closing) {
        struct span text = reply == NULL ? SPAN_EMPTY : redis_reply_string(reply);
        if (reply != NULL && reply->type == REDIS_ERROR && redis_error_classify(reply->text) == REDIS_ERROR_NO_SCRIPT &&
            !call->with_text && redis_node_is_up(call->partition->node)) {
            call->with_text = true;
            send_call(engine, call);
            return;
        }
        if (text.size == 9 + call->n * CHANNEL_REPLY_SIZE && text.data[0] == 'O') {
            compare(engine, call, text);
        } else if (call->reason == TOPS_AFTER_HOLE) {
            doubt_all(engine, call); /* cut, or not comparable: each is loaded; the order has gone on */
        }
    }
    call_destroy(engine, call);
}

static void send_call(struct engine_redis *engine, struct tops_call *call) {
    redis_link_t *link = call->partition->node->command;
    struct buffer *out = redis_link_out(link);
    struct span topic = span_of_text(call->partition->topic);
    redis_scripts_begin(engine->scripts, out, REDIS_SCRIPT_TOPS, call->with_text, 1 + call->n, 1);
    redis_request_parts(out, (const struct span[]){topic, SPAN_LITERAL(":p")}, 2);
    for (size_t i = 0; i < call->n; i++) {
        const struct span parts[] = {topic, SPAN_LITERAL(":m:"), redis_channel_name(call->channels[i].channel)};
        redis_request_parts(out, parts, 3);
    }
    redis_request_bytes(out, span_of(call->gen.text, PARTITION_GEN_LENGTH));
    redis_link_sent(link, on_tops_reply, call);
}

/* After a hole also one that was not told yet: its load may have been answered before what is missing was written. */
static bool is_asked(const struct redis_channel *channel, enum tops_reason reason) {
    return namespace_has_history(channel->options) &&
           (reason == TOPS_AFTER_HOLE || !epoch_is_empty(&channel->known.epoch));
}

/* Returns how many channels were asked for. */
static size_t ask(struct redis_partition *self, enum tops_reason reason) {
    struct engine_redis *engine = self->engine;
    struct list_link *link = self->held.next;
    size_t n_asked = 0;
    while (link != &self->held) {
        struct tops_call *call = memory_alloc_zero(sizeof *call + CHANNELS_A_CALL * sizeof(struct tops_channel));
        call->partition = self;
        call->gen = self->state.gen;
        call->reason = reason;
        for (; link != &self->held && call->n < CHANNELS_A_CALL; link = link->next) {
            struct redis_channel *channel = list_entry(link, struct redis_channel, held_link);
            if (is_asked(channel, reason)) {
                redis_channels_pin(engine->channels, redis_channel_name(channel));
                call->channels[call->n++] = (struct tops_channel){channel, channel->known};
            }
        }
        n_asked += call->n;
        if (call->n > 0) {
            send_call(engine, call);
        } else {
            memory_free(call);
        }
    }
    return n_asked;
}

void redis_tops_compare(struct redis_partition *self) {
    if (redis_node_is_up(self->node)) { /* else, coming back, the partition is compared anyway */
        ask(self, TOPS_AFTER_HOLE);
    }
}

/* Each partition once a second, a share of them with every tick, while the allowance lasts: one that has more channels
 * than is left of it takes from the ticks that follow. */
void redis_tops_tick(struct engine_redis *self) {
    self->compare_allowance += self->compared_channels;
    if (self->compare_allowance > self->compared_channels) {
        self->compare_allowance = self->compared_channels;
    }
    uint32_t share = (self->n_partitions + REDIS_TICKS_SECOND - 1) / REDIS_TICKS_SECOND;
    for (uint32_t i = 0; i < share && self->compare_allowance > 0; i++) {
        struct redis_partition *partition = &self->partitions[self->next_compared++ % self->n_partitions];
        bool may_ask = partition->state.phase == PARTITION_OPEN && redis_node_is_up(partition->node) &&
                       redis_link_has_room(partition->node->command);
        if (may_ask) {
            size_t n = ask(partition, TOPS_QUIET);
            self->compare_allowance -= (int64_t) n * REDIS_TICKS_SECOND;
            metric_add(self->metrics, REDIS_METRIC_COMPARED, n);
        }
    }
}
