/* kv.get, kv.set, kv.del, kv.exists, kv.incr: small values that services share; docs/leases.md. The key decides about
 * the shard, as a channel does, and is what the rights of the service's key are asked about. */
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

static bool check_bounds(const struct backend_api *api, const struct backend_call *call,
                         struct backend_refusal *ret_refusal) {
    const struct broker_config *config = api->options.config;
    if (call->params.name.size > (size_t) config->backend_name_bytes_max) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.key has %zu bytes, backend.name_bytes allows %lld",
                       call->params.name.size, (long long) config->backend_name_bytes_max);
        return false;
    }
    if (call->payload.size > (size_t) config->backend_value_bytes_max) {
        backend_refuse(ret_refusal, ERROR_TOO_LARGE, "the value has %zu bytes, backend.value_bytes allows %lld",
                       call->payload.size, (long long) config->backend_value_bytes_max);
        return false;
    }
    uint64_t ttl_max_ms = (uint64_t) config->backend_value_ttl_max_ms;
    if (ttl_max_ms > 0 && call->params.ttl_ms > ttl_max_ms) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.ttl is longer than backend.value_ttl_max, %llu ms",
                       (unsigned long long) ttl_max_ms);
        return false;
    }
    return true;
}

static bool prepare(struct backend_api *api, const struct backend_call *call, uint32_t part,
                    struct shard_request *model, struct backend_refusal *ret_refusal) {
    (void) part;
    bool has_ttl = call->params.ttl_ms > 0;
    model->channel = call->params.name;
    model->ttl_ms = has_ttl ? call->params.ttl_ms : (uint64_t) api->options.config->backend_value_ttl_max_ms;
    model->by = call->params.has_by ? call->params.by : 1;
    return check_bounds(api, call, ret_refusal) && backend_may(api, call, call->params.name, ret_refusal);
}

static void append_result(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_value(body, waiting->replies[0]);
}

#define STEPS(of)                                                                                                      \
    { .kind = SHARD_REQUEST_KV_##of, .prepare_part = prepare, .append_result = append_result }
static const struct backend_shard_steps get_steps = STEPS(GET);
static const struct backend_shard_steps set_steps = STEPS(SET);
static const struct backend_shard_steps del_steps = STEPS(DEL);
static const struct backend_shard_steps exists_steps = STEPS(EXISTS);
static const struct backend_shard_steps incr_steps = STEPS(INCR);

static const char set_unknown[] = "no answer in time: it may have been done; do it again, or read what is there";
static const char incr_unknown[] =
    "no answer in time: it may have been counted; read what is there, twice is too often";

static const struct backend_method rows[] = {
    {.name = "kv.get",
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_VALUE_KEY,
     .required = BACKEND_PARAM_VALUE_KEY,
     .handle = backend_ask_shards,
     .steps = &get_steps},
    {.name = "kv.set",
     .payload = BACKEND_WITH_PAYLOAD,
     .allowed = BACKEND_PARAM_VALUE_KEY | BACKEND_PARAM_TTL,
     .required = BACKEND_PARAM_VALUE_KEY,
     .handle = backend_ask_shards,
     .steps = &set_steps,
     .help_unknown = set_unknown},
    {.name = "kv.del",
     .allowed = BACKEND_PARAM_VALUE_KEY,
     .required = BACKEND_PARAM_VALUE_KEY,
     .handle = backend_ask_shards,
     .steps = &del_steps,
     .help_unknown = set_unknown},
    {.name = "kv.exists",
     .flags = BACKEND_READS,
     .allowed = BACKEND_PARAM_VALUE_KEY,
     .required = BACKEND_PARAM_VALUE_KEY,
     .handle = backend_ask_shards,
     .steps = &exists_steps},
    {.name = "kv.incr",
     .allowed = BACKEND_PARAM_VALUE_KEY | BACKEND_PARAM_TTL | BACKEND_PARAM_BY,
     .required = BACKEND_PARAM_VALUE_KEY,
     .handle = backend_ask_shards,
     .steps = &incr_steps,
     .help_unknown = incr_unknown},
};
const struct backend_method_list backend_kv_methods = BACKEND_METHOD_LIST(rows);
