/* How near this process is to the end of its memory, as the kernel counts it, for that is what it kills by; and three
 * degrees of giving up, the same in gateways and brokers. Thread: any (no state). */
#ifndef CALLBOARD_BASE_PROCESS_MEMORY_H
#define CALLBOARD_BASE_PROCESS_MEMORY_H

#include <stdint.h>

/* What is given up at each: gateway/memory_guard.h, broker/shard_memory.c. */
enum memory_level {
    MEMORY_FINE,
    MEMORY_SHEDS,                /* from 80 % on: what can be had again goes */
    MEMORY_REFUSES_NEWCOMERS,    /* from 90 % on, too */
    MEMORY_REFUSES_PUBLICATIONS, /* from 95 % on, too */
};

/* What the process holds of the machine's memory; 0: nobody can say. */
uint64_t process_memory_bytes(void);
/* A budget of 0, or nobody can say: fine. */
enum memory_level process_memory_level(uint64_t used_bytes, uint64_t budget_bytes);
/* Gives freed memory back to the kernel, which the C library keeps else. Takes milliseconds. */
void process_memory_give_back(void);

#endif
