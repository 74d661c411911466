/* How long it takes: leaving, rolling, coming back, failing over. */
#include "operator/plan/sizing_parts.h"

enum { WINDOW_LEAST_S = 20, GRACE_MARGIN_S = 20 };

static void add_drain(const struct sizing_work *work) {
    const struct spec_gateway *gateway = &work->spec->gateway;
    double propagation = (double) gateway->drain.propagation_ms / 1000;
    double window = sizing_ceiling((double) gateway->connections_max / (double) gateway->drain.close_rate);
    window = sizing_most(window, WINDOW_LEAST_S);
    sizing_set(work, SIZING_DRAIN_WINDOW, window, (double) gateway->drain.window_ms / 1000, "%s / %s",
               sizing_n(work, (double) gateway->connections_max), sizing_n(work, (double) gateway->drain.close_rate));
    sizing_set(work, SIZING_GRACE, propagation + window + GRACE_MARGIN_S, (double) gateway->drain.grace_ms / 1000,
               "%s + %s + 20", sizing_n(work, propagation), sizing_n(work, window));
    double pods = sizing_gateways(work);
    double at_once = sizing_ceiling(pods * sizing_constant(CONSTANT_ROLL_SURGE));
    double rounds = sizing_ceiling(pods / at_once);
    sizing_set(work, SIZING_ROLL, rounds * (propagation + window), -1, "%s × (%s + %s)", sizing_n(work, rounds),
               sizing_n(work, propagation), sizing_n(work, window));
}

static void add_return(const struct sizing_work *work) {
    double cores = (double) work->spec->gateway.resources.requests_cpu / 1000;
    double share = sizing_constant(CONSTANT_CPU_SHARE);
    double pods = sizing_gateways(work);
    if (work->connections <= 0 || cores <= 0) {
        return;
    }
    double seconds = work->connections * sizing_constant_seconds(CONSTANT_HANDSHAKE_CPU) / (pods * cores * share);
    sizing_set(work, SIZING_RETURN, seconds, -1, "%s × 43 µs / (%s × %s × %s)", sizing_n(work, work->connections),
               sizing_n(work, pods), sizing_n(work, cores), sizing_n(work, share));
}

static void add_failover(const struct sizing_work *work) {
    const struct spec_redis *redis = &work->spec->redis;
    if (redis->mode == SPEC_REDIS_CLUSTER) {
        double timeout = (double) redis->cluster.node_timeout_ms / 1000;
        sizing_set(work, SIZING_FAILOVER, timeout * sizing_constant(CONSTANT_FAILOVER_CLUSTER), -1, "1.6 × %s",
                   sizing_n(work, timeout));
    } else if (redis->mode == SPEC_REDIS_SENTINEL) {
        double down_after = (double) redis->sentinel.down_after_ms / 1000;
        sizing_set(work, SIZING_FAILOVER, down_after + sizing_constant(CONSTANT_FAILOVER_SENTINEL), -1, "%s + 1.3",
                   sizing_n(work, down_after));
    }
}

void sizing_add_times(const struct sizing_work *work) {
    add_drain(work);
    add_return(work);
    add_failover(work);
}
