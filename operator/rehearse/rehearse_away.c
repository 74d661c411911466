/* See rehearse_away.h.
 *
 * CLIENT PAUSE … ALL also holds our own CLIENT UNPAUSE back, so a pause is as long as it was ordered: that is what
 * makes it safe to be interrupted. DEBUG SLEEP does not answer before it is over: a refusal is an answer that comes at
 * once.
 *
 * Failure modes: a hook that does not end in HOOK_MS is ended, and counts as failed. */
#include "operator/rehearse/rehearse_away.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

enum { HOOK_MS = 60000, REFUSAL_MS = 300, SLICE_MS = 10 };

extern char **environ;

static const char *name_of(enum redis_service service) {
    return service == REDIS_SERVICE_REDIS ? "redis" : "sentinel";
}

/* ---- hooks ---- */

static bool await_hook(pid_t pid, int *ret_status) {
    uint64_t deadline_ms = clock_monotonic_ms() + HOOK_MS;
    for (;;) {
        pid_t ended = waitpid(pid, ret_status, WNOHANG);
        if (ended == pid) {
            return true;
        }
        if (clock_monotonic_ms() >= deadline_ms || (ended < 0 && errno != EINTR)) {
            kill(pid, SIGKILL);
            (void) waitpid(pid, ret_status, 0);
            return false;
        }
        struct timespec pause = {.tv_nsec = SLICE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

static bool call_hook(const char *program, enum redis_service service, const struct redis_pod *pod, char *ret_error,
                      size_t error_size) {
    char port[8];
    char host[REDIS_POD_NAME_MAX + 1];
    char role[16];
    char path[4096];
    pid_t pid;
    int status = 0;
    snprintf(port, sizeof port, "%u", pod->port);
    snprintf(host, sizeof host, "%s", pod->host);
    snprintf(role, sizeof role, "%s", name_of(service));
    snprintf(path, sizeof path, "%s", program);
    char *const arguments[] = {path, role, host, port, NULL};
    int error = posix_spawnp(&pid, program, NULL, NULL, arguments, environ);
    if (error != 0) {
        snprintf(ret_error, error_size, "%s: %s", program, strerror(error));
        return false;
    }
    if (!await_hook(pid, &status)) {
        snprintf(ret_error, error_size, "%s %s %s %s does not end", program, role, host, port);
        return false;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        snprintf(ret_error, error_size, "%s %s %s %s failed (%s %d)", program, role, host, port,
                 WIFEXITED(status) ? "exit code" : "signal",
                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
        return false;
    }
    return true;
}

/* ---- standing still ---- */

static bool refuse(const struct redis_pod *pod, const char *command, struct span why, char *ret_error,
                   size_t error_size) {
    snprintf(ret_error, error_size, "%s at %s: %.*s", command, pod->host, (int) (why.size < 200 ? why.size : 200),
             why.size == 0 ? "" : (const char *) why.data);
    return false;
}

static bool pause_clients(resp_client_t *client, const struct redis_pod *pod, uint64_t ms, char *ret_error,
                          size_t error_size) {
    char duration[24];
    snprintf(duration, sizeof duration, "%llu", (unsigned long long) ms);
    const struct redis_reply *reply = resp_client_call(client, "CLIENT", "PAUSE", duration, "ALL");
    return resp_reply_is_ok(reply) ||
           refuse(pod, "CLIENT PAUSE", reply == NULL ? span_of_text(resp_client_error(client)) : reply->text, ret_error,
                  error_size);
}

static bool put_to_sleep(resp_client_t *client, const struct redis_pod *pod, uint64_t ms, char *ret_error,
                         size_t error_size) {
    char duration[24];
    snprintf(duration, sizeof duration, "%llu.%03llu", (unsigned long long) (ms / 1000),
             (unsigned long long) (ms % 1000));
    resp_client_set_timeout(client, REFUSAL_MS);
    const struct redis_reply *reply = resp_client_call(client, "DEBUG", "SLEEP", duration);
    return reply == NULL || refuse(pod, "DEBUG SLEEP", reply->text, ret_error, error_size);
}

static bool stand_still(struct rehearse_away *self, const struct rehearse_away_entry *entry, uint64_t ms,
                        char *ret_error, size_t error_size) {
    char why[RESP_ERROR_MAX] = "";
    resp_client_t *client = redis_dialer_open(self->dialer, entry->service, &entry->pod, NULL, why, sizeof why);
    if (client == NULL) {
        return refuse(&entry->pod, "connecting", span_of_text(why), ret_error, error_size);
    }
    bool is_done = entry->how == REHEARSE_PAUSED ? pause_clients(client, &entry->pod, ms, ret_error, error_size)
                                                 : put_to_sleep(client, &entry->pod, ms, ret_error, error_size);
    resp_client_destroy(&client);
    return is_done;
}

/* ---- both ---- */

bool rehearse_away_take(struct rehearse_away *self, enum redis_service service, const struct redis_pod *pod,
                        enum rehearse_standstill how, uint64_t ms, char *ret_error, size_t error_size) {
    check(self->n < REHEARSE_AWAY_MAX, "more away than a rehearsal takes");
    struct rehearse_away_entry entry = {.service = service, .pod = *pod, .how = how};
    bool is_away = how == REHEARSE_STOPPED ? call_hook(self->hooks.stop, service, pod, ret_error, error_size)
                                           : stand_still(self, &entry, ms, ret_error, error_size);
    entry.until_ms = how == REHEARSE_STOPPED ? 0 : clock_monotonic_ms() + ms;
    if (is_away) {
        self->entries[self->n++] = entry;
    }
    return is_away;
}

/* The last one first: a primary is back before the Sentinels that could replace it. */
bool rehearse_away_start_all(struct rehearse_away *self, void (*tell)(void *context, const char *text), void *context) {
    struct rehearse_away_entry left[REHEARSE_AWAY_MAX];
    size_t n_left = 0;
    for (size_t i = self->n; i > 0; i--) {
        const struct rehearse_away_entry *entry = &self->entries[i - 1];
        char error[512];
        if (entry->how == REHEARSE_STOPPED &&
            !call_hook(self->hooks.start, entry->service, &entry->pod, error, sizeof error)) {
            tell(context, error);
            left[n_left++] = *entry;
        }
    }
    memcpy(self->entries, left, n_left * sizeof left[0]);
    self->n = n_left;
    return n_left == 0;
}

uint64_t rehearse_away_until_ms(const struct rehearse_away *self) {
    uint64_t until_ms = 0;
    for (size_t i = 0; i < self->n; i++) {
        until_ms = self->entries[i].until_ms > until_ms ? self->entries[i].until_ms : until_ms;
    }
    return until_ms;
}
