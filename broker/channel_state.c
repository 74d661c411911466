/* The table of redis.md ("Channel in an actor") in code: one function a state, one case an event.
 *
 * Happy path: SUBSCRIBE in ABSENT loads; the reply sets the cursor and answers all who wait in that turn; then every
 * publication is the cursor's next.
 * Failure modes: a publication ahead of the next (hole), or a doubt, heals by a load from the cursor; entries that were
 * trimmed away, or another epoch, are told as LOST; an engine that is away leaves the channel healing, and what waits
 * gets a temporary error; a load that was overtaken by a new epoch is asked again instead of believed. */
#include "broker/channel_state.h"

#include "base/check.h"

static struct channel_action *act(struct channel_actions *actions, enum channel_action_kind kind) {
    check(actions->n < CHANNEL_ACTIONS_MAX, "too many actions");
    struct channel_action *action = &actions->list[actions->n++];
    *action = (struct channel_action){.kind = kind};
    return action;
}

static void act_run(struct channel_actions *actions, enum channel_action_kind kind, uint64_t first, uint64_t last) {
    struct channel_action *action = act(actions, kind);
    action->first = first;
    action->last = last;
}

static void send_load(struct channel_state *self, struct channel_actions *actions, bool has_since,
                      const struct position *since) {
    check(!self->load_out, "two loads");
    self->load_out = true;
    self->load_again = false;
    self->load_epoch = self->cursor.epoch;
    struct channel_action *action = act(actions, CHANNEL_LOAD);
    action->has_since = has_since;
    if (has_since) {
        action->position = *since;
    }
}

static void drop_kept(struct channel_state *self, struct channel_actions *actions) {
    if (self->kept_first != 0) {
        self->kept_first = 0;
        act(actions, CHANNEL_DROP_KEPT);
    }
}

/* Loads from the cursor now, or behind the load that is out. */
static void heal(struct channel_state *self, struct channel_actions *actions) {
    self->phase = CHANNEL_HEALING;
    if (self->load_out) {
        self->load_again = true;
    } else {
        send_load(self, actions, true, &self->cursor);
    }
}

static void forget(struct channel_state *self, struct channel_actions *actions) {
    drop_kept(self, actions);
    act(actions, CHANNEL_EMPTY_TAIL);
    *self = (struct channel_state){.phase = CHANNEL_ABSENT};
    act(actions, CHANNEL_FREE);
}

/* Continuity is gone: everyone live is told the new position and goes on behind it. */
static void lose(struct channel_state *self, struct channel_actions *actions, const struct position *position) {
    self->past = epoch_equal(&self->cursor.epoch, &position->epoch) ? self->past : self->cursor.epoch;
    self->cursor = *position;
    act(actions, CHANNEL_EMPTY_TAIL);
    act(actions, CHANNEL_TELL_LOST)->position = *position;
}

static bool is_late(const struct channel_state *self, const struct position *position) {
    return !epoch_is_empty(&self->past) && epoch_equal(&self->past, &position->epoch);
}

/* ---- publications ---- */

static void keep(struct channel_state *self, const struct channel_event *event, struct channel_actions *actions) {
    const struct position *position = &event->position;
    bool first = self->kept_first == 0;
    bool next = !first && epoch_equal(&self->kept_epoch, &position->epoch) && position->offset == self->kept_last + 1;
    if (!event->keep_room || (!first && !next)) {
        self->load_again = true;
        return;
    }
    if (first) {
        self->kept_epoch = position->epoch;
        self->kept_first = position->offset;
    }
    self->kept_last = position->offset;
    act(actions, CHANNEL_KEEP);
}

/* LIVE and IDLE: the cursor's epoch is known. */
static void on_other_epoch(struct channel_state *self, const struct channel_event *event,
                           struct channel_actions *actions) {
    if (is_late(self, &event->position)) {
        return;
    }
    struct position before = {event->position.epoch, event->position.offset - 1};
    if (epoch_is_empty(&self->cursor.epoch)) {
        act(actions, CHANNEL_PASS);
        return;
    }
    lose(self, actions, &before);
    self->cursor.offset = event->position.offset;
    act(actions, CHANNEL_PUSH);
}

static void live_on_publication(struct channel_state *self, const struct channel_event *event,
                                struct channel_actions *actions) {
    const struct position *position = &event->position;
    if (!epoch_equal(&position->epoch, &self->cursor.epoch)) {
        on_other_epoch(self, event, actions);
    } else if (position->offset == self->cursor.offset + 1) {
        self->cursor.offset++;
        act(actions, CHANNEL_PUSH);
    } else if (position->offset > self->cursor.offset) {
        keep(self, event, actions);
        heal(self, actions);
    }
}

static void idle_on_publication(struct channel_state *self, const struct channel_event *event,
                                struct channel_actions *actions) {
    const struct position *position = &event->position;
    bool same = epoch_equal(&position->epoch, &self->cursor.epoch);
    if ((same && position->offset <= self->cursor.offset) || is_late(self, position)) {
        return;
    }
    if (!same || position->offset != self->cursor.offset + 1) {
        /* Nobody was told anything: a tail of one starts anew. */
        self->past = same ? self->past : self->cursor.epoch;
        act(actions, CHANNEL_EMPTY_TAIL);
    }
    self->cursor = *position;
    act(actions, CHANNEL_PUSH);
}

static void on_publication(struct channel_state *self, const struct channel_event *event,
                           struct channel_actions *actions) {
    if (event->position.offset == 0) {
        act(actions, CHANNEL_PASS);
        return;
    }
    switch (self->phase) {
    case CHANNEL_ABSENT:
        self->phase = CHANNEL_IDLE;
        self->cursor = event->position;
        act(actions, CHANNEL_PUSH);
        break;
    case CHANNEL_LOADING:
        keep(self, event, actions);
        break;
    case CHANNEL_LIVE:
        live_on_publication(self, event, actions);
        break;
    case CHANNEL_HEALING:
        if (!is_late(self, &event->position) && (!epoch_equal(&event->position.epoch, &self->cursor.epoch) ||
                                                 event->position.offset > self->cursor.offset)) {
            keep(self, event, actions);
        }
        break;
    case CHANNEL_IDLE:
        idle_on_publication(self, event, actions);
        break;
    }
}

/* ---- subscribes ---- */

static void on_subscribe(struct channel_state *self, const struct channel_event *event,
                         struct channel_actions *actions) {
    switch (self->phase) {
    case CHANNEL_ABSENT:
        self->phase = CHANNEL_LOADING;
        send_load(self, actions, false, NULL);
        return;
    case CHANNEL_LOADING:
        return;
    case CHANNEL_IDLE:
        self->phase = self->load_again ? CHANNEL_HEALING : CHANNEL_LIVE;
        break;
    case CHANNEL_LIVE:
    case CHANNEL_HEALING:
        break;
    }
    if (!event->needs_load) {
        act(actions, CHANNEL_ANSWER);
    } else if (self->phase == CHANNEL_LIVE && !self->load_out) {
        send_load(self, actions, false, NULL);
    }
}

/* ---- loads ---- */

/* What was kept above the cursor follows it; false when a hole stands between, or it is of another epoch. */
static bool push_kept(struct channel_state *self, struct channel_actions *actions) {
    if (self->kept_first == 0) {
        return true;
    }
    bool same = epoch_equal(&self->kept_epoch, &self->cursor.epoch);
    bool fits = same && self->kept_first <= self->cursor.offset + 1;
    if (fits && self->kept_last > self->cursor.offset) {
        act_run(actions, CHANNEL_PUSH_KEPT, self->cursor.offset + 1, self->kept_last);
        self->cursor.offset = self->kept_last;
    }
    bool late = !same && is_late(self, &(struct position){self->kept_epoch, self->kept_first});
    drop_kept(self, actions);
    return fits || late;
}

/* Behind a load: everything kept is used or dropped, those who wait are answered, and the state is what is left to do.
 */
static void settle(struct channel_state *self, const struct channel_event *event, struct channel_actions *actions,
                   bool fits) {
    bool again = self->load_again || !fits;
    self->load_again = false;
    if (!event->wanted && again) {
        forget(self, actions);
        return;
    }
    self->phase = event->wanted ? CHANNEL_LIVE : CHANNEL_IDLE;
    if (event->wanted) {
        act(actions, CHANNEL_ANSWER);
    }
    if (again) {
        heal(self, actions);
    }
}

static void loading_on_loaded(struct channel_state *self, const struct channel_event *event,
                              struct channel_actions *actions) {
    self->cursor = event->position;
    if (event->first != 0 && event->last == event->position.offset) {
        act_run(actions, CHANNEL_PUSH_LOADED, event->first, event->last);
    }
    settle(self, event, actions, push_kept(self, actions));
}

/* The load's entries from the cursor on; false: what follows the cursor is gone. */
static bool push_loaded(struct channel_state *self, const struct channel_event *event,
                        struct channel_actions *actions) {
    uint64_t next = self->cursor.offset + 1;
    if (event->position.offset < next) {
        return true;
    }
    if (event->first != 0 && event->first <= next && event->last >= next) {
        act_run(actions, CHANNEL_PUSH_LOADED, next, event->last);
        self->cursor.offset = event->last;
        return true;
    }
    return !event->gap;
}

static void healing_on_loaded(struct channel_state *self, const struct channel_event *event,
                              struct channel_actions *actions) {
    bool same = epoch_equal(&event->position.epoch, &self->cursor.epoch);
    /* With load_again it may be the load of somebody who waited, not asked from the cursor: a gap then says nothing. */
    if (!same || (!push_loaded(self, event, actions) && !self->load_again)) {
        lose(self, actions, &event->position);
    }
    bool fits = push_kept(self, actions);
    settle(self, event, actions, fits && self->cursor.offset >= event->position.offset);
}

/* The load was for those who wait; whatever else it shows is used. */
static void live_on_loaded(struct channel_state *self, const struct channel_event *event,
                           struct channel_actions *actions) {
    bool same = epoch_equal(&event->position.epoch, &self->cursor.epoch);
    if (!same) {
        lose(self, actions, &event->position);
        act(actions, CHANNEL_ANSWER);
        return;
    }
    if (!push_loaded(self, event, actions)) {
        /* It was not asked from the cursor: a gap there says nothing about what follows the cursor. */
        heal(self, actions);
    } else if (self->cursor.offset < event->position.offset) {
        heal(self, actions);
    }
    act(actions, CHANNEL_ANSWER);
}

static void idle_on_load_ended(struct channel_state *self, struct channel_actions *actions) {
    if (self->load_again) {
        forget(self, actions);
    }
}

static void on_loaded(struct channel_state *self, const struct channel_event *event, struct channel_actions *actions) {
    check(self->load_out, "a load that was not sent");
    self->load_out = false;
    if (self->phase == CHANNEL_IDLE) {
        idle_on_load_ended(self, actions);
        return;
    }
    if (self->phase != CHANNEL_LOADING && !epoch_equal(&self->load_epoch, &self->cursor.epoch) &&
        !epoch_equal(&event->position.epoch, &self->cursor.epoch)) {
        /* A publication of a new epoch overtook it: what it read may be older. */
        heal(self, actions);
        return;
    }
    switch (self->phase) {
    case CHANNEL_LOADING:
        loading_on_loaded(self, event, actions);
        break;
    case CHANNEL_LIVE:
        live_on_loaded(self, event, actions);
        break;
    case CHANNEL_HEALING:
        healing_on_loaded(self, event, actions);
        break;
    case CHANNEL_ABSENT:
    case CHANNEL_IDLE:
        unreachable("a load came back in %s", channel_phase_name(self->phase));
    }
}

static void on_load_failed(struct channel_state *self, const struct channel_event *event,
                           struct channel_actions *actions) {
    check(self->load_out, "a load that was not sent");
    self->load_out = false;
    switch (self->phase) {
    case CHANNEL_LOADING:
        if (event->do_without_positions && event->wanted) {
            drop_kept(self, actions);
            self->phase = CHANNEL_LIVE;
            act(actions, CHANNEL_ANSWER);
            return;
        }
        act(actions, CHANNEL_FAIL);
        forget(self, actions);
        break;
    case CHANNEL_LIVE:
        act(actions, CHANNEL_FAIL);
        break;
    case CHANNEL_HEALING:
        act(actions, CHANNEL_FAIL);
        if (event->wanted) {
            self->load_again = false;
            act(actions, CHANNEL_RETRY);
        } else {
            forget(self, actions);
        }
        break;
    case CHANNEL_IDLE:
        idle_on_load_ended(self, actions);
        break;
    case CHANNEL_ABSENT:
        unreachable("a load failed in %s", channel_phase_name(self->phase));
    }
}

/* ---- doubt, leaving, time ---- */

/* A channel without positions lacks nothing, unless it is to have some now. */
static void on_doubt(struct channel_state *self, bool is_reload, struct channel_actions *actions) {
    switch (self->phase) {
    case CHANNEL_ABSENT:
        break;
    case CHANNEL_LOADING:
        self->load_again = true;
        break;
    case CHANNEL_LIVE:
        if (is_reload || !epoch_is_empty(&self->cursor.epoch)) {
            heal(self, actions);
        }
        break;
    case CHANNEL_HEALING:
        self->load_again = self->load_out;
        break;
    case CHANNEL_IDLE:
        if (self->load_out) {
            self->load_again = true;
        } else {
            forget(self, actions);
        }
        break;
    }
}

static void on_last_left(struct channel_state *self, struct channel_actions *actions) {
    if (self->phase == CHANNEL_LIVE) {
        self->phase = CHANNEL_IDLE;
    } else if (self->phase == CHANNEL_HEALING && !self->load_out) {
        forget(self, actions);
    }
}

static void on_time(struct channel_state *self, const struct channel_event *event, struct channel_actions *actions) {
    if (self->load_out || self->phase == CHANNEL_LOADING || self->phase == CHANNEL_LIVE) {
        return;
    }
    if (self->phase == CHANNEL_HEALING && event->wanted) {
        send_load(self, actions, true, &self->cursor);
        return;
    }
    forget(self, actions);
}

void channel_state_step(struct channel_state *self, const struct channel_event *event, struct channel_actions *ret) {
    ret->n = 0;
    switch (event->kind) {
    case CHANNEL_ON_SUBSCRIBE:
        on_subscribe(self, event, ret);
        break;
    case CHANNEL_ON_PUBLICATION:
        on_publication(self, event, ret);
        break;
    case CHANNEL_ON_LOADED:
        on_loaded(self, event, ret);
        break;
    case CHANNEL_ON_LOAD_FAILED:
        on_load_failed(self, event, ret);
        break;
    case CHANNEL_ON_DOUBT:
    case CHANNEL_ON_RELOAD:
        on_doubt(self, event->kind == CHANNEL_ON_RELOAD, ret);
        break;
    case CHANNEL_ON_LAST_LEFT:
        on_last_left(self, ret);
        break;
    case CHANNEL_ON_TIME:
        on_time(self, event, ret);
        break;
    }
}

const char *channel_phase_name(enum channel_phase phase) {
    switch (phase) {
    case CHANNEL_ABSENT:
        return "absent";
    case CHANNEL_LOADING:
        return "loading";
    case CHANNEL_LIVE:
        return "live";
    case CHANNEL_HEALING:
        return "healing";
    case CHANNEL_IDLE:
        return "idle";
    }
    unreachable("phase %d", (int) phase);
}

/* ---- what a SUBSCRIBE gets ---- */

static struct channel_recover_answer verdict(enum channel_recover_verdict kind) {
    return (struct channel_recover_answer){.verdict = kind};
}

/* first…last can be given; the bound cuts it for one's own position and refuses it for a client's. */
static struct channel_recover_answer give(const struct channel_recover_question *q, uint64_t first, uint64_t last) {
    uint64_t bounded = last - first >= q->publications_max ? first + q->publications_max - 1 : last;
    enum channel_recover_verdict kind = bounded == q->cursor.offset ? CHANNEL_RECOVER_YES : CHANNEL_RECOVER_PAGE;
    return (struct channel_recover_answer){kind, first, bounded};
}

/* The tail lacks the beginning: does the load have it? */
static struct channel_recover_answer recover_from_load(const struct channel_recover_question *q, uint64_t first) {
    bool has_first = q->loaded_first != 0 && q->loaded_first <= first && first <= q->loaded_last;
    if (has_first && q->loaded_last + 1 >= q->tail_first) {
        return give(q, first, q->cursor.offset);
    }
    if (has_first && q->own) {
        return give(q, first, q->loaded_last);
    }
    bool exact = q->loaded_since.offset + 1 == first;
    if (has_first && exact && q->loaded_last < q->loaded_top.offset) {
        return verdict(CHANNEL_RECOVER_NO); /* it is more than the bound of bytes */
    }
    bool asked = epoch_equal(&q->loaded_since.epoch, &q->cursor.epoch) && q->loaded_since.offset < first;
    if (!has_first && asked && q->loaded_gap) {
        return verdict(CHANNEL_RECOVER_NO); /* trimmed away */
    }
    return verdict(CHANNEL_RECOVER_LOAD);
}

struct channel_recover_answer channel_recover(const struct channel_recover_question *q) {
    if (!q->has_since) {
        return verdict(CHANNEL_RECOVER_PLAIN);
    }
    if (epoch_is_empty(&q->cursor.epoch)) {
        return verdict(CHANNEL_RECOVER_NO);
    }
    bool loaded = q->loaded && epoch_equal(&q->loaded_top.epoch, &q->cursor.epoch);
    if (!epoch_is_empty(&q->since.epoch) && !epoch_equal(&q->since.epoch, &q->cursor.epoch)) {
        return verdict(loaded ? CHANNEL_RECOVER_NO : CHANNEL_RECOVER_LOAD);
    }
    uint64_t top = q->cursor.offset;
    if (q->since.offset > top) {
        return verdict(loaded && q->loaded_top.offset <= top ? CHANNEL_RECOVER_NO : CHANNEL_RECOVER_LOAD);
    }
    if (q->since.offset == top) {
        return (struct channel_recover_answer){CHANNEL_RECOVER_YES, top + 1, top};
    }
    if (!q->own && top - q->since.offset > q->publications_max) {
        return verdict(CHANNEL_RECOVER_NO);
    }
    uint64_t first = q->since.offset + 1;
    if (first >= q->tail_first) {
        return give(q, first, top);
    }
    return loaded ? recover_from_load(q, first) : verdict(CHANNEL_RECOVER_LOAD);
}
