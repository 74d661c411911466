/* Any bytes as a message of a client's: decoded command by command, nothing is read outside of the message, what is
 * handed out lies in the message or the scratch buffer, and payloads are valid JSON on one line. */
#include <stdlib.h>

#include "base/utf8.h"
#include "gateway/protocol/client_protocol_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static bool lies_in(struct span part, struct span whole) {
    return part.size == 0 || (part.data >= whole.data && part.data + part.size <= whole.data + whole.size);
}

static void require_payload(struct span payload, struct span message) {
    const struct json_limits limits = {CLIENT_JSON_DEPTH_MAX, 0xffffffffU, 0xffffffffU};
    struct json_value value;
    if (payload.size == 0) {
        return;
    }
    require(lies_in(payload, message));
    require(json_scan(payload, &limits, &value, NULL) == JSON_OK && span_equal(value.text, payload));
    require(memchr(payload.data, '\n', payload.size) == NULL);

    struct buffer out = BUFFER_EMPTY;
    struct wire_publication publication = {.offset = 1, .data = payload};
    client_codec_json.encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL,
                                              NULL);
    const struct json_limits deeper = {CLIENT_JSON_DEPTH_MAX + 3, 0xffffffffU, 0xffffffffU};
    require(json_scan(buffer_span(&out), &deeper, &value, NULL) == JSON_OK);
    require(memchr(out.data, '\n', out.size) == NULL && memchr(out.data, '\r', out.size) == NULL);
    buffer_finish(&out);
}

static void require_text(struct span text, struct span message, const struct buffer *scratch) {
    require(lies_in(text, message) || lies_in(text, buffer_span(scratch)));
    require(utf8_is_valid(text));
    require(text.size == 0 || memchr(text.data, 0, text.size) == NULL);
}

static void examine(const struct client_command *command, struct span message, const struct buffer *scratch) {
    switch (command->kind) {
    case CLIENT_COMMAND_PONG:
    case CLIENT_COMMAND_PING:
        return;
    case CLIENT_COMMAND_CONNECT:
        require_text(command->body.connect.token, message, scratch);
        require_text(command->body.connect.name, message, scratch);
        require_text(command->body.connect.version, message, scratch);
        require_payload(command->body.connect.data, message);
        require_payload(command->body.connect.subs.text, message);
        return;
    case CLIENT_COMMAND_SUBSCRIBE:
        require_text(command->body.subscribe.channel, message, scratch);
        require_text(command->body.subscribe.token, message, scratch);
        require_text(command->body.subscribe.delta, message, scratch);
        require_payload(command->body.subscribe.data, message);
        return;
    case CLIENT_COMMAND_UNSUBSCRIBE:
    case CLIENT_COMMAND_PRESENCE:
    case CLIENT_COMMAND_PRESENCE_STATS:
        require_text(command->body.channel, message, scratch);
        return;
    case CLIENT_COMMAND_PUBLISH:
        require_text(command->body.publish.channel, message, scratch);
        require_payload(command->body.publish.data, message);
        require_text(command->body.publish.key, message, scratch);
        return;
    case CLIENT_COMMAND_HISTORY:
        require_text(command->body.history.channel, message, scratch);
        return;
    case CLIENT_COMMAND_RPC:
        require_text(command->body.rpc.method, message, scratch);
        require_payload(command->body.rpc.data, message);
        return;
    case CLIENT_COMMAND_SEND:
        require_payload(command->body.data, message);
        return;
    case CLIENT_COMMAND_REFRESH:
        require_text(command->body.token, message, scratch);
        return;
    case CLIENT_COMMAND_SUB_REFRESH:
        require_text(command->body.sub_refresh.channel, message, scratch);
        require_text(command->body.sub_refresh.token, message, scratch);
        return;
    }
    abort(); /* no kind of ours */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span message = span_of(data, size);
    struct cursor cursor = cursor_of(message);
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    size_t left = size + 1;
    for (;;) {
        buffer_clear(&scratch);
        require(cursor.left < left); /* every call makes way */
        left = cursor.left;
        if (client_codec_json.decode_next(&cursor, &scratch, &command) != CLIENT_DECODE_OK) {
            break;
        }
        examine(&command, message, &scratch);
    }
    buffer_finish(&scratch);
    return 0;
}
