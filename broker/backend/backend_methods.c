/* See backend_methods.h. */
#include "broker/backend/backend_methods.h"

#include "base/channel_name.h"
#include "broker/backend/backend_reply.h"

static uint32_t one_part(struct backend_context *context, const struct backend_params *params,
                         struct backend_refusal *ret_refusal) {
    (void) context;
    (void) params;
    (void) ret_refusal;
    return 1;
}

static bool find_namespace(const struct backend_context *context, struct span channel,
                           const struct namespace_options **ret_options, struct backend_refusal *ret_refusal) {
    *ret_options = namespace_set_find(context->namespaces, channel);
    if (*ret_options == NULL) {
        struct span name = channel_name_namespace(channel);
        backend_refuse(ret_refusal, ERROR_UNKNOWN_CHANNEL, "no namespace \"%.*s\" is configured", (int) name.size,
                       (const char *) name.data);
    }
    return *ret_options != NULL;
}

static bool prepare_channel(struct backend_context *context, const struct backend_params *params, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    const struct namespace_options *options;
    (void) part;
    model->channel = params->channel;
    return find_namespace(context, params->channel, &options, ret_refusal);
}

/* Without limit and cursor: the whole, in one answer. */
static bool prepare_presence(struct backend_context *context, const struct backend_params *params, uint32_t part,
                             struct shard_request *model, struct backend_refusal *ret_refusal) {
    if (params->has_limit && params->limit == 0) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.limit must be at least 1; presence_stats only counts");
        return false;
    }
    uint32_t page = params->cursor == 0 ? 0 : BACKEND_PAGE_DEFAULT;
    model->limit = params->has_limit ? params->limit : page;
    model->cursor = params->cursor;
    return prepare_channel(context, params, part, model, ret_refusal);
}

static bool check_payload(const struct backend_context *context, const struct namespace_options *options,
                          struct span data, struct backend_refusal *ret_refusal) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    struct json_error error;
    if (data.size > context->publication_bytes_max) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "the payload has %zu bytes; broker.publication_bytes allows %lld",
                       data.size, (unsigned long long) context->publication_bytes_max);
        return false;
    }
    if (options->publication_data_format == PUBLICATION_JSON && json_scan(data, &limits, &value, &error) != JSON_OK) {
        backend_refuse(
            ret_refusal, ERROR_BAD_REQUEST,
            "the payload is not JSON: %s at byte %zu; a namespace for other bytes says publication_data_format: binary",
            json_outcome_text(error.outcome), error.offset);
        return false;
    }
    return true;
}

static bool prepare_publish_to(const struct backend_context *context, struct span channel, struct shard_request *model,
                               struct backend_refusal *ret_refusal) {
    const struct namespace_options *options;
    model->channel = channel;
    return find_namespace(context, channel, &options, ret_refusal) &&
           check_payload(context, options, model->data, ret_refusal);
}

static bool prepare_publish(struct backend_context *context, const struct backend_params *params, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    (void) part;
    return prepare_publish_to(context, params->channel, model, ret_refusal);
}

static uint32_t count_channels(struct backend_context *context, const struct backend_params *params,
                               struct backend_refusal *ret_refusal) {
    struct json_iterator iterator = json_iterate(params->channels);
    struct json_value name;
    struct json_value value;
    uint32_t n = 0;
    (void) context;
    while (n <= BACKEND_CHANNELS_MAX && json_next(&iterator, &name, &value)) {
        n++;
    }
    if (n == 0 || n > BACKEND_CHANNELS_MAX) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.channels must name 1 to %d channels",
                       BACKEND_CHANNELS_MAX);
        return 0;
    }
    return n;
}

static bool prepare_broadcast(struct backend_context *context, const struct backend_params *params, uint32_t part,
                              struct shard_request *model, struct backend_refusal *ret_refusal) {
    struct json_value name;
    struct json_value value = JSON_ABSENT;
    struct span channel;
    if (part == 0) {
        context->channels = json_iterate(params->channels);
    }
    json_next(&context->channels, &name, &value);
    return backend_channel_read(value, &context->item, &channel, ret_refusal) &&
           prepare_publish_to(context, channel, model, ret_refusal);
}

static uint32_t every_shard(struct backend_context *context, const struct backend_params *params,
                            struct backend_refusal *ret_refusal) {
    (void) params;
    (void) ret_refusal;
    return context->n_shards;
}

static bool prepare_nothing(struct backend_context *context, const struct backend_params *params, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    (void) context;
    (void) params;
    (void) part;
    (void) model;
    (void) ret_refusal;
    return true;
}

static void append_published(const struct backend_context *context, const struct backend_waiting *waiting,
                             struct buffer *body) {
    (void) context;
    backend_append_published(body, waiting->replies[0]);
}

static void append_broadcast(const struct backend_context *context, const struct backend_waiting *waiting,
                             struct buffer *body) {
    (void) context;
    buffer_append_text(body, "{\"results\":[");
    for (uint32_t i = 0; i < waiting->n_parts; i++) {
        const struct shard_reply *reply = waiting->replies[i];
        buffer_append_text(body, i == 0 ? "" : ",");
        if (reply->error == ERROR_NONE) {
            backend_append_published(body, reply);
        } else {
            buffer_append_text(body, "{\"error\":");
            backend_append_error(body, reply->error, NULL);
            buffer_append_char(body, '}');
        }
    }
    buffer_append_text(body, "]}");
}

static void append_history(const struct backend_context *context, const struct backend_waiting *waiting,
                           struct buffer *body) {
    (void) context;
    backend_append_history(body, waiting->replies[0]);
}

static void append_presence(const struct backend_context *context, const struct backend_waiting *waiting,
                            struct buffer *body) {
    (void) context;
    backend_append_presence(body, waiting->replies[0]);
}

static void append_presence_stats(const struct backend_context *context, const struct backend_waiting *waiting,
                                  struct buffer *body) {
    (void) context;
    backend_append_presence_stats(body, waiting->replies[0]);
}

static void append_nothing(const struct backend_context *context, const struct backend_waiting *waiting,
                           struct buffer *body) {
    (void) context;
    (void) waiting;
    buffer_append_text(body, "{}");
}

/* Channels are a shard's own; brokers, gateways, connections and users are the whole cluster's, as the shard that keeps
 * leases knows them. */
static void append_info(const struct backend_context *context, const struct backend_waiting *waiting,
                        struct buffer *body) {
    uint64_t channels = 0;
    uint64_t brokers = 0;
    uint64_t gateways = 0;
    uint64_t connections = 0;
    uint64_t users = 0;
    bool connected = true;
    enum wire_mode mode = WIRE_MODE_REDIS;
    for (uint32_t i = 0; i < waiting->n_parts; i++) {
        const struct shard_reply *reply = waiting->replies[i];
        channels += reply->n;
        mode = reply->mode == WIRE_MODE_MEMORY ? reply->mode : mode;
        brokers = reply->brokers > brokers ? reply->brokers : brokers;
        gateways = reply->gateways > gateways ? reply->gateways : gateways;
        connections = reply->connections > connections ? reply->connections : connections;
        users = reply->users > users ? reply->users : users;
        connected = connected && reply->engine_connected;
    }
    buffer_append_text(body, "{\"broker\":");
    buffer_append_json_string(body, span_of_text(context->broker_id));
    buffer_append_format(body,
                         ",\"version\":\"" CALLBOARD_VERSION
                         "\",\"engine\":\"%s\",\"connected\":%s,\"shards\":%u,\"channels\":%llu,"
                         "\"brokers\":%llu,\"gateways\":%llu,\"connections\":%llu,\"users\":%llu}",
                         mode == WIRE_MODE_REDIS ? "redis" : "memory", connected ? "true" : "false", context->n_shards,
                         (unsigned long long) channels, (unsigned long long) brokers, (unsigned long long) gateways,
                         (unsigned long long) connections, (unsigned long long) users);
}

enum {
    PUBLISH_PARAMS = BACKEND_PARAM_KEY | BACKEND_PARAM_TAGS | BACKEND_PARAM_SKIP_HISTORY | BACKEND_PARAM_VERSION |
                     BACKEND_PARAM_VERSION_EPOCH | BACKEND_PARAM_DELTA
};
static const struct backend_method methods[] = {
    {"publish", BACKEND_BY_SHARD, BACKEND_PARAM_CHANNEL | PUBLISH_PARAMS, BACKEND_PARAM_CHANNEL, true,
     SHARD_REQUEST_PUBLISH, false, one_part, prepare_publish, append_published},
    {"broadcast", BACKEND_BY_SHARD, BACKEND_PARAM_CHANNELS | PUBLISH_PARAMS, BACKEND_PARAM_CHANNELS, true,
     SHARD_REQUEST_PUBLISH, true, count_channels, prepare_broadcast, append_broadcast},
    {"history", BACKEND_BY_SHARD,
     BACKEND_PARAM_CHANNEL | BACKEND_PARAM_SINCE | BACKEND_PARAM_LIMIT | BACKEND_PARAM_REVERSE, BACKEND_PARAM_CHANNEL,
     false, SHARD_REQUEST_HISTORY, false, one_part, prepare_channel, append_history},
    {"history_remove", BACKEND_BY_SHARD, BACKEND_PARAM_CHANNEL, BACKEND_PARAM_CHANNEL, false,
     SHARD_REQUEST_HISTORY_REMOVE, false, one_part, prepare_channel, append_nothing},
    {"presence", BACKEND_BY_SHARD, BACKEND_PARAM_CHANNEL | BACKEND_PARAM_LIMIT | BACKEND_PARAM_CURSOR,
     BACKEND_PARAM_CHANNEL, false, SHARD_REQUEST_PRESENCE, false, one_part, prepare_presence, append_presence},
    {"presence_stats", BACKEND_BY_SHARD, BACKEND_PARAM_CHANNEL, BACKEND_PARAM_CHANNEL, false,
     SHARD_REQUEST_PRESENCE_STATS, false, one_part, prepare_channel, append_presence_stats},
    {"subscribe", BACKEND_SUBSCRIBE, BACKEND_PARAM_CHANNEL | BACKEND_PARAM_SINCE, BACKEND_PARAM_CHANNEL, false,
     SHARD_REQUEST_INFO, false, one_part, prepare_channel, append_nothing},
    {"unsubscribe", BACKEND_UNSUBSCRIBE, BACKEND_PARAM_CHANNEL, BACKEND_PARAM_CHANNEL, false, SHARD_REQUEST_INFO, false,
     one_part, prepare_channel, append_nothing},
    {"info", BACKEND_BY_SHARD, 0, 0, false, SHARD_REQUEST_INFO, true, every_shard, prepare_nothing, append_info},
};

const struct backend_method *backend_method_find(struct span name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (span_equal_text(name, methods[i].name)) {
            return &methods[i];
        }
    }
    return NULL;
}
