/* subscribe and unsubscribe, and what the hub tells a subscription.
 *
 *   (none) ──subscribe, allowed──▶ joining ──on_joined: reply──▶ joined ──unsubscribe, 2500, 2501──▶ (none)
 *                                    └──on_join_failed, 112: error reply──▶ (none)
 *
 * Happy path: the decision list of client-protocol.md 13 allows it, the hub is asked to join (from the client's
 * position where it wants to recover), its answer carries the position and what was missed, and the reply goes out
 * before any push, because the hub delivers to members that have joined. Then the session enters the channel's
 * presence.
 *
 * Failure modes: not allowed: the error of the list; a token of somebody else: 3500. The hub cannot join: its error.
 * Not recovered: the reply says so, or error 112 where the client asked for that. Continuity is lost later: a
 * positioned subscription ends with 2500, and the SDK comes back with its position. It expires: 2501. */
#include "gateway/session/session_commands.h"

#include "base/channel_name.h"
#include "base/clock.h"
#include "base/memory.h"

#include <xxhash.h>

/* Of a subscribe request. */
enum { FLAG_FAILS_UNRECOVERED = 2 };

/* What decided that the client may, and with what. */
struct admission {
    bool by_token;
    struct token_claims claims; /* finish it where by_token */
};

/* ---- leaving ---- */

/* A server-side one had no command of its own. */
static void subscribe_done(const struct subscription *subscription) {
    if (!subscription->is_server_side) {
        session_count_done(subscription->session,
                           (struct session_begun){subscription->begun_us, CLIENT_COMMAND_SUBSCRIBE});
    }
    session_command_done(subscription->session);
}

void session_drop_subscription(struct subscription **subscription_p) {
    struct subscription *subscription = *subscription_p;
    *subscription_p = NULL;
    session_t *self = subscription->session;
    hub_t *hub = self->environment->hub;
    session_tell_unsubscribed(subscription, 0);
    if (subscription->stands_in_presence) {
        hub_presence_clear(hub, &subscription->member);
    }
    hub_leave(hub, &subscription->member);
    list_remove(&subscription->link);
    self->n_subscriptions--;
    if (subscription->is_joining) {
        subscribe_done(subscription);
    }
    payload_unref(&subscription->info);
    payload_unref(&subscription->data);
    tag_filter_release(&subscription->member.filter);
    payload_unref(&subscription->jti);
    memory_free(subscription);
}

void session_end_subscription(struct subscription **subscription_p, uint32_t code, const char *reason) {
    session_t *self = (*subscription_p)->session;
    self->codec->encode_push_unsubscribe(session_begin_reply(self), hub_member_channel(&(*subscription_p)->member),
                                         code, reason);
    session_end_reply(self);
    session_tell_unsubscribed(*subscription_p, code);
    session_drop_subscription(subscription_p);
    if (self->raw != NULL) { /* the subscription was all there was */
        session_disconnect(self, code == UNSUBSCRIBED_EXPIRED     ? DISCONNECT_SUB_EXPIRED
                                 : code == UNSUBSCRIBED_BY_SERVER ? DISCONNECT_PERMISSION_DENIED
                                                                  : DISCONNECT_INSUFFICIENT_STATE);
    }
}

void session_handle_unsubscribe(session_t *self, const struct client_command *command) {
    struct span channel = command->body.channel;
    if (channel.size == 0) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    struct subscription *subscription = session_find_subscription(self, channel);
    if (subscription != NULL) {
        session_drop_subscription(&subscription);
        session_schedule_subscription_expiry(self);
    }
    session_reply_empty(self, command);
}

/* ---- expiry ---- */

void session_schedule_subscription_expiry(session_t *self) {
    uint64_t earliest_ms = 0;
    list_for_each (link, &self->subscriptions) {
        uint64_t due_ms = session_subscription_due_ms(list_entry(link, struct subscription, link));
        if (due_ms != 0 && (earliest_ms == 0 || due_ms < earliest_ms)) {
            earliest_ms = due_ms;
        }
    }
    session_set_deadline(self, SESSION_DEADLINE_SUBSCRIPTION, earliest_ms);
}

void session_expire_subscriptions(session_t *self) {
    uint64_t now_ms = clock_monotonic_ms();
    list_for_each_safe (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, link);
        uint64_t due_ms = session_subscription_due_ms(subscription);
        if (due_ms != 0 && due_ms <= now_ms) {
            session_on_subscription_expired(subscription);
        }
        if (self->state == SESSION_CLOSING) {
            return;
        }
    }
    session_schedule_subscription_expiry(self);
}

/* ---- presence ---- */

static payload_t *info_of(const struct subscription *subscription) {
    return subscription->info == NULL ? subscription->session->info : subscription->info;
}

/* A second time for the same member exchanges the info; the broker tells a join only where there was no entry. */
void session_stand_in_presence(struct subscription *subscription) {
    session_tell_subscribed(subscription);
    if (!subscription->has_presence && !subscription->tells_join_leave) {
        return;
    }
    subscription->stands_in_presence = true;
    hub_presence_set(subscription->session->environment->hub, &subscription->member, info_of(subscription),
                     subscription->tells_join_leave);
}

void session_set_chan_info(struct subscription *subscription, struct span chan_info) {
    struct wire_client_info old;
    bool is_readable = wire_read_client_info(payload_span(info_of(subscription)), &old);
    if (!is_readable || span_equal(old.chan_info, chan_info)) {
        return;
    }
    payload_t *info = chan_info.size == 0 ? NULL : session_make_info(old.user, old.client, old.conn_info, chan_info);
    payload_unref(&subscription->info);
    subscription->info = info;
    if (!subscription->is_joining) {
        session_stand_in_presence(subscription);
    }
}

/* The session's conn_info is another one. */
static void renew_presence_of(struct subscription *subscription) {
    struct wire_client_info own;
    if (subscription->info != NULL && wire_read_client_info(payload_span(subscription->info), &own)) {
        struct wire_client_info now = session_client_info(subscription->session);
        payload_t *info = session_make_info(now.user, now.client, now.conn_info, own.chan_info);
        payload_unref(&subscription->info);
        subscription->info = info;
    }
    if (!subscription->is_joining) {
        session_stand_in_presence(subscription);
    }
}

void session_renew_presence(session_t *self) {
    list_for_each (link, &self->subscriptions) {
        renew_presence_of(list_entry(link, struct subscription, link));
    }
}

/* ---- the hub's answers ---- */

static void tell_joined(struct subscription *subscription, const struct client_subscribed *result) {
    session_t *self = subscription->session;
    if (subscription->is_server_side) {
        session_on_server_joined(subscription, result);
        return;
    }
    self->codec->encode_subscribed(session_begin_reply(self), subscription->command_id, result);
    session_end_reply(self);
    session_stand_in_presence(subscription);
}

static void reply_joined(struct subscription *subscription, const struct hub_joined *joined, bool recovered) {
    struct client_subscribed result = {
        .expires = subscription->expire_at_s != 0 && !subscription->refreshed_by_hook,
        .ttl_s = subscription->refreshed_by_hook ? 0 : session_ttl_s(subscription->expire_at_s),
        .recoverable = subscription->recoverable,
        .positioned = subscription->positioned,
        .recovered = recovered,
        .was_recovering = subscription->is_recovering && subscription->asked_to_recover,
        .data = subscription->data == NULL ? SPAN_EMPTY : payload_span(subscription->data),
    };
    result.delta = subscription->member.wants_delta;
    result.id = subscription->member.is_compacted ? joined->id : 0;
    if (subscription->positioned) {
        result.epoch = joined->position.epoch;
        bool goes_through_all = recovered && !subscription->member.wants_latest;
        result.offset = goes_through_all ? subscription->from_offset : joined->position.offset;
    }
    struct buffer passed = BUFFER_EMPTY;
    if (recovered && subscription->member.filter != NULL) {
        result.n_publications = session_filter_recovered(subscription, joined, &passed);
        result.publications = buffer_span(&passed);
    } else if (recovered) {
        result.n_publications = joined->n_publications;
        result.publications = joined->publications;
    }
    tell_joined(subscription, &result);
    buffer_finish(&passed);
}

static void fail(struct subscription *subscription, enum error_code code) {
    session_t *self = subscription->session;
    session_reply_error(self, subscription->command_id, code);
    session_drop_subscription(&subscription);
}

static void on_joined(struct hub_member *member, const struct hub_joined *joined) {
    struct subscription *subscription = member->owner;
    session_t *self = subscription->session;
    /* The broker's word counts where it disagrees with our options: without positions nothing can be granted. */
    subscription->recoverable = subscription->recoverable && joined->has_history;
    subscription->positioned = subscription->positioned && joined->has_history;
    subscription->is_recovering = subscription->is_recovering && joined->has_history;
    bool recovered = subscription->is_recovering && joined->recovered;
    if (subscription->is_recovering && !recovered && subscription->fails_unrecovered) {
        fail(subscription, ERROR_UNRECOVERABLE_POSITION);
        return;
    }
    subscription->is_joining = false;
    reply_joined(subscription, joined, recovered);
    if (self->raw != NULL) {
        session_raw_subscribed(self);
    }
    payload_unref(&subscription->data);
    subscribe_done(subscription);
    if (subscription->expire_at_s != 0) {
        session_schedule_subscription_expiry(self);
    }
}

void session_fail_joining(struct subscription *subscription, enum error_code code) {
    if (subscription->is_server_side) {
        session_disconnect(subscription->session, DISCONNECT_SERVER_ERROR);
    } else {
        fail(subscription, code);
    }
}

static void on_join_failed(struct hub_member *member, enum error_code code) {
    session_fail_joining(member->owner, code);
}

static void deliver(struct hub_member *member, payload_t *framed) {
    session_deliver(member->owner, framed);
}

static void on_lost(struct hub_member *member, const struct position *position) {
    struct subscription *subscription = member->owner;
    (void) position; /* the client asks from its own */
    if (!subscription->positioned) {
        return;
    }
    session_count(subscription->session, SESSION_METRIC_SUBSCRIPTIONS_LOST);
    if (subscription->is_server_side) {
        session_disconnect(subscription->session, DISCONNECT_INSUFFICIENT_STATE);
    } else {
        session_end_subscription(&subscription, UNSUBSCRIBED_INSUFFICIENT_STATE, "insufficient state");
    }
}

const struct hub_callbacks session_hub_callbacks = {
    .on_joined = on_joined,
    .on_join_failed = on_join_failed,
    .deliver = deliver,
    .on_lost = on_lost,
};

/* ---- subscribe ---- */

/* What is wrong with the request in itself, in the order of client-protocol.md 13. */
static enum error_code judge_request(const session_t *self, const struct client_subscribe *request,
                                     const struct namespace_options *options) {
    if (request->type != 0) {
        bool is_map = request->type >= 1 && request->type <= 3;
        return is_map ? ERROR_PERMISSION_DENIED : request->type == 4 ? ERROR_NOT_AVAILABLE : ERROR_BAD_REQUEST;
    }
    enum error_code error = session_judge_filter(self, request, options);
    if (error != ERROR_NONE) {
        return error;
    }
    bool is_asked = self->n_in_flight > 0 && session_waits_for_hook(self, request->channel);
    if (is_asked || session_find_subscription(self, request->channel) != NULL) {
        return ERROR_ALREADY_SUBSCRIBED;
    }
    uint32_t n =
        self->n_subscriptions + (self->n_in_flight > 0 ? session_count_asked(self, SESSION_HOOK_SUBSCRIBE) : 0);
    return n >= self->environment->config->channels_max ? ERROR_LIMIT_EXCEEDED : ERROR_NONE;
}

/* A token that is given decides alone. False: not admitted, the client knows. */
static bool admit_by_token(session_t *self, const struct client_command *command, struct admission *ret_admission) {
    const struct client_subscribe *request = &command->body.subscribe;
    switch (session_verify_subscription_token(self, request->token, request->channel, &ret_admission->claims)) {
    case SUBSCRIPTION_TOKEN_FINE:
        ret_admission->by_token = true;
        return true;
    case SUBSCRIPTION_TOKEN_INVALID:
        session_reply_error(self, command->id, ERROR_PERMISSION_DENIED);
        return false;
    case SUBSCRIPTION_TOKEN_EXPIRED:
        session_reply_error(self, command->id, ERROR_TOKEN_EXPIRED);
        return false;
    case SUBSCRIPTION_TOKEN_AWAITS_KEY:
        session_reply_error(self, command->id, ERROR_INTERNAL); /* temporary */
        return false;
    case SUBSCRIPTION_TOKEN_FOREIGN:
        session_disconnect(self, DISCONNECT_INVALID_TOKEN);
        return false;
    }
    return false;
}

static bool admit(session_t *self, const struct client_command *command, const struct namespace_options *options,
                  struct admission *ret_admission) {
    const struct client_subscribe *request = &command->body.subscribe;
    *ret_admission = (struct admission){.by_token = false};
    if (request->token.size > 0) {
        return admit_by_token(self, command, ret_admission);
    }
    enum error_code error = permission_subscribe(options, request->channel, session_client_info(self).user);
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
    }
    return error == ERROR_NONE;
}

struct subscription *session_add_subscription(session_t *self, const struct client_subscribe *request,
                                              const struct namespace_options *options,
                                              const struct subscription_features *features) {
    struct subscription *subscription = memory_alloc_zero(sizeof *subscription);
    subscription->session = self;
    subscription->channel_hash = (uint32_t) XXH3_64bits(request->channel.data, request->channel.size);
    subscription->begun_us = self->environment->begun.at_us;
    subscription->is_joining = true;
    subscription->positioned = features->positioned;
    subscription->recoverable = features->recoverable;
    subscription->asked_to_recover = request->recover;
    /* The raw endpoint asks for everything behind a position, and gets it. */
    subscription->member.wants_latest = options->force_recovery_mode == RECOVERY_CACHE && self->raw == NULL;
    bool begins_with_latest = subscription->member.wants_latest && options->auto_cache_recover;
    subscription->is_recovering = (request->recover || begins_with_latest) && features->recoverable;
    subscription->from_offset = request->offset;
    subscription->fails_unrecovered = request->recover && (request->flag & FLAG_FAILS_UNRECOVERED) != 0;
    subscription->has_presence = features->has_presence;
    subscription->tells_join_leave = features->tells_join_leave;
    subscription->has_events = options->subscription_events;
    subscription->refreshed_by_hook = options->sub_refresh_proxy_enabled;
    subscription->member.owner = subscription;
    subscription->member.wants_presence_events = features->pushes_join_leave && self->raw == NULL;
    session_choose_delivery(subscription, request, options);
    list_push_back(&self->subscriptions, &subscription->link);
    self->n_subscriptions++;
    self->n_in_flight++;
    return subscription;
}

void session_join(struct subscription *subscription, const struct client_subscribe *request,
                  const struct namespace_options *options) {
    const struct session_environment *environment = subscription->session->environment;
    const struct position since = {.epoch = request->epoch, .offset = request->offset};
    hub_join(environment->hub, request->channel, options, &subscription->member, subscription->is_recovering, &since,
             clock_monotonic_ms() + (uint64_t) environment->config->request_timeout_ms);
}

static void take_claims(struct subscription *subscription, const struct token_claims *claims) {
    struct buffer bytes = BUFFER_EMPTY;
    session_append_claim(&bytes, claims->info, claims->info_binary);
    session_set_chan_info(subscription, buffer_span(&bytes));
    buffer_clear(&bytes);
    session_append_claim(&bytes, claims->data, claims->data_binary);
    subscription->data = bytes.size == 0 ? NULL : payload_new(buffer_span(&bytes));
    buffer_finish(&bytes);
    subscription->expire_at_s = session_expiry_of(claims);
    subscription->jti = claims->jti.size == 0 ? NULL : payload_new(claims->jti);
}

static void join(session_t *self, const struct client_command *command, const struct namespace_options *options,
                 const struct admission *admission) {
    const struct client_subscribe *request = &command->body.subscribe;
    const struct subscription_wishes wishes = {request->positioned, request->recoverable, request->join_leave};
    struct subscription_features features =
        permission_features(options, session_client_info(self).user, &wishes,
                            admission->by_token ? admission->claims.override : JSON_ABSENT);
    struct subscription *subscription = session_add_subscription(self, request, options, &features);
    subscription->command_id = command->id;
    if (admission->by_token) {
        take_claims(subscription, &admission->claims);
    }
    session_join(subscription, request, options);
}

/* Whatever the list would say of this channel, a worker says it (client-protocol.md 13). */
static bool is_for_hook(const struct client_subscribe *request, const struct namespace_options *options) {
    bool is_limited = options->allow_user_limited_channels && channel_name_is_user_limited(request->channel);
    return options->subscribe_proxy_enabled && request->token.size == 0 && !is_limited &&
           !channel_name_is_private(request->channel);
}

/* Any bytes the worker gives along. */
static void take_data(struct subscription *subscription, const struct session_verdict *verdict) {
    struct buffer data = BUFFER_EMPTY;
    session_append_verdict_data(subscription->session, verdict, &data);
    payload_unref(&subscription->data);
    subscription->data = data.size == 0 ? NULL : payload_new(buffer_span(&data));
    buffer_finish(&data);
}

void session_subscribe_allowed(session_t *self, const struct client_command *command,
                               const struct session_verdict *verdict) {
    struct json_value grant = verdict->result;
    const struct client_subscribe *request = &command->body.subscribe;
    const struct namespace_options *options = NULL;
    if (!session_find_options(self, command->id, request->channel, &options)) {
        return;
    }
    const struct subscription_wishes wishes = {request->positioned, request->recoverable, request->join_leave};
    struct subscription_features features =
        permission_features(options, session_client_info(self).user, &wishes, json_member(grant, "override"));
    struct subscription *subscription = session_add_subscription(self, request, options, &features);
    subscription->command_id = command->id;
    session_take_grant(subscription, grant);
    take_data(subscription, verdict);
    json_to_i64(json_member(grant, "expire_at"), &subscription->expire_at_s);
    session_join(subscription, request, options);
}

void session_handle_subscribe(session_t *self, const struct client_command *command) {
    const struct client_subscribe *request = &command->body.subscribe;
    const struct namespace_options *options = NULL;
    struct admission admission;
    if (request->delta.size > 0 && !span_equal_text(request->delta, "fossil")) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (!session_find_options(self, command->id, request->channel, &options)) {
        return;
    }
    enum error_code error = judge_request(self, request, options);
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
        return;
    }
    if (is_for_hook(request, options)) {
        session_ask_subscribe(self, command);
        return;
    }
    if (!admit(self, command, options, &admission)) {
        return;
    }
    if (admission.by_token && session_is_past(session_expiry_of(&admission.claims))) {
        session_reply_error(self, command->id, ERROR_EXPIRED);
    } else {
        join(self, command, options, &admission);
    }
    if (admission.by_token) {
        token_claims_finish(&admission.claims);
    }
}
