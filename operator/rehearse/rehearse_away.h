/* What a rehearsal has taken away, and how it comes back: a Redis or a Sentinel that stands still for a time (it goes
 * on by itself, whatever becomes of us), or one that a program of the user's stops and starts. Thread: the owner's. */
#ifndef CALLBOARD_OPERATOR_REHEARSE_AWAY_H
#define CALLBOARD_OPERATOR_REHEARSE_AWAY_H

#include "operator/redis/redis_dialer.h"

enum { REHEARSE_AWAY_MAX = 32 };

struct rehearse_hooks { /* called with redis or sentinel, the host, the port; exit 0: done. NULL: none */
    const char *stop;
    const char *start;
};

enum rehearse_standstill {
    REHEARSE_PAUSED,  /* CLIENT PAUSE: nobody is answered, but a cluster's bus goes on */
    REHEARSE_ASLEEP,  /* DEBUG SLEEP: all of it stands still. Needs enable-debug-command */
    REHEARSE_STOPPED, /* by the hook */
};

struct rehearse_away_entry {
    enum redis_service service;
    struct redis_pod pod;
    enum rehearse_standstill how;
    uint64_t until_ms; /* PAUSED, ASLEEP: when it goes on by itself */
};

struct rehearse_away {
    redis_dialer_t *dialer;
    struct rehearse_hooks hooks;
    struct rehearse_away_entry entries[REHEARSE_AWAY_MAX];
    size_t n;
};

/* False: ret_error says why it is not away. `how` STOPPED where there are hooks. */
bool rehearse_away_take(struct rehearse_away *self, enum redis_service service, const struct redis_pod *pod,
                        enum rehearse_standstill how, uint64_t ms, char *ret_error, size_t error_size);
/* Starts what was stopped. False: some are not back; each is told. What stands still is waited for by its own time. */
bool rehearse_away_start_all(struct rehearse_away *self, void (*tell)(void *context, const char *text), void *context);
/* When the last of those that stand still goes on; 0: none. */
uint64_t rehearse_away_until_ms(const struct rehearse_away *self);

#endif
