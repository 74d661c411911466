/* The acts, and their undoing.
 *
 *   failover          each shard in turn: its best replica takes over by order; all well again before the next one.
 *                     Undone in a cluster by handing each shard back to who was primary (its place is the ordinal
 *                     layout); a set under Sentinel has no place to go back to
 *   failover --crash  one shard's primary stands still (or is stopped) until another one is primary. Undone by itself,
 * or by starting it quorum            a set: the Sentinels cannot agree, then the primary is away. A cluster: of a
 * minority of shards nobody is there, or the primary holds all clients while its bus goes on, so nobody takes over.
 *                     Publications have to be refused meanwhile, not acked and lost
 *
 * Failure modes: an order that is denied ends the act, and it is undone. A pause is never longer than it was ordered.
 */
#include "operator/rehearse/rehearse_parts.h"

#include "base/clock.h"

#include <stdio.h>

enum { ASK_AGAIN_MS = 5000, SENTINELS_LONGER_MS = 3000 };

static const char *host_of(const struct rehearse *self, int pod) {
    return rehearse_redis_pods(self->redis)->pods[pod].host;
}

static unsigned port_of(const struct rehearse *self, int pod) {
    return rehearse_redis_pods(self->redis)->pods[pod].port;
}

static bool is_cluster(const struct rehearse *self) {
    return self->call->redis.mode == REDIS_MODE_CLUSTER;
}

static int deny(struct rehearse *self, const char *error) {
    return rehearse_fail(self, REHEARSE_EXIT_OUTSIDE, error);
}

/* ---- by order ---- */

/* An order may be refused for a while, or come to nothing: it is given again, but not to who has obeyed it already,
 * while the rest is not yet well. That would be one failover more. */
static bool is_to_be_ordered(const struct rehearse *self, unsigned shard, int old, uint64_t asked_ms) {
    return asked_ms == 0 || (clock_monotonic_ms() - asked_ms >= ASK_AGAIN_MS &&
                             rehearse_redis_other_primary(self->redis, shard, old) == REHEARSE_NOBODY);
}

/* Until all is well with another primary than `old`. */
static int hand_over(struct rehearse *self, unsigned shard, int old, unsigned to) {
    uint64_t asked_ms = 0;
    char reason[CLUSTER_REASON_MAX];
    char error[REHEARSE_TEXT] = "";
    char command[REHEARSE_TEXT];
    rehearse_redis_hand_over_command(self->redis, to, command, sizeof command);
    do {
        if (rehearse_redis_look(self->redis, reason) == REHEARSE_WELL &&
            rehearse_redis_primary(self->redis, shard) != old) {
            int now = rehearse_redis_primary(self->redis, shard);
            rehearse_tell(self, "%s:%u is primary of shard %u", host_of(self, now), port_of(self, now), shard);
            return REHEARSE_EXIT_PASSED;
        }
        if (is_to_be_ordered(self, shard, old, asked_ms)) {
            rehearse_tell(self, "%s", command);
            if (!rehearse_redis_hand_over(self->redis, to, error, sizeof error)) {
                rehearse_tell(self, "%s", error);
            }
            asked_ms = clock_monotonic_ms();
        }
    } while (rehearse_pause(self));
    snprintf(error, sizeof error, "waiting for another primary of shard %u: %.500s", shard, reason);
    return rehearse_stopped(self, error);
}

static int fail_over_all(struct rehearse *self) {
    int result = REHEARSE_EXIT_PASSED;
    for (unsigned shard = 0; shard < rehearse_redis_shards(self->redis) && result == REHEARSE_EXIT_PASSED; shard++) {
        int heir = rehearse_redis_heir(self->redis, shard);
        result = heir == REHEARSE_NOBODY
                     ? deny(self, "a shard has no replica in sync that could take over")
                     : hand_over(self, shard, rehearse_redis_primary(self->redis, shard), (unsigned) heir);
    }
    return result;
}

static int hand_back_all(struct rehearse *self) {
    int result = rehearse_await_well(self);
    for (unsigned shard = 0; self->redis != NULL && is_cluster(self) && shard < rehearse_redis_shards(self->redis) &&
                             result == REHEARSE_EXIT_PASSED;
         shard++) {
        int now = rehearse_redis_primary(self->redis, shard);
        if (self->homes[shard] != REHEARSE_NOBODY && now != self->homes[shard]) {
            result = hand_over(self, shard, now, (unsigned) self->homes[shard]);
        }
    }
    return result;
}

/* ---- by force ---- */

static enum rehearse_standstill how_to_take(const struct rehearse *self) {
    return self->away.hooks.stop != NULL                              ? REHEARSE_STOPPED
           : is_cluster(self) && self->call->act == REHEARSE_FAILOVER ? REHEARSE_ASLEEP
                                                                      : REHEARSE_PAUSED;
}

static const char *name_of(enum rehearse_standstill how) {
    return how == REHEARSE_STOPPED  ? "stopped"
           : how == REHEARSE_ASLEEP ? "put to sleep (DEBUG SLEEP)"
                                    : "paused (CLIENT PAUSE)";
}

static int take(struct rehearse *self, enum redis_service service, const struct redis_pod *pod, uint64_t ms) {
    char error[REHEARSE_TEXT];
    enum rehearse_standstill how = how_to_take(self);
    if (!rehearse_away_take(&self->away, service, pod, how, ms, error, sizeof error)) {
        return deny(self, error);
    }
    rehearse_tell(self, "%s %s:%u is %s", service == REDIS_SERVICE_REDIS ? "redis" : "sentinel", pod->host, pod->port,
                  name_of(how));
    return REHEARSE_EXIT_PASSED;
}

static int crash(struct rehearse *self) {
    uint64_t ordinal = self->call->redis.ordinal;
    unsigned shard = ordinal == REDIS_NO_ORDINAL ? 0 : (unsigned) (ordinal % rehearse_redis_shards(self->redis));
    int old = rehearse_redis_primary(self->redis, shard);
    int now;
    if (rehearse_redis_heir(self->redis, shard) == REHEARSE_NOBODY) {
        return deny(self, "the shard has no replica in sync that could take over");
    }
    int result = take(self, REDIS_SERVICE_REDIS, &rehearse_redis_pods(self->redis)->pods[old], self->call->away_ms);
    if (result != REHEARSE_EXIT_PASSED) {
        return result;
    }
    while ((now = rehearse_redis_other_primary(self->redis, shard, old)) == REHEARSE_NOBODY) {
        if (!rehearse_pause(self)) {
            return rehearse_stopped(self, "waiting for another primary");
        }
        uint64_t until_ms = rehearse_away_until_ms(&self->away);
        if (until_ms != 0 && clock_monotonic_ms() > until_ms) {
            return deny(self, "the primary is back, and nobody has taken over: raise --away above the time after "
                              "which it is held for down");
        }
    }
    rehearse_tell(self, "%s:%u has taken over shard %u", host_of(self, now), port_of(self, now), shard);
    return REHEARSE_EXIT_PASSED;
}

/* ---- without a quorum ---- */

/* By hooks so many that the others are no majority. Where they only do not answer, all of them: one that stands still
 * to others goes on asking, and with an answer it could be elected. */
static int take_sentinels(struct rehearse *self) {
    const struct redis_pods *sentinels = rehearse_redis_sentinels(self->redis);
    size_t n = how_to_take(self) == REHEARSE_STOPPED ? sentinels->n - sentinels->n / 2 : sentinels->n;
    int result = REHEARSE_EXIT_PASSED;
    for (size_t i = 0; i < n && result == REHEARSE_EXIT_PASSED; i++) {
        result = take(self, REDIS_SERVICE_SENTINEL, &sentinels->pods[i], self->call->away_ms + SENTINELS_LONGER_MS);
    }
    return result;
}

/* By a hook with its replicas, which would take over. */
static int take_shard(struct rehearse *self, unsigned shard) {
    const struct redis_pods *pods = rehearse_redis_pods(self->redis);
    bool is_whole = is_cluster(self) && how_to_take(self) == REHEARSE_STOPPED;
    int primary = rehearse_redis_primary(self->redis, shard);
    int result = REHEARSE_EXIT_PASSED;
    for (unsigned i = shard; is_whole && i < pods->n && result == REHEARSE_EXIT_PASSED;
         i += rehearse_redis_shards(self->redis)) {
        if ((int) i != primary) {
            result = take(self, REDIS_SERVICE_REDIS, &pods->pods[i], 0);
        }
    }
    return result == REHEARSE_EXIT_PASSED ? take(self, REDIS_SERVICE_REDIS, &pods->pods[primary], self->call->away_ms)
                                          : result;
}

static int lose_quorum(struct rehearse *self) {
    unsigned n = is_cluster(self) ? (rehearse_redis_shards(self->redis) - 1) / 2 : 1;
    int result = is_cluster(self) ? REHEARSE_EXIT_PASSED : take_sentinels(self);
    for (unsigned shard = 0; shard < n && result == REHEARSE_EXIT_PASSED; shard++) {
        result = take_shard(self, shard);
    }
    if (result != REHEARSE_EXIT_PASSED) {
        return result;
    }
    rehearse_workload_note(self->workload, REHEARSE_AWAY);
    uint64_t until_ms = clock_monotonic_ms() + self->call->away_ms;
    uint64_t n_before = rehearse_workload_failed_tries(self->workload);
    bool is_ours_to_end = how_to_take(self) == REHEARSE_STOPPED;
    while (clock_monotonic_ms() < until_ms ||
           (is_ours_to_end && rehearse_workload_failed_tries(self->workload) == n_before)) {
        if (!rehearse_pause(self)) {
            return rehearse_stopped(self, "while nothing could be acked");
        }
    }
    return REHEARSE_EXIT_PASSED;
}

/* ---- both ways ---- */

int rehearse_do(struct rehearse *self) {
    for (unsigned i = 0; self->redis != NULL && i < rehearse_redis_shards(self->redis); i++) {
        self->homes[i] = rehearse_redis_primary(self->redis, i);
    }
    rehearse_workload_note(self->workload, REHEARSE_BEGUN);
    switch (self->call->act) {
    case REHEARSE_FAILOVER:
        return self->call->is_crash ? crash(self) : fail_over_all(self);
    case REHEARSE_QUORUM:
        return lose_quorum(self);
    case REHEARSE_RESTART:
        return rehearse_restart_all(self);
    case REHEARSE_DRAIN:
        return rehearse_drain(self);
    }
    return REHEARSE_EXIT_USAGE;
}

static void tell_plainly(void *context, const char *text) {
    rehearse_tell(context, "%s", text);
}

/* Also when interrupted: then only what would stay away for ever is waited for. */
int rehearse_undo(struct rehearse *self) {
    uint64_t until_ms = rehearse_away_until_ms(&self->away);
    uint64_t now_ms = clock_monotonic_ms();
    if (until_ms > now_ms && rehearse_is_interrupted(self)) {
        rehearse_tell(self, "what is paused goes on by itself in %llu s",
                      (unsigned long long) (until_ms - now_ms + 999) / 1000);
    }
    bool was_away = self->away.n > 0;
    bool is_back = rehearse_away_start_all(&self->away, tell_plainly, self);
    if (was_away && self->call->act == REHEARSE_QUORUM) {
        rehearse_workload_note(self->workload, REHEARSE_BACK);
    }
    if (!is_back) {
        return deny(self, "not all that was stopped could be started: start it by hand");
    }
    int result = rehearse_uncordon(self);
    int back = hand_back_all(self);
    return result != REHEARSE_EXIT_PASSED ? result : back;
}

/* ---- in words ---- */

static void print_failover_steps(struct rehearse *self, struct buffer *out) {
    char command[REHEARSE_TEXT];
    for (unsigned shard = 0; shard < rehearse_redis_shards(self->redis); shard++) {
        int heir = rehearse_redis_heir(self->redis, shard);
        if (heir != REHEARSE_NOBODY) {
            rehearse_redis_hand_over_command(self->redis, (unsigned) heir, command, sizeof command);
            buffer_append_format(out, "%s\n", command);
        }
    }
    for (unsigned shard = 0; is_cluster(self) && shard < rehearse_redis_shards(self->redis); shard++) {
        rehearse_redis_hand_over_command(self->redis, (unsigned) rehearse_redis_primary(self->redis, shard), command,
                                         sizeof command);
        buffer_append_format(out, "%s\n", command);
    }
}

static void print_taking(struct rehearse *self, struct buffer *out, const char *what, const struct redis_pod *pod) {
    if (how_to_take(self) == REHEARSE_STOPPED) {
        buffer_append_format(out, "%s %s %s %u, and later %s\n", self->away.hooks.stop, what, pod->host, pod->port,
                             self->away.hooks.start);
    } else {
        buffer_append_format(out, "redis-cli -h %s -p %u %s\n", pod->host, pod->port,
                             how_to_take(self) == REHEARSE_ASLEEP ? "DEBUG SLEEP" : "CLIENT PAUSE");
    }
}

void rehearse_print_steps(struct rehearse *self, struct buffer *out) {
    if (self->call->kube != NULL) {
        rehearse_print_kube_steps(self, out);
        return;
    }
    const struct redis_pods *pods = rehearse_redis_pods(self->redis);
    const struct redis_pods *sentinels = rehearse_redis_sentinels(self->redis);
    if (self->call->act == REHEARSE_FAILOVER && !self->call->is_crash) {
        print_failover_steps(self, out);
        return;
    }
    for (size_t i = 0; self->call->act == REHEARSE_QUORUM && i < sentinels->n; i++) {
        if (how_to_take(self) != REHEARSE_STOPPED || i < sentinels->n - sentinels->n / 2) {
            print_taking(self, out, "sentinel", &sentinels->pods[i]);
        }
    }
    print_taking(self, out, "redis", &pods->pods[rehearse_redis_primary(self->redis, 0)]);
}
