/* The log: one valid JSON line an event, whatever the fields hold; a rate; and never a wait. */
#include "aborts.h"
#include "base/clock.h"
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Lines as they came, and the clocks of the test. */
static struct buffer lines = {NULL, 0, 0, 0, false};
static uint64_t now_us = 5000000;

static uint64_t read_now_us(void) {
    return now_us;
}

static int64_t read_wall_ms(void) {
    return 1767225600007; /* 2026-01-01T00:00:00.007Z */
}

static void keep_line(void *context, struct span line) {
    assert_ptr_equal(context, &lines);
    buffer_append_span(&lines, line);
}

static int begin(void **state) {
    (void) state;
    buffer_clear(&lines);
    now_us += 10000000; /* no window of an earlier test is still open */
    clock_replace(read_now_us, read_wall_ms);
    log_set_sink(keep_line, &lines);
    log_set_level(LOG_LEVEL_INFO);
    log_set_rate(0);
    log_report_suppressed();
    buffer_clear(&lines);
    return 0;
}

static int end(void **state) {
    (void) state;
    log_set_sink(NULL, NULL);
    clock_replace(NULL, NULL);
    buffer_finish(&lines);
    return 0;
}

static unsigned n_lines(void) {
    unsigned n = 0;
    for (size_t i = 0; i < lines.size; i++) {
        n += lines.data[i] == '\n';
    }
    return n;
}

/* The one line there is, parsed; the caller deletes it. */
static cJSON *only_line(void) {
    assert_int_equal(n_lines(), 1);
    assert_int_equal(lines.data[lines.size - 1], '\n');
    assert_true(lines.size <= PIPE_BUF);
    const char *parse_end = NULL;
    cJSON *line = cJSON_ParseWithLengthOpts((const char *) lines.data, lines.size, &parse_end, false);
    assert_non_null(line);
    assert_ptr_equal(parse_end, lines.data + lines.size - 1);
    return line;
}

static const char *text_of(const cJSON *line, const char *name) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(line, name);
    assert_non_null(value);
    assert_non_null(value->valuestring);
    return value->valuestring;
}

static void a_line_is_time_level_event_and_the_fields(void **state) {
    (void) state;
    log_warning("broker_started", log_text("broker", "b-1"), log_u64("big", UINT64_MAX), log_i64("small", INT64_MIN),
                log_bool("ready", true), log_bool("late", false), log_span("span", SPAN_LITERAL("s")),
                log_text("missing", NULL));
    buffer_append_char(&lines, '\0');
    assert_string_equal((const char *) lines.data,
                        "{\"time\":\"2026-01-01T00:00:00.007Z\",\"level\":\"warning\",\"event\":\"broker_started\","
                        "\"broker\":\"b-1\",\"big\":18446744073709551615,\"small\":-9223372036854775808,"
                        "\"ready\":true,\"late\":false,\"span\":\"s\",\"missing\":null}\n");
}

static void an_event_may_have_no_fields(void **state) {
    (void) state;
    log_error("stopped", log_nothing);
    cJSON *line = only_line();
    assert_int_equal(cJSON_GetArraySize(line), 3);
    assert_string_equal(text_of(line, "level"), "error");
    cJSON_Delete(line);
}

static void lines_below_the_level_are_not_written(void **state) {
    (void) state;
    log_debug("seen", log_nothing);
    assert_int_equal(n_lines(), 0);
    log_set_level(LOG_LEVEL_ERROR);
    log_info("seen", log_nothing);
    log_warning("seen", log_nothing);
    assert_int_equal(n_lines(), 0);
    log_error("seen", log_nothing);
    assert_int_equal(n_lines(), 1);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("seen", log_nothing);
    assert_int_equal(n_lines(), 2);
}

static void levels_have_names(void **state) {
    (void) state;
    enum log_level level = LOG_LEVEL_ERROR;
    assert_true(log_level_parse(SPAN_LITERAL("debug"), &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_true(log_level_parse(SPAN_LITERAL("info"), &level));
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_true(log_level_parse(SPAN_LITERAL("warning"), &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_true(log_level_parse(SPAN_LITERAL("error"), &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_false(log_level_parse(SPAN_LITERAL("warn"), &level));
    assert_false(log_level_parse(SPAN_LITERAL(""), &level));
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void foreign_text_cannot_end_the_line_or_steer_a_terminal(void **state) {
    (void) state;
    log_info("refused", log_span("origin", SPAN_LITERAL("a\r\n{\"event\":\"forged\"}\x1b[2J\x7f%n\\\0z"
                                                        "\xc2\x9b"
                                                        "31m\xe2\x80\xa8\xe2\x80\xae\xef\xbb\xbf")));
    for (size_t i = 0; i + 1 < lines.size; i++) {
        assert_in_range(lines.data[i], 0x20, 0x7e);
    }
    buffer_append_char(&lines, '\0');
    assert_non_null(strstr((const char *) lines.data,
                           "\"origin\":\"a\\u000d\\u000a{\\\"event\\\":\\\"forged\\\"}\\u001b[2J\\u007f%n"
                           "\\\\\\u0000z\\u009b31m\\u2028\\u202e\\ufeff\"}"));
}

static void plain_text_of_any_language_stays_readable(void **state) {
    (void) state;
    log_info("named", log_text("user", "Zo\xc3\xab \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80"));
    cJSON *line = only_line();
    assert_string_equal(text_of(line, "user"), "Zo\xc3\xab \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80");
    cJSON_Delete(line);
}

static void bytes_that_are_not_utf8_are_shown_in_hexadecimal(void **state) {
    (void) state;
    static const struct {
        const char *bytes;
        const char *shown;
    } rows[] = {
        {"\xff", "\\xff"},
        {"a\x80z", "a\\x80z"},
        {"\xc3", "\\xc3"},
        {"\xc3(", "\\xc3("},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong / */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},          /* overlong / */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* a surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\xf0\x9f\x98", "\\xf0\\x9f\\x98"},          /* cut */
        {"\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buffer_clear(&lines);
        log_info("bytes", log_text("value", rows[i].bytes));
        cJSON *line = only_line();
        assert_string_equal(text_of(line, "value"), rows[i].shown);
        cJSON_Delete(line);
    }
}

static void foreign_text_is_cut_at_256_bytes_between_characters(void **state) {
    (void) state;
    char text[400];
    memset(text, 'x', sizeof text);
    text[399] = '\0';
    log_info("long", log_text("value", text));
    cJSON *line = only_line();
    assert_int_equal(strlen(text_of(line, "value")), 256);
    cJSON_Delete(line);

    buffer_clear(&lines);
    memcpy(text + 255, "\xc3\xab", 2); /* the 256th byte is the first of two */
    log_info("long", log_text("value", text));
    line = only_line();
    assert_int_equal(strlen(text_of(line, "value")), 255);
    cJSON_Delete(line);
}

static void a_line_is_never_longer_than_a_pipe_takes_at_once(void **state) {
    (void) state;
    char text[257];
    memset(text, 1, 256); /* each byte becomes six */
    text[256] = '\0';
    log_info("large", log_text("a", text), log_text("b", text), log_text("c", text), log_u64("d", 4));
    cJSON *line = only_line();
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(line, "d")->valueint, 4); /* the smaller one still fits */
    assert_null(cJSON_GetObjectItemCaseSensitive(line, "c"));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "cut")));
    cJSON_Delete(line);
}

static void contexts_are_on_every_line_until_they_are_removed(void **state) {
    (void) state;
    log_set_context("program", "broker");
    log_set_context("id", "b-1");
    log_set_context("id", "b-2");
    log_info("seen", log_text("own", "field"));
    cJSON *line = only_line();
    assert_string_equal(text_of(line, "program"), "broker");
    assert_string_equal(text_of(line, "id"), "b-2");
    assert_string_equal(text_of(line, "own"), "field");
    cJSON_Delete(line);
    log_set_context("program", NULL);
    log_set_context("id", NULL);
    log_set_context("never_set", NULL);
    buffer_clear(&lines);
    log_info("seen", log_nothing);
    line = only_line();
    assert_int_equal(cJSON_GetArraySize(line), 3);
    cJSON_Delete(line);
}

static void lines_over_the_rate_are_counted_and_told_a_second_later(void **state) {
    (void) state;
    uint64_t before = log_suppressed_total();
    log_set_rate(3);
    for (int i = 0; i < 10; i++) {
        log_info("bad_header", log_nothing);
    }
    assert_int_equal(n_lines(), 3);
    assert_int_equal(log_suppressed_total() - before, 7);
    log_report_suppressed(); /* its second is not over */
    assert_int_equal(n_lines(), 3);
    now_us += 1000000;
    buffer_clear(&lines);
    log_report_suppressed();
    cJSON *line = only_line();
    assert_string_equal(text_of(line, "event"), "log_suppressed");
    assert_string_equal(text_of(line, "suppressed_event"), "bad_header");
    assert_int_equal(cJSON_GetObjectItemCaseSensitive(line, "count")->valueint, 7);
    cJSON_Delete(line);
    log_report_suppressed();
    assert_int_equal(n_lines(), 1);
}

static void the_next_line_of_any_event_tells_what_was_suppressed(void **state) {
    (void) state;
    log_set_rate(1);
    log_info("noisy", log_nothing);
    log_info("noisy", log_nothing);
    now_us += 1500000;
    buffer_clear(&lines);
    log_info("quiet", log_nothing);
    assert_int_equal(n_lines(), 2);
    buffer_append_char(&lines, '\0');
    const char *first = strstr((const char *) lines.data, "log_suppressed");
    const char *second = strstr((const char *) lines.data, "quiet");
    assert_true(first != NULL && second != NULL && first < second);
}

static void each_event_has_a_rate_of_its_own_and_a_new_second_a_new_budget(void **state) {
    (void) state;
    log_set_rate(2);
    for (int i = 0; i < 5; i++) {
        log_info("one", log_nothing);
        log_info("two", log_nothing);
    }
    assert_int_equal(n_lines(), 4);
    now_us += 1000000;
    buffer_clear(&lines);
    log_info("one", log_nothing);
    log_info("one", log_nothing);
    log_info("one", log_nothing);
    assert_int_equal(n_lines(), 4); /* two reports, two lines */
}

static void more_events_than_places_lose_no_line(void **state) {
    (void) state;
    log_set_rate(1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000; i++) {
            char event[32];
            snprintf(event, sizeof event, "event_%d", i);
            now_us += 1;
            log_info(event, log_nothing);
        }
        now_us += 1000000;
    }
    assert_int_equal(n_lines(), 4000);
}

static void a_place_taken_over_tells_its_count_first(void **state) {
    (void) state;
    uint64_t before = log_suppressed_total();
    log_set_rate(1);
    for (int i = 0; i < 2000; i++) {
        char event[32];
        snprintf(event, sizeof event, "crowded_%d", i);
        log_info(event, log_nothing);
        log_info(event, log_nothing);
    }
    now_us += 1000000;
    log_report_suppressed();
    assert_int_equal(log_suppressed_total() - before, 2000);
    assert_int_equal(n_lines(), 4000);
}

static void many_contexts(void) {
    for (int i = 0; i < 20; i++) {
        char name[24];
        snprintf(name, sizeof name, "context_%d", i);
        log_set_context(name, "value");
    }
}

static void too_many_contexts_abort(void **state) {
    (void) state;
    assert_true(aborts(many_contexts, NULL, 0));
}

/* Puts a pipe in stderr's place; *ret_read is its other end. Returns the old stderr. */
static int pipe_stderr(int *ret_read) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int old = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    *ret_read = ends[0];
    return old;
}

static void restore_stderr(int old) {
    dup2(old, STDERR_FILENO);
    close(old);
}

static void without_a_sink_lines_go_to_stderr(void **state) {
    (void) state;
    char text[PIPE_BUF] = "";
    int reader;
    uint64_t lost = log_lost_total();
    log_set_sink(NULL, NULL);
    int old = pipe_stderr(&reader);
    log_info("to_stderr", log_nothing);
    restore_stderr(old);
    ssize_t got = read(reader, text, sizeof text - 1);
    assert_true(got > 0);
    assert_non_null(strstr(text, "\"event\":\"to_stderr\"}\n"));
    assert_int_equal(log_lost_total(), lost);
    close(reader);
}

static void a_full_stderr_loses_lines_counts_them_and_does_not_block(void **state) {
    (void) state;
    int reader;
    uint64_t lost = log_lost_total();
    log_set_sink(NULL, NULL);
    int old = pipe_stderr(&reader);
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK, 0);
    alarm(30); /* a write that blocks would hang for ever */
    for (int i = 0; i < 5000; i++) {
        log_info("filling", log_nothing);
    }
    alarm(0);
    restore_stderr(old);
    uint64_t lost_now = log_lost_total() - lost;
    assert_in_range(lost_now, 1, 4999);
    /* What was written is whole lines, and with what was lost it is all there was. */
    static char text[1 << 20];
    size_t have = 0;
    ssize_t got;
    while ((got = read(reader, text + have, sizeof text - have)) > 0) {
        have += (size_t) got;
    }
    uint64_t written = 0;
    for (size_t i = 0; i < have; i++) {
        written += text[i] == '\n';
    }
    assert_int_equal(written + lost_now, 5000);
    assert_int_equal(text[have - 1], '\n');
    close(reader);
}

static void a_broken_or_closed_stderr_loses_lines_and_kills_nobody(void **state) {
    (void) state;
    int reader;
    uint64_t lost = log_lost_total();
    log_set_sink(NULL, NULL);
    int old = pipe_stderr(&reader);
    close(reader);
    log_info("nobody_reads", log_nothing); /* SIGPIPE would end the test */
    assert_int_equal(log_lost_total() - lost, 1);
    close(STDERR_FILENO);
    log_info("nowhere", log_nothing);
    assert_int_equal(log_lost_total() - lost, 2);
    restore_stderr(old);
}

static void *log_some(void *argument) {
    (void) argument;
    for (int i = 0; i < 500; i++) {
        log_info("from_a_thread", log_u64("i", (uint64_t) i));
        if (i % 100 == 0) {
            log_set_context("last", "thread");
        }
    }
    return NULL;
}

static void threads_do_not_mix_their_lines(void **state) {
    (void) state;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, log_some, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    log_set_context("last", NULL);
    assert_int_equal(n_lines(), 2000);
    const char *at = (const char *) lines.data;
    for (size_t left = lines.size; left > 0;) {
        const char *line_end = memchr(at, '\n', left);
        assert_memory_equal(at, "{\"time\"", 7);
        assert_int_equal(line_end[-1], '}');
        left -= (size_t) (line_end + 1 - at);
        at = line_end + 1;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_time_level_event_and_the_fields, begin, end),
        cmocka_unit_test_setup_teardown(an_event_may_have_no_fields, begin, end),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_not_written, begin, end),
        cmocka_unit_test_setup_teardown(levels_have_names, begin, end),
        cmocka_unit_test_setup_teardown(foreign_text_cannot_end_the_line_or_steer_a_terminal, begin, end),
        cmocka_unit_test_setup_teardown(plain_text_of_any_language_stays_readable, begin, end),
        cmocka_unit_test_setup_teardown(bytes_that_are_not_utf8_are_shown_in_hexadecimal, begin, end),
        cmocka_unit_test_setup_teardown(foreign_text_is_cut_at_256_bytes_between_characters, begin, end),
        cmocka_unit_test_setup_teardown(a_line_is_never_longer_than_a_pipe_takes_at_once, begin, end),
        cmocka_unit_test_setup_teardown(contexts_are_on_every_line_until_they_are_removed, begin, end),
        cmocka_unit_test_setup_teardown(lines_over_the_rate_are_counted_and_told_a_second_later, begin, end),
        cmocka_unit_test_setup_teardown(the_next_line_of_any_event_tells_what_was_suppressed, begin, end),
        cmocka_unit_test_setup_teardown(each_event_has_a_rate_of_its_own_and_a_new_second_a_new_budget, begin, end),
        cmocka_unit_test_setup_teardown(more_events_than_places_lose_no_line, begin, end),
        cmocka_unit_test_setup_teardown(a_place_taken_over_tells_its_count_first, begin, end),
        cmocka_unit_test_setup_teardown(too_many_contexts_abort, begin, end),
        cmocka_unit_test_setup_teardown(without_a_sink_lines_go_to_stderr, begin, end),
        cmocka_unit_test_setup_teardown(a_full_stderr_loses_lines_counts_them_and_does_not_block, begin, end),
        cmocka_unit_test_setup_teardown(a_broken_or_closed_stderr_loses_lines_and_kills_nobody, begin, end),
        cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
