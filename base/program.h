/* What main() of each of our programs does alike: command line, configuration, signals, readiness line, exit code. A
 * main file is a description and three callbacks.
 *
 *   PROGRAM [--config FILE] [--set KEY=VALUE]… [shortcuts]      runs until SIGTERM or SIGINT; SIGHUP reloads
 *   PROGRAM --check | --help | --version | --config-markdown    does that and ends
 *
 * Exit codes: 0 ended as asked, 1 could not start or did not end cleanly, 2 wrong command line, 3 wrong configuration.
 * A second SIGTERM or SIGINT ends at once with 1. CALLBOARD_CONFIG names the file where --config does not; without
 * either there is none. Threads that start() makes inherit a mask in which every signal is blocked: signals are main's.
 * Secrets leave the environment when they were read (in place: /proc/PID/environ), and the process leaves no core dump
 * and lets no other process of its user look into it.
 * Thread: main. */
#ifndef CALLBOARD_BASE_PROGRAM_H
#define CALLBOARD_BASE_PROGRAM_H

#include "base/config_reader.h"
#include "base/metrics.h"

#include <uv.h>

enum program_exit { PROGRAM_DONE = 0, PROGRAM_FAILED = 1, PROGRAM_USAGE = 2, PROGRAM_CONFIG = 3 };

typedef struct program program_t;

/* An option that stands for a setting: {"--redis", "URL", "redis.url", "…"}. */
struct program_shortcut {
    const char *option;
    const char *argument;
    const char *key;
    const char *help;
};

/* A variable of the environment that others set too, read where ours is not set: {"REDIS_URL", "CALLBOARD_REDIS_URL"}.
 */
struct program_alias {
    const char *variable;
    const char *stands_for;
};

struct program_description {
    const char *name;    /* "callboard-broker" */
    const char *summary; /* one sentence for --help */
    const struct config_table *const *tables;
    size_t n_tables; /* at most PROGRAM_TABLES_MAX */
    const struct program_shortcut *shortcuts;
    size_t n_shortcuts;
    const struct program_alias *aliases;
    size_t n_aliases;
    const char *const *fixed_settings; /* key=value, NULL-terminated: over everything else; NULL: none */
    /* Starts everything. configs[i] is the struct of tables[i]; these first ones live until the program ends, so what
     * cannot be reloaded may keep them. False: `ret_error` says what, where and how to mend it; whatever was started is
     * closing. */
    bool (*start)(void *context, program_t *program, void *const *configs, char *ret_error, size_t error_size);
    /* New configuration, verified; it lives until the next one was taken. Call program_reloaded when nothing refers to
     * the one of the last reload any more, or program_reload_refused when everything stays as it was. */
    void (*reload)(void *context, void *const *configs);
    /* Once a second between start and stop, while no reload is under way. NULL: nothing is to be done. */
    void (*look)(void *context);
    /* Drain and close. Call program_stopped when it is done; the loop then runs until no handle is left. */
    void (*stop)(void *context);
};

enum { PROGRAM_TABLES_MAX = 4, PROGRAM_ERROR_SIZE = 512 };

/* The whole of main; returns its exit code. */
int program_run(const struct program_description *description, void *context, int argc, char **argv);

uv_loop_t *program_loop(program_t *self);
/* One line on standard output: everything answers from now on. */
void program_ready(program_t *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The log's own figures (lost and suppressed lines) are counted there from now on; NULL: nowhere, before the registry
 * is destroyed. */
void program_set_metrics(program_t *self, metrics_t *metrics);
void program_reloaded(program_t *self);
void program_reload_refused(program_t *self, const char *reason);
void program_stopped(program_t *self, bool is_clean);
/* As SIGTERM: for programs that end by themselves. */
void program_stop(program_t *self);

#endif
