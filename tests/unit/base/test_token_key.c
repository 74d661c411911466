/* Keys and signatures: examples of the RFCs, what each algorithm signs, and what is changed in a right signature in the
 * ways in which signatures are attacked. The pairs are made anew in each run. */
#include "base/token.h"

#include "base/token_jwk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#define NOW_MS   INT64_C(1767225600000)
#define TEXT     SPAN_LITERAL("header.payload")
#define CLAIMS   SPAN_LITERAL("{\"sub\":\"42\"}")
#define SECRET   SPAN_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef")
#define CASES(t) (sizeof(t) / sizeof(t)[0])

static EVP_PKEY *pairs[TOKEN_ALGORITHMS]; /* NULL for HS*; those of RSA are one */

static int make_pairs(void **state) {
    (void) state;
    EVP_PKEY *rsa = EVP_RSA_gen(2048U);
    for (unsigned i = TOKEN_RS256; i <= TOKEN_PS512; i++) {
        pairs[i] = rsa;
    }
    pairs[TOKEN_ES256] = EVP_EC_gen("P-256");
    pairs[TOKEN_ES384] = EVP_EC_gen("P-384");
    pairs[TOKEN_ES512] = EVP_EC_gen("P-521");
    pairs[TOKEN_EDDSA] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    return 0;
}

static int free_pairs(void **state) {
    (void) state;
    for (unsigned i = TOKEN_PS512; i < TOKEN_ALGORITHMS; i++) {
        EVP_PKEY_free(pairs[i]);
    }
    return 0;
}

static void assert_no_error_is_left(void) {
    assert_int_equal(ERR_peek_error(), 0);
}

enum pem_kind { PEM_PUBLIC, PEM_PRIVATE, PEM_ENCRYPTED };

static struct buffer pem_of(EVP_PKEY *pkey, enum pem_kind kind) {
    struct buffer pem = BUFFER_EMPTY;
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    int is_done = kind == PEM_PUBLIC ? PEM_write_bio_PUBKEY(bio, pkey)
                  : kind == PEM_PRIVATE
                      ? PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL)
                      : PEM_write_bio_PKCS8PrivateKey(bio, pkey, EVP_aes_128_cbc(), "passphrase", 10, NULL, NULL);
    assert_int_equal(is_done, 1);
    long size = BIO_get_mem_data(bio, &data);
    buffer_append(&pem, data, (size_t) size);
    BIO_free(bio);
    ERR_clear_error(); /* what making it left; from here on it is the tested code's */
    return pem;
}

static token_key_t *key_for(enum token_algorithm algorithm, EVP_PKEY *pkey, enum pem_kind kind) {
    char error[256] = "";
    struct buffer pem = pem_of(pkey, kind);
    token_key_t *key = kind == PEM_PUBLIC ? token_key_of_public_pem(algorithm, buffer_span(&pem), error, sizeof error)
                                          : token_key_of_private_pem(algorithm, buffer_span(&pem), error, sizeof error);
    buffer_finish(&pem);
    if (key == NULL) {
        fail_msg("%s: %s", token_algorithm_name(algorithm), error);
    }
    return key;
}

static token_key_t *signing_key(enum token_algorithm algorithm) {
    char error[256];
    return token_algorithm_is_symmetric(algorithm) ? token_key_of_secret(algorithm, SECRET, error, sizeof error)
                                                   : key_for(algorithm, pairs[algorithm], PEM_PRIVATE);
}

static token_key_t *verifying_key(enum token_algorithm algorithm) {
    char error[256];
    return token_algorithm_is_symmetric(algorithm) ? token_key_of_secret(algorithm, SECRET, error, sizeof error)
                                                   : key_for(algorithm, pairs[algorithm], PEM_PUBLIC);
}

static token_keys_t *set_of(const char *kid, token_key_t *key, int64_t until_s, bool keys_may_follow) {
    const struct token_rules rules = {.any_audience = true, .keys_may_follow = keys_may_follow};
    char error[256];
    token_keys_t *keys = token_keys_new(&rules);
    assert_true(token_keys_add(keys, kid, key, until_s, error, sizeof error));
    return keys;
}

static enum token_outcome verify(const token_keys_t *keys, struct span token, int64_t now_ms) {
    struct token_claims claims;
    enum token_outcome outcome = token_verify(keys, token, now_ms, &claims);
    if (outcome == TOKEN_OK) {
        token_claims_finish(&claims);
    }
    assert_no_error_is_left();
    return outcome;
}

/* ---- what works ---- */

static struct buffer decoded(const char *text) {
    struct buffer bytes = BUFFER_EMPTY;
    assert_true(base64url_decode(&bytes, span_of_text(text)));
    return bytes;
}

static void the_examples_of_the_rfcs_verify(void **state) {
    (void) state;
    char error[256];
    /* RFC 7515 A.3 */
    struct buffer x = decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    struct buffer y = decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    token_key_t *key = token_key_of_point(TOKEN_ES256, buffer_span(&x), buffer_span(&y), error, sizeof error);
    assert_non_null(key);
    struct buffer signature =
        decoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
    struct span text = SPAN_LITERAL("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9l"
                                    "eGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ");
    assert_true(token_key_verify(key, text, buffer_span(&signature)));
    text.size--;
    assert_false(token_key_verify(key, text, buffer_span(&signature)));
    token_key_unref(&key);
    buffer_finish(&signature);
    buffer_finish(&x);
    buffer_finish(&y);
    /* RFC 8037 A.4 */
    x = decoded("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    key = token_key_of_ed25519(buffer_span(&x), error, sizeof error);
    assert_non_null(key);
    signature = decoded("hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    text = SPAN_LITERAL("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
    assert_true(token_key_verify(key, text, buffer_span(&signature)));
    text.size--;
    assert_false(token_key_verify(key, text, buffer_span(&signature)));
    token_key_unref(&key);
    buffer_finish(&signature);
    buffer_finish(&x);
}

static void each_algorithm_signs_and_verifies(void **state) {
    (void) state;
    for (enum token_algorithm i = 0; i < TOKEN_ALGORITHMS; i++) {
        token_key_t *signing = signing_key(i);
        token_key_t *verifying = verifying_key(i);
        token_keys_t *keys = set_of("k1", verifying, 0, false);
        struct buffer token = BUFFER_EMPTY;
        assert_true(token_sign(&token, "k1", signing, CLAIMS));
        assert_int_equal(verify(keys, buffer_span(&token), NOW_MS), TOKEN_OK);
        struct buffer none = BUFFER_EMPTY;
        assert_int_equal(token_sign(&none, "k1", verifying, CLAIMS), token_algorithm_is_symmetric(i));
        buffer_finish(&none);
        buffer_finish(&token);
        token_keys_destroy(&keys);
        token_key_unref(&signing);
        token_key_unref(&verifying);
    }
}

/* S2: the key names its one algorithm. Every other name over a right signature of that name is refused. */
static void no_algorithm_passes_for_another(void **state) {
    (void) state;
    for (enum token_algorithm i = 0; i < TOKEN_ALGORITHMS; i++) {
        token_key_t *verifying = verifying_key(i);
        token_keys_t *keys = set_of(NULL, verifying, 0, false);
        for (enum token_algorithm j = 0; j < TOKEN_ALGORITHMS; j++) {
            token_key_t *signing = signing_key(j);
            struct buffer token = BUFFER_EMPTY;
            assert_true(token_sign(&token, NULL, signing, CLAIMS));
            assert_int_equal(verify(keys, buffer_span(&token), NOW_MS), i == j ? TOKEN_OK : TOKEN_UNKNOWN_KEY);
            buffer_finish(&token);
            token_key_unref(&signing);
        }
        token_keys_destroy(&keys);
        token_key_unref(&verifying);
    }
}

static void a_public_key_used_as_a_secret_opens_nothing(void **state) {
    (void) state;
    for (enum token_algorithm i = TOKEN_RS256; i < TOKEN_ALGORITHMS; i++) {
        token_key_t *verifying = verifying_key(i);
        token_keys_t *keys = set_of(NULL, verifying, 0, false);
        struct buffer pem = pem_of(pairs[i], PEM_PUBLIC);
        struct buffer token = BUFFER_EMPTY;
        assert_true(token_sign_with_secret(&token, NULL, TOKEN_HS256, buffer_span(&pem), CLAIMS));
        assert_int_equal(verify(keys, buffer_span(&token), NOW_MS), TOKEN_UNKNOWN_KEY);
        buffer_finish(&token);
        buffer_finish(&pem);
        token_keys_destroy(&keys);
        token_key_unref(&verifying);
    }
}

/* ---- changed signatures ---- */

static void assert_refused(token_key_t *key, const char *what, struct span signature) {
    if (token_key_verify(key, TEXT, signature)) {
        fail_msg("%s: a signature %s passes", token_algorithm_name(token_key_algorithm(key)), what);
    }
    assert_no_error_is_left();
}

static struct buffer copy_of(struct span bytes) {
    struct buffer copy = BUFFER_EMPTY;
    buffer_append_span(&copy, bytes);
    return copy;
}

static void signatures_of_another_length_or_with_a_changed_bit_are_refused(void **state) {
    (void) state;
    for (enum token_algorithm i = 0; i < TOKEN_ALGORITHMS; i++) {
        token_key_t *signing = signing_key(i);
        token_key_t *key = verifying_key(i);
        struct buffer right = BUFFER_EMPTY;
        assert_true(token_key_sign(signing, TEXT, &right));
        assert_true(token_key_verify(key, TEXT, buffer_span(&right)));
        assert_refused(key, "that is empty", SPAN_EMPTY);
        assert_refused(key, "without its last byte", span_of(right.data, right.size - 1));
        assert_refused(key, "without its first byte", span_of(right.data + 1, right.size - 1));
        assert_refused(key, "cut in half", span_of(right.data, right.size / 2));
        for (size_t bit = 0; bit < right.size * 8; bit += 7) {
            right.data[bit / 8] ^= (uint8_t) (1U << bit % 8);
            assert_refused(key, "with a changed bit", buffer_span(&right));
            right.data[bit / 8] ^= (uint8_t) (1U << bit % 8);
        }
        struct buffer longer = copy_of(buffer_span(&right));
        buffer_append_char(&longer, '\0');
        assert_refused(key, "with a zero behind it", buffer_span(&longer));
        memmove(longer.data + 1, longer.data, right.size);
        longer.data[0] = 0;
        assert_refused(key, "with a zero before it", buffer_span(&longer));
        memset(longer.data, 0, longer.size);
        assert_refused(key, "of zeros", span_of(longer.data, right.size));
        memset(longer.data, 0xff, longer.size);
        assert_refused(key, "of ones", span_of(longer.data, right.size));
        buffer_finish(&longer);
        buffer_finish(&right);
        token_key_unref(&signing);
        token_key_unref(&key);
    }
}

/* The order of the curve, as long as a coordinate. */
static BIGNUM *order_of(enum token_algorithm algorithm) {
    BIGNUM *order = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pairs[algorithm], "order", &order), 1);
    return order;
}

static void put(uint8_t *place, const BIGNUM *number, size_t bytes) {
    assert_int_equal(BN_bn2binpad(number, place, (int) bytes), (int) bytes);
}

static void pairs_outside_the_order_swapped_or_in_der_are_refused(void **state) {
    (void) state;
    for (enum token_algorithm i = TOKEN_ES256; i <= TOKEN_ES512; i++) {
        size_t bytes = token_algorithm_parts(i)->coordinate_bytes;
        token_key_t *signing = signing_key(i);
        token_key_t *key = verifying_key(i);
        struct buffer right = BUFFER_EMPTY;
        assert_true(token_key_sign(signing, TEXT, &right));
        assert_int_equal(right.size, 2 * bytes);
        BIGNUM *order = order_of(i);
        BIGNUM *s = BN_bin2bn(right.data + bytes, (int) bytes, NULL);
        struct buffer forged = copy_of(buffer_span(&right));
        memset(forged.data, 0, bytes);
        assert_refused(key, "with r = 0", buffer_span(&forged));
        put(forged.data, order, bytes);
        assert_refused(key, "with r = the order", buffer_span(&forged));
        memcpy(forged.data, right.data, bytes);
        memset(forged.data + bytes, 0, bytes);
        assert_refused(key, "with s = 0", buffer_span(&forged));
        put(forged.data + bytes, order, bytes);
        assert_refused(key, "with s = the order", buffer_span(&forged));
        BN_add(s, s, order);
        if (BN_num_bytes(s) <= (int) bytes) {
            put(forged.data + bytes, s, bytes);
            assert_refused(key, "with s above the order", buffer_span(&forged));
        }
        memcpy(forged.data, right.data + bytes, bytes);
        memcpy(forged.data + bytes, right.data, bytes);
        assert_refused(key, "with r and s swapped", buffer_span(&forged));
        memset(forged.data, 0, forged.size);
        forged.data[bytes - 1] = 1;
        forged.data[2 * bytes - 1] = 1;
        assert_refused(key, "with r = s = 1", buffer_span(&forged));
        uint8_t *der = NULL;
        ECDSA_SIG *pair = ECDSA_SIG_new();
        ECDSA_SIG_set0(pair, BN_bin2bn(right.data, (int) bytes, NULL),
                       BN_bin2bn(right.data + bytes, (int) bytes, NULL));
        int size = i2d_ECDSA_SIG(pair, &der);
        assert_refused(key, "in DER", span_of(der, (size_t) size));
        OPENSSL_free(der);
        ECDSA_SIG_free(pair);
        BN_free(order);
        BN_free(s);
        buffer_finish(&forged);
        buffer_finish(&right);
        token_key_unref(&signing);
        token_key_unref(&key);
    }
}

/* s + L verifies where nobody looks at its range (RFC 8032 5.1.7 forbids it). */
static void an_ed25519_signature_above_its_order_is_refused(void **state) {
    (void) state;
    token_key_t *signing = signing_key(TOKEN_EDDSA);
    token_key_t *key = verifying_key(TOKEN_EDDSA);
    struct buffer forged = BUFFER_EMPTY;
    assert_true(token_key_sign(signing, TEXT, &forged));
    BIGNUM *order = NULL;
    BIGNUM *s = BN_lebin2bn(forged.data + 32, 32, NULL);
    BN_hex2bn(&order, "1000000000000000000000000000000014DEF9DEA2F79CD65812631A5CF5D3ED");
    BN_add(s, s, order);
    assert_int_equal(BN_bn2lebinpad(s, forged.data + 32, 32), 32);
    assert_refused(key, "with s above the order", buffer_span(&forged));
    BN_free(s);
    BN_free(order);
    buffer_finish(&forged);
    token_key_unref(&signing);
    token_key_unref(&key);
}

static void rsa_signatures_that_are_0_1_or_not_below_the_modulus_are_refused(void **state) {
    (void) state;
    BIGNUM *modulus = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pairs[TOKEN_RS256], "n", &modulus), 1);
    for (enum token_algorithm i = TOKEN_RS256; i <= TOKEN_PS512; i++) {
        uint8_t forged[256] = {0};
        token_key_t *key = verifying_key(i);
        forged[255] = 1;
        assert_refused(key, "of 1", span_of(forged, sizeof forged));
        put(forged, modulus, sizeof forged);
        assert_refused(key, "that is the modulus", span_of(forged, sizeof forged));
        forged[255]--; /* odd: no borrow */
        assert_refused(key, "that is the modulus less 1", span_of(forged, sizeof forged));
        token_key_unref(&key);
    }
    BN_free(modulus);
}

static struct buffer sign_with_salt(const char *digest, int salt_bytes) {
    struct buffer signature = BUFFER_EMPTY;
    uint8_t bytes[256];
    size_t size = sizeof bytes;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *parameters = NULL;
    assert_int_equal(EVP_DigestSignInit_ex(context, &parameters, digest, NULL, NULL, pairs[TOKEN_PS256], NULL), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt_bytes), 1);
    assert_int_equal(EVP_DigestSign(context, bytes, &size, TEXT.data, TEXT.size), 1);
    EVP_MD_CTX_free(context);
    buffer_append(&signature, bytes, size);
    return signature;
}

static void the_salt_of_pss_is_as_long_as_the_digest(void **state) {
    (void) state;
    static const struct {
        int salt_bytes;
        bool is_right;
    } rows[] = {{32, true}, {0, false}, {20, false}, {31, false}, {33, false}, {64, false}, {222, false}};
    token_key_t *key = verifying_key(TOKEN_PS256);
    for (size_t i = 0; i < CASES(rows); i++) {
        struct buffer signature = sign_with_salt("SHA256", rows[i].salt_bytes);
        assert_int_equal(token_key_verify(key, TEXT, buffer_span(&signature)), rows[i].is_right);
        assert_no_error_is_left();
        buffer_finish(&signature);
    }
    struct buffer other = sign_with_salt("SHA384", 48);
    assert_refused(key, "over another digest", buffer_span(&other));
    buffer_finish(&other);
    token_key_unref(&key);
}

/* ---- keys that are none ---- */

static void assert_no_key(enum token_algorithm algorithm, EVP_PKEY *pkey, enum pem_kind kind, const char *reason) {
    char error[256] = "";
    struct buffer pem = pem_of(pkey, kind);
    assert_null(token_key_of_public_pem(algorithm, buffer_span(&pem), error, sizeof error));
    if (strstr(error, reason) == NULL) {
        fail_msg("%s: \"%s\" does not say \"%s\"", token_algorithm_name(algorithm), error, reason);
    }
    buffer_finish(&pem);
    assert_no_error_is_left();
}

static EVP_PKEY *rsa_for_pss_only(void) {
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY_keygen_init(context);
    EVP_PKEY_generate(context, &pkey); /* 2048 bits */
    EVP_PKEY_CTX_free(context);
    return pkey;
}

static void weak_foreign_and_private_keys_are_refused_with_a_reason(void **state) {
    (void) state;
    EVP_PKEY *short_rsa = EVP_RSA_gen(1024U);
    EVP_PKEY *bitcoin = EVP_EC_gen("secp256k1");
    EVP_PKEY *pss_only = rsa_for_pss_only();
    EVP_PKEY *x25519 = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    assert_true(short_rsa != NULL && bitcoin != NULL && pss_only != NULL && x25519 != NULL);
    const struct {
        enum token_algorithm algorithm;
        EVP_PKEY *pkey;
        enum pem_kind kind;
        const char *reason;
    } rows[] = {
        {TOKEN_RS256, short_rsa, PEM_PUBLIC, "has 1024 bits, it needs 2048"},
        {TOKEN_PS256, short_rsa, PEM_PUBLIC, "has 1024 bits, it needs 2048"},
        {TOKEN_RS256, pairs[TOKEN_ES256], PEM_PUBLIC, "no RSA key"},
        {TOKEN_RS256, pss_only, PEM_PUBLIC, "no RSA key"},
        {TOKEN_ES256, pairs[TOKEN_ES384], PEM_PUBLIC, "no point of P-256"},
        {TOKEN_ES384, pairs[TOKEN_ES256], PEM_PUBLIC, "no point of P-384"},
        {TOKEN_ES256, bitcoin, PEM_PUBLIC, "no point of P-256"},
        {TOKEN_ES256, pairs[TOKEN_RS256], PEM_PUBLIC, "no point of P-256"},
        {TOKEN_EDDSA, x25519, PEM_PUBLIC, "no Ed25519 key"},
        {TOKEN_EDDSA, pairs[TOKEN_ES256], PEM_PUBLIC, "no Ed25519 key"},
        {TOKEN_HS256, pairs[TOKEN_RS256], PEM_PUBLIC, "needs a secret"},
        {TOKEN_RS256, pairs[TOKEN_RS256], PEM_PRIVATE, "no public key in PEM"},
        {TOKEN_RS256, pairs[TOKEN_RS256], PEM_ENCRYPTED, "no public key in PEM"},
    };
    for (size_t i = 0; i < CASES(rows); i++) {
        assert_no_key(rows[i].algorithm, rows[i].pkey, rows[i].kind, rows[i].reason);
    }
    char error[256] = "";
    struct buffer encrypted = pem_of(pairs[TOKEN_RS256], PEM_ENCRYPTED);
    assert_null(token_key_of_private_pem(TOKEN_RS256, buffer_span(&encrypted), error, sizeof error));
    assert_non_null(strstr(error, "without a passphrase"));
    assert_null(token_key_of_public_pem(TOKEN_RS256, SPAN_LITERAL("-----BEGIN PUBLIC KEY-----\nMIIB\n"), error, 256));
    assert_null(token_key_of_public_pem(TOKEN_RS256, SPAN_EMPTY, error, sizeof error));
    assert_null(token_key_of_secret(TOKEN_RS256, SECRET, error, sizeof error));
    assert_non_null(strstr(error, "needs a public key"));
    assert_no_error_is_left();
    buffer_finish(&encrypted);
    EVP_PKEY_free(short_rsa);
    EVP_PKEY_free(bitcoin);
    EVP_PKEY_free(pss_only);
    EVP_PKEY_free(x25519);
}

static void numbers_that_are_no_key_are_refused(void **state) {
    (void) state;
    char error[256];
    uint8_t numbers[1100];
    memset(numbers, 0xff, sizeof numbers);
    static const uint8_t three[] = {3};
    static const uint8_t one[] = {1};
    static const uint8_t even[] = {1, 0, 0};
    uint8_t zero[66] = {0};
    BIGNUM *modulus = NULL;
    assert_int_equal(EVP_PKEY_get_bn_param(pairs[TOKEN_RS256], "n", &modulus), 1);
    uint8_t n[256];
    put(n, modulus, sizeof n);
    BN_free(modulus);
    token_key_t *good = token_key_of_rsa(TOKEN_RS256, span_of(n, 256), span_of(three, 1), error, sizeof error);
    assert_non_null(good);
    token_key_unref(&good);
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(n, 256), span_of(one, 1), error, sizeof error));
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(n, 256), span_of(even, 3), error, sizeof error));
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(n, 128), span_of(three, 1), error, sizeof error));
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(numbers, 1025), span_of(three, 1), error, sizeof error));
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(n, 256), span_of(numbers, 9), error, sizeof error));
    n[255]--; /* even */
    assert_null(token_key_of_rsa(TOKEN_RS256, span_of(n, 256), span_of(three, 1), error, sizeof error));
    struct buffer x = decoded("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
    struct buffer y = decoded("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    y.data[31] ^= 1;
    assert_null(token_key_of_point(TOKEN_ES256, buffer_span(&x), buffer_span(&y), error, sizeof error));
    assert_non_null(strstr(error, "not on the curve"));
    assert_null(token_key_of_point(TOKEN_ES256, span_of(x.data, 31), buffer_span(&y), error, sizeof error));
    assert_null(token_key_of_point(TOKEN_ES384, buffer_span(&x), buffer_span(&y), error, sizeof error));
    assert_null(token_key_of_point(TOKEN_ES256, span_of(zero, 32), span_of(zero, 32), error, sizeof error));
    assert_null(token_key_of_ed25519(span_of(x.data, 31), error, sizeof error));
    buffer_finish(&x);
    buffer_finish(&y);
    assert_no_error_is_left();
}

/* ---- rotation ---- */

static void an_old_key_is_accepted_until_its_time(void **state) {
    (void) state;
    char error[256];
    token_key_t *old = signing_key(TOKEN_HS256);
    token_key_t *new = signing_key(TOKEN_EDDSA);
    token_key_t *newer = token_key_of_secret(
        TOKEN_HS256, SPAN_LITERAL("the newer secret, which is longer than 32 bytes as well"), error, sizeof error);
    token_keys_t *keys = set_of(NULL, newer, 0, false);
    assert_true(token_keys_add(keys, NULL, old, NOW_MS / 1000 + 10, error, sizeof error));
    assert_true(token_keys_add(keys, NULL, new, NOW_MS / 1000 + 20, error, sizeof error));
    assert_false(token_keys_add(keys, NULL, new, 0, error, sizeof error));
    assert_non_null(strstr(error, "until when"));
    static const struct {
        unsigned key;
        int64_t later_s;
        enum token_outcome outcome;
    } rows[] = {
        {0, 0, TOKEN_OK},    {0, 9, TOKEN_OK},  {0, 10, TOKEN_BAD_SIGNATURE}, {0, 30, TOKEN_BAD_SIGNATURE},
        {1, 0, TOKEN_OK},    {1, 19, TOKEN_OK}, {1, 20, TOKEN_UNKNOWN_KEY},   {2, 0, TOKEN_OK},
        {2, 1000, TOKEN_OK},
    };
    token_key_t *by_row[] = {old, new, newer};
    for (size_t i = 0; i < CASES(rows); i++) {
        struct buffer token = BUFFER_EMPTY;
        assert_true(token_sign(&token, NULL, by_row[rows[i].key], CLAIMS));
        assert_int_equal(verify(keys, buffer_span(&token), NOW_MS + rows[i].later_s * 1000), rows[i].outcome);
        buffer_finish(&token);
    }
    token_keys_destroy(&keys);
    token_key_unref(&old);
    token_key_unref(&new);
    token_key_unref(&newer);
}

static void a_kid_that_no_key_has_is_awaited_where_keys_are_fetched(void **state) {
    (void) state;
    token_key_t *key = signing_key(TOKEN_HS256);
    static const struct {
        bool keys_may_follow;
        const char *kid;
        enum token_outcome outcome;
    } rows[] = {{true, "new", TOKEN_KEY_AWAITED},
                {false, "new", TOKEN_UNKNOWN_KEY},
                {true, NULL, TOKEN_UNKNOWN_KEY},
                {true, "old", TOKEN_OK}};
    for (size_t i = 0; i < CASES(rows); i++) {
        token_keys_t *keys = set_of("old", key, 0, rows[i].keys_may_follow);
        struct buffer token = BUFFER_EMPTY;
        assert_true(token_sign(&token, rows[i].kid, key, CLAIMS));
        assert_int_equal(verify(keys, buffer_span(&token), NOW_MS), rows[i].outcome);
        buffer_finish(&token);
        token_keys_destroy(&keys);
    }
    token_key_unref(&key);
}

static void another_claim_may_name_the_user(void **state) {
    (void) state;
    static const struct {
        const char *claims;
        const char *user; /* NULL: refused */
    } rows[] = {
        {"{\"uid\":\"7\"}", "7"},
        {"{\"uid\":\"7\",\"sub\":\"8\"}", "7"},
        {"{\"sub\":\"8\"}", ""},
        {"{\"Uid\":\"7\"}", ""},
        {"{\"uid\":7}", NULL},
        {"{\"uid\":null}", NULL},
        {"{\"uid\":\"7\",\"sub\":8}", NULL},
    };
    char error[256];
    const struct token_rules rules = {.any_audience = true, .user_claim = "uid"};
    token_key_t *key = signing_key(TOKEN_HS256);
    token_keys_t *keys = token_keys_new(&rules);
    assert_true(token_keys_add(keys, NULL, key, 0, error, sizeof error));
    for (size_t i = 0; i < CASES(rows); i++) {
        struct buffer token = BUFFER_EMPTY;
        struct token_claims claims;
        assert_true(token_sign(&token, NULL, key, span_of_text(rows[i].claims)));
        enum token_outcome outcome = token_verify(keys, buffer_span(&token), NOW_MS, &claims);
        assert_int_equal(outcome, rows[i].user == NULL ? TOKEN_BAD_CLAIM : TOKEN_OK);
        if (outcome == TOKEN_OK) {
            assert_true(span_equal_text(claims.user, rows[i].user));
            token_claims_finish(&claims);
        }
        buffer_finish(&token);
    }
    assert_true(token_claim_is_known("exp"));
    assert_false(token_claim_is_known("uid"));
    token_keys_destroy(&keys);
    token_key_unref(&key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfcs_verify),
        cmocka_unit_test(each_algorithm_signs_and_verifies),
        cmocka_unit_test(no_algorithm_passes_for_another),
        cmocka_unit_test(a_public_key_used_as_a_secret_opens_nothing),
        cmocka_unit_test(signatures_of_another_length_or_with_a_changed_bit_are_refused),
        cmocka_unit_test(pairs_outside_the_order_swapped_or_in_der_are_refused),
        cmocka_unit_test(an_ed25519_signature_above_its_order_is_refused),
        cmocka_unit_test(rsa_signatures_that_are_0_1_or_not_below_the_modulus_are_refused),
        cmocka_unit_test(the_salt_of_pss_is_as_long_as_the_digest),
        cmocka_unit_test(weak_foreign_and_private_keys_are_refused_with_a_reason),
        cmocka_unit_test(numbers_that_are_no_key_are_refused),
        cmocka_unit_test(an_old_key_is_accepted_until_its_time),
        cmocka_unit_test(a_kid_that_no_key_has_is_awaited_where_keys_are_fetched),
        cmocka_unit_test(another_claim_may_name_the_user),
    };
    return cmocka_run_group_tests(tests, make_pairs, free_pairs);
}
