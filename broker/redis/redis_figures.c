/* What waits where, as figures for the metrics: looked up at each tick, so that nothing is counted on the way.
 *
 *   queue ─▶ batch ─▶ pipeline (each link's) ─▶ Redis ─▶ held back (each partition's order) ─▶ gate ─▶ told */
#include "broker/redis/engine_redis_parts.h"

const struct metric_description redis_metric_rows[REDIS_METRICS] = {
    [REDIS_METRIC_UP] = {"callboard_redis_connected", "Shards whose command links to all servers they need are of use.",
                         METRIC_GAUGE, NULL},
    [REDIS_METRIC_PUBSUB_UP] = {"callboard_redis_pubsub_connected", "Shards whose pub/sub links are of use.",
                                METRIC_GAUGE, NULL},
    [REDIS_METRIC_NODES] = {"callboard_redis_nodes", "Servers that shards have links to.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_RECONNECTS] = {"callboard_redis_disconnects_total", "Links to Redis that were cut or not made.",
                                 METRIC_COUNTER, NULL},
    [REDIS_METRIC_BATCHES] = {"callboard_redis_batches_total", "Batches sent to Redis.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_PUBLICATIONS] = {"callboard_redis_publications_total", "Own publications that Redis took.",
                                   METRIC_COUNTER, NULL},
    [REDIS_METRIC_DUPLICATES] = {"callboard_redis_duplicates_total", "Appends answered from their idempotency key.",
                                 METRIC_COUNTER, NULL},
    [REDIS_METRIC_RESENT] = {"callboard_redis_resent_total", "Batches sent again after a cut.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_REFUSED] = {"callboard_redis_refused_total", "Appends that ended with a definite error.",
                              METRIC_COUNTER, NULL},
    [REDIS_METRIC_UNKNOWN] = {"callboard_redis_unknown_total", "Appends that ended without an answer of Redis.",
                              METRIC_COUNTER, NULL},
    [REDIS_METRIC_LIVE_ONLY] = {"callboard_redis_live_only_total",
                                "Publications passed live through this broker alone while Redis was away.",
                                METRIC_COUNTER, NULL},
    [REDIS_METRIC_LOADS] = {"callboard_redis_loads_total", "Channels read from Redis.", METRIC_COUNTER, NULL},
    [REDIS_METRIC_RENEWALS] = {"callboard_redis_renewals_total",
                               "Channels with subscribers whose epoch was kept alive though nothing was published.",
                               METRIC_COUNTER, NULL},
    [REDIS_METRIC_COMPARED] = {"callboard_redis_compared_total",
                               "Times a channel's position was compared with Redis, to find keys that went alone.",
                               METRIC_COUNTER, NULL},
    [REDIS_METRIC_OPENINGS] = {"callboard_redis_openings_total",
                               "Partitions opened or met anew after Redis restarted or forgot something.",
                               METRIC_COUNTER, NULL},
    [REDIS_METRIC_MOVES] = {"callboard_redis_partition_moves_total",
                            "Partitions that went to another server: a failover, or slots that moved.", METRIC_COUNTER,
                            NULL},
    [REDIS_METRIC_HOLES] = {"callboard_redis_holes_total", "Batches of others that never came and were read instead.",
                            METRIC_COUNTER, NULL},
    [REDIS_METRIC_MALFORMED] = {"callboard_redis_malformed_total", "Bytes in Redis that are not ours.", METRIC_COUNTER,
                                NULL},
    [REDIS_METRIC_QUEUED] = {"callboard_redis_queued", "Publications and presence changes waiting for Redis.",
                             METRIC_GAUGE, NULL},
    [REDIS_METRIC_PIPELINE_COMMANDS] = {"callboard_redis_pipeline_commands",
                                        "Commands that Redis has not answered yet.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_PIPELINE_BYTES] = {"callboard_redis_pipeline_bytes", "Their bytes.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_PIPELINE_WAITS] = {"callboard_redis_pipeline_waits_total",
                                     "Turns in which a partition's batch or reads waited at redis.pipeline_commands or "
                                     "redis.pipeline_bytes.",
                                     METRIC_COUNTER, NULL},
    [REDIS_METRIC_HELD] = {"callboard_redis_held_batches", "Batches that came too early and wait for the one before.",
                           METRIC_GAUGE, NULL},
    [REDIS_METRIC_HELD_BYTES] = {"callboard_redis_held_bytes", "Their bytes.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_HELD_DROPPED] = {"callboard_redis_held_dropped_total",
                                   "Batches dropped at redis.held_batches or redis.held_bytes, and read later.",
                                   METRIC_COUNTER, NULL},
    [REDIS_METRIC_TOPICS] = {"callboard_redis_topics", "Topics of partitions that are listened to.", METRIC_GAUGE,
                             NULL},
    [REDIS_METRIC_UNCONFIRMED] = {"callboard_redis_unconfirmed",
                                  "Batches and reads of safe channels that wait for replicas.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_UNCONFIRMED_BYTES] = {"callboard_redis_unconfirmed_bytes", "Their bytes.", METRIC_GAUGE, NULL},
    [REDIS_METRIC_CONFIRMS_SHORT] = {"callboard_redis_confirms_short_total",
                                     "Times that too few replicas had confirmed in time, or it could not be asked.",
                                     METRIC_COUNTER, NULL},
    [REDIS_METRIC_CONFIRM_OVERFLOWS] = {"callboard_redis_unconfirmed_dropped_total",
                                        "Messages of safe channels dropped at redis.held_batches or redis.held_bytes "
                                        "and read later instead.",
                                        METRIC_COUNTER, NULL},
    [REDIS_METRIC_LATENCY] = {"callboard_redis_batch_seconds", "From sending a batch to its results.", METRIC_HISTOGRAM,
                              NULL},
    [REDIS_METRIC_CONFIRM_LATENCY] = {"callboard_redis_confirm_seconds", "From asking replicas to their confirmation.",
                                      METRIC_HISTOGRAM, NULL},
    [REDIS_METRIC_TLS_RENEWALS] = {"callboard_redis_tls_renewals_total",
                                   "Times that a shard took up renewed certificates for its links to Redis.",
                                   METRIC_COUNTER, NULL},
    [REDIS_METRIC_TLS_FAILURES] = {"callboard_redis_tls_renewal_failures_total",
                                   "Links to Redis that were made with the old certificates, because the changed files "
                                   "do not serve.",
                                   METRIC_COUNTER, NULL},
    [REDIS_METRIC_TLS_REFUSED] = {"callboard_redis_tls_renewal_refused",
                                  "1 while the changed files of certificates for Redis do not serve: the old ones are "
                                  "in use.",
                                  METRIC_GAUGE_MAX, NULL},
    [REDIS_METRIC_TLS_EXPIRES_AT] = {"callboard_redis_tls_certificate_expires_timestamp_seconds",
                                     "When the broker's own certificate for Redis expires; 0: it has none.",
                                     METRIC_GAUGE_MAX, NULL},
};

static void show_pipelines(const struct engine_redis *self) {
    size_t n_commands = 0;
    size_t n_bytes = 0;
    list_for_each (link, &self->nodes) {
        const struct redis_node *node = list_entry(link, struct redis_node, link);
        if (node->command != NULL) {
            redis_link_add_load(node->command, &n_commands, &n_bytes);
        }
    }
    metric_set(self->metrics, REDIS_METRIC_PIPELINE_COMMANDS, (int64_t) n_commands);
    metric_set(self->metrics, REDIS_METRIC_PIPELINE_BYTES, (int64_t) n_bytes);
}

static void show_partitions(const struct engine_redis *self) {
    size_t n_held = 0;
    size_t held_bytes = 0;
    int64_t n_topics = 0;
    for (uint32_t i = 0; i < self->n_partitions; i++) {
        const struct redis_partition *partition = &self->partitions[i];
        n_held += partition->order.n_held;
        held_bytes += partition->order.held_bytes;
        n_topics += partition->state.phase != PARTITION_CLOSED;
    }
    metric_set(self->metrics, REDIS_METRIC_HELD, (int64_t) n_held);
    metric_set(self->metrics, REDIS_METRIC_HELD_BYTES, (int64_t) held_bytes);
    metric_set(self->metrics, REDIS_METRIC_TOPICS, n_topics);
}

static void show_tls(struct engine_redis *self) {
    struct redis_tls_figures now;
    if (self->tls == NULL) {
        return;
    }
    redis_tls_read_figures(self->tls, &now);
    metric_add(self->metrics, REDIS_METRIC_TLS_RENEWALS, now.n_renewals - self->tls_counted.n_renewals);
    metric_add(self->metrics, REDIS_METRIC_TLS_FAILURES, now.n_failures - self->tls_counted.n_failures);
    metric_set(self->metrics, REDIS_METRIC_TLS_REFUSED, now.is_refused ? 1 : 0);
    metric_set(self->metrics, REDIS_METRIC_TLS_EXPIRES_AT, now.expires_at_s);
    self->tls_counted = now;
}

void redis_figures_show(struct engine_redis *self) {
    show_tls(self);
    show_pipelines(self);
    show_partitions(self);
    metric_set(self->metrics, REDIS_METRIC_UNCONFIRMED, (int64_t) self->unconfirmed_items);
    metric_set(self->metrics, REDIS_METRIC_UNCONFIRMED_BYTES, (int64_t) self->unconfirmed_bytes);
}
