/* See info_field.h. */
#include "operator/redis/info_field.h"

struct span info_field(struct span info, const char *name) {
    size_t size = strlen(name);
    while (info.size > 0) {
        const uint8_t *end = memchr(info.data, '\n', info.size);
        size_t line = end == NULL ? info.size : (size_t) (end - info.data);
        if (line > size && info.data[size] == ':' && memcmp(info.data, name, size) == 0) {
            size_t last = line > size + 1 && info.data[line - 1] == '\r' ? line - 1 : line;
            return span_of(info.data + size + 1, last - size - 1);
        }
        size_t taken = end == NULL ? line : line + 1;
        info = span_of(info.data + taken, info.size - taken);
    }
    return SPAN_EMPTY;
}

bool info_field_is(struct span info, const char *name, const char *value) {
    return span_equal_text(info_field(info, name), value);
}

uint64_t info_field_u64(struct span info, const char *name, uint64_t otherwise) {
    uint64_t value;
    return span_parse_u64(info_field(info, name), &value) ? value : otherwise;
}
