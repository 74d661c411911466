/* Brokers: how many, and how the channels are cut. */
#include "operator/checks/check_rules.h"

#include <inttypes.h>

static void check_power_of_two(const struct check *check) {
    int64_t partitions = check->spec->broker.partitions;
    if ((partitions & (partitions - 1)) != 0) {
        check_tell(check, DIAGNOSTIC_PARTITIONS_NO_POWER, "broker.partitions", "%" PRId64 " is no power of two",
                   partitions);
    }
}

static void check_enough_partitions(const struct check *check) {
    const struct spec_broker *broker = &check->spec->broker;
    int64_t threads = broker->replicas * broker->shard_actors;
    if (broker->partitions < threads) {
        check_tell(check, DIAGNOSTIC_TOO_FEW_PARTITIONS, "broker.partitions",
                   "%" PRId64 " are fewer than %" PRId64 " brokers with %" PRId64 " threads each", broker->partitions,
                   broker->replicas, broker->shard_actors);
        check_other(check, "broker.replicas");
    } else if (broker->partitions < 4 * threads) {
        check_tell(check, DIAGNOSTIC_FEW_PARTITIONS, "broker.partitions",
                   "%" PRId64 " for %" PRId64 " threads leave little room to grow", broker->partitions, threads);
        check_other(check, "broker.replicas");
    }
}

static void check_embedded(const struct check *check) {
    if (check->spec->redis.mode == SPEC_REDIS_EMBEDDED && check->spec->broker.replicas > 1) {
        check_tell(check, DIAGNOSTIC_EMBEDDED_ONE_BROKER, "broker.replicas",
                   "%" PRId64 " brokers do not share the memory engine", check->spec->broker.replicas);
        check_other(check, "redis.mode");
    }
}

static void check_single(const struct check *check) {
    bool is_meant = check->spec->profile == SPEC_PROFILE_DEV || check->spec->profile == SPEC_PROFILE_SMALL;
    if (check->spec->broker.replicas == 1 && !is_meant && check->spec->redis.mode != SPEC_REDIS_EMBEDDED) {
        check_tell(check, DIAGNOSTIC_SINGLE_POINT, "broker.replicas",
                   "while the only broker restarts nothing is published");
        check_mend(check, "use two");
    }
}

static void check_ports(const struct check *check) {
    const struct {
        const char *path;
        int64_t port;
    } ports[] = {{"broker.ports.gateways", check->spec->broker.ports.gateways},
                 {"broker.ports.backend", check->spec->broker.ports.backend},
                 {"broker.ports.backendPull", check->spec->broker.ports.backend_pull},
                 {"broker.ports.internal", check->spec->broker.ports.internal}};
    for (size_t i = 1; i < sizeof ports / sizeof ports[0]; i++) {
        for (size_t k = 0; k < i; k++) {
            if (ports[i].port == ports[k].port) {
                check_tell(check, DIAGNOSTIC_PORTS_CLASH, ports[i].path, "%" PRId64 " is %s too", ports[i].port,
                           ports[k].path);
                check_other(check, ports[k].path);
            }
        }
    }
}

check_rule_t *const check_rules_broker[] = {
    check_power_of_two, check_enough_partitions, check_embedded, check_single, check_ports, NULL,
};
