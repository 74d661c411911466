/* The callbacks that every vhost's protocols[0] needs with libwebsockets 4.1.6 (security.md S14–S17), in one place:
 * CONNECT and raw adoption are closed, a bad Upgrade never reaches lws's own compare, HTTP/2 stays off, the WebSocket
 * handshake is checked strictly (GET, version 13, a key of 24 characters once, Host present).
 * Thread: the lws context's. */
#ifndef CALLBOARD_BASE_LWS_GUARD_H
#define CALLBOARD_BASE_LWS_GUARD_H

#include <libwebsockets.h>
#include <stdbool.h>

enum lws_guard_verdict {
    LWS_GUARD_PASS,  /* not a matter of the guard: go on */
    LWS_GUARD_CLOSE, /* return -1 from the lws callback */
};

/* Call first in the lws callback, for every reason. Never touches `in` of HTTP_CONFIRM_UPGRADE. */
enum lws_guard_verdict lws_guard_check(struct lws *wsi, enum lws_callback_reasons reason);

/* Sets what guards need in the creation info: ALPN http/1.1, no HTTP/2, header pool, timeouts, no extensions, the
 * all-zero idle policy. Call it before your own settings. */
void lws_guard_prepare_info(struct lws_context_creation_info *info);

/* Why the last LWS_GUARD_CLOSE of this thread was said, for a metric and the log: "connect_method", "upgrade",
 * "version", "key", "host"… Never NULL. */
const char *lws_guard_last_reason(void);

#endif
