/* See sim.h. The heap is ordered by (time, number of the request), so nothing depends on how the heap is built. */
#include "tests/simulation/sim.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct event {
    uint64_t time_us;
    uint64_t number;
    sim_event run;
    void *context;
    uint64_t argument;
};

struct block {
    struct block *next;
    size_t used;
    size_t size;
    _Alignas(16) uint8_t bytes[];
};

enum { BLOCK_SIZE = 64 * 1024, EVENTS_FIRST = 1024 };

static struct {
    uint64_t seed;
    uint64_t random[4];
    uint64_t now_us;
    struct event *heap;
    size_t n;
    size_t capacity;
    uint64_t last_number;
    struct block *blocks;
    bool failed;
    char failure[512];
    bool trace;
    uint64_t fingerprint;
} sim;

/* ---- randomness: xoshiro256**, seeded by splitmix64 ---- */

static uint64_t split(uint64_t *state) {
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static uint64_t rotate(uint64_t x, int k) {
    return (x << k) | (x >> (64 - k));
}

uint64_t sim_random(void) {
    uint64_t *s = sim.random;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t sim_below(uint64_t bound) {
    return bound == 0 ? 0 : sim_random() % bound;
}

uint64_t sim_between(uint64_t low, uint64_t high) {
    return low + sim_below(high - low + 1);
}

bool sim_chance(unsigned percent) {
    return sim_below(100) < percent;
}

/* ---- memory ---- */

void *sim_alloc(size_t size) {
    size = (size + 15) & ~(size_t) 15;
    struct block *block = sim.blocks;
    if (block == NULL || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        block = memory_alloc(sizeof *block + room);
        *block = (struct block){.next = sim.blocks, .size = room};
        sim.blocks = block;
    }
    void *result = block->bytes + block->used;
    block->used += size;
    memset(result, 0, size);
    return result;
}

void *sim_copy(const void *bytes, size_t size) {
    void *copy = sim_alloc(size + 1);
    if (size > 0) {
        memcpy(copy, bytes, size);
    }
    return copy;
}

/* ---- life ---- */

void sim_begin(uint64_t seed, bool trace) {
    struct event *heap = sim.heap;
    size_t capacity = sim.capacity;
    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.trace = trace;
    sim.heap = heap;
    sim.capacity = capacity;
    sim.now_us = 1000 * SECOND;
    uint64_t state = seed;
    for (int i = 0; i < 4; i++) {
        sim.random[i] = split(&state);
    }
}

void sim_end(void) {
    while (sim.blocks != NULL) {
        struct block *next = sim.blocks->next;
        memory_free(sim.blocks);
        sim.blocks = next;
    }
    sim.n = 0;
    memory_free(sim.heap);
    sim.heap = NULL;
    sim.capacity = 0;
}

uint64_t sim_seed(void) {
    return sim.seed;
}

/* ---- events ---- */

uint64_t sim_now_us(void) {
    return sim.now_us;
}

static bool is_before(const struct event *a, const struct event *b) {
    return a->time_us < b->time_us || (a->time_us == b->time_us && a->number < b->number);
}

void sim_at(uint64_t time_us, sim_event run, void *context, uint64_t argument) {
    if (sim.n == sim.capacity) {
        sim.capacity = sim.capacity == 0 ? EVENTS_FIRST : sim.capacity * 2;
        sim.heap = memory_realloc(sim.heap, sim.capacity * sizeof *sim.heap);
    }
    struct event event = {time_us < sim.now_us ? sim.now_us : time_us, ++sim.last_number, run, context, argument};
    size_t at = sim.n++;
    while (at > 0 && is_before(&event, &sim.heap[(at - 1) / 2])) {
        sim.heap[at] = sim.heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    sim.heap[at] = event;
}

static struct event take_first(void) {
    struct event first = sim.heap[0];
    struct event last = sim.heap[--sim.n];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= sim.n) {
            break;
        }
        if (child + 1 < sim.n && is_before(&sim.heap[child + 1], &sim.heap[child])) {
            child++;
        }
        if (!is_before(&sim.heap[child], &last)) {
            break;
        }
        sim.heap[at] = sim.heap[child];
        at = child;
    }
    sim.heap[at] = last;
    return first;
}

static bool run_next(uint64_t until_us) {
    if (sim.failed || sim.n == 0 || sim.heap[0].time_us > until_us) {
        return false;
    }
    struct event event = take_first();
    sim.now_us = event.time_us;
    event.run(event.context, event.argument);
    return true;
}

void sim_run_until(uint64_t time_us) {
    while (run_next(time_us)) {
    }
    if (!sim.failed && sim.now_us < time_us) {
        sim.now_us = time_us;
    }
}

bool sim_run_while(bool (*goes_on)(void *context), void *context, uint64_t until_us) {
    while (goes_on(context)) {
        if (!run_next(until_us)) {
            return false;
        }
    }
    return true;
}

/* ---- verdict and trace ---- */

void sim_fail(const char *format, ...) {
    if (sim.failed) {
        return;
    }
    sim.failed = true;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim.failure, sizeof sim.failure, format, arguments);
    va_end(arguments);
    sim_trace("checker", "FAILED %s", sim.failure);
}

const char *sim_failure(void) {
    return sim.failed ? sim.failure : NULL;
}

bool sim_traces(void) {
    return sim.trace;
}

void sim_trace_line(const char *who, const char *format, ...) {
    uint64_t us = sim.now_us - 1000 * (uint64_t) SECOND;
    printf("%4llu.%06llu %-10s ", (unsigned long long) (us / SECOND), (unsigned long long) (us % SECOND), who);
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

void sim_note(const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++) {
        sim.fingerprint = (sim.fingerprint ^ at[i]) * 0x100000001b3U;
    }
    sim.fingerprint = (sim.fingerprint ^ sim.now_us) * 0x100000001b3U;
}

uint64_t sim_fingerprint(void) {
    return sim.fingerprint;
}
