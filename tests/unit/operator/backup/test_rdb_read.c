/* An RDB cut into keys: every way that a length, a key and a value are written, in windows of every size. */
#include "operator/backup/rdb_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct expected {
    const char *key;
    uint8_t type;
    uint64_t expires_ms;
};

/* What stands behind the head; \x05… are lengths. */
#define BYTES(text) ((struct span){(const uint8_t *) (text), sizeof(text) - 1})

static void expect_parts(struct span file, const struct expected *expected, size_t n) {
    struct rdb_reader reader;
    size_t found = 0;
    assert_true(rdb_reader_begin(&reader, BYTES("REDIS0011")));
    assert_int_equal(reader.version, 11);
    for (;;) {
        struct rdb_found part;
        enum rdb_part kind = RDB_PART_MORE;
        for (size_t size = 0; size <= file.size && kind == RDB_PART_MORE; size++) { /* never more than it has seen */
            kind = rdb_reader_next(&reader, span_of(file.data, size), &part);
        }
        if (kind == RDB_PART_END) {
            break;
        }
        if (kind == RDB_PART_MORE || kind == RDB_PART_BROKEN) {
            fail_msg("key %zu: %s", found, reader.error);
        }
        if (kind == RDB_PART_KEY) {
            assert_true(found < n);
            if (!span_equal_text(buffer_span(&reader.key), expected[found].key)) {
                fail_msg("key %zu is %.*s", found, (int) reader.key.size, (const char *) reader.key.data);
            }
            assert_int_equal(part.type, expected[found].type);
            assert_int_equal(part.expires_ms, expected[found].expires_ms);
            found++;
        }
        file = span_of(file.data + part.size, file.size - part.size);
    }
    assert_int_equal(found, n);
    rdb_reader_finish(&reader);
}

static void cuts_every_kind_of_key_and_value(void **state) {
    static const struct expected expected[] = {
        {"one", 0, 0}, {"-5", 0, 1000}, {"300", 4, 258000}, {"-70000", 3, 0}, {"aaaaaaaaaa", 5, 0},
        {"l", 18, 0},  {"q", 14, 0},    {"s", 15, 0},       {"t", 21, 0},     {"z", 20, 0},
    };
    (void) state;
    struct span file = BYTES("\xfa\x03"
                             "ver"
                             "\x03"
                             "7.0"
                             "\xfe\x02"
                             "\xfb\x0a\x02" /* name, database 2, sizes */
                             "\x00\x03"
                             "one"
                             "\x40\x02"
                             "xy" /* a length of two bytes */
                             "\xfc\xe8\x03\0\0\0\0\0\0"
                             "\xf8\x05"
                             "\xf9\x07"
                             "\x00\xc0\xfb"
                             "\xc1\x34\x12"
                             "\xfd\x02\x01\0\0"
                             "\x04\xc1\x2c\x01"
                             "\x01\x01"
                             "f"
                             "\xc2\1\2\3\4" /* a hash */
                             "\x03\xc2\x90\xee\xfe\xff"
                             "\x03\x01"
                             "a"
                             "\xff\x01"
                             "b"
                             "\x03"
                             "1.5\x01"
                             "c\xfd"
                             "\x05\xc3\x05\x0a"
                             "\x00"
                             "a"
                             "\xe0\x00\x00"
                             "\x01\x01"
                             "m"
                             "12345678" /* packed key */
                             "\x12\x01"
                             "l"
                             "\x02\x02\x01"
                             "p\x01\x01"
                             "q"
                             "\x0e\x01"
                             "q"
                             "\x80\0\0\0\x01\x01"
                             "p"
                             "\x0f\x01"
                             "s"
                             "\x01\x01"
                             "n\x01"
                             "p\x01\x02\x03\x00"
                             "\x15\x01"
                             "t"
                             "\x01\x01"
                             "n\x01"
                             "p\x01\x02\x03\x04\x05\x06\x07\x08"
                             "\x01\x01"
                             "g\x01\x02\x03\x01"
                             "0123456789abcdef"
                             "01234567"
                             "\x01"
                             "\x01\x01"
                             "c"
                             "01234567"
                             "01234567"
                             "\x01"
                             "0123456789abcdef"
                             "\xf5\x04"
                             "code"
                             "\xf4\x01\x02\x03"
                             "\x14\x01"
                             "z"
                             "\x02"
                             "lp"
                             "\xff");
    expect_parts(file, expected, sizeof expected / sizeof expected[0]);
}

static void refuses_what_cannot_be_put_back(void **state) {
    static const struct {
        struct span bytes;
        const char *error;
    } cases[] = {
        {{(const uint8_t *) "\x07\x01k\x05", 4}, "type 7 of a value is a module's"},
        {{(const uint8_t *) "\x18\x01k\x05", 4}, "type 24"},
        {{(const uint8_t *) "\x00\x82", 2}, "a length that is none"},
        {{(const uint8_t *) "\x01\x01k\xc0", 4}, "a string where a number"},
        {{(const uint8_t *) "\x00\xc7", 2}, "written in an unknown way"},
        {{(const uint8_t *) "\x00\x80\xff\xff\xff\xff", 6}, "more than 512 MiB"},
        {{(const uint8_t *) "\x00\xc3\x03\x0a\xe0\x00\x09", 7}, "cannot be unpacked"},
        {{(const uint8_t *) "\x00\xc3\x02\x03\x20\x00", 6}, "cannot be unpacked"}, /* a byte before the first */
        {{(const uint8_t *) "\x00\xc3\x02\x0a\x00"
                            "a",
          6},
         "cannot be unpacked"},
    };
    struct rdb_reader reader;
    struct rdb_found found;
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(rdb_reader_begin(&reader, BYTES("VALKEY080")));
        assert_int_equal(reader.version, 80);
        assert_int_equal(rdb_reader_next(&reader, cases[i].bytes, &found), RDB_PART_BROKEN);
        if (strstr(reader.error, cases[i].error) == NULL) {
            fail_msg("case %zu: %s", i, reader.error);
        }
        rdb_reader_finish(&reader);
    }
    assert_false(rdb_reader_begin(&reader, BYTES("REDIS00x1")));
    assert_false(rdb_reader_begin(&reader, BYTES("GARBAGE00")));
    assert_false(rdb_reader_begin(&reader, BYTES("REDIS")));
}

static void knows_slots(void **state) {
    (void) state;
    assert_int_equal(rdb_slot(BYTES("123456789")), 0x31C3); /* the check value of the specification */
    assert_int_equal(rdb_slot(BYTES("cb:{a}:m:x")), rdb_slot(BYTES("a")));
    assert_int_equal(rdb_slot(BYTES("a")), 15495);
    assert_int_not_equal(rdb_slot(BYTES("{}a")), rdb_slot(BYTES("a")));
    assert_int_equal(rdb_slot(SPAN_EMPTY), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_every_kind_of_key_and_value),
        cmocka_unit_test(refuses_what_cannot_be_put_back),
        cmocka_unit_test(knows_slots),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
