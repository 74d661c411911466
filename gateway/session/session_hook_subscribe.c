/* The subscribe hook: a worker decides who may subscribe to a channel, and with what (info, data, expire_at, override).
 *
 *   subscribe ─▶ asked ─▶ allowed ─▶ joining, as with a token
 *                  │        └─ its time has passed: error 110
 *                  └─ refused: the worker's error or disconnect; nobody decided: 100, which is temporary
 *
 * While it is asked the channel counts among the client's, a second subscribe is answered 105, and other commands for
 * the channel wait. The namespace may have changed meanwhile: its options of the moment of the answer count. */
#include "gateway/session/session_commands.h"

static enum error_code go_on(session_t *self, const struct client_command *command,
                             const struct session_verdict *verdict) {
    int64_t expire_at_s = 0;
    json_to_i64(json_member(verdict->result, "expire_at"), &expire_at_s);
    if (session_is_past(expire_at_s)) {
        return ERROR_EXPIRED;
    }
    session_subscribe_allowed(self, command, verdict);
    return ERROR_NONE;
}

static void on_verdict(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_hook_read(self, SESSION_HOOK_SUBSCRIBE, answer, &verdict);
    if (self->state != SESSION_CONNECTED) { /* it closes */
        session_request_finish(&request);
        return;
    }
    if (error == ERROR_NONE && session_take_refusal(self, request->id, &verdict)) {
        session_request_finish(&request);
        return;
    }
    self->environment->begun = request->begun;
    if (error == ERROR_NONE) {
        error = go_on(self, &request->asked->command, &verdict);
    }
    if (error == ERROR_NONE) {
        session_request_pass_on(&request);
        return;
    }
    session_reply_error(self, request->id, error);
    session_request_finish(&request);
}

void session_ask_subscribe(session_t *self, const struct client_command *command) {
    enum error_code error;
    if (!session_hook_ask(self, SESSION_HOOK_SUBSCRIBE, command, command->body.subscribe.data, SPAN_EMPTY, on_verdict,
                          &error)) {
        session_reply_error(self, command->id, error);
    }
}
