/* Tokens from strangers. The input is read in three ways: as a token; as the claims of a token that is signed rightly
 * (so that the fuzzer gets past the signature); as base64, which must come back from its bytes as it was. */
#include "base/token.h"
#include "base/utf8.h"

#include <stdlib.h>

#define NOW_MS INT64_C(1767225600000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void require_inside(const struct token_claims *claims, struct span part) {
    if (part.size > 0) {
        require(part.data >= claims->storage.data);
        require(part.data + part.size <= claims->storage.data + claims->storage.size);
    }
}

static void verify(const token_keys_t *keys, struct span token) {
    struct token_claims claims;
    if (token_verify(keys, token, NOW_MS, &claims) != TOKEN_OK) {
        return;
    }
    require_inside(&claims, claims.user);
    require_inside(&claims, claims.channel);
    require_inside(&claims, claims.client);
    require_inside(&claims, claims.jti);
    require_inside(&claims, claims.info.text);
    require_inside(&claims, claims.info_binary);
    require_inside(&claims, claims.data.text);
    require_inside(&claims, claims.data_binary);
    require_inside(&claims, claims.channels.text);
    require_inside(&claims, claims.subs.text);
    require_inside(&claims, claims.meta.text);
    require_inside(&claims, claims.override.text);
    require(utf8_is_valid(claims.user) && utf8_is_valid(claims.channel));
    require(!claims.has_expiry || claims.expiry_s > NOW_MS / 1000);
    token_claims_finish(&claims);
}

static void sign_and_verify(const token_keys_t *keys, struct span secret, struct span claims) {
    struct buffer token = BUFFER_EMPTY;
    if (token_sign_with_secret(&token, NULL, TOKEN_HS256, secret, claims)) {
        verify(keys, buffer_span(&token));
    }
    buffer_finish(&token);
}

static void read_as_base64(struct span text, bool (*decode)(struct buffer *, struct span),
                           void (*encode)(struct buffer *, struct span)) {
    struct buffer bytes = BUFFER_EMPTY;
    struct buffer back = BUFFER_EMPTY;
    if (decode(&bytes, text)) {
        encode(&back, buffer_span(&bytes));
        require(span_equal(buffer_span(&back), text));
    }
    buffer_finish(&bytes);
    buffer_finish(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct token_rules rules = {.audience = "", .issuer = "", .any_audience = true};
    struct span input = span_of(data, size);
    struct span secret = SPAN_LITERAL("fuzz fuzz fuzz fuzz fuzz fuzz fuzz fuzz");
    char error[200];
    token_keys_t *keys = token_keys_new(&rules);
    require(token_keys_add_secret(keys, NULL, TOKEN_HS256, secret, error, sizeof error));
    verify(keys, input);
    sign_and_verify(keys, secret, input);
    read_as_base64(input, base64url_decode, base64url_encode);
    read_as_base64(input, base64_decode, base64_encode);
    token_keys_destroy(&keys);
    return 0;
}
