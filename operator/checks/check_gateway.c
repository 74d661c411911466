/* Gateways: who decides their number, and how they leave. */
#include "operator/checks/check_rules.h"

#include "operator/spec/spec_derive.h"

#include <inttypes.h>

enum { LONG_GRACE_MS = 10 * 60 * 1000, AGE_LEAST_MS = 60 * 1000 };

static void check_replicas_or_autoscaling(const struct check *check) {
    if (check->spec->gateway.autoscaling.max > 0 && check_is_set(check, "gateway.replicas")) {
        check_tell(check, DIAGNOSTIC_REPLICAS_AND_AUTOSCALING, "gateway.replicas",
                   "the autoscaler decides the number of pods too");
        check_mend(check, "leave this out, or gateway.autoscaling");
        check_other(check, "gateway.autoscaling.max");
    }
}

static void check_autoscaling_bounds(const struct check *check) {
    const struct spec_gateway *gateway = &check->spec->gateway;
    if (gateway->autoscaling.max > 0 && gateway->autoscaling.min > gateway->autoscaling.max) {
        check_tell(check, DIAGNOSTIC_AUTOSCALING_BOUNDS, "gateway.autoscaling.min", "%" PRId64 " is above max %" PRId64,
                   gateway->autoscaling.min, gateway->autoscaling.max);
        check_other(check, "gateway.autoscaling.max");
    }
}

static void check_autoscaling_target(const struct check *check) {
    const struct spec_gateway *gateway = &check->spec->gateway;
    if (gateway->autoscaling.connections_per_pod > gateway->connections_max) {
        check_tell(check, DIAGNOSTIC_OUT_OF_BOUNDS, "gateway.autoscaling.connectionsPerPod",
                   "%" PRId64 " is more than a pod takes", gateway->autoscaling.connections_per_pod);
        check_mend(check, "use 60 to 70 %% of gateway.connectionsMax, %" PRId64, gateway->connections_max);
        check_other(check, "gateway.connectionsMax");
    }
}

static void check_autoscaling_without_max(const struct check *check) {
    static const char *const paths[] = {"gateway.autoscaling.min", "gateway.autoscaling.connectionsPerPod",
                                        "gateway.autoscaling.cpuPercent", "gateway.autoscaling.scaleDownWindow",
                                        "gateway.autoscaling.provider"};
    for (size_t i = 0; check->spec->gateway.autoscaling.max == 0 && i < sizeof paths / sizeof paths[0]; i++) {
        if (check_is_set(check, paths[i])) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, paths[i], "changes nothing without gateway.autoscaling.max");
        }
    }
}

static void check_grace(const struct check *check) {
    const struct spec_gateway *gateway = &check->spec->gateway;
    int64_t needed = gateway->drain.propagation_ms + gateway->drain.window_ms + SPEC_DRAIN_MARGIN_MS;
    if (gateway->drain.grace_ms < needed) {
        check_tell(check, DIAGNOSTIC_GRACE_TOO_SHORT, "gateway.drain.grace", "%s is less than the drain takes",
                   check_amount(check, SPEC_DURATION, gateway->drain.grace_ms));
        check_mend(check, "propagation %s, window %s and 20s are %s",
                   check_amount(check, SPEC_DURATION, gateway->drain.propagation_ms),
                   check_amount(check, SPEC_DURATION, gateway->drain.window_ms),
                   check_amount(check, SPEC_DURATION, needed));
        check_other(check, "gateway.drain.window");
    } else if (gateway->drain.grace_ms > LONG_GRACE_MS) {
        check_tell(check, DIAGNOSTIC_LONG_GRACE, "gateway.drain.grace", "a node that is drained waits up to %s",
                   check_amount(check, SPEC_DURATION, gateway->drain.grace_ms));
    }
}

static void check_close_rate(const struct check *check) {
    const struct spec_gateway *gateway = &check->spec->gateway;
    int64_t closed = gateway->drain.close_rate * (gateway->drain.window_ms / 1000);
    if (closed < gateway->connections_max) {
        check_tell(check, DIAGNOSTIC_DRAIN_RATE_TOO_LOW, "gateway.drain.window",
                   "%" PRId64 " of %" PRId64 " connections are closed when it ends", closed, gateway->connections_max);
        check_mend(check, "%" PRId64 " a second need at least %" PRId64 "s", gateway->drain.close_rate,
                   (gateway->connections_max + gateway->drain.close_rate - 1) / gateway->drain.close_rate);
        check_other(check, "gateway.connectionsMax");
    }
}

static void check_age(const struct check *check) {
    int64_t age = check->spec->gateway.connection_age_max_ms;
    if (age > 0 && age < AGE_LEAST_MS) {
        check_tell(check, DIAGNOSTIC_OUT_OF_BOUNDS, "gateway.maxConnectionAge",
                   "at %s clients would hardly do anything but reconnect", check_amount(check, SPEC_DURATION, age));
        check_mend(check, "use at least 1m, or 0 for no bound; an hour or more moves clients soon enough");
    }
}

static void check_single(const struct check *check) {
    const struct spec_gateway *gateway = &check->spec->gateway;
    int64_t least = gateway->autoscaling.max > 0 ? gateway->autoscaling.min : gateway->replicas;
    if (least == 1 && check->spec->profile != SPEC_PROFILE_DEV) {
        bool is_scaled = gateway->autoscaling.max > 0;
        check_tell(check, DIAGNOSTIC_UNDER_TWO_GATEWAYS, is_scaled ? "gateway.autoscaling.min" : "gateway.replicas",
                   "while the only gateway restarts nobody can connect");
    }
}

check_rule_t *const check_rules_gateway[] = {
    check_replicas_or_autoscaling,
    check_autoscaling_bounds,
    check_autoscaling_target,
    check_autoscaling_without_max,
    check_grace,
    check_close_rate,
    check_age,
    check_single,
    NULL,
};
