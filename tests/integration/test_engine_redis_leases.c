/* What docs/leases.md promises, where Redis fails: with Sentinels nobody is told of a token, a renewal or a count that
 * a failover takes back; tokens rise over failovers, cut links, forgotten records and clocks that are behind; a lease
 * is one holder's until its end. */
#include "tests/integration/engine_bench.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/partition.h"
#include "base/random.h"
#include "tests/support/redis_sentinel_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONG_MS = 60000, ASKING_MS = 25000 };

/* ---- one request ---- */

struct asking {
    struct engine_service service;
    bool is_done;
    enum engine_outcome outcome;
};

static void on_done(struct engine_service *service, enum engine_outcome outcome) {
    struct asking *asking = list_entry(service, struct asking, service);
    asking->is_done = true;
    asking->outcome = outcome;
}

static void begin(struct asking *asking, struct node *node, const char *name, struct engine_service model) {
    static uint64_t n_asked;
    char nonce[32];
    snprintf(nonce, sizeof nonce, "%llu", (unsigned long long) ++n_asked);
    *asking = (struct asking){.service = model};
    asking->service.name = span_of_text(name);
    asking->service.nonce = span_of_text(nonce);
    asking->service.on_done = on_done;
    asking->service.deadline_ms =
        model.deadline_ms != 0 ? model.deadline_ms : clock_monotonic_ms() + (uint64_t) ASKING_MS;
    node->engine->methods->serve(node->engine, &asking->service);
}

static const struct engine_service *ask(struct asking *asking, struct node *node, const char *name,
                                        struct engine_service model) {
    begin(asking, node, name, model);
    bench_wait_for(node->bench, asking->is_done);
    assert_string_equal(engine_outcome_text(asking->outcome), engine_outcome_text(ENGINE_OK));
    return &asking->service;
}

static struct engine_service an_acquire(uint64_t ttl_ms) {
    return (struct engine_service){.verb = ENGINE_LEASE_ACQUIRE, .ttl_ms = ttl_ms};
}

static uint64_t acquire(struct node *node, const char *name, uint64_t ttl_ms) {
    struct asking asking;
    return ask(&asking, node, name, an_acquire(ttl_ms))->granted;
}

static bool renew(struct node *node, const char *name, uint64_t token) {
    struct asking asking;
    return ask(&asking, node, name,
               (struct engine_service){.verb = ENGINE_LEASE_RENEW, .token = token, .ttl_ms = LONG_MS})
        ->is_done;
}

/* ---- failovers ---- */

static void kill_primary(redis_sentinel_set_t *set) {
    unsigned old = redis_sentinel_set_primary(set);
    redis_server_kill(redis_sentinel_set_server(set, old));
    redis_sentinel_set_await_failover(set, old);
}

static void restart_killed(redis_sentinel_set_t *set) {
    for (unsigned i = 0; i < REDIS_SENTINEL_SET_SERVERS; i++) {
        if (!redis_server_is_running(redis_sentinel_set_server(set, i))) {
            redis_server_restart(redis_sentinel_set_server(set, i));
        }
    }
    redis_sentinel_set_mend_replication(set); /* the cut stands in the file of one that was promoted meanwhile */
    redis_sentinel_set_await_replicas(set);
}

/* The primary did it all, no replica had it, and it dies. */
static void what_no_replica_has_is_told_to_nobody_and_done_anew_after_a_failover(void **state) {
    redis_sentinel_set_t *set = *state;
    struct bench *bench = bench_new_at(redis_sentinel_set_url(set));
    bench_start_all(bench);
    struct node *one = &bench->nodes[0];
    struct node *two = &bench->nodes[1];
    uint64_t held = acquire(one, "held", LONG_MS);
    assert_true(held > 0);
    redis_sentinel_set_await_replicas(set);
    redis_sentinel_set_cut_replication(set);

    struct asking renewal;
    struct asking granting;
    struct asking counting;
    struct asking reading;
    begin(&renewal, one, "held", (struct engine_service){.verb = ENGINE_LEASE_RENEW, .token = held, .ttl_ms = LONG_MS});
    begin(&granting, one, "granted", an_acquire(LONG_MS));
    begin(&counting, one, "count", (struct engine_service){.verb = ENGINE_KV_INCR, .by = 1});
    bench_pass(bench, 100);
    begin(&reading, two, "count", (struct engine_service){.verb = ENGINE_KV_GET});
    bench_pass(bench, 300);
    assert_false(renewal.is_done || granting.is_done || counting.is_done || reading.is_done);

    kill_primary(set);
    redis_sentinel_set_mend_replication(set);
    bench_wait_for(bench, renewal.is_done && granting.is_done && counting.is_done && reading.is_done);
    assert_int_equal(renewal.outcome, ENGINE_OK);
    assert_true(renewal.service.is_done);
    assert_int_equal(granting.outcome, ENGINE_OK);
    assert_true(granting.service.is_done);
    assert_int_equal(counting.outcome, ENGINE_UNKNOWN); /* once more could be once too often */
    assert_int_equal(reading.outcome, ENGINE_OK);
    assert_false(reading.service.is_done); /* there never was such a key */
    assert_true(acquire(two, "held", LONG_MS) == 0);
    assert_true(acquire(two, "granted", LONG_MS) == 0);
    assert_true(renew(two, "granted", granting.service.granted));
    bench_destroy(bench);
    restart_killed(set);
}

/* ---- a referee over many askings ---- */

enum { NAMES = 3, WORKERS = 12, TTL_MS = 150 };

struct name_story {
    char name[32];
    uint64_t highest; /* token that was answered */
    uint64_t held_ms; /* nobody else may be granted it before, by the answers */
    uint64_t granted[4096];
    unsigned n_granted;
    uint64_t number; /* highest count that was answered */
    uint64_t n_counted;
    uint64_t n_unsure;
};

struct worker {
    struct referee *referee;
    struct node *node;
    unsigned name;
    struct asking asking;
    bool is_busy;
    uint64_t began_ms;
    uint64_t highest_then; /* token or count that was answered when it asked */
    uint64_t token;        /* held */
    uint64_t ends_ms;
};

struct referee {
    struct bench *bench;
    struct name_story names[NAMES];
    struct worker workers[WORKERS];
};

static void judge_grant(struct referee *self, struct worker *worker) {
    struct name_story *story = &self->names[worker->name];
    const struct engine_service *service = &worker->asking.service;
    uint64_t now_ms = clock_monotonic_ms();
    assert_true(service->granted > worker->highest_then);
    for (unsigned i = 0; i < story->n_granted; i++) {
        assert_true(story->granted[i] != service->granted);
    }
    /* Where this process stood still two answers may be here, and the older one be looked at last: its time is over
     * then. The clocks may be slewed. */
    uint64_t ends_ms = worker->began_ms + TTL_MS; /* it was granted later than it was asked for */
    assert_true(now_ms + 1 >= (service->granted > story->highest ? story->held_ms : ends_ms));
    assert_true(story->n_granted < sizeof story->granted / sizeof *story->granted);
    story->granted[story->n_granted++] = service->granted;
    story->highest = service->granted > story->highest ? service->granted : story->highest;
    worker->token = service->granted;
    worker->ends_ms = ends_ms;
    story->held_ms = worker->ends_ms > story->held_ms ? worker->ends_ms : story->held_ms;
}

static void judge_answer(struct referee *self, struct worker *worker) {
    struct name_story *story = &self->names[worker->name];
    const struct engine_service *service = &worker->asking.service;
    bool is_ok = worker->asking.outcome == ENGINE_OK;
    worker->is_busy = false;
    if (service->verb == ENGINE_LEASE_ACQUIRE && is_ok && service->is_done) {
        judge_grant(self, worker);
    } else if (service->verb == ENGINE_LEASE_RELEASE) {
        worker->token = 0;
    } else if (service->verb == ENGINE_KV_INCR && is_ok) {
        assert_true((uint64_t) service->number > worker->highest_then);
        story->number = (uint64_t) service->number > story->number ? (uint64_t) service->number : story->number;
        story->n_counted++;
    } else if (service->verb == ENGINE_KV_INCR && worker->asking.outcome == ENGINE_UNKNOWN) {
        story->n_unsure++;
    }
}

static void act(struct referee *self, struct worker *worker) {
    struct name_story *story = &self->names[worker->name];
    struct engine_service model = an_acquire(TTL_MS);
    uint64_t now_ms = clock_monotonic_ms();
    worker->highest_then = story->highest;
    if (worker->token != 0) {
        /* Given back early, so the next may begin from the asking on; or its time went by. */
        model = (struct engine_service){.verb = ENGINE_LEASE_RELEASE, .token = worker->token};
        story->held_ms = story->highest == worker->token && story->held_ms > now_ms ? now_ms : story->held_ms;
    } else if (random_below(3) == 0) {
        model = (struct engine_service){.verb = ENGINE_KV_INCR, .by = 1};
        worker->highest_then = story->number;
    } else {
        worker->name = (uint32_t) random_below(NAMES);
        worker->highest_then = self->names[worker->name].highest;
    }
    model.deadline_ms = now_ms + 2000;
    worker->began_ms = now_ms;
    worker->is_busy = true;
    begin(&worker->asking, worker->node, self->names[worker->name].name, model);
}

static unsigned n_busy(struct referee *self) {
    unsigned n = 0;
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &self->workers[i];
        if (worker->is_busy && worker->asking.is_done) {
            judge_answer(self, worker);
        }
        n += worker->is_busy;
    }
    return n;
}

static void play(struct referee *self, uint64_t ms) {
    uint64_t end_ms = clock_monotonic_ms() + ms;
    while (clock_monotonic_ms() < end_ms) {
        n_busy(self);
        for (unsigned i = 0; i < WORKERS; i++) {
            if (!self->workers[i].is_busy) {
                act(self, &self->workers[i]);
            }
        }
        bench_pass(self->bench, 5);
    }
}

static struct referee *referee_new(struct bench *bench) {
    struct referee *self = memory_alloc_zero(sizeof *self);
    self->bench = bench;
    for (unsigned i = 0; i < NAMES; i++) {
        char random[9];
        random_base62(random, 8);
        snprintf(self->names[i].name, sizeof self->names[i].name, "name-%s", random);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        self->workers[i] = (struct worker){.referee = self, .node = &bench->nodes[i % NODES]};
    }
    return self;
}

/* Whoever is under way ends; then the counts are compared with what is there. */
static void referee_end(struct referee **self_p) {
    struct referee *self = *self_p;
    uint64_t n_answered = 0;
    bench_wait_for(self->bench, n_busy(self) == 0);
    for (unsigned i = 0; i < NAMES; i++) {
        const struct name_story *story = &self->names[i];
        struct asking reading;
        begin(&reading, &self->bench->nodes[0], story->name, (struct engine_service){.verb = ENGINE_KV_INCR, .by = 1});
        bench_wait_for(self->bench, reading.is_done);
        assert_int_equal(reading.outcome, ENGINE_OK);
        uint64_t number = (uint64_t) reading.service.number - 1;
        assert_in_range(number, story->n_counted, story->n_counted + story->n_unsure);
        n_answered += story->n_granted;
    }
    assert_true(n_answered > 10);
    memory_free(self);
    *self_p = NULL;
}

static void tokens_rise_and_counts_stay_over_a_failover(void **state) {
    redis_sentinel_set_t *set = *state;
    struct bench *bench = bench_new_at(redis_sentinel_set_url(set));
    bench_start_all(bench);
    struct referee *referee = referee_new(bench);
    play(referee, 500);
    unsigned old = redis_sentinel_set_primary(set);
    redis_sentinel_set_cut_replication(set); /* what it does from now on is lost */
    play(referee, 200);
    redis_server_kill(redis_sentinel_set_server(set, old));
    play(referee, 300);
    redis_sentinel_set_await_failover(set, old);
    redis_sentinel_set_mend_replication(set);
    play(referee, 1500);
    restart_killed(set);
    play(referee, 1000);
    referee_end(&referee);
    bench_destroy(bench);
}

/* ---- one server ---- */

static void tokens_rise_and_counts_stay_while_links_are_cut(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench_start_all(bench);
    struct referee *referee = referee_new(bench);
    for (int i = 0; i < 10; i++) {
        play(referee, 150);
        char *answer = redis_server_command(bench->server, "CLIENT KILL TYPE normal");
        memory_free(answer);
    }
    play(referee, 500);
    referee_end(&referee);
    bench_destroy(bench);
}

static void key_of(const char *name, char ret_key[96]) {
    struct partition_tag tags[PARTITIONS];
    partition_tags(PARTITIONS, tags);
    snprintf(ret_key, 96, "cb:{%s}:l:%s", tags[partition_of(span_of_text(name), PARTITIONS)].text, name);
}

/* The record says more than the clock; then there is no record, and the clock is an hour behind what was answered. */
static void tokens_rise_where_the_clock_is_behind_and_where_the_record_is_gone(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench_start_all(bench);
    char key[96];
    char ahead[32];
    key_of("job", key);
    uint64_t first = acquire(&bench->nodes[0], "job", 1);
    assert_true(first / 1000 - (uint64_t) clock_wall_ms() + 60000 < 120000); /* microseconds of the wall clock */
    uint64_t later = first + 3600000000U;
    snprintf(ahead, sizeof ahead, "%llu", (unsigned long long) later);
    redis_server_expect(bench->server, "0", "HSET %s t %s", key, ahead);
    uint64_t second = 0;
    bench_wait_for(bench, (second = acquire(&bench->nodes[0], "job", LONG_MS)) != 0);
    assert_true(second == later + 1);
    redis_server_expect(bench->server, "OK", "FLUSHALL");
    assert_true(acquire(&bench->nodes[0], "job", LONG_MS) > second);
    assert_false(renew(&bench->nodes[0], "job", second));
    assert_false(renew(&bench->nodes[1], "job", second));
    bench_destroy(bench);
}

static void foreign_bytes_under_our_keys_are_named_and_touch_nothing_else(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench_start_all(bench);
    struct asking asking;
    char key[96];
    key_of("odd", key);
    redis_server_expect(bench->server, "OK", "SET %s x", key);
    begin(&asking, &bench->nodes[0], "odd", an_acquire(LONG_MS));
    bench_wait_for(bench, asking.is_done);
    assert_int_equal(asking.outcome, ENGINE_CORRUPT);
    strchr(key, '}')[2] = 'v';
    redis_server_expect(bench->server, "1", "RPUSH %s x", key);
    begin(&asking, &bench->nodes[0], "odd", (struct engine_service){.verb = ENGINE_KV_GET});
    bench_wait_for(bench, asking.is_done);
    assert_int_equal(asking.outcome, ENGINE_CORRUPT);
    assert_true(acquire(&bench->nodes[0], "even", LONG_MS) > 0);
    bench_destroy(bench);
}

/* A broker that keeps asking keeps its turn; one that was silent for three seconds lost it. */
static void a_broker_that_is_gone_holds_nobody_up(void **state) {
    (void) state;
    struct bench *bench = bench_new(NULL);
    bench_start_all(bench);
    char key[96];
    key_of("turn", key);
    acquire(&bench->nodes[1], "turn", 1);
    bench_pass(bench, 5); /* it ends */
    struct asking asking;
    char entry[22] = "b:gone-broker";
    char *time = redis_server_command(bench->server, "TIME");
    uint64_t now_us = strtoull(time, NULL, 10) * 1000000;
    memory_free(time);
    for (unsigned i = 0; i < 8; i++) {
        entry[14 + i] = (char) (now_us >> (8 * i));
    }
    redis_server_expect(bench->server, "0", "HSET %s q %b", key, entry, sizeof entry);
    ask(&asking, &bench->nodes[0], "turn", an_acquire(LONG_MS));
    assert_false(asking.service.is_done); /* it may come back yet */
    now_us -= 3100000;
    for (unsigned i = 0; i < 8; i++) {
        entry[14 + i] = (char) (now_us >> (8 * i));
    }
    redis_server_expect(bench->server, "0", "HSET %s q %b", key, entry, sizeof entry);
    assert_true(acquire(&bench->nodes[0], "turn", LONG_MS) > 0);
    bench_destroy(bench);
}

static int start_set(void **state) {
    *state = redis_sentinel_set_start(NULL);
    return 0;
}

static int stop_set(void **state) {
    redis_sentinel_set_t *set = *state;
    redis_sentinel_set_stop(&set);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_no_replica_has_is_told_to_nobody_and_done_anew_after_a_failover),
        cmocka_unit_test(tokens_rise_and_counts_stay_over_a_failover),
        cmocka_unit_test(tokens_rise_and_counts_stay_while_links_are_cut),
        cmocka_unit_test(tokens_rise_where_the_clock_is_behind_and_where_the_record_is_gone),
        cmocka_unit_test(foreign_bytes_under_our_keys_are_named_and_touch_nothing_else),
        cmocka_unit_test(a_broker_that_is_gone_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, start_set, stop_set);
}
