/* Runs something in a child process and says whether it aborted there (a failed check), and what it wrote to stderr. */
#ifndef CALLBOARD_TESTS_UNIT_BASE_ABORTS_H
#define CALLBOARD_TESTS_UNIT_BASE_ABORTS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* ret_stderr (may be NULL) receives at most size - 1 bytes and a NUL. */
static inline bool aborts(void (*function)(void), char *ret_stderr, size_t size) {
    int ends[2];
    if (pipe(ends) != 0) {
        return false;
    }
    pid_t child = fork();
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        function();
        _exit(0);
    }
    close(ends[1]);
    char drain[4096];
    char *to = ret_stderr != NULL ? ret_stderr : drain;
    size_t room = ret_stderr != NULL ? size - 1 : sizeof drain;
    size_t have = 0;
    ssize_t got;
    while ((got = read(ends[0], to + have, room - have)) > 0) {
        have += (size_t) got;
        if (have == room) {
            have = 0; /* keep reading, so that the child does not block */
        }
    }
    if (ret_stderr != NULL) {
        ret_stderr[have] = '\0';
    }
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#endif
