/* connect: who is it? Then the connection counts, its pings start and other commands are allowed.
 *
 * Happy path: the token is verified (client-protocol.md 12), or none is needed; the session gets a client id, the reply
 * names it, with the time the token leaves.
 *
 * Failure modes: an invalid token 3500; an expired one error 109; one whose expire_at has passed error 110; no token
 * where one is needed 3501; a second connect 3501; a user with client.connections_per_user already 3504. After an error
 * reply the session is of no use any more, see SESSION_REFUSED; a client that does not go then is closed as stale. A
 * token that grants server-side subscriptions (claims channels or subs, not empty) is refused with error 108: they do
 * not exist here yet, and a client that was told "connected" would wait for messages that never come. connect.subs, by
 * which a client lists those it knew, is ignored, as the protocol allows. */
#include "gateway/session/session_commands.h"

#include "base/log.h"
#include "base/random.h"
#include "gateway/session/user_count.h"
#include "gateway/session/user_limits.h"

static void refuse(session_t *self, uint32_t id, enum error_code error) {
    session_reply_error(self, id, error);
    if (self->state == SESSION_NEW) {
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

static void reply(session_t *self, uint32_t id, int64_t expire_at_s) {
    const struct gateway_config *config = self->environment->config;
    struct client_connected result = {
        .client = session_client_info(self).client,
        .version = SPAN_LITERAL(CALLBOARD_VERSION),
        .expires = expire_at_s != 0,
        .ttl_s = session_ttl_s(expire_at_s),
        .ping_s = (uint32_t) ((config->ping_interval_ms + 999) / 1000),
        .pong = config->ping_interval_ms > 0 && config->pong_timeout_ms > 0,
    };
    if (self->transport->methods->emulation != NULL) {
        self->transport->methods->emulation(self->transport, &result.session, &result.node);
    }
    self->codec->encode_connected(session_begin_reply(self), id, &result);
    session_end_reply(self);
}

/* The anonymous are nobody, and have no bound. */
static bool may_have_one_more(const session_t *self, struct span user) {
    const struct session_environment *environment = self->environment;
    return user.size == 0 || environment->user_limits == NULL ||
           user_limits_take(environment->user_limits, user, (uint32_t) environment->config->connections_per_user);
}

static void accept_client(session_t *self, uint32_t id, struct span user, struct span conn_info, int64_t expire_at_s) {
    char client[37];
    if (!may_have_one_more(self, user)) {
        session_disconnect(self, DISCONNECT_CONNECTION_LIMIT);
        return;
    }
    random_uuid(client);
    self->info = session_make_info(user, span_of_text(client), conn_info, SPAN_EMPTY);
    self->state = SESSION_CONNECTED;
    count(self, user);
    reply(self, id, expire_at_s);
    session_set_deadline(self, SESSION_DEADLINE_CONNECT, 0);
    if (expire_at_s != 0) {
        session_set_deadline(self, SESSION_DEADLINE_EXPIRY, session_grace_end_ms(self, expire_at_s));
    }
    session_start_pings(self);
    if (self->raw != NULL) {
        session_raw_connected(self);
    }
}

static void accept_claims(session_t *self, uint32_t id, const struct token_claims *claims) {
    int64_t expire_at_s = session_expiry_of(claims);
    if (self->raw != NULL ? !session_raw_takes(self, claims) : claims->has_channel) {
        session_disconnect(self, DISCONNECT_INVALID_TOKEN); /* a subscription token */
    } else if (session_is_past(expire_at_s)) {
        refuse(self, id, ERROR_EXPIRED);
    } else if (session_wants_server_subscriptions(claims)) {
        refuse(self, id, ERROR_NOT_AVAILABLE);
    } else {
        struct buffer conn_info = BUFFER_EMPTY;
        session_append_claim(&conn_info, claims->info, claims->info_binary);
        accept_client(self, id, claims->user, buffer_span(&conn_info), expire_at_s);
        buffer_finish(&conn_info);
    }
}

void session_handle_connect(session_t *self, const struct client_command *command) {
    const struct client_connect *connect = &command->body.connect;
    if (self->state != SESSION_NEW) {
        session_disconnect(self, DISCONNECT_BAD_REQUEST);
        return;
    }
    if (connect->token.size == 0) {
        if (self->environment->config->allow_anonymous) {
            accept_client(self, command->id, SPAN_EMPTY, SPAN_EMPTY, 0);
        } else {
            session_disconnect(self, DISCONNECT_BAD_REQUEST);
        }
        return;
    }
    struct token_claims claims;
    enum token_outcome outcome = session_verify_token(self, connect->token, &claims);
    if (outcome == TOKEN_OK) {
        accept_claims(self, command->id, &claims);
        token_claims_finish(&claims);
    } else if (outcome == TOKEN_EXPIRED) {
        refuse(self, command->id, ERROR_TOKEN_EXPIRED);
    } else {
        session_disconnect(self, DISCONNECT_INVALID_TOKEN);
    }
}
