/* What is common to every encoding of the client protocol: which there are, the reasons that travel in close frames. */
#include "gateway/protocol/client_protocol.h"

#include "base/check.h"
#include "gateway/protocol/client_protocol_raw.h"

#include <xxhash.h>

const struct client_codec *client_codec_of(enum client_encoding encoding) {
    switch (encoding) {
    case CLIENT_ENCODING_JSON:
        return &client_codec_json;
    case CLIENT_ENCODING_PROTOBUF:
        return &client_codec_protobuf;
    case CLIENT_ENCODING_RAW:
        return &client_codec_raw;
    case CLIENT_ENCODING_RAW_ENVELOPE:
        return &client_codec_raw_envelope;
    case CLIENT_ENCODINGS:
        break;
    }
    unreachable("client encoding %d", (int) encoding);
}

const char *disconnect_reason(enum disconnect_code code) {
    switch (code) {
    case DISCONNECT_NORMAL:
    case DISCONNECT_INVALID_DATA:
    case DISCONNECT_PROTOCOL_ERROR:
    case DISCONNECT_POLICY:
    case DISCONNECT_TOO_BIG:
        return "";
#define DISCONNECT_CODE_REASON(name, number, text)                                                                     \
    case DISCONNECT_##name:                                                                                            \
        return text;
        DISCONNECT_CODES(DISCONNECT_CODE_REASON)
#undef DISCONNECT_CODE_REASON
    }
    return ""; /* a number that came from elsewhere, say a backend */
}

uint64_t client_id_hash(struct span client) {
    uint64_t hash = XXH64(client.data, client.size, 0);
    return hash == 0 ? 1 : hash;
}
