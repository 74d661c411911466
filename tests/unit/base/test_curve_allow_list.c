/* The allow-list: read again when a second has passed or the directory changed, and kept when it cannot be read. */
#include "base/clock.h"
#include "base/curve_allow_list.h"
#include "base/curve_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zmq.h>

static char folder[64];
static uint64_t now_us = 1000000;

static uint64_t read_now_us(void) {
    return now_us;
}

static int begin(void **state) {
    (void) state;
    strcpy(folder, "/tmp/callboard-allow-XXXXXX");
    clock_replace(read_now_us, NULL);
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int end(void **state) {
    (void) state;
    char command[128];
    clock_replace(NULL, NULL);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void allow(const char *name, const struct curve_keys *keys) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s.pub", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "public = %s\n", keys->public_text);
    fclose(file);
}

static struct curve_keys new_keys(uint8_t ret_key[CURVE_KEY_SIZE]) {
    struct curve_keys keys;
    curve_keys_generate(&keys);
    assert_non_null(zmq_z85_decode(ret_key, keys.public_text));
    return keys;
}

static void a_key_is_found_with_its_name_and_nothing_else_is(void **state) {
    (void) state;
    uint8_t key[CURVE_KEY_SIZE];
    uint8_t other[CURVE_KEY_SIZE];
    char name[CURVE_NAME_MAX + 1] = "";
    struct curve_keys keys = new_keys(key);
    new_keys(other);
    allow("second", &keys);
    allow("first", &keys); /* under two names: the first in order */
    curve_allow_list_t *list = curve_allow_list_new(folder);
    assert_non_null(list);
    assert_true(curve_allow_list_find(list, span_of(key, sizeof key), name));
    assert_string_equal(name, "first");
    assert_false(curve_allow_list_find(list, span_of(other, sizeof other), name));
    assert_false(curve_allow_list_find(list, span_of(key, sizeof key - 1), name));
    assert_false(curve_allow_list_find(list, SPAN_EMPTY, name));
    assert_true(curve_allow_list_has(list, "second"));
    assert_false(curve_allow_list_has(list, "secon"));
    curve_allow_list_destroy(&list);
    assert_null(list);
    curve_allow_list_destroy(&list);
}

static void two_keys_of_one_file_have_one_name(void **state) {
    (void) state;
    uint8_t keys[2][CURVE_KEY_SIZE];
    char name[CURVE_NAME_MAX + 1];
    char path[256];
    struct curve_keys old = new_keys(keys[0]);
    struct curve_keys new = new_keys(keys[1]);
    snprintf(path, sizeof path, "%s/gateway.pub", folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "public = %s\npublic = %s\n", old.public_text, new.public_text);
    fclose(file);
    curve_allow_list_t *list = curve_allow_list_new(folder);
    for (size_t i = 0; i < 2; i++) {
        assert_true(curve_allow_list_find(list, span_of(keys[i], CURVE_KEY_SIZE), name));
        assert_string_equal(name, "gateway");
    }
    allow("gateway", &new);
    now_us += 1000000;
    curve_allow_list_refresh(list, false);
    assert_false(curve_allow_list_find(list, span_of(keys[0], CURVE_KEY_SIZE), name));
    assert_true(curve_allow_list_find(list, span_of(keys[1], CURVE_KEY_SIZE), name));
    curve_allow_list_destroy(&list);
}

static void without_a_look_it_is_read_again_after_a_second(void **state) {
    (void) state;
    uint8_t key[CURVE_KEY_SIZE];
    struct curve_keys keys = new_keys(key);
    curve_allow_list_t *list = curve_allow_list_new(folder);
    allow("gateway", &keys);
    now_us += 999000;
    curve_allow_list_refresh(list, false);
    assert_false(curve_allow_list_has(list, "gateway"));
    now_us += 1000;
    curve_allow_list_refresh(list, false);
    assert_true(curve_allow_list_has(list, "gateway"));
    curve_allow_list_destroy(&list);
}

static void with_a_look_a_change_is_seen_at_once(void **state) {
    (void) state;
    uint8_t key[CURVE_KEY_SIZE];
    struct curve_keys keys = new_keys(key);
    curve_allow_list_t *list = curve_allow_list_new(folder);
    curve_allow_list_refresh(list, true);
    assert_false(curve_allow_list_has(list, "gateway"));
    poll(NULL, 0, 20); /* the file system's clock must have moved on since the reading */
    allow("gateway", &keys);
    curve_allow_list_refresh(list, true);
    assert_true(curve_allow_list_has(list, "gateway"));
    curve_allow_list_destroy(&list);
}

/* Uses up every descriptor but `left`; returns the highest that is open. */
static int use_descriptors_up(int left) {
    int fd;
    int last = -1;
    while ((fd = open("/dev/null", O_RDONLY)) >= 0) {
        last = fd;
    }
    for (int i = 0; i < left; i++) {
        close(last - i);
    }
    return last - left;
}

static void without_descriptors_the_last_list_stays(void **state) {
    (void) state;
    uint8_t key[CURVE_KEY_SIZE];
    struct curve_keys keys = new_keys(key);
    struct rlimit before;
    struct rlimit narrow;
    allow("gateway", &keys);
    curve_allow_list_t *list = curve_allow_list_new(folder);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    narrow = before;
    narrow.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &narrow), 0);
    for (int left = 0; left < 2; left++) { /* none for the directory; one, so none for the file */
        int top = use_descriptors_up(left);
        now_us += 2000000;
        curve_allow_list_refresh(list, false);
        bool is_kept = curve_allow_list_has(list, "gateway");
        for (int fd = top; fd > STDERR_FILENO && fcntl(fd, F_GETFD) >= 0; fd--) {
            close(fd);
        }
        assert_true(is_kept);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    curve_allow_list_destroy(&list);
}

static void no_more_than_1024_keys_are_read(void **state) {
    (void) state;
    uint8_t key[CURVE_KEY_SIZE];
    struct curve_keys keys = new_keys(key);
    for (int i = 0; i < 1030; i++) {
        char name[32];
        snprintf(name, sizeof name, "gateway-%d", i);
        allow(name, &keys);
    }
    curve_allow_list_t *list = curve_allow_list_new(folder);
    unsigned n = 0;
    for (int i = 0; i < 1030; i++) {
        char name[32];
        snprintf(name, sizeof name, "gateway-%d", i);
        n += curve_allow_list_has(list, name);
    }
    assert_int_equal(n, 1024);
    curve_allow_list_destroy(&list);
}

static void a_missing_directory_is_no_list(void **state) {
    (void) state;
    assert_null(curve_allow_list_new("/no/such/directory"));
    assert_int_equal(errno, ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_found_with_its_name_and_nothing_else_is, begin, end),
        cmocka_unit_test_setup_teardown(two_keys_of_one_file_have_one_name, begin, end),
        cmocka_unit_test_setup_teardown(without_a_look_it_is_read_again_after_a_second, begin, end),
        cmocka_unit_test_setup_teardown(with_a_look_a_change_is_seen_at_once, begin, end),
        cmocka_unit_test_setup_teardown(without_descriptors_the_last_list_stays, begin, end),
        cmocka_unit_test_setup_teardown(no_more_than_1024_keys_are_read, begin, end),
        cmocka_unit_test_setup_teardown(a_missing_directory_is_no_list, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
