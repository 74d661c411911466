/* A real redis-server for a test (or what TEST_REDIS_SERVER names, a valkey-server): on a free port of 127.0.0.1, with
 * a directory of its own, gone at the end. Thread: the one that started it. */
#ifndef CALLBOARD_TESTS_REDIS_SERVER_H
#define CALLBOARD_TESTS_REDIS_SERVER_H

#include <stdbool.h>

typedef struct redis_server redis_server_t;

/* Returns when it answers PING. config_lines: NULL-terminated lines of redis.conf, e.g. "appendonly yes"; NULL: none.
 * By default nothing is written to disk. Aborts the test with redis's log where it cannot start. */
redis_server_t *redis_server_start(const char *const *config_lines);
/* The same process as a Sentinel: config_lines are those of sentinel.conf. */
redis_server_t *redis_server_start_sentinel(const char *const *config_lines);
bool redis_server_has_tls(void); /* unless TEST_REDIS_SERVER_PLAIN is set, for a server built without it */
/* Stops it and removes its directory. Accepts NULL. */
void redis_server_stop(redis_server_t **self_p);

int redis_server_port(const redis_server_t *self);
const char *redis_server_url(const redis_server_t *self); /* redis://127.0.0.1:port */
const char *redis_server_directory(const redis_server_t *self);
const char *redis_server_log(redis_server_t *self); /* valid until the next call */

bool redis_server_is_running(redis_server_t *self); /* not killed, nor ended by itself; paused is running */
void redis_server_pause(redis_server_t *self);      /* SIGSTOP: connections stay, nothing is answered */
void redis_server_resume(redis_server_t *self);     /* SIGCONT */
void redis_server_kill(redis_server_t *self);       /* SIGKILL, waited for */
void redis_server_shutdown(redis_server_t *self);   /* SIGTERM, waited for */
/* Starts it again after kill or shutdown, on the same port and directory; returns when it answers. */
void redis_server_restart(redis_server_t *self);

/* What redis_server_command logs in with from now on; user NULL: the default one. */
void redis_server_set_login(redis_server_t *self, const char *user, const char *password);
/* Sends one command on a connection of its own; format as hiredis's (%s, %b with a size_t, %d). The answer as text
 * (integers in decimal, arrays one element a line, nil and errors with their text), to be freed by memory_free. NULL:
 * no answer within 2 s. */
char *redis_server_command(redis_server_t *self, const char *format, ...);
/* As redis_server_command, and aborts the test unless the answer is `expected`. */
void redis_server_expect(redis_server_t *self, const char *expected, const char *format, ...);
/* Asks until the answer has `text` in it; aborts the test after 30 s with the last answer. */
void redis_server_await(redis_server_t *self, const char *text, const char *format, ...);

#endif
