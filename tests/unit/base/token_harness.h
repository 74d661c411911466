/* Keys, and tokens signed with any claims under any header. Includes the .c, so that keys of under 32 bytes (the check
 * vectors have one) can be added past the public function that refuses them. */
#ifndef CALLBOARD_TESTS_TOKEN_HARNESS_H
#define CALLBOARD_TESTS_TOKEN_HARNESS_H

#include "base/token.c"
#include "base/token_key.c"

#include "aborts.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW_S  1767225600 /* 2026-01-01 */
#define NOW_MS ((int64_t) NOW_S * 1000 + 999)

static const char secret_text[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
#define SECRET span_of_text(secret_text)

static const struct token_rules any_rules = {.audience = "", .issuer = "", .any_audience = true, .max_life_s = 0};
static const struct token_rules strict_rules = {
    .audience = "callboard", .issuer = "https://issuer.example", .any_audience = false, .max_life_s = 86400};

static inline token_keys_t *keys_with(const struct token_rules *rules, const char *kid,
                                      enum token_algorithm algorithm) {
    char error[200];
    token_keys_t *keys = token_keys_new(rules);
    assert_true(token_keys_add_secret(keys, kid, algorithm, SECRET, error, sizeof error));
    return keys;
}

/* Of any length, past the function that refuses short ones. */
static inline token_key_t *any_secret(enum token_algorithm algorithm, struct span secret) {
    token_key_t *key = key_new(algorithm);
    key->mac = keyed_mac_new(algorithm, secret);
    key->can_sign = true;
    return key;
}

static inline void sign_anything(struct buffer *out, struct span claims) {
    token_key_t *key = any_secret(TOKEN_HS256, SECRET);
    assert_true(sign(out, NULL, key, claims)); /* past token_sign's judgement */
    token_key_unref(&key);
}

static inline struct buffer sign_claims(const char *claims) {
    struct buffer token = BUFFER_EMPTY;
    sign_anything(&token, span_of_text(claims));
    return token;
}

/* header.payload in base64url with a right HMAC-SHA-256 behind. */
static inline struct buffer forge(struct span header, struct span payload, struct span secret) {
    struct buffer signature = BUFFER_EMPTY;
    struct buffer token = BUFFER_EMPTY;
    base64url_encode(&token, header);
    buffer_append_char(&token, '.');
    base64url_encode(&token, payload);
    token_key_t *key = any_secret(TOKEN_HS256, secret);
    assert_true(token_key_sign(key, buffer_span(&token), &signature));
    token_key_unref(&key);
    buffer_append_char(&token, '.');
    base64url_encode(&token, buffer_span(&signature));
    buffer_finish(&signature);
    return token;
}

static inline enum token_outcome verify_and_drop(const token_keys_t *keys, struct span token) {
    struct token_claims claims;
    enum token_outcome outcome = token_verify(keys, token, NOW_MS, &claims);
    if (outcome == TOKEN_OK) {
        token_claims_finish(&claims);
    }
    return outcome;
}

#endif
