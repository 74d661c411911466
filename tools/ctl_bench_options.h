/* The command line of bench. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_BENCH_OPTIONS_H
#define CALLBOARD_TOOLS_CTL_BENCH_OPTIONS_H

#include "tools/bench/bench_conductor.h"
#include "tools/ctl_command.h"

#include <sys/resource.h>

struct bench_options {
    struct bench_plan plan;
    struct bench_observation observation;
    struct bench_assertion assertions[BENCH_ASSERTIONS_MAX];
    size_t n_assertions;
    const char *report_file;
    const char *plot_file;
    struct redis_url redis;
    int pids[BENCH_PROCESSES_MAX];
    const char *names[BENCH_PROCESSES_MAX];
    struct buffer secret;
    char *audience;
    char *issuer;
};

extern const struct ctl_option bench_options_table[];

/* Returns CTL_DONE, or prints what is wrong and returns CTL_USAGE. `descriptors`: what a process may open. Finish it in
 * either case. */
int bench_options_read(const struct ctl_arguments *arguments, rlim_t descriptors, struct bench_options *ret);
void bench_options_finish(struct bench_options *self);
/* The secret, audience and issuer of a configuration file. */
int bench_options_read_config(const char *file, struct bench_options *self);

#endif
