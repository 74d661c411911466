/* Keys and signatures over OpenSSL EVP.
 *
 *     HS*        a keyed context, copied for every use; compared in constant time
 *     RS*, PS*   EVP_DigestVerify; PSS with MGF1 of the same digest and a salt as long as it
 *     ES*        r ‖ s of exact length ──▶ DER ──▶ EVP_DigestVerify, which refuses r and s outside 1 … order - 1
 *     EdDSA      64 bytes, in one call
 *
 * Failure modes: a key that does not serve is refused when it is made, with the reason; a signature that is too long,
 * too short, malformed or wrong is false, without a difference. What OpenSSL notes in the thread's list of errors is
 * taken away again: TLS on the same thread reads that list, and would take our refusal for a broken connection. No
 * memory: the process aborts, for "bad signature" would be a lie. */
#include "base/token_key.h"

#include "base/check.h"
#include "base/memory.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdio.h>

enum { HMAC_BYTES_MAX = 64, ED25519_BYTES = 32, ED25519_SIGNATURE_BYTES = 64, COORDINATE_BYTES_MAX = 66 };

struct token_key {
    atomic_uint references;
    enum token_algorithm algorithm;
    EVP_MAC_CTX *mac; /* of a secret: keyed, copied for every use */
    EVP_PKEY *pkey;   /* of the others */
    bool can_sign;
};

static token_key_t *key_new(enum token_algorithm algorithm) {
    token_key_t *self = memory_alloc_zero(sizeof *self);
    atomic_init(&self->references, 1);
    self->algorithm = algorithm;
    return self;
}

token_key_t *token_key_ref(token_key_t *self) {
    atomic_fetch_add_explicit(&self->references, 1, memory_order_relaxed);
    return self;
}

void token_key_unref(token_key_t **self_p) {
    token_key_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL || atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    EVP_MAC_CTX_free(self->mac);
    EVP_PKEY_free(self->pkey);
    memory_free(self);
}

enum token_algorithm token_key_algorithm(const token_key_t *self) {
    return self->algorithm;
}

static const struct token_algorithm_parts *parts_of(const token_key_t *self) {
    return token_algorithm_parts(self->algorithm);
}

/* ---- secrets ---- */

static EVP_MAC_CTX *keyed_mac_new(enum token_algorithm algorithm, struct span secret) {
    char digest[16];
    snprintf(digest, sizeof digest, "%s", token_algorithm_parts(algorithm)->digest);
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    check(context != NULL && EVP_MAC_init(context, secret.data, secret.size, params) == 1, "OpenSSL: no HMAC-%s",
          digest);
    return context;
}

token_key_t *token_key_of_secret(enum token_algorithm algorithm, struct span secret, char *ret_error,
                                 size_t error_size) {
    if (!token_algorithm_is_symmetric(algorithm)) {
        snprintf(ret_error, error_size, "%s needs a public key, not a secret", token_algorithm_name(algorithm));
        return NULL;
    }
    if (secret.size < TOKEN_SECRET_MIN) {
        snprintf(ret_error, error_size,
                 "the secret has %zu bytes, it needs at least %d; generate one with 'openssl rand -base64 48'",
                 secret.size, TOKEN_SECRET_MIN);
        return NULL;
    }
    token_key_t *self = key_new(algorithm);
    self->mac = keyed_mac_new(algorithm, secret);
    self->can_sign = true;
    return self;
}

/* Returns the size of the signature: 32, 48 or 64 bytes. */
static size_t compute_mac(const EVP_MAC_CTX *mac, struct span text, uint8_t ret_signature[HMAC_BYTES_MAX]) {
    size_t size = 0;
    EVP_MAC_CTX *copy = EVP_MAC_CTX_dup(mac);
    bool is_done = copy != NULL && EVP_MAC_update(copy, text.data, text.size) == 1 &&
                   EVP_MAC_final(copy, ret_signature, &size, HMAC_BYTES_MAX) == 1;
    EVP_MAC_CTX_free(copy);
    check(is_done, "OpenSSL: HMAC failed");
    return size;
}

static bool verify_mac(const token_key_t *self, struct span text, struct span signature) {
    uint8_t expected[HMAC_BYTES_MAX];
    size_t size = compute_mac(self->mac, text, expected);
    bool is_right = signature.size == size && CRYPTO_memcmp(signature.data, expected, size) == 0;
    OPENSSL_cleanse(expected, sizeof expected); /* what a forger would like to know */
    return is_right;
}

/* ---- making keys of the other kinds ---- */

static bool suits_rsa(EVP_PKEY *pkey, char *ret_error, size_t error_size) {
    int bits = EVP_PKEY_get_bits(pkey);
    if (!EVP_PKEY_is_a(pkey, "RSA")) {
        snprintf(ret_error, error_size, "the key is no RSA key, as the algorithm needs it");
        return false;
    }
    if (bits < TOKEN_RSA_BITS_MIN || bits > TOKEN_RSA_BITS_MAX) {
        snprintf(ret_error, error_size, "the RSA key has %d bits, it needs %d to %d; make one with 'openssl genrsa'",
                 bits, TOKEN_RSA_BITS_MIN, TOKEN_RSA_BITS_MAX);
        return false;
    }
    return true;
}

static bool suits_curve(EVP_PKEY *pkey, const struct token_algorithm_parts *parts, char *ret_error, size_t error_size) {
    char group[64];
    size_t size = 0;
    if (EVP_PKEY_is_a(pkey, "EC") && EVP_PKEY_get_group_name(pkey, group, sizeof group, &size) == 1 &&
        strcmp(group, parts->curve) == 0) {
        return true;
    }
    snprintf(ret_error, error_size,
             "the key is no point of %s, which %s needs; make one with 'openssl ecparam -genkey "
             "-noout -name %s'",
             parts->jwk_curve, parts->name, parts->curve);
    return false;
}

static bool suits_ed25519(EVP_PKEY *pkey, char *ret_error, size_t error_size) {
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        return true;
    }
    snprintf(ret_error, error_size,
             "the key is no Ed25519 key, which EdDSA needs; make one with 'openssl genpkey -algorithm ed25519'");
    return false;
}

static bool suits(EVP_PKEY *pkey, enum token_algorithm algorithm, char *ret_error, size_t error_size) {
    const struct token_algorithm_parts *parts = token_algorithm_parts(algorithm);
    switch (parts->family) {
    case TOKEN_HMAC:
        snprintf(ret_error, error_size, "%s needs a secret, not a key pair", parts->name);
        return false;
    case TOKEN_RSA:
    case TOKEN_RSA_PSS:
        return suits_rsa(pkey, ret_error, error_size);
    case TOKEN_ECDSA:
        return suits_curve(pkey, parts, ret_error, error_size);
    case TOKEN_ED25519:
        return suits_ed25519(pkey, ret_error, error_size);
    }
    unreachable("token family %d", (int) parts->family);
}

/* The numbers are such as a key of this kind may have: a point on the curve, an odd exponent above 1. */
static bool is_sound(EVP_PKEY *pkey) {
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    check(context != NULL, "OpenSSL: no key context");
    bool is_good = EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    return is_good;
}

/* Takes the pkey, also when it refuses; NULL: it could not be read. */
static token_key_t *key_of_pkey(enum token_algorithm algorithm, EVP_PKEY *pkey, bool can_sign, const char *unreadable,
                                char *ret_error, size_t error_size) {
    if (pkey == NULL) {
        snprintf(ret_error, error_size, "%s", unreadable);
        return NULL;
    }
    if (!suits(pkey, algorithm, ret_error, error_size)) {
        EVP_PKEY_free(pkey);
        return NULL;
    }
    if (!is_sound(pkey)) {
        snprintf(ret_error, error_size, "the key's numbers are not those of a sound key");
        EVP_PKEY_free(pkey);
        return NULL;
    }
    token_key_t *self = key_new(algorithm);
    self->pkey = pkey;
    self->can_sign = can_sign;
    return self;
}

/* No passphrase: nobody is there to type one. */
static int no_passphrase(char *buffer, int size, int for_writing, void *context) {
    (void) buffer;
    (void) size;
    (void) for_writing;
    (void) context;
    return -1;
}

typedef EVP_PKEY *pem_reader(BIO *bio, EVP_PKEY **ret_pkey, pem_password_cb *passphrase, void *context);

static token_key_t *key_of_pem(enum token_algorithm algorithm, struct span pem, pem_reader *read, bool can_sign,
                               const char *unreadable, char *ret_error, size_t error_size) {
    ERR_set_mark();
    BIO *bio = pem.size > INT32_MAX ? NULL : BIO_new_mem_buf(pem.data, (int) pem.size);
    EVP_PKEY *pkey = bio == NULL ? NULL : read(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    token_key_t *self = key_of_pkey(algorithm, pkey, can_sign, unreadable, ret_error, error_size);
    ERR_pop_to_mark();
    return self;
}

token_key_t *token_key_of_public_pem(enum token_algorithm algorithm, struct span pem, char *ret_error,
                                     size_t error_size) {
    return key_of_pem(algorithm, pem, PEM_read_bio_PUBKEY, false,
                      "there is no public key in PEM (BEGIN PUBLIC KEY); 'openssl pkey -pubout' makes one of a private "
                      "key, 'openssl x509 -pubkey -noout' of a certificate",
                      ret_error, error_size);
}

token_key_t *token_key_of_private_pem(enum token_algorithm algorithm, struct span pem, char *ret_error,
                                      size_t error_size) {
    return key_of_pem(algorithm, pem, PEM_read_bio_PrivateKey, true,
                      "there is no private key in PEM without a passphrase (BEGIN PRIVATE KEY); 'openssl pkey' takes a "
                      "passphrase away",
                      ret_error, error_size);
}

/* Takes the builder. */
static EVP_PKEY *pkey_of_params(const char *type, OSSL_PARAM_BLD *builder) {
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;
    check(params != NULL && context != NULL, "OpenSSL: no parameters for a key");
    if (EVP_PKEY_fromdata_init(context) != 1 || EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1) {
        pkey = NULL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static const char unsound_numbers[] = "its numbers make no key";

token_key_t *token_key_of_rsa(enum token_algorithm algorithm, struct span modulus, struct span exponent,
                              char *ret_error, size_t error_size) {
    if (modulus.size > TOKEN_RSA_BITS_MAX / 8 || exponent.size > 8) {
        snprintf(ret_error, error_size, "the RSA key is larger than %d bits, or its exponent than 64",
                 TOKEN_RSA_BITS_MAX);
        return NULL;
    }
    ERR_set_mark();
    BIGNUM *n = BN_bin2bn(modulus.data, (int) modulus.size, NULL);
    BIGNUM *e = BN_bin2bn(exponent.data, (int) exponent.size, NULL);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    check(n != NULL && e != NULL && builder != NULL && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
              OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1,
          "OpenSSL: no parameters for an RSA key");
    EVP_PKEY *pkey = pkey_of_params("RSA", builder);
    BN_free(n);
    BN_free(e);
    token_key_t *self = key_of_pkey(algorithm, pkey, false, unsound_numbers, ret_error, error_size);
    ERR_pop_to_mark();
    return self;
}

token_key_t *token_key_of_point(enum token_algorithm algorithm, struct span x, struct span y, char *ret_error,
                                size_t error_size) {
    const struct token_algorithm_parts *parts = token_algorithm_parts(algorithm);
    uint8_t point[1 + 2 * COORDINATE_BYTES_MAX] = {POINT_CONVERSION_UNCOMPRESSED};
    if (parts->family != TOKEN_ECDSA || x.size != parts->coordinate_bytes || y.size != parts->coordinate_bytes) {
        snprintf(ret_error, error_size, "the coordinates have not the length of %s", parts->name);
        return NULL;
    }
    memcpy(point + 1, x.data, x.size);
    memcpy(point + 1 + x.size, y.data, y.size);
    ERR_set_mark();
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    check(builder != NULL &&
              OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, parts->curve, 0) == 1 &&
              OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + x.size + y.size) == 1,
          "OpenSSL: no parameters for a point");
    token_key_t *self = key_of_pkey(algorithm, pkey_of_params("EC", builder), false, "the point is not on the curve",
                                    ret_error, error_size);
    ERR_pop_to_mark();
    return self;
}

token_key_t *token_key_of_ed25519(struct span x, char *ret_error, size_t error_size) {
    if (x.size != ED25519_BYTES) {
        snprintf(ret_error, error_size, "an Ed25519 key has %d bytes, not %zu", ED25519_BYTES, x.size);
        return NULL;
    }
    ERR_set_mark();
    EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.size);
    token_key_t *self = key_of_pkey(TOKEN_EDDSA, pkey, false, unsound_numbers, ret_error, error_size);
    ERR_pop_to_mark();
    return self;
}

/* ---- verifying ---- */

static bool use_pss(const token_key_t *self, EVP_PKEY_CTX *context) {
    return parts_of(self)->family != TOKEN_RSA_PSS ||
           (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
            EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool verify_digest(const token_key_t *self, struct span text, struct span signature) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL; /* the context's */
    check(context != NULL, "OpenSSL: no digest context");
    bool is_right =
        EVP_DigestVerifyInit_ex(context, &parameters, parts_of(self)->digest, NULL, NULL, self->pkey, NULL) == 1 &&
        use_pss(self, parameters) &&
        EVP_DigestVerify(context, signature.data, signature.size, text.data, text.size) == 1;
    EVP_MD_CTX_free(context);
    return is_right;
}

static bool verify_ecdsa(const token_key_t *self, struct span text, struct span signature) {
    size_t bytes = parts_of(self)->coordinate_bytes;
    if (signature.size != 2 * bytes) {
        return false;
    }
    BIGNUM *r = BN_bin2bn(signature.data, (int) bytes, NULL);
    BIGNUM *s = BN_bin2bn(signature.data + bytes, (int) bytes, NULL);
    ECDSA_SIG *pair = ECDSA_SIG_new();
    uint8_t *der = NULL;
    check(r != NULL && s != NULL && pair != NULL && ECDSA_SIG_set0(pair, r, s) == 1, "OpenSSL: no signature pair");
    int size = i2d_ECDSA_SIG(pair, &der);
    check(size > 0, "OpenSSL: no DER of a signature");
    bool is_right = verify_digest(self, text, span_of(der, (size_t) size));
    OPENSSL_free(der);
    ECDSA_SIG_free(pair);
    return is_right;
}

static bool verify_by_kind(const token_key_t *self, struct span text, struct span signature) {
    switch (parts_of(self)->family) {
    case TOKEN_HMAC:
        return verify_mac(self, text, signature);
    case TOKEN_RSA:
    case TOKEN_RSA_PSS:
        return signature.size == (size_t) EVP_PKEY_get_size(self->pkey) && verify_digest(self, text, signature);
    case TOKEN_ECDSA:
        return verify_ecdsa(self, text, signature);
    case TOKEN_ED25519:
        return signature.size == ED25519_SIGNATURE_BYTES && verify_digest(self, text, signature);
    }
    unreachable("token family %d", (int) parts_of(self)->family);
}

bool token_key_verify(const token_key_t *self, struct span text, struct span signature) {
    ERR_set_mark();
    bool is_right = verify_by_kind(self, text, signature);
    ERR_pop_to_mark();
    return is_right;
}

/* ---- signing ---- */

/* Of DER the two numbers, each at its full length. */
static size_t pair_of_der(const token_key_t *self, uint8_t *signature, size_t size) {
    size_t bytes = parts_of(self)->coordinate_bytes;
    const uint8_t *der = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long) size);
    check(pair != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int) bytes) == (int) bytes &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + bytes, (int) bytes) == (int) bytes,
          "OpenSSL: no pair of a signature");
    ECDSA_SIG_free(pair);
    return 2 * bytes;
}

static size_t sign_digest(const token_key_t *self, struct span text, uint8_t ret_signature[TOKEN_SIGNATURE_MAX]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    size_t size = TOKEN_SIGNATURE_MAX;
    bool is_done =
        context != NULL &&
        EVP_DigestSignInit_ex(context, &parameters, parts_of(self)->digest, NULL, NULL, self->pkey, NULL) == 1 &&
        use_pss(self, parameters) && EVP_DigestSign(context, ret_signature, &size, text.data, text.size) == 1;
    EVP_MD_CTX_free(context);
    check(is_done, "OpenSSL: signing with %s failed", parts_of(self)->name);
    return parts_of(self)->family == TOKEN_ECDSA ? pair_of_der(self, ret_signature, size) : size;
}

bool token_key_sign(const token_key_t *self, struct span text, struct buffer *out) {
    uint8_t signature[TOKEN_SIGNATURE_MAX];
    if (!self->can_sign) {
        return false;
    }
    size_t size = self->mac != NULL ? compute_mac(self->mac, text, signature) : sign_digest(self, text, signature);
    return buffer_append(out, signature, size);
}
