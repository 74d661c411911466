/* Frames byte for byte against RFC 6455. */
#include "gateway/transport/websocket_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_header(uint64_t size, const uint8_t *expected, size_t expected_size) {
    uint8_t header[WEBSOCKET_FRAME_HEADER_MAX];
    assert_int_equal(websocket_frame_header(header, WEBSOCKET_TEXT, size), expected_size);
    assert_memory_equal(header, expected, expected_size);
}

static void the_header_uses_the_shortest_size_field(void **state) {
    (void) state;
    assert_header(0, (const uint8_t[]){0x81, 0}, 2);
    assert_header(125, (const uint8_t[]){0x81, 125}, 2);
    assert_header(126, (const uint8_t[]){0x81, 126, 0, 126}, 4);
    assert_header(65535, (const uint8_t[]){0x81, 126, 0xff, 0xff}, 4);
    assert_header(65536, (const uint8_t[]){0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}, 10);
    assert_header(UINT64_C(0x0102030405060708), (const uint8_t[]){0x81, 127, 1, 2, 3, 4, 5, 6, 7, 8}, 10);
}

static void a_frame_is_header_and_message_unmasked(void **state) {
    (void) state;
    payload_t *text = websocket_frame_payload(WEBSOCKET_TEXT, SPAN_LITERAL("Hello"));
    assert_true(span_equal(payload_span(text), SPAN_LITERAL("\x81\x05Hello")));
    payload_unref(&text);
    payload_t *binary = websocket_frame_payload(WEBSOCKET_BINARY, SPAN_EMPTY);
    assert_true(span_equal(payload_span(binary), SPAN_LITERAL("\x82\x00")));
    payload_unref(&binary);
}

static void a_compressed_frame_says_so(void **state) {
    (void) state;
    payload_t *text = websocket_frame_compressed(CLIENT_ENCODING_JSON, SPAN_LITERAL("\xf2H\x00"));
    assert_true(span_equal(payload_span(text), SPAN_LITERAL("\xc1\x03\xf2H\x00")));
    payload_unref(&text);
    payload_t *binary = websocket_frame_compressed(CLIENT_ENCODING_PROTOBUF, SPAN_LITERAL("\x00"));
    assert_true(span_equal(payload_span(binary), SPAN_LITERAL("\xc2\x01\x00")));
    payload_unref(&binary);
}

static void a_large_message_is_copied_whole(void **state) {
    (void) state;
    size_t size = 70000;
    uint8_t *message = malloc(size);
    for (size_t i = 0; i < size; i++) {
        message[i] = (uint8_t) (i * 7);
    }
    payload_t *frame = websocket_frame_payload(WEBSOCKET_TEXT, span_of(message, size));
    assert_int_equal(payload_span(frame).size, size + 10);
    assert_memory_equal(payload_span(frame).data + 10, message, size);
    payload_unref(&frame);
    free(message);
}

static void a_close_frame_has_status_and_reason(void **state) {
    (void) state;
    payload_t *close = websocket_close_payload(3008, "slow");
    assert_true(span_equal(payload_span(close), SPAN_LITERAL("\x88\x06\x0b\xc0slow")));
    payload_unref(&close);
    close = websocket_close_payload(1000, "");
    assert_true(span_equal(payload_span(close), SPAN_LITERAL("\x88\x02\x03\xe8")));
    payload_unref(&close);
}

static void a_long_reason_is_cut_between_characters(void **state) {
    (void) state;
    char reason[400];
    memset(reason, 'a', 123);
    strcpy(reason + 123, "");
    payload_t *close = websocket_close_payload(3000, reason);
    assert_int_equal(payload_span(close).size, 2 + 125);
    payload_unref(&close);
    strcpy(reason + 122, "\xc3\xa9"
                         "bc"); /* é would be bytes 122 and 123 */
    close = websocket_close_payload(3000, reason);
    assert_int_equal(payload_span(close).size, 2 + 2 + 122);
    payload_unref(&close);
    strcpy(reason + 120, "\xe2\x82\xac"
                         "bc"); /* € ends with byte 122 */
    close = websocket_close_payload(3000, reason);
    assert_int_equal(payload_span(close).size, 2 + 2 + 123);
    payload_unref(&close);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_header_uses_the_shortest_size_field),
        cmocka_unit_test(a_frame_is_header_and_message_unmasked),
        cmocka_unit_test(a_compressed_frame_says_so),
        cmocka_unit_test(a_large_message_is_copied_whole),
        cmocka_unit_test(a_close_frame_has_status_and_reason),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
