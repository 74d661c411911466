/* See ctl_doctor_parts.h: does a ZeroMQ endpoint take our keys? A link that is refused for its keys says nothing to its
 * owner, it only never comes up; the socket's monitor says what the handshake came to. Nothing is sent. */
#include "tools/ctl_doctor_parts.h"

#include "base/clock.h"

#include <stdint.h>
#include <stdio.h>
#include <zmq.h>

#define MONITOR_ENDPOINT "inproc://doctor-handshake"

enum {
    EVENTS = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_DISCONNECTED
};

/* The next event's number; 0: none in time. */
static uint16_t next_event(void *monitor, uint64_t deadline_ms) {
    uint64_t now_ms = clock_monotonic_ms();
    zmq_pollitem_t item = {.socket = monitor, .events = ZMQ_POLLIN};
    uint8_t head[6];
    char address[256];
    if (now_ms >= deadline_ms || zmq_poll(&item, 1, (long) (deadline_ms - now_ms)) <= 0 ||
        zmq_recv(monitor, head, sizeof head, 0) != (int) sizeof head) {
        return 0;
    }
    zmq_recv(monitor, address, sizeof address, 0);
    uint16_t event;
    memcpy(&event, head, sizeof event);
    return event;
}

static enum doctor_handshake wait_for_end(void *monitor) {
    uint64_t deadline_ms = clock_monotonic_ms() + DOCTOR_WAIT_MS;
    for (;;) {
        switch (next_event(monitor, deadline_ms)) {
        case 0:
            return DOCTOR_HANDSHAKE_SILENT;
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            return DOCTOR_HANDSHAKE_DONE;
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
            return DOCTOR_HANDSHAKE_NOT_ALLOWED;
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        case ZMQ_EVENT_DISCONNECTED:
            return DOCTOR_HANDSHAKE_BROKEN_OFF;
        default:
            break;
        }
    }
}

enum doctor_handshake doctor_shake_hands(const char *endpoint, const struct curve_keys *own,
                                         const char *server_public_text) {
    enum doctor_handshake result = DOCTOR_HANDSHAKE_SILENT;
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_DEALER);
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    int zero = 0;
    zmq_setsockopt(socket, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(monitor, ZMQ_LINGER, &zero, sizeof zero);
    bool has_keys = own == NULL || curve_keys_apply_client(socket, own, server_public_text);
    if (has_keys && zmq_socket_monitor(socket, MONITOR_ENDPOINT, EVENTS) == 0 &&
        zmq_connect(monitor, MONITOR_ENDPOINT) == 0 && zmq_connect(socket, endpoint) == 0) {
        result = wait_for_end(monitor);
    }
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
    zmq_close(socket);
    zmq_ctx_term(context);
    return result;
}
