/* Keeps what tokens are judged by up to date: the keys of the settings, those that issuers publish, the file of
 * revocations and those that services told. A thread of its own, so that neither a slow issuer nor a large file stops a
 * worker. Whatever changes, a new token_trust is handed out whole. Thread: the owner's, but for token_keeper_want_keys,
 * _tell_revocations and _read_status (any). */
#ifndef CALLBOARD_GATEWAY_TOKEN_KEEPER_H
#define CALLBOARD_GATEWAY_TOKEN_KEEPER_H

#include "base/metrics.h"
#include "gateway/gateway_config.h"
#include "gateway/token/token_trust.h"

typedef struct token_keeper token_keeper_t;

struct token_keeper_options {
    const struct gateway_config *config; /* for the call */
    metrics_t *metrics;
    uint64_t jwks_gap_ms; /* JWKS_GAP_MS, but for tests */
    void *context;
    /* On the keeper's thread, for each new one, between token_keeper_start and the end; borrowed for the call. */
    void (*on_trust)(void *context, token_trust_t *trust);
};

/* Reads keys and revocations, and has a first trust. NULL: a file or a key does not serve, ret_error says which and how
 * to mend it (at least 512 bytes). */
token_keeper_t *token_keeper_new(const struct token_keeper_options *options, char *ret_error, size_t error_size);
/* A reference to what it has made last; before token_keeper_start, the first. */
token_trust_t *token_keeper_trust(token_keeper_t *self);
/* Begins to watch and to fetch. False: no thread, ret_error says why. */
bool token_keeper_start(token_keeper_t *self, char *ret_error, size_t error_size);
/* Other settings: on_trust has been called with what they make when it returns true. False: nothing has changed, and
 * ret_error says why. */
bool token_keeper_reload(token_keeper_t *self, const struct gateway_config *config, char *ret_error, size_t error_size);
/* No on_trust any more when it returns; token_keeper_want_keys and _tell_revocations may still be called. */
void token_keeper_stop(token_keeper_t *self);
/* Stops unless stopped, frees. Accepts NULL. */
void token_keeper_destroy(token_keeper_t **self_p);

/* A token named a kid that no key has: ask the issuers again, when the gap allows. Cheap. */
void token_keeper_want_keys(token_keeper_t *self);
/* What services have revoked, all of it, beside what the file does: with the next tick it counts. */
void token_keeper_tell_revocations(token_keeper_t *self, struct span lines);

struct token_keeper_status {
    bool fetches_keys;        /* jwks_url is set somewhere */
    bool keys_are_missing;    /* an issuer has never answered */
    bool keys_are_stale;      /* the last good answer is older than three times jwks_refresh */
    bool revocations_are_old; /* the file has changed and cannot be used: the last good list stays */
};
void token_keeper_read_status(const token_keeper_t *self, struct token_keeper_status *ret_status);

#endif
