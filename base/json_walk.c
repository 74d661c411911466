/* Walking judged text: it only has to find ends, so it checks nothing again. Text that was never judged is our own bug;
 * it still stays inside the span, because every step is bounded by its end. */
#include "base/check.h"
#include "base/json_parts.h"

/* At an opening quote; returns what is behind the closing one. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end) {
    at++;
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
        at = at < end ? json_skip_plain_bytes(at, end) : end;
    }
    return at < end ? at + 1 : end;
}

static bool ends_scalar(uint8_t byte) {
    return byte == ',' || byte == '}' || byte == ']' || json_is_space(byte);
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
    struct json_value value = {json_type_of(*at), span_of(at, (size_t) (behind - at))};
    cursor->at = behind;
    cursor->left = (size_t) (end - behind);
    return value;
}

/* Goes over white space and the one separator that may stand here. */
static const uint8_t *skip_separator(const struct cursor *cursor, uint8_t separator) {
    const uint8_t *end = cursor->at + cursor->left;
    const uint8_t *at = json_skip_space(cursor->at, end);
    if (at < end && *at == separator) {
        at = json_skip_space(at + 1, end);
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
