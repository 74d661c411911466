/* callboardctl token: signs a token with the secret of a configuration file, with that of a secret file, or with a
 * private key in PEM. */
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
    const char *private_key_file;
    const char *kid;
    enum token_algorithm algorithm; /* of secret_file and private_key_file */
    bool has_algorithm;
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

/* A configuration names its own; a secret is HS256 unless another is named; a private key names none by itself. */
static int judge_algorithm(const struct token_arguments *arguments) {
    bool is_private = arguments->private_key_file != NULL;
    if (arguments->config != NULL && arguments->has_algorithm) {
        return ctl_usage_error("token",
                               "--algorithm goes with --secret-file and --private-key-file; a configuration has "
                               "token.algorithm");
    }
    if (is_private && !arguments->has_algorithm) {
        return ctl_usage_error("token", "--private-key-file needs --algorithm, like RS256, ES256 or EdDSA");
    }
    if (arguments->has_algorithm && token_algorithm_is_symmetric(arguments->algorithm) == is_private) {
        return ctl_usage_error("token", "%s is signed with %s", token_algorithm_name(arguments->algorithm),
                               is_private ? "a secret: --secret-file" : "a private key: --private-key-file");
    }
    return CTL_DONE;
}

static int parse_arguments(int argc, char **argv, struct token_arguments *ret) {
    static const struct option known[] = {
        {"config", required_argument, NULL, 'c'},
        {"secret-file", required_argument, NULL, 's'},
        {"audience", required_argument, NULL, 'a'},
        {"issuer", required_argument, NULL, 'i'},
        {"user", required_argument, NULL, 'u'},
        {"channel", required_argument, NULL, 'n'},
        {"ttl", required_argument, NULL, 't'},
        {"private-key-file", required_argument, NULL, 'p'},
        {"kid", required_argument, NULL, 'k'},
        {"algorithm", required_argument, NULL, 'g'},
        {NULL, 0, NULL, 0},
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
        case 'p':
            ret->private_key_file = optarg;
            break;
        case 'k':
            ret->kid = optarg;
            break;
        case 'g':
            ret->has_algorithm = true;
            if (!token_algorithm_parse(span_of_text(optarg), &ret->algorithm)) {
                return ctl_usage_error("token",
                                       "--algorithm takes HS256, RS256, PS256, ES256, EdDSA and their like, not "
                                       "'%s'",
                                       optarg);
            }
            break;
        case 't':
            if (!parse_ttl(optarg, &ret->ttl_s)) {
                return ctl_usage_error("token", "--ttl takes 90s, 15m, 24h or 30d, not '%s'", optarg);
            }
            break;
        default:
            return ctl_usage_error("token",
                                   "takes --user, --channel, --ttl, --kid, --audience, --issuer, and --config, "
                                   "--secret-file or --private-key-file (with --algorithm)");
        }
    }
    if (optind != argc || ret->user == NULL) {
        return ctl_usage_error("token", "needs --user, and takes no other argument");
    }
    if ((ret->config != NULL) + (ret->secret_file != NULL) + (ret->private_key_file != NULL) != 1) {
        return ctl_usage_error("token", "needs one of --config (a configuration with token.secret), --secret-file and "
                                        "--private-key-file");
    }
    return judge_algorithm(ret);
}

static void append_member(struct buffer *claims, const char *name, const char *value) {
    if (value != NULL && value[0] != '\0') {
        buffer_append_format(claims, ",\"%s\":", name);
        buffer_append_json_string(claims, span_of_text(value));
    }
}

static int sign_and_print(const struct token_arguments *arguments, const token_key_t *key, const char *audience,
                          const char *issuer) {
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
    bool is_signed = token_sign(&token, arguments->kid, key, buffer_span(&claims));
    if (is_signed) {
        ctl_print_line(buffer_span(&token));
    } else {
        fprintf(stderr,
                "callboardctl token: the claims or the kid do not make a token (a kid has 1 to 64 of A-Z a-z 0-9 "
                ". _ -)\n");
    }
    buffer_finish(&claims);
    buffer_finish(&token);
    return is_signed ? CTL_DONE : CTL_REFUSED;
}

/* Takes the key; NULL: it does not serve, and `reason` says why. */
static int sign_with(const struct token_arguments *arguments, token_key_t *key, const char *reason,
                     const char *audience, const char *issuer) {
    if (key == NULL) {
        fprintf(stderr, "callboardctl token: %s\n", reason);
        return CTL_REFUSED;
    }
    int result = sign_and_print(arguments, key, audience, issuer);
    token_key_unref(&key);
    return result;
}

/* The secret as the file holds it, without a line feed at its end; a private key whole. */
static int from_key_file(const struct token_arguments *arguments) {
    bool is_private = arguments->private_key_file != NULL;
    const char *path = is_private ? arguments->private_key_file : arguments->secret_file;
    struct buffer text = BUFFER_EMPTY;
    const char *reason;
    char error[256] = "";
    if (!config_read_file(path, CONFIG_FILE_MAX, &text, &reason)) {
        fprintf(stderr, "callboardctl token: cannot read %s: %s\n", path, reason);
        return CTL_USAGE;
    }
    while (!is_private && text.size > 0 && (text.data[text.size - 1] == '\n' || text.data[text.size - 1] == '\r')) {
        text.size--;
    }
    token_key_t *key = is_private
                           ? token_key_of_private_pem(arguments->algorithm, buffer_span(&text), error, sizeof error)
                           : token_key_of_secret(arguments->algorithm, buffer_span(&text), error, sizeof error);
    explicit_bzero(text.data, text.capacity);
    buffer_finish(&text);
    return sign_with(arguments, key, error, arguments->audience, arguments->issuer);
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
    } else if (gateway.token.secret[0] == '\0') {
        fprintf(stderr, "callboardctl token: %s has neither token.secret nor token.secret_file\n", arguments->config);
    } else {
        char error[256] = "";
        token_key_t *key = token_key_of_secret((enum token_algorithm) gateway.token.algorithm,
                                               span_of_text(gateway.token.secret), error, sizeof error);
        result =
            sign_with(arguments, key, error, arguments->audience == NULL ? gateway.token.audience : arguments->audience,
                      arguments->issuer == NULL ? gateway.token.issuer : arguments->issuer);
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
    return arguments.config != NULL ? from_config(&arguments) : from_key_file(&arguments);
}
