/* See ctl_command.h: a command line judged against the table. getopt_long does the reading, so options and operands mix
 * as they do elsewhere (`--` ends the options, --name=value, prefixes that are clear); what a value may be says the
 * table. Mistakes say what is wrong with which option, and where the help is. */
#include "tools/ctl.h"

#include "base/check.h"

#include <getopt.h>
#include <string.h>

enum { OPTIONS_MAX = 64 };

size_t ctl_n_options(const struct ctl_option *options) {
    size_t n = 0;
    while (options != NULL && options[n].name != NULL) {
        n++;
    }
    return n;
}

size_t ctl_n_operands(const struct ctl_operand *operands) {
    size_t n = 0;
    while (operands != NULL && operands[n].name != NULL) {
        n++;
    }
    return n;
}

/* ---- values ---- */

/* Every choice between blanks is a word: "json text". */
static bool is_choice(const char *choices, const char *text) {
    size_t length = strlen(text);
    for (const char *at = choices; *at != '\0'; at += strcspn(at, " ")) {
        at += strspn(at, " ");
        if (strcspn(at, " ") == length && length > 0 && strncmp(at, text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* False: it was said that it is none. */
static bool is_chosen(const char *command, const char *name, const char *choices, const char *text) {
    struct buffer words = BUFFER_EMPTY;
    bool is_one = is_choice(choices, text);
    if (!is_one) {
        ctl_append_choices(&words, choices);
        ctl_usage_error(command, "%s is %.*s, not '%s'", name, (int) words.size, (const char *) words.data, text);
    }
    buffer_finish(&words);
    return is_one;
}

static bool parse_duration(const char *text, uint64_t *ret_us) {
    static const struct {
        const char *unit;
        uint64_t us;
    } units[] = {{"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000U}, {"d", 86400000000U}};
    size_t digits = strspn(text, "0123456789");
    uint64_t value;
    if (digits > 7 || !span_parse_u64(span_of(text, digits), &value)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(text + digits, units[i].unit) == 0) {
            *ret_us = value * units[i].us;
            return true;
        }
    }
    return false;
}

static bool take_value(const char *command, const struct ctl_option *option, struct ctl_given *given) {
    switch (option->kind) {
    case CTL_FLAG:
    case CTL_FILE:
        return true;
    case CTL_TEXT:
        return option->choices == NULL || is_chosen(command, option->name, option->choices, given->text);
    case CTL_NUMBER:
        if (!ctl_parse_number(given->text, option->minimum, option->maximum, &given->number)) {
            ctl_usage_error(command, "--%s takes a number from %llu to %llu, not '%s'", option->name,
                            (unsigned long long) option->minimum, (unsigned long long) option->maximum, given->text);
            return false;
        }
        return true;
    case CTL_DURATION:
        if (!parse_duration(given->text, &given->number) || given->number < option->minimum ||
            given->number > option->maximum) {
            ctl_usage_error(command, "--%s takes a time such as 20ms, 10s, 5m or 24h, not '%s'", option->name,
                            given->text);
            return false;
        }
        return true;
    }
    return false;
}

/* ---- operands ---- */

static bool judge_operands(const struct ctl_command *command, struct ctl_arguments *self, int argc, char **argv) {
    size_t n_known = ctl_n_operands(command->operands);
    size_t n = (size_t) argc;
    bool is_open = n_known > 0 && command->operands[n_known - 1].many;
    if (n > n_known && !is_open) {
        ctl_usage_error(command->name, n_known == 0 ? "takes options only, not '%s'" : "'%s' is one word too many",
                        argv[n_known]);
        return false;
    }
    if (n < n_known && !command->operands[n].optional) {
        ctl_usage_error(command->name, "%s is missing: %s", command->operands[n].name, command->operands[n].help);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const struct ctl_operand *operand = &command->operands[i < n_known ? i : n_known - 1];
        if (operand->choices != NULL && !is_chosen(command->name, operand->name, operand->choices, argv[i])) {
            return false;
        }
    }
    self->operands = argv;
    self->n_operands = n;
    return true;
}

/* ---- reading ---- */

struct reading {
    const struct ctl_option *own;
    const struct ctl_option *global;
    size_t n_own;
    size_t n_global;
    struct option known[OPTIONS_MAX + 2];
    char letters[2 * OPTIONS_MAX + 4];
};

static const struct ctl_option *option_at(const struct reading *self, size_t place) {
    return place < self->n_own ? &self->own[place] : &self->global[place - self->n_own];
}

/* getopt_long answers a place in the tables, above the characters; the last one is --help. */
enum { FIRST_VALUE = 256 };

static void prepare(struct reading *self, const struct ctl_command *command, const struct ctl_option *global,
                    bool stops_early) {
    char *letter = self->letters;
    self->own = command->options;
    self->global = global;
    self->n_own = ctl_n_options(self->own);
    self->n_global = ctl_n_options(global);
    size_t n = self->n_own + self->n_global;
    n = n > OPTIONS_MAX ? OPTIONS_MAX : n; /* a test counts the tables' */
    memset(self->known, 0, sizeof self->known);
    if (stops_early) {
        *letter++ = '+';
    }
    *letter++ = ':'; /* a missing value is told from an unknown option */
    for (size_t i = 0; i < n; i++) {
        const struct ctl_option *option = option_at(self, i);
        self->known[i] = (struct option){option->name, option->kind == CTL_FLAG ? no_argument : required_argument, NULL,
                                         FIRST_VALUE + (int) i};
        if (option->letter != '\0') {
            *letter++ = option->letter;
            if (option->kind != CTL_FLAG) {
                *letter++ = ':';
            }
        }
    }
    self->known[n] = (struct option){"help", no_argument, NULL, 'h'};
    *letter++ = 'h';
    *letter = '\0';
}

/* The place of what getopt_long answered. */
static int place_of(const struct reading *self, int answered) {
    if (answered >= FIRST_VALUE) {
        return answered - FIRST_VALUE;
    }
    for (size_t i = 0; i < self->n_own + self->n_global; i++) {
        if (option_at(self, i)->letter == answered) {
            return (int) i;
        }
    }
    check(false, "getopt_long knows an option that the table does not");
}

static enum ctl_parsed complain(const struct ctl_command *command, bool is_missing, char **argv) {
    if (is_missing) {
        ctl_usage_error(command->name, "%s needs a value behind it", argv[optind - 1]);
    } else if (optopt >= FIRST_VALUE) {
        ctl_usage_error(command->name, "%s takes no value", argv[optind - 1]);
    } else if (optopt != 0) {
        ctl_usage_error(command->name, "-%c is not known", optopt);
    } else {
        ctl_usage_error(command->name, "%s is not known, or short for several", argv[optind - 1]);
    }
    return CTL_PARSED_WRONG;
}

enum ctl_parsed ctl_parse(const struct ctl_command *command, const struct ctl_option *global,
                          void (*take_global)(void *context, const struct ctl_given *given), void *context, int argc,
                          char **argv, bool stops_early, struct ctl_arguments *ret, int *ret_n_used) {
    struct reading reading;
    prepare(&reading, command, global, stops_early);
    *ret = (struct ctl_arguments){.command = command};
    optind = 0; /* getopt begins anew */
    opterr = 0;
    for (int answered; (answered = getopt_long(argc, argv, reading.letters, reading.known, NULL)) != -1;) {
        if (answered == 'h') {
            return CTL_PARSED_HELP;
        }
        if (answered == ':' || answered == '?') {
            return complain(command, answered == ':', argv);
        }
        int place = place_of(&reading, answered);
        struct ctl_given given = {.option = place, .text = optarg};
        if (!take_value(command->name, option_at(&reading, (size_t) place), &given)) {
            return CTL_PARSED_WRONG;
        }
        if ((size_t) place >= reading.n_own) {
            given.option = place - (int) reading.n_own;
            take_global(context, &given);
            continue;
        }
        if (ret->n_given == CTL_GIVEN_MAX) {
            ctl_usage_error(command->name, "takes at most %d options", CTL_GIVEN_MAX);
            return CTL_PARSED_WRONG;
        }
        ret->given[ret->n_given++] = given;
    }
    *ret_n_used = optind;
    return stops_early || judge_operands(command, ret, argc - optind, argv + optind) ? CTL_PARSED : CTL_PARSED_WRONG;
}

/* ---- asking ---- */

static const struct ctl_given *last_given(const struct ctl_arguments *self, int option) {
    for (size_t i = self->n_given; i > 0; i--) {
        if (self->given[i - 1].option == option) {
            return &self->given[i - 1];
        }
    }
    return NULL;
}

const char *ctl_text(const struct ctl_arguments *self, int option) {
    const struct ctl_given *given = last_given(self, option);
    return given == NULL ? NULL : given->text;
}

uint64_t ctl_number(const struct ctl_arguments *self, int option, uint64_t otherwise) {
    const struct ctl_given *given = last_given(self, option);
    return given == NULL ? otherwise : given->number;
}

bool ctl_has(const struct ctl_arguments *self, int option) {
    return last_given(self, option) != NULL;
}

const char *ctl_next(const struct ctl_arguments *self, int option, size_t *at) {
    while (*at < self->n_given) {
        const struct ctl_given *given = &self->given[(*at)++];
        if (given->option == option) {
            return given->text;
        }
    }
    return NULL;
}

const char *ctl_operand(const struct ctl_arguments *self, size_t at) {
    return at < self->n_operands ? self->operands[at] : NULL;
}
