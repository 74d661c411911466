/* Which of a client's offers of permessage-deflate is taken (RFC 7692 section 7.1), and with what it is answered. Pure.
 * Thread: any. */
#ifndef CALLBOARD_GATEWAY_WEBSOCKET_OFFERS_H
#define CALLBOARD_GATEWAY_WEBSOCKET_OFFERS_H

#include "base/bytes.h"

struct websocket_agreement {
    unsigned n_offers; /* of permessage-deflate, in the whole list, those that are not taken as well */
    bool tells_window; /* the offer asks for a window: it is told ours */
};

/* `list` is the value of Sec-WebSocket-Extensions. False: none of them can be taken; the connection goes without. The
 * first one whose parameters are all known, sound and can be kept is taken, ours are those of websocket_deflate.h. */
bool websocket_offers_choose(struct span list, struct websocket_agreement *ret_agreement);
/* The parameters of the answer, each with "; " before it: neither side refers to messages before. */
const char *websocket_agreement_parameters(const struct websocket_agreement *agreement);

#endif
