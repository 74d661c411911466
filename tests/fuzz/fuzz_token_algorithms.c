/* Tokens of every algorithm. The first byte names the algorithm, the next two say what is done to the token, the rest
 * are its claims. A token that was signed rightly is judged by its claims alone; the same with one character exchanged,
 * or under the kid of another algorithm's key, is never good. The keys are made once a process. */
#include "base/token.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>

#define NOW_MS INT64_C(1767225600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static token_key_t *signing[TOKEN_ALGORITHMS];
static token_keys_t *keys; /* under the names of their algorithms as kid */

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

/* The RSA algorithms have one key between them: making one takes long. */
static EVP_PKEY *make_pkey(const struct token_algorithm_parts *parts) {
    static EVP_PKEY *rsa;
    switch (parts->family) {
    case TOKEN_RSA:
    case TOKEN_RSA_PSS:
        rsa = rsa == NULL ? EVP_RSA_gen(2048) : rsa;
        require(EVP_PKEY_up_ref(rsa) == 1);
        return rsa;
    case TOKEN_ECDSA:
        return EVP_EC_gen(parts->curve);
    case TOKEN_ED25519:
        return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    case TOKEN_HMAC:
        break;
    }
    abort();
}

static token_key_t *make_key(enum token_algorithm algorithm) {
    char error[200];
    if (token_algorithm_is_symmetric(algorithm)) {
        struct span secret = SPAN_LITERAL("fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz");
        return token_key_of_secret(algorithm, secret, error, sizeof error);
    }
    EVP_PKEY *pkey = make_pkey(token_algorithm_parts(algorithm));
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    require(PEM_write_bio_PrivateKey(pem, pkey, NULL, NULL, 0, NULL, NULL) == 1);
    long text_size = BIO_get_mem_data(pem, &text);
    token_key_t *key = token_key_of_private_pem(algorithm, span_of(text, (size_t) text_size), error, sizeof error);
    BIO_free(pem);
    EVP_PKEY_free(pkey);
    return key;
}

static void make_keys(void) {
    static const struct token_rules rules = {.audience = "", .issuer = "", .any_audience = true};
    char error[200];
    keys = token_keys_new(&rules);
    for (int i = 0; i < TOKEN_ALGORITHMS; i++) {
        enum token_algorithm algorithm = (enum token_algorithm) i;
        signing[i] = make_key(algorithm);
        require(signing[i] != NULL);
        require(token_keys_add(keys, token_algorithm_name(algorithm), signing[i], 0, error, sizeof error));
    }
}

static enum token_outcome judge(struct span token) {
    struct token_claims claims;
    enum token_outcome outcome = token_verify(keys, token, NOW_MS, &claims);
    if (outcome == TOKEN_OK) {
        token_claims_finish(&claims);
    }
    return outcome;
}

/* One character for another of the alphabet, or a dot. */
static void exchange(struct buffer *token, size_t at, uint8_t with) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    char c = alphabet[with % (sizeof alphabet - 1)];
    if (token->data[at] == (uint8_t) c) {
        c = c == 'A' ? 'B' : 'A';
    }
    token->data[at] = (uint8_t) c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) {
        return 0;
    }
    if (keys == NULL) {
        make_keys();
    }
    enum token_algorithm algorithm = (enum token_algorithm)(data[0] % TOKEN_ALGORITHMS);
    enum token_algorithm other = (enum token_algorithm)((algorithm + 1) % TOKEN_ALGORITHMS);
    struct span claims = span_of(data + 3, size - 3);
    struct buffer token = BUFFER_EMPTY;
    if (token_sign(&token, token_algorithm_name(algorithm), signing[algorithm], claims)) {
        enum token_outcome outcome = judge(buffer_span(&token));
        exchange(&token, (size_t) data[1] * token.size / 256, data[2]);
        require(judge(buffer_span(&token)) != TOKEN_OK);
        buffer_clear(&token);
        require(token_sign(&token, token_algorithm_name(algorithm), signing[algorithm], claims));
        require(judge(buffer_span(&token)) == outcome);
        buffer_clear(&token);
        if (token_sign(&token, token_algorithm_name(other), signing[algorithm], claims)) {
            require(judge(buffer_span(&token)) != TOKEN_OK);
        }
    }
    buffer_finish(&token);
    return 0;
}
