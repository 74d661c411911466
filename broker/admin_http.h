/* What a broker answers on its internal port, over base/http_service: /health (liveness: 200 while the actors' loops
 * turn), /ready (503 while draining or stalled), /info, /metrics. Probes need no token. Thread: the loop's. */
#ifndef CALLBOARD_BROKER_ADMIN_HTTP_H
#define CALLBOARD_BROKER_ADMIN_HTTP_H

#include "base/metrics.h"
#include "broker/broker.h"

typedef struct admin_http admin_http_t;

/* NULL: could not listen on internal.address, internal.port; ret_error says why. The broker outlives it. */
admin_http_t *admin_http_new(uv_loop_t *loop, const struct broker_config *config, broker_t *broker, metrics_t *metrics,
                             char *ret_error, size_t error_size);
int admin_http_port(const admin_http_t *self);
/* on_closed (may be NULL) when the loop holds nothing of it any more. Nulls the caller's pointer, accepts NULL. */
void admin_http_close(admin_http_t **self_p, void (*on_closed)(void *context), void *context);

/* What /info says, for who embeds the broker. */
void admin_http_append_info(const broker_t *broker, struct buffer *body);

#endif
