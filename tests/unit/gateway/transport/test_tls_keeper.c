/* The certificate of the public listener while its files change: by a link as Kubernetes does it, one after the other,
 * broken, expired, before its time. */
#include "gateway/transport/tls_keeper.h"

#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/certificates.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { STEP_MS = 1000, PATHS = 4, PATH_SIZE = 128 };

static char folder[64];
static uint64_t clock_ms = 100000;

static uint64_t read_clock(void) {
    return clock_ms * 1000;
}

static const char *path_of(const char *name, const char *ending) {
    static char paths[PATHS][PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, ending);
    return path;
}

static void link_to(const char *name, const char *target) {
    unlink(path_of(name, ""));
    assert_int_equal(symlink(target, path_of(name, "")), 0);
}

/* What the settings name, from this pair's certificate and that one's key. */
static void install(const char *certificate, const char *key) {
    link_to("tls.crt", path_of(certificate, ".crt"));
    link_to("tls.key", path_of(key, ".key"));
}

static int set_up_group(void **state) {
    (void) state;
    static const struct certificate_wish wishes[] = {
        {"first", "authority", NULL, false, false},
        {"second", "authority", NULL, false, false},
        {"expired", "authority", NULL, true, false},
        {"early", "authority", NULL, false, true},
    };
    snprintf(folder, sizeof folder, "/tmp/callboard-tls-keeper-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    certificates_make_authority(folder, "authority");
    for (size_t i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        certificates_make(folder, &wishes[i]);
    }
    clock_replace(read_clock, NULL);
    return 0;
}

static int tear_down_group(void **state) {
    (void) state;
    static const char *const names[] = {"authority", "first", "second", "expired", "early", "tls"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unlink(path_of(names[i], ".crt"));
        unlink(path_of(names[i], ".key"));
    }
    clock_replace(NULL, NULL);
    return rmdir(folder);
}

/* ---- a keeper ---- */

struct world {
    struct gateway_config config;
    metrics_t *metrics;
    tls_keeper_t *keeper;
    const tls_credentials_t *shown; /* what was handed out */
    unsigned n_renewed;
};

static void on_renewed(void *context, const tls_credentials_t *credentials) {
    struct world *world = context;
    world->shown = credentials;
    world->n_renewed++;
}

static int set_up(void **state) {
    struct world *world = memory_alloc_zero(sizeof *world);
    char error[512] = "";
    install("first", "first");
    world->metrics = metrics_new();
    world->config.tls_certificate_file = memory_strdup(path_of("tls", ".crt"));
    world->config.tls_key_file = memory_strdup(path_of("tls", ".key"));
    world->config.tls_check_interval_ms = STEP_MS;
    const struct tls_keeper_options options = {
        .config = &world->config, .metrics = world->metrics, .context = world, .on_renewed = on_renewed};
    world->keeper = tls_keeper_new(&options, error, sizeof error);
    assert_string_equal(error, "");
    world->shown = tls_keeper_credentials(world->keeper);
    *state = world;
    return 0;
}

static int tear_down(void **state) {
    struct world *world = *state;
    tls_keeper_destroy(&world->keeper);
    metrics_destroy(&world->metrics);
    memory_free(world->config.tls_certificate_file);
    memory_free(world->config.tls_key_file);
    memory_free(world);
    return 0;
}

static void look(struct world *world, unsigned times) {
    for (unsigned i = 0; i < times; i++) {
        clock_ms += STEP_MS;
        tls_keeper_look(world->keeper);
    }
}

static bool is_refused(const struct world *world) {
    struct tls_keeper_status status;
    tls_keeper_read_status(world->keeper, &status);
    assert_int_equal(metrics_read(world->metrics, "callboard_tls_renewal_refused", NULL), status.is_renewal_refused);
    return status.is_renewal_refused;
}

static int64_t failures(const struct world *world) {
    return metrics_read(world->metrics, "callboard_tls_renewal_failures_total", NULL);
}

static void assert_stays(struct world *world, unsigned n_renewed) {
    assert_int_equal(world->n_renewed, n_renewed);
    assert_ptr_equal(world->shown, tls_keeper_credentials(world->keeper));
}

/* ---- the specs ---- */

static void a_renewed_pair_is_handed_out_once(void **state) {
    struct world *world = *state;
    look(world, 3);
    assert_stays(world, 0);
    install("second", "second");
    look(world, 1);
    assert_stays(world, 0); /* it may be half written */
    look(world, 1);
    assert_stays(world, 1);
    look(world, 3);
    assert_stays(world, 1);
    assert_false(is_refused(world));
    assert_int_equal(failures(world), 0);
    assert_int_equal(metrics_read(world->metrics, "callboard_tls_renewals_total", NULL), 1);
}

static void of_a_half_written_pair_neither_is_taken(void **state) {
    struct world *world = *state;
    install("second", "first");
    look(world, 2);
    assert_stays(world, 0);
    assert_true(is_refused(world));
    look(world, 2); /* tried at each look */
    assert_int_equal(failures(world), 3);
    install("second", "second");
    look(world, 1); /* as there they are, since they were refused before */
    assert_stays(world, 1);
    assert_false(is_refused(world));
}

static void what_is_put_back_is_taken_as_well(void **state) {
    struct world *world = *state;
    install("first", "second");
    look(world, 2);
    assert_true(is_refused(world));
    install("first", "first");
    look(world, 2);
    assert_false(is_refused(world));
}

static void one_that_is_not_valid_stays_away(void **state) {
    struct world *world = *state;
    static const char *const names[] = {"expired", "early"};
    for (size_t i = 0; i < 2; i++) {
        install(names[i], names[i]);
        look(world, 2);
        assert_stays(world, 0);
        assert_true(is_refused(world));
    }
    unlink(path_of("tls", ".crt")); /* what is in use needs no file */
    look(world, 3);
    assert_stays(world, 0);
    install("second", "second");
    look(world, 2);
    assert_stays(world, 1);
}

static void the_interval_is_kept_and_0_is_never(void **state) {
    struct world *world = *state;
    look(world, 1);
    install("second", "second");
    clock_ms += STEP_MS / 2;
    tls_keeper_look(world->keeper);
    tls_keeper_look(world->keeper);
    tls_keeper_look(world->keeper);
    assert_stays(world, 0);
    world->config.tls_check_interval_ms = 0;
    look(world, 5);
    assert_stays(world, 0);
}

static void a_reload_takes_files_and_ends_a_refusal(void **state) {
    struct world *world = *state;
    char error[512] = "";
    struct tls_next next;
    install("second", "first");
    look(world, 2);
    assert_true(is_refused(world));
    assert_false(tls_keeper_read_next(world->keeper, &world->config, &next, error, sizeof error));
    assert_non_null(strstr(error, "is not the key of the certificate"));
    install("second", "second");
    assert_true(tls_keeper_read_next(world->keeper, &world->config, &next, error, sizeof error));
    tls_keeper_take(world->keeper, &next);
    assert_ptr_equal(next.credentials, world->shown); /* the old ones, whose users are told now */
    tls_next_finish(&next);
    assert_false(is_refused(world));
    world->shown = tls_keeper_credentials(world->keeper);
    look(world, 3);
    assert_stays(world, 0);
}

static void a_reload_switches_tls_neither_on_nor_off(void **state) {
    struct world *world = *state;
    char error[512] = "";
    struct tls_next next;
    char none[] = "";
    struct gateway_config plain = {.tls_certificate_file = none, .tls_key_file = none};
    assert_false(tls_keeper_read_next(world->keeper, &plain, &next, error, sizeof error));
    assert_non_null(strstr(error, "by a restart only"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_renewed_pair_is_handed_out_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(of_a_half_written_pair_neither_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_put_back_is_taken_as_well, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_not_valid_stays_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_interval_is_kept_and_0_is_never, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_takes_files_and_ends_a_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reload_switches_tls_neither_on_nor_off, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
