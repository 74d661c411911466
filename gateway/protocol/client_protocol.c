/* What is common to every encoding of the client protocol: the reasons that travel in close frames. */
#include "gateway/protocol/client_protocol.h"

const char *disconnect_reason(enum disconnect_code code) {
    switch (code) {
    case DISCONNECT_NORMAL:
    case DISCONNECT_INVALID_DATA:
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
