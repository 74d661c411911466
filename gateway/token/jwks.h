/* Keys that an issuer publishes, fetched over https through libcurl (security.md S4): one pinned URL, no redirects, no
 * proxy, at most 256 KiB and 64 keys, within 10 s. The last good set stays until a better one comes. Thread: that of
 * the loop; the fetch itself runs on a thread of libuv's pool. */
#ifndef CALLBOARD_GATEWAY_JWKS_H
#define CALLBOARD_GATEWAY_JWKS_H

#include "base/metrics.h"
#include "base/token_jwk.h"

#include <uv.h>

enum { JWKS_GAP_MS = 30000, JWKS_TIMEOUT_MS = 10000 };

typedef struct jwks jwks_t;

struct jwks_options {
    uv_loop_t *loop;
    const char *url;
    const char *ca_file;      /* "": the system's authorities */
    uint64_t refresh_ms;      /* how often it is fetched anyway */
    uint64_t gap_ms;          /* at least so long from one fetch to the next, whatever is asked for */
    const char *name;         /* of the settings, for the log: "token" */
    metric_values_t *metrics; /* of jwks_metric_table, shared by several */
    size_t first_row;         /* where this one's rows begin */
    void *context;
    /* A set that differs from the one before; borrowed for the call. */
    void (*on_set)(void *context, const struct token_jwk_set *set);
};

/* Copies the texts. The first fetch begins with the next tick. */
jwks_t *jwks_new(const struct jwks_options *options);
/* A token named a kid that no key has: fetch when the gap allows. */
void jwks_want(jwks_t *self);
/* A few times a second: begins a fetch when one is due. */
void jwks_tick(jwks_t *self, uint64_t now_ms);
/* Ms since the last good answer; UINT64_MAX: there was none yet. */
uint64_t jwks_age_ms(const jwks_t *self, uint64_t now_ms);
/* Breaks off a fetch under way; frees at once, or when it has come back (the loop runs until then). Accepts NULL. */
void jwks_destroy(jwks_t **self_p);

/* Rows of one source; the table has them for two. */
enum jwks_metric { JWKS_METRIC_FETCHES, JWKS_METRIC_FAILURES, JWKS_METRIC_KEYS, JWKS_METRIC_AGE, JWKS_METRICS };
extern const struct metric_description jwks_metric_table[2 * JWKS_METRICS];

#endif
