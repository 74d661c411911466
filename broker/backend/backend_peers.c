/* See backend_peers.h. A table by descriptor: descriptors are small numbers that are used again. */
#include "broker/backend/backend_peers.h"

#include "base/curve_allow_list.h"
#include "base/memory.h"

#include <sys/socket.h>

enum { LOOK_MS = 500 };

struct peer {
    struct sockaddr_storage address; /* of its other end */
    socklen_t address_size;          /* 0: nobody */
    uint64_t mark;                   /* of its routing id */
    uint64_t looked_ms;              /* when the address was asked for */
    char key[CURVE_NAME_MAX + 1];
};

struct backend_peers {
    struct peer *peers;
    size_t n;
};

backend_peers_t *backend_peers_new(void) {
    return memory_alloc_zero(sizeof(backend_peers_t));
}

void backend_peers_destroy(backend_peers_t **self_p) {
    if (*self_p != NULL) {
        memory_free((*self_p)->peers);
        memory_free(*self_p);
        *self_p = NULL;
    }
}

static bool read_address(int fd, struct peer *ret_peer) {
    memset(&ret_peer->address, 0, sizeof ret_peer->address);
    ret_peer->address_size = sizeof ret_peer->address;
    return getpeername(fd, (struct sockaddr *) &ret_peer->address, &ret_peer->address_size) == 0 &&
           ret_peer->address_size <= sizeof ret_peer->address;
}

static bool grow(backend_peers_t *self, size_t n) {
    if (n > BACKEND_PEERS_MAX) {
        return false;
    }
    if (n > self->n) {
        size_t wanted = n < 64 ? 64 : n + n / 2;
        self->peers = memory_realloc(self->peers, wanted * sizeof self->peers[0]);
        memset(self->peers + self->n, 0, (wanted - self->n) * sizeof self->peers[0]);
        self->n = wanted;
    }
    return true;
}

static uint64_t mark_of(struct span routing) {
    uint64_t mark = 14695981039346656037U; /* FNV-1a */
    for (size_t i = 0; i < routing.size; i++) {
        mark = (mark ^ routing.data[i]) * 1099511628211U;
    }
    return mark;
}

/* Another key or routing id is another connection; one of the same, as of a PULL socket, is seen within LOOK_MS. */
void backend_peers_note(backend_peers_t *self, int fd, struct span key, struct span routing, uint64_t now_ms) {
    if (fd < 0 || key.size == 0 || key.size > CURVE_NAME_MAX || !grow(self, (size_t) fd + 1)) {
        return;
    }
    struct peer *peer = &self->peers[fd];
    uint64_t mark = mark_of(routing);
    if (peer->address_size > 0 && peer->mark == mark && now_ms - peer->looked_ms < LOOK_MS &&
        span_equal_text(key, peer->key)) {
        return;
    }
    memset(peer->key, 0, sizeof peer->key);
    memcpy(peer->key, key.data, key.size);
    peer->mark = mark;
    peer->looked_ms = now_ms;
    if (!read_address(fd, peer)) {
        peer->address_size = 0;
    }
}

static bool is_same(const struct peer *peer, const struct peer *now) {
    return peer->address_size == now->address_size && memcmp(&peer->address, &now->address, now->address_size) == 0;
}

size_t backend_peers_cut_unless(backend_peers_t *self, bool (*may)(void *context, struct span key), void *context) {
    size_t n_cut = 0;
    for (size_t fd = 0; fd < self->n; fd++) {
        struct peer *peer = &self->peers[fd];
        struct peer now;
        if (peer->address_size == 0 || may(context, span_of_text(peer->key))) {
            continue;
        }
        if (read_address((int) fd, &now) && is_same(peer, &now) && shutdown((int) fd, SHUT_RDWR) == 0) {
            n_cut++;
        }
        peer->address_size = 0;
    }
    return n_cut;
}
