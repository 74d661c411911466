/* Files: v2 has cpu.max ("200000 100000" or "max 100000") and memory.max; v1 has cpu/cpu.cfs_quota_us (-1: none),
 * cpu/cpu.cfs_period_us and memory/memory.limit_in_bytes. A file that is missing or reads strangely is no limit. */
#include "base/cgroup.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

/* Numbers at the start of a file, separated by blanks; how many there were. */
static int read_numbers(const char *root, const char *name, long long ret_numbers[2]) {
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    int n = fscanf(file, "%lld %lld", &ret_numbers[0], &ret_numbers[1]);
    fclose(file);
    return n < 0 ? 0 : n;
}

static bool read_quota(const char *root, long long *ret_quota, long long *ret_period) {
    long long numbers[2];
    if (read_numbers(root, "cpu.max", numbers) == 2) {
        *ret_quota = numbers[0];
        *ret_period = numbers[1];
        return true;
    }
    if (read_numbers(root, "cpu/cpu.cfs_quota_us", numbers) < 1) {
        return false;
    }
    *ret_quota = numbers[0];
    if (read_numbers(root, "cpu/cpu.cfs_period_us", numbers) < 1) {
        return false;
    }
    *ret_period = numbers[0];
    return true;
}

static unsigned usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
        return (unsigned) CPU_COUNT(&set);
    }
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned) n : 1;
}

unsigned cgroup_cores(const char *root) {
    unsigned usable = usable_cores();
    long long quota;
    long long period;
    if (!read_quota(root, &quota, &period) || quota <= 0 || period <= 0) {
        return usable;
    }
    long long cores = quota / period;
    if (cores < 1) {
        return 1;
    }
    return cores < (long long) usable ? (unsigned) cores : usable;
}

uint64_t cgroup_memory_bytes(const char *root) {
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t machine = pages > 0 && page > 0 ? (uint64_t) pages * (uint64_t) page : (uint64_t) 1 << 30;
    long long numbers[2];
    if (read_numbers(root, "memory.max", numbers) < 1 &&
        read_numbers(root, "memory/memory.limit_in_bytes", numbers) < 1) {
        return machine;
    }
    return numbers[0] > 0 && (uint64_t) numbers[0] < machine ? (uint64_t) numbers[0] : machine;
}
