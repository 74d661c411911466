/* How long a broker takes to stand again behind a restart of Redis: N channels with history, one subscription each.
 *
 *     reopen_channels N redis://host:port
 *
 * Prints "ready" and waits for a line: Redis was restarted and answers. Then one publication goes into a channel of
 * each of the 256 partitions. Prints: seconds until all of these are acked (every partition is open), seconds until
 * each of the N subscriptions was told its new position (durability fast: every channel was read). The back-off of the
 * links is in both. Not a test: tests/bench/README.md. */
#include "tests/bench/bench_broker.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/partition.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARTITIONS = 256, WAIT_MS = 120000 };

static const char config_format[] =
    "broker: {id: bench, shards: 1, peer_timeout: 10m, tail_messages: 0, "
    "publish_timeout: 60s}\n"
    "backend: {endpoint: \"\", pull_endpoint: \"\"}\n"
    "redis: {url: \"%s\"}\n"
    "namespaces: [{name: kept, history_size: 100, history_ttl: 1h, durability: fast}]\n";

/* The first channel of each partition. */
static void publish_everywhere(wire_client_t *client, unsigned n_channels) {
    bool done[PARTITIONS] = {false};
    char name[BENCH_CHANNEL_NAME_MAX];
    for (unsigned i = 0; i < n_channels; i++) {
        uint32_t partition = partition_of(span_of_text(bench_channel_name(name, i)), PARTITIONS);
        if (!done[partition]) {
            done[partition] = true;
            wire_client_publish(client, name, "{}");
        }
    }
}

int main(int n_arguments, char **arguments) {
    unsigned n = n_arguments > 2 ? (unsigned) atoi(arguments[1]) : 0;
    if (n < 100 * PARTITIONS || n % BENCH_BATCH != 0) {
        fprintf(stderr, "usage: reopen_channels N redis-url; N at least %d and a multiple of %d\n", 100 * PARTITIONS,
                BENCH_BATCH);
        return 2;
    }
    char text[1024];
    snprintf(text, sizeof text, config_format, arguments[2]);
    struct bench_broker bench;
    bench_broker_start(&bench, text);
    bench_subscribe(bench.client, 0, n);
    printf("ready\n");
    fflush(stdout);
    check(fgets(text, sizeof text, stdin) != NULL, "nobody said go");
    uint64_t start_us = clock_monotonic_us();
    publish_everywhere(bench.client, n);
    unsigned n_acked = 0;
    unsigned n_told = 0;
    uint64_t acked_us = 0;
    struct wire_received frame;
    while ((n_acked < PARTITIONS || n_told < n) && wire_client_receive(bench.client, &frame, WAIT_MS)) {
        check(frame.kind != WIRE_ERROR, "a publication was refused");
        n_told += frame.kind == WIRE_LOST;
        n_acked += frame.kind == WIRE_PUBLISHED;
        if (n_acked == PARTITIONS && acked_us == 0) {
            acked_us = clock_monotonic_us();
        }
    }
    check(n_acked == PARTITIONS && n_told >= n, "%u acked, %u told", n_acked, n_told);
    printf("%.3f %.3f\n", (double) (acked_us - start_us) / 1e6, (double) (clock_monotonic_us() - start_us) / 1e6);
    bench_broker_stop(&bench);
    return 0;
}
