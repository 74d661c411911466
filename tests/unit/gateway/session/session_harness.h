/* A session between fakes: a transport that records what is written, a hub and brokers that record what is asked and
 * answer when the test says so, a clock that moves when the test says so. What is real: session, codec, outbox, tokens,
 * timers, namespaces. The fakes replace hub_* and broker_* by name when the test is linked. */
#ifndef CALLBOARD_TESTS_SESSION_HARNESS_H
#define CALLBOARD_TESTS_SESSION_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "gateway/session/session.h"

#define SECRET "0123456789abcdef0123456789abcdef"

enum { WALL_START_S = 1800000000, CALLS_MAX = 4096 };

/* ---- time ---- */

static uint64_t test_now_us;

static inline uint64_t test_monotonic_us(void) {
    return test_now_us;
}

static inline int64_t test_wall_ms(void) {
    return (int64_t) WALL_START_S * 1000 + (int64_t) (test_now_us / 1000) - 1000000;
}

/* ---- the transport ---- */

struct test_transport {
    struct transport base; /* first */
    struct buffer written;
    unsigned n_writes;
    enum transport_write answer;
    int close_code; /* 0: not asked */
    char close_reason[64];
    bool paused;
};

static inline enum transport_write test_write(struct transport *base, struct span framed) {
    struct test_transport *self = (struct test_transport *) base;
    assert_int_equal(self->close_code, 0);
    self->n_writes++;
    buffer_append_span(&self->written, framed);
    return self->answer;
}

/* A frame ends in a line feed; between the replies inside one stands " + ". */
static inline payload_t *test_frame(enum client_encoding encoding, struct span message) {
    assert_int_equal(encoding, CLIENT_ENCODING_JSON);
    struct buffer framed = BUFFER_EMPTY;
    for (size_t i = 0; i < message.size; i++) {
        buffer_append_text(&framed, message.data[i] == '\n' ? " + " : "");
        buffer_append(&framed, &message.data[i], message.data[i] == '\n' ? 0 : 1);
    }
    buffer_append_char(&framed, '\n');
    payload_t *payload = payload_new(buffer_span(&framed));
    buffer_finish(&framed);
    return payload;
}

static inline void test_close(struct transport *base, uint16_t code, const char *reason) {
    struct test_transport *self = (struct test_transport *) base;
    assert_int_equal(self->close_code, 0);
    self->close_code = code;
    snprintf(self->close_reason, sizeof self->close_reason, "%s", reason);
}

static inline void test_pause(struct transport *base, bool pause) {
    struct test_transport *self = (struct test_transport *) base;
    assert_true(self->paused != pause);
    self->paused = pause;
}

static const struct transport_methods test_methods = {
    .write = test_write, .frame = test_frame, .close = test_close, .pause_reading = test_pause, .name = "test"};

/* ---- the hub ---- */

struct hub_channel {
    char name[256];
    struct hub_member *member; /* NULL: left */
    bool joined;
    bool has_since;
    struct position since;
    unsigned n_presence_sets;
    unsigned n_presence_clears;
    bool told_join;
    char info[512]; /* of the last presence_set: user|client|conn_info|chan_info */
};

static struct hub_channel hub_calls[CALLS_MAX];
static unsigned n_hub_calls;

void hub_join(hub_t *self, struct span channel, const struct namespace_options *options, struct hub_member *member,
              bool has_since, const struct position *since, uint64_t deadline_ms) {
    (void) self;
    assert_non_null(options);
    assert_true(deadline_ms > test_now_us / 1000);
    assert_true(n_hub_calls < CALLS_MAX);
    struct hub_channel *call = &hub_calls[n_hub_calls++];
    *call = (struct hub_channel){.member = member, .has_since = has_since, .since = *since};
    memcpy(call->name, channel.data, channel.size);
    member->channel = call;
}

void hub_leave(hub_t *self, struct hub_member *member) {
    (void) self;
    if (member->channel != NULL) {
        member->channel->member = NULL;
        member->channel = NULL;
    }
}

struct span hub_member_channel(const struct hub_member *member) {
    return member->channel == NULL ? SPAN_EMPTY : span_of_text(member->channel->name);
}

static inline void tell_info(char *text, size_t size, struct span bytes) {
    struct wire_client_info info = {.user = SPAN_EMPTY};
    assert_true(bytes.size == 0 || wire_read_client_info(bytes, &info));
    snprintf(text, size, "%.*s|%.*s|%.*s|%.*s", (int) info.user.size, (const char *) info.user.data,
             (int) info.client.size, (const char *) info.client.data, (int) info.conn_info.size,
             (const char *) info.conn_info.data, (int) info.chan_info.size, (const char *) info.chan_info.data);
}

void hub_presence_set(hub_t *self, struct hub_member *member, payload_t *client_info, bool join_leave) {
    (void) self;
    assert_true(member->channel->joined);
    member->channel->n_presence_sets++;
    member->channel->told_join = join_leave;
    tell_info(member->channel->info, sizeof member->channel->info, payload_span(client_info));
}

void hub_presence_clear(hub_t *self, struct hub_member *member) {
    (void) self;
    member->channel->n_presence_clears++;
}

/* The newest join of that channel. */
static inline struct hub_channel *hub_call(const char *channel) {
    for (unsigned i = n_hub_calls; i > 0; i--) {
        if (strcmp(hub_calls[i - 1].name, channel) == 0) {
            return &hub_calls[i - 1];
        }
    }
    fail_msg("nobody joined %s", channel);
    return NULL;
}

/* ---- the brokers ---- */

struct broker_call {
    struct broker_request *request; /* NULL: answered or cancelled */
    const char *what;
    char channel[256];
    char data[1024];
    char info[512];
    char key[512];
    bool has_since;
    struct position since;
    uint32_t limit;
    bool reverse;
    uint8_t flags; /* publish */
    size_t tags_size;
};

static struct broker_call broker_calls[CALLS_MAX];
static unsigned n_broker_calls;

static inline struct broker_call *note_call(struct broker_request *request, const char *what, struct span channel) {
    assert_true(n_broker_calls < CALLS_MAX);
    struct broker_call *call = &broker_calls[n_broker_calls++];
    *call = (struct broker_call){.request = request, .what = what};
    if (channel.size > 0) {
        memcpy(call->channel, channel.data, channel.size);
    }
    return call;
}

void broker_publish(broker_requests_t *self, struct broker_request *request,
                    const struct broker_publication *publication) {
    (void) self;
    assert_int_equal(publication->version, 0);
    struct broker_call *call = note_call(request, "publish", publication->channel);
    call->flags = publication->flags;
    call->tags_size = publication->tags.size;
    assert_true(publication->key.size < sizeof call->key);
    if (publication->key.size > 0) {
        memcpy(call->key, publication->key.data, publication->key.size);
    }
    memcpy(call->data, publication->data.data, publication->data.size);
    tell_info(call->info, sizeof call->info, publication->info);
}

void broker_history(broker_requests_t *self, struct broker_request *request, struct span channel, bool has_since,
                    const struct position *since, uint32_t limit, bool reverse) {
    (void) self;
    struct broker_call *call = note_call(request, "history", channel);
    call->has_since = has_since;
    call->since = *since;
    call->limit = limit;
    call->reverse = reverse;
}

void broker_presence(broker_requests_t *self, struct broker_request *request, struct span channel) {
    (void) self;
    note_call(request, "presence", channel);
}

void broker_presence_stats(broker_requests_t *self, struct broker_request *request, struct span channel) {
    (void) self;
    note_call(request, "presence_stats", channel);
}

void broker_call(broker_requests_t *self, struct broker_request *request, const struct broker_question *question) {
    (void) self;
    struct broker_call *call = note_call(request, "call", question->channel);
    assert_true(question->method.size < sizeof call->key && question->data.size < sizeof call->data);
    memcpy(call->key, question->method.data, question->method.size);
    if (question->data.size > 0) {
        memcpy(call->data, question->data.data, question->data.size);
    }
    assert_true(question->details.size < sizeof call->info);
    memcpy(call->info, question->details.data, question->details.size);
}

void broker_request_cancel(broker_requests_t *self, struct broker_request *request) {
    (void) self;
    for (unsigned i = 0; i < n_broker_calls; i++) {
        if (broker_calls[i].request == request) {
            broker_calls[i].request = NULL;
        }
    }
}

/* ---- places of users ---- */

static struct user_place *place_asked; /* the last one; NULL: none, judged or cancelled */
static unsigned n_places_told;

bool user_places_ask(user_places_t *self, struct user_place *place, struct span user) {
    assert_true(user.size > 0);
    if (self != NULL) {
        place->places = self;
        place_asked = place;
    }
    return self != NULL;
}

void user_place_cancel(struct user_place *place) {
    assert_ptr_equal(place, place_asked);
    place->places = NULL;
    place_asked = NULL;
}

void user_places_tell(user_places_t *self, struct span user) {
    (void) user;
    n_places_told += self != NULL;
}

static inline void judge_place(bool may) {
    struct user_place *place = place_asked;
    assert_non_null(place);
    place_asked = NULL;
    place->places = NULL;
    place->on_judged(place, may);
}

static inline struct broker_call *last_call(void) {
    assert_true(n_broker_calls > 0);
    return &broker_calls[n_broker_calls - 1];
}

/* ---- the session under test ---- */

struct test {
    struct gateway_config config;
    struct namespace_options namespaces[8];
    struct config_section_list list;
    namespace_set_t *namespace_set;
    token_keys_t *keys;
    struct session_environment environment;
    struct test_transport transport;
    session_t *session;
    char client[37]; /* of the last connect reply */
};

static struct test t;

static inline struct namespace_options *add_namespace(const char *name) {
    struct namespace_options *options = &t.namespaces[t.list.n++];
    *options = (struct namespace_options){.name = (char *) name};
    return options;
}

/* The open one: no name, everything allowed to users who are known. */
static inline void allow_everything(struct namespace_options *options) {
    options->allow_subscribe_for_client = true;
    options->allow_publish_for_client = true;
    options->allow_presence_for_client = true;
    options->allow_history_for_client = true;
    options->allow_user_limited_channels = true;
    options->presence = true;
    options->join_leave = true;
    options->history_size = 100;
    options->history_ttl_ms = 60000;
}

static inline void add_namespaces(void) {
    allow_everything(add_namespace(""));
    struct namespace_options *plain = add_namespace("plain"); /* no features */
    plain->allow_subscribe_for_client = true;
    plain->allow_publish_for_subscriber = true;
    add_namespace("closed");
    struct namespace_options *open = add_namespace("open"); /* for the anonymous as well */
    allow_everything(open);
    open->allow_subscribe_for_anonymous = open->allow_publish_for_anonymous = true;
    open->allow_presence_for_anonymous = open->allow_history_for_anonymous = true;
    struct namespace_options *forced = add_namespace("forced");
    forced->allow_subscribe_for_client = true;
    forced->history_size = 10;
    forced->history_ttl_ms = 60000;
    forced->force_recovery = forced->force_positioning = true;
    forced->join_leave = forced->force_push_join_leave = true;
}

static const struct gateway_config config_of_test = {
    .allow_anonymous = false,
    .ping_interval_ms = 25000,
    .pong_timeout_ms = 8000,
    .connect_timeout_ms = 10000,
    .message_size_max = 65536,
    .channels_max = 128,
    .commands_in_flight = 32,
    .calls_max = 4096,
    .call_timeout_ms = 2000,
    .commands_per_second = 100,
    .outbox_bytes = 1 << 20,
    .outbox_frames = 4096,
    .write_stall_ms = 10000,
    .expired_close_delay_ms = 25000,
    .history_limit_max = 300,
    .request_timeout_ms = 2000,
};

static inline void open_session(void) {
    t.transport = (struct test_transport){.base = {&test_methods}, .answer = TRANSPORT_TAKEN};
    t.session = session_new(&t.environment, &t.transport.base, CLIENT_ENCODING_JSON);
}

static inline int set_up(void **state) {
    (void) state;
    char error[256];
    memset(&t, 0, sizeof t);
    n_hub_calls = 0;
    n_broker_calls = 0;
    place_asked = NULL;
    n_places_told = 0;
    test_now_us = 1000000000;
    clock_replace(test_monotonic_us, test_wall_ms);
    t.config = config_of_test;
    t.list.items = t.namespaces;
    add_namespaces();
    t.namespace_set = namespace_set_new(&t.list);
    const struct token_rules rules = {.audience = "", .issuer = "", .any_audience = true};
    t.keys = token_keys_new(&rules);
    assert_true(token_keys_add_secret(t.keys, NULL, TOKEN_HS256, SPAN_LITERAL(SECRET), error, sizeof error));
    session_environment_init(&t.environment, test_frame);
    t.environment.config = &t.config;
    t.environment.keys = t.keys;
    t.environment.namespaces = t.namespace_set;
    t.environment.wheel = timer_wheel_new(clock_monotonic_ms(), 10);
    quota_init(&t.environment.outbox_budget, 0, NULL);
    open_session();
    return 0;
}

static inline void close_session(void) {
    session_on_closed(&t.session);
    buffer_finish(&t.transport.written);
}

static inline int tear_down(void **state) {
    (void) state;
    close_session();
    assert_int_equal(t.environment.outbox_budget.used, 0);
    assert_int_equal(t.environment.connections + t.environment.alive + t.environment.dead + t.environment.users, 0);
    assert_int_equal(timer_wheel_count(t.environment.wheel), 0);
    for (unsigned i = 0; i < n_hub_calls; i++) {
        assert_null(hub_calls[i].member);
        assert_true(hub_calls[i].n_presence_clears == (hub_calls[i].n_presence_sets > 0 ? 1 : 0));
    }
    for (unsigned i = 0; i < n_broker_calls; i++) {
        assert_null(broker_calls[i].request);
    }
    session_environment_finish(&t.environment);
    timer_wheel_destroy(&t.environment.wheel);
    namespace_set_destroy(&t.namespace_set);
    token_keys_destroy(&t.keys);
    clock_replace(NULL, NULL);
    return 0;
}

/* ---- what tests do ---- */

static inline void flush(void) {
    session_flush_dirty(&t.environment);
}

/* One message of the client, and the end of the turn. */
static inline void receive(const char *message) {
    session_on_message(t.session, span_of_text(message));
    flush();
}

static inline void pass_ms(uint64_t ms) {
    for (uint64_t passed = 0; passed < ms; passed += 10) {
        test_now_us += 10000;
        timer_wheel_advance(t.environment.wheel, clock_monotonic_ms());
        flush();
    }
}

static inline void replace_all(char *text, const char *what, const char *with) {
    size_t length = strlen(what);
    for (char *at = strstr(text, what); length > 0 && at != NULL; at = strstr(at + strlen(with), what)) {
        memmove(at + strlen(with), at + length, strlen(at + length) + 1);
        memcpy(at, with, strlen(with));
    }
}

/* What was written since the last time; the client id reads ID. */
static inline const char *written(void) {
    static char text[1 << 16];
    struct buffer *bytes = &t.transport.written;
    assert_true(bytes->size < sizeof text);
    if (bytes->size > 0) {
        memcpy(text, bytes->data, bytes->size);
    }
    text[bytes->size] = '\0';
    buffer_clear(bytes);
    char *id = strstr(text, "\"connect\":{\"client\":\"");
    if (id != NULL) {
        memcpy(t.client, id + strlen("\"connect\":{\"client\":\""), 36);
    }
    replace_all(text, t.client, "ID");
    return text;
}

static inline void assert_written(const char *expected) {
    assert_string_equal(written(), expected);
}

static inline void assert_closed(int code, const char *reason) {
    assert_int_equal(t.transport.close_code, code);
    assert_string_equal(t.transport.close_reason, reason);
}

static inline void assert_open(void) {
    assert_int_equal(t.transport.close_code, 0);
}

/* A signed token; $EXP is a minute from now, $PAST a minute ago. Valid until the next but seven. */
static inline const char *token(const char *claims) {
    static char tokens[8][2048];
    static unsigned next;
    char *text = tokens[next++ % 8];
    char filled[1024];
    char number[32];
    snprintf(filled, sizeof filled, "%s                                        ", claims);
    snprintf(number, sizeof number, "%lld", (long long) (test_wall_ms() / 1000 + 60));
    replace_all(filled, "\"$EXP\"", number);
    snprintf(number, sizeof number, "%lld", (long long) (test_wall_ms() / 1000 - 60));
    replace_all(filled, "\"$PAST\"", number);
    struct buffer out = BUFFER_EMPTY;
    assert_true(token_sign_with_secret(&out, NULL, TOKEN_HS256, SPAN_LITERAL(SECRET), span_of_text(filled)));
    snprintf(text, 2048, "%.*s", (int) out.size, (const char *) out.data);
    buffer_finish(&out);
    return text;
}

static inline void receive_with_token(const char *format, const char *signed_token) {
    char message[4096];
    snprintf(message, sizeof message, format, signed_token);
    receive(message);
}

/* User 42, with conn_info {"n":"Ann"}. */
static inline void connect_user(void) {
    receive_with_token("{\"id\":1,\"connect\":{\"token\":\"%s\"}}", token("{\"sub\":\"42\",\"info\":{\"n\":\"Ann\"}}"));
    assert_written("{\"id\":1,\"connect\":{\"client\":\"ID\",\"version\":\"" CALLBOARD_VERSION
                   "\",\"ping\":25,\"pong\":true}}\n");
}

/* The hub's answer: live at this position. NULL epoch: a channel without history. */
static inline void join(const char *channel, const char *epoch, uint64_t offset) {
    struct hub_channel *call = hub_call(channel);
    struct hub_joined joined = {.has_history = epoch != NULL, .position.offset = offset};
    joined.position.epoch = epoch_from(span_of_text(epoch));
    call->joined = true;
    t.environment.to_hub.on_joined(call->member, &joined);
    flush();
}

static inline void join_recovered(const char *channel, const char *epoch, uint64_t offset, uint32_t n,
                                  struct span missed) {
    struct hub_channel *call = hub_call(channel);
    struct hub_joined joined = {
        .has_history = true, .position.offset = offset, .recovered = true, .n_publications = n, .publications = missed};
    joined.position.epoch = epoch_from(span_of_text(epoch));
    call->joined = true;
    t.environment.to_hub.on_joined(call->member, &joined);
    flush();
}

static inline void deliver(const char *channel, const char *push) {
    payload_t *framed = test_frame(CLIENT_ENCODING_JSON, span_of_text(push));
    t.environment.to_hub.deliver(hub_call(channel)->member, payload_ref(framed));
    payload_unref(&framed);
}

/* Subscribes to a channel without features and takes the reply away. */
static inline void subscribe_plainly(const char *channel) {
    char message[512];
    snprintf(message, sizeof message, "{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}", channel);
    receive(message);
    join(channel, "kxYz", 7);
    assert_written("{\"id\":2,\"subscribe\":{}}\n");
}

static inline void answer(struct broker_call *call, const struct broker_answer *with) {
    struct broker_request *request = call->request;
    assert_non_null(request);
    call->request = NULL;
    request->on_done(request, with);
    flush();
}

/* A worker's answer. */
static inline void answer_verdict(struct broker_call *call, enum wire_call_outcome outcome, uint32_t code,
                                  const char *text, const char *payload) {
    struct buffer bytes = BUFFER_EMPTY;
    buffer_append_sized(&bytes, span_of_text(text));
    buffer_append_sized(&bytes, span_of_text(payload));
    answer(call, &(struct broker_answer){.n = (uint32_t) outcome, .m = code, .bytes = buffer_span(&bytes)});
    buffer_finish(&bytes);
}

static inline void answer_fine(struct broker_call *call) {
    answer(call, &(struct broker_answer){.error = ERROR_NONE});
}

#define session_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

#endif
