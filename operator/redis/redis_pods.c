/* See redis_pods.h. IPv6 addresses stand in brackets where a port follows. Failures: an empty element, a range that
 * runs backwards, a port that is none, more than REDIS_PODS_MAX pods. */
#include "operator/redis/redis_pods.h"

#include "base/memory.h"

#include <stdio.h>

enum { ELEMENT_MAX = 320 };

static bool add_pod(struct redis_pods *self, struct span text, uint16_t default_port) {
    struct redis_pod pod = {.port = default_port};
    size_t colon = text.size;
    while (colon > 0 && text.data[colon - 1] != ':' && text.data[colon - 1] != ']') {
        colon--;
    }
    struct span host = text;
    bool has_port =
        colon > 0 && text.data[colon - 1] == ':' && (text.data[0] == '[' || memchr(text.data, ':', colon - 1) == NULL);
    if (has_port) {
        uint64_t port;
        host.size = colon - 1;
        if (!span_parse_u64(span_of(text.data + colon, text.size - colon), &port) || port == 0 || port > UINT16_MAX) {
            return false;
        }
        pod.port = (uint16_t) port;
    }
    if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = span_of(host.data + 1, host.size - 2);
    }
    if (host.size == 0 || host.size > REDIS_POD_NAME_MAX || self->n >= REDIS_PODS_MAX) {
        return false;
    }
    for (size_t i = 0; i < host.size; i++) {
        if (host.data[i] <= ' ' || host.data[i] >= 0x7F || strchr("{}[]/\"'\\", host.data[i]) != NULL) {
            return false;
        }
    }
    memcpy(pod.host, host.data, host.size);
    self->pods = memory_realloc(self->pods, (self->n + 1) * sizeof *self->pods);
    self->pods[self->n++] = pod;
    return true;
}

/* prefix{a..b}suffix */
static bool add_range(struct redis_pods *self, struct span text, size_t open, uint16_t default_port) {
    const uint8_t *close = memchr(text.data + open, '}', text.size - open);
    if (close == NULL) {
        return false;
    }
    struct span inner = span_of(text.data + open + 1, (size_t) (close - text.data) - open - 1);
    const uint8_t *dots = memmem(inner.data, inner.size, "..", 2);
    uint64_t from;
    uint64_t to;
    if (dots == NULL || !span_parse_u64(span_of(inner.data, (size_t) (dots - inner.data)), &from) ||
        !span_parse_u64(span_of(dots + 2, inner.size - (size_t) (dots - inner.data) - 2), &to) || from > to ||
        to - from >= REDIS_PODS_MAX) {
        return false;
    }
    struct span suffix = span_of(close + 1, text.size - (size_t) (close - text.data) - 1);
    for (uint64_t i = from; i <= to; i++) {
        char element[ELEMENT_MAX];
        int size = snprintf(element, sizeof element, "%.*s%llu%.*s", (int) open, (const char *) text.data,
                            (unsigned long long) i, (int) suffix.size, (const char *) suffix.data);
        if (size < 0 || (size_t) size >= sizeof element ||
            !add_pod(self, span_of(element, (size_t) size), default_port)) {
            return false;
        }
    }
    return true;
}

static bool add_element(struct redis_pods *self, struct span text, uint16_t default_port) {
    const uint8_t *open = text.size == 0 ? NULL : memchr(text.data, '{', text.size);
    if (text.size == 0 || text.size >= ELEMENT_MAX) {
        return false;
    }
    return open == NULL ? add_pod(self, text, default_port)
                        : add_range(self, text, (size_t) (open - text.data), default_port);
}

bool redis_pods_parse(struct redis_pods *self, const char *text, uint16_t default_port, char *ret_error,
                      size_t error_size) {
    *self = (struct redis_pods){NULL, 0};
    struct span rest = span_of_text(text);
    bool is_more = rest.size > 0;
    while (is_more) {
        const uint8_t *comma = memchr(rest.data, ',', rest.size);
        struct span element = span_of(rest.data, comma == NULL ? rest.size : (size_t) (comma - rest.data));
        if (!add_element(self, element, default_port)) {
            snprintf(ret_error, error_size,
                     "%.*s: not a pod: host, host:port, [v6]:port or name-{0..5}.domain, at most %d of them",
                     (int) (element.size < 100 ? element.size : 100), (const char *) element.data, REDIS_PODS_MAX);
            redis_pods_finish(self);
            return false;
        }
        is_more = comma != NULL;
        rest = is_more ? span_of(comma + 1, rest.size - element.size - 1) : SPAN_EMPTY;
        if (is_more && rest.size == 0) {
            snprintf(ret_error, error_size, "a list of pods ends with a comma");
            redis_pods_finish(self);
            return false;
        }
    }
    return true;
}

void redis_pods_finish(struct redis_pods *self) {
    memory_free(self->pods);
    *self = (struct redis_pods){NULL, 0};
}

bool redis_pod_ordinal(const char *pod_name, uint64_t *ret_ordinal) {
    const char *dash = pod_name == NULL ? NULL : strrchr(pod_name, '-');
    return dash != NULL && span_parse_u64(span_of_text(dash + 1), ret_ordinal);
}
