/* The wire: every frame of the list survives a round trip, matches its golden bytes, and is refused when cut short.
 * Golden frames are the files tests/fuzz/corpus/wire/frame_<KIND>: one sealed batch each. A change there is a change of
 * the protocol (raise WIRE_VERSION). CALLBOARD_WRITE_GOLDEN=1 writes them anew. */
#include "base/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Each field gets a value that tells it from its neighbours. */
#define SAMPLE_u8(name)    frame->name = (uint8_t) (0x10 + ++n);
#define SAMPLE_u16(name)   frame->name = (uint16_t) (0x1100 + ++n);
#define SAMPLE_u32(name)   frame->name = 0x22000000u + ++n;
#define SAMPLE_u64(name)   frame->name = UINT64_C(0x3300000000000000) + ++n;
#define SAMPLE_i64(name)   frame->name = -(int64_t) ++n;
#define SAMPLE_epoch(name) frame->name = (struct epoch){"AbCdEf0123456789"}, n++;
#define SAMPLE_bytes(name) frame->name = SPAN_LITERAL("bytes of " #name), n++;
#define SAMPLE_rest(name)  frame->name = SPAN_LITERAL("the rest: " #name), n++;
#define SAMPLE(type, name) SAMPLE_##type(name)

#define EQUAL_u8(name)    assert_int_equal(a->name, b->name);
#define EQUAL_u16(name)   assert_int_equal(a->name, b->name);
#define EQUAL_u32(name)   assert_int_equal(a->name, b->name);
#define EQUAL_u64(name)   assert_true(a->name == b->name);
#define EQUAL_i64(name)   assert_true(a->name == b->name);
#define EQUAL_epoch(name) assert_true(epoch_equal(&a->name, &b->name));
#define EQUAL_bytes(name) assert_true(span_equal(a->name, b->name));
#define EQUAL_rest(name)  assert_true(span_equal(a->name, b->name));
#define EQUAL(type, name) EQUAL_##type(name)

static struct wire_batch_header sample_header(void) {
    return (struct wire_batch_header){.version = 1,
                                      .shard = 3,
                                      .link_epoch = 0x0102030405060708,
                                      .number = 9,
                                      .ack = 8,
                                      .credit_frames = 4096,
                                      .credit_bytes = 16 << 20};
}

static void golden_path(char *ret_path, size_t size, const char *kind) {
    snprintf(ret_path, size, "%s/tests/fuzz/corpus/wire/frame_%s", CALLBOARD_SOURCE_DIR, kind);
}

static void compare_with_golden(const char *kind, struct span batch) {
    char path[1024];
    golden_path(path, sizeof path, kind);
    if (getenv("CALLBOARD_WRITE_GOLDEN") != NULL) {
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(batch.data, 1, batch.size, file), batch.size);
        fclose(file);
        return;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fail_msg("%s is missing: run once with CALLBOARD_WRITE_GOLDEN=1", path);
    }
    uint8_t golden[4096];
    size_t size = fread(golden, 1, sizeof golden, file);
    fclose(file);
    assert_int_equal(size, batch.size);
    assert_memory_equal(golden, batch.data, size);
}

static struct span only_frame(struct span batch, uint8_t kind) {
    struct wire_batch_header header;
    struct cursor frames;
    assert_int_equal(wire_batch_open(batch, &header, &frames), WIRE_OK);
    struct wire_frame frame;
    assert_int_equal(wire_frame_next(&frames, &frame), WIRE_OK);
    assert_int_equal(frame.kind, kind);
    assert_int_equal(frame.flags, 0);
    struct wire_frame none;
    assert_int_equal(wire_frame_next(&frames, &none), WIRE_END);
    return frame.body;
}

#define FRAME_TEST(NAME, suffix, kind, direction)                                                                      \
    static void fill_##suffix(struct wire_##suffix *frame) {                                                           \
        uint32_t n = 0;                                                                                                \
        WIRE_FIELDS_##suffix(SAMPLE)(void) n;                                                                          \
    }                                                                                                                  \
    static void compare_##suffix(const struct wire_##suffix *a, const struct wire_##suffix *b) {                       \
        WIRE_FIELDS_##suffix(EQUAL)                                                                                    \
    }                                                                                                                  \
    static void NAME##_survives_a_round_trip_and_matches_its_golden_bytes(void **state) {                              \
        (void) state;                                                                                                  \
        struct wire_##suffix written, read;                                                                            \
        fill_##suffix(&written);                                                                                       \
        struct buffer batch = BUFFER_EMPTY;                                                                            \
        wire_batch_begin(&batch);                                                                                      \
        assert_true(wire_encode_##suffix(&batch, &written));                                                           \
        struct wire_batch_header header = sample_header();                                                             \
        wire_batch_seal(&batch, &header);                                                                              \
        compare_with_golden(#NAME, buffer_span(&batch));                                                               \
        struct span body = only_frame(buffer_span(&batch), kind);                                                      \
        assert_true(wire_decode_##suffix(body, &read));                                                                \
        compare_##suffix(&written, &read);                                                                             \
        buffer_finish(&batch);                                                                                         \
    }                                                                                                                  \
    /* `rest` takes whatever is left, so a PUSH may be cut anywhere behind its handle. */                              \
    static void NAME##_cut_short_or_with_bytes_behind_it_is_refused(void **state) {                                    \
        (void) state;                                                                                                  \
        struct wire_##suffix written, read;                                                                            \
        fill_##suffix(&written);                                                                                       \
        struct buffer batch = BUFFER_EMPTY;                                                                            \
        assert_true(wire_encode_##suffix(&batch, &written));                                                           \
        struct span body = span_of(batch.data + WIRE_FRAME_HEADER_SIZE, batch.size - WIRE_FRAME_HEADER_SIZE);          \
        size_t cut_max = kind == WIRE_PUSH ? 4 : body.size;                                                            \
        for (size_t size = 0; size < cut_max; size++) {                                                                \
            assert_false(wire_decode_##suffix(span_of(body.data, size), &read));                                       \
        }                                                                                                              \
        buffer_append_u8(&batch, 0);                                                                                   \
        struct span longer = span_of(batch.data + WIRE_FRAME_HEADER_SIZE, batch.size - WIRE_FRAME_HEADER_SIZE);        \
        assert_int_equal(wire_decode_##suffix(longer, &read), kind == WIRE_PUSH);                                      \
        buffer_finish(&batch);                                                                                         \
    }
WIRE_FRAMES(FRAME_TEST)

static void a_frame_over_its_bound_is_taken_back_and_the_batch_goes_on(void **state) {
    (void) state;
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    assert_true(wire_encode_lagging(&batch, &(struct wire_lagging){7}));
    size_t size = batch.size;
    uint8_t *big = calloc(1, WIRE_FRAME_MAX);
    struct wire_push push = {.handle = 1, .publication = span_of(big, WIRE_FRAME_MAX - WIRE_FRAME_HEADER_SIZE - 4 + 1)};
    assert_false(wire_encode_push(&batch, &push));
    assert_int_equal(batch.size, size);
    assert_false(batch.overflow);
    push.publication.size--;
    assert_true(wire_encode_push(&batch, &push));
    assert_true(wire_encode_push(&batch, &push));
    assert_true(wire_encode_push(&batch, &push));
    /* The fourth does not fit into the batch. */
    size = batch.size;
    assert_false(wire_encode_push(&batch, &push));
    assert_int_equal(batch.size, size);
    assert_true(wire_encode_lagging(&batch, &(struct wire_lagging){8}));
    free(big);
    buffer_finish(&batch);
}

static void an_epoch_that_is_too_long_or_not_printable_is_refused(void **state) {
    (void) state;
    static const struct {
        const char *text;
        bool fine;
    } rows[] = {{"", true},
                {"a", true},
                {"12345678901234567890123", true},
                {"123456789012345678901234", false},
                {"a b", false},
                {"a\x7f", false},
                {"\xc3\xa4", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer body = BUFFER_EMPTY;
        buffer_append_u32(&body, 5);
        buffer_append_sized(&body, span_of_text(rows[i].text));
        buffer_append_u64(&body, 17);
        struct wire_lost lost;
        assert_int_equal(wire_decode_lost(buffer_span(&body), &lost), rows[i].fine);
        buffer_finish(&body);
    }
}

static void a_header_survives_a_round_trip(void **state) {
    (void) state;
    struct buffer batch = BUFFER_EMPTY;
    wire_batch_begin(&batch);
    struct wire_batch_header written = sample_header(), read;
    wire_batch_seal(&batch, &written);
    struct cursor frames;
    assert_int_equal(wire_batch_open(buffer_span(&batch), &read, &frames), WIRE_OK);
    assert_int_equal(frames.left, 0);
    assert_int_equal(read.version, written.version);
    assert_int_equal(read.shard, written.shard);
    assert_true(read.link_epoch == written.link_epoch);
    assert_int_equal(read.number, written.number);
    assert_int_equal(read.ack, written.ack);
    assert_int_equal(read.credit_frames, written.credit_frames);
    assert_int_equal(read.credit_bytes, written.credit_bytes);
    buffer_finish(&batch);
}

static void a_wrong_header_is_named_for_what_is_wrong(void **state) {
    (void) state;
    static const struct {
        size_t at;
        uint8_t value;
        enum wire_outcome outcome;
    } rows[] = {{0, 0x44, WIRE_BAD_MAGIC}, {1, 0x43, WIRE_BAD_MAGIC},
                {2, 0, WIRE_BAD_VERSION},  {2, WIRE_VERSION + 1, WIRE_BAD_VERSION},
                {3, 1, WIRE_BAD_HEADER},   {6, 1, WIRE_BAD_HEADER},
                {7, 1, WIRE_BAD_HEADER}};
    struct buffer batch = BUFFER_EMPTY;
    struct wire_batch_header header = sample_header(), read;
    struct cursor frames;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        wire_batch_begin(&batch);
        wire_batch_seal(&batch, &header);
        batch.data[rows[i].at] = rows[i].value;
        assert_int_equal(wire_batch_open(buffer_span(&batch), &read, &frames), rows[i].outcome);
    }
    assert_int_equal(wire_batch_open(span_of(batch.data, WIRE_BATCH_HEADER_SIZE - 1), &read, &frames), WIRE_TRUNCATED);
    assert_int_equal(wire_batch_open(SPAN_EMPTY, &read, &frames), WIRE_TRUNCATED);
    buffer_finish(&batch);
}

static void a_wrong_frame_header_is_named_for_what_is_wrong(void **state) {
    (void) state;
    static const struct {
        uint8_t bytes[9];
        size_t size;
        enum wire_outcome outcome;
    } rows[] = {
        {{1, 0, 0, 0, 1, 0, 0, 0, 5}, 9, WIRE_OK},
        {{200, WIRE_FRAME_SKIP, 0, 0, 0, 0, 0, 0}, 8, WIRE_OK},
        {{1, 0, 0, 0, 1, 0, 0}, 7, WIRE_TRUNCATED},
        {{1, 0, 0, 0, 2, 0, 0, 0, 5}, 9, WIRE_TRUNCATED},
        {{1, 2, 0, 0, 1, 0, 0, 0, 5}, 9, WIRE_BAD_HEADER},
        {{1, 0, 1, 0, 1, 0, 0, 0, 5}, 9, WIRE_BAD_HEADER},
        {{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 5}, 9, WIRE_BAD_HEADER},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct cursor frames = cursor_of(span_of(rows[i].bytes, rows[i].size));
        struct wire_frame frame;
        assert_int_equal(wire_frame_next(&frames, &frame), rows[i].outcome);
    }
}

static void parts_inside_frames_survive_a_round_trip(void **state) {
    (void) state;
    struct buffer bytes = BUFFER_EMPTY;
    struct wire_client_info info = {SPAN_LITERAL("u"), SPAN_LITERAL("c"), SPAN_LITERAL("{}"), SPAN_EMPTY}, info_read;
    assert_true(wire_append_client_info(&bytes, &info));
    assert_true(wire_read_client_info(buffer_span(&bytes), &info_read));
    assert_true(span_equal(info_read.user, info.user) && span_equal(info_read.client, info.client));
    assert_true(span_equal(info_read.conn_info, info.conn_info) && info_read.chan_info.size == 0);
    buffer_append_u8(&bytes, 0);
    assert_false(wire_read_client_info(buffer_span(&bytes), &info_read));

    buffer_clear(&bytes);
    struct wire_publication publication = {.offset = OFFSET_MAX,
                                           .time_ms = -5,
                                           .flags = 0,
                                           .data = SPAN_LITERAL("{\"a\":1}"),
                                           .info = SPAN_LITERAL("i"),
                                           .tags = SPAN_LITERAL("t")},
                            read;
    assert_true(wire_append_publication(&bytes, &publication));
    assert_true(wire_append_publication(&bytes, &publication));
    struct cursor cursor = cursor_of(buffer_span(&bytes));
    assert_true(wire_read_publication(&cursor, &read) && wire_read_publication(&cursor, &read));
    assert_true(cursor_is_done(&cursor));
    assert_true(read.offset == OFFSET_MAX && read.time_ms == -5 && span_equal(read.data, publication.data));
    assert_true(span_equal(read.info, publication.info) && span_equal(read.tags, publication.tags));
    assert_false(wire_read_publication(&cursor, &read));
    assert_true(cursor.failed);

    buffer_clear(&bytes);
    assert_true(wire_append_tag(&bytes, &(struct wire_tag){SPAN_LITERAL("k"), SPAN_LITERAL("v")}));
    cursor = cursor_of(buffer_span(&bytes));
    struct wire_tag tag;
    assert_true(wire_next_tag(&cursor, &tag));
    assert_true(span_equal_text(tag.key, "k") && span_equal_text(tag.value, "v"));
    assert_false(wire_next_tag(&cursor, &tag));
    assert_false(cursor.failed);
    cursor = cursor_of(span_of(bytes.data, bytes.size - 1));
    assert_false(wire_next_tag(&cursor, &tag));
    assert_true(cursor.failed);
    buffer_finish(&bytes);
}

static void names_are_for_logs(void **state) {
    (void) state;
    assert_string_equal(wire_kind_name(WIRE_HELLO), "HELLO");
    assert_string_equal(wire_kind_name(WIRE_RESET), "RESET");
    assert_string_equal(wire_kind_name(0), "unknown");
    assert_string_equal(wire_kind_name(255), "unknown");
    assert_string_equal(wire_outcome_text(WIRE_BAD_VERSION), "version not spoken");
}

int main(void) {
#define FRAME_TEST_ROWS(NAME, suffix, kind, direction)                                                                 \
    cmocka_unit_test(NAME##_survives_a_round_trip_and_matches_its_golden_bytes),                                       \
        cmocka_unit_test(NAME##_cut_short_or_with_bytes_behind_it_is_refused),
    const struct CMUnitTest tests[] = {
        WIRE_FRAMES(FRAME_TEST_ROWS) cmocka_unit_test(a_frame_over_its_bound_is_taken_back_and_the_batch_goes_on),
        cmocka_unit_test(an_epoch_that_is_too_long_or_not_printable_is_refused),
        cmocka_unit_test(a_header_survives_a_round_trip),
        cmocka_unit_test(a_wrong_header_is_named_for_what_is_wrong),
        cmocka_unit_test(a_wrong_frame_header_is_named_for_what_is_wrong),
        cmocka_unit_test(parts_inside_frames_survive_a_round_trip),
        cmocka_unit_test(names_are_for_logs),
    };
    return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
