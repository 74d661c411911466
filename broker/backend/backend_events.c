/* Subscriptions of services: the answers and events of backend_subscriptions, over the API's own link to the
 * switchboard, and the keys behind them, which libzmq asks for only when a connection is made: looked at each half
 * second. */
#include "base/check.h"
#include "base/curve_allow_list.h"
#include "base/log.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

#include <stdio.h>

enum { KEYS_MS = 500 };

static void init_answer(struct backend_answer_to *to, zmq_msg_t *routing, const struct backend_subscriber *subscriber) {
    backend_init_frame(routing, subscriber->routing);
    *to = (struct backend_answer_to){
        .routing = routing, .has_delimiter = subscriber->has_delimiter, .id = subscriber->id};
}

static void on_subscribed(void *context, const struct backend_subscriber *subscriber, enum error_code code,
                          const struct position *position) {
    backend_api_t *self = context;
    zmq_msg_t routing;
    struct backend_answer_to to;
    init_answer(&to, &routing, subscriber);
    if (code != ERROR_NONE) {
        backend_answer_error(self, &to, code, NULL);
        return;
    }
    buffer_clear(&self->body);
    backend_append_position(&self->body, position);
    backend_answer(self, &to, "ok");
}

static enum backend_event_result on_event(void *context, const struct backend_subscriber *subscriber, const char *type,
                                          struct span channel, const struct position *position,
                                          const struct wire_publication *publication) {
    backend_api_t *self = context;
    zmq_msg_t routing;
    struct backend_answer_to to;
    init_answer(&to, &routing, subscriber);
    buffer_clear(&self->body);
    backend_append_event(&self->body, type, channel, position, publication);
    bool has_payload = strcmp(type, "publication") == 0;
    switch (backend_send(self, &to, "event", has_payload ? &publication->data : NULL)) {
    case ZMQ_SENT:
        metric_count(self->metrics, BACKEND_METRIC_EVENTS);
        return BACKEND_EVENT_SENT;
    case ZMQ_FULL:
        metric_count(self->metrics, BACKEND_METRIC_EVENTS_BEHIND);
        return BACKEND_EVENT_FULL;
    case ZMQ_UNROUTABLE:
    case ZMQ_SEND_FAILED:
        return BACKEND_EVENT_GONE;
    }
    return BACKEND_EVENT_GONE;
}

static void subscribe(backend_api_t *self, struct backend_call *call) {
    struct backend_refusal refusal = {.code = ERROR_NONE};
    const struct namespace_options *options;
    struct backend_subscriber subscriber = {call->peer, call->to.id, call->key, call->to.has_delimiter};
    const struct position *since = call->params.has_since ? &call->params.since : NULL;
    if (!backend_find_namespace(self, call->params.channel, &options, &refusal)) {
        backend_refuse_call(self, call, &refusal);
        return;
    }
    enum error_code code = backend_subscribe(self->subscriptions, &subscriber, call->params.channel, since);
    if (code != ERROR_NONE) {
        backend_answer_error(self, &call->to, code, NULL);
    }
}

static void unsubscribe(backend_api_t *self, struct backend_call *call) {
    backend_unsubscribe(self->subscriptions, call->peer, call->params.channel);
    backend_answer_nothing(self, &call->to);
}

static const struct backend_method rows[] = {
    {.name = "subscribe",
     .right = BACKEND_RIGHT_CHANNEL,
     .flags = BACKEND_ALONE,
     .allowed = BACKEND_PARAM_CHANNEL | BACKEND_PARAM_SINCE,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = subscribe},
    {.name = "unsubscribe",
     .flags = BACKEND_ALONE,
     .allowed = BACKEND_PARAM_CHANNEL,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = unsubscribe},
};
const struct backend_method_list backend_subscription_methods = BACKEND_METHOD_LIST(rows);

/* ---- the link ---- */

static void on_link_up(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_on_up(self->subscriptions);
}

static void on_link_down(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_on_down(self->subscriptions);
    backend_end_orders(self);
}

static void on_link_drain(void *context) {
    backend_api_t *self = context;
    backend_subscriptions_end(self->subscriptions);
}

static void on_link_frame(void *context, const struct wire_frame *frame) {
    backend_api_t *self = context;
    if (!backend_on_order_frame(self, frame)) {
        backend_subscriptions_on_frame(self->subscriptions, frame);
    }
}

void backend_start_subscriptions(backend_api_t *self) {
    snprintf(self->link_id, sizeof self->link_id, "backend-api@%.200s", self->options.broker_id);
    struct backend_link_options link_options = {
        .loop = actor_loop(self->actor),
        .zmq_context = self->options.zmq_context,
        .endpoint = self->options.switchboard_endpoint,
        .id = self->link_id,
        .heartbeat_ms = (uint32_t) self->options.config->heartbeat_ms,
        .on_up = on_link_up,
        .on_down = on_link_down,
        .on_drain = on_link_drain,
        .on_frame = on_link_frame,
        .context = self,
    };
    self->link = backend_link_new(&link_options);
    check(self->link != NULL, "no socket to %s", self->options.switchboard_endpoint);
    struct backend_subscriptions_options options = {
        .link = self->link,
        .subscriptions_max = (size_t) self->options.config->backend_subscriptions_max,
        .on_subscribed = on_subscribed,
        .on_event = on_event,
        .context = self,
    };
    self->subscriptions = backend_subscriptions_new(&options);
    self->orders = backend_orders_new(self->link);
}

/* ---- keys ---- */

bool backend_is_key_allowed(const backend_api_t *self, struct span key) {
    char name[CURVE_NAME_MAX + 1];
    if (self->sockets.zap == NULL) {
        return true;
    }
    if (key.size == 0 || key.size >= sizeof name) {
        return false;
    }
    memcpy(name, key.data, key.size);
    name[key.size] = '\0';
    return curve_zap_allows(self->sockets.zap, name);
}

static bool may_stay_worker(void *context, struct span key) {
    const backend_api_t *self = context;
    return backend_is_key_allowed(self, key) && backend_rights_method(self->rights, key, SPAN_LITERAL("work"));
}

static bool may_stay_subscribed(void *context, const struct backend_subscriber *subscriber, struct span channel) {
    const backend_api_t *self = context;
    return backend_is_key_allowed(self, subscriber->key) &&
           backend_rights_method(self->rights, subscriber->key, SPAN_LITERAL("subscribe")) &&
           backend_rights_channel(self->rights, subscriber->key, channel);
}

static bool may_stay(void *context, struct span key) {
    return backend_is_key_allowed(context, key);
}

static void judge_subscriptions(backend_api_t *self) {
    size_t n = backend_subscriptions_drop_unless(self->subscriptions, may_stay_subscribed, self);
    if (n > 0) {
        metric_add(self->metrics, BACKEND_METRIC_NOT_ALLOWED, n);
        log_warning("backend_key_revoked", log_u64("subscriptions", n));
    }
}

/* What libzmq does not ask for again: the keys behind connections and subscriptions. */
void backend_judge_keys(backend_api_t *self, uint64_t now_ms) {
    if (self->sockets.zap == NULL || now_ms < self->keys_due_ms) {
        return;
    }
    self->keys_due_ms = now_ms + KEYS_MS;
    uint64_t refused = curve_zap_refused_total(self->sockets.zap);
    metric_add(self->metrics, BACKEND_METRIC_CURVE_REFUSED, refused - self->curve_refused);
    self->curve_refused = refused;
    backend_rights_refresh(self->rights);
    worker_pool_drop_unless(self->workers, may_stay_worker, self);
    if (self->subscriptions != NULL) {
        judge_subscriptions(self);
    }
    size_t n = backend_peers_cut_unless(self->peers, may_stay, self);
    if (n > 0) {
        metric_add(self->metrics, BACKEND_METRIC_LINKS_CUT, n);
        log_warning("backend_links_cut", log_u64("links", n), log_text("reason", "their key was taken off the list"));
    }
}
