/* Replies of Redis: hiredis's reader with object functions of our own that build a compact tree in one arena and keep
 * the caps of security.md S29: bytes of one reply, elements of one reply. After any error the reader is of no use any
 * more and the connection has to go (a reader cannot resume). Thread: the owner's. */
#ifndef CALLBOARD_BASE_REDIS_REPLY_H
#define CALLBOARD_BASE_REDIS_REPLY_H

#include "base/bytes.h"

enum redis_reply_type { REDIS_NIL, REDIS_STATUS, REDIS_ERROR, REDIS_INTEGER, REDIS_STRING, REDIS_ARRAY };

struct redis_reply {
    enum redis_reply_type type;
    int64_t integer;
    struct span text;             /* status, error, string */
    size_t n;                     /* array */
    struct redis_reply *elements; /* array: n of them */
};

struct redis_reply_limits {
    size_t bytes;    /* of one reply as it is on the wire, and of its tree */
    size_t elements; /* of one reply, nested ones too */
};

typedef struct redis_reader redis_reader_t;

redis_reader_t *redis_reader_new(const struct redis_reply_limits *limits);
void redis_reader_destroy(redis_reader_t **self_p);

/* False: broken or over a cap; see redis_reader_error. */
bool redis_reader_feed(redis_reader_t *self, struct span bytes);
enum redis_read_result { REDIS_READ_REPLY, REDIS_READ_MORE, REDIS_READ_BROKEN };
/* The next whole reply, valid until the next call; REDIS_READ_MORE: it needs more bytes. */
enum redis_read_result redis_reader_next(redis_reader_t *self, const struct redis_reply **ret_reply);
const char *redis_reader_error(const redis_reader_t *self);

/* Conveniences that take any type: "is it a string (or status) with this text?", "the string, or empty". */
bool redis_reply_is_text(const struct redis_reply *self, const char *text);
struct span redis_reply_string(const struct redis_reply *self);

#endif
