/* See rehearse_tokens.h. Secrets from Secrets have a line feed at their end now and then: it is no part of them. */
#include "operator/rehearse/rehearse_tokens.h"

#include "base/clock.h"
#include "base/config_assign.h"
#include "base/token.h"

#include <stdio.h>

enum { FILE_MAX = 16 * 1024 };

static const char user[] = "callboard-operator-rehearse";

static bool read_trimmed(const char *file, struct buffer *text, char *ret_error, size_t error_size) {
    const char *reason;
    if (!config_read_file(file, FILE_MAX, text, &reason)) {
        snprintf(ret_error, error_size, "cannot read %s: %s", file, reason);
        return false;
    }
    while (text->size > 0 && memchr("\r\n \t", text->data[text->size - 1], 4) != NULL) {
        text->size--;
    }
    return true;
}

static bool read_secret(struct rehearse_tokens *self, char *ret_error, size_t error_size) {
    struct buffer secret = BUFFER_EMPTY;
    char why[256] = "";
    bool is_read = read_trimmed(self->options.secret_file, &secret, ret_error, error_size);
    if (is_read) {
        self->key = token_key_of_secret(TOKEN_HS256, buffer_span(&secret), why, sizeof why);
    }
    if (is_read && self->key == NULL) {
        snprintf(ret_error, error_size, "%s: %s", self->options.secret_file, why);
    }
    if (secret.size > 0) {
        explicit_bzero(secret.data, secret.capacity);
    }
    buffer_finish(&secret);
    return self->key != NULL;
}

bool rehearse_tokens_read(struct rehearse_tokens *self, const struct rehearse_token_options *options, char *ret_error,
                          size_t error_size) {
    *self = (struct rehearse_tokens){.options = *options, .to_connect = BUFFER_EMPTY};
    if (options->token_file != NULL && options->secret_file != NULL) {
        snprintf(ret_error, error_size, "--token-file and --token-secret-file: one of them");
        return false;
    }
    if (options->token_file != NULL) {
        return read_trimmed(options->token_file, &self->to_connect, ret_error, error_size);
    }
    return options->secret_file == NULL || read_secret(self, ret_error, error_size);
}

void rehearse_tokens_finish(struct rehearse_tokens *self) {
    token_key_unref(&self->key);
    if (self->to_connect.size > 0) {
        explicit_bzero(self->to_connect.data, self->to_connect.size);
    }
    buffer_finish(&self->to_connect);
}

static void append_claim(struct buffer *claims, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        buffer_append_format(claims, ",\"%s\":", name);
        buffer_append_json_string(claims, span_of_text(value));
    }
}

void rehearse_tokens_append(const struct rehearse_tokens *self, const char *channel, struct buffer *out) {
    if (self->key == NULL) {
        buffer_append_span(out, channel == NULL ? buffer_span(&self->to_connect) : SPAN_EMPTY);
        return;
    }
    struct buffer claims = BUFFER_EMPTY;
    int64_t now_s = clock_wall_ms() / 1000;
    buffer_append_format(&claims, "{\"sub\":\"%s\"", user);
    append_claim(&claims, "channel", channel);
    append_claim(&claims, "aud", self->options.audience);
    append_claim(&claims, "iss", self->options.issuer);
    if (channel != NULL) {
        buffer_append_text(&claims, ",\"override\":{\"force_recovery\":{\"value\":true}}");
    }
    buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long) now_s,
                         (long long) (now_s + self->options.ttl_s));
    token_sign(out, NULL, self->key, buffer_span(&claims));
    buffer_finish(&claims);
}
