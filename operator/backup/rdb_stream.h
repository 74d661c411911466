/* What a Redis answers to PSYNC ? -1, byte by byte as it comes: blank lines while it works, +FULLRESYNC with the place
 * in its replication stream, then an RDB, by its length or up to a mark. Pure. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_RDB_STREAM_H
#define CALLBOARD_OPERATOR_RDB_STREAM_H

#include "base/bytes.h"

enum { RDB_STREAM_LINE_MAX = 256, RDB_STREAM_MARK = 40, RDB_STREAM_ID = 40 };

enum rdb_stream_phase { RDB_STREAM_ANSWER, RDB_STREAM_HEADER, RDB_STREAM_BY_LENGTH, RDB_STREAM_BY_MARK };

struct rdb_stream {
    enum rdb_stream_phase phase;
    char line[RDB_STREAM_LINE_MAX];
    size_t line_size;
    uint64_t left;                 /* by length */
    uint8_t mark[RDB_STREAM_MARK]; /* by mark */
    uint8_t tail[RDB_STREAM_MARK]; /* the newest bytes: they may be the mark */
    size_t tail_size;
    char replication_id[RDB_STREAM_ID + 1];
    uint64_t offset;
    char error[RDB_STREAM_LINE_MAX + 64];
};

#define RDB_STREAM_BEGIN ((struct rdb_stream){.phase = RDB_STREAM_ANSWER})

enum rdb_stream_result {
    RDB_STREAM_MORE,
    RDB_STREAM_WHOLE,
    RDB_STREAM_REFUSED, /* by the server (error has its words), by the format, or by the sink */
};

/* False: it cannot be taken; the stream ends. */
typedef bool (*rdb_stream_sink_t)(void *context, struct span payload);

/* The bytes that came; what of them is the RDB goes to the sink. */
enum rdb_stream_result rdb_stream_feed(struct rdb_stream *self, struct span bytes, rdb_stream_sink_t sink,
                                       void *context);

#endif
