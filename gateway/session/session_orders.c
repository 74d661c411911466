/* What a service orders for a user's sessions, as brokers pass it to every worker: disconnect, unsubscribe, subscribe,
 * refresh, connections; and a message to everybody. Each worker looks for the user among its own sessions; one without
 * him knows that from its count of users, so it costs a walk only where he is.
 *
 * Failure modes: a subscription that is ordered and cannot be joined closes the connection as any server-side one does
 * (3004, the client comes back); one more than client.channels_max 3505; a channel without a namespace here: error 102
 * to the service. A client's own subscribe that is under way when its channel is taken away is answered error 103. What
 * the service orders for someone who is not connected happens to nobody, and is no error. */
#include "gateway/session/session_commands.h"

#include "base/user_count.h"
#include "gateway/protocol/client_protocol_raw.h"

struct order {
    const struct wire_command *command;
    payload_t *framed[CLIENT_ENCODINGS];     /* message: made once for each encoding, shared by all */
    struct json_value detail;                /* JSON_ABSENT: none */
    const struct namespace_options *options; /* subscribe */
};

/* ---- disconnect ---- */

static bool is_spared(const struct order *order, struct span client) {
    struct json_iterator iterator = json_iterate(json_member(order->detail, "whitelist"));
    struct json_value name;
    struct json_value value;
    struct span text;
    while (json_next(&iterator, &name, &value)) {
        if (json_plain_string(value, &text) && span_equal(text, client)) {
            return true;
        }
    }
    return false;
}

static bool disconnect(session_t *self, struct order *order) {
    if (is_spared(order, session_client_info(self).client)) {
        return false;
    }
    session_disconnect_with(self, order->command->code, order->command->reason);
    return true;
}

/* ---- unsubscribe ---- */

static void take_away(struct subscription *subscription, uint32_t code) {
    session_t *self = subscription->session;
    if (!subscription->is_joining) {
        session_end_subscription(&subscription, code, "server unsubscribe");
    } else if (subscription->is_server_side) {
        session_drop_joining(&subscription);
    } else {
        session_reply_error(self, subscription->command_id, ERROR_PERMISSION_DENIED);
        session_drop_subscription(&subscription);
    }
}

static bool unsubscribe(session_t *self, struct order *order) {
    bool is_concerned = false;
    list_for_each_safe (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, link);
        if (order->command->channel.size == 0 ||
            span_equal(hub_member_channel(&subscription->member), order->command->channel)) {
            is_concerned = true;
            take_away(subscription, order->command->code);
        }
    }
    if (is_concerned && self->state != SESSION_CLOSING) {
        session_schedule_subscription_expiry(self);
    }
    return is_concerned;
}

/* ---- subscribe ---- */

static bool subscribe(session_t *self, struct order *order) {
    return session_subscribe_for(self, order->command->channel, order->options, order->detail);
}

/* ---- refresh ---- */

static void extend(session_t *self, int64_t expire_at_s) {
    bool expires = expire_at_s != 0 && !session_is_refreshed_by_hook(self);
    session_set_expiry(self, expire_at_s);
    self->codec->encode_push_refresh(session_begin_reply(self), expires, expires ? session_ttl_s(expire_at_s) : 0);
    session_end_reply(self);
}

static void exchange_info(session_t *self, struct json_value detail) {
    struct buffer info = BUFFER_EMPTY;
    struct buffer scratch = BUFFER_EMPTY;
    session_append_grant(&info, detail, "info", "b64info", &scratch);
    if (info.size > 0) {
        session_exchange_conn_info(self, buffer_span(&info));
    }
    buffer_finish(&info);
    buffer_finish(&scratch);
}

static bool refresh(session_t *self, struct order *order) {
    bool is_expired = false;
    int64_t expire_at_s = 0;
    bool has_expiry = json_to_i64(json_member(order->detail, "expire_at"), &expire_at_s);
    json_to_bool(json_member(order->detail, "expired"), &is_expired);
    if (is_expired || (has_expiry && session_is_past(expire_at_s))) {
        session_disconnect(self, DISCONNECT_EXPIRED);
        return true;
    }
    exchange_info(self, order->detail);
    if (has_expiry && self->state == SESSION_CONNECTED) {
        extend(self, expire_at_s);
    }
    return true;
}

/* ---- message ---- */

static payload_t *frame_message(const session_t *self, struct span data) {
    struct buffer bytes = BUFFER_EMPTY;
    self->codec->encode_push_message(&bytes, data);
    payload_t *framed = self->transport->methods->frame(self->codec->encoding, buffer_span(&bytes));
    buffer_finish(&bytes);
    return framed;
}

/* Who uses the raw endpoint has one channel and hears nothing else. */
static bool message(session_t *self, struct order *order) {
    payload_t **framed = &order->framed[self->codec->encoding];
    if (self->state != SESSION_CONNECTED || client_encoding_is_raw(self->codec->encoding)) {
        return false;
    }
    if (*framed == NULL) {
        *framed = frame_message(self, order->detail.text);
    }
    session_queue(self, payload_ref(*framed));
    return true;
}

/* ---- whom ---- */

static bool (*carry_out_of(uint8_t action))(session_t *self, struct order *order) {
    switch (action) {
    case WIRE_COMMAND_DISCONNECT:
        return disconnect;
    case WIRE_COMMAND_UNSUBSCRIBE:
        return unsubscribe;
    case WIRE_COMMAND_SUBSCRIBE:
        return subscribe;
    case WIRE_COMMAND_REFRESH:
        return refresh;
    case WIRE_COMMAND_MESSAGE:
        return message;
    default: /* a number from the wire, of a newer version */
        return NULL;
    }
}

static bool is_meant(const session_t *self, const struct wire_command *command) {
    if (self->state != SESSION_CONNECTED && self->state != SESSION_CONNECTING) {
        return false;
    }
    struct wire_client_info info = session_client_info(self);
    return (command->user.size == 0 || span_equal(info.user, command->user)) &&
           (command->client.size == 0 || span_equal(info.client, command->client));
}

/* ERROR_NONE, or what is wrong with it for everybody. */
static enum error_code read_order(const struct session_environment *environment, const struct wire_command *command,
                                  struct order *ret_order) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    *ret_order = (struct order){.command = command, .detail = JSON_ABSENT};
    bool names_somebody = command->user.size > 0 ||
                          (command->action == WIRE_COMMAND_DISCONNECT && command->client.size > 0) ||
                          (command->action == WIRE_COMMAND_MESSAGE && command->detail.size > 0);
    if (!names_somebody ||
        (command->detail.size > 0 && json_scan(command->detail, &limits, &ret_order->detail, NULL) != JSON_OK)) {
        return ERROR_BAD_REQUEST;
    }
    return command->action == WIRE_COMMAND_SUBSCRIBE
               ? permission_find_options(environment->namespaces, command->channel, &ret_order->options)
               : ERROR_NONE;
}

/* Who is named by the client alone may be anybody. */
static bool may_be_here(const struct session_environment *environment, struct span user) {
    return user.size == 0 || user_count_of(environment->user_count, user) > 0;
}

enum error_code session_list_connections(struct session_environment *environment, const struct wire_command *command,
                                         struct buffer *out, uint32_t *ret_n) {
    struct buffer entry = BUFFER_EMPTY;
    *ret_n = 0;
    if (command->user.size == 0) {
        return ERROR_BAD_REQUEST;
    }
    if (!may_be_here(environment, command->user)) {
        return ERROR_NONE;
    }
    list_for_each (link, &environment->sessions) {
        const session_t *self = list_entry(link, struct session, link);
        if (self->state != SESSION_CONNECTED || !is_meant(self, command) || *ret_n == command->limit) {
            continue;
        }
        struct wire_client_info info = session_client_info(self);
        buffer_clear(&entry);
        wire_append_client_info(&entry, &info);
        buffer_append_sized(out, buffer_span(&entry));
        (*ret_n)++;
    }
    buffer_finish(&entry);
    return out->overflow ? ERROR_LIMIT_EXCEEDED : ERROR_NONE;
}

enum error_code session_carry_out(struct session_environment *environment, const struct wire_command *command,
                                  uint32_t *ret_n) {
    struct order order;
    bool (*carry_out)(session_t * self, struct order * order) = carry_out_of(command->action);
    enum error_code error = carry_out == NULL ? ERROR_NOT_AVAILABLE : read_order(environment, command, &order);
    *ret_n = 0;
    if (error != ERROR_NONE || !may_be_here(environment, command->user)) {
        return error;
    }
    list_for_each_safe (link, &environment->sessions) {
        session_t *self = list_entry(link, struct session, link);
        if (is_meant(self, command) && carry_out(self, &order)) {
            (*ret_n)++;
        }
    }
    for (unsigned i = 0; i < CLIENT_ENCODINGS; i++) {
        payload_unref(&order.framed[i]);
    }
    return ERROR_NONE;
}
