/* What a gateway holds of the revocations that services told, and what of it the stream still has. */
#include "gateway/token/revocation_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NOW_S = 1000 };

static enum ledger_outcome take(revocation_ledger_t *ledger, const char *line, uint64_t offset) {
    return revocation_ledger_take(ledger, span_of_text(line), offset, NOW_S);
}

static void assert_below(const revocation_ledger_t *ledger, uint64_t offset, const char *line) {
    struct buffer out = BUFFER_EMPTY;
    bool is_there = revocation_ledger_find_below(ledger, offset, &out);
    assert_int_equal(is_there, line != NULL);
    if (line != NULL) {
        assert_true(span_equal_text(buffer_span(&out), line));
    }
    buffer_finish(&out);
}

static void of_a_name_the_latest_moment_and_end_are_held(void **state) {
    (void) state;
    revocation_ledger_t *ledger = revocation_ledger_new();
    struct buffer lines = BUFFER_EMPTY;
    assert_int_equal(take(ledger, "{\"user\":\"42\",\"not_before\":500,\"until\":2000}", 1), LEDGER_NEW);
    assert_int_equal(take(ledger, "{\"user\":\"42\",\"not_before\":500,\"until\":2000}", 2), LEDGER_KNOWN);
    assert_int_equal(take(ledger, "{\"user\":\"42\",\"not_before\":400,\"until\":2000}", 3), LEDGER_KNOWN);
    assert_int_equal(take(ledger, "{\"user\":\"42\",\"not_before\":600,\"until\":2100}", 4), LEDGER_NEW);
    assert_int_equal(revocation_ledger_count(ledger), 1);
    revocation_ledger_write(ledger, &lines);
    assert_true(span_equal_text(buffer_span(&lines), "{\"user\":\"42\",\"not_before\":600,\"until\":2100}\n"));
    assert_int_equal(take(ledger, "{\"jti\":\"42\",\"until\":1500}", 5), LEDGER_NEW); /* another kind, the same name */
    assert_int_equal(take(ledger, "{\"jti\":\"4\\\"2\"}", 6), LEDGER_NEW);
    assert_int_equal(take(ledger, "{\"jti\":\"past\",\"until\":1000}", 7), LEDGER_KNOWN);
    assert_int_equal(take(ledger, "{\"jti\":7}", 8), LEDGER_BAD);
    assert_int_equal(take(ledger, "", 9), LEDGER_BAD);
    assert_int_equal(revocation_ledger_count(ledger), 3);
    buffer_finish(&lines);
    revocation_ledger_destroy(&ledger);
    revocation_ledger_destroy(&ledger);
}

static void what_has_ended_goes(void **state) {
    (void) state;
    revocation_ledger_t *ledger = revocation_ledger_new();
    take(ledger, "{\"jti\":\"a\",\"until\":1500}", 1);
    take(ledger, "{\"jti\":\"b\",\"until\":1600}", 2);
    take(ledger, "{\"jti\":\"c\"}", 3);
    take(ledger, "{\"jti\":\"a\",\"until\":1400}", 4); /* an earlier end takes nothing back */
    assert_int_equal(revocation_ledger_expire(ledger, 1499), 0);
    assert_int_equal(revocation_ledger_expire(ledger, 1500), 1);
    assert_int_equal(revocation_ledger_expire(ledger, INT64_C(1) << 40), 1);
    assert_int_equal(revocation_ledger_count(ledger), 1);
    revocation_ledger_destroy(&ledger);
}

static void what_the_stream_lacks_is_found(void **state) {
    (void) state;
    revocation_ledger_t *ledger = revocation_ledger_new();
    const char *line = "{\"user\":\"42\",\"not_before\":500,\"until\":2000}";
    take(ledger, line, 7);
    assert_below(ledger, 1, NULL);
    assert_below(ledger, 7, NULL);
    assert_below(ledger, 8, line);
    revocation_ledger_forget_offsets(ledger);
    assert_below(ledger, 1, line);
    take(ledger, "{\"user\":\"42\",\"not_before\":400,\"until\":2000}", 9); /* says less than is held */
    assert_below(ledger, 1, line);
    take(ledger, line, 10);
    assert_below(ledger, 10, NULL);
    /* Half of it each: nothing in the stream says all that is held. */
    take(ledger, "{\"user\":\"42\",\"not_before\":600,\"until\":1500}", 11);
    assert_below(ledger, 1, "{\"user\":\"42\",\"not_before\":600,\"until\":2000}");
    take(ledger, "{\"user\":\"42\",\"not_before\":600,\"until\":2000}", 12);
    assert_below(ledger, 12, NULL);
    revocation_ledger_destroy(&ledger);
}

static void thousands_are_held(void **state) {
    (void) state;
    revocation_ledger_t *ledger = revocation_ledger_new();
    for (unsigned i = 0; i < 5000; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"jti\":\"token-%u\",\"until\":%u}", i, 1001 + i);
        assert_int_equal(take(ledger, line, i + 1), LEDGER_NEW);
    }
    assert_int_equal(revocation_ledger_count(ledger), 5000);
    assert_int_equal(revocation_ledger_expire(ledger, 3500), 2500);
    assert_int_equal(revocation_ledger_count(ledger), 2500);
    revocation_ledger_destroy(&ledger);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_name_the_latest_moment_and_end_are_held),
        cmocka_unit_test(what_has_ended_goes),
        cmocka_unit_test(what_the_stream_lacks_is_found),
        cmocka_unit_test(thousands_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
