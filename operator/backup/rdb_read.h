/* An RDB cut into its keys, without reading what is in their values: a value of the file is what RESTORE takes. Pure; a
 * window of the file at a time. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RDB_READ_H
#define CALLBOARD_OPERATOR_RDB_READ_H

#include "base/bytes.h"

enum { RDB_HEAD = 9, RDB_ERROR_MAX = 128 };

struct rdb_reader {
    unsigned version;
    uint64_t database; /* of the keys that come */
    struct buffer key; /* of the last one, decoded */
    char error[RDB_ERROR_MAX];
};

enum rdb_part {
    RDB_PART_KEY,
    RDB_PART_FUNCTION, /* a library's code, in `value` as the file has it: not decoded */
    RDB_PART_OTHER,    /* nothing that has to be put back */
    RDB_PART_END,      /* of the file, but for its checksum */
    RDB_PART_MORE,     /* the window ends inside it: again, with more bytes behind the same ones */
    RDB_PART_BROKEN,   /* see error */
};

struct rdb_found {
    size_t size;         /* bytes of the window that it took */
    uint8_t type;        /* as RESTORE wants it in front of the value */
    struct span value;   /* inside the window */
    uint64_t expires_ms; /* 0: never */
};

/* head: the first RDB_HEAD bytes of the file. False: no RDB. */
bool rdb_reader_begin(struct rdb_reader *self, struct span head);
void rdb_reader_finish(struct rdb_reader *self);
enum rdb_part rdb_reader_next(struct rdb_reader *self, struct span window, struct rdb_found *ret_found);

/* What RESTORE takes: type, value, version, checksum. */
void rdb_append_payload(struct buffer *out, const struct rdb_found *found, unsigned version);
/* The slot of a key in a cluster. */
unsigned rdb_slot(struct span key);

#endif
