/* The terminal, if there is one: colours (never where output is piped, or NO_COLOR is set), and one line of progress on
 * standard error that is written over and leaves nothing behind. Thread: main. */
#ifndef CALLBOARD_TOOLS_CTL_TERMINAL_H
#define CALLBOARD_TOOLS_CTL_TERMINAL_H

#include <stdbool.h>
#include <stdio.h>

enum ctl_style { CTL_PLAIN, CTL_BOLD, CTL_DIM, CTL_RED, CTL_YELLOW, CTL_GREEN, CTL_STYLES };

bool ctl_is_terminal(FILE *out);
/* May what is printed there have colours? */
bool ctl_has_colours(FILE *out);
/* What begins the style, CTL_PLAIN what ends it; "" where there are none. */
const char *ctl_style(FILE *out, enum ctl_style style);

/* At most ten a second, and only where standard error is a terminal. */
void ctl_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Takes the line away; before anything else is printed. */
void ctl_progress_end(void);

#endif
