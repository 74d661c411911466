/* See the header. */
#include "tests/support/delta_apply.h"

#include "base/utf8.h"

static bool read_number(struct cursor *cursor, uint64_t *ret_value) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~";
    uint64_t value = 0;
    unsigned n = 0;
    for (; cursor->left > 0; n++) {
        const char *digit = cursor->at[0] == 0 ? NULL : strchr(digits, cursor->at[0]);
        if (digit == NULL) {
            break;
        }
        value = value * 64 + (uint64_t) (digit - digits);
        cursor_u8(cursor);
    }
    *ret_value = value;
    return n > 0;
}

static uint32_t checksum(struct span bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes.size; i += 4) {
        uint32_t word = 0;
        for (size_t j = 0; j < 4; j++) {
            word = word << 8 | (i + j < bytes.size ? bytes.data[i + j] : 0U);
        }
        sum += word;
    }
    return sum;
}

struct command {
    uint64_t number;
    uint8_t kind;
    uint64_t offset;      /* of a copy */
    struct span inserted; /* of an insert */
};

static bool read_command(struct cursor *cursor, struct command *ret_command) {
    *ret_command = (struct command){.number = 0};
    if (!read_number(cursor, &ret_command->number)) {
        return false;
    }
    ret_command->kind = cursor_u8(cursor);
    if (ret_command->kind == '@') {
        return read_number(cursor, &ret_command->offset) && cursor_u8(cursor) == ',';
    }
    if (ret_command->kind == ':') {
        ret_command->inserted = cursor_bytes(cursor, (size_t) ret_command->number);
        return !cursor->failed;
    }
    return ret_command->kind == ';';
}

bool delta_apply(struct span base, struct span patch, struct buffer *ret_target) {
    struct cursor cursor = cursor_of(patch);
    uint64_t size = 0;
    struct command command;
    buffer_clear(ret_target);
    if (!read_number(&cursor, &size) || cursor_u8(&cursor) != '\n') {
        return false;
    }
    while (read_command(&cursor, &command)) {
        if (command.kind == ';') {
            return ret_target->size == size && command.number == checksum(buffer_span(ret_target)) &&
                   cursor_is_done(&cursor);
        }
        if (command.kind == '@' && (command.offset > base.size || command.number > base.size - command.offset)) {
            return false;
        }
        buffer_append_span(ret_target, command.kind == '@'
                                           ? span_of(base.data + command.offset, (size_t) command.number)
                                           : command.inserted);
    }
    return false;
}

bool delta_inserts_are_text(struct span patch) {
    struct cursor cursor = cursor_of(patch);
    uint64_t size = 0;
    struct command command;
    if (!read_number(&cursor, &size) || cursor_u8(&cursor) != '\n') {
        return false;
    }
    while (read_command(&cursor, &command) && command.kind != ';') {
        if (!utf8_is_valid(command.inserted)) {
            return false;
        }
    }
    return true;
}
