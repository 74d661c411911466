/* Always-on invariants: what can only be false when we are wrong ourselves.
 * The peer's, the caller's and the world's mistakes are never checked with this: they have outcomes. */
#ifndef CALLBOARD_BASE_CHECK_H
#define CALLBOARD_BASE_CHECK_H

/* Prints file, line, the condition and the message as one JSON log line to stderr, then aborts. */
_Noreturn void check_failed(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5), cold));

/* check(cond, "format", values...): aborts unless cond holds, in every build. */
#define check(condition, ...)                                                                                          \
    do {                                                                                                               \
        if (__builtin_expect(!(condition), 0)) {                                                                       \
            check_failed(__FILE__, __LINE__, #condition, __VA_ARGS__);                                                 \
        }                                                                                                              \
    } while (0)

#define unreachable(...) check_failed(__FILE__, __LINE__, "unreachable", __VA_ARGS__)

#endif
