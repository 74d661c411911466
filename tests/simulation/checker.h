/* What was promised, checked while a schedule runs (reliability.md's C1 to C9): everything a session or a publisher is
 * told comes through here, and the births of epochs as the simulated Redis sees them.
 *
 * C1 agreement: one publication a (channel, epoch, offset). C2 density: a session's offsets go in steps of one. C3
 * acked is kept and seen. C4 no phantom. C5 once: a key has one effect, but where a failover lost it and told so. C6
 * real time. C7 `recovered` is honest, a needless "no" too. C8 epochs change only for a reason. C9 (schedule.c)
 * liveness. */
#ifndef CALLBOARD_TESTS_SIMULATION_CHECKER_H
#define CALLBOARD_TESTS_SIMULATION_CHECKER_H

#include "base/bytes.h"
#include "base/position.h"
#include "tests/simulation/gateway_node.h"

enum { CHANNELS_MAX = 8, SESSIONS_MAX = 24, PUBLICATIONS_MAX = 2048 };

void checker_begin(void);
/* Returns its number. */
int checker_add_channel(const char *name, bool is_safe, int64_t history_size);
int checker_channels(void);
const char *checker_channel_name(int channel);
int checker_find_channel(struct span name);
bool checker_is_safe(int channel);
/* Redis was made to forget something of it. */
bool checker_has_losses(int channel);

/* ---- what happened to Redis ---- */
/* A new reign: epochs of fast channels may change, once each. */
void checker_note_reign(void);
bool checker_has_reigns(void); /* there was any */
/* Redis was made to forget, or told of another durability: any epoch may change, and what was acked may be gone. */
void checker_note_loss(int channel); /* -1: all */
/* The simulated Redis wrote this for a channel: its epoch, its top before the change, its top behind it. */
void checker_saw_meta(int server, struct span channel, struct span epoch, uint64_t base, uint64_t top);

/* ---- publishers ---- */
/* A publication is about to be tried; its payload is its number as text. */
int checker_invoke(int channel);
void checker_attempt(int id);
/* One attempt ended. */
void checker_published(int id, const struct publish_result *result);

/* ---- sessions ---- */
int checker_add_session(int channel);
int checker_sessions(void);
int checker_session_channel(int session);
/* Its position, to join from; false: it has none. */
bool checker_session_position(int session, struct position *ret_position);
/* The answer; what was recovered follows as received, then the end. */
void checker_joined(int session, bool has_history, bool has_since, const struct position *since, bool recovered,
                    const struct position *position);
void checker_join_ended(int session);
void checker_received(int session, uint64_t offset, struct span data);
/* by_broker: not for the gateway's own patience being over. */
void checker_lost(int session, bool by_broker, const struct position *position);
void checker_left(int session);
bool checker_is_joined(int session);

/* ---- the end ---- */
/* Every session that is joined stands at this position, the keys' owner says. */
bool checker_stands_at(int session, const struct position *top);
/* What Redis holds in the end: the epoch, and id of the publication at an offset (0: no entry). */
void checker_final(int channel, struct span epoch, uint64_t first, uint64_t top, int (*id_at)(void *context, uint64_t),
                   void *context);
uint64_t checker_acked(void);
uint64_t checker_deliveries(void);

#endif
