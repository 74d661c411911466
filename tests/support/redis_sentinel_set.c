/* See redis_sentinel_set.h. SENTINEL DEBUG shortens the timers that have no setting: how often a Sentinel asks, pings
 * and says hello (else the set would need 10 s to know itself). Two bounds: five pings stay above the second in which
 * replicas tell of themselves while the primary is down (older news make a replica no candidate), and four hellos above
 * the second that a leader may need to see a promotion (the others would demote the new primary). */
#include "tests/support/redis_sentinel_set.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "tests/support/free_port.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AWAIT_MS = 30000, DOWN_AFTER_MS = 700, FAILOVER_MS = 5000, LINES_MAX = 32, LINE_MAX = 1024 };

static const char master[] = "mymaster";

struct redis_sentinel_set {
    struct redis_sentinel_set_options options;
    redis_server_t *servers[REDIS_SENTINEL_SET_SERVERS];
    redis_server_t *sentinels[REDIS_SENTINEL_SET_SENTINELS];
    int server_tls_ports[REDIS_SENTINEL_SET_SERVERS]; /* 0: none */
    int sentinel_tls_ports[REDIS_SENTINEL_SET_SENTINELS];
    char url[160];
};

/* Lines of a configuration, as redis_server_start takes them. */
struct lines {
    char texts[LINES_MAX][LINE_MAX];
    const char *pointers[LINES_MAX + 1];
    unsigned n;
};

static void add_line(struct lines *self, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_line(struct lines *self, const char *format, ...) {
    check(self->n < LINES_MAX, "too many lines");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(self->texts[self->n], LINE_MAX, format, arguments);
    va_end(arguments);
    self->pointers[self->n] = self->texts[self->n];
    self->n++;
}

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
}

/* Returns the port. */
static int add_tls(const redis_sentinel_set_t *self, struct lines *lines) {
    if (self->options.tls == NULL) {
        return 0;
    }
    char texts[TLS_LINES][TLS_LINE_MAX];
    int port = free_port();
    tls_directory_lines(self->options.tls, port, texts);
    for (unsigned i = 0; i < TLS_LINES; i++) {
        add_line(lines, "%s", texts[i]);
    }
    return port;
}

static void start_server(redis_sentinel_set_t *self, unsigned number) {
    struct lines lines = {.n = 0};
    self->server_tls_ports[number] = add_tls(self, &lines);
    for (size_t i = 0; self->options.config_lines != NULL && self->options.config_lines[i] != NULL; i++) {
        add_line(&lines, "%s", self->options.config_lines[i]);
    }
    add_line(&lines, "repl-diskless-sync-delay 0");
    add_line(&lines, "repl-ping-replica-period 1");
    if (self->options.password != NULL) {
        add_line(&lines, "requirepass %s", self->options.password);
        add_line(&lines, "masterauth %s", self->options.password);
    }
    if (number > 0) {
        add_line(&lines, "replicaof 127.0.0.1 %d", redis_sentinel_set_port(self, 0));
    }
    self->servers[number] = redis_server_start(lines.pointers);
    if (self->options.password != NULL) {
        redis_server_set_login(self->servers[number], NULL, self->options.password);
    }
}

static void shorten_timers(redis_server_t *sentinel) {
    redis_server_expect(sentinel, "OK",
                        "SENTINEL DEBUG INFO-PERIOD 300 PING-PERIOD 250 ASK-PERIOD 100 PUBLISH-PERIOD 500 "
                        "MIN-LINK-RECONNECT-PERIOD 200 ELECTION-TIMEOUT 500");
}

static void start_sentinel(redis_sentinel_set_t *self, unsigned number) {
    struct lines lines = {.n = 0};
    self->sentinel_tls_ports[number] = add_tls(self, &lines);
    unsigned down_after_ms = self->options.down_after_ms == 0 ? DOWN_AFTER_MS : self->options.down_after_ms;
    add_line(&lines, "sentinel monitor %s 127.0.0.1 %d 2", master, redis_sentinel_set_port(self, 0));
    add_line(&lines, "sentinel down-after-milliseconds %s %u", master, down_after_ms);
    add_line(&lines, "sentinel failover-timeout %s 2000", master);
    if (self->options.password != NULL) {
        add_line(&lines, "sentinel auth-pass %s %s", master, self->options.password);
    }
    if (self->options.sentinel_password != NULL) {
        add_line(&lines, "requirepass %s", self->options.sentinel_password);
        add_line(&lines, "sentinel sentinel-pass %s", self->options.sentinel_password);
    }
    redis_server_t *sentinel = redis_server_start_sentinel(lines.pointers);
    if (self->options.sentinel_password != NULL) {
        redis_server_set_login(sentinel, NULL, self->options.sentinel_password);
    }
    shorten_timers(sentinel);
    self->sentinels[number] = sentinel;
}

/* The value behind `field` in an answer of fields and values, a line each; false: it is not there. */
static bool has_field(const char *answer, const char *field, const char *value) {
    char wanted[128];
    snprintf(wanted, sizeof wanted, "\n%s\n%s\n", field, value);
    return strstr(answer, wanted) != NULL;
}

static void await_sentinel_knows_all(redis_server_t *sentinel) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    for (bool knows = false; !knows; nap()) {
        char *answer = redis_server_command(sentinel, "SENTINEL MASTER %s", master);
        knows = answer != NULL && has_field(answer, "num-slaves", "2") &&
                has_field(answer, "num-other-sentinels", "2") && has_field(answer, "flags", "master");
        check(knows || clock_monotonic_ms() < deadline_ms, "a Sentinel does not know the others: %s\n%s",
              answer == NULL ? "(no answer)" : answer, redis_server_log(sentinel));
        memory_free(answer);
    }
}

redis_sentinel_set_t *redis_sentinel_set_start(const struct redis_sentinel_set_options *options) {
    redis_sentinel_set_t *self = memory_alloc_zero(sizeof *self);
    self->options = options == NULL ? (struct redis_sentinel_set_options){.password = NULL} : *options;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        start_server(self, i);
    }
    redis_sentinel_set_await_replicas(self);
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        start_sentinel(self, i);
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        await_sentinel_knows_all(self->sentinels[i]);
    }
    const int *tls_ports = self->sentinel_tls_ports;
    bool is_tls = self->options.tls != NULL;
    snprintf(self->url, sizeof self->url, "%s+sentinel://127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d/%s",
             is_tls ? "rediss" : "redis", is_tls ? tls_ports[0] : redis_server_port(self->sentinels[0]),
             is_tls ? tls_ports[1] : redis_server_port(self->sentinels[1]),
             is_tls ? tls_ports[2] : redis_server_port(self->sentinels[2]), master);
    return self;
}

void redis_sentinel_set_stop(redis_sentinel_set_t **self_p) {
    redis_sentinel_set_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        redis_server_stop(&self->sentinels[i]);
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_stop(&self->servers[i]);
    }
    memory_free(self);
    *self_p = NULL;
}

const char *redis_sentinel_set_url(const redis_sentinel_set_t *self) {
    return self->url;
}

redis_server_t *redis_sentinel_set_server(redis_sentinel_set_t *self, unsigned number) {
    check(number < REDIS_SENTINEL_SET_SERVERS, "server %u", number);
    return self->servers[number];
}

redis_server_t *redis_sentinel_set_sentinel(redis_sentinel_set_t *self, unsigned number) {
    check(number < REDIS_SENTINEL_SET_SENTINELS, "Sentinel %u", number);
    return self->sentinels[number];
}

void redis_sentinel_set_restart_sentinel(redis_sentinel_set_t *self, unsigned number) {
    redis_server_restart(self->sentinels[number]);
    shorten_timers(self->sentinels[number]);
}

int redis_sentinel_set_port(const redis_sentinel_set_t *self, unsigned number) {
    return self->server_tls_ports[number] != 0 ? self->server_tls_ports[number]
                                               : redis_server_port(self->servers[number]);
}

/* ---- who is primary ---- */

static bool is_role(redis_server_t *server, const char *role) {
    char *answer = redis_server_is_running(server) ? redis_server_command(server, "ROLE") : NULL;
    bool is_it = answer != NULL && strncmp(answer, role, strlen(role)) == 0;
    memory_free(answer);
    return is_it;
}

static int named_by(redis_server_t *sentinel) {
    if (!redis_server_is_running(sentinel)) {
        return -1;
    }
    char *answer = redis_server_command(sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME %s", master);
    const char *port = answer == NULL ? NULL : strchr(answer, '\n');
    int named = port == NULL ? -1 : atoi(port + 1);
    memory_free(answer);
    return named;
}

/* The server that all Sentinels which answer name, if it says so too; else REDIS_SENTINEL_SET_SERVERS. */
static unsigned agreed(redis_sentinel_set_t *self) {
    int port = -1;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        int named = named_by(self->sentinels[i]);
        if (named >= 0 && port >= 0 && named != port) {
            return REDIS_SENTINEL_SET_SERVERS;
        }
        port = named >= 0 ? named : port;
    }
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        if (redis_sentinel_set_port(self, i) == port && is_role(self->servers[i], "master")) {
            return i;
        }
    }
    return REDIS_SENTINEL_SET_SERVERS;
}

static unsigned await_primary(redis_sentinel_set_t *self, unsigned other_than) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    unsigned primary = agreed(self);
    while (primary == REDIS_SENTINEL_SET_SERVERS || primary == other_than) {
        if (clock_monotonic_ms() >= deadline_ms) {
            fprintf(stderr, "%s\n", redis_server_log(self->sentinels[0]));
            unreachable("no primary that all agree on");
        }
        nap();
        primary = agreed(self);
    }
    return primary;
}

unsigned redis_sentinel_set_primary(redis_sentinel_set_t *self) {
    return await_primary(self, REDIS_SENTINEL_SET_SERVERS);
}

unsigned redis_sentinel_set_await_failover(redis_sentinel_set_t *self, unsigned old) {
    return await_primary(self, old);
}

/* A Sentinel refuses where it has not seen a replica in order yet, or while another failover ends. */
static void ask_for_failover(redis_sentinel_set_t *self) {
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        if (redis_server_is_running(self->sentinels[i])) {
            redis_server_await(self->sentinels[i], "OK", "SENTINEL FAILOVER %s", master);
            return;
        }
    }
    unreachable("no Sentinel runs");
}

/* It is given up where the promotion is not seen in time, on a busy machine: then it is asked for again. */
unsigned redis_sentinel_set_failover(redis_sentinel_set_t *self) {
    unsigned old = redis_sentinel_set_primary(self);
    redis_sentinel_set_await_replicas(self);
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    uint64_t next_ms = 0;
    unsigned primary = old;
    while (primary == old || primary == REDIS_SENTINEL_SET_SERVERS) {
        check(clock_monotonic_ms() < deadline_ms, "no failover");
        if (primary == old && clock_monotonic_ms() >= next_ms) {
            ask_for_failover(self);
            next_ms = clock_monotonic_ms() + FAILOVER_MS;
        }
        nap();
        primary = agreed(self);
    }
    redis_sentinel_set_await_replicas(self);
    return primary;
}

/* ---- replication ---- */

static unsigned n_masters(redis_sentinel_set_t *self) {
    unsigned n = 0;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        n += self->servers[i] != NULL && is_role(self->servers[i], "master");
    }
    return n;
}

static bool is_replica_in_sync(redis_server_t *server) {
    char *answer = redis_server_command(server, "ROLE");
    bool is_it = answer != NULL && strncmp(answer, "slave", 5) == 0 && strstr(answer, "\nconnected\n") != NULL;
    memory_free(answer);
    return is_it;
}

/* No Sentinel takes one of the replicas for a primary any more: it would still turn it over, in the midst of the next
 * failover. */
static bool is_settled(redis_server_t *sentinel) {
    char *answer = redis_server_command(sentinel, "SENTINEL REPLICAS %s", master);
    bool is_it = answer == NULL /* paused */ || !has_field(answer, "role-reported", "master");
    memory_free(answer);
    return is_it;
}

static void await_sentinels(redis_sentinel_set_t *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SENTINELS; i++) {
        while (self->sentinels[i] != NULL && redis_server_is_running(self->sentinels[i]) &&
               !is_settled(self->sentinels[i])) {
            check(clock_monotonic_ms() < deadline_ms, "a Sentinel takes a replica for a primary");
            nap();
        }
    }
}

void redis_sentinel_set_await_replicas(redis_sentinel_set_t *self) {
    uint64_t deadline_ms = clock_monotonic_ms() + AWAIT_MS;
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        redis_server_t *server = self->servers[i];
        while (redis_server_is_running(server) && !is_replica_in_sync(server) &&
               !(is_role(server, "master") && n_masters(self) == 1)) {
            check(clock_monotonic_ms() < deadline_ms, "a replica is not in sync:\n%s", redis_server_log(server));
            nap();
        }
    }
    await_sentinels(self);
}

static void for_replicas(redis_sentinel_set_t *self, void (*act)(redis_server_t *replica, const char *password)) {
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        if (redis_server_is_running(self->servers[i]) && is_role(self->servers[i], "slave")) {
            act(self->servers[i], self->options.password);
        }
    }
}

static void cut(redis_server_t *replica, const char *password) {
    (void) password;
    redis_server_expect(replica, "OK", "CONFIG SET masteruser nobody masterauth wrong");
    redis_server_expect(replica, "1", "CLIENT KILL TYPE master");
}

static void mend(redis_server_t *replica, const char *password) {
    redis_server_expect(replica, "OK", "CONFIG SET masteruser %s masterauth %s", "", password == NULL ? "" : password);
}

void redis_sentinel_set_cut_replication(redis_sentinel_set_t *self) {
    for_replicas(self, cut);
}

void redis_sentinel_set_mend_replication(redis_sentinel_set_t *self) {
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        if (redis_server_is_running(self->servers[i])) {
            mend(self->servers[i], self->options.password); /* one may have become primary: it may be demoted again */
        }
    }
}
