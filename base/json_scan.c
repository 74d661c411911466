/* JSON without building it: one pass judges, later walks cut.
 *
 * Happy path: json_scan() goes over the bytes once, without recursion: a small stack holds, for each open array or
 * object, which of both it is and how many items it has. String bytes are taken eight at a time while none of them is a
 * quote, a backslash, a control or part of UTF-8. What was judged valid is walked by json_iterate() and friends, which
 * only have to find ends, so they check nothing again.
 *
 * Failure modes: anything that is not RFC 8259 in valid UTF-8, or over a limit, ends the pass at once with a named
 * outcome and the offset of the byte. Walking text that was never judged is our own bug; it still stays inside the
 * span, because every step is bounded by its end. */
#include "base/json_scan.h"

#include "base/check.h"

enum {
    DEPTH_MAX = 256,     /* more than any limit we hand out; 4 KiB of stack */
    NAMES_COMPARED = 64, /* names held at once when looking for duplicates */
};

/* ---- UTF-8 ---- */

static const uint64_t EVERY_BYTE = 0x0101010101010101U;
static const uint64_t EVERY_HIGH_BIT = 0x8080808080808080U;

static uint64_t load_8(const uint8_t *at) {
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
    return eight;
}

static bool is_continuation(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/* The length of the sequence of two to four bytes that starts here; 0 when it is not valid. */
static size_t utf8_sequence_size(const uint8_t *at, const uint8_t *end) {
    size_t left = (size_t) (end - at);
    if (at[0] < 0xC2 || at[0] > 0xF4 || left < 2) {
        return 0;
    }
    if (at[0] < 0xE0) {
        return is_continuation(at[1]) ? 2 : 0;
    }
    /* The second byte is where overlong forms, surrogates and what is above U+10FFFF show. */
    uint8_t lowest = at[0] == 0xE0 ? 0xA0 : at[0] == 0xF0 ? 0x90 : 0x80;
    uint8_t highest = at[0] == 0xED ? 0x9F : at[0] == 0xF4 ? 0x8F : 0xBF;
    if (at[1] < lowest || at[1] > highest || left < 3 || !is_continuation(at[2])) {
        return 0;
    }
    if (at[0] < 0xF0) {
        return 3;
    }
    return left >= 4 && is_continuation(at[3]) ? 4 : 0;
}

bool utf8_is_valid(struct span text) {
    const uint8_t *at = text.data;
    const uint8_t *end = text.size == 0 ? at : at + text.size;
    while (at < end) {
        if (end - at >= 8 && (load_8(at) & EVERY_HIGH_BIT) == 0) {
            at += 8;
            continue;
        }
        if (*at < 0x80) {
            at++;
            continue;
        }
        size_t size = utf8_sequence_size(at, end);
        if (size == 0) {
            return false;
        }
        at += size;
    }
    return true;
}

/* ---- judging ---- */

struct level {
    size_t n_items;
    bool is_object;
};

struct scanner {
    const uint8_t *at; /* the next byte; after a failure the byte where it was noticed */
    const uint8_t *end;
    const struct json_limits *limits;
    unsigned n_tokens;
    unsigned depth; /* levels in use */
    struct level levels[DEPTH_MAX];
};

const char *json_outcome_text(enum json_outcome outcome) {
    switch (outcome) {
    case JSON_OK:
        return "valid JSON";
    case JSON_BAD_SYNTAX:
        return "invalid JSON";
    case JSON_BAD_UTF8:
        return "invalid UTF-8";
    case JSON_TOO_DEEP:
        return "JSON is nested too deeply";
    case JSON_TOO_MANY_TOKENS:
        return "JSON has too many values";
    case JSON_TOO_MANY_NAMES:
        return "JSON object has too many names";
    case JSON_TRAILING_BYTES:
        return "bytes after the JSON value";
    case JSON_EMPTY:
        return "no JSON value";
    }
    unreachable("json outcome %d", (int) outcome);
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_space(uint8_t byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && is_space(*at)) {
        at++;
    }
    return at;
}

static bool next_is(const struct scanner *self, uint8_t byte) {
    return self->at < self->end && *self->at == byte;
}

/* Goes over bytes that stand for themselves: printable ASCII but quote and backslash. */
static const uint8_t *skip_plain_bytes(const uint8_t *at, const uint8_t *end) {
    while (end - at >= 8) {
        uint64_t eight = load_8(at);
        uint64_t quotes = eight ^ (EVERY_BYTE * '"');
        uint64_t backslashes = eight ^ (EVERY_BYTE * '\\');
        /* A high bit is set where a byte is at least 0x80, below 0x20, or became zero. */
        uint64_t special = eight | ((eight - EVERY_BYTE * 0x20) & ~eight) | ((quotes - EVERY_BYTE) & ~quotes) |
                           ((backslashes - EVERY_BYTE) & ~backslashes);
        if ((special & EVERY_HIGH_BIT) != 0) {
            break;
        }
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x80 && *at != '"' && *at != '\\') {
        at++;
    }
    return at;
}

static int hex_digit(uint8_t byte) {
    if (is_digit(byte)) {
        return byte - '0';
    }
    uint8_t lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* The four hexadecimal digits after \u as a number; negative when they are not there. */
static int32_t hex_unit(const uint8_t *at, const uint8_t *end) {
    if (end - at < 4) {
        return -1;
    }
    int32_t unit = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high_surrogate(int32_t unit) {
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_low_surrogate(int32_t unit) {
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* Behind \u. A surrogate is only good as a pair. */
static enum json_outcome scan_unicode_escape(struct scanner *self) {
    int32_t unit = hex_unit(self->at, self->end);
    if (unit < 0) {
        return JSON_BAD_SYNTAX;
    }
    if (is_low_surrogate(unit)) {
        return JSON_BAD_UTF8;
    }
    self->at += 4;
    if (!is_high_surrogate(unit)) {
        return JSON_OK;
    }
    if (self->end - self->at < 2 || self->at[0] != '\\' || self->at[1] != 'u') {
        return JSON_BAD_UTF8;
    }
    int32_t second = hex_unit(self->at + 2, self->end);
    if (second < 0) {
        return JSON_BAD_SYNTAX;
    }
    if (!is_low_surrogate(second)) {
        return JSON_BAD_UTF8;
    }
    self->at += 6;
    return JSON_OK;
}

/* At the backslash. */
static enum json_outcome scan_escape(struct scanner *self) {
    self->at++;
    if (self->at == self->end) {
        return JSON_BAD_SYNTAX;
    }
    switch (*self->at) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        self->at++;
        return JSON_OK;
    case 'u':
        self->at++;
        return scan_unicode_escape(self);
    default:
        return JSON_BAD_SYNTAX;
    }
}

/* At the opening quote. */
static enum json_outcome scan_string(struct scanner *self) {
    self->at++;
    for (;;) {
        self->at = skip_plain_bytes(self->at, self->end);
        if (self->at == self->end) {
            return JSON_BAD_SYNTAX;
        }
        if (*self->at == '"') {
            self->at++;
            return JSON_OK;
        }
        if (*self->at == '\\') {
            enum json_outcome outcome = scan_escape(self);
            if (outcome != JSON_OK) {
                return outcome;
            }
            continue;
        }
        if (*self->at < 0x20) {
            return JSON_BAD_SYNTAX;
        }
        size_t size = utf8_sequence_size(self->at, self->end);
        if (size == 0) {
            return JSON_BAD_UTF8;
        }
        self->at += size;
    }
}

/* At least one digit. */
static bool scan_digits(struct scanner *self) {
    const uint8_t *first = self->at;
    while (self->at < self->end && is_digit(*self->at)) {
        self->at++;
    }
    return self->at > first;
}

/* At the minus sign or first digit. Numbers of any size are fine: they are text until somebody asks for an integer. */
static enum json_outcome scan_number(struct scanner *self) {
    if (*self->at == '-') {
        self->at++;
    }
    if (next_is(self, '0')) {
        self->at++;
    } else if (!scan_digits(self)) {
        return JSON_BAD_SYNTAX;
    }
    if (next_is(self, '.')) {
        self->at++;
        if (!scan_digits(self)) {
            return JSON_BAD_SYNTAX;
        }
    }
    if (next_is(self, 'e') || next_is(self, 'E')) {
        self->at++;
        if (next_is(self, '+') || next_is(self, '-')) {
            self->at++;
        }
        if (!scan_digits(self)) {
            return JSON_BAD_SYNTAX;
        }
    }
    return JSON_OK;
}

static enum json_outcome scan_word(struct scanner *self, struct span word) {
    if ((size_t) (self->end - self->at) < word.size || memcmp(self->at, word.data, word.size) != 0) {
        return JSON_BAD_SYNTAX;
    }
    self->at += word.size;
    return JSON_OK;
}

static enum json_outcome open_level(struct scanner *self, bool is_object) {
    if (self->depth == self->limits->depth) {
        return JSON_TOO_DEEP;
    }
    self->levels[self->depth++] = (struct level){.n_items = 0, .is_object = is_object};
    self->at++;
    return JSON_OK;
}

static bool count_token(struct scanner *self) {
    if (self->n_tokens == self->limits->tokens) {
        return false;
    }
    self->n_tokens++;
    return true;
}

/* A whole scalar, or the opening bracket of a container; white space before it is gone. */
static enum json_outcome scan_value(struct scanner *self) {
    if (self->at == self->end) {
        return JSON_BAD_SYNTAX;
    }
    if (!count_token(self)) {
        return JSON_TOO_MANY_TOKENS;
    }
    switch (*self->at) {
    case '{':
        return open_level(self, true);
    case '[':
        return open_level(self, false);
    case '"':
        return scan_string(self);
    case 't':
        return scan_word(self, SPAN_LITERAL("true"));
    case 'f':
        return scan_word(self, SPAN_LITERAL("false"));
    case 'n':
        return scan_word(self, SPAN_LITERAL("null"));
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
        return scan_number(self);
    default:
        return JSON_BAD_SYNTAX;
    }
}

/* A name and its colon. */
static enum json_outcome scan_name(struct scanner *self, struct level *level) {
    if (!next_is(self, '"')) {
        return JSON_BAD_SYNTAX;
    }
    if (level->n_items >= self->limits->names) {
        return JSON_TOO_MANY_NAMES;
    }
    if (!count_token(self)) {
        return JSON_TOO_MANY_TOKENS;
    }
    enum json_outcome outcome = scan_string(self);
    if (outcome != JSON_OK) {
        return outcome;
    }
    self->at = skip_space(self->at, self->end);
    if (!next_is(self, ':')) {
        return JSON_BAD_SYNTAX;
    }
    self->at = skip_space(self->at + 1, self->end);
    return JSON_OK;
}

/* What comes next in the innermost container: its end, or one more item. */
static enum json_outcome scan_step(struct scanner *self) {
    struct level *level = &self->levels[self->depth - 1];
    self->at = skip_space(self->at, self->end);
    if (next_is(self, level->is_object ? '}' : ']')) {
        self->at++;
        self->depth--;
        return JSON_OK;
    }
    if (level->n_items > 0) {
        if (!next_is(self, ',')) {
            return JSON_BAD_SYNTAX;
        }
        self->at = skip_space(self->at + 1, self->end);
    }
    if (level->is_object) {
        enum json_outcome outcome = scan_name(self, level);
        if (outcome != JSON_OK) {
            return outcome;
        }
    }
    level->n_items++;
    return scan_value(self);
}

static enum json_outcome scan_document(struct scanner *self) {
    enum json_outcome outcome = scan_value(self);
    while (outcome == JSON_OK && self->depth > 0) {
        outcome = scan_step(self);
    }
    return outcome;
}

static enum json_type type_of(uint8_t first) {
    switch (first) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

enum json_outcome json_scan(struct span text, const struct json_limits *limits, struct json_value *ret_value,
                            struct json_error *ret_error) {
    check(limits->depth <= DEPTH_MAX, "depth limit %u", limits->depth);
    struct scanner scanner;
    scanner.limits = limits;
    scanner.n_tokens = 0;
    scanner.depth = 0;
    scanner.end = text.size == 0 ? text.data : text.data + text.size;
    scanner.at = skip_space(text.data, scanner.end);
    const uint8_t *first = scanner.at;
    enum json_outcome outcome = first == scanner.end ? JSON_EMPTY : scan_document(&scanner);
    const uint8_t *last = scanner.at;
    if (outcome == JSON_OK) {
        scanner.at = skip_space(scanner.at, scanner.end);
        outcome = scanner.at == scanner.end ? JSON_OK : JSON_TRAILING_BYTES;
    }
    *ret_value = JSON_ABSENT;
    if (outcome == JSON_OK) {
        *ret_value = (struct json_value){type_of(*first), span_of(first, (size_t) (last - first))};
    }
    if (ret_error != NULL) {
        *ret_error = (struct json_error){outcome, text.size == 0 ? 0 : (size_t) (scanner.at - text.data)};
    }
    return outcome;
}

/* ---- walking judged text ---- */

/* At an opening quote; returns what is behind the closing one. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end) {
    at++;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
        at = at < end ? skip_plain_bytes(at, end) : end;
    }
    return at < end ? at + 1 : end;
}

static bool ends_scalar(uint8_t byte) {
    return byte == ',' || byte == '}' || byte == ']' || is_space(byte);
}

/* At an opening bracket; returns what is behind the one that closes it. */
static const uint8_t *skip_container(const uint8_t *at, const uint8_t *end) {
    size_t depth = 0;
    while (at < end) {
        uint8_t byte = *at;
        if (byte == '"') {
            at = skip_string(at, end);
            continue;
        }
        at++;
        if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            return at;
        }
    }
    return end;
}

static const uint8_t *skip_value(const uint8_t *at, const uint8_t *end) {
    if (*at == '"') {
        return skip_string(at, end);
    }
    if (*at == '{' || *at == '[') {
        return skip_container(at, end);
    }
    while (at < end && !ends_scalar(*at)) {
        at++;
    }
    return at;
}

struct json_iterator json_iterate(struct json_value container) {
    struct json_iterator self = {cursor_of(SPAN_EMPTY), container.type == JSON_OBJECT};
    if ((container.type == JSON_OBJECT || container.type == JSON_ARRAY) && container.text.size >= 2) {
        self.cursor = cursor_of(span_of(container.text.data + 1, container.text.size - 2));
    }
    return self;
}

/* Cuts the value that starts at `at`; the cursor then stands before the next item. */
static struct json_value take_value(struct cursor *cursor, const uint8_t *at) {
    const uint8_t *end = cursor->at + cursor->left;
    const uint8_t *behind = skip_value(at, end);
    struct json_value value = {type_of(*at), span_of(at, (size_t) (behind - at))};
    cursor->at = behind;
    cursor->left = (size_t) (end - behind);
    return value;
}

/* Goes over white space and the one separator that may stand here. */
static const uint8_t *skip_separator(const struct cursor *cursor, uint8_t separator) {
    const uint8_t *end = cursor->at + cursor->left;
    const uint8_t *at = skip_space(cursor->at, end);
    if (at < end && *at == separator) {
        at = skip_space(at + 1, end);
    }
    return at;
}

bool json_next(struct json_iterator *self, struct json_value *ret_name, struct json_value *ret_value) {
    *ret_name = JSON_ABSENT;
    *ret_value = JSON_ABSENT;
    if (self->cursor.left == 0) {
        return false;
    }
    const uint8_t *end = self->cursor.at + self->cursor.left;
    const uint8_t *at = skip_separator(&self->cursor, ',');
    if (at == end) {
        self->cursor.left = 0;
        return false;
    }
    if (self->is_object) {
        *ret_name = take_value(&self->cursor, at);
        at = skip_separator(&self->cursor, ':');
        check(at < end, "an object that was not judged");
    }
    *ret_value = take_value(&self->cursor, at);
    return true;
}

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

static size_t encode_utf8(uint32_t character, uint8_t out[4]) {
    if (character < 0x80) {
        out[0] = (uint8_t) character;
        return 1;
    }
    if (character < 0x800) {
        out[0] = (uint8_t) (0xC0 | (character >> 6));
        out[1] = (uint8_t) (0x80 | (character & 0x3F));
        return 2;
    }
    if (character < 0x10000) {
        out[0] = (uint8_t) (0xE0 | (character >> 12));
        out[1] = (uint8_t) (0x80 | ((character >> 6) & 0x3F));
        out[2] = (uint8_t) (0x80 | (character & 0x3F));
        return 3;
    }
    out[0] = (uint8_t) (0xF0 | (character >> 18));
    out[1] = (uint8_t) (0x80 | ((character >> 12) & 0x3F));
    out[2] = (uint8_t) (0x80 | ((character >> 6) & 0x3F));
    out[3] = (uint8_t) (0x80 | (character & 0x3F));
    return 4;
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
    int32_t unit = hex_unit(at + 2, end);
    check(unit >= 0, "an escape that was not judged");
    uint32_t character = (uint32_t) unit;
    at += 6;
    if (is_high_surrogate(unit)) {
        int32_t second = end - at >= 6 ? hex_unit(at + 2, end) : -1;
        check(is_low_surrogate(second), "a surrogate pair that was not judged");
        character = 0x10000U + ((character - 0xD800U) << 10) + ((uint32_t) second - 0xDC00U);
        at += 6;
    }
    *ret_size = encode_utf8(character, out);
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
