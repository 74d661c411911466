/* See redis_dump.h.
 *
 *   REPLCONF capa eof        the RDB may come without its length: no file on the server's disk
 *   REPLCONF rdb-only 1      nothing may follow it, so nothing piles up in the server for us (Redis 7.0; before it the
 *                            server is told nothing more and the connection is closed behind the RDB)
 *   PSYNC ? -1               its place in the replication stream, then the RDB (rdb_stream.h)
 *
 * Failures: the server refuses (NOPERM, NOMASTERLINK, LOADING; told in its words), sends nothing for a minute (while it
 * works it sends a line feed each second), or cuts; the disk is full. */
#include "operator/backup/redis_dump.h"

#include "base/clock.h"
#include "base/memory.h"
#include "operator/backup/rdb_stream.h"

#include <stdio.h>

enum { SILENCE_MS = 60000, CHUNK = 256 * 1024 };

static bool fail(char ret_error[BACKUP_ERROR_MAX], const struct redis_pod *pod, const char *what, struct span why) {
    snprintf(ret_error, BACKUP_ERROR_MAX, "%.200s: %s%.*s", pod->host, what, (int) (why.size < 200 ? why.size : 200),
             why.size == 0 ? "" : (const char *) why.data);
    return false;
}

static bool announce(resp_client_t *client, const struct redis_pod *pod, char ret_error[BACKUP_ERROR_MAX]) {
    const struct redis_reply *reply = resp_client_call(client, "REPLCONF", "capa", "eof");
    if (!resp_reply_is_ok(reply)) {
        return fail(ret_error, pod,
                    "REPLCONF: ", reply == NULL ? span_of_text(resp_client_error(client)) : reply->text);
    }
    /* An error here is an older server's. */
    return resp_client_call(client, "REPLCONF", "rdb-only", "1") != NULL ||
           fail(ret_error, pod, "REPLCONF: ", span_of_text(resp_client_error(client)));
}

static enum redis_dump_result receive(resp_client_t *client, const struct redis_pod *pod, backup_file_t *file,
                                      uint64_t deadline_ms, struct rdb_stream *stream,
                                      char ret_error[BACKUP_ERROR_MAX]) {
    uint8_t *bytes = memory_alloc(CHUNK);
    enum rdb_stream_result result = RDB_STREAM_MORE;
    bool is_late = false;
    size_t size;
    while (result == RDB_STREAM_MORE && !is_late && resp_client_receive(client, bytes, CHUNK, &size)) {
        result = rdb_stream_feed(stream, span_of(bytes, size), backup_file_take, file);
        is_late = clock_monotonic_ms() >= deadline_ms;
    }
    memory_free(bytes);
    if (result == RDB_STREAM_WHOLE) {
        return REDIS_DUMP_DONE;
    }
    if (result == RDB_STREAM_REFUSED) {
        const char *of_file = backup_file_error(file);
        (void) fail(ret_error, pod, "", span_of_text(of_file[0] != '\0' ? of_file : stream->error));
        return REDIS_DUMP_FAILED;
    }
    (void) fail(ret_error, pod,
                "the RDB did not come to its end: ", span_of_text(is_late ? "out of time" : resp_client_error(client)));
    return is_late ? REDIS_DUMP_LATE : REDIS_DUMP_FAILED;
}

static enum redis_dump_result dump(resp_client_t *client, const struct redis_pod *pod, backup_file_t *file,
                                   uint64_t deadline_ms, struct backup_shard *shard, char ret_error[BACKUP_ERROR_MAX]) {
    struct rdb_stream stream = RDB_STREAM_BEGIN;
    if (!announce(client, pod, ret_error)) {
        return REDIS_DUMP_FAILED;
    }
    resp_client_set_timeout(client, SILENCE_MS);
    if (!resp_client_send(client, SPAN_LITERAL("*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n"))) {
        (void) fail(ret_error, pod, "PSYNC: ", span_of_text(resp_client_error(client)));
        return REDIS_DUMP_FAILED;
    }
    enum redis_dump_result result = receive(client, pod, file, deadline_ms, &stream, ret_error);
    if (result == REDIS_DUMP_DONE && !backup_file_finish(file, &shard->facts)) {
        (void) fail(ret_error, pod, "", span_of_text(backup_file_error(file)));
        result = REDIS_DUMP_FAILED;
    }
    memcpy(shard->replication_id, stream.replication_id, sizeof shard->replication_id);
    shard->offset = stream.offset;
    return result;
}

enum redis_dump_result redis_dump(redis_dialer_t *dialer, const struct redis_pod *pod, int fd, uint64_t deadline_ms,
                                  struct backup_shard *shard, char ret_error[BACKUP_ERROR_MAX]) {
    char error[RESP_ERROR_MAX];
    resp_client_t *client = redis_dialer_open(dialer, REDIS_SERVICE_REDIS, pod, NULL, error, sizeof error);
    if (client == NULL) {
        (void) fail(ret_error, pod, "", span_of_text(error));
        return REDIS_DUMP_FAILED;
    }
    backup_file_t *file = backup_file_new(fd);
    enum redis_dump_result result = dump(client, pod, file, deadline_ms, shard, ret_error);
    snprintf(shard->host, sizeof shard->host, "%s", pod->host);
    shard->port = pod->port;
    backup_file_destroy(&file);
    resp_client_destroy(&client);
    return result;
}
