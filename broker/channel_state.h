/* A channel in a shard actor as a pure function: events in, actions out; no clock, no I/O, no memory of its own. The
 * table is redis.md, "State machines: Channel in an actor"; channel.c does what the actions say.
 *
 *              SUBSCRIBE                 loaded                       hole, doubt
 *   ABSENT ───────────────▶ LOADING ───────────────▶ LIVE ───────────────────────────────▶ HEALING
 *     │ ▲                      │  failed: ABSENT     │ ▲ ▲           loaded, run unbroken      │ │
 *     │ │                      │                     │ │ └─────────────────────────────────────┘ │
 *     │ │              nobody waits any more         │ │    trimmed away or another epoch: LOST,   │
 *     │ │                      │           last left │ │    then LIVE at the new position          │
 *     │ │ time, doubt          ▼                     ▼ │ SUBSCRIBE     (a publication of another   │
 *     └─┴──────────────────── IDLE ◀──────────────────┴──────────────── epoch: LOST in any state) ──┘
 *   own publication: a tail of one
 *
 * The cursor is the last offset told; only its advance pushes. At most one load is out. Publications that come while a
 * load decides are kept as one unbroken run; what does not fit there is dropped and `load_again` remembers it.
 * Thread: any (no state but the caller's). */
#ifndef CALLBOARD_BROKER_CHANNEL_STATE_H
#define CALLBOARD_BROKER_CHANNEL_STATE_H

#include "base/position.h"

#include <stdbool.h>
#include <stdint.h>

enum channel_phase { CHANNEL_ABSENT, CHANNEL_LOADING, CHANNEL_LIVE, CHANNEL_HEALING, CHANNEL_IDLE };

struct channel_state {
    enum channel_phase phase;
    struct position cursor;  /* last told; empty epoch: the channel has no positions (or was not loaded) */
    struct epoch past;       /* the epoch before: what still comes of it is late, epochs never come back */
    bool load_out;           /* a load is under way */
    bool load_again;         /* behind it another is needed */
    struct epoch load_epoch; /* the cursor's when it was sent */
    struct epoch kept_epoch; /* of the kept run */
    uint64_t kept_first;     /* 0: nothing is kept */
    uint64_t kept_last;
};

enum channel_event_kind {
    CHANNEL_ON_SUBSCRIBE,   /* somebody waits for an answer; needs_load: what channel_recover said */
    CHANNEL_ON_PUBLICATION, /* of the engine; offset 0: without a position */
    CHANNEL_ON_LOADED,
    CHANNEL_ON_LOAD_FAILED,
    CHANNEL_ON_DOUBT,     /* something may be missing, or the epoch may have changed */
    CHANNEL_ON_RELOAD,    /* its namespace has a history now, or none any more: there are positions, or none */
    CHANNEL_ON_LAST_LEFT, /* nobody is subscribed or waits any more */
    CHANNEL_ON_TIME,      /* idle: kept long enough; healing: try the load again; absent: nothing ever came */
};

struct channel_event {
    enum channel_event_kind kind;
    bool wanted;               /* is anybody subscribed or waiting? */
    bool needs_load;           /* SUBSCRIBE */
    bool has_since;            /* SUBSCRIBE that needs a load: from where */
    struct position position;  /* SUBSCRIBE: since; PUBLICATION: its own; LOADED: the top */
    bool keep_room;            /* PUBLICATION: may one more be kept? */
    bool do_without_positions; /* LOAD_FAILED: a channel without history may go on all the same */
    /* LOADED: the unbroken run of entries that came, 0: none; gap: the engine no longer has what was asked for. */
    uint64_t first;
    uint64_t last;
    bool gap;
};

enum channel_action_kind {
    CHANNEL_LOAD,        /* read from `position` (own), or from what those who wait ask for when !has_since */
    CHANNEL_PUSH,        /* the event's publication: into the tail, to everyone live */
    CHANNEL_PASS,        /* the event's publication to everyone live; it has no position and no tail */
    CHANNEL_KEEP,        /* the event's publication waits for the load */
    CHANNEL_PUSH_LOADED, /* the load's entries first…last: into the tail, to everyone live */
    CHANNEL_PUSH_KEPT,   /* the kept ones first…last: into the tail, to everyone live */
    CHANNEL_DROP_KEPT,
    CHANNEL_EMPTY_TAIL,
    CHANNEL_TELL_LOST, /* LOST with `position` to everyone live */
    CHANNEL_ANSWER,    /* to those who wait, as far as channel_recover can say */
    CHANNEL_FAIL,      /* temporary error to all who wait */
    CHANNEL_RETRY,     /* CHANNEL_ON_TIME soon */
    CHANNEL_FREE,      /* nothing is held any more */
};

struct channel_action {
    enum channel_action_kind kind;
    bool has_since;
    struct position position;
    uint64_t first;
    uint64_t last;
};

enum { CHANNEL_ACTIONS_MAX = 12 };

struct channel_actions {
    unsigned n;
    struct channel_action list[CHANNEL_ACTIONS_MAX]; /* to be done in order; `self` already stands behind them */
};

/* Moves on; what is not in the table is a bug and aborts. */
void channel_state_step(struct channel_state *self, const struct channel_event *event, struct channel_actions *ret);
const char *channel_phase_name(enum channel_phase phase);

/* ---- what a SUBSCRIBE gets ---- */
struct channel_recover_question {
    struct position cursor;
    uint64_t tail_first; /* oldest offset in the tail; cursor + 1 when it is empty */
    bool has_since;
    bool own; /* the worker's own position: paged, whatever the distance */
    struct position since;
    uint64_t publications_max;
    /* The newest load, where one came back that was sent after the question was asked. */
    bool loaded;
    struct position loaded_top;
    struct position loaded_since; /* empty epoch: only the top was asked for */
    uint64_t loaded_first;        /* unbroken run, 0: none */
    uint64_t loaded_last;
    bool loaded_gap;
};

enum channel_recover_verdict {
    CHANNEL_RECOVER_PLAIN, /* nothing was asked for: the cursor is the answer */
    CHANNEL_RECOVER_YES,   /* first…last (last == cursor; first > last: nothing was missed) */
    CHANNEL_RECOVER_PAGE,  /* first…last, and more behind it */
    CHANNEL_RECOVER_NO,    /* the history cannot give it: recovered is false */
    CHANNEL_RECOVER_LOAD,  /* only a load can say */
};

struct channel_recover_answer {
    enum channel_recover_verdict verdict;
    uint64_t first;
    uint64_t last;
};

/* Pure. A tail may say yes; only a load, or a bound, says no. */
struct channel_recover_answer channel_recover(const struct channel_recover_question *question);

#endif
