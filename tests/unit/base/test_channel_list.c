/* What several workers list of channels, as one list and page by page. */
#include "base/channel_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct buffer listed;
static struct buffer out;

static int set_up(void **state) {
    (void) state;
    buffer_init(&listed, 0);
    buffer_init(&out, 0);
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    buffer_finish(&listed);
    buffer_finish(&out);
    return 0;
}

static void list(const char *name, uint32_t n_clients) {
    buffer_append_sized(&listed, span_of_text(name));
    buffer_append_u32(&listed, n_clients);
}

/* Appends a page; its last name, where others follow, must be `last`. */
static void expect_page(const struct channel_list_page *page, const char *expected, const char *last) {
    buffer_clear(&out);
    struct span got = channel_list_append_page(&out, buffer_span(&listed), page);
    assert_int_equal(got.size, strlen(last));
    assert_true(span_equal_text(got, last));
    assert_int_equal(out.size, strlen(expected));
    assert_memory_equal(out.data, expected, out.size);
}

static void nobody_lists_anything(void **state) {
    (void) state;
    expect_page(&(struct channel_list_page){.limit = 5}, "{}", "");
}

static void a_name_stands_once_with_the_clients_of_all_workers(void **state) {
    (void) state;
    list("b", 2);
    list("a:x", 1);
    list("b", UINT32_MAX);
    list("a", 3);
    list("a:x", 4);
    expect_page(&(struct channel_list_page){.limit = 0},
                "{\"a\":{\"num_clients\":3},\"a:x\":{\"num_clients\":5},\"b\":{\"num_clients\":4294967297}}", "");
}

static void page_after_page_has_every_name_once(void **state) {
    (void) state;
    for (int worker = 0; worker < 3; worker++) {
        for (int i = 24; i >= 0; i -= 1 + worker) {
            char name[16];
            snprintf(name, sizeof name, "c%02d", i);
            list(name, 1);
        }
    }
    struct channel_list_page page = {.limit = 10};
    unsigned n_names = 0;
    unsigned n_pages = 0;
    do {
        buffer_clear(&out);
        page.behind = channel_list_append_page(&out, buffer_span(&listed), &page);
        buffer_append_char(&out, '\0');
        for (const char *at = (const char *) out.data; (at = strstr(at, "\"c")) != NULL; at++, n_names++) {
            assert_int_equal(atoi(at + 2), n_names);
        }
        n_pages++;
    } while (page.behind.size > 0);
    assert_int_equal(n_names, 25);
    assert_int_equal(n_pages, 3);
}

static void a_page_that_ends_with_the_list_has_nothing_behind_it(void **state) {
    (void) state;
    list("b", 1);
    list("a", 1);
    list("b", 1);
    expect_page(&(struct channel_list_page){.limit = 1}, "{\"a\":{\"num_clients\":1}}", "a");
    expect_page(&(struct channel_list_page){.limit = 2}, "{\"a\":{\"num_clients\":1},\"b\":{\"num_clients\":2}}", "");
    expect_page(&(struct channel_list_page){.behind = SPAN_LITERAL("a"), .limit = 1}, "{\"b\":{\"num_clients\":2}}",
                "");
    expect_page(&(struct channel_list_page){.behind = SPAN_LITERAL("b"), .limit = 1}, "{}", "");
}

static bool begins_with_a(void *context, struct span name) {
    ++*(unsigned *) context;
    return name.size > 0 && name.data[0] == 'a';
}

static void who_may_not_see_a_name_does_not_and_it_takes_no_place(void **state) {
    (void) state;
    unsigned n_asked = 0;
    list("b", 1);
    list("ab", 1);
    list("aa", 1);
    const struct channel_list_page page = {.limit = 2, .admits = begins_with_a, .context = &n_asked};
    expect_page(&page, "{\"aa\":{\"num_clients\":1},\"ab\":{\"num_clients\":1}}", "");
    assert_int_equal(n_asked, 3);
}

static void what_is_malformed_ends_the_list(void **state) {
    (void) state;
    list("a", 1);
    list("b", 1);
    size_t whole = listed.size;
    for (size_t size = whole - 1; size > whole / 2; size--) {
        listed.size = size;
        expect_page(&(struct channel_list_page){.limit = 0}, "{\"a\":{\"num_clients\":1}}", "");
    }
    listed.size = whole;
    buffer_append_u32(&listed, UINT32_MAX); /* a size of four billion */
    expect_page(&(struct channel_list_page){.limit = 0}, "{\"a\":{\"num_clients\":1},\"b\":{\"num_clients\":1}}", "");
}

static void names_are_escaped(void **state) {
    (void) state;
    list("a\"\\\n", 1);
    expect_page(&(struct channel_list_page){.limit = 0}, "{\"a\\\"\\\\\\n\":{\"num_clients\":1}}", "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_lists_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_stands_once_with_the_clients_of_all_workers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(page_after_page_has_every_name_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_page_that_ends_with_the_list_has_nothing_behind_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_not_see_a_name_does_not_and_it_takes_no_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_malformed_ends_the_list, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_escaped, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
