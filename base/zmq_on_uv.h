/* A ZeroMQ socket on a libuv loop: the edge rules of ZMQ_FD in one place.
 * ZMQ_FD is edge-triggered, only means "look", and a send may eat the edge. So: uv_poll only wakes; uv_check receives
 * until EAGAIN or its bound; uv_prepare calls on_flush, then rereads ZMQ_EVENTS; what is left keeps the loop awake
 * through uv_idle. Thread: the loop's. */
#ifndef CALLBOARD_BASE_ZMQ_ON_UV_H
#define CALLBOARD_BASE_ZMQ_ON_UV_H

#include <stdbool.h>
#include <stddef.h>

#include <uv.h>
#include <zmq.h>

typedef struct zmq_on_uv zmq_on_uv_t;

enum {
    ZMQ_ON_UV_FRAMES_MAX = 1024
}; /* frames of one message; a longer one is received, dropped and reported with n_frames 0 */

struct zmq_on_uv_callbacks {
    /* One whole message. The frames are closed after the return, unless moved out (zmq_msg_move). n_frames 0: one was
     * dropped. */
    void (*on_message)(void *context, zmq_msg_t *frames, size_t n_frames);
    /* Before the loop sleeps: send what the turn gathered. May be NULL. */
    void (*on_flush)(void *context);
    /* The socket takes messages again after a send said ZMQ_ON_UV_FULL. May be NULL. */
    void (*on_writable)(void *context);
};

/* Takes the raw libzmq socket (for a zsock: zsock_resolve), which stays the caller's and must outlive this.
 * Nobody else sends, receives, connects or reads ZMQ_EVENTS on it from now on: that would consume the edge unseen.
 * NULL: the loop refused the descriptor. `receive_bound`: messages taken in one turn, 0 = 1,000. */
zmq_on_uv_t *zmq_on_uv_new(uv_loop_t *loop, void *socket, const struct zmq_on_uv_callbacks *callbacks, void *context,
                           unsigned receive_bound);
/* Stops at once; memory goes when libuv let go of the handles, then on_closed (may be NULL) is called: only then may
 * the socket be closed. Nulls the caller's pointer. */
void zmq_on_uv_close(zmq_on_uv_t **self_p, void (*on_closed)(void *context), void *context);

/* Paused: nothing is received, so that libzmq's marks fill and the senders wait, until the same is called with false.
 * May be called in on_message: the rest of the turn is left to libzmq. Sending goes on. */
void zmq_on_uv_pause(zmq_on_uv_t *self, bool paused);

enum zmq_send_result {
    ZMQ_SENT,        /* the frames are taken, each is an empty message now */
    ZMQ_FULL,        /* at the high-water mark or no peer: nothing was sent, the frames stay the caller's */
    ZMQ_UNROUTABLE,  /* ROUTER with mandatory: no such peer; the frames stay */
    ZMQ_SEND_FAILED, /* errno tells; the frames stay */
};
/* A frame of bytes that memory_free frees, without a copy; they are the message's from now on, and freed on whichever
 * thread lets go of it last. */
void zmq_on_uv_frame_take(zmq_msg_t *ret_frame, void *bytes, size_t size);
/* Sends all frames as one message, without blocking. */
enum zmq_send_result zmq_on_uv_send(zmq_on_uv_t *self, zmq_msg_t *frames, size_t n_frames);

#endif
