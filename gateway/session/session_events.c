/* What services are told of sessions (docs/backend-api.md, "Events"), through the worker's event_feed: a connection
 * when its connect was answered, and when it is gone; a subscription when it has joined, and when it has left. Who was
 * told of the one is told of the other, whatever a reload changed meanwhile. */
#include "gateway/event_feed.h"
#include "gateway/session/session_commands.h"

static void tell(const session_t *self, const char *type, struct wire_client_info client, struct span channel,
                 uint32_t code) {
    const struct event event = {.type = type, .client = client, .channel = channel, .code = code};
    event_feed_tell(self->environment->events, &event);
}

void session_tell_connected(session_t *self) {
    if (event_feed_is_on(self->environment->events) && self->environment->config->events_connections) {
        self->was_told = true;
        tell(self, "connected", session_client_info(self), SPAN_EMPTY, 0);
    }
}

void session_tell_disconnected(session_t *self) {
    if (self->was_told) {
        self->was_told = false;
        tell(self, "disconnected", session_client_info(self), SPAN_EMPTY, self->close_code);
    }
}

static struct wire_client_info info_of(const struct subscription *subscription) {
    struct wire_client_info info;
    const payload_t *own = subscription->info;
    return own != NULL && wire_read_client_info(payload_span(own), &info) ? info
                                                                          : session_client_info(subscription->session);
}

/* Not before its connection. */
void session_tell_subscribed(struct subscription *subscription) {
    session_t *self = subscription->session;
    if (subscription->has_events && !subscription->was_told && self->state == SESSION_CONNECTED &&
        event_feed_is_on(self->environment->events)) {
        subscription->was_told = true;
        tell(self, "subscribed", info_of(subscription), hub_member_channel(&subscription->member), 0);
    }
}

void session_tell_unsubscribed(struct subscription *subscription, uint32_t code) {
    if (subscription->was_told) {
        subscription->was_told = false;
        tell(subscription->session, "unsubscribed", info_of(subscription), hub_member_channel(&subscription->member),
             code);
    }
}
