/* A whole schedule: servers, brokers, gateways, sessions and publishers, set up from options, healed and judged at the
 * end. What happens in between, a seed decides (nemesis.c) or a scenario (scenarios.c). */
#ifndef CALLBOARD_TESTS_SIMULATION_WORLD_H
#define CALLBOARD_TESTS_SIMULATION_WORLD_H

#include "tests/simulation/broker_node.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/model_topology.h"
#include "tests/simulation/sim.h"
#include "tests/simulation/sim_network.h"
#include "tests/simulation/sim_process.h"

enum world_durability { WORLD_FAST, WORLD_SAFE, WORLD_MIXED };

struct world_options {
    int servers; /* the first one is the primary, the others its replicas; of each group of a cluster */
    enum model_topology topology;
    int brokers;
    int gateways;
    unsigned gateway_credit; /* frames; 0: as shipped */
    enum world_durability durability;
    enum model_disk disk;
    bool is_sharded; /* SSUBSCRIBE */
    bool
        has_special; /* two channels more: 3 passes live while Redis is away, 4 is fast or safe as each broker is set */
    int64_t compared_channels; /* a second; 0: a key that goes alone is told with the next publication */
    int64_t history_size;
    int64_t topic_idle_ms;
    int64_t command_timeout_ms;
};

void world_begin(uint64_t seed, bool trace, const struct world_options *options);
/* Ends everything, frees. */
void world_end(void);

/* ---- who is who ---- */
/* The newest primary of a group, which the administrators mean. */
struct model_server *world_primary(int group);
/* The replica that knows most; NULL: none is alive. */
struct model_server *world_best_replica(int group);
/* Nothing that was confirmed is lost by it; true where nothing has to be. */
bool world_may_promote(const struct model_server *server);
/* A replica is promoted, and named to the brokers, or to the Sentinels or nodes that tell them, each in its own time
 * below late_us. */
void world_fail_over(struct model_server *to, uint64_t late_us);
/* The channel's meta key goes, alone. */
void world_delete_meta(int channel);
/* Its members go, with what its partition was opened under. */
void world_delete_members(int channel);
/* What brokers are started with; to be changed for broker_set. */
struct broker_settings world_settings(void);
/* 0 and 1 lie in one partition, 2 in another. */
const char *world_channel(int number);

/* ---- work ---- */
/* A publisher begins: `tries` attempts, later ones under the same key. Returns the publication's number. */
int world_publish(int channel, int gateway, int broker, bool is_keyed, unsigned tries);
/* Its publisher, who has his last answer, tries once more. */
void world_publish_again(int publication);
bool world_is_done(int publication); /* its publisher has its last answer */
/* Its last answer. */
const struct publish_result *world_result(int publication);
void world_join(int session, int gateway);
void world_leave(int session);

/* ---- the end ---- */
/* No faults any more: one primary, everybody reaches it. */
void world_heal(void);
/* Everything comes to rest, a canary passes on every channel through every broker, sessions and Redis agree. */
void world_judge(void);

/* ---- nemesis.c ---- */
/* Plans the faults and the work of sim_seed() into the next `us`. */
void nemesis_plan(uint64_t us, unsigned n_faults);
void nemesis_heal(void);
/* In all schedules to come half of the sessions are present in their channels. */
void nemesis_show_presence(void);
/* In all schedules to come no gateway is killed or slow: there is more of everything else. */
void nemesis_spare_gateways(void);
const char *nemesis_summary(void);

#endif
