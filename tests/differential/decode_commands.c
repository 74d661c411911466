/* Reads messages of clients, one a line in hexadecimal, after a first line with the encoding (json or protobuf), and
 * prints what our decoder makes of each: for tests that compare it with other decoders. */
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "tests/support/client_commands_text.h"

static unsigned nibble(char digit) {
    return (unsigned) (digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void print_decoded(const struct client_codec *codec, const char *hex, size_t n_digits) {
    struct buffer message = BUFFER_EMPTY;
    for (size_t i = 0; i + 1 < n_digits; i += 2) {
        buffer_append_u8(&message, (uint8_t) (nibble(hex[i]) << 4 | nibble(hex[i + 1])));
    }
    char *text = client_commands_text(codec, buffer_span(&message));
    for (const char *at = text; *at != '\0'; at++) {
        printf("%02x", (unsigned char) *at);
    }
    printf("\n");
    memory_free(text);
    buffer_finish(&message);
}

int main(void) {
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size = getline(&line, &capacity, stdin);
    bool is_protobuf = size > 0 && strncmp(line, "protobuf", 8) == 0;
    while ((size = getline(&line, &capacity, stdin)) > 0) {
        print_decoded(is_protobuf ? &client_codec_protobuf : &client_codec_json, line, (size_t) size - 1);
    }
    free(line);
    return 0;
}
