/* callboardctl top: what runs, live: rates, connections, the slowest channels, Redis. Asks the internal listeners of
 * programs and the backend API, again and again; on a terminal it shows one view that is written over, elsewhere one
 * view after the other. */
#include "tools/ctl_terminal.h"
#include "tools/ctl_top_parts.h"

#include "base/clock.h"
#include "base/config_reader.h"
#include "base/memory.h"

#include <stdio.h>

enum { TOKEN_MAX = 4096 };
enum { BROKER, GATEWAY, TOKEN_FILE, INTERVAL, COUNT, ONCE };

static const struct ctl_option known[] = {
    [BROKER] = {.name = "broker",
                .kind = CTL_TEXT,
                .value = "URL",
                .many = true,
                .initial = "http://127.0.0.1:9001, where it answers and no program is named",
                .help = "the internal listener of a broker"},
    [GATEWAY] = {.name = "gateway",
                 .kind = CTL_TEXT,
                 .value = "URL",
                 .many = true,
                 .initial = "http://127.0.0.1:9000, where it answers and no program is named",
                 .help = "the internal listener of a gateway or the appliance"},
    [TOKEN_FILE] = {.name = "token-file",
                    .kind = CTL_FILE,
                    .value = "FILE",
                    .help = "the token of the internal listeners, internal.token"},
    [INTERVAL] = {.name = "interval",
                  .kind = CTL_DURATION,
                  .value = "TIME",
                  .minimum = 100000,
                  .maximum = 3600000000U,
                  .initial = "2s",
                  .help = "a view so often; rates are of that time"},
    [COUNT] = {.name = "count",
               .kind = CTL_NUMBER,
               .value = "N",
               .minimum = 1,
               .maximum = 1000000000,
               .initial = "never",
               .help = "end after so many views"},
    [ONCE] = {.name = "once", .kind = CTL_FLAG, .help = "one view, after one interval, and end"},
    {.name = NULL},
};

/* False: there are too many, which was said. */
static bool add_programs(struct top *self, const struct ctl_arguments *arguments, int option) {
    size_t at = 0;
    for (const char *url; (url = ctl_next(arguments, option, &at)) != NULL;) {
        if (self->n_programs == TOP_PROGRAMS_MAX) {
            ctl_usage_error("top", "at most %d brokers and gateways", TOP_PROGRAMS_MAX);
            return false;
        }
        self->programs[self->n_programs++] = (struct top_program){.url = url};
    }
    return true;
}

static void guess_programs(struct top *self) {
    self->programs[0] = (struct top_program){.url = "http://127.0.0.1:9000", .is_guess = true};
    self->programs[1] = (struct top_program){.url = "http://127.0.0.1:9001", .is_guess = true};
    self->n_programs = 2;
}

/* Without line feeds at its end. */
static bool read_token(struct top *self, const char *file) {
    struct buffer text = BUFFER_EMPTY;
    const char *reason;
    if (file == NULL) {
        self->token = memory_strdup("");
        return true;
    }
    bool is_read = config_read_file(file, TOKEN_MAX, &text, &reason);
    if (!is_read) {
        fprintf(stderr, "callboardctl top: cannot read %s: %s\n", file, reason);
    } else {
        while (text.size > 0 && strchr("\r\n", text.data[text.size - 1]) != NULL) {
            text.size--;
        }
        self->token = memory_alloc(text.size + 1);
        memcpy(self->token, text.data, text.size);
        self->token[text.size] = '\0';
    }
    buffer_finish(&text);
    return is_read;
}

static bool is_anybody_there(const struct top *self) {
    for (size_t i = 0; i < self->n_programs; i++) {
        if (self->programs[i].is_there || !self->programs[i].is_guess) {
            return true;
        }
    }
    return false;
}

static void sample(struct top *self) {
    top_sample_programs(self, top_screen_is_over);
    top_sample_channels(self, top_screen_is_over);
}

static void show(const struct top *self) {
    struct buffer out = BUFFER_EMPTY;
    size_t width;
    size_t height;
    if (self->options->json) {
        top_append_json(self, &out);
        buffer_append_char(&out, '\n');
    } else {
        top_screen_size(&width, &height);
        top_append_text(self, width, height, &out);
    }
    top_screen_show(&out);
    buffer_finish(&out);
}

/* The first view on a terminal comes at once, without rates; elsewhere each has them. */
static int watch(struct top *self, uint64_t interval_ms, uint64_t count) {
    bool is_screen = false;
    sample(self);
    if (!is_anybody_there(self)) {
        fprintf(stderr, "callboardctl top: nothing answers at http://127.0.0.1:9000 and 9001; name the internal "
                        "listeners of programs with --gateway and --broker\n");
        return CTL_NO_ANSWER;
    }
    if (count != 1 && !self->options->json) {
        top_screen_open();
        is_screen = ctl_is_terminal(stdout);
    }
    if (is_screen) {
        show(self);
    }
    uint64_t due_ms = clock_monotonic_ms() + interval_ms;
    for (uint64_t n = 0; (count == 0 || n < count) && top_screen_wait(due_ms);) {
        if (clock_monotonic_ms() >= due_ms) {
            due_ms = clock_monotonic_ms() + interval_ms;
            sample(self);
            n++;
        }
        if (!top_screen_is_over()) {
            show(self);
        }
    }
    top_screen_close();
    return CTL_DONE;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    struct top *self = memory_alloc_zero(sizeof *self);
    int result = CTL_USAGE;
    self->options = options;
    if (!add_programs(self, arguments, BROKER) || !add_programs(self, arguments, GATEWAY) ||
        !read_token(self, ctl_text(arguments, TOKEN_FILE))) {
        goto done;
    }
    if (self->n_programs == 0) {
        guess_programs(self);
    }
    self->client = ctl_connect(options);
    if (self->client != NULL) {
        top_screen_catch_signals();
        result = watch(self, ctl_number(arguments, INTERVAL, 2000000) / 1000,
                       ctl_has(arguments, ONCE) ? 1 : ctl_number(arguments, COUNT, 0));
    }
done:
    for (size_t i = 0; i < self->n_programs; i++) {
        top_reading_finish(&self->programs[i].now);
        top_reading_finish(&self->programs[i].before);
    }
    backend_client_destroy(&self->client);
    if (self->token != NULL) {
        explicit_bzero(self->token, strlen(self->token));
    }
    memory_free(self->token);
    memory_free(self);
    return result;
}

const struct ctl_command ctl_top_command = {
    .name = "top",
    .summary = "watch what runs: rates, connections, the slowest channels, Redis",
    .description =
        "Shows the programs whose internal listeners are named, or those that answer on this machine, added up: "
        "clients "
        "and what they do, messages, services, Redis. Below are the channels with the most subscribers, with the time "
        "until the backend API has answered for each, the slowest first: so a shard or a Redis server that is slow is "
        "seen by its channels. What nobody counts is a dash, or null.\n\n"
        "On a terminal it is one view that is written over; q or Ctrl-C ends it, and the terminal is as before. "
        "Elsewhere "
        "one view follows the other, with -o json a line each. --once is for scripts.",
    .options = known,
    .run = run,
};
