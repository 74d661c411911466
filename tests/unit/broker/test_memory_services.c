/* What the contract does not say of leases and values in memory: their bound, and tokens against the clock. */
#include "broker/memory/memory_services.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int64_t wall_ms;
static int64_t fake_wall_ms(void) {
    return wall_ms;
}
static uint64_t fake_monotonic_us(void) {
    return 1000000;
}

static enum engine_outcome ask(struct memory_services *self, const char *name, struct engine_service *request,
                               uint64_t now_ms) {
    payload_t *content = NULL;
    request->name = span_of_text(name);
    request->nonce = request->nonce.size == 0 ? SPAN_LITERAL("n") : request->nonce;
    enum engine_outcome outcome = memory_services_serve(self, request, now_ms, &content);
    payload_unref(&content);
    return outcome;
}

static uint64_t acquire(struct memory_services *self, const char *name, uint64_t now_ms) {
    struct engine_service request = {.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = 100};
    assert_int_equal(ask(self, name, &request, now_ms), ENGINE_OK);
    return request.granted;
}

static void tokens_begin_with_the_clock_and_rise_also_when_it_goes_back(void **state) {
    struct memory_services services;
    (void) state;
    clock_replace(fake_monotonic_us, fake_wall_ms);
    memory_services_init(&services, 1 << 20);
    wall_ms = 5000;
    assert_true(acquire(&services, "a", 0) == 5000000);
    assert_true(acquire(&services, "b", 0) == 5000001);
    wall_ms = 1000;
    assert_true(acquire(&services, "a", 100) == 5000002);
    wall_ms = 6000;
    assert_true(acquire(&services, "a", 200) == 6000000);
    memory_services_finish(&services);
    clock_replace(NULL, NULL);
}

static void at_its_bytes_it_takes_no_more_and_goes_on_when_something_ended(void **state) {
    struct memory_services services;
    uint8_t large[1000] = {0};
    (void) state;
    memory_services_init(&services, 5000);
    unsigned n = 0;
    enum engine_outcome outcome = ENGINE_OK;
    while (outcome == ENGINE_OK && n < 10) {
        char name[16];
        snprintf(name, sizeof name, "k%u", n);
        struct engine_service set = {.verb = ENGINE_KV_SET, .ttl_ms = 100, .value = span_of(large, sizeof large)};
        outcome = ask(&services, name, &set, 0);
        n += outcome == ENGINE_OK;
    }
    assert_int_equal(outcome, ENGINE_FULL);
    assert_int_equal(n, 4);
    assert_int_equal(services.n_full, 1);
    struct engine_service again = {.verb = ENGINE_KV_SET, .value = span_of(large, sizeof large)};
    assert_int_equal(ask(&services, "k0", &again, 0), ENGINE_OK); /* in the place of what was there */
    memory_services_sweep(&services, 100, 100);
    assert_int_equal(services.records.n, 1);
    assert_int_equal(ask(&services, "k9", &again, 100), ENGINE_OK);
    memory_services_finish(&services);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_begin_with_the_clock_and_rise_also_when_it_goes_back),
        cmocka_unit_test(at_its_bytes_it_takes_no_more_and_goes_on_when_something_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
