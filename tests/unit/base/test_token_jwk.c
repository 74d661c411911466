/* Key sets as issuers publish them: what is taken, what is left out, what refuses the whole set. */
#include "base/token_jwk.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

/* RFC 7515 A.3, RFC 8037 A.2; the RSA key is made anew. */
#define POINT                                                                                                          \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\",\"y\":\"x_FEzRu9m36HLN_"   \
    "tue659LNpXW6pCyStikYjKIWI5a0\""
#define ED25519 "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""

static struct buffer rsa_numbers; /* "kty":"RSA","n":"…","e":"AQAB" */
static struct buffer short_numbers;

static struct buffer numbers_of(unsigned bits) {
    struct buffer text = BUFFER_EMPTY;
    uint8_t bytes[512];
    BIGNUM *n = NULL;
    EVP_PKEY *pkey = EVP_RSA_gen(bits);
    assert_int_equal(EVP_PKEY_get_bn_param(pkey, "n", &n), 1);
    buffer_append_text(&text, "\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"");
    base64url_encode(&text, span_of(bytes, (size_t) BN_bn2bin(n, bytes)));
    buffer_append_text(&text, "\"");
    buffer_append_char(&text, '\0');
    BN_free(n);
    EVP_PKEY_free(pkey);
    return text;
}

static int make_numbers(void **state) {
    (void) state;
    rsa_numbers = numbers_of(2048);
    short_numbers = numbers_of(1024);
    return 0;
}

static int free_numbers(void **state) {
    (void) state;
    buffer_finish(&rsa_numbers);
    buffer_finish(&short_numbers);
    return 0;
}

/* RSA and SHORT stand for the numbers of those keys. */
static struct buffer fill(const char *text) {
    struct buffer out = BUFFER_EMPTY;
    while (*text != '\0') {
        if (strncmp(text, "RSA:", 4) == 0) {
            buffer_append_text(&out, (const char *) rsa_numbers.data);
            text += 4;
        } else if (strncmp(text, "SHORT:", 6) == 0) {
            buffer_append_text(&out, (const char *) short_numbers.data);
            text += 6;
        } else {
            buffer_append_char(&out, *text++);
        }
    }
    return out;
}

static bool read_set(const char *text, struct token_jwk_set *ret_set, char *ret_error, size_t error_size) {
    struct buffer filled = fill(text);
    bool is_good = token_jwk_set_read(buffer_span(&filled), ret_set, ret_error, error_size);
    buffer_finish(&filled);
    assert_int_equal(ERR_peek_error(), 0);
    return is_good;
}

static void keys_get_the_algorithm_they_name_or_the_one_of_their_kind(void **state) {
    (void) state;
    static const struct {
        const char *jwk;
        enum token_algorithm algorithm;
    } rows[] = {
        {"{RSA:,\"kid\":\"a\"}", TOKEN_RS256},
        {"{RSA:,\"kid\":\"a\",\"alg\":\"RS512\"}", TOKEN_RS512},
        {"{RSA:,\"kid\":\"a\",\"alg\":\"PS256\",\"use\":\"sig\"}", TOKEN_PS256},
        {"{RSA:,\"kid\":\"a\",\"key_ops\":[\"verify\"]}", TOKEN_RS256},
        {"{" POINT ",\"kid\":\"a\"}", TOKEN_ES256},
        {"{" POINT ",\"kid\":\"a\",\"alg\":\"ES256\"}", TOKEN_ES256},
        {"{" ED25519 ",\"kid\":\"a\"}", TOKEN_EDDSA},
        {"{" ED25519 ",\"kid\":\"a\",\"alg\":\"EdDSA\",\"x5c\":[\"MII\"],\"n\":7}", TOKEN_EDDSA},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[400] = "";
        struct token_jwk_set set;
        struct buffer text = BUFFER_EMPTY;
        buffer_append_format(&text, "{\"keys\":[%s],\"other\":1}", rows[i].jwk);
        buffer_append_char(&text, '\0');
        if (!read_set((const char *) text.data, &set, error, sizeof error)) {
            fail_msg("%s: %s", rows[i].jwk, error);
        }
        assert_int_equal(set.n, 1);
        assert_int_equal(set.n_left_out, 0);
        assert_string_equal(set.keys[0].kid, "a");
        assert_int_equal(token_key_algorithm(set.keys[0].key), rows[i].algorithm);
        token_jwk_set_finish(&set);
        buffer_finish(&text);
    }
}

static void keys_for_others_are_left_out(void **state) {
    (void) state;
    static const char *const others[] = {
        "{RSA:,\"kid\":\"b\",\"use\":\"enc\"}",
        "{RSA:,\"kid\":\"b\",\"use\":7}",
        "{RSA:,\"kid\":\"b\",\"key_ops\":[\"encrypt\"]}",
        "{RSA:,\"kid\":\"b\",\"key_ops\":\"verify\"}",
        "{RSA:,\"kid\":\"b\",\"alg\":\"RSA-OAEP\"}",
        "{RSA:,\"kid\":\"b\",\"alg\":\"none\"}",
        "{RSA:,\"kid\":\"b\",\"alg\":\"HS256\"}",
        "{RSA:,\"kid\":\"b\",\"alg\":\"ES256\"}",
        "{SHORT:,\"kid\":\"b\"}",
        "{RSA:,\"kid\":\"with space\"}",
        "{RSA:,\"kid\":\"\"}",
        "{RSA:,\"kid\":7}",
        "{" POINT ",\"kid\":\"b\",\"alg\":\"RS256\"}",
        "{" POINT ",\"kid\":\"b\",\"alg\":\"ES384\"}",
        "{\"kty\":\"oct\",\"kid\":\"b\",\"alg\":\"HS256\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"kid\":\"b\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"kid\":\"b\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "{\"kty\":\"unknown\"}",
        "{}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char error[400] = "";
        struct token_jwk_set set;
        struct buffer text = BUFFER_EMPTY;
        buffer_append_format(&text, "{\"keys\":[%s,{" ED25519 ",\"kid\":\"a\"}]}", others[i]);
        buffer_append_char(&text, '\0');
        if (!read_set((const char *) text.data, &set, error, sizeof error) || set.n != 1 || set.n_left_out != 1) {
            fail_msg("%s: %s", others[i], error);
        }
        token_jwk_set_finish(&set);
        buffer_finish(&text);
    }
}

static void what_is_wrong_refuses_the_whole_set(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *reason;
    } rows[] = {
        {"", "no key set"},
        {"[]", "no list keys"},
        {"{}", "no list keys"},
        {"{\"keys\":{}}", "no list keys"},
        {"{\"keys\":[]}", "none of its 0 keys"},
        {"{\"keys\":[{\"kty\":\"oct\"}]}", "none of its 1 keys"},
        {"{\"keys\":[7]}", "no object"},
        {"{\"keys\":[{" ED25519 ",\"kid\":\"a\"},null]}", "no object"},
        {"{\"keys\":[{" ED25519 ",\"kid\":\"a\"}]}}", "no key set"},
        {"{\"keys\":[{" ED25519 ",\"kid\":\"a\"},{" POINT ",\"kid\":\"a\"}]}", "two keys have the kid \"a\""},
        {"{\"keys\":[{" ED25519 "},{" POINT "}]}", "two keys have the kid \"\""},
        {"{\"keys\":[{" ED25519 ",\"kid\":\"a\",\"kid\":\"b\"}]}", "stands twice"},
        {"{\"keys\":[],\"keys\":[{" ED25519 "}]}", "stands twice"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\"}]}", "number is missing"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qY=\"}]}", "number is missing"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"11qY\"}]}", "has 32 bytes"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":\"AA\",\"y\":\"AA\"}]}", "length of ES256"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"a\",\"x\":"
         "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}",
         "not on the curve"},
        {"{\"keys\":[[[[[[[[[]]]]]]]]]}", "no key set"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[400] = "";
        struct token_jwk_set set;
        if (read_set(rows[i].text, &set, error, sizeof error)) {
            fail_msg("%s: is taken", rows[i].text);
        }
        if (strstr(error, rows[i].reason) == NULL) {
            fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].text, error, rows[i].reason);
        }
    }
}

static void over_64_keys_or_256_kib_nothing_is_taken(void **state) {
    (void) state;
    for (unsigned n = 64; n <= 65; n++) {
        char error[400] = "";
        struct token_jwk_set set;
        struct buffer text = BUFFER_EMPTY;
        buffer_append_text(&text, "{\"keys\":[");
        for (unsigned i = 0; i < n; i++) {
            buffer_append_format(&text, "%s{" ED25519 ",\"kid\":\"k%u\"}", i == 0 ? "" : ",", i);
        }
        buffer_append_text(&text, "]}");
        bool is_good = token_jwk_set_read(buffer_span(&text), &set, error, sizeof error);
        assert_int_equal(is_good, n == 64);
        if (is_good) {
            assert_int_equal(set.n, 64);
            token_jwk_set_finish(&set);
        } else {
            assert_non_null(strstr(error, "more than 64 keys"));
        }
        while (text.size <= TOKEN_JWK_TEXT_MAX) {
            buffer_append_char(&text, ' ');
        }
        assert_false(token_jwk_set_read(buffer_span(&text), &set, error, sizeof error));
        assert_non_null(strstr(error, "more than 262144 bytes"));
        buffer_finish(&text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_get_the_algorithm_they_name_or_the_one_of_their_kind),
        cmocka_unit_test(keys_for_others_are_left_out),
        cmocka_unit_test(what_is_wrong_refuses_the_whole_set),
        cmocka_unit_test(over_64_keys_or_256_kib_nothing_is_taken),
    };
    return cmocka_run_group_tests(tests, make_numbers, free_numbers);
}
