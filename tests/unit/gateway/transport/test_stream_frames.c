/* What a session writes, byte for byte as the chunk of a streaming answer. */
#include "gateway/transport/stream_frames.h"

#include "gateway/transport/websocket_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void append_frame(struct buffer *frames, struct span message) {
    payload_t *frame = websocket_frame_payload(WEBSOCKET_TEXT, message);
    buffer_append_span(frames, payload_span(frame));
    payload_unref(&frame);
}

static void assert_chunk(enum stream_kind kind, const char *const *messages, struct span expected) {
    struct buffer frames = BUFFER_EMPTY;
    struct buffer chunk = BUFFER_EMPTY;
    for (; *messages != NULL; messages++) {
        append_frame(&frames, span_of_text(*messages));
    }
    stream_append_chunk(&chunk, kind, buffer_span(&frames));
    assert_int_equal(chunk.size, expected.size);
    assert_memory_equal(chunk.data, expected.data, expected.size);
    buffer_finish(&frames);
    buffer_finish(&chunk);
}

static void an_event_for_each_reply(void **state) {
    (void) state;
    assert_chunk(STREAM_SSE, (const char *const[]){"{\"id\":1}\n{\"id\":2}", "{}", NULL},
                 SPAN_LITERAL("0000002a\r\ndata: {\"id\":1}\n\ndata: {\"id\":2}\n\ndata: {}\n\n\r\n"));
}

static void a_line_for_each_reply(void **state) {
    (void) state;
    assert_chunk(STREAM_JSON_LINES, (const char *const[]){"{\"id\":1}\n{\"id\":2}", "{}", NULL},
                 SPAN_LITERAL("00000015\r\n{\"id\":1}\n{\"id\":2}\n{}\n\r\n"));
}

static void protobuf_goes_as_it_is(void **state) {
    (void) state;
    assert_chunk(STREAM_PROTOBUF, (const char *const[]){"\x02\n\x01", "\x01z", NULL},
                 SPAN_LITERAL("00000005\r\n\x02\n\x01\x01z\r\n"));
}

/* Its chunk would be the last one. */
static void nothing_is_said_where_there_is_nothing_to_say(void **state) {
    (void) state;
    assert_chunk(STREAM_SSE, (const char *const[]){"", "\n", NULL}, SPAN_EMPTY);
    assert_chunk(STREAM_PROTOBUF, (const char *const[]){NULL}, SPAN_EMPTY);
}

static void long_frames_are_read_by_their_longer_headers(void **state) {
    (void) state;
    static const size_t sizes[] = {125, 126, 65535, 65536, 200000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buffer frames = BUFFER_EMPTY;
        struct buffer chunk = BUFFER_EMPTY;
        char *text = malloc(sizes[i]);
        memset(text, 'x', sizes[i]);
        append_frame(&frames, span_of(text, sizes[i]));
        append_frame(&frames, SPAN_LITERAL("y"));
        stream_append_chunk(&chunk, STREAM_JSON_LINES, buffer_span(&frames));
        assert_int_equal(strtoul((const char *) chunk.data, NULL, 16), sizes[i] + 3);
        assert_memory_equal(chunk.data + 10, text, sizes[i]);
        assert_memory_equal(chunk.data + 10 + sizes[i], "\ny\n\r\n", 5);
        free(text);
        buffer_finish(&frames);
        buffer_finish(&chunk);
    }
}

static void the_last_word_and_the_end(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    stream_append_message(&out, STREAM_SSE, SPAN_LITERAL("{}"));
    stream_append_end(&out);
    assert_true(span_equal(buffer_span(&out), SPAN_LITERAL("0000000a\r\ndata: {}\n\n\r\n0\r\n\r\n")));
    buffer_finish(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_for_each_reply),
        cmocka_unit_test(a_line_for_each_reply),
        cmocka_unit_test(protobuf_goes_as_it_is),
        cmocka_unit_test(nothing_is_said_where_there_is_nothing_to_say),
        cmocka_unit_test(long_frames_are_read_by_their_longer_headers),
        cmocka_unit_test(the_last_word_and_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
