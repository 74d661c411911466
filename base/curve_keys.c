/* CURVE key files, and the options that put keys on sockets. The arithmetic is libzmq's (over libsodium).
 *
 * Failure modes: a file that is missing, open to others, or does not hold what it should: refused, with the cure.
 * A server without a ZAP handler: libzmq would let in any key; ZAP_ENFORCE_DOMAIN makes it refuse all instead. */
#include "base/curve_keys.h"

#include "base/bytes.h"
#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum {
    KEY_FILE_MAX = 4096,
    PATH_SIZE = 4096,
    /* zmq.h names it for draft builds only; the library has known it since 4.3.0 in every build. */
    ZAP_ENFORCE_DOMAIN = 93,
};

void curve_keys_generate(struct curve_keys *ret_keys) {
    int result = zmq_curve_keypair(ret_keys->public_text, ret_keys->secret_text);
    check(result == 0, "libzmq has no CURVE");
}

void curve_keys_wipe(struct curve_keys *self) {
    explicit_bzero(self, sizeof *self);
}

/* ---- reading ---- */

/* Readable or writable for more than its owner; the owner's group may read it where the owner is not us. */
static bool is_open_to_others(const struct stat *status) {
    mode_t forbidden = S_IRWXO | S_IWGRP | S_IXGRP | (status->st_uid == geteuid() ? S_IRGRP : 0U);
    return (status->st_mode & forbidden) != 0;
}

/* The value after "name =" when this line has it. */
static bool match_line(struct span line, const char *name, struct span *ret_value) {
    struct span rest = line;
    struct span wanted = span_of_text(name);
    if (!span_starts_with(rest, wanted)) {
        return false;
    }
    rest = span_of(rest.data + wanted.size, rest.size - wanted.size);
    while (rest.size > 0 && rest.data[0] == ' ') {
        rest = span_of(rest.data + 1, rest.size - 1);
    }
    if (rest.size == 0 || rest.data[0] != '=') {
        return false;
    }
    rest = span_of(rest.data + 1, rest.size - 1);
    while (rest.size > 0 && rest.data[0] == ' ') {
        rest = span_of(rest.data + 1, rest.size - 1);
    }
    *ret_value = rest;
    return true;
}

static bool is_z85_key(const char *text) {
    uint8_t bytes[32];
    bool is_key = strlen(text) == CURVE_KEY_TEXT_LENGTH && zmq_z85_decode(bytes, text) != NULL;
    explicit_bzero(bytes, sizeof bytes);
    return is_key;
}

static bool take_key(struct span value, char ret_text[CURVE_KEY_TEXT_LENGTH + 1]) {
    if (value.size != CURVE_KEY_TEXT_LENGTH) {
        return false;
    }
    memcpy(ret_text, value.data, value.size);
    ret_text[value.size] = '\0';
    return is_z85_key(ret_text);
}

/* Cuts the first line off, without its end and the white space before that. */
static struct span next_line(struct span *text) {
    const uint8_t *end = memchr(text->data, '\n', text->size);
    size_t size = end == NULL ? text->size : (size_t) (end - text->data);
    struct span line = span_of(text->data, size);
    size_t taken = end == NULL ? size : size + 1;
    *text = span_of(text->data + taken, text->size - taken);
    while (line.size > 0 && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == ' ')) {
        line.size--;
    }
    return line;
}

/* NULL when all is well, else what is wrong. ret_next: a second public key; "": there is none. */
static const char *parse(struct span text, struct curve_keys *ret_keys, char ret_next[CURVE_KEY_TEXT_LENGTH + 1]) {
    struct span value;
    ret_keys->public_text[0] = '\0';
    ret_keys->secret_text[0] = '\0';
    ret_next[0] = '\0';
    while (text.size > 0) {
        struct span line = next_line(&text);
        if (line.size == 0 || line.data[0] == '#') {
            continue;
        }
        if (match_line(line, "public", &value) && ret_next[0] == '\0') {
            if (!take_key(value, ret_keys->public_text[0] == '\0' ? ret_keys->public_text : ret_next)) {
                return "the public key is not 40 characters of Z85";
            }
        } else if (match_line(line, "secret", &value) && ret_keys->secret_text[0] == '\0') {
            if (!take_key(value, ret_keys->secret_text)) {
                return "the secret key is not 40 characters of Z85";
            }
        } else {
            return "a line is neither \"public = KEY\" nor \"secret = KEY\", or stands too often";
        }
    }
    if (ret_next[0] != '\0' && ret_keys->secret_text[0] != '\0') {
        return "a pair has one public key; two stand in a .pub file only";
    }
    return ret_keys->public_text[0] == '\0' ? "there is no line \"public = KEY\"" : NULL;
}

static const char *judge_halves(const struct curve_keys *keys, bool need_secret) {
    char expected[CURVE_KEY_TEXT_LENGTH + 1];
    if (keys->secret_text[0] == '\0') {
        return need_secret ? "there is no line \"secret = KEY\"; is it the .pub file?" : NULL;
    }
    if (zmq_curve_public(expected, keys->secret_text) != 0 || strcmp(expected, keys->public_text) != 0) {
        return "the public key is not that of the secret key";
    }
    return NULL;
}

/* Reads until the end or until the file is too large. */
static ssize_t read_all(int fd, char *ret_text, size_t size) {
    size_t have = 0;
    while (have < size) {
        ssize_t got = read(fd, ret_text + have, size - have);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? -1 : (ssize_t) have;
        }
        have += (size_t) got;
    }
    return (ssize_t) have;
}

/* As read_all on a path, with the file's status. */
static ssize_t read_file(const char *path, char *ret_text, size_t size, struct stat *ret_status) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* O_NONBLOCK: a FIFO would hold us up */
    if (fd < 0) {
        return -1;
    }
    ssize_t got = -1;
    if (fstat(fd, ret_status) == 0) {
        if (S_ISREG(ret_status->st_mode)) {
            got = read_all(fd, ret_text, size);
        } else {
            errno = EINVAL;
        }
    }
    int reason = errno;
    close(fd);
    errno = reason;
    return got;
}

static bool accept_text(const char *path, struct span text, const struct stat *status, bool need_secret,
                        struct curve_keys *ret_keys, char ret_next[CURVE_KEY_TEXT_LENGTH + 1], char *ret_error,
                        size_t error_size) {
    struct curve_keys keys;
    const char *wrong =
        text.size == KEY_FILE_MAX ? "the file is too large for a key file" : parse(text, &keys, ret_next);
    if (wrong == NULL) {
        wrong = judge_halves(&keys, need_secret);
    }
    bool is_good = wrong == NULL;
    if (!is_good) {
        snprintf(ret_error, error_size, "%s: %s (callboardctl keygen makes a good one)", path, wrong);
    } else if (keys.secret_text[0] != '\0' && is_open_to_others(status)) {
        snprintf(ret_error, error_size, "%s: mode is %04o, others may read or change the secret: chmod 600 %s", path,
                 (unsigned) (status->st_mode & 07777), path);
        is_good = false;
    } else {
        if (!need_secret) {
            explicit_bzero(keys.secret_text, sizeof keys.secret_text);
        }
        *ret_keys = keys;
    }
    curve_keys_wipe(&keys);
    return is_good;
}

static bool read_keys(const char *path, bool need_secret, struct curve_keys *ret_keys,
                      char ret_next[CURVE_KEY_TEXT_LENGTH + 1], char *ret_error, size_t error_size) {
    char text[KEY_FILE_MAX];
    struct stat status;
    ssize_t size = read_file(path, text, sizeof text, &status);
    if (size < 0) {
        snprintf(ret_error, error_size, "%s: cannot be read: %s", path,
                 errno == EINVAL ? "not a regular file" : strerror(errno));
        return false;
    }
    bool is_good = accept_text(path, span_of(text, (size_t) size), &status, need_secret, ret_keys, ret_next, ret_error,
                               error_size);
    explicit_bzero(text, sizeof text);
    return is_good;
}

bool curve_keys_read(const char *path, bool need_secret, struct curve_keys *ret_keys, char *ret_error,
                     size_t error_size) {
    char next[CURVE_KEY_TEXT_LENGTH + 1];
    return read_keys(path, need_secret, ret_keys, next, ret_error, error_size);
}

bool curve_keys_read_public(const char *path, char ret_keys[CURVE_PUBLIC_KEYS][CURVE_KEY_TEXT_LENGTH + 1],
                            char *ret_error, size_t error_size) {
    struct curve_keys keys;
    char next[CURVE_KEY_TEXT_LENGTH + 1];
    bool is_good = read_keys(path, false, &keys, next, ret_error, error_size);
    if (is_good) {
        memcpy(ret_keys[0], keys.public_text, sizeof keys.public_text);
        memcpy(ret_keys[1], next, sizeof next);
    }
    return is_good;
}

/* ---- writing ---- */

static bool write_all(int fd, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(fd, text, left);
        if (written < 0 && errno != EINTR) {
            return false;
        }
        if (written > 0) {
            text += written;
            left -= (size_t) written;
        }
    }
    return fsync(fd) == 0;
}

/* A new file of exactly this mode; what was begun is removed when it fails. */
static bool write_new_file(const char *path, mode_t mode, const char *text, char *ret_error, size_t error_size) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        snprintf(ret_error, error_size, "%s: %s", path,
                 errno == EEXIST ? "exists already, and keys are not overwritten: choose another name"
                                 : strerror(errno));
        return false;
    }
    bool is_written = fchmod(fd, mode) == 0 && write_all(fd, text);
    if (!is_written) {
        snprintf(ret_error, error_size, "%s: cannot be written: %s", path, strerror(errno));
        unlink(path);
    }
    close(fd);
    return is_written;
}

bool curve_keys_write(const char *path, const struct curve_keys *keys, char *ret_error, size_t error_size) {
    char public_path[PATH_SIZE];
    char text[256];
    check(keys->secret_text[0] != '\0', "writing a key pair without its secret half");
    if ((size_t) snprintf(public_path, sizeof public_path, "%s.pub", path) >= sizeof public_path) {
        snprintf(ret_error, error_size, "%s: the name is too long", path);
        return false;
    }
    snprintf(text, sizeof text, "public = %s\nsecret = %s\n", keys->public_text, keys->secret_text);
    bool is_written = write_new_file(path, 0600, text, ret_error, error_size);
    explicit_bzero(text, sizeof text);
    if (!is_written) {
        return false;
    }
    snprintf(text, sizeof text, "public = %s\n", keys->public_text);
    if (!write_new_file(public_path, 0644, text, ret_error, error_size)) {
        unlink(path);
        return false;
    }
    return true;
}

/* ---- sockets ---- */

static bool set_text(void *socket, int option, const char *text) {
    return zmq_setsockopt(socket, option, text, strlen(text)) == 0;
}

static bool set_flag(void *socket, int option) {
    int one = 1;
    return zmq_setsockopt(socket, option, &one, sizeof one) == 0;
}

bool curve_keys_apply_server(void *socket, const struct curve_keys *keys, const char *domain) {
    check(domain[0] != '\0', "a CURVE server without a ZAP domain would let in anybody");
    return is_z85_key(keys->secret_text) && set_flag(socket, ZMQ_CURVE_SERVER) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, keys->secret_text) && set_text(socket, ZMQ_ZAP_DOMAIN, domain) &&
           set_flag(socket, ZAP_ENFORCE_DOMAIN);
}

bool curve_keys_apply_client(void *socket, const struct curve_keys *own, const char *server_public_text) {
    return is_z85_key(server_public_text) && is_z85_key(own->public_text) && is_z85_key(own->secret_text) &&
           set_text(socket, ZMQ_CURVE_SERVERKEY, server_public_text) &&
           set_text(socket, ZMQ_CURVE_PUBLICKEY, own->public_text) &&
           set_text(socket, ZMQ_CURVE_SECRETKEY, own->secret_text);
}

/* ---- endpoints ---- */

/* 127.0.0.0/8 as four decimal numbers, ::1, or localhost: nothing that a resolver could make into something else. */
static bool is_loopback_host(const char *host) {
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, host, &ipv6) == 1) {
        return memcmp(&ipv6, &in6addr_loopback, sizeof ipv6) == 0;
    }
    return strcmp(host, "localhost") == 0;
}

bool curve_endpoint_is_local(const char *endpoint) {
    struct span text = span_of_text(endpoint);
    if (span_starts_with(text, SPAN_LITERAL("inproc://")) || span_starts_with(text, SPAN_LITERAL("ipc://"))) {
        return true;
    }
    if (!span_starts_with(text, SPAN_LITERAL("tcp://"))) {
        return false;
    }
    const char *host = endpoint + strlen("tcp://"); /* with "source;" in front it is no address, and so not local */
    const char *colon = strrchr(host, ':');
    char name[64];
    size_t size = colon == NULL ? strlen(host) : (size_t) (colon - host);
    if (size >= 2 && host[0] == '[' && host[size - 1] == ']') {
        host++;
        size -= 2;
    }
    if (size >= sizeof name) {
        return false;
    }
    memcpy(name, host, size);
    name[size] = '\0';
    return is_loopback_host(name);
}

/* host:port, [v6 address]:port, *:port. */
static bool is_tcp_address(struct span text) {
    const uint8_t *colon = memrchr(text.data, ':', text.size);
    if (colon == NULL || colon == text.data) {
        return false;
    }
    struct span host = span_of(text.data, (size_t) (colon - text.data));
    struct span port = span_of(colon + 1, text.size - host.size - 1);
    bool is_bracketed = host.data[0] == '[' && host.data[host.size - 1] == ']';
    uint64_t number = 0;
    return (is_bracketed ? host.size > 2 : memchr(host.data, ':', host.size) == NULL) &&
           strcspn((const char *) text.data, " ;/?#@\t") >= text.size &&
           (span_equal_text(port, "*") || (span_parse_u64(port, &number) && number <= 65535));
}

bool curve_endpoint_is_well_formed(const char *endpoint) {
    struct span text = span_of_text(endpoint);
    if (span_starts_with(text, SPAN_LITERAL("inproc://"))) {
        return text.size > strlen("inproc://");
    }
    if (span_starts_with(text, SPAN_LITERAL("ipc://"))) {
        return text.size > strlen("ipc://");
    }
    size_t scheme = strlen("tcp://");
    return span_starts_with(text, SPAN_LITERAL("tcp://")) && text.size > scheme &&
           is_tcp_address(span_of(text.data + scheme, text.size - scheme));
}
