/* The SVG: latency of each second above (p50, p95, p99, with deliveries a second as a grey area), latency by percentile
 * below, where each step to the right has ten times fewer deliveries behind it. */
#include "tools/bench/bench_report.h"

#include "tools/bench/bench_protocol.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum {
    WIDTH = 860,
    LEFT = 70,
    RIGHT = 60,
    PLOT_HEIGHT = 230,
    TOP = 70,
    GAP = 90,
    HEIGHT = TOP + 2 * PLOT_HEIGHT + GAP + 50
};
static const double PLOT_WIDTH = WIDTH - LEFT - RIGHT;

struct series {
    const char *name;
    const char *colour;
    size_t member; /* of struct bench_sample */
};
static const struct series latencies[] = {{"p50", "#2b8cbe", offsetof(struct bench_sample, p50_ms)},
                                          {"p95", "#e6842a", offsetof(struct bench_sample, p95_ms)},
                                          {"p99", "#c0392b", offsetof(struct bench_sample, p99_ms)}};

static double value_of(const struct bench_sample *sample, size_t member) {
    double value;
    memcpy(&value, (const char *) sample + member, sizeof value);
    return value;
}

/* The next of 1, 2, 5, 10, … that is not below. */
static double round_up(double value) {
    double power = pow(10, floor(log10(value > 0 ? value : 1)));
    double first = value / power;
    return power * (first <= 1 ? 1 : first <= 2 ? 2 : first <= 5 ? 5 : 10);
}

static double largest(const struct bench_result *result, size_t member) {
    double max = 0;
    for (unsigned i = 0; i < result->n_samples; i++) {
        max = fmax(max, value_of(&result->samples[i], member));
    }
    return max;
}

static void append_axis(struct buffer *out, double top, double max, const char *unit) {
    for (int i = 0; i <= 4; i++) {
        double y = top + PLOT_HEIGHT * (1 - i / 4.0);
        buffer_append_format(out,
                             "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                             "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3g%s</text>\n",
                             LEFT, y, WIDTH - RIGHT, y, LEFT - 6, y + 4, max * i / 4, unit);
    }
}

/* One line, or with `closed` the area below it. */
static void append_curve(struct buffer *out, const struct bench_result *result, size_t member, double max,
                         const char *style, bool closed) {
    double last_s = result->samples[result->n_samples - 1].at_s;
    double x = LEFT;
    buffer_append_format(out, "<path %s d=\"", style);
    for (unsigned i = 0; i < result->n_samples; i++) {
        x = LEFT + PLOT_WIDTH * result->samples[i].at_s / last_s;
        double y = TOP + PLOT_HEIGHT * (1 - value_of(&result->samples[i], member) / max);
        if (i == 0 && closed) {
            buffer_append_format(out, "M%.1f %d L%.1f %.1f", x, TOP + PLOT_HEIGHT, x, y);
        } else {
            buffer_append_format(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x, y);
        }
    }
    if (closed) {
        buffer_append_format(out, "L%.1f %dZ", x, TOP + PLOT_HEIGHT);
    }
    buffer_append_text(out, "\"/>\n");
}

static void append_seconds(struct buffer *out, const struct bench_result *result) {
    double max_ms = round_up(largest(result, offsetof(struct bench_sample, p99_ms)));
    double max_rate = round_up(largest(result, offsetof(struct bench_sample, rate)));
    append_axis(out, TOP, max_ms, " ms");
    append_curve(out, result, offsetof(struct bench_sample, rate), max_rate, "fill=\"#eee\" stroke=\"#bbb\"", true);
    for (unsigned i = 0; i < sizeof latencies / sizeof latencies[0]; i++) {
        char style[64];
        snprintf(style, sizeof style, "fill=\"none\" stroke-width=\"2\" stroke=\"%s\"", latencies[i].colour);
        append_curve(out, result, latencies[i].member, max_ms, style, false);
        buffer_append_format(out, "<text x=\"%d\" y=\"%d\" fill=\"%s\">%s</text>\n", LEFT + 8 + (int) i * 44, TOP - 8,
                             latencies[i].colour, latencies[i].name);
    }
    buffer_append_format(out,
                         "<text x=\"%d\" y=\"%d\" fill=\"#888\">grey: deliveries, up to %.0f/s</text>"
                         "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%.0f s</text><text x=\"%d\" y=\"%d\">0</text>\n",
                         LEFT + 150, TOP - 8, max_rate, WIDTH - RIGHT, TOP + PLOT_HEIGHT + 18,
                         result->samples[result->n_samples - 1].at_s, LEFT, TOP + PLOT_HEIGHT + 18);
}

/* x: how many decades of deliveries lie behind; 0, 90 %, 99 %, … */
static void append_percentiles(struct buffer *out, const struct bench_result *result) {
    enum { TOP_2 = TOP + PLOT_HEIGHT + GAP, DECADES = 5, STEPS = 20 };
    static const char *const names[DECADES + 1] = {"0", "90", "99", "99.9", "99.99", "99.999 %"};
    double max_ms = round_up((double) latency_histogram_quantile(&result->delivery, 1 - pow(10, -DECADES)) / 1e6);
    append_axis(out, TOP_2, max_ms, " ms");
    buffer_append_text(out, "<path fill=\"none\" stroke=\"#2b8cbe\" stroke-width=\"2\" d=\"");
    for (int i = 0; i <= DECADES * STEPS; i++) {
        double quantile = 1 - pow(10, -(double) i / STEPS);
        double ms = (double) latency_histogram_quantile(&result->delivery, quantile) / 1e6;
        buffer_append_format(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', LEFT + PLOT_WIDTH * i / (DECADES * STEPS),
                             TOP_2 + PLOT_HEIGHT * (1 - ms / max_ms));
    }
    buffer_append_text(out, "\"/>\n");
    for (int i = 0; i <= DECADES; i++) {
        buffer_append_format(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                             LEFT + PLOT_WIDTH * i / DECADES, TOP_2 + PLOT_HEIGHT + 18, names[i]);
    }
    buffer_append_format(out, "<text x=\"%d\" y=\"%d\">publish to deliver, by percentile</text>\n", LEFT + 8,
                         TOP_2 - 8);
}

void bench_report_svg(struct buffer *out, const struct bench_plan *plan, const struct bench_result *result) {
    buffer_append_format(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
        "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
        "<text x=\"%d\" y=\"28\" font-size=\"15\">%u users (%s), %u channels x %u publishers, %.0f deliveries a second"
        "</text>\n",
        WIDTH, HEIGHT, LEFT, plan->users, bench_protocol_of(plan->protocol)->name, plan->channels, plan->publishers,
        result->figures[BENCH_FIGURE_RATE]);
    if (result->n_samples > 0 && result->samples[result->n_samples - 1].at_s > 0) {
        append_seconds(out, result);
    }
    if (result->delivery.count > 0) {
        append_percentiles(out, result);
    }
    buffer_append_text(out, "</svg>\n");
}
