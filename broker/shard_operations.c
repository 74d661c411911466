/* Requests that end with one answer: publish, history; presence is shard_presence.c. They come as frames of a gateway
 * or as messages of another actor (the backend API), are judged once, handed to the engine, and answered to wherever
 * they came from.
 *
 *   judge (name, namespace, bounds, drain) ──no──▶ answer with a code
 *     └─yes─▶ operation ──▶ engine ──completion, exactly once──▶ answer
 *
 * Failure modes: the peer is gone when the answer comes → nobody is told, the publication stays; too many operations
 * wait (broker.inbox_messages, broker.inbox_bytes) → TOO_MANY_REQUESTS at once; the engine is away → temporary, except
 * that a history which the tail covers is answered from there. */
#include "base/channel_name.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/memory.h"
#include "broker/shard_operation.h"

enum { HISTORY_MAX = 1000 };

/* ---- answers ---- */

static void answer_error(gateway_peer_t *peer, uint32_t request, enum error_code code, const char *message,
                         bool temporary) {
    const struct error_description *description = error_describe(code);
    struct wire_error frame = {.request = request,
                               .code = (uint16_t) code,
                               .flags = (uint8_t) ((temporary ? WIRE_ERROR_TEMPORARY : 0) |
                                                   (description->definite ? 0 : WIRE_ERROR_UNKNOWN_OUTCOME)),
                               .message = span_of_text(message == NULL ? description->message : message)};
    gateway_peer_added(peer, wire_encode_error(gateway_peer_batch(peer), &frame));
}

static void answer_published(gateway_peer_t *peer, uint32_t request, const struct shard_reply *reply) {
    struct wire_published frame = {.request = request,
                                   .flags = (uint8_t) ((reply->duplicate ? WIRE_PUBLISHED_DUPLICATE : 0) |
                                                       (reply->suppressed ? WIRE_PUBLISHED_SUPPRESSED : 0) |
                                                       (reply->not_durable ? WIRE_PUBLISHED_NOT_DURABLE : 0)),
                                   .epoch = reply->position.epoch,
                                   .offset = reply->position.offset};
    gateway_peer_added(peer, wire_encode_published(gateway_peer_batch(peer), &frame));
}

static uint8_t kind_of_frame(enum shard_request_kind kind) {
    switch (kind) {
    case SHARD_REQUEST_PUBLISH:
        return WIRE_PUBLISH;
    case SHARD_REQUEST_HISTORY:
        return WIRE_HISTORY;
    case SHARD_REQUEST_HISTORY_REMOVE:
        return WIRE_HISTORY_REMOVE;
    case SHARD_REQUEST_PRESENCE:
        return WIRE_PRESENCE;
    case SHARD_REQUEST_PRESENCE_STATS:
        return WIRE_PRESENCE_STATS;
    case SHARD_REQUEST_INFO:
    case SHARD_REQUEST_LEASE_ACQUIRE:
    case SHARD_REQUEST_LEASE_RENEW:
    case SHARD_REQUEST_LEASE_RELEASE:
    case SHARD_REQUEST_KV_GET:
    case SHARD_REQUEST_KV_SET:
    case SHARD_REQUEST_KV_DEL:
    case SHARD_REQUEST_KV_EXISTS:
    case SHARD_REQUEST_KV_INCR:
        break;
    }
    unreachable("no frame for request %d", (int) kind);
}

static void answer_result(gateway_peer_t *peer, uint32_t request, const struct shard_reply *reply) {
    if (!gateway_peer_has_room(peer, reply->bytes.size)) {
        answer_error(peer, request, ERROR_TOO_MANY_REQUESTS, NULL, true);
        return;
    }
    struct wire_result frame = {.request = request,
                                .of = kind_of_frame(reply->kind),
                                .epoch = reply->position.epoch,
                                .offset = reply->position.offset,
                                .n = reply->n,
                                .m = reply->m,
                                .bytes = reply->bytes};
    gateway_peer_added(peer, wire_encode_result(gateway_peer_batch(peer), &frame));
}

static void answer_peer(struct shard *self, const struct operation_origin *origin, const struct shard_reply *reply,
                        bool temporary) {
    gateway_peer_t *peer = shard_find_peer(self, origin->peer);
    if (peer == NULL || origin->request == 0) {
        return;
    }
    if (reply->error != ERROR_NONE) {
        answer_error(peer, origin->request, reply->error, reply->message_text, temporary);
    } else if (reply->kind == SHARD_REQUEST_PUBLISH) {
        answer_published(peer, origin->request, reply);
    } else {
        answer_result(peer, origin->request, reply);
    }
}

static void answer_actor(struct shard *self, const struct operation_origin *origin, struct shard_reply *model) {
    model->message.kind = origin->reply_kind;
    model->ticket = origin->ticket;
    model->shard = self->options.index;
    struct shard_reply *reply = shard_reply_new(model);
    struct actor_message *message = &reply->message;
    if (actor_post_control(origin->reply_to, &message) != ACTOR_POSTED) {
        memory_free(reply);
    }
}

void shard_answer(struct shard *self, const struct operation_origin *origin, struct shard_reply *reply,
                  bool temporary) {
    if (origin->peer != 0) {
        answer_peer(self, origin, reply, temporary);
    } else if (origin->reply_to != NULL) {
        answer_actor(self, origin, reply);
    }
}

void shard_refuse(struct shard *self, enum shard_request_kind kind, const struct operation_origin *origin,
                  enum error_code code) {
    struct shard_reply reply = {.kind = kind, .error = code};
    shard_answer(self, origin, &reply, error_describe(code)->temporary);
}

/* ---- operations ---- */

static bool has_room(const struct shard *self, size_t bytes) {
    const struct broker_config *config = self->options.config;
    return self->n_operations < (uint64_t) config->inbox_messages &&
           self->operations_quota.used + bytes <= (size_t) config->inbox_bytes;
}

struct operation *shard_operation_new(struct shard *self, const struct shard_request *request,
                                      const struct operation_origin *origin) {
    struct operation *operation = memory_alloc_zero(sizeof *operation + request->channel.size);
    operation->shard = self;
    operation->kind = request->kind;
    operation->origin = *origin;
    operation->started_us = clock_monotonic_us();
    operation->reload = self->reload;
    operation->bytes = sizeof *operation + request->data.size;
    operation->channel_size = request->channel.size;
    memcpy(operation->channel, request->channel.data, request->channel.size);
    quota_charge_anyway(&self->operations_quota, operation->bytes);
    self->n_operations++;
    list_init(&operation->link);
    list_push_back(&self->operations, &operation->link);
    return operation;
}

/* They stand in the order in which they began. */
bool shard_operations_are_behind(const struct shard *self, uint32_t reload) {
    return list_is_empty(&self->operations) ||
           list_entry(self->operations.next, struct operation, link)->reload == reload;
}

static void operation_destroy(struct operation *operation) {
    struct shard *self = operation->shard;
    quota_release(&self->operations_quota, operation->bytes);
    self->n_operations--;
    list_remove(&operation->link);
    memory_free(operation);
}

void shard_operation_finish(struct operation *operation, struct shard_reply *reply, bool temporary) {
    reply->kind = operation->kind;
    shard_answer(operation->shard, &operation->origin, reply, temporary);
    operation_destroy(operation);
}

enum error_code shard_code_of(enum engine_outcome outcome, bool is_append, bool *ret_temporary) {
    *ret_temporary = false;
    switch (outcome) {
    case ENGINE_OK:
        return ERROR_NONE;
    case ENGINE_TEMPORARY:
        *ret_temporary = true;
        return ERROR_INTERNAL;
    case ENGINE_FULL:
        *ret_temporary = true;
        return ERROR_TOO_MANY_REQUESTS;
    case ENGINE_UNKNOWN:
        *ret_temporary = true;
        return is_append ? ERROR_OUTCOME_UNKNOWN : ERROR_INTERNAL;
    case ENGINE_CANCELLED:
        *ret_temporary = true;
        return is_append ? ERROR_OUTCOME_UNKNOWN : ERROR_INTERNAL;
    case ENGINE_KEY_REUSED:
        return ERROR_KEY_REUSED;
    case ENGINE_TOO_LARGE:
        return ERROR_TOO_LARGE;
    case ENGINE_CORRUPT:
    case ENGINE_DENIED:
        return ERROR_INTERNAL;
    }
    unreachable("outcome %d", (int) outcome);
}

uint64_t shard_deadline_of(const struct shard *self, const struct shard_request *request) {
    uint64_t latest = clock_monotonic_ms() + (uint64_t) self->options.config->publish_timeout_ms;
    return request->deadline_ms != 0 && request->deadline_ms < latest ? request->deadline_ms : latest;
}

/* ---- publish ---- */

static void count_publish(struct shard *self, enum engine_outcome outcome, const struct engine_append *append) {
    switch (outcome) {
    case ENGINE_OK:
        metric_count(self->metrics, append->duplicate    ? SHARD_PUBLISH_DUPLICATE
                                    : append->suppressed ? SHARD_PUBLISH_SUPPRESSED
                                                         : SHARD_PUBLISH_OK);
        break;
    case ENGINE_TEMPORARY:
    case ENGINE_FULL:
        metric_count(self->metrics, SHARD_PUBLISH_TEMPORARY);
        break;
    case ENGINE_UNKNOWN:
    case ENGINE_CANCELLED:
        metric_count(self->metrics, SHARD_PUBLISH_UNKNOWN);
        break;
    case ENGINE_KEY_REUSED:
    case ENGINE_TOO_LARGE:
    case ENGINE_CORRUPT:
    case ENGINE_DENIED:
        metric_count(self->metrics, SHARD_PUBLISH_REFUSED);
        break;
    }
}

static void on_appended(struct engine_append *append, enum engine_outcome outcome) {
    struct operation *operation = list_entry(append, struct operation, engine.append);
    struct shard *self = operation->shard;
    bool temporary = false;
    struct shard_reply reply = {.error = shard_code_of(outcome, true, &temporary)};
    if (outcome == ENGINE_OK) {
        reply.position = append->position;
        reply.duplicate = append->duplicate;
        reply.suppressed = append->suppressed;
        reply.not_durable = append->not_durable;
    }
    if (reply.not_durable) {
        metric_count(self->metrics, SHARD_PUBLISH_NOT_DURABLE);
    }
    count_publish(self, outcome, append);
    metric_observe_us(self->metrics, SHARD_PUBLISH_SECONDS, clock_monotonic_us() - operation->started_us);
    shard_operation_finish(operation, &reply, temporary);
}

/* Versions are compared where positions are kept: without a history there is nothing to compare with. */
static bool is_version_sound(const struct shard_request *request, const struct namespace_options *options) {
    return namespace_has_history(options) && !request->skip_history && request->version <= OFFSET_MAX &&
           request->version_epoch.size <= WIRE_VERSION_EPOCH_MAX;
}

static void publish(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                    const struct namespace_options *options, bool overload) {
    if (overload || !has_room(self, request->data.size) || shard_refuses_publication(self, request->data.size)) {
        metric_count(self->metrics, SHARD_PUBLISH_OVERLOAD);
        shard_refuse(self, request->kind, origin, ERROR_TOO_MANY_REQUESTS);
        return;
    }
    size_t bytes = request->data.size + request->tags.size;
    if (bytes > (size_t) self->options.config->publication_bytes_max) {
        metric_count(self->metrics, SHARD_PUBLISH_REFUSED);
        shard_refuse(self, request->kind, origin, ERROR_TOO_LARGE);
        return;
    }
    if (request->version != 0 && !is_version_sound(request, options)) {
        metric_count(self->metrics, SHARD_PUBLISH_REFUSED);
        shard_refuse(self, request->kind, origin, ERROR_BAD_REQUEST);
        return;
    }
    if (self->draining && !request->is_own) {
        metric_count(self->metrics, SHARD_PUBLISH_TEMPORARY);
        shard_refuse(self, request->kind, origin, ERROR_INTERNAL);
        return;
    }
    struct operation *operation = shard_operation_new(self, request, origin);
    if (namespace_has_history(options) && !request->skip_history) {
        channel_set_expect(self->channels, request->channel, options);
    }
    operation->engine.append = (struct engine_append){.channel = shard_operation_channel(operation),
                                                      .options = options,
                                                      .key = request->key,
                                                      .data = request->data,
                                                      .info = request->info,
                                                      .tags = request->tags,
                                                      .skip_history = request->skip_history,
                                                      .delta = request->delta,
                                                      .version = request->version,
                                                      .version_epoch = request->version_epoch,
                                                      .deadline_ms = shard_deadline_of(self, request),
                                                      .on_done = on_appended};
    engine_append(self->engine, &operation->engine.append);
}

/* ---- history ---- */

static void append_publications(struct shard *self, const struct engine_read *read, struct shard_reply *reply) {
    buffer_clear(&self->scratch);
    for (uint32_t i = 0; i < read->n_publications; i++) {
        buffer_append_span(&self->scratch, payload_span(read->publications[i]));
    }
    reply->n = read->n_publications;
    reply->bytes = buffer_span(&self->scratch);
}

/* The engine is away: what the tail has is still true. */
static bool read_from_tail(struct shard *self, const struct engine_read *read, struct shard_reply *reply) {
    channel_t *channel = channel_set_find(self->channels, read->channel);
    if (channel == NULL || read->reverse || (!read->has_since && read->limit > 0)) {
        return false;
    }
    struct position since = read->has_since ? read->since : channel_cursor(channel);
    buffer_clear(&self->scratch);
    if (!channel_read_tail(channel, &since, read->limit, read->bytes_limit, &self->scratch, &reply->n)) {
        return false;
    }
    reply->position = channel_cursor(channel);
    reply->bytes = buffer_span(&self->scratch);
    return true;
}

static void on_history(struct engine_read *read, enum engine_outcome outcome) {
    struct operation *operation = list_entry(read, struct operation, engine.read);
    struct shard *self = operation->shard;
    bool temporary = false;
    struct shard_reply reply = {.error = shard_code_of(outcome, false, &temporary)};
    if (outcome == ENGINE_OK && read->has_since && !epoch_is_empty(&read->since.epoch) && !read->epoch_matches) {
        reply.error = ERROR_UNRECOVERABLE_POSITION;
        reply.position = read->top;
    } else if (outcome == ENGINE_OK) {
        reply.position = read->top;
        append_publications(self, read, &reply);
    } else if ((outcome == ENGINE_TEMPORARY || outcome == ENGINE_FULL) && read_from_tail(self, read, &reply)) {
        reply.error = ERROR_NONE;
    }
    shard_operation_finish(operation, &reply, temporary);
}

static void history(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                    const struct namespace_options *options) {
    if (!namespace_has_history(options)) {
        shard_refuse(self, request->kind, origin, ERROR_NOT_AVAILABLE);
        return;
    }
    struct operation *operation = shard_operation_new(self, request, origin);
    operation->engine.read = (struct engine_read){
        .channel = shard_operation_channel(operation),
        .options = options,
        .has_since = request->has_since,
        .since = request->since,
        .reverse = request->reverse,
        .limit = request->limit < HISTORY_MAX ? request->limit : HISTORY_MAX,
        .bytes_limit = (size_t) self->options.config->recovery_bytes_max,
        .deadline_ms = shard_deadline_of(self, request),
        .on_done = on_history,
    };
    engine_read(self->engine, &operation->engine.read);
}

static void on_removed(struct engine_remove *remove, enum engine_outcome outcome) {
    struct operation *operation = list_entry(remove, struct operation, engine.remove);
    bool temporary = false;
    struct shard_reply reply = {.error = shard_code_of(outcome, true, &temporary)};
    if (outcome == ENGINE_OK) {
        reply.position = remove->top;
    }
    shard_operation_finish(operation, &reply, temporary);
}

static void remove_history(struct shard *self, const struct shard_request *request,
                           const struct operation_origin *origin, const struct namespace_options *options) {
    if (!namespace_has_history(options)) {
        shard_refuse(self, request->kind, origin, ERROR_NOT_AVAILABLE);
        return;
    }
    struct operation *operation = shard_operation_new(self, request, origin);
    operation->engine.remove = (struct engine_remove){.channel = shard_operation_channel(operation),
                                                      .options = options,
                                                      .deadline_ms = shard_deadline_of(self, request),
                                                      .on_done = on_removed};
    self->engine->methods->remove_history(self->engine, &operation->engine.remove);
}

/* ---- all of them ---- */

static void inform(struct shard *self, const struct operation_origin *origin) {
    struct wire_totals totals = gateway_leases_totals(self->leases);
    struct shard_reply reply = {.kind = SHARD_REQUEST_INFO,
                                .n = (uint32_t) channel_set_count(self->channels),
                                .m = HASH_CNT(by_number, self->peers),
                                .brokers = totals.brokers,
                                .gateways = totals.gateways,
                                .connections = totals.connections,
                                .users = totals.users,
                                .mode = self->engine->methods->mode(self->engine),
                                .engine_connected = !shard_is_degraded(self)};
    shard_answer(self, origin, &reply, false);
}

/* What is wrong with the request itself. */
static enum error_code judge(const struct shard *self, const struct shard_request *request,
                             const struct namespace_options **ret_options) {
    bool is_good = channel_name_check(request->channel) == CHANNEL_NAME_OK || channel_name_is_own(request->channel);
    if (!is_good || !shard_owns(self, request->channel)) {
        return ERROR_BAD_REQUEST;
    }
    if (shard_is_service_request(request->kind)) {
        return ERROR_NONE;
    }
    *ret_options = namespace_set_find(self->options.namespaces, request->channel);
    return *ret_options == NULL ? ERROR_UNKNOWN_CHANNEL : ERROR_NONE;
}

void shard_operate(struct shard *self, const struct shard_request *request, const struct operation_origin *origin,
                   bool overload) {
    if (request->kind == SHARD_REQUEST_INFO) {
        inform(self, origin);
        return;
    }
    const struct namespace_options *options = NULL;
    enum error_code code = judge(self, request, &options);
    if (code == ERROR_NONE && request->kind != SHARD_REQUEST_PUBLISH && !has_room(self, 0)) {
        code = ERROR_TOO_MANY_REQUESTS;
    }
    if (code != ERROR_NONE) {
        shard_refuse(self, request->kind, origin, code);
        return;
    }
    switch (request->kind) {
    case SHARD_REQUEST_PUBLISH:
        publish(self, request, origin, options, overload);
        break;
    case SHARD_REQUEST_HISTORY:
        history(self, request, origin, options);
        break;
    case SHARD_REQUEST_HISTORY_REMOVE:
        remove_history(self, request, origin, options);
        break;
    case SHARD_REQUEST_PRESENCE:
    case SHARD_REQUEST_PRESENCE_STATS:
        shard_read_presence(self, request, origin, options);
        break;
    case SHARD_REQUEST_LEASE_ACQUIRE:
    case SHARD_REQUEST_LEASE_RENEW:
    case SHARD_REQUEST_LEASE_RELEASE:
    case SHARD_REQUEST_KV_GET:
    case SHARD_REQUEST_KV_SET:
    case SHARD_REQUEST_KV_DEL:
    case SHARD_REQUEST_KV_EXISTS:
    case SHARD_REQUEST_KV_INCR:
        shard_serve(self, request, origin);
        break;
    case SHARD_REQUEST_INFO:
        break;
    }
}
