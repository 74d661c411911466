/* The directory of copies: how many stay, and what is no copy. */
#include "operator/backup/backup_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_MAX_SIZE = 256 };
#define NOON_2026_06_01 INT64_C(1780315200000)
#define OURS            "callboard-20260601T120000Z"

struct fixture {
    char directory[64];
    char error[BACKUP_ERROR_MAX];
    backup_folder_t *folder;
};

static const char *path_of(const struct fixture *self, const char *name) {
    static char path[2 * PATH_MAX_SIZE];
    snprintf(path, sizeof path, "%s/%s", self->directory, name);
    return path;
}

static bool is_there(const struct fixture *self, const char *name) {
    return access(path_of(self, name), F_OK) == 0;
}

static void put_file(const struct fixture *self, const char *name) {
    FILE *file = fopen(path_of(self, name), "w");
    assert_non_null(file);
    fclose(file);
}

/* A folder with a file of data in it, and its manifest where it is a whole copy. */
static void put_copy(const struct fixture *self, const char *name, bool is_whole) {
    char file[PATH_MAX_SIZE];
    assert_int_equal(mkdir(path_of(self, name), 0700), 0);
    snprintf(file, sizeof file, "%s/shard-0.rdb", name);
    put_file(self, file);
    if (is_whole) {
        snprintf(file, sizeof file, "%s/manifest.json", name);
        put_file(self, file);
    }
}

static void take_copy(struct fixture *self) {
    bool is_busy = false;
    self->folder = backup_folder_begin(self->directory, NOON_2026_06_01, &is_busy, self->error);
    assert_non_null(self->folder);
    int fd = backup_folder_open(self->folder, "manifest.json", self->error);
    assert_true(fd >= 0 && backup_folder_close(self->folder, fd, "manifest.json", self->error));
    assert_true(backup_folder_commit(self->folder, self->error));
    assert_true(is_there(self, OURS));
}

static int set_up(void **state) {
    static struct fixture t;
    t = (struct fixture){.directory = "/tmp/callboard-backup-XXXXXX"};
    *state = &t;
    return mkdtemp(t.directory) == NULL;
}

static int tear_down(void **state) {
    struct fixture *t = *state;
    char command[PATH_MAX_SIZE];
    backup_folder_destroy(&t->folder);
    snprintf(command, sizeof command, "rm -rf '%s'", t->directory);
    return system(command);
}

static void the_oldest_whole_copies_go(void **state) {
    struct fixture *t = *state;
    put_copy(t, "callboard-20260101T000000Z", true);
    put_copy(t, "callboard-20260301T000000Z", true);
    put_copy(t, "callboard-20260201T000000Z", true);
    take_copy(t);
    assert_int_equal(backup_folder_retain(t->folder, 2, t->error), 2);
    assert_true(is_there(t, OURS) && is_there(t, "callboard-20260301T000000Z"));
    assert_false(is_there(t, "callboard-20260201T000000Z") || is_there(t, "callboard-20260101T000000Z"));
}

static void what_has_no_manifest_is_no_copy_and_takes_no_ones_place(void **state) {
    struct fixture *t = *state;
    put_copy(t, "callboard-20260101T000000Z", true);
    put_copy(t, "callboard-20260201T000000Z", false);
    take_copy(t);
    assert_int_equal(backup_folder_retain(t->folder, 2, t->error), 0);
    assert_true(is_there(t, "callboard-20260101T000000Z"));
}

static void ours_stays_though_a_clock_that_was_set_back_makes_it_the_oldest(void **state) {
    struct fixture *t = *state;
    put_copy(t, "callboard-20270101T000000Z", true);
    put_copy(t, "callboard-20270201T000000Z", true);
    take_copy(t);
    assert_int_equal(backup_folder_retain(t->folder, 1, t->error), 1);
    assert_true(is_there(t, OURS) && is_there(t, "callboard-20270201T000000Z"));
}

static void halves_of_earlier_runs_go_and_what_is_not_ours_stays(void **state) {
    struct fixture *t = *state;
    put_copy(t, ".callboard-20260101T000000Z", false);
    put_copy(t, "callboard-2026", true);
    put_copy(t, "callboard-20260101T000000Z.old", true);
    put_file(t, "notes.txt");
    take_copy(t);
    assert_int_equal(backup_folder_retain(t->folder, 1, t->error), 0);
    assert_false(is_there(t, ".callboard-20260101T000000Z"));
    assert_true(is_there(t, "callboard-2026") && is_there(t, "callboard-20260101T000000Z.old") &&
                is_there(t, "notes.txt"));
}

#define spec(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void) {
    const struct CMUnitTest tests[] = {
        spec(the_oldest_whole_copies_go),
        spec(what_has_no_manifest_is_no_copy_and_takes_no_ones_place),
        spec(ours_stays_though_a_clock_that_was_set_back_makes_it_the_oldest),
        spec(halves_of_earlier_runs_go_and_what_is_not_ours_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
