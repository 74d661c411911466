/* /proc/self/statm is read; where it cannot be read nothing is given up. */
#include "base/process_memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { SHED_PERCENT = 80, NEWCOMERS_PERCENT = 90, PUBLICATIONS_PERCENT = 95, WHOLE_PERCENT = 100 };

uint64_t process_memory_bytes(void) {
    unsigned long long whole;
    unsigned long long resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    int n = fscanf(file, "%llu %llu", &whole, &resident);
    fclose(file);
    long page = sysconf(_SC_PAGESIZE);
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
