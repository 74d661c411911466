/* Rights of CURVE keys: what a file says, what is wrong with it, and that it is read again. */
#include "broker/backend/backend_rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void remove_file(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    unlink(path);
}

static int make_folder(void **state) {
    (void) state;
    snprintf(folder, sizeof folder, "/tmp/callboard-rights-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state) {
    (void) state;
    remove_file("a.pub");
    remove_file("a.rights");
    return rmdir(folder);
}

static void every_mistake_is_named(void **state) {
    (void) state;
    static const struct {
        const char *text;
        const char *wrong; /* NULL: nothing */
    } cases[] = {
        {"methods = *\nchannels = *\n", NULL},
        {"# a comment\n\n  channels=a:*,b\r\nmethods = lease.* , kv.get", NULL},
        {"methods =\nchannels =\n", NULL},
        {"", "needs both"},
        {"methods = *", "needs both"},
        {"channels = *", "needs both"},
        {"methods = *\nmethods = *\nchannels = *", "twice"},
        {"methods *\nchannels = *", "neither"},
        {"rights = *", "neither"},
        {"methods = a,,b\nchannels = *", "empty"},
        {"methods = a b\nchannels = *", "no name may have"},
        {"methods = *\nchannels = a[b]", "no name may have"},
        {"methods = *\nchannels = \x01", "no name may have"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *wrong = backend_rights_parse(span_of_text(cases[i].text), NULL, NULL);
        if ((wrong == NULL) != (cases[i].wrong == NULL) || (wrong != NULL && strstr(wrong, cases[i].wrong) == NULL)) {
            fail_msg("%s: %s", cases[i].text, wrong == NULL ? "taken" : wrong);
        }
    }
}

static bool may(backend_rights_t *rights, const char *method, const char *channel) {
    return backend_rights_method(rights, SPAN_LITERAL("a"), span_of_text(method)) &&
           backend_rights_channel(rights, SPAN_LITERAL("a"), span_of_text(channel));
}

static void a_file_is_read_again_when_it_changed(void **state) {
    (void) state;
    backend_rights_t *rights = backend_rights_new(folder, false);
    write_file("a.pub", "");
    assert_true(may(rights, "publish", "x")); /* no file */
    write_file("a.rights", "methods = publish, lease.*\nchannels = news:*\n");
    assert_true(may(rights, "publish", "x")); /* not looked at yet */
    backend_rights_refresh(rights);
    assert_true(may(rights, "publish", "news:1") && may(rights, "lease.acquire", "news:1"));
    assert_false(may(rights, "publish", "x") || may(rights, "lease", "news:1") || may(rights, "info", "news:1"));
    write_file("a.rights", "methods = everything");
    backend_rights_refresh(rights);
    assert_false(may(rights, "everything", "news:1")); /* malformed: nothing at all */
    remove_file("a.rights");
    backend_rights_refresh(rights);
    assert_true(may(rights, "publish", "x"));
    assert_false(backend_rights_method(rights, SPAN_EMPTY, SPAN_LITERAL("publish")));
    backend_rights_destroy(&rights);
}

static void where_they_are_required_a_key_without_them_has_none(void **state) {
    (void) state;
    backend_rights_t *rights = backend_rights_new(folder, true);
    assert_false(may(rights, "publish", "x"));
    backend_rights_refresh(rights); /* its key is gone: forgotten, and read again when it is met */
    write_file("a.rights", "methods = *\nchannels = *\n");
    assert_true(may(rights, "publish", "x"));
    backend_rights_destroy(&rights);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_named),
        cmocka_unit_test_setup_teardown(a_file_is_read_again_when_it_changed, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(where_they_are_required_a_key_without_them_has_none, make_folder,
                                        remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
