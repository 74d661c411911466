/* Judging JSON: json_scan() goes over the bytes once, without recursion: a small stack holds, for each open array or
 * object, which of both it is and how many items it has. String bytes are taken eight at a time while none of them is a
 * quote, a backslash, a control or part of UTF-8.
 *
 * Failure modes: anything that is not RFC 8259 in valid UTF-8, or over a limit, ends the pass at once with a named
 * outcome and the offset of the byte. */
#include "base/json_scan.h"

#include "base/check.h"
#include "base/json_parts.h"

enum { DEPTH_MAX = 256 /* more than any limit we hand out; 4 KiB of stack */ };

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

static bool next_is(const struct scanner *self, uint8_t byte) {
    return self->at < self->end && *self->at == byte;
}

/* Behind \u. A surrogate is only good as a pair. */
static enum json_outcome scan_unicode_escape(struct scanner *self) {
    int32_t unit = json_hex_unit(self->at, self->end);
    if (unit < 0) {
        return JSON_BAD_SYNTAX;
    }
    if (json_is_low_surrogate(unit)) {
        return JSON_BAD_UTF8;
    }
    self->at += 4;
    if (!json_is_high_surrogate(unit)) {
        return JSON_OK;
    }
    if (self->end - self->at < 2 || self->at[0] != '\\' || self->at[1] != 'u') {
        return JSON_BAD_UTF8;
    }
    int32_t second = json_hex_unit(self->at + 2, self->end);
    if (second < 0) {
        return JSON_BAD_SYNTAX;
    }
    if (!json_is_low_surrogate(second)) {
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
        self->at = json_skip_plain_bytes(self->at, self->end);
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
    while (self->at < self->end && json_is_digit(*self->at)) {
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
    self->at = json_skip_space(self->at, self->end);
    if (!next_is(self, ':')) {
        return JSON_BAD_SYNTAX;
    }
    self->at = json_skip_space(self->at + 1, self->end);
    return JSON_OK;
}

/* What comes next in the innermost container: its end, or one more item. */
static enum json_outcome scan_step(struct scanner *self) {
    struct level *level = &self->levels[self->depth - 1];
    self->at = json_skip_space(self->at, self->end);
    if (next_is(self, level->is_object ? '}' : ']')) {
        self->at++;
        self->depth--;
        return JSON_OK;
    }
    if (level->n_items > 0) {
        if (!next_is(self, ',')) {
            return JSON_BAD_SYNTAX;
        }
        self->at = json_skip_space(self->at + 1, self->end);
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

enum json_outcome json_scan(struct span text, const struct json_limits *limits, struct json_value *ret_value,
                            struct json_error *ret_error) {
    check(limits->depth <= DEPTH_MAX, "depth limit %u", limits->depth);
    struct scanner scanner;
    scanner.limits = limits;
    scanner.n_tokens = 0;
    scanner.depth = 0;
    scanner.end = text.size == 0 ? text.data : text.data + text.size;
    scanner.at = json_skip_space(text.data, scanner.end);
    const uint8_t *first = scanner.at;
    enum json_outcome outcome = first == scanner.end ? JSON_EMPTY : scan_document(&scanner);
    const uint8_t *last = scanner.at;
    if (outcome == JSON_OK) {
        scanner.at = json_skip_space(scanner.at, scanner.end);
        outcome = scanner.at == scanner.end ? JSON_OK : JSON_TRAILING_BYTES;
    }
    *ret_value = JSON_ABSENT;
    if (outcome == JSON_OK) {
        *ret_value = (struct json_value){json_type_of(*first), span_of(first, (size_t) (last - first))};
    }
    if (ret_error != NULL) {
        *ret_error = (struct json_error){outcome, text.size == 0 ? 0 : (size_t) (scanner.at - text.data)};
    }
    return outcome;
}
