/* What follows from other fields where it is not set. Thread: the main thread. */
#ifndef CALLBOARD_OPERATOR_SPEC_SPEC_DERIVE_H
#define CALLBOARD_OPERATOR_SPEC_SPEC_DERIVE_H

#include "operator/spec/spec_document.h"

/* After spec_decode. Each rule stands in the field's row as `derived`, for explain. */
void spec_derive(spec_document_t *self);

/* Used by rules too. */
int64_t spec_share(int64_t amount, int64_t percent); /* rounded down */
/* What redis.maxmemory may be of the limit, in percent: room for rewriting the file is only needed with a volume. */
int64_t spec_maxmemory_percent(const struct spec *spec);
/* Pods with data, of all shards. */
int64_t spec_redis_pods(const struct spec *spec);
/* Is there a redis_exporter beside each Redis of ours? */
bool spec_has_exporter(const struct spec *spec);
/* Does Redis itself hand over to a replica at SIGTERM (Valkey 9 and later, in a cluster)? */
bool spec_fails_over_on_sigterm(const struct spec *spec);
/* Does an issuer make the certificate that the gateways themselves show? Where they end TLS, and no Ingress asks. */
bool spec_edge_has_certificate(const struct spec *spec);

enum { SPEC_DRAIN_MARGIN_MS = 20000 }; /* reconnect hints, and what ends after the last connection */

#endif
