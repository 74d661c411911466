/* JSON Web Tokens (RFC 7519, compact JWS of RFC 7515) over OpenSSL EVP: client-protocol.md section 12, security.md
 * S2–S7. The key names its one algorithm (base/token_algorithm.h), the token's `alg` must be byte-equal to it.
 * Base64url is strict, claims are read by json_scan, duplicate names are refused, names are case-sensitive. A key set
 * is a value that is replaced whole. Thread: any, a key set is immutable once it is made. */
#ifndef CALLBOARD_BASE_TOKEN_H
#define CALLBOARD_BASE_TOKEN_H

#include "base/base64.h"
#include "base/bytes.h"
#include "base/token_claims.h"
#include "base/token_key.h"

enum { TOKEN_TEXT_MAX = 8192, TOKEN_KEYS_PER_KID = 4 };

typedef struct token_keys token_keys_t;

/* Copies. Audience and issuer are both there, or any_audience is: else the configuration was not judged, abort. */
token_keys_t *token_keys_new(const struct token_rules *rules);
void token_keys_destroy(token_keys_t **self_p);          /* wipes */
token_keys_t *token_keys_copy(const token_keys_t *self); /* the same rules, the same keys */
/* A key without kid (NULL) serves the tokens without kid, and only them. Takes a reference. `until_s` is when the key
 * is no longer accepted (wall clock; 0 = never): so an old key and its successor may have the same kid, or none. False:
 * the kid is malformed (1–64 of A-Z a-z 0-9 . _ -), has TOKEN_KEYS_PER_KID keys already, or one that ends no more than
 * this one does; ret_error says so. */
bool token_keys_add(token_keys_t *self, const char *kid, token_key_t *key, int64_t until_s, char *ret_error,
                    size_t error_size);
/* The same for a secret, for ever. */
bool token_keys_add_secret(token_keys_t *self, const char *kid, enum token_algorithm algorithm, struct span secret,
                           char *ret_error, size_t error_size);
size_t token_keys_count(const token_keys_t *self);

/* Verifies at wall time now_ms. ret_claims is filled on TOKEN_OK only (finish it then). */
enum token_outcome token_verify(const token_keys_t *keys, struct span token, int64_t now_ms,
                                struct token_claims *ret_claims);

/* Appends a signed token; `kid` may be NULL. For the quick start, callboardctl and tests. False, and nothing appended:
 * `claims` is no JSON object within the limits, the key cannot sign, the kid is malformed, or the token does not fit
 * `out`. */
bool token_sign(struct buffer *out, const char *kid, const token_key_t *key, struct span claims);
/* The same with a secret of TOKEN_SECRET_MIN bytes or more. */
bool token_sign_with_secret(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                            struct span claims);

#endif
