/* Subscriptions that the server makes for a client, not the client for itself: channels of its connection token, its
 * personal channel, what it names in connect.subs as its own from before, and later those that a service orders.
 *
 *   connect accepted ──no such channels──▶ reply
 *         └──▶ CONNECTING: every one joins, from the client's position where it has one ──all have joined──▶ reply,
 * which carries each one's result; then the commands that waited, and what was published meanwhile
 *
 * The user's place among his connections at all gateways (client.connections_per_user) is asked for at the same time
 * and waited for alike; it is refused with 3504.
 *
 * A service's order while it is connected: the channel is joined, then a subscribe push tells the client.
 *
 * The reply is the first thing the client sees: until it is there nothing is written, and it goes before whatever the
 * channels that joined early have delivered.
 *
 * Failure modes, all before the reply: a granted channel of an unknown namespace: error 102, and the connection is of
 * no use any more; one of connect.subs: 3501, but one that is not allowed is passed over (the client asks, nobody
 * promised); more than client.channels_max, or so many in connect.subs: 3505; one that cannot join: 3004, and the
 * client comes back. Later: lost continuity 3010, expiry 3006, because a client has no object that could subscribe
 * anew. */
#include "gateway/session/session_commands.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"

#include <xxhash.h>

/* While CONNECTING. */
struct session_connecting {
    uint32_t command_id;
    struct session_begun begun;
    int64_t expire_at_s;
    payload_t *data;    /* of the connect hook; NULL: none */
    struct buffer subs; /* results of those that have joined, as the codec writes them */
    uint32_t n_awaited; /* joins, and the place */
    session_t *session;
    struct user_place place;
};

/* What is being collected for one connect. */
struct collection {
    session_t *session;
    struct json_value wanted; /* connect.subs: {"channel": {"recover": true, "epoch": "…", "offset": n}} */
    struct buffer channel;    /* the name at hand, decoded */
    enum error_code error;    /* of the first channel that is none */
};

/* ---- starting one ---- */

static void read_position(struct json_value wish, struct client_subscribe *request) {
    struct buffer epoch = BUFFER_EMPTY;
    json_to_bool(json_member(wish, "recover"), &request->recover);
    json_to_u64(json_member(wish, "offset"), &request->offset);
    if (json_decode_string(json_member(wish, "epoch"), &epoch)) {
        request->epoch = epoch_from(buffer_span(&epoch));
    }
    buffer_finish(&epoch);
}

/* The client's wish for this channel, JSON_ABSENT without. Names with escapes are compared as they are meant. */
static struct json_value wish_for(struct json_value wanted, struct span channel) {
    struct json_iterator iterator = json_iterate(wanted);
    struct json_value name;
    struct json_value value;
    struct json_value found = JSON_ABSENT;
    struct buffer decoded = BUFFER_EMPTY;
    while (json_next(&iterator, &name, &value)) {
        buffer_clear(&decoded);
        if (json_decode_string(name, &decoded) && span_equal(buffer_span(&decoded), channel)) {
            found = value;
        }
    }
    buffer_finish(&decoded);
    return found;
}

void session_take_grant(struct subscription *subscription, struct json_value grant) {
    struct buffer bytes = BUFFER_EMPTY;
    struct buffer binary = BUFFER_EMPTY;
    session_append_grant(&bytes, grant, "info", "b64info", &binary);
    if (bytes.size > 0) {
        session_set_chan_info(subscription, buffer_span(&bytes));
    }
    buffer_clear(&bytes);
    session_append_grant(&bytes, grant, "data", "b64data", &binary);
    subscription->data = bytes.size == 0 ? NULL : payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    buffer_finish(&binary);
}

/* `grant`: the token's or the service's options for it, JSON_ABSENT without. */
static void begin(session_t *session, const struct client_subscribe *request, const struct namespace_options *options,
                  struct json_value grant, int64_t expire_at_s) {
    const struct subscription_wishes wishes = {false, false, false};
    struct subscription_features features =
        permission_features(options, session_client_info(session).user, &wishes, json_member(grant, "override"));
    struct subscription *subscription = session_add_subscription(session, request, options, &features);
    subscription->is_server_side = true;
    session_take_grant(subscription, grant);
    if (session->connecting != NULL) {
        session->connecting->n_awaited++;
    }
    subscription->expire_at_s = expire_at_s;
    session_join(subscription, request, options);
}

/* `grant`: the token's options for it, JSON_ABSENT without. */
static void start(struct collection *self, struct span channel, const struct namespace_options *options,
                  struct json_value grant) {
    session_t *session = self->session;
    if (session->n_subscriptions >= session->environment->config->channels_max) {
        session_disconnect(session, DISCONNECT_CHANNEL_LIMIT);
        return;
    }
    struct client_subscribe request = {.channel = channel, .tag_filter = JSON_ABSENT};
    read_position(wish_for(self->wanted, channel), &request);
    begin(session, &request, options, grant, 0);
}

/* False: enough, the connect has failed. */
static bool start_granted(struct collection *self, struct span channel, struct json_value grant) {
    const struct namespace_options *options = NULL;
    if (session_find_subscription(self->session, channel) != NULL) {
        return true; /* named twice */
    }
    self->error = permission_find_options(self->session->environment->namespaces, channel, &options);
    if (self->error != ERROR_NONE) {
        log_warning("server_subscription_refused", log_span("channel", channel),
                    log_text("reason", error_describe((uint32_t) self->error)->message),
                    log_text("help", "a token or the personal channel names it; make its namespace, or leave it out"));
        return false;
    }
    start(self, channel, options, grant);
    return self->session->state == SESSION_CONNECTING;
}

/* ---- where they come from ---- */

/* subs counts alone where it is there. */
static void start_of_token(struct collection *self, const struct token_claims *claims) {
    bool has_options = claims->subs.type == JSON_OBJECT;
    struct json_iterator iterator = json_iterate(has_options ? claims->subs : claims->channels);
    struct json_value name;
    struct json_value value;
    bool goes_on = true;
    while (goes_on && json_next(&iterator, &name, &value)) {
        buffer_clear(&self->channel);
        if (json_decode_string(has_options ? name : value, &self->channel)) {
            goes_on = start_granted(self, buffer_span(&self->channel), has_options ? value : JSON_ABSENT);
        }
    }
}

/* NS:#user, or #user. */
static void start_personal(struct collection *self) {
    const struct gateway_config *config = self->session->environment->config;
    struct span user = session_client_info(self->session).user;
    if (!config->personal_channel || user.size == 0) {
        return;
    }
    buffer_clear(&self->channel);
    if (config->personal_channel_namespace[0] != '\0') {
        buffer_append_format(&self->channel, "%s:", config->personal_channel_namespace);
    }
    buffer_append_char(&self->channel, '#');
    buffer_append_span(&self->channel, user);
    start_granted(self, buffer_span(&self->channel), JSON_ABSENT);
}

/* What it names and was not granted is judged as if it asked by itself. */
static void start_wanted(struct collection *self) {
    session_t *session = self->session;
    struct json_iterator iterator = json_iterate(self->wanted);
    struct json_value name;
    struct json_value value;
    while (session->state == SESSION_CONNECTING && json_next(&iterator, &name, &value)) {
        const struct namespace_options *options = NULL;
        buffer_clear(&self->channel);
        if (!json_decode_string(name, &self->channel)) {
            session_disconnect(session, DISCONNECT_BAD_REQUEST);
            return;
        }
        struct span channel = buffer_span(&self->channel);
        if (session_find_subscription(session, channel) != NULL) {
            continue;
        }
        if (permission_find_options(session->environment->namespaces, channel, &options) != ERROR_NONE) {
            session_disconnect(session, DISCONNECT_BAD_REQUEST);
        } else if (permission_subscribe(options, channel, session_client_info(session).user) == ERROR_NONE) {
            start(self, channel, options, JSON_ABSENT);
        }
    }
}

/* The same set has the same number, whatever its order. */
uint64_t session_granted_set(const struct token_claims *claims) {
    bool has_options = claims->subs.type == JSON_OBJECT;
    struct json_iterator iterator = json_iterate(has_options ? claims->subs : claims->channels);
    struct json_value name;
    struct json_value value;
    struct buffer channel = BUFFER_EMPTY;
    uint64_t set = 0;
    while (json_next(&iterator, &name, &value)) {
        buffer_clear(&channel);
        if (json_decode_string(has_options ? name : value, &channel)) {
            set += XXH3_64bits(channel.data, channel.size) | 1;
        }
    }
    buffer_finish(&channel);
    return set;
}

/* ---- the connect ---- */

static void finish_connecting(session_t *self) {
    struct session_connecting *connecting = self->connecting;
    self->connecting = NULL;
    self->state = SESSION_CONNECTED;
    session_reply_connected(self, connecting->command_id, connecting->expire_at_s, buffer_span(&connecting->subs),
                            connecting->data);
    if (self->environment->handled != self && self->raw == NULL) { /* else its handler counts it; raw, it was none */
        session_count_done(self, connecting->begun);
    }
    buffer_finish(&connecting->subs);
    payload_unref(&connecting->data);
    memory_free(connecting);
    list_for_each (link, &self->subscriptions) {
        session_stand_in_presence(list_entry(link, struct subscription, link));
    }
    if (self->raw != NULL) {
        session_raw_connected(self);
    }
}

/* One of what the reply waits for is there. It may be closing already, and does not come back then. */
static void note_one(session_t *self) {
    if (--self->connecting->n_awaited == 0 && self->state == SESSION_CONNECTING) {
        finish_connecting(self);
    }
}

static void on_judged(struct user_place *place, bool may) {
    session_t *self = list_entry(place, struct session_connecting, place)->session;
    session_command_done(self);
    if (may) {
        note_one(self);
    } else {
        session_disconnect(self, DISCONNECT_CONNECTION_LIMIT);
    }
}

/* Beside the joins: it takes no time where there are some. */
static void ask_for_place(session_t *self) {
    struct span user = session_client_info(self).user;
    self->connecting->place.on_judged = on_judged;
    if (user.size > 0 && user_places_ask(self->environment->user_places, &self->connecting->place, user)) {
        self->connecting->n_awaited++;
        self->n_in_flight++;
    }
}

/* No reply of ours will come. */
static void give_up(session_t *self) {
    while (!list_is_empty(&self->subscriptions)) {
        struct subscription *subscription = list_entry(self->subscriptions.next, struct subscription, link);
        session_drop_subscription(&subscription);
    }
    session_drop_connecting(self);
}

/* What it names is searched for each channel: more than it may have is not worth that. */
static bool wants_too_many(const session_t *self, struct json_value wanted) {
    struct json_iterator iterator = json_iterate(wanted);
    struct json_value name;
    struct json_value value;
    int64_t n = 0;
    while (json_next(&iterator, &name, &value)) {
        n++;
    }
    return n > self->environment->config->channels_max;
}

enum error_code session_connect_channels(session_t *self, uint32_t command_id, int64_t expire_at_s,
                                         const struct token_claims *claims, struct json_value wanted,
                                         struct span data) {
    struct collection collection = {.session = self, .wanted = wanted, .channel = BUFFER_EMPTY, .error = ERROR_NONE};
    if (wants_too_many(self, wanted)) {
        session_disconnect(self, DISCONNECT_CHANNEL_LIMIT);
        return ERROR_NONE;
    }
    self->state = SESSION_CONNECTING;
    self->connecting = memory_alloc_zero(sizeof *self->connecting);
    self->connecting->command_id = command_id;
    self->connecting->begun = self->environment->begun;
    self->connecting->expire_at_s = expire_at_s;
    self->connecting->session = self;
    self->connecting->data = data.size == 0 ? NULL : payload_new(data);
    ask_for_place(self);
    if (claims != NULL && self->raw == NULL) {
        self->granted_set = session_granted_set(claims);
        start_of_token(&collection, claims);
    }
    if (self->raw == NULL && self->state == SESSION_CONNECTING && collection.error == ERROR_NONE) {
        start_personal(&collection);
    }
    if (self->state == SESSION_CONNECTING && collection.error == ERROR_NONE) {
        start_wanted(&collection);
    }
    buffer_finish(&collection.channel);
    if (collection.error != ERROR_NONE) {
        give_up(self);
    } else if (self->state == SESSION_CONNECTING && self->connecting->n_awaited == 0) {
        finish_connecting(self);
    }
    return collection.error;
}

void session_drop_connecting(session_t *self) {
    if (self->connecting != NULL) {
        if (self->connecting->place.places != NULL) {
            user_place_cancel(&self->connecting->place);
            session_command_done(self);
        }
        buffer_finish(&self->connecting->subs);
        payload_unref(&self->connecting->data);
        memory_free(self->connecting);
        self->connecting = NULL;
    }
}

/* What was missed goes behind the push, as publications. */
static void tell_subscribed(struct subscription *subscription, const struct client_subscribed *result) {
    session_t *self = subscription->session;
    struct client_channel channel = {.name = hub_member_channel(&subscription->member)};
    struct cursor cursor = cursor_of(result->publications);
    struct wire_publication publication;
    self->codec->encode_push_subscribe(session_begin_reply(self), channel.name, result);
    session_end_reply(self);
    for (uint32_t i = 0; i < result->n_publications && wire_read_publication(&cursor, &publication); i++) {
        self->codec->encode_push_publication(session_begin_reply(self), &channel, &publication, &result->epoch, NULL);
        session_end_reply(self);
    }
    session_stand_in_presence(subscription);
}

void session_on_server_joined(struct subscription *subscription, const struct client_subscribed *result) {
    session_t *self = subscription->session;
    if (self->state == SESSION_CONNECTED) {
        tell_subscribed(subscription, result);
        return;
    }
    if (self->connecting == NULL) {
        return; /* it closes */
    }
    self->codec->encode_connected_sub(&self->connecting->subs, hub_member_channel(&subscription->member), result);
    note_one(self);
}

/* ---- while connected ---- */

/* recover_since: {offset, epoch}. */
static void read_since(struct json_value since, struct client_subscribe *request) {
    read_position(since, request);
    request->recover = since.type == JSON_OBJECT;
}

bool session_subscribe_for(session_t *self, struct span channel, const struct namespace_options *options,
                           struct json_value grant) {
    struct client_subscribe request = {.channel = channel, .tag_filter = JSON_ABSENT};
    int64_t expire_at_s = 0;
    if (self->raw != NULL || session_find_subscription(self, channel) != NULL) {
        return false;
    }
    if (self->n_subscriptions >= self->environment->config->channels_max) {
        session_disconnect(self, DISCONNECT_CHANNEL_LIMIT);
        return true;
    }
    read_since(json_member(grant, "recover_since"), &request);
    json_to_i64(json_member(grant, "expire_at"), &expire_at_s);
    begin(self, &request, options, grant, expire_at_s);
    return true;
}

void session_drop_joining(struct subscription **subscription_p) {
    session_t *self = (*subscription_p)->session;
    session_drop_subscription(subscription_p);
    if (self->connecting != NULL) {
        note_one(self);
    }
}
