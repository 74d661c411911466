/* The settings of one set of keys: `token` (connection tokens, and subscription tokens unless they have their own) and
 * `subscription_token`. The rows are in gateway_config.c; here are the rows of one key of the list, and the rules
 * between settings. Thread: any. */
#ifndef CALLBOARD_GATEWAY_TOKEN_CONFIG_H
#define CALLBOARD_GATEWAY_TOKEN_CONFIG_H

#include "base/config_reader.h"

/* A member of token.keys. */
struct token_key_settings {
    char *kid; /* empty: for tokens without kid */
    int algorithm;
    char *secret;          /* HS* */
    char *public_key_file; /* the others */
    char *until;           /* 2026-12-31T00:00:00Z; empty: no end */
};

struct token_settings {
    int algorithm;                   /* of secret and public_key_file */
    char *secret;                    /* token.secret (or token.secret_file) */
    char *public_key_file;           /* PEM */
    struct config_section_list keys; /* of struct token_key_settings */
    char *jwks_url;
    char *jwks_ca_file;
    int64_t jwks_refresh_ms;
    char *audience;
    char *issuer;
    bool any_audience;
    int64_t max_life_ms;
    char *user_claim; /* empty: sub */
};

extern const struct config_table token_key_table;
extern const char *const token_algorithm_choices[]; /* as enum token_algorithm, NULL-terminated */

/* Is there any key, or a place to fetch keys from? Without, no token is accepted. */
bool token_settings_have_keys(const struct token_settings *self);
/* "2026-12-31T00:00:00Z" as seconds since 1970; false: it is no such time. */
bool token_until_parse(const char *text, int64_t *ret_s);
/* section: "token", "subscription_token". */
void token_settings_verify(const struct token_settings *self, const char *section, const char *prefix,
                           config_errors_t *errors);

#endif
