/* rpc, send and ping: commands that name no channel.
 *
 * There are no backend workers yet who could answer: rpc is refused with 108, and send, which has no reply, closes with
 * 3508, as upstream does without a handler. The ping command is out of use in current SDKs, an answer costs nothing. */
#include "gateway/session/session_commands.h"

void session_handle_rpc(session_t *self, const struct client_command *command) {
    session_reply_error(self, command->id, ERROR_NOT_AVAILABLE);
}

void session_handle_send(session_t *self, const struct client_command *command) {
    (void) command;
    session_disconnect(self, DISCONNECT_NOT_AVAILABLE);
}

void session_handle_ping(session_t *self, const struct client_command *command) {
    session_reply_empty(self, command);
}
