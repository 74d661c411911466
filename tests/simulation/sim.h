/* The heart of the simulation: virtual time, one source of randomness, events in order, memory of one schedule.
 *
 *   sim_at(time, what) ─▶ heap ─▶ sim_run_until: the earliest event runs, virtual time is its time
 *
 * Everything that happens in a schedule happens inside an event, on one thread, and everything random comes from the
 * seed: the same seed gives the same schedule, to the byte. State is global, since what it stands in for (clocks, the
 * kernel's random numbers, sockets) is. */
#ifndef CALLBOARD_TESTS_SIMULATION_SIM_H
#define CALLBOARD_TESTS_SIMULATION_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MS = 1000, SECOND = 1000 * MS };

/* ---- a schedule's beginning and end ---- */
void sim_begin(uint64_t seed, bool trace);
/* Frees what sim_alloc gave. */
void sim_end(void);
uint64_t sim_seed(void);

/* ---- time ---- */
uint64_t sim_now_us(void);
typedef void (*sim_event)(void *context, uint64_t argument);
/* Runs at that time, or at once where that has passed; those of one time in the order they were asked for. */
void sim_at(uint64_t time_us, sim_event run, void *context, uint64_t argument);
static inline void sim_after(uint64_t delay_us, sim_event run, void *context, uint64_t argument) {
    sim_at(sim_now_us() + delay_us, run, context, argument);
}
/* Runs events up to that time, or until the schedule has failed. */
void sim_run_until(uint64_t time_us);
/* Runs events until the condition holds (looked at behind each); false: it did not by that time. */
bool sim_run_while(bool (*goes_on)(void *context), void *context, uint64_t until_us);

/* ---- randomness ---- */
uint64_t sim_random(void);
uint64_t sim_below(uint64_t bound);                /* [0, bound), 0 for 0 */
uint64_t sim_between(uint64_t low, uint64_t high); /* [low, high] */
bool sim_chance(unsigned percent);

/* ---- memory that lives as long as the schedule ---- */
void *sim_alloc(size_t size); /* zeroed */
void *sim_copy(const void *bytes, size_t size);

/* ---- verdict and trace ---- */
/* The first failure is kept; the schedule ends behind the event that is running. */
void sim_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *sim_failure(void); /* NULL: none */
bool sim_traces(void);
void sim_trace_line(const char *who, const char *format, ...) __attribute__((format(printf, 2, 3)));
#define sim_trace(who, ...)                                                                                            \
    do {                                                                                                               \
        if (sim_traces()) {                                                                                            \
            sim_trace_line((who), __VA_ARGS__);                                                                        \
        }                                                                                                              \
    } while (0)
/* A hash over everything that sim_note saw: equal for two runs of a seed. */
void sim_note(const void *bytes, size_t size);
uint64_t sim_fingerprint(void);

#endif
