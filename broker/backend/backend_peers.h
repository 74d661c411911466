/* The TCP connections of CURVE clients, so that those of a revoked key can be cut: ZAP only guards new ones, and libzmq
 * has no call that ends a connection of a ROUTER or PULL socket (zmq_disconnect_peer is a draft for others). What it
 * tells is the descriptor that a message came through; shutdown(2) on it is an end of file to libzmq's I/O thread,
 * which then lets go of the connection in its own way. Whether the descriptor is still the same connection is seen by
 * its peer's address and port. A connection that has never sent anything is not known here: it can do nothing, gets
 * nothing, and is cut with its first message. Thread: the backend API's actor. */
#ifndef CALLBOARD_BROKER_BACKEND_PEERS_H
#define CALLBOARD_BROKER_BACKEND_PEERS_H

#include "base/bytes.h"

typedef struct backend_peers backend_peers_t;

enum { BACKEND_PEERS_MAX = 65536 /* descriptors above are not remembered, and cut when they send */ };

backend_peers_t *backend_peers_new(void);
void backend_peers_destroy(backend_peers_t **self_p); /* accepts NULL */
/* A message of this key came through this descriptor, from this routing id (of a PULL socket empty). */
void backend_peers_note(backend_peers_t *self, int fd, struct span key, struct span routing, uint64_t now_ms);
/* Cuts those whose key may not stay; returns how many. */
size_t backend_peers_cut_unless(backend_peers_t *self, bool (*may)(void *context, struct span key), void *context);

#endif
