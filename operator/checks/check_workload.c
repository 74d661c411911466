/* Can this spec carry spec.workload? The figures are those of plan; a field is told where the spec has less. */
#include "operator/checks/check_rules.h"

#include "operator/plan/sizing.h"
#include "operator/plan/sizing_constants.h"
#include "operator/spec/spec_derive.h"

static arena_t *arena_of(const struct check *check) {
    return check->document->arena;
}

static const char *number(const struct check *check, int64_t value) {
    return sizing_number(arena_of(check), (double) value);
}

static int64_t rounded_up(double value, double step) {
    int64_t steps = (int64_t) (value / step);
    return (int64_t) (((double) steps * step < value ? (double) (steps + 1) : (double) steps) * step);
}

/* As the spec writes it, rounded up: what is advised must be enough. */
static const char *needed(const struct check *check, const struct sizing *sizing, enum sizing_figure figure) {
    const double mib = 1024 * 1024;
    double need = sizing->values[figure].need;
    enum sizing_unit unit = sizing_figure_row(figure)->unit;
    if (unit == SIZING_BYTES) {
        double step = need < 4096 * mib ? 32 * mib : 1024 * mib;
        return check_amount(check, SPEC_MEMORY, rounded_up(need, step));
    }
    if (unit == SIZING_CORES) {
        return check_amount(check, SPEC_CPU, rounded_up(need * 1000, 100));
    }
    return sizing_amount(arena_of(check), unit, need);
}

static const char *there(const struct check *check, const struct sizing *sizing, enum sizing_figure figure) {
    double has = sizing->values[figure].has;
    enum sizing_unit unit = sizing_figure_row(figure)->unit;
    return unit == SIZING_BYTES ? check_amount(check, SPEC_MEMORY, (int64_t) has)
                                : sizing_amount(arena_of(check), unit, has);
}

/* "1 primary", "3 primaries" */
static const char *counted(const struct check *check, double n, const char *one, const char *several) {
    return arena_format(arena_of(check), "%s %s", sizing_number(arena_of(check), n), n == 1 ? one : several);
}

static bool is_scaled(const struct check *check) {
    return check->spec->gateway.autoscaling.max > 0;
}

/* "1 broker with 2 threads is too few", "3 brokers with 2 threads each are too few" */
static const char *too_few(const struct check *check, double n, const char *one, const char *several,
                           const char *with) {
    return arena_format(arena_of(check), "%s with %s%s too few", counted(check, n, one, several), with,
                        n == 1 ? " is" : " each are");
}

/* Who decides the number of gateways at the busiest time. */
static const char *gateways_path(const struct check *check) {
    return is_scaled(check) ? "gateway.autoscaling.max" : "gateway.replicas";
}

/* ---- gateways ---- */

static void judge_connections(const struct check *check, const struct sizing *sizing) {
    if (!sizing_is_short(sizing, SIZING_GATEWAYS_FOR_CONNECTIONS)) {
        return;
    }
    enum diagnostic_code code = is_scaled(check) ? DIAGNOSTIC_WORKLOAD_AUTOSCALING : DIAGNOSTIC_WORKLOAD_CONNECTIONS;
    double has = sizing->values[SIZING_GATEWAYS_FOR_CONNECTIONS].has;
    check_tell(check, code, gateways_path(check), "%s of %s connections %s too few for %s",
               counted(check, has, "gateway", "gateways"), number(check, check->spec->gateway.connections_max),
               has == 1 ? "is" : "are", number(check, check->spec->workload.connections));
    check_mend(check, "use at least %s%s", needed(check, sizing, SIZING_GATEWAYS_FOR_CONNECTIONS),
               check->spec->profile == SPEC_PROFILE_DEV ? "" : ", which also bear the loss of a zone or a pod");
    check_other(check, "workload.gateway.connections");
}

static void judge_gateway_memory(const struct check *check, const struct sizing *sizing) {
    if (check->spec->workload.connections > 0 && sizing_is_short(sizing, SIZING_GATEWAY_MEMORY)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_GATEWAY_MEMORY, "gateway.resources.limits.memory",
                   "%s is too little for a gateway with %s connections", there(check, sizing, SIZING_GATEWAY_MEMORY),
                   number(check, check->spec->gateway.connections_max));
        check_mend(check, "use at least %s", needed(check, sizing, SIZING_GATEWAY_MEMORY));
        check_other(check, "gateway.connectionsMax");
    }
}

/* Handshakes alone, on all of the gateways' CPU. */
static bool is_short_of_handshakes(const struct check *check, const struct sizing *sizing) {
    double pods = sizing->values[SIZING_GATEWAYS_FOR_CPU].has;
    double cores = pods * (double) check->spec->gateway.resources.requests_cpu / 1000;
    double used = sizing_handshakes(check->spec) * sizing_constant_seconds(CONSTANT_HANDSHAKE_CPU);
    return used > cores * sizing_constant(CONSTANT_CPU_SHARE);
}

static void tell_gateway_cpu(const struct check *check, bool is_by_handshakes, const char *what) {
    const struct spec_workload *workload = &check->spec->workload;
    if (is_by_handshakes) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_CONNECT_RATE, "gateway.resources.requests.cpu",
                   "%s for %s handshakes a second", what, number(check, (int64_t) sizing_handshakes(check->spec)));
        check_other(check, workload->connect_rate > 0 ? "workload.gateway.connectRate" : "gateway.maxConnectionAge");
    } else {
        check_tell(check, DIAGNOSTIC_WORKLOAD_GATEWAY_CPU, "gateway.resources.requests.cpu",
                   "%s for %s publications a second to %s", what, number(check, workload->publish_rate),
                   counted(check, (double) workload->fanout, "subscriber", "subscribers"));
        check_other(check, "workload.publishRate");
    }
}

static void judge_gateway_cpu(const struct check *check, const struct sizing *sizing) {
    if (!sizing_is_short(sizing, SIZING_GATEWAYS_FOR_CPU) && !sizing_is_short(sizing, SIZING_GATEWAY_CPU)) {
        return;
    }
    double cores = (double) check->spec->gateway.resources.requests_cpu / 1000;
    const char *what = too_few(check, sizing->values[SIZING_GATEWAYS_FOR_CPU].has, "gateway", "gateways",
                               sizing_amount(arena_of(check), SIZING_CORES, cores));
    tell_gateway_cpu(check, is_short_of_handshakes(check, sizing), what);
    const char *pods = counted(check, sizing->gateways, "pod", "pods");
    const char *each = needed(check, sizing, SIZING_GATEWAY_CPU);
    if (sizing->values[SIZING_GATEWAYS_FOR_CPU].need > SIZING_GATEWAYS_MOST) {
        check_mend(check, "use cpu %s in each of %s; more pods alone do not help", each, pods);
    } else {
        check_mend(check, "use cpu %s in each of %s, or %s pods", each, pods,
                   needed(check, sizing, SIZING_GATEWAYS_FOR_CPU));
    }
}

static void judge_egress(const struct check *check, const struct sizing *sizing) {
    if (sizing_is_short(sizing, SIZING_GATEWAYS_FOR_NETWORK)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_EGRESS, gateways_path(check),
                   "%s to clients are too much for %s gateways", needed(check, sizing, SIZING_EGRESS),
                   there(check, sizing, SIZING_GATEWAYS_FOR_NETWORK));
        check_mend(check, "use at least %s, at 5 Gbit/s a pod", needed(check, sizing, SIZING_GATEWAYS_FOR_NETWORK));
        check_other(check, "workload.fanout");
    }
}

/* ---- brokers ---- */

static void judge_brokers(const struct check *check, const struct sizing *sizing) {
    if (sizing_is_short(sizing, SIZING_BROKERS)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_BROKER_RATE, "broker.replicas", "%s for %s publications a second",
                   too_few(check, sizing->values[SIZING_BROKERS].has, "broker", "brokers",
                           counted(check, (double) check->spec->broker.shard_actors, "thread", "threads")),
                   number(check, check->spec->workload.publish_rate));
        bool is_alone = check->spec->redis.mode == SPEC_REDIS_EMBEDDED;
        check_mend(check, "use %sat least %s", is_alone ? "a Redis, as brokers share no memory engine, and " : "",
                   needed(check, sizing, SIZING_BROKERS));
        check_other(check, "workload.publishRate");
    }
    if (sizing_is_short(sizing, SIZING_BROKER_CPU)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_BROKER_CPU, "broker.resources.requests.cpu",
                   "%s a broker is too little for %s publications a second", there(check, sizing, SIZING_BROKER_CPU),
                   number(check, check->spec->workload.publish_rate));
        check_mend(check, "use at least %s", needed(check, sizing, SIZING_BROKER_CPU));
        check_other(check, "workload.publishRate");
    }
    if (sizing_is_short(sizing, SIZING_BROKER_MEMORY)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_BROKER_MEMORY, "broker.resources.limits.memory",
                   "%s a broker is too little for %s channels", there(check, sizing, SIZING_BROKER_MEMORY),
                   number(check, check->spec->workload.channels));
        check_mend(check, "use at least %s", needed(check, sizing, SIZING_BROKER_MEMORY));
        check_other(check, "workload.channels");
    }
}

/* ---- Redis ---- */

static void judge_redis_memory(const struct check *check, const struct sizing *sizing) {
    if (sizing_is_short(sizing, SIZING_REDIS_MAXMEMORY)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_REDIS_MEMORY, "redis.maxmemory",
                   "%s is too little for the histories, %s in all", there(check, sizing, SIZING_REDIS_MAXMEMORY),
                   sizing_amount(arena_of(check), SIZING_BYTES, sizing->values[SIZING_REDIS_DATA].need));
        check_mend(check, "use at least %s in %s (limit %s), or %s shards",
                   needed(check, sizing, SIZING_REDIS_MAXMEMORY),
                   sizing->values[SIZING_REDIS_FOR_MEMORY].has == 1 ? "the primary" : "each primary",
                   needed(check, sizing, SIZING_REDIS_MEMORY), needed(check, sizing, SIZING_REDIS_FOR_MEMORY));
        check_other(check, "workload.history.size");
    }
    if (sizing_is_short(sizing, SIZING_REDIS_VOLUME)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_REDIS_VOLUME, "redis.persistence.size",
                   "%s is too little for the files of the histories", there(check, sizing, SIZING_REDIS_VOLUME));
        check_mend(check, "use at least %s", needed(check, sizing, SIZING_REDIS_VOLUME));
        check_other(check, check_is_set(check, "workload.publishRate") ? "workload.publishRate" : "workload.channels");
    }
}

static const char *primaries_path(const struct check *check) {
    switch ((enum spec_redis_mode) check->spec->redis.mode) {
    case SPEC_REDIS_CLUSTER:
        return "redis.cluster.shards";
    case SPEC_REDIS_EXTERNAL:
        return "redis.external.shards";
    case SPEC_REDIS_EMBEDDED:
    case SPEC_REDIS_STANDALONE:
    case SPEC_REDIS_SENTINEL:
        break;
    }
    return "redis.mode";
}

static void judge_redis_rate(const struct check *check, const struct sizing *sizing) {
    if (sizing_is_short(sizing, SIZING_REDIS_FOR_RATE)) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_REDIS_RATE, primaries_path(check),
                   "%s publications a second are too many for %s", number(check, check->spec->workload.publish_rate),
                   counted(check, sizing->values[SIZING_REDIS_FOR_RATE].has, "primary", "primaries"));
        check_mend(check, "use %sat least %s shards",
                   strcmp(primaries_path(check), "redis.mode") == 0 ? "redis.mode cluster with " : "",
                   needed(check, sizing, SIZING_REDIS_FOR_RATE));
        check_other(check, "workload.publishRate");
    }
}

/* Upstash takes 10,000 commands a second; a primary with ElastiCache's log 100 MiB of writes. */
static void judge_provider(const struct check *check, const struct sizing *sizing) {
    enum { UPSTASH_COMMANDS = 10000, LOG_BYTES = 100 * 1024 * 1024 };
    const struct spec_external *external = &check->spec->redis.external;
    const struct sizing_value *written = &sizing->values[SIZING_REDIS_DISK];
    bool is_external = check->spec->redis.mode == SPEC_REDIS_EXTERNAL && written->is_known;
    bool is_upstash = external->provider == SPEC_PROVIDER_UPSTASH;
    bool has_log = external->provider == SPEC_PROVIDER_ELASTICACHE &&
                   (external->durability == SPEC_DURABILITY_SYNC || external->durability == SPEC_DURABILITY_ASYNC);
    if (is_external && is_upstash && check->spec->workload.publish_rate > UPSTASH_COMMANDS) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_REDIS_RATE, "redis.external.provider",
                   "Upstash takes 10,000 commands a second, fewer than %s publications",
                   number(check, check->spec->workload.publish_rate));
        check_mend(check, "use another provider");
        check_other(check, "workload.publishRate");
    } else if (is_external && has_log && written->need > LOG_BYTES) {
        check_tell(check, DIAGNOSTIC_WORKLOAD_REDIS_RATE, "redis.external.shards",
                   "the transaction log takes 100 MiB/s of a primary, and %s are written to each",
                   needed(check, sizing, SIZING_REDIS_DISK));
        check_mend(check, "use more shards");
        check_other(check, "workload.publishRate");
    }
}

/* ---- all ---- */

static void check_workload(const struct check *check) {
    const struct sizing *sizing = sizing_of(arena_of(check), check->spec);
    judge_connections(check, sizing);
    judge_gateway_memory(check, sizing);
    judge_gateway_cpu(check, sizing);
    judge_egress(check, sizing);
    judge_brokers(check, sizing);
    judge_redis_memory(check, sizing);
    judge_redis_rate(check, sizing);
    judge_provider(check, sizing);
}

check_rule_t *const check_rules_workload[] = {check_workload, NULL};
