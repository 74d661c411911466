/* See redis_url.h. Any bytes are taken without harm (tests/fuzz/fuzz_redis_url.c); what does not fit is refused. */
#include "broker/redis/redis_url.h"

#include <stdio.h>

enum { PORT_DEFAULT = 6379, DATABASE_MAX = 1048575 };

static bool refuse(char *ret_error, size_t error_size, const char *message) {
    snprintf(ret_error, error_size, "redis.url: %s", message);
    return false;
}

static bool take_prefix(struct span *rest, struct span prefix) {
    if (!span_starts_with(*rest, prefix)) {
        return false;
    }
    *rest = span_of(rest->data + prefix.size, rest->size - prefix.size);
    return true;
}

/* Where `byte` stands first (or last), or the size. */
static size_t find(struct span text, uint8_t byte) {
    const uint8_t *at = text.size == 0 ? NULL : memchr(text.data, byte, text.size);
    return at == NULL ? text.size : (size_t) (at - text.data);
}

static size_t find_last(struct span text, uint8_t byte) {
    const uint8_t *at = text.size == 0 ? NULL : memrchr(text.data, byte, text.size);
    return at == NULL ? text.size : (size_t) (at - text.data);
}

static struct span head(struct span text, size_t size) {
    return span_of(text.data, size);
}

static struct span behind(struct span text, size_t size) {
    return span_of(text.data + size, text.size - size);
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoding into a text of at most `max` bytes; NUL and broken escapes are refused. */
static bool decode(struct span text, char *ret_text, size_t max) {
    size_t n = 0;
    for (size_t i = 0; i < text.size; i++) {
        int byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.size ? hex_digit(text.data[i + 1]) : -1;
            int low = i + 2 < text.size ? hex_digit(text.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            byte = high * 16 + low;
            i += 2;
        }
        if (byte == 0 || n == max) {
            return false;
        }
        ret_text[n++] = (char) byte;
    }
    ret_text[n] = '\0';
    return true;
}

static bool parse_credentials(struct span text, struct redis_url *url) {
    size_t colon = find(text, ':');
    struct span password = colon < text.size ? behind(text, colon + 1) : SPAN_EMPTY;
    return decode(head(text, colon), url->user, REDIS_URL_USER_MAX) &&
           decode(password, url->password, REDIS_URL_PASSWORD_MAX);
}

static bool parse_database(struct span text, struct redis_url *url) {
    uint64_t database = 0;
    if (text.size > 0 && (!span_parse_u64(text, &database) || database > DATABASE_MAX)) {
        return false;
    }
    url->database = (uint32_t) database;
    return true;
}

/* host, host:port, [v6], [v6]:port */
static bool parse_authority(struct span text, struct redis_url *url) {
    struct span host = text;
    struct span rest = SPAN_EMPTY;
    if (text.size > 0 && text.data[0] == '[') {
        size_t end = find(text, ']');
        if (end == text.size) {
            return false;
        }
        host = span_of(text.data + 1, end - 1);
        rest = behind(text, end + 1);
    } else {
        size_t colon = find(text, ':');
        host = head(text, colon);
        rest = behind(text, colon);
    }
    uint64_t port = PORT_DEFAULT;
    if (rest.size > 0 &&
        (rest.data[0] != ':' || !span_parse_u64(behind(rest, 1), &port) || port == 0 || port > UINT16_MAX)) {
        return false;
    }
    url->port = (uint16_t) port;
    return host.size > 0 && decode(host, url->host, REDIS_URL_HOST_MAX);
}

static bool parse_tcp(struct span rest, struct redis_url *url, char *ret_error, size_t error_size) {
    size_t slash = find_last(rest, '/');
    size_t at = find_last(rest, '@');
    if (slash < rest.size && (at == rest.size || slash > at)) {
        if (!parse_database(behind(rest, slash + 1), url)) {
            return refuse(ret_error, error_size, "behind the last / stands the number of the database, e.g. /0");
        }
        rest = head(rest, slash);
    }
    at = find_last(rest, '@');
    if (at < rest.size) {
        if (!parse_credentials(head(rest, at), url)) {
            return refuse(ret_error, error_size, "user or password is too long or has a broken %-escape");
        }
        rest = behind(rest, at + 1);
    }
    if (find(rest, ',') < rest.size) {
        return refuse(ret_error, error_size,
                      "one host only; several hosts (Sentinel, Cluster) come with a later release");
    }
    if (!parse_authority(rest, url)) {
        return refuse(ret_error, error_size, "the host or port is not valid; write redis://host:6379/0");
    }
    return true;
}

static bool parse_unix(struct span rest, struct redis_url *url, char *ret_error, size_t error_size) {
    size_t question = find_last(rest, '?');
    if (question < rest.size) {
        struct span query = behind(rest, question + 1);
        if (!take_prefix(&query, SPAN_LITERAL("db=")) || !parse_database(query, url)) {
            return refuse(ret_error, error_size, "behind the ? only db=<number> is known");
        }
        rest = head(rest, question);
    }
    size_t at = find(rest, '@');
    if (at < rest.size) {
        if (!parse_credentials(head(rest, at), url)) {
            return refuse(ret_error, error_size, "user or password is too long or has a broken %-escape");
        }
        rest = behind(rest, at + 1);
    }
    if (rest.size == 0 || rest.data[0] != '/' || !decode(rest, url->path, REDIS_URL_PATH_MAX)) {
        return refuse(ret_error, error_size,
                      "a unix socket is named by its whole path of at most 107 bytes: unix:///run/redis/redis.sock");
    }
    return true;
}

bool redis_url_parse(struct span text, struct redis_url *ret_url, char *ret_error, size_t error_size) {
    struct redis_url url = {.port = PORT_DEFAULT};
    struct span rest = text;
    bool done = false;
    if (take_prefix(&rest, SPAN_LITERAL("redis://"))) {
        done = parse_tcp(rest, &url, ret_error, error_size);
    } else if (take_prefix(&rest, SPAN_LITERAL("unix://"))) {
        done = parse_unix(rest, &url, ret_error, error_size);
    } else if (take_prefix(&rest, SPAN_LITERAL("rediss://"))) {
        return refuse(ret_error, error_size,
                      "TLS (rediss://) is not in this release; use redis:// inside a trusted network");
    } else if (take_prefix(&rest, SPAN_LITERAL("redis+sentinel://")) ||
               take_prefix(&rest, SPAN_LITERAL("rediss+sentinel://"))) {
        return refuse(ret_error, error_size,
                      "Sentinel is not in this release; name the primary with redis://host:port");
    } else if (take_prefix(&rest, SPAN_LITERAL("redis+cluster://")) ||
               take_prefix(&rest, SPAN_LITERAL("rediss+cluster://"))) {
        return refuse(ret_error, error_size,
                      "Redis Cluster is not in this release; use a standalone redis://host:port");
    } else {
        return refuse(ret_error, error_size, "it begins with redis:// or unix://, e.g. redis://127.0.0.1:6379/0");
    }
    if (done) {
        *ret_url = url;
    }
    return done;
}

void redis_url_describe(const struct redis_url *self, char *ret_text, size_t size) {
    if (self->path[0] != '\0') {
        snprintf(ret_text, size, "unix:%s/%u", self->path, self->database);
    } else {
        snprintf(ret_text, size, "%s:%u/%u", self->host, self->port, self->database);
    }
}
