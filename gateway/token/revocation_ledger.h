/* The revocations that were told over the HTTP API, as a gateway holds them: read from REVOCATIONS_CHANNEL, each with
 * the offset at which it stands there. One of a name is held: of a user the latest moment, of either the latest end.
 * What has ended goes. Thread: the owner's. */
#ifndef CALLBOARD_GATEWAY_REVOCATION_LEDGER_H
#define CALLBOARD_GATEWAY_REVOCATION_LEDGER_H

#include "gateway/token/revocations.h"

typedef struct revocation_ledger revocation_ledger_t;

revocation_ledger_t *revocation_ledger_new(void);
void revocation_ledger_destroy(revocation_ledger_t **self_p); /* accepts NULL */

enum ledger_outcome {
    LEDGER_NEW,   /* it revokes what was not revoked before */
    LEDGER_KNOWN, /* it does not, or has ended; only the offset may be another one */
    LEDGER_BAD,   /* it is no revocation */
};
/* A line that stands at `offset` of the stream. */
enum ledger_outcome revocation_ledger_take(revocation_ledger_t *self, struct span line, uint64_t offset, int64_t now_s);
/* Drops what has ended; returns how many. */
size_t revocation_ledger_expire(revocation_ledger_t *self, int64_t now_s);
size_t revocation_ledger_count(const revocation_ledger_t *self);
/* The stream is another one: it has none of these, as far as anybody knows. */
void revocation_ledger_forget_offsets(revocation_ledger_t *self);
/* One that does not stand at or above `offset`, its line appended to `out`. False: all do. */
bool revocation_ledger_find_below(const revocation_ledger_t *self, uint64_t offset, struct buffer *out);
/* All of them, a line each. */
void revocation_ledger_write(const revocation_ledger_t *self, struct buffer *out);

#endif
