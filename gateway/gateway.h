/* The gateway as one object: its workers, what they share, and what it tells of itself. The program callboard-gateway
 * is this and a config file; the appliance (tools/callboard.c) embeds it beside a broker. Thread: the owner's (one
 * thread), but for gateway_read_status. */
#ifndef CALLBOARD_GATEWAY_GATEWAY_H
#define CALLBOARD_GATEWAY_GATEWAY_H

#include "base/http_service.h"
#include "base/metrics.h"
#include "gateway/gateway_config.h"
#include "gateway/transport/http_endpoints.h"

typedef struct gateway gateway_t;

struct gateway_options {
    const struct gateway_config *config; /* lives as long as the gateway */
    void *zmq_context;                   /* ends after the gateway; in the appliance the broker's too */
    metrics_t *metrics;                  /* lives as long as the gateway */
    bool raw_endpoint;                   /* what http.raw_endpoint: auto means */
};

/* Everything listens when it returns. NULL: ret_error says what and how to mend it (at least 512 bytes). */
gateway_t *gateway_new(const struct gateway_options *options, char *ret_error, size_t error_size);
/* Stops at once; gateway_drain first where time allows. Accepts NULL. */
void gateway_destroy(gateway_t **self_p);

/* The reloadable settings of `config`, which lives until the next reload or the end, are in use when it returns. False:
 * nothing has changed, ret_error says why. */
bool gateway_reload(gateway_t *self, const struct gateway_config *config, char *ret_error, size_t error_size);

/* Once a second while it runs and does not drain: takes up what was renewed in its files. */
void gateway_look(gateway_t *self);

/* Not ready from now on; after drain.delay no new connections; sessions are closed over drain.window. Returns at once;
 * the owner waits for gateway_is_drained, at most gateway_drain_ms, then destroys. */
void gateway_drain(gateway_t *self);
bool gateway_is_drained(const gateway_t *self);
uint64_t gateway_drain_ms(const gateway_t *self);

/* For the internal HTTP service of the program. */
const struct http_endpoint *gateway_endpoints(const gateway_t *self, size_t *ret_n);
/* Calls by hand, for the same service; NULL: internal.operations is off. Lives as long as the gateway. */
const struct http_service_calls *gateway_calls(const gateway_t *self);
int gateway_port(const gateway_t *self);        /* the public one */
bool gateway_speaks_tls(const gateway_t *self); /* there */
const char *gateway_id(const gateway_t *self);
uint32_t gateway_workers(const gateway_t *self);
void gateway_read_status(const gateway_t *self, struct gateway_status *ret_status); /* any thread */

#endif
