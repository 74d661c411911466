/* Reading and judging the claims of a token whose signature is right.
 *
 * Order, as upstream: types, then iss and aud, then exp and nbf, then the cap on a token's life. Every claim we know is
 * read, also where nobody will ask for its value, so that a token with a claim of a wrong type is refused everywhere.
 *
 * Failure modes: the first bad claim makes the whole token bad; what was decoded until then is thrown away by the
 * caller. */
#include "base/token_claims.h"

#include "base/base64.h"
#include "base/check.h"

#define NUMERIC_DATE_MAX ((int64_t) 9007199254740991) /* 2^53 - 1 */

/* Reading claims, until one is bad. */
struct reading {
    struct json_value object;
    struct token_claims *claims;
    bool is_bad;
};

/* A string, decoded behind what the storage holds. */
static struct span read_text(struct reading *reading, struct json_value value) {
    struct buffer *storage = &reading->claims->storage;
    size_t before = storage->size;
    if (!json_decode_string(value, storage)) {
        reading->is_bad = true;
        return SPAN_EMPTY;
    }
    return span_of(storage->data + before, storage->size - before);
}

/* A string claim; empty when absent. */
static struct span take_text(struct reading *reading, const char *name, bool *ret_is_there) {
    struct json_value value = json_member(reading->object, name);
    *ret_is_there = value.type != JSON_NONE;
    return *ret_is_there ? read_text(reading, value) : SPAN_EMPTY;
}

/* A string claim in standard base64, decoded. */
static struct span take_binary(struct reading *reading, const char *name) {
    bool is_there = false;
    struct span text = take_text(reading, name, &is_there);
    struct buffer *storage = &reading->claims->storage;
    size_t before = storage->size;
    if (!is_there) {
        return SPAN_EMPTY;
    }
    if (!base64_decode(storage, text)) {
        reading->is_bad = true;
        return SPAN_EMPTY;
    }
    return span_of(storage->data + before, storage->size - before);
}

/* Seconds since 1970, whole, from 0 to 2^53 - 1. */
static int64_t take_date(struct reading *reading, const char *name, bool *ret_is_there) {
    struct json_value value = json_member(reading->object, name);
    int64_t seconds = 0;
    *ret_is_there = value.type != JSON_NONE;
    if (*ret_is_there && (!json_to_i64(value, &seconds) || seconds < 0 || seconds > NUMERIC_DATE_MAX)) {
        reading->is_bad = true;
    }
    return seconds;
}

static struct json_value take_object(struct reading *reading, const char *name) {
    struct json_value value = json_member(reading->object, name);
    if (value.type != JSON_NONE && value.type != JSON_OBJECT) {
        reading->is_bad = true;
    }
    return value;
}

static struct json_value take_text_list(struct reading *reading, const char *name) {
    struct json_value value = json_member(reading->object, name);
    if (value.type != JSON_NONE && value.type != JSON_ARRAY) {
        reading->is_bad = true;
        return value;
    }
    struct json_iterator iterator = json_iterate(value);
    struct json_value no_name;
    struct json_value element;
    while (json_next(&iterator, &no_name, &element)) {
        read_text(reading, element); /* judged only */
    }
    return value;
}

static void read_claims(struct reading *reading) {
    struct token_claims *claims = reading->claims;
    bool is_there = false;
    claims->user = take_text(reading, "sub", &is_there);
    claims->channel = take_text(reading, "channel", &claims->has_channel);
    claims->client = take_text(reading, "client", &is_there);
    claims->jti = take_text(reading, "jti", &is_there);
    claims->expiry_s = take_date(reading, "exp", &claims->has_expiry);
    claims->expire_at_s = take_date(reading, "expire_at", &claims->has_expire_at);
    claims->issued_at_s = take_date(reading, "iat", &is_there);
    claims->info = json_member(reading->object, "info");
    claims->info_binary = take_binary(reading, "b64info");
    claims->data = json_member(reading->object, "data");
    claims->data_binary = take_binary(reading, "b64data");
    claims->channels = take_text_list(reading, "channels");
    claims->subs = take_object(reading, "subs");
    claims->meta = take_object(reading, "meta");
    claims->override = take_object(reading, "override");
}

/* Is `wanted` the string, or one of the strings of the list? */
static bool audience_has(struct reading *reading, struct json_value audience, const char *wanted) {
    if (audience.type != JSON_ARRAY) {
        return span_equal_text(read_text(reading, audience), wanted);
    }
    bool is_found = false;
    struct json_iterator iterator = json_iterate(audience);
    struct json_value no_name;
    struct json_value element;
    while (json_next(&iterator, &no_name, &element)) {
        is_found = span_equal_text(read_text(reading, element), wanted) || is_found;
    }
    return is_found;
}

static enum token_outcome judge_audience(const struct token_rules *rules, struct reading *reading) {
    struct json_value audience = json_member(reading->object, "aud");
    bool has_issuer = false;
    struct span issuer = take_text(reading, "iss", &has_issuer);
    bool is_ours = audience.type != JSON_NONE && audience_has(reading, audience, rules->audience);
    if (reading->is_bad) {
        return TOKEN_BAD_CLAIM;
    }
    if (rules->any_audience) {
        return TOKEN_OK;
    }
    if (!has_issuer || !span_equal_text(issuer, rules->issuer)) {
        return TOKEN_WRONG_ISSUER;
    }
    return is_ours ? TOKEN_OK : TOKEN_WRONG_AUDIENCE;
}

/* All dates are below 2^53, so nothing here overflows. */
static enum token_outcome judge_dates(const struct token_rules *rules, struct reading *reading, int64_t now_ms) {
    const struct token_claims *claims = reading->claims;
    bool has_not_before = false;
    int64_t not_before_s = take_date(reading, "nbf", &has_not_before);
    int64_t now_s = now_ms / 1000;
    if (reading->is_bad) {
        return TOKEN_BAD_CLAIM;
    }
    if ((claims->has_expiry && claims->expiry_s <= now_s) || (has_not_before && not_before_s > now_s)) {
        return TOKEN_EXPIRED;
    }
    bool is_over_cap = rules->max_life_s > 0 && (!claims->has_expiry || claims->expiry_s - now_s > rules->max_life_s);
    return is_over_cap ? TOKEN_BAD_CLAIM : TOKEN_OK;
}

enum token_outcome token_claims_read(const struct token_rules *rules, struct json_value object, int64_t now_ms,
                                     struct token_claims *claims) {
    struct reading reading = {.object = object, .claims = claims};
    read_claims(&reading);
    enum token_outcome outcome = judge_audience(rules, &reading);
    return outcome == TOKEN_OK ? judge_dates(rules, &reading, now_ms) : outcome;
}

void token_claims_finish(struct token_claims *self) {
    buffer_finish(&self->storage);
    memset(self, 0, sizeof *self);
}

const char *token_outcome_text(enum token_outcome outcome) {
    switch (outcome) {
    case TOKEN_OK:
        return "valid";
    case TOKEN_MALFORMED:
        return "malformed";
    case TOKEN_UNKNOWN_KEY:
        return "unknown key or algorithm";
    case TOKEN_BAD_SIGNATURE:
        return "bad signature";
    case TOKEN_BAD_CLAIM:
        return "bad claim";
    case TOKEN_WRONG_AUDIENCE:
        return "wrong audience";
    case TOKEN_WRONG_ISSUER:
        return "wrong issuer";
    case TOKEN_EXPIRED:
        return "expired or not yet valid";
    }
    unreachable("token outcome %d", (int) outcome);
}
