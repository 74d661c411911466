/* What the worked scenarios share: a small world, and short words for what is done and seen in it. */
#ifndef CALLBOARD_TESTS_SIMULATION_SCENARIO_STAGE_H
#define CALLBOARD_TESTS_SIMULATION_SCENARIO_STAGE_H

#include "tests/simulation/world.h"

struct scenario {
    const char *name;
    void (*run)(void);
};

void scenario_trace(bool is_traced);
/* Two gateways; `servers` of one group. */
void begin(enum world_durability durability, int servers, int brokers);
void begin_with(const struct world_options *options);
/* `servers` of each group of a cluster. */
void begin_routed(enum model_topology topology, enum world_durability durability, int servers, int brokers);
/* Heals and judges. */
void end(void);
void pass(uint64_t ms);

int publish(int channel, int broker); /* once, without a key */
void publish_many(int channel, unsigned n);
bool is_ok(int publication);
int join(int channel, int gateway); /* returns the session */
bool is_at(int session, uint64_t offset);
struct position position_of(int session);

struct model_server *server(int number);
void cut_replication(void); /* for 3 s */
void cut_replication_for(uint64_t ms);
void fail_over(int to);

#define expect(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            sim_fail("line %d: %s", __LINE__, #condition);                                                             \
        }                                                                                                              \
    } while (0)

#endif
