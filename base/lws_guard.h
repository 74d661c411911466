/* What every use of libwebsockets 4.1.6 must do, in one place (security.md S14–S17): CONNECT and raw adoption are
 * closed, a bad Upgrade never reaches lws's own compare, HTTP/2 stays off, the WebSocket handshake is checked strictly
 * (GET, one version 13, one key of 24 characters, one Host). And how a context on a foreign libuv loop is closed.
 * Thread: the lws context's. */
#ifndef CALLBOARD_BASE_LWS_GUARD_H
#define CALLBOARD_BASE_LWS_GUARD_H

#include <libwebsockets.h>
#include <stdbool.h>
#include <uv.h>

/* PASS: not a matter of the guard, go on. Anything else: return -1 from the lws callback. */
enum lws_guard_verdict {
    LWS_GUARD_PASS,
    LWS_GUARD_RAW,     /* CONNECT, or whatever else made lws take the connection as raw */
    LWS_GUARD_UPGRADE, /* an Upgrade to something that is not websocket */
    LWS_GUARD_METHOD,  /* WebSocket handshake: not GET, or not of HTTP/1.1 */
    LWS_GUARD_HOST,    /* WebSocket handshake: no Host, or two */
    LWS_GUARD_VERSION, /* WebSocket handshake: the version is not 13 */
    LWS_GUARD_KEY,     /* WebSocket handshake: no key of 24 characters, or two keys */
};
enum { LWS_GUARD_VERDICTS = LWS_GUARD_KEY + 1 };

/* Call first in the lws callback of protocols[0] (and any other), for every reason. Never touches `in` of
 * HTTP_CONFIRM_UPGRADE. */
enum lws_guard_verdict lws_guard_check(struct lws *wsi, enum lws_callback_reasons reason);
/* For a metric's label and the log. */
const char *lws_guard_verdict_text(enum lws_guard_verdict verdict);

struct lws_guard_service {
    const char *what;                       /* what it is for, in the words of the settings: for the error */
    const struct lws_protocols *protocols;  /* these two have to outlive the context */
    const struct lws_extension *extensions; /* NULL: none */
    unsigned headers_kept;                  /* connections that keep their headers' memory beyond the request */
    bool wants_tls;
    void *user; /* lws_context_user */
};

/* A context on that loop with what the guards need (ALPN http/1.1, header pool, timeouts, the all-zero idle policy,
 * lws's own log off) and no listening socket: sockets are adopted into *ret_vhost. Also when it returns false, with the
 * reason, *ret_context is to be closed with lws_guard_close_context. */
bool lws_guard_open_context(const struct lws_guard_service *service, uv_loop_t *loop, struct lws_context **ret_context,
                            struct lws_vhost **ret_vhost, char *ret_error, size_t error_size);

/* The one value of a header: false when it is absent, there twice, empty, or does not fit (`size` with the NUL). */
bool lws_guard_copy_single_header(struct lws *wsi, enum lws_token_indexes token, char *ret_text, int size);

/* Closes every connection of the context and frees it once the loop has let go of its handles; on_closed (may be NULL)
 * is called then. Not from inside an lws callback. Nulls the caller's pointer; NULL is accepted and closed at once. */
void lws_guard_close_context(struct lws_context **context_p, uv_loop_t *loop, void (*on_closed)(void *context),
                             void *context);

#endif
