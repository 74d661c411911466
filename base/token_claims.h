/* What a token may say, and how that is judged: base/token.h is how tokens are verified. client-protocol.md section 12,
 * security.md S6. Thread: any. */
#ifndef CALLBOARD_BASE_TOKEN_CLAIMS_H
#define CALLBOARD_BASE_TOKEN_CLAIMS_H

#include "base/bytes.h"
#include "base/json_scan.h"

struct token_rules {
    const char *audience;   /* "" with any_audience only */
    const char *issuer;     /* "" with any_audience only */
    bool any_audience;      /* aud and iss are not asked for */
    int64_t max_life_s;     /* exp must be there, and lie at most this far ahead; 0 = no cap */
    const char *user_claim; /* what names the user; NULL: sub */
    bool keys_may_follow;   /* keys are fetched: a kid that none has yet is TOKEN_KEY_AWAITED */
};

enum token_outcome {
    TOKEN_OK,
    TOKEN_MALFORMED,   /* over TOKEN_TEXT_MAX, not three parts, bad base64url, bad JSON, crit, zip, b64, nested */
    TOKEN_UNKNOWN_KEY, /* kid or algorithm that no key has */
    TOKEN_KEY_AWAITED, /* the same kid, where the issuer's keys are fetched: it may be newer than what we have */
    TOKEN_BAD_SIGNATURE,
    TOKEN_BAD_CLAIM, /* wrong type (null too), dates not whole or not below 2^53, bad base64, life over the cap */
    TOKEN_WRONG_AUDIENCE,
    TOKEN_WRONG_ISSUER,
    TOKEN_EXPIRED, /* exp passed, or nbf not reached (upstream answers both so) */
    TOKEN_REVOKED, /* nothing is wrong with it, but the caller's list has it (token_verify never says so) */
};
const char *token_outcome_text(enum token_outcome outcome);
/* Is it a claim that means something else here? Then it cannot name the user. */
bool token_claim_is_known(const char *name);

/* What a token said. All spans lie in the block of `storage`, which never moves: the struct may be copied, as long as
 * one copy is finished. Whether a claim may be there at all (channel in a connection token) is the caller's to judge.
 */
struct token_claims {
    struct span user;    /* sub (or the rules' user_claim), decoded; empty = anonymous */
    struct span channel; /* decoded; empty when absent */
    struct span client;
    bool has_channel;
    bool has_expiry;
    int64_t expiry_s; /* exp, 0 when absent */
    bool has_expire_at;
    int64_t expire_at_s; /* expire_at, 0 = never */
    bool has_issued_at;
    int64_t issued_at_s;        /* iat, 0 when absent */
    struct span jti;            /* decoded */
    struct json_value info;     /* JSON, JSON_ABSENT when not there */
    struct span info_binary;    /* b64info, decoded; wins over info */
    struct json_value data;     /* subscription tokens */
    struct span data_binary;    /* b64data */
    struct json_value channels; /* list of strings */
    struct json_value subs;     /* object */
    struct json_value meta;     /* object */
    struct json_value override; /* object */
    struct buffer storage;
};

void token_claims_finish(struct token_claims *self);

/* For token.c: reads the claims of a judged JSON object without duplicate names and judges them at wall time now_ms.
 * The decoded texts go to claims->storage, which has the room and does not move. */
enum token_outcome token_claims_read(const struct token_rules *rules, struct json_value object, int64_t now_ms,
                                     struct token_claims *claims);

#endif
