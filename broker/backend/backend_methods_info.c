/* info: how the broker and the whole cluster are. */
#include "base/clock.h"
#include "broker/backend/backend_api_parts.h"

enum { RATE_WINDOW_MS = 2000 };

/* Counted by all shards: publications that were appended or passed on. */
static uint64_t publications(backend_api_t *self) {
    return (uint64_t) metrics_read(self->options.metrics, "callboard_broker_publishes_total", "result=\"ok\"");
}

static double per_second(uint64_t now, uint64_t before, uint64_t elapsed_ms) {
    return elapsed_ms == 0 ? 0 : (double) (now - before) * 1000 / (double) elapsed_ms;
}

void backend_measure(backend_api_t *self, uint64_t now_ms) {
    struct backend_rates *rates = &self->rates;
    uint64_t elapsed_ms = now_ms - rates->at_ms;
    if (elapsed_ms < RATE_WINDOW_MS) {
        return;
    }
    uint64_t n_publications = publications(self);
    uint64_t n_requests = (uint64_t) metrics_read(self->options.metrics, "callboard_backend_requests_total", NULL);
    rates->publications_per_s = per_second(n_publications, rates->publications, elapsed_ms);
    rates->requests_per_s = per_second(n_requests, rates->requests, elapsed_ms);
    rates->publications = n_publications;
    rates->requests = n_requests;
    rates->at_ms = now_ms;
}

static uint32_t every_shard(struct backend_api *api, const struct backend_call *call,
                            struct backend_refusal *ret_refusal) {
    (void) call;
    (void) ret_refusal;
    return api->options.n_shards;
}

/* Channels are a shard's own; brokers, gateways, connections and users are the whole cluster's, as the shard that keeps
 * leases knows them. */
static void append_info(struct backend_api *api, const struct backend_waiting *waiting, struct buffer *body) {
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
    buffer_append_json_string(body, span_of_text(api->options.broker_id));
    buffer_append_format(body,
                         ",\"version\":\"" CALLBOARD_VERSION
                         "\",\"engine\":\"%s\",\"connected\":%s,\"shards\":%u,\"channels\":%llu,"
                         "\"brokers\":%llu,\"gateways\":%llu,\"connections\":%llu,\"users\":%llu",
                         mode == WIRE_MODE_REDIS ? "redis" : "memory", connected ? "true" : "false",
                         api->options.n_shards, (unsigned long long) channels, (unsigned long long) brokers,
                         (unsigned long long) gateways, (unsigned long long) connections, (unsigned long long) users);
    buffer_append_format(body,
                         ",\"uptime\":%llu,\"publications\":%llu,\"subscriptions\":%zu,\"requests\":%zu,"
                         "\"rates\":{\"publications\":%.1f,\"requests\":%.1f}}",
                         (unsigned long long) ((clock_monotonic_ms() - api->started_ms) / 1000),
                         (unsigned long long) publications(api),
                         api->subscriptions == NULL ? 0 : backend_subscriptions_count(api->subscriptions),
                         backend_pending_count(api->pending), api->rates.publications_per_s, api->rates.requests_per_s);
}

static const struct backend_shard_steps info_steps = {.kind = SHARD_REQUEST_INFO,
                                                      .answers_each_part = true,
                                                      .each_shard = true,
                                                      .count_parts = every_shard,
                                                      .append_result = append_info};

static const struct backend_method rows[] = {
    {.name = "info", .flags = BACKEND_READS, .handle = backend_ask_shards, .steps = &info_steps},
};
const struct backend_method_list backend_info_methods = BACKEND_METHOD_LIST(rows);
