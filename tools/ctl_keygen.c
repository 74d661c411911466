/* callboardctl keygen: a CURVE key pair for a gateway, a broker or a backend service; or, with --api, a key of the HTTP
 * API and its hash. Such a key is written nowhere: whoever needs it reads it once. */
#include "tools/ctl.h"

#include "base/base64.h"
#include "base/check.h"
#include "base/curve_keys.h"
#include "base/random.h"

#include <openssl/evp.h>
#include <stdio.h>

enum { API_KEY_BYTES = 32, HASH_BYTES = 32 };

static int make_api_key(bool json) {
    uint8_t bytes[API_KEY_BYTES];
    uint8_t hash[HASH_BYTES];
    struct buffer key = BUFFER_EMPTY;
    random_bytes(bytes, sizeof bytes);
    base64url_encode(&key, span_of(bytes, sizeof bytes));
    check(EVP_Digest(key.data, key.size, hash, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
    printf(json ? "{\"key\":\"%.*s\",\"hash\":\"" : "key:  %.*s\nhash: ", (int) key.size, (const char *) key.data);
    for (size_t i = 0; i < sizeof hash; i++) {
        printf("%02x", hash[i]);
    }
    printf(json ? "\"}\n" : "\n");
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(key.data, key.size);
    buffer_finish(&key);
    return CTL_DONE;
}

static void print_files(const char *file, const struct curve_keys *keys) {
    struct buffer line = BUFFER_EMPTY;
    char public_file[4096];
    snprintf(public_file, sizeof public_file, "%s.pub", file);
    buffer_append_char(&line, '{');
    ctl_append_member(&line, "secret_file", file);
    ctl_append_member(&line, "public_file", public_file);
    ctl_append_member(&line, "public", keys->public_text);
    buffer_append_char(&line, '}');
    ctl_print_line(buffer_span(&line));
    buffer_finish(&line);
}

static int make_curve_keys(const char *file, bool json) {
    struct curve_keys keys;
    char error[512];
    curve_keys_generate(&keys);
    bool written = curve_keys_write(file, &keys, error, sizeof error);
    if (!written) {
        fprintf(stderr, "callboardctl keygen: %s\n", error);
    } else if (json) {
        print_files(file, &keys);
    } else {
        printf("%s\n%s.pub\n", file, file);
    }
    curve_keys_wipe(&keys);
    return written ? CTL_DONE : CTL_REFUSED;
}

enum { API };

static const struct ctl_option known[] = {
    [API] = {.name = "api",
             .kind = CTL_FLAG,
             .help = "a key of the HTTP API and its hash, instead; nothing is written"},
    {.name = NULL},
};

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    const char *file = ctl_operand(arguments, 0);
    if (ctl_has(arguments, API) == (file != NULL)) {
        return ctl_usage_error("keygen", "takes the file to write, or --api");
    }
    return file == NULL ? make_api_key(options->json) : make_curve_keys(file, options->json);
}

const struct ctl_command ctl_keygen_command = {
    .name = "keygen",
    .summary = "make a CURVE key pair, or a key of the HTTP API",
    .description =
        "Writes a CURVE key pair for a gateway, a broker or a backend service: FILE, which holds both halves and "
        "is for its owner only, and FILE.pub, which is for those who are to know it. Neither is ever "
        "overwritten.\n\n"
        "With --api it prints a key of the HTTP API, which is for the service, and its hash, which is for "
        "http_api.keys. Such a key is written nowhere.",
    .operands = (const struct ctl_operand[]){{.name = "FILE", .optional = true, .help = "where to write the pair"},
                                             {.name = NULL}},
    .options = known,
    .examples = "callboardctl keygen shop.key\n"
                "callboardctl keygen --api\n",
    .run = run,
};
