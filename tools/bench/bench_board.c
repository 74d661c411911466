/* Mapping the shared memory, and sums over its workers. */
#include "tools/bench/bench_board.h"

#include <sys/mman.h>
#include <time.h>

uint64_t bench_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t) now.tv_sec * 1000000000U + (uint64_t) now.tv_nsec;
}

struct bench_board *bench_board_open(const struct bench_plan *plan) {
    size_t head = (sizeof(struct bench_board) + 4095) / 4096 * 4096;
    size_t parts = plan->processes * sizeof(struct bench_worker_part);
    size_t sent = (size_t) plan->channels * plan->publishers * sizeof(bench_counter);
    size_t came = (size_t) plan->processes * plan->channels * sizeof(bench_counter);
    size_t size = head + parts + sent + came;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    struct bench_board *self = memory;
    self->size = size;
    self->workers = (struct bench_worker_part *) ((char *) memory + head);
    self->sent = (bench_counter *) ((char *) memory + head + parts);
    self->came = (bench_counter *) ((char *) memory + head + parts + sent);
    return self;
}

void bench_board_close(struct bench_board **self_p) {
    if (*self_p != NULL) {
        munmap(*self_p, (*self_p)->size);
        *self_p = NULL;
    }
}

void bench_board_sum(const struct bench_board *self, unsigned n_workers, struct bench_counts *ret) {
    *ret = (struct bench_counts){0};
    for (unsigned i = 0; i < n_workers; i++) {
        const struct bench_counts *counts = &self->workers[i].counts;
#define X(name) bench_count(&ret->name, bench_read(&counts->name));
        BENCH_COUNTERS(X)
#undef X
    }
}

void bench_board_delivery(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret) {
    *ret = (struct latency_histogram){.count = 0};
    for (unsigned i = 0; i < n_workers; i++) {
        latency_histogram_add(ret, &self->workers[i].delivery);
    }
}

void bench_board_connect(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret) {
    *ret = (struct latency_histogram){.count = 0};
    for (unsigned i = 0; i < n_workers; i++) {
        latency_histogram_add(ret, &self->workers[i].connect);
    }
}

void bench_board_caught_up(const struct bench_board *self, unsigned n_workers, struct latency_histogram *ret) {
    *ret = (struct latency_histogram){.count = 0};
    for (unsigned i = 0; i < n_workers; i++) {
        latency_histogram_add(ret, &self->workers[i].caught_up);
    }
}
