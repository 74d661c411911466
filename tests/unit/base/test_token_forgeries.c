/* Tokens that somebody else made, changed or cut: a table of forgeries. */
#include "token_harness.h"

/* ---- forgeries ---- */

#define GOOD_HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static void forged_headers_are_refused(void **state) {
    (void) state;
    static char long_kid[10200] = "{\"alg\":\"HS256\",\"kid\":\"";
    memset(long_kid + strlen(long_kid), 'k', 5000);
    memcpy(long_kid + strlen(long_kid), "\"}", 2);
    static const struct {
        const char *header;
        enum token_outcome outcome;
    } rows[] = {
        {GOOD_HEADER, TOKEN_OK},
        {"{\"alg\":\"HS256\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"x\":1}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"cty\":\"json\"}", TOKEN_OK},
        {"{\"alg\":\"HS256\",\"jku\":\"https://evil.example/keys\"}", TOKEN_OK}, /* not looked at */
        {"{\"alg\":\"HS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}", TOKEN_OK},
        {"{\"alg\":\"none\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"None\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"NONE\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"hs256\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS384\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS512\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"RS256\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"ES256\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256 \"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS\\u003256\"}", TOKEN_UNKNOWN_KEY}, /* not byte for byte */
        {"{\"alg\":[\"HS256\"]}", TOKEN_MALFORMED},
        {"{\"alg\":256}", TOKEN_MALFORMED},
        {"{\"alg\":null}", TOKEN_MALFORMED},
        {"{\"Alg\":\"HS256\"}", TOKEN_MALFORMED},
        {"{}", TOKEN_MALFORMED},
        {"[]", TOKEN_MALFORMED},
        {"null", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\"}}", TOKEN_MALFORMED},
        {"{\"alg\":\"none\",\"alg\":\"HS256\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"none\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"crit\":[]}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"zip\":\"DEF\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"b64\":false}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"b64\":true}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"cty\":\"JWT\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"cty\":\"jwt\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"cty\":\"application/JWT\"}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"cty\":1}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":1}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":null}", TOKEN_MALFORMED},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", TOKEN_UNKNOWN_KEY}, /* not the same as no kid */
        {"{\"alg\":\"HS256\",\"kid\":\"unknown\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"../../dev/null\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"' OR 1=1 --\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"\\u0000\"}", TOKEN_UNKNOWN_KEY},
        {"{\"alg\":\"HS256\",\"kid\":\"a\\u0000b\"}", TOKEN_UNKNOWN_KEY},
        {long_kid, TOKEN_UNKNOWN_KEY},
    };
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer token = forge(span_of_text(rows[i].header), SPAN_LITERAL("{\"sub\":\"42\"}"), SECRET);
        enum token_outcome outcome = verify_and_drop(keys, buffer_span(&token));
        if (outcome != rows[i].outcome) {
            fail_msg("%.200s: %s instead of %s", rows[i].header, token_outcome_text(outcome),
                     token_outcome_text(rows[i].outcome));
        }
        buffer_finish(&token);
    }
    token_keys_destroy(&keys);
}

static void another_secret_is_a_bad_signature(void **state) {
    (void) state;
    static const char rsa_public_key[] = "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n"
                                         "-----END PUBLIC KEY-----\n";
    const struct span secrets[] = {SPAN_LITERAL(""), SPAN_LITERAL("secret"), span_of_text(rsa_public_key),
                                   SPAN_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg"),
                                   SPAN_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde")};
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        struct buffer token = forge(SPAN_LITERAL(GOOD_HEADER), SPAN_LITERAL("{\"sub\":\"1\"}"), secrets[i]);
        assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_BAD_SIGNATURE);
        buffer_finish(&token);
    }
    token_keys_destroy(&keys);
}

/* Every single changed character, and every token cut short, is refused. */
static void no_changed_or_cut_token_passes(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer token = sign_claims("{\"sub\":\"42\",\"exp\":4102444800}");
    static const uint8_t others[] = {'A', 'B', 'w', '.', '=', '-', 0, ' ', '\n', 0xff};
    for (size_t i = 0; i < token.size; i++) {
        uint8_t original = token.data[i];
        for (size_t j = 0; j < sizeof others; j++) {
            token.data[i] = others[j];
            if (others[j] != original) {
                assert_int_not_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_OK);
            }
        }
        token.data[i] = original;
        assert_int_not_equal(verify_and_drop(keys, span_of(token.data, i)), TOKEN_OK);
    }
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_OK);
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

static void texts_that_are_not_three_parts_of_base64url_are_malformed(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer good = sign_claims("{\"sub\":\"42\"}");
    buffer_append_char(&good, '\0');
    const char *text = (const char *) good.data;
    static const char *const formats[] = {"%s.", "%s.x", ".%s",   " %s",    "%s ",      "%s\n",
                                          "%s=", "%s==", "%s.%s", "\"%s\"", "Bearer %s"};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char changed[1000];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(changed, sizeof changed, formats[i], text, text);
#pragma GCC diagnostic pop
        assert_int_equal(verify_and_drop(keys, span_of_text(changed)), TOKEN_MALFORMED);
    }
    static const char *const texts[] = {"",
                                        ".",
                                        "..",
                                        "...",
                                        "a.b",
                                        "a..c",
                                        ".b.c",
                                        "eyJhbGciOiJIUzI1NiJ9..x",
                                        "e30.e30.e30",
                                        "eyJhbGciOiJIUzI1NiJ9.e30"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(verify_and_drop(keys, span_of_text(texts[i])), TOKEN_MALFORMED);
    }
    assert_int_equal(verify_and_drop(keys, SPAN_EMPTY), TOKEN_MALFORMED);
    buffer_finish(&good);
    token_keys_destroy(&keys);
}

static void a_token_without_its_signature_is_refused(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer token = BUFFER_EMPTY;
    base64url_encode(&token, SPAN_LITERAL(GOOD_HEADER));
    buffer_append_char(&token, '.');
    base64url_encode(&token, SPAN_LITERAL("{}"));
    buffer_append_char(&token, '.');
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_BAD_SIGNATURE);
    buffer_append_text(&token, "AAAA");
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_BAD_SIGNATURE);
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

static void a_right_signature_with_bytes_behind_it_is_refused(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS384); /* 48 bytes: no unused bits */
    struct buffer token = BUFFER_EMPTY;
    assert_true(token_sign_with_secret(&token, NULL, TOKEN_HS384, SECRET, SPAN_LITERAL("{}")));
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_OK);
    buffer_append_text(&token, "AAAA");
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_BAD_SIGNATURE);
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

static void a_token_over_the_bound_is_not_even_read(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    for (int larger = 0; larger < 2; larger++) {
        struct buffer claims = BUFFER_EMPTY;
        buffer_append_text(&claims, "{\"sub\":\"");
        /* 36 characters of header, 43 of signature, 2 dots: 8,111 are left, of 4 for 3 bytes. */
        while (claims.size < (larger ? 6090U : 6080U) - 2) {
            buffer_append_char(&claims, 'x');
        }
        buffer_append_text(&claims, "\"}");
        struct buffer token = sign_claims("{}");
        buffer_clear(&token);
        sign_anything(&token, buffer_span(&claims));
        assert_int_equal(token.size > TOKEN_TEXT_MAX, larger);
        assert_int_equal(verify_and_drop(keys, buffer_span(&token)), larger ? TOKEN_MALFORMED : TOKEN_OK);
        buffer_finish(&claims);
        buffer_finish(&token);
    }
    token_keys_destroy(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forged_headers_are_refused),
        cmocka_unit_test(another_secret_is_a_bad_signature),
        cmocka_unit_test(no_changed_or_cut_token_passes),
        cmocka_unit_test(texts_that_are_not_three_parts_of_base64url_are_malformed),
        cmocka_unit_test(a_token_without_its_signature_is_refused),
        cmocka_unit_test(a_right_signature_with_bytes_behind_it_is_refused),
        cmocka_unit_test(a_token_over_the_bound_is_not_even_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
