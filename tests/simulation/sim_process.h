/* A process of the simulation: one event loop whose libuv calls, clocks, random numbers and log are ours (sim_uv.c,
 * sim_base.c), and the actor that runs on it (sim_actor.c). Its turn is libuv's: sockets, inbox, closing handles,
 * timers, idle handlers, then the flush, and sleep until something is due.
 *
 * Faults: it stands still for a while (nothing runs, time goes on), or it dies (nothing runs any more; its sockets are
 * cut by who kills it). */
#ifndef CALLBOARD_TESTS_SIMULATION_SIM_PROCESS_H
#define CALLBOARD_TESTS_SIMULATION_SIM_PROCESS_H

#include "base/actor.h"
#include "base/list.h"
#include "tests/simulation/sim.h"

struct sim_process {
    char name[24];
    uv_loop_t loop;
    struct list_link handles; /* every handle that was made and not closed: handle_queue */
    struct list_link closing;
    struct list_link requests; /* address look-ups under way */
    actor_t *actor;
    bool is_dead;
    uint64_t still_until_us; /* stands still */
    uint64_t clock_ahead_ms; /* of the wall clock; wraps below zero */
    uint64_t wake_us;        /* of the wake that is planned; UINT64_MAX: none */
    uint64_t wake_number;
    uint64_t latency_us; /* from what wakes it to its turn, at most */
    int index;
};

void sim_process_init(struct sim_process *self, const char *name, int index);
/* Whose code runs now; NULL: the world's. */
struct sim_process *sim_process_current(void);
void sim_process_enter(struct sim_process *self); /* NULL: leave */
/* Something has come for it: it takes its turn soon. */
void sim_process_wake(struct sim_process *self);
void sim_process_stand_still(struct sim_process *self, uint64_t until_us);
/* Runs its turns now until its loop holds no handle. */
void sim_process_run_out(struct sim_process *self);

/* ---- between the files that stand in for libuv and the actor ---- */
/* Timers, idle handlers, sockets and closings of one turn; *ret_next_us: when the loop has to turn again. */
void sim_uv_poll(struct sim_process *self);
void sim_uv_close_handles(struct sim_process *self);
void sim_uv_timers(struct sim_process *self);
uint64_t sim_uv_next_us(const struct sim_process *self);
bool sim_uv_is_empty(const struct sim_process *self);
void sim_actor_take_inbox(actor_t *self);
void sim_actor_flush(actor_t *self);
/* Its inbox is dropped and it is stopped at once, as its memory goes with a dead process. */
void sim_actor_abandon(actor_t *self);

#endif
