/* Base64: what it reads it would have written, to the last bit. */
#include "base/base64.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_buffer_is(const struct buffer *buffer, const char *text) {
    assert_true(span_equal_text(buffer_span(buffer), text));
}

static void the_vectors_of_rfc_4648_are_encoded_and_decoded(void **state) {
    (void) state;
    static const struct {
        const char *bytes;
        const char *standard;
        const char *url;
    } rows[] = {
        {"", "", ""},
        {"f", "Zg==", "Zg"},
        {"fo", "Zm8=", "Zm8"},
        {"foo", "Zm9v", "Zm9v"},
        {"foob", "Zm9vYg==", "Zm9vYg"},
        {"fooba", "Zm9vYmE=", "Zm9vYmE"},
        {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/", "-_-_"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer buffer = BUFFER_EMPTY;
        base64_encode(&buffer, span_of_text(rows[i].bytes));
        assert_buffer_is(&buffer, rows[i].standard);
        buffer_clear(&buffer);
        base64url_encode(&buffer, span_of_text(rows[i].bytes));
        assert_buffer_is(&buffer, rows[i].url);
        buffer_clear(&buffer);
        assert_true(base64_decode(&buffer, span_of_text(rows[i].standard)));
        assert_buffer_is(&buffer, rows[i].bytes);
        buffer_clear(&buffer);
        assert_true(base64url_decode(&buffer, span_of_text(rows[i].url)));
        assert_buffer_is(&buffer, rows[i].bytes);
        buffer_finish(&buffer);
    }
}

static void random_bytes_come_back(void **state) {
    (void) state;
    for (size_t size = 0; size < 200; size++) {
        uint8_t bytes[200];
        random_bytes(bytes, size);
        struct buffer text = BUFFER_EMPTY;
        struct buffer back = BUFFER_EMPTY;
        base64url_encode(&text, span_of(bytes, size));
        assert_true(base64url_decode(&back, buffer_span(&text)));
        assert_true(span_equal(buffer_span(&back), span_of(bytes, size)));
        buffer_clear(&text);
        buffer_clear(&back);
        base64_encode(&text, span_of(bytes, size));
        assert_int_equal(text.size % 4, 0);
        assert_true(base64_decode(&back, buffer_span(&text)));
        assert_true(span_equal(buffer_span(&back), span_of(bytes, size)));
        buffer_finish(&text);
        buffer_finish(&back);
    }
}

static void what_no_encoder_writes_is_refused(void **state) {
    (void) state;
    const struct {
        struct span text;
        const char *why;
    } url_rows[] = {
        {SPAN_LITERAL("Z"), "a lone character"},
        {SPAN_LITERAL("Zm9vY"), "a lone character at the end"},
        {SPAN_LITERAL("Zg=="), "padding"},
        {SPAN_LITERAL("Zm8="), "padding"},
        {SPAN_LITERAL("Zh"), "unused bits"},
        {SPAN_LITERAL("Zm9"), "unused bits"},
        {SPAN_LITERAL("+/+/"), "the other alphabet"},
        {SPAN_LITERAL("Zm9v Zm9v"), "a space"},
        {SPAN_LITERAL("Zm9v\n"), "a line feed"},
        {SPAN_LITERAL("Zm\0v"), "a NUL"},
        {SPAN_LITERAL("Zm\xc3\xa9"), "no ASCII"},
        {SPAN_LITERAL("Zm.v"), "a dot"},
        {SPAN_LITERAL("Zm@v"), "before A"},
        {SPAN_LITERAL("Zm[v"), "behind Z"},
        {SPAN_LITERAL("Zm\x60v"), "before a"},
        {SPAN_LITERAL("Zm{v"), "behind z"},
        {SPAN_LITERAL("Zm:v"), "behind 9"},
    };
    for (size_t i = 0; i < sizeof url_rows / sizeof url_rows[0]; i++) {
        struct buffer buffer = BUFFER_EMPTY;
        if (base64url_decode(&buffer, url_rows[i].text)) {
            fail_msg("accepted %s", url_rows[i].why);
        }
        buffer_finish(&buffer);
    }
    const struct {
        struct span text;
        const char *why;
    } standard_rows[] = {
        {SPAN_LITERAL("Zg"), "no padding"},          {SPAN_LITERAL("Zg="), "too little padding"},
        {SPAN_LITERAL("Zg==="), "too much padding"}, {SPAN_LITERAL("Z==="), "a lone character"},
        {SPAN_LITERAL("===="), "padding alone"},     {SPAN_LITERAL("Zm9v===="), "padding alone at the end"},
        {SPAN_LITERAL("=Zm8"), "padding in front"},  {SPAN_LITERAL("Zg==Zg=="), "padding inside"},
        {SPAN_LITERAL("Zh=="), "unused bits"},       {SPAN_LITERAL("-_-_"), "the other alphabet"},
        {SPAN_LITERAL("Zm8=\n"), "a line feed"},     {SPAN_LITERAL("Zm8 "), "a space"},
    };
    for (size_t i = 0; i < sizeof standard_rows / sizeof standard_rows[0]; i++) {
        struct buffer buffer = BUFFER_EMPTY;
        if (base64_decode(&buffer, standard_rows[i].text)) {
            fail_msg("accepted %s", standard_rows[i].why);
        }
        buffer_finish(&buffer);
    }
}

static void over_the_limit_is_refused(void **state) {
    (void) state;
    struct buffer buffer;
    buffer_init(&buffer, 5);
    assert_false(base64_decode(&buffer, SPAN_LITERAL("Zm9vYmFy")));
    assert_true(buffer.overflow);
    buffer_finish(&buffer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4648_are_encoded_and_decoded),
        cmocka_unit_test(random_bytes_come_back),
        cmocka_unit_test(what_no_encoder_writes_is_refused),
        cmocka_unit_test(over_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
