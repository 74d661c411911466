/* Rows and rules. Whether a file holds a key that serves is seen when it is read, at the start and at each reload: the
 * rules here are those that need no file. */
#include "gateway/token/token_config.h"

#include "base/token_algorithm.h"
#include "base/token_claims.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SECRET_BYTES_MIN = 32, SECRET_BYTES_MAX = 4096, KEYS_MAX = 64, PATH_SIZE = 64 };

const char *const token_algorithm_choices[] = {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256",
                                               "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", NULL};

#define FIELD(name) .offset = offsetof(struct token_key_settings, name), .flags = CONFIG_RELOADABLE

static const struct config_key keys[] = {
    {.path = "kid",
     .type = CONFIG_TEXT,
     FIELD(kid),
     .maximum = 64,
     .help = "The kid of the tokens it verifies: 1 to 64 letters, digits, dots, dashes, underlines. Empty: the tokens "
             "without kid."},
    {.path = "algorithm",
     .type = CONFIG_CHOICE,
     FIELD(algorithm),
     .choices = token_algorithm_choices,
     .help = "The one algorithm of this key."},
    {.path = "secret",
     .type = CONFIG_SECRET,
     FIELD(secret),
     .minimum = SECRET_BYTES_MIN,
     .maximum = SECRET_BYTES_MAX,
     .help = "The secret, with HS256, HS384 and HS512."},
    {.path = "public_key_file",
     .type = CONFIG_TEXT,
     FIELD(public_key_file),
     .maximum = 4096,
     .help = "The public key in PEM (BEGIN PUBLIC KEY), with the other algorithms. A reload reads it anew."},
    {.path = "until",
     .type = CONFIG_TEXT,
     FIELD(until),
     .maximum = 32,
     .help = "When it is accepted no more, as 2026-12-31T00:00:00Z: for a key that has a successor of the same kid. "
             "Empty: no end."},
};

/* ---- rules ---- */

bool token_until_parse(const char *text, int64_t *ret_s) {
    struct tm time = {0};
    char back[32];
    int end = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &time.tm_year, &time.tm_mon, &time.tm_mday, &time.tm_hour,
               &time.tm_min, &time.tm_sec, &end) != 6 ||
        text[end] != '\0') {
        return false;
    }
    time.tm_year -= 1900;
    time.tm_mon -= 1;
    time_t seconds = timegm(&time); /* the 31st of June becomes the 1st of July: then it does not come back */
    struct tm again;
    if (gmtime_r(&seconds, &again) == NULL || strftime(back, sizeof back, "%Y-%m-%dT%H:%M:%SZ", &again) == 0 ||
        strcmp(back, text) != 0 || seconds <= 0) {
        return false;
    }
    *ret_s = seconds;
    return true;
}

/* A secret for HS*, a file for the others, and never both. */
static void verify_key(int algorithm, const char *secret, const char *file, const char *section, const char *prefix,
                       config_errors_t *errors) {
    char path[PATH_SIZE + 32]; /* the section and a key of it */
    const char *name = token_algorithm_choices[algorithm];
    bool is_symmetric = token_algorithm_is_symmetric((enum token_algorithm) algorithm);
    if (secret[0] != '\0' && file[0] != '\0') {
        snprintf(path, sizeof path, "%spublic_key_file", section);
        config_error(errors, prefix, path, "set either a secret or a public key; further keys belong into token.keys");
    } else if (secret[0] != '\0' && !is_symmetric) {
        snprintf(path, sizeof path, "%ssecret", section);
        config_error(errors, prefix, path, "%s takes no secret; set public_key_file, or algorithm: HS256", name);
    } else if (file[0] != '\0' && is_symmetric) {
        snprintf(path, sizeof path, "%salgorithm", section);
        config_error(errors, prefix, path,
                     "%s takes no public key; name the one of the key, like RS256, ES256 or EdDSA", name);
    }
}

static void verify_item(const void *target, const char *prefix, config_errors_t *errors) {
    const struct token_key_settings *self = target;
    int64_t until_s = 0;
    verify_key(self->algorithm, self->secret, self->public_key_file, "", prefix, errors);
    if (self->secret[0] == '\0' && self->public_key_file[0] == '\0') {
        config_error(errors, prefix, "kid", "the key is missing; set secret (or secret_file), or public_key_file");
    }
    if (self->until[0] != '\0' && !token_until_parse(self->until, &until_s)) {
        config_error(errors, prefix, "until", "%s is no time; write it as 2026-12-31T00:00:00Z", self->until);
    }
}

const struct config_table token_key_table = {
    .title = "One of token.keys, subscription_token.keys",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .struct_size = sizeof(struct token_key_settings),
    .verify = verify_item,
};

/* What makes audience and issuer necessary; NULL: nothing. */
static const char *what_has_keys(const struct token_settings *self) {
    return self->secret[0] != '\0'            ? "secret"
           : self->public_key_file[0] != '\0' ? "public_key_file"
           : self->keys.n > 0                 ? "keys"
           : self->jwks_url[0] != '\0'        ? "jwks_url"
                                              : NULL;
}

bool token_settings_have_keys(const struct token_settings *self) {
    return what_has_keys(self) != NULL;
}

static void verify_audience(const struct token_settings *self, const char *section, const char *prefix,
                            config_errors_t *errors) {
    const char *has = what_has_keys(self);
    if (has == NULL || self->any_audience) {
        return;
    }
    const struct {
        const char *name;
        const char *value;
    } needed[] = {{"audience", self->audience}, {"issuer", self->issuer}};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_SIZE];
        snprintf(path, sizeof path, "%s.%s", section, needed[i].name);
        if (needed[i].value[0] == '\0') {
            config_error(errors, prefix, path,
                         "is needed with %s.%s, so that tokens made for other services do not open this one; set it, "
                         "or say %s.any_audience: true",
                         section, has, section);
        }
    }
}

static void verify_jwks(const struct token_settings *self, const char *section, const char *prefix,
                        config_errors_t *errors) {
    char path[PATH_SIZE];
    if (self->jwks_url[0] != '\0' && strncmp(self->jwks_url, "https://", 8) != 0) {
        snprintf(path, sizeof path, "%s.jwks_url", section);
        config_error(errors, prefix, path, "must begin with https://: who can change the keys can sign tokens");
    }
    if (self->jwks_url[0] == '\0' && self->jwks_ca_file[0] != '\0') {
        snprintf(path, sizeof path, "%s.jwks_ca_file", section);
        config_error(errors, prefix, path, "is of no use without %s.jwks_url", section);
    }
}

void token_settings_verify(const struct token_settings *self, const char *section, const char *prefix,
                           config_errors_t *errors) {
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s.", section);
    verify_key(self->algorithm, self->secret, self->public_key_file, path, prefix, errors);
    verify_audience(self, section, prefix, errors);
    verify_jwks(self, section, prefix, errors);
    if (self->keys.n > KEYS_MAX) {
        snprintf(path, sizeof path, "%s.keys", section);
        config_error(errors, prefix, path, "has %zu keys; %d are the most", self->keys.n, KEYS_MAX);
    }
    if (self->user_claim[0] != '\0' && strcmp(self->user_claim, "sub") != 0 && token_claim_is_known(self->user_claim)) {
        snprintf(path, sizeof path, "%s.user_id_claim", section);
        config_error(errors, prefix, path, "%s means something else in a token; name another claim", self->user_claim);
    }
}
