/* What a pod says of itself from its own table alone, and the numbers that people are told. Who follows whom is in
 * test_cluster_plan.c and test_scale_plan.c. */
#include "operator/redis/cluster_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define A     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B     "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C     "cccccccccccccccccccccccccccccccccccccccc"
#define D     "dddddddddddddddddddddddddddddddddddddddd"
#define TAIL  " 0 0 1 connected"
#define NODE  " 10.0.0.1:1@2 "
#define OWNER A NODE "master -" TAIL " 0-16383\n"

static void knows_that_it_is_kept(void **state) {
    static const struct {
        const char *text;
        bool is_spare; /* of four pods in two shards */
    } cases[] = {
        {OWNER B NODE "slave " A TAIL "\n" C NODE "myself,master -" TAIL "\n", true},
        {OWNER B NODE "slave,fail " A TAIL "\n" C NODE "myself,master -" TAIL "\n", false}, /* it may be wanted there */
        {OWNER C NODE "myself,master -" TAIL "\n", false},
        {A NODE "master -" TAIL " 0-16382\n" B NODE "slave " A TAIL "\n" C NODE "myself,master -" TAIL "\n", false},
        {OWNER B NODE "master -" TAIL "\n" C NODE "myself,slave " A TAIL "\n", false},
        {A NODE "master -" TAIL " 0-8191\n" B NODE "slave " A TAIL "\n" D NODE "master -" TAIL " 8192-16383\n" C NODE
                "slave " D TAIL "\n"
                "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" NODE "myself,master -" TAIL "\n",
         false}, /* there are as many shards as are wanted */
    };
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_table table;
        assert_true(cluster_table_parse(&table, span_of_text(cases[i].text)));
        if (cluster_table_is_spare(&table, 4, 2) != cases[i].is_spare) {
            fail_msg("case %zu", i);
        }
        cluster_table_finish(&table);
    }
}

static void counts_shards_by_their_lowest_ordinals(void **state) {
    static const char *const lines[] = {"slave " B, "slave " C, "master -", "master -"};
    static const char *const slots[] = {"", "", " 8192-16383", " 0-8191"};
    static const char ids[] = "adbc";
    static const int numbers[] = {0, 1, 0, 1};
    struct cluster_pod pods[4];
    struct cluster_view view = {.pods = pods, .n = 4, .shards = 2};
    struct cluster_layout layout;
    (void) state;
    memset(pods, 0, sizeof pods);
    for (size_t i = 0; i < 4; i++) {
        struct buffer text = BUFFER_EMPTY;
        for (size_t k = 0; k < 4; k++) {
            for (size_t n = 0; n < CLUSTER_ID_LENGTH; n++) {
                buffer_append_char(&text, ids[k]);
            }
            buffer_append_format(&text, NODE "%s%s" TAIL "%s\n", i == k ? "myself," : "", lines[k], slots[k]);
        }
        pods[i].answers = cluster_table_parse(&pods[i].table, buffer_span(&text));
        assert_true(pods[i].answers);
        buffer_finish(&text);
    }
    cluster_layout_make(&layout, &view);
    assert_true(layout.is_settled);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(cluster_layout_shard_number(&layout, i), numbers[i]);
        cluster_table_finish(&pods[i].table);
    }
}

static void shares_pods_evenly(void **state) {
    (void) state;
    assert_int_equal(cluster_layout_replicas(8, 4), 1);
    assert_int_equal(cluster_layout_replicas(3, 3), 0);
    assert_int_equal(cluster_layout_replicas(2, 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_that_it_is_kept),
        cmocka_unit_test(counts_shards_by_their_lowest_ordinals),
        cmocka_unit_test(shares_pods_evenly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
