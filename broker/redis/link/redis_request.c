/* See redis_request.h. The caller bounds the buffer; an overflow shows there. */
#include "broker/redis/link/redis_request.h"

static void append_head(struct buffer *out, char type, uint64_t n) {
    char text[24];
    size_t at = sizeof text;
    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);
    text[--at] = type;
    buffer_append(out, text + at, sizeof text - at);
}

void redis_request_begin(struct buffer *out, size_t n_arguments) {
    append_head(out, '*', n_arguments);
}

void redis_request_bytes(struct buffer *out, struct span argument) {
    append_head(out, '$', argument.size);
    buffer_append_span(out, argument);
    buffer_append(out, "\r\n", 2);
}

void redis_request_text(struct buffer *out, const char *argument) {
    redis_request_bytes(out, span_of_text(argument));
}

void redis_request_u64(struct buffer *out, uint64_t argument) {
    char text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (char) ('0' + argument % 10);
        argument /= 10;
    } while (argument > 0);
    redis_request_bytes(out, span_of(text + at, sizeof text - at));
}

void redis_request_parts(struct buffer *out, const struct span *parts, size_t n_parts) {
    size_t size = 0;
    for (size_t i = 0; i < n_parts; i++) {
        size += parts[i].size;
    }
    append_head(out, '$', size);
    for (size_t i = 0; i < n_parts; i++) {
        buffer_append_span(out, parts[i]);
    }
    buffer_append(out, "\r\n", 2);
}

void redis_request_texts(struct buffer *out, size_t n, const char *const *arguments) {
    redis_request_begin(out, n);
    for (size_t i = 0; i < n; i++) {
        redis_request_text(out, arguments[i]);
    }
}
