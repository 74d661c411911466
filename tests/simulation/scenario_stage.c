/* See scenario_stage.h. */
#include "tests/simulation/scenario_stage.h"

static bool is_traced;

void scenario_trace(bool traced) {
    is_traced = traced;
}

void begin_with(const struct world_options *options) {
    world_begin(7, is_traced, options);
    pass(500);
}

void begin_routed(enum model_topology topology, enum world_durability durability, int servers, int brokers) {
    const struct world_options options = {.servers = servers,
                                          .topology = topology,
                                          .brokers = brokers,
                                          .gateways = 2,
                                          .durability = durability,
                                          .disk = MODEL_DISK_EVERYSEC,
                                          .is_sharded = true,
                                          .has_special = true,
                                          .compared_channels = 50000,
                                          .history_size = 100,
                                          .topic_idle_ms = 60000,
                                          .command_timeout_ms = 2000};
    begin_with(&options);
}

void begin(enum world_durability durability, int servers, int brokers) {
    begin_routed(MODEL_NAMED, durability, servers, brokers);
}

void pass(uint64_t ms) {
    sim_run_until(sim_now_us() + ms * MS);
}

void end(void) {
    if (sim_failure() == NULL) {
        world_heal();
        world_judge();
    }
}

int publish(int channel, int broker) {
    return world_publish(channel, 0, broker, false, 1);
}

void publish_many(int channel, unsigned n) {
    for (unsigned i = 0; i < n; i++) {
        publish(channel, -1);
    }
    pass(200);
}

bool is_ok(int publication) {
    return world_is_done(publication) && world_result(publication)->outcome == PUBLISH_OK;
}

bool is_at(int session, uint64_t offset) {
    struct position at;
    return checker_is_joined(session) && checker_session_position(session, &at) && at.offset == offset;
}

struct position position_of(int session) {
    struct position at = {.offset = 0};
    checker_session_position(session, &at);
    return at;
}

int join(int channel, int gateway) {
    int session = checker_add_session(channel);
    world_join(session, gateway);
    pass(300);
    return session;
}

struct model_server *server(int number) {
    return &model_world.servers[number];
}

void cut_replication_for(uint64_t ms) {
    for (int i = 0; i < model_world.n; i++) {
        server(i)->link_cut_us = sim_now_us() + ms * MS;
    }
}

void cut_replication(void) {
    cut_replication_for(3000);
}

void fail_over(int to) {
    world_fail_over(server(to), 0);
}
