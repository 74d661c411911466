/* The settings of tokens: what is refused with a reason, before any file is read. */
#include "gateway/gateway_config.h"

#include "base/token_algorithm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define SECRET "0123456789abcdef0123456789abcdef"

static void the_choices_are_the_algorithms(void **state) {
    (void) state;
    for (unsigned i = 0; i < TOKEN_ALGORITHMS; i++) {
        assert_string_equal(token_algorithm_choices[i], token_algorithm_name((enum token_algorithm) i));
    }
    assert_null(token_algorithm_choices[TOKEN_ALGORITHMS]);
}

static void until_is_a_real_time_in_utc(void **state) {
    (void) state;
    static const char *const wrong[] = {
        "",
        "tomorrow",
        "2026-12-31",
        "2026-12-31T00:00:00",
        "2026-12-31 00:00:00Z",
        "2026-12-31T00:00:00+01:00",
        "2026-12-31T00:00:00Zx",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-1-01T00:00:00Z",
        "2026-12-31T24:00:00Z",
        "1969-12-31T00:00:00Z",
        "+026-12-31T00:00:00Z",
    };
    int64_t seconds = 0;
    assert_true(token_until_parse("2026-01-01T00:00:00Z", &seconds));
    assert_true(seconds == 1767225600);
    assert_true(token_until_parse("2028-02-29T23:59:59Z", &seconds));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (token_until_parse(wrong[i], &seconds)) {
            fail_msg("%s is taken", wrong[i]);
        }
    }
}

static void what_does_not_fit_together_is_refused_with_a_reason(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *reason; /* NULL: accepted */
    } rows[] = {
        {"token: {secret: " SECRET ", any_audience: true}", NULL},
        {"token: {algorithm: RS256, public_key_file: key.pem, any_audience: true}", NULL},
        {"token: {jwks_url: 'https://issuer.example/keys', audience: a, issuer: b}", NULL},
        {"token: {algorithm: none}", "\"none\" is not known here"},
        {"token: {algorithm: RS256, secret: " SECRET ", any_audience: true}", "token.secret: RS256 takes no secret"},
        {"token: {public_key_file: key.pem, any_audience: true}", "token.algorithm: HS256 takes no public key"},
        {"token: {secret: " SECRET ", public_key_file: key.pem, any_audience: true}",
         "either a secret or a public key"},
        {"token: {secret: " SECRET "}", "token.audience: is needed with token.secret"},
        {"token: {algorithm: ES256, public_key_file: k.pem, audience: a}",
         "token.issuer: is needed with token.public_key"},
        {"token: {keys: [{secret: " SECRET "}], issuer: a}", "token.audience: is needed with token.keys"},
        {"token: {jwks_url: 'https://issuer.example/keys'}", "token.audience: is needed with token.jwks_url"},
        {"token: {jwks_url: 'http://issuer.example/keys', any_audience: true}", "must begin with https://"},
        {"token: {jwks_url: 'file:///etc/passwd', any_audience: true}", "must begin with https://"},
        {"token: {jwks_ca_file: ca.pem}", "is of no use without token.jwks_url"},
        {"token: {jwks_refresh: 10s}", "token.jwks_refresh"},
        {"token: {user_id_claim: exp}", "means something else in a token"},
        {"token: {user_id_claim: uid}", NULL},
        {"token: {keys: [{kid: a}], any_audience: true}", "token.keys[0].kid: the key is missing"},
        {"token: {keys: [{kid: a, secret: short}], any_audience: true}", "token.keys[0].secret: has 5 bytes"},
        {"token: {keys: [{kid: a, secret: " SECRET ", until: soon}], any_audience: true}", "token.keys[0].until: soon"},
        {"token: {keys: [{algorithm: EdDSA, secret: " SECRET "}], any_audience: true}", "EdDSA takes no secret"},
        {"subscription_token: {secret: " SECRET "}",
         "subscription_token.audience: is needed with subscription_token.secret"},
        {"subscription_token: {jwks_url: 'http://x', any_audience: true}", "subscription_token.jwks_url: must begin"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct gateway_config config;
        struct config_part part = {&gateway_config_table, &config};
        struct config_source source = {.file_name = "g.yaml", .file_text = span_of_text(rows[i].text)};
        struct buffer errors = BUFFER_EMPTY;
        bool is_good = config_read(&part, 1, &source, &errors);
        buffer_append_char(&errors, '\0');
        if (is_good != (rows[i].reason == NULL) ||
            (rows[i].reason != NULL && strstr((const char *) errors.data, rows[i].reason) == NULL)) {
            fail_msg("%s: %s", rows[i].text, (const char *) errors.data);
        }
        config_finish(&part, 1);
        buffer_finish(&errors);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_choices_are_the_algorithms),
        cmocka_unit_test(until_is_a_real_time_in_utc),
        cmocka_unit_test(what_does_not_fit_together_is_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
