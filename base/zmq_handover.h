/* What ThreadSanitizer is told about messages that pass through ZeroMQ. libzmq is not compiled with it, so an object
 * that is handed over by a socket would look as if two threads used it without order. Whoever gives bytes to a socket
 * releases them first, whoever takes them out acquires them first; so does a free function that libzmq calls later, on
 * whatever thread. In other builds this is nothing. zmq_on_uv does it for its sockets. Thread: any. */
#ifndef CALLBOARD_BASE_ZMQ_HANDOVER_H
#define CALLBOARD_BASE_ZMQ_HANDOVER_H

#if defined(__SANITIZE_THREAD__)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
#define zmq_handover_release(address) __tsan_release(address)
#define zmq_handover_acquire(address) __tsan_acquire(address)
#else
#define zmq_handover_release(address) ((void) sizeof(address))
#define zmq_handover_acquire(address) ((void) sizeof(address))
#endif

#endif
