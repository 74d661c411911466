/* The command line against a table: what is taken, what is refused and in which words. */
#include "tools/ctl_arguments.c"
#include "tools/ctl_help.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- what callboardctl.c and ctl_requests.c have ---- */

static char said[512];

int ctl_usage_error(const char *command, const char *format, ...) {
    va_list values;
    (void) command;
    va_start(values, format);
    vsnprintf(said, sizeof said, format, values);
    va_end(values);
    return CTL_USAGE;
}

bool ctl_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_value) {
    return span_parse_u64(span_of_text(text), ret_value) && *ret_value >= minimum && *ret_value <= maximum;
}

const struct ctl_option ctl_global_options[] = {
    {.name = "timeout", .kind = CTL_NUMBER, .value = "MS", .minimum = 1, .maximum = 9, .help = "t"},
    {.name = "output", .letter = 'o', .kind = CTL_TEXT, .value = "FORMAT", .choices = "json text", .help = "o"},
    {.name = NULL},
};

const struct ctl_command *const *ctl_commands(size_t *ret_n) {
    *ret_n = 0;
    return NULL;
}

/* ---- the table ---- */

enum { COUNT, FOR, KEEP, ALL, HOW };
static const struct ctl_option options[] = {
    [COUNT] = {.name = "count", .kind = CTL_NUMBER, .value = "N", .minimum = 2, .maximum = 20, .help = "count"},
    [FOR] = {.name = "for", .kind = CTL_DURATION, .value = "TIME", .minimum = 1000, .maximum = 60000000, .help = "for"},
    [KEEP] = {.name = "keep", .kind = CTL_TEXT, .value = "ID", .many = true, .help = "keep"},
    [ALL] = {.name = "all", .letter = 'a', .kind = CTL_FLAG, .help = "all"},
    [HOW] = {.name = "how", .kind = CTL_TEXT, .value = "HOW", .choices = "one two three", .help = "how"},
    {.name = NULL},
};
static const struct ctl_operand operands[] = {
    {.name = "ACTION", .choices = "get set", .help = "which"},
    {.name = "KEY", .optional = true, .many = true, .help = "of what"},
    {.name = NULL},
};
static const struct ctl_command command = {.name = "kv", .operands = operands, .options = options};

static struct ctl_arguments arguments;
static int n_used;
static const char *format;

static void take(void *context, const struct ctl_given *given) {
    assert_ptr_equal(context, said);
    format = given->option == 1 ? given->text : format;
}

static enum ctl_parsed parse(const struct ctl_command *of, bool stops_early, char *line) {
    static char *argv[32]; /* what was parsed leads into it */
    int argc = 0;
    said[0] = '\0';
    format = NULL;
    for (char *word = strtok(line, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return ctl_parse(of, ctl_global_options, take, said, argc, argv, stops_early, &arguments, &n_used);
}

static void options_and_operands_mix(void **state) {
    (void) state;
    char line[] = "kv --count 7 get --for=20ms first -a -o json --keep x second --keep y -- --third";
    assert_int_equal(parse(&command, false, line), CTL_PARSED);
    assert_int_equal(ctl_number(&arguments, COUNT, 1), 7);
    assert_int_equal(ctl_number(&arguments, FOR, 1), 20000);
    assert_true(ctl_has(&arguments, ALL));
    assert_null(ctl_text(&arguments, HOW));
    assert_string_equal(format, "json");
    size_t at = 0;
    assert_string_equal(ctl_next(&arguments, KEEP, &at), "x");
    assert_string_equal(ctl_next(&arguments, KEEP, &at), "y");
    assert_null(ctl_next(&arguments, KEEP, &at));
    assert_string_equal(ctl_operand(&arguments, 0), "get");
    assert_string_equal(ctl_operand(&arguments, 3), "--third");
    assert_null(ctl_operand(&arguments, 4));
}

static void the_last_of_an_option_counts(void **state) {
    (void) state;
    char line[] = "kv set --count 2 --count 20 --how one --how three";
    assert_int_equal(parse(&command, false, line), CTL_PARSED);
    assert_int_equal(ctl_number(&arguments, COUNT, 1), 20);
    assert_string_equal(ctl_text(&arguments, HOW), "three");
    assert_int_equal(ctl_number(&arguments, FOR, 99), 99);
}

static void what_is_wrong_is_said(void **state) {
    (void) state;
    static const struct {
        const char *line;
        const char *says;
    } cases[] = {
        {"kv", "ACTION is missing: which"},
        {"kv put", "ACTION is get or set, not 'put'"},
        {"kv get --count 1", "--count takes a number from 2 to 20, not '1'"},
        {"kv get --count 21", "--count takes a number from 2 to 20, not '21'"},
        {"kv get --count 7x", "--count takes a number from 2 to 20, not '7x'"},
        {"kv get --count", "--count needs a value behind it"},
        {"kv get --for 2", "--for takes a time such as 20ms, 10s, 5m or 24h, not '2'"},
        {"kv get --for 2m", "--for takes a time"},
        {"kv get --for 999us", "--for takes a time"},
        {"kv get --for 99999999999999999999s", "--for takes a time"},
        {"kv get --for s", "--for takes a time"},
        {"kv get --how four", "how is one, two or three, not 'four'"},
        {"kv get --how tw", "how is one, two or three, not 'tw'"},
        {"kv get -o xml", "output is json or text, not 'xml'"},
        {"kv get --all=yes", "--all=yes takes no value"},
        {"kv get --nonsense", "--nonsense is not known"},
        {"kv get -x", "-x is not known"},
        {"kv get -o", "-o needs a value behind it"},
        {"kv get --timeout 10", "--timeout takes a number from 1 to 9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[128];
        snprintf(line, sizeof line, "%s", cases[i].line);
        assert_int_equal(parse(&command, false, line), CTL_PARSED_WRONG);
        if (strstr(said, cases[i].says) == NULL) {
            fail_msg("%s: said '%s', not '%s'", cases[i].line, said, cases[i].says);
        }
    }
    static const struct ctl_command bare = {.name = "info"};
    char line[] = "info more";
    assert_int_equal(parse(&bare, false, line), CTL_PARSED_WRONG);
    assert_string_equal(said, "takes options only, not 'more'");
}

static void help_ends_the_reading(void **state) {
    (void) state;
    char line[] = "kv --help --nonsense";
    assert_int_equal(parse(&command, false, line), CTL_PARSED_HELP);
    assert_string_equal(said, "");
}

static void the_commands_name_ends_the_options_before_it(void **state) {
    (void) state;
    static const struct ctl_command none = {.name = ""};
    char line[] = "callboardctl -o json kv --count 7";
    assert_int_equal(parse(&none, true, line), CTL_PARSED);
    assert_int_equal(n_used, 3);
    assert_string_equal(format, "json");
}

static void the_number_of_options_is_bounded(void **state) {
    (void) state;
    static char name[] = "kv";
    static char get[] = "get";
    static char keep[] = "--keep=x";
    for (int n = CTL_GIVEN_MAX; n <= CTL_GIVEN_MAX + 1; n++) {
        char *argv[2 + CTL_GIVEN_MAX + 2] = {name, get}; /* getopt moves them */
        for (int i = 2; i < 2 + n; i++) {
            argv[i] = keep;
        }
        assert_int_equal(ctl_parse(&command, ctl_global_options, take, said, 2 + n, argv, false, &arguments, &n_used),
                         n == CTL_GIVEN_MAX ? CTL_PARSED : CTL_PARSED_WRONG);
    }
    assert_string_equal(said, "takes at most 256 options");
}

static void the_help_says_what_the_table_says(void **state) {
    (void) state;
    struct buffer text = BUFFER_EMPTY;
    static const struct ctl_command whole = {
        .name = "kv", .summary = "s", .description = "d", .operands = operands, .options = options, .examples = "e\n"};
    ctl_append_help(&text, &whole);
    buffer_append_char(&text, '\0');
    assert_string_equal(
        (const char *) text.data,
        "Usage: callboardctl kv ACTION [KEY]... [--count N] [--for TIME] [--keep ID]... [--all] [--how HOW]\n\nd\n\n"
        "  ACTION                    which\n"
        "  KEY                       of what\n"
        "\nOptions\n"
        "  --count N                 count; from 2 to 20\n"
        "  --for TIME                for; from 1ms to 1m\n"
        "  --keep ID                 keep; may be given more than once\n"
        "  -a, --all                 all\n"
        "  --how HOW                 how; one, two or three\n"
        "\nOptions of every command: callboardctl --help\n\nExamples\n  e\n");
    buffer_finish(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_operands_mix),
        cmocka_unit_test(the_last_of_an_option_counts),
        cmocka_unit_test(what_is_wrong_is_said),
        cmocka_unit_test(help_ends_the_reading),
        cmocka_unit_test(the_commands_name_ends_the_options_before_it),
        cmocka_unit_test(the_number_of_options_is_bounded),
        cmocka_unit_test(the_help_says_what_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
