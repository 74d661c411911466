/* A program started by a test: its output is kept whole, its end is seen, and it never outlives the test (the kernel
 * kills it when the test's thread that started it ends). Only processes started here are ever signalled, by their pid.
 * Thread: the one that started it. */
#ifndef CALLBOARD_TESTS_PROCESS_H
#define CALLBOARD_TESTS_PROCESS_H

#include "base/bytes.h"

#include <stdbool.h>
#include <sys/types.h>

typedef struct process process_t;

enum process_stream { PROCESS_STDOUT, PROCESS_STDERR };

/* argv: NULL-terminated, argv[0] is a path or found in PATH. settings: NAME=value added to the environment,
 * NULL-terminated; NULL: none. CALLBOARD_ and REDIS_URL variables of the test itself are not passed on. */
process_t *process_start(const char *const *argv, const char *const *settings);
pid_t process_pid(const process_t *self);
bool process_is_running(process_t *self);
void process_signal(process_t *self, int signal); /* nothing when it has ended; SIGSTOP as process_halt does */
/* SIGSTOP reaches the threads of a process one by one: on a busy machine some go on, and answer, for long after kill(2)
 * has returned. Returns when all of them stand still. */
void process_halt(pid_t pid);

/* What it has written so far, NUL-terminated; valid until the next call for the same stream. */
const char *process_output(process_t *self, enum process_stream stream);
/* Waits until the stream has a whole line with `text` in it: the line, without its line feed, valid until the next call
 * for the stream. NULL: it did not come in time, or the process ended without it. */
const char *process_wait_text(process_t *self, enum process_stream stream, const char *text, unsigned timeout_ms);
/* As process_wait_text on stderr, for the log line of this event. */
const char *process_wait_event(process_t *self, const char *event, unsigned timeout_ms);
/* True: it ended in time; *ret_status is its exit code, or 128 + signal. */
bool process_wait_exit(process_t *self, unsigned timeout_ms, int *ret_status);

/* SIGTERM, and SIGKILL after 10 s; waits, frees. Returns as process_wait_exit's status. Accepts NULL (then 0). */
int process_stop(process_t **self_p);
/* SIGKILL, waits, frees. */
void process_kill(process_t **self_p);

#endif
