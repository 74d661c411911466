/* Verifying and signing JSON Web Tokens with HMAC.
 *
 *     header . payload . signature
 *        |        |          |
 *        |        |     4. the key's HMAC over "header.payload", compared in constant time
 *     1. strict base64url, strict JSON, no name twice, no crit, zip, b64, nested token
 *     2. kid names the key (none: the key without kid); it is only looked up in our table
 *     3. alg must be, byte for byte, the one algorithm this key has
 *                 |
 *              5. only now the payload is looked at: strict base64url, strict JSON, claims (base/token_claims.c)
 *
 * Happy path: the claims are handed out as spans of one block that belongs to them.
 *
 * Failure modes: each has an outcome; nothing of a token that failed is handed out. jku, x5u, jwk and the like are not
 * looked at: no token can name its own key. Where OpenSSL fails without our input being at fault (memory), the process
 * aborts: no answer would be right. Secrets live only inside OpenSSL's contexts, which are wiped when freed. */
#include "base/token.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/memory.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <strings.h>

enum { KID_MAX = 64, SIGNATURE_MAX = 64 };

struct key {
    char kid[KID_MAX + 1]; /* "" = for tokens without kid */
    enum token_algorithm algorithm;
    EVP_MAC_CTX *mac; /* keyed; copied for every use, never changed */
};

struct token_keys {
    struct token_rules rules;
    char *audience; /* what the rules point to */
    char *issuer;
    struct key *keys;
    size_t n_keys;
};

static const struct {
    const char *name;
    const char *digest;
} algorithms[] = {
    [TOKEN_HS256] = {"HS256", "SHA256"},
    [TOKEN_HS384] = {"HS384", "SHA384"},
    [TOKEN_HS512] = {"HS512", "SHA512"},
};

const char *token_algorithm_name(enum token_algorithm algorithm) {
    return algorithms[algorithm].name;
}

bool token_algorithm_parse(struct span name, enum token_algorithm *ret_algorithm) {
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        if (span_equal_text(name, algorithms[i].name)) {
            *ret_algorithm = (enum token_algorithm) i;
            return true;
        }
    }
    return false;
}

/* ---- keys ---- */

token_keys_t *token_keys_new(const struct token_rules *rules) {
    token_keys_t *self = memory_alloc_zero(sizeof *self);
    self->audience = memory_strdup(rules->audience == NULL ? "" : rules->audience);
    self->issuer = memory_strdup(rules->issuer == NULL ? "" : rules->issuer);
    self->rules = (struct token_rules){.audience = self->audience,
                                       .issuer = self->issuer,
                                       .any_audience = rules->any_audience,
                                       .max_life_s = rules->max_life_s};
    check(rules->any_audience || (self->audience[0] != '\0' && self->issuer[0] != '\0'),
          "token rules without audience and issuer, and without any_audience");
    return self;
}

void token_keys_destroy(token_keys_t **self_p) {
    token_keys_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        return;
    }
    for (size_t i = 0; i < self->n_keys; i++) {
        EVP_MAC_CTX_free(self->keys[i].mac);
    }
    memory_free(self->keys);
    memory_free(self->audience);
    memory_free(self->issuer);
    memory_free(self);
}

static bool is_kid(struct span kid) {
    if (kid.size == 0 || kid.size > KID_MAX) {
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

/* An empty kid finds the key without one. */
static const struct key *find_key(const token_keys_t *self, struct span kid) {
    for (size_t i = 0; i < self->n_keys; i++) {
        if (span_equal_text(kid, self->keys[i].kid)) {
            return &self->keys[i];
        }
    }
    return NULL;
}

static EVP_MAC_CTX *keyed_mac_new(enum token_algorithm algorithm, struct span secret) {
    char digest[16];
    snprintf(digest, sizeof digest, "%s", algorithms[algorithm].digest);
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac == NULL ? NULL : EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    check(context != NULL && EVP_MAC_init(context, secret.data, secret.size, params) == 1, "OpenSSL: no HMAC-%s",
          digest);
    return context;
}

static void add_key(token_keys_t *self, struct span kid, enum token_algorithm algorithm, struct span secret) {
    self->keys = memory_realloc(self->keys, (self->n_keys + 1) * sizeof *self->keys);
    struct key *key = &self->keys[self->n_keys++];
    *key = (struct key){.algorithm = algorithm, .mac = keyed_mac_new(algorithm, secret)};
    if (kid.size > 0) {
        memcpy(key->kid, kid.data, kid.size);
    }
}

bool token_keys_add_secret(token_keys_t *self, const char *kid, enum token_algorithm algorithm, struct span secret,
                           char *ret_error, size_t error_size) {
    struct span kid_text = span_of_text(kid);
    if (secret.size < TOKEN_SECRET_MIN) {
        snprintf(ret_error, error_size,
                 "the secret has %zu bytes, it needs at least %d; generate one with "
                 "'openssl rand -base64 48'",
                 secret.size, TOKEN_SECRET_MIN);
    } else if (kid != NULL && !is_kid(kid_text)) {
        snprintf(ret_error, error_size, "the kid must be 1 to %d of A-Z a-z 0-9 . _ -", KID_MAX);
    } else if (find_key(self, kid_text) != NULL) {
        snprintf(ret_error, error_size,
                 kid == NULL ? "there is a key without kid already" : "there is a key with this kid already");
    } else {
        add_key(self, kid_text, algorithm, secret);
        return true;
    }
    return false;
}

/* ---- the token's three parts ---- */

struct parts {
    struct span header;
    struct span payload;
    struct span signature;
    struct span signed_text; /* header.payload */
};

/* Cuts at the first dot; false without one. */
static bool cut_at_dot(struct span *text, struct span *ret_part) {
    const uint8_t *dot = text->size == 0 ? NULL : memchr(text->data, '.', text->size);
    if (dot == NULL) {
        return false;
    }
    size_t size = (size_t) (dot - text->data);
    *ret_part = span_of(text->data, size);
    *text = span_of(dot + 1, text->size - size - 1);
    return true;
}

static bool split(struct span token, struct parts *ret_parts) {
    struct span rest = token;
    if (token.size > TOKEN_TEXT_MAX || !cut_at_dot(&rest, &ret_parts->header) ||
        !cut_at_dot(&rest, &ret_parts->payload)) {
        return false;
    }
    ret_parts->signature = rest; /* a third dot is no base64url */
    ret_parts->signed_text = span_of(token.data, ret_parts->header.size + 1 + ret_parts->payload.size);
    return ret_parts->header.size > 0 && ret_parts->payload.size > 0;
}

/* Also inside: whoever reads the first of two and whoever reads the last must not disagree about a permission. */
static bool has_duplicate_names_anywhere(struct json_value value) {
    if (value.type != JSON_OBJECT && value.type != JSON_ARRAY) {
        return false;
    }
    if (value.type == JSON_OBJECT && json_has_duplicate_names(value)) {
        return true;
    }
    struct json_iterator iterator = json_iterate(value);
    struct json_value name;
    struct json_value member;
    while (json_next(&iterator, &name, &member)) {
        if (has_duplicate_names_anywhere(member)) { /* as deep as json_scan allowed */
            return true;
        }
    }
    return false;
}

/* Decodes a part behind what `storage` holds and judges it; it must be an object. */
static bool decode_object(struct buffer *storage, struct span part, struct json_value *ret_object) {
    size_t before = storage->size;
    if (!base64url_decode(storage, part)) {
        return false;
    }
    struct span text = span_of(storage->data + before, storage->size - before);
    return json_scan(text, &JSON_LIMITS_DEFAULT, ret_object, NULL) == JSON_OK && ret_object->type == JSON_OBJECT &&
           !has_duplicate_names_anywhere(*ret_object);
}

/* ---- header and signature ---- */

enum header_name { HEADER_KID, HEADER_ALG, HEADER_CONTENT_TYPE, HEADER_CRIT, HEADER_ZIP, HEADER_B64, HEADER_NAMES };

static const struct span header_names[HEADER_NAMES] = {
    [HEADER_KID] = JSON_NAME("kid"),   [HEADER_ALG] = JSON_NAME("alg"), [HEADER_CONTENT_TYPE] = JSON_NAME("cty"),
    [HEADER_CRIT] = JSON_NAME("crit"), [HEADER_ZIP] = JSON_NAME("zip"), [HEADER_B64] = JSON_NAME("b64"),
};

static bool equals_in_any_case(struct span text, const char *word) {
    return text.size == strlen(word) && strncasecmp((const char *) text.data, word, text.size) == 0;
}

/* "JWT", in any case, is a token inside the token (RFC 7519 5.2); "application/" may be left out (RFC 7515 4.1.10). */
static bool is_nested(struct json_value content_type) {
    struct span text = SPAN_EMPTY;
    if (content_type.type == JSON_NONE) {
        return false;
    }
    return !json_plain_string(content_type, &text) || equals_in_any_case(text, "JWT") ||
           equals_in_any_case(text, "application/jwt");
}

/* The key this header asks for. */
static enum token_outcome choose_key(const token_keys_t *self, struct json_value header, const struct key **ret_key) {
    struct json_value members[HEADER_NAMES];
    json_members(header, header_names, HEADER_NAMES, members);
    struct json_value kid = members[HEADER_KID];
    struct json_value alg = members[HEADER_ALG];
    struct span kid_text = SPAN_EMPTY;
    struct span alg_text = SPAN_EMPTY;
    if (members[HEADER_CRIT].type != JSON_NONE || members[HEADER_ZIP].type != JSON_NONE ||
        members[HEADER_B64].type != JSON_NONE || is_nested(members[HEADER_CONTENT_TYPE]) || alg.type != JSON_STRING ||
        (kid.type != JSON_NONE && kid.type != JSON_STRING)) {
        return TOKEN_MALFORMED;
    }
    if (kid.type == JSON_STRING && (!json_plain_string(kid, &kid_text) || !is_kid(kid_text))) {
        return TOKEN_UNKNOWN_KEY;
    }
    const struct key *key = find_key(self, kid_text);
    if (key == NULL || !json_plain_string(alg, &alg_text) ||
        !span_equal_text(alg_text, token_algorithm_name(key->algorithm))) {
        return TOKEN_UNKNOWN_KEY;
    }
    *ret_key = key;
    return TOKEN_OK;
}

/* Returns the size of the signature: 32, 48 or 64 bytes. */
static size_t compute_signature(const EVP_MAC_CTX *mac, struct span text, uint8_t ret_signature[SIGNATURE_MAX]) {
    size_t size = 0;
    EVP_MAC_CTX *copy = EVP_MAC_CTX_dup(mac);
    bool is_done = copy != NULL && EVP_MAC_update(copy, text.data, text.size) == 1 &&
                   EVP_MAC_final(copy, ret_signature, &size, SIGNATURE_MAX) == 1;
    EVP_MAC_CTX_free(copy);
    check(is_done, "OpenSSL: HMAC failed");
    return size;
}

static enum token_outcome verify_signature(const struct key *key, const struct parts *parts) {
    uint8_t expected[SIGNATURE_MAX];
    size_t size = compute_signature(key->mac, parts->signed_text, expected);
    struct buffer given = BUFFER_EMPTY;
    enum token_outcome outcome = TOKEN_OK;
    if (!base64url_decode(&given, parts->signature)) {
        outcome = TOKEN_MALFORMED;
    } else if (given.size != size || CRYPTO_memcmp(given.data, expected, size) != 0) {
        outcome = TOKEN_BAD_SIGNATURE;
    }
    buffer_finish(&given);
    OPENSSL_cleanse(expected, sizeof expected); /* what a forger would like to know */
    return outcome;
}

static enum token_outcome verify_parts(const token_keys_t *self, const struct parts *parts) {
    const struct key *key = NULL;
    struct json_value header;
    struct buffer storage = BUFFER_EMPTY; /* bounded by TOKEN_TEXT_MAX */
    enum token_outcome outcome =
        decode_object(&storage, parts->header, &header) ? choose_key(self, header, &key) : TOKEN_MALFORMED;
    buffer_finish(&storage);
    return outcome == TOKEN_OK ? verify_signature(key, parts) : outcome;
}

/* Spans point into the storage, so it must never move: its room is the payload, every string of it decoded (at most
 * as long together), and the base64 among them decoded (shorter). */
static void reserve_storage(struct buffer *storage, struct span payload) {
    buffer_init(storage, 0); /* no memory: abort, rather than tell a client that its token is bad */
    buffer_reserve(storage, 3 * payload.size);
    storage->limit = 3 * payload.size;
}

enum token_outcome token_verify(const token_keys_t *keys, struct span token, int64_t now_ms,
                                struct token_claims *ret_claims) {
    struct parts parts;
    if (!split(token, &parts)) {
        return TOKEN_MALFORMED;
    }
    enum token_outcome outcome = verify_parts(keys, &parts);
    if (outcome != TOKEN_OK) {
        return outcome;
    }
    struct token_claims claims;
    memset(&claims, 0, sizeof claims);
    struct json_value object;
    reserve_storage(&claims.storage, parts.payload);
    const uint8_t *block = claims.storage.data;
    outcome = decode_object(&claims.storage, parts.payload, &object)
                  ? token_claims_read(&keys->rules, object, now_ms, &claims)
                  : TOKEN_MALFORMED;
    check(claims.storage.data == block, "a token's storage moved");
    if (outcome != TOKEN_OK) {
        token_claims_finish(&claims);
        return outcome;
    }
    *ret_claims = claims;
    return TOKEN_OK;
}

/* ---- signing ---- */

static void append_header(struct buffer *out, const char *kid, enum token_algorithm algorithm) {
    struct buffer header = BUFFER_EMPTY;
    buffer_append_format(&header, "{\"alg\":\"%s\"", token_algorithm_name(algorithm));
    if (kid != NULL) {
        buffer_append_format(&header, ",\"kid\":\"%s\"", kid); /* is_kid: nothing to escape */
    }
    buffer_append_text(&header, ",\"typ\":\"JWT\"}");
    base64url_encode(out, buffer_span(&header));
    buffer_finish(&header);
}

static void sign(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                 struct span claims) {
    uint8_t signature[SIGNATURE_MAX];
    struct buffer text = BUFFER_EMPTY;
    append_header(&text, kid, algorithm);
    buffer_append_char(&text, '.');
    base64url_encode(&text, claims);
    EVP_MAC_CTX *mac = keyed_mac_new(algorithm, secret);
    size_t size = compute_signature(mac, buffer_span(&text), signature);
    EVP_MAC_CTX_free(mac);
    buffer_append_char(&text, '.');
    base64url_encode(&text, span_of(signature, size));
    buffer_append_span(out, buffer_span(&text));
    buffer_finish(&text);
}

bool token_sign(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                struct span claims) {
    struct json_value object;
    if (secret.size < TOKEN_SECRET_MIN || (kid != NULL && !is_kid(span_of_text(kid))) ||
        json_scan(claims, &JSON_LIMITS_DEFAULT, &object, NULL) != JSON_OK || object.type != JSON_OBJECT) {
        return false;
    }
    sign(out, kid, algorithm, secret, object.text);
    return !out->overflow;
}
