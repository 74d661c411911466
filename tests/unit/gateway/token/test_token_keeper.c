/* The file of revocations when it cannot be read: at the bound of descriptors nobody opens a file, and who was locked
 * out meanwhile has to be out as soon as there is one again. */
#include <stdbool.h>
#include <stddef.h>

#include "base/config_assign.h"

static bool fails(const char *path, size_t limit, struct buffer *ret_text, const char **ret_reason);
#define config_read_file fails
#include "gateway/token/token_keeper.c"
#undef config_read_file

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATIENCE_MS = 20000, POLL_US = 2000, ERROR_SIZE = 512 };

static atomic_bool no_descriptor;
static atomic_uint n_refused;
static atomic_uint n_trusts;

static bool fails(const char *path, size_t limit, struct buffer *ret_text, const char **ret_reason) {
    if (atomic_load(&no_descriptor)) {
        atomic_fetch_add(&n_refused, 1);
        *ret_reason = strerror(EMFILE);
        return false;
    }
    return config_read_file(path, limit, ret_text, ret_reason);
}

static void on_trust(void *context, token_trust_t *trust) {
    (void) context;
    (void) trust;
    atomic_fetch_add(&n_trusts, 1);
}

static void await_count(atomic_uint *count, unsigned at_least) {
    for (uint64_t end_ms = clock_monotonic_ms() + PATIENCE_MS; atomic_load(count) < at_least;) {
        assert_true(clock_monotonic_ms() < end_ms);
        usleep(POLL_US);
    }
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static bool are_old(const token_keeper_t *self) {
    struct token_keeper_status status;
    token_keeper_read_status(self, &status);
    return status.revocations_are_old;
}

static void what_could_not_be_read_is_read_as_soon_as_it_can(void **state) {
    (void) state;
    char path[] = "/tmp/callboard-revocations-XXXXXX";
    char error[ERROR_SIZE];
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    static char nothing[] = "";
    struct token_settings none = {
        .secret = nothing, .public_key_file = nothing, .jwks_url = nothing, .jwks_ca_file = nothing};
    struct gateway_config config = {
        .token = none, .subscription_token = none, .revocation_file = path, .revocation_bytes = 1 << 20};
    metrics_t *metrics = metrics_new();
    const struct token_keeper_options options = {.config = &config, .metrics = metrics, .on_trust = on_trust};
    token_keeper_t *keeper = token_keeper_new(&options, error, sizeof error);
    assert_non_null(keeper);
    assert_true(token_keeper_start(keeper, error, sizeof error));
    atomic_store(&no_descriptor, true);
    write_text(path, "{\"user\":\"left\",\"not_before\":1}\n");
    await_count(&n_refused, 2);
    assert_int_equal(atomic_load(&n_trusts), 0);
    assert_true(are_old(keeper));
    atomic_store(&no_descriptor, false);
    await_count(&n_trusts, 1);
    assert_false(are_old(keeper));
    token_keeper_destroy(&keeper);
    metrics_destroy(&metrics);
    assert_int_equal(unlink(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_could_not_be_read_is_read_as_soon_as_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
