/* A worker's subscription to one channel, as a pure function: event in, actions out. redis.md "State machines",
 * "Subscription in a gateway worker". W is the position of the last publication that the hub took; sessions see it step
 * by one, or are told that continuity is lost.
 *
 *            wanted                answered
 *   none ────────────▶ asking ───────────────────▶ live ◀────────────────────────────┐
 *     ▲                 │ ▲  └─ cut, moved: ask     │ │ lagged, behind, a gap          │ answered: W+1…P to the hub,
 *     │   refused for   │ │     the next broker     │ └────────────▶ lagging ──────────┤ or lost: the sessions are told
 *     │   good          │ └ refused: retry later    │ cut, moved          │ cut, moved │
 *     │◀────────────────┘                           └────────────▶ moving ◀┘ ──────────┘
 *     └── emptied, from everywhere                       grace over: told lost, W forgotten, goes on asking
 *
 * What happens on which event stands in channel_subscription.c, one switch a state; tests/unit/gateway/
 * test_channel_subscription.c is the table, row by row.
 *
 * A channel without history has no W: it subscribes again and may miss, never double.
 * Thread: any (no state of its own). */
#ifndef CALLBOARD_GATEWAY_CHANNEL_SUBSCRIPTION_H
#define CALLBOARD_GATEWAY_CHANNEL_SUBSCRIPTION_H

#include "base/position.h"

enum subscription_state {
    SUBSCRIPTION_NONE,
    SUBSCRIPTION_ASKING,
    SUBSCRIPTION_LIVE,
    SUBSCRIPTION_LAGGING,
    SUBSCRIPTION_MOVING,
};

/* What the SUBSCRIBE that is out (or about to go) is for. */
enum subscription_ask {
    SUBSCRIPTION_ASK_NOTHING,
    SUBSCRIPTION_ASK_FIRST, /* for the sessions that wait: since is one of theirs, or none */
    SUBSCRIPTION_ASK_LATE,  /* the same, on a handle that is live */
    SUBSCRIPTION_ASK_OWN,   /* from W; without since where W is not known */
};

/* A value; zeroed it is in state none. */
struct subscription {
    enum subscription_state state;
    enum subscription_ask ask;
    bool has_history;
    bool knows;         /* W is known */
    struct position at; /* W */
};

enum subscription_event_kind {
    SUBSCRIPTION_WANTED,   /* a session waits */
    SUBSCRIPTION_LATE,     /* a session waits whom only the broker can answer */
    SUBSCRIPTION_ANSWERED, /* SUBSCRIBED: position, has_history, recovered, more */
    SUBSCRIPTION_REFUSED,  /* ERROR: temporary */
    SUBSCRIPTION_PUSHED,   /* PUSH: position.offset */
    SUBSCRIPTION_LAGGED,   /* LAGGING */
    SUBSCRIPTION_BEHIND,   /* the broker's top stayed above W: a push was lost */
    SUBSCRIPTION_LOST,     /* LOST: position; empty: there are none any more */
    SUBSCRIPTION_CUT,      /* the link is lost */
    SUBSCRIPTION_MOVED,    /* the broker drains, or another one ranks first now; the link holds */
    SUBSCRIPTION_RETRY,    /* the retry timer */
    SUBSCRIPTION_GRACE_OVER,
    SUBSCRIPTION_EMPTIED, /* the last session left */
};

struct subscription_event {
    enum subscription_event_kind kind;
    struct position position;
    bool has_history;
    bool recovered;
    bool more;
    bool temporary;
};

/* To be carried out in this order. */
enum subscription_action {
    SUBSCRIPTION_DO_UNSUBSCRIBE = 1 << 0,  /* tell the old link */
    SUBSCRIPTION_DO_RETIRE = 1 << 1,       /* forget the handle */
    SUBSCRIPTION_DO_DELIVER = 1 << 2,      /* the push */
    SUBSCRIPTION_DO_DELIVER_PAGE = 1 << 3, /* the answer's publications above the W before this event */
    SUBSCRIPTION_DO_TELL_LOST = 1 << 4,
    SUBSCRIPTION_DO_START_GRACE = 1 << 5,
    SUBSCRIPTION_DO_STOP_TIMERS = 1 << 6, /* grace and retry */
    SUBSCRIPTION_DO_ASK = 1 << 7,         /* send SUBSCRIBE for `ask`, on a new handle where there is none */
    SUBSCRIPTION_DO_ADMIT = 1 << 8,       /* the waiting whom this answer answers, and those of ADMIT_NOW */
    SUBSCRIPTION_DO_ADMIT_NOW = 1 << 9,   /* the waiting who need no answer */
    SUBSCRIPTION_DO_FAIL_WAITING = 1 << 10,
    SUBSCRIPTION_DO_RETRY_LATER = 1 << 11,
    SUBSCRIPTION_DO_FREE = 1 << 12,
    SUBSCRIPTION_DO_COUNT_ODD = 1 << 13, /* what a correct broker does not send: dropped, to be counted */
};

/* Returns the actions. */
unsigned subscription_step(struct subscription *self, const struct subscription_event *event);
/* The SUBSCRIBE that was to go is not needed any more: who wanted it has left. */
void subscription_withdraw(struct subscription *self);

const char *subscription_state_name(enum subscription_state state);

#endif
