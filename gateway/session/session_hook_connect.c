/* The connect hook: who connects without a token is whom a worker says.
 *
 *   connect ─▶ CONNECTING, asked ─▶ user, info, expire_at, channels, subs, data, meta: as a token's claims would be
 *                  │                  └─ its time has passed: error 110
 *                  └─ refused: the worker's error or disconnect; nobody decided: 100, and the SDK comes back
 *
 * The worker gets the client id that the connection will have, the SDK's name and version, the channels that the client
 * names as its own, and its data. Commands wait meanwhile, as they do while server-side subscriptions join.
 * Failure modes: client.connect_timeout passes first: 3502, as for anybody who did not connect in time. */
#include "base/random.h"
#include "gateway/session/session_commands.h"

/* ---- asking ---- */

static void append_channels(struct json_value subs, struct buffer *out) {
    struct json_iterator iterator = json_iterate(subs);
    struct json_value name;
    struct json_value value;
    const char *separator = "";
    buffer_append_text(out, ",\"channels\":[");
    while (json_next(&iterator, &name, &value)) {
        buffer_append_text(out, separator);
        buffer_append_span(out, name.text);
        separator = ",";
    }
    buffer_append_char(out, ']');
}

static void append_details(const struct client_connect *connect, struct buffer *out) {
    buffer_append_text(out, ",\"name\":");
    buffer_append_json_string(out, connect->name);
    buffer_append_text(out, ",\"version\":");
    buffer_append_json_string(out, connect->version);
    append_channels(connect->subs, out);
}

/* ---- what it says ---- */

/* The spans are the answer's, and `text`'s. */
static struct token_claims claims_of(struct json_value result, struct buffer *text, struct buffer *binary) {
    struct token_claims claims = {
        .info = json_member(result, "info"),
        .channels = json_member(result, "channels"),
        .subs = json_member(result, "subs"),
        .meta = json_member(result, "meta"),
    };
    json_decode_string(json_member(result, "user"), text);
    claims.user = buffer_span(text);
    claims.has_expire_at = json_to_i64(json_member(result, "expire_at"), &claims.expire_at_s);
    if (session_decode_base64(json_member(result, "b64info"), binary)) {
        claims.info_binary = buffer_span(binary);
    }
    return claims;
}

static void accept_user(session_t *self, struct session_request *request, const struct session_verdict *verdict) {
    struct client_command command = request->asked->command;
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct buffer user = BUFFER_EMPTY;
    struct buffer info = BUFFER_EMPTY;
    struct buffer data = BUFFER_EMPTY;
    struct token_claims claims = claims_of(verdict->result, &user, &info);
    struct json_value *subs = &command.body.connect.subs;
    if (subs->text.size == 0 || json_scan(subs->text, &limits, subs, NULL) != JSON_OK) {
        *subs = JSON_ABSENT;
    }
    session_append_verdict_data(self, verdict, &data);
    self->environment->begun = request->begun;
    session_accept_claims(self, &command, &claims, buffer_span(&data));
    buffer_finish(&user);
    buffer_finish(&info);
    buffer_finish(&data);
}

static void on_verdict(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_hook_read(self, SESSION_HOOK_CONNECT, answer, &verdict);
    if (self->state != SESSION_CONNECTING) { /* it closes */
        session_request_finish(&request);
        return;
    }
    if (error != ERROR_NONE) {
        session_refuse_connect(self, request->id, error);
    } else if (session_take_refusal(self, request->id, &verdict)) {
        self->state = self->state == SESSION_CONNECTING ? SESSION_REFUSED : self->state;
    } else {
        accept_user(self, request, &verdict);
    }
    if (self->state == SESSION_CONNECTED || self->state == SESSION_CONNECTING) {
        session_request_pass_on(&request);
    } else {
        session_request_finish(&request);
    }
}

void session_ask_connect(session_t *self, const struct client_command *command) {
    const struct client_connect *connect = &command->body.connect;
    struct buffer details = BUFFER_EMPTY;
    enum error_code error;
    char client[37];
    random_uuid(client);
    self->info = session_make_info(SPAN_EMPTY, span_of_text(client), SPAN_EMPTY, SPAN_EMPTY);
    append_details(connect, &details);
    if (session_hook_ask(self, SESSION_HOOK_CONNECT, command, connect->data, buffer_span(&details), on_verdict,
                         &error)) {
        self->state = SESSION_CONNECTING;
    } else {
        session_refuse_connect(self, command->id, error);
    }
    buffer_finish(&details);
}
