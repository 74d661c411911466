/* Who serves what, as the simulated Sentinels and cluster nodes tell it: each has a view of its own, which is told of a
 * change in its own time, so that two brokers may hear differently, or one of them late.
 *
 *   truth: primary of each group, group of each unit of slots ──late──▶ views ──▶ SENTINEL …, CLUSTER …, MOVED
 *
 * A unit is what moves between groups as one: the slots of the two partitions that have channels, and all others. While
 * one moves its keys go over one by one, as MIGRATE takes them: the old node answers ASK where a command's keys are all
 * gone or not yet made, TRYAGAIN where some are; the new one answers MOVED to the old until it owns the slots. Commands
 * behind ASKING are not modelled: nobody sends them. */
#ifndef CALLBOARD_TESTS_SIMULATION_MODEL_TOPOLOGY_H
#define CALLBOARD_TESTS_SIMULATION_MODEL_TOPOLOGY_H

#include "tests/simulation/model_server.h"

enum model_topology { MODEL_NAMED, MODEL_SENTINELS, MODEL_CLUSTER };
enum { MODEL_GROUPS = 2, MODEL_UNITS = 3, MODEL_SENTINELS_MADE = 3 };

/* `servers` of each group, the first of them its primary. Behind model_begin. */
void model_topology_begin(enum model_topology kind, int servers);
void model_topology_end(void);
enum model_topology model_topology_kind(void);
int model_topology_groups(void);
/* What brokers are configured with. */
const char *model_topology_url(void);

/* The group that serves the key now. */
int model_topology_group_of(struct span key);
/* `primary` is its group's from now on; everyone hears of it in his own time below late_us, the server itself at once.
 */
void model_topology_promoted(const struct model_server *primary, uint64_t late_us);
/* This one hears of everything now: a server that was turned into a replica. */
void model_topology_tell(const struct model_server *server);

/* ---- faults ---- */
/* A Sentinel or node hears of nothing until then, and tells what it knew. */
void model_topology_freeze(int viewer, uint64_t until_us);
/* Some Sentinel, or some node. */
int model_topology_any_viewer(void);
/* The unit begins to move to the other group; false: it cannot now. */
bool model_topology_move(int unit, uint64_t late_us);
bool model_topology_is_moving(void);
/* A node ends the subscriptions to all its topics, as one whose slots go and come back. */
void model_topology_take_topics_back(struct model_server *server);
/* What moves has moved, and everyone knows everything. */
void model_topology_heal(void);

/* ---- for the servers ---- */
/* SENTINEL, CLUSTER, RESTORE (in words of the simulation's own) */
void model_topology_command(struct model_call *call);
/* Answered with MOVED, ASK or TRYAGAIN: true. */
bool model_topology_redirects(struct model_call *call);

#endif
