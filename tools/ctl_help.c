/* See ctl_command.h: what --help prints, and the words that the manual has too. */
#include "tools/ctl.h"

#include <string.h>

enum { WIDTH = 100, INDENT = 28, LONG_USAGE = 9 };

const char ctl_exit_codes[] = "0 done; 1 the broker said no (doctor: something is wrong); 2 wrong usage; 3 no answer";

const char ctl_about[] =
    "Asks a Callboard broker over its backend API, examines and loads running set-ups, makes keys and tokens. Options "
    "of "
    "every command may stand before its name or behind it. Results go to standard output, as a person likes to read "
    "them or with -o json as JSON, a line each; all else goes to standard error. Colours are used on a terminal only, "
    "and not where NO_COLOR is set.";

/* ---- words ---- */

void ctl_append_choices(struct buffer *out, const char *choices) {
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, " ");
        const char *next = at + length + strspn(at + length, " ");
        buffer_append(out, at, length);
        if (*next != '\0') {
            buffer_append_text(out, strchr(next, ' ') == NULL ? " or " : ", ");
        }
        at = next;
    }
}

static void append_us(struct buffer *out, uint64_t us) {
    static const struct {
        uint64_t us;
        const char *unit;
    } units[] = {{86400000000U, "d"}, {3600000000U, "h"}, {60000000, "m"}, {1000000, "s"}, {1000, "ms"}, {1, "us"}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (us % units[i].us == 0 && (us > 0 || strcmp(units[i].unit, "s") == 0)) {
            buffer_append_format(out, "%llu%s", (unsigned long long) (us / units[i].us), units[i].unit);
            return;
        }
    }
}

static void append_range(struct buffer *out, const struct ctl_option *option) {
    if (option->kind == CTL_NUMBER && option->maximum == UINT64_MAX) {
        buffer_append_format(out, "; from %llu up", (unsigned long long) option->minimum);
    } else if (option->kind == CTL_NUMBER) {
        buffer_append_format(out, "; from %llu to %llu", (unsigned long long) option->minimum,
                             (unsigned long long) option->maximum);
    } else if (option->kind == CTL_DURATION) {
        buffer_append_text(out, "; from ");
        append_us(out, option->minimum);
        buffer_append_text(out, " to ");
        append_us(out, option->maximum);
    } else if (option->choices != NULL) {
        buffer_append_text(out, "; ");
        ctl_append_choices(out, option->choices);
    }
}

void ctl_append_option_text(struct buffer *out, const struct ctl_option *option) {
    buffer_append_text(out, option->help);
    append_range(out, option);
    if (option->initial != NULL) {
        buffer_append_format(out, "; default: %s", option->initial);
    }
    if (option->many) {
        buffer_append_text(out, "; may be given more than once");
    }
}

void ctl_append_usage(struct buffer *out, const struct ctl_command *command) {
    size_t n_options = ctl_n_options(command->options);
    for (const struct ctl_operand *each = command->operands; each != NULL && each->name != NULL; each++) {
        buffer_append_format(out, each->optional ? " [%s]%s" : " %s%s", each->name, each->many ? "..." : "");
    }
    if (n_options >= LONG_USAGE) {
        buffer_append_text(out, " [OPTION]...");
        return;
    }
    for (size_t i = 0; i < n_options; i++) {
        const struct ctl_option *option = &command->options[i];
        buffer_append_format(out, " [--%s%s%s]%s", option->name, option->value == NULL ? "" : " ",
                             option->value == NULL ? "" : option->value, option->many ? "..." : "");
    }
}

/* ---- lines ---- */

/* Breaks at blanks; lines but the first begin `indent` blanks in. `column`: where the first one stands. */
static void append_wrapped(struct buffer *out, const char *text, size_t column, size_t indent) {
    while (*text != '\0') {
        size_t length = strcspn(text, " \n");
        if (column + 1 + length > WIDTH && column > indent) {
            buffer_append_format(out, "\n%*s", (int) indent, "");
            column = indent;
        } else if (column > indent) {
            buffer_append_char(out, ' ');
            column++;
        }
        buffer_append(out, text, length);
        column += length;
        text += length;
        if (*text == '\n') {
            buffer_append_format(out, "\n%*s", *(text + 1) == '\n' ? 0 : (int) indent, "");
            column = indent;
        }
        text += *text != '\0';
    }
    buffer_append_char(out, '\n');
}

/* "  left      text" */
static void append_row(struct buffer *out, const char *left, size_t left_size, const char *text) {
    buffer_append_format(out, "  %-*s", INDENT - 2, left);
    if (left_size + 3 > INDENT) {
        buffer_append_format(out, "\n%*s", INDENT, "");
    }
    append_wrapped(out, text, INDENT, INDENT);
}

static void append_options(struct buffer *out, const struct ctl_option *options) {
    struct buffer left = BUFFER_EMPTY;
    struct buffer text = BUFFER_EMPTY;
    for (const struct ctl_option *each = options; each != NULL && each->name != NULL; each++) {
        if (each->section != NULL) {
            buffer_append_format(out, "\n%s\n", each->section);
        }
        buffer_clear(&left);
        buffer_clear(&text);
        if (each->letter != '\0') {
            buffer_append_format(&left, "-%c, ", each->letter);
        }
        buffer_append_format(&left, "--%s%s%s", each->name, each->value == NULL ? "" : " ",
                             each->value == NULL ? "" : each->value);
        size_t size = left.size;
        buffer_append_char(&left, '\0');
        ctl_append_option_text(&text, each);
        buffer_append_char(&text, '\0');
        append_row(out, (const char *) left.data, size, (const char *) text.data);
    }
    buffer_finish(&left);
    buffer_finish(&text);
}

static void append_indented(struct buffer *out, struct span text) {
    bool begins = true;
    for (size_t i = 0; i < text.size; i++) {
        buffer_append_text(out, begins ? "  " : "");
        buffer_append_char(out, (char) text.data[i]);
        begins = text.data[i] == '\n';
    }
}

/* ---- pages ---- */

static void append_overview(struct buffer *out) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    buffer_append_text(out, "Usage: callboardctl [OPTION]... COMMAND [ARGUMENT]...\n\n");
    append_wrapped(out, ctl_about, 0, 0);
    buffer_append_text(out, "\nCommands\n");
    for (size_t i = 0; i < n; i++) {
        append_row(out, commands[i]->name, strlen(commands[i]->name), commands[i]->summary);
    }
    buffer_append_text(out, "\nOptions of every command\n");
    append_options(out, ctl_global_options);
    append_row(out, "-h, --help", 10, "of callboardctl, or behind a command of that");
    buffer_append_format(out, "\nExit codes: %s\n", ctl_exit_codes);
}

void ctl_append_help(struct buffer *out, const struct ctl_command *command) {
    if (command == NULL) {
        append_overview(out);
        return;
    }
    buffer_append_format(out, "Usage: callboardctl %s", command->name);
    struct buffer usage = BUFFER_EMPTY;
    ctl_append_usage(&usage, command);
    buffer_append_char(&usage, '\0');
    append_wrapped(out, (const char *) usage.data + (usage.size > 1), strlen(command->name) + 20, 8);
    buffer_finish(&usage);
    buffer_append_char(out, '\n');
    append_wrapped(out, command->description, 0, 0);
    if (command->operands != NULL) {
        buffer_append_char(out, '\n');
    }
    for (const struct ctl_operand *each = command->operands; each != NULL && each->name != NULL; each++) {
        append_row(out, each->name, strlen(each->name), each->help);
    }
    if (command->options != NULL) {
        buffer_append_text(out, command->options[0].section == NULL ? "\nOptions\n" : "");
        append_options(out, command->options);
    }
    buffer_append_text(out, "\nOptions of every command: callboardctl --help\n");
    if (command->append_table != NULL) {
        struct buffer table = BUFFER_EMPTY;
        command->append_table(&table);
        buffer_append_format(out, "\n%s\n", command->table);
        append_indented(out, buffer_span(&table));
        buffer_finish(&table);
    }
    if (command->examples != NULL) {
        buffer_append_text(out, "\nExamples\n");
        append_indented(out, span_of_text(command->examples));
    }
}
