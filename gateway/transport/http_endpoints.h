/* What a gateway answers over HTTP, on its internal port and on the public one: liveness, readiness, figures, metrics,
 * the demo page. The shapes of the JSON are those of the issue (docs/operations.md).
 * Thread: any; the status is read through a function that may be called from any. */
#ifndef CALLBOARD_GATEWAY_HTTP_ENDPOINTS_H
#define CALLBOARD_GATEWAY_HTTP_ENDPOINTS_H

#include "base/http_service.h"
#include "base/metrics.h"
#include "base/wire.h"

/* Of the whole process. */
struct gateway_status {
    const char *id;
    uint64_t namespaces_hash;
    bool speaks_tls;               /* on the public port */
    int64_t certificate_expires_s; /* then: wall clock */
    bool certificate_refused;      /* its files changed and do not serve */
    bool token_keys_missing;       /* an issuer's keys were never fetched */
    bool token_keys_stale;         /* not for three times jwks_refresh */
    bool revocations_old;          /* the file cannot be used, the last good list stays */
    uint64_t stalled_ms;           /* of the worker that came round longest ago */
    bool is_ready;                 /* every worker has had a broker */
    bool is_draining;
    uint32_t workers;
    uint32_t connections_max; /* what client.connections_max and the descriptors allow */
    uint32_t sockets;         /* accepted on the public port */
    uint32_t websockets;      /* upgraded */
    uint32_t connections;     /* of them, connect command accepted */
    uint32_t users;           /* different ones, a worker; summed */
    uint32_t alive;
    uint32_t dead;
    uint32_t brokers_known; /* of the worker that sees most */
    uint32_t brokers_alive;
    enum wire_mode mode; /* 0: no broker is alive */
    bool engine_degraded;
    bool totals_known; /* the cluster's, from the leases */
    uint64_t total_connections;
    uint32_t total_gateways;
};

enum { HTTP_ENDPOINTS_STALLED_MS = 5000 };

struct http_endpoints {
    void (*read_status)(void *context, struct gateway_status *ret_status);
    void *context;
    metrics_t *metrics;
    /* Filled by http_endpoints_init. */
    struct http_endpoint internal[7];
    struct http_endpoint open[5];
    size_t n_open;
    bool demo;
};

/* with_details: /ws/stats and /health/redis on the public port too. */
void http_endpoints_init(struct http_endpoints *self, bool with_details, bool demo);
/* For LWS_CALLBACK_HTTP of the public port. */
int http_endpoints_answer_public(const struct http_endpoints *self, struct lws *wsi, const char *path);

#endif
