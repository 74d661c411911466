/* Commands in protobuf: delimited entries, judged by our scan, then unpacked by protobuf-c.
 *
 * Happy path: the scan finds the entry sound and says which requests it holds; the one that counts is unpacked alone,
 * into a block of the scratch buffer that the scan has measured, so nothing is allocated piece by piece and nothing
 * has to be freed. Spans point into that block. What JSON has as an object (connect.subs, the tags filter) is written
 * as that object, so that everything behind the codecs reads one form.
 *
 * Failure modes: all are the client's, and all have one answer, CLIENT_DECODE_BAD (3501): what the scan refuses, and a
 * command with an id and no request. Of a request that stands twice the last one counts. */
#include "gateway/protocol/client_protocol_protobuf.h"

#include "client_protocol.pb-c.h"

enum { ALIGNMENT = 16, ESCAPED_MAX = 6 /* of a byte in JSON */, JSON_OF_A_FIELD = 32 };

/* In the order in which one of several requests counts; the index is enum client_command_kind. */
static const uint8_t request_numbers[] = {
    [CLIENT_COMMAND_PONG] = 0,         [CLIENT_COMMAND_CONNECT] = 4,        [CLIENT_COMMAND_PING] = 11,
    [CLIENT_COMMAND_SUBSCRIBE] = 5,    [CLIENT_COMMAND_UNSUBSCRIBE] = 6,    [CLIENT_COMMAND_PUBLISH] = 7,
    [CLIENT_COMMAND_PRESENCE] = 8,     [CLIENT_COMMAND_PRESENCE_STATS] = 9, [CLIENT_COMMAND_HISTORY] = 10,
    [CLIENT_COMMAND_RPC] = 13,         [CLIENT_COMMAND_SEND] = 12,          [CLIENT_COMMAND_REFRESH] = 14,
    [CLIENT_COMMAND_SUB_REFRESH] = 15,
};
enum { N_REQUESTS = sizeof request_numbers / sizeof request_numbers[0] };

/* ---- protobuf-c's memory: the reserved part of the scratch buffer ---- */

static void *arena_alloc(void *context, size_t size) {
    struct buffer *scratch = context;
    size_t at = (scratch->size + ALIGNMENT - 1) & ~(size_t) (ALIGNMENT - 1);
    if (at > scratch->capacity || size > scratch->capacity - at) {
        return NULL;
    }
    scratch->size = at + size;
    return scratch->data + at;
}

static void arena_free(void *context, void *memory) {
    (void) context; /* it goes with the buffer */
    (void) memory;
}

static void *unpack(const ProtobufCMessageDescriptor *descriptor, struct span bytes, struct buffer *scratch) {
    ProtobufCAllocator arena = {arena_alloc, arena_free, scratch};
    return protobuf_c_message_unpack(descriptor, &arena, bytes.size, bytes.data);
}

static struct span span_of_bytes(ProtobufCBinaryData bytes) {
    return span_of(bytes.data, bytes.len);
}

static struct epoch epoch_of(const char *text) {
    return epoch_from(span_of_text(text));
}

/* ---- what JSON has as an object ---- */

static void begin_member(struct buffer *out, const char *name) {
    if (out->data[out->size - 1] != '{') {
        buffer_append_char(out, ',');
    }
    buffer_append_json_string(out, span_of_text(name));
    buffer_append_char(out, ':');
}

static void put_text_member(struct buffer *out, const char *name, const char *text) {
    if (text[0] != '\0') {
        begin_member(out, name);
        buffer_append_json_string(out, span_of_text(text));
    }
}

static void put_sub(struct buffer *out, const Client__SubsEntry *entry) {
    begin_member(out, entry->key);
    buffer_append_char(out, '{');
    if (entry->value != NULL) {
        if (entry->value->recover) {
            begin_member(out, "recover");
            buffer_append_text(out, "true");
        }
        put_text_member(out, "epoch", entry->value->epoch);
        if (entry->value->offset > 0) {
            begin_member(out, "offset");
            buffer_append_u64_decimal(out, entry->value->offset);
        }
    }
    buffer_append_char(out, '}');
}

static void put_filter(struct buffer *out, const Client__FilterNode *node) {
    buffer_append_char(out, '{');
    put_text_member(out, "op", node->op);
    put_text_member(out, "key", node->key);
    put_text_member(out, "cmp", node->cmp);
    put_text_member(out, "val", node->val);
    if (node->n_vals > 0) {
        begin_member(out, "vals");
        for (size_t i = 0; i < node->n_vals; i++) {
            buffer_append_char(out, i == 0 ? '[' : ',');
            buffer_append_json_string(out, span_of_text(node->vals[i]));
        }
        buffer_append_char(out, ']');
    }
    if (node->n_nodes > 0) {
        begin_member(out, "nodes");
        for (size_t i = 0; i < node->n_nodes; i++) {
            buffer_append_char(out, i == 0 ? '[' : ',');
            put_filter(out, node->nodes[i]);
        }
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, '}');
}

/* What was written since `at`. */
static struct json_value object_since(const struct buffer *scratch, size_t at) {
    return (struct json_value){.type = JSON_OBJECT, .text = span_of(scratch->data + at, scratch->size - at)};
}

static struct json_value object_of_subs(const Client__ConnectRequest *request, struct buffer *scratch) {
    size_t at = scratch->size;
    buffer_append_char(scratch, '{');
    for (size_t i = 0; i < request->n_subs; i++) {
        put_sub(scratch, request->subs[i]);
    }
    buffer_append_char(scratch, '}');
    return object_since(scratch, at);
}

static struct json_value object_of_filter(const Client__FilterNode *node, struct buffer *scratch) {
    size_t at = scratch->size;
    put_filter(scratch, node);
    return object_since(scratch, at);
}

/* ---- requests ---- */

static bool read_connect(struct span bytes, struct buffer *scratch, struct client_connect *ret) {
    const Client__ConnectRequest *request = unpack(&client__connect_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    ret->token = span_of_text(request->token);
    ret->data = span_of_bytes(request->data);
    ret->name = span_of_text(request->name);
    ret->version = span_of_text(request->version);
    if (request->n_subs > 0) {
        ret->subs = object_of_subs(request, scratch);
    }
    return true;
}

static bool read_subscribe(struct span bytes, struct buffer *scratch, struct client_subscribe *ret) {
    const Client__SubscribeRequest *request = unpack(&client__subscribe_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret = (struct client_subscribe){
        .channel = span_of_text(request->channel),
        .token = span_of_text(request->token),
        .data = span_of_bytes(request->data),
        .recover = request->recover != 0,
        .positioned = request->positioned != 0,
        .recoverable = request->recoverable != 0,
        .join_leave = request->join_leave != 0,
        .epoch = epoch_of(request->epoch),
        .offset = request->offset,
        .delta = span_of_text(request->delta),
        .flag = request->flag,
        .type = request->type,
    };
    if (request->tf != NULL) {
        ret->tag_filter = object_of_filter(request->tf, scratch);
    }
    return true;
}

static bool read_channel(struct span bytes, struct buffer *scratch, struct span *ret_channel) {
    const Client__ChannelRequest *request = unpack(&client__channel_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret_channel = span_of_text(request->channel);
    return true;
}

static bool read_publish(struct span bytes, struct buffer *scratch, struct client_publish *ret) {
    const Client__PublishRequest *request = unpack(&client__publish_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret = (struct client_publish){span_of_text(request->channel), span_of_bytes(request->data), request->type,
                                   span_of_text(request->idempotency_key)};
    return true;
}

static bool read_history(struct span bytes, struct buffer *scratch, struct client_history *ret) {
    const Client__HistoryRequest *request = unpack(&client__history_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    ret->channel = span_of_text(request->channel);
    ret->limit = request->limit;
    ret->reverse = request->reverse != 0;
    if (request->since != NULL) {
        ret->has_since = true;
        ret->since = (struct position){epoch_of(request->since->epoch), request->since->offset};
    }
    return true;
}

static bool read_rpc(struct span bytes, struct buffer *scratch, struct client_rpc *ret) {
    const Client__RPCRequest *request = unpack(&client__rpcrequest__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret = (struct client_rpc){.method = span_of_text(request->method), .data = span_of_bytes(request->data)};
    return true;
}

static bool read_send(struct span bytes, struct buffer *scratch, struct span *ret_data) {
    const Client__SendRequest *request = unpack(&client__send_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret_data = span_of_bytes(request->data);
    return true;
}

static bool read_refresh(struct span bytes, struct buffer *scratch, struct span *ret_token) {
    const Client__RefreshRequest *request = unpack(&client__refresh_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret_token = span_of_text(request->token);
    return true;
}

static bool read_sub_refresh(struct span bytes, struct buffer *scratch, struct client_sub_refresh *ret) {
    const Client__SubRefreshRequest *request = unpack(&client__sub_refresh_request__descriptor, bytes, scratch);
    if (request == NULL) {
        return false;
    }
    *ret = (struct client_sub_refresh){span_of_text(request->channel), span_of_text(request->token), request->type};
    return true;
}

static bool read_request(struct span bytes, struct buffer *scratch, struct client_command *command) {
    switch (command->kind) {
    case CLIENT_COMMAND_PONG:
    case CLIENT_COMMAND_PING:
        return true;
    case CLIENT_COMMAND_CONNECT:
        return read_connect(bytes, scratch, &command->body.connect);
    case CLIENT_COMMAND_SUBSCRIBE:
        return read_subscribe(bytes, scratch, &command->body.subscribe);
    case CLIENT_COMMAND_UNSUBSCRIBE:
    case CLIENT_COMMAND_PRESENCE:
    case CLIENT_COMMAND_PRESENCE_STATS:
        return read_channel(bytes, scratch, &command->body.channel);
    case CLIENT_COMMAND_PUBLISH:
        return read_publish(bytes, scratch, &command->body.publish);
    case CLIENT_COMMAND_HISTORY:
        return read_history(bytes, scratch, &command->body.history);
    case CLIENT_COMMAND_RPC:
        return read_rpc(bytes, scratch, &command->body.rpc);
    case CLIENT_COMMAND_SEND:
        return read_send(bytes, scratch, &command->body.data);
    case CLIENT_COMMAND_REFRESH:
        return read_refresh(bytes, scratch, &command->body.token);
    case CLIENT_COMMAND_SUB_REFRESH:
        return read_sub_refresh(bytes, scratch, &command->body.sub_refresh);
    }
    return false;
}

/* ---- the envelope ---- */

/* Without an id only `send` counts. N_REQUESTS: an id, but nothing asked for. */
static size_t first_request(const struct client_protobuf_command *command) {
    if (command->id == 0) {
        bool sends = command->requests[request_numbers[CLIENT_COMMAND_SEND]].data != NULL;
        return sends ? CLIENT_COMMAND_SEND : CLIENT_COMMAND_PONG;
    }
    size_t kind = CLIENT_COMMAND_CONNECT;
    while (kind < N_REQUESTS && command->requests[request_numbers[kind]].data == NULL) {
        kind++;
    }
    return kind;
}

/* The objects written behind the unpacked parts: every byte escaped, every field with its punctuation. */
static size_t room_of_objects(size_t kind, struct span bytes) {
    bool may_have_one = kind == CLIENT_COMMAND_CONNECT || kind == CLIENT_COMMAND_SUBSCRIBE;
    size_t fields = bytes.size / 2 < CLIENT_PROTOBUF_FIELDS_MAX ? bytes.size / 2 : CLIENT_PROTOBUF_FIELDS_MAX;
    return may_have_one ? ESCAPED_MAX * bytes.size + JSON_OF_A_FIELD * (fields + 1) : 0;
}

static bool decode_command(struct span entry, struct buffer *scratch, struct client_command *ret_command) {
    struct client_protobuf_command command;
    if (!client_protobuf_scan(entry, &command)) {
        return false;
    }
    size_t kind = first_request(&command);
    if (kind == N_REQUESTS) {
        return false;
    }
    *ret_command = (struct client_command){.id = command.id, .kind = (enum client_command_kind) kind};
    struct span bytes = command.requests[request_numbers[kind]];
    /* Reserved at once: nothing moves while spans point into it. */
    return buffer_reserve(scratch, ALIGNMENT + command.room + room_of_objects(kind, bytes)) &&
           read_request(bytes, scratch, ret_command);
}

enum client_decode_outcome client_protobuf_decode_next(struct cursor *message, struct buffer *scratch,
                                                       struct client_command *ret_command) {
    struct span entry;
    if (message->left == 0) {
        return CLIENT_DECODE_END;
    }
    if (!client_protobuf_next_entry(message, &entry)) {
        return CLIENT_DECODE_BAD;
    }
    return decode_command(entry, scratch, ret_command) ? CLIENT_DECODE_OK : CLIENT_DECODE_BAD;
}
