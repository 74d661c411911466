/* The protobuf codec: the vectors of client-protocol.md 3.3 byte for byte, what is refused, and each bound of the scan.
 * What every codec does is tests/contract/codec_contract.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "gateway/protocol/client_protocol_protobuf.h"
#include "tests/support/client_commands_text.h"

static const struct client_codec *const codec = &client_codec_protobuf;

static struct buffer message;
static struct buffer out;

static unsigned nibble(char digit) {
    return (unsigned) (digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void append_hex(struct buffer *buffer, const char *hex) {
    for (; *hex != '\0'; hex += hex[0] == ' ' ? 1 : 2) {
        if (hex[0] != ' ') {
            buffer_append_u8(buffer, (uint8_t) (nibble(hex[0]) << 4 | nibble(hex[1])));
        }
    }
}

/* ---- replies ---- */

static void assert_hex(const char *expected) {
    struct buffer bytes = BUFFER_EMPTY;
    append_hex(&bytes, expected);
    assert_int_equal(out.size, bytes.size);
    assert_memory_equal(out.data, bytes.data, bytes.size);
    buffer_finish(&bytes);
    buffer_finish(&out);
}

static void test_the_vectors_of_the_protocol(void **state) {
    (void) state;
    codec->encode_ping(&out);
    assert_hex("00");
    codec->encode_connected(
        &out, 1,
        &(struct client_connected){
            .client = SPAN_LITERAL("c1"), .version = SPAN_LITERAL("v"), .ping_s = 25, .pong = true});
    assert_hex("0f08012a0b0a02633112017638194001");
    struct buffer publications = BUFFER_EMPTY;
    struct wire_publication publication = {.offset = 6, .data = SPAN_LITERAL("{\"a\":1}")};
    wire_append_publication(&publications, &publication);
    codec->encode_subscribed(&out, 2,
                             &(struct client_subscribed){.recoverable = true,
                                                         .epoch = epoch_from(SPAN_LITERAL("abcd")),
                                                         .n_publications = 1,
                                                         .publications = buffer_span(&publications),
                                                         .recovered = true,
                                                         .offset = 5,
                                                         .positioned = true,
                                                         .was_recovering = true});
    assert_hex("210802321d18013204616263643a0b22077b2261223a317d30064001480550016001");
    buffer_finish(&publications);
    publication.offset = 7;
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("news"), 0}, &publication, NULL, NULL);
    assert_hex("15221312046e657773220b22077b2261223a317d3007");
    codec->encode_error(&out, 3, error_describe(ERROR_PERMISSION_DENIED));
    assert_hex("1908031215086712117065726d697373696f6e2064656e696564");
    codec->encode_push_unsubscribe(&out, SPAN_LITERAL("news"), 2500, "insufficient state");
    assert_hex("21221f12046e6577733a1710c4131a12696e73756666696369656e74207374617465");
    codec->encode_empty(&out, 5, CLIENT_COMMAND_UNSUBSCRIBE);
    assert_hex("0408053a00");
    struct buffer info = BUFFER_EMPTY;
    struct buffer entries = BUFFER_EMPTY;
    wire_append_client_info(&info, &(struct wire_client_info){.user = SPAN_LITERAL("u"), .client = SPAN_LITERAL("c1")});
    buffer_append_sized(&entries, buffer_span(&info));
    codec->encode_presence(&out, 6, 1, buffer_span(&entries));
    assert_hex("1308064a0f0a0d0a02633112070a017512026331");
    buffer_finish(&info);
    buffer_finish(&entries);
}

static void test_a_payload_is_any_bytes(void **state) {
    (void) state;
    static const uint8_t bytes[] = {0, 0xff, '\n', '"'};
    struct wire_publication publication = {.flags = WIRE_PUBLICATION_BINARY, .data = {bytes, sizeof bytes}};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_hex("0d 220b 120163 2206 220400ff0a22");
    append_hex(&message, "11 0801 3a0d 0a0163 120400ff0a22 a206016b");
    struct cursor cursor = cursor_of(buffer_span(&message));
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    assert_int_equal(codec->decode_next(&cursor, &scratch, &command), CLIENT_DECODE_OK);
    assert_true(span_equal(command.body.publish.data, span_of(bytes, sizeof bytes)));
    assert_true(span_equal(command.body.publish.key, SPAN_LITERAL("k")));
    buffer_finish(&scratch);
    buffer_finish(&message);
}

static void test_malformed_parts_are_left_out(void **state) {
    (void) state;
    struct wire_publication publication = {
        .data = SPAN_LITERAL("1"), .info = SPAN_LITERAL("xx"), .tags = SPAN_LITERAL("y")};
    codec->encode_push_publication(&out, &(struct client_channel){SPAN_LITERAL("c"), 0}, &publication, NULL, NULL);
    assert_hex("0a 2208 120163 2203 220131");
    codec->encode_presence(&out, 1, 3, SPAN_LITERAL("\5"));
    assert_hex("04 0801 4a00");
}

/* ---- commands ---- */

static void expect(const char *expected) {
    char *text = client_commands_text(codec, buffer_span(&message));
    assert_string_equal(text, expected);
    memory_free(text);
    buffer_finish(&message);
}

static void expect_hex(const char *hex, const char *expected) {
    append_hex(&message, hex);
    expect(expected);
}

static void test_what_is_unknown_is_skipped_and_the_last_one_counts(void **state) {
    (void) state;
    expect_hex("04 0801 5a00", "1 ping");
    expect_hex("06 0801 0802 5a00", "2 ping");
    expect_hex("0c 0801 3203 0a0161 3203 0a0162", "1 unsubscribe channel=b");
    expect_hex("0a 0801 3206 0a0161 0a0162", "1 unsubscribe channel=b");
    expect_hex("0e 0801 3203 0a0161 5a00 9a0602ffff", "1 ping"); /* field 99 */
    expect_hex("17 0801 5a00 90060a 9506 01020304 9106 0102030405060708", "1 ping");
    expect_hex("10 0801 320c 0a0161 12016b 380a 9a060178", "1 unsubscribe channel=a");
    expect_hex("07 0801 5a03 0a0161", "1 ping");                  /* in an empty request */
    expect_hex("0a 08ffffffff7f 5a02 0801", "4294967295 ping");   /* a number of 32 bits keeps its low ones */
    expect_hex("0f 08 81808080808080808000 5a00 0801", "1 ping"); /* ten bytes where one would do */
    expect_hex("0a 0801 2a06 0a0163 188001", "1 subscribe channel=c recover");
    expect_hex("0801 5a00", "BAD");
}

static const char *const hostile_rows[] = {
    /* delimiting */
    "01",
    "02 08",
    "05 0801 5a00",
    "80",
    "ff",
    "8080",
    "ffffffff0f",
    "ffffffffffffffffff01",
    "ffffffffffffffffff02",
    "ffffffffffffffffffff",
    "80808080808080808080",
    "8080808080808080808000",
    "04 0801 5a00 01",
    "04 0801 5a00 ff",
    "00 01",
    "00 00 80",
    "ffffffff07 0801",
    "7f 0801 5a00",
    /* tags */
    "01 00",
    "02 0000",
    "02 0700",
    "01 07",
    "02 0208",
    "04 0801 0300",
    "04 0801 0400",
    "04 0801 0600",
    "04 0801 0700",
    "05 0801 5b 5c 00",
    "06 0801 5a00 1b 1c",
    "06 0801 5a00 0c 00",
    "08 0801 5a00 8280 8000",
    "06 0801 5a00 02 00",
    "0a 0801 5a00 82 80808080 80",
    "0b 0801 5a00 8280808080 01 00",
    "0b 0801 5a00 fa ffffffff 1f 00",
    "0e 0801 5a00 ffffffffffffffffff01",
    "0e 0801 5a00 ffffffffffffffffffff",
    "05 0801 5a00 80",
    "05 0801 5a00 9a",
    /* varints */
    "01 08",
    "02 0880",
    "03 0880 80",
    "0b 08 ffffffffffffffffffff",
    "0d 08 ffffffffffffffffff02 5a00",
    "0e 08 ffffffffffffffffffff01 5a00",
    "0d 08 80808080808080808002 5a00",
    "0d 08 8080808080808080807f 5a00",
    "0e 08 8080808080808080808001 5a00",
    "05 0801 0880 80",
    "0a 0801 3a06 0a0163 1880 80",
    /* lengths */
    "04 0801 5a01",
    "04 0801 5a7f",
    "05 0801 5a80 01",
    "08 0801 5a ffffffff0f",
    "0d 0801 5a ffffffffffffffffff01",
    "0d 0801 5a ffffffffffffffff7f00",
    "05 0801 3201 0a",
    "06 0801 3202 0a01",
    "06 0801 3202 0a02",
    "07 0801 3203 0a0261",
    "07 0801 3203 0a7f61",
    "0a 0801 3206 0a ffffffff0f",
    "0d 0801 3209 0a ffffffffffffff7f",
    "05 0801 3203 0a",
    "06 0801 3203 0a01",
    "09 0801 3a05 0a0163 1202",
    "09 0801 3a05 0a0163 12ff",
    "06 0801 5a00 9a06",
    "07 0801 5a00 9a06 01",
    /* fixed numbers cut off */
    "05 0801 5a00 9d",
    "06 0801 5a00 9d06",
    "07 0801 5a00 9d06 01",
    "09 0801 5a00 9d06 010203",
    "06 0801 5a00 9906",
    "0d 0801 5a00 9906 01020304050607",
    "07 0801 5a00 9906 01",
    /* groups */
    "08 0801 5a00 9b06 9c06",
    "06 0801 5a00 9b06",
    "06 0801 5a00 9c06",
    "0a 0801 5a00 9b06 0801 9c06",
    /* wrong wire types of what is ours */
    "04 0801 5800",
    "07 0801 5d00000000",
    "0b 0801 590000000000000000",
    "05 0a0101 5a00",
    "07 0d01000000 5a00",
    "0b 09 0100000000000000 5a00",
    "06 0801 3202 0801",
    "09 0801 3205 0d01000000",
    "0d 0801 3209 09 0100000000000000",
    "0a 0801 2a06 0a0163 1a0101",
    "0c 0801 2a08 0a0163 1d01000000",
    "0a 0801 2a06 0a0163 3001 00",
    "0a 0801 2a06 0a0163 3a0101",
    "09 0801 2a05 0a0163 4001",
    "09 0801 2a05 0a0163 6001",
    "09 0801 2a05 0a0163 6801",
    "0a 0801 2a06 0a0163 720101",
    "0a 0801 2a06 0a0163 7a0101",
    "09 0801 3a05 0a0163 1001",
    "0a 0801 3a06 0a0163 1a0101",
    "0a 0801 5206 0a0163 3a0101",
    "09 0801 5205 0a0163 4001",
    "0a 0801 5206 0a0163 4a0101",
    "06 0801 2202 0801",
    "06 0801 2202 1001",
    "06 0801 2202 1801",
    "06 0801 2202 2001",
    "06 0801 2202 2801",
    "06 0801 2202 3001",
    "06 0801 6202 0801",
    "06 0801 6a02 0801",
    "06 0801 6a02 1001",
    "06 0801 7202 0801",
    "06 0801 7a02 0801",
    "06 0801 7a02 1001",
    "07 0801 7a03 1a0101",
    "09 0801 4205 0d01000000",
    "06 0801 4202 0801",
    "06 0801 4a02 0801",
    /* an id and nothing that is asked for */
    "02 0801",
    "02 087f",
    "05 0801 9a0600",
    "05 0801 120100",
    "05 0801 1a0100",
    "04 0801 1001",
    /* text: UTF-8 without U+0000 */
    "07 0801 3203 0a01ff",
    "07 0801 3203 0a0180",
    "07 0801 3203 0a0100",
    "08 0801 3204 0a02c080",
    "08 0801 3204 0a02c3c3",
    "07 0801 3203 0a01c3",
    "09 0801 3205 0a03eda080",
    "09 0801 3205 0a03e28200",
    "0a 0801 3206 0a04f4908080",
    "0a 0801 3206 0a04f8888080",
    "09 0801 3205 0a03610062",
    "07 0801 2203 0a01ff",
    "07 0801 2203 2201ff",
    "07 0801 2203 2a0100",
    "09 0801 2205 1a03 0a01ff",
    "09 0801 2205 3203 0a01ff",
    "09 0801 2205 3203 1201ff",
    "07 0801 2a03 3201ff",
    "07 0801 2a03 6201ff",
    "07 0801 2a03 120100",
    "09 0801 2a05 6a03 0a01ff",
    "09 0801 2a05 6a03 1201ff",
    "09 0801 2a05 6a03 1a01ff",
    "09 0801 2a05 6a03 2201ff",
    "09 0801 2a05 6a03 2a01ff",
    "09 0801 5205 4203 1201ff",
    "07 0801 6a03 1201ff",
    "07 0801 7203 0a01ff",
    "07 0801 7a03 0a01ff",
    "07 0801 7a03 1201ff",
    "07 0801 4203 0a01ff",
    "07 0801 4a03 0a01ff",
    "07 0801 5203 0a01ff",
    "07 0801 3a03 0a01ff",
    "07 0801 2a03 0a01ff",
    /* also in a request that would not count */
    "09 0801 5a00 3203 0a01ff",
    "0b 0801 2200 2a05 6a03 0a01ff",
    "07 5a00 3203 0a01ff",
    /* not protobuf at all */
    "7b226964223a312c2270696e67223a7b7d7d",
    "474554202f20485454502f312e310d0a0d0a",
};

static void test_hostile_messages_are_refused(void **state) {
    (void) state;
    assert_true(sizeof hostile_rows / sizeof hostile_rows[0] >= 150);
    for (size_t i = 0; i < sizeof hostile_rows / sizeof hostile_rows[0]; i++) {
        append_hex(&message, hostile_rows[i]);
        char *text = client_commands_text(codec, buffer_span(&message));
        size_t length = strlen(text);
        if (length < 3 || strcmp(text + length - 3, "BAD") != 0) {
            print_error("%s was taken: %s\n", hostile_rows[i], text);
        }
        assert_true(length >= 3);
        assert_string_equal(text + length - 3, "BAD");
        memory_free(text);
        buffer_finish(&message);
    }
}

static void test_every_prefix_of_a_message_is_refused(void **state) {
    (void) state;
    struct buffer whole = BUFFER_EMPTY;
    append_hex(&whole, "1f0804521b0a046e65777338ffffffffffffffffff0142080803120461626364");
    for (size_t size = 1; size < whole.size; size++) {
        buffer_append(&message, whole.data, size);
        expect("BAD");
    }
    buffer_finish(&whole);
}

/* ---- the bounds ---- */

static void put_sized(struct buffer *buffer, uint8_t tag, struct span bytes) {
    buffer_append_u8(buffer, tag);
    for (size_t size = bytes.size;; size >>= 7) {
        buffer_append_u8(buffer, (uint8_t) (size < 128 ? size : (size & 0x7f) | 0x80));
        if (size < 128) {
            break;
        }
    }
    buffer_append_span(buffer, bytes);
}

/* `n` times the bytes, in request `tag` of command 1. */
static enum client_decode_outcome decode_many(uint8_t tag, struct span bytes, unsigned n) {
    struct buffer request = BUFFER_EMPTY;
    struct buffer command_bytes = BUFFER_EMPTY;
    for (unsigned i = 0; i < n; i++) {
        buffer_append_span(&request, bytes);
    }
    append_hex(&command_bytes, "0801");
    put_sized(&command_bytes, tag, buffer_span(&request));
    put_sized(&message, 0, buffer_span(&command_bytes));
    struct cursor cursor = cursor_of(span_of(message.data + 1, message.size - 1)); /* without put_sized's tag */
    struct buffer scratch = BUFFER_EMPTY;
    struct client_command command;
    enum client_decode_outcome outcome = codec->decode_next(&cursor, &scratch, &command);
    buffer_finish(&scratch);
    buffer_finish(&request);
    buffer_finish(&command_bytes);
    buffer_finish(&message);
    return outcome;
}

static void test_repeated_fields_and_messages_are_counted(void **state) {
    (void) state;
    assert_int_equal(decode_many(0x22, SPAN_LITERAL("\x32\x03\x0a\x01h"), 64), CLIENT_DECODE_OK); /* headers */
    assert_int_equal(decode_many(0x22, SPAN_LITERAL("\x32\x03\x0a\x01h"), 65), CLIENT_DECODE_BAD);
    assert_int_equal(decode_many(0x22, SPAN_LITERAL("\x1a\x05\x0a\x01h\x12\0"), 128), CLIENT_DECODE_OK); /* subs */
    assert_int_equal(decode_many(0x22, SPAN_LITERAL("\x1a\x05\x0a\x01h\x12\0"), 129), CLIENT_DECODE_BAD);
    assert_int_equal(decode_many(0x2a, SPAN_LITERAL("\x6a\0"), 64), CLIENT_DECODE_OK); /* one tf after another */
    assert_int_equal(decode_many(0x2a, SPAN_LITERAL("\x6a\0"), 65), CLIENT_DECODE_BAD);
    assert_int_equal(decode_many(0x2a, SPAN_LITERAL("\x6a\x04\x32\0\x32\0"), 32), CLIENT_DECODE_OK); /* nodes in all */
    assert_int_equal(decode_many(0x2a, SPAN_LITERAL("\x6a\x04\x32\0\x32\0"), 33), CLIENT_DECODE_BAD);
    assert_int_equal(decode_many(0x2a, SPAN_LITERAL("\x6a\x04\x2a\0\x2a\0"), 33), CLIENT_DECODE_BAD); /* vals in all */
}

static void test_unknown_fields_and_all_fields_are_counted(void **state) {
    (void) state;
    assert_int_equal(decode_many(0x5a, SPAN_LITERAL("\x08\x01"), 64), CLIENT_DECODE_OK);
    assert_int_equal(decode_many(0x5a, SPAN_LITERAL("\x08\x01"), 65), CLIENT_DECODE_BAD);
    assert_int_equal(decode_many(0x32, SPAN_LITERAL("\x0a\x01h"), 2046), CLIENT_DECODE_OK); /* id and request beside */
    assert_int_equal(decode_many(0x32, SPAN_LITERAL("\x0a\x01h"), 2047), CLIENT_DECODE_BAD);
}

/* A filter of `levels` nodes in one another stands in a subscribe of a command: two levels more. */
static enum client_decode_outcome decode_filter(unsigned levels) {
    struct buffer node = BUFFER_EMPTY;
    append_hex(&node, "0a0161");
    for (unsigned i = 1; i < levels; i++) {
        struct buffer outer = BUFFER_EMPTY;
        put_sized(&outer, 0x32, buffer_span(&node));
        buffer_finish(&node);
        node = outer;
    }
    struct buffer field = BUFFER_EMPTY;
    put_sized(&field, 0x6a, buffer_span(&node));
    enum client_decode_outcome outcome = decode_many(0x2a, buffer_span(&field), 1);
    buffer_finish(&node);
    buffer_finish(&field);
    return outcome;
}

static void test_a_command_is_at_most_8_messages_deep(void **state) {
    (void) state;
    assert_int_equal(decode_filter(6), CLIENT_DECODE_OK);
    assert_int_equal(decode_filter(7), CLIENT_DECODE_BAD);
    assert_int_equal(decode_filter(60), CLIENT_DECODE_BAD);
    assert_int_equal(decode_filter(20000), CLIENT_DECODE_BAD);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_vectors_of_the_protocol),
        cmocka_unit_test(test_a_payload_is_any_bytes),
        cmocka_unit_test(test_malformed_parts_are_left_out),
        cmocka_unit_test(test_what_is_unknown_is_skipped_and_the_last_one_counts),
        cmocka_unit_test(test_hostile_messages_are_refused),
        cmocka_unit_test(test_every_prefix_of_a_message_is_refused),
        cmocka_unit_test(test_repeated_fields_and_messages_are_counted),
        cmocka_unit_test(test_unknown_fields_and_all_fields_are_counted),
        cmocka_unit_test(test_a_command_is_at_most_8_messages_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
