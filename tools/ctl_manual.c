/* callboardctl manual: the manual pages of callboardctl and its commands (section 1, man's macros), and the same as
 * Markdown, which is docs/callboardctl.md. All from the tables of the commands. */
#include "tools/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { MARKDOWN, FOLDER };

/* ---- man ---- */

/* Text as roff takes it: nothing in it is a request or an escape. */
static void append_roff(struct buffer *out, struct span text) {
    bool begins = true;
    for (size_t i = 0; i < text.size; i++) {
        char character = (char) text.data[i];
        const char *escaped = character == '-'    ? "\\-"
                              : character == '\\' ? "\\e"
                              : character == '\'' ? "\\(aq"
                              : character == '`'  ? "\\(ga"
                              : character == '^'  ? "\\(ha"
                              : character == '~'  ? "\\(ti"
                                                  : NULL;
        buffer_append_text(out, begins && character == '.' ? "\\&" : "");
        if (escaped != NULL) {
            buffer_append_text(out, escaped);
        } else {
            buffer_append_char(out, character);
        }
        begins = character == '\n';
    }
}

static void append_roff_text(struct buffer *out, const char *text) {
    append_roff(out, span_of_text(text));
}

/* An empty line becomes .PP. */
static void append_paragraphs(struct buffer *out, const char *text) {
    for (const char *end; (end = strstr(text, "\n\n")) != NULL; text = end + 2) {
        append_roff(out, span_of(text, (size_t) (end - text)));
        buffer_append_text(out, "\n.PP\n");
    }
    append_roff_text(out, text);
    buffer_append_char(out, '\n');
}

static void append_verbatim(struct buffer *out, struct span text) {
    buffer_append_text(out, ".RS 4\n.nf\n");
    append_roff(out, text);
    buffer_append_text(out, ".fi\n.RE\n");
}

static void append_man_options(struct buffer *out, const struct ctl_option *options) {
    struct buffer text = BUFFER_EMPTY;
    for (const struct ctl_option *each = options; each != NULL && each->name != NULL; each++) {
        if (each->section != NULL) {
            buffer_append_format(out, ".SS %s\n", each->section);
        }
        buffer_append_text(out, ".TP\n");
        if (each->letter != '\0') {
            buffer_append_format(out, "\\fB\\-%c\\fR, ", each->letter);
        }
        buffer_append_text(out, "\\fB\\-\\-");
        append_roff_text(out, each->name);
        buffer_append_text(out, "\\fR");
        if (each->value != NULL) {
            buffer_append_text(out, " \\fI");
            append_roff_text(out, each->value);
            buffer_append_text(out, "\\fR");
        }
        buffer_clear(&text);
        ctl_append_option_text(&text, each);
        buffer_append_char(out, '\n');
        append_roff(out, buffer_span(&text));
        buffer_append_char(out, '\n');
    }
    buffer_finish(&text);
}

/* NULL: the page of callboardctl itself. */
static void append_man_head(struct buffer *out, const struct ctl_command *command, const char *summary) {
    struct buffer name = BUFFER_EMPTY;
    buffer_append_text(&name, "callboardctl");
    if (command != NULL) {
        buffer_append_format(&name, "-%s", command->name);
    }
    buffer_append_text(out, ".TH \"");
    for (size_t i = 0; i < name.size; i++) {
        char character = (char) name.data[i];
        buffer_append_char(out, character >= 'a' && character <= 'z' ? (char) (character - 'a' + 'A') : character);
    }
    buffer_append_text(out, "\" 1 \"\" \"Callboard " CALLBOARD_VERSION "\" \"Callboard\"\n.SH NAME\n");
    append_roff(out, buffer_span(&name));
    buffer_append_text(out, " \\- ");
    append_roff_text(out, summary);
    buffer_append_text(out, "\n.SH SYNOPSIS\n.B callboardctl");
    buffer_finish(&name);
}

static void append_man_page(struct buffer *out, const struct ctl_command *command) {
    struct buffer text = BUFFER_EMPTY;
    append_man_head(out, command, command->summary);
    buffer_append_char(out, ' ');
    append_roff_text(out, command->name);
    buffer_append_char(out, '\n');
    ctl_append_usage(&text, command);
    if (text.size > 0) {
        append_roff(out, span_of(text.data + 1, text.size - 1));
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, ".SH DESCRIPTION\n");
    append_paragraphs(out, command->description);
    buffer_append_text(out, command->operands == NULL ? "" : ".SH OPERANDS\n");
    for (const struct ctl_operand *each = command->operands; each != NULL && each->name != NULL; each++) {
        buffer_append_format(out, ".TP\n\\fI%s\\fR\n", each->name);
        append_roff_text(out, each->help);
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, ".SH OPTIONS\n");
    append_man_options(out, command->options);
    buffer_append_text(out, ".PP\nThe options of every command are in\n.BR callboardctl (1).\n");
    if (command->append_table != NULL) {
        buffer_clear(&text);
        command->append_table(&text);
        buffer_append_text(out, ".SH ");
        append_roff_text(out, command->table);
        buffer_append_char(out, '\n');
        append_verbatim(out, buffer_span(&text));
    }
    if (command->examples != NULL) {
        buffer_append_text(out, ".SH EXAMPLES\n");
        append_verbatim(out, span_of_text(command->examples));
    }
    buffer_append_text(out, ".SH \"EXIT STATUS\"\n");
    append_roff_text(out, ctl_exit_codes);
    buffer_append_text(out, ".\n.SH \"SEE ALSO\"\n.BR callboardctl (1)\n");
    buffer_finish(&text);
}

static void append_man_overview(struct buffer *out) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    append_man_head(out, NULL, "the tool of the Callboard message broker");
    buffer_append_text(out, "\n[\\fIOPTION\\fR]... \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n");
    append_paragraphs(out, ctl_about);
    buffer_append_text(out, ".SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(out, ".TP\n.BR callboardctl\\-");
        append_roff_text(out, commands[i]->name);
        buffer_append_text(out, " (1)\n");
        append_roff_text(out, commands[i]->summary);
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, ".SH OPTIONS\n");
    append_man_options(out, ctl_global_options);
    buffer_append_text(out, ".TP\n\\fB\\-h\\fR, \\fB\\-\\-help\\fR\nof callboardctl, or behind a command of that\n"
                            ".SH \"EXIT STATUS\"\n");
    append_roff_text(out, ctl_exit_codes);
    buffer_append_text(out, ".\n.SH ENVIRONMENT\n.TP\n.B CALLBOARDCTL_ENDPOINT\nthe broker's backend endpoint, where "
                            "\\-\\-endpoint is not given\n.TP\n.B NO_COLOR\nno colours, whatever it is set to\n"
                            ".SH \"SEE ALSO\"\n");
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(out, ".BR callboardctl\\-");
        append_roff_text(out, commands[i]->name);
        buffer_append_text(out, i + 1 < n ? " (1),\n" : " (1)\n");
    }
}

/* ---- Markdown ---- */

/* In a cell of a table a bar would end it. */
static void append_cell(struct buffer *out, struct span text) {
    for (size_t i = 0; i < text.size; i++) {
        buffer_append_text(out, text.data[i] == '|' ? "\\" : "");
        buffer_append_char(out, (char) text.data[i]);
    }
}

static void append_markdown_options(struct buffer *out, const struct ctl_option *options) {
    struct buffer text = BUFFER_EMPTY;
    bool is_open = false;
    for (const struct ctl_option *each = options; each != NULL && each->name != NULL; each++) {
        if (each->section != NULL) {
            buffer_append_format(out, "\n%s:\n", each->section);
            is_open = false;
        }
        buffer_append_text(out, is_open ? "" : "\n| option | |\n| --- | --- |\n");
        is_open = true;
        buffer_append_text(out, "| `");
        if (each->letter != '\0') {
            buffer_append_format(out, "-%c`, `", each->letter);
        }
        buffer_append_format(out, "--%s%s%s` | ", each->name, each->value == NULL ? "" : " ",
                             each->value == NULL ? "" : each->value);
        buffer_clear(&text);
        ctl_append_option_text(&text, each);
        append_cell(out, buffer_span(&text));
        buffer_append_text(out, " |\n");
    }
    buffer_finish(&text);
}

static void append_markdown_command(struct buffer *out, const struct ctl_command *command) {
    buffer_append_format(out, "\n## %s\n\n`callboardctl %s", command->name, command->name);
    ctl_append_usage(out, command);
    buffer_append_format(out, "`\n\n%s\n", command->description);
    buffer_append_text(out, command->operands == NULL ? "" : "\n| operand | |\n| --- | --- |\n");
    for (const struct ctl_operand *each = command->operands; each != NULL && each->name != NULL; each++) {
        buffer_append_format(out, "| `%s` | ", each->name);
        append_cell(out, span_of_text(each->help));
        buffer_append_text(out, " |\n");
    }
    append_markdown_options(out, command->options);
    if (command->append_table != NULL) {
        buffer_append_format(out, "\n%s:\n\n```\n", command->table);
        command->append_table(out);
        buffer_append_text(out, "```\n");
    }
    if (command->examples != NULL) {
        buffer_append_format(out, "\n```sh\n%s```\n", command->examples);
    }
}

static void append_markdown(struct buffer *out) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    buffer_append_format(
        out,
        "# callboardctl\n\n<!-- printed by callboardctl manual --markdown; do not edit here -->\n\n%s\n\n"
        "`callboardctl [OPTION]... COMMAND [ARGUMENT]...`\n\n| command | |\n| --- | --- |\n",
        ctl_about);
    for (size_t i = 0; i < n; i++) {
        buffer_append_format(out, "| [%s](#%s) | %s |\n", commands[i]->name, commands[i]->name, commands[i]->summary);
    }
    append_markdown_options(out, ctl_global_options);
    buffer_append_format(out,
                         "| `-h`, `--help` | of callboardctl, or behind a command of that |\n\nExit codes: %s.\n\n"
                         "The same is in the manual pages that are installed, `man callboardctl`, and bash completes "
                         "commands and options.\n",
                         ctl_exit_codes);
    for (size_t i = 0; i < n; i++) {
        append_markdown_command(out, commands[i]);
    }
}

/* ---- the command ---- */

static bool write_page(const char *folder, const char *command, const struct buffer *page) {
    char path[4096];
    snprintf(path, sizeof path, "%s/callboardctl%s%s.1", folder, command[0] == '\0' ? "" : "-", command);
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL && fwrite(page->data, 1, page->size, file) == page->size;
    is_written = (file == NULL || fclose(file) == 0) && is_written;
    if (!is_written) {
        fprintf(stderr, "callboardctl manual: %s cannot be written: %s\n", path, strerror(errno));
    }
    return is_written;
}

static int write_folder(const char *folder) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    struct buffer page = BUFFER_EMPTY;
    append_man_overview(&page);
    bool is_written = write_page(folder, "", &page);
    for (size_t i = 0; i < n && is_written; i++) {
        buffer_clear(&page);
        append_man_page(&page, commands[i]);
        is_written = write_page(folder, commands[i]->name, &page);
    }
    buffer_finish(&page);
    return is_written ? CTL_DONE : CTL_REFUSED;
}

static const struct ctl_command *find(const char *name) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    const char *name = ctl_operand(arguments, 0);
    const char *folder = ctl_text(arguments, FOLDER);
    bool as_markdown = ctl_has(arguments, MARKDOWN);
    const struct ctl_command *command = name == NULL ? NULL : find(name);
    (void) options;
    if (name != NULL && command == NULL) {
        return ctl_usage_error("manual", "there is no command '%s'", name);
    }
    if (folder != NULL) {
        return name == NULL && !as_markdown ? write_folder(folder)
                                            : ctl_usage_error("manual", "--folder takes all pages, as man reads them");
    }
    struct buffer page = BUFFER_EMPTY;
    if (as_markdown && command == NULL) {
        append_markdown(&page);
    } else if (as_markdown) {
        append_markdown_command(&page, command);
    } else if (command == NULL) {
        append_man_overview(&page);
    } else {
        append_man_page(&page, command);
    }
    fwrite(page.data, 1, page.size, stdout);
    buffer_finish(&page);
    return CTL_DONE;
}

static const struct ctl_option known[] = {
    [MARKDOWN] = {.name = "markdown", .kind = CTL_FLAG, .help = "as Markdown; without a command of all"},
    [FOLDER] = {.name = "folder", .kind = CTL_FILE, .value = "FOLDER", .help = "write all pages into this folder"},
    {.name = NULL},
};

const struct ctl_command ctl_manual_command = {
    .name = "manual",
    .summary = "print the manual page of a command, or of callboardctl",
    .description = "Prints it as man reads it. It is made from the same tables that the command line is read with.",
    .operands =
        (const struct ctl_operand[]){{.name = "COMMAND", .optional = true, .help = "whose page"}, {.name = NULL}},
    .options = known,
    .examples = "callboardctl manual pub | man -l -\n",
    .run = run,
};
