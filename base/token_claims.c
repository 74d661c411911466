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

/* The claims we know. */
enum claim {
    CLAIM_SUBJECT,
    CLAIM_CHANNEL,
    CLAIM_CLIENT,
    CLAIM_JTI,
    CLAIM_EXPIRY,
    CLAIM_NOT_BEFORE,
    CLAIM_ISSUED_AT,
    CLAIM_EXPIRE_AT,
    CLAIM_AUDIENCE,
    CLAIM_ISSUER,
    CLAIM_INFO,
    CLAIM_INFO_BINARY,
    CLAIM_DATA,
    CLAIM_DATA_BINARY,
    CLAIM_CHANNELS,
    CLAIM_SUBS,
    CLAIM_META,
    CLAIM_OVERRIDE,
    CLAIMS
};

static const struct span claim_names[CLAIMS] = {
    [CLAIM_SUBJECT] = JSON_NAME("sub"),       [CLAIM_CHANNEL] = JSON_NAME("channel"),
    [CLAIM_CLIENT] = JSON_NAME("client"),     [CLAIM_JTI] = JSON_NAME("jti"),
    [CLAIM_EXPIRY] = JSON_NAME("exp"),        [CLAIM_NOT_BEFORE] = JSON_NAME("nbf"),
    [CLAIM_ISSUED_AT] = JSON_NAME("iat"),     [CLAIM_EXPIRE_AT] = JSON_NAME("expire_at"),
    [CLAIM_AUDIENCE] = JSON_NAME("aud"),      [CLAIM_ISSUER] = JSON_NAME("iss"),
    [CLAIM_INFO] = JSON_NAME("info"),         [CLAIM_INFO_BINARY] = JSON_NAME("b64info"),
    [CLAIM_DATA] = JSON_NAME("data"),         [CLAIM_DATA_BINARY] = JSON_NAME("b64data"),
    [CLAIM_CHANNELS] = JSON_NAME("channels"), [CLAIM_SUBS] = JSON_NAME("subs"),
    [CLAIM_META] = JSON_NAME("meta"),         [CLAIM_OVERRIDE] = JSON_NAME("override"),
};

/* Reading claims, until one is bad. */
struct reading {
    struct json_value members[CLAIMS];
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

static struct json_value present_or_empty(struct json_value value) {
    return value.type == JSON_NONE ? (struct json_value){JSON_STRING, SPAN_LITERAL("\"\"")} : value;
}

/* A string claim; empty when absent. */
static struct span take_text(struct reading *reading, enum claim claim, bool *ret_is_there) {
    struct json_value value = reading->members[claim];
    *ret_is_there = value.type != JSON_NONE;
    return *ret_is_there ? read_text(reading, value) : SPAN_EMPTY;
}

/* A string claim in standard base64, decoded. */
static struct span take_binary(struct reading *reading, enum claim claim) {
    bool is_there = false;
    struct span text = take_text(reading, claim, &is_there);
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
static int64_t take_date(struct reading *reading, enum claim claim, bool *ret_is_there) {
    struct json_value value = reading->members[claim];
    int64_t seconds = 0;
    *ret_is_there = value.type != JSON_NONE;
    if (*ret_is_there && (!json_to_i64(value, &seconds) || seconds < 0 || seconds > NUMERIC_DATE_MAX)) {
        reading->is_bad = true;
    }
    return seconds;
}

static struct json_value take_object(struct reading *reading, enum claim claim) {
    struct json_value value = reading->members[claim];
    if (value.type != JSON_NONE && value.type != JSON_OBJECT) {
        reading->is_bad = true;
    }
    return value;
}

static struct json_value take_text_list(struct reading *reading, enum claim claim) {
    struct json_value value = reading->members[claim];
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
    claims->user = take_text(reading, CLAIM_SUBJECT, &is_there);
    claims->channel = take_text(reading, CLAIM_CHANNEL, &claims->has_channel);
    claims->client = take_text(reading, CLAIM_CLIENT, &is_there);
    claims->jti = take_text(reading, CLAIM_JTI, &is_there);
    claims->expiry_s = take_date(reading, CLAIM_EXPIRY, &claims->has_expiry);
    claims->expire_at_s = take_date(reading, CLAIM_EXPIRE_AT, &claims->has_expire_at);
    claims->issued_at_s = take_date(reading, CLAIM_ISSUED_AT, &claims->has_issued_at);
    claims->info = reading->members[CLAIM_INFO];
    claims->info_binary = take_binary(reading, CLAIM_INFO_BINARY);
    claims->data = reading->members[CLAIM_DATA];
    claims->data_binary = take_binary(reading, CLAIM_DATA_BINARY);
    claims->channels = take_text_list(reading, CLAIM_CHANNELS);
    claims->subs = take_object(reading, CLAIM_SUBS);
    claims->meta = take_object(reading, CLAIM_META);
    claims->override = take_object(reading, CLAIM_OVERRIDE);
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
    struct json_value audience = reading->members[CLAIM_AUDIENCE];
    bool has_issuer = false;
    struct span issuer = take_text(reading, CLAIM_ISSUER, &has_issuer);
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
    int64_t not_before_s = take_date(reading, CLAIM_NOT_BEFORE, &has_not_before);
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
    struct reading reading = {.claims = claims};
    json_members(object, claim_names, CLAIMS, reading.members);
    if (rules->user_claim != NULL) {
        read_text(&reading, present_or_empty(reading.members[CLAIM_SUBJECT])); /* judged only */
        reading.members[CLAIM_SUBJECT] = json_member(object, rules->user_claim);
    }
    read_claims(&reading);
    enum token_outcome outcome = judge_audience(rules, &reading);
    return outcome == TOKEN_OK ? judge_dates(rules, &reading, now_ms) : outcome;
}

void token_claims_finish(struct token_claims *self) {
    buffer_finish(&self->storage);
    memset(self, 0, sizeof *self);
}

bool token_claim_is_known(const char *name) {
    for (unsigned i = 0; i < CLAIMS; i++) {
        if (span_equal_text(claim_names[i], name)) {
            return true;
        }
    }
    return false;
}

const char *token_outcome_text(enum token_outcome outcome) {
    switch (outcome) {
    case TOKEN_OK:
        return "valid";
    case TOKEN_MALFORMED:
        return "malformed";
    case TOKEN_UNKNOWN_KEY:
        return "unknown key or algorithm";
    case TOKEN_KEY_AWAITED:
        return "unknown key, asked for at the issuer";
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
    case TOKEN_REVOKED:
        return "revoked";
    }
    unreachable("token outcome %d", (int) outcome);
}
