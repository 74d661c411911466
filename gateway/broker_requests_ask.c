/* What may be asked of brokers: each kind of request is encoded and handed to the lane of its channel. A CALL goes from
 * broker to broker until one has a worker. */
#include "gateway/broker_requests_parts.h"

#include "base/channel_name.h"
#include "base/clock.h"
#include "base/memory.h"

static void ask(broker_requests_t *self, struct broker_request *request, struct span channel, bool encoded) {
    requests_ask_at(self, request, broker_links_hash(channel), encoded);
}

void broker_publish(broker_requests_t *self, struct broker_request *request,
                    const struct broker_publication *publication) {
    requests_begin(self, request, WIRE_PUBLISH, METRIC_PUBLISH);
    bool encoded =
        wire_encode_publish(&self->scratch, &(struct wire_publish){.request = request->id,
                                                                   .flags = publication->flags,
                                                                   .deadline_ms = self->timeout_ms,
                                                                   .channel = publication->channel,
                                                                   .key = publication->key,
                                                                   .data = publication->data,
                                                                   .info = publication->info,
                                                                   .tags = publication->tags,
                                                                   .version = publication->version,
                                                                   .version_epoch = publication->version_epoch});
    ask(self, request, publication->channel, encoded);
}

void broker_history(broker_requests_t *self, struct broker_request *request, struct span channel, bool has_since,
                    const struct position *since, uint32_t limit, bool reverse) {
    requests_begin(self, request, WIRE_HISTORY, channel_name_is_own(channel) ? METRIC_REVOCATIONS : METRIC_HISTORY);
    struct wire_history frame = {.request = request->id, .limit = limit, .channel = channel};
    frame.flags = (uint8_t) ((has_since ? WIRE_HISTORY_SINCE : 0) | (reverse ? WIRE_HISTORY_REVERSE : 0));
    if (has_since) {
        frame.since_epoch = since->epoch;
        frame.since_offset = since->offset;
    }
    ask(self, request, channel, wire_encode_history(&self->scratch, &frame));
}

void broker_history_remove(broker_requests_t *self, struct broker_request *request, struct span channel) {
    requests_begin(self, request, WIRE_HISTORY_REMOVE, METRIC_HISTORY_REMOVE);
    ask(self, request, channel,
        wire_encode_history_remove(&self->scratch,
                                   &(struct wire_history_remove){.request = request->id, .channel = channel}));
}

void broker_presence(broker_requests_t *self, struct broker_request *request, struct span channel) {
    requests_begin(self, request, WIRE_PRESENCE, METRIC_PRESENCE);
    ask(self, request, channel,
        wire_encode_presence(&self->scratch, &(struct wire_presence){.request = request->id, .channel = channel}));
}

void broker_presence_stats(broker_requests_t *self, struct broker_request *request, struct span channel) {
    requests_begin(self, request, WIRE_PRESENCE_STATS, METRIC_PRESENCE);
    ask(self, request, channel,
        wire_encode_presence_stats(&self->scratch,
                                   &(struct wire_presence_stats){.request = request->id, .channel = channel}));
}

/* To the next broker that was not asked. False: all were, or its lane has no credit. */
static bool send_call(broker_requests_t *self, struct broker_request *request) {
    struct call_tries *call = request->call;
    uint32_t n = requests_brokers_alive(self);
    if (call->n_asked >= n) {
        return false;
    }
    struct broker_route route;
    uint32_t at = (self->call_first + call->n_asked) % n;
    call->n_asked++;
    call->asked = at;
    return broker_links_route_nth(self->links, call->channel_hash, at, &route) &&
           requests_send_frame(self, request, &route, buffer_span(&call->frame));
}

void broker_call(broker_requests_t *self, struct broker_request *request, const struct broker_question *question) {
    requests_begin(self, request, WIRE_CALL, METRIC_CALL);
    struct wire_call frame = {.request = request->id,
                              .deadline_ms = question->timeout_ms,
                              .method = question->method,
                              .channel = question->channel,
                              .info = question->info,
                              .details = question->details,
                              .data = question->data};
    if (!wire_encode_call(&self->scratch, &frame)) {
        requests_finish_later(self, request, ERROR_TOO_LARGE);
        return;
    }
    request->call = memory_alloc_zero(sizeof *request->call);
    request->call->channel_hash = broker_links_hash(question->info); /* one client's stay in order */
    buffer_append_span(&request->call->frame, buffer_span(&self->scratch));
    key_table_put(&self->pending, request->id, request);
    timer_wheel_set(self->wheel, &request->timer, clock_monotonic_ms() + question->timeout_ms);
    if (!list_is_empty(&self->waiting) || !send_call(self, request)) {
        requests_wait_for_link(self, request, request->call->channel_hash, buffer_span(&request->call->frame));
    }
}

/* That broker has no worker for it. True: another one is asked. */
bool requests_ask_elsewhere(broker_requests_t *self, const uplink_t *uplink, uint32_t id) {
    struct broker_request *request = key_table_find(&self->pending, id);
    if (request == NULL || request->uplink != uplink || request->kind != WIRE_CALL ||
        request->call->n_asked >= requests_brokers_alive(self)) {
        return false;
    }
    list_remove(&request->link);
    request->sent = false;
    request->uplink = NULL;
    if (!send_call(self, request)) {
        requests_wait_for_link(self, request, request->call->channel_hash, buffer_span(&request->call->frame));
    }
    return true;
}

void broker_emulate(broker_requests_t *self, struct broker_request *request, struct span node, uint32_t worker,
                    struct span session, struct span data) {
    requests_begin(self, request, WIRE_EMULATE, METRIC_EMULATE);
    const struct wire_emulate frame = {
        .request = request->id, .worker = worker, .node = node, .session = session, .data = data};
    bool encoded = wire_encode_emulate(&self->scratch, &frame);
    ask(self, request, node, wire_mark_skippable(&self->scratch, 0, encoded));
}

uint32_t broker_user_hash(uint64_t user) {
    return (uint32_t) (user % PARTITIONS_MAX);
}

void broker_take_user(broker_requests_t *self, struct broker_request *request, uint64_t user, uint32_t mine,
                      uint32_t most) {
    requests_begin(self, request, WIRE_USER_TAKE, METRIC_USER_TAKE);
    const struct wire_user_take frame = {.request = request->id, .user = user, .mine = mine, .most = most};
    bool encoded = wire_encode_user_take(&self->scratch, &frame);
    requests_ask_at(self, request, broker_user_hash(user), wire_mark_skippable(&self->scratch, 0, encoded));
}

void broker_command(broker_requests_t *self, struct broker_request *request, const struct wire_command *command) {
    requests_begin(self, request, WIRE_COMMAND, METRIC_COMMAND);
    struct wire_command frame = *command;
    frame.request = request->id;
    frame.deadline_ms = self->timeout_ms;
    request->only_reads = wire_command_only_reads(command->action);
    ask(self, request, command->user, wire_encode_command(&self->scratch, &frame));
}
