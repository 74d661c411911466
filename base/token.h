/* JSON Web Tokens (RFC 7519, compact JWS of RFC 7515) over OpenSSL EVP: client-protocol.md section 12, security.md
 * S2–S7. The key names its one algorithm, the token's `alg` must be byte-equal to it. Base64url is strict, claims are
 * read by json_scan, duplicate names are refused, names are case-sensitive. Here: HS256, HS384, HS512. A key set is a
 * value that is replaced whole on reload. Thread: any, a key set is immutable. */
#ifndef CALLBOARD_BASE_TOKEN_H
#define CALLBOARD_BASE_TOKEN_H

#include "base/base64.h"
#include "base/bytes.h"
#include "base/token_claims.h"

enum { TOKEN_SECRET_MIN = 32, TOKEN_TEXT_MAX = 8192 };

enum token_algorithm { TOKEN_HS256, TOKEN_HS384, TOKEN_HS512 };
const char *token_algorithm_name(enum token_algorithm algorithm);
bool token_algorithm_parse(struct span name, enum token_algorithm *ret_algorithm); /* case-sensitive */

typedef struct token_keys token_keys_t;

/* Copies. Audience and issuer are both there, or any_audience is: else the configuration was not judged, abort. */
token_keys_t *token_keys_new(const struct token_rules *rules);
void token_keys_destroy(token_keys_t **self_p); /* wipes */
/* A key without kid (NULL) serves the tokens without kid, and only them. False: the secret is shorter than 32 bytes, or
 * the kid is taken or malformed (1–64 of A-Z a-z 0-9 . _ -); ret_error says so. */
bool token_keys_add_secret(token_keys_t *self, const char *kid, enum token_algorithm algorithm, struct span secret,
                           char *ret_error, size_t error_size);

/* Verifies at wall time now_ms. ret_claims is filled on TOKEN_OK only (finish it then). */
enum token_outcome token_verify(const token_keys_t *keys, struct span token, int64_t now_ms,
                                struct token_claims *ret_claims);

/* Appends a signed token; `kid` may be NULL. For the quick start, callboardctl and tests. False, and nothing appended:
 * `claims` is no JSON object within the limits, the secret is shorter than TOKEN_SECRET_MIN, the kid is malformed, or
 * the token does not fit `out`. */
bool token_sign(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                struct span claims);

#endif
