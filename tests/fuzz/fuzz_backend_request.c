/* The backend API's reader: the input is cut at 0xFE bytes into frames; params are read whatever the frames say. */
#include "broker/backend/backend_request.h"
#include "broker/backend/backend_rights.h"

#include <stdlib.h>

enum { FRAMES_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span frames[FRAMES_MAX];
    size_t n = 0;
    size_t start = 0;
    for (size_t at = 0; at <= size && n < FRAMES_MAX; at++) {
        if (at == size || data[at] == 0xFE) {
            frames[n++] = span_of(data + start, at - start);
            start = at + 1;
        }
    }
    struct backend_request request;
    struct backend_refusal refusal = {.code = ERROR_NONE};
    bool accepted = backend_request_read(frames, n, &request, &refusal);
    if (!accepted && refusal.message[0] == '\0') {
        abort();
    }
    backend_rights_parse(span_of(data, size), NULL, NULL); /* a key's rights, of the same bytes */
    struct buffer text = BUFFER_EMPTY;
    struct buffer tags = BUFFER_EMPTY;
    struct backend_params params = {.limit = 0};
    struct json_value object = JSON_ABSENT;
    if (backend_params_scan(accepted ? request.params : span_of(data, size), &object, &refusal)) {
        backend_params_read(object, ~0U, 0, &text, &tags, &params, &refusal);
    }
    struct json_iterator channels = json_iterate(params.channels);
    struct json_value name;
    struct json_value value;
    struct buffer item = BUFFER_EMPTY;
    while (json_next(&channels, &name, &value)) {
        struct span channel;
        backend_channel_read(value, &item, &channel, &refusal);
    }
    buffer_finish(&item);
    buffer_finish(&text);
    buffer_finish(&tags);
    return 0;
}
