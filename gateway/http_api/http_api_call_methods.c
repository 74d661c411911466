/* What each method of the HTTP API asks the brokers, and how their answers look as JSON (client-protocol.md 26).
 *
 * Failure modes: a channel that the key is not for 103; no such namespace 102; a feature that the namespace does not
 * have 108; a payload that is not of the namespace's format 107. What brokers refuse is told with their code. */
#include "base/channel_name.h"
#include "base/memory.h"
#include "gateway/http_api/http_api_call_parts.h"
#include "gateway/protocol/client_protocol.h"

/* ---- judging ---- */

bool http_api_find_namespace(const struct http_api_command *command, struct span channel,
                             const struct namespace_options **ret_options, struct http_api_refusal *refusal) {
    const http_api_call_t *call = command->call;
    if (!http_api_key_allows_channel(call->key, channel)) {
        http_api_refuse(refusal, ERROR_PERMISSION_DENIED,
                        "the key \"%s\" is not for this channel; http_api.keys names its channels",
                        http_api_key_name(call->key));
        return false;
    }
    *ret_options = namespace_set_find(call->service->namespaces, channel);
    if (*ret_options == NULL) {
        struct span name = channel_name_namespace(channel);
        http_api_refuse(refusal, ERROR_UNKNOWN_CHANNEL, "no namespace \"%.*s\" is configured (namespaces)",
                        (int) name.size, (const char *) name.data);
    }
    return *ret_options != NULL;
}

static bool is_json(struct span data, struct http_api_refusal *refusal) {
    struct json_limits limits = JSON_LIMITS_PAYLOAD;
    struct json_value value;
    struct json_error error;
    if (json_scan(data, &limits, &value, &error) == JSON_OK) {
        return true;
    }
    http_api_refuse(
        refusal, ERROR_BAD_REQUEST,
        "the payload is not JSON: %s at byte %zu; a namespace for other bytes says publication_data_format: binary",
        json_outcome_text(error.outcome), error.offset);
    return false;
}

static bool may_publish(const struct http_api_command *command, struct span channel,
                        const struct http_api_params *params, struct http_api_refusal *refusal) {
    const struct namespace_options *options;
    if (!http_api_find_namespace(command, channel, &options, refusal)) {
        return false;
    }
    if (*command->call->service->refuses_publications) {
        http_api_refuse(refusal, ERROR_TOO_MANY_REQUESTS,
                        "memory is short (gateway.memory_max); nothing was done, try again later");
        return false;
    }
    if (params->delta && !namespace_allows_delta(options)) {
        http_api_refuse(refusal, ERROR_NOT_AVAILABLE,
                        "delta: nobody gets patches here; set the namespace's allowed_delta_types to fossil");
        return false;
    }
    return options->publication_data_format != PUBLICATION_JSON || is_json(params->data, refusal);
}

static bool needs(bool has, const char *feature, const char *remedy, struct http_api_refusal *refusal) {
    if (!has) {
        http_api_refuse(refusal, ERROR_NOT_AVAILABLE, "the channel's namespace has no %s; set its %s", feature, remedy);
    }
    return has;
}

static bool has_history(const struct http_api_command *command, const struct http_api_params *params,
                        struct http_api_refusal *refusal) {
    const struct namespace_options *options;
    return http_api_find_namespace(command, params->channel, &options, refusal) &&
           needs(namespace_has_history(options), "history", "history_size and history_ttl", refusal);
}

static bool has_presence(const struct http_api_command *command, const struct http_api_params *params,
                         struct http_api_refusal *refusal) {
    const struct namespace_options *options;
    return http_api_find_namespace(command, params->channel, &options, refusal) &&
           needs(options->presence, "presence", "presence: true", refusal);
}

/* ---- asking ---- */

static void ask_publish(struct http_api_part *part, struct span channel, const struct http_api_params *params) {
    const struct broker_publication publication = {
        .channel = channel,
        .data = params->data,
        .key = params->key,
        .tags = params->tags,
        .flags = (uint8_t) ((params->skip_history ? WIRE_PUBLISH_SKIP_HISTORY : 0) |
                            (params->delta ? WIRE_PUBLISH_DELTA : 0)),
        .version = params->version,
        .version_epoch = params->version_epoch,
    };
    broker_publish(part->command->call->service->brokers, &part->request, &publication);
}

static bool start_publish(struct http_api_command *command, const struct http_api_params *params,
                          struct http_api_refusal *refusal) {
    if (!may_publish(command, params->channel, params, refusal) || !http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    ask_publish(&command->parts[0], params->channel, params);
    return true;
}

static uint32_t count_channels(struct json_value channels, uint32_t most) {
    struct json_iterator iterator = json_iterate(channels);
    struct json_value name;
    struct json_value channel;
    uint32_t n = 0;
    while (n <= most && json_next(&iterator, &name, &channel)) {
        n++;
    }
    return n;
}

/* Each channel for itself: one that is refused does not keep the others. */
static void broadcast_to(struct http_api_part *part, struct json_value value, const struct http_api_params *params) {
    struct http_api_refusal refusal;
    struct span channel;
    if (!http_api_channel_read(value, "channels", &part->command->call->text, &channel, &refusal) ||
        !may_publish(part->command, channel, params, &refusal)) {
        http_api_part_refuse(part, &refusal);
        return;
    }
    ask_publish(part, channel, params);
}

static bool start_broadcast(struct http_api_command *command, const struct http_api_params *params,
                            struct http_api_refusal *refusal) {
    uint32_t n = count_channels(params->channels, (uint32_t) command->call->service->config->http_api_parts_max);
    if (!http_api_command_make_parts(command, n, refusal)) {
        return false;
    }
    struct json_iterator iterator = json_iterate(params->channels);
    struct json_value name;
    struct json_value channel;
    for (uint32_t i = 0; i < n && json_next(&iterator, &name, &channel); i++) {
        broadcast_to(&command->parts[i], channel, params);
    }
    return true;
}

static bool start_history(struct http_api_command *command, const struct http_api_params *params,
                          struct http_api_refusal *refusal) {
    const struct http_api_service *service = command->call->service;
    int64_t most = service->config->history_limit_max;
    if (!has_history(command, params, refusal)) {
        return false;
    }
    if (params->reverse && params->has_since && params->since.offset == 0) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "reverse from since.offset 0: nothing lies before the beginning");
        return false;
    }
    if (!http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    command->since_epoch = params->since.epoch;
    broker_history(service->brokers, &command->parts[0].request, params->channel, params->has_since, &params->since,
                   (uint32_t) (params->limit < 0 || params->limit > most ? most : params->limit), params->reverse);
    return true;
}

static bool start_history_remove(struct http_api_command *command, const struct http_api_params *params,
                                 struct http_api_refusal *refusal) {
    if (!has_history(command, params, refusal) || !http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    broker_history_remove(command->call->service->brokers, &command->parts[0].request, params->channel);
    return true;
}

static bool start_presence(struct http_api_command *command, const struct http_api_params *params,
                           struct http_api_refusal *refusal) {
    if (!has_presence(command, params, refusal) || !http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    broker_presence(command->call->service->brokers, &command->parts[0].request, params->channel);
    return true;
}

static bool start_presence_stats(struct http_api_command *command, const struct http_api_params *params,
                                 struct http_api_refusal *refusal) {
    if (!has_presence(command, params, refusal) || !http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    broker_presence_stats(command->call->service->brokers, &command->parts[0].request, params->channel);
    return true;
}

static bool start_info(struct http_api_command *command, const struct http_api_params *params,
                       struct http_api_refusal *refusal) {
    (void) params;
    if (!http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    http_api_part_answer(&command->parts[0], &(struct broker_answer){.error = ERROR_NONE});
    return true;
}

/* ---- answering ---- */

static void append_published(const struct http_api_command *command, const struct broker_answer *answer,
                             struct buffer *out) {
    (void) command;
    buffer_append_char(out, '{');
    if (!epoch_is_empty(&answer->position.epoch)) {
        buffer_append_format(out, "\"offset\":%llu,\"epoch\":", (unsigned long long) answer->position.offset);
        buffer_append_json_string(out, epoch_span(&answer->position.epoch));
    }
    if (answer->duplicate || answer->suppressed) {
        buffer_append_format(out, "%s\"%s\":true", out->size == 1 ? "" : ",",
                             answer->duplicate ? "duplicate" : "suppressed");
    }
    buffer_append_char(out, '}');
}

/* Results have the shape of the client's replies, so they are made by the same code: what stands between {"name": and
 * the last brace of a reply without an id. */
static void append_reply(struct buffer *out, struct buffer *reply, const char *name) {
    size_t envelope = strlen(name) + sizeof "{\"\":" - 1;
    if (!reply->overflow && reply->size > envelope + 1) {
        buffer_append(out, reply->data + envelope, reply->size - envelope - 1);
    } else {
        out->overflow = true;
    }
    buffer_finish(reply);
}

static void append_history(const struct http_api_command *command, const struct broker_answer *answer,
                           struct buffer *out) {
    struct buffer reply;
    (void) command;
    buffer_init(&reply, out->limit);
    client_codec_of(CLIENT_ENCODING_JSON)->encode_history(&reply, 0, &answer->position, answer->n, answer->bytes);
    append_reply(out, &reply, "history");
}

static void append_presence(const struct http_api_command *command, const struct broker_answer *answer,
                            struct buffer *out) {
    struct buffer reply;
    (void) command;
    buffer_init(&reply, out->limit);
    client_codec_of(CLIENT_ENCODING_JSON)->encode_presence(&reply, 0, answer->n, answer->bytes);
    append_reply(out, &reply, "presence");
}

static void append_presence_stats(const struct http_api_command *command, const struct broker_answer *answer,
                                  struct buffer *out) {
    (void) command;
    buffer_append_format(out, "{\"num_clients\":%u,\"num_users\":%u}", answer->n, answer->m);
}

static void append_nothing(const struct http_api_command *command, const struct broker_answer *answer,
                           struct buffer *out) {
    (void) command;
    (void) answer;
    buffer_append_text(out, "{}");
}

/* This gateway as the one node, and what the brokers tell of the whole cluster. */
static void append_info(const struct http_api_command *command, const struct broker_answer *answer,
                        struct buffer *out) {
    const struct http_api_service *service = command->call->service;
    struct http_api_figures figures = {0};
    struct broker_summary summary;
    (void) answer;
    service->read_figures(service->context, &figures);
    broker_requests_summary(service->brokers, &summary);
    buffer_append_text(out, "{\"nodes\":[{\"uid\":");
    buffer_append_json_string(out, span_of_text(figures.id));
    buffer_append_text(out, ",\"name\":");
    buffer_append_json_string(out, span_of_text(figures.id));
    buffer_append_format(out,
                         ",\"version\":\"" CALLBOARD_VERSION
                         "\",\"num_clients\":%u,\"num_users\":%u,\"num_channels\":%llu,\"num_subs\":%llu,"
                         "\"uptime\":%llu}],\"brokers_alive\":%u",
                         figures.connections, figures.users, (unsigned long long) figures.channels,
                         (unsigned long long) figures.subscriptions, (unsigned long long) figures.uptime_s,
                         summary.brokers_alive);
    if (summary.totals_known) {
        buffer_append_format(out, ",\"cluster\":{\"gateways\":%u,\"brokers\":%u,\"connections\":%llu,\"users\":%llu}",
                             summary.totals.gateways, summary.totals.brokers,
                             (unsigned long long) summary.totals.connections,
                             (unsigned long long) summary.totals.users);
    }
    buffer_append_char(out, '}');
}

/* ---- the table ---- */

enum {
    PUBLISH = HTTP_API_DATA | HTTP_API_PUBLISHING,
    HISTORY = HTTP_API_CHANNEL | HTTP_API_SINCE | HTTP_API_PAGE,
    SUBSCRIBE = HTTP_API_USER | HTTP_API_CHANNEL | HTTP_API_GRANT | HTTP_API_RECOVER | HTTP_API_EXPIRY,
    UNSUBSCRIBE = HTTP_API_USER | HTTP_API_ANY_CHANNEL,
    DISCONNECT = HTTP_API_USER | HTTP_API_DISCONNECT,
    REFRESH = HTTP_API_USER | HTTP_API_EXPIRY | HTTP_API_GRANT,
};

#define PARTIAL "not every gateway has confirmed in time, and some may have done it; to repeat it is harmless"

#define UNKNOWN_REVOCATION "no broker has answered in time whether it is kept; to repeat it is harmless"

static const struct http_api_method methods[] = {
    {"publish", HTTP_API_METRIC_COMMANDS_PUBLISH, HTTP_API_CHANNEL | PUBLISH, start_publish, append_published, false,
     NULL},
    {"broadcast", HTTP_API_METRIC_COMMANDS_BROADCAST, HTTP_API_CHANNELS | PUBLISH, start_broadcast, append_published,
     true, NULL},
    {"subscribe", HTTP_API_METRIC_COMMANDS_SUBSCRIBE, SUBSCRIBE, http_api_start_subscribe, append_nothing, false,
     PARTIAL},
    {"unsubscribe", HTTP_API_METRIC_COMMANDS_UNSUBSCRIBE, UNSUBSCRIBE, http_api_start_unsubscribe, append_nothing,
     false, PARTIAL},
    {"disconnect", HTTP_API_METRIC_COMMANDS_DISCONNECT, DISCONNECT, http_api_start_disconnect, append_nothing, false,
     PARTIAL},
    {"refresh", HTTP_API_METRIC_COMMANDS_REFRESH, REFRESH, http_api_start_refresh, append_nothing, false, PARTIAL},
    {"presence", HTTP_API_METRIC_COMMANDS_PRESENCE, HTTP_API_CHANNEL, start_presence, append_presence, false, NULL},
    {"presence_stats", HTTP_API_METRIC_COMMANDS_PRESENCE_STATS, HTTP_API_CHANNEL, start_presence_stats,
     append_presence_stats, false, NULL},
    {"history", HTTP_API_METRIC_COMMANDS_HISTORY, HISTORY, start_history, append_history, false, NULL},
    {"history_remove", HTTP_API_METRIC_COMMANDS_HISTORY_REMOVE, HTTP_API_CHANNEL, start_history_remove, append_nothing,
     false, NULL},
    {"channels", HTTP_API_METRIC_COMMANDS_CHANNELS, HTTP_API_PATTERN, http_api_start_channels, http_api_append_channels,
     false, NULL},
    {"info", HTTP_API_METRIC_COMMANDS_INFO, 0, start_info, append_info, false, NULL},
    {"revoke_token", HTTP_API_METRIC_COMMANDS_REVOKE_TOKEN, HTTP_API_TOKEN, http_api_start_revoke_token,
     http_api_append_revoked, false, UNKNOWN_REVOCATION},
    {"invalidate_user_tokens", HTTP_API_METRIC_COMMANDS_INVALIDATE_USER_TOKENS, HTTP_API_TOKENS,
     http_api_start_invalidate_user_tokens, http_api_append_revoked, false, UNKNOWN_REVOCATION},
    {"batch", HTTP_API_METRIC_COMMANDS_BATCH, 0, NULL, NULL, false, NULL}, /* http_api_call.c makes its commands */
};

const struct http_api_method *http_api_method_find(struct span name) {
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (span_equal_text(name, methods[i].name)) {
            return &methods[i];
        }
    }
    return NULL;
}
