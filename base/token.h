/* JSON Web Tokens (RFC 7519, compact JWS of RFC 7515) over OpenSSL EVP: client-protocol.md section 12, security.md
 * S2–S7. The key names its one algorithm, the token's `alg` must be byte-equal to it. Base64url is strict, claims are
 * read by json_scan, duplicate names are refused, names are case-sensitive. Here: HS256, HS384, HS512. A key set is a
 * value that is replaced whole on reload. Thread: any, a key set is immutable. */
#ifndef CALLBOARD_BASE_TOKEN_H
#define CALLBOARD_BASE_TOKEN_H

#include "base/base64.h"
#include "base/bytes.h"
#include "base/json_scan.h"

enum { TOKEN_SECRET_MIN = 32, TOKEN_TEXT_MAX = 8192 };

enum token_algorithm { TOKEN_HS256, TOKEN_HS384, TOKEN_HS512 };
const char *token_algorithm_name(enum token_algorithm algorithm);
bool token_algorithm_parse(struct span name, enum token_algorithm *ret_algorithm); /* case-sensitive */

typedef struct token_keys token_keys_t;

struct token_rules {
    const char *audience; /* "" with any_audience only */
    const char *issuer;   /* "" with any_audience only */
    bool any_audience;    /* aud and iss are not asked for */
    int64_t max_life_s;   /* exp must be there, and lie at most this far ahead; 0 = no cap */
};

/* Copies. Audience and issuer are both there, or any_audience is: else the configuration was not judged, abort. */
token_keys_t *token_keys_new(const struct token_rules *rules);
void token_keys_destroy(token_keys_t **self_p); /* wipes */
/* A key without kid (NULL) serves the tokens without kid, and only them. False: the secret is shorter than 32 bytes, or
 * the kid is taken or malformed (1–64 of A-Z a-z 0-9 . _ -); ret_error says so. */
bool token_keys_add_secret(token_keys_t *self, const char *kid, enum token_algorithm algorithm, struct span secret,
                           char *ret_error, size_t error_size);

enum token_outcome {
    TOKEN_OK,
    TOKEN_MALFORMED,   /* over TOKEN_TEXT_MAX, not three parts, bad base64url, bad JSON, crit, zip, b64, nested */
    TOKEN_UNKNOWN_KEY, /* kid or algorithm that no key has */
    TOKEN_BAD_SIGNATURE,
    TOKEN_BAD_CLAIM, /* wrong type (null too), dates not whole or not below 2^53, bad base64, life over the cap */
    TOKEN_WRONG_AUDIENCE,
    TOKEN_WRONG_ISSUER,
    TOKEN_EXPIRED, /* exp passed, or nbf not reached (upstream answers both so) */
};
const char *token_outcome_text(enum token_outcome outcome);

/* What a token said. All spans lie in the block of `storage`, which never moves: the struct may be copied, as long as
 * one copy is finished. Whether a claim may be there at all (channel in a connection token) is the caller's to judge.
 */
struct token_claims {
    struct span user;    /* sub, decoded; empty = anonymous */
    struct span channel; /* decoded; empty when absent */
    struct span client;
    bool has_channel;
    bool has_expiry;
    int64_t expiry_s; /* exp, 0 when absent */
    bool has_expire_at;
    int64_t expire_at_s;        /* expire_at, 0 = never */
    int64_t issued_at_s;        /* iat, 0 when absent */
    struct span jti;            /* decoded */
    struct json_value info;     /* JSON, JSON_ABSENT when not there */
    struct span info_binary;    /* b64info, decoded; wins over info */
    struct json_value data;     /* subscription tokens */
    struct span data_binary;    /* b64data */
    struct json_value channels; /* list of strings */
    struct json_value subs;     /* object */
    struct json_value meta;     /* object */
    struct json_value override; /* object */
    struct buffer storage;
};

void token_claims_finish(struct token_claims *self);

/* Verifies at wall time now_ms. ret_claims is filled on TOKEN_OK only (finish it then). */
enum token_outcome token_verify(const token_keys_t *keys, struct span token, int64_t now_ms,
                                struct token_claims *ret_claims);

/* Appends a signed token; `kid` may be NULL. For the quick start, callboardctl and tests. False, and nothing appended:
 * `claims` is no JSON object within the limits, the secret is shorter than TOKEN_SECRET_MIN, the kid is malformed, or
 * the token does not fit `out`. */
bool token_sign(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                struct span claims);

#endif
