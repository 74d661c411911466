/* The codec contract on JSON. */
#include "tests/contract/codec_contract.h"

static void read_row(const struct codec_row *row, struct buffer *ret_message) {
    buffer_append_text(ret_message, row->json);
}

static bool show_reply(struct span encoded, struct buffer *ret_json) {
    return buffer_append_span(ret_json, encoded);
}

int main(void) {
    static const struct codec_under_test codec = {"json", &client_codec_json, read_row, show_reply};
    return codec_contract_run(&codec);
}
