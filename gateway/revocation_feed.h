/* Revocations that services tell over the HTTP API of any gateway (revoke_token, invalidate_user_tokens): each becomes
 * a publication in REVOCATIONS_CHANNEL, whose history every gateway reads twice a second.
 *
 *   HTTP API ─publish─▶ REVOCATIONS_CHANNEL ─history─▶ ledger ─on_change─▶ token_keeper ─token_trust─▶ every worker
 *                               ▲                         │
 *                               └─── what it lacks ───────┘
 *
 * One worker of a gateway has it. Thread: that worker's. */
#ifndef CALLBOARD_GATEWAY_REVOCATION_FEED_H
#define CALLBOARD_GATEWAY_REVOCATION_FEED_H

#include "gateway/broker_requests.h"
#include "gateway/token/revocations.h"

typedef struct revocation_feed revocation_feed_t;

struct revocation_feed_options {
    const struct gateway_config *config; /* as for revocation_feed_configure */
    broker_requests_t *brokers;
    timer_wheel_t *wheel;
    metrics_t *metrics;
    void *context;
    /* `lines`: all that are held now, as revocations_read takes them. Borrowed for the call. */
    void (*on_change)(void *context, struct span lines);
};

/* Asks at once. */
revocation_feed_t *revocation_feed_new(const struct revocation_feed_options *options);
/* Before its brokers. Accepts NULL. */
void revocation_feed_destroy(revocation_feed_t **self_p);
/* After a reload: token.revocations_max and the lives of tokens count from now on. NULL is accepted. */
void revocation_feed_configure(revocation_feed_t *self, const struct gateway_config *config);

/* token.revocations_strict: nobody has told for too long who is locked out, or never, and no token should be taken. */
bool revocation_feed_is_unsure(const revocation_feed_t *self);

/* When a token that was issued until `issued_s` has expired in any case. */
int64_t revocation_feed_end_of(const revocation_feed_t *self, int64_t issued_s);
/* May one more be told? NOT_AVAILABLE: it is off. LIMIT_EXCEEDED: token.revocations_max are held. */
enum error_code revocation_feed_judge(const revocation_feed_t *self);
/* `line`: of revocation_append. on_done of the request follows when the brokers have it, for good, or not. */
void revocation_feed_tell(revocation_feed_t *self, struct broker_request *request, struct span line);
/* They have it there. It is in force here in a moment, and told again should they lose it before it was read. */
void revocation_feed_take(revocation_feed_t *self, struct span line, const struct position *position);

#endif
