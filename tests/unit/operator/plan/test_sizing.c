/* From a workload to figures: what was measured is not undercut, what is not said is not guessed, and more never needs
 * less. */
#include "operator/plan/sizing.h"

#include "operator/cli/operator_program.h"
#include "operator/plan/sizing_constants.h"
#include "operator/spec/spec_document.h"

#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"

/* ---- a spec ---- */

struct fixture {
    arena_t *arena;
    struct spec_documents documents;
    struct buffer text;
};

static const struct sizing *size_of_text(struct fixture *self, const char *spec) {
    self->arena = arena_new();
    self->text = BUFFER_EMPTY;
    buffer_append_format(&self->text, HEADER "%s", spec);
    struct diagnostics *diagnostics = arena_alloc(self->arena, sizeof *diagnostics);
    struct spec_settings settings = {0};
    spec_documents_init(&self->documents, self->arena);
    diagnostics_init(diagnostics, self->arena);
    spec_documents_read(&self->documents, "deploy.yaml", buffer_span(&self->text), &settings, diagnostics);
    spec_documents_close(&self->documents, &settings, diagnostics);
    assert_int_equal(diagnostics->n_errors, 0);
    return sizing_of(self->arena, &self->documents.items[0]->spec);
}

static void finish(struct fixture *self) {
    spec_documents_finish(&self->documents);
    buffer_finish(&self->text);
    arena_destroy(&self->arena);
}

/* One figure of a spec; below 0: unknown. */
static double need_of(enum sizing_figure figure, const char *spec) {
    struct fixture fixture;
    const struct sizing *sizing = size_of_text(&fixture, spec);
    double need = sizing->values[figure].is_known ? sizing->values[figure].need : -1;
    finish(&fixture);
    return need;
}

/* ---- the tables ---- */

static bool names(const char *list, const char *name) {
    size_t size = strlen(name);
    for (const char *at = list; (at = strstr(at, name)) != NULL; at += size) {
        bool begins = at == list || at[-1] == ' ';
        if (begins && (at[size] == '\0' || at[size] == ',')) {
            return true;
        }
    }
    return false;
}

static bool is_constant(struct span name) {
    for (int i = 0; i < SIZING_CONSTANTS_N; i++) {
        if (span_equal_text(name, sizing_constant_row((enum sizing_constant) i)->name)) {
            return true;
        }
    }
    return false;
}

static void figures_name_constants_that_are_there(void **state) {
    (void) state;
    for (int i = 0; i < SIZING_FIGURES_N; i++) {
        const char *at = sizing_figure_row((enum sizing_figure) i)->constants;
        while (*at != '\0') {
            size_t size = strcspn(at, ",");
            assert_true(is_constant(span_of(at, size)));
            at += size;
            at += strspn(at, ", ");
        }
    }
}

static void each_constant_has_a_source_and_a_figure(void **state) {
    (void) state;
    for (int i = 0; i < SIZING_CONSTANTS_N; i++) {
        const struct sizing_constant_row *row = sizing_constant_row((enum sizing_constant) i);
        bool is_used = false;
        for (int k = 0; k < SIZING_FIGURES_N; k++) {
            is_used = is_used || names(sizing_figure_row((enum sizing_figure) k)->constants, row->name);
        }
        assert_true(is_used);
        assert_true(row->value > 0);
        assert_true(strlen(row->source) > 10);
    }
}

/* ---- figures ---- */

/* Rows of tests/bench/README.md (kept_sizes.py): bytes, kept, block, what a channel took. */
static void histories_are_never_taken_for_smaller_than_measured(void **state) {
    (void) state;
    static const struct {
        int bytes;
        int kept;
        int block;
        double measured;
    } rows[] = {
        {100, 1, 4096, 4724},    {100, 20, 4096, 4709},     {100, 200, 4096, 33829}, {100, 1, 1024, 1652},
        {100, 20, 1024, 4357},   {100, 200, 1024, 39173},   {200, 1, 4096, 4724},    {200, 20, 4096, 8917},
        {200, 200, 4096, 54597}, {200, 20, 1024, 6021},     {200, 200, 1024, 54709}, {1000, 1, 4096, 4724},
        {1000, 20, 4096, 26613}, {1000, 200, 4096, 245093},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char spec[256];
        snprintf(spec, sizeof spec,
                 "  profile: ha\n  redis: {streamNodeMaxBytes: %d}\n"
                 "  workload: {channels: 1000, messageBytes: %d, history: {size: %d}}\n",
                 rows[i].block, rows[i].bytes, rows[i].kept);
        double channel = need_of(SIZING_REDIS_DATA, spec) / 1000;
        assert_true(channel >= rows[i].measured);
        assert_true(channel <= rows[i].measured * 1.35);
    }
}

static void gateways_bear_the_loss_of_a_zone(void **state) {
    (void) state;
    /* 100,000 / (0.65 × 20,000) = 7.7; of 8 a zone of three takes 3, and 5 × 20,000 are just enough */
    assert_true(
        need_of(SIZING_GATEWAYS_FOR_CONNECTIONS, "  profile: ha\n  workload: {gateway: {connections: 100000}}\n") == 8);
    /* two zones: half of them */
    assert_true(need_of(SIZING_GATEWAYS_FOR_CONNECTIONS, "  profile: ha\n  scheduling: {zones: 2}\n"
                                                         "  workload: {gateway: {connections: 100000}}\n") == 10);
}

#define SHOP                                                                                                           \
    "  workload: {gateway: {connections: 100000, connectRate: 500}, publishRate: 5000, messageBytes: 200, fanout: "    \
    "20, channels: 10000, history: {size: 100, ttl: 24h}}\n"

/* Calculated on paper, with the constants as they stand there: another formula or constant changes docs/capacity.md. */
static void figures_are_what_the_formulas_give_on_paper(void **state) {
    (void) state;
    static const struct {
        const char *spec;
        enum sizing_figure figure;
        double need;
    } rows[] = {
        {"  profile: ha\n" SHOP, SIZING_GATEWAYS_FOR_CONNECTIONS, 8},
        {"  profile: ha\n" SHOP, SIZING_GATEWAYS_FOR_CPU, 3},
        {"  profile: ha\n" SHOP, SIZING_GATEWAYS_FOR_NETWORK, 1},
        {"  profile: ha\n" SHOP, SIZING_GATEWAY_CPU, ((0.0215 + 0.09 + 0.73) / 8 + 0.3 + 0.018) / 0.7},
        {"  profile: ha\n" SHOP, SIZING_GATEWAY_MEMORY, (17825792.0 + 20000.0 * 19303) / 0.8},
        {"  profile: ha\n" SHOP, SIZING_GATEWAY_DESCRIPTORS, 20064},
        {"  profile: ha\n" SHOP, SIZING_BROKERS, 2},
        {"  profile: ha\n" SHOP, SIZING_BROKER_CPU, 0.075 / 2 / 0.7},
        {"  profile: ha\n" SHOP, SIZING_REDIS_DATA, 308360000},
        {"  profile: ha\n" SHOP, SIZING_REDIS_MAXMEMORY, 385450000},
        {"  profile: ha\n" SHOP, SIZING_REDIS_MEMORY, 385450000 / 0.6},
        {"  profile: ha\n" SHOP, SIZING_REDIS_VOLUME, 3 * 385450000.0},
        {"  profile: ha\n" SHOP, SIZING_REDIS_DISK, 3010000},
        {"  profile: ha\n" SHOP, SIZING_DRAIN_WINDOW, 40},
        {"  profile: ha\n" SHOP, SIZING_GRACE, 65},
        {"  profile: ha\n" SHOP, SIZING_ROLL, 180},
        {"  profile: ha\n" SHOP, SIZING_RETURN, 4.3 / 5.6},
        {"  profile: ha\n" SHOP, SIZING_FAILOVER, 6.3},
        {"  profile: cluster\n" SHOP, SIZING_FAILOVER, 8},
        {"  profile: ha\n  gateway: {connectionsMax: 1000}\n" SHOP, SIZING_DRAIN_WINDOW, 20},
        /* one subscriber: a publication reaches one of eight workers */
        {"  profile: ha\n  workload: {gateway: {connections: 100000}, publishRate: 5000, fanout: 1}\n",
         SIZING_GATEWAY_CPU, ((0.09 + 0.0365) / 8 + 625 * 0.0000636) / 0.7},
        /* 50,000 a second: what is written while the file is rewritten is more than the memory */
        {"  profile: ha\n  workload: {publishRate: 50000, messageBytes: 200, channels: 10000, history: {size: 100}}\n",
         SIZING_REDIS_VOLUME, 3 * 308360000.0 + 60 * 30100000.0},
        /* 36,000 in at most an hour are 11.1 handshakes a second */
        {"  profile: ha\n  gateway: {maxConnectionAge: 1h}\n  workload: {gateway: {connections: 36000}}\n",
         SIZING_GATEWAY_CPU, (36000 / 3240.0 * 0.000043 + 0.0324) / 3 / 0.7},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        double need = need_of(rows[i].figure, rows[i].spec);
        if (need < rows[i].need * 0.9999 || need > rows[i].need * 1.0001) {
            fail_msg("%zu: %s is %f, on paper %f", i, sizing_figure_row(rows[i].figure)->name, need, rows[i].need);
        }
    }
}

static void what_the_workload_does_not_say_is_unknown(void **state) {
    (void) state;
    const char *spec = "  profile: ha\n  workload: {gateway: {connections: 1000}}\n";
    assert_true(need_of(SIZING_BROKERS, spec) < 0);
    assert_true(need_of(SIZING_REDIS_DATA, spec) < 0);
    assert_true(need_of(SIZING_GATEWAYS, "  profile: ha\n") < 0);
    assert_true(need_of(SIZING_REDIS_DATA, "  profile: dev\n  workload: {channels: 10, history: {size: 10}}\n") < 0);
}

static void a_short_time_keeps_fewer(void **state) {
    (void) state;
    double all = need_of(SIZING_REDIS_DATA,
                         "  profile: ha\n  workload: {publishRate: 100, channels: 100, history: {size: 1000}}\n");
    double few =
        need_of(SIZING_REDIS_DATA,
                "  profile: ha\n  workload: {publishRate: 100, channels: 100, history: {size: 1000, ttl: 10s}}\n");
    assert_true(few > 0 && few < all / 10);
}

static void more_never_needs_less(void **state) {
    (void) state;
    struct fixture fixture;
    double before[SIZING_FIGURES_N] = {0};
    for (int factor = 1; factor <= 64; factor *= 2) {
        char spec[512];
        snprintf(spec, sizeof spec,
                 "  profile: cluster\n  workload: {gateway: {connections: %d, connectRate: %d}, publishRate: %d, "
                 "fanout: 10, channels: %d, history: {size: 100}}\n",
                 20000 * factor, 100 * factor, 1000 * factor, 5000 * factor);
        const struct sizing *sizing = size_of_text(&fixture, spec);
        for (int i = 0; i < SIZING_FIGURES_N; i++) {
            bool is_spread = i == SIZING_GATEWAY_CPU || i == SIZING_EGRESS_A_POD || i == SIZING_RETURN ||
                             i == SIZING_BROKER_CPU || i == SIZING_BROKER_MEMORY; /* over more pods */
            assert_true(sizing->values[i].is_known);
            assert_true(is_spread || sizing->values[i].need >= before[i]);
            before[i] = sizing->values[i].need;
        }
        finish(&fixture);
    }
}

/* ---- the command ---- */

static int call(struct buffer *out, struct buffer *messages, const char *format, const char *more) {
    char *arguments[] = {(char *) "callboard-operator",
                         (char *) "plan",
                         (char *) "--connections=30000",
                         (char *) "--rate=1000",
                         (char *) "-o",
                         (char *) format,
                         (char *) more};
    buffer_clear(out);
    buffer_clear(messages);
    int exit_code = operator_program_call(7, arguments, out, messages);
    buffer_append_char(out, '\0');
    buffer_append_char(messages, '\0');
    return exit_code;
}

static void flags_are_typed_and_a_plan_needs_no_spec(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    struct buffer messages = BUFFER_EMPTY;
    assert_int_equal(call(&out, &messages, "text", "--size=1Ki"), OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, "30,000 connections, 1,000 publications a second of 1 KiB"));
    assert_non_null(strstr((char *) out.data, "margin: 35 % of each pod's connections stay free"));
    assert_non_null(strstr((char *) out.data, "handshake CPU"));
    assert_int_equal(call(&out, &messages, "text", "--size=big"), OPERATOR_INVALID);
    assert_non_null(strstr((char *) messages.data, "spec.workload.messageBytes"));
    assert_int_equal(call(&out, &messages, "text", "--sizes=1"), OPERATOR_USAGE);
    assert_non_null(strstr((char *) messages.data, "did you mean --size?"));
    assert_int_equal(call(&out, &messages, "text", "--profile=cluster"), OPERATOR_DONE);
    assert_non_null(strstr((char *) out.data, "50,000"));
    buffer_finish(&out);
    buffer_finish(&messages);
}

static void json_has_what_programs_need(void **state) {
    (void) state;
    struct buffer out = BUFFER_EMPTY;
    struct buffer messages = BUFFER_EMPTY;
    assert_int_equal(call(&out, &messages, "json", "--fanout=5"), OPERATOR_DONE);
    cJSON *top = cJSON_Parse((char *) out.data);
    assert_non_null(top);
    const cJSON *plan = cJSON_GetArrayItem(cJSON_GetObjectItem(top, "deployments"), 0);
    assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(plan, "workload"), "connections")->valueint, 30000);
    const cJSON *figure = cJSON_GetArrayItem(cJSON_GetObjectItem(plan, "figures"), 0);
    assert_string_equal(cJSON_GetObjectItem(figure, "key")->valuestring, "podsForConnections");
    assert_int_equal(cJSON_GetObjectItem(figure, "needed")->valueint, 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(top, "constants")), SIZING_CONSTANTS_N);
    cJSON_Delete(top);
    buffer_finish(&out);
    buffer_finish(&messages);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_name_constants_that_are_there),
        cmocka_unit_test(each_constant_has_a_source_and_a_figure),
        cmocka_unit_test(histories_are_never_taken_for_smaller_than_measured),
        cmocka_unit_test(gateways_bear_the_loss_of_a_zone),
        cmocka_unit_test(figures_are_what_the_formulas_give_on_paper),
        cmocka_unit_test(what_the_workload_does_not_say_is_unknown),
        cmocka_unit_test(a_short_time_keeps_fewer),
        cmocka_unit_test(more_never_needs_less),
        cmocka_unit_test(flags_are_typed_and_a_plan_needs_no_spec),
        cmocka_unit_test(json_has_what_programs_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
