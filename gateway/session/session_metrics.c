/* What sessions count, described where it is counted. Without metric values (tests) nothing is. */
#include "gateway/session/session_commands.h"

#include "base/clock.h"

#define COMMAND_ROW(kind, label)                                                                                       \
    [SESSION_METRIC_COMMANDS + (kind)] = {"callboard_client_commands_total", "Commands received from clients.",        \
                                          METRIC_COUNTER, "command=\"" label "\""}
#define SECONDS_ROW(kind, label)                                                                                       \
    [SESSION_METRIC_SECONDS + (kind)] = {"callboard_client_command_seconds", "Time from a command to its answer.",     \
                                         METRIC_HISTOGRAM, "command=\"" label "\""}
#define DISCONNECT_ROW(name, code, reason)                                                                             \
    [SESSION_METRIC_DISCONNECT_##name] = {"callboard_client_disconnects_total", "Connections closed by the gateway.",  \
                                          METRIC_COUNTER, "code=\"" #code "\",reason=\"" reason "\""},
#define ERROR_ROW(name, code, reason, message, temporary, definite)                                                    \
    [SESSION_METRIC_ERROR_##name] = {"callboard_client_errors_total", "Error replies to clients.", METRIC_COUNTER,     \
                                     "code=\"" #code "\",reason=\"" reason "\""},

#define HOOK_ROW(hook, label, verdict, verdict_label)                                                                  \
    [SESSION_METRIC_HOOKS + (hook) *SESSION_VERDICTS +                                                                 \
        (verdict)] = {"callboard_client_hook_verdicts_total",                                                          \
                      "What workers decided; failed: none answered in time, invalid: the answer could not be used.",   \
                      METRIC_COUNTER, "hook=\"" label "\",verdict=\"" verdict_label "\""}
#define HOOK_ROWS(hook, label)                                                                                         \
    HOOK_ROW(hook, label, SESSION_VERDICT_ALLOWED, "allowed"), HOOK_ROW(hook, label, SESSION_VERDICT_ERROR, "error"),  \
        HOOK_ROW(hook, label, SESSION_VERDICT_DISCONNECT, "disconnect"),                                               \
        HOOK_ROW(hook, label, SESSION_VERDICT_FAILED, "failed"),                                                       \
        HOOK_ROW(hook, label, SESSION_VERDICT_INVALID, "invalid")

const struct metric_description session_metric_table[] = {
    [SESSION_METRIC_CONNECTIONS] = {"callboard_client_connections", "Connections whose connect command was accepted.",
                                    METRIC_GAUGE, NULL},
    [SESSION_METRIC_DEAD] = {"callboard_client_connections_dead", "Connections that owe a pong.", METRIC_GAUGE, NULL},
    [SESSION_METRIC_OUTBOX_BYTES] = {"callboard_client_outbox_bytes",
                                     "Bytes that wait for slow connections, or of messages kept for later.",
                                     METRIC_GAUGE, NULL},
    [SESSION_METRIC_TAG_FILTERS] = {"callboard_client_tag_filters", "Tags filters that are different from each other.",
                                    METRIC_GAUGE, NULL},
    COMMAND_ROW(CLIENT_COMMAND_PONG, "pong"),
    COMMAND_ROW(CLIENT_COMMAND_CONNECT, "connect"),
    COMMAND_ROW(CLIENT_COMMAND_PING, "ping"),
    COMMAND_ROW(CLIENT_COMMAND_SUBSCRIBE, "subscribe"),
    COMMAND_ROW(CLIENT_COMMAND_UNSUBSCRIBE, "unsubscribe"),
    COMMAND_ROW(CLIENT_COMMAND_PUBLISH, "publish"),
    COMMAND_ROW(CLIENT_COMMAND_PRESENCE, "presence"),
    COMMAND_ROW(CLIENT_COMMAND_PRESENCE_STATS, "presence_stats"),
    COMMAND_ROW(CLIENT_COMMAND_HISTORY, "history"),
    COMMAND_ROW(CLIENT_COMMAND_RPC, "rpc"),
    COMMAND_ROW(CLIENT_COMMAND_SEND, "send"),
    COMMAND_ROW(CLIENT_COMMAND_REFRESH, "refresh"),
    COMMAND_ROW(CLIENT_COMMAND_SUB_REFRESH, "sub_refresh"),
    SECONDS_ROW(CLIENT_COMMAND_PONG, "pong"),
    SECONDS_ROW(CLIENT_COMMAND_CONNECT, "connect"),
    SECONDS_ROW(CLIENT_COMMAND_PING, "ping"),
    SECONDS_ROW(CLIENT_COMMAND_SUBSCRIBE, "subscribe"),
    SECONDS_ROW(CLIENT_COMMAND_UNSUBSCRIBE, "unsubscribe"),
    SECONDS_ROW(CLIENT_COMMAND_PUBLISH, "publish"),
    SECONDS_ROW(CLIENT_COMMAND_PRESENCE, "presence"),
    SECONDS_ROW(CLIENT_COMMAND_PRESENCE_STATS, "presence_stats"),
    SECONDS_ROW(CLIENT_COMMAND_HISTORY, "history"),
    SECONDS_ROW(CLIENT_COMMAND_RPC, "rpc"),
    SECONDS_ROW(CLIENT_COMMAND_SEND, "send"),
    SECONDS_ROW(CLIENT_COMMAND_REFRESH, "refresh"),
    SECONDS_ROW(CLIENT_COMMAND_SUB_REFRESH, "sub_refresh"),
    [SESSION_METRIC_USERS] = {"callboard_client_users",
                              "Different users; who has connections on two workers is counted on both.", METRIC_GAUGE,
                              NULL},
    [SESSION_METRIC_RATE_LIMITED] = {"callboard_client_rate_limited_total",
                                     "Commands refused because of client.commands_per_second.", METRIC_COUNTER, NULL},
    [SESSION_METRIC_TOKENS_UNSURE] = {"callboard_client_tokens_unsure_total",
                                      "Good tokens refused for the moment (token.revocations_strict).", METRIC_COUNTER,
                                      NULL},
    [SESSION_METRIC_AGED] = {"callboard_client_aged_total", "Connections closed because of client.connection_age_max.",
                             METRIC_COUNTER, NULL},
    [SESSION_METRIC_CALLS] = {"callboard_client_calls_open",
                              "Questions to workers that are open, at most client.calls a thread.", METRIC_GAUGE, NULL},
    HOOK_ROWS(SESSION_HOOK_CONNECT, "connect"),
    HOOK_ROWS(SESSION_HOOK_REFRESH, "refresh"),
    HOOK_ROWS(SESSION_HOOK_SUBSCRIBE, "subscribe"),
    HOOK_ROWS(SESSION_HOOK_PUBLISH, "publish"),
    HOOK_ROWS(SESSION_HOOK_SUB_REFRESH, "sub_refresh"),
    [SESSION_METRIC_DEFERRED] = {"callboard_client_deferred_total",
                                 "Messages kept because an earlier command was not done.", METRIC_COUNTER, NULL},
    [SESSION_METRIC_SUBSCRIPTIONS_LOST] = {"callboard_client_subscriptions_ended_total",
                                           "Subscriptions ended by the gateway.", METRIC_COUNTER,
                                           "reason=\"insufficient state\""},
    [SESSION_METRIC_SUBSCRIPTIONS_EXPIRED] = {"callboard_client_subscriptions_ended_total",
                                              "Subscriptions ended by the gateway.", METRIC_COUNTER,
                                              "reason=\"subscription expired\""},
    [SESSION_METRIC_SUBSCRIPTIONS_UNSERVED] = {"callboard_client_subscriptions_ended_total",
                                               "Subscriptions ended by the gateway.", METRIC_COUNTER,
                                               "reason=\"namespace removed\""},
    ERROR_CODES(ERROR_ROW) DISCONNECT_CODES(DISCONNECT_ROW)};
const size_t session_metric_count = SESSION_METRICS;

void session_count(const session_t *self, enum session_metric row) {
    if (self->environment->metrics != NULL) {
        metric_count(self->environment->metrics, row);
    }
}

void session_count_done(const session_t *self, struct session_begun begun) {
    if (self->environment->metrics != NULL && !self->is_released) {
        metric_observe_us(self->environment->metrics, SESSION_METRIC_SECONDS + (size_t) begun.kind,
                          (uint32_t) clock_monotonic_us() - begun.at_us);
    }
}

void session_count_change(const session_t *self, enum session_metric row, int64_t amount) {
    if (self->environment->metrics != NULL) {
        metric_change(self->environment->metrics, row, amount);
    }
}

void session_environment_show(const struct session_environment *self) {
    if (self->metrics != NULL) {
        metric_set(self->metrics, SESSION_METRIC_USERS, self->users);
        metric_set(self->metrics, SESSION_METRIC_CALLS, self->calls);
        metric_set(self->metrics, SESSION_METRIC_OUTBOX_BYTES, (int64_t) self->outbox_budget.used);
        metric_set(self->metrics, SESSION_METRIC_TAG_FILTERS, (int64_t) tag_filter_set_count(self->tag_filters));
    }
}

void session_count_error(const session_t *self, enum error_code code) {
    switch (error_describe((uint32_t) code)->code) {
    case ERROR_NONE:
        return;
#define COUNT_ERROR(name, number, reason, message, temporary, definite)                                                \
    case ERROR_##name:                                                                                                 \
        session_count(self, SESSION_METRIC_ERROR_##name);                                                              \
        return;
        ERROR_CODES(COUNT_ERROR)
#undef COUNT_ERROR
    }
}

void session_count_disconnect(const session_t *self, enum disconnect_code code) {
    switch (code) {
    case DISCONNECT_INVALID_DATA:
        session_count(self, SESSION_METRIC_DISCONNECT_BAD_REQUEST);
        return;
    case DISCONNECT_NORMAL:
    case DISCONNECT_PROTOCOL_ERROR:
    case DISCONNECT_POLICY:
    case DISCONNECT_TOO_BIG:
        return; /* the transport's */
#define COUNT_DISCONNECT(name, number, reason)                                                                         \
    case DISCONNECT_##name:                                                                                            \
        session_count(self, SESSION_METRIC_DISCONNECT_##name);                                                         \
        return;
        DISCONNECT_CODES(COUNT_DISCONNECT)
#undef COUNT_DISCONNECT
    }
}
