/* Cores and memory of a control group, read from folders that look as the kernel's do (version 2, then 1). */
#include "base/cgroup.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_SIZE = 256 };

struct fixture {
    char root[PATH_SIZE];
    cpu_set_t cores; /* those of the test's own process */
    unsigned n_cores;
};

static const char *const names[] = {"cpu.max", "memory.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us",
                                    "memory/memory.limit_in_bytes"};

static void path_of(const struct fixture *self, const char *name, char ret_path[PATH_SIZE + 64]) {
    snprintf(ret_path, PATH_SIZE + 64, "%s/%s", self->root, name);
}

static void write_file(const struct fixture *self, const char *name, const char *text) {
    char path[PATH_SIZE + 64];
    path_of(self, name, path);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void make_folder(const struct fixture *self, const char *name) {
    char path[PATH_SIZE + 64];
    path_of(self, name, path);
    assert_int_equal(mkdir(path, 0700), 0);
}

static int set_up(void **state) {
    struct fixture *self = calloc(1, sizeof *self);
    const char *folder = getenv("TMPDIR");
    snprintf(self->root, sizeof self->root, "%s/cgroup-XXXXXX", folder != NULL ? folder : "/tmp");
    assert_non_null(mkdtemp(self->root));
    make_folder(self, "cpu");
    make_folder(self, "memory");
    assert_int_equal(sched_getaffinity(0, sizeof self->cores, &self->cores), 0);
    self->n_cores = (unsigned) CPU_COUNT(&self->cores);
    *state = self;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *self = *state;
    char path[PATH_SIZE + 64];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        path_of(self, names[i], path);
        unlink(path);
    }
    path_of(self, "cpu", path);
    rmdir(path);
    path_of(self, "memory", path);
    rmdir(path);
    int status = rmdir(self->root);
    sched_setaffinity(0, sizeof self->cores, &self->cores);
    free(self);
    return status;
}

static uint64_t machine_bytes(void) {
    return (uint64_t) sysconf(_SC_PHYS_PAGES) * (uint64_t) sysconf(_SC_PAGESIZE);
}

static void without_files_the_machine_is_ours(void **state) {
    const struct fixture *self = *state;
    assert_int_equal(cgroup_cores(self->root), self->n_cores);
    assert_true(cgroup_memory_bytes(self->root) == machine_bytes());
    assert_int_equal(cgroup_cores("/nowhere/at/all"), self->n_cores);
}

static void max_is_no_limit(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu.max", "max 100000\n");
    write_file(self, "memory.max", "max\n");
    assert_int_equal(cgroup_cores(self->root), self->n_cores);
    assert_true(cgroup_memory_bytes(self->root) == machine_bytes());
}

static void less_than_a_core_is_one(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu.max", "50000 100000\n");
    assert_int_equal(cgroup_cores(self->root), 1);
}

static void parts_of_cores_are_no_threads(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu.max", "190000 100000\n");
    assert_int_equal(cgroup_cores(self->root), 1);
    write_file(self, "cpu.max", "290000 100000\n");
    assert_int_equal(cgroup_cores(self->root), self->n_cores < 2 ? self->n_cores : 2);
}

static void a_large_quota_gives_no_more_than_the_cores_we_may_run_on(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu.max", "100000000 100000\n");
    assert_int_equal(cgroup_cores(self->root), self->n_cores);
    size_t first = 0;
    while (!CPU_ISSET(first, &self->cores)) {
        first++;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(cgroup_cores(self->root), 1);
}

static void version_1_has_quota_and_period_in_two_files(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu/cpu.cfs_quota_us", "100000\n");
    assert_int_equal(cgroup_cores(self->root), self->n_cores); /* no period: no limit */
    write_file(self, "cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(cgroup_cores(self->root), 1);
    write_file(self, "cpu/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(cgroup_cores(self->root), self->n_cores);
}

static void version_2_goes_before_version_1(void **state) {
    const struct fixture *self = *state;
    write_file(self, "cpu.max", "100000 100000\n");
    write_file(self, "cpu/cpu.cfs_quota_us", "-1\n");
    write_file(self, "cpu/cpu.cfs_period_us", "100000\n");
    write_file(self, "memory.max", "1048576\n");
    write_file(self, "memory/memory.limit_in_bytes", "2097152\n");
    assert_int_equal(cgroup_cores(self->root), 1);
    assert_int_equal(cgroup_memory_bytes(self->root), 1048576);
}

static void strange_files_are_no_limit(void **state) {
    const struct fixture *self = *state;
    static const char *const texts[] = {"",           "\n",          "many cores\n", "0 100000\n",
                                        "100000 0\n", "-5 100000\n", "100000\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(self, "cpu.max", texts[i]);
        assert_int_equal(cgroup_cores(self->root), self->n_cores);
    }
    static const char *const limits[] = {"", "much\n", "0\n", "-1\n"};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        write_file(self, "memory.max", limits[i]);
        assert_true(cgroup_memory_bytes(self->root) == machine_bytes());
    }
}

static void memory_is_the_smaller_of_limit_and_machine(void **state) {
    const struct fixture *self = *state;
    write_file(self, "memory/memory.limit_in_bytes", "67108864\n");
    assert_int_equal(cgroup_memory_bytes(self->root), 67108864);
    write_file(self, "memory/memory.limit_in_bytes", "9223372036854771712\n"); /* how version 1 says: none */
    assert_true(cgroup_memory_bytes(self->root) == machine_bytes());
}

#define SPEC(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        SPEC(without_files_the_machine_is_ours),
        SPEC(max_is_no_limit),
        SPEC(less_than_a_core_is_one),
        SPEC(parts_of_cores_are_no_threads),
        SPEC(a_large_quota_gives_no_more_than_the_cores_we_may_run_on),
        SPEC(version_1_has_quota_and_period_in_two_files),
        SPEC(version_2_goes_before_version_1),
        SPEC(strange_files_are_no_limit),
        SPEC(memory_is_the_smaller_of_limit_and_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
