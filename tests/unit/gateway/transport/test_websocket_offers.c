/* Which offers of permessage-deflate are taken: those of RFC 7692 7.1, its examples, and lists that are none. */
#include "gateway/transport/websocket_offers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DEFLATE  "permessage-deflate"
#define NO_TAKEN "; server_no_context_takeover; client_no_context_takeover"

static const struct {
    const char *list;
    unsigned n_offers;
    const char *parameters; /* NULL: not agreed */
} cases[] = {
    {DEFLATE, 1, NO_TAKEN},
    {"  " DEFLATE "\t", 1, NO_TAKEN},
    {DEFLATE "; client_max_window_bits", 1, NO_TAKEN},
    {DEFLATE ";client_max_window_bits=15", 1, NO_TAKEN},
    {DEFLATE "; client_max_window_bits=8", 1, NO_TAKEN},
    {DEFLATE "; client_max_window_bits = \"10\"", 1, NO_TAKEN},
    {DEFLATE "; server_no_context_takeover; client_no_context_takeover", 1, NO_TAKEN},
    {DEFLATE "; server_max_window_bits=15", 1, NO_TAKEN "; server_max_window_bits=12"},
    {DEFLATE "; server_max_window_bits=\"12\"; client_max_window_bits", 1, NO_TAKEN "; server_max_window_bits=12"},
    {"foo, " DEFLATE ", bar; x=1", 1, NO_TAKEN},
    {DEFLATE "; server_max_window_bits=10, " DEFLATE "; client_max_window_bits", 2, NO_TAKEN},
    {DEFLATE "; unknown, " DEFLATE "; server_max_window_bits=13, " DEFLATE, 3, NO_TAKEN "; server_max_window_bits=12"},
    {DEFLATE ", " DEFLATE, 2, NO_TAKEN},
    /* declined */
    {"", 0, NULL},
    {"foo", 0, NULL},
    {"PERMESSAGE-DEFLATE", 0, NULL},
    {"x-webkit-deflate-frame", 0, NULL},
    {DEFLATE "; unknown", 1, NULL},
    {DEFLATE "; unknown=1", 1, NULL},
    {DEFLATE "; server_max_window_bits", 1, NULL},
    {DEFLATE "; server_max_window_bits=11", 1, NULL},
    {DEFLATE "; server_max_window_bits=8", 1, NULL},
    {DEFLATE "; server_max_window_bits=7", 1, NULL},
    {DEFLATE "; server_max_window_bits=16", 1, NULL},
    {DEFLATE "; server_max_window_bits=012", 1, NULL},
    {DEFLATE "; server_max_window_bits=+12", 1, NULL},
    {DEFLATE "; server_max_window_bits=12.0", 1, NULL},
    {DEFLATE "; server_max_window_bits=18446744073709551628", 1, NULL},
    {DEFLATE "; client_max_window_bits=0", 1, NULL},
    {DEFLATE "; client_max_window_bits=16", 1, NULL},
    {DEFLATE "; server_no_context_takeover=1", 1, NULL},
    {DEFLATE "; client_no_context_takeover=\"1\"", 1, NULL},
    {DEFLATE "; server_no_context_takeover; server_no_context_takeover", 1, NULL},
    {DEFLATE "; client_max_window_bits; client_max_window_bits=10", 1, NULL},
    /* no lists */
    {DEFLATE ";", 1, NULL},
    {DEFLATE ",", 1, NULL},
    {"," DEFLATE, 0, NULL},
    {DEFLATE "; =1", 1, NULL},
    {DEFLATE "; client_max_window_bits=", 1, NULL},
    {DEFLATE "; client_max_window_bits=\"10", 1, NULL},
    {DEFLATE "; client_max_window_bits=\"1,0\"", 1, NULL},
    {DEFLATE " foo", 1, NULL},
    {"foo; a=\"b, " DEFLATE "\"", 0, NULL},
    {DEFLATE "; client_max_window_bits\x01", 1, NULL},
};

static void each_list_is_answered_as_the_rfc_wants(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct websocket_agreement agreement;
        bool agreed = websocket_offers_choose(span_of_text(cases[i].list), &agreement);
        if (agreed != (cases[i].parameters != NULL)) {
            fail_msg("\"%s\" is %s", cases[i].list, agreed ? "taken" : "declined");
        }
        if (agreed) {
            assert_int_equal(agreement.n_offers, cases[i].n_offers);
            assert_string_equal(websocket_agreement_parameters(&agreement), cases[i].parameters);
        }
    }
}

static void a_list_with_a_nul_is_none(void **state) {
    (void) state;
    struct websocket_agreement agreement;
    assert_false(websocket_offers_choose(span_of(DEFLATE "\0", sizeof DEFLATE), &agreement));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_list_is_answered_as_the_rfc_wants),
        cmocka_unit_test(a_list_with_a_nul_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
