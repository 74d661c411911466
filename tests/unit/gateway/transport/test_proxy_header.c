/* PROXY headers of both versions, sound and not; each also in single bytes, and with something behind it. */
#include "gateway/transport/proxy_header.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Feeds at most `at_once` bytes a time; how many were taken in *ret_taken. */
static enum proxy_header_state feed(struct proxy_header *header, struct span bytes, size_t at_once, size_t *ret_taken) {
    size_t at = 0;
    *header = (struct proxy_header){.size = 0};
    while (at < bytes.size && proxy_header_state(header) == PROXY_HEADER_MORE) {
        uint8_t *to;
        size_t n = proxy_header_wanted(header, &to);
        assert_in_range(n, 1, (size_t) (header->bytes + PROXY_HEADER_MAX - to));
        n = n < at_once ? n : at_once;
        n = n < bytes.size - at ? n : bytes.size - at;
        memcpy(to, bytes.data + at, n);
        header->size += n;
        at += n;
    }
    *ret_taken = at;
    return proxy_header_state(header);
}

struct sample {
    const char *bytes;
    size_t size;
    const char *source; /* NULL: names nobody */
};
#define SAMPLE(text, source)                                                                                           \
    { text, sizeof(text) - 1, source }

static const struct sample sound[] = {
    SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 1234 443\r\n", "192.0.2.1"),
    SAMPLE("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "2001:db8::1"),
    SAMPLE("PROXY UNKNOWN\r\n", NULL),
    SAMPLE("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", NULL),
    SAMPLE(SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb", "192.0.2.7"),
    SAMPLE(SIGNATURE "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x0a\x12\x34\x01\xbb",
           "2001:db8::9"),
    SAMPLE(SIGNATURE "\x21\x11\x00\x10\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb\x04\x00\x01x", "192.0.2.7"),
    SAMPLE(SIGNATURE "\x20\x00\x00\x00", NULL),
    SAMPLE(SIGNATURE "\x20\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb", NULL),
    SAMPLE(SIGNATURE "\x21\x00\x00\x00", NULL),
    SAMPLE(SIGNATURE "\x21\x31\x00\x02xx", NULL),
};

static void sound_headers_are_read_exactly(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        char with_more[256];
        memcpy(with_more, sound[i].bytes, sound[i].size);
        memcpy(with_more + sound[i].size, "GET / HTTP/1.1\r\n\r\n", 18);
        for (size_t at_once = 1; at_once < 40; at_once += 6) {
            struct proxy_header header;
            struct ip_address source;
            size_t taken;
            assert_int_equal(feed(&header, span_of(with_more, sound[i].size + 18), at_once, &taken), PROXY_HEADER_DONE);
            assert_int_equal(taken, sound[i].size);
            assert_int_equal(proxy_header_source(&header, &source), sound[i].source != NULL);
            if (sound[i].source != NULL) {
                char text[IP_ADDRESS_TEXT];
                ip_address_print(&source, text);
                assert_string_equal(text, sound[i].source);
            }
        }
    }
}

static void a_header_that_is_cut_short_wants_more(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof sound / sizeof sound[0]; i++) {
        for (size_t size = 0; size < sound[i].size; size++) {
            struct proxy_header header;
            size_t taken;
            assert_int_equal(feed(&header, span_of(sound[i].bytes, size), SIZE_MAX, &taken), PROXY_HEADER_MORE);
        }
    }
}

static void other_bytes_are_refused(void **state) {
    (void) state;
    static const struct sample bad[] = {
        SAMPLE("GET / HTTP/1.1\r\nHost: a\r\n\r\n", NULL),
        SAMPLE("\x16\x03\x01\x02", NULL),
        SAMPLE("proxy TCP4 192.0.2.1 10.0.0.1 1234 443\r\n", NULL),
        SAMPLE("PROXY TCP5 192.0.2.1 10.0.0.1 1234 443\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 1234\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 1234 443 1\r\n", NULL),
        SAMPLE("PROXY TCP4  192.0.2.1 10.0.0.1 1234 443\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 1234 65536\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 99999999999 1\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 -1 443\r\n", NULL),
        SAMPLE("PROXY TCP4 192.0.2.1 10.0.0.1 1 443\n", NULL),
        SAMPLE("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", NULL),
        SAMPLE("PROXY TCP6 2001:db8::1 nothing 1 2\r\n", NULL),
        SAMPLE("PROXY \r\nGET /\r\n", NULL),
        SAMPLE("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r                                                                       "
               "                       \r\n",
               NULL),
        SAMPLE(SIGNATURE "\x11\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb", NULL), /* version 1 */
        SAMPLE(SIGNATURE "\x22\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01\xbb", NULL), /* command 2 */
        SAMPLE(SIGNATURE "\x21\x11\x00\x0b\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x34\x01", NULL),     /* too short */
        SAMPLE(SIGNATURE "\x21\x21\x00\x23", NULL),
        SAMPLE(SIGNATURE "\x21\x11\xff\xff", NULL), /* too long */
        SAMPLE("\r\n\r\n\0\r\nQUIT\r", NULL),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t at_once = 1; at_once < 40; at_once += 38) {
            struct proxy_header header;
            size_t taken;
            if (feed(&header, span_of(bad[i].bytes, bad[i].size), at_once, &taken) != PROXY_HEADER_BAD) {
                fail_msg("case %zu was not refused", i);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_headers_are_read_exactly),
        cmocka_unit_test(a_header_that_is_cut_short_wants_more),
        cmocka_unit_test(other_bytes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
