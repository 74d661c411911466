/* Text and JSON of a run. Text leaves out what was not measured. */
#include "tools/bench/bench_report.h"

#include "tools/bench/bench_protocol.h"

#include <math.h>

enum { DISTRIBUTION_STEPS = 12 };

static const double distribution[DISTRIBUTION_STEPS] = {0,    0.1,  0.25,  0.5,   0.75,   0.9,
                                                        0.95, 0.99, 0.995, 0.999, 0.9999, 1};

static void append_figure(struct buffer *out, const struct bench_result *result, enum bench_figure figure) {
    char text[48];
    if (!isnan(result->figures[figure])) {
        bench_figure_print(figure, result->figures[figure], text, sizeof text);
        buffer_append_format(out, "  %-17s %14s   %s\n", bench_figure_rows[figure].name, text,
                             bench_figure_rows[figure].meaning);
    }
}

static void append_processes(struct buffer *out, const struct bench_result *result) {
    for (unsigned i = 0; i < result->n_processes; i++) {
        const struct bench_process *process = &result->processes[i];
        buffer_append_format(out, "  %s (%d): CPU %.3f s connecting, %.3f s running", process->name, process->pid,
                             process->connected.cpu_s - process->before.cpu_s, process->end.cpu_s - process->run.cpu_s);
        if (isnan(process->end.pss_bytes)) {
            buffer_append_text(out, "; its memory cannot be read (run bench as root)\n");
        } else {
            buffer_append_format(out, "; PSS %.1f MB before, %.1f MB connected, %.1f MB at the end\n",
                                 process->before.pss_bytes / 1048576, process->connected.pss_bytes / 1048576,
                                 process->end.pss_bytes / 1048576);
        }
    }
}

void bench_report_text(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result) {
    buffer_append_format(out, "%u users (%s), %u channels x %u publishers, ", plan->users,
                         bench_protocol_of(plan->protocol)->name, plan->channels, plan->publishers);
    if (plan->missed > 0) {
        buffer_append_format(out, "a storm that misses %u of each, ", plan->missed);
    } else if (plan->rate > 0) {
        buffer_append_format(out, "%g/s each, ", plan->rate);
    } else {
        buffer_append_format(out, "%u in flight each, ", plan->in_flight);
    }
    buffer_append_format(out, "%u bytes; connected in %.2f s, ran %.2f s\n", plan->size, result->connect_s,
                         result->run_s);
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        append_figure(out, result, (enum bench_figure) i);
    }
    append_processes(out, result);
    buffer_append_format(out, "  the load itself: CPU %.3f s in %u processes\n", result->tool_cpu_s, plan->processes);
    if (result->reason[0] != '\0') {
        buffer_append_format(out, "  first trouble: %s\n", result->reason);
    }
    if (result->interrupted) {
        buffer_append_text(out, "  interrupted: not the whole run\n");
    }
}

static void append_member(struct buffer *out, const char *name, double value) {
    buffer_append_format(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    bench_figure_print_json(out, value);
}

static void append_text_member(struct buffer *out, const char *name, const char *value) {
    buffer_append_format(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
    buffer_append_json_string(out, span_of_text(value));
}

static void append_plan_json(struct buffer *out, const struct bench_plan *plan) {
    buffer_append_text(out, ",\"plan\":{");
    append_text_member(out, "protocol", bench_protocol_of(plan->protocol)->name);
    append_member(out, "users", plan->users);
    append_member(out, "processes", plan->processes);
    append_member(out, "sources", plan->sources);
    append_member(out, "channels", plan->channels);
    append_member(out, "subscriptions_per_user", plan->subscriptions_per_user);
    append_member(out, "publishers", plan->publishers);
    append_member(out, "rate", plan->rate);
    append_member(out, "in_flight", plan->in_flight);
    append_member(out, "size", plan->size);
    append_member(out, "missed", plan->missed);
    append_member(out, "duration_ms", (double) plan->duration_ms);
    buffer_append_char(out, '}');
}

static void append_process_json(struct buffer *out, const struct bench_process *process) {
    buffer_append_char(out, '{');
    append_text_member(out, "name", process->name);
    append_member(out, "pid", process->pid);
    append_member(out, "cpu_connect_s", process->connected.cpu_s - process->before.cpu_s);
    append_member(out, "cpu_s", process->end.cpu_s - process->run.cpu_s);
    append_member(out, "pss_before", process->before.pss_bytes);
    append_member(out, "pss_connected", process->connected.pss_bytes);
    append_member(out, "pss_end", process->end.pss_bytes);
    buffer_append_char(out, '}');
}

static void append_series_json(struct buffer *out, const struct bench_result *result) {
    buffer_append_text(out, ",\"seconds\":[");
    for (unsigned i = 0; i < result->n_samples; i++) {
        const struct bench_sample *sample = &result->samples[i];
        buffer_append_text(out, i > 0 ? ",{" : "{");
        append_member(out, "at", sample->at_s);
        append_member(out, "rate", sample->rate);
        append_member(out, "p50", sample->p50_ms);
        append_member(out, "p95", sample->p95_ms);
        append_member(out, "p99", sample->p99_ms);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "],\"distribution\":[");
    for (unsigned i = 0; i < DISTRIBUTION_STEPS; i++) {
        buffer_append_text(out, i > 0 ? ",{" : "{");
        append_member(out, "quantile", distribution[i]);
        append_member(out, "ms", (double) latency_histogram_quantile(&result->delivery, distribution[i]) / 1e6);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_assertions_json(struct buffer *out, const struct bench_result *result,
                                   const struct bench_assertion *assertions, size_t n_assertions) {
    buffer_append_text(out, ",\"assertions\":[");
    for (size_t i = 0; i < n_assertions; i++) {
        buffer_append_text(out, i > 0 ? ",{\"text\":" : "{\"text\":");
        buffer_append_json_string(out, assertions[i].text);
        append_member(out, "value", result->figures[assertions[i].figure]);
        buffer_append_format(out, ",\"holds\":%s}",
                             bench_assertion_holds(&assertions[i], result->figures) ? "true" : "false");
    }
    buffer_append_char(out, ']');
}

void bench_report_json(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result,
                       const struct bench_assertion *assertions, size_t n_assertions) {
    buffer_append_text(out, "{\"figures\":{");
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        append_member(out, bench_figure_rows[i].name, result->figures[i]);
    }
    buffer_append_char(out, '}');
    append_member(out, "connect_s", result->connect_s);
    append_member(out, "run_s", result->run_s);
    append_member(out, "acked", (double) bench_read(&result->counts.acked));
    append_member(out, "foreign", (double) bench_read(&result->counts.foreign));
    append_member(out, "tool_cpu_s", result->tool_cpu_s);
    append_text_member(out, "first_trouble", result->reason);
    buffer_append_format(out, ",\"interrupted\":%s", result->interrupted ? "true" : "false");
    append_plan_json(out, plan);
    buffer_append_text(out, ",\"processes\":[");
    for (unsigned i = 0; i < result->n_processes; i++) {
        if (i > 0) {
            buffer_append_char(out, ',');
        }
        append_process_json(out, &result->processes[i]);
    }
    buffer_append_char(out, ']');
    append_assertions_json(out, result, assertions, n_assertions);
    append_series_json(out, result);
    buffer_append_char(out, '}');
}
