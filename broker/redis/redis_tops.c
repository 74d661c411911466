/* Which held channels of a partition missed something? Asked after a batch that never came. One call for up to 256
 * channels reads where they stand in Redis; those that are further than what was told, or of another epoch, are told to
 * the shard as doubtful, and it loads them. */
#include "broker/redis/engine_redis_parts.h"

#include "base/memory.h"
#include "broker/redis/link/redis_request.h"

enum { CHANNELS_A_CALL = 256 };

struct tops_call {
    struct redis_partition *partition;
    struct partition_gen gen;
    bool with_text;
    size_t n;
    struct redis_channel *channels[]; /* pinned */
};

static void call_destroy(struct engine_redis *engine, struct tops_call *call) {
    for (size_t i = 0; i < call->n; i++) {
        redis_channels_unpin(engine->channels, call->channels[i]);
    }
    memory_free(call);
}

static void doubt_all(struct engine_redis *engine, const struct tops_call *call) {
    for (size_t i = 0; i < call->n; i++) {
        if (call->channels[i]->n_holds > 0) {
            redis_gate_note_doubt(call->partition);
            engine->options.events->on_doubt(engine->options.context, redis_channel_name(call->channels[i]));
        }
    }
}

static void compare(struct engine_redis *engine, const struct tops_call *call, struct span bytes) {
    struct cursor cursor = cursor_of(bytes);
    cursor_u8(&cursor);
    cursor_u64(&cursor);
    for (size_t i = 0; i < call->n; i++) {
        const struct redis_channel *channel = call->channels[i];
        struct span text = cursor_bytes(&cursor, EPOCH_LENGTH);
        uint64_t top = cursor_u64(&cursor);
        struct epoch epoch = text.size == 0 || text.data[0] == '\0' ? (struct epoch){{0}} : epoch_from(text);
        bool is_told = epoch_equal(&epoch, &channel->known.epoch) && top <= channel->known.offset;
        if (!is_told && channel->n_holds > 0) {
            redis_gate_note_doubt(call->partition);
            engine->options.events->on_doubt(engine->options.context, redis_channel_name(channel));
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
        if (text.size == 9 + call->n * (EPOCH_LENGTH + 8) && text.data[0] == 'O') {
            compare(engine, call, text);
        } else {
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
        const struct span parts[] = {topic, SPAN_LITERAL(":m:"), redis_channel_name(call->channels[i])};
        redis_request_parts(out, parts, 3);
    }
    redis_request_bytes(out, span_of(call->gen.text, PARTITION_GEN_LENGTH));
    redis_link_sent(link, on_tops_reply, call);
}

/* Also one that was not told yet: its load may have been answered before what is missing was written. */
static bool has_positions(const struct redis_channel *channel) {
    return namespace_has_history(channel->options);
}

void redis_tops_compare(struct redis_partition *self) {
    struct engine_redis *engine = self->engine;
    if (!redis_node_is_up(self->node)) {
        return; /* coming back, the partition is compared anyway */
    }
    struct list_link *link = self->held.next;
    while (link != &self->held) {
        struct tops_call *call = memory_alloc_zero(sizeof *call + CHANNELS_A_CALL * sizeof(struct redis_channel *));
        call->partition = self;
        call->gen = self->state.gen;
        for (; link != &self->held && call->n < CHANNELS_A_CALL; link = link->next) {
            struct redis_channel *channel = list_entry(link, struct redis_channel, held_link);
            if (has_positions(channel)) {
                call->channels[call->n++] = redis_channels_pin(engine->channels, redis_channel_name(channel));
            }
        }
        if (call->n > 0) {
            send_call(engine, call);
        } else {
            memory_free(call);
        }
    }
}
