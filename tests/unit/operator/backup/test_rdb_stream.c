/* What comes behind PSYNC, in pieces of every size, into a file that judges it; and the manifest that tells of it. */
#include "operator/backup/backup_manifest.h"
#include "operator/backup/rdb_crc.h"
#include "operator/backup/rdb_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define ID   "0123456789abcdef0123456789abcdef01234567"
#define MARK "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee"

static bool keep(void *context, struct span payload) {
    return buffer_append_span(context, payload);
}

static enum rdb_stream_result feed(struct rdb_stream *stream, struct span bytes, size_t piece, struct buffer *out) {
    enum rdb_stream_result result = RDB_STREAM_MORE;
    *stream = RDB_STREAM_BEGIN;
    while (bytes.size > 0 && result == RDB_STREAM_MORE) {
        size_t size = bytes.size < piece ? bytes.size : piece;
        result = rdb_stream_feed(stream, span_of(bytes.data, size), keep, out);
        bytes = span_of(bytes.data + size, bytes.size - size);
    }
    return result;
}

static void takes_both_forms_in_any_pieces(void **state) {
    static const char *const texts[] = {
        "\n\n+FULLRESYNC " ID " 1234\r\n\n\n$11\r\nHELLO\r\nRDB!",
        "+FULLRESYNC " ID " 1234\r\n\n$EOF:" MARK "\r\nHELLO\r\nRDB!" MARK,
    };
    (void) state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t piece = 1; piece <= strlen(texts[i]); piece++) {
            struct rdb_stream stream;
            struct buffer out = BUFFER_EMPTY;
            assert_int_equal(feed(&stream, span_of_text(texts[i]), piece, &out), RDB_STREAM_WHOLE);
            assert_true(span_equal_text(buffer_span(&out), "HELLO\r\nRDB!"));
            assert_string_equal(stream.replication_id, ID);
            assert_int_equal(stream.offset, 1234);
            buffer_finish(&out);
        }
    }
}

static void tells_what_it_does_not_understand(void **state) {
    static const struct {
        const char *text;
        const char *error;
    } cases[] = {
        {"-NOPERM no right\r\n", "-NOPERM no right"},
        {"+CONTINUE\r\n", "neither +FULLRESYNC nor an error: +CONTINUE"},
        {"+FULLRESYNC " ID "\r\n", "neither"},
        {"+FULLRESYNC " ID " x\r\n", "neither"},
        {"+FULLRESYNC " ID " 1\r\n*1\r\n", "no RDB follows"},
        {"+FULLRESYNC " ID " 1\r\n$-1\r\n", "no RDB follows"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rdb_stream stream;
        struct buffer out = BUFFER_EMPTY;
        assert_int_equal(feed(&stream, span_of_text(cases[i].text), 7, &out), RDB_STREAM_REFUSED);
        if (strstr(stream.error, cases[i].error) == NULL) {
            fail_msg("%s: %s", cases[i].text, stream.error);
        }
        buffer_finish(&out);
    }
    struct rdb_stream stream;
    struct buffer out = BUFFER_EMPTY;
    char longest[RDB_STREAM_LINE_MAX + 2];
    memset(longest, '+', sizeof longest);
    assert_int_equal(feed(&stream, span_of(longest, sizeof longest), 100, &out), RDB_STREAM_REFUSED);
    assert_int_equal(feed(&stream, SPAN_LITERAL("+FULLRESYNC " ID " 1\r\n$9\r\nHELLO"), 9, &out), RDB_STREAM_MORE);
    buffer_finish(&out);
}

static bool write_rdb(struct span bytes, size_t piece, struct backup_file_facts *facts, char error[BACKUP_ERROR_MAX]) {
    FILE *file = tmpfile();
    backup_file_t *kept = backup_file_new(fileno(file));
    for (size_t at = 0; at < bytes.size; at += piece) {
        size_t size = bytes.size - at < piece ? bytes.size - at : piece;
        assert_true(backup_file_take(kept, span_of(bytes.data + at, size)));
    }
    bool is_whole = backup_file_finish(kept, facts);
    snprintf(error, BACKUP_ERROR_MAX, "%s", backup_file_error(kept));
    backup_file_destroy(&kept);
    fclose(file);
    return is_whole;
}

static void a_file_knows_whether_it_is_whole(void **state) {
    struct buffer rdb = BUFFER_EMPTY;
    struct backup_file_facts facts;
    char error[BACKUP_ERROR_MAX];
    (void) state;
    assert_int_equal(rdb_crc(0, SPAN_LITERAL("123456789")), UINT64_C(0xe9c6d914c4b8d9ca));
    buffer_append_text(&rdb, "REDIS0010 and what it holds\xff");
    buffer_append_u64(&rdb, rdb_crc(0, buffer_span(&rdb)));
    for (size_t piece = 1; piece <= rdb.size; piece++) {
        assert_true(write_rdb(buffer_span(&rdb), piece, &facts, error));
        assert_int_equal(facts.rdb_version, 10);
        assert_int_equal(facts.bytes, rdb.size);
        assert_true(facts.is_checked);
    }
    rdb.data[12] ^= 1;
    assert_false(write_rdb(buffer_span(&rdb), 5, &facts, error));
    assert_non_null(strstr(error, "checksum"));
    assert_false(write_rdb(span_of(rdb.data, rdb.size - 1), 5, &facts, error));
    assert_non_null(strstr(error, "no whole RDB"));
    memset(rdb.data + rdb.size - 8, 0, 8); /* rdbchecksum no */
    assert_true(write_rdb(buffer_span(&rdb), 5, &facts, error));
    assert_false(facts.is_checked);
    buffer_finish(&rdb);
}

static void a_manifest_says_what_it_was_told(void **state) {
    struct backup_manifest manifest = {.taken_at = "2026-11-29T03:00:00Z", .mode = "cluster", .version = "7.0.15"};
    struct backup_manifest again;
    struct buffer text = BUFFER_EMPTY;
    char error[BACKUP_ERROR_MAX];
    (void) state;
    struct backup_shard *shard = backup_manifest_add(&manifest);
    *shard = (struct backup_shard){.file = "shard-0.rdb",
                                   .facts = {.bytes = 77, .rdb_version = 10, .is_checked = true},
                                   .host = "redis-3.pods",
                                   .port = 6379,
                                   .is_replica = true,
                                   .replication_id = ID,
                                   .offset = 9};
    memset(shard->facts.sha256, 'a', BACKUP_SHA256_TEXT - 1);
    char slots[] = "0-8191,9000";
    shard->slots = slots;
    backup_manifest_print(&manifest, &text);
    assert_true(backup_manifest_parse(&again, buffer_span(&text), error));
    assert_int_equal(again.n, 1);
    assert_string_equal(again.shards[0].slots, "0-8191,9000");
    assert_memory_equal(&again.shards[0].facts, &shard->facts, sizeof shard->facts);
    assert_true(again.shards[0].is_replica && again.shards[0].offset == 9 && again.shards[0].port == 6379);
    backup_manifest_finish(&again);
    shard->slots = NULL;
    snprintf(shard->file, sizeof shard->file, "../etc/passwd");
    buffer_clear(&text);
    backup_manifest_print(&manifest, &text);
    assert_false(backup_manifest_parse(&again, buffer_span(&text), error));
    assert_string_equal(error, "a shard's file is no name");
    assert_false(backup_manifest_parse(&again, SPAN_LITERAL("{\"format\": \"callboard-redis-backup/2\"}"), error));
    assert_false(backup_manifest_parse(&again, SPAN_LITERAL("{"), error));
    backup_manifest_finish(&manifest);
    buffer_finish(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_both_forms_in_any_pieces),
        cmocka_unit_test(tells_what_it_does_not_understand),
        cmocka_unit_test(a_file_knows_whether_it_is_whole),
        cmocka_unit_test(a_manifest_says_what_it_was_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
