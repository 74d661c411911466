/* See redis_url.h. Any bytes are taken without harm (tests/fuzz/fuzz_redis_url.c); what does not fit is refused. */
#include "broker/redis/link/redis_url.h"

#include <stdio.h>

enum { PORT_DEFAULT = 6379, SENTINEL_PORT_DEFAULT = 26379, DATABASE_MAX = 1048575 };

static const struct scheme {
    const char *prefix;
    enum redis_url_kind kind;
    bool tls;
    const char *form; /* what a right one looks like */
} schemes[] = {
    {"redis://", REDIS_URL_STANDALONE, false, "redis://host:6379/0"},
    {"rediss://", REDIS_URL_STANDALONE, true, "rediss://host:6379/0"},
    {"redis+sentinel://", REDIS_URL_SENTINEL, false, "redis+sentinel://a:26379,b:26379,c:26379/mymaster"},
    {"rediss+sentinel://", REDIS_URL_SENTINEL, true, "rediss+sentinel://a:26379,b:26379,c:26379/mymaster"},
    {"redis+cluster://", REDIS_URL_CLUSTER, false, "redis+cluster://a:6379,b:6379,c:6379"},
    {"rediss+cluster://", REDIS_URL_CLUSTER, true, "rediss+cluster://a:6379,b:6379,c:6379"},
};

/* What a parse works on: where it stands and where its complaint goes. */
struct parse {
    struct redis_url *url;
    const struct scheme *scheme;
    char *ret_error;
    size_t error_size;
};

static bool refuse(const struct parse *self, const char *message) {
    snprintf(self->ret_error, self->error_size, "%s", message);
    return false;
}

static bool refuse_form(const struct parse *self, const char *what) {
    snprintf(self->ret_error, self->error_size, "%s; write %s", what, self->scheme->form);
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

/* Takes user[:password]@ off the front, up to the given @. */
static bool take_credentials(const struct parse *self, struct span *rest, size_t at) {
    if (at == rest->size) {
        return true;
    }
    struct span text = head(*rest, at);
    size_t colon = find(text, ':');
    struct span password = colon < text.size ? behind(text, colon + 1) : SPAN_EMPTY;
    *rest = behind(*rest, at + 1);
    if (!decode(head(text, colon), self->url->user, REDIS_URL_USER_MAX) ||
        !decode(password, self->url->password, REDIS_URL_PASSWORD_MAX)) {
        return refuse(self, "user or password is too long or has a broken %-escape");
    }
    return true;
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
static bool parse_address(struct span text, uint16_t default_port, struct redis_address *ret_address) {
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
    uint64_t port = default_port;
    if (rest.size > 0 && (rest.data[0] != ':' || !span_parse_u64(behind(rest, 1), &port))) {
        return false;
    }
    char name[REDIS_URL_HOST_MAX + 1];
    return host.size > 0 && decode(host, name, REDIS_URL_HOST_MAX) &&
           redis_address_set(ret_address, span_of_text(name), port);
}

static bool parse_seeds(const struct parse *self, struct span text) {
    struct redis_url *url = self->url;
    uint16_t port = url->kind == REDIS_URL_SENTINEL ? SENTINEL_PORT_DEFAULT : PORT_DEFAULT;
    if (url->kind == REDIS_URL_STANDALONE && find(text, ',') < text.size) {
        return refuse(self,
                      "redis:// and rediss:// name one host; several are written redis+sentinel://a,b,c/master or "
                      "redis+cluster://a,b,c");
    }
    for (bool more = true; more;) {
        size_t comma = find(text, ',');
        if (url->n_seeds == REDIS_URL_SEEDS_MAX) {
            return refuse(self, "at most 16 hosts; name a few, the others are learned from them");
        }
        if (!parse_address(head(text, comma), port, &url->seeds[url->n_seeds])) {
            return refuse_form(self, "the host or port is not valid");
        }
        url->n_seeds++;
        more = comma < text.size;
        text = more ? behind(text, comma + 1) : SPAN_EMPTY;
    }
    redis_url_set_address(url, &url->seeds[0]);
    return true;
}

/* What Sentinel itself takes as a name: anything else could not be told apart in its messages. */
static bool is_master_name(const char *name) {
    return name[0] != '\0' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") == strlen(name);
}

static bool parse_master(const struct parse *self, struct span *path) {
    size_t slash = find(*path, '/');
    if (!decode(head(*path, slash), self->url->master, REDIS_URL_MASTER_MAX) || !is_master_name(self->url->master)) {
        return refuse_form(self,
                           "behind the Sentinels stands the name of the master they watch: letters, digits, . - _");
    }
    *path = slash < path->size ? behind(*path, slash + 1) : SPAN_EMPTY;
    return true;
}

static bool parse_tcp(const struct parse *self, struct span rest) {
    if (!take_credentials(self, &rest, find_last(rest, '@'))) {
        return false;
    }
    size_t slash = find(rest, '/');
    struct span path = slash < rest.size ? behind(rest, slash + 1) : SPAN_EMPTY;
    if (!parse_seeds(self, head(rest, slash))) {
        return false;
    }
    if (self->url->kind == REDIS_URL_SENTINEL && !parse_master(self, &path)) {
        return false;
    }
    if (!parse_database(path, self->url)) {
        return refuse(self, "behind the last / stands the number of the database, e.g. /0");
    }
    if (self->url->kind == REDIS_URL_CLUSTER && self->url->database != 0) {
        return refuse(self, "Redis Cluster has the database 0 only; take the number off the end");
    }
    return true;
}

static bool parse_unix(const struct parse *self, struct span rest) {
    struct redis_url *url = self->url;
    size_t question = find_last(rest, '?');
    if (question < rest.size) {
        struct span query = behind(rest, question + 1);
        if (!take_prefix(&query, SPAN_LITERAL("db=")) || !parse_database(query, url)) {
            return refuse(self, "behind the ? only db=<number> is known");
        }
        rest = head(rest, question);
    }
    if (!take_credentials(self, &rest, find(rest, '@'))) {
        return false;
    }
    if (rest.size == 0 || rest.data[0] != '/' || !decode(rest, url->path, REDIS_URL_PATH_MAX)) {
        return refuse(self,
                      "a unix socket is named by its whole path of at most 107 bytes: unix:///run/redis/redis.sock");
    }
    memcpy(url->seeds[0].path, url->path, sizeof url->path);
    url->n_seeds = 1;
    return true;
}

static bool parse_rest(struct parse *self, struct span text) {
    struct span rest = text;
    if (take_prefix(&rest, SPAN_LITERAL("unix://"))) {
        return parse_unix(self, rest);
    }
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (take_prefix(&rest, span_of_text(schemes[i].prefix))) {
            self->scheme = &schemes[i];
            self->url->kind = schemes[i].kind;
            self->url->tls = schemes[i].tls;
            return parse_tcp(self, rest);
        }
    }
    return refuse(self, "begins with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://, e.g. "
                        "redis://127.0.0.1:6379/0");
}

bool redis_url_parse(struct span text, struct redis_url *ret_url, char *ret_error, size_t error_size) {
    *ret_url = (struct redis_url){.kind = REDIS_URL_STANDALONE};
    struct parse parse = {.url = ret_url, .ret_error = ret_error, .error_size = error_size};
    return parse_rest(&parse, text);
}

void redis_url_set_address(struct redis_url *self, const struct redis_address *address) {
    memcpy(self->host, address->host, sizeof self->host);
    memcpy(self->path, address->path, sizeof self->path);
    self->port = address->port;
}

static void describe_standalone(const struct redis_url *self, char *ret_text, size_t size) {
    if (self->path[0] != '\0') {
        snprintf(ret_text, size, "unix:%s/%u", self->path, self->database);
    } else {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        struct redis_address address = {.port = self->port};
        memcpy(address.host, self->host, sizeof address.host);
        redis_address_describe(&address, where, sizeof where);
        snprintf(ret_text, size, "%s/%u%s", where, self->database, self->tls ? " (TLS)" : "");
    }
}

void redis_url_describe(const struct redis_url *self, char *ret_text, size_t size) {
    if (self->kind == REDIS_URL_STANDALONE) {
        describe_standalone(self, ret_text, size);
        return;
    }
    struct buffer out;
    buffer_init(&out, size - 1);
    bool is_sentinel = self->kind == REDIS_URL_SENTINEL;
    buffer_append_text(&out, is_sentinel ? "sentinel " : "cluster ");
    for (size_t i = 0; i < self->n_seeds; i++) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        redis_address_describe(&self->seeds[i], where, sizeof where);
        buffer_append_format(&out, "%s%s", i == 0 ? "" : ",", where);
    }
    if (is_sentinel) {
        buffer_append_format(&out, "/%s/%u", self->master, self->database);
    }
    buffer_append_text(&out, self->tls ? " (TLS)" : "");
    snprintf(ret_text, size, "%.*s", (int) out.size, out.size == 0 ? "" : (const char *) out.data);
    buffer_finish(&out);
}
