/* /proc/self/statm is read; where it cannot be read nothing is given up. */
#include "base/process_memory.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

enum { SHED_PERCENT = 80, NEWCOMERS_PERCENT = 90, PUBLICATIONS_PERCENT = 95, WHOLE_PERCENT = 100 };

/* Open as long as the process is: it can be read when no other descriptor is left to be had. */
static int statm = -1;
static pthread_once_t statm_once = PTHREAD_ONCE_INIT;

static void open_statm(void) {
    statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

uint64_t process_memory_bytes(void) {
    char text[128];
    unsigned long long whole;
    unsigned long long resident;
    pthread_once(&statm_once, open_statm);
    ssize_t size = pread(statm, text, sizeof text - 1, 0);
    if (size <= 0) {
        return 0;
    }
    text[size] = '\0';
    long page = sysconf(_SC_PAGESIZE);
    int n = sscanf(text, "%llu %llu", &whole, &resident);
    return n == 2 && page > 0 ? (uint64_t) resident * (uint64_t) page : 0;
}

enum memory_level process_memory_level(uint64_t used_bytes, uint64_t budget_bytes) {
    uint64_t percent = budget_bytes / WHOLE_PERCENT == 0 ? 0 : used_bytes / (budget_bytes / WHOLE_PERCENT);
    if (percent >= PUBLICATIONS_PERCENT) {
        return MEMORY_REFUSES_PUBLICATIONS;
    }
    if (percent >= NEWCOMERS_PERCENT) {
        return MEMORY_REFUSES_NEWCOMERS;
    }
    return percent >= SHED_PERCENT ? MEMORY_SHEDS : MEMORY_FINE;
}

void process_memory_give_back(void) {
    malloc_trim(0);
}
