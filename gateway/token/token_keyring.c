/* See the header. A key that does not serve stops the start (security.md S5): a gateway that runs without one of its
 * keys refuses users, and nobody sees why. */
#include "gateway/token/token_keyring.h"

#include "base/config_reader.h"
#include "base/log.h"

#include <stdio.h>

enum { PEM_FILE_MAX = 64 * 1024, REASON_SIZE = 320 };

static token_key_t *read_public_key(enum token_algorithm algorithm, const char *path, char *ret_error,
                                    size_t error_size) {
    struct buffer pem = BUFFER_EMPTY;
    const char *reason = NULL;
    token_key_t *key = NULL;
    if (config_read_file(path, PEM_FILE_MAX, &pem, &reason)) {
        key = token_key_of_public_pem(algorithm, buffer_span(&pem), ret_error, error_size);
    } else {
        snprintf(ret_error, error_size, "cannot be read: %s", reason);
    }
    buffer_finish(&pem);
    return key;
}

/* One key, of a secret or a file; `where` names the setting that has it, without its last part. */
static bool add_key(token_keys_t *keys, const struct token_key_settings *settings, const char *where, char *ret_error,
                    size_t error_size) {
    char reason[REASON_SIZE];
    int64_t until_s = 0;
    enum token_algorithm algorithm = (enum token_algorithm) settings->algorithm;
    bool is_secret = settings->secret[0] != '\0';
    token_key_t *key = is_secret ? token_key_of_secret(algorithm, span_of_text(settings->secret), reason, sizeof reason)
                                 : read_public_key(algorithm, settings->public_key_file, reason, sizeof reason);
    if (settings->until[0] != '\0') {
        token_until_parse(settings->until, &until_s); /* judged with the settings */
    }
    bool is_added = key != NULL && token_keys_add(keys, settings->kid[0] == '\0' ? NULL : settings->kid, key, until_s,
                                                  reason, sizeof reason);
    token_key_unref(&key);
    if (!is_added && is_secret) {
        snprintf(ret_error, error_size, "%s.secret: %s", where, reason);
    } else if (!is_added) {
        snprintf(ret_error, error_size, "%s.public_key_file: %.128s: %s", where, settings->public_key_file, reason);
    }
    return is_added;
}

static bool add_all(token_keys_t *keys, const struct token_settings *settings, const char *section, char *ret_error,
                    size_t error_size) {
    char where[64];
    const struct token_key_settings *items = settings->keys.items;
    static char nothing[] = "";
    struct token_key_settings first = {.kid = nothing,
                                       .until = nothing,
                                       .algorithm = settings->algorithm,
                                       .secret = settings->secret,
                                       .public_key_file = settings->public_key_file};
    bool has_first = settings->secret[0] != '\0' || settings->public_key_file[0] != '\0';
    if (has_first && !add_key(keys, &first, section, ret_error, error_size)) {
        return false;
    }
    for (size_t i = 0; i < settings->keys.n; i++) {
        snprintf(where, sizeof where, "%s.keys[%zu]", section, i);
        if (!add_key(keys, &items[i], where, ret_error, error_size)) {
            return false;
        }
    }
    return true;
}

bool token_keyring_read(const struct token_settings *settings, const char *section, token_keys_t **ret_keys,
                        char *ret_error, size_t error_size) {
    *ret_keys = NULL;
    if (!token_settings_have_keys(settings)) {
        return true;
    }
    const struct token_rules rules = {
        .audience = settings->audience,
        .issuer = settings->issuer,
        .any_audience = settings->any_audience,
        .max_life_s = settings->max_life_ms / 1000,
        .user_claim =
            settings->user_claim[0] == '\0' || strcmp(settings->user_claim, "sub") == 0 ? NULL : settings->user_claim,
        .keys_may_follow = settings->jwks_url[0] != '\0',
    };
    token_keys_t *keys = token_keys_new(&rules);
    if (!add_all(keys, settings, section, ret_error, error_size)) {
        token_keys_destroy(&keys);
        return false;
    }
    *ret_keys = keys;
    return true;
}

token_keys_t *token_keyring_with(const token_keys_t *configured, const struct token_jwk_set *fetched) {
    token_keys_t *keys = token_keys_copy(configured);
    for (size_t i = 0; i < fetched->n; i++) {
        const struct token_jwk *jwk = &fetched->keys[i];
        char reason[REASON_SIZE];
        if (!token_keys_add(keys, jwk->kid[0] == '\0' ? NULL : jwk->kid, jwk->key, 0, reason, sizeof reason)) {
            log_warning("jwks_key_left_out", log_text("kid", jwk->kid), log_text("reason", reason),
                        log_text("help", "the settings have a key of this kid, and that one counts"));
        }
    }
    return keys;
}
