/* One loop that looks every few milliseconds. It does no work that the workers could wait for.
 *
 *   connect ──all up, or time out──▶ settle ──▶ run ──its time is over──▶ drain ──all that is due came, or time out──▶
 * end figures: before            connected, run                                                                 end
 *
 * A storm has its own steps instead of run and drain (bench_storm.h); "run" is then looked at before the return. */
#include "tools/bench/bench_conductor.h"

#include "tools/bench/bench_worker.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 5000000, SECOND_NS = 1000000000, WORKERS_MAX = 64 };

struct conductor {
    const struct bench_plan *plan;
    const struct bench_observation *observation;
    struct bench_board *board;
    struct bench_result *result;
    pid_t workers[WORKERS_MAX];
    unsigned n_running;
    bool failed;
    uint64_t began_ns;
    uint64_t next_second_ns;
    uint64_t run_start_ns;     /* 0: not yet */
    uint64_t delivered_before; /* the run, or a storm's return */
    uint64_t last_delivered;
    uint64_t last_second_ns;
    struct latency_histogram earlier; /* at the last sample */
    uint64_t redis_commands;
    bool redis_known;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number) {
    (void) number;
    interrupted = 1;
}

static void fail(struct conductor *self, const char *what) {
    self->failed = true;
    if (self->result->reason[0] == '\0') {
        snprintf(self->result->reason, sizeof self->result->reason, "%s", what);
    }
}

static void fork_workers(struct conductor *self) {
    fflush(NULL);
    for (unsigned i = 0; i < self->plan->processes; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL); /* never alone */
            signal(SIGINT, SIG_IGN);          /* the terminal tells all; the conductor ends us */
            _exit(bench_worker_run(self->plan, self->board, i));
        }
        if (pid < 0) {
            fail(self, "a worker process cannot be started");
            return;
        }
        self->workers[self->n_running++] = pid;
    }
}

/* A worker that ends before it is told to ends the run. */
static void watch_workers(struct conductor *self) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid > 0) {
        char text[64];
        snprintf(text, sizeof text, "a worker process ended with %s %d", WIFSIGNALED(status) ? "signal" : "code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        for (unsigned i = 0; i < self->n_running; i++) {
            if (self->workers[i] == pid) {
                self->workers[i] = self->workers[--self->n_running];
                break;
            }
        }
        fail(self, text);
    }
}

static void end_workers(struct conductor *self) {
    atomic_store_explicit(&self->board->phase, BENCH_END, memory_order_release);
    for (unsigned i = 0; i < self->n_running; i++) {
        while (waitpid(self->workers[i], NULL, 0) < 0 && errno == EINTR) {
        }
    }
}

static struct bench_process_sample look_at(int pid) {
    uint64_t cpu_ns;
    uint64_t pss;
    return (struct bench_process_sample){.cpu_s = process_usage_cpu(pid, &cpu_ns) ? (double) cpu_ns / 1e9 : NAN,
                                         .pss_bytes = process_usage_pss(pid, &pss) ? (double) pss : NAN};
}

static uint64_t due_of(const struct conductor *self) {
    const struct bench_plan *plan = self->plan;
    uint64_t due = 0;
    for (unsigned channel = 0; channel < plan->channels && plan->publishers > 0; channel++) {
        uint64_t sent = 0;
        for (unsigned p = 0; p < plan->publishers; p++) {
            sent += bench_read(&self->board->sent[channel * plan->publishers + p]);
        }
        due += sent * bench_subscribers_of(plan, channel);
    }
    return due;
}

static uint64_t sent_of(const struct conductor *self) {
    uint64_t sent = 0;
    for (unsigned i = 0; i < self->plan->channels * self->plan->publishers; i++) {
        sent += bench_read(&self->board->sent[i]);
    }
    return sent;
}

static void show_progress(const struct conductor *self, const struct bench_counts *counts, double rate,
                          const struct latency_histogram *part) {
    fprintf(stderr, "\r\033[K%4.0f s  %llu of %u connected", (double) (bench_now_ns() - self->began_ns) / 1e9,
            (unsigned long long) bench_read(&counts->connected), self->plan->users);
    if (self->run_start_ns != 0) {
        fprintf(stderr, "  %llu delivered  %.0f/s  p50 %.2f  p99 %.2f ms",
                (unsigned long long) bench_read(&counts->delivered), rate,
                (double) latency_histogram_quantile(part, 0.5) / 1e6,
                (double) latency_histogram_quantile(part, 0.99) / 1e6);
    }
    uint64_t trouble = bench_read(&counts->disconnects) + bench_read(&counts->connect_failures) +
                       bench_read(&counts->publish_errors) + bench_read(&counts->doubled);
    if (trouble > 0) {
        fprintf(stderr, "  %llu failures", (unsigned long long) trouble);
    }
}

static void take_second(struct conductor *self, uint64_t now_ns) {
    struct bench_counts counts;
    struct latency_histogram now;
    struct latency_histogram part;
    bench_board_sum(self->board, self->plan->processes, &counts);
    bench_board_delivery(self->board, self->plan->processes, &now);
    latency_histogram_difference(&part, &now, &self->earlier);
    self->earlier = now;
    uint64_t delivered = bench_read(&counts.delivered);
    double rate = (double) (delivered - self->last_delivered) / ((double) (now_ns - self->last_second_ns) / 1e9);
    if (self->run_start_ns != 0 && self->result->n_samples < BENCH_SAMPLES_MAX) {
        self->result->samples[self->result->n_samples++] =
            (struct bench_sample){.at_s = (double) (now_ns - self->run_start_ns) / 1e9,
                                  .rate = rate,
                                  .p50_ms = (double) latency_histogram_quantile(&part, 0.5) / 1e6,
                                  .p95_ms = (double) latency_histogram_quantile(&part, 0.95) / 1e6,
                                  .p99_ms = (double) latency_histogram_quantile(&part, 0.99) / 1e6};
    }
    self->last_delivered = delivered;
    self->last_second_ns = now_ns;
    if (self->observation->progress) {
        show_progress(self, &counts, rate, &part);
    }
}

/* Sleeps a little; false: the run is to end now. */
static bool look(struct conductor *self) {
    struct timespec wait = {.tv_nsec = LOOK_NS};
    nanosleep(&wait, NULL);
    uint64_t now_ns = bench_now_ns();
    if (now_ns >= self->next_second_ns) {
        take_second(self, now_ns);
        self->next_second_ns += SECOND_NS;
    }
    watch_workers(self);
    return !self->failed && !interrupted;
}

static void wait_ms(struct conductor *self, uint64_t ms) {
    for (uint64_t end_ns = bench_now_ns() + ms * 1000000; bench_now_ns() < end_ns && look(self);) {
    }
}

static uint64_t connected_now(const struct conductor *self) {
    struct bench_counts counts;
    bench_board_sum(self->board, self->plan->processes, &counts);
    return bench_read(&counts.connected);
}

static void ask_redis(struct conductor *self, uint64_t *ret_commands, bool *ret_known) {
    char error[256];
    if (self->observation->redis == NULL) {
        return;
    }
    *ret_known = redis_rate_commands(self->observation->redis, ret_commands, error, sizeof error);
    if (!*ret_known) {
        fprintf(stderr, "callboardctl bench: --redis: %s\n", error);
    }
}

static void look_at_all(struct conductor *self, size_t place) {
    for (unsigned i = 0; i < self->result->n_processes; i++) {
        struct bench_process *process = &self->result->processes[i];
        struct bench_process_sample sample = look_at(process->pid);
        memcpy((char *) process + place, &sample, sizeof sample);
    }
}

static double tool_cpu(const struct conductor *self) {
    double all = 0;
    for (unsigned i = 0; i < self->n_running; i++) {
        all += look_at(self->workers[i]).cpu_s;
    }
    return all;
}

/* The time all users took. */
static void connect_all(struct conductor *self) {
    uint64_t end_ns = self->began_ns + self->plan->connect_ms * 1000000;
    while (connected_now(self) < self->plan->users && bench_now_ns() < end_ns && look(self)) {
    }
    self->result->connect_s = (double) (bench_now_ns() - self->began_ns) / 1e9;
    wait_ms(self, self->plan->settle_ms);
}

static bool have_finished(const struct conductor *self) {
    bool all = true;
    for (unsigned i = 0; i < self->plan->processes; i++) {
        all = all && atomic_load_explicit(&self->board->workers[i].finished, memory_order_acquire);
    }
    return all;
}

static void run_and_drain(struct conductor *self) {
    struct bench_board *board = self->board;
    uint64_t start_ns = bench_now_ns() + 20000000;
    uint64_t end_ns = start_ns + self->plan->duration_ms * 1000000;
    self->run_start_ns = start_ns;
    self->next_second_ns = start_ns + SECOND_NS;
    self->last_second_ns = start_ns;
    self->last_delivered = 0;
    atomic_store_explicit(&board->end_ns, end_ns, memory_order_relaxed);
    atomic_store_explicit(&board->start_ns, start_ns, memory_order_release);
    atomic_store_explicit(&board->phase, BENCH_RUN, memory_order_release);
    while (bench_now_ns() < end_ns && look(self)) {
    }
    atomic_store_explicit(&board->phase, BENCH_DRAIN, memory_order_release);
    if (bench_now_ns() < end_ns) { /* interrupted */
        atomic_store_explicit(&board->end_ns, bench_now_ns(), memory_order_relaxed);
    }
    struct bench_counts counts;
    for (uint64_t patience = bench_now_ns() + self->plan->drain_ms * 1000000;;) {
        bool finished = have_finished(self); /* asked first: nothing more becomes due behind it */
        bench_board_sum(board, self->plan->processes, &counts);
        if ((finished && bench_read(&counts.delivered) >= due_of(self)) || bench_now_ns() > patience || !look(self)) {
            break;
        }
    }
    self->result->run_s = (double) (bench_now_ns() - start_ns) / 1e9;
}

static void take_reason(struct conductor *self) {
    for (unsigned i = 0; i < self->plan->processes && self->result->reason[0] == '\0'; i++) {
        struct bench_worker_part *part = &self->board->workers[i];
        if (atomic_load_explicit(&part->has_reason, memory_order_acquire)) {
            memcpy(self->result->reason, part->reason, sizeof part->reason);
            self->result->reason[sizeof part->reason - 1] = '\0';
        }
    }
}

/* Till every worker is through with it, and so much was delivered in all. */
static bool reach(struct conductor *self, enum bench_phase phase, uint64_t delivered) {
    uint64_t end_ns = bench_now_ns() + self->plan->connect_ms * 1000000;
    struct bench_counts counts;
    atomic_store_explicit(&self->board->phase, phase, memory_order_release);
    for (bool all = false; !all && look(self);) {
        all = true;
        for (unsigned i = 0; i < self->plan->processes; i++) {
            all = all && atomic_load_explicit(&self->board->workers[i].reached, memory_order_acquire) == (int) phase;
        }
        bench_board_sum(self->board, self->plan->processes, &counts);
        all = all && bench_read(&counts.delivered) >= delivered;
        if (!all && bench_now_ns() > end_ns) {
            take_reason(self);
            fail(self, phase == BENCH_STORM_PRIME
                           ? "storm: not everybody got a first publication (--connect-timeout)"
                           : "storm: what is to be missed was not published (--connect-timeout)");
        }
    }
    return !self->failed && !interrupted;
}

static void return_all(struct conductor *self) {
    struct bench_counts counts;
    uint64_t start_ns = bench_now_ns() + 20000000;
    uint64_t end_ns = start_ns + self->plan->connect_ms * 1000000;
    bench_board_sum(self->board, self->plan->processes, &counts);
    self->delivered_before = bench_read(&counts.delivered);
    self->run_start_ns = start_ns;
    self->next_second_ns = start_ns + SECOND_NS;
    self->last_second_ns = start_ns;
    self->last_delivered = self->delivered_before;
    atomic_store_explicit(&self->board->start_ns, start_ns, memory_order_release);
    atomic_store_explicit(&self->board->phase, BENCH_STORM_BACK, memory_order_release);
    do {
        bench_board_sum(self->board, self->plan->processes, &counts);
    } while (bench_read(&counts.caught_up) < bench_read(&counts.cut) && bench_now_ns() < end_ns && look(self));
    self->result->run_s = (double) (bench_now_ns() - start_ns) / 1e9;
}

static void storm(struct conductor *self) {
    const struct bench_plan *plan = self->plan;
    struct bench_counts counts;
    if (!reach(self, BENCH_STORM_PRIME, plan->publishers * bench_subscriptions(plan)) ||
        !reach(self, BENCH_STORM_CUT, 0)) {
        return;
    }
    bench_board_sum(self->board, plan->processes, &counts);
    uint64_t to_those_who_stay = bench_read(&counts.delivered) + bench_read(&counts.staying_due);
    if (!reach(self, BENCH_STORM_MISS, to_those_who_stay)) {
        return;
    }
    wait_ms(self, plan->settle_ms); /* the server is through with who went */
    look_at_all(self, offsetof(struct bench_process, run));
    return_all(self);
}

static double share(double part, double all) {
    return all > 0 ? 100 * part / all : NAN;
}

static void put_histogram(double *figures, const struct latency_histogram *from, enum bench_figure first,
                          bool has_p999) {
    static const double quantiles[] = {0.5, 0.95, 0.99, 0.999};
    unsigned n = has_p999 ? 4 : 3;
    for (unsigned i = 0; i < n; i++) {
        figures[first + i] = from->count == 0 ? NAN : (double) latency_histogram_quantile(from, quantiles[i]) / 1e6;
    }
    figures[first + n] = from->count == 0 ? NAN : (double) from->max / 1e6;
}

static void put_processes(const struct conductor *self, double *figures) {
    double cpu = 0;
    double connect = 0;
    double pss = 0;
    double grown = 0;
    for (unsigned i = 0; i < self->result->n_processes; i++) {
        const struct bench_process *process = &self->result->processes[i];
        cpu += process->end.cpu_s - process->run.cpu_s;
        connect += process->connected.cpu_s - process->before.cpu_s;
        pss += process->end.pss_bytes;
        grown += process->connected.pss_bytes - process->before.pss_bytes;
    }
    bool any = self->result->n_processes > 0;
    figures[BENCH_FIGURE_CPU] = any ? cpu : NAN;
    figures[BENCH_FIGURE_CPU_CONNECT] = any ? connect : NAN;
    figures[BENCH_FIGURE_PSS] = any ? pss : NAN;
    figures[BENCH_FIGURE_PSS_PER_USER] = any ? grown / self->plan->users : NAN;
    double delivered = figures[BENCH_FIGURE_DELIVERIES] - (double) self->delivered_before;
    figures[BENCH_FIGURE_CPU_PER_MILLION] = any && delivered > 0 ? cpu / delivered * 1e6 : NAN;
}

static void put_counts(const struct conductor *self, uint64_t connected, double *figures) {
    const struct bench_counts *counts = &self->result->counts;
    double due = (double) due_of(self);
    double delivered = (double) bench_read(&counts->delivered);
    double connects = (double) bench_read(&counts->connects);
    double failures = (double) bench_read(&counts->connect_failures);
    bool is_churn = self->plan->churn != BENCH_NO_CHURN;
    figures[BENCH_FIGURE_CONNECTED] =
        is_churn ? share(connects, connects + failures) : share((double) connected, self->plan->users);
    figures[BENCH_FIGURE_DELIVERED] = share(delivered, due);
    figures[BENCH_FIGURE_SUCCESS] =
        fmin(figures[BENCH_FIGURE_CONNECTED], figures[BENCH_FIGURE_DELIVERED]); /* not NAN */
    figures[BENCH_FIGURE_CONNECTS] = connects;
    figures[BENCH_FIGURE_CONNECT_FAILURES] = failures;
    figures[BENCH_FIGURE_DISCONNECTS] = (double) bench_read(&counts->disconnects);
    figures[BENCH_FIGURE_RECONNECTS] = (double) bench_read(&counts->reconnects);
    figures[BENCH_FIGURE_SENT] = (double) sent_of(self);
    figures[BENCH_FIGURE_PUBLISH_ERRORS] = (double) bench_read(&counts->publish_errors);
    figures[BENCH_FIGURE_DUE] = due;
    figures[BENCH_FIGURE_DELIVERIES] = delivered;
    figures[BENCH_FIGURE_LOST] = due > delivered ? due - delivered : 0;
    figures[BENCH_FIGURE_DOUBLED] = (double) bench_read(&counts->doubled);
    figures[BENCH_FIGURE_OUT_OF_ORDER] = (double) bench_read(&counts->out_of_order);
    figures[BENCH_FIGURE_RATE] = (delivered - (double) self->delivered_before) / self->result->run_s;
    figures[BENCH_FIGURE_CONNECT_RATE] =
        is_churn ? connects / self->result->run_s : (double) connected / self->result->connect_s;
    double behind_ns = 0;
    for (unsigned i = 0; i < self->plan->processes; i++) {
        behind_ns = fmax(behind_ns, (double) bench_read(&self->board->workers[i].counts.behind_ns));
    }
    figures[BENCH_FIGURE_BEHIND] = behind_ns / 1e6;
}

static void put_storm(const struct conductor *self, double *figures) {
    const struct bench_counts *counts = &self->result->counts;
    if (self->plan->missed == 0) {
        for (int i = BENCH_FIGURE_STORM_USERS; i <= BENCH_FIGURE_CAUGHT_UP_MAX; i++) {
            figures[i] = NAN;
        }
        return;
    }
    figures[BENCH_FIGURE_STORM_USERS] = (double) bench_read(&counts->cut);
    figures[BENCH_FIGURE_CAUGHT_UP] = share((double) bench_read(&counts->caught_up), (double) bench_read(&counts->cut));
    figures[BENCH_FIGURE_SUCCESS] = fmin(figures[BENCH_FIGURE_SUCCESS], figures[BENCH_FIGURE_CAUGHT_UP]);
    put_histogram(figures, &self->result->caught_up, BENCH_FIGURE_CAUGHT_UP_P50, false);
}

static void conduct(struct conductor *self) {
    struct bench_result *result = self->result;
    look_at_all(self, offsetof(struct bench_process, before));
    self->began_ns = bench_now_ns();
    self->next_second_ns = self->began_ns + SECOND_NS;
    self->last_second_ns = self->began_ns;
    fork_workers(self);
    if (self->plan->churn == BENCH_NO_CHURN) {
        connect_all(self);
    }
    uint64_t connected = connected_now(self);
    look_at_all(self, offsetof(struct bench_process, connected));
    look_at_all(self, offsetof(struct bench_process, run));
    double tool_before = tool_cpu(self);
    uint64_t commands_before = 0;
    uint64_t commands_after = 0;
    bool redis_before = false;
    bool redis_after = false;
    ask_redis(self, &commands_before, &redis_before);
    if (!self->failed && !interrupted) {
        self->plan->missed > 0 ? storm(self) : run_and_drain(self);
    }
    look_at_all(self, offsetof(struct bench_process, end));
    ask_redis(self, &commands_after, &redis_after);
    result->tool_cpu_s = tool_cpu(self) - tool_before;
    end_workers(self);
    bench_board_sum(self->board, self->plan->processes, &result->counts);
    bench_board_delivery(self->board, self->plan->processes, &result->delivery);
    bench_board_connect(self->board, self->plan->processes, &result->connect);
    bench_board_caught_up(self->board, self->plan->processes, &result->caught_up);
    put_counts(self, connected, result->figures);
    put_histogram(result->figures, &result->delivery, BENCH_FIGURE_P50, true);
    put_histogram(result->figures, &result->connect, BENCH_FIGURE_CONNECT_P50, false);
    put_storm(self, result->figures);
    put_processes(self, result->figures);
    result->figures[BENCH_FIGURE_REDIS_RATE] =
        redis_before && redis_after ? (double) (commands_after - commands_before) / result->run_s : NAN;
    take_reason(self);
}

bool bench_conduct(const struct bench_plan *plan, const struct bench_observation *observation,
                   struct bench_result *ret) {
    static struct conductor self;
    self = (struct conductor){.plan = plan, .observation = observation, .result = ret};
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; i < observation->n_pids; i++) {
        struct bench_process *process = &ret->processes[ret->n_processes++];
        process->pid = observation->pids[i];
        if (observation->names[i] != NULL) {
            snprintf(process->name, sizeof process->name, "%s", observation->names[i]);
        } else if (!process_usage_name(process->pid, process->name)) {
            snprintf(ret->reason, sizeof ret->reason, "there is no process %d", process->pid);
            return false;
        }
    }
    self.board = bench_board_open(plan);
    if (self.board == NULL) {
        fail(&self, "no memory for the workers' figures");
        return false;
    }
    interrupted = 0;
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    conduct(&self);
    if (observation->progress) {
        fputs("\r\033[K", stderr);
    }
    ret->interrupted = interrupted != 0;
    bench_board_close(&self.board);
    return !self.failed;
}
