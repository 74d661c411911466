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

static int make_api_key(void) {
    uint8_t bytes[API_KEY_BYTES];
    uint8_t hash[HASH_BYTES];
    struct buffer key = BUFFER_EMPTY;
    random_bytes(bytes, sizeof bytes);
    base64url_encode(&key, span_of(bytes, sizeof bytes));
    check(EVP_Digest(key.data, key.size, hash, NULL, EVP_sha256(), NULL) == 1, "SHA-256");
    printf("key:  %.*s\nhash: ", (int) key.size, (const char *) key.data);
    for (size_t i = 0; i < sizeof hash; i++) {
        printf("%02x", hash[i]);
    }
    printf("\n");
    explicit_bzero(bytes, sizeof bytes);
    explicit_bzero(key.data, key.size);
    buffer_finish(&key);
    return CTL_DONE;
}

static int make_curve_keys(const char *file) {
    struct curve_keys keys;
    char error[512];
    curve_keys_generate(&keys);
    bool written = curve_keys_write(file, &keys, error, sizeof error);
    if (!written) {
        fprintf(stderr, "callboardctl keygen: %s\n", error);
    } else {
        printf("%s\n%s.pub\n", file, file);
    }
    curve_keys_wipe(&keys);
    return written ? CTL_DONE : CTL_REFUSED;
}

int ctl_keygen(const struct ctl_options *options, int argc, char **argv) {
    (void) options;
    if (argc != 2) {
        return ctl_usage_error("keygen", "takes the file to write, or --api");
    }
    return strcmp(argv[1], "--api") == 0 ? make_api_key() : make_curve_keys(argv[1]);
}
