/* Reads a JSON Web Key Set (RFC 7517): the public keys that an issuer publishes. security.md S4. Thread: any. */
#ifndef CALLBOARD_BASE_TOKEN_JWK_H
#define CALLBOARD_BASE_TOKEN_JWK_H

#include "base/token_key.h"

enum { TOKEN_KID_MAX = 64, TOKEN_JWK_KEYS_MAX = 64, TOKEN_JWK_TEXT_MAX = 256 * 1024 };

/* 1 to 64 of A-Z a-z 0-9 . _ -: a kid is looked up in a table of ours, and nothing else. */
bool token_kid_is_valid(struct span kid);

struct token_jwk {
    char kid[TOKEN_KID_MAX + 1]; /* "": it serves the tokens without kid */
    token_key_t *key;
};

struct token_jwk_set {
    struct token_jwk keys[TOKEN_JWK_KEYS_MAX];
    size_t n;
    size_t n_left_out; /* of a kind, use or strength that we do not verify with, or with a kid we do not look up */
};

/* False: the set is refused as a whole, and ret_error says why: no JSON, a name twice, over 64 keys or 256 KiB, a kid
 * twice, a key whose numbers are no key, or none that serves. A key without alg gets the one of its kind: RSA RS256, a
 * point the algorithm of its curve, Ed25519 EdDSA. Finish it when true. */
bool token_jwk_set_read(struct span text, struct token_jwk_set *ret_set, char *ret_error, size_t error_size);
void token_jwk_set_finish(struct token_jwk_set *self);

#endif
