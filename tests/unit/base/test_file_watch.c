/* A file, written, replaced, linked elsewhere. */
#include "base/file_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static const char *path_of(const char *name) {
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void write_text(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int set_up(void **state) {
    (void) state;
    strcpy(folder, "/tmp/callboard-watch-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state) {
    static const char *const names[] = {"a.yaml", "b.yaml", "link.yaml"};
    (void) state;
    for (size_t i = 0; i < 3; i++) {
        unlink(path_of(names[i]));
    }
    return rmdir(folder);
}

static void a_change_is_told_once_when_it_stands_still(void **state) {
    (void) state;
    struct file_watch watch;
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("a.yaml"));
    write_text("a.yaml", "one");
    file_watch_init(&watch, path);
    assert_false(file_watch_changed(&watch));
    write_text("a.yaml", "longer");
    assert_false(file_watch_changed(&watch)); /* it may be half written */
    write_text("a.yaml", "longer still");
    assert_false(file_watch_changed(&watch));
    assert_true(file_watch_changed(&watch));
    assert_false(file_watch_changed(&watch));
}

/* ConfigMaps are exchanged by a link; the new file may have the old one's size and time. */
static void a_link_that_leads_elsewhere_is_a_change(void **state) {
    (void) state;
    struct file_watch watch;
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("link.yaml"));
    write_text("a.yaml", "one");
    write_text("b.yaml", "two");
    assert_int_equal(symlink(path_of("a.yaml"), path), 0);
    file_watch_init(&watch, path);
    unlink(path);
    assert_false(file_watch_changed(&watch)); /* gone for a moment */
    assert_int_equal(symlink(path_of("b.yaml"), path), 0);
    assert_false(file_watch_changed(&watch));
    assert_true(file_watch_changed(&watch));
    assert_false(file_watch_changed(&watch));
}

/* For who looks at each connect. */
static void another_file_differs_once(void **state) {
    (void) state;
    struct file_watch watch;
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("a.yaml"));
    write_text("a.yaml", "one");
    file_watch_init(&watch, path);
    assert_false(file_watch_differs(&watch));
    write_text("a.yaml", "longer");
    assert_true(file_watch_differs(&watch));
    assert_false(file_watch_differs(&watch));
    unlink(path);
    assert_false(file_watch_differs(&watch));
    write_text("a.yaml", "back again");
    assert_true(file_watch_differs(&watch));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_change_is_told_once_when_it_stands_still, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_file_differs_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_that_leads_elsewhere_is_a_change, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
