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

int ctl_bench(const struct ctl_options *options, int argc, char **argv) {
    struct bench_options bench;
    int outcome = bench_options_read(argc, argv, raise_descriptors(), &bench);
    if (outcome != CTL_DONE || bench.help) {
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
