/* callboardctl bench: reads what is to be done from the command line, has it done, prints what came of it. */
#include "tools/ctl.h"

#include "base/memory.h"
#include "tools/bench/bench_report.h"
#include "tools/ctl_bench_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

/* Bench itself needs descriptors for its users; those of other processes are their business. */
static rlim_t raise_descriptors(void) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    return files.rlim_cur;
}

static bool write_file(const char *path, const struct buffer *text) {
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL && fwrite(text->data, 1, text->size, file) == text->size;
    is_written = (file == NULL || fclose(file) == 0) && is_written;
    if (!is_written) {
        fprintf(stderr, "callboardctl bench: %s cannot be written\n", path);
    }
    return is_written;
}

static bool print_reports(const struct ctl_options *options, const struct bench_options *bench,
                          const struct bench_result *result) {
    struct buffer json = BUFFER_EMPTY;
    struct buffer text = BUFFER_EMPTY;
    struct buffer svg = BUFFER_EMPTY;
    bench_report_json(&json, &bench->plan, result, bench->assertions, bench->n_assertions);
    bench_report_text(&text, &bench->plan, result);
    bool is_written = true;
    if (bench->report_file != NULL) {
        is_written = write_file(bench->report_file, &json);
    }
    if (bench->plot_file != NULL) {
        bench_report_svg(&svg, &bench->plan, result);
        is_written = write_file(bench->plot_file, &svg) && is_written;
    }
    if (options->json) {
        ctl_print_line(buffer_span(&json));
    } else {
        fwrite(text.data, 1, text.size, stdout);
    }
    buffer_finish(&json);
    buffer_finish(&text);
    buffer_finish(&svg);
    return is_written;
}

static int judge(const struct bench_options *bench, const struct bench_result *result) {
    int outcome = CTL_DONE;
    for (size_t i = 0; i < bench->n_assertions; i++) {
        const struct bench_assertion *assertion = &bench->assertions[i];
        if (!bench_assertion_holds(assertion, result->figures)) {
            char value[48];
            bench_figure_print(assertion->figure, result->figures[assertion->figure], value, sizeof value);
            fprintf(stderr, "callboardctl bench: %.*s does not hold: %s\n", (int) assertion->text.size,
                    (const char *) assertion->text.data, value);
            outcome = CTL_REFUSED;
        }
    }
    return outcome;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct bench_options bench;
    int outcome = bench_options_read(arguments, raise_descriptors(), &bench);
    if (outcome != CTL_DONE) {
        bench_options_finish(&bench);
        return outcome;
    }
    struct bench_result *result = memory_alloc_zero(sizeof *result);
    if (!bench_conduct(&bench.plan, &bench.observation, result)) {
        fprintf(stderr, "callboardctl bench: %s\n", result->reason);
        outcome = CTL_NO_ANSWER;
    } else if (!print_reports(options, &bench, result)) {
        outcome = CTL_REFUSED;
    } else if (result->counts.connects == 0) {
        fprintf(stderr, "callboardctl bench: nobody could connect: %s\n", result->reason);
        outcome = CTL_NO_ANSWER;
    } else {
        outcome = result->interrupted ? CTL_REFUSED : judge(&bench, result);
    }
    memory_free(result);
    bench_options_finish(&bench);
    return outcome;
}

static void append_figures(struct buffer *out) {
    static const char *const units[] = {[BENCH_PERCENT] = "%",     [BENCH_MS] = "ms",     [BENCH_COUNT] = "",
                                        [BENCH_PER_SECOND] = "/s", [BENCH_SECONDS] = "s", [BENCH_BYTES] = "B"};
    for (unsigned i = 0; i < BENCH_N_FIGURES; i++) {
        buffer_append_format(out, "%-17s %-3s %s\n", bench_figure_rows[i].name, units[bench_figure_rows[i].unit],
                             bench_figure_rows[i].meaning);
    }
}

const struct ctl_command ctl_bench_command = {
    .name = "bench",
    .summary = "load a gateway with many users: latency, what was lost, CPU and memory of the server",
    .description =
        "Users connect and subscribe; then the publishers among them publish for a while, and each delivery is checked "
        "(once, in order) and timed from the moment it was sent. At the end comes a report on standard output. The "
        "server and the load share this machine's clock, so both run here, or only the load's own publications are "
        "timed.\n\n"
        "A connection that ends unasked comes again after 50 ms or more, with the position of its channels where they "
        "can be recovered; what it missed for good counts as lost. MQTT is QoS 0.\n\n"
        "Exit codes: 0 done, 1 an assertion does not hold or the run was interrupted, 2 wrong usage, 3 nobody could "
        "connect.",
    .options = bench_options_table,
    .examples = "callboardctl bench --config callboard.yaml --channel-prefix demo: --users 200 --duration 1s --assert "
                "lost=0\n",
    .table = "Figures, in the report and for --assert",
    .append_table = append_figures,
    .run = run,
};
