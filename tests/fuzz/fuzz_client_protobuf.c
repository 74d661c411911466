/* Any bytes as a message of a protobuf client's: decoded command by command, nothing is read outside of the message,
 * what is handed out lies in the message or the scratch buffer, text is text, what is written as JSON is JSON, and
 * protobuf-c never finds the block too small that our scan measured for it. */
#include <stdlib.h>

#include "base/utf8.h"
#include "gateway/protocol/client_protocol_protobuf.h"

#include "client_protocol.pb-c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds) {
    if (!holds) {
        abort();
    }
}

static void require_bytes(struct span part, const struct buffer *scratch) {
    require(part.size == 0 || (part.data >= scratch->data && part.data + part.size <= scratch->data + scratch->size));
}

static void require_text(struct span text, const struct buffer *scratch) {
    require_bytes(text, scratch);
    require(utf8_is_valid(text));
    require(text.size == 0 || memchr(text.data, 0, text.size) == NULL);
}

static void require_object(struct json_value object, const struct buffer *scratch) {
    const struct json_limits limits = {32, 0xffffffffU, 0xffffffffU};
    struct json_value value;
    if (object.type != JSON_NONE) {
        require_bytes(object.text, scratch);
        require(json_scan(object.text, &limits, &value, NULL) == JSON_OK && value.type == JSON_OBJECT);
    }
}

static void examine(const struct client_command *command, const struct buffer *scratch) {
    switch (command->kind) {
    case CLIENT_COMMAND_PONG:
    case CLIENT_COMMAND_PING:
        return;
    case CLIENT_COMMAND_CONNECT:
        require_text(command->body.connect.token, scratch);
        require_text(command->body.connect.name, scratch);
        require_text(command->body.connect.version, scratch);
        require_bytes(command->body.connect.data, scratch);
        require_object(command->body.connect.subs, scratch);
        return;
    case CLIENT_COMMAND_SUBSCRIBE:
        require_text(command->body.subscribe.channel, scratch);
        require_text(command->body.subscribe.token, scratch);
        require_text(command->body.subscribe.delta, scratch);
        require_bytes(command->body.subscribe.data, scratch);
        require_object(command->body.subscribe.tag_filter, scratch);
        return;
    case CLIENT_COMMAND_UNSUBSCRIBE:
    case CLIENT_COMMAND_PRESENCE:
    case CLIENT_COMMAND_PRESENCE_STATS:
        require_text(command->body.channel, scratch);
        return;
    case CLIENT_COMMAND_PUBLISH:
        require_text(command->body.publish.channel, scratch);
        require_bytes(command->body.publish.data, scratch);
        require_text(command->body.publish.key, scratch);
        return;
    case CLIENT_COMMAND_HISTORY:
        require_text(command->body.history.channel, scratch);
        return;
    case CLIENT_COMMAND_RPC:
        require_text(command->body.rpc.method, scratch);
        require_bytes(command->body.rpc.data, scratch);
        return;
    case CLIENT_COMMAND_SEND:
        require_bytes(command->body.data, scratch);
        return;
    case CLIENT_COMMAND_REFRESH:
        require_text(command->body.token, scratch);
        return;
    case CLIENT_COMMAND_SUB_REFRESH:
        require_text(command->body.sub_refresh.channel, scratch);
        require_text(command->body.sub_refresh.token, scratch);
        return;
    }
    abort(); /* no kind of ours */
}

/* What the scan passes, protobuf-c takes too, with all the memory it wants; and so did decoding. */
static void require_agreement(struct cursor before, enum client_decode_outcome outcome) {
    struct span entry;
    struct client_protobuf_command scanned;
    if (!client_protobuf_next_entry(&before, &entry) || !client_protobuf_scan(entry, &scanned)) {
        require(outcome == CLIENT_DECODE_BAD);
        return;
    }
    Client__Command *command = client__command__unpack(NULL, entry.size, entry.data);
    bool asks = false;
    for (size_t i = 0; i <= CLIENT_PROTOBUF_REQUEST_MAX; i++) {
        asks = asks || scanned.requests[i].data != NULL;
    }
    require(command != NULL && command->id == scanned.id);
    require((outcome == CLIENT_DECODE_OK) == (asks || scanned.id == 0));
    client__command__free_unpacked(command, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cursor cursor = cursor_of(span_of(data, size));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    size_t left = size + 1;
    for (;;) {
        buffer_clear(&scratch);
        require(cursor.left < left); /* every call makes way */
        left = cursor.left;
        struct cursor before = cursor;
        enum client_decode_outcome outcome = client_codec_protobuf.decode_next(&cursor, &scratch, &command);
        if (outcome != CLIENT_DECODE_END) {
            require_agreement(before, outcome);
        }
        if (outcome != CLIENT_DECODE_OK) {
            break;
        }
        examine(&command, &scratch);
    }
    buffer_finish(&scratch);
    return 0;
}
