/* history, presence and presence_stats: questions that the brokers answer.
 *
 * Failure modes: the feature is off 108, then permission 103; a since of another epoch 112; reverse from the very
 * beginning 107; the broker refuses or is away: its error. */
#include "gateway/session/session_commands.h"

/* Ends the request with its error, if it has one. */
static bool failed(struct session_request *request, enum error_code error) {
    if (error == ERROR_NONE) {
        return false;
    }
    session_reply_error(request->session, request->id, error);
    session_request_finish(&request);
    return true;
}

static struct session_request *request_of(struct broker_request *broker) {
    return list_entry(broker, struct session_request, broker);
}

/* ---- history ---- */

static void on_history(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = request_of(broker);
    session_t *self = request->session;
    bool is_other_epoch =
        !epoch_is_empty(&request->since_epoch) && !epoch_equal(&request->since_epoch, &answer->position.epoch);
    enum error_code error = answer->error;
    if (error == ERROR_NONE && is_other_epoch) {
        error = ERROR_UNRECOVERABLE_POSITION;
    }
    if (failed(request, error)) {
        return;
    }
    self->codec->encode_history(session_begin_reply(self), request->id, &answer->position, answer->n, answer->bytes);
    session_end_reply(self);
    session_request_finish(&request);
}

/* Negative: as many as may be. */
static uint32_t history_limit(const session_t *self, int64_t wanted) {
    int64_t most = self->environment->config->history_limit_max;
    return (uint32_t) (wanted < 0 || wanted > most ? most : wanted);
}

void session_handle_history(session_t *self, const struct client_command *command) {
    const struct client_history *history = &command->body.history;
    const struct namespace_options *options = NULL;
    if (!session_find_options(self, command->id, history->channel, &options)) {
        return;
    }
    struct permission_subject subject = session_subject(self, history->channel);
    enum error_code error = permission_history(options, &subject);
    if (error == ERROR_NONE && history->has_since && history->reverse && history->since.offset == 0) {
        error = ERROR_BAD_REQUEST;
    }
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
        return;
    }
    struct session_request *request = session_request_new(self, command->id, on_history);
    request->since_epoch = history->since.epoch;
    broker_history(self->environment->brokers, &request->broker, history->channel, history->has_since, &history->since,
                   history_limit(self, history->limit), history->reverse);
}

/* ---- presence ---- */

static void on_presence(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = request_of(broker);
    session_t *self = request->session;
    if (failed(request, answer->error)) {
        return;
    }
    self->codec->encode_presence(session_begin_reply(self), request->id, answer->n, answer->bytes);
    session_end_reply(self);
    session_request_finish(&request);
}

static void on_presence_stats(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = request_of(broker);
    session_t *self = request->session;
    if (failed(request, answer->error)) {
        return;
    }
    self->codec->encode_presence_stats(session_begin_reply(self), request->id, answer->n, answer->m);
    session_end_reply(self);
    session_request_finish(&request);
}

static bool may_read_presence(session_t *self, const struct client_command *command) {
    const struct namespace_options *options = NULL;
    if (!session_find_options(self, command->id, command->body.channel, &options)) {
        return false;
    }
    struct permission_subject subject = session_subject(self, command->body.channel);
    enum error_code error = permission_presence(options, &subject);
    if (error != ERROR_NONE) {
        session_reply_error(self, command->id, error);
    }
    return error == ERROR_NONE;
}

void session_handle_presence(session_t *self, const struct client_command *command) {
    if (may_read_presence(self, command)) {
        struct session_request *request = session_request_new(self, command->id, on_presence);
        broker_presence(self->environment->brokers, &request->broker, command->body.channel);
    }
}

void session_handle_presence_stats(session_t *self, const struct client_command *command) {
    if (may_read_presence(self, command)) {
        struct session_request *request = session_request_new(self, command->id, on_presence_stats);
        broker_presence_stats(self->environment->brokers, &request->broker, command->body.channel);
    }
}
