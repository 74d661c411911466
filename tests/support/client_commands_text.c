/* See the header: every field that is not zero, in a fixed order. */
#include "tests/support/client_commands_text.h"

#include "base/memory.h"

static void tell_span(struct buffer *out, const char *name, struct span text) {
    if (text.size > 0) {
        buffer_append_format(out, " %s=", name);
        buffer_append_span(out, text);
    }
}

static void tell_number(struct buffer *out, const char *name, int64_t number) {
    if (number != 0) {
        buffer_append_format(out, " %s=%lld", name, (long long) number);
    }
}

static void tell_flag(struct buffer *out, const char *name, bool flag) {
    if (flag) {
        buffer_append_format(out, " %s", name);
    }
}

static void tell_offset(struct buffer *out, uint64_t offset) {
    if (offset != 0) {
        buffer_append_format(out, " offset=%llu", (unsigned long long) offset);
    }
}

static void tell_subscribe(struct buffer *out, const struct client_subscribe *subscribe) {
    tell_span(out, "channel", subscribe->channel);
    tell_span(out, "token", subscribe->token);
    tell_span(out, "data", subscribe->data);
    tell_flag(out, "recover", subscribe->recover);
    tell_flag(out, "positioned", subscribe->positioned);
    tell_flag(out, "recoverable", subscribe->recoverable);
    tell_flag(out, "join_leave", subscribe->join_leave);
    tell_span(out, "tf", subscribe->tag_filter.text);
    tell_span(out, "epoch", epoch_span(&subscribe->epoch));
    tell_offset(out, subscribe->offset);
    tell_span(out, "delta", subscribe->delta);
    tell_number(out, "flag", subscribe->flag);
    tell_number(out, "type", subscribe->type);
}

static void tell_history(struct buffer *out, const struct client_history *history) {
    tell_span(out, "channel", history->channel);
    tell_number(out, "limit", history->limit);
    tell_flag(out, "since", history->has_since);
    tell_span(out, "epoch", epoch_span(&history->since.epoch));
    tell_offset(out, history->since.offset);
    tell_flag(out, "reverse", history->reverse);
}

static void tell_connect(struct buffer *out, const struct client_connect *connect) {
    tell_span(out, "token", connect->token);
    tell_span(out, "data", connect->data);
    tell_span(out, "subs", connect->subs.text);
    tell_span(out, "name", connect->name);
    tell_span(out, "version", connect->version);
}

static void tell_command(struct buffer *out, const struct client_command *command) {
    static const char *const names[] = {
        [CLIENT_COMMAND_PONG] = "pong",
        [CLIENT_COMMAND_CONNECT] = "connect",
        [CLIENT_COMMAND_PING] = "ping",
        [CLIENT_COMMAND_SUBSCRIBE] = "subscribe",
        [CLIENT_COMMAND_UNSUBSCRIBE] = "unsubscribe",
        [CLIENT_COMMAND_PUBLISH] = "publish",
        [CLIENT_COMMAND_PRESENCE] = "presence",
        [CLIENT_COMMAND_PRESENCE_STATS] = "presence_stats",
        [CLIENT_COMMAND_HISTORY] = "history",
        [CLIENT_COMMAND_RPC] = "rpc",
        [CLIENT_COMMAND_SEND] = "send",
        [CLIENT_COMMAND_REFRESH] = "refresh",
        [CLIENT_COMMAND_SUB_REFRESH] = "sub_refresh",
    };
    buffer_append_format(out, "%u %s", command->id, names[command->kind]);
    switch (command->kind) {
    case CLIENT_COMMAND_PONG:
    case CLIENT_COMMAND_PING:
        return;
    case CLIENT_COMMAND_CONNECT:
        tell_connect(out, &command->body.connect);
        return;
    case CLIENT_COMMAND_SUBSCRIBE:
        tell_subscribe(out, &command->body.subscribe);
        return;
    case CLIENT_COMMAND_UNSUBSCRIBE:
    case CLIENT_COMMAND_PRESENCE:
    case CLIENT_COMMAND_PRESENCE_STATS:
        tell_span(out, "channel", command->body.channel);
        return;
    case CLIENT_COMMAND_PUBLISH:
        tell_span(out, "channel", command->body.publish.channel);
        tell_span(out, "data", command->body.publish.data);
        tell_number(out, "type", command->body.publish.type);
        tell_span(out, "idempotency_key", command->body.publish.key);
        return;
    case CLIENT_COMMAND_HISTORY:
        tell_history(out, &command->body.history);
        return;
    case CLIENT_COMMAND_RPC:
        tell_span(out, "method", command->body.rpc.method);
        tell_span(out, "data", command->body.rpc.data);
        return;
    case CLIENT_COMMAND_SEND:
        tell_span(out, "data", command->body.data);
        return;
    case CLIENT_COMMAND_REFRESH:
        tell_span(out, "token", command->body.token);
        return;
    case CLIENT_COMMAND_SUB_REFRESH:
        tell_span(out, "channel", command->body.sub_refresh.channel);
        tell_span(out, "token", command->body.sub_refresh.token);
        tell_number(out, "type", command->body.sub_refresh.type);
        return;
    }
}

char *client_commands_text(const struct client_codec *codec, struct span message) {
    uint8_t *exact = memory_alloc(message.size == 0 ? 1 : message.size);
    memcpy(exact, message.data, message.size);
    struct cursor cursor = cursor_of(span_of(exact, message.size));
    struct buffer out = BUFFER_EMPTY;
    struct buffer scratch = BUFFER_EMPTY;
    for (;;) {
        struct client_command command;
        buffer_clear(&scratch);
        enum client_decode_outcome outcome = codec->decode_next(&cursor, &scratch, &command);
        if (outcome == CLIENT_DECODE_END) {
            break;
        }
        buffer_append_text(&out, out.size > 0 ? " | " : "");
        if (outcome == CLIENT_DECODE_BAD) {
            buffer_append_text(&out, "BAD");
            break;
        }
        tell_command(&out, &command);
    }
    char *text = memory_strndup(out.data, out.size);
    buffer_finish(&out);
    buffer_finish(&scratch);
    memory_free(exact);
    return text;
}
