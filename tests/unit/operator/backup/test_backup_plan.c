/* Who a copy is taken from, and when none is begun: a part that is missing would be found out only when the copy is
 * needed. */
#include "operator/backup/backup_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { PODS = 3 };

#define A    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C    "cccccccccccccccccccccccccccccccccccccccc"
#define TAIL " 0 0 1 connected"

static struct cluster_pod pods[PODS];
static const struct cluster_view view = {.pods = pods, .n = PODS, .shards = 3};

/* Three primaries; `slots`: what stands behind each of them. */
static void make_view(const char *a, const char *b, const char *c) {
    static const char *const names[PODS] = {"p0", "p1", "p2"};
    for (unsigned i = 0; i < PODS; i++) {
        char text[800];
        snprintf(text, sizeof text,
                 A " 10.0.0.0:1@2 %smaster -" TAIL " %s\n" B " 10.0.0.1:1@2 %smaster -" TAIL " %s\n" C
                   " 10.0.0.2:1@2 %smaster -" TAIL " %s\n",
                 i == 0 ? "myself," : "", a, i == 1 ? "myself," : "", b, i == 2 ? "myself," : "", c);
        cluster_table_finish(&pods[i].table);
        pods[i] = (struct cluster_pod){.answers = true,
                                       .name = names[i],
                                       .port = 1,
                                       .is_link_up = true,
                                       .is_state_ok = true,
                                       .slots_ok = CLUSTER_SLOTS,
                                       .offset = 1000};
        snprintf(pods[i].host, sizeof pods[i].host, "10.0.0.%u", i);
        assert_true(cluster_table_parse(&pods[i].table, span_of_text(text)));
    }
}

static int tear_down(void **state) {
    (void) state;
    for (unsigned i = 0; i < PODS; i++) {
        cluster_table_finish(&pods[i].table);
    }
    return 0;
}

static void each_shard_is_a_part(void **state) {
    (void) state;
    struct backup_plan plan;
    make_view("0-5460", "5461-10922", "10923-16383");
    assert_true(backup_plan_cluster(&plan, &view));
    assert_int_equal(plan.n, 3);
    assert_string_equal(plan.sources[1].slots, "5461-10922");
    backup_plan_finish(&plan);
}

static void a_slot_that_nobody_serves_begins_no_copy(void **state) {
    (void) state;
    struct backup_plan plan;
    make_view("0-5460", "5461-10922", "10924-16383");
    assert_false(backup_plan_cluster(&plan, &view));
    assert_non_null(strstr(plan.reason, "serve 16383 of 16384 slots"));
    backup_plan_finish(&plan);
    make_view("0-5460", "5461-10922", "10923-16383");
    pods[2].answers = false;
    assert_false(backup_plan_cluster(&plan, &view));
    assert_non_null(strstr(plan.reason, "serve 10923 of 16384 slots"));
    backup_plan_finish(&plan);
}

static void a_slot_on_its_way_begins_no_copy(void **state) {
    (void) state;
    struct backup_plan plan;
    make_view("0-5460", "5461-10922 [6000->-" C "]", "10923-16383");
    assert_false(backup_plan_cluster(&plan, &view));
    assert_non_null(strstr(plan.reason, "pod p1 has a slot that is on its way"));
    backup_plan_finish(&plan);
}

static struct backup_plan plan_of(const char *a, const char *b, const char *c) {
    struct backup_plan plan;
    make_view(a, b, c);
    assert_true(backup_plan_cluster(&plan, &view));
    return plan;
}

static void slots_that_moved_meanwhile_show(void **state) {
    (void) state;
    struct backup_plan before = plan_of("0-5460", "5461-10922", "10923-16383");
    struct backup_plan same = plan_of("10923-16383", "0-5460", "5461-10922");
    struct backup_plan moved = plan_of("0-5461", "5462-10922", "10923-16383");
    struct backup_plan fewer = plan_of("0-10922", "", "10923-16383");
    assert_true(backup_plan_has_same_slots(&before, &same));
    assert_false(backup_plan_has_same_slots(&before, &moved));
    assert_false(backup_plan_has_same_slots(&before, &fewer));
    struct backup_plan part = {.n = 2, .sources = before.sources};
    assert_false(backup_plan_has_same_slots(&part, &before));
    backup_plan_finish(&before);
    backup_plan_finish(&same);
    backup_plan_finish(&moved);
    backup_plan_finish(&fewer);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_shard_is_a_part),
        cmocka_unit_test(a_slot_that_nobody_serves_begins_no_copy),
        cmocka_unit_test(a_slot_on_its_way_begins_no_copy),
        cmocka_unit_test(slots_that_moved_meanwhile_show),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
