/* Memory of idle channels in a broker: growth of this process's PSS while one gateway worker subscribes to N channels
 * with history, by N. The broker runs inside, with one shard and without tails; the worker speaks the wire and keeps
 * nothing for a channel. Not a test: tests/bench/README.md.
 *
 *     idle_channels N [redis://host:port] [publications]    prints: bytes a channel
 *
 * Some channels come before the first measurement, so that what is allocated once is not in it. */
#include "tests/bench/bench_broker.h"

#include "base/check.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 1000 };

static const char config_format[] = "broker: {id: bench, shards: 1, peer_timeout: 10m, tail_messages: %d, "
                                    "tails_bytes: 16GiB}\n"
                                    "backend: {endpoint: \"\", pull_endpoint: \"\"}\n"
                                    "memory: {bytes: 16GiB}\n"
                                    "redis: {url: \"%s\"}\n"
                                    "namespaces: [{name: kept, history_size: 100, history_ttl: 1h}]\n";

static size_t pss(void) {
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    check(file != NULL, "/proc/self/smaps_rollup cannot be read");
    char line[256];
    size_t kib = 0;
    while (fgets(line, sizeof line, file) != NULL && sscanf(line, "Pss: %zu kB", &kib) != 1) {
    }
    fclose(file);
    return kib * 1024;
}

static void publish(wire_client_t *client, unsigned first, unsigned n) {
    char name[BENCH_CHANNEL_NAME_MAX];
    for (unsigned i = 0; i < n; i++) {
        wire_client_publish(client, bench_channel_name(name, first + i),
                            "{\"text\":\"a publication of the usual kind, some hundred "
                            "bytes long, as chats and tickers have them\"}");
        wire_client_expect(client, WIRE_PUSH);
        wire_client_expect(client, WIRE_PUBLISHED);
    }
}

int main(int n_arguments, char **arguments) {
    unsigned n = n_arguments > 1 ? (unsigned) atoi(arguments[1]) : 0;
    if (n == 0 || n % BENCH_BATCH != 0) {
        fprintf(stderr, "usage: idle_channels N [redis-url] [publications]; N a multiple of %d\n", BENCH_BATCH);
        return 2;
    }
    unsigned n_publications = n_arguments > 3 ? (unsigned) atoi(arguments[3]) : 0;
    char text[1024];
    snprintf(text, sizeof text, config_format, n_publications > 0 ? 16 : 0, n_arguments > 2 ? arguments[2] : "");
    struct bench_broker bench;
    bench_broker_start(&bench, text);

    bench_subscribe(bench.client, 0, WARM_UP);
    malloc_trim(0);
    size_t before = pss();
    bench_subscribe(bench.client, WARM_UP, n);
    for (unsigned i = 0; i < n_publications; i++) {
        publish(bench.client, WARM_UP, n);
    }
    malloc_trim(0);
    printf("%.1f\n", (double) (pss() - before) / n);

    bench_broker_stop(&bench);
    return 0;
}
