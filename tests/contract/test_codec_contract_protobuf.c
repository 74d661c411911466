/* The codec contract on protobuf. */
#include "tests/contract/codec_contract.h"
#include "tests/support/protobuf_view.h"

static unsigned nibble(char digit) {
    return (unsigned) (digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void read_row(const struct codec_row *row, struct buffer *ret_message) {
    for (const char *at = row->protobuf_hex; *at != '\0'; at += 2) {
        buffer_append_u8(ret_message, (uint8_t) (nibble(at[0]) << 4 | nibble(at[1])));
    }
}

int main(void) {
    static const struct codec_under_test codec = {"protobuf", &client_codec_protobuf, read_row, protobuf_view};
    return codec_contract_run(&codec);
}
