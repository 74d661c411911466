/* Tokens: the check vectors, a table of claims, keys and their names. */
#include "token_harness.h"

#include <pthread.h>

/* ---- what works ---- */

static void the_check_vectors_of_the_protocol_verify(void **state) {
    (void) state;
    token_keys_t *keys = token_keys_new(&any_rules);
    char error[200];
    token_key_t *short_key = any_secret(TOKEN_HS256, SPAN_LITERAL("secret"));
    assert_true(token_keys_add(keys, NULL, short_key, 0, error, sizeof error));
    token_key_unref(&short_key);
    struct token_claims claims;
    struct span connect = SPAN_LITERAL("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImV4cCI6NDEwMjQ0NDgwMH0."
                                       "xfhBtaF3i4qV3T5RgFv8gT9wK4uw9T6kaD1NKwLVAx0");
    assert_int_equal(token_verify(keys, connect, NOW_MS, &claims), TOKEN_OK);
    assert_true(span_equal_text(claims.user, "42"));
    assert_true(claims.has_expiry);
    assert_true(claims.expiry_s == 4102444800);
    assert_false(claims.has_channel);
    assert_false(claims.has_expire_at);
    token_claims_finish(&claims);
    struct span subscribe = SPAN_LITERAL(
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiIsImNoYW5uZWwiOiJuZXdzIiwiZXhwIjo0MTAyNDQ0ODAwfQ.h-"
        "r74y6u-HZM7_Mln9RKWd4nm4VJ_MkCCCMNsjTT_pE");
    assert_int_equal(token_verify(keys, subscribe, NOW_MS, &claims), TOKEN_OK);
    assert_true(span_equal_text(claims.user, "42"));
    assert_true(claims.has_channel);
    assert_true(span_equal_text(claims.channel, "news"));
    token_claims_finish(&claims);
    token_keys_destroy(&keys);
}

/* The example of RFC 7515 A.1: HS256 with a key of 64 bytes, line feeds in header and payload. */
static void the_example_of_rfc_7515_verifies_until_it_expires(void **state) {
    (void) state;
    struct buffer secret = BUFFER_EMPTY;
    assert_true(base64url_decode(&secret, SPAN_LITERAL("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0"
                                                       "iPS4hcgUuTwjAzZr1Z9CAow")));
    char error[200];
    token_keys_t *keys = token_keys_new(&any_rules);
    assert_true(token_keys_add_secret(keys, NULL, TOKEN_HS256, buffer_span(&secret), error, sizeof error));
    struct span token =
        SPAN_LITERAL("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6"
                     "Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    struct token_claims claims;
    assert_int_equal(token_verify(keys, token, 1300819379999, &claims), TOKEN_OK);
    assert_true(claims.expiry_s == 1300819380);
    token_claims_finish(&claims);
    assert_int_equal(token_verify(keys, token, 1300819380000, &claims), TOKEN_EXPIRED);
    buffer_finish(&secret);
    token_keys_destroy(&keys);
}

static void what_we_sign_we_verify_with_each_algorithm_with_and_without_kid(void **state) {
    (void) state;
    static const char *const kids[] = {NULL, "2026-01.first_Key"};
    for (size_t i = 0; i < 2; i++) {
        for (enum token_algorithm algorithm = TOKEN_HS256; algorithm <= TOKEN_HS512; algorithm++) {
            struct buffer token = BUFFER_EMPTY;
            token_keys_t *keys = keys_with(&any_rules, kids[i], algorithm);
            assert_true(token_sign_with_secret(&token, kids[i], algorithm, SECRET, SPAN_LITERAL("{\"sub\":\"42\"}")));
            struct token_claims claims;
            assert_int_equal(token_verify(keys, buffer_span(&token), NOW_MS, &claims), TOKEN_OK);
            assert_true(span_equal_text(claims.user, "42"));
            token_claims_finish(&claims);
            buffer_finish(&token);
            token_keys_destroy(&keys);
        }
    }
}

static void every_claim_is_handed_out_decoded(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer token = sign_claims(
        "{\"sub\":\"Zo\\u00eb\\n\",\"channel\":\"$chat:\\u0031\",\"client\":\"c-1\",\"jti\":\"id\\/1\","
        "\"exp\":1767225601,\"iat\":1767225599,\"nbf\":1767225600,\"expire_at\":1767225700,"
        "\"info\": {\"name\": \"A\"} ,\"b64info\":\"aGVsbG8=\",\"data\":[1,2],\"b64data\":\"AAEC\","
        "\"channels\":[\"a\",\"b\"],\"subs\":{\"c\":{\"info\":1}},\"meta\":{\"m\":1},"
        "\"override\":{\"presence\":{\"value\":true}},\"unknown\":[{\"deep\":null}],\"aud\":[\"x\"],\"iss\":\"y\"}");
    struct token_claims claims;
    assert_int_equal(token_verify(keys, buffer_span(&token), NOW_MS, &claims), TOKEN_OK);
    buffer_finish(&token); /* nothing points into the token */
    assert_true(span_equal_text(claims.user, "Zo\xc3\xab\n"));
    assert_true(claims.has_channel);
    assert_true(span_equal_text(claims.channel, "$chat:1"));
    assert_true(span_equal_text(claims.client, "c-1"));
    assert_true(span_equal_text(claims.jti, "id/1"));
    assert_true(claims.has_expiry && claims.expiry_s == 1767225601);
    assert_true(claims.has_expire_at && claims.expire_at_s == 1767225700);
    assert_true(claims.issued_at_s == 1767225599);
    assert_int_equal(claims.info.type, JSON_OBJECT);
    assert_true(span_equal_text(claims.info.text, "{\"name\": \"A\"}"));
    assert_true(span_equal_text(claims.info_binary, "hello"));
    assert_true(span_equal_text(claims.data.text, "[1,2]"));
    assert_true(span_equal(claims.data_binary, span_of("\0\1\2", 3)));
    assert_true(span_equal_text(claims.channels.text, "[\"a\",\"b\"]"));
    assert_true(span_equal_text(claims.subs.text, "{\"c\":{\"info\":1}}"));
    assert_true(span_equal_text(claims.meta.text, "{\"m\":1}"));
    assert_true(span_equal_text(claims.override.text, "{\"presence\":{\"value\":true}}"));
    token_claims_finish(&claims);
    token_keys_destroy(&keys);
}

static void an_empty_object_is_an_anonymous_user_without_any_claim(void **state) {
    (void) state;
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer token = sign_claims("{}");
    struct token_claims claims;
    assert_int_equal(token_verify(keys, buffer_span(&token), NOW_MS, &claims), TOKEN_OK);
    assert_int_equal(claims.user.size, 0);
    assert_false(claims.has_channel || claims.has_expiry || claims.has_expire_at);
    assert_int_equal(claims.info.type, JSON_NONE);
    assert_int_equal(claims.channels.type, JSON_NONE);
    assert_int_equal(claims.info_binary.size, 0);
    token_claims_finish(&claims);
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

/* ---- claims ---- */

struct claim_case {
    const char *claims;
    enum token_outcome outcome;
};

static void assert_cases(const token_keys_t *keys, const struct claim_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct buffer token = sign_claims(cases[i].claims);
        enum token_outcome outcome = verify_and_drop(keys, buffer_span(&token));
        if (outcome != cases[i].outcome) {
            fail_msg("%s: %s instead of %s", cases[i].claims, token_outcome_text(outcome),
                     token_outcome_text(cases[i].outcome));
        }
        buffer_finish(&token);
    }
}

#define ASSERT_CASES(keys, cases) assert_cases(keys, cases, sizeof cases / sizeof cases[0])

static void claims_of_the_wrong_type_or_value_are_refused(void **state) {
    (void) state;
    static const struct claim_case cases[] = {
        /* texts */
        {"{\"sub\":\"\"}", TOKEN_OK},
        {"{\"sub\":42}", TOKEN_BAD_CLAIM},
        {"{\"sub\":null}", TOKEN_BAD_CLAIM},
        {"{\"sub\":true}", TOKEN_BAD_CLAIM},
        {"{\"sub\":[\"42\"]}", TOKEN_BAD_CLAIM},
        {"{\"sub\":{\"id\":\"42\"}}", TOKEN_BAD_CLAIM},
        {"{\"sub\":\"a\\u0000b\"}", TOKEN_BAD_CLAIM},
        {"{\"Sub\":42,\"SUB\":42}", TOKEN_OK}, /* other names: nobody's claim */
        {"{\"channel\":1}", TOKEN_BAD_CLAIM},
        {"{\"channel\":null}", TOKEN_BAD_CLAIM},
        {"{\"channel\":\"\\u0000\"}", TOKEN_BAD_CLAIM},
        {"{\"client\":1}", TOKEN_BAD_CLAIM},
        {"{\"jti\":7}", TOKEN_BAD_CLAIM},
        {"{\"iss\":7}", TOKEN_BAD_CLAIM}, /* types are judged even where nobody asks for the value */
        {"{\"aud\":7}", TOKEN_BAD_CLAIM},
        {"{\"aud\":[7]}", TOKEN_BAD_CLAIM},
        {"{\"aud\":{}}", TOKEN_BAD_CLAIM},
        {"{\"aud\":null}", TOKEN_BAD_CLAIM},
        /* dates */
        {"{\"exp\":1767225601}", TOKEN_OK},
        {"{\"exp\":1767225600}", TOKEN_EXPIRED}, /* on or after the time it is not accepted */
        {"{\"exp\":1767225599}", TOKEN_EXPIRED},
        {"{\"exp\":0}", TOKEN_EXPIRED},
        {"{\"exp\":9007199254740991}", TOKEN_OK},
        {"{\"exp\":9007199254740992}", TOKEN_BAD_CLAIM},
        {"{\"exp\":18446744073709551616}", TOKEN_BAD_CLAIM},
        {"{\"exp\":-1}", TOKEN_BAD_CLAIM},
        {"{\"exp\":-0}", TOKEN_BAD_CLAIM},
        {"{\"exp\":1767225601.5}", TOKEN_BAD_CLAIM},
        {"{\"exp\":1767225601.0}", TOKEN_BAD_CLAIM},
        {"{\"exp\":4e9}", TOKEN_BAD_CLAIM},
        {"{\"exp\":1e999}", TOKEN_BAD_CLAIM},
        {"{\"exp\":\"4102444800\"}", TOKEN_BAD_CLAIM},
        {"{\"exp\":null}", TOKEN_BAD_CLAIM},
        {"{\"exp\":true}", TOKEN_BAD_CLAIM},
        {"{\"exp\":[4102444800]}", TOKEN_BAD_CLAIM},
        {"{\"Exp\":1}", TOKEN_OK}, /* names are case-sensitive: this is no exp */
        {"{\"exp\":1,\"Exp\":4102444800}", TOKEN_EXPIRED},
        {"{\"EXP\":4102444800,\"exp\":1}", TOKEN_EXPIRED},
        {"{\"nbf\":1767225600}", TOKEN_OK},
        {"{\"nbf\":1767225601}", TOKEN_EXPIRED},
        {"{\"nbf\":0}", TOKEN_OK},
        {"{\"nbf\":\"1\"}", TOKEN_BAD_CLAIM},
        {"{\"nbf\":1.5}", TOKEN_BAD_CLAIM},
        {"{\"nbf\":-5}", TOKEN_BAD_CLAIM},
        {"{\"nbf\":9007199254740992}", TOKEN_BAD_CLAIM},
        {"{\"iat\":99999999999}", TOKEN_OK}, /* informational */
        {"{\"iat\":\"now\"}", TOKEN_BAD_CLAIM},
        {"{\"iat\":1.5}", TOKEN_BAD_CLAIM},
        {"{\"expire_at\":0}", TOKEN_OK},
        {"{\"expire_at\":1}", TOKEN_OK}, /* the session's to judge: error 110 */
        {"{\"expire_at\":-1}", TOKEN_BAD_CLAIM},
        {"{\"expire_at\":\"0\"}", TOKEN_BAD_CLAIM},
        {"{\"expire_at\":null}", TOKEN_BAD_CLAIM},
        /* JSON and base64 */
        {"{\"info\":null}", TOKEN_OK},
        {"{\"info\":\"text\"}", TOKEN_OK},
        {"{\"b64info\":\"\"}", TOKEN_OK},
        {"{\"b64info\":\"aGVsbG8\"}", TOKEN_BAD_CLAIM},
        {"{\"b64info\":\"-_-_\"}", TOKEN_BAD_CLAIM},
        {"{\"b64info\":1}", TOKEN_BAD_CLAIM},
        {"{\"b64data\":\"a===\"}", TOKEN_BAD_CLAIM},
        {"{\"b64data\":null}", TOKEN_BAD_CLAIM},
        {"{\"b64data\":\"\\u0041AEC\"}", TOKEN_OK},
        {"{\"channels\":[]}", TOKEN_OK},
        {"{\"channels\":\"news\"}", TOKEN_BAD_CLAIM},
        {"{\"channels\":{}}", TOKEN_BAD_CLAIM},
        {"{\"channels\":[1]}", TOKEN_BAD_CLAIM},
        {"{\"channels\":[\"a\",null]}", TOKEN_BAD_CLAIM},
        {"{\"channels\":[\"a\\u0000\"]}", TOKEN_BAD_CLAIM},
        {"{\"subs\":{}}", TOKEN_OK},
        {"{\"subs\":[]}", TOKEN_BAD_CLAIM},
        {"{\"subs\":null}", TOKEN_BAD_CLAIM},
        {"{\"meta\":\"m\"}", TOKEN_BAD_CLAIM},
        {"{\"override\":true}", TOKEN_BAD_CLAIM},
        /* the payload as a whole */
        {"", TOKEN_MALFORMED},
        {" {} ", TOKEN_OK},
        {"[]", TOKEN_MALFORMED},
        {"\"sub\"", TOKEN_MALFORMED},
        {"null", TOKEN_MALFORMED},
        {"{", TOKEN_MALFORMED},
        {"{}x", TOKEN_MALFORMED},
        {"\xef\xbb\xbf{}", TOKEN_MALFORMED},
        {"{\"sub\":\"\xff\"}", TOKEN_MALFORMED},
        {"{\"exp\":01}", TOKEN_MALFORMED},
        {"{\"sub\":\"a\",\"sub\":\"b\"}", TOKEN_MALFORMED},
        {"{\"sub\":\"a\",\"s\\u0075b\":\"b\"}", TOKEN_MALFORMED},
        {"{\"exp\":1,\"exp\":4102444800}", TOKEN_MALFORMED},
        {"{\"subs\":{\"a\":{},\"a\":{}}}", TOKEN_MALFORMED},
        {"{\"override\":{\"presence\":{\"value\":true,\"value\":false}}}", TOKEN_MALFORMED},
        {"{\"x\":[[{\"a\":1,\"a\":2}]]}", TOKEN_MALFORMED},
        {"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", TOKEN_MALFORMED},
    };
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    ASSERT_CASES(keys, cases);
    token_keys_destroy(&keys);
}

static void audience_issuer_and_life_are_asked_for(void **state) {
    (void) state;
#define ISSUER "\"iss\":\"https://issuer.example\""
#define EXPIRY "\"exp\":1767226000"
    static const struct claim_case cases[] = {
        {"{\"aud\":\"callboard\"," ISSUER "," EXPIRY "}", TOKEN_OK},
        {"{\"aud\":[\"other\",\"callboard\"]," ISSUER "," EXPIRY "}", TOKEN_OK},
        {"{\"aud\":[\"callboard\",\"other\"]," ISSUER "," EXPIRY "}", TOKEN_OK},
        {"{\"aud\":\"c\\u0061llboard\"," ISSUER "," EXPIRY "}", TOKEN_OK},
        {"{\"aud\":[\"callboard\",7]," ISSUER "," EXPIRY "}", TOKEN_BAD_CLAIM},
        {"{\"aud\":[]," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":\"\"," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":\"callboard2\"," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":\"callboar\"," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":\"Callboard\"," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":[[\"callboard\"]]," ISSUER "," EXPIRY "}", TOKEN_BAD_CLAIM},
        {"{\"Aud\":\"callboard\"," ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{" ISSUER "," EXPIRY "}", TOKEN_WRONG_AUDIENCE},
        {"{\"aud\":\"callboard\"," EXPIRY "}", TOKEN_WRONG_ISSUER},
        {"{\"aud\":\"callboard\",\"iss\":\"\"," EXPIRY "}", TOKEN_WRONG_ISSUER},
        {"{\"aud\":\"callboard\",\"iss\":\"https://issuer.example/\"," EXPIRY "}", TOKEN_WRONG_ISSUER},
        {"{\"aud\":\"callboard\",\"iss\":[\"https://issuer.example\"]," EXPIRY "}", TOKEN_BAD_CLAIM},
        {"{\"aud\":\"callboard\"," ISSUER ",\"exp\":1}", TOKEN_EXPIRED},
        {"{\"aud\":\"other\"," ISSUER ",\"exp\":1}", TOKEN_WRONG_AUDIENCE}, /* upstream's order */
        {"{\"aud\":\"callboard\"," ISSUER "}", TOKEN_BAD_CLAIM},            /* would live for ever */
        {"{\"aud\":\"callboard\"," ISSUER ",\"exp\":1767312000}", TOKEN_OK},
        {"{\"aud\":\"callboard\"," ISSUER ",\"exp\":1767312001}", TOKEN_BAD_CLAIM},
        {"{\"aud\":\"callboard\"," ISSUER ",\"exp\":9007199254740991}", TOKEN_BAD_CLAIM},
    };
    token_keys_t *keys = keys_with(&strict_rules, NULL, TOKEN_HS256);
    ASSERT_CASES(keys, cases);
    token_keys_destroy(&keys);
}

/* ---- keys ---- */

static void the_kid_chooses_the_key_and_the_key_its_algorithm(void **state) {
    (void) state;
    char error[200];
    static const char other_text[] = "another secret, of more than 32 bytes as well";
    token_keys_t *keys = keys_with(&any_rules, "old", TOKEN_HS256);
    assert_true(token_keys_add_secret(keys, "new", TOKEN_HS512, span_of_text(other_text), error, sizeof error));
    static const struct {
        const char *kid;
        enum token_algorithm algorithm;
        bool other_secret;
        enum token_outcome outcome;
    } rows[] = {
        {"old", TOKEN_HS256, false, TOKEN_OK},
        {"new", TOKEN_HS512, true, TOKEN_OK},
        {"old", TOKEN_HS512, true, TOKEN_UNKNOWN_KEY},
        {"new", TOKEN_HS256, false, TOKEN_UNKNOWN_KEY},
        {"old", TOKEN_HS256, true, TOKEN_BAD_SIGNATURE},
        {"new", TOKEN_HS512, false, TOKEN_BAD_SIGNATURE},
        {"Old", TOKEN_HS256, false, TOKEN_UNKNOWN_KEY},
        {"ol", TOKEN_HS256, false, TOKEN_UNKNOWN_KEY},
        {"older", TOKEN_HS256, false, TOKEN_UNKNOWN_KEY},
        {NULL, TOKEN_HS256, false, TOKEN_UNKNOWN_KEY}, /* there is no default key */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer token = BUFFER_EMPTY;
        struct span secret = rows[i].other_secret ? span_of_text(other_text) : SECRET;
        assert_true(token_sign_with_secret(&token, rows[i].kid, rows[i].algorithm, secret, SPAN_LITERAL("{}")));
        assert_int_equal(verify_and_drop(keys, buffer_span(&token)), rows[i].outcome);
        buffer_finish(&token);
    }
    token_keys_destroy(&keys);
    assert_null(keys);
    token_keys_destroy(&keys);
}

static void without_keys_every_token_is_of_an_unknown_key(void **state) {
    (void) state;
    token_keys_t *keys = token_keys_new(&any_rules);
    struct buffer token = sign_claims("{}");
    assert_int_equal(verify_and_drop(keys, buffer_span(&token)), TOKEN_UNKNOWN_KEY);
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

static void weak_secrets_and_bad_or_taken_kids_are_refused_with_a_reason(void **state) {
    (void) state;
    static const char kid_65[] = "12345678901234567890123456789012345678901234567890123456789012345";
    static const struct {
        const char *kid;
        size_t secret_size;
        const char *reason; /* NULL: accepted */
    } rows[] = {
        {NULL, 0, "needs at least 32"},
        {NULL, 31, "needs at least 32"},
        {NULL, 32, NULL},
        {NULL, 64, "without kid already"},
        {"a", 64, NULL},
        {"a", 64, "this kid already"},
        {"", 64, "1 to 64"},
        {"with space", 64, "1 to 64"},
        {"a/b", 64, "1 to 64"},
        {"\xc3\xa9", 64, "1 to 64"},
        {kid_65, 64, "1 to 64"},
        {kid_65 + 1, 64, NULL},
    };
    token_keys_t *keys = token_keys_new(&any_rules);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char error[200] = "";
        bool is_added = token_keys_add_secret(keys, rows[i].kid, TOKEN_HS256, span_of(secret_text, rows[i].secret_size),
                                              error, sizeof error);
        assert_int_equal(is_added, rows[i].reason == NULL);
        if (!is_added && strstr(error, rows[i].reason) == NULL) {
            fail_msg("row %zu: \"%s\" does not say \"%s\"", i, error, rows[i].reason);
        }
    }
    token_keys_destroy(&keys);
}

static void sloppy_rules(void) {
    const struct token_rules rules = {.audience = "callboard", .issuer = "", .any_audience = false};
    token_keys_new(&rules);
}

static void rules_without_audience_or_issuer_need_any_audience(void **state) {
    (void) state;
    assert_true(aborts(sloppy_rules, NULL, 0));
}

static void algorithms_have_names(void **state) {
    (void) state;
    enum token_algorithm algorithm = TOKEN_HS256;
    assert_true(token_algorithm_parse(SPAN_LITERAL("HS512"), &algorithm));
    assert_int_equal(algorithm, TOKEN_HS512);
    assert_string_equal(token_algorithm_name(TOKEN_HS384), "HS384");
    assert_false(token_algorithm_parse(SPAN_LITERAL("none"), &algorithm));
    assert_false(token_algorithm_parse(SPAN_LITERAL("hs256"), &algorithm));
    assert_false(token_algorithm_parse(SPAN_EMPTY, &algorithm));
}

static void only_objects_are_signed_and_only_with_real_secrets(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    assert_false(token_sign_with_secret(&out, NULL, TOKEN_HS256, SECRET, SPAN_LITERAL("[]")));
    assert_false(token_sign_with_secret(&out, NULL, TOKEN_HS256, SECRET, SPAN_LITERAL("{")));
    assert_false(token_sign_with_secret(&out, NULL, TOKEN_HS256, SECRET, SPAN_EMPTY));
    assert_false(token_sign_with_secret(&out, "a\"b", TOKEN_HS256, SECRET, SPAN_LITERAL("{}")));
    assert_false(token_sign_with_secret(&out, NULL, TOKEN_HS256, span_of(secret_text, 31), SPAN_LITERAL("{}")));
    assert_int_equal(out.size, 0);
    buffer_finish(&out);
    struct buffer narrow;
    buffer_init(&narrow, 50);
    assert_false(token_sign_with_secret(&narrow, NULL, TOKEN_HS256, SECRET, SPAN_LITERAL("{}")));
    assert_int_equal(narrow.size, 0);
    buffer_finish(&narrow);
}

struct shared {
    const token_keys_t *keys;
    struct span token;
};

static void *verify_often(void *argument) {
    const struct shared *shared = argument;
    for (int i = 0; i < 500; i++) {
        if (verify_and_drop(shared->keys, shared->token) != TOKEN_OK) {
            return argument;
        }
    }
    return NULL;
}

static void threads_share_a_key_set(void **state) {
    (void) state;
    pthread_t threads[4];
    token_keys_t *keys = keys_with(&any_rules, NULL, TOKEN_HS256);
    struct buffer token = sign_claims("{\"sub\":\"42\",\"b64info\":\"aGVsbG8=\"}");
    struct shared shared = {keys, buffer_span(&token)};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &shared), 0);
    }
    for (int i = 0; i < 4; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    buffer_finish(&token);
    token_keys_destroy(&keys);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_vectors_of_the_protocol_verify),
        cmocka_unit_test(the_example_of_rfc_7515_verifies_until_it_expires),
        cmocka_unit_test(what_we_sign_we_verify_with_each_algorithm_with_and_without_kid),
        cmocka_unit_test(every_claim_is_handed_out_decoded),
        cmocka_unit_test(an_empty_object_is_an_anonymous_user_without_any_claim),
        cmocka_unit_test(claims_of_the_wrong_type_or_value_are_refused),
        cmocka_unit_test(audience_issuer_and_life_are_asked_for),
        cmocka_unit_test(the_kid_chooses_the_key_and_the_key_its_algorithm),
        cmocka_unit_test(without_keys_every_token_is_of_an_unknown_key),
        cmocka_unit_test(weak_secrets_and_bad_or_taken_kids_are_refused_with_a_reason),
        cmocka_unit_test(rules_without_audience_or_issuer_need_any_audience),
        cmocka_unit_test(algorithms_have_names),
        cmocka_unit_test(only_objects_are_signed_and_only_with_real_secrets),
        cmocka_unit_test(threads_share_a_key_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
