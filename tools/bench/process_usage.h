/* What a process of this machine has used: CPU of all its threads and proportional memory, from /proc. Thread: any. */
#ifndef CALLBOARD_TOOLS_PROCESS_USAGE_H
#define CALLBOARD_TOOLS_PROCESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>

enum { PROCESS_NAME_SIZE = 32 };

/* Its name as the kernel has it; false: there is no such process. */
bool process_usage_name(int pid, char ret_name[PROCESS_NAME_SIZE]);
/* Nanoseconds of CPU of its threads that live; false: it is gone.. */
bool process_usage_cpu(int pid, uint64_t *ret_ns);
/* Proportional set size in bytes; false: it is gone, or belongs to someone else, or lets nobody look into it (run bench
 * as root then). */
bool process_usage_pss(int pid, uint64_t *ret_bytes);

#endif
