/* Verifying and signing JSON Web Tokens.
 *
 *     header . payload . signature
 *        |        |          |
 *        |        |     4. the key's signature of "header.payload" (base/token_key.c)
 *     1. strict base64url, strict JSON, no name twice, no crit, zip, b64, nested token
 *     2. kid names the key (none: the keys without kid); it is only looked up in our table
 *     3. alg must be, byte for byte, the one algorithm this key has
 *                 |
 *              5. only now the payload is looked at: strict base64url, strict JSON, claims (base/token_claims.c)
 *
 * Several keys of one kid are tried one after another: the successor and, until its time, the one before it.
 *
 * Happy path: the claims are handed out as spans of one block that belongs to them.
 *
 * Failure modes: each has an outcome; nothing of a token that failed is handed out. jku, x5u, jwk and the like are not
 * looked at: no token can name its own key. Secrets live only inside OpenSSL's contexts, which are wiped when freed. */
#include "base/token.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/memory.h"
#include "base/token_jwk.h"

#include <stdio.h>
#include <strings.h>

struct kept_key {
    char kid[TOKEN_KID_MAX + 1]; /* "" = for tokens without kid */
    int64_t until_s;             /* INT64_MAX = for ever */
    token_key_t *key;
};

struct token_keys {
    struct token_rules rules;
    char *audience; /* what the rules point to */
    char *issuer;
    char *user_claim;
    struct kept_key *keys;
    size_t n_keys;
};

/* ---- keys ---- */

token_keys_t *token_keys_new(const struct token_rules *rules) {
    token_keys_t *self = memory_alloc_zero(sizeof *self);
    self->audience = memory_strdup(rules->audience == NULL ? "" : rules->audience);
    self->issuer = memory_strdup(rules->issuer == NULL ? "" : rules->issuer);
    self->user_claim = rules->user_claim == NULL ? NULL : memory_strdup(rules->user_claim);
    self->rules = (struct token_rules){.audience = self->audience,
                                       .issuer = self->issuer,
                                       .any_audience = rules->any_audience,
                                       .max_life_s = rules->max_life_s,
                                       .user_claim = self->user_claim,
                                       .keys_may_follow = rules->keys_may_follow};
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
        token_key_unref(&self->keys[i].key);
    }
    memory_free(self->keys);
    memory_free(self->audience);
    memory_free(self->issuer);
    memory_free(self->user_claim);
    memory_free(self);
}

token_keys_t *token_keys_copy(const token_keys_t *self) {
    token_keys_t *copy = token_keys_new(&self->rules);
    copy->keys = memory_alloc_array(self->n_keys + 1, sizeof *copy->keys);
    for (size_t i = 0; i < self->n_keys; i++) {
        copy->keys[i] = self->keys[i];
        token_key_ref(copy->keys[i].key);
    }
    copy->n_keys = self->n_keys;
    return copy;
}

size_t token_keys_count(const token_keys_t *self) {
    return self->n_keys;
}

/* Why this kid may have no such key beside those it has; NULL: it may. */
static const char *why_no_more(const token_keys_t *self, struct span kid, int64_t until_s) {
    size_t n = 0;
    for (size_t i = 0; i < self->n_keys; i++) {
        if (!span_equal_text(kid, self->keys[i].kid)) {
            continue;
        }
        if (self->keys[i].until_s == INT64_MAX && until_s == INT64_MAX) {
            return kid.size == 0 ? "there is a key without kid already; say until when the old one is accepted"
                                 : "there is a key with this kid already; say until when the old one is accepted";
        }
        n++;
    }
    return n >= TOKEN_KEYS_PER_KID ? "there are 4 keys with this kid already" : NULL;
}

bool token_keys_add(token_keys_t *self, const char *kid, token_key_t *key, int64_t until_s, char *ret_error,
                    size_t error_size) {
    struct span kid_text = span_of_text(kid);
    int64_t end_s = until_s == 0 ? INT64_MAX : until_s;
    if (kid != NULL && !token_kid_is_valid(kid_text)) {
        snprintf(ret_error, error_size, "the kid must be 1 to %d of A-Z a-z 0-9 . _ -", TOKEN_KID_MAX);
        return false;
    }
    const char *reason = why_no_more(self, kid_text, end_s);
    if (reason != NULL) {
        snprintf(ret_error, error_size, "%s", reason);
        return false;
    }
    self->keys = memory_realloc(self->keys, (self->n_keys + 1) * sizeof *self->keys);
    struct kept_key *kept = &self->keys[self->n_keys++];
    *kept = (struct kept_key){.until_s = end_s, .key = token_key_ref(key)};
    if (kid_text.size > 0) {
        memcpy(kept->kid, kid_text.data, kid_text.size);
    }
    return true;
}

bool token_keys_add_secret(token_keys_t *self, const char *kid, enum token_algorithm algorithm, struct span secret,
                           char *ret_error, size_t error_size) {
    token_key_t *key = token_key_of_secret(algorithm, secret, ret_error, error_size);
    bool is_added = key != NULL && token_keys_add(self, kid, key, 0, ret_error, error_size);
    token_key_unref(&key);
    return is_added;
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

/* Decodes a part behind what `storage` holds and judges it; it must be an object. */
static bool decode_object(struct buffer *storage, struct span part, struct json_value *ret_object) {
    size_t before = storage->size;
    if (!base64url_decode(storage, part)) {
        return false;
    }
    struct span text = span_of(storage->data + before, storage->size - before);
    return json_scan(text, &JSON_LIMITS_DEFAULT, ret_object, NULL) == JSON_OK && ret_object->type == JSON_OBJECT &&
           !json_has_duplicate_names_inside(*ret_object);
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

/* What a header asks for: a kid (empty: none) and an algorithm. */
struct wanted_key {
    char kid[TOKEN_KID_MAX + 1];
    char algorithm[16]; /* longer ones are none of ours */
};

static enum token_outcome read_header(struct json_value header, struct wanted_key *ret_wanted) {
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
    if ((kid.type == JSON_STRING && (!json_plain_string(kid, &kid_text) || !token_kid_is_valid(kid_text))) ||
        !json_plain_string(alg, &alg_text) || alg_text.size >= sizeof ret_wanted->algorithm) {
        return TOKEN_UNKNOWN_KEY;
    }
    *ret_wanted = (struct wanted_key){.kid = ""};
    if (kid_text.size > 0) {
        memcpy(ret_wanted->kid, kid_text.data, kid_text.size);
    }
    if (alg_text.size > 0) {
        memcpy(ret_wanted->algorithm, alg_text.data, alg_text.size);
    }
    return TOKEN_OK;
}

/* The signature must be of one of the keys that have this kid, this algorithm, and still their time. */
static enum token_outcome try_keys(const token_keys_t *self, const struct wanted_key *wanted, struct span text,
                                   struct span signature, int64_t now_s) {
    enum token_outcome outcome =
        self->rules.keys_may_follow && wanted->kid[0] != '\0' ? TOKEN_KEY_AWAITED : TOKEN_UNKNOWN_KEY;
    for (size_t i = 0; i < self->n_keys && outcome != TOKEN_OK; i++) {
        const struct kept_key *kept = &self->keys[i];
        if (strcmp(kept->kid, wanted->kid) != 0 || kept->until_s <= now_s) {
            continue;
        }
        if (strcmp(token_algorithm_name(token_key_algorithm(kept->key)), wanted->algorithm) == 0) {
            outcome = token_key_verify(kept->key, text, signature) ? TOKEN_OK : TOKEN_BAD_SIGNATURE;
        } else if (outcome != TOKEN_BAD_SIGNATURE) {
            outcome = TOKEN_UNKNOWN_KEY;
        }
    }
    return outcome;
}

static enum token_outcome verify_parts(const token_keys_t *self, const struct parts *parts, int64_t now_s) {
    struct wanted_key wanted;
    struct json_value header;
    struct buffer storage = BUFFER_EMPTY; /* bounded by TOKEN_TEXT_MAX */
    enum token_outcome outcome =
        decode_object(&storage, parts->header, &header) ? read_header(header, &wanted) : TOKEN_MALFORMED;
    if (outcome == TOKEN_OK) {
        buffer_clear(&storage);
        outcome = base64url_decode(&storage, parts->signature)
                      ? try_keys(self, &wanted, parts->signed_text, buffer_span(&storage), now_s)
                      : TOKEN_MALFORMED;
    }
    buffer_finish(&storage);
    return outcome;
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
    enum token_outcome outcome = verify_parts(keys, &parts, now_ms / 1000);
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
        buffer_append_format(&header, ",\"kid\":\"%s\"", kid); /* a valid kid has nothing to escape */
    }
    buffer_append_text(&header, ",\"typ\":\"JWT\"}");
    base64url_encode(out, buffer_span(&header));
    buffer_finish(&header);
}

static bool sign(struct buffer *out, const char *kid, const token_key_t *key, struct span claims) {
    struct buffer text = BUFFER_EMPTY;
    struct buffer signature = BUFFER_EMPTY;
    append_header(&text, kid, token_key_algorithm(key));
    buffer_append_char(&text, '.');
    base64url_encode(&text, claims);
    bool is_signed = token_key_sign(key, buffer_span(&text), &signature);
    if (is_signed) {
        buffer_append_char(&text, '.');
        base64url_encode(&text, buffer_span(&signature));
        is_signed = buffer_append_span(out, buffer_span(&text));
    }
    buffer_finish(&text);
    buffer_finish(&signature);
    return is_signed;
}

bool token_sign(struct buffer *out, const char *kid, const token_key_t *key, struct span claims) {
    struct json_value object;
    if ((kid != NULL && !token_kid_is_valid(span_of_text(kid))) ||
        json_scan(claims, &JSON_LIMITS_DEFAULT, &object, NULL) != JSON_OK || object.type != JSON_OBJECT) {
        return false;
    }
    return sign(out, kid, key, object.text);
}

bool token_sign_with_secret(struct buffer *out, const char *kid, enum token_algorithm algorithm, struct span secret,
                            struct span claims) {
    char error[256];
    token_key_t *key = token_key_of_secret(algorithm, secret, error, sizeof error);
    bool is_signed = key != NULL && token_sign(out, kid, key, claims);
    token_key_unref(&key);
    return is_signed;
}
