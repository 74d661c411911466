/* Memory of idle channels in a broker: growth of this process's PSS while one gateway worker subscribes to N channels
 * with history, by N. The broker runs inside, with one shard and without tails; the worker speaks the wire and keeps
 * nothing for a channel. Not a test: tests/bench/README.md.
 *
 *     idle_channels N [redis://host:port] [publications]    prints: bytes a channel
 *
 * Some channels come before the first measurement, so that what is allocated once is not in it. */
#include "base/check.h"
#include "base/log.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "tests/support/wire_client.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define ENDPOINT "inproc://idle-channels"

enum { WARM_UP = 1000, BATCH = 100, CHANNEL_NAME_MAX = 32 };

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

/* Waits for so many answers of the kind. */
static void await(wire_client_t *client, uint8_t kind, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        wire_client_expect(client, kind);
    }
}

static const char *name_of(char *text, unsigned number) {
    snprintf(text, CHANNEL_NAME_MAX, "kept:%06u", number);
    return text;
}

static void subscribe(wire_client_t *client, unsigned first, unsigned n) {
    char name[CHANNEL_NAME_MAX];
    for (unsigned i = 0; i < n; i += BATCH) {
        struct buffer *batch = wire_client_batch(client, 0);
        for (unsigned k = 0; k < BATCH; k++) {
            struct wire_subscribe frame = {.request = first + i + k + 1,
                                           .handle = first + i + k + 1,
                                           .channel = span_of_text(name_of(name, first + i + k))};
            check(wire_encode_subscribe(batch, &frame), "SUBSCRIBE");
        }
        wire_client_send(client, 0, BATCH);
        await(client, WIRE_SUBSCRIBED, BATCH);
    }
}

static void publish(wire_client_t *client, unsigned first, unsigned n) {
    char name[CHANNEL_NAME_MAX];
    for (unsigned i = 0; i < n; i++) {
        wire_client_publish(client, name_of(name, first + i),
                            "{\"text\":\"a publication of the usual kind, some hundred "
                            "bytes long, as chats and tickers have them\"}");
        wire_client_expect(client, WIRE_PUSH);
        wire_client_expect(client, WIRE_PUBLISHED);
    }
}

int main(int n_arguments, char **arguments) {
    unsigned n = n_arguments > 1 ? (unsigned) atoi(arguments[1]) : 0;
    if (n == 0 || n % BATCH != 0) {
        fprintf(stderr, "usage: idle_channels N [redis-url] [publications]; N a multiple of %d\n", BATCH);
        return 2;
    }
    unsigned n_publications = n_arguments > 3 ? (unsigned) atoi(arguments[3]) : 0;
    char text[1024];
    snprintf(text, sizeof text, config_format, n_publications > 0 ? 16 : 0, n_arguments > 2 ? arguments[2] : "");
    struct broker_config config = {0};
    struct config_part part = {&broker_config_table, &config};
    struct buffer errors = BUFFER_EMPTY;
    struct config_source source = {.file_name = "bench", .file_text = span_of_text(text)};
    log_set_level(LOG_LEVEL_ERROR);
    check(config_read(&part, 1, &source, &errors), "%.*s", (int) errors.size, (const char *) errors.data);
    void *zmq_context = zmq_ctx_new();
    metrics_t *metrics = metrics_new();
    char error[512] = "";
    broker_t *broker = broker_new(&(struct broker_options){.config = &config,
                                                           .zmq_context = zmq_context,
                                                           .metrics = metrics,
                                                           .inproc_endpoint = ENDPOINT,
                                                           .no_endpoint = true},
                                  error, sizeof error);
    check(broker != NULL, "%s", error);
    wire_client_t *client = wire_client_new(
        &(struct wire_client_options){.zmq_context = zmq_context, .endpoint = ENDPOINT, .gateway_id = "bench"});
    wire_client_link(client);

    subscribe(client, 0, WARM_UP);
    malloc_trim(0);
    size_t before = pss();
    subscribe(client, WARM_UP, n);
    for (unsigned i = 0; i < n_publications; i++) {
        publish(client, WARM_UP, n);
    }
    malloc_trim(0);
    printf("%.1f\n", (double) (pss() - before) / n);

    wire_client_destroy(&client);
    broker_destroy(&broker);
    metrics_destroy(&metrics);
    zmq_ctx_term(zmq_context);
    config_finish(&part, 1);
    return 0;
}
