/* What a copy of Redis is made from and read back from: the answer to PSYNC, an RDB, a manifest. The first byte chooses
 * the reader; each ends inside its bounds, and pieces give what the whole gives. */
#include "base/check.h"
#include "operator/backup/backup_manifest.h"
#include "operator/backup/rdb_read.h"
#include "operator/backup/rdb_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool keep(void *context, struct span payload) {
    return buffer_append_span(context, payload);
}

static enum rdb_stream_result feed(struct span bytes, size_t piece, struct buffer *out) {
    struct rdb_stream stream = RDB_STREAM_BEGIN;
    enum rdb_stream_result result = RDB_STREAM_MORE;
    while (bytes.size > 0 && result == RDB_STREAM_MORE) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        result = rdb_stream_feed(&stream, span_of(bytes.data, size), keep, out);
        bytes = span_of(bytes.data + size, bytes.size - size);
    }
    check((result == RDB_STREAM_REFUSED) == (stream.error[0] != '\0'), "a refusal says why");
    return result;
}

static void as_stream(struct span bytes) {
    struct buffer whole = BUFFER_EMPTY;
    struct buffer pieces = BUFFER_EMPTY;
    (void) feed(bytes, SIZE_MAX, &whole);
    enum rdb_stream_result result = feed(bytes, 1, &pieces);
    /* By the mark, bytes behind it are not sent: only a stream that ends with it is the same in pieces. */
    check(result == RDB_STREAM_WHOLE || pieces.size <= whole.size, "pieces");
    buffer_finish(&whole);
    buffer_finish(&pieces);
}

static void as_rdb(struct span bytes) {
    struct rdb_reader reader;
    struct rdb_found found;
    enum rdb_part part = RDB_PART_OTHER;
    if (rdb_reader_begin(&reader, bytes)) {
        bytes = span_of(bytes.data + RDB_HEAD, bytes.size - RDB_HEAD);
        while (part == RDB_PART_OTHER || part == RDB_PART_KEY || part == RDB_PART_FUNCTION) {
            part = rdb_reader_next(&reader, bytes, &found);
            if (part != RDB_PART_MORE && part != RDB_PART_BROKEN) {
                check(found.size > 0 && found.size <= bytes.size, "a part is a part of it");
                bytes = span_of(bytes.data + found.size, bytes.size - found.size);
            }
            if (part == RDB_PART_KEY) {
                struct buffer payload = BUFFER_EMPTY;
                rdb_append_payload(&payload, &found, reader.version);
                check(payload.size == found.value.size + 11 && rdb_slot(buffer_span(&reader.key)) < 16384, "a key");
                buffer_finish(&payload);
            }
        }
        check((part == RDB_PART_BROKEN) == (reader.error[0] != '\0'), "a refusal says why");
    }
    rdb_reader_finish(&reader);
}

static void as_manifest(struct span bytes) {
    struct backup_manifest manifest;
    char error[BACKUP_ERROR_MAX];
    if (backup_manifest_parse(&manifest, bytes, error)) {
        struct backup_manifest again;
        struct buffer text = BUFFER_EMPTY;
        backup_manifest_print(&manifest, &text);
        check(backup_manifest_parse(&again, buffer_span(&text), error) && again.n == manifest.n, "%s", error);
        backup_manifest_finish(&again);
        buffer_finish(&text);
        backup_manifest_finish(&manifest);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 0) {
        struct span bytes = span_of(data + 1, size - 1);
        if (data[0] == 's') {
            as_stream(bytes);
        } else if (data[0] == 'r') {
            as_rdb(bytes);
        } else {
            as_manifest(bytes);
        }
    }
    return 0;
}
