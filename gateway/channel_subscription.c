/* One function a state, one switch over the events in each. At most one SUBSCRIBE is out (`ask`); where a late one is
 * out when the subscription falls behind, the own one follows its answer.
 *
 * none     wanted: ask first → asking
 * asking   answered: W = P, admit → live
 *          refused: retire, retry later; for good: fail the waiting → none
 *          retry, cut, moved: ask first on a new handle
 * live     pushed W+1: deliver; at or below W: drop
 *          pushed above W+1, lagged, behind: start grace, ask own → lagging
 *          wanted, retry: admit who can join at W; late: ask late; answered: admit; refused: retry later or fail them
 *          lost: W = P, tell the sessions
 *          cut, moved: retire, start grace, ask own on a new handle → moving
 * lagging  pushed W+1: deliver; else drop
 *          answered, recovered: deliver the page; more: ask own again; else → live
 *          answered, not recovered: W = P, tell lost → live
 *          refused: retry later; lost: W = P, tell; cut, moved: as in live
 *          grace over: tell lost, forget W, go on asking (from nowhere)
 * moving   as lagging, but nothing comes on the new handle before its answer; refused: retire too
 * all      emptied: unsubscribe, retire → none */
#include "gateway/channel_subscription.h"

#include "base/check.h"

#define DO(name) ((unsigned) SUBSCRIPTION_DO_##name)

static const struct position nowhere;

static unsigned ask(struct subscription *self, enum subscription_ask what) {
    self->ask = what;
    return DO(ASK);
}

static void take_position(struct subscription *self, const struct subscription_event *event) {
    self->has_history = event->has_history;
    self->knows = event->has_history;
    self->at = event->has_history ? event->position : nowhere;
}

static unsigned end(struct subscription *self) {
    *self = (struct subscription){.state = SUBSCRIPTION_NONE};
    return DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE);
}

/* ---- none ---- */

static unsigned step_none(struct subscription *self, const struct subscription_event *event) {
    if (event->kind != SUBSCRIPTION_WANTED && event->kind != SUBSCRIPTION_LATE) {
        return event->kind == SUBSCRIPTION_EMPTIED ? end(self) : 0;
    }
    self->state = SUBSCRIPTION_ASKING;
    return ask(self, SUBSCRIPTION_ASK_FIRST);
}

/* ---- asking ---- */

static unsigned refuse_first(struct subscription *self, const struct subscription_event *event) {
    self->ask = SUBSCRIPTION_ASK_NOTHING;
    if (event->temporary) {
        return DO(RETIRE) | DO(RETRY_LATER);
    }
    *self = (struct subscription){.state = SUBSCRIPTION_NONE};
    return DO(RETIRE) | DO(STOP_TIMERS) | DO(FAIL_WAITING) | DO(FREE);
}

static unsigned step_asking(struct subscription *self, const struct subscription_event *event) {
    switch (event->kind) {
    case SUBSCRIPTION_ANSWERED:
        self->ask = SUBSCRIPTION_ASK_NOTHING;
        self->state = SUBSCRIPTION_LIVE;
        take_position(self, event);
        return DO(STOP_TIMERS) | DO(ADMIT);
    case SUBSCRIPTION_REFUSED:
        return refuse_first(self, event);
    case SUBSCRIPTION_RETRY:
        return self->ask == SUBSCRIPTION_ASK_NOTHING ? ask(self, SUBSCRIPTION_ASK_FIRST) : 0;
    case SUBSCRIPTION_CUT:
        return DO(RETIRE) | ask(self, SUBSCRIPTION_ASK_FIRST);
    case SUBSCRIPTION_MOVED:
        return DO(UNSUBSCRIBE) | DO(RETIRE) | ask(self, SUBSCRIPTION_ASK_FIRST);
    case SUBSCRIPTION_EMPTIED:
        return end(self);
    case SUBSCRIPTION_PUSHED:
    case SUBSCRIPTION_LAGGED:
    case SUBSCRIPTION_LOST:
        return DO(COUNT_ODD);
    case SUBSCRIPTION_WANTED:
    case SUBSCRIPTION_LATE:
    case SUBSCRIPTION_BEHIND:
    case SUBSCRIPTION_GRACE_OVER:
        return 0;
    }
    unreachable("event %d", (int) event->kind);
}

/* ---- live ---- */

static unsigned fall_behind(struct subscription *self) {
    self->state = SUBSCRIPTION_LAGGING;
    if (self->ask != SUBSCRIPTION_ASK_NOTHING) {
        return DO(START_GRACE); /* a late one is out: the own one follows its answer */
    }
    return DO(START_GRACE) | ask(self, SUBSCRIPTION_ASK_OWN);
}

static unsigned move(struct subscription *self, unsigned actions) {
    self->state = SUBSCRIPTION_MOVING;
    return actions | DO(RETIRE) | ask(self, SUBSCRIPTION_ASK_OWN);
}

/* Without position: the channel has no history, or the engine is away and the publication passed live. */
static unsigned take_push(struct subscription *self, uint64_t offset) {
    if (offset == 0 || !self->knows) {
        return DO(DELIVER);
    }
    if (offset != self->at.offset + 1) {
        return DO(COUNT_ODD);
    }
    self->at.offset = offset;
    return DO(DELIVER);
}

static unsigned push_live(struct subscription *self, uint64_t offset) {
    unsigned actions = take_push(self, offset);
    return self->knows && offset > self->at.offset + 1 ? actions | fall_behind(self) : actions;
}

static unsigned lose(struct subscription *self, const struct subscription_event *event) {
    self->at = event->position;
    self->has_history = !epoch_is_empty(&event->position.epoch); /* else a reload took the history away */
    self->knows = self->has_history;
    return DO(TELL_LOST);
}

/* By the FIFO the answer's P is W; where it is not, something is wrong, and asking from W shows what. */
static unsigned answer_late(struct subscription *self, const struct subscription_event *event) {
    self->ask = SUBSCRIPTION_ASK_NOTHING;
    if (event->has_history && self->knows && !position_equal(&event->position, &self->at)) {
        return DO(COUNT_ODD) | fall_behind(self);
    }
    unsigned lost = self->has_history && !event->has_history ? DO(TELL_LOST) : 0;
    take_position(self, event);
    return lost | DO(ADMIT);
}

static unsigned refuse_late(struct subscription *self, const struct subscription_event *event) {
    self->ask = SUBSCRIPTION_ASK_NOTHING;
    return event->temporary ? DO(RETRY_LATER) : DO(FAIL_WAITING);
}

static unsigned step_live(struct subscription *self, const struct subscription_event *event) {
    switch (event->kind) {
    case SUBSCRIPTION_PUSHED:
        return push_live(self, event->position.offset);
    case SUBSCRIPTION_WANTED:
    case SUBSCRIPTION_RETRY:
        return DO(ADMIT_NOW);
    case SUBSCRIPTION_LATE:
        return self->ask == SUBSCRIPTION_ASK_NOTHING ? ask(self, SUBSCRIPTION_ASK_LATE) : 0;
    case SUBSCRIPTION_ANSWERED:
        return answer_late(self, event);
    case SUBSCRIPTION_REFUSED:
        return refuse_late(self, event);
    case SUBSCRIPTION_LAGGED:
    case SUBSCRIPTION_BEHIND:
        return fall_behind(self);
    case SUBSCRIPTION_LOST:
        return lose(self, event);
    case SUBSCRIPTION_CUT:
        return move(self, DO(START_GRACE));
    case SUBSCRIPTION_MOVED:
        return move(self, DO(START_GRACE) | DO(UNSUBSCRIBE));
    case SUBSCRIPTION_EMPTIED:
        return end(self);
    case SUBSCRIPTION_GRACE_OVER:
        return 0;
    }
    unreachable("event %d", (int) event->kind);
}

/* ---- lagging and moving ---- */

static bool goes_on_from(const struct subscription *self, const struct subscription_event *event) {
    return event->recovered && epoch_equal(&event->position.epoch, &self->at.epoch) &&
           event->position.offset >= self->at.offset;
}

/* Of a page of ours: what the hub missed, or the news that it cannot be had. */
static unsigned take_answer(struct subscription *self, const struct subscription_event *event) {
    if (!self->knows) {
        take_position(self, event); /* without history, or told lost when the grace was over */
        return 0;
    }
    if (event->has_history && goes_on_from(self, event)) {
        self->at.offset = event->position.offset;
        return DO(DELIVER_PAGE);
    }
    bool is_news = !event->has_history || !position_equal(&event->position, &self->at);
    take_position(self, event);
    return is_news ? DO(TELL_LOST) : 0;
}

static unsigned answer_behind(struct subscription *self, const struct subscription_event *event) {
    bool was_late = self->ask == SUBSCRIPTION_ASK_LATE;
    if (was_late) {
        return ask(self, SUBSCRIPTION_ASK_OWN);
    }
    self->ask = SUBSCRIPTION_ASK_NOTHING;
    unsigned actions = take_answer(self, event);
    if (event->more) {
        return actions | ask(self, SUBSCRIPTION_ASK_OWN);
    }
    self->state = SUBSCRIPTION_LIVE;
    return actions | DO(STOP_TIMERS) | DO(ADMIT);
}

/* A handle that the broker refused in moving was never subscribed; in lagging it still is. */
static unsigned refuse_behind(struct subscription *self) {
    if (self->ask == SUBSCRIPTION_ASK_LATE) {
        return ask(self, SUBSCRIPTION_ASK_OWN);
    }
    self->ask = SUBSCRIPTION_ASK_NOTHING;
    return DO(RETRY_LATER) | (self->state == SUBSCRIPTION_MOVING ? DO(RETIRE) : 0);
}

static unsigned end_grace(struct subscription *self) {
    bool was_known = self->knows;
    self->knows = false;
    self->has_history = false;
    self->at = nowhere;
    return was_known ? DO(TELL_LOST) : 0;
}

static unsigned step_behind(struct subscription *self, const struct subscription_event *event) {
    bool is_lagging = self->state == SUBSCRIPTION_LAGGING;
    switch (event->kind) {
    case SUBSCRIPTION_ANSWERED:
        return answer_behind(self, event);
    case SUBSCRIPTION_REFUSED:
        return refuse_behind(self);
    case SUBSCRIPTION_PUSHED:
        return is_lagging ? take_push(self, event->position.offset) : DO(COUNT_ODD);
    case SUBSCRIPTION_LOST:
        return is_lagging ? lose(self, event) : DO(COUNT_ODD);
    case SUBSCRIPTION_LAGGED:
        return is_lagging ? 0 : DO(COUNT_ODD);
    case SUBSCRIPTION_CUT:
        return move(self, 0);
    case SUBSCRIPTION_MOVED:
        return move(self, DO(UNSUBSCRIBE));
    case SUBSCRIPTION_RETRY:
        return self->ask == SUBSCRIPTION_ASK_NOTHING ? ask(self, SUBSCRIPTION_ASK_OWN) : 0;
    case SUBSCRIPTION_GRACE_OVER:
        return end_grace(self);
    case SUBSCRIPTION_EMPTIED:
        return end(self);
    case SUBSCRIPTION_WANTED:
    case SUBSCRIPTION_LATE:
    case SUBSCRIPTION_BEHIND:
        return 0;
    }
    unreachable("event %d", (int) event->kind);
}

/* ---- all ---- */

unsigned subscription_step(struct subscription *self, const struct subscription_event *event) {
    switch (self->state) {
    case SUBSCRIPTION_NONE:
        return step_none(self, event);
    case SUBSCRIPTION_ASKING:
        return step_asking(self, event);
    case SUBSCRIPTION_LIVE:
        return step_live(self, event);
    case SUBSCRIPTION_LAGGING:
    case SUBSCRIPTION_MOVING:
        return step_behind(self, event);
    }
    unreachable("state %d", (int) self->state);
}

void subscription_withdraw(struct subscription *self) {
    self->ask = SUBSCRIPTION_ASK_NOTHING;
}

const char *subscription_state_name(enum subscription_state state) {
    static const char *const names[] = {"none", "asking", "live", "lagging", "moving"};
    return names[state];
}
