/* The table, and looking things up in it. */
#include "base/token_algorithm.h"

static const struct token_algorithm_parts algorithms[TOKEN_ALGORITHMS] = {
    [TOKEN_HS256] = {.name = "HS256", .family = TOKEN_HMAC, .digest = "SHA256"},
    [TOKEN_HS384] = {.name = "HS384", .family = TOKEN_HMAC, .digest = "SHA384"},
    [TOKEN_HS512] = {.name = "HS512", .family = TOKEN_HMAC, .digest = "SHA512"},
    [TOKEN_RS256] = {.name = "RS256", .family = TOKEN_RSA, .digest = "SHA256"},
    [TOKEN_RS384] = {.name = "RS384", .family = TOKEN_RSA, .digest = "SHA384"},
    [TOKEN_RS512] = {.name = "RS512", .family = TOKEN_RSA, .digest = "SHA512"},
    [TOKEN_PS256] = {.name = "PS256", .family = TOKEN_RSA_PSS, .digest = "SHA256"},
    [TOKEN_PS384] = {.name = "PS384", .family = TOKEN_RSA_PSS, .digest = "SHA384"},
    [TOKEN_PS512] = {.name = "PS512", .family = TOKEN_RSA_PSS, .digest = "SHA512"},
    [TOKEN_ES256] = {"ES256", TOKEN_ECDSA, "SHA256", "prime256v1", "P-256", 32},
    [TOKEN_ES384] = {"ES384", TOKEN_ECDSA, "SHA384", "secp384r1", "P-384", 48},
    [TOKEN_ES512] = {"ES512", TOKEN_ECDSA, "SHA512", "secp521r1", "P-521", 66},
    [TOKEN_EDDSA] = {.name = "EdDSA", .family = TOKEN_ED25519, .jwk_curve = "Ed25519"},
};

const struct token_algorithm_parts *token_algorithm_parts(enum token_algorithm algorithm) {
    return &algorithms[algorithm];
}

const char *token_algorithm_name(enum token_algorithm algorithm) {
    return algorithms[algorithm].name;
}

bool token_algorithm_parse(struct span name, enum token_algorithm *ret_algorithm) {
    for (unsigned i = 0; i < TOKEN_ALGORITHMS; i++) {
        if (span_equal_text(name, algorithms[i].name)) {
            *ret_algorithm = (enum token_algorithm) i;
            return true;
        }
    }
    return false;
}

bool token_algorithm_is_symmetric(enum token_algorithm algorithm) {
    return algorithms[algorithm].family == TOKEN_HMAC;
}
