/* One of a gateway's worker threads: an actor with a uv loop, its own listening socket, its WebSockets and sessions,
 * its hub, its links to the brokers. Workers share nothing but counters and what never changes. Thread: the owner's,
 * but for the functions that say any. */
#ifndef CALLBOARD_GATEWAY_WORKER_H
#define CALLBOARD_GATEWAY_WORKER_H

#include "base/actor.h"
#include "base/metrics.h"
#include "gateway/broker_requests.h"
#include "gateway/gateway_config.h"
#include "gateway/token/token_trust.h"
#include "gateway/transport/http_endpoints.h"
#include "gateway/transport/websocket.h"

typedef struct worker worker_t;

/* What a reload replaces. All of it lives until the worker has taken the next one. */
struct worker_settings {
    const struct gateway_config *config;
    const namespace_set_t *namespaces;
    const tls_credentials_t *tls; /* NULL: no TLS; then never any */
    uint32_t connections_max;     /* of the process */
    uint64_t memory_max;          /* of the process */
    size_t outbox_bytes;          /* of all sessions of this worker; 0 = no bound of its own */
    bool raw_endpoint;            /* is served */
};

struct worker_options {
    struct worker_settings settings;
    token_trust_t *trust;                        /* the first one; the worker takes a reference */
    void (*on_key_awaited)(void *token_context); /* on its thread: a token names a kid that no key has */
    /* On its thread: all that services have revoked, as lines; of worker 0 only. */
    void (*on_revocations)(void *token_context, struct span lines);
    void *token_context;
    uint32_t index;
    int port;             /* 0: a free one, see worker_port */
    uint32_t sockets_max; /* of the process */
    uint64_t boot_nonce;  /* one for the process */
    void *zmq_context;
    metrics_t *metrics;
    struct websocket_totals *totals;
    source_limits_t *sources; /* of the process, as are these */
    user_limits_t *user_limits;
    const struct http_endpoints *endpoints;
    /* Any thread. */
    void (*process_figures)(void *context, struct broker_beat_figures *ret_figures);
    /* Hands the message to that worker; false: it takes none. Any thread. */
    bool (*to_worker)(void *context, uint32_t worker, struct actor_message **message_p);
    uint32_t n_workers; /* of the gateway, when all are there */
    void *context;
};

/* NULL: ret_error says why (at least 256 bytes). One after another. */
worker_t *worker_new(const struct worker_options *options, char *ret_error, size_t error_size);
int worker_port(const worker_t *self);
/* For to_worker: a message of another worker. False: it takes none, the message stays the caller's. Any thread. */
bool worker_post(worker_t *self, struct actor_message **message_p);
/* By hand, of the first worker, where internal.operations is on: takes the call and answers it. Any thread. */
void worker_call(worker_t *self, struct http_call *call);
/* Returns when the worker works with the new settings. */
void worker_reload(worker_t *self, const struct worker_settings *settings);
/* Judge tokens by this from soon on, and end what it revokes; takes a reference. Any thread, not after worker_stop. */
void worker_use_trust(worker_t *self, token_trust_t *trust);
/* Returns when new handshakes are shown this certificate; the one before may go. Not where there was no TLS. */
void worker_use_certificate(worker_t *self, const tls_credentials_t *credentials);
/* Begins to drain: new upgrades are refused after drain.delay, sessions are closed over drain.window. */
void worker_drain(worker_t *self);
/* Drops what is left and waits for the thread; worker_read_figures still answers. */
void worker_stop(worker_t *self);
/* Stops unless stopped, frees. Accepts NULL. */
void worker_destroy(worker_t **self_p);

/* A moment old; any thread. */
struct worker_figures {
    uint32_t connections;
    uint32_t users;
    uint32_t alive;
    uint32_t dead;
    bool had_broker; /* since the start */
    bool is_drained; /* draining, the window is over or nobody is left */
    struct broker_summary brokers;
    uint64_t stalled_ms;
};
void worker_read_figures(worker_t *self, struct worker_figures *ret_figures);

#endif
