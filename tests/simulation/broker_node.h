/* A broker of the simulation: one real shard (the first of SHARDS) with the real engine on a process of its own. The
 * switchboard's part, who is linked and where batches go, is gateway_node.c's. */
#ifndef CALLBOARD_TESTS_SIMULATION_BROKER_NODE_H
#define CALLBOARD_TESTS_SIMULATION_BROKER_NODE_H

#include "base/bytes.h"
#include "tests/simulation/sim.h"

enum { BROKERS_MAX = 4, BROKER_SHARDS = 32, BROKER_PARTITIONS = 64 };

struct sim_process;

struct broker_settings {
    const char *redis_url;
    bool confirms_by_replicas; /* what makes safe channels sure; else the disk */
    bool is_safe;              /* what the namespace "x" is; "f" is always fast, "s" safe where the code has it */
    int64_t history_size;
    int64_t compared_channels;
    int64_t topic_idle_ms;
    int64_t command_timeout_ms;
};

void brokers_begin(int n, const struct broker_settings *settings);
void brokers_end(void);
int brokers_count(void);
bool broker_is_up(int broker);
struct sim_process *broker_process(int broker);
/* Starts a new process under that broker's id. */
void broker_start(int broker);
/* With other settings from its next start on. */
void broker_set(int broker, const struct broker_settings *settings);
/* Nothing of it runs any more; its connections are cut. */
void broker_crash(int broker);
/* Takes no new subscriptions and publications. */
void broker_drain(int broker);
/* Ends as a process does that was asked to. */
void broker_stop(int broker);

/* ---- the switchboard's part ---- */
void broker_peer_joined(int broker, uint32_t number, uint64_t link_epoch, struct span gateway_id, uint64_t boot_nonce);
void broker_peer_left(int broker, uint32_t number);
void broker_batch(int broker, uint32_t number, struct span batch);

#endif
