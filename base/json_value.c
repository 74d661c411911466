/* What judged values say: strings decoded, names compared as they are once decoded, integers.
 *
 * Hardly a string has an escape: it is handed out as it stands, and compared by size first. */
#include "base/check.h"
#include "base/json_parts.h"

enum { NAMES_COMPARED = 64 /* held at once when looking for duplicates */ };

/* ---- strings ---- */

static struct span without_quotes(struct json_value string) {
    if (string.type != JSON_STRING || string.text.size < 2) {
        return SPAN_EMPTY;
    }
    return span_of(string.text.data + 1, string.text.size - 2);
}

bool json_plain_string(struct json_value string, struct span *ret_text) {
    struct span inside = without_quotes(string);
    if (string.type != JSON_STRING || (inside.size > 0 && memchr(inside.data, '\\', inside.size) != NULL)) {
        return false;
    }
    *ret_text = inside;
    return true;
}

static uint8_t simple_escape(uint8_t letter) {
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter; /* quote, backslash, slash */
    }
}

/* The judged escape at `at`, as UTF-8; returns what is behind it. */
static const uint8_t *decode_escape(const uint8_t *at, const uint8_t *end, uint8_t out[4], size_t *ret_size) {
    check(end - at >= 2, "an escape that was not judged");
    if (at[1] != 'u') {
        out[0] = simple_escape(at[1]);
        *ret_size = 1;
        return at + 2;
    }
    int32_t unit = json_hex_unit(at + 2, end);
    check(unit >= 0, "an escape that was not judged");
    uint32_t character = (uint32_t) unit;
    at += 6;
    if (json_is_high_surrogate(unit)) {
        int32_t second = end - at >= 6 ? json_hex_unit(at + 2, end) : -1;
        check(json_is_low_surrogate(second), "a surrogate pair that was not judged");
        character = 0x10000U + ((character - 0xD800U) << 10) + ((uint32_t) second - 0xDC00U);
        at += 6;
    }
    *ret_size = utf8_encode(character, out);
    return at;
}

/* Hands out a judged string piece by piece: long runs as they stand, escapes decoded into `decoded`. */
struct string_reader {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t decoded[4];
};

static struct string_reader read_string(struct json_value string) {
    struct span inside = without_quotes(string);
    return (struct string_reader){.at = inside.data, .end = inside.size == 0 ? inside.data : inside.data + inside.size};
}

static bool next_piece(struct string_reader *self, struct span *ret_piece) {
    if (self->at == self->end) {
        return false;
    }
    if (*self->at == '\\') {
        size_t size;
        self->at = decode_escape(self->at, self->end, self->decoded, &size);
        *ret_piece = span_of(self->decoded, size);
        return true;
    }
    const uint8_t *backslash = memchr(self->at, '\\', (size_t) (self->end - self->at));
    const uint8_t *behind = backslash == NULL ? self->end : backslash;
    *ret_piece = span_of(self->at, (size_t) (behind - self->at));
    self->at = behind;
    return true;
}

bool json_decode_string(struct json_value string, struct buffer *out) {
    if (string.type != JSON_STRING) {
        return false;
    }
    size_t size_before = out->size;
    struct string_reader reader = read_string(string);
    struct span piece;
    while (next_piece(&reader, &piece)) {
        bool is_nul = piece.size == 1 && piece.data[0] == 0;
        if (is_nul || !buffer_append_span(out, piece)) {
            out->size = size_before;
            return false;
        }
    }
    return !out->overflow;
}

/* ---- names ---- */

static bool is_name_with_escapes(struct json_value name, struct span text) {
    struct string_reader reader = read_string(name);
    struct span piece;
    while (next_piece(&reader, &piece)) {
        if (!span_starts_with(text, piece)) {
            return false;
        }
        text = span_of(text.data + piece.size, text.size - piece.size);
    }
    return text.size == 0;
}

/* Escapes only make a name longer, and hardly a name has any: the sizes tell most names apart. */
static bool is_name(struct json_value name, struct span text) {
    if (name.type != JSON_STRING || name.text.size < text.size + 2) {
        return false;
    }
    if (name.text.size == text.size + 2) {
        return memcmp(name.text.data + 1, text.data, text.size) == 0;
    }
    return memchr(name.text.data, '\\', name.text.size) != NULL && is_name_with_escapes(name, text);
}

bool json_name_is(struct json_value name, const char *text) {
    return is_name(name, span_of_text(text));
}

struct json_value json_member(struct json_value object, const char *name) {
    struct json_value found = JSON_ABSENT;
    if (object.type != JSON_OBJECT) {
        return found;
    }
    struct json_iterator iterator = json_iterate(object);
    struct json_value member_name;
    struct json_value value;
    while (json_next(&iterator, &member_name, &value)) {
        if (json_name_is(member_name, name)) {
            found = value;
        }
    }
    return found;
}

void json_members(struct json_value object, const struct span *names, size_t n, struct json_value *ret_values) {
    for (size_t i = 0; i < n; i++) {
        ret_values[i] = JSON_ABSENT;
    }
    if (object.type != JSON_OBJECT) {
        return;
    }
    struct json_iterator iterator = json_iterate(object);
    struct json_value name;
    struct json_value value;
    while (json_next(&iterator, &name, &value)) {
        for (size_t i = 0; i < n; i++) {
            if (is_name(name, names[i])) {
                ret_values[i] = value;
                break;
            }
        }
    }
}

static bool next_byte(struct string_reader *reader, struct span *piece, uint8_t *ret_byte) {
    if (piece->size == 0 && !next_piece(reader, piece)) {
        return false;
    }
    *ret_byte = piece->data[0];
    *piece = span_of(piece->data + 1, piece->size - 1);
    return true;
}

/* Equal once decoded. */
static bool names_are_equal(struct json_value a, struct json_value b) {
    struct span plain_a;
    struct span plain_b;
    if (json_plain_string(a, &plain_a) && json_plain_string(b, &plain_b)) {
        return span_equal(plain_a, plain_b);
    }
    struct string_reader reader_a = read_string(a);
    struct string_reader reader_b = read_string(b);
    struct span piece_a = SPAN_EMPTY;
    struct span piece_b = SPAN_EMPTY;
    for (;;) {
        uint8_t byte_a;
        uint8_t byte_b;
        bool has_a = next_byte(&reader_a, &piece_a, &byte_a);
        bool has_b = next_byte(&reader_b, &piece_b, &byte_b);
        if (!has_a || !has_b) {
            return has_a == has_b;
        }
        if (byte_a != byte_b) {
            return false;
        }
    }
}

static bool holds_name(const struct json_value *names, size_t n, struct json_value name) {
    for (size_t i = 0; i < n; i++) {
        if (names_are_equal(names[i], name)) {
            return true;
        }
    }
    return false;
}

/* Compares one block of names with all behind it, so an object within the usual limits is walked once. */
bool json_has_duplicate_names(struct json_value object) {
    if (object.type != JSON_OBJECT) {
        return false;
    }
    struct json_value names[NAMES_COMPARED];
    struct json_value name;
    struct json_value value;
    struct json_iterator block = json_iterate(object);
    for (;;) {
        size_t n = 0;
        while (n < NAMES_COMPARED && json_next(&block, &name, &value)) {
            if (holds_name(names, n, name)) {
                return true;
            }
            names[n++] = name;
        }
        if (n < NAMES_COMPARED) {
            return false;
        }
        struct json_iterator behind = block;
        while (json_next(&behind, &name, &value)) {
            if (holds_name(names, n, name)) {
                return true;
            }
        }
    }
}

bool json_has_duplicate_names_inside(struct json_value value) {
    if (value.type != JSON_OBJECT && value.type != JSON_ARRAY) {
        return false;
    }
    if (value.type == JSON_OBJECT && json_has_duplicate_names(value)) {
        return true;
    }
    struct json_iterator iterator = json_iterate(value);
    struct json_value name;
    struct json_value member;
    while (json_next(&iterator, &name, &member)) {
        if (json_has_duplicate_names_inside(member)) { /* as deep as json_scan allowed */
            return true;
        }
    }
    return false;
}

/* ---- numbers and the rest ---- */

bool json_to_u64(struct json_value number, uint64_t *ret_value) {
    return number.type == JSON_NUMBER && span_parse_u64(number.text, ret_value);
}

bool json_to_i64(struct json_value number, int64_t *ret_value) {
    if (number.type != JSON_NUMBER || number.text.size == 0) {
        return false;
    }
    bool is_negative = number.text.data[0] == '-';
    struct span digits = number.text;
    if (is_negative) {
        digits = span_of(digits.data + 1, digits.size - 1);
    }
    uint64_t amount;
    if (!span_parse_u64(digits, &amount) || amount > (uint64_t) INT64_MAX + is_negative ||
        (is_negative && amount == 0)) {
        return false;
    }
    /* Negated as -(n - 1) - 1, so that the smallest integer does not overflow on its way. */
    *ret_value = is_negative ? -(int64_t) (amount - 1) - 1 : (int64_t) amount;
    return true;
}

bool json_to_bool(struct json_value value, bool *ret_value) {
    if (value.type != JSON_TRUE && value.type != JSON_FALSE) {
        return false;
    }
    *ret_value = value.type == JSON_TRUE;
    return true;
}

/* The next such byte, or the end. */
static const uint8_t *find_byte(const uint8_t *at, const uint8_t *end, uint8_t byte) {
    const uint8_t *found = memchr(at, byte, (size_t) (end - at));
    return found == NULL ? end : found;
}

/* Judged strings hold no raw control, so every line end stands between two tokens, where it may go. Each of both kinds
 * is searched anew only when it was passed: a text full of one of them still takes linear time. */
bool json_append_one_line(struct buffer *out, struct span judged) {
    if (judged.size == 0) {
        return !out->overflow;
    }
    const uint8_t *at = judged.data;
    const uint8_t *end = judged.data + judged.size;
    const uint8_t *feed = find_byte(at, end, '\n');
    const uint8_t *carriage = find_byte(at, end, '\r');
    for (;;) {
        const uint8_t *line_end = feed < carriage ? feed : carriage;
        if (!buffer_append(out, at, (size_t) (line_end - at))) {
            return false;
        }
        if (line_end == end) {
            return true;
        }
        at = line_end + 1;
        feed = feed < at ? find_byte(at, end, '\n') : feed;
        carriage = carriage < at ? find_byte(at, end, '\r') : carriage;
    }
}
