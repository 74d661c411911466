/* See process.h. Output goes to unlinked temporary files, so a program that talks much neither blocks nor loses a line,
 * and a test reads it when it likes. */
#include "tests/support/process.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 5, STOP_MS = 10000, N_STREAMS = 2, ENVIRONMENT_MAX = 1024, PATH_SIZE = 512 };

struct output {
    int file;
    char *text; /* what was read of it */
    char *line; /* the last one found */
};

struct process {
    pid_t pid;
    bool has_ended;
    int status;
    struct output outputs[N_STREAMS];
};

extern char **environ;

static bool is_ours(const char *variable) {
    return strncmp(variable, "CALLBOARD_", 10) == 0 || strncmp(variable, "REDIS_URL=", 10) == 0;
}

static void make_environment(const char *const *settings, char **ret_environment) {
    size_t n = 0;
    for (char **variable = environ; *variable != NULL; variable++) {
        if (!is_ours(*variable)) {
            check(n + 1 < ENVIRONMENT_MAX, "too many environment variables");
            ret_environment[n++] = *variable;
        }
    }
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        check(n + 1 < ENVIRONMENT_MAX, "too many environment variables");
        ret_environment[n++] = (char *) (uintptr_t) settings[i];
    }
    ret_environment[n] = NULL;
}

/* In the child: only calls that are safe after fork. */
_Noreturn static void become(const process_t *self, const char *const *argv, char **environment, pid_t parent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(self->outputs[PROCESS_STDOUT].file, STDOUT_FILENO);
    dup2(self->outputs[PROCESS_STDERR].file, STDERR_FILENO);
    if (getppid() == parent) {
        execvpe(argv[0], (char *const *) (uintptr_t) argv, environment);
        dprintf(STDERR_FILENO, "cannot run %s: %s\n", argv[0], strerror(errno));
    }
    _exit(127);
}

process_t *process_start(const char *const *argv, const char *const *settings) {
    process_t *self = memory_alloc_zero(sizeof *self);
    char *environment[ENVIRONMENT_MAX];
    make_environment(settings, environment);
    for (int i = 0; i < N_STREAMS; i++) {
        self->outputs[i].file = memfd_create("output", MFD_CLOEXEC);
        check(self->outputs[i].file >= 0, "no file for the output: %s", strerror(errno));
        fcntl(self->outputs[i].file, F_SETFL, O_APPEND);
    }
    pid_t parent = getpid();
    self->pid = fork();
    check(self->pid >= 0, "fork: %s", strerror(errno));
    if (self->pid == 0) {
        become(self, argv, environment, parent);
    }
    return self;
}

pid_t process_pid(const process_t *self) {
    return self->pid;
}

bool process_is_running(process_t *self) {
    int status = 0;
    if (!self->has_ended && waitpid(self->pid, &status, WNOHANG) == self->pid) {
        self->has_ended = true;
        self->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return !self->has_ended;
}

static void pause_ms(unsigned ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long) (ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static bool is_standing_still(pid_t pid, const char *thread) {
    char path[PATH_SIZE];
    char stat[PATH_SIZE];
    (void) snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", (int) pid, thread);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return true; /* it has ended */
    }
    size_t size = fread(stat, 1, sizeof stat - 1, file);
    (void) fclose(file);
    stat[size] = '\0';
    const char *name_end = strrchr(stat, ')'); /* proc(5): pid (name) state ... */
    return name_end == NULL || strchr("TtZX", name_end[2]) != NULL;
}

static bool are_all_standing_still(pid_t pid) {
    char path[PATH_SIZE];
    (void) snprintf(path, sizeof path, "/proc/%d/task", (int) pid);
    DIR *threads = opendir(path);
    bool all = true;
    for (struct dirent *each = threads != NULL ? readdir(threads) : NULL; each != NULL; each = readdir(threads)) {
        all = all && (each->d_name[0] == '.' || is_standing_still(pid, each->d_name));
    }
    if (threads != NULL) {
        closedir(threads);
    }
    return all;
}

void process_halt(pid_t pid) {
    kill(pid, SIGSTOP);
    for (uint64_t end = clock_monotonic_ms() + STOP_MS; !are_all_standing_still(pid); pause_ms(1)) {
        check(clock_monotonic_ms() < end, "process %d goes on after SIGSTOP", (int) pid);
    }
}

void process_signal(process_t *self, int signal) {
    if (!process_is_running(self)) {
        return;
    }
    if (signal == SIGSTOP) {
        process_halt(self->pid);
    } else {
        kill(self->pid, signal);
    }
}

const char *process_output(process_t *self, enum process_stream stream) {
    struct output *output = &self->outputs[stream];
    struct stat stat;
    check(fstat(output->file, &stat) == 0, "fstat: %s", strerror(errno));
    size_t size = (size_t) stat.st_size;
    output->text = memory_realloc(output->text, size + 1);
    ssize_t n_read = pread(output->file, output->text, size, 0);
    check(n_read == (ssize_t) size, "read %zd of %zu bytes", n_read, size);
    output->text[size] = '\0';
    return output->text;
}

/* The whole line around a place in the text; NULL while its end is missing. */
static const char *cut_line(struct output *output, const char *place) {
    const char *end = strchr(place, '\n');
    if (end == NULL) {
        return NULL;
    }
    const char *start = place;
    while (start > output->text && start[-1] != '\n') {
        start--;
    }
    memory_free(output->line);
    output->line = memory_strndup(start, (size_t) (end - start));
    return output->line;
}

static const char *find_line(process_t *self, enum process_stream stream, const char *text) {
    const char *place = strstr(process_output(self, stream), text);
    return place == NULL ? NULL : cut_line(&self->outputs[stream], place);
}

const char *process_wait_text(process_t *self, enum process_stream stream, const char *text, unsigned timeout_ms) {
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    for (;;) {
        bool was_running = process_is_running(self); /* before the look: what it wrote last is seen */
        const char *line = find_line(self, stream, text);
        if (line != NULL || !was_running || clock_monotonic_ms() >= deadline_ms) {
            return line;
        }
        pause_ms(POLL_MS);
    }
}

const char *process_wait_event(process_t *self, const char *event, unsigned timeout_ms) {
    char text[128];
    snprintf(text, sizeof text, "\"event\":\"%s\"", event);
    return process_wait_text(self, PROCESS_STDERR, text, timeout_ms);
}

bool process_wait_exit(process_t *self, unsigned timeout_ms, int *ret_status) {
    uint64_t deadline_ms = clock_monotonic_ms() + timeout_ms;
    while (process_is_running(self)) {
        if (clock_monotonic_ms() >= deadline_ms) {
            return false;
        }
        pause_ms(POLL_MS);
    }
    *ret_status = self->status;
    return true;
}

static void destroy(process_t **self_p) {
    process_t *self = *self_p;
    for (int i = 0; i < N_STREAMS; i++) {
        close(self->outputs[i].file);
        memory_free(self->outputs[i].text);
        memory_free(self->outputs[i].line);
    }
    memory_free(self);
    *self_p = NULL;
}

static int kill_and_wait(process_t *self) {
    int status = 0;
    process_signal(self, SIGKILL);
    check(process_wait_exit(self, STOP_MS, &status), "process %d does not die", (int) self->pid);
    return status;
}

int process_stop(process_t **self_p) {
    if (*self_p == NULL) {
        return 0;
    }
    int status = 0;
    process_signal(*self_p, SIGTERM);
    process_signal(*self_p, SIGCONT); /* one that is paused hears it too */
    if (!process_wait_exit(*self_p, STOP_MS, &status)) {
        status = kill_and_wait(*self_p);
    }
    destroy(self_p);
    return status;
}

void process_kill(process_t **self_p) {
    if (*self_p != NULL) {
        kill_and_wait(*self_p);
        destroy(self_p);
    }
}
