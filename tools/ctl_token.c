/* callboardctl token: signs a token with the secret of a configuration file, or of a secret file. */
#include "tools/ctl.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/token.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <getopt.h>
#include <stdio.h>

enum { CONFIG_FILE_MAX = 256 * 1024 };

struct token_arguments {
    const char *config;
    const char *secret_file;
    const char *audience;
    const char *issuer;
    const char *user;
    const char *channel;
    int64_t ttl_s;
};

/* 90s, 15m, 24h, 30d. */
static bool parse_ttl(const char *text, int64_t *ret_seconds) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    size_t length = strlen(text);
    uint64_t value;
    if (length < 2 || !span_parse_u64(span_of(text, length - 1), &value) || value == 0 || value > 1000000) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (units[i].unit == text[length - 1]) {
            *ret_seconds = (int64_t) value * units[i].seconds;
            return true;
        }
    }
    return false;
}

static int parse_arguments(int argc, char **argv, struct token_arguments *ret) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},   {"secret-file", required_argument, NULL, 's'},
        {"audience", required_argument, NULL, 'a'}, {"issuer", required_argument, NULL, 'i'},
        {"user", required_argument, NULL, 'u'},     {"channel", required_argument, NULL, 'n'},
        {"ttl", required_argument, NULL, 't'},      {NULL, 0, NULL, 0},
    };
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            ret->config = optarg;
            break;
        case 's':
            ret->secret_file = optarg;
            break;
        case 'a':
            ret->audience = optarg;
            break;
        case 'i':
            ret->issuer = optarg;
            break;
        case 'u':
            ret->user = optarg;
            break;
        case 'n':
            ret->channel = optarg;
            break;
        case 't':
            if (!parse_ttl(optarg, &ret->ttl_s)) {
                return ctl_usage_error("token", "--ttl takes 90s, 15m, 24h or 30d, not '%s'", optarg);
            }
            break;
        default:
            return ctl_usage_error("token", "takes --user, --channel, --ttl, and --config or --secret-file");
        }
    }
    if (optind != argc || ret->user == NULL) {
        return ctl_usage_error("token", "needs --user, and takes no other argument");
    }
    if ((ret->config == NULL) == (ret->secret_file == NULL)) {
        return ctl_usage_error("token", "needs either --config (a configuration with token.secret) or --secret-file");
    }
    return CTL_DONE;
}

static void append_member(struct buffer *claims, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        buffer_append_format(claims, ",\"%s\":", name);
        buffer_append_json_string(claims, span_of_text(value));
    }
}

static int sign_and_print(const struct token_arguments *arguments, enum token_algorithm algorithm, struct span secret,
                          const char *audience, const char *issuer) {
    if (secret.size < TOKEN_SECRET_MIN) {
        fprintf(stderr, "callboardctl token: the secret has %zu bytes; it needs at least %d\n", secret.size,
                TOKEN_SECRET_MIN);
        return CTL_REFUSED;
    }
    int64_t now_s = clock_wall_ms() / 1000;
    struct buffer claims = BUFFER_EMPTY;
    struct buffer token = BUFFER_EMPTY;
    buffer_append_text(&claims, "{\"sub\":");
    buffer_append_json_string(&claims, span_of_text(arguments->user));
    append_member(&claims, "channel", arguments->channel);
    append_member(&claims, "aud", audience);
    append_member(&claims, "iss", issuer);
    buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long) now_s,
                         (long long) (now_s + arguments->ttl_s));
    bool is_signed = token_sign_with_secret(&token, NULL, algorithm, secret, buffer_span(&claims));
    if (is_signed) {
        ctl_print_line(buffer_span(&token));
    }
    buffer_finish(&claims);
    buffer_finish(&token);
    return is_signed ? CTL_DONE : CTL_REFUSED;
}

/* The secret as the file holds it, without a line feed at its end. */
static int from_secret_file(const struct token_arguments *arguments) {
    struct buffer secret = BUFFER_EMPTY;
    const char *reason;
    if (!config_read_file(arguments->secret_file, CONFIG_FILE_MAX, &secret, &reason)) {
        fprintf(stderr, "callboardctl token: cannot read %s: %s\n", arguments->secret_file, reason);
        return CTL_USAGE;
    }
    while (secret.size > 0 && (secret.data[secret.size - 1] == '\n' || secret.data[secret.size - 1] == '\r')) {
        secret.size--;
    }
    int result = sign_and_print(arguments, TOKEN_HS256, buffer_span(&secret), arguments->audience, arguments->issuer);
    explicit_bzero(secret.data, secret.capacity);
    buffer_finish(&secret);
    return result;
}

/* The file may be a gateway's or the appliance's, so the broker's keys are known too. */
static int from_config(const struct token_arguments *arguments) {
    struct gateway_config gateway = {.id = NULL};
    struct broker_config broker = {.id = NULL};
    struct config_part parts[] = {{&gateway_config_table, &gateway}, {&broker_config_table, &broker}};
    struct buffer text = BUFFER_EMPTY;
    struct buffer errors = BUFFER_EMPTY;
    const char *reason;
    int result = CTL_USAGE;
    if (!config_read_file(arguments->config, CONFIG_FILE_MAX, &text, &reason)) {
        fprintf(stderr, "callboardctl token: cannot read %s: %s\n", arguments->config, reason);
        buffer_finish(&text);
        return CTL_USAGE;
    }
    struct config_source source = {.file_name = arguments->config, .file_text = buffer_span(&text)};
    if (!config_read(parts, 2, &source, &errors)) {
        fwrite(errors.data, 1, errors.size, stderr);
    } else if (gateway.token_secret[0] == '\0') {
        fprintf(stderr, "callboardctl token: %s has neither token.secret nor token.secret_file\n", arguments->config);
    } else {
        result = sign_and_print(arguments, (enum token_algorithm) gateway.token_algorithm,
                                span_of_text(gateway.token_secret),
                                arguments->audience == NULL ? gateway.token_audience : arguments->audience,
                                arguments->issuer == NULL ? gateway.token_issuer : arguments->issuer);
    }
    config_finish(parts, 2);
    buffer_finish(&errors);
    buffer_finish(&text);
    return result;
}

int ctl_token(const struct ctl_options *options, int argc, char **argv) {
    (void) options;
    struct token_arguments arguments = {.ttl_s = 3600};
    int result = parse_arguments(argc, argv, &arguments);
    if (result != CTL_DONE) {
        return result;
    }
    return arguments.config != NULL ? from_config(&arguments) : from_secret_file(&arguments);
}
