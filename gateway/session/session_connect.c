/* connect: who is it? Then the connection counts, its pings start and other commands are allowed.
 *
 * Happy path: the token is verified (client-protocol.md 12), or a worker says who it is (session_hook_connect.c), or
 * none is needed; the session gets a client id, the reply names it, with the time that is left.
 *
 * Failure modes: an invalid or revoked token 3500; an expired one error 109; one whose key is being fetched error 100;
 * one whose expire_at has passed error 110; no token where one is needed 3501; a second connect 3501; a user with
 * client.connections_per_user already, here or at all gateways, 3504. After an error reply the session is of no use any
 * more, see SESSION_REFUSED; a client that does not go then is closed as stale. */
#include "gateway/session/session_commands.h"

#include "base/log.h"
#include "base/random.h"
#include "base/user_count.h"
#include "gateway/session/user_limits.h"

void session_refuse_connect(session_t *self, uint32_t id, enum error_code error) {
    session_reply_error(self, id, error);
    if (self->state == SESSION_NEW || self->state == SESSION_CONNECTING) {
        self->state = SESSION_REFUSED;
    }
}

static void count(session_t *self, struct span user) {
    struct session_environment *environment = self->environment;
    self->was_counted = true;
    environment->connections++;
    environment->alive++;
    session_count_change(self, SESSION_METRIC_CONNECTIONS, 1);
    if (user.size > 0) {
        user_count_add(environment->user_count, user);
        environment->users = user_count_different(environment->user_count);
    }
}

static void put_first(session_t *self, struct span reply) {
    payload_t *framed = self->transport->methods->frame(self->codec->encoding, reply);
    outbox_push_first(&self->outbox, framed, &self->environment->outbox_budget);
}

static void reply(session_t *self, uint32_t id, int64_t expire_at_s, struct span subs, struct span data) {
    const struct gateway_config *config = self->environment->config;
    bool expires = expire_at_s != 0 && !session_is_refreshed_by_hook(self);
    struct client_connected result = {
        .client = session_client_info(self).client,
        .version = SPAN_LITERAL(CALLBOARD_VERSION),
        .expires = expires,
        .ttl_s = expires ? session_ttl_s(expire_at_s) : 0,
        .ping_s = self->pings_by_frames ? 0 : (uint32_t) ((config->ping_interval_ms + 999) / 1000),
        .pong = !self->pings_by_frames && config->ping_interval_ms > 0 && config->pong_timeout_ms > 0,
        .data = data,
        .subs = subs,
    };
    if (self->transport->methods->emulation != NULL) {
        self->transport->methods->emulation(self->transport, &result.session, &result.node);
    }
    if (self->environment->handled == self) {
        self->codec->encode_connected(session_begin_reply(self), id, &result);
        return;
    }
    struct buffer bytes = BUFFER_EMPTY;
    self->codec->encode_connected(&bytes, id, &result);
    if (bytes.size > 0) {
        put_first(self, buffer_span(&bytes));
    }
    buffer_finish(&bytes);
    session_mark_dirty(self);
}

void session_reply_connected(session_t *self, uint32_t id, int64_t expire_at_s, struct span subs,
                             const payload_t *data) {
    if (expire_at_s != 0 && self->environment->config->refresh_hook) {
        session_keep(self)->refreshed_by_hook = true;
    }
    reply(self, id, expire_at_s, subs, data == NULL ? SPAN_EMPTY : payload_span(data));
    session_set_deadline(self, SESSION_DEADLINE_CONNECT, 0);
    session_set_expiry(self, expire_at_s);
    session_start_pings(self);
    session_start_aging(self);
    session_tell_connected(self);
}

/* As far as this gateway knows; brokers judge for all (session_server_subscriptions.c). The anonymous are nobody, and
 * have no bound. */
static bool may_have_one_more(const session_t *self, struct span user) {
    const struct session_environment *environment = self->environment;
    return user.size == 0 || environment->user_limits == NULL ||
           user_limits_take(environment->user_limits, user, (uint32_t) environment->config->connections_per_user);
}

/* The connect hook was told of one already. */
static void choose_info(session_t *self, struct span user, struct span conn_info) {
    char client[37];
    struct wire_client_info told = session_client_info(self);
    struct span id = told.client;
    if (id.size == 0) {
        random_uuid(client);
        id = span_of_text(client);
    }
    payload_t *info = session_make_info(user, id, conn_info, SPAN_EMPTY);
    payload_unref(&self->info);
    self->info = info;
}

/* `claims`: NULL without a token. */
static void accept_client(session_t *self, const struct client_command *command, const struct token_claims *claims,
                          struct span conn_info, struct span data) {
    struct span user = claims == NULL ? SPAN_EMPTY : claims->user;
    int64_t expire_at_s = claims == NULL ? 0 : session_expiry_of(claims);
    if (!may_have_one_more(self, user)) {
        session_disconnect(self, DISCONNECT_CONNECTION_LIMIT);
        return;
    }
    choose_info(self, user, conn_info);
    count(self, user);
    enum error_code error =
        session_connect_channels(self, command->id, expire_at_s, claims, command->body.connect.subs, data);
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
        self->state = SESSION_REFUSED;
    }
}

void session_accept_claims(session_t *self, const struct client_command *command, const struct token_claims *claims,
                           struct span data) {
    if (self->raw != NULL ? !session_raw_takes(self, claims) : claims->has_channel) {
        session_disconnect(self, DISCONNECT_INVALID_TOKEN); /* a subscription token */
    } else if (self->has_token && claims->user.size == 0 && self->environment->config->disallow_anonymous_tokens) {
        session_disconnect(self, DISCONNECT_PERMISSION_DENIED);
    } else if (session_is_past(session_expiry_of(claims))) {
        session_refuse_connect(self, command->id, ERROR_EXPIRED);
    } else {
        struct buffer conn_info = BUFFER_EMPTY;
        session_append_claim(&conn_info, claims->info, claims->info_binary);
        session_keep_meta(self, claims->meta);
        accept_client(self, command, claims, buffer_span(&conn_info), data);
        buffer_finish(&conn_info);
    }
}

static void connect_without_token(session_t *self, const struct client_command *command) {
    const struct gateway_config *config = self->environment->config;
    if (config->connect_hook) {
        session_ask_connect(self, command);
    } else if (config->allow_anonymous) {
        accept_client(self, command, NULL, SPAN_EMPTY, SPAN_EMPTY);
    } else {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
    }
}

void session_handle_connect(session_t *self, const struct client_command *command) {
    const struct client_connect *connect = &command->body.connect;
    if (self->state != SESSION_NEW) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (connect->token.size == 0) {
        connect_without_token(self, command);
        return;
    }
    struct token_claims claims;
    enum token_outcome outcome = self->raw == NULL ? session_verify_token(self, connect->token, &claims)
                                                   : session_verify_raw_token(self, connect->token, &claims);
    if (outcome == TOKEN_OK) {
        session_remember_token(self, &claims);
        session_accept_claims(self, command, &claims, SPAN_EMPTY);
        token_claims_finish(&claims);
    } else if (outcome == TOKEN_EXPIRED) {
        session_refuse_connect(self, command->id, ERROR_TOKEN_EXPIRED);
    } else if (outcome == TOKEN_KEY_AWAITED) {
        /* A temporary one: the client comes back, and the key may be there. */
        session_refuse_connect(self, command->id, ERROR_INTERNAL);
    } else {
        session_disconnect(self, DISCONNECT_INVALID_TOKEN);
    }
}
