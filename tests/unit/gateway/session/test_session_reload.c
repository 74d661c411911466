/* What a reload of the namespaces does to subscriptions that stand or are on their way. */
#include "session_harness.h"

static namespace_set_t *reloaded;

/* Namespaces without `plain`; the others as they were. */
static void take_namespaces_without_plain(void) {
    static struct namespace_options rest[8];
    static struct config_section_list list;
    list = (struct config_section_list){.items = rest};
    for (size_t i = 0; i < t.list.n; i++) {
        if (strcmp(t.namespaces[i].name, "plain") != 0) {
            rest[list.n++] = t.namespaces[i];
        }
    }
    reloaded = namespace_set_new(&list);
    assert_true(namespace_set_lacks(reloaded, t.namespace_set));
    assert_false(namespace_set_lacks(t.namespace_set, reloaded));
    t.environment.namespaces = reloaded;
    session_end_unserved(&t.environment);
    flush();
}

static int tear_down_reloaded(void **state) {
    int result = tear_down(state);
    namespace_set_destroy(&reloaded);
    return result;
}

static void test_a_subscription_whose_namespace_is_gone_ends_with_2000_and_no_other_does(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}\n{\"id\":3,\"subscribe\":{\"channel\":\"news\"}}");
    join("plain:a", NULL, 0);
    join("news", "e", 0);
    written();
    take_namespaces_without_plain();
    assert_written("{\"push\":{\"channel\":\"plain:a\",\"unsubscribe\":{\"code\":2000,\"reason\":\"namespace "
                   "removed\"}}}\n");
    assert_null(hub_call("plain:a")->member);
    assert_non_null(hub_call("news")->member);
    assert_open();
    receive("{\"id\":4,\"publish\":{\"channel\":\"plain:a\",\"data\":1}}");
    assert_written("{\"id\":4,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
}

static void test_a_subscribe_on_its_way_is_answered_with_102(void **state) {
    (void) state;
    connect_user();
    receive("{\"id\":2,\"subscribe\":{\"channel\":\"plain:a\"}}");
    take_namespaces_without_plain();
    assert_written("{\"id\":2,\"error\":{\"code\":102,\"message\":\"unknown channel\"}}\n");
    assert_null(hub_call("plain:a")->member);
    assert_open();
}

static void test_a_connect_that_waits_for_it_closes_and_comes_back(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channels\":[\"news\",\"plain:a\",\"plain:b\"]}"));
    take_namespaces_without_plain();
    assert_written("");
    assert_closed(3004, "internal server error");
}

static void test_a_server_side_subscription_ends_by_the_same_push(void **state) {
    (void) state;
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}",
                       token("{\"sub\":\"42\",\"channels\":[\"plain:a\"]}"));
    join("plain:a", NULL, 0);
    written();
    take_namespaces_without_plain();
    assert_written("{\"push\":{\"channel\":\"plain:a\",\"unsubscribe\":{\"code\":2000,\"reason\":\"namespace "
                   "removed\"}}}\n");
    assert_open();
}

int main(void) {
#define RELOAD_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down_reloaded)
    const struct CMUnitTest tests[] = {
        RELOAD_TEST(test_a_subscription_whose_namespace_is_gone_ends_with_2000_and_no_other_does),
        RELOAD_TEST(test_a_subscribe_on_its_way_is_answered_with_102),
        RELOAD_TEST(test_a_connect_that_waits_for_it_closes_and_comes_back),
        RELOAD_TEST(test_a_server_side_subscription_ends_by_the_same_push),
    };
    return cmocka_run_group_tests_name("session_reload", tests, NULL, NULL);
}
