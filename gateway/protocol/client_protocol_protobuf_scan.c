/* Judges a command's bytes before protobuf-c unpacks them, because protobuf-c bounds neither depth nor counts and
 * copies unknown fields (security.md S24).
 *
 * The scan walks every field once, along protobuf-c's own descriptors, so that it knows which bytes are a message,
 * which are text and which are neither. What it has passed, protobuf-c can unpack in a block of `room` bytes.
 *
 * Failure modes: one answer to all of them, false (the client is closed with 3501): a varint of more than ten bytes or
 * more than 64 bits; a length beyond what is left; a field number that is none; a field of ours with another wire type;
 * groups (out of use since proto2) and fixed numbers that are cut off; text that is not UTF-8 or holds U+0000; more
 * than CLIENT_PROTOBUF_DEPTH_MAX levels or the counts of the header. */
#include "gateway/protocol/client_protocol_protobuf.h"

#include "base/utf8.h"

#include "client_protocol.pb-c.h"

enum wire_type { VARINT = 0, FIXED_64 = 1, LENGTH_DELIMITED = 2, FIXED_32 = 5 };
enum {
    KINDS = 24,             /* fields that are counted; more than the schema has */
    ROOM_OF_A_FIELD = 160,  /* protobuf-c's notes of one while it unpacks, its slot in an array, alignment */
    ROOM_OF_A_MESSAGE = 640 /* its struct is on top; arrays that are put together where it stands twice */
};
enum emulation_field { EMULATION_NODE = 1, EMULATION_SESSION = 2, EMULATION_DATA = 3 };
#define FIELD_NUMBER_MAX ((uint64_t) (1 << 29) - 1)

struct count {
    const ProtobufCFieldDescriptor *field;
    unsigned n;
};

struct scan {
    struct count counts[KINDS];
    unsigned n_fields;
    unsigned n_unknown;
    size_t room;
};

static bool read_varint(struct cursor *cursor, uint64_t *ret_value) {
    uint64_t value = 0;
    for (unsigned i = 0; i < CLIENT_PROTOBUF_VARINT_MAX; i++) {
        uint8_t byte = cursor_u8(cursor);
        if (cursor->failed || (i == CLIENT_PROTOBUF_VARINT_MAX - 1 && byte > 1)) {
            return false;
        }
        value |= (uint64_t) (byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static bool read_sized(struct cursor *cursor, struct span *ret_bytes) {
    uint64_t size = 0;
    if (!read_varint(cursor, &size) || size > cursor->left) {
        return false;
    }
    *ret_bytes = cursor_bytes(cursor, (size_t) size);
    return true;
}

bool client_protobuf_next_entry(struct cursor *message, struct span *ret_entry) {
    return read_sized(message, ret_entry);
}

/* One field as it stands. */
struct field_value {
    uint32_t number;
    uint8_t wire_type;
    uint64_t value;    /* VARINT */
    struct span bytes; /* LENGTH_DELIMITED */
};

static bool read_field(struct cursor *cursor, struct field_value *ret_field) {
    uint64_t tag = 0;
    if (!read_varint(cursor, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        return false;
    }
    *ret_field = (struct field_value){.number = (uint32_t) (tag >> 3), .wire_type = (uint8_t) (tag & 7)};
    switch (ret_field->wire_type) {
    case VARINT:
        return read_varint(cursor, &ret_field->value);
    case LENGTH_DELIMITED:
        return read_sized(cursor, &ret_field->bytes);
    case FIXED_64:
        cursor_bytes(cursor, 8);
        return !cursor->failed;
    case FIXED_32:
        cursor_bytes(cursor, 4);
        return !cursor->failed;
    default:
        return false;
    }
}

static unsigned most_of(const ProtobufCFieldDescriptor *field) {
    bool is_of_subs = field->descriptor == &client__subs_entry__descriptor ||
                      (field->descriptor == &client__subscribe_request__descriptor && field->id == 2);
    return is_of_subs ? CLIENT_PROTOBUF_SUBS_MAX : CLIENT_PROTOBUF_REPEATED_MAX;
}

static bool count(struct scan *self, const ProtobufCFieldDescriptor *field) {
    struct count *place = self->counts;
    while (place->field != NULL && place->field != field) {
        if (++place == self->counts + KINDS) {
            return false;
        }
    }
    place->field = field;
    return ++place->n <= most_of(field);
}

static bool scan_message(struct scan *self, struct span bytes, const ProtobufCMessageDescriptor *descriptor,
                         unsigned depth, struct client_protobuf_command *ret_command);

static bool scan_known(struct scan *self, const struct field_value *value, const ProtobufCFieldDescriptor *field,
                       unsigned depth) {
    bool is_delimited = field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES ||
                        field->type == PROTOBUF_C_TYPE_MESSAGE;
    if (value->wire_type != (is_delimited ? LENGTH_DELIMITED : VARINT)) {
        return false;
    }
    if ((field->label == PROTOBUF_C_LABEL_REPEATED || field->type == PROTOBUF_C_TYPE_MESSAGE) && !count(self, field)) {
        return false;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        bool has_nul = value->bytes.size > 0 && memchr(value->bytes.data, 0, value->bytes.size) != NULL;
        return !has_nul && utf8_is_valid(value->bytes);
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *descriptor = field->descriptor;
        self->room += ROOM_OF_A_MESSAGE + descriptor->sizeof_message;
        return scan_message(self, value->bytes, descriptor, depth + 1, NULL);
    }
    return true;
}

static void note_request(struct client_protobuf_command *command, const struct field_value *value) {
    static const uint8_t empty;
    if (value->number == 1) {
        command->id = (uint32_t) value->value;
    } else if (value->number <= CLIENT_PROTOBUF_REQUEST_MAX) {
        command->requests[value->number] = value->bytes.size == 0 ? span_of(&empty, 0) : value->bytes;
    }
}

static bool scan_message(struct scan *self, struct span bytes, const ProtobufCMessageDescriptor *descriptor,
                         unsigned depth, struct client_protobuf_command *ret_command) {
    if (depth > CLIENT_PROTOBUF_DEPTH_MAX) {
        return false;
    }
    struct cursor cursor = cursor_of(bytes);
    while (cursor.left > 0) {
        struct field_value value;
        if (++self->n_fields > CLIENT_PROTOBUF_FIELDS_MAX || !read_field(&cursor, &value)) {
            return false;
        }
        self->room += ROOM_OF_A_FIELD + value.bytes.size;
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(descriptor, value.number);
        if (field == NULL ? ++self->n_unknown > CLIENT_PROTOBUF_UNKNOWN_MAX : !scan_known(self, &value, field, depth)) {
            return false;
        }
        if (field != NULL && ret_command != NULL) {
            note_request(ret_command, &value);
        }
    }
    return true;
}

bool client_protobuf_scan(struct span entry, struct client_protobuf_command *ret_command) {
    struct scan scan = {.room = 0};
    *ret_command = (struct client_protobuf_command){.id = 0};
    if (!scan_message(&scan, entry, &client__command__descriptor, 1, ret_command)) {
        return false;
    }
    ret_command->room = scan.room;
    return true;
}

bool client_protobuf_read_emulation(struct span body, struct span *ret_session, struct span *ret_node,
                                    struct span *ret_data) {
    struct span parts[EMULATION_DATA + 1] = {SPAN_EMPTY};
    struct cursor cursor = cursor_of(body);
    for (unsigned n = 0; cursor.left > 0; n++) {
        struct field_value field;
        if (n == CLIENT_PROTOBUF_UNKNOWN_MAX || !read_field(&cursor, &field)) {
            return false;
        }
        if (field.number <= EMULATION_DATA) {
            if (field.wire_type != LENGTH_DELIMITED) {
                return false;
            }
            parts[field.number] = field.bytes;
        }
    }
    *ret_node = parts[EMULATION_NODE];
    *ret_session = parts[EMULATION_SESSION];
    *ret_data = parts[EMULATION_DATA];
    return true;
}
