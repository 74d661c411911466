#include "operator/redis/cluster_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ID_A "07c37dfeb235213a872192d90877d0cd55635b91"
#define ID_B "e7d1eecce10fd6bb5eb35b9f99a514335d9ba9ca"

static void reads_every_form(void **state) {
    static const char text[] =
        ID_A " 127.0.0.1:30004@31004,redis-0.pods.test slave " ID_B " 0 1426238317239 4 connected\n" ID_B
             " ::1:30001@31001 myself,master - 0 0 1 connected 0-5 7 9-10 [93-<-" ID_A "]\r\n"
             "f9d1eecce10fd6bb5eb35b9f99a514335d9ba9ca :0@0 master,fail,noaddr - 0 0 3 disconnected\n"
             "a9d1eecce10fd6bb5eb35b9f99a514335d9ba9ca 10.0.0.9:1@2 handshake - 0 0 0 disconnected\n";
    struct cluster_table table;
    (void) state;
    assert_true(cluster_table_parse(&table, span_of_text(text)));
    assert_int_equal(table.n, 4);
    assert_int_equal(cluster_table_known(&table), 3);
    const struct cluster_node *replica = cluster_table_find(&table, ID_A);
    assert_string_equal(replica->host, "127.0.0.1");
    assert_int_equal(replica->port, 30004);
    assert_string_equal(replica->primary_id, ID_B);
    assert_false(replica->is_primary);
    const struct cluster_node *myself = cluster_table_myself(&table);
    assert_string_equal(myself->id, ID_B);
    assert_string_equal(myself->host, "::1");
    assert_true(myself->is_primary && myself->is_linked && myself->has_open_slots);
    assert_int_equal(cluster_node_slots(&table, myself), 9);
    assert_int_equal(table.n_open, 1);
    assert_int_equal(table.open[0].slot, 93);
    assert_false(table.open[0].is_leaving);
    assert_string_equal(table.open[0].id, ID_A);
    assert_true(cluster_node_serves(&table, myself, 7));
    assert_false(cluster_node_serves(&table, myself, 8));
    assert_int_equal(myself->config_epoch, 1);
    assert_true(table.nodes[2].is_failed && table.nodes[2].host[0] == '\0');
    assert_true(table.nodes[3].is_handshake);
    cluster_table_finish(&table);
}

static void refuses_what_is_no_table(void **state) {
    static const char *const texts[] = {
        "",
        "OK",
        ID_A " 127.0.0.1:1@2 master - 0 0 1\n",                                              /* a word is missing */
        "07c37dfe 127.0.0.1:1@2 master - 0 0 1 connected\n",                                 /* short id */
        "07C37DFEB235213A872192D90877D0CD55635B91 127.0.0.1:1@2 master - 0 0 1 connected\n", /* not as Redis writes */
        ID_A " 127.0.0.1 master - 0 0 1 connected\n",                                        /* no port */
        ID_A " 127.0.0.1:99999@2 master - 0 0 1 connected\n",                                /* no port */
        ID_A " 127.0.0.1:1@2 master - 0 0 x connected\n",                                    /* epoch */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected 0-16384\n",                            /* slot */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected 9-5\n",                                /* backwards */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected [16384->-" ID_B "]\n",                 /* slot */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected [9->-" ID_B "\n",                      /* no end */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected [9=>" ID_B "]\n",                      /* no way */
        ID_A " 127.0.0.1:1@2 slave nobody 0 0 1 connected\n",                                /* primary's id */
        ID_A " 127.0.0.1:1@2 master - 0 0 1 connected\n" ID_A " 127.0.0.1:1@2 master - 0 0 1 connected\n", /* twice */
    };
    (void) state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct cluster_table table;
        if (cluster_table_parse(&table, span_of_text(texts[i]))) {
            fail_msg("taken: %s", texts[i]);
        }
        assert_int_equal(table.n, 0);
        cluster_table_finish(&table);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(refuses_what_is_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
