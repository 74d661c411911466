/* lease.acquire, lease.renew, lease.release: what they ask and answer; docs/leases.md says what a lease is worth. The
 * name decides about the shard, as a channel does, and is what the key's rights are asked about. */
#include "base/clock.h"
#include "base/partition.h"
#include "broker/backend/backend_api_parts.h"
#include "broker/backend/backend_reply.h"

static bool check_bounds(const struct backend_api *api, const struct backend_params *params,
                         struct backend_refusal *ret_refusal) {
    const struct broker_config *config = api->options.config;
    if (params->name.size > (size_t) config->backend_name_bytes_max) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST, "params.name has %zu bytes, backend.name_bytes allows %lld",
                       params->name.size, (long long) config->backend_name_bytes_max);
        return false;
    }
    if (params->ttl_ms > (uint64_t) config->backend_lease_ttl_max_ms) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "params.ttl is longer than backend.lease_ttl_max, %lld ms; take less, and renew",
                       (long long) config->backend_lease_ttl_max_ms);
        return false;
    }
    if (params->wait_ms > (uint64_t) config->backend_lease_wait_max_ms) {
        backend_refuse(ret_refusal, ERROR_BAD_REQUEST,
                       "params.wait is longer than backend.lease_wait_max, %lld ms; take less, and ask again",
                       (long long) config->backend_lease_wait_max_ms);
        return false;
    }
    return true;
}

static bool prepare(struct backend_api *api, const struct backend_call *call, uint32_t part,
                    struct shard_request *model, struct backend_refusal *ret_refusal) {
    (void) part;
    model->channel = call->params.name;
    model->ttl_ms = call->params.ttl_ms;
    model->token = call->params.token;
    return check_bounds(api, &call->params, ret_refusal) && backend_may(api, call, call->params.name, ret_refusal);
}

/* Keys of one service say nothing to another's. */
static void name_asking(struct backend_api *api, const struct backend_call *call, struct shard_request *model) {
    if (call->params.key.size > 0) {
        buffer_clear(&api->item);
        buffer_append_span(&api->item, call->key);
        buffer_append_char(&api->item, '\n');
        buffer_append_span(&api->item, call->params.key);
        model->key = buffer_span(&api->item);
    }
}

static bool prepare_acquire(struct backend_api *api, const struct backend_call *call, uint32_t part,
                            struct shard_request *model, struct backend_refusal *ret_refusal) {
    if (call->params.wait_ms > 0) {
        model->wait_until_ms = clock_monotonic_ms() + call->params.wait_ms;
        model->deadline_ms += call->params.wait_ms;
    }
    name_asking(api, call, model);
    return prepare(api, call, part, model, ret_refusal);
}

static void append_lease(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
    (void) api;
    backend_append_lease(body, waiting->replies[0]);
}

/* Whoever asked is gone: while waiting, most likely. Under an idempotency_key it may have been asked again, and be
 * somebody's: then the reply does not name it. */
static void take_back(struct backend_api *api, const struct backend_waiting *waiting) {
    const struct shard_reply *reply = waiting->replies[0];
    if (reply->bytes.size == 0) {
        return;
    }
    const struct shard_request model = {.message = {.kind = api->options.request_kind},
                                        .kind = SHARD_REQUEST_LEASE_RELEASE,
                                        .channel = reply->bytes,
                                        .token = reply->token};
    uint32_t n_partitions = api->options.n_partitions;
    uint32_t shard = partition_shard(partition_of(reply->bytes, n_partitions), n_partitions, api->options.n_shards);
    backend_post(api, shard, shard_request_new(&model));
}

static const struct backend_shard_steps acquire_steps = {.kind = SHARD_REQUEST_LEASE_ACQUIRE,
                                                         .prepare_part = prepare_acquire,
                                                         .append_result = append_lease,
                                                         .take_back = take_back};
static const struct backend_shard_steps renew_steps = {
    .kind = SHARD_REQUEST_LEASE_RENEW, .prepare_part = prepare, .append_result = append_lease};
static const struct backend_shard_steps release_steps = {
    .kind = SHARD_REQUEST_LEASE_RELEASE, .prepare_part = prepare, .append_result = append_lease};

static const struct backend_method rows[] = {
    {.name = "lease.acquire",
     .allowed = BACKEND_PARAM_NAME | BACKEND_PARAM_TTL | BACKEND_PARAM_WAIT | BACKEND_PARAM_KEY,
     .required = BACKEND_PARAM_NAME | BACKEND_PARAM_TTL,
     .handle = backend_ask_shards,
     .steps = &acquire_steps,
     .help_unknown =
         "no answer in time: the lease may have been granted. Ask again under the same idempotency_key, which "
         "finds it; without one it ends by its ttl"},
    {.name = "lease.renew",
     .allowed = BACKEND_PARAM_NAME | BACKEND_PARAM_TOKEN | BACKEND_PARAM_TTL,
     .required = BACKEND_PARAM_NAME | BACKEND_PARAM_TOKEN | BACKEND_PARAM_TTL,
     .handle = backend_ask_shards,
     .steps = &renew_steps,
     .help_unknown =
         "no answer in time: it may have been renewed. Renew again; until that is answered count on the end "
         "you knew of before"},
    {.name = "lease.release",
     .allowed = BACKEND_PARAM_NAME | BACKEND_PARAM_TOKEN,
     .required = BACKEND_PARAM_NAME | BACKEND_PARAM_TOKEN,
     .handle = backend_ask_shards,
     .steps = &release_steps,
     .help_unknown = "no answer in time: it may have been released. Release again: lease_lost says that it is free"},
};
const struct backend_method_list backend_lease_methods = BACKEND_METHOD_LIST(rows);
