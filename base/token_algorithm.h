/* The signature algorithms of JSON Web Tokens (RFC 7518 section 3, RFC 8037), as one table. `none` is not among them.
 * Thread: any (constants). */
#ifndef CALLBOARD_BASE_TOKEN_ALGORITHM_H
#define CALLBOARD_BASE_TOKEN_ALGORITHM_H

#include "base/bytes.h"

enum token_algorithm {
    TOKEN_HS256,
    TOKEN_HS384,
    TOKEN_HS512,
    TOKEN_RS256,
    TOKEN_RS384,
    TOKEN_RS512,
    TOKEN_PS256,
    TOKEN_PS384,
    TOKEN_PS512,
    TOKEN_ES256,
    TOKEN_ES384,
    TOKEN_ES512,
    TOKEN_EDDSA, /* with Ed25519 */
    TOKEN_ALGORITHMS
};

enum token_family {
    TOKEN_HMAC,
    TOKEN_RSA,     /* PKCS#1 v1.5 */
    TOKEN_RSA_PSS, /* the salt as long as the digest */
    TOKEN_ECDSA,   /* the signature is r and s, each as long as the curve's order */
    TOKEN_ED25519,
};

struct token_algorithm_parts {
    const char *name;
    enum token_family family;
    const char *digest;      /* OpenSSL's name; NULL where the algorithm has its own */
    const char *curve;       /* ECDSA: OpenSSL's name */
    const char *jwk_curve;   /* the name of crv in a JWK */
    size_t coordinate_bytes; /* ECDSA: of r, s, x and y */
};
const struct token_algorithm_parts *token_algorithm_parts(enum token_algorithm algorithm);

const char *token_algorithm_name(enum token_algorithm algorithm);
bool token_algorithm_parse(struct span name, enum token_algorithm *ret_algorithm); /* case-sensitive */
/* Signed with a secret that both sides know, or with a private key whose public half is known here? */
bool token_algorithm_is_symmetric(enum token_algorithm algorithm);

#endif
