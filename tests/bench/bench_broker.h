/* A broker inside a benchmark's process, with one shard, and one gateway worker that subscribes to many channels of it.
 * Thread: the program's. */
#ifndef CALLBOARD_TESTS_BENCH_BROKER_H
#define CALLBOARD_TESTS_BENCH_BROKER_H

#include "base/config_reader.h"
#include "broker/broker.h"
#include "tests/support/wire_client.h"

enum { BENCH_BATCH = 100, BENCH_CHANNEL_NAME_MAX = 32 };

struct bench_broker {
    struct broker_config config;
    void *zmq_context;
    metrics_t *metrics;
    broker_t *broker;
    wire_client_t *client;
};

/* yaml: the broker's whole configuration. Ends the program where it cannot start. */
void bench_broker_start(struct bench_broker *self, const char *yaml);
void bench_broker_stop(struct bench_broker *self);
/* kept:000000… into `text`. */
const char *bench_channel_name(char *text, unsigned number);
/* Subscribes to n channels from `first` on (handle: number + 1), n a multiple of BENCH_BATCH; waits for the answers. */
void bench_subscribe(wire_client_t *client, unsigned first, unsigned n);

#endif
