/* Tokens and the time they grant: refresh (the connection's), sub_refresh (a subscription's), and what they share with
 * connect and subscribe.
 *
 * Failure modes of refresh: no token, or a connection that a hook refreshes 3501; an invalid or revoked one, or another
 * user's 3500; an expired one 3005; one that grants other server-side channels 3010; one whose key is being fetched
 * error 100, which is temporary. Of sub_refresh the same, and: no channel 3501, but old SDKs leave it out, so the
 * channel of the token counts where it is one that expires; not subscribed 103; no token 107; an invalid one, or one of
 * another user, channel or client 3500; an expired one 3006. Why a token was refused is for the log only (at debug,
 * without the token). */
#include "gateway/session/session_commands.h"

#include "base/clock.h"
#include "base/log.h"

enum { TTL_MAX_S = 365 * 24 * 3600 };

/* ---- shared ---- */

static enum token_outcome verify(const session_t *self, const token_keys_t *keys, struct span token,
                                 struct token_claims *ret_claims) {
    const struct session_environment *environment = self->environment;
    enum token_outcome outcome =
        keys == NULL ? TOKEN_UNKNOWN_KEY : token_verify(keys, token, clock_wall_ms(), ret_claims);
    if (outcome == TOKEN_OK && revocations_have(environment->revocations, ret_claims->user, ret_claims->has_issued_at,
                                                ret_claims->issued_at_s, ret_claims->jti)) {
        token_claims_finish(ret_claims);
        outcome = TOKEN_REVOKED;
    }
    if (outcome == TOKEN_KEY_AWAITED && environment->on_key_awaited != NULL) {
        environment->on_key_awaited(environment->token_context);
    }
    if (outcome != TOKEN_OK) {
        log_debug("token_refused", log_text("reason", token_outcome_text(outcome)));
    } else if (environment->refuses_tokens) {
        token_claims_finish(ret_claims);
        session_count(self, SESSION_METRIC_TOKENS_UNSURE);
        outcome = TOKEN_KEY_AWAITED; /* as temporary as that */
    }
    return outcome;
}

enum token_outcome session_verify_token(const session_t *self, struct span token, struct token_claims *ret_claims) {
    return verify(self, self->environment->keys, token, ret_claims);
}

enum token_outcome session_verify_raw_token(const session_t *self, struct span token, struct token_claims *ret_claims) {
    const token_keys_t *own_keys = self->environment->subscription_keys;
    enum token_outcome outcome = session_verify_token(self, token, ret_claims);
    if (own_keys == NULL || (outcome == TOKEN_OK && !ret_claims->has_channel)) {
        return outcome;
    }
    if (outcome == TOKEN_OK) {
        token_claims_finish(ret_claims);
    }
    enum token_outcome own_outcome = verify(self, own_keys, token, ret_claims);
    if (own_outcome == TOKEN_OK && !ret_claims->has_channel) {
        token_claims_finish(ret_claims);
        return TOKEN_UNKNOWN_KEY;
    }
    bool says_more = outcome == TOKEN_EXPIRED || outcome == TOKEN_KEY_AWAITED;
    return own_outcome != TOKEN_OK && says_more ? outcome : own_outcome;
}

void session_remember_token(session_t *self, const struct token_claims *claims) {
    self->has_token = true;
    self->issued_at_s = claims->has_issued_at ? claims->issued_at_s : -1;
    payload_unref(&self->jti);
    self->jti = claims->jti.size == 0 ? NULL : payload_new(claims->jti);
}

static bool belongs_here(const session_t *self, const struct token_claims *claims, struct span channel) {
    struct wire_client_info info = session_client_info(self);
    return span_equal(claims->user, info.user) &&
           (claims->client.size == 0 || span_equal(claims->client, info.client)) && claims->has_channel &&
           (channel.size == 0 || span_equal(claims->channel, channel));
}

enum subscription_token session_verify_subscription_token(session_t *self, struct span token, struct span channel,
                                                          struct token_claims *ret_claims) {
    const struct session_environment *environment = self->environment;
    const token_keys_t *own_keys = environment->subscription_keys;
    enum token_outcome outcome = verify(self, own_keys == NULL ? environment->keys : own_keys, token, ret_claims);
    if (outcome != TOKEN_OK) {
        return outcome == TOKEN_EXPIRED       ? SUBSCRIPTION_TOKEN_EXPIRED
               : outcome == TOKEN_KEY_AWAITED ? SUBSCRIPTION_TOKEN_AWAITS_KEY
                                              : SUBSCRIPTION_TOKEN_INVALID;
    }
    if (!belongs_here(self, ret_claims, channel)) {
        token_claims_finish(ret_claims);
        return SUBSCRIPTION_TOKEN_FOREIGN;
    }
    return SUBSCRIPTION_TOKEN_FINE;
}

int64_t session_expiry_of(const struct token_claims *claims) {
    if (claims->has_expire_at) {
        return claims->expire_at_s;
    }
    return claims->has_expiry ? claims->expiry_s : 0;
}

bool session_is_past(int64_t expire_at_s) {
    return expire_at_s != 0 && expire_at_s * 1000 <= clock_wall_ms();
}

uint32_t session_ttl_s(int64_t expire_at_s) {
    int64_t left_s = expire_at_s - clock_wall_ms() / 1000;
    if (expire_at_s == 0) {
        return 0;
    }
    return left_s < 1 ? 1 : left_s > TTL_MAX_S ? TTL_MAX_S : (uint32_t) left_s;
}

void session_append_claim(struct buffer *out, struct json_value json, struct span binary) {
    const struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    if (binary.size == 0) {
        buffer_append_span(out, json.text);
    } else if (json_scan(binary, &limits, &value, NULL) == JSON_OK) {
        buffer_append_span(out, value.text);
    } else {
        buffer_append_char(out, '"');
        base64_encode(out, binary);
        buffer_append_char(out, '"');
    }
}

void session_append_grant(struct buffer *out, struct json_value object, const char *json, const char *binary,
                          struct buffer *scratch) {
    struct buffer text = BUFFER_EMPTY;
    buffer_clear(scratch);
    bool is_binary =
        json_decode_string(json_member(object, binary), &text) && base64_decode(scratch, buffer_span(&text));
    session_append_claim(out, json_member(object, json), is_binary ? buffer_span(scratch) : SPAN_EMPTY);
    buffer_finish(&text);
}

/* ---- refresh ---- */

void session_exchange_conn_info(session_t *self, struct span conn_info) {
    struct wire_client_info old = session_client_info(self);
    if (!span_equal(old.conn_info, conn_info)) {
        payload_t *info = session_make_info(old.user, old.client, conn_info, SPAN_EMPTY);
        payload_unref(&self->info);
        self->info = info;
        session_renew_presence(self);
    }
}

static void take_conn_info(session_t *self, const struct token_claims *claims) {
    struct buffer conn_info = BUFFER_EMPTY;
    session_append_claim(&conn_info, claims->info, claims->info_binary);
    session_exchange_conn_info(self, buffer_span(&conn_info));
    buffer_finish(&conn_info);
}

static void reply_refreshed(session_t *self, uint32_t id, int64_t expire_at_s) {
    struct client_connected result = {
        .client = session_client_info(self).client,
        .version = SPAN_LITERAL(CALLBOARD_VERSION),
        .expires = expire_at_s != 0,
        .ttl_s = session_ttl_s(expire_at_s),
    };
    self->codec->encode_refreshed(session_begin_reply(self), id, &result);
    session_end_reply(self);
}

static void refresh(session_t *self, uint32_t id, const struct token_claims *claims) {
    int64_t expire_at_s = session_expiry_of(claims);
    if (claims->has_channel || !span_equal(claims->user, session_client_info(self).user)) {
        session_disconnect(self, DISCONNECT_INVALID_TOKEN);
    } else if (session_is_past(expire_at_s)) {
        session_disconnect(self, DISCONNECT_EXPIRED);
    } else if (session_granted_set(claims) != self->granted_set) {
        session_disconnect(self, DISCONNECT_INSUFFICIENT_STATE); /* it comes back with this token, and gets them */
    } else {
        session_remember_token(self, claims);
        take_conn_info(self, claims);
        session_keep_meta(self, claims->meta);
        session_set_expiry(self, expire_at_s);
        reply_refreshed(self, id, expire_at_s);
    }
}

void session_handle_refresh(session_t *self, const struct client_command *command) {
    struct token_claims claims;
    if (command->body.token.size == 0 || session_is_refreshed_by_hook(self)) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    enum token_outcome outcome = session_verify_token(self, command->body.token, &claims);
    if (outcome == TOKEN_OK) {
        refresh(self, command->id, &claims);
        token_claims_finish(&claims);
    } else if (outcome == TOKEN_KEY_AWAITED) {
        session_reply_error(self, command->id, ERROR_INTERNAL);
    } else {
        session_disconnect(self, outcome == TOKEN_EXPIRED ? DISCONNECT_EXPIRED : DISCONNECT_INVALID_TOKEN);
    }
}

/* ---- sub_refresh ---- */

static void refresh_subscription(session_t *self, uint32_t id, struct subscription *subscription,
                                 const struct token_claims *claims) {
    int64_t expire_at_s = session_expiry_of(claims);
    if (session_is_past(expire_at_s)) {
        session_disconnect(self, DISCONNECT_SUB_EXPIRED);
        return;
    }
    struct buffer chan_info = BUFFER_EMPTY;
    session_append_claim(&chan_info, claims->info, claims->info_binary);
    session_set_chan_info(subscription, buffer_span(&chan_info));
    buffer_finish(&chan_info);
    payload_unref(&subscription->jti);
    subscription->jti = claims->jti.size == 0 ? NULL : payload_new(claims->jti);
    subscription->expire_at_s = expire_at_s;
    session_schedule_subscription_expiry(self);
    self->codec->encode_sub_refreshed(session_begin_reply(self), id, expire_at_s != 0, session_ttl_s(expire_at_s));
    session_end_reply(self);
}

static bool is_refreshed_by_hook(const session_t *self, struct span channel) {
    const struct subscription *subscription = session_find_subscription(self, channel);
    return subscription != NULL && subscription->refreshed_by_hook;
}

/* What the token says, and whom it is for. */
static void use_subscription_token(session_t *self, const struct client_command *command, struct span channel) {
    struct token_claims claims;
    switch (session_verify_subscription_token(self, command->body.sub_refresh.token, channel, &claims)) {
    case SUBSCRIPTION_TOKEN_FINE: {
        struct subscription *subscription = session_find_subscription(self, claims.channel);
        if (subscription == NULL || subscription->is_joining || (channel.size == 0 && subscription->expire_at_s == 0)) {
            session_reply_error(self, command->id, ERROR_PERMISSION_DENIED);
        } else {
            refresh_subscription(self, command->id, subscription, &claims);
        }
        token_claims_finish(&claims);
        return;
    }
    case SUBSCRIPTION_TOKEN_AWAITS_KEY:
        session_reply_error(self, command->id, ERROR_INTERNAL);
        return;
    case SUBSCRIPTION_TOKEN_INVALID:
    case SUBSCRIPTION_TOKEN_FOREIGN:
        session_disconnect(self, DISCONNECT_INVALID_TOKEN);
        return;
    case SUBSCRIPTION_TOKEN_EXPIRED:
        session_disconnect(self, DISCONNECT_SUB_EXPIRED);
        return;
    }
}

void session_handle_sub_refresh(session_t *self, const struct client_command *command) {
    const struct client_sub_refresh *request = &command->body.sub_refresh;
    if (request->channel.size == 0 && request->token.size == 0) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
    } else if (request->channel.size > 0 && session_find_subscription(self, request->channel) == NULL) {
        session_reply_error(self, command->id, ERROR_PERMISSION_DENIED);
    } else if (is_refreshed_by_hook(self, request->channel)) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
    } else if (request->type != 0) {
        session_reply_error(self, command->id, ERROR_NOT_AVAILABLE); /* track and untrack of shared polls */
    } else if (request->token.size == 0) {
        session_reply_error(self, command->id, ERROR_BAD_REQUEST);
    } else {
        use_subscription_token(self, command, request->channel);
    }
}

/* ---- revocation ---- */

static struct span jti_of(const payload_t *jti) {
    return jti == NULL ? SPAN_EMPTY : payload_span(jti);
}

static void end_revoked_subscriptions(session_t *self) {
    const revocations_t *revocations = self->environment->revocations;
    list_for_each_safe (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, link);
        if (subscription->jti != NULL && !subscription->is_joining &&
            revocations_have(revocations, SPAN_EMPTY, true, 0, payload_span(subscription->jti))) {
            session_end_subscription(&subscription, UNSUBSCRIBED_EXPIRED, "subscription expired");
        }
    }
}

void session_end_revoked(struct session_environment *environment) {
    list_for_each_safe (link, &environment->sessions) {
        session_t *self = list_entry(link, struct session, link);
        if (self->has_token && revocations_have(environment->revocations, session_client_info(self).user,
                                                self->issued_at_s >= 0, self->issued_at_s, jti_of(self->jti))) {
            session_disconnect(self, DISCONNECT_INVALID_TOKEN);
        } else {
            end_revoked_subscriptions(self);
        }
    }
}
