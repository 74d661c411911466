/* One event, one line of JSON, one write.
 *
 *     log_write -- level -- rate of this event id -- line built on the stack -- sink, or poll(0) and write(2)
 *                  drop          | over: count
 *                                v
 *                 once a second: "log_suppressed" with the count, for every event id that was over its rate
 *
 * Lines are at most PIPE_BUF bytes, so that a write to a pipe is taken whole or not at all and lines of several
 * processes on one stderr do not mix. Fields that do not fit are left out and the line says "cut":true.
 *
 * Failure modes: stderr full (poll says so, or EAGAIN), closed or broken: the line is counted as lost and dropped;
 * nothing blocks and no SIGPIPE is raised (but for the moment between poll and write, in which another process may fill
 * or leave the same pipe: O_NONBLOCK would be its flag too, so we leave it alone). Taken in part (a terminal or socket
 * may): lost, and the next line begins with a line feed, so that it stands alone. Foreign text: at most 256 bytes of
 * it, controls, bidirectional marks and bytes that are not UTF-8 escaped, so that it cannot end the line, move a cursor
 * or pose as another line. More event ids than the rate table has places: the place that was quiet longest is taken
 * over; its count is reported first.
 *
 * One mutex guards everything here: the log is not on a hot path, and what it guards never waits. */
#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    LINE_SIZE = PIPE_BUF,
    TAIL_SIZE = sizeof ",\"cut\":true}\n" - 1, /* always kept free while fields are added */
    FOREIGN_MAX = 256,
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

struct line {
    char text[LINE_SIZE];
    size_t size;
    bool is_full; /* something did not fit */
};

static const char *const level_names[] = {"debug", "info", "warning", "error"};

static void append(struct line *line, const char *bytes, size_t size) {
    if (line->is_full || size > sizeof line->text - TAIL_SIZE - line->size) {
        line->is_full = true;
        return;
    }
    memcpy(line->text + line->size, bytes, size);
    line->size += size;
}

static void append_text(struct line *line, const char *text) {
    append(line, text, strlen(text));
}

static unsigned continuation_bytes(uint8_t first) {
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/* Decodes one well-formed character (RFC 3629) at the start of `text`; false: the first byte starts none. */
static bool decode_character(struct span text, uint32_t *ret_code, size_t *ret_size) {
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = text.data[0];
    if (first < 0x80) {
        *ret_code = first;
        *ret_size = 1;
        return true;
    }
    unsigned more = continuation_bytes(first);
    if (more == 0 || text.size <= more) {
        return false;
    }
    uint32_t code = first & (0x3fU >> more);
    for (unsigned i = 1; i <= more; i++) {
        if ((text.data[i] & 0xc0) != 0x80) {
            return false;
        }
        code = code << 6 | (text.data[i] & 0x3f);
    }
    *ret_code = code;
    *ret_size = more + 1;
    return code >= smallest[more] && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
}

/* Characters that a terminal or a viewer acts upon instead of showing them. */
static bool is_acted_upon(uint32_t code) {
    return code < 0x20 || (code >= 0x7f && code <= 0x9f) || code == 0x061c || code == 0x200e || code == 0x200f ||
           (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void append_character(struct line *line, struct span bytes, uint32_t code) {
    char escape[8];
    if (code == '"' || code == '\\') {
        append(line, (const char[]){'\\', (char) code}, 2);
    } else if (is_acted_upon(code)) {
        int size = snprintf(escape, sizeof escape, "\\u%04x", (unsigned) code);
        append(line, escape, (size_t) size);
    } else {
        append(line, (const char *) bytes.data, bytes.size);
    }
}

/* At most 256 bytes of `text`, ended between characters; a byte that is not UTF-8 becomes the text \xNN. */
static void append_string(struct line *line, struct span text) {
    struct span kept = span_of(text.data, text.size < FOREIGN_MAX ? text.size : FOREIGN_MAX);
    append_text(line, "\"");
    for (size_t i = 0; i < kept.size;) {
        uint32_t code = 0;
        size_t size = 1;
        if (decode_character(span_of(text.data + i, text.size - i), &code, &size)) {
            if (size > kept.size - i) {
                break;
            }
            append_character(line, span_of(text.data + i, size), code);
        } else {
            char escape[8];
            snprintf(escape, sizeof escape, "\\\\x%02x", (unsigned) text.data[i]);
            append_text(line, escape);
            size = 1;
        }
        i += size;
    }
    append_text(line, "\"");
}

static void append_u64(struct line *line, uint64_t value) {
    char text[24];
    int size = snprintf(text, sizeof text, "%llu", (unsigned long long) value);
    append(line, text, (size_t) size);
}

static void append_i64(struct line *line, int64_t value) {
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long) value);
    append(line, text, (size_t) size);
}

static void append_value(struct line *line, const struct log_field *field) {
    switch (field->type) {
    case LOG_FIELD_NONE:
        append_text(line, "null");
        break;
    case LOG_FIELD_TEXT:
        if (field->value.text == NULL) {
            append_text(line, "null");
        } else {
            append_string(line, span_of_text(field->value.text));
        }
        break;
    case LOG_FIELD_SPAN:
        append_string(line, field->value.span);
        break;
    case LOG_FIELD_U64:
        append_u64(line, field->value.u64);
        break;
    case LOG_FIELD_I64:
        append_i64(line, field->value.i64);
        break;
    case LOG_FIELD_BOOL:
        append_text(line, field->value.boolean ? "true" : "false");
        break;
    }
}

/* ,"name":value, whole or not at all: a later, smaller field may still fit. */
static void append_field(struct line *line, const struct log_field *field, bool *ret_cut) {
    if (field->type == LOG_FIELD_NONE && field->name == NULL) {
        return;
    }
    size_t before = line->size;
    append_text(line, ",");
    append_string(line, span_of_text(field->name));
    append_text(line, ":");
    append_value(line, field);
    if (line->is_full) {
        line->size = before;
        line->is_full = false;
        *ret_cut = true;
    }
}

/* RFC 3339 in UTC, with milliseconds. */
static void append_time(struct line *line) {
    int64_t now_ms = clock_wall_ms();
    time_t seconds = (time_t) (now_ms / 1000);
    struct tm parts;
    char text[64];
    int size = 0;
    if (gmtime_r(&seconds, &parts) != NULL) {
        size =
            snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int) (now_ms % 1000));
    }
    append(line, text, (size_t) size);
}

static void append_contexts(struct line *line, bool *ret_cut) {
    for (size_t i = 0; i < CONTEXTS; i++) {
        const struct context *context = &the_log.contexts[i];
        if (context->name[0] != '\0') {
            append_field(line, &log_text(context->name, context->value), ret_cut);
        }
    }
}

static void build_line(struct line *line, enum log_level level, const char *event, const struct log_field *fields,
                       size_t n_fields) {
    bool is_cut = false;
    line->size = 0;
    line->is_full = false;
    append_text(line, "{\"time\":\"");
    append_time(line);
    append_text(line, "\",\"level\":\"");
    append_text(line, level_names[level]);
    append_text(line, "\",\"event\":");
    append_string(line, span_of_text(event));
    append_contexts(line, &is_cut);
    for (size_t i = 0; i < n_fields; i++) {
        append_field(line, &fields[i], &is_cut);
    }
    const char *tail = is_cut ? ",\"cut\":true}\n" : "}\n";
    memcpy(line->text + line->size, tail, strlen(tail));
    line->size += strlen(tail);
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
    struct line line;
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
