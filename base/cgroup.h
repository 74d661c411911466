/* What this process may really use: cores and memory of its control group (v2, then v1), not of the machine.
 * Thread: any; reads files, so at the start. */
#ifndef CALLBOARD_BASE_CGROUP_H
#define CALLBOARD_BASE_CGROUP_H

#include <stdint.h>

/* Where the kernel shows the control group of a container; tests have folders of their own. */
#define CGROUP_ROOT "/sys/fs/cgroup"

/* Whole cores: the quota (rounded down, for half a core more threads are only throttled), at most those the process may
 * run on; at least 1. */
unsigned cgroup_cores(const char *root);
/* The memory limit, or that of the machine if there is none or it is smaller. */
uint64_t cgroup_memory_bytes(const char *root);

#endif
