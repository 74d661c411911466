/* See ctl_top_parts.h: what top shows, as data: a row is a figure with its section, its names and where it comes from.
 * Text and JSON are made from the same rows; what no program counts is "-" there and null here. */
#include "tools/ctl_terminal.h"
#include "tools/ctl_top_parts.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

enum top_how { TOP_SUM, TOP_RATE, TOP_P50, TOP_P99 };
enum top_unit { TOP_COUNT, TOP_PER_SECOND, TOP_SECONDS, TOP_BYTES };

struct top_row {
    const char *section;
    const char *json; /* its name as JSON */
    const char *text; /* its name for people */
    enum top_how how;
    enum top_unit unit;
    const char *metric;
    const char *label; /* NULL: all series of the metric */
};

static const struct top_row rows[] = {
    {"connections", "clients", "clients", TOP_SUM, TOP_COUNT, "callboard_client_connections", NULL},
    {"connections", "users", "users", TOP_SUM, TOP_COUNT, "callboard_client_users", NULL},
    {"connections", "subscriptions", "subscriptions", TOP_SUM, TOP_COUNT, "callboard_gateway_subscriptions", NULL},
    {"connections", "channels", "channels", TOP_SUM, TOP_COUNT, "callboard_gateway_channels", NULL},
    {"connections", "outbox_bytes", "waiting for slow ones", TOP_SUM, TOP_BYTES, "callboard_client_outbox_bytes", NULL},
    {"clients", "connects", "connect", TOP_RATE, TOP_PER_SECOND, "callboard_client_commands_total",
     "command=\"connect\""},
    {"clients", "commands", "commands", TOP_RATE, TOP_PER_SECOND, "callboard_client_commands_total", NULL},
    {"clients", "command_p99", "p99", TOP_P99, TOP_SECONDS, "callboard_client_command_seconds", NULL},
    {"clients", "errors", "errors", TOP_RATE, TOP_PER_SECOND, "callboard_client_errors_total", NULL},
    {"clients", "disconnects", "closed", TOP_RATE, TOP_PER_SECOND, "callboard_client_disconnects_total", NULL},
    {"clients", "disconnects_slow", "as slow", TOP_RATE, TOP_PER_SECOND, "callboard_client_disconnects_total",
     "code=\"3008\""},
    {"messages", "deliveries", "delivered", TOP_RATE, TOP_PER_SECOND, "callboard_gateway_deliveries_total", NULL},
    {"messages", "publications", "published", TOP_RATE, TOP_PER_SECOND, "callboard_broker_publishes_total",
     "result=\"ok\""},
    {"messages", "publishes_temporary", "nacked", TOP_RATE, TOP_PER_SECOND, "callboard_broker_publishes_total",
     "result=\"temporary\""},
    {"messages", "publishes_unknown", "unknown", TOP_RATE, TOP_PER_SECOND, "callboard_broker_publishes_total",
     "result=\"unknown\""},
    {"messages", "publish_p50", "publish p50", TOP_P50, TOP_SECONDS, "callboard_broker_publish_seconds", NULL},
    {"messages", "publish_p99", "p99", TOP_P99, TOP_SECONDS, "callboard_broker_publish_seconds", NULL},
    {"services", "requests", "requests", TOP_RATE, TOP_PER_SECOND, "callboard_backend_requests_total", NULL},
    {"services", "pushes", "pushes", TOP_RATE, TOP_PER_SECOND, "callboard_backend_pushes_total", NULL},
    {"services", "subscriptions", "subscriptions", TOP_SUM, TOP_COUNT, "callboard_backend_subscriptions", NULL},
    {"services", "workers", "workers", TOP_SUM, TOP_COUNT, "callboard_backend_workers", NULL},
    {"services", "calls_open", "open calls", TOP_SUM, TOP_COUNT, "callboard_backend_calls_open", NULL},
    {"redis", "connected", "shards connected", TOP_SUM, TOP_COUNT, "callboard_redis_connected", NULL},
    {"redis", "batches", "batches", TOP_RATE, TOP_PER_SECOND, "callboard_redis_batches_total", NULL},
    {"redis", "publications", "publications", TOP_RATE, TOP_PER_SECOND, "callboard_redis_publications_total", NULL},
    {"redis", "batch_p50", "p50", TOP_P50, TOP_SECONDS, "callboard_redis_batch_seconds", NULL},
    {"redis", "batch_p99", "p99", TOP_P99, TOP_SECONDS, "callboard_redis_batch_seconds", NULL},
    {"redis", "queued", "queued", TOP_SUM, TOP_COUNT, "callboard_redis_queued", NULL},
    {"redis", "pipeline", "in the pipeline", TOP_SUM, TOP_COUNT, "callboard_redis_pipeline_commands", NULL},
};
enum { N_ROWS = sizeof rows / sizeof rows[0], LABEL_WIDTH = 14 };

/* ---- figures ---- */

static bool add_up(const struct top *self, const struct top_row *row, double *ret_value) {
    bool is_known = false;
    *ret_value = 0;
    for (size_t i = 0; i < self->n_programs; i++) {
        const struct top_program *program = &self->programs[i];
        double value;
        bool has =
            program->is_there &&
            (row->how == TOP_SUM ? top_reading_sum(&program->now, row->metric, row->label, &value)
                                 : top_reading_rate(&program->now, &program->before, row->metric, row->label, &value));
        *ret_value += has ? value : 0;
        is_known = is_known || has;
    }
    return is_known;
}

static bool quantile(const struct top *self, const struct top_row *row, double *ret_value) {
    struct top_histogram histogram = {.n = 0};
    for (size_t i = 0; i < self->n_programs; i++) {
        if (self->programs[i].is_there) {
            top_histogram_add(&histogram, &self->programs[i].now, &self->programs[i].before, row->metric);
        }
    }
    return top_histogram_quantile(&histogram, row->how == TOP_P50 ? 0.5 : 0.99, ret_value);
}

static bool figure(const struct top *self, const struct top_row *row, double *ret_value) {
    return row->how == TOP_SUM || row->how == TOP_RATE ? add_up(self, row, ret_value) : quantile(self, row, ret_value);
}

/* The slowest first; those that were not asked last. `ret_order` are places. */
static void sort_channels(const struct top *self, size_t *ret_order) {
    for (size_t i = 0; i < self->n_channels; i++) {
        const struct top_channel *channel = &self->channels[i];
        size_t at = i;
        for (; at > 0; at--) {
            const struct top_channel *other = &self->channels[ret_order[at - 1]];
            if (other->has_answer && (!channel->has_answer || other->answer_us >= channel->answer_us)) {
                break;
            }
            ret_order[at] = ret_order[at - 1];
        }
        ret_order[at] = i;
    }
}

/* ---- text ---- */

static void append_scaled(struct buffer *out, double value, double step, const char *const *units, size_t n_units) {
    size_t at = 0;
    while (value >= step && at + 1 < n_units) {
        value /= step;
        at++;
    }
    const char *format = value >= 100 || (at == 0 && value == (double) (uint64_t) value) ? "%.0f%s" : "%.1f%s";
    buffer_append_format(out, format, value, units[at]);
}

static void append_value(struct buffer *out, double value, enum top_unit unit) {
    static const char *const counts[] = {"", "k", "M", "G"};
    static const char *const bytes[] = {" B", " KiB", " MiB", " GiB", " TiB"};
    static const char *const times[] = {" us", " ms", " s"};
    switch (unit) {
    case TOP_COUNT:
        append_scaled(out, value, value < 10000 ? 10000 : 1000, counts, 4);
        return;
    case TOP_PER_SECOND:
        append_scaled(out, value, value < 10000 ? 10000 : 1000, counts, 4);
        buffer_append_text(out, "/s");
        return;
    case TOP_SECONDS:
        append_scaled(out, value * 1e6, 1000, times, 3);
        return;
    case TOP_BYTES:
        append_scaled(out, value, 1024, bytes, 5);
        return;
    }
}

/* Text of a stranger's: nothing of it moves the cursor. */
static void append_plain(struct buffer *out, const char *text, size_t width) {
    size_t n = 0;
    for (; text[n] != '\0' && n < width; n++) {
        unsigned char character = (unsigned char) text[n];
        buffer_append_char(out, character < 0x20 || character == 0x7f ? '?' : text[n]);
    }
    while (n++ < width) {
        buffer_append_char(out, ' ');
    }
}

static void append_head(const struct top *self, struct buffer *out) {
    char now[16];
    time_t seconds = (time_t) (clock_wall_ms() / 1000);
    struct tm parts;
    localtime_r(&seconds, &parts);
    strftime(now, sizeof now, "%H:%M:%S", &parts);
    buffer_append_format(out, "%scallboardctl top%s  %s\n", ctl_style(stdout, CTL_BOLD), ctl_style(stdout, CTL_PLAIN),
                         now);
    (void) self;
}

static void append_program(const struct top_program *program, struct buffer *out) {
    double memory = 0;
    if (!program->is_there) {
        buffer_append_format(out, "  %sno answer%s  ", ctl_style(stdout, CTL_RED), ctl_style(stdout, CTL_PLAIN));
        append_plain(out, program->url, strlen(program->url));
        buffer_append_format(out, ": %s\n", program->error);
        return;
    }
    bool is_ok = strcmp(program->status, "ok") == 0;
    buffer_append_text(out, "  ");
    buffer_append_text(out, ctl_style(stdout, is_ok ? CTL_GREEN : CTL_YELLOW));
    append_plain(out, program->status, 10);
    buffer_append_text(out, ctl_style(stdout, CTL_PLAIN));
    buffer_append_format(out, " %-10s", program->kind);
    append_plain(out, program->name, 24);
    buffer_append_format(out, " %-10s", program->version);
    if (top_reading_sum(&program->now, "callboard_gateway_memory_bytes", NULL, &memory) ||
        top_reading_sum(&program->now, "callboard_broker_memory_bytes", NULL, &memory)) {
        append_value(out, memory, TOP_BYTES);
    }
    if (program->n_findings > 0) {
        buffer_append_format(out, "  %s%llu findings: callboardctl doctor%s", ctl_style(stdout, CTL_YELLOW),
                             (unsigned long long) program->n_findings, ctl_style(stdout, CTL_PLAIN));
    }
    buffer_append_char(out, '\n');
}

/* Does any program count anything of it? */
static bool is_section_known(const struct top *self, size_t at) {
    const char *section = rows[at].section;
    double ignored;
    for (; at < N_ROWS && strcmp(rows[at].section, section) == 0; at++) {
        if (rows[at].how == TOP_SUM && add_up(self, &rows[at], &ignored)) {
            return true;
        }
    }
    return false;
}

static void append_section(const struct top *self, size_t *at, size_t width, struct buffer *out) {
    const char *section = rows[*at].section;
    bool is_known = is_section_known(self, *at);
    struct buffer cell = BUFFER_EMPTY;
    size_t column = LABEL_WIDTH;
    buffer_append_format(out, "%s%-*s%s", ctl_style(stdout, CTL_BOLD), LABEL_WIDTH, section,
                         ctl_style(stdout, CTL_PLAIN));
    buffer_append_text(out, is_known ? "" : "-");
    for (; *at < N_ROWS && strcmp(rows[*at].section, section) == 0; (*at)++) {
        double value;
        if (!is_known) {
            continue;
        }
        buffer_clear(&cell);
        buffer_append_format(&cell, "%s ", rows[*at].text);
        if (figure(self, &rows[*at], &value)) {
            append_value(&cell, value, rows[*at].unit);
        } else {
            buffer_append_char(&cell, '-');
        }
        if (column > LABEL_WIDTH && column + cell.size + 3 > width) {
            buffer_append_format(out, "\n%*s", LABEL_WIDTH, "");
            column = LABEL_WIDTH;
        }
        buffer_append_text(out, column > LABEL_WIDTH ? "   " : "");
        buffer_append_span(out, buffer_span(&cell));
        column += cell.size + (column > LABEL_WIDTH ? 3 : 0);
    }
    buffer_append_char(out, '\n');
    buffer_finish(&cell);
}

static void append_channels(const struct top *self, size_t width, struct buffer *out) {
    size_t order[TOP_CHANNELS_MAX];
    size_t name_width = width > 60 ? width - 44 : 16;
    if (self->channels_error[0] != '\0') {
        buffer_append_format(out, "%schannels%s      ", ctl_style(stdout, CTL_BOLD), ctl_style(stdout, CTL_PLAIN));
        append_plain(out, self->channels_error, strlen(self->channels_error));
        buffer_append_char(out, '\n');
        return;
    }
    buffer_append_format(out, "%schannels%s      %zu with subscribers; of those with the most, the slowest first\n",
                         ctl_style(stdout, CTL_BOLD), ctl_style(stdout, CTL_PLAIN), self->n_channels_in_all);
    sort_channels(self, order);
    if (self->n_channels > 0) {
        buffer_append_format(out, "%s  ", ctl_style(stdout, CTL_DIM));
        append_plain(out, "channel", name_width);
        buffer_append_format(out, " %12s %12s %12s%s\n", "subscribers", "published", "answers in",
                             ctl_style(stdout, CTL_PLAIN));
    }
    for (size_t i = 0; i < self->n_channels; i++) {
        const struct top_channel *channel = &self->channels[order[i]];
        struct buffer cells[3] = {BUFFER_EMPTY, BUFFER_EMPTY, BUFFER_EMPTY};
        append_value(&cells[0], (double) channel->n_subscribers, TOP_COUNT);
        if (channel->has_rate) {
            append_value(&cells[1], channel->rate, TOP_PER_SECOND);
        }
        if (channel->has_answer) {
            append_value(&cells[2], (double) channel->answer_us / 1e6, TOP_SECONDS);
        }
        buffer_append_text(out, "  ");
        append_plain(out, channel->name, name_width);
        for (size_t at = 0; at < 3; at++) {
            buffer_append_format(out, " %12.*s", cells[at].size == 0 ? 1 : (int) cells[at].size,
                                 cells[at].size == 0 ? "-" : (const char *) cells[at].data);
            buffer_finish(&cells[at]);
        }
        buffer_append_char(out, '\n');
    }
}

/* Keeps so many lines. */
static void cut_lines(struct buffer *out, size_t begin, size_t height) {
    for (size_t i = begin; i < out->size; i++) {
        if (out->data[i] == '\n' && --height == 0) {
            out->size = i + 1;
            return;
        }
    }
}

void top_append_text(const struct top *self, size_t width, size_t height, struct buffer *out) {
    size_t begin = out->size;
    append_head(self, out);
    for (size_t i = 0; i < self->n_programs; i++) {
        if (self->programs[i].is_there || !self->programs[i].is_guess) {
            append_program(&self->programs[i], out);
        }
    }
    buffer_append_char(out, '\n');
    for (size_t at = 0; at < N_ROWS;) {
        append_section(self, &at, width, out);
    }
    buffer_append_char(out, '\n');
    append_channels(self, width, out);
    cut_lines(out, begin, height);
}

/* ---- JSON ---- */

static void append_number(struct buffer *out, bool is_known, double value) {
    if (is_known) {
        buffer_append_format(out, "%.9g", value);
    } else {
        buffer_append_text(out, "null");
    }
}

static void append_programs_json(const struct top *self, struct buffer *out) {
    const char *separator = "";
    buffer_append_text(out, "\"programs\":[");
    for (size_t i = 0; i < self->n_programs; i++) {
        const struct top_program *program = &self->programs[i];
        if (!program->is_there && program->is_guess) {
            continue;
        }
        buffer_append_text(out, separator);
        separator = ",";
        buffer_append_char(out, '{');
        ctl_append_member(out, "url", program->url);
        if (program->is_there) {
            ctl_append_member(out, "kind", program->kind);
            ctl_append_member(out, "name", program->name);
            ctl_append_member(out, "version", program->version);
            ctl_append_member(out, "status", program->status);
            buffer_append_format(out, ",\"findings\":%llu}", (unsigned long long) program->n_findings);
        } else {
            ctl_append_member(out, "error", program->error);
            buffer_append_char(out, '}');
        }
    }
    buffer_append_char(out, ']');
}

static void append_channels_json(const struct top *self, struct buffer *out) {
    size_t order[TOP_CHANNELS_MAX];
    if (self->channels_error[0] != '\0') {
        ctl_append_member(out, "channels_error", self->channels_error);
        return;
    }
    sort_channels(self, order);
    buffer_append_format(out, ",\"channels_in_all\":%zu,\"channels\":[", self->n_channels_in_all);
    for (size_t i = 0; i < self->n_channels; i++) {
        const struct top_channel *channel = &self->channels[order[i]];
        buffer_append_text(out, i == 0 ? "{" : ",{");
        ctl_append_member(out, "channel", channel->name);
        buffer_append_format(
            out, ",\"subscribers\":%llu,\"publications_per_second\":", (unsigned long long) channel->n_subscribers);
        append_number(out, channel->has_rate, channel->rate);
        buffer_append_text(out, ",\"answer_seconds\":");
        append_number(out, channel->has_answer, (double) channel->answer_us / 1e6);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

void top_append_json(const struct top *self, struct buffer *out) {
    buffer_append_format(out, "{\"time_ms\":%lld,", (long long) clock_wall_ms());
    append_programs_json(self, out);
    for (size_t i = 0; i < N_ROWS; i++) {
        double value = 0;
        bool begins = i == 0 || strcmp(rows[i].section, rows[i - 1].section) != 0;
        if (begins) {
            buffer_append_format(out, "%s\"%s\":{", i == 0 ? "," : "},", rows[i].section);
        }
        buffer_append_format(out, "%s\"%s\":", begins ? "" : ",", rows[i].json);
        bool is_known = figure(self, &rows[i], &value);
        append_number(out, is_known, value);
    }
    buffer_append_char(out, '}');
    append_channels_json(self, out);
    buffer_append_char(out, '}');
}
