/* See agent_run.h.
 *
 *   main thread     signals: SIGUSR1 → the child is restarted (agent_renewal.c); SIGTERM → hand over (agent_leave.c) →
 * SIGTERM to the child; SIGCHLD → its exit code is ours probe thread    HTTP, asks the own server tick thread forms,
 * heals, mends
 *
 * They share nothing but the flag that ends them and the configuration, which nobody writes. Failures: a command that
 * cannot be started ends with 127; a child that was killed by signal N ends us with 128+N; a second SIGTERM goes to the
 * child at once. Redis refuses to stop while it writes the first append-only file of a full resync, which is just what
 * a primary does that handed over: so it is told again each second until it has ended. As process 1 of a container we
 * also reap what the child leaves behind. */
#include "operator/agent/agent_run.h"

#include "base/log.h"
#include "operator/agent/agent_leave.h"
#include "operator/agent/agent_probe.h"
#include "operator/agent/agent_renewal.h"
#include "operator/agent/agent_tick.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TURN_MS = 200, STOP_AGAIN_S = 1, NOT_STARTED = 127, BY_SIGNAL = 128 };

struct running {
    const struct agent_config *config;
    atomic_bool is_stopped;
    agent_probe_t *probe;
    agent_tick_t *tick;
    agent_renewal_t *renewal;
    pthread_t probe_thread;
    pthread_t tick_thread;
    char *const *command; /* NULL: the server is another container's */
    pid_t child;          /* 0: none */
    bool is_restarting;   /* the child was told to stop, and is started again */
    int exit_code;
};

static void *run_probe(void *context) {
    struct running *self = context;
    while (!atomic_load_explicit(&self->is_stopped, memory_order_relaxed)) {
        agent_probe_turn(self->probe, TURN_MS);
    }
    return NULL;
}

static void *run_tick(void *context) {
    struct running *self = context;
    uint64_t interval = self->config->options.interval_ms;
    uint64_t waited = interval; /* the first tick at once */
    while (!atomic_load_explicit(&self->is_stopped, memory_order_relaxed)) {
        if (waited >= interval) {
            agent_tick(self->tick);
            agent_renewal_look(self->renewal);
            waited = 0;
        }
        uint64_t pause = interval - waited < TURN_MS ? interval - waited : TURN_MS;
        struct timespec time = {.tv_nsec = (long) pause * 1000000};
        (void) nanosleep(&time, NULL);
        waited += pause;
    }
    return NULL;
}

/* In the child: signals as a program expects them; it ends with us, however we end. */
_Noreturn static void become_server(char *const *command, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    (void) signal(SIGPIPE, SIG_DFL);
    (void) prctl(PR_SET_PDEATHSIG, SIGTERM);
    (void) pthread_sigmask(SIG_SETMASK, &none, NULL);
    if (getppid() == parent) {
        execvp(command[0], command);
        log_error("server_not_started", log_text("command", command[0]), log_text("reason", strerror(errno)));
    }
    _exit(NOT_STARTED);
}

/* Before the threads: so the child is this thread's, as its death signal wants it. */
static bool spawn_child(struct running *self, char *const *command) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        become_server(command, parent);
    }
    if (child < 0) {
        log_error("server_not_started", log_text("command", command[0]), log_text("reason", strerror(errno)));
        return false;
    }
    self->child = child;
    log_info("server_started", log_text("command", command[0]), log_u64("pid", (uint64_t) child));
    return true;
}

/* Reaps all that ended. True: the child is one of them. */
static bool reap(struct running *self) {
    int status;
    pid_t pid;
    bool is_ended = false;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == self->child) {
            is_ended = true;
            self->child = 0;
            self->exit_code = WIFSIGNALED(status) ? BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
            log_info("server_ended", log_i64("exit_code", self->exit_code));
        }
    }
    return is_ended;
}

static void leave(struct running *self) {
    char error[AGENT_ERROR_MAX] = "";
    if (agent_leave(self->config, error) != AGENT_DONE) {
        log_warning("stopped_without_handing_over", log_text("reason", error));
    }
}

/* On the tick's thread: the child is the main thread's. */
static void ask_for_restart(void *context) {
    (void) context;
    kill(getpid(), SIGUSR1);
}

static void stop_to_restart(struct running *self) {
    self->is_restarting = self->child != 0;
    if (self->child != 0) {
        log_info("server_restarts", log_u64("pid", (uint64_t) self->child));
        kill(self->child, SIGTERM);
    }
}

/* True: go on, with a new child. */
static bool start_again(struct running *self, unsigned n_terms) {
    bool is_wanted = self->is_restarting && n_terms == 0;
    self->is_restarting = false;
    return is_wanted && spawn_child(self, self->command);
}

/* True: go on. */
static bool on_signal(struct running *self, int signal, unsigned *n_terms) {
    if (signal == SIGCHLD) {
        return !reap(self) || start_again(self, *n_terms);
    }
    if (signal == SIGUSR1) {
        stop_to_restart(self);
        return true;
    }
    log_info("stopping", log_i64("signal", signal));
    if (self->child == 0) {
        return false;
    }
    if ((*n_terms)++ == 0) {
        leave(self);
    }
    if (self->child != 0) {
        kill(self->child, SIGTERM);
    }
    return true;
}

/* The next signal; 0: the child was told to stop and a second has passed; -1: none can be had. */
static int next_signal(const sigset_t *signals, bool is_stopping) {
    const struct timespec pause = {.tv_sec = STOP_AGAIN_S};
    int signal;
    do {
        signal = is_stopping ? sigtimedwait(signals, NULL, &pause) : sigwaitinfo(signals, NULL);
    } while (signal < 0 && errno == EINTR);
    return signal < 0 && errno == EAGAIN ? 0 : signal;
}

static void await_end(struct running *self, const sigset_t *signals) {
    unsigned n_terms = 0;
    int signal;
    do {
        signal = next_signal(signals, n_terms > 0);
        if (signal == 0 && self->child != 0) {
            kill(self->child, SIGTERM);
        }
    } while (signal == 0 || (signal > 0 && on_signal(self, signal, &n_terms)));
}

static bool open_parts(struct running *self, char error[AGENT_ERROR_MAX]) {
    self->probe = agent_probe_new(self->config, error);
    self->tick = self->probe == NULL ? NULL : agent_tick_new(self->config, &self->is_stopped, error);
    self->renewal = self->tick == NULL
                        ? NULL
                        : agent_renewal_new(self->config, self->command == NULL ? NULL : ask_for_restart, self, error);
    return self->renewal != NULL;
}

static void close_parts(struct running *self) {
    agent_renewal_destroy(&self->renewal);
    agent_tick_destroy(&self->tick);
    agent_probe_destroy(&self->probe);
}

static bool start_threads(struct running *self) {
    if (pthread_create(&self->probe_thread, NULL, run_probe, self) != 0) {
        return false;
    }
    if (pthread_create(&self->tick_thread, NULL, run_tick, self) != 0) {
        atomic_store(&self->is_stopped, true);
        pthread_join(self->probe_thread, NULL);
        return false;
    }
    return true;
}

static void stop_threads(struct running *self) {
    atomic_store(&self->is_stopped, true);
    pthread_join(self->tick_thread, NULL);
    pthread_join(self->probe_thread, NULL);
}

int agent_run(const struct agent_config *config, char *const *command) {
    struct running self = {.config = config, .command = command};
    char error[AGENT_ERROR_MAX] = "no thread can be started";
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (!open_parts(&self, error)) {
        log_error("not_started", log_text("reason", error));
        close_parts(&self);
        return AGENT_INVALID;
    }
    if (command != NULL && !spawn_child(&self, command)) {
        close_parts(&self);
        return NOT_STARTED;
    }
    if (!start_threads(&self)) {
        log_error("not_started", log_text("reason", error));
        self.exit_code = AGENT_OUTSIDE;
        if (self.child != 0) {
            kill(self.child, SIGTERM);
        }
    } else {
        log_info("started", log_text("mode", redis_mode_name(config->options.mode)),
                 log_u64("ordinal", config->ordinal), log_text("listen", config->options.listen),
                 log_u64("port", agent_probe_port(self.probe)));
        await_end(&self, &signals);
        stop_threads(&self);
    }
    close_parts(&self);
    return self.exit_code;
}
