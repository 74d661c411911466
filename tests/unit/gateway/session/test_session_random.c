/* Thousands of sessions whose clients, hub, brokers and transport do what they please, from fixed seeds. What must
 * hold: every command is answered once, and by the time nothing is outstanding all of them are; a closed session leaves
 * nothing behind (tear_down and the address sanitizer). */
#include "session_harness.h"

enum { SESSIONS = 400, STEPS = 120, IDS_MAX = 4096 };

static uint64_t seed;

static unsigned roll(unsigned below) {
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned) (seed >> 33) % below;
}

static bool asked[IDS_MAX];
static bool answered[IDS_MAX];
static unsigned last_id;
static bool owes_pong;

static const char *const channels[] = {"plain:a", "plain:b", "forced:a", "news", "closed:a", "nowhere:a", "dialog#42"};

static void append_command(struct buffer *message) {
    static const char *const formats[] = {
        "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\"}}",
        "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\",\"recover\":true,\"epoch\":\"kxYz\",\"offset\":3,\"flag\":2}}",
        "{\"id\":%u,\"subscribe\":{\"channel\":\"%s\",\"recoverable\":true,\"recover\":true}}",
        "{\"id\":%u,\"unsubscribe\":{\"channel\":\"%s\"}}",
        "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":[1]}}",
        "{\"id\":%u,\"history\":{\"channel\":\"%s\",\"limit\":2}}",
        "{\"id\":%u,\"presence\":{\"channel\":\"%s\"}}",
        "{\"id\":%u,\"presence_stats\":{\"channel\":\"%s\"}}",
        "{\"id\":%u,\"sub_refresh\":{\"channel\":\"%s\"}}",
        "{\"id\":%u,\"rpc\":{\"method\":\"%s\"}}",
    };
    unsigned id = ++last_id;
    assert_true(id < IDS_MAX);
    asked[id] = true;
    char text[256];
    snprintf(text, sizeof text, formats[roll(sizeof formats / sizeof formats[0])], id,
             channels[roll(sizeof channels / sizeof channels[0])]);
    buffer_append_text(message, message->size > 0 ? "\n" : "");
    buffer_append_text(message, text);
}

static void client_speaks(void) {
    struct buffer message = BUFFER_EMPTY;
    for (unsigned n = 1 + roll(6); n > 0; n--) {
        append_command(&message);
    }
    if (owes_pong) {
        buffer_append_text(&message, "\n{}");
        owes_pong = false;
    }
    session_on_message(t.session, buffer_span(&message));
    buffer_finish(&message);
}

/* A random call that is still open; NULL: none of those looked at is. */
static struct hub_channel *some_hub_call(bool joined) {
    for (unsigned tries = 0; tries < 8 && n_hub_calls > 0; tries++) {
        struct hub_channel *call = &hub_calls[roll(n_hub_calls)];
        if (call->member != NULL && call->joined == joined) {
            return call;
        }
    }
    return NULL;
}

static void hub_answers(struct hub_channel *call) {
    struct hub_member *member = call->member;
    struct hub_joined joined = {.has_history = roll(2) == 0, .recovered = roll(2) == 0, .position.offset = roll(9)};
    if (roll(5) == 0) {
        hub_leave(NULL, member);
        t.environment.to_hub.on_join_failed(member, ERROR_INTERNAL);
        return;
    }
    call->joined = true;
    t.environment.to_hub.on_joined(member, &joined);
}

static void broker_answers(struct broker_call *call) {
    static const enum error_code errors[] = {ERROR_NONE, ERROR_NONE, ERROR_INTERNAL, ERROR_OUTCOME_UNKNOWN};
    struct broker_request *request = call->request;
    call->request = NULL;
    request->on_done(request, &(struct broker_answer){.error = errors[roll(4)]});
}

static void some_broker_answers(void) {
    struct broker_call *call = n_broker_calls == 0 ? NULL : &broker_calls[roll(n_broker_calls)];
    if (call != NULL && call->request != NULL) {
        broker_answers(call);
    }
}

static void hub_does_something(void) {
    const struct position position = {.offset = 1};
    struct hub_channel *waiting = some_hub_call(false);
    struct hub_channel *member = some_hub_call(true);
    if (waiting != NULL && roll(2) == 0) {
        hub_answers(waiting);
    } else if (member != NULL && roll(4) == 0) {
        t.environment.to_hub.on_lost(member->member, &position);
    } else if (member != NULL) {
        deliver(member->name, "push");
    }
}

static void transport_does_something(void) {
    t.transport.answer = roll(3) == 0 ? TRANSPORT_BACKLOG : TRANSPORT_TAKEN;
    session_on_writable(t.session);
}

static void note_replies(void) {
    char *text = (char *) written();
    for (char *at = strstr(text, "{\"id\":"); at != NULL; at = strstr(at + 1, "{\"id\":")) {
        unsigned id = (unsigned) strtoul(at + strlen("{\"id\":"), NULL, 10);
        assert_true(asked[id]);
        assert_false(answered[id]);
        answered[id] = true;
    }
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        owes_pong = owes_pong || strcmp(line, "{}") == 0;
    }
}

static void step(void) {
    switch (roll(5)) {
    case 0:
        client_speaks();
        break;
    case 1:
        some_broker_answers();
        break;
    case 2:
        transport_does_something();
        break;
    case 3:
        pass_ms(10 + roll(100) * 10);
        break;
    default:
        hub_does_something();
    }
    if (roll(2) == 0) {
        flush();
        note_replies();
    }
}

/* One round over all calls; answers may bring new ones. False: nothing was open. */
static bool answer_round(void) {
    bool was_open = false;
    for (unsigned i = 0; i < n_broker_calls; i++) {
        if (broker_calls[i].request != NULL) {
            broker_answers(&broker_calls[i]);
            was_open = true;
        }
    }
    for (unsigned i = 0; i < n_hub_calls; i++) {
        if (hub_calls[i].member != NULL && !hub_calls[i].joined) {
            hub_answers(&hub_calls[i]);
            was_open = true;
        }
    }
    flush();
    return was_open;
}

static void answer_everything(void) {
    t.transport.answer = TRANSPORT_TAKEN;
    session_on_writable(t.session);
    flush();
    while (answer_round()) {
    }
    note_replies();
}

static void live(void) {
    memset(asked, 0, sizeof asked);
    memset(answered, 0, sizeof answered);
    last_id = 1;
    asked[1] = true;
    owes_pong = false;
    n_hub_calls = n_broker_calls = 0;
    connect_user();
    for (unsigned n = roll(STEPS); n > 0 && t.transport.close_code == 0; n--) {
        step();
    }
    if (roll(3) > 0) {
        answer_everything();
        for (unsigned id = 2; id <= last_id && t.transport.close_code == 0; id++) {
            assert_true(answered[id]);
        }
    }
    close_session();
}

static void live_many(uint64_t first_seed, int64_t commands_in_flight, int64_t outbox_bytes) {
    t.config.commands_in_flight = commands_in_flight;
    t.config.outbox_bytes = outbox_bytes;
    t.config.outbox_frames = 100;
    close_session();
    for (unsigned i = 0; i < SESSIONS; i++) {
        seed = first_seed + i;
        open_session();
        live();
        for (unsigned j = 0; j < n_hub_calls; j++) {
            assert_null(hub_calls[j].member);
        }
        for (unsigned j = 0; j < n_broker_calls; j++) {
            assert_null(broker_calls[j].request);
        }
        assert_int_equal(t.environment.outbox_budget.used, 0);
        assert_int_equal(t.environment.connections, 0);
    }
    n_hub_calls = n_broker_calls = 0;
}

static void test_every_command_is_answered_once(void **state) {
    (void) state;
    live_many(1000, 32, 1 << 20);
}

static void test_also_with_few_commands_in_flight(void **state) {
    (void) state;
    live_many(2000, 1, 1 << 20);
    live_many(3000, 3, 1 << 20);
}

static void test_also_with_a_small_outbox(void **state) {
    (void) state;
    live_many(4000, 32, 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        session_test(test_every_command_is_answered_once),
        session_test(test_also_with_few_commands_in_flight),
        session_test(test_also_with_a_small_outbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
