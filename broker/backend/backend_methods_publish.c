/* publish and broadcast: one append each channel, answered behind it. What is wrong with a publication is said before a
 * shard is asked; of a broadcast each channel is answered for itself. */
#include "base/channel_name.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

static bool check_payload(const struct backend_api *api, const struct namespace_options *options, struct span data,
                          struct backend_refusal *ret_refusal) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    struct json_error error;
    if (data.size > (uint64_t) api->options.config->publication_bytes_max) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "the payload has %zu bytes; broker.publication_bytes allows %lld",
                       data.size, (unsigned long long) (uint64_t) api->options.config->publication_bytes_max);
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

static bool prepare_publish_to(const struct backend_api *api, struct span channel, struct shard_request *model,
                               struct backend_refusal *ret_refusal) {
    const struct namespace_options *options;
    model->channel = channel;
    return backend_find_namespace(api, channel, &options, ret_refusal) &&
           check_payload(api, options, model->data, ret_refusal);
}

static bool prepare_publish(struct backend_api *api, const struct backend_call *call, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    (void) part;
    return prepare_publish_to(api, call->params.channel, model, ret_refusal);
}

/* The personal channel of the user, as gateways join it: #USER, or NAMESPACE:#USER
 * (client.subscribe_to_personal_channel). */
static bool prepare_publish_user(struct backend_api *api, const struct backend_call *call, uint32_t part,
                                 struct shard_request *model, struct backend_refusal *ret_refusal) {
    struct span name = call->params.personal_namespace;
    (void) part;
    buffer_clear(&api->item);
    buffer_append_span(&api->item, name);
    buffer_append_text(&api->item, name.size > 0 ? ":#" : "#");
    buffer_append_span(&api->item, call->params.user);
    struct span channel = buffer_span(&api->item);
    if (channel_name_check(channel) != CHANNEL_NAME_OK) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "params.user has a byte that no channel's name may have, or is too long: it has no personal "
                       "channel");
        return false;
    }
    return backend_may(api, call, channel, ret_refusal) && prepare_publish_to(api, channel, model, ret_refusal);
}

static uint32_t count_channels(struct backend_api *api, const struct backend_call *call,
                               struct backend_refusal *ret_refusal) {
    struct json_iterator iterator = json_iterate(call->params.channels);
    struct json_value name;
    struct json_value value;
    uint32_t n = 0;
    (void) api;
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

static bool prepare_broadcast(struct backend_api *api, const struct backend_call *call, uint32_t part,
                              struct shard_request *model, struct backend_refusal *ret_refusal) {
    struct json_value name;
    struct json_value value = JSON_ABSENT;
    struct span channel;
    if (part == 0) {
        api->channels = json_iterate(call->params.channels);
    }
    json_next(&api->channels, &name, &value);
    return backend_channel_read(value, &api->item, &channel, ret_refusal) &&
           backend_may(api, call, channel, ret_refusal) && prepare_publish_to(api, channel, model, ret_refusal);
}

static void append_published(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_published(body, waiting->replies[0]);
}

static void append_broadcast(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
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

enum {
    PUBLISH_PARAMS = BACKEND_PARAM_KEY | BACKEND_PARAM_TAGS | BACKEND_PARAM_SKIP_HISTORY | BACKEND_PARAM_VERSION |
                     BACKEND_PARAM_VERSION_EPOCH | BACKEND_PARAM_DELTA | BACKEND_PARAM_ACK
};

static const struct backend_shard_steps publish_steps = {
    .kind = SHARD_REQUEST_PUBLISH, .prepare_part = prepare_publish, .append_result = append_published};
static const struct backend_shard_steps user_steps = {
    .kind = SHARD_REQUEST_PUBLISH, .prepare_part = prepare_publish_user, .append_result = append_published};
static const struct backend_shard_steps broadcast_steps = {.kind = SHARD_REQUEST_PUBLISH,
                                                           .answers_each_part = true,
                                                           .count_parts = count_channels,
                                                           .prepare_part = prepare_broadcast,
                                                           .append_result = append_broadcast};

static const struct backend_method rows[] = {
    {.name = "publish",
     .payload = BACKEND_WITH_PAYLOAD,
     .right = BACKEND_RIGHT_CHANNEL,
     .flags = BACKEND_MAY_BE_PUSHED,
     .allowed = BACKEND_PARAM_CHANNEL | PUBLISH_PARAMS,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = backend_ask_shards,
     .steps = &publish_steps},
    {.name = "publish_user",
     .payload = BACKEND_WITH_PAYLOAD,
     .flags = BACKEND_MAY_BE_PUSHED,
     .allowed = BACKEND_PARAM_USER | BACKEND_PARAM_NAMESPACE | PUBLISH_PARAMS,
     .required = BACKEND_PARAM_USER,
     .handle = backend_ask_shards,
     .steps = &user_steps},
    {.name = "broadcast",
     .payload = BACKEND_WITH_PAYLOAD,
     .flags = BACKEND_MAY_BE_PUSHED,
     .allowed = BACKEND_PARAM_CHANNELS | PUBLISH_PARAMS,
     .required = BACKEND_PARAM_CHANNELS,
     .handle = backend_ask_shards,
     .steps = &broadcast_steps},
};
const struct backend_method_list backend_publish_methods = BACKEND_METHOD_LIST(rows);
