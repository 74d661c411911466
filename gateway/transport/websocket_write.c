/* A push to each of thousands is a write to each of thousands of sockets, and what lws does around its send, on lines
 * of memory that are not in the cache by then, is about a tenth of the server's part in it. So as long as lws has
 * nothing of its own to send there, the bytes go to the socket directly.
 *
 * Failure modes:
 *  - The kernel takes a part or nothing: the rest goes to lws, which keeps it, in order with its own pongs.
 *  - lws keeps something already (a pong that was cut): everything goes behind it, through lws.
 *  - TLS: through lws, always.
 *  - Any other error: false; the connection is dead. */
#include "gateway/transport/websocket_write.h"

#include <errno.h>
#include <sys/socket.h>

/* How much of it the kernel took; -1: the connection is dead. */
static ssize_t send_directly(struct lws *wsi, struct span framed) {
    ssize_t sent = send(lws_get_socket_fd(wsi), framed.data, framed.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        return sent;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

static bool write_through_lws(struct lws *wsi, struct span framed, bool *ret_backlogged) {
    /* RAW only reads the bytes; the parameter's type is that of the other kinds of write. */
    int written = lws_write(wsi, (unsigned char *) (uintptr_t) framed.data, framed.size, LWS_WRITE_RAW);
    *ret_backlogged = lws_partial_buffered(wsi) != 0;
    return written >= 0;
}

bool websocket_write(struct lws *wsi, struct span framed, bool *ret_backlogged) {
    if (lws_partial_buffered(wsi) != 0 || lws_is_ssl(wsi)) {
        return write_through_lws(wsi, framed, ret_backlogged);
    }
    *ret_backlogged = false;
    ssize_t sent = send_directly(wsi, framed);
    if (sent < 0) {
        return false;
    }
    struct span rest = {framed.data + sent, framed.size - (size_t) sent};
    return rest.size == 0 || write_through_lws(wsi, rest, ret_backlogged);
}
