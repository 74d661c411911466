/* See ctl_terminal.h. */
#include "tools/ctl_terminal.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVERY_MS = 100 };

static bool is_set(const char *name) {
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0';
}

bool ctl_is_terminal(FILE *out) {
    return isatty(fileno(out)) == 1;
}

bool ctl_has_colours(FILE *out) {
    const char *terminal = getenv("TERM");
    return ctl_is_terminal(out) && !is_set("NO_COLOR") && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

const char *ctl_style(FILE *out, enum ctl_style style) {
    static const char *const codes[CTL_STYLES] = {
        [CTL_PLAIN] = "\033[0m",  [CTL_BOLD] = "\033[1m",    [CTL_DIM] = "\033[2m",
        [CTL_RED] = "\033[1;31m", [CTL_YELLOW] = "\033[33m", [CTL_GREEN] = "\033[32m"};
    check(style < CTL_STYLES, "no such style");
    return ctl_has_colours(out) ? codes[style] : "";
}

static uint64_t shown_ms; /* when the line was written last; 0: there is none */

void ctl_progress(const char *format, ...) {
    uint64_t now_ms = clock_monotonic_ms();
    if ((shown_ms != 0 && now_ms - shown_ms < EVERY_MS) || !ctl_is_terminal(stderr)) {
        return;
    }
    va_list values;
    va_start(values, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, values);
    fflush(stderr);
    va_end(values);
    shown_ms = now_ms;
}

void ctl_progress_end(void) {
    if (shown_ms != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        shown_ms = 0;
    }
}
