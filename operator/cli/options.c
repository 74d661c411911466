/* One pass over the arguments. The command is needed to know its own options, so its name is looked for first: the
 * first argument that is no option and no option's value. */
#include "operator/cli/options.h"

#include "base/config_nearest.h"
#include "operator/spec/spec_amount.h"
#include "operator/spec/spec_format.h"

#include <stdlib.h>
#include <unistd.h>

static const struct command_option of_all[] = {
    {"file", "FILE", "-f FILE: a spec, as the arguments are; may be repeated"},
    {"namespace", "NAME", "-n NAME: of specs that name none"},
    {"set", "PATH=VALUE", "a field in place of the file's, as --set gateway.replicas=3; may be repeated"},
    {"output", "FORMAT", "-o FORMAT: how to print"},
    {"color", "auto|always|never", "colours in text; auto: on a terminal, unless NO_COLOR is set"},
    {"quiet", NULL, "-q: no sums and remarks"},
    {"verbose", NULL, "-v: of each code also why it is told; which files are written"},
    {"warnings", "error|warn", "error: a warning is an error"},
    {"timeout", "DURATION", "how long to wait for anything outside, as 30s"},
    {"help", NULL, "-h: this"},
    {"version", NULL, "print the version"},
    {NULL, NULL, NULL},
};

static const struct {
    char letter;
    const char *name;
} letters[] = {{'f', "file"},    {'n', "namespace"}, {'o', "output"}, {'q', "quiet"},
               {'v', "verbose"}, {'w', "watch"},     {'h', "help"}};

struct parser {
    char **arguments;
    size_t n;
    size_t at;
    struct command_call *call;
    struct options *options;
    /* what grows, each at most n long */
    const char **rest;
    const char **files;
    struct option_value *own;
    const char *color;
};

const struct command_option *options_of_all(void) {
    return of_all;
}

static bool refuse(struct parser *self, const char *format, const char *what) {
    const char *name = self->options->command == NULL ? "" : self->options->command->name;
    command_usage_error(self->call, name, format, what);
    return false;
}

/* ---- which option ---- */

static const struct command_option *find(const struct command_option *options, struct span name) {
    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        if (span_equal_text(name, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

static const char *name_of_letter(char letter) {
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if (letters[i].letter == letter) {
            return letters[i].name;
        }
    }
    return NULL;
}

static const struct command *command_named(const char *name) {
    size_t n;
    const struct command *const *commands = command_list(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static bool refuse_unknown(struct parser *self, struct span name) {
    const struct command *command = self->options->command;
    struct config_nearest nearest = config_nearest_to(name);
    for (size_t i = 0; of_all[i].name != NULL; i++) {
        config_nearest_consider(&nearest, span_of_text(of_all[i].name));
    }
    for (size_t i = 0; command != NULL && command->options != NULL && command->options[i].name != NULL; i++) {
        config_nearest_consider(&nearest, span_of_text(command->options[i].name));
    }
    const char *meant = nearest.best.size == 0
                            ? ""
                            : arena_format(self->call->arena, "; did you mean --%.*s?", (int) nearest.best.size,
                                           (const char *) nearest.best.data);
    const char *text = arena_format(self->call->arena, "--%.*s%s", (int) name.size, (const char *) name.data, meant);
    return refuse(self, "there is no option %s", text);
}

/* ---- what they do ---- */

static bool take_setting(struct parser *self, const char *text) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text) {
        return refuse(self, "write --set PATH=VALUE, not %s", text);
    }
    struct spec_settings *settings = &self->call->settings;
    struct span path = span_of(text, (size_t) (equals - text));
    if (span_starts_with(path, span_of_text("spec."))) {
        path = span_of(path.data + 5, path.size - 5);
    }
    settings->items[settings->n++] = (struct spec_setting){
        .path = arena_text_of(self->call->arena, path),
        .value = equals + 1,
        .text = text,
    };
    return true;
}

static bool is_output(const struct command *command, const char *output) {
    if (command == NULL || command->outputs == NULL) {
        return false;
    }
    size_t size = strlen(output);
    for (const char *at = command->outputs; *at != '\0'; at += strcspn(at, " "), at += strspn(at, " ")) {
        if (strcspn(at, " ") == size && strncmp(at, output, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool take_output(struct parser *self, const char *value) {
    const struct command *command = self->options->command;
    if (!is_output(command, value)) {
        const char *known = command == NULL || command->outputs == NULL ? "none" : command->outputs;
        return refuse(self, "%s", arena_format(self->call->arena, "-o %s is not known here; known: %s", value, known));
    }
    self->call->output = value;
    return true;
}

static bool take_color(struct parser *self, const char *value) {
    if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 && strcmp(value, "never") != 0) {
        return refuse(self, "--color is auto, always or never, not %s", value);
    }
    self->color = value;
    return true;
}

static bool take_warnings(struct parser *self, const char *value) {
    self->call->are_warnings_errors = strcmp(value, "error") == 0;
    if (!self->call->are_warnings_errors && strcmp(value, "warn") != 0) {
        return refuse(self, "--warnings is error or warn, not %s", value);
    }
    return true;
}

static bool take_common(struct parser *self, const char *name, const char *value) {
    struct command_call *call = self->call;
    if (strcmp(name, "file") == 0) {
        self->files[call->n_files++] = value;
    } else if (strcmp(name, "namespace") == 0) {
        if (!spec_format_accepts(SPEC_FORMAT_LABEL, value)) {
            return refuse(self, "--namespace: \"%s\" is no name of one", value);
        }
        call->settings.namespace = value;
    } else if (strcmp(name, "set") == 0) {
        return take_setting(self, value);
    } else if (strcmp(name, "output") == 0) {
        return take_output(self, value);
    } else if (strcmp(name, "color") == 0) {
        return take_color(self, value);
    } else if (strcmp(name, "quiet") == 0) {
        call->is_quiet = true;
    } else if (strcmp(name, "verbose") == 0) {
        call->is_verbose = true;
    } else if (strcmp(name, "warnings") == 0) {
        return take_warnings(self, value);
    } else if (strcmp(name, "timeout") == 0) {
        if (!spec_duration_parse(span_of_text(value), &call->timeout_ms) || call->timeout_ms == 0) {
            return refuse(self, "--timeout is a duration like 30s, not %s", value);
        }
        call->has_timeout = true;
    } else if (strcmp(name, "help") == 0) {
        self->options->wants_help = true;
    } else {
        self->options->wants_version = true;
    }
    return true;
}

/* `inline_value`: what stood behind = or the letter; NULL: the next argument is it. */
static bool take_option(struct parser *self, struct span name, const char *inline_value) {
    const struct command *command = self->options->command;
    const struct command_option *own = command == NULL ? NULL : find(command->options, name);
    const struct command_option *option = own != NULL ? own : find(of_all, name);
    if (option == NULL) {
        return refuse_unknown(self, name);
    }
    const char *value = inline_value;
    if (option->value == NULL && value != NULL) {
        return refuse(self, "--%s takes no value", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (self->at == self->n) {
            return refuse(self, "--%s needs a value", option->name);
        }
        value = self->arguments[self->at++];
    }
    if (own != NULL) {
        self->own[self->call->n_options++] = (struct option_value){option->name, value == NULL ? "" : value};
        return true;
    }
    return take_common(self, option->name, value);
}

/* -f FILE, -fFILE; a letter each. */
static bool take_letter(struct parser *self, const char *argument) {
    const char *name = name_of_letter(argument[1]);
    if (name == NULL) {
        return refuse(self, "there is no option %s", argument);
    }
    return take_option(self, span_of_text(name), argument[2] == '\0' ? NULL : argument + 2);
}

static bool take_long(struct parser *self, const char *argument) {
    const char *equals = strchr(argument, '=');
    size_t size = equals == NULL ? strlen(argument) : (size_t) (equals - argument);
    return take_option(self, span_of(argument + 2, size - 2), equals == NULL ? NULL : equals + 1);
}

/* ---- all of them ---- */

static bool parse_all(struct parser *self) {
    bool are_options_over = false;
    while (self->at < self->n) {
        const char *argument = self->arguments[self->at++];
        bool is_option = !are_options_over && argument[0] == '-' && argument[1] != '\0';
        bool is_good = true;
        if (is_option && strcmp(argument, "--") == 0) {
            are_options_over = true;
        } else if (is_option) {
            is_good = argument[1] == '-' ? take_long(self, argument) : take_letter(self, argument);
        } else if (self->options->command == NULL) {
            self->options->command = command_named(argument);
            is_good = self->options->command != NULL || refuse(self, "there is no command %s", argument);
        } else {
            self->rest[self->call->n_arguments++] = argument;
        }
        if (!is_good) {
            return false;
        }
    }
    return true;
}

static bool wants_color(const char *color) {
    if (strcmp(color, "auto") != 0) {
        return strcmp(color, "always") == 0;
    }
    const char *none = getenv("NO_COLOR");
    return isatty(STDOUT_FILENO) == 1 && isatty(STDERR_FILENO) == 1 && (none == NULL || none[0] == '\0');
}

/* The first word of the outputs. */
static const char *default_output(arena_t *arena, const struct command *command) {
    const char *outputs = command == NULL || command->outputs == NULL ? "" : command->outputs;
    return arena_text_of(arena, span_of(outputs, strcspn(outputs, " ")));
}

bool options_parse(int n_arguments, char **arguments, struct command_call *call, struct options *ret_options) {
    size_t n = (size_t) n_arguments;
    arena_t *arena = call->arena;
    struct parser self = {
        .arguments = arguments,
        .n = n,
        .at = n > 0 ? 1 : 0,
        .call = call,
        .options = ret_options,
        .rest = arena_alloc(arena, (n + 1) * sizeof *self.rest),
        .files = arena_alloc(arena, (n + 1) * sizeof *self.files),
        .own = arena_alloc(arena, (n + 1) * sizeof *self.own),
        .color = "auto",
    };
    enum { TIMEOUT_MS = 60000 };
    *ret_options = (struct options){0};
    call->settings.items = arena_alloc(arena, (n + 1) * sizeof *call->settings.items);
    call->timeout_ms = TIMEOUT_MS;
    if (!parse_all(&self)) {
        return false;
    }
    call->arguments = self.rest;
    call->files = self.files;
    call->options = self.own;
    call->has_color = wants_color(self.color);
    if (call->output == NULL) {
        call->output = default_output(arena, ret_options->command);
    }
    return true;
}
