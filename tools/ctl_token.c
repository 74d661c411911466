/* callboardctl token: signs a token with the secret of a configuration file, with that of a secret file, or with a
 * private key in PEM. */
#include "tools/ctl.h"
#include "tools/ctl_signer.h"

#include "base/clock.h"
#include "base/config_reader.h"
#include "base/token.h"

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
    bool json;
};

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

enum { USER, CHANNEL, TTL, CONFIG, SECRET_FILE, PRIVATE_KEY_FILE, ALGORITHM, KID, AUDIENCE, ISSUER };

static const struct ctl_option known[] = {
    [USER] = {.name = "user", .kind = CTL_TEXT, .value = "USER", .help = "whom it lets in (sub)"},
    [CHANNEL] = {.name = "channel",
                 .kind = CTL_TEXT,
                 .value = "CHANNEL",
                 .help = "a subscription token for this channel, instead of a connection token"},
    [TTL] = {.name = "ttl",
             .kind = CTL_DURATION,
             .value = "TIME",
             .minimum = 1000000,
             .maximum = 86400000000U * 3660,
             .initial = "1h",
             .help = "how long it is good"},
    [CONFIG] = {.name = "config",
                .kind = CTL_FILE,
                .value = "FILE",
                .help = "sign with the token.secret of this configuration, for its audience and issuer"},
    [SECRET_FILE] = {.name = "secret-file", .kind = CTL_FILE, .value = "FILE", .help = "sign with this secret"},
    [PRIVATE_KEY_FILE] = {.name = "private-key-file",
                          .kind = CTL_FILE,
                          .value = "FILE",
                          .help = "sign with this private key, in PEM; needs --algorithm"},
    [ALGORITHM] = {.name = "algorithm",
                   .kind = CTL_TEXT,
                   .value = "NAME",
                   .initial = "HS256 with a secret",
                   .help = "HS256, RS256, PS256, ES256, EdDSA and their like"},
    [KID] = {.name = "kid", .kind = CTL_TEXT, .value = "ID", .help = "which key it was, where there are several"},
    [AUDIENCE] = {.name = "audience", .kind = CTL_TEXT, .value = "TEXT", .help = "for whom it is (aud)"},
    [ISSUER] = {.name = "issuer", .kind = CTL_TEXT, .value = "TEXT", .help = "who made it (iss)"},
    {.name = NULL},
};

static int take_arguments(const struct ctl_arguments *arguments, struct token_arguments *ret) {
    const char *algorithm = ctl_text(arguments, ALGORITHM);
    *ret = (struct token_arguments){.config = ctl_text(arguments, CONFIG),
                                    .secret_file = ctl_text(arguments, SECRET_FILE),
                                    .private_key_file = ctl_text(arguments, PRIVATE_KEY_FILE),
                                    .kid = ctl_text(arguments, KID),
                                    .has_algorithm = algorithm != NULL,
                                    .audience = ctl_text(arguments, AUDIENCE),
                                    .issuer = ctl_text(arguments, ISSUER),
                                    .user = ctl_text(arguments, USER),
                                    .channel = ctl_text(arguments, CHANNEL),
                                    .ttl_s = (int64_t) (ctl_number(arguments, TTL, 3600000000U) / 1000000)};
    if (algorithm != NULL && !token_algorithm_parse(span_of_text(algorithm), &ret->algorithm)) {
        return ctl_usage_error("token", "--algorithm takes HS256, RS256, PS256, ES256, EdDSA and their like, not '%s'",
                               algorithm);
    }
    if (ret->user == NULL) {
        return ctl_usage_error("token", "needs --user");
    }
    if ((ret->config != NULL) + (ret->secret_file != NULL) + (ret->private_key_file != NULL) != 1) {
        return ctl_usage_error("token", "needs one of --config (a configuration with token.secret), --secret-file and "
                                        "--private-key-file");
    }
    return judge_algorithm(ret);
}

/* What is empty is none. */
static void append_claim(struct buffer *claims, const char *name, const char *value) {
    ctl_append_member(claims, name, value == NULL || value[0] == '\0' ? NULL : value);
}

static void print_token(const struct token_arguments *arguments, struct span token, int64_t expires_s) {
    struct buffer line = BUFFER_EMPTY;
    if (!arguments->json) {
        ctl_print_line(token);
        return;
    }
    buffer_append_text(&line, "{\"token\":");
    buffer_append_json_string(&line, token);
    buffer_append_format(&line, ",\"expires\":%lld}", (long long) expires_s);
    ctl_print_line(buffer_span(&line));
    buffer_finish(&line);
}

static int sign_and_print(const struct token_arguments *arguments, const token_key_t *key, const char *audience,
                          const char *issuer) {
    int64_t now_s = clock_wall_ms() / 1000;
    struct buffer claims = BUFFER_EMPTY;
    struct buffer token = BUFFER_EMPTY;
    buffer_append_char(&claims, '{');
    ctl_append_member(&claims, "sub", arguments->user);
    append_claim(&claims, "channel", arguments->channel);
    append_claim(&claims, "aud", audience);
    append_claim(&claims, "iss", issuer);
    buffer_append_format(&claims, ",\"iat\":%lld,\"exp\":%lld}", (long long) now_s,
                         (long long) (now_s + arguments->ttl_s));
    bool is_signed = token_sign(&token, arguments->kid, key, buffer_span(&claims));
    if (is_signed) {
        print_token(arguments, buffer_span(&token), now_s + arguments->ttl_s);
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

static int from_config(const struct token_arguments *arguments) {
    struct ctl_signer signer;
    int result = ctl_signer_read("token", arguments->config, &signer);
    if (result == CTL_DONE) {
        result =
            sign_and_print(arguments, signer.key, arguments->audience == NULL ? signer.audience : arguments->audience,
                           arguments->issuer == NULL ? signer.issuer : arguments->issuer);
        ctl_signer_finish(&signer);
    }
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct token_arguments of_token;
    int result = take_arguments(arguments, &of_token);
    if (result != CTL_DONE) {
        return result;
    }
    of_token.json = options->json;
    return of_token.config != NULL ? from_config(&of_token) : from_key_file(&of_token);
}

const struct ctl_command ctl_token_command = {
    .name = "token",
    .summary = "make a token that a client connects with",
    .description =
        "Signs a JSON Web Token and prints it. One of --config, --secret-file and --private-key-file says what "
        "with. It is made here; no broker is asked.",
    .options = known,
    .examples =
        "callboardctl token --config callboard.yaml --user bob --ttl 24h\n"
        "callboardctl token --secret-file callboard.secret --audience callboard --issuer quickstart --user bob\n",
    .run = run,
};
