/* See ctl_signer.h. */
#include "tools/ctl_signer.h"

#include "base/clock.h"
#include "base/memory.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"
#include "tools/ctl.h"

#include <stdio.h>

enum { CONFIG_FILE_MAX = 256 * 1024 };

extern char **environ;

static int take_key(const char *command, const char *file, const struct gateway_config *gateway,
                    struct ctl_signer *ret) {
    char error[256] = "";
    if (gateway->token.secret[0] == '\0') {
        fprintf(stderr,
                "callboardctl %s: %s has neither token.secret nor token.secret_file, and CALLBOARD_TOKEN_SECRET is "
                "not set\n",
                command, file);
        return CTL_USAGE;
    }
    token_key_t *key = token_key_of_secret((enum token_algorithm) gateway->token.algorithm,
                                           span_of_text(gateway->token.secret), error, sizeof error);
    if (key == NULL) {
        fprintf(stderr, "callboardctl %s: %s\n", command, error);
        return CTL_REFUSED;
    }
    *ret = (struct ctl_signer){
        .key = key, .audience = memory_strdup(gateway->token.audience), .issuer = memory_strdup(gateway->token.issuer)};
    return CTL_DONE;
}

int ctl_signer_read(const char *command, const char *file, struct ctl_signer *ret) {
    struct gateway_config gateway = {.id = NULL};
    struct broker_config broker = {.id = NULL}; /* the appliance's file has its keys too */
    struct config_part parts[] = {{&gateway_config_table, &gateway}, {&broker_config_table, &broker}};
    struct buffer text = BUFFER_EMPTY;
    struct buffer errors = BUFFER_EMPTY;
    const char *reason;
    int result = CTL_USAGE;
    if (!config_read_file(file, CONFIG_FILE_MAX, &text, &reason)) {
        fprintf(stderr, "callboardctl %s: cannot read %s: %s\n", command, file, reason);
        buffer_finish(&text);
        return CTL_USAGE;
    }
    struct config_source source = {
        .file_name = file, .file_text = buffer_span(&text), .environment = (const char *const *) environ};
    if (config_read(parts, 2, &source, &errors)) {
        result = take_key(command, file, &gateway, ret);
    } else {
        fwrite(errors.data, 1, errors.size, stderr);
    }
    config_finish(parts, 2);
    buffer_finish(&errors);
    buffer_finish(&text);
    return result;
}

void ctl_signer_finish(struct ctl_signer *self) {
    token_key_unref(&self->key);
    memory_free_text(&self->audience);
    memory_free_text(&self->issuer);
}

/* What is empty is none. */
static void append_claim(struct buffer *claims, const char *name, const char *value) {
    ctl_append_member(claims, name, value == NULL || value[0] == '\0' ? NULL : value);
}

bool ctl_signer_append_token(const struct ctl_signer *self, const char *user, const char *channel, int64_t ttl_s,
                             struct buffer *out) {
    int64_t now_s = clock_wall_ms() / 1000;
    struct buffer claims = BUFFER_EMPTY;
    buffer_append_char(&claims, '{');
    ctl_append_member(&claims, "sub", user);
    append_claim(&claims, "channel", channel);
    append_claim(&claims, "aud", self->audience);
    append_claim(&claims, "iss", self->issuer);
    if (channel != NULL) {
        buffer_append_text(&claims, ",\"override\":{\"force_recovery\":{\"value\":true}}");
    }
    buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long) now_s, (long long) (now_s + ttl_s));
    bool is_signed = token_sign(out, NULL, self->key, buffer_span(&claims));
    buffer_finish(&claims);
    return is_signed;
}
