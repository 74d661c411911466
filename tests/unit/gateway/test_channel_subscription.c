/* The subscription's table, row by row: a state, what is out, an event, and then the actions and the next state. Behind
 * it whole stories from redis.md, and a long random run against the invariants. */
#include "gateway/channel_subscription.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DO(name) SUBSCRIPTION_DO_##name

enum {
    NONE = SUBSCRIPTION_NONE,
    ASKING = SUBSCRIPTION_ASKING,
    LIVE = SUBSCRIPTION_LIVE,
    LAGGING = SUBSCRIPTION_LAGGING,
    MOVING = SUBSCRIPTION_MOVING
};
enum {
    NOTHING = SUBSCRIPTION_ASK_NOTHING,
    FIRST = SUBSCRIPTION_ASK_FIRST,
    LATE = SUBSCRIPTION_ASK_LATE,
    OWN = SUBSCRIPTION_ASK_OWN
};

/* In every row with history, W is (e, 9) before. */
static const struct position w = {{"e"}, 9};

#define ANSWER(epoch_text, number, ...)                                                                                \
    { .kind = SUBSCRIPTION_ANSWERED, .position = {{epoch_text}, number}, .has_history = true, __VA_ARGS__ }
#define PUSH(number)                                                                                                   \
    {                                                                                                                  \
        .kind = SUBSCRIPTION_PUSHED, .position = {.offset = number }                                                   \
    }
#define EVENT(name)                                                                                                    \
    { .kind = SUBSCRIPTION_##name }

struct row {
    const char *name;
    int state;
    int ask;
    bool history;
    struct subscription_event event;
    int next;
    int next_ask;
    unsigned actions;
    uint64_t offset; /* W afterwards; 0: not known */
    const char *epoch;
};

static const struct row rows[] = {
    {"none, wanted", NONE, NOTHING, false, EVENT(WANTED), ASKING, FIRST, DO(ASK), 0, ""},
    {"none, anything of an old link", NONE, NOTHING, false, PUSH(3), NONE, NOTHING, 0, 0, ""},
    {"none, cut", NONE, NOTHING, false, EVENT(CUT), NONE, NOTHING, 0, 0, ""},
    {"none, emptied", NONE, NOTHING, false, EVENT(EMPTIED), NONE, NOTHING,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE), 0, ""},

    {"asking, another session", ASKING, FIRST, false, EVENT(WANTED), ASKING, FIRST, 0, 0, ""},
    {"asking, answered", ASKING, FIRST, false, ANSWER("e", 12, .recovered = false), LIVE, NOTHING,
     DO(STOP_TIMERS) | DO(ADMIT), 12, "e"},
    {"asking, answered: no history", ASKING, FIRST, false, EVENT(ANSWERED), LIVE, NOTHING, DO(STOP_TIMERS) | DO(ADMIT),
     0, ""},
    {"asking, refused for now",
     ASKING,
     FIRST,
     false,
     {.kind = SUBSCRIPTION_REFUSED, .temporary = true},
     ASKING,
     NOTHING,
     DO(RETIRE) | DO(RETRY_LATER),
     0,
     ""},
    {"asking, refused for good", ASKING, FIRST, false, EVENT(REFUSED), NONE, NOTHING,
     DO(RETIRE) | DO(STOP_TIMERS) | DO(FAIL_WAITING) | DO(FREE), 0, ""},
    {"asking, retry", ASKING, NOTHING, false, EVENT(RETRY), ASKING, FIRST, DO(ASK), 0, ""},
    {"asking, retry while one is out", ASKING, FIRST, false, EVENT(RETRY), ASKING, FIRST, 0, 0, ""},
    {"asking, cut: the next broker", ASKING, FIRST, false, EVENT(CUT), ASKING, FIRST, DO(RETIRE) | DO(ASK), 0, ""},
    {"asking, moved: the next broker", ASKING, FIRST, false, EVENT(MOVED), ASKING, FIRST,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(ASK), 0, ""},
    {"asking, pushed before the answer", ASKING, FIRST, false, PUSH(1), ASKING, FIRST, DO(COUNT_ODD), 0, ""},
    {"asking, lost before the answer", ASKING, FIRST, false, EVENT(LOST), ASKING, FIRST, DO(COUNT_ODD), 0, ""},
    {"asking, emptied", ASKING, FIRST, false, EVENT(EMPTIED), NONE, NOTHING,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE), 0, ""},

    {"live, the next push", LIVE, NOTHING, true, PUSH(10), LIVE, NOTHING, DO(DELIVER), 10, "e"},
    {"live, a push seen before", LIVE, NOTHING, true, PUSH(9), LIVE, NOTHING, DO(COUNT_ODD), 9, "e"},
    {"live, a gap", LIVE, NOTHING, true, PUSH(11), LAGGING, OWN, DO(COUNT_ODD) | DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, a push without position", LIVE, NOTHING, true, PUSH(0), LIVE, NOTHING, DO(DELIVER), 9, "e"},
    {"live without history, a push", LIVE, NOTHING, false, PUSH(0), LIVE, NOTHING, DO(DELIVER), 0, ""},
    {"live, wanted", LIVE, NOTHING, true, EVENT(WANTED), LIVE, NOTHING, DO(ADMIT_NOW), 9, "e"},
    {"live, late", LIVE, NOTHING, true, EVENT(LATE), LIVE, LATE, DO(ASK), 9, "e"},
    {"live, late while one is out", LIVE, LATE, true, EVENT(LATE), LIVE, LATE, 0, 9, "e"},
    {"live, late answered at W", LIVE, LATE, true, ANSWER("e", 9, .recovered = false), LIVE, NOTHING, DO(ADMIT), 9,
     "e"},
    {"live, late answered not at W", LIVE, LATE, true, ANSWER("e", 11, .recovered = false), LAGGING, OWN,
     DO(COUNT_ODD) | DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, late answered: history is gone", LIVE, LATE, true, EVENT(ANSWERED), LIVE, NOTHING,
     DO(TELL_LOST) | DO(ADMIT), 0, ""},
    {"live, late refused for now",
     LIVE,
     LATE,
     true,
     {.kind = SUBSCRIPTION_REFUSED, .temporary = true},
     LIVE,
     NOTHING,
     DO(RETRY_LATER),
     9,
     "e"},
    {"live, late refused for good", LIVE, LATE, true, EVENT(REFUSED), LIVE, NOTHING, DO(FAIL_WAITING), 9, "e"},
    {"live, retry", LIVE, NOTHING, true, EVENT(RETRY), LIVE, NOTHING, DO(ADMIT_NOW), 9, "e"},
    {"live, lagged", LIVE, NOTHING, true, EVENT(LAGGED), LAGGING, OWN, DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, lagged while a late one is out", LIVE, LATE, true, EVENT(LAGGED), LAGGING, LATE, DO(START_GRACE), 9, "e"},
    {"live, behind the broker's top", LIVE, NOTHING, true, EVENT(BEHIND), LAGGING, OWN, DO(START_GRACE) | DO(ASK), 9,
     "e"},
    {"live, lost",
     LIVE,
     NOTHING,
     true,
     {.kind = SUBSCRIPTION_LOST, .position = {{"f"}, 8}},
     LIVE,
     NOTHING,
     DO(TELL_LOST),
     8,
     "f"},
    {"live, lost: no history since a reload", LIVE, NOTHING, true, EVENT(LOST), LIVE, NOTHING, DO(TELL_LOST), 0, ""},
    {"live, lost: a history since a reload",
     LIVE,
     NOTHING,
     false,
     {.kind = SUBSCRIPTION_LOST, .position = {{"f"}, 8}},
     LIVE,
     NOTHING,
     DO(TELL_LOST),
     8,
     "f"},
    {"live, cut", LIVE, NOTHING, true, EVENT(CUT), MOVING, OWN, DO(RETIRE) | DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, cut while a late one is out", LIVE, LATE, true, EVENT(CUT), MOVING, OWN,
     DO(RETIRE) | DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, moved", LIVE, NOTHING, true, EVENT(MOVED), MOVING, OWN,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(START_GRACE) | DO(ASK), 9, "e"},
    {"live, emptied", LIVE, NOTHING, true, EVENT(EMPTIED), NONE, NOTHING,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE), 0, ""},
    {"live, a grace that came too late", LIVE, NOTHING, true, EVENT(GRACE_OVER), LIVE, NOTHING, 0, 9, "e"},

    {"lagging, the next push still", LAGGING, OWN, true, PUSH(10), LAGGING, OWN, DO(DELIVER), 10, "e"},
    {"lagging, a push ahead", LAGGING, OWN, true, PUSH(12), LAGGING, OWN, DO(COUNT_ODD), 9, "e"},
    {"lagging, recovered", LAGGING, OWN, true, ANSWER("e", 14, .recovered = true), LIVE, NOTHING,
     DO(DELIVER_PAGE) | DO(STOP_TIMERS) | DO(ADMIT), 14, "e"},
    {"lagging, recovered a page of several", LAGGING, OWN, true, ANSWER("e", 14, .recovered = true, .more = true),
     LAGGING, OWN, DO(DELIVER_PAGE) | DO(ASK), 14, "e"},
    {"lagging, not recovered", LAGGING, OWN, true, ANSWER("f", 3, .recovered = false), LIVE, NOTHING,
     DO(TELL_LOST) | DO(STOP_TIMERS) | DO(ADMIT), 3, "f"},
    {"lagging, not recovered, as LOST has told before", LAGGING, OWN, true, ANSWER("e", 9, .recovered = false), LIVE,
     NOTHING, DO(STOP_TIMERS) | DO(ADMIT), 9, "e"},
    {"lagging, recovered in another epoch is not recovered", LAGGING, OWN, true, ANSWER("f", 14, .recovered = true),
     LIVE, NOTHING, DO(TELL_LOST) | DO(STOP_TIMERS) | DO(ADMIT), 14, "f"},
    {"lagging, recovered below W is not recovered", LAGGING, OWN, true, ANSWER("e", 8, .recovered = true), LIVE,
     NOTHING, DO(TELL_LOST) | DO(STOP_TIMERS) | DO(ADMIT), 8, "e"},
    {"lagging, history is gone", LAGGING, OWN, true, EVENT(ANSWERED), LIVE, NOTHING,
     DO(TELL_LOST) | DO(STOP_TIMERS) | DO(ADMIT), 0, ""},
    {"lagging without history, answered", LAGGING, OWN, false, EVENT(ANSWERED), LIVE, NOTHING,
     DO(STOP_TIMERS) | DO(ADMIT), 0, ""},
    {"lagging, the late one answered: the own one follows", LAGGING, LATE, true, ANSWER("e", 14, .recovered = true),
     LAGGING, OWN, DO(ASK), 9, "e"},
    {"lagging, the late one refused: the own one follows", LAGGING, LATE, true, EVENT(REFUSED), LAGGING, OWN, DO(ASK),
     9, "e"},
    {"lagging, refused", LAGGING, OWN, true, EVENT(REFUSED), LAGGING, NOTHING, DO(RETRY_LATER), 9, "e"},
    {"lagging, retry", LAGGING, NOTHING, true, EVENT(RETRY), LAGGING, OWN, DO(ASK), 9, "e"},
    {"lagging, lagged again", LAGGING, OWN, true, EVENT(LAGGED), LAGGING, OWN, 0, 9, "e"},
    {"lagging, lost",
     LAGGING,
     OWN,
     true,
     {.kind = SUBSCRIPTION_LOST, .position = {{"f"}, 8}},
     LAGGING,
     OWN,
     DO(TELL_LOST),
     8,
     "f"},
    {"lagging, cut", LAGGING, OWN, true, EVENT(CUT), MOVING, OWN, DO(RETIRE) | DO(ASK), 9, "e"},
    {"lagging, moved", LAGGING, OWN, true, EVENT(MOVED), MOVING, OWN, DO(UNSUBSCRIBE) | DO(RETIRE) | DO(ASK), 9, "e"},
    {"lagging, wanted: waits", LAGGING, OWN, true, EVENT(WANTED), LAGGING, OWN, 0, 9, "e"},
    {"lagging, grace over", LAGGING, OWN, true, EVENT(GRACE_OVER), LAGGING, OWN, DO(TELL_LOST), 0, ""},
    {"lagging, emptied", LAGGING, OWN, true, EVENT(EMPTIED), NONE, NOTHING,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE), 0, ""},

    {"moving, recovered", MOVING, OWN, true, ANSWER("e", 14, .recovered = true), LIVE, NOTHING,
     DO(DELIVER_PAGE) | DO(STOP_TIMERS) | DO(ADMIT), 14, "e"},
    {"moving, recovered a page of several", MOVING, OWN, true, ANSWER("e", 14, .recovered = true, .more = true), MOVING,
     OWN, DO(DELIVER_PAGE) | DO(ASK), 14, "e"},
    {"moving, not recovered", MOVING, OWN, true, ANSWER("f", 3, .recovered = false), LIVE, NOTHING,
     DO(TELL_LOST) | DO(STOP_TIMERS) | DO(ADMIT), 3, "f"},
    {"moving without history, answered", MOVING, OWN, false, EVENT(ANSWERED), LIVE, NOTHING,
     DO(STOP_TIMERS) | DO(ADMIT), 0, ""},
    {"moving, a push before the answer", MOVING, OWN, true, PUSH(10), MOVING, OWN, DO(COUNT_ODD), 9, "e"},
    {"moving, refused",
     MOVING,
     OWN,
     true,
     {.kind = SUBSCRIPTION_REFUSED, .temporary = true},
     MOVING,
     NOTHING,
     DO(RETIRE) | DO(RETRY_LATER),
     9,
     "e"},
    {"moving, retry", MOVING, NOTHING, true, EVENT(RETRY), MOVING, OWN, DO(ASK), 9, "e"},
    {"moving, cut again", MOVING, OWN, true, EVENT(CUT), MOVING, OWN, DO(RETIRE) | DO(ASK), 9, "e"},
    {"moving, moved again", MOVING, OWN, true, EVENT(MOVED), MOVING, OWN, DO(UNSUBSCRIBE) | DO(RETIRE) | DO(ASK), 9,
     "e"},
    {"moving, grace over: told, goes on asking", MOVING, OWN, true, EVENT(GRACE_OVER), MOVING, OWN, DO(TELL_LOST), 0,
     ""},
    {"moving without history, grace over: nothing to tell", MOVING, OWN, false, EVENT(GRACE_OVER), MOVING, OWN, 0, 0,
     ""},
    {"moving, wanted: waits", MOVING, OWN, true, EVENT(WANTED), MOVING, OWN, 0, 9, "e"},
    {"moving, emptied", MOVING, OWN, true, EVENT(EMPTIED), NONE, NOTHING,
     DO(UNSUBSCRIBE) | DO(RETIRE) | DO(STOP_TIMERS) | DO(FREE), 0, ""},
};

static void every_row_of_the_table_holds(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct subscription subscription = {.state = (enum subscription_state) row->state,
                                            .ask = (enum subscription_ask) row->ask,
                                            .has_history = row->history,
                                            .knows = row->history};
        if (row->history) {
            subscription.at = w;
        }
        unsigned actions = subscription_step(&subscription, &row->event);
        if (actions != row->actions || (int) subscription.state != row->next ||
            (int) subscription.ask != row->next_ask || subscription.at.offset != row->offset ||
            strcmp(subscription.at.epoch.text, row->epoch) != 0) {
            fail_msg("%s: actions %#x, expected %#x; state %s; ask %d; W %s:%llu", row->name, actions, row->actions,
                     subscription_state_name(subscription.state), (int) subscription.ask, subscription.at.epoch.text,
                     (unsigned long long) subscription.at.offset);
        }
    }
}

static unsigned step(struct subscription *self, struct subscription_event event) {
    return subscription_step(self, &event);
}

/* redis.md, worked scenario 10. The hub drops what comes on a retired handle; here is what the subscription orders. */
static void scenario_10_a_broker_drained_under_load(void **state) {
    (void) state;
    struct subscription s = {.state = SUBSCRIPTION_LIVE, .has_history = true, .knows = true, .at = w};
    unsigned actions = step(&s, (struct subscription_event) EVENT(MOVED));
    assert_int_equal(actions, DO(UNSUBSCRIBE) | DO(RETIRE) | DO(START_GRACE) | DO(ASK));
    assert_int_equal(s.ask, SUBSCRIPTION_ASK_OWN);
    assert_true(position_equal(&s.at, &w)); /* SUBSCRIBE goes out from here */
    /* The last session leaves and comes back: a new subscription from the start, on a new handle. */
    actions = step(&s, (struct subscription_event) EVENT(EMPTIED));
    assert_true(actions & DO(RETIRE));
    assert_true(actions & DO(FREE));
    actions = step(&s, (struct subscription_event) EVENT(WANTED));
    assert_int_equal(actions, DO(ASK));
    assert_int_equal(s.ask, SUBSCRIPTION_ASK_FIRST);
    assert_false(s.knows);
}

static void after_the_grace_the_next_answer_is_taken_as_it_is(void **state) {
    (void) state;
    struct subscription s = {
        .state = SUBSCRIPTION_MOVING, .ask = SUBSCRIPTION_ASK_OWN, .has_history = true, .knows = true, .at = w};
    assert_int_equal(step(&s, (struct subscription_event) EVENT(GRACE_OVER)), DO(TELL_LOST));
    /* The answer to the SUBSCRIBE from the old W may say recovered: nobody is told its publications any more. */
    unsigned actions = step(&s, (struct subscription_event) ANSWER("e", 20, .recovered = true));
    assert_int_equal(actions, DO(STOP_TIMERS) | DO(ADMIT));
    assert_int_equal(s.at.offset, 20);
    assert_int_equal(s.state, SUBSCRIPTION_LIVE);
}

static struct subscription_event random_event(void) {
    struct subscription_event event = {.kind = (enum subscription_event_kind)(rand() % 13)};
    event.position.epoch = rand() % 4 == 0 ? (struct epoch){"f"} : (struct epoch){"e"};
    event.position.offset = (uint64_t) (rand() % 30);
    event.has_history = rand() % 8 != 0;
    event.recovered = rand() % 2 == 0;
    event.more = rand() % 4 == 0;
    event.temporary = rand() % 2 == 0;
    if (!event.has_history && event.kind == SUBSCRIPTION_ANSWERED) {
        event.position = (struct position){.offset = 0};
        event.recovered = false;
    }
    return event;
}

/* Whatever comes in whatever order: W steps by one, moves over a delivered page, or someone is told. */
static void w_never_jumps_silently(void **state) {
    (void) state;
    srand(7);
    struct subscription s = {.state = SUBSCRIPTION_NONE};
    for (int i = 0; i < 500000; i++) {
        struct subscription before = s;
        struct subscription_event event = random_event();
        if ((event.kind == SUBSCRIPTION_ANSWERED || event.kind == SUBSCRIPTION_REFUSED) &&
            s.ask == SUBSCRIPTION_ASK_NOTHING) {
            continue; /* the hub takes answers only to what it asked */
        }
        unsigned actions = subscription_step(&s, &event);
        bool has_members = before.state != SUBSCRIPTION_NONE && before.state != SUBSCRIPTION_ASKING;
        bool stays = s.state != SUBSCRIPTION_NONE;
        if (has_members && stays && before.knows && !position_equal(&before.at, &s.at)) {
            bool by_one = (actions & DO(DELIVER)) && s.at.offset == before.at.offset + 1 &&
                          epoch_equal(&s.at.epoch, &before.at.epoch);
            bool by_page = (actions & DO(DELIVER_PAGE)) && epoch_equal(&s.at.epoch, &before.at.epoch) &&
                           s.at.offset > before.at.offset;
            assert_true(by_one || by_page || (actions & DO(TELL_LOST)));
        }
        if (actions & DO(ASK)) {
            assert_int_not_equal(s.ask, SUBSCRIPTION_ASK_NOTHING);
        }
        if (s.state == SUBSCRIPTION_MOVING && before.state == SUBSCRIPTION_LIVE) {
            assert_true(actions & DO(RETIRE));
        }
        if ((actions & DO(DELIVER)) && event.position.offset != 0 && before.knows) {
            assert_int_equal(event.position.offset, before.at.offset + 1);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_holds),
        cmocka_unit_test(scenario_10_a_broker_drained_under_load),
        cmocka_unit_test(after_the_grace_the_next_answer_is_taken_as_it_is),
        cmocka_unit_test(w_never_jumps_silently),
    };
    return cmocka_run_group_tests_name("channel_subscription", tests, NULL, NULL);
}
