/* See redis_server.h. */
#include "tests/support/redis_server.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

enum { START_MS = 20000, COMMAND_MS = 2000, AWAIT_MS = 30000 };

struct redis_server {
    process_t *process;
    bool is_sentinel;
    int port;
    char url[64];
    char user[64]; /* of redis_server_command */
    char password[128];
    char directory[64];
    char config_path[96];
};

static void write_config(const redis_server_t *self, const char *const *config_lines) {
    FILE *file = fopen(self->config_path, "w");
    check(file != NULL, "%s: %s", self->config_path, strerror(errno));
    fprintf(file, "port %d\nbind 127.0.0.1\ndir %s\ndaemonize no\nprotected-mode no\n", self->port, self->directory);
    if (!self->is_sentinel) {
        fprintf(file, "save \"\"\nappendonly no\n");
    }
    for (size_t i = 0; config_lines != NULL && config_lines[i] != NULL; i++) {
        fprintf(file, "%s\n", config_lines[i]);
    }
    check(fclose(file) == 0, "%s: %s", self->config_path, strerror(errno));
}

static bool answers_ping(redis_server_t *self) {
    char *answer = redis_server_command(self, "PING");
    /* a server that asks for a password, or refuses while replicas are missing, is up as well */
    bool is_up = answer != NULL && strncmp(answer, "LOADING", 7) != 0;
    memory_free(answer);
    return is_up;
}

static void launch(redis_server_t *self) {
    const char *program = getenv("TEST_REDIS_SERVER");
    const char *const argv[] = {program == NULL ? "redis-server" : program, self->config_path,
                                self->is_sentinel ? "--sentinel" : NULL, NULL};
    self->process = process_start(argv, NULL);
    uint64_t deadline_ms = clock_monotonic_ms() + START_MS;
    while (!answers_ping(self)) {
        check(process_is_running(self->process), "redis-server ended: %s%s",
              process_output(self->process, PROCESS_STDOUT), process_output(self->process, PROCESS_STDERR));
        check(clock_monotonic_ms() < deadline_ms, "redis-server does not answer: %s",
              process_output(self->process, PROCESS_STDOUT));
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static redis_server_t *start(const char *const *config_lines, bool is_sentinel) {
    redis_server_t *self = memory_alloc_zero(sizeof *self);
    self->is_sentinel = is_sentinel;
    const char *base = getenv("TMPDIR");
    int length =
        snprintf(self->directory, sizeof self->directory, "%s/callboard-redis-XXXXXX", base == NULL ? "/tmp" : base);
    check(length < (int) sizeof self->directory && mkdtemp(self->directory) != NULL, "mkdtemp: %s", strerror(errno));
    self->port = free_port();
    snprintf(self->url, sizeof self->url, "redis://127.0.0.1:%d", self->port);
    snprintf(self->config_path, sizeof self->config_path, "%s/redis.conf", self->directory);
    write_config(self, config_lines);
    launch(self);
    return self;
}

redis_server_t *redis_server_start(const char *const *config_lines) {
    return start(config_lines, false);
}

redis_server_t *redis_server_start_sentinel(const char *const *config_lines) {
    return start(config_lines, true);
}

bool redis_server_has_tls(void) {
    return getenv("TEST_REDIS_SERVER_PLAIN") == NULL;
}

static int remove_entry(const char *path, const struct stat *stat, int kind, struct FTW *walk) {
    (void) stat;
    (void) kind;
    (void) walk;
    return remove(path);
}

void redis_server_stop(redis_server_t **self_p) {
    redis_server_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    process_kill(&self->process);
    nftw(self->directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    memory_free(self);
    *self_p = NULL;
}

int redis_server_port(const redis_server_t *self) {
    return self->port;
}

const char *redis_server_url(const redis_server_t *self) {
    return self->url;
}

const char *redis_server_directory(const redis_server_t *self) {
    return self->directory;
}

const char *redis_server_log(redis_server_t *self) {
    return self->process == NULL ? "" : process_output(self->process, PROCESS_STDOUT);
}

bool redis_server_is_running(redis_server_t *self) {
    return self->process != NULL && process_is_running(self->process);
}

void redis_server_pause(redis_server_t *self) {
    process_signal(self->process, SIGSTOP);
}

void redis_server_resume(redis_server_t *self) {
    process_signal(self->process, SIGCONT);
}

void redis_server_kill(redis_server_t *self) {
    process_kill(&self->process);
}

void redis_server_shutdown(redis_server_t *self) {
    process_stop(&self->process);
}

void redis_server_restart(redis_server_t *self) {
    check(self->process == NULL, "redis-server still runs");
    launch(self);
}

/* ---- commands ---- */

static void append_reply(struct buffer *out, const redisReply *reply) {
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        buffer_append_i64_decimal(out, reply->integer);
        return;
    case REDIS_REPLY_NIL:
        buffer_append_text(out, "nil");
        return;
    case REDIS_REPLY_ARRAY:
        for (size_t i = 0; i < reply->elements; i++) {
            if (i > 0) {
                buffer_append_char(out, '\n');
            }
            append_reply(out, reply->element[i]);
        }
        return;
    default: /* status, error, string */
        buffer_append(out, reply->str, (size_t) reply->len);
        return;
    }
}

void redis_server_set_login(redis_server_t *self, const char *user, const char *password) {
    snprintf(self->user, sizeof self->user, "%s", user == NULL ? "default" : user);
    snprintf(self->password, sizeof self->password, "%s", password);
}

static char *text_of(redisReply *reply) {
    if (reply == NULL) {
        return NULL;
    }
    struct buffer out = BUFFER_EMPTY;
    append_reply(&out, reply);
    char *text = out.size == 0 ? memory_strdup("") : memory_strndup((const char *) out.data, out.size);
    buffer_finish(&out);
    freeReplyObject(reply);
    return text;
}

static char *command(redis_server_t *self, const char *format, va_list arguments) {
    const struct timeval timeout = {.tv_sec = COMMAND_MS / 1000};
    redisContext *context = redisConnectWithTimeout("127.0.0.1", self->port, timeout);
    check(context != NULL, "no connection could be made to redis");
    redisSetTimeout(context, timeout);
    if (context->err == 0 && self->user[0] != '\0') {
        memory_free(text_of(redisCommand(context, "AUTH %s %s", self->user, self->password)));
    }
    char *text = context->err == 0 ? text_of(redisvCommand(context, format, arguments)) : NULL;
    redisFree(context);
    return text;
}

char *redis_server_command(redis_server_t *self, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = command(self, format, arguments);
    va_end(arguments);
    return text;
}

void redis_server_expect(redis_server_t *self, const char *expected, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = command(self, format, arguments);
    va_end(arguments);
    check(text != NULL && strcmp(text, expected) == 0, "%s: \"%s\" instead of \"%s\"", format,
          text == NULL ? "(no answer)" : text, expected);
    memory_free(text);
}

void redis_server_await(redis_server_t *self, const char *wanted, const char *format, ...) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    for (bool found = false; !found;) {
        va_list arguments;
        va_start(arguments, format);
        char *text = command(self, format, arguments);
        va_end(arguments);
        found = text != NULL && strstr(text, wanted) != NULL;
        check(found || clock_monotonic_ms() < deadline_ms, "%s: \"%s\" has no \"%s\"", format,
              text == NULL ? "(no answer)" : text, wanted);
        memory_free(text);
        if (!found) {
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
    }
}
