/* The command line of our programs: options, shortcuts for settings, and what --help prints. */
#include "base/program_parts.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

size_t program_count_texts(char *const *texts) {
    size_t n = 0;
    while (texts[n] != NULL) {
        n++;
    }
    return n;
}

void program_free_texts(char **texts) {
    for (size_t i = 0; texts != NULL && texts[i] != NULL; i++) {
        explicit_bzero(texts[i], strlen(texts[i])); /* some are secrets */
        memory_free(texts[i]);
    }
    memory_free(texts);
}

static void add_setting(struct program_arguments *self, const char *setting) {
    size_t n = program_count_texts((char *const *) (uintptr_t) self->settings);
    self->settings[n] = setting;
}

static void add_shortcut(struct program_arguments *self, const char *key, const char *value) {
    size_t size = strlen(key) + 1 + strlen(value) + 1;
    char *setting = memory_alloc(size);
    snprintf(setting, size, "%s=%s", key, value);
    self->owned_settings[program_count_texts(self->owned_settings)] = setting;
    add_setting(self, setting);
}

static const struct program_shortcut *find_shortcut(const struct program_arguments *self, const char *option,
                                                    size_t size) {
    for (size_t i = 0; i < self->description->n_shortcuts; i++) {
        const struct program_shortcut *shortcut = &self->description->shortcuts[i];
        if (strlen(shortcut->option) == size && memcmp(shortcut->option, option, size) == 0) {
            return shortcut;
        }
    }
    return NULL;
}

static bool find_action(const char *option, enum program_action *ret_action) {
    static const struct {
        const char *option;
        enum program_action action;
    } actions[] = {{"--check", PROGRAM_ACTION_CHECK},
                   {"--help", PROGRAM_ACTION_HELP},
                   {"-h", PROGRAM_ACTION_HELP},
                   {"--version", PROGRAM_ACTION_VERSION},
                   {"--config-markdown", PROGRAM_ACTION_MARKDOWN}};
    for (size_t i = 0; i < sizeof actions / sizeof *actions; i++) {
        if (strcmp(actions[i].option, option) == 0) {
            *ret_action = actions[i].action;
            return true;
        }
    }
    return false;
}

static bool usage_error(const struct program_arguments *self, const char *what, const char *argument) {
    fprintf(stderr, "%s: %s: %s; see %s --help\n", self->description->name, argument, what, self->description->name);
    return false;
}

/* An option with a value, as --option VALUE or --option=VALUE. */
static bool take_option(struct program_arguments *self, const char *option, size_t size, const char *value) {
    const struct program_shortcut *shortcut = find_shortcut(self, option, size);
    if (shortcut != NULL) {
        add_shortcut(self, shortcut->key, value);
    } else if (size == 8 && memcmp(option, "--config", size) == 0) {
        self->config_path = value;
    } else if (strchr(value, '=') == NULL) {
        return usage_error(self, "--set wants KEY=VALUE", value);
    } else {
        add_setting(self, value);
    }
    return true;
}

static bool takes_value(const struct program_arguments *self, const char *option, size_t size) {
    return (size == 8 && memcmp(option, "--config", size) == 0) || (size == 5 && memcmp(option, "--set", size) == 0) ||
           find_shortcut(self, option, size) != NULL;
}

static bool read_options(struct program_arguments *self, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        size_t size = strcspn(option, "=");
        if (find_action(option, &self->action)) {
            continue;
        }
        if (strcmp(option, "--watch") == 0) {
            self->watches = true;
            continue;
        }
        if (option[0] != '-') {
            return usage_error(self, "an argument that is not an option", option);
        }
        if (!takes_value(self, option, size)) {
            return usage_error(self, "unknown option", option);
        }
        bool is_joined = option[size] == '=';
        if (!is_joined && i + 1 == argc) {
            return usage_error(self, "the option needs a value", option);
        }
        if (!take_option(self, option, size, is_joined ? option + size + 1 : argv[++i])) {
            return false;
        }
    }
    return true;
}

bool program_read_arguments(struct program_arguments *self, int argc, char **argv) {
    const char *const *fixed = self->description->fixed_settings;
    size_t n_fixed = fixed == NULL ? 0 : program_count_texts((char *const *) (uintptr_t) fixed);
    self->settings = memory_alloc_array((size_t) argc + n_fixed + 1, sizeof *self->settings);
    self->owned_settings = memory_alloc_array((size_t) argc + 1, sizeof *self->owned_settings);
    if (!read_options(self, argc, argv)) {
        return false;
    }
    for (size_t i = 0; i < n_fixed; i++) {
        add_setting(self, fixed[i]);
    }
    return true;
}

static void print_buffer(struct buffer *text) {
    fwrite(text->data, 1, text->size, stdout);
    buffer_finish(text);
}

void program_print_help(const struct program_arguments *self) {
    const struct program_description *description = self->description;
    printf("%s %s: %s\n\nUsage: %s [OPTION]…\n\n", description->name, CALLBOARD_VERSION, description->summary,
           description->name);
    printf("  --config FILE        settings in YAML; also CALLBOARD_CONFIG; without it the defaults, which deny all\n"
           "  --set KEY=VALUE      one setting, over the file and the environment; may be repeated\n");
    for (size_t i = 0; i < description->n_shortcuts; i++) {
        const struct program_shortcut *shortcut = &description->shortcuts[i];
        printf("  %s %-*s %s\n", shortcut->option, 18 - (int) strlen(shortcut->option), shortcut->argument,
               shortcut->help);
    }
    printf("  --watch              read the settings again whenever the file is another one, as SIGHUP does\n"
           "  --check              read and judge the settings, say what is wrong, and end\n"
           "  --config-markdown    print the reference of all settings as Markdown\n"
           "  --version            print the version\n"
           "  --help               print this\n\n"
           "SIGTERM drains and ends, a second one ends at once; SIGHUP reads the settings again.\n"
           "Exit codes: 0 ended as asked, 1 could not start or did not end cleanly, 2 wrong command line, 3 wrong "
           "settings.\n\nSettings (KEY in the file and for --set; CALLBOARD_KEY with _ for . in the environment):\n\n");
    struct buffer text = BUFFER_EMPTY;
    config_print_help(description->tables, description->n_tables, &text);
    print_buffer(&text);
}

void program_print_markdown(const struct program_arguments *self) {
    struct buffer text = BUFFER_EMPTY;
    config_print_markdown(self->description->tables, self->description->n_tables, &text);
    print_buffer(&text);
}

void program_finish_arguments(struct program_arguments *self) {
    program_free_texts(self->owned_settings);
    memory_free(self->settings);
}
