/* The methods that concern sessions wherever they are: subscribe, unsubscribe, disconnect, refresh, channels. Each is a
 * COMMAND (base/wire.h) that a broker passes to every worker of every gateway; ok means that all of them have
 * confirmed.
 *
 *   params ─▶ COMMAND ─▶ a broker ─▶ every worker ─▶ confirmed by all: {} · not by all: 120 (channels: 100)
 *
 * Failure modes: a channel that the key is not for 103, unsubscribing from all needs a key for all; more names than
 * http_api.channels_max in one worker, or than fit an answer, 106. */
#include "base/channel_list.h"
#include "gateway/http_api/http_api_call_parts.h"
#include "gateway/protocol/client_protocol.h"

/* ---- asking ---- */

/* `detail`: the service's own object goes along, on one line, because parts of it are embedded in pushes. */
static bool ask(struct http_api_command *command, const struct http_api_params *params, struct wire_command *frame,
                bool detail, struct http_api_refusal *refusal) {
    struct buffer line = BUFFER_EMPTY;
    if (!http_api_command_make_parts(command, 1, refusal)) {
        return false;
    }
    if (detail) {
        json_append_one_line(&line, command->params.text);
    }
    frame->user = params->user;
    frame->client = params->client;
    frame->detail = buffer_span(&line);
    broker_command(command->call->service->brokers, &command->parts[0].request, frame);
    buffer_finish(&line);
    return true;
}

bool http_api_start_subscribe(struct http_api_command *command, const struct http_api_params *params,
                              struct http_api_refusal *refusal) {
    const struct namespace_options *options;
    struct wire_command frame = {.action = WIRE_COMMAND_SUBSCRIBE, .channel = params->channel};
    return http_api_find_namespace(command, params->channel, &options, refusal) &&
           ask(command, params, &frame, true, refusal);
}

static bool may_unsubscribe(const struct http_api_command *command, struct span channel,
                            struct http_api_refusal *refusal) {
    const struct namespace_options *options;
    if (channel.size > 0) {
        return http_api_find_namespace(command, channel, &options, refusal);
    }
    if (!http_api_key_allows_all_channels(command->call->key)) {
        http_api_refuse(refusal, ERROR_PERMISSION_DENIED,
                        "the key \"%s\" is not for all channels (http_api.keys: channels)",
                        http_api_key_name(command->call->key));
        return false;
    }
    return true;
}

bool http_api_start_unsubscribe(struct http_api_command *command, const struct http_api_params *params,
                                struct http_api_refusal *refusal) {
    struct wire_command frame = {
        .action = WIRE_COMMAND_UNSUBSCRIBE, .channel = params->channel, .code = UNSUBSCRIBED_BY_SERVER};
    return may_unsubscribe(command, params->channel, refusal) && ask(command, params, &frame, false, refusal);
}

bool http_api_start_disconnect(struct http_api_command *command, const struct http_api_params *params,
                               struct http_api_refusal *refusal) {
    struct wire_command frame = {.action = WIRE_COMMAND_DISCONNECT,
                                 .code = params->code == 0 ? DISCONNECT_FORCE_NO_RECONNECT : params->code,
                                 .reason = params->reason};
    return ask(command, params, &frame, true, refusal);
}

bool http_api_start_refresh(struct http_api_command *command, const struct http_api_params *params,
                            struct http_api_refusal *refusal) {
    struct wire_command frame = {.action = WIRE_COMMAND_REFRESH};
    if (!params->is_expired && !params->has_expiry && !params->has_info) {
        http_api_refuse(refusal, ERROR_BAD_REQUEST, "refresh needs expired, expire_at or info");
        return false;
    }
    return ask(command, params, &frame, true, refusal);
}

bool http_api_start_channels(struct http_api_command *command, const struct http_api_params *params,
                             struct http_api_refusal *refusal) {
    struct wire_command frame = {.action = WIRE_COMMAND_CHANNELS,
                                 .channel = params->pattern.size == 0 ? SPAN_LITERAL("*") : params->pattern,
                                 .limit = (uint32_t) command->call->service->config->http_api_channels_max};
    buffer_append_span(&command->line, params->cursor);
    command->page_size = (size_t) params->limit;
    return ask(command, params, &frame, false, refusal);
}

/* ---- the channels of all workers as one list ---- */

static bool is_for_key(void *key, struct span name) {
    return http_api_key_allows_channel(key, name);
}

void http_api_append_channels(const struct http_api_command *command, const struct broker_answer *answer,
                              struct buffer *out) {
    const struct channel_list_page page = {.behind = buffer_span(&command->line),
                                           .limit = command->page_size,
                                           .admits = is_for_key,
                                           .context = command->call->key};
    buffer_append_text(out, "{\"channels\":");
    struct span last = channel_list_append_page(out, answer->bytes, &page);
    if (last.size > 0) {
        buffer_append_text(out, ",\"cursor\":");
        buffer_append_json_string(out, last);
    }
    buffer_append_char(out, '}');
}
