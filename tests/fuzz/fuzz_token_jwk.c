/* Key sets from issuers: whatever the bytes, a set is refused with a reason, or every key of it serves. */
#include "base/token.h"
#include "base/token_jwk.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void use(const struct token_jwk_set *set) {
    static const struct token_rules rules = {.audience = "", .issuer = "", .any_audience = true};
    static const uint8_t signature[TOKEN_SIGNATURE_MAX];
    char error[200];
    token_keys_t *keys = token_keys_new(&rules);
    require(set->n > 0 && set->n <= TOKEN_JWK_KEYS_MAX);
    for (size_t i = 0; i < set->n; i++) {
        const struct token_jwk *jwk = &set->keys[i];
        require(jwk->key != NULL && !token_algorithm_is_symmetric(token_key_algorithm(jwk->key)));
        require(jwk->kid[0] == '\0' || token_kid_is_valid(span_of_text(jwk->kid)));
        for (size_t j = 0; j < i; j++) {
            require(strcmp(jwk->kid, set->keys[j].kid) != 0);
        }
        (void) token_key_verify(jwk->key, SPAN_LITERAL("a.b"), span_of(signature, 64)); /* no harm, whatever it says */
        require(token_keys_add(keys, jwk->kid[0] == '\0' ? NULL : jwk->kid, jwk->key, 0, error, sizeof error));
    }
    token_keys_destroy(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct token_jwk_set set;
    char error[200] = "";
    if (token_jwk_set_read(span_of(data, size), &set, error, sizeof error)) {
        use(&set);
        token_jwk_set_finish(&set);
    } else {
        require(error[0] != '\0');
    }
    return 0;
}
