/* Loaded before a program (LD_PRELOAD) it shifts the wall clock that the program sees: gettimeofday, time and
 * clock_gettime(CLOCK_REALTIME). What counts time by the monotonic clock is left alone, as when a host's clock is set.
 *
 *   whoever tests ──writes 8 bytes──▶ file named by SHIFTED_CLOCK_FILE ◀──mapped── the program
 *
 * The file holds the shift in nanoseconds, a signed integer of the machine's own order; what is written there counts at
 * once. Without the variable, or where the file cannot be mapped, nothing is shifted. It calls the kernel itself and
 * allocates nothing, so that it also serves programs whose allocator asks for the time (Redis with jemalloc, with which
 * libfaketime recurses). Thread: any. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define NS INT64_C(1000000000)

static const _Atomic int64_t *shift;

__attribute__((constructor)) static void map_shift(void) {
    const char *name = getenv("SHIFTED_CLOCK_FILE");
    int file = name != NULL ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) {
        return;
    }
    void *memory = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED) {
        shift = memory;
    }
}

static struct timespec now(clockid_t clock) {
    struct timespec at = {0};
    syscall(SYS_clock_gettime, clock, &at);
    if (shift != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = at.tv_sec * NS + at.tv_nsec + atomic_load_explicit(shift, memory_order_relaxed);
        at = (struct timespec){.tv_sec = ns / NS, .tv_nsec = ns % NS};
    }
    return at;
}

int clock_gettime(clockid_t clock, struct timespec *ret_at) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) {
        return (int) syscall(SYS_clock_gettime, clock, ret_at);
    }
    *ret_at = now(clock);
    return 0;
}

int gettimeofday(struct timeval *restrict ret_at, void *restrict zone) {
    struct timespec at = now(CLOCK_REALTIME);
    (void) zone;
    *ret_at = (struct timeval){.tv_sec = at.tv_sec, .tv_usec = at.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_at) {
    struct timespec at = now(CLOCK_REALTIME);
    if (ret_at != NULL) {
        *ret_at = at.tv_sec;
    }
    return at.tv_sec;
}
