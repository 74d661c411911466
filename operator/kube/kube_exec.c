/* posix_spawn ─▶ both outputs until they close, the process ends, or time is up ─▶ the answer.
 *
 * Failure modes: the program is not there (installHint is told), it ends with another status than 0 (its last line on
 * standard error is told), it prints too much or no ExecCredential, it does not end: then it and its children are
 * killed. A child of it that keeps the pipe open does not keep us: once the plugin has ended, what is in the pipe
 * counts. Where it may talk to a person (interactiveMode, a terminal) it keeps the terminal and its own group. */
#include "operator/kube/kube_exec.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { ERRORS_MAX = 16 * 1024, LOOK_MS = 20, MAY_TALK_TIMEOUT_MS = 300000, ENVIRONMENT_MAX = 4096 };

struct plugin {
    arena_t *arena;
    const struct kube_access *access;
    const struct kube_exec *exec;
    bool is_interactive;
    uint64_t deadline_ms;
    pid_t pid;
    int out; /* our ends of its pipes; -1: closed */
    int err;
    struct buffer output;
    struct buffer errors; /* its first bytes; what is more is thrown away */
    int status;           /* of waitpid */
    const char *why;      /* it failed */
};

static bool fail(struct plugin *self, const char *why) {
    self->why = why;
    return false;
}

/* ---- starting it ---- */

static const char **argv_of(struct plugin *self) {
    size_t n = 0;
    while (self->exec->arguments[n] != NULL) {
        n++;
    }
    const char **argv = arena_alloc(self->arena, (n + 2) * sizeof *argv);
    argv[0] = self->exec->command;
    memcpy(argv + 1, self->exec->arguments, n * sizeof *argv);
    return argv;
}

static bool is_same_variable(const char *a, const char *b) {
    size_t size = strcspn(b, "=") + 1;
    return strncmp(a, b, size) == 0;
}

/* Ours, without what the kubeconfig sets anew. */
static const char **environment_of(struct plugin *self) {
    const char **list = arena_alloc(self->arena, (ENVIRONMENT_MAX + 2) * sizeof *list);
    size_t n = 0;
    for (size_t i = 0; environ[i] != NULL && n < ENVIRONMENT_MAX / 2; i++) {
        bool is_replaced = is_same_variable(environ[i], "KUBERNETES_EXEC_INFO=");
        for (size_t k = 0; self->exec->environment[k] != NULL && !is_replaced; k++) {
            is_replaced = is_same_variable(environ[i], self->exec->environment[k]);
        }
        if (!is_replaced) {
            list[n++] = environ[i];
        }
    }
    for (size_t k = 0; self->exec->environment[k] != NULL && n < ENVIRONMENT_MAX; k++) {
        list[n++] = self->exec->environment[k];
    }
    list[n] = arena_format(self->arena, "KUBERNETES_EXEC_INFO=%s",
                           kube_exec_info(self->arena, self->access, self->is_interactive));
    return list;
}

static int spawn(struct plugin *self, int out, int err) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t set;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &set);
    short flags = POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK;
    if (!self->is_interactive) {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
        flags = (short) (flags | POSIX_SPAWN_SETPGROUP); /* so that its children end with it */
    }
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_setflags(&attributes, flags);
    int error =
        posix_spawnp(&self->pid, self->exec->command, &actions, &attributes, (char *const *) (uintptr_t) argv_of(self),
                     (char *const *) (uintptr_t) environment_of(self));
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static void close_pair(const int pair[2]) {
    close(pair[0]);
    close(pair[1]);
}

static bool start(struct plugin *self) {
    int out[2];
    int err[2];
    if (pipe2(out, O_CLOEXEC) != 0) {
        return fail(self, strerror(errno));
    }
    if (pipe2(err, O_CLOEXEC) != 0) {
        close_pair(out);
        return fail(self, strerror(errno));
    }
    int error = spawn(self, out[1], err[1]);
    close(out[1]);
    close(err[1]);
    self->out = out[0];
    self->err = err[0];
    if (error == 0) {
        return true;
    }
    const char *hint = self->exec->install_hint;
    return fail(self, arena_format(self->arena, "it cannot be started: %s; %s", strerror(error),
                                   hint == NULL ? "install it, or put its folder into PATH" : hint));
}

/* ---- until it ends ---- */

static void close_stream(int *fd) {
    close(*fd);
    *fd = -1;
}

static void take_errors(struct plugin *self, const char *bytes, size_t size) {
    size_t room = ERRORS_MAX - self->errors.size;
    buffer_append(&self->errors, bytes, size < room ? size : room);
}

/* One read of a stream that has something, or has closed. False: too much. */
static bool take(struct plugin *self, int *fd) {
    char bytes[8192];
    ssize_t n = read(*fd, bytes, sizeof bytes);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        close_stream(fd);
    } else if (fd == &self->err) {
        take_errors(self, bytes, (size_t) n);
    } else if (!buffer_append(&self->output, bytes, (size_t) n)) {
        explicit_bzero(bytes, sizeof bytes);
        return false;
    }
    explicit_bzero(bytes, sizeof bytes);
    return true;
}

/* False: nothing was there to read for so long. */
static bool take_some(struct plugin *self, int timeout_ms, bool *ret_is_good) {
    struct pollfd fds[2] = {{.fd = self->out, .events = POLLIN}, {.fd = self->err, .events = POLLIN}};
    *ret_is_good = true;
    if (poll(fds, 2, timeout_ms) <= 0) {
        return false;
    }
    if (fds[0].revents != 0) {
        *ret_is_good = take(self, &self->out);
    }
    if (fds[1].revents != 0) {
        *ret_is_good = take(self, &self->err) && *ret_is_good;
    }
    return true;
}

static bool has_ended(struct plugin *self) {
    pid_t pid = waitpid(self->pid, &self->status, WNOHANG);
    if (pid == self->pid || (pid < 0 && errno != EINTR)) {
        self->status = pid < 0 ? 0 : self->status;
        self->pid = -1;
    }
    return self->pid < 0;
}

static void kill_it(struct plugin *self) {
    if (self->pid < 0) {
        return;
    }
    kill(self->is_interactive ? self->pid : -self->pid, SIGKILL);
    while (waitpid(self->pid, &self->status, 0) < 0 && errno == EINTR) {
    }
    self->pid = -1;
}

static bool follow(struct plugin *self) {
    bool is_good;
    while (!has_ended(self)) {
        (void) take_some(self, LOOK_MS, &is_good);
        if (!is_good) {
            return fail(self, arena_format(self->arena, "it prints more than %d bytes", KUBE_EXEC_OUTPUT_MAX));
        }
        if (clock_monotonic_ms() > self->deadline_ms) {
            return fail(self, "it did not end in time and was killed");
        }
    }
    while ((self->out >= 0 || self->err >= 0) && take_some(self, 0, &is_good)) {
        if (!is_good) {
            return fail(self, arena_format(self->arena, "it prints more than %d bytes", KUBE_EXEC_OUTPUT_MAX));
        }
    }
    return true;
}

/* ---- what came of it ---- */

/* The last line on its standard error that says something, so that "run aws sso login" reaches the person. */
static const char *last_line(struct plugin *self) {
    const char *begin = (const char *) self->errors.data;
    size_t end = self->errors.size;
    while (end > 0 && (begin[end - 1] == '\n' || begin[end - 1] == '\r' || begin[end - 1] == ' ')) {
        end--;
    }
    size_t at = end;
    while (at > 0 && begin[at - 1] != '\n') {
        at--;
    }
    char *line = arena_text_of(self->arena, span_of(begin + at, end - at < 400 ? end - at : 400));
    for (char *c = line; *c != '\0'; c++) {
        *c = (unsigned char) *c < ' ' ? ' ' : *c;
    }
    return line;
}

static bool judge(struct plugin *self, struct kube_exec_credential *ret_credential) {
    const char *line = last_line(self);
    const char *colon = line[0] == '\0' ? "" : ": ";
    if (WIFSIGNALED(self->status)) {
        return fail(self,
                    arena_format(self->arena, "it was ended by signal %d%s%s", WTERMSIG(self->status), colon, line));
    }
    if (WEXITSTATUS(self->status) != 0) {
        return fail(self,
                    arena_format(self->arena, "it ended with status %d%s%s", WEXITSTATUS(self->status), colon, line));
    }
    const char *why =
        kube_exec_answer(self->arena, self->exec->api_version, buffer_span(&self->output), ret_credential);
    return why == NULL || fail(self, arena_format(self->arena, "%s%s%s", why, colon, line));
}

bool kube_exec_run(arena_t *arena, const struct kube_access *access, int64_t timeout_ms,
                   struct kube_exec_credential *ret_credential, const char **ret_error) {
    const struct kube_exec *exec = access->exec;
    bool is_interactive = exec->is_interactive && isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1;
    int64_t most_ms = is_interactive ? MAY_TALK_TIMEOUT_MS : KUBE_EXEC_TIMEOUT_MS;
    struct plugin self = {
        .arena = arena,
        .access = access,
        .exec = exec,
        .is_interactive = is_interactive,
        .deadline_ms = clock_monotonic_ms() + (uint64_t) (timeout_ms < most_ms ? timeout_ms : most_ms),
        .pid = -1,
        .out = -1,
        .err = -1,
    };
    buffer_init(&self.output, KUBE_EXEC_OUTPUT_MAX);
    bool is_good = exec->needs_terminal && !is_interactive
                       ? fail(&self, "it asks a person (interactiveMode: Always), and there is no terminal")
                       : start(&self) && follow(&self);
    kill_it(&self);
    is_good = is_good && judge(&self, ret_credential);
    if (self.out >= 0) {
        close_stream(&self.out);
    }
    if (self.err >= 0) {
        close_stream(&self.err);
    }
    if (!is_good) {
        *ret_error = arena_format(arena, "%s: the credential plugin %s gave no credentials: %s", exec->place,
                                  exec->command, self.why);
    }
    if (self.output.size > 0) {
        explicit_bzero(self.output.data, self.output.size);
    }
    buffer_finish(&self.output);
    buffer_finish(&self.errors);
    return is_good;
}
