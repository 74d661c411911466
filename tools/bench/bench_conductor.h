/* Runs a plan: forks its workers, leads them through connecting, running and draining, looks at the named processes and
 * at Redis in between, and gives the result. Thread: main; the process has no other. */
#ifndef CALLBOARD_TOOLS_BENCH_CONDUCTOR_H
#define CALLBOARD_TOOLS_BENCH_CONDUCTOR_H

#include "tools/bench/bench_board.h"
#include "tools/bench/bench_figures.h"
#include "tools/bench/process_usage.h"
#include "tools/bench/redis_rate.h"

enum { BENCH_PROCESSES_MAX = 16, BENCH_SAMPLES_MAX = 3600 };

struct bench_process_sample {
    double cpu_s;     /* NAN: unknown */
    double pss_bytes; /* NAN: unknown */
};

struct bench_process {
    char name[PROCESS_NAME_SIZE];
    int pid;
    struct bench_process_sample before;    /* the first connection */
    struct bench_process_sample connected; /* when all were connected */
    struct bench_process_sample run;       /* before the first publication, or before a storm's return */
    struct bench_process_sample end;
};

/* A second of the run. */
struct bench_sample {
    double at_s;
    double rate;
    double p50_ms;
    double p95_ms;
    double p99_ms;
};

struct bench_result {
    double figures[BENCH_N_FIGURES];
    struct bench_counts counts;
    struct latency_histogram delivery;
    struct latency_histogram connect;
    struct latency_histogram caught_up;
    struct bench_process processes[BENCH_PROCESSES_MAX];
    unsigned n_processes;
    struct bench_sample samples[BENCH_SAMPLES_MAX];
    unsigned n_samples;
    double connect_s;
    double run_s;
    double tool_cpu_s; /* of the run, all workers */
    bool interrupted;
    char reason[BENCH_REASON_SIZE]; /* the first thing that went wrong; "": nothing */
};

struct bench_observation {
    const int *pids;
    const char *const *names; /* NULL: the kernel's */
    unsigned n_pids;
    const struct redis_url *redis; /* NULL: none */
    bool progress;                 /* a line on standard error, each second */
};

/* False: the run could not be carried through; ret->reason says why. */
bool bench_conduct(const struct bench_plan *plan, const struct bench_observation *observation,
                   struct bench_result *ret);

#endif
