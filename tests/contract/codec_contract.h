/* The codec contract: one suite of specs, run on every encoding of the client protocol
 * (gateway/protocol/client_protocol.h). A codec joins it by what makes its bytes comparable:
 *
 *     static const struct codec_under_test json = {"json", &client_codec_json, read_row, show_reply};
 *     return codec_contract_run(&json);
 *
 * Commands are given in each encoding and must be read as the same; replies and pushes are shown as the JSON of
 * client-protocol.md 29 and must be that, byte for byte. */
#ifndef CALLBOARD_TESTS_CODEC_CONTRACT_H
#define CALLBOARD_TESTS_CODEC_CONTRACT_H

#include "gateway/protocol/client_protocol.h"

/* A message in every encoding. */
struct codec_row {
    const char *json;
    const char *protobuf_hex;
    const char *expected; /* see tests/support/client_commands_text.h */
};

struct codec_under_test {
    const char *name;
    const struct client_codec *codec;
    /* The bytes of the row in this encoding. */
    void (*read_row)(const struct codec_row *row, struct buffer *ret_message);
    /* What was encoded, as JSON; false: no client could read it. */
    bool (*show_reply)(struct span encoded, struct buffer *ret_json);
};

/* Number of failed specs. */
int codec_contract_run(const struct codec_under_test *codec);

#endif
