/* Messages compressed each by itself: RFC 7692's examples, what comes back, bombs, and bytes that are no deflate. */
#include "gateway/transport/websocket_deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <zlib.h>

enum { LIMIT = 65536 };

static int set_up(void **state) {
    *state = websocket_deflate_new();
    return 0;
}

static int tear_down(void **state) {
    websocket_deflate_t *deflate = *state;
    websocket_deflate_destroy(&deflate);
    assert_null(deflate);
    websocket_deflate_destroy(&deflate);
    return 0;
}

static enum websocket_inflated inflate_to(websocket_deflate_t *deflate, struct span bytes, size_t limit,
                                          struct buffer *ret_message) {
    buffer_init(ret_message, limit);
    return websocket_inflate_message(deflate, bytes, ret_message);
}

static void assert_inflates(websocket_deflate_t *deflate, struct span bytes, struct span message) {
    struct buffer got;
    assert_int_equal(inflate_to(deflate, bytes, LIMIT, &got), WEBSOCKET_INFLATED);
    assert_true(span_equal(buffer_span(&got), message));
    buffer_finish(&got);
}

static void assert_malformed(websocket_deflate_t *deflate, struct span bytes) {
    struct buffer got;
    assert_int_equal(inflate_to(deflate, bytes, LIMIT, &got), WEBSOCKET_INFLATED_MALFORMED);
    buffer_finish(&got);
}

#define BYTES(...) span_of(((const uint8_t[]){__VA_ARGS__}), sizeof((const uint8_t[]){__VA_ARGS__}))

static void the_examples_of_the_rfc_are_read(void **state) {
    struct span hello = span_of_text("Hello");
    assert_inflates(*state, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), hello); /* 7.2.3.1 */
    assert_inflates(*state, BYTES(0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00), hello); /* .3 */
    assert_inflates(*state, BYTES(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00), hello);                   /* .4 */
    assert_inflates(*state, BYTES(0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00),
                    hello);                           /* .5 */
    assert_inflates(*state, BYTES(0x00), SPAN_EMPTY); /* .6 */
}

/* 7.2.3.2: the second message of a context that was kept; we tell clients to keep none. */
static void a_message_that_refers_to_one_before_is_malformed(void **state) {
    assert_inflates(*state, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), span_of_text("Hello"));
    assert_malformed(*state, BYTES(0xf2, 0x00, 0x11, 0x00, 0x00));
    assert_inflates(*state, BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00), span_of_text("Hello"));
}

static void what_is_no_whole_deflate_is_malformed(void **state) {
    assert_malformed(*state, BYTES(0xf2, 0x48, 0xcd, 0xc9));             /* inside of a block */
    assert_malformed(*state, BYTES(0x00, 0x09, 0x00, 0xf6, 0xff, 0x48)); /* a stored block promises more */
    assert_malformed(*state, BYTES(0x00, 0x05, 0x00, 0x00, 0x00));       /* lengths that do not agree */
    assert_malformed(*state, BYTES(0x07));                               /* a block type that there is not */
    assert_malformed(*state, SPAN_EMPTY);                                /* not even the empty message is that */
    assert_malformed(*state, BYTES(0xff, 0xff, 0xff, 0xff));
    assert_malformed(*state, span_of_text("plain text"));
    assert_malformed(*state,
                     BYTES(0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff, 0x07)); /* behind */
}

static void fill(uint8_t *bytes, size_t size, unsigned variety) {
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (uint8_t) ((unsigned) rand() % variety);
    }
}

static void what_is_compressed_comes_back_and_is_shorter(void **state) {
    static uint8_t message[LIMIT];
    static const size_t sizes[] = {1, 2, 30, 100, 1000, 4096, 5000, 65536};
    srand(1);
    for (unsigned variety = 1; variety <= 256; variety *= 4) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct buffer compressed = BUFFER_EMPTY;
            fill(message, sizes[i], variety);
            if (websocket_deflate_message(*state, span_of(message, sizes[i]), &compressed)) {
                assert_true(compressed.size < sizes[i]);
                assert_inflates(*state, buffer_span(&compressed), span_of(message, sizes[i]));
            } else {
                assert_int_equal(compressed.size, 0);
                assert_true(variety == 256 || sizes[i] < 100);
            }
            buffer_finish(&compressed);
        }
    }
    struct buffer none = BUFFER_EMPTY;
    assert_false(websocket_deflate_message(*state, SPAN_EMPTY, &none));
    buffer_finish(&none);
}

/* What makes one compressed publication good for all: the same bytes come of it whatever was compressed before. */
static void messages_do_not_depend_on_each_other(void **state) {
    struct span message =
        span_of_text("{\"push\":{\"channel\":\"demo\",\"pub\":{\"data\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}}");
    struct buffer first = BUFFER_EMPTY;
    struct buffer second = BUFFER_EMPTY;
    assert_true(websocket_deflate_message(*state, message, &first));
    assert_true(websocket_deflate_message(*state, message, &second));
    assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
    buffer_finish(&first);
    buffer_finish(&second);
}

/* A client with the window that we tell it, and no larger one. */
static void the_window_told_is_enough(void **state) {
    static uint8_t message[LIMIT];
    static uint8_t got[LIMIT];
    srand(2);
    fill(message, LIMIT / 2, 256);
    memcpy(message + LIMIT / 2, message, LIMIT / 2); /* what a larger window would refer to */
    fill(message + 100, 3000, 2);
    struct buffer compressed = BUFFER_EMPTY;
    assert_true(websocket_deflate_message(*state, span_of(message, LIMIT), &compressed));
    z_stream client = {0};
    assert_int_equal(inflateInit2(&client, -WEBSOCKET_DEFLATE_WINDOW_BITS), Z_OK);
    client.next_in = compressed.data;
    client.avail_in = (uInt) compressed.size;
    size_t n = 0;
    while (client.avail_in > 0) { /* in small pieces, or zlib looks into the output instead of its window */
        client.next_out = got + n;
        client.avail_out = (uInt) (LIMIT - n < 512 ? LIMIT - n : 512);
        uInt before = client.avail_out;
        assert_int_equal(inflate(&client, Z_SYNC_FLUSH), Z_OK);
        n += before - client.avail_out;
    }
    assert_memory_equal(got, message, n);
    assert_true(n > LIMIT - 1024);
    inflateEnd(&client);
    buffer_finish(&compressed);
}

static void a_bomb_makes_no_more_than_the_limit(void **state) {
    enum { PROMISED = 64 * 1024 * 1024 };
    uint8_t *zeros = calloc(1, PROMISED);
    struct buffer bomb = BUFFER_EMPTY;
    struct buffer got;
    assert_true(websocket_deflate_message(*state, span_of(zeros, PROMISED), &bomb));
    assert_true(bomb.size < 2 * LIMIT);
    assert_int_equal(inflate_to(*state, buffer_span(&bomb), LIMIT, &got), WEBSOCKET_INFLATED_TOO_BIG);
    assert_true(got.size <= LIMIT && got.capacity <= 2 * LIMIT);
    buffer_finish(&got);
    buffer_clear(&bomb);
    assert_true(websocket_deflate_message(*state, span_of(zeros, LIMIT), &bomb));
    assert_inflates(*state, buffer_span(&bomb), span_of(zeros, LIMIT)); /* at the limit */
    assert_int_equal(inflate_to(*state, buffer_span(&bomb), LIMIT - 1, &got), WEBSOCKET_INFLATED_TOO_BIG);
    buffer_finish(&got);
    buffer_finish(&bomb);
    free(zeros);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_examples_of_the_rfc_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_refers_to_one_before_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_whole_deflate_is_malformed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_compressed_comes_back_and_is_shorter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(messages_do_not_depend_on_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_window_told_is_enough, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bomb_makes_no_more_than_the_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
