/* Both sides of each bound: what is just allowed is not told, what is just not allowed is. bad_specs.txt has the words;
 * it cannot say that a rule keeps still. */
#include "operator/checks/checks.h"
#include "operator/spec/spec_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEADER "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata: {name: shop}\nspec:\n"
#define ELASTICACHE                                                                                                    \
    "  profile: elasticache\n  redis: {external: {endpoint: \"a.example.com:6379\", durability: sync, nodeType: "

struct row {
    enum diagnostic_code code;
    bool is_told;
    const char *spec;
};

static unsigned count_told(enum diagnostic_code code, const char *spec) {
    arena_t *arena = arena_new();
    struct buffer text = BUFFER_EMPTY;
    struct spec_documents documents;
    struct spec_settings settings = {0};
    struct diagnostics *diagnostics = arena_alloc(arena, sizeof *diagnostics);
    buffer_append_format(&text, HEADER "%s", spec);
    spec_documents_init(&documents, arena);
    diagnostics_init(diagnostics, arena);
    spec_documents_read(&documents, "deploy.yaml", buffer_span(&text), &settings, diagnostics);
    spec_documents_close(&documents, &settings, diagnostics);
    assert_int_equal(documents.n, 1);
    checks_run(documents.items[0], diagnostics);
    unsigned n = 0;
    for (size_t i = 0; i < diagnostics->n; i++) {
        n += diagnostics->items[i].code == code;
    }
    spec_documents_finish(&documents);
    buffer_finish(&text);
    arena_destroy(&arena);
    return n;
}

static void judge(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool is_told = count_told(rows[i].code, rows[i].spec) > 0;
        if (is_told != rows[i].is_told) {
            fail_msg("CB%u is %s of\n%s", diagnostic_meaning_of(rows[i].code)->number, is_told ? "told" : "not told",
                     rows[i].spec);
        }
    }
}

#define JUDGE(rows) judge(rows, sizeof(rows) / sizeof((rows)[0]))

static void gateways(void **state) {
    (void) state;
    static const struct row rows[] = {
        {DIAGNOSTIC_AUTOSCALING_BOUNDS, false, "  profile: ha\n  gateway: {autoscaling: {min: 4, max: 4}}\n"},
        {DIAGNOSTIC_AUTOSCALING_BOUNDS, true, "  profile: ha\n  gateway: {autoscaling: {min: 5, max: 4}}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, false,
         "  profile: ha\n  gateway: {connectionsMax: 900, autoscaling: {max: 4, connectionsPerPod: 900}}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, true,
         "  profile: ha\n  gateway: {connectionsMax: 900, autoscaling: {max: 4, connectionsPerPod: 901}}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, false, "  gateway: {maxConnectionAge: 1m}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, false, "  gateway: {maxConnectionAge: 0}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, true, "  gateway: {maxConnectionAge: 59999ms}\n"},
        {DIAGNOSTIC_GRACE_TOO_SHORT, false, "  gateway: {drain: {propagation: 5s, window: 20s, grace: 45s}}\n"},
        {DIAGNOSTIC_GRACE_TOO_SHORT, true, "  gateway: {drain: {propagation: 5s, window: 20s, grace: 44s}}\n"},
        {DIAGNOSTIC_LONG_GRACE, false, "  gateway: {drain: {grace: 10m}}\n"},
        {DIAGNOSTIC_LONG_GRACE, true, "  gateway: {drain: {grace: 601s}}\n"},
        {DIAGNOSTIC_DRAIN_RATE_TOO_LOW, false, "  gateway: {connectionsMax: 10000, drain: {window: 20s}}\n"},
        {DIAGNOSTIC_DRAIN_RATE_TOO_LOW, true, "  gateway: {connectionsMax: 10001, drain: {window: 20s}}\n"},
        {DIAGNOSTIC_UNDER_TWO_GATEWAYS, false, "  profile: dev\n"},
        {DIAGNOSTIC_UNDER_TWO_GATEWAYS, false, "  gateway: {replicas: 2}\n"},
        {DIAGNOSTIC_UNDER_TWO_GATEWAYS, true, "  gateway: {replicas: 1}\n"},
        {DIAGNOSTIC_UNDER_TWO_GATEWAYS, true, "  gateway: {autoscaling: {min: 1, max: 9}}\n"},
    };
    JUDGE(rows);
}

static void brokers(void **state) {
    (void) state;
    static const struct row rows[] = {
        {DIAGNOSTIC_PARTITIONS_NO_POWER, false, "  profile: ha\n  broker: {partitions: 4096}\n"},
        {DIAGNOSTIC_PARTITIONS_NO_POWER, true, "  profile: ha\n  broker: {partitions: 4094}\n"},
        {DIAGNOSTIC_FEW_PARTITIONS, false, "  profile: ha\n  broker: {replicas: 4, shardActors: 4, partitions: 64}\n"},
        {DIAGNOSTIC_FEW_PARTITIONS, true, "  profile: ha\n  broker: {replicas: 5, shardActors: 4, partitions: 64}\n"},
        {DIAGNOSTIC_TOO_FEW_PARTITIONS, false,
         "  profile: ha\n  broker: {replicas: 16, shardActors: 4, partitions: 64}\n"},
        {DIAGNOSTIC_TOO_FEW_PARTITIONS, true,
         "  profile: ha\n  broker: {replicas: 17, shardActors: 4, partitions: 64}\n"},
        {DIAGNOSTIC_SINGLE_POINT, false, "  profile: ha\n  broker: {replicas: 2}\n"},
        {DIAGNOSTIC_SINGLE_POINT, false, "  profile: small\n  broker: {replicas: 1}\n"},
        {DIAGNOSTIC_SINGLE_POINT, true, "  profile: ha\n  broker: {replicas: 1}\n"},
        {DIAGNOSTIC_EMBEDDED_ONE_BROKER, false, "  profile: dev\n"},
        {DIAGNOSTIC_EMBEDDED_ONE_BROKER, true, "  profile: dev\n  broker: {replicas: 2}\n"},
    };
    JUDGE(rows);
}

static void redis(void **state) {
    (void) state;
    static const struct row rows[] = {
        {DIAGNOSTIC_MAXMEMORY_TOO_LARGE, false,
         "  redis: {resources: {limits: {memory: 1000Mi}, requests: {memory: 1000Mi}}, maxmemory: 600Mi}\n"},
        {DIAGNOSTIC_MAXMEMORY_TOO_LARGE, true,
         "  redis: {resources: {limits: {memory: 1000Mi}, requests: {memory: 1000Mi}}, maxmemory: 601Mi}\n"},
        {DIAGNOSTIC_VOLUME_TOO_SMALL, false, "  redis: {maxmemory: 100Mi, persistence: {size: 300Mi}}\n"},
        {DIAGNOSTIC_VOLUME_TOO_SMALL, true, "  redis: {maxmemory: 100Mi, persistence: {size: 299Mi}}\n"},
        {DIAGNOSTIC_QUORUM_NO_MAJORITY, false, "  profile: ha\n  redis: {sentinel: {replicas: 5, quorum: 3}}\n"},
        {DIAGNOSTIC_QUORUM_NO_MAJORITY, false, "  profile: ha\n  redis: {sentinel: {replicas: 5, quorum: 5}}\n"},
        {DIAGNOSTIC_QUORUM_NO_MAJORITY, true, "  profile: ha\n  redis: {sentinel: {replicas: 5, quorum: 2}}\n"},
        {DIAGNOSTIC_QUORUM_NO_MAJORITY, true, "  profile: ha\n  redis: {sentinel: {replicas: 5, quorum: 6}}\n"},
        {DIAGNOSTIC_MIN_REPLICAS_TOO_MANY, false, "  profile: ha\n  redis: {replicas: 3, minReplicasToWrite: 2}\n"},
        {DIAGNOSTIC_MIN_REPLICAS_TOO_MANY, true, "  profile: ha\n  redis: {replicas: 3, minReplicasToWrite: 3}\n"},
        {DIAGNOSTIC_TWO_DATA_PODS, false, "  profile: ha\n  redis: {replicas: 3, minReplicasToWrite: 1}\n"},
        {DIAGNOSTIC_TWO_DATA_PODS, true, "  profile: ha\n  redis: {replicas: 3, minReplicasToWrite: 2}\n"},
        {DIAGNOSTIC_BUDGET_STOPS_WRITES, false,
         "  profile: ha\n  redis: {replicas: 4, minReplicasToWrite: 2}\n  disruption: {redisPods: 2}\n"},
        {DIAGNOSTIC_BUDGET_STOPS_WRITES, true,
         "  profile: ha\n  redis: {replicas: 4, minReplicasToWrite: 2}\n  disruption: {redisPods: 3}\n"},
        {DIAGNOSTIC_VERSION_TOO_OLD, false, "  redis: {version: \"7.0\"}\n"},
        {DIAGNOSTIC_VERSION_TOO_OLD, true, "  redis: {version: \"6.2\"}\n"},
        {DIAGNOSTIC_VERSION_TOO_OLD, false, "  redis: {engine: valkey, version: \"7.2\"}\n"},
        {DIAGNOSTIC_VERSION_TOO_OLD, true, "  redis: {engine: valkey, version: \"7.1\"}\n"},
    };
    JUDGE(rows);
}

static void edges_and_places(void **state) {
    (void) state;
#define EDGE(class, idle) "  edge: {kind: ingress, class: " class ", hosts: [a.example.com], idleTimeout: " idle "}\n"
    static const struct row rows[] = {
        {DIAGNOSTIC_IDLE_BELOW_PING, false, EDGE("haproxy", "50s")},
        {DIAGNOSTIC_IDLE_BELOW_PING, true, EDGE("haproxy", "49s")},
        {DIAGNOSTIC_OUT_OF_BOUNDS, false, EDGE("alb", "4000s")},
        {DIAGNOSTIC_OUT_OF_BOUNDS, true, EDGE("alb", "4001s")},
        {DIAGNOSTIC_LIFETIME_TIMEOUT, false, EDGE("gce", "24h")},
        {DIAGNOSTIC_LIFETIME_TIMEOUT, false, EDGE("gce", "1h")},
        {DIAGNOSTIC_LIFETIME_TIMEOUT, true, EDGE("gce", "23h")},
        {DIAGNOSTIC_SPREAD_IMPOSSIBLE, false, "  profile: ha\n  scheduling: {spread: {node: required}, nodes: 3}\n"},
        {DIAGNOSTIC_SPREAD_IMPOSSIBLE, true, "  profile: ha\n  scheduling: {spread: {node: required}, nodes: 2}\n"},
        {DIAGNOSTIC_SPREAD_IMPOSSIBLE, false, "  profile: ha\n  scheduling: {spread: {zone: required}}\n"},
        {DIAGNOSTIC_SPREAD_IMPOSSIBLE, false, "  profile: ha\n  scheduling: {spread: {zone: required}, zones: 2}\n"},
        {DIAGNOSTIC_SPREAD_IMPOSSIBLE, true, "  profile: ha\n  scheduling: {spread: {zone: required}, zones: 1}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, false, "  profile: ha\n  scheduling: {nodes: 3, zones: 3}\n"},
        {DIAGNOSTIC_OUT_OF_BOUNDS, true, "  profile: ha\n  scheduling: {nodes: 3, zones: 4}\n"},
        {DIAGNOSTIC_BUDGET_BLOCKS_DRAINS, false, "  disruption: {gatewayPercent: 1, brokerPods: 1, redisPods: 1}\n"},
        {DIAGNOSTIC_BUDGET_BLOCKS_DRAINS, true, "  disruption: {redisPods: 0}\n"},
        {DIAGNOSTIC_KUBERNETES_TOO_OLD, false, "  kubernetes: {version: \"1.25\"}\n"},
        {DIAGNOSTIC_KUBERNETES_TOO_OLD, true, "  kubernetes: {version: \"1.24\"}\n"},
        {DIAGNOSTIC_LIMIT_BELOW_REQUEST, false, "  gateway: {resources: {requests: {cpu: 2}, limits: {cpu: 2}}}\n"},
        {DIAGNOSTIC_LIMIT_BELOW_REQUEST, true, "  gateway: {resources: {requests: {cpu: 2}, limits: {cpu: 1999m}}}\n"},
        {DIAGNOSTIC_LIMIT_BELOW_REQUEST, false,
         "  broker: {resources: {requests: {memory: 1Gi}, limits: {memory: 1Gi}}}\n"},
        {DIAGNOSTIC_LIMIT_BELOW_REQUEST, true,
         "  broker: {resources: {requests: {memory: 1Gi}, limits: {memory: 1023Mi}}}\n"},
    };
    JUDGE(rows);
}

static void nodes_with_a_transaction_log(void **state) {
    (void) state;
    static const char *const families[] = {"r6g", "r7g", "r8g", "m6g", "m7g", "m8g", "c7gn", "c8gn"};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        char spec[256];
        snprintf(spec, sizeof spec, ELASTICACHE "cache.%s.large}}\n", families[i]);
        assert_int_equal(count_told(DIAGNOSTIC_DURABILITY_PRECONDITION, spec), 0);
    }
    assert_int_equal(count_told(DIAGNOSTIC_DURABILITY_PRECONDITION, ELASTICACHE "cache.t4g.small}}\n"), 1);
    assert_int_equal(count_told(DIAGNOSTIC_DURABILITY_PRECONDITION, ELASTICACHE "cache.r5.large}}\n"), 1);
    assert_int_equal(count_told(DIAGNOSTIC_DURABILITY_PRECONDITION,
                                ELASTICACHE "cache.r7g.large, clusterMode: false, multiAz: false, replicasPerShard: 0, "
                                            "tls: {enabled: false}}}\n"),
                     4);
}

/* A key of the program's that other fields decide, set beside them: gateway.yaml and broker.yaml would have it twice.
 */
static void keys_that_other_fields_decide_are_refused(void **state) {
    (void) state;
    static const char *const keys[] = {
        "gateway.config: {gateway: {id: a}}",
        "gateway.config: {http: {address: a}}",
        "gateway.config: {http: {port: 1}}",
        "gateway.config: {http: {allowed_origins: [\"*\"]}}",
        "gateway.config: {http: {tls_certificate_file: a}}",
        "gateway.config: {http: {tls_key_file: a}}",
        "gateway.config: {internal: {address: a}}",
        "gateway.config: {internal: {port: 1}}",
        "gateway.config: {internal: {token_file: a}}",
        "gateway.config: {token: {secret: a}}",
        "gateway.config: {token: {public_key_file: a}}",
        "gateway.config: {brokers: {endpoints: [a]}}",
        "gateway.config: {brokers: {curve_key_file: a}}",
        "gateway.config: {brokers: {curve_broker_key: a}}",
        "gateway.config: {client: {connections_max: 1}}",
        "gateway.config: {client: {connection_age_max: 1h}}",
        "gateway.config: {drain: {delay: 1s}}",
        "gateway.config: {drain: {window: 1s}}",
        "gateway.config: {namespaces: []}",
        "broker.config: {broker: {id: a}}",
        "broker.config: {broker: {shards: 1}}",
        "broker.config: {broker: {partitions: 64}}",
        "broker.config: {broker: {endpoint: a}}",
        "broker.config: {broker: {curve_key_file: a}}",
        "broker.config: {broker: {curve_allowed_dir: a}}",
        "broker.config: {backend: {endpoint: a}}",
        "broker.config: {backend: {pull_endpoint: a}}",
        "broker.config: {backend: {curve_key_file: a}}",
        "broker.config: {backend: {curve_allowed_dir: a}}",
        "broker.config: {redis: {url: a}}",
        "broker.config: {redis: {user: a}}",
        "broker.config: {redis: {password_file: a}}",
        "broker.config: {redis: {sentinel_user: a}}",
        "broker.config: {redis: {sentinel_password: a}}",
        "broker.config: {redis: {tls_ca_file: a}}",
        "broker.config: {redis: {tls_certificate_file: a}}",
        "broker.config: {redis: {tls_key_file: a}}",
        "broker.config: {internal: {address: a}}",
        "broker.config: {internal: {port: 1}}",
        "broker.config: {internal: {token: a}}",
        "broker.config: {namespaces: []}",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *dot = strchr(keys[i], '.');
        char spec[256];
        snprintf(spec, sizeof spec, "  profile: ha\n  %.*s: {%s}\n", (int) (dot - keys[i]), keys[i], dot + 1);
        if (count_told(DIAGNOSTIC_MANAGED_KEY, spec) != 1) {
            fail_msg("CB%u is not told once of\n%s", diagnostic_meaning_of(DIAGNOSTIC_MANAGED_KEY)->number, spec);
        }
    }
    assert_int_equal(count_told(DIAGNOSTIC_MANAGED_KEY, "  gateway: {config: {client: {ping_interval: 20s}}}\n"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gateways),
        cmocka_unit_test(brokers),
        cmocka_unit_test(redis),
        cmocka_unit_test(edges_and_places),
        cmocka_unit_test(nodes_with_a_transaction_log),
        cmocka_unit_test(keys_that_other_fields_decide_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
