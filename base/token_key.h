/* One key that signs or verifies with its one algorithm, over OpenSSL EVP (security.md S2, S5): a secret of 32 bytes or
 * more, an RSA key of 2048 to 8192 bits, a point on the algorithm's curve, an Ed25519 key. What is weaker, or of
 * another kind than the algorithm, never becomes a key. Counted references, never changed. Thread: any. */
#ifndef CALLBOARD_BASE_TOKEN_KEY_H
#define CALLBOARD_BASE_TOKEN_KEY_H

#include "base/token_algorithm.h"

enum { TOKEN_SECRET_MIN = 32, TOKEN_RSA_BITS_MIN = 2048, TOKEN_RSA_BITS_MAX = 8192, TOKEN_SIGNATURE_MAX = 1024 };

typedef struct token_key token_key_t;

/* All of them: NULL when it cannot serve, ret_error says why and how to mend it. */
token_key_t *token_key_of_secret(enum token_algorithm algorithm, struct span secret, char *ret_error,
                                 size_t error_size);
/* The first PEM block: SubjectPublicKeyInfo ("BEGIN PUBLIC KEY"), to verify with. */
token_key_t *token_key_of_public_pem(enum token_algorithm algorithm, struct span pem, char *ret_error,
                                     size_t error_size);
/* An unencrypted private key, to sign with (and to verify). */
token_key_t *token_key_of_private_pem(enum token_algorithm algorithm, struct span pem, char *ret_error,
                                      size_t error_size);
/* The numbers of a JWK, big-endian. */
token_key_t *token_key_of_rsa(enum token_algorithm algorithm, struct span modulus, struct span exponent,
                              char *ret_error, size_t error_size);
token_key_t *token_key_of_point(enum token_algorithm algorithm, struct span x, struct span y, char *ret_error,
                                size_t error_size);
token_key_t *token_key_of_ed25519(struct span x, char *ret_error, size_t error_size);

token_key_t *token_key_ref(token_key_t *self);
void token_key_unref(token_key_t **self_p); /* the last one wipes and frees; accepts NULL */

enum token_algorithm token_key_algorithm(const token_key_t *self);
/* Is `signature` (the bytes, not base64url) the one of `text` by this key? */
bool token_key_verify(const token_key_t *self, struct span text, struct span signature);
/* Appends the signature's bytes. The key is a secret or was made of a private key: else false, as over the limit. */
bool token_key_sign(const token_key_t *self, struct span text, struct buffer *out);

#endif
