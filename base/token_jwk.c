/* From JSON to keys.
 *
 * Happy path: each member of `keys` that is for verifying (use sig, key_ops with verify, or neither) and of a kind we
 * know becomes a key with its one algorithm.
 *
 * Failure modes: what is for others (encryption, symmetric keys, unknown curves, RSA below 2048 bits) is left out and
 * counted, for issuers publish such keys beside ours. What is wrong refuses the whole set, so that the last good one
 * stays: a set that is half read would lock users out without a word. */
#include "base/token_jwk.h"

#include "base/base64.h"
#include "base/json_scan.h"

#include <stdio.h>

static const struct json_limits limits = {.depth = 8, .tokens = 16384, .names = 64};

enum jwk_name { JWK_KTY, JWK_USE, JWK_KEY_OPS, JWK_ALG, JWK_KID, JWK_CRV, JWK_N, JWK_E, JWK_X, JWK_Y, JWK_NAMES };

static const struct span jwk_names[JWK_NAMES] = {
    [JWK_KTY] = JSON_NAME("kty"), [JWK_USE] = JSON_NAME("use"), [JWK_KEY_OPS] = JSON_NAME("key_ops"),
    [JWK_ALG] = JSON_NAME("alg"), [JWK_KID] = JSON_NAME("kid"), [JWK_CRV] = JSON_NAME("crv"),
    [JWK_N] = JSON_NAME("n"),     [JWK_E] = JSON_NAME("e"),     [JWK_X] = JSON_NAME("x"),
    [JWK_Y] = JSON_NAME("y"),
};

enum jwk_outcome { JWK_TAKEN, JWK_LEFT_OUT, JWK_REFUSED };

bool token_kid_is_valid(struct span kid) {
    if (kid.size == 0 || kid.size > TOKEN_KID_MAX) {
        return false;
    }
    for (size_t i = 0; i < kid.size; i++) {
        uint8_t c = kid.data[i];
        bool is_alphanumeric = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!is_alphanumeric && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return true;
}

static bool is_text(struct json_value value, const char *text) {
    struct span plain;
    return json_plain_string(value, &plain) && span_equal_text(plain, text);
}

static bool is_for_verifying(const struct json_value *members) {
    if (members[JWK_USE].type != JSON_NONE && !is_text(members[JWK_USE], "sig")) {
        return false;
    }
    if (members[JWK_KEY_OPS].type == JSON_NONE) {
        return true;
    }
    struct json_iterator iterator = json_iterate(members[JWK_KEY_OPS]);
    struct json_value no_name;
    struct json_value operation;
    while (json_next(&iterator, &no_name, &operation)) {
        if (is_text(operation, "verify")) {
            return true;
        }
    }
    return false;
}

/* Of kty and crv, where alg does not say it. */
static bool default_algorithm(const struct json_value *members, enum token_algorithm *ret_algorithm) {
    if (is_text(members[JWK_KTY], "RSA")) {
        *ret_algorithm = TOKEN_RS256;
        return true;
    }
    for (unsigned i = 0; i < TOKEN_ALGORITHMS; i++) {
        const struct token_algorithm_parts *parts = token_algorithm_parts((enum token_algorithm) i);
        if (parts->jwk_curve != NULL && is_text(members[JWK_CRV], parts->jwk_curve)) {
            *ret_algorithm = (enum token_algorithm) i;
            return true;
        }
    }
    return false;
}

static bool suits_kind(enum token_algorithm algorithm, const struct json_value *members) {
    const struct token_algorithm_parts *parts = token_algorithm_parts(algorithm);
    switch (parts->family) {
    case TOKEN_HMAC:
        return false; /* a secret that anybody may fetch is none */
    case TOKEN_RSA:
    case TOKEN_RSA_PSS:
        return is_text(members[JWK_KTY], "RSA");
    case TOKEN_ECDSA:
        return is_text(members[JWK_KTY], "EC") && is_text(members[JWK_CRV], parts->jwk_curve);
    case TOKEN_ED25519:
        return is_text(members[JWK_KTY], "OKP") && is_text(members[JWK_CRV], parts->jwk_curve);
    }
    return false;
}

static bool find_algorithm(const struct json_value *members, enum token_algorithm *ret_algorithm) {
    struct span name;
    bool is_known = members[JWK_ALG].type == JSON_NONE
                        ? default_algorithm(members, ret_algorithm)
                        : json_plain_string(members[JWK_ALG], &name) && token_algorithm_parse(name, ret_algorithm);
    return is_known && suits_kind(*ret_algorithm, members);
}

/* A number of the key, behind what storage holds (it has the room: spans into it stay); false: not there, or no
 * base64url. */
static bool read_number(struct json_value value, struct buffer *storage, struct span *ret_number) {
    struct span text;
    size_t before = storage->size;
    if (!json_plain_string(value, &text) || !base64url_decode(storage, text) || storage->size == before) {
        return false;
    }
    *ret_number = span_of(storage->data + before, storage->size - before);
    return true;
}

static token_key_t *make_key(enum token_algorithm algorithm, const struct json_value *members, struct buffer *storage,
                             char *ret_error, size_t error_size) {
    struct span first = SPAN_EMPTY;
    struct span second = SPAN_EMPTY;
    enum token_family family = token_algorithm_parts(algorithm)->family;
    bool is_rsa = family == TOKEN_RSA || family == TOKEN_RSA_PSS;
    bool is_complete = read_number(members[is_rsa ? JWK_N : JWK_X], storage, &first) &&
                       (family == TOKEN_ED25519 || read_number(members[is_rsa ? JWK_E : JWK_Y], storage, &second));
    if (!is_complete) {
        snprintf(ret_error, error_size, "a number is missing, or is no base64url");
        return NULL;
    }
    if (is_rsa) {
        return token_key_of_rsa(algorithm, first, second, ret_error, error_size);
    }
    return family == TOKEN_ED25519 ? token_key_of_ed25519(first, ret_error, error_size)
                                   : token_key_of_point(algorithm, first, second, ret_error, error_size);
}

/* Below what we verify with; whoever publishes it beside a good one means others. */
static bool is_weak(enum token_algorithm algorithm, const struct json_value *members) {
    enum token_family family = token_algorithm_parts(algorithm)->family;
    struct span text;
    return (family == TOKEN_RSA || family == TOKEN_RSA_PSS) && json_plain_string(members[JWK_N], &text) &&
           text.size < (TOKEN_RSA_BITS_MIN / 8 * 4 + 2) / 3;
}

static bool find_kid(struct token_jwk_set *set, const char *kid) {
    for (size_t i = 0; i < set->n; i++) {
        if (strcmp(set->keys[i].kid, kid) == 0) {
            return true;
        }
    }
    return false;
}

static enum jwk_outcome add_jwk(struct token_jwk_set *set, struct json_value jwk, char *ret_error, size_t error_size) {
    struct json_value members[JWK_NAMES];
    enum token_algorithm algorithm;
    struct span kid = SPAN_EMPTY;
    if (jwk.type != JSON_OBJECT) {
        snprintf(ret_error, error_size, "a member of keys is no object");
        return JWK_REFUSED;
    }
    json_members(jwk, jwk_names, JWK_NAMES, members);
    bool has_kid = members[JWK_KID].type != JSON_NONE;
    if (!is_for_verifying(members) || !find_algorithm(members, &algorithm) || is_weak(algorithm, members) ||
        (has_kid && (!json_plain_string(members[JWK_KID], &kid) || !token_kid_is_valid(kid)))) {
        return JWK_LEFT_OUT;
    }
    struct token_jwk *taken = &set->keys[set->n];
    snprintf(taken->kid, sizeof taken->kid, "%.*s", (int) kid.size, kid.size == 0 ? "" : (const char *) kid.data);
    if (find_kid(set, taken->kid)) {
        snprintf(ret_error, error_size, "two keys have the kid \"%s\"", taken->kid);
        return JWK_REFUSED;
    }
    struct buffer storage = BUFFER_EMPTY;
    char reason[256];
    buffer_reserve(&storage, jwk.text.size);
    taken->key = make_key(algorithm, members, &storage, reason, sizeof reason);
    buffer_finish(&storage);
    if (taken->key == NULL) {
        snprintf(ret_error, error_size, "the key with the kid \"%s\": %s", taken->kid, reason);
        return JWK_REFUSED;
    }
    set->n++;
    return JWK_TAKEN;
}

static bool read_keys(struct json_value keys, struct token_jwk_set *set, char *ret_error, size_t error_size) {
    struct json_iterator iterator = json_iterate(keys);
    struct json_value no_name;
    struct json_value jwk;
    size_t n = 0;
    while (json_next(&iterator, &no_name, &jwk)) {
        if (++n > TOKEN_JWK_KEYS_MAX) {
            snprintf(ret_error, error_size, "it has more than %d keys", TOKEN_JWK_KEYS_MAX);
            return false;
        }
        enum jwk_outcome outcome = add_jwk(set, jwk, ret_error, error_size);
        if (outcome == JWK_REFUSED) {
            return false;
        }
        set->n_left_out += outcome == JWK_LEFT_OUT;
    }
    if (set->n == 0) {
        snprintf(ret_error, error_size, "none of its %zu keys is one to verify with", n);
    }
    return set->n > 0;
}

bool token_jwk_set_read(struct span text, struct token_jwk_set *ret_set, char *ret_error, size_t error_size) {
    struct json_value object;
    memset(ret_set, 0, sizeof *ret_set);
    if (text.size > TOKEN_JWK_TEXT_MAX) {
        snprintf(ret_error, error_size, "it has more than %d bytes", TOKEN_JWK_TEXT_MAX);
        return false;
    }
    enum json_outcome outcome = json_scan(text, &limits, &object, NULL);
    if (outcome != JSON_OK || json_member(object, "keys").type != JSON_ARRAY) {
        snprintf(ret_error, error_size, "it is no key set: %s",
                 outcome == JSON_OK ? "there is no list keys" : json_outcome_text(outcome));
        return false;
    }
    if (json_has_duplicate_names_inside(object)) {
        snprintf(ret_error, error_size, "a name stands twice in one object");
        return false;
    }
    bool is_good = read_keys(json_member(object, "keys"), ret_set, ret_error, error_size);
    if (!is_good) {
        token_jwk_set_finish(ret_set);
    }
    return is_good;
}

void token_jwk_set_finish(struct token_jwk_set *self) {
    for (size_t i = 0; i < self->n; i++) {
        token_key_unref(&self->keys[i].key);
    }
    memset(self, 0, sizeof *self);
}
