/* Files, folders and the standard input. A folder's files are read by name, so that messages come in the same order on
 * every machine; what cannot be read is told like any other mistake. */
#include "operator/cli/command_specs.h"

#include "base/config_reader.h"
#include "base/memory.h"
#include "operator/checks/checks.h"
#include "operator/diagnostics/diagnostics_print.h"
#include "operator/render/render_document.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 256, FILE_BYTES_MAX = CONFIG_YAML_BYTES_MAX };

/* ---- one file ---- */

static struct buffer *add_text(struct command_specs *self) {
    if (self->n_texts == FILES_MAX) {
        return NULL;
    }
    struct buffer *text = &self->texts[self->n_texts++];
    buffer_init(text, FILE_BYTES_MAX + 1); /* one more, so that a larger one shows */
    return text;
}

/* False, with errno. */
static bool read_stream(FILE *stream, struct buffer *text) {
    char part[8192];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stream)) > 0) {
        size_t room = text->limit - text->size;
        buffer_append(text, part, n < room ? n : room);
    }
    return ferror(stream) == 0;
}

bool command_read_file(const char *name, struct buffer *text) {
    if (strcmp(name, "-") == 0) {
        return read_stream(stdin, text);
    }
    FILE *stream = fopen(name, "re");
    if (stream == NULL) {
        return false;
    }
    bool is_good = read_stream(stream, text);
    int error = errno;
    fclose(stream);
    errno = error;
    return is_good;
}

static void tell_unreadable(struct command_specs *self, const char *name, const char *why) {
    const struct source_text *source = spec_documents_add_source(&self->documents, name, SPAN_EMPTY);
    diagnostics_add(&self->diagnostics, DIAGNOSTIC_FILE_UNREADABLE, (struct source_place){.source = source}, "", "%s",
                    why);
}

static void add_file(struct command_specs *self, struct command_call *call, const char *name) {
    struct buffer *text = add_text(self);
    if (text == NULL) {
        tell_unreadable(self, name, "more than 256 files");
    } else if (!command_read_file(name, text)) {
        tell_unreadable(self, name, strerror(errno));
    } else {
        spec_documents_read(&self->documents, name, buffer_span(text), &call->settings, &self->diagnostics);
    }
}

/* ---- folders ---- */

static bool is_spec_name(const char *name) {
    static const char *const ends[] = {".yaml", ".yml", ".json"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof ends / sizeof ends[0]; i++) {
        if (strcmp(dot, ends[i]) == 0) {
            return name[0] != '.';
        }
    }
    return false;
}

static int select_spec(const struct dirent *entry) {
    return is_spec_name(entry->d_name);
}

static int compare_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void add_folder(struct command_specs *self, struct command_call *call, const char *name) {
    struct dirent **entries = NULL;
    int n = scandir(name, &entries, select_spec, compare_bytes);
    if (n <= 0) {
        tell_unreadable(self, name, n < 0 ? strerror(errno) : "no *.yaml, *.yml or *.json in this folder");
    }
    for (int i = 0; i < n; i++) {
        add_file(self, call, arena_format(call->arena, "%s/%s", name, entries[i]->d_name));
        free(entries[i]);
    }
    free(entries);
}

static void add_path(struct command_specs *self, struct command_call *call, const char *path) {
    struct stat status;
    bool is_folder = strcmp(path, "-") != 0 && stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    if (is_folder) {
        add_folder(self, call, path);
    } else {
        add_file(self, call, path);
    }
}

/* ---- all of it ---- */

static void check_all(struct command_specs *self) {
    for (size_t i = 0; i < self->documents.n; i++) {
        checks_run(self->documents.items[i], &self->diagnostics);
    }
}

static int exit_code_of(struct command_specs *self, const struct command_call *call) {
    diagnostics_sort(&self->diagnostics);
    bool is_bad = self->diagnostics.n_errors > 0 || (call->are_warnings_errors && self->diagnostics.n_warnings > 0);
    return is_bad ? OPERATOR_INVALID : OPERATOR_DONE;
}

static void begin(struct command_specs *self, struct command_call *call) {
    *self = (struct command_specs){.texts = arena_alloc(call->arena, FILES_MAX * sizeof(struct buffer))};
    spec_documents_init(&self->documents, call->arena);
    diagnostics_init(&self->diagnostics, call->arena);
}

static int close_all(struct command_specs *self, struct command_call *call) {
    spec_documents_close(&self->documents, &call->settings, &self->diagnostics);
    check_all(self);
    return exit_code_of(self, call);
}

/* There is room: each flag was an argument, and settings have room for as many as there are. */
void command_specs_take_flags(struct command_call *call, const struct command_flag *flags, size_t n) {
    struct spec_settings *settings = &call->settings;
    for (size_t i = 0; i < n; i++) {
        const char *value = command_option(call, flags[i].option);
        if (value != NULL) {
            settings->items[settings->n++] = (struct spec_setting){
                .path = flags[i].path,
                .value = value,
                .text = arena_format(call->arena, "%s=%s", flags[i].path, value),
            };
        }
    }
}

int command_specs_read(struct command_call *call, const char *command, struct command_specs *ret_specs) {
    struct command_specs *self = ret_specs;
    begin(self, call);
    if (call->n_files + call->n_arguments == 0) {
        return command_usage_error(call, command, "name a spec: a file, a folder, or - for the standard input");
    }
    for (size_t i = 0; i < call->n_files; i++) {
        add_path(self, call, call->files[i]);
    }
    for (size_t i = 0; i < call->n_arguments; i++) {
        add_path(self, call, call->arguments[i]);
    }
    return close_all(self, call);
}

int command_specs_read_text(struct command_call *call, const char *name, const char *text,
                            struct command_specs *ret_specs) {
    begin(ret_specs, call);
    spec_documents_read(&ret_specs->documents, name, span_of_text(text), &call->settings, &ret_specs->diagnostics);
    return close_all(ret_specs, call);
}

int command_specs_render(struct command_specs *self, const struct command_call *call,
                         const struct render_options *options, manifests_t *out) {
    for (size_t i = 0; i < self->documents.n; i++) {
        (void) render_document(self->documents.items[i], options, &self->diagnostics, out);
    }
    manifests_sort(out);
    return exit_code_of(self, call);
}

void command_specs_finish(struct command_specs *self) {
    spec_documents_finish(&self->documents);
    for (size_t i = 0; i < self->n_texts; i++) {
        buffer_finish(&self->texts[i]);
    }
}

/* -v: of each code that is there what `explain` says of it. */
static void append_reasons(const struct diagnostics *diagnostics, struct buffer *out) {
    bool is_told[DIAGNOSTIC_CODES_N] = {false};
    for (size_t i = 0; i < diagnostics->n; i++) {
        enum diagnostic_code code = diagnostics->items[i].code;
        const struct diagnostic_meaning *meaning = diagnostic_meaning_of(code);
        if (!is_told[code]) {
            buffer_append_format(out, "CB%u: %s. %s\n", meaning->number, meaning->title, meaning->why);
        }
        is_told[code] = true;
    }
}

void command_specs_append_text(const struct command_specs *self, const struct command_call *call, struct buffer *out) {
    diagnostics_print_text(&self->diagnostics, call->has_color, call->is_quiet, out);
    if (call->is_verbose) {
        append_reasons(&self->diagnostics, out);
    }
}

void command_specs_tell(const struct command_specs *self, struct command_call *call) {
    command_specs_append_text(self, call, call->messages);
}

int command_specs_conclude(struct command_specs *self, struct command_call *call, int exit_code,
                           int (*print)(const struct command_specs *specs, struct command_call *call)) {
    if (exit_code != OPERATOR_USAGE) {
        command_specs_tell(self, call);
    }
    if (exit_code == OPERATOR_DONE) {
        exit_code = print(self, call);
    }
    command_specs_finish(self);
    return exit_code;
}
