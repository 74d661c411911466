/* One event, one line of JSON, one write.
 *
 *     log_write -- level -- rate of this event id -- line built on the stack -- sink, or poll(0) and write(2)
 *                  drop          | over: count
 *                                v
 *                 once a second: "log_suppressed" with the count, for every event id that was over its rate
 *
 * Failure modes: stderr full (poll says so, or EAGAIN), closed or broken: the line is counted as lost and dropped;
 * nothing blocks and no SIGPIPE is raised (but for the moment between poll and write, in which another process may fill
 * or leave the same pipe: O_NONBLOCK would be its flag too, so we leave it alone). Taken in part (a terminal or socket
 * may): lost, and the next line begins with a line feed, so that it stands alone. More event ids than the rate table
 * has places: the place that was quiet longest is taken over; its count is reported first.
 *
 * One mutex guards everything here: the log is not on a hot path, and what it guards never waits. */
#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum {
    CONTEXTS = 8,
    CONTEXT_NAME_SIZE = 32,
    CONTEXT_VALUE_SIZE = 128,
    RATE_PLACES = 256,
    RATE_PROBES = 8,
    EVENT_SIZE = 64,
    WINDOW_MS = 1000,
};

/* How often one event id was logged in its current second. */
struct rate {
    char event[EVENT_SIZE]; /* "" = free */
    uint64_t window_start_ms;
    unsigned written;
    unsigned suppressed;
};

struct context {
    char name[CONTEXT_NAME_SIZE]; /* "" = free */
    char value[CONTEXT_VALUE_SIZE];
};

static struct {
    pthread_mutex_t mutex;
    struct context contexts[CONTEXTS];
    void (*sink)(void *context, struct span line);
    void *sink_context;
    unsigned lines_per_second;
    struct rate rates[RATE_PLACES];
    bool has_suppressed;  /* some place of `rates` has a count to report */
    bool is_line_started; /* the last write left half a line */
    atomic_int level;
    _Atomic uint64_t n_lost;
    _Atomic uint64_t n_suppressed;
} the_log = {.mutex = PTHREAD_MUTEX_INITIALIZER, .level = LOG_LEVEL_INFO};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static void add_contexts(struct log_line *line) {
    for (size_t i = 0; i < CONTEXTS; i++) {
        const struct context *context = &the_log.contexts[i];
        if (context->name[0] != '\0') {
            log_line_add(line, &log_text(context->name, context->value));
        }
    }
}

static void build_line(struct log_line *line, enum log_level level, const char *event, const struct log_field *fields,
                       size_t n_fields) {
    log_line_begin(line, level_names[level], event);
    add_contexts(line);
    for (size_t i = 0; i < n_fields; i++) {
        log_line_add(line, &fields[i]);
    }
    log_line_end(line);
}

/* Would stderr take a line now? A pipe is writable when PIPE_BUF bytes fit. */
static bool is_stderr_ready(void) {
    struct pollfd poll_entry = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&poll_entry, 1, 0) == 1 && poll_entry.revents == POLLOUT;
}

/* How much was taken; 0 when nothing. */
static size_t write_once(const char *text, size_t size) {
    ssize_t written;
    do {
        written = is_stderr_ready() ? write(STDERR_FILENO, text, size) : 0;
    } while (written < 0 && errno == EINTR);
    return written < 0 ? 0 : (size_t) written;
}

static bool write_to_stderr(const char *text, size_t size) {
    if (the_log.is_line_started) {
        the_log.is_line_started = write_once("\n", 1) != 1;
    }
    size_t written = the_log.is_line_started ? 0 : write_once(text, size);
    the_log.is_line_started = the_log.is_line_started || (written > 0 && written < size);
    return written == size;
}

/* The mutex is held. */
static void emit(enum log_level level, const char *event, const struct log_field *fields, size_t n_fields) {
    struct log_line line;
    build_line(&line, level, event, fields, n_fields);
    if (the_log.sink != NULL) {
        the_log.sink(the_log.sink_context, span_of(line.text, line.size));
    } else if (!write_to_stderr(line.text, line.size)) {
        atomic_fetch_add_explicit(&the_log.n_lost, 1, memory_order_relaxed);
    }
}

static void report_suppressed(struct rate *rate) {
    const struct log_field fields[] = {log_text("suppressed_event", rate->event), log_u64("count", rate->suppressed)};
    rate->suppressed = 0;
    emit(LOG_LEVEL_WARNING, "log_suppressed", fields, sizeof fields / sizeof fields[0]);
}

static bool is_window_over(const struct rate *rate, uint64_t now_ms) {
    return now_ms - rate->window_start_ms >= WINDOW_MS;
}

/* Reports the counts of every second that is over. */
static void report_all_suppressed(uint64_t now_ms) {
    if (!the_log.has_suppressed) {
        return;
    }
    the_log.has_suppressed = false;
    for (size_t i = 0; i < RATE_PLACES; i++) {
        struct rate *rate = &the_log.rates[i];
        if (rate->suppressed > 0 && is_window_over(rate, now_ms)) {
            report_suppressed(rate);
        }
        the_log.has_suppressed = the_log.has_suppressed || rate->suppressed > 0;
    }
}

/* FNV-1a. */
static uint64_t hash_event(const char *event) {
    uint64_t hash = 0xcbf29ce484222325U;
    for (; *event != '\0'; event++) {
        hash = (hash ^ (uint8_t) *event) * 0x100000001b3U;
    }
    return hash;
}

/* The place of this event id; where all places it may have are taken, the quietest is taken over. */
static struct rate *find_rate(const char *event, uint64_t now_ms) {
    uint64_t hash = hash_event(event);
    struct rate *oldest = NULL;
    for (size_t i = 0; i < RATE_PROBES; i++) {
        struct rate *rate = &the_log.rates[(hash + i) % RATE_PLACES];
        if (strncmp(rate->event, event, EVENT_SIZE - 1) == 0) {
            return rate;
        }
        if (oldest == NULL ||
            (oldest->event[0] != '\0' && (rate->event[0] == '\0' || rate->window_start_ms < oldest->window_start_ms))) {
            oldest = rate;
        }
    }
    if (oldest->suppressed > 0) {
        report_suppressed(oldest);
    }
    *oldest = (struct rate){.window_start_ms = now_ms};
    snprintf(oldest->event, sizeof oldest->event, "%s", event);
    return oldest;
}

/* Counts this line; is it one too many in its second? */
static bool is_over_rate(const char *event, uint64_t now_ms) {
    if (the_log.lines_per_second == 0) {
        return false;
    }
    struct rate *rate = find_rate(event, now_ms);
    if (is_window_over(rate, now_ms)) {
        rate->window_start_ms = now_ms;
        rate->written = 0;
    }
    if (rate->written < the_log.lines_per_second) {
        rate->written++;
        return false;
    }
    rate->suppressed++;
    the_log.has_suppressed = true;
    atomic_fetch_add_explicit(&the_log.n_suppressed, 1, memory_order_relaxed);
    return true;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n_fields) {
    if ((int) level < atomic_load_explicit(&the_log.level, memory_order_relaxed)) {
        return;
    }
    uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&the_log.mutex);
    report_all_suppressed(now_ms);
    if (!is_over_rate(event, now_ms)) {
        emit(level, event, fields, n_fields);
    }
    pthread_mutex_unlock(&the_log.mutex);
}

void log_report_suppressed(void) {
    uint64_t now_ms = clock_monotonic_ms();
    pthread_mutex_lock(&the_log.mutex);
    report_all_suppressed(now_ms);
    pthread_mutex_unlock(&the_log.mutex);
}

void log_set_level(enum log_level level) {
    atomic_store_explicit(&the_log.level, (int) level, memory_order_relaxed);
}

bool log_level_parse(struct span text, enum log_level *ret_level) {
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (span_equal_text(text, level_names[i])) {
            *ret_level = (enum log_level) i;
            return true;
        }
    }
    return false;
}

void log_set_rate(unsigned lines_per_second) {
    pthread_mutex_lock(&the_log.mutex);
    the_log.lines_per_second = lines_per_second;
    pthread_mutex_unlock(&the_log.mutex);
}

/* The context of that name, or else a free place; NULL when there is neither. */
static struct context *find_context(const char *name) {
    struct context *free_place = NULL;
    for (size_t i = 0; i < CONTEXTS; i++) {
        struct context *context = &the_log.contexts[i];
        if (strcmp(context->name, name) == 0) {
            return context;
        }
        if (free_place == NULL && context->name[0] == '\0') {
            free_place = context;
        }
    }
    return free_place;
}

void log_set_context(const char *name, const char *value) {
    check(name[0] != '\0' && strlen(name) < CONTEXT_NAME_SIZE, "log context \"%s\"", name);
    pthread_mutex_lock(&the_log.mutex);
    struct context *context = find_context(name);
    check(context != NULL || value == NULL, "more than %d log contexts", (int) CONTEXTS);
    if (context != NULL) {
        *context = (struct context){.name = ""};
    }
    if (value != NULL) {
        snprintf(context->name, sizeof context->name, "%s", name);
        snprintf(context->value, sizeof context->value, "%s", value);
    }
    pthread_mutex_unlock(&the_log.mutex);
}

void log_set_sink(void (*sink)(void *context, struct span line), void *context) {
    pthread_mutex_lock(&the_log.mutex);
    the_log.sink = sink;
    the_log.sink_context = context;
    pthread_mutex_unlock(&the_log.mutex);
}

uint64_t log_lost_total(void) {
    return atomic_load_explicit(&the_log.n_lost, memory_order_relaxed);
}

uint64_t log_suppressed_total(void) {
    return atomic_load_explicit(&the_log.n_suppressed, memory_order_relaxed);
}
