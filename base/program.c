/* See program.h.
 *
 *   arguments ─▶ configuration ─▶ start ─▶ running ──SIGTERM──▶ stop … stopped ─▶ last handles ─▶ exit
 *       │2            │3            │1      ▲    │SIGHUP, or --watch and another file
 *                                           └────┴▶ reading again: wrong → told and kept; right → reload … reloaded
 *
 * The environment is copied before its secrets are wiped, so that a reload reads the same. */
#include "base/program_parts.h"

#include "base/check.h"
#include "base/file_watch.h"
#include "base/log.h"
#include "base/memory.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CONFIG_FILE_MAX = 256 * 1024, HOUSEKEEPING_MS = 1000 };

enum program_metric { METRIC_LOG_LOST, METRIC_LOG_SUPPRESSED, METRIC_BUILD, PROGRAM_METRICS };

static const struct metric_description program_metric_table[PROGRAM_METRICS] = {
    [METRIC_LOG_LOST] = {"callboard_log_lost_total", "Lines of the log that stderr did not take.", METRIC_COUNTER,
                         NULL},
    [METRIC_LOG_SUPPRESSED] = {"callboard_log_suppressed_total", "Lines of the log that log.rate kept back.",
                               METRIC_COUNTER, NULL},
    [METRIC_BUILD] = {"callboard_build_info", "1, with the program's version.", METRIC_GAUGE,
                      "version=\"" CALLBOARD_VERSION "\""},
};

/* What one reading of the configuration came to. */
struct generation {
    struct config_part parts[PROGRAM_TABLES_MAX];
    void *configs[PROGRAM_TABLES_MAX];
};

struct program {
    const struct program_description *description;
    void *context;
    struct program_arguments arguments;
    char **environment;       /* a copy */
    struct generation *first; /* what was started with */
    struct generation *current;
    struct generation *next; /* being taken by reload() */
    bool reload_again;       /* SIGHUP came meanwhile */
    bool is_stopping;
    int exit_code;
    uv_loop_t loop;
    uv_signal_t signals[3]; /* SIGTERM, SIGINT, SIGHUP */
    uv_timer_t housekeeping;
    struct file_watch config_watch;     /* with --watch */
    metric_values_t *own_metrics;       /* NULL: none */
    uint64_t log_counted[METRIC_BUILD]; /* of the rows before */
};

static const int signal_numbers[3] = {SIGTERM, SIGINT, SIGHUP};

extern char **environ;

/* ---- the configuration ---- */

/* The value of NAME in a list of NAME=value; NULL: not there. */
static const char *find_variable(char *const *environment, const char *name) {
    size_t size = strlen(name);
    for (size_t i = 0; environment[i] != NULL; i++) {
        if (strncmp(environment[i], name, size) == 0 && environment[i][size] == '=') {
            return environment[i] + size + 1;
        }
    }
    return NULL;
}

static char *join_variable(const char *name, const char *value) {
    size_t size = strlen(name) + 1 + strlen(value) + 1;
    char *text = memory_alloc(size);
    snprintf(text, size, "%s=%s", name, value);
    return text;
}

static void copy_environment(program_t *self) {
    const struct program_description *description = self->description;
    size_t n = program_count_texts(environ);
    self->environment = memory_alloc_array(n + description->n_aliases + 1, sizeof *self->environment);
    for (size_t i = 0; i < n; i++) {
        self->environment[i] = memory_strdup(environ[i]);
    }
    for (size_t i = 0; i < description->n_aliases; i++) {
        const struct program_alias *alias = &description->aliases[i];
        const char *value = find_variable(environ, alias->variable);
        if (value != NULL && value[0] != '\0' && find_variable(environ, alias->stands_for) == NULL) {
            self->environment[n++] = join_variable(alias->stands_for, value);
        }
    }
    if (self->arguments.config_path == NULL) {
        const char *path = find_variable(self->environment, "CALLBOARD_CONFIG");
        self->arguments.config_path = path != NULL && path[0] != '\0' ? path : NULL;
    }
}

static void generation_free(program_t *self, struct generation **generation_p) {
    struct generation *generation = *generation_p;
    if (generation == NULL) {
        return;
    }
    config_finish(generation->parts, self->description->n_tables);
    for (size_t i = 0; i < self->description->n_tables; i++) {
        memory_free(generation->configs[i]);
    }
    memory_free(generation);
    *generation_p = NULL;
}

/* NULL: `ret_errors` says why, a line each. */
static struct generation *read_generation(program_t *self, struct buffer *ret_errors) {
    const struct program_description *description = self->description;
    struct buffer file = BUFFER_EMPTY;
    const char *reason = NULL;
    if (self->arguments.config_path != NULL &&
        !config_read_file(self->arguments.config_path, CONFIG_FILE_MAX, &file, &reason)) {
        buffer_append_format(ret_errors, "%s: cannot be read: %s\n", self->arguments.config_path, reason);
        buffer_finish(&file);
        return NULL;
    }
    struct generation *generation = memory_alloc_zero(sizeof *generation);
    for (size_t i = 0; i < description->n_tables; i++) {
        generation->configs[i] = memory_alloc_zero(description->tables[i]->struct_size);
        generation->parts[i] = (struct config_part){description->tables[i], generation->configs[i]};
    }
    const struct config_source source = {.file_name = self->arguments.config_path,
                                         .file_text = buffer_span(&file),
                                         .environment = (const char *const *) self->environment,
                                         .settings = self->arguments.settings};
    if (!config_read(generation->parts, description->n_tables, &source, ret_errors)) {
        generation_free(self, &generation);
    }
    buffer_finish(&file);
    return generation;
}

static void print_errors(const program_t *self, const struct buffer *errors) {
    const char *line = (const char *) errors->data;
    const char *end = line + errors->size;
    while (line < end) {
        const char *line_end = memchr(line, '\n', (size_t) (end - line));
        size_t size = (size_t) ((line_end == NULL ? end : line_end) - line);
        fprintf(stderr, "%s: %.*s\n", self->description->name, (int) size, line);
        line += size + 1;
    }
}

static void log_lines(enum log_level level, const char *event, const char *field, const struct buffer *text) {
    struct span left = buffer_span(text);
    while (left.size > 0) {
        const uint8_t *line_end = memchr(left.data, '\n', left.size);
        size_t size = line_end == NULL ? left.size : (size_t) (line_end - left.data);
        LOG_AT(level, event, log_span(field, span_of(left.data, size)));
        size_t taken = line_end == NULL ? size : size + 1;
        left = span_of(left.data + taken, left.size - taken);
    }
}

static void on_sighup(program_t *self) {
    if (self->is_stopping) {
        return;
    }
    if (self->next != NULL) {
        self->reload_again = true;
        return;
    }
    struct buffer text = BUFFER_EMPTY;
    self->next = read_generation(self, &text);
    if (self->next == NULL) {
        log_lines(LOG_LEVEL_ERROR, "config_reload_refused", "error", &text);
        buffer_finish(&text);
        return;
    }
    buffer_clear(&text);
    config_compare(self->current->parts, self->next->parts, self->description->n_tables, &text);
    log_lines(LOG_LEVEL_WARNING, "config_needs_restart", "key", &text);
    buffer_finish(&text);
    self->description->reload(self->context, self->next->configs);
}

static void reload_again(program_t *self) {
    if (self->reload_again) {
        self->reload_again = false;
        on_sighup(self);
    }
}

void program_reloaded(program_t *self) {
    check(self->next != NULL, "there was no reload");
    if (self->current != self->first) {
        generation_free(self, &self->current);
    }
    self->current = self->next;
    self->next = NULL;
    log_info("config_reloaded",
             log_text("file", self->arguments.config_path == NULL ? "" : self->arguments.config_path));
    reload_again(self);
}

void program_reload_refused(program_t *self, const char *reason) {
    check(self->next != NULL, "there was no reload");
    log_error("config_reload_refused", log_text("error", reason));
    generation_free(self, &self->next);
    reload_again(self);
}

/* ---- once a second ---- */

static void count_log(program_t *self, enum program_metric row, uint64_t total) {
    if (self->own_metrics != NULL) {
        metric_add(self->own_metrics, row, total - self->log_counted[row]);
        self->log_counted[row] = total;
    }
}

static void watch_log(program_t *self) {
    log_report_suppressed();
    count_log(self, METRIC_LOG_LOST, log_lost_total());
    count_log(self, METRIC_LOG_SUPPRESSED, log_suppressed_total());
}

static void on_housekeeping(uv_timer_t *timer) {
    program_t *self = timer->data;
    watch_log(self);
    if (self->description->look != NULL && !self->is_stopping && self->next == NULL) {
        self->description->look(self->context);
    }
    if (self->config_watch.path != NULL && file_watch_changed(&self->config_watch)) {
        on_sighup(self);
    }
}

void program_set_metrics(program_t *self, metrics_t *metrics) {
    watch_log(self);
    metric_values_destroy(&self->own_metrics);
    self->own_metrics = metrics == NULL ? NULL : metric_values_new(metrics, program_metric_table, PROGRAM_METRICS);
    watch_log(self);
    if (self->own_metrics != NULL) {
        metric_set(self->own_metrics, METRIC_BUILD, 1);
    }
}

/* ---- running ---- */

uv_loop_t *program_loop(program_t *self) {
    return &self->loop;
}

void program_ready(program_t *self, const char *format, ...) {
    va_list values;
    va_start(values, format);
    printf("%s ready: ", self->description->name);
    vprintf(format, values);
    printf("\n");
    fflush(stdout);
    va_end(values);
}

void program_stop(program_t *self) {
    if (!self->is_stopping) {
        self->is_stopping = true;
        log_info("program_stopping", log_nothing);
        self->description->stop(self->context);
    }
}

static void close_handles(program_t *self) {
    uv_close((uv_handle_t *) &self->housekeeping, NULL);
    for (size_t i = 0; i < 3; i++) {
        uv_close((uv_handle_t *) &self->signals[i], NULL);
    }
}

void program_stopped(program_t *self, bool is_clean) {
    self->is_stopping = true;
    self->exit_code = is_clean ? PROGRAM_DONE : PROGRAM_FAILED;
    close_handles(self);
}

static void on_signal(uv_signal_t *handle, int number) {
    program_t *self = handle->data;
    if (number == SIGHUP) {
        on_sighup(self);
    } else if (!self->is_stopping) {
        program_stop(self);
    } else {
        log_error("program_killed", log_text("reason", "a second signal came while it was stopping"));
        _exit(PROGRAM_FAILED);
    }
}

/* Every descriptor that the administrator allows. */
static void raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static bool start(program_t *self) {
    sigset_t all;
    sigset_t former;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    char error[PROGRAM_ERROR_SIZE] = "";
    bool started = self->description->start(self->context, self, self->current->configs, error, sizeof error);
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    if (!started) {
        fprintf(stderr, "%s: %s\n", self->description->name, error);
        self->exit_code = PROGRAM_FAILED;
        close_handles(self);
    }
    return started;
}

static int run(program_t *self) {
    signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    uv_loop_init(&self->loop);
    for (size_t i = 0; i < 3; i++) {
        uv_signal_init(&self->loop, &self->signals[i]);
        self->signals[i].data = self;
        uv_signal_start(&self->signals[i], on_signal, signal_numbers[i]);
    }
    uv_timer_init(&self->loop, &self->housekeeping);
    self->housekeeping.data = self;
    uv_timer_start(&self->housekeeping, on_housekeeping, HOUSEKEEPING_MS, HOUSEKEEPING_MS);
    start(self);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&self->loop) == 0, "handles are left on the main loop");
    log_report_suppressed();
    return self->exit_code;
}

/* They may hold what is a secret under our own name. */
static void wipe_aliases(const struct program_description *description) {
    for (size_t i = 0; i < description->n_aliases; i++) {
        char *value = (char *) (uintptr_t) find_variable(environ, description->aliases[i].variable);
        if (value != NULL) {
            memset(value, 'x', strlen(value));
        }
    }
}

/* czmq takes socket options, log targets and its own signal handling from ZSYS_* before anybody calls it (security.md
 * S39): ours come from our settings alone. */
static void forget_czmq_variables(void) {
    static const char prefix[] = "ZSYS_";
    for (size_t i = 0; environ[i] != NULL;) {
        size_t name_size = strcspn(environ[i], "=");
        char name[128];
        if (strncmp(environ[i], prefix, sizeof prefix - 1) != 0 || name_size >= sizeof name) {
            i++;
            continue;
        }
        memcpy(name, environ[i], name_size);
        name[name_size] = '\0';
        unsetenv(name); /* the ones behind it move up */
    }
}

static int configure_and_run(program_t *self) {
    struct buffer errors = BUFFER_EMPTY;
    copy_environment(self);
    if (self->arguments.watches && self->arguments.config_path != NULL) {
        file_watch_init(&self->config_watch, self->arguments.config_path);
    }
    self->current = read_generation(self, &errors);
    if (self->current == NULL) {
        print_errors(self, &errors);
        buffer_finish(&errors);
        return PROGRAM_CONFIG;
    }
    self->first = self->current;
    buffer_finish(&errors);
    if (self->arguments.action == PROGRAM_ACTION_CHECK) {
        printf("%s: the settings are fine\n", self->description->name);
        return PROGRAM_DONE;
    }
    config_wipe_environment(self->current->parts, self->description->n_tables, environ);
    wipe_aliases(self->description);
    return run(self);
}

static int act(program_t *self, int argc, char **argv) {
    if (!program_read_arguments(&self->arguments, argc, argv)) {
        return PROGRAM_USAGE;
    }
    switch (self->arguments.action) {
    case PROGRAM_ACTION_HELP:
        program_print_help(&self->arguments);
        return PROGRAM_DONE;
    case PROGRAM_ACTION_VERSION:
        printf("%s %s\n", self->description->name, CALLBOARD_VERSION);
        return PROGRAM_DONE;
    case PROGRAM_ACTION_MARKDOWN:
        program_print_markdown(&self->arguments);
        return PROGRAM_DONE;
    case PROGRAM_ACTION_CHECK:
    case PROGRAM_ACTION_RUN:
        return configure_and_run(self);
    }
    unreachable("action %d", (int) self->arguments.action);
}

int program_run(const struct program_description *description, void *context, int argc, char **argv) {
    check(description->n_tables <= PROGRAM_TABLES_MAX, "%zu tables", description->n_tables);
    program_t self = {.description = description, .context = context, .arguments = {.description = description}};
    prctl(PR_SET_DUMPABLE, 0); /* secrets are in memory */
    forget_czmq_variables();
    int exit_code = act(&self, argc, argv);
    generation_free(&self, &self.next);
    if (self.current != self.first) {
        generation_free(&self, &self.current);
    }
    generation_free(&self, &self.first);
    program_free_texts(self.environment);
    program_finish_arguments(&self.arguments);
    return exit_code;
}
