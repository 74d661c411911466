/* Any bytes as a batch: nothing is read outside of it, and what decodes encodes to the same bytes again. */
#include "base/channel_list.h"
#include "base/check.h"
#include "base/json_scan.h"
#include "base/utf8.h"
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_publications(struct span bytes) {
    struct cursor cursor = cursor_of(bytes);
    struct wire_publication publication;
    struct buffer again = BUFFER_EMPTY;
    while (cursor.left > 0) {
        const uint8_t *start = cursor.at;
        if (!wire_read_publication(&cursor, &publication)) {
            break;
        }
        buffer_clear(&again);
        wire_append_publication(&again, &publication);
        check(span_equal(buffer_span(&again), span_of(start, (size_t) (cursor.at - start))), "a publication changed");
    }
    buffer_finish(&again);
}

static bool is_text(void *context, struct span name) {
    (void) context;
    return utf8_is_valid(name);
}

/* Page by page, each of them JSON, and every page gets on. */
static void read_channels(struct span bytes) {
    struct buffer out = BUFFER_EMPTY;
    struct channel_list_page page = {.limit = 2, .admits = is_text};
    struct json_value value;
    for (unsigned n = 0; n < 4; n++) {
        buffer_clear(&out);
        page.behind = channel_list_append_page(&out, bytes, &page);
        check(json_scan(buffer_span(&out), &JSON_LIMITS_PAYLOAD, &value, NULL) == JSON_OK, "a page is JSON");
        if (page.behind.size == 0) {
            break;
        }
    }
    buffer_finish(&out);
}

static void read_parts(struct span bytes) {
    read_publications(bytes);
    read_channels(bytes);
    struct wire_client_info info;
    if (wire_read_client_info(bytes, &info)) {
        struct buffer again = BUFFER_EMPTY;
        wire_append_client_info(&again, &info);
        check(span_equal(buffer_span(&again), bytes), "a client info changed");
        buffer_finish(&again);
    }
    struct cursor tags = cursor_of(bytes);
    struct wire_tag tag;
    while (wire_next_tag(&tags, &tag)) {
    }
}

static void read_frame(const struct wire_frame *frame) {
    struct buffer again = BUFFER_EMPTY;
    switch (frame->kind) {
#define FUZZ_FRAME(NAME, suffix, number, direction)                                                                    \
    case number: {                                                                                                     \
        struct wire_##suffix decoded, twice;                                                                           \
        if (wire_decode_##suffix(frame->body, &decoded)) {                                                             \
            check(wire_encode_##suffix(&again, &decoded), #NAME " does not encode again");                             \
            struct span body = span_of(again.data + WIRE_FRAME_HEADER_SIZE, again.size - WIRE_FRAME_HEADER_SIZE);      \
            check(span_equal(body, frame->body), #NAME " changed");                                                    \
            check(wire_decode_##suffix(body, &twice), #NAME " does not decode again");                                 \
        }                                                                                                              \
        break;                                                                                                         \
    }
        WIRE_FRAMES(FUZZ_FRAME)
    }
    buffer_finish(&again);
    read_parts(frame->body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wire_batch_header header;
    struct cursor frames;
    if (wire_batch_open(span_of(data, size), &header, &frames) != WIRE_OK) {
        frames = cursor_of(span_of(data, size));
    }
    struct wire_frame frame;
    while (wire_frame_next(&frames, &frame) == WIRE_OK) {
        read_frame(&frame);
    }
    return 0;
}
