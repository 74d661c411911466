/* Connections and subscriptions that hooks extend (refresh, sub_refresh), instead of tokens that the client sends.
 *
 *   time is over ─▶ asked ─▶ extended: as long as it says, with its info, or for ever
 *                     ├─ expired, or a time that has passed ─▶ 3005; a subscription 2501
 *                     ├─ a disconnect ─▶ that
 *                     └─ an error, or nobody answers ─▶ asked again, later each time, until client.expired_close_delay
 *                        behind its time; then 3005, 2501
 *
 * It is asked once at a time, at the very second in which the time is over; until it has answered everything goes on.
 * Failure modes: client.calls are open: as if nobody answered. */
#include "base/clock.h"
#include "gateway/session/session_commands.h"

/* 0, 1, 3, 6, 10 … seconds: soon at first, and never many together for long. */
static int64_t pause_s(unsigned failures) {
    return (int64_t) failures * (failures + 1) / 2;
}

static uint64_t moment_ms(int64_t wall_s) {
    int64_t left_ms = wall_s * 1000 - clock_wall_ms();
    return clock_monotonic_ms() + (uint64_t) (left_ms < 0 ? 0 : left_ms);
}

/* When it is asked for the next time. While it is asked there is no such moment: the question has its own end. */
static uint64_t due_ms(const session_t *self, int64_t expire_at_s, bool is_asked, unsigned failures) {
    uint64_t end_ms = session_grace_end_ms(self, expire_at_s);
    uint64_t next_ms = moment_ms(expire_at_s + pause_s(failures));
    return is_asked ? 0 : next_ms > end_ms && failures > 0 ? end_ms : next_ms;
}

/* Once it is asked in any case. */
static bool is_too_late(const session_t *self, int64_t expire_at_s, unsigned failures) {
    return failures > 0 && expire_at_s * 1000 + self->environment->config->expired_close_delay_ms <= clock_wall_ms();
}

/* What a verdict extends to. False: it is over. */
static bool read_expiry(struct json_value result, int64_t *ret_expire_at_s) {
    bool is_expired = false;
    *ret_expire_at_s = 0;
    json_to_bool(json_member(result, "expired"), &is_expired);
    json_to_i64(json_member(result, "expire_at"), ret_expire_at_s);
    return !is_expired && !session_is_past(*ret_expire_at_s);
}

/* Empty: the verdict says nothing about it. */
static void append_info(struct json_value result, struct buffer *out) {
    struct buffer scratch = BUFFER_EMPTY;
    session_append_grant(out, result, "info", "b64info", &scratch);
    buffer_finish(&scratch);
}

/* ---- the connection ---- */

bool session_is_refreshed_by_hook(const session_t *self) {
    return self->kept != NULL && self->kept->refreshed_by_hook;
}

static void schedule(session_t *self) {
    const struct session_kept *kept = self->kept;
    session_set_deadline(self, SESSION_DEADLINE_EXPIRY,
                         due_ms(self, kept->expire_at_s, kept->is_refreshing, kept->failures));
}

void session_set_expiry(session_t *self, int64_t expire_at_s) {
    if (expire_at_s == 0) {
        session_set_deadline(self, SESSION_DEADLINE_EXPIRY, 0);
    } else if (session_is_refreshed_by_hook(self)) {
        self->kept->expire_at_s = expire_at_s;
        self->kept->failures = 0;
        schedule(self);
    } else {
        session_set_deadline(self, SESSION_DEADLINE_EXPIRY, session_grace_end_ms(self, expire_at_s));
    }
}

static void ask_again_later(session_t *self) {
    self->kept->is_refreshing = false;
    self->kept->failures += self->kept->failures < SESSION_REFRESH_FAILURES_MAX ? 1 : 0;
    schedule(self);
}

static void extend(session_t *self, struct json_value result) {
    int64_t expire_at_s;
    struct buffer info = BUFFER_EMPTY;
    if (!read_expiry(result, &expire_at_s)) {
        session_disconnect(self, DISCONNECT_EXPIRED);
        return;
    }
    self->kept->is_refreshing = false;
    append_info(result, &info);
    if (info.size > 0) {
        session_exchange_conn_info(self, buffer_span(&info));
    }
    buffer_finish(&info);
    session_keep_meta(self, json_member(result, "meta"));
    session_set_expiry(self, expire_at_s);
}

static void on_refreshed(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_hook_read(self, SESSION_HOOK_REFRESH, answer, &verdict);
    bool is_answered = error == ERROR_NONE && verdict.outcome == WIRE_CALL_RESULT;
    if (self->state != SESSION_CLOSING) {
        if (error == ERROR_NONE && verdict.outcome == WIRE_CALL_DISCONNECT) {
            session_disconnect_with(self, (uint16_t) verdict.code, verdict.text);
        } else if (is_answered) {
            extend(self, verdict.result);
        } else {
            ask_again_later(self);
        }
    }
    session_request_finish(&request);
}

void session_on_expired(session_t *self) {
    if (!session_is_refreshed_by_hook(self) || is_too_late(self, self->kept->expire_at_s, self->kept->failures)) {
        session_disconnect(self, DISCONNECT_EXPIRED);
        return;
    }
    enum error_code ignored;
    const struct client_command command = {.kind = CLIENT_COMMAND_REFRESH};
    self->kept->is_refreshing = true;
    if (!session_hook_ask(self, SESSION_HOOK_REFRESH, &command, SPAN_EMPTY, SPAN_EMPTY, on_refreshed, &ignored)) {
        ask_again_later(self);
    }
}

/* ---- subscriptions ---- */

uint64_t session_subscription_due_ms(const struct subscription *subscription) {
    const session_t *self = subscription->session;
    if (subscription->expire_at_s == 0 || subscription->is_joining) {
        return 0;
    }
    return subscription->refreshed_by_hook
               ? due_ms(self, subscription->expire_at_s, subscription->is_refreshing, subscription->refresh_failures)
               : session_grace_end_ms(self, subscription->expire_at_s);
}

static void end_expired(struct subscription *subscription) {
    session_t *self = subscription->session;
    session_count(self, SESSION_METRIC_SUBSCRIPTIONS_EXPIRED);
    if (subscription->is_server_side) {
        session_disconnect(self, DISCONNECT_SUB_EXPIRED);
    } else {
        session_end_subscription(&subscription, UNSUBSCRIBED_EXPIRED, "subscription expired");
    }
}

static void note_failure(struct subscription *subscription) {
    subscription->is_refreshing = false;
    if (subscription->refresh_failures < SESSION_REFRESH_FAILURES_MAX) {
        subscription->refresh_failures++;
    }
}

static void extend_subscription(struct subscription *subscription, struct json_value result) {
    int64_t expire_at_s;
    struct buffer info = BUFFER_EMPTY;
    if (!read_expiry(result, &expire_at_s)) {
        end_expired(subscription);
        return;
    }
    subscription->is_refreshing = false;
    subscription->refresh_failures = 0;
    subscription->expire_at_s = expire_at_s;
    append_info(result, &info);
    if (info.size > 0) {
        session_set_chan_info(subscription, buffer_span(&info));
    }
    buffer_finish(&info);
}

static void on_sub_refreshed(struct broker_request *broker, const struct broker_answer *answer) {
    struct session_request *request = list_entry(broker, struct session_request, broker);
    session_t *self = request->session;
    struct session_verdict verdict;
    enum error_code error = session_hook_read(self, SESSION_HOOK_SUB_REFRESH, answer, &verdict);
    struct subscription *subscription =
        session_find_subscription(self, request->asked->command.body.sub_refresh.channel);
    if (error == ERROR_NONE && verdict.outcome == WIRE_CALL_DISCONNECT) {
        session_disconnect_with(self, (uint16_t) verdict.code, verdict.text);
    } else if (self->state != SESSION_CLOSING && subscription != NULL && subscription->is_refreshing) {
        if (error == ERROR_NONE && verdict.outcome == WIRE_CALL_RESULT) {
            extend_subscription(subscription, verdict.result);
        } else {
            note_failure(subscription);
        }
        if (self->state != SESSION_CLOSING) {
            session_schedule_subscription_expiry(self);
        }
    }
    session_request_finish(&request);
}

void session_on_subscription_expired(struct subscription *subscription) {
    session_t *self = subscription->session;
    if (!subscription->refreshed_by_hook ||
        is_too_late(self, subscription->expire_at_s, subscription->refresh_failures)) {
        end_expired(subscription);
        return;
    }
    enum error_code ignored;
    const struct client_command command = {.kind = CLIENT_COMMAND_SUB_REFRESH,
                                           .body.sub_refresh = {.channel = hub_member_channel(&subscription->member)}};
    subscription->is_refreshing = true;
    if (!session_hook_ask(self, SESSION_HOOK_SUB_REFRESH, &command, SPAN_EMPTY, SPAN_EMPTY, on_sub_refreshed,
                          &ignored)) {
        note_failure(subscription);
    }
}
