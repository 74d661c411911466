#include "operator/redis/roll_plan.h"

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
static const struct cluster_view view = {.pods = pods, .n = PODS, .shards = 1};

/* One shard: pod 0 its primary, two replicas; slots: what stands behind pod 0's range. */
static void make_view(const char *slots) {
    static const char *const names[PODS] = {"p0", "p1", "p2"};
    for (unsigned i = 0; i < PODS; i++) {
        char text[800];
        snprintf(text, sizeof text,
                 A " 10.0.0.0:1@2 %smaster -" TAIL " 0-16383%s\n" B " 10.0.0.1:1@2 %sslave " A TAIL "\n" C
                   " 10.0.0.2:1@2 %sslave " A TAIL "\n",
                 i == 0 ? "myself," : "", i == 0 ? slots : "", i == 1 ? "myself," : "", i == 2 ? "myself," : "");
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

static void expect(unsigned pod, enum roll_verdict verdict, const char *text, unsigned heir) {
    char reason[CLUSTER_REASON_MAX] = "";
    unsigned got = PODS;
    assert_int_equal(roll_judge(&view, pod, 100, &got, reason), verdict);
    if (strstr(reason, text) == NULL || got != heir) {
        fail_msg("pod %u: heir %u, %s", pod, got, reason);
    }
}

static void a_primary_hands_over_to_the_nearest(void **state) {
    (void) state;
    make_view("");
    pods[1].offset = 950;
    pods[2].offset = 990;
    expect(0, ROLL_HAND_OVER, "pod p2", 2);
    expect(1, ROLL_MAY_GO, "may be stopped", PODS);
}

static void nothing_goes_while_something_is_not_well(void **state) {
    (void) state;
    make_view("");
    pods[2].is_link_up = false; /* in its first sync, while cluster_state is ok everywhere */
    expect(0, ROLL_WAIT, "replica p2 to be in sync", PODS);
    expect(1, ROLL_WAIT, "replica p2 to be in sync", PODS);
    unsigned heir = PODS;
    assert_true(roll_find_heir(&view, 0, &heir)); /* one that has to go now takes the other */
    assert_int_equal(heir, 1);
    make_view("");
    pods[1].offset = 899;
    expect(0, ROLL_WAIT, "p1 is too far behind", PODS);
    make_view(" [5->-" B "]");
    expect(0, ROLL_WAIT, "slot that is on its way", PODS);
    make_view("");
    pods[1].answers = false;
    expect(2, ROLL_WAIT, "p1 does not answer", PODS);
}

static void without_a_replica_in_sync_there_is_no_heir(void **state) {
    unsigned heir;
    (void) state;
    make_view("");
    pods[1].is_link_up = false;
    pods[2].answers = false;
    assert_false(roll_find_heir(&view, 0, &heir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_primary_hands_over_to_the_nearest, tear_down),
        cmocka_unit_test_teardown(nothing_goes_while_something_is_not_well, tear_down),
        cmocka_unit_test_teardown(without_a_replica_in_sync_there_is_no_heir, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
