/* rpc, send and ping: commands that name no channel.
 *
 * rpc is a question to the workers of the backend API, under the name rpc:method, where client.rpc is on; its data
 * travels as it is. send, which has no reply, closes with 3508, as upstream does without a handler. The ping command is
 * out of use in current SDKs, an answer costs nothing.
 * Failure modes of rpc: off 108; no method, or too long a name 107; no worker 100, which is temporary; its deadline
 * 120; a lost worker 122; whatever the worker says. */
#include "gateway/session/session_commands.h"

static void on_answered(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_read_verdict(answer, &verdict);
    if (error != ERROR_NONE) {
        session_reply_error(self, request->id, error);
    } else if (!session_take_refusal(self, request->id, &verdict)) {
        struct buffer data = BUFFER_EMPTY;
        session_append_verdict_data(self, &verdict, &data);
        self->codec->encode_rpc(session_begin_reply(self), request->id, buffer_span(&data));
        session_end_reply(self);
        buffer_finish(&data);
    }
    session_request_finish(&request);
}

void session_handle_rpc(session_t *self, const struct client_command *command) {
    const struct client_rpc *rpc = &command->body.rpc;
    struct buffer method = BUFFER_EMPTY;
    enum error_code error = rpc->method.size == 0 ? ERROR_BAD_REQUEST : ERROR_NONE;
    if (!self->environment->config->rpc) {
        error = ERROR_NOT_AVAILABLE;
    }
    buffer_append_text(&method, "rpc:");
    buffer_append_span(&method, rpc->method);
    struct broker_question question = {.method = buffer_span(&method), .data = rpc->data};
    if (error != ERROR_NONE ||
        session_ask_worker(self, command->id, &question, SPAN_EMPTY, on_answered, &error) == NULL) {
        session_reply_error(self, command->id, error);
    }
    buffer_finish(&method);
}

void session_handle_send(session_t *self, const struct client_command *command) {
    (void) command;
    session_disconnect(self, DISCONNECT_NOT_AVAILABLE);
}

void session_handle_ping(session_t *self, const struct client_command *command) {
    session_reply_empty(self, command);
}
