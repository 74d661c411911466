/* callboardctl lease: one request about a lease, or a command that runs as long as the lease is held.
 *
 *   acquire ─▶ fork, exec ─▶ waits for the child, renews at a third of the time ─▶ release, the child's exit code
 *                              │ error 123, or not renewed by two thirds of it
 *                              └─▶ SIGTERM to the child's group ─▶ SIGKILL before the lease ends
 *
 * The lease's end is counted from before the request that was answered, by the monotonic clock. Failure modes: a
 * command that ignores SIGTERM is killed; this program killed: the kernel kills the child, and the lease ends by its
 * time. */
#include "tools/ctl.h"

#include "base/clock.h"
#include "base/error_code.h"
#include "base/json_scan.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TTL, WAIT, RENEW, RELEASE };
enum { TTL_DEFAULT_US = 10000000, TTL_OF_COMMAND_MS = 1000, EXIT_BY_SIGNAL = 128, EXIT_NOT_STARTED = 127 };
#define TOKEN_MAX (((uint64_t) 1 << 53) - 1)

static const struct ctl_option known[] = {
    [TTL] = {.name = "ttl",
             .kind = CTL_DURATION,
             .value = "TIME",
             .minimum = 1000,
             .maximum = (uint64_t) 24 * 3600 * 1000000,
             .initial = "10s",
             .help = "how long the lease lasts, from its asking or renewal on"},
    [WAIT] = {.name = "wait",
              .kind = CTL_DURATION,
              .value = "TIME",
              .maximum = (uint64_t) 24 * 3600 * 1000000,
              .initial = "0s",
              .help = "how long to wait for it where another holds it; the broker allows backend.lease_wait_max"},
    [RENEW] = {.name = "renew",
               .kind = CTL_NUMBER,
               .value = "TOKEN",
               .minimum = 1,
               .maximum = TOKEN_MAX,
               .help = "renew the lease that has this token"},
    [RELEASE] = {.name = "release",
                 .kind = CTL_NUMBER,
                 .value = "TOKEN",
                 .minimum = 1,
                 .maximum = TOKEN_MAX,
                 .help = "release the lease that has this token"},
    {.name = NULL},
};

struct holder {
    const struct ctl_options *options;
    backend_client_t *client;
    const char *name;
    uint64_t ttl_ms;
    uint64_t wait_ms;
    uint64_t token;
    uint64_t ends_ms; /* by our clock, never later than the broker's */
    pid_t child;
    bool is_lost;
    bool is_killed;
    struct buffer params;
};

/* ---- requests ---- */

static void begin_params(struct holder *self) {
    buffer_clear(&self->params);
    buffer_append_char(&self->params, '{');
    ctl_append_member(&self->params, "name", self->name);
}

static void append_number(struct holder *self, const char *name, uint64_t value) {
    buffer_append_format(&self->params, ",\"%s\":%llu", name, (unsigned long long) value);
}

static bool take_token(struct holder *self, struct span body) {
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    struct json_value object;
    return json_scan(body, &limits, &object, NULL) == JSON_OK &&
           json_to_u64(json_member(object, "token"), &self->token);
}

static int acquire(struct holder *self, struct backend_reply *ret_reply) {
    struct ctl_options patient = *self->options;
    uint64_t timeout_ms = (uint64_t) patient.timeout_ms + self->wait_ms;
    patient.timeout_ms = timeout_ms > INT32_MAX ? INT32_MAX : (int) timeout_ms;
    begin_params(self);
    append_number(self, "ttl", self->ttl_ms);
    append_number(self, "wait", self->wait_ms);
    buffer_append_char(&self->params, '}');
    self->ends_ms = clock_monotonic_ms() + self->ttl_ms;
    return ctl_request(self->client, &patient, "lease.acquire", &self->params, NULL, ret_reply);
}

static void put_token(struct holder *self, bool with_ttl) {
    begin_params(self);
    append_number(self, "token", self->token);
    if (with_ttl) {
        append_number(self, "ttl", self->ttl_ms);
    }
    buffer_append_char(&self->params, '}');
}

/* Quietly: what is temporary is tried again. False: it is lost, or not renewed this time. */
static bool renew(struct holder *self) {
    struct backend_reply reply;
    uint64_t began_ms = clock_monotonic_ms();
    int timeout_ms = (int) (self->ttl_ms / 6 + 1);
    put_token(self, true);
    switch (backend_client_request(self->client, "lease.renew", buffer_span(&self->params), NULL, timeout_ms, &reply)) {
    case BACKEND_OK:
        self->ends_ms = began_ms + self->ttl_ms;
        return true;
    case BACKEND_ERROR: {
        struct json_limits limits = JSON_LIMITS_DEFAULT;
        struct json_value object;
        uint64_t code = 0;
        bool is_said =
            json_scan(reply.body, &limits, &object, NULL) == JSON_OK && json_to_u64(json_member(object, "code"), &code);
        self->is_lost = is_said && code == ERROR_LEASE_LOST;
        return false;
    }
    case BACKEND_TIMEOUT:
    case BACKEND_EVENT:
    case BACKEND_PROTOCOL:
        break;
    }
    return false;
}

/* ---- the command ---- */

static void become_command(const struct ctl_arguments *arguments, const char *name, uint64_t token,
                           const sigset_t *mask) {
    char **words = arguments->operands + 1;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long) token);
    setenv("CALLBOARD_LEASE_NAME", name, 1);
    setenv("CALLBOARD_LEASE_TOKEN", text, 1);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(words[0], words);
    fprintf(stderr, "callboardctl lease: %s: %s\n", words[0], strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

/* The terminal's foreground goes to the command's group, so that its keys reach it alone. */
static void give_terminal(pid_t group) {
    if (isatty(STDIN_FILENO)) {
        signal(SIGTTOU, SIG_IGN);
        tcsetpgrp(STDIN_FILENO, group);
    }
}

static bool start(struct holder *self, const struct ctl_arguments *arguments, const sigset_t *mask) {
    pid_t parent = getpid();
    self->child = fork();
    if (self->child == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) { /* else it died before that */
            become_command(arguments, self->name, self->token, mask);
        }
        _exit(EXIT_NOT_STARTED);
    }
    if (self->child < 0) {
        fprintf(stderr, "callboardctl lease: no process for the command: %s\n", strerror(errno));
        return false;
    }
    setpgid(self->child, self->child);
    give_terminal(self->child);
    return true;
}

static void end_command(struct holder *self, int signal_number) {
    kill(-self->child, signal_number);
}

/* What is due by time; returns when the next thing is. */
static uint64_t keep(struct holder *self, uint64_t *next_renewal_ms, uint64_t *kill_ms) {
    uint64_t now_ms = clock_monotonic_ms();
    if (*kill_ms == 0 && now_ms >= *next_renewal_ms) {
        bool is_renewed = renew(self);
        now_ms = clock_monotonic_ms();
        *next_renewal_ms = now_ms + (is_renewed ? self->ttl_ms / 3 : self->ttl_ms / 12 + 1);
        if (!is_renewed && (self->is_lost || now_ms + self->ttl_ms / 3 >= self->ends_ms)) {
            fprintf(stderr, "callboardctl lease: %s is %s; the command is ended\n", self->name,
                    self->is_lost ? "lost" : "about to end, and could not be renewed");
            self->is_lost = true;
            *kill_ms = self->ends_ms > now_ms ? self->ends_ms : now_ms + self->ttl_ms / 3;
            end_command(self, SIGTERM);
        }
    }
    if (*kill_ms != 0 && now_ms >= *kill_ms && !self->is_killed) {
        self->is_killed = true;
        end_command(self, SIGKILL);
    }
    return *kill_ms == 0 ? *next_renewal_ms : *kill_ms;
}

/* Waits for a signal until then; those that are for the command are passed on. */
static void wait_for_signal(const struct holder *self, const sigset_t *waited, uint64_t until_ms) {
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t ms = self->is_killed ? 100 : until_ms > now_ms ? until_ms - now_ms : 1;
    const struct timespec patience = {(time_t) (ms / 1000), (long) (ms % 1000) * 1000000};
    int number = sigtimedwait(waited, NULL, &patience);
    if (number == SIGINT || number == SIGTERM || number == SIGHUP) {
        kill(-self->child, number);
    }
}

static int wait_for_command(struct holder *self, const sigset_t *waited) {
    uint64_t next_renewal_ms = clock_monotonic_ms() + self->ttl_ms / 3;
    uint64_t kill_ms = 0;
    int status = 0;
    while (waitpid(self->child, &status, WNOHANG) == 0) {
        wait_for_signal(self, waited, keep(self, &next_renewal_ms, &kill_ms));
    }
    give_terminal(getpgrp());
    if (self->is_lost) {
        end_command(self, SIGKILL); /* what of its group is still there */
        return CTL_REFUSED;
    }
    return WIFSIGNALED(status) ? EXIT_BY_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static void release(struct holder *self) {
    struct backend_reply reply;
    put_token(self, false);
    if (!self->is_lost) {
        ctl_request(self->client, self->options, "lease.release", &self->params, NULL, &reply);
    }
}

static int run_command(struct holder *self, const struct ctl_arguments *arguments, const sigset_t *waited,
                       const sigset_t *mask) {
    struct backend_reply reply;
    sigprocmask(SIG_SETMASK, mask, NULL); /* whoever waits may give up */
    int result = acquire(self, &reply);
    sigprocmask(SIG_BLOCK, waited, NULL);
    if (result != CTL_DONE) {
        return result;
    }
    if (!take_token(self, reply.body)) {
        fprintf(stderr, "callboardctl lease: the broker's answer has no token\n");
        return CTL_NO_ANSWER;
    }
    /* Having waited, nobody knows here since when it is ours: renewed, it is counted from now. */
    if (self->wait_ms > 0 && !renew(self)) {
        fprintf(stderr, "callboardctl lease: %s was granted, but cannot be renewed\n", self->name);
        return CTL_REFUSED;
    }
    result = start(self, arguments, mask) ? wait_for_command(self, waited) : CTL_REFUSED;
    release(self);
    return result;
}

/* ---- one request ---- */

static int ask(struct holder *self, uint64_t renew_token, uint64_t release_token) {
    struct backend_reply reply;
    int result = CTL_DONE;
    self->token = renew_token > 0 ? renew_token : release_token;
    if (self->token == 0) {
        result = acquire(self, &reply);
    } else {
        put_token(self, renew_token > 0);
        result = ctl_request(self->client, self->options, renew_token > 0 ? "lease.renew" : "lease.release",
                             &self->params, NULL, &reply);
    }
    if (result == CTL_DONE && self->token == 0 && !self->options->json && take_token(self, reply.body)) {
        printf("%llu\n", (unsigned long long) self->token);
    } else if (result == CTL_DONE && self->options->json) {
        ctl_print_line(reply.body);
    }
    return result;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct holder self = {.options = options,
                          .name = ctl_operand(arguments, 0),
                          .ttl_ms = ctl_number(arguments, TTL, TTL_DEFAULT_US) / 1000,
                          .wait_ms = ctl_number(arguments, WAIT, 0) / 1000,
                          .params = BUFFER_EMPTY};
    uint64_t renew_token = ctl_number(arguments, RENEW, 0);
    uint64_t release_token = ctl_number(arguments, RELEASE, 0);
    bool has_command = arguments->n_operands > 1;
    if ((renew_token > 0) + (release_token > 0) + has_command > 1) {
        return ctl_usage_error("lease", "takes a command, --renew or --release, one of them");
    }
    if (has_command && self.ttl_ms < TTL_OF_COMMAND_MS) {
        return ctl_usage_error("lease", "--ttl is at least 1s with a command: it has to be renewed in time");
    }
    sigset_t waited;
    sigset_t mask;
    sigemptyset(&waited);
    sigaddset(&waited, SIGCHLD);
    sigaddset(&waited, SIGINT);
    sigaddset(&waited, SIGTERM);
    sigaddset(&waited, SIGHUP);
    if (has_command) {
        sigprocmask(SIG_BLOCK, &waited, &mask); /* before ZeroMQ's threads are there, which inherit it */
    }
    self.client = ctl_connect(options);
    if (self.client == NULL) {
        return CTL_USAGE;
    }
    int result = has_command ? run_command(&self, arguments, &waited, &mask) : ask(&self, renew_token, release_token);
    backend_client_destroy(&self.client);
    buffer_finish(&self.params);
    return result;
}

const struct ctl_command ctl_lease_command = {
    .name = "lease",
    .summary = "hold a lease while a command runs, or acquire, renew or release one",
    .description =
        "With a command, which stands behind --, the lease is acquired, the command is run, and the lease is renewed "
        "each third of its time and released at the end; so of several that are started at several places one runs at "
        "a time. The command finds the token in CALLBOARD_LEASE_TOKEN and the name in CALLBOARD_LEASE_NAME: hand the "
        "token to what it changes, where that can refuse a lower one than it has seen. A lease that is lost, or cannot "
        "be renewed by two thirds of its time, ends the command: SIGTERM to its process group, and SIGKILL when the "
        "lease's time is over. SIGINT, SIGTERM and SIGHUP are passed on to it.\n\n"
        "The exit code is the command's, or 128 and the signal that ended it; 1 where another holds the lease or it "
        "was lost, 127 where the command cannot be started.\n\n"
        "Without a command the lease is acquired, and its token printed; --renew and --release take that token, and "
        "end with 1 where it holds the lease no more. With -o json the broker's answers are printed.",
    .operands =
        (const struct ctl_operand[]){
            {.name = "NAME", .help = "the lease; of the form of a channel's name"},
            {.name = "COMMAND", .optional = true, .many = true, .help = "what to run, and its arguments; behind --"},
            {.name = NULL}},
    .options = known,
    .examples = "callboardctl lease nightly --wait 1m -- echo 'one at a time'\n"
                "token=$(callboardctl lease by-hand --ttl 5m) && callboardctl lease by-hand --release $token\n",
    .run = run,
};
