/* What a reload means to subscriptions that stand. A namespace that is still there, however changed, leaves them: its
 * options count for what is asked from now on, and where it gave or took the history away the broker says so (on_lost).
 * A namespace that is gone ends them, each with an unsubscribe push of its own (2000: the SDK does not come back to the
 * channel); the connection stays, but for the raw endpoint's, which had nothing else.
 *
 * Failure modes: a subscribe that is still on its way is answered with error 102, as it would be now; a connect that
 * still waits for such a channel closes with 3004, and the next one is told why. */
#include "gateway/session/session_commands.h"

static bool is_served(const struct subscription *subscription) {
    const struct namespace_options *ignored = NULL;
    return permission_find_options(subscription->session->environment->namespaces,
                                   hub_member_channel(&subscription->member), &ignored) == ERROR_NONE;
}

static void end_unserved_of(session_t *self) {
    list_for_each_safe (link, &self->subscriptions) {
        struct subscription *subscription = list_entry(link, struct subscription, link);
        if (is_served(subscription)) {
            continue;
        }
        if (subscription->is_joining) {
            session_fail_joining(subscription, ERROR_UNKNOWN_CHANNEL);
        } else {
            session_count(self, SESSION_METRIC_SUBSCRIPTIONS_UNSERVED);
            session_end_subscription(&subscription, UNSUBSCRIBED_BY_SERVER, "namespace removed");
        }
    }
    session_schedule_subscription_expiry(self);
}

void session_end_unserved(struct session_environment *environment) {
    list_for_each_safe (link, &environment->sessions) {
        end_unserved_of(list_entry(link, struct session, link));
    }
}
