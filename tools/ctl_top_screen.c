/* See ctl_top_parts.h: the terminal while top has it.
 *
 *   open: other screen, no cursor, no wrapping, keys without echo ─▶ show … ─▶ close: all given back
 *
 * It is given back on every way out: q, end of the count, SIGINT, SIGTERM, SIGHUP, and Ctrl-Z, which takes it again
 * when it goes on. Handlers only note the signal. */
#include "tools/ctl_top_parts.h"

#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { PLAIN_WIDTH = 100, PLAIN_HEIGHT = 200 };

static volatile sig_atomic_t is_over;
static volatile sig_atomic_t is_stopped; /* Ctrl-Z */
static volatile sig_atomic_t is_resized;
static struct termios keys_before;
static bool has_screen;
static bool has_keys;

static void on_signal(int number) {
    if (number == SIGTSTP) {
        is_stopped = 1;
    } else if (number == SIGWINCH) {
        is_resized = 1;
    } else {
        is_over = 1;
    }
}

static void catch (int number) {
    struct sigaction action = {.sa_handler = on_signal}; /* no SA_RESTART: waits are cut short */
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

void top_screen_catch_signals(void) {
    catch (SIGINT);
    catch (SIGTERM);
    catch (SIGHUP);
    signal(SIGPIPE, SIG_IGN); /* writing fails, and that ends it */
}

bool top_screen_is_over(void) {
    return is_over != 0;
}

void top_screen_open(void) {
    struct termios keys;
    if (isatty(STDOUT_FILENO) != 1) {
        return;
    }
    catch (SIGTSTP);
    catch (SIGWINCH);
    fputs("\033[?1049h\033[?7l\033[?25l", stdout);
    fflush(stdout);
    has_screen = true;
    if (tcgetattr(STDIN_FILENO, &keys_before) == 0) {
        keys = keys_before;
        keys.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        has_keys = tcsetattr(STDIN_FILENO, TCSADRAIN, &keys) == 0;
    }
}

void top_screen_close(void) {
    if (has_keys) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &keys_before);
        has_keys = false;
    }
    if (has_screen) {
        fputs("\033[?25h\033[?7h\033[?1049l", stdout);
        fflush(stdout);
        has_screen = false;
    }
}

void top_screen_size(size_t *ret_width, size_t *ret_height) {
    struct winsize size;
    bool is_known = has_screen && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0;
    *ret_width = is_known ? size.ws_col : PLAIN_WIDTH;
    *ret_height = is_known ? size.ws_row : PLAIN_HEIGHT;
}

/* On a screen each line replaces what stood there, and what is below the last one goes. */
void top_screen_show(const struct buffer *text) {
    if (has_screen) {
        fputs("\033[H", stdout);
        for (size_t i = 0; i < text->size; i++) {
            if (text->data[i] == '\n') {
                fputs("\033[K", stdout);
            }
            if (text->data[i] != '\n' || i + 1 < text->size) {
                putchar(text->data[i]);
            }
        }
        fputs("\033[J", stdout);
    } else {
        fwrite(text->data, 1, text->size, stdout);
    }
    if (fflush(stdout) != 0) {
        is_over = 1; /* nobody reads it any more */
    }
}

/* Ctrl-Z: the shell gets the terminal as it was. */
static void stop_for_a_while(void) {
    is_stopped = 0;
    top_screen_close();
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    top_screen_open();
}

static void read_keys(void) {
    char keys[64];
    ssize_t size = read(STDIN_FILENO, keys, sizeof keys);
    if (size == 0 || (size < 0 && errno != EINTR && errno != EAGAIN)) {
        is_over = 1; /* the terminal is gone */
    }
    for (ssize_t i = 0; i < size; i++) {
        is_over = is_over || keys[i] == 'q' || keys[i] == 'Q';
    }
}

bool top_screen_wait(uint64_t until_ms) {
    while (!is_over) {
        uint64_t now_ms = clock_monotonic_ms();
        struct pollfd keys = {.fd = has_keys ? STDIN_FILENO : -1, .events = POLLIN};
        if (is_stopped) {
            stop_for_a_while();
            return !is_over;
        }
        if (is_resized || now_ms >= until_ms) {
            is_resized = 0;
            return true;
        }
        if (poll(&keys, 1, (int) (until_ms - now_ms)) > 0) {
            read_keys();
        }
    }
    return false;
}
