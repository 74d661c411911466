/* Where pods go, and how many may be missing. */
#include "operator/checks/check_rules.h"

#include "operator/spec/spec_derive.h"

#include <inttypes.h>

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Pods of the kind that has most of them. */
static int64_t most_of_a_kind(const struct spec *spec) {
    int64_t gateways = larger(spec->gateway.replicas, spec->gateway.autoscaling.max);
    int64_t sentinels = spec->redis.mode == SPEC_REDIS_SENTINEL ? spec->redis.sentinel.replicas : 0;
    return larger(larger(gateways, spec->broker.replicas), larger(spec_redis_pods(spec), sentinels));
}

static void check_nodes(const struct check *check) {
    const struct spec_scheduling *scheduling = &check->spec->scheduling;
    int64_t most = most_of_a_kind(check->spec);
    if (scheduling->spread_node == SPEC_SPREAD_REQUIRED && scheduling->nodes > 0 && scheduling->nodes < most) {
        check_tell(check, DIAGNOSTIC_SPREAD_IMPOSSIBLE, "scheduling.spread.node",
                   "%" PRId64 " pods of a kind want different nodes, and there are %" PRId64, most, scheduling->nodes);
        check_mend(check, "use preferred, or more nodes");
        check_other(check, "scheduling.nodes");
    }
}

/* Pods share zones evenly; a zone that does not exist is what keeps them waiting. */
static void check_zones(const struct check *check) {
    const struct spec_scheduling *scheduling = &check->spec->scheduling;
    if (scheduling->spread_zone == SPEC_SPREAD_REQUIRED && scheduling->zones == 1) {
        check_tell(check, DIAGNOSTIC_SPREAD_IMPOSSIBLE, "scheduling.spread.zone", "there is one zone only");
        check_mend(check, "use none");
        check_other(check, "scheduling.zones");
    }
}

static void check_more_zones_than_nodes(const struct check *check) {
    const struct spec_scheduling *scheduling = &check->spec->scheduling;
    if (scheduling->nodes > 0 && scheduling->zones > scheduling->nodes) {
        check_tell(check, DIAGNOSTIC_OUT_OF_BOUNDS, "scheduling.zones",
                   "%" PRId64 " zones cannot stand in %" PRId64 " nodes", scheduling->zones, scheduling->nodes);
        check_mend(check, "count the zones that have a node");
        check_other(check, "scheduling.nodes");
    }
}

static void check_budgets(const struct check *check) {
    const struct spec_disruption *disruption = &check->spec->disruption;
    const struct {
        const char *path;
        int64_t allowed;
        bool is_rendered;
    } budgets[] = {{"disruption.gatewayPercent", disruption->gateway_percent, true},
                   {"disruption.brokerPods", disruption->broker_pods, true},
                   {"disruption.redisPods", disruption->redis_pods, spec_redis_pods(check->spec) > 0}};
    for (size_t i = 0; disruption->budgets && i < sizeof budgets / sizeof budgets[0]; i++) {
        if (budgets[i].allowed == 0 && budgets[i].is_rendered) {
            check_tell(check, DIAGNOSTIC_BUDGET_BLOCKS_DRAINS, budgets[i].path,
                       "0 lets no node with such a pod be drained");
            check_mend(check, "use %d", i == 0 ? 25 : 1);
        }
    }
}

check_rule_t *const check_rules_placement[] = {
    check_nodes, check_zones, check_more_zones_than_nodes, check_budgets, NULL,
};
