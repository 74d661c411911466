/* The figures of a run by name: what the report prints and --assert compares. Times are kept in ms, shares in percent,
 * sizes in bytes. A figure that was not measured is NAN: no assertion holds for it. Thread: any (values). */
#ifndef CALLBOARD_TOOLS_BENCH_FIGURES_H
#define CALLBOARD_TOOLS_BENCH_FIGURES_H

#include "base/bytes.h"

enum bench_unit { BENCH_PERCENT, BENCH_MS, BENCH_COUNT, BENCH_PER_SECOND, BENCH_SECONDS, BENCH_BYTES };

/* X(id, name, unit, what it is) */
#define BENCH_FIGURES(X)                                                                                               \
    X(SUCCESS, "success", BENCH_PERCENT, "the smaller of connected and delivered")                                     \
    X(CONNECTED, "connected", BENCH_PERCENT, "users that were connected and subscribed when the run began")            \
    X(DELIVERED, "delivered", BENCH_PERCENT, "deliveries that came, of those that were due")                           \
    X(P50, "p50", BENCH_MS, "publish to deliver, half of all deliveries")                                              \
    X(P95, "p95", BENCH_MS, "... 95 of 100")                                                                           \
    X(P99, "p99", BENCH_MS, "... 99 of 100")                                                                           \
    X(P999, "p99.9", BENCH_MS, "... 999 of 1,000")                                                                     \
    X(MAX, "max", BENCH_MS, "... the slowest")                                                                         \
    X(CONNECT_P50, "connect_p50", BENCH_MS, "TCP connect to last subscription's reply, half of all")                   \
    X(CONNECT_P95, "connect_p95", BENCH_MS, "... 95 of 100")                                                           \
    X(CONNECT_P99, "connect_p99", BENCH_MS, "... 99 of 100")                                                           \
    X(CONNECT_MAX, "connect_max", BENCH_MS, "... the slowest")                                                         \
    X(CONNECTS, "connects", BENCH_COUNT, "connections that came up, each time counted")                                \
    X(CONNECT_FAILURES, "connect_failures", BENCH_COUNT, "attempts that were refused, cut or too slow")                \
    X(DISCONNECTS, "disconnects", BENCH_COUNT, "connections that ended unasked")                                       \
    X(RECONNECTS, "reconnects", BENCH_COUNT, "of these, how many came up again")                                       \
    X(SENT, "sent", BENCH_COUNT, "publications")                                                                       \
    X(PUBLISH_ERRORS, "publish_errors", BENCH_COUNT, "publications that the server refused")                           \
    X(DUE, "due", BENCH_COUNT, "deliveries: publications times connected subscribers of their channel")                \
    X(DELIVERIES, "deliveries", BENCH_COUNT, "deliveries that came, each once")                                        \
    X(LOST, "lost", BENCH_COUNT, "deliveries that were due and did not come")                                          \
    X(DOUBLED, "doubled", BENCH_COUNT, "deliveries that came again")                                                   \
    X(OUT_OF_ORDER, "out_of_order", BENCH_COUNT, "deliveries that came after a later one of their publisher")          \
    X(STORM_USERS, "storm_users", BENCH_COUNT, "storm: users that were cut off at once")                               \
    X(CAUGHT_UP, "caught_up", BENCH_PERCENT, "... that came back and got all they missed")                             \
    X(CAUGHT_UP_P50, "caught_up_p50", BENCH_MS, "... from all users' return to a user's last missed publication")      \
    X(CAUGHT_UP_P95, "caught_up_p95", BENCH_MS, "... 95 of 100")                                                       \
    X(CAUGHT_UP_P99, "caught_up_p99", BENCH_MS, "... 99 of 100")                                                       \
    X(CAUGHT_UP_MAX, "caught_up_max", BENCH_MS, "... until all have caught up")                                        \
    X(RATE, "rate", BENCH_PER_SECOND, "deliveries a second")                                                           \
    X(CONNECT_RATE, "connect_rate", BENCH_PER_SECOND, "connections a second while connecting")                         \
    X(BEHIND, "behind", BENCH_MS, "how far the publishers fell behind their rate at most")                             \
    X(CPU, "cpu", BENCH_SECONDS,                                                                                       \
      "CPU of the named processes from the first publication (storm: the return) to the last delivery")                \
    X(CPU_PER_MILLION, "cpu_per_million", BENCH_SECONDS, "... for each million deliveries")                            \
    X(CPU_CONNECT, "cpu_connect", BENCH_SECONDS, "CPU of the named processes while users connected")                   \
    X(PSS, "pss", BENCH_BYTES, "memory of the named processes at the end")                                             \
    X(PSS_PER_USER, "pss_per_user", BENCH_BYTES, "its growth while users connected, by their number")                  \
    X(REDIS_RATE, "redis_rate", BENCH_PER_SECOND, "commands that Redis executed a second")

enum bench_figure {
#define X(id, name, unit, meaning) BENCH_FIGURE_##id,
    BENCH_FIGURES(X)
#undef X
        BENCH_N_FIGURES
};

struct bench_figure_row {
    const char *name;
    enum bench_unit unit;
    const char *meaning;
};
extern const struct bench_figure_row bench_figure_rows[BENCH_N_FIGURES];

/* 12.3 ms, 99.5 %, 1,234, 2.4 KB; "not measured". */
void bench_figure_print(enum bench_figure figure, double value, char *ret_text, size_t size);
/* The same without its unit's spacing, a JSON number or null. */
void bench_figure_print_json(struct buffer *out, double value);

enum bench_operator { BENCH_BELOW, BENCH_AT_MOST, BENCH_ABOVE, BENCH_AT_LEAST, BENCH_EQUAL };

struct bench_assertion {
    enum bench_figure figure;
    enum bench_operator operator;
    double value;
    struct span text; /* as it was written */
};

enum { BENCH_ASSERTIONS_MAX = 32 };

/* success>=99.5,p95<50ms: figures, < <= > >= =, a number that may have a unit (%, us, ms, s, B, KB, MB). False:
 * ret_error says what is wrong and at which column. The spans point into `text`. */
bool bench_assertions_parse(const char *text, struct bench_assertion *ret, size_t *ret_count, char *ret_error,
                            size_t error_size);
bool bench_assertion_holds(const struct bench_assertion *self, const double *figures);

#endif
