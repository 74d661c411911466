/* history, history_remove, presence, presence_stats: what a channel's shard knows. */
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

static bool prepare_channel(struct backend_api *api, const struct backend_call *call, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    const struct namespace_options *options;
    (void) part;
    model->channel = call->params.channel;
    return backend_find_namespace(api, call->params.channel, &options, ret_refusal);
}

/* Without limit and cursor: the whole, in one answer. */
static bool prepare_presence(struct backend_api *api, const struct backend_call *call, uint32_t part,
                             struct shard_request *model, struct backend_refusal *ret_refusal) {
    if (call->params.has_limit && call->params.limit == 0) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.limit must be at least 1; presence_stats only counts");
        return false;
    }
    uint32_t page = call->params.cursor == 0 ? 0 : BACKEND_PAGE_DEFAULT;
    model->limit = call->params.has_limit ? call->params.limit : page;
    model->cursor = call->params.cursor;
    return prepare_channel(api, call, part, model, ret_refusal);
}

static void append_history(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_history(body, waiting->replies[0]);
}

static void append_presence(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_presence(body, waiting->replies[0]);
}

static void append_presence_stats(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_presence_stats(body, waiting->replies[0]);
}

static const struct backend_shard_steps history_steps = {
    .kind = SHARD_REQUEST_HISTORY, .prepare_part = prepare_channel, .append_result = append_history};
static const struct backend_shard_steps remove_steps = {.kind = SHARD_REQUEST_HISTORY_REMOVE,
                                                        .prepare_part = prepare_channel};
static const struct backend_shard_steps presence_steps = {
    .kind = SHARD_REQUEST_PRESENCE, .prepare_part = prepare_presence, .append_result = append_presence};
static const struct backend_shard_steps stats_steps = {
    .kind = SHARD_REQUEST_PRESENCE_STATS, .prepare_part = prepare_channel, .append_result = append_presence_stats};

static const struct backend_method rows[] = {
    {.name = "history",
     .right = BACKEND_RIGHT_CHANNEL,
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_CHANNEL | BACKEND_PARAM_SINCE | BACKEND_PARAM_LIMIT | BACKEND_PARAM_REVERSE,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = backend_ask_shards,
     .steps = &history_steps},
    {.name = "history_remove",
     .right = BACKEND_RIGHT_CHANNEL,
     .allowed = BACKEND_PARAM_CHANNEL,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = backend_ask_shards,
     .steps = &remove_steps},
    {.name = "presence",
     .right = BACKEND_RIGHT_CHANNEL,
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_CHANNEL | BACKEND_PARAM_LIMIT | BACKEND_PARAM_CURSOR,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = backend_ask_shards,
     .steps = &presence_steps},
    {.name = "presence_stats",
     .right = BACKEND_RIGHT_CHANNEL,
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_CHANNEL,
     .required = BACKEND_PARAM_CHANNEL,
     .handle = backend_ask_shards,
     .steps = &stats_steps},
};
const struct backend_method_list backend_read_methods = BACKEND_METHOD_LIST(rows);
