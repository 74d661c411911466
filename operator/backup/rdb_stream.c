/* See rdb_stream.h.
 *
 *   ANSWER   "\n"* then "+FULLRESYNC id offset\r\n", or "-ERR …\r\n"
 *   HEADER   "\n"* then "$length\r\n" ─▶ BY_LENGTH   or "$EOF:<40 bytes>\r\n" ─▶ BY_MARK
 *   BY_MARK  the last 40 bytes that came are held back; where they are the mark, the RDB is whole. The server sends
 *            nothing behind the mark before it is acknowledged, so the mark always ends what came
 *
 * Failures: an answer that is none of these, or a line that is too long, is told with its beginning. */
#include "operator/backup/rdb_stream.h"

#include <stdio.h>

static enum rdb_stream_result refuse(struct rdb_stream *self, const char *what) {
    snprintf(self->error, sizeof self->error, "%s%.*s", what, (int) self->line_size, self->line);
    return RDB_STREAM_REFUSED;
}

/* Takes bytes up to a line feed. True: self->line is a whole line, without CR and LF. */
static bool take_line(struct rdb_stream *self, struct span *bytes, bool *ret_too_long) {
    *ret_too_long = false;
    while (bytes->size > 0) {
        char c = (char) bytes->data[0];
        *bytes = span_of(bytes->data + 1, bytes->size - 1);
        if (c == '\n') {
            self->line_size -= self->line_size > 0 && self->line[self->line_size - 1] == '\r' ? 1 : 0;
            return true;
        }
        if (self->line_size == sizeof self->line) {
            *ret_too_long = true;
            return false;
        }
        self->line[self->line_size++] = c;
    }
    return false;
}

static bool read_answer(struct rdb_stream *self) {
    static const char word[] = "+FULLRESYNC ";
    size_t size = sizeof word - 1;
    struct span line = span_of(self->line, self->line_size);
    if (!span_starts_with(line, SPAN_LITERAL("+FULLRESYNC ")) || line.size < size + RDB_STREAM_ID + 2) {
        return false;
    }
    memcpy(self->replication_id, self->line + size, RDB_STREAM_ID);
    self->replication_id[RDB_STREAM_ID] = '\0';
    for (size_t i = 0; i < RDB_STREAM_ID; i++) {
        if (self->replication_id[i] == '\0' || strchr("0123456789abcdef", self->replication_id[i]) == NULL) {
            return false;
        }
    }
    size += RDB_STREAM_ID;
    return self->line[size] == ' ' &&
           span_parse_u64(span_of(self->line + size + 1, line.size - size - 1), &self->offset);
}

static bool read_header(struct rdb_stream *self) {
    struct span line = span_of(self->line, self->line_size);
    if (span_starts_with(line, SPAN_LITERAL("$EOF:")) && line.size == 5 + RDB_STREAM_MARK) {
        memcpy(self->mark, line.data + 5, RDB_STREAM_MARK);
        self->phase = RDB_STREAM_BY_MARK;
        return true;
    }
    self->phase = RDB_STREAM_BY_LENGTH;
    return line.size > 1 && line.data[0] == '$' && span_parse_u64(span_of(line.data + 1, line.size - 1), &self->left);
}

/* RDB_STREAM_MORE: go on with the bytes that are left, if any. */
static enum rdb_stream_result take_head(struct rdb_stream *self, struct span *bytes) {
    bool is_too_long;
    if (!take_line(self, bytes, &is_too_long)) {
        return is_too_long ? refuse(self, "the answer to PSYNC is a line without an end: ") : RDB_STREAM_MORE;
    }
    if (self->line_size == 0) {
        return RDB_STREAM_MORE; /* the server is at work */
    }
    if (self->line[0] == '-') {
        return refuse(self, "");
    }
    if (self->phase == RDB_STREAM_ANSWER) {
        if (!read_answer(self)) {
            return refuse(self, "PSYNC is answered by neither +FULLRESYNC nor an error: ");
        }
        self->phase = RDB_STREAM_HEADER;
    } else if (!read_header(self)) {
        return refuse(self, "no RDB follows +FULLRESYNC: ");
    }
    self->line_size = 0;
    return RDB_STREAM_MORE;
}

static bool hand_out(struct rdb_stream *self, struct span payload, rdb_stream_sink_t sink, void *context) {
    if (payload.size == 0 || sink(context, payload)) {
        return true;
    }
    self->line_size = 0;
    (void) refuse(self, "what came cannot be kept");
    return false;
}

static enum rdb_stream_result take_by_length(struct rdb_stream *self, struct span bytes, rdb_stream_sink_t sink,
                                             void *context) {
    struct span payload = bytes.size > self->left ? span_of(bytes.data, (size_t) self->left) : bytes;
    self->left -= payload.size;
    if (!hand_out(self, payload, sink, context)) {
        return RDB_STREAM_REFUSED;
    }
    return self->left == 0 ? RDB_STREAM_WHOLE : RDB_STREAM_MORE;
}

static enum rdb_stream_result take_by_mark(struct rdb_stream *self, struct span bytes, rdb_stream_sink_t sink,
                                           void *context) {
    size_t all = self->tail_size + bytes.size;
    size_t out = all > RDB_STREAM_MARK ? all - RDB_STREAM_MARK : 0;
    size_t of_tail = out < self->tail_size ? out : self->tail_size;
    if (!hand_out(self, span_of(self->tail, of_tail), sink, context) ||
        !hand_out(self, span_of(bytes.data, out - of_tail), sink, context)) {
        return RDB_STREAM_REFUSED;
    }
    memmove(self->tail, self->tail + of_tail, self->tail_size - of_tail);
    self->tail_size -= of_tail;
    size_t kept = bytes.size - (out - of_tail);
    if (kept > 0) {
        memcpy(self->tail + self->tail_size, bytes.data + bytes.size - kept, kept);
    }
    self->tail_size += kept;
    bool is_whole = self->tail_size == RDB_STREAM_MARK && memcmp(self->tail, self->mark, RDB_STREAM_MARK) == 0;
    return is_whole ? RDB_STREAM_WHOLE : RDB_STREAM_MORE;
}

enum rdb_stream_result rdb_stream_feed(struct rdb_stream *self, struct span bytes, rdb_stream_sink_t sink,
                                       void *context) {
    while (self->phase <= RDB_STREAM_HEADER) {
        enum rdb_stream_result result = take_head(self, &bytes);
        if (result != RDB_STREAM_MORE || (bytes.size == 0 && self->phase <= RDB_STREAM_HEADER)) {
            return result;
        }
    }
    return self->phase == RDB_STREAM_BY_LENGTH ? take_by_length(self, bytes, sink, context)
                                               : take_by_mark(self, bytes, sink, context);
}
