/* The line a failed check leaves behind. It stands on nothing of ours: whatever is broken, the allocator and the log
 * among it, the line still comes out. One write(2), so that lines of dying threads do not mix.
 *
 * Failure modes: stderr full or closed: the line is lost, the abort (and its core or exit status) is not. A message
 * longer than the buffer is cut. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 2048, MESSAGE_MAX_BYTES = 512 };

struct line {
    char text[LINE_MAX_BYTES];
    size_t size;
};

static void append_char(struct line *line, char c) {
    if (line->size < sizeof line->text) {
        line->text[line->size++] = c;
    }
}

static void append_text(struct line *line, const char *text) {
    for (; *text != '\0'; text++) {
        append_char(line, *text);
    }
}

/* As the inside of a JSON string. Everything that is not printable ASCII becomes "?": the texts are ours. */
static void append_escaped(struct line *line, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            append_char(line, '\\');
        }
        append_char(line, *text >= 0x20 && *text < 0x7f ? *text : '?');
    }
}

static void append_time(struct line *line) {
    struct timespec now = {0, 0};
    struct tm parts;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &parts) != NULL && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) > 0) {
        append_text(line, text);
        snprintf(text, sizeof text, ".%03dZ", (int) (now.tv_nsec / 1000000));
        append_text(line, text);
    }
}

void check_failed(const char *file, int line_number, const char *condition, const char *format, ...) {
    char message[MESSAGE_MAX_BYTES];
    char number[16];
    struct line line = {.size = 0};
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
    snprintf(number, sizeof number, "%d", line_number);
    append_text(&line, "{\"time\":\"");
    append_time(&line);
    append_text(&line, "\",\"level\":\"error\",\"event\":\"check_failed\",\"file\":\"");
    append_escaped(&line, file);
    append_text(&line, "\",\"line\":");
    append_text(&line, number);
    append_text(&line, ",\"condition\":\"");
    append_escaped(&line, condition);
    append_text(&line, "\",\"message\":\"");
    append_escaped(&line, message);
    append_text(&line, "\"}\n");
    ssize_t written = write(STDERR_FILENO, line.text, line.size);
    (void) written;
    abort();
}
