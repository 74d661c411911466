/* The page of `status`: what it shows of an installation, which error comes first, and that what is not known is
 * neither well nor wrong. */
#include "operator/manifest/manifest_emit.h"
#include "operator/status/status.h"
#include "operator/status/status_certificate.h"
#include "operator/status/status_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* CN=shop, in base64 of PEM, and when it expires. */
#define CERTIFICATE                                                                                                    \
    "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJkRENDQVJtZ0F3SUJBZ0lVT0JMSzdWR0o0aDBqZERqY0NaOUZ6dkcyY2M0"             \
    "d0NnWUlLb1pJemowRUF3SXcKRHpFTk1Bc0dBMVVFQXd3RWMyaHZjREFlRncweU5qRXhNamt4TURRME1UaGFGdzB5TmpFeU1qa3hN"             \
    "RFEwTVRoYQpNQTh4RFRBTEJnTlZCQU1NQkhOb2IzQXdXVEFUQmdjcWhrak9QUUlCQmdncWhrak9QUU1CQndOQ0FBVDN3V29nCmJI"             \
    "eS96ZlRxeTRleFRZTVA0RHZCbGtCdmZpVU5MUlZPR09rZk84aERmeEg2VW1QNlFDUzVYUkwyRk5ueDNOZlYKeFBqaUlpMmdNekRs"             \
    "RjZlQ28xTXdVVEFkQmdOVkhRNEVGZ1FVWHM0Q2NXRzZjTzJCSm50bTlmek8wMDd3MTRzdwpId1lEVlIwakJCZ3dGb0FVWHM0Q2NX"             \
    "RzZjTzJCSm50bTlmek8wMDd3MTRzd0R3WURWUjBUQVFIL0JBVXdBd0VCCi96QUtCZ2dxaGtqT1BRUURBZ05KQURCR0FpRUF6cmRU"             \
    "cjJ1SGxzaWo5Qk5RWFkzYW1QeWdmakNsZ2tIQWFOSVoKUlJCRXFWOENJUURpc1Z3U0d5UHYyellSVUQ1N1pHQlVUN1RLbTVSRFJ1"             \
    "Qy96M1VHd2RUMTdnPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
static const int64_t certificate_ms = 1798541058000LL;

enum { ANSWERS_MAX = 32 };

static arena_t *arena;
static struct buffer out;
static struct status_answer answers[ANSWERS_MAX];
static struct status_input input;

static void refuse(void *context, const struct config_yaml_error *error) {
    (void) context;
    fail_msg("%u:%u: %s", error->line, error->column, error->text);
}

static void add(const char *text) {
    struct config_yaml_errors errors = {.on_error = refuse};
    config_node_t *root = config_yaml_read(span_of_text(text), &errors);
    assert_non_null(root);
    manifests_append((manifests_t *) input.objects, manifest_of_yaml(arena, root));
    config_node_destroy(&root);
}

static void add_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void add_format(const char *format, ...) {
    char text[4096];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    add(text);
}

static void says(const char *pod, const char *page, const char *text) {
    for (size_t i = 0; i < input.n_answers; i++) { /* it says another thing now */
        if (strcmp(answers[i].pod, pod) == 0 && strcmp(answers[i].page, page) == 0) {
            answers[i] = (struct status_answer){pod, page, span_of_text(text), NULL};
            return;
        }
    }
    answers[input.n_answers++] = (struct status_answer){pod, page, span_of_text(text), NULL};
}

static const manifest_t *page_of(void) {
    manifest_t *page = status_make(arena, &input);
    buffer_clear(&out);
    status_print_text(page, false, &out);
    buffer_append_char(&out, '\0');
    return page;
}

static void assert_shown(const char *part) {
    (void) page_of();
    if (strstr((const char *) out.data, part) == NULL) {
        fail_msg("%s\nis not in\n%s", part, (const char *) out.data);
    }
}

/* The last line: what is wrong first. */
static void assert_first(const char *what) {
    char line[1024];
    snprintf(line, sizeof line, "\nnot healthy, first %s", what);
    assert_false(status_is_healthy(page_of()));
    const char *found = strstr((const char *) out.data, line);
    if (found == NULL) {
        fail_msg("%s\nis not in\n%s", line, (const char *) out.data);
    }
    assert_string_equal(strchr(found + 1, '\n'), "\n"); /* nothing behind it */
}

static void assert_healthy(const char *last) {
    bool is_healthy = status_is_healthy(page_of());
    size_t size = strlen(last);
    if (!is_healthy || strcmp((const char *) out.data + out.size - 1 - size, last) != 0) {
        fail_msg("%s\nis not the end of\n%s", last, (const char *) out.data);
    }
}

/* ---- an installation ---- */

#define LABELS(component) "labels: {app.kubernetes.io/component: " component "}"

static void add_workload(const char *kind, const char *component, int replicas, int ready, const char *mode) {
    add_format(
        "{kind: %s, metadata: {name: shop-%s, namespace: push, generation: 2, labels: {app.kubernetes.io/component: "
        "%s}}, spec: {replicas: %d, template: {spec: {containers: [{name: c, env: [{name: CALLBOARD_AGENT_MODE, "
        "value: %s}]}]}}}, status: {observedGeneration: 2, replicas: %d, readyReplicas: %d, updatedReplicas: %d}}",
        kind, component, component, replicas, mode, replicas, ready, replicas);
}

static void add_pod(const char *component, const char *name, int address, const char *status) {
    add_format("{kind: Pod, metadata: {name: %s, namespace: push, labels: {app.kubernetes.io/component: %s}}, spec: "
               "{nodeName: node-1}, status: {phase: Running, podIP: 10.0.0.%d, %s}}",
               name, component, address, status);
}

#define READY "conditions: [{type: Ready, status: \"True\"}]"
#define PRIMARY(more)                                                                                                  \
    "{\"ok\":true,\"reason\":\"primary\",\"mode\":\"replicated\",\"ordinal\":0,\"version\":\"7.2.4\",\"role\":"        \
    "\"primary\","                                                                                                     \
    "\"offset\":5000,\"replicas\":2,\"aof\":\"ok\",\"rdb\":\"ok\",\"loading\":false,\"keys\":120,\"memory_bytes\":"    \
    "2000000,"                                                                                                         \
    "\"memory_max_bytes\":100000000,\"evicted\":0,\"disk_bytes\":1000000,\"disk_free_bytes\":960000" more "}"
#define REPLICA(primary, offset, more)                                                                                 \
    "{\"ok\":true,\"reason\":\"replica in sync\",\"mode\":\"replicated\",\"role\":\"replica\",\"primary\":\"" primary  \
    "\",\"link_up\":true,\"syncing\":false,\"offset\":" offset ",\"aof\":\"ok\",\"rdb\":\"ok\",\"keys\":120,"          \
    "\"memory_bytes\":2000000,\"disk_bytes\":1000000,\"disk_free_bytes\":960000" more "}"
#define SENTINEL(primary, quorum)                                                                                      \
    "{\"ok\":true,\"reason\":\"sentinel with a "                                                                       \
    "quorum\",\"mode\":\"sentinel\",\"set\":\"callboard\",\"quorum_reached\":" quorum ",\"primary\":\"" primary        \
    "\",\"flags\":\"master\",\"replicas\":2,\"sentinels\":3,\"quorum\":2}"
#define BROKER(id, more)                                                                                               \
    "{\"status\":\"ok\",\"broker\":\"" id "\",\"connections\":{\"gateway_workers\":4},\"redis\":{\"connected\":true,"  \
    "\"pubsub_connected\":true,\"mode\":\"redis\"" more "}}"
#define GATEWAY(status, sockets)                                                                                       \
    "{\"status\":\"" status "\",\"connections\":{\"total\":9,\"local\":" sockets ",\"alive\":1,\"dead\":0},"           \
    "\"redis\":{\"connected\":true}}"

static void install(void) {
    static const char *const names[] = {"shop-redis-0", "shop-redis-1", "shop-redis-2"};
    static const char *const sentinels[] = {"shop-sentinel-0", "shop-sentinel-1", "shop-sentinel-2"};
    add_workload("Deployment", "gateway", 1, 1, "");
    add_workload("StatefulSet", "broker", 2, 2, "");
    add_workload("StatefulSet", "redis", 3, 3, "replicated");
    add_workload("StatefulSet", "sentinel", 3, 3, "sentinel");
    add_pod("gateway", "shop-gateway-x", 1, READY);
    add_pod("broker", "shop-broker-0", 2, READY);
    add_pod("broker", "shop-broker-1", 3, READY);
    says("shop-gateway-x", "/health", GATEWAY("ok", "7"));
    says("shop-gateway-x", "/metrics",
         "# HELP callboard_gateway_deliveries_total x\ncallboard_gateway_deliveries_total{worker=\"0\"} 40\n"
         "callboard_gateway_deliveries_total{worker=\"1\"} 2\ncallboard_gateway_deliveries_total_other 9\n"
         "callboard_websocket_messages_received_total 11\n");
    says("shop-broker-0", "/health", BROKER("shop-broker-0", ""));
    says("shop-broker-1", "/health", BROKER("shop-broker-1", ""));
    says("shop-broker-0", "/info", "{\"shards\":2,\"channels\":5,\"partitions\":256}");
    for (int i = 0; i < 3; i++) {
        add_pod("redis", names[i], 10 + i, READY);
        add_pod("sentinel", sentinels[i], 20 + i, READY);
        says(names[i], "/status",
             i == 0 ? PRIMARY("") : REPLICA("shop-redis-0.shop-redis-pods.push.svc:6379", "4900", ""));
        says(sentinels[i], "/status", SENTINEL("10.0.0.10:6379", "true"));
    }
    add("{kind: PersistentVolumeClaim, metadata: {name: data-shop-redis-0}, spec: {resources: {requests: {storage: "
        "1Gi}}}, "
        "status: {phase: Bound, capacity: {storage: 1Gi}}}");
    add("{kind: Secret, metadata: {name: shop-tls}, data: {tls.crt: " CERTIFICATE "}}");
    input.now_ms = certificate_ms - 20LL * 86400000;
}

static void a_well_one_is_shown_on_a_page(void **state) {
    (void) state;
    install();
    assert_healthy("\nhealthy\n");
    assert_shown("  Deployment/shop-gateway                      1       1       1\n");
    assert_shown("  shop-gateway-x                                ok        7           11           42\n");
    assert_shown("  shop-redis-0                           primary; 120 keys, 1953 KiB of 95 MiB; aof ok, rdb ok; "
                 "volume 4 % used\n");
    assert_shown("  shop-redis-2                           replica of shop-redis-0, 100 B behind; 120 keys");
    assert_shown("  shop-sentinel-1                        names shop-redis-0, knows 2 replicas and 3 Sentinels; "
                 "quorum reached\n");
    assert_shown("  data-shop-redis-0                      Bound 1Gi, 4 % used\n");
    assert_shown("(20 days)\n");
    assert_shown("drift: not compared; -f SPEC does");
    const manifest_t *brokers = manifest_get(page_of(), "brokers");
    int64_t first = status_int_at(manifest_at(brokers, 0), "partitions", 0);
    int64_t second = status_int_at(manifest_at(brokers, 1), "partitions", 0);
    assert_int_equal(first + second, 256); /* each is somebody's */
    assert_true(first > 64 && second > 64);
}

static void rates_are_of_the_page_before(void **state) {
    (void) state;
    install();
    const manifest_t *before = page_of();
    input.before = before;
    input.now_ms += 2000;
    says("shop-gateway-x", "/metrics",
         "callboard_gateway_deliveries_total 142\ncallboard_websocket_messages_received_total 11\n");
    assert_shown("          11 (0/s)          142 (50/s)\n");
    says("shop-gateway-x", "/metrics", "callboard_gateway_deliveries_total 3\n"); /* it was started anew */
    assert_shown("           -            3\n");
}

/* ---- Redis ---- */

static void who_is_primary_is_judged_first(void **state) {
    (void) state;
    install();
    says("shop-redis-0", "/status", REPLICA("shop-redis-1.x:6379", "1", ""));
    assert_first("redis: no pod is primary: nothing is written");
    says("shop-redis-0", "/status", PRIMARY(""));
    says("shop-redis-1", "/status", PRIMARY(""));
    assert_first("redis: 2 pods say that they are primary");
    says("shop-redis-0", "/status", REPLICA("shop-redis-1:6379", "4900", ""));
    assert_first("redis: 3 of 3 Sentinels name shop-redis-0 as primary, but shop-redis-1 is");
    for (size_t i = 0; i < input.n_answers; i++) {
        if (strstr(answers[i].pod, "sentinel") != NULL) {
            answers[i].text = span_of_text(SENTINEL("10.0.0.11:6379", "false"));
        }
    }
    assert_first("sentinels: no Sentinel finds a quorum");
}

static void one_silent_pod_is_no_reason_to_call_for_a_primary(void **state) {
    (void) state;
    install();
    says("shop-redis-0", "/status", REPLICA("shop-redis-1.x:6379", "1", ""));
    for (size_t i = 0; i < input.n_answers; i++) {
        if (strcmp(answers[i].pod, "shop-redis-1") == 0) {
            answers[i].trouble = "it did not answer";
        }
    }
    assert_true(status_is_healthy(page_of())); /* it may be the primary: not known */
    assert_shown("  shop-redis-1                           not known: it did not answer\n");
}

static void what_stops_writes_is_an_error_and_what_the_next_failure_loses_a_warning(void **state) {
    (void) state;
    static const struct {
        const char *status;
        const char *told;
        bool is_error;
    } cases[] = {
        {PRIMARY(",\"aof\":\"err\""), "shop-redis-0: its append-only file cannot be written: writes are refused", true},
        {PRIMARY(",\"rdb\":\"err\""), "shop-redis-0: its last snapshot failed", false},
        {PRIMARY(",\"memory_bytes\":100000000"), "shop-redis-0: its memory is full", true},
        {PRIMARY(",\"memory_bytes\":91000000"), "shop-redis-0: 91 % of maxmemory are used", false},
        {PRIMARY(",\"disk_free_bytes\":40000"), "shop-redis-0: 4 % of its volume are free", true},
        {PRIMARY(",\"disk_free_bytes\":140000"), "shop-redis-0: 14 % of its volume are free", false},
        {PRIMARY(",\"evicted\":3"), "shop-redis-0: it has thrown keys away", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (i == 0) {
            install();
        }
        says("shop-redis-0", "/status", cases[i].status);
        assert_shown(cases[i].told);
        assert_int_equal(status_is_healthy(page_of()), !cases[i].is_error);
    }
    says("shop-redis-0", "/status", PRIMARY(""));
    says("shop-redis-1", "/status", REPLICA("10.0.0.10:6379", "1", ",\"link_up\":false"));
    assert_shown("warning shop-redis-1: its link to its primary is down");
    says("shop-redis-2", "/status", REPLICA("10.0.0.10:6379", "1", ",\"syncing\":true"));
    assert_shown("warning shop-redis-0: no replica of it is in sync: if it dies now, writes are lost");
}

static void slots_of_nobody_are_an_error(void **state) {
    (void) state;
    add_workload("Deployment", "gateway", 1, 1, "");
    add_workload("StatefulSet", "redis", 2, 2, "cluster");
    add_pod("redis", "shop-redis-0", 10, READY);
    add_pod("redis", "shop-redis-1", 11, READY);
    says("shop-redis-0", "/status", PRIMARY(",\"cluster\":{\"state\":\"ok\",\"slots\":16384,\"slots_ok\":16384}"));
    says("shop-redis-1", "/status", REPLICA("10.0.0.10:6379", "5000", ""));
    assert_healthy("\nhealthy\n");
    assert_shown("primary, 16384 slots; ");
    says("shop-redis-0", "/status", PRIMARY(",\"cluster\":{\"state\":\"fail\",\"slots\":5461,\"slots_ok\":5461}"));
    assert_first("redis: 5461 of 16384 slots are served");
}

/* ---- programs ---- */

static void what_programs_say_is_told(void **state) {
    (void) state;
    install();
    says("shop-broker-1", "/health",
         "{\"status\":\"degraded\",\"broker\":\"shop-broker-1\",\"connections\":{\"gateway_workers\":4},\"redis\":"
         "{\"connected\":false,\"mode\":\"redis\",\"reason\":\"connection "
         "refused\",\"findings\":[{\"id\":\"redis.eviction\","
         "\"severity\":\"warning\"}]}}");
    says("shop-gateway-x", "/health", GATEWAY("degraded", "7"));
    assert_first("shop-broker-1: does not reach Redis: connection refused");
    assert_shown("error gateways: 1 of 1 see no broker");
    assert_shown("warning shop-broker-1: it finds redis.eviction; callboardctl doctor");
    says("shop-broker-1", "/health", BROKER("shop-broker-1", ""));
    says("shop-gateway-x", "/health", GATEWAY("stalled", "7"));
    assert_first("shop-gateway-x: a thread of it has not come round; kubectl delete pod -n push shop-gateway-x");
}

/* ---- pods ---- */

static void a_pod_that_is_not_ready_says_why(void **state) {
    (void) state;
    static const struct {
        const char *status;
        const char *reason;
        const char *mend;
    } cases[] = {
        {"conditions: [{type: PodScheduled, status: \"False\", message: 0/3 nodes are available}]",
         "no node takes it: 0/3 nodes are available", "add nodes"},
        {"containerStatuses: [{name: c, state: {waiting: {reason: CrashLoopBackOff, message: back-off 40s}}}]",
         "c: CrashLoopBackOff: back-off 40s", "kubectl logs -n push shop-gateway-y -c c --previous"},
        {"containerStatuses: [{name: c, state: {waiting: {reason: ImagePullBackOff}}}]", "c: ImagePullBackOff",
         "image.repository"},
        {"initContainerStatuses: [{name: i, state: {waiting: {reason: CreateContainerConfigError, message: no "
         "secret}}}]",
         "i: CreateContainerConfigError: no secret", "a Secret or ConfigMap, or a key of it, is missing"},
        {"containerStatuses: [{name: c, restartCount: 3, ready: false, lastState: {terminated: {reason: OOMKilled}}}]",
         "c was killed for its memory (3 restarts)", "give it more memory"},
        {"conditions: [{type: Ready, status: \"False\", message: containers are unready}]", "containers are unready",
         "kubectl describe pod -n push shop-gateway-y"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char told[512];
        input.objects = manifests_new(arena);
        add_workload("Deployment", "gateway", 2, 1, "");
        add_pod("gateway", "shop-gateway-y", 4, cases[i].status);
        snprintf(told, sizeof told, "Deployment/shop-gateway: 1 of 2 pods are ready; shop-gateway-y: %s; %s",
                 cases[i].reason, cases[i].mend);
        assert_first(told);
        snprintf(told, sizeof told, "    shop-gateway-y: %s (on node-1)\n", cases[i].reason);
        assert_shown(told);
    }
}

static void a_roll_is_a_warning_until_it_is_stuck_or_nobody_is_ready(void **state) {
    (void) state;
#define ROLL(ready, more)                                                                                              \
    "{kind: Deployment, metadata: {name: shop-gateway, generation: 3, labels: {app.kubernetes.io/component: "          \
    "gateway}}, "                                                                                                      \
    "spec: {replicas: 3}, status: {observedGeneration: 3, readyReplicas: " ready ", updatedReplicas: 1" more "}}"
    add(ROLL("3", ""));
    assert_healthy("\nhealthy, 1 warning\n");
    assert_shown("warning Deployment/shop-gateway: is being rolled: 1 of 3 pods are renewed");
    input.objects = manifests_new(arena);
    add(ROLL("0", ""));
    assert_first("Deployment/shop-gateway: no pod is ready");
    input.objects = manifests_new(arena);
    add(ROLL("2", ", conditions: [{type: Progressing, status: \"False\", reason: ProgressDeadlineExceeded}]"));
    assert_first("Deployment/shop-gateway: its roll does not go on, 2 of 3 pods are ready");
}

/* ---- what runs out, what is not known ---- */

static void certificates_and_claims_run_out(void **state) {
    (void) state;
    int64_t expires_ms;
    install();
    assert_true(status_certificate_expiry(CERTIFICATE, &expires_ms));
    assert_true(expires_ms == certificate_ms);
    assert_false(status_certificate_expiry("", &expires_ms));
    assert_false(status_certificate_expiry("aGVsbG8=", &expires_ms));
    assert_false(status_certificate_expiry("no base64", &expires_ms));
    input.now_ms = certificate_ms - 3LL * 86400000 - 1;
    assert_healthy("\nhealthy, 1 warning\n");
    assert_shown("warning shop-tls: its certificate expires in 3 days; renew it");
    input.now_ms = certificate_ms;
    assert_first("shop-tls: its certificate has expired");
    input.now_ms = certificate_ms - 20LL * 86400000;
    add("{kind: PersistentVolumeClaim, metadata: {name: data-shop-redis-1}, status: {phase: Pending}}");
    assert_shown("warning data-shop-redis-1: it has no volume yet; kubectl describe pvc -n push data-shop-redis-1");
    add("{kind: PersistentVolumeClaim, metadata: {name: data-shop-redis-2}, status: {phase: Lost}}");
    assert_first("data-shop-redis-2: its volume is gone");
}

static void what_is_denied_is_not_known_and_no_error(void **state) {
    (void) state;
    static const struct status_unknown unknowns[] = {{"what pods say (pods/proxy)", "403: pods/proxy is forbidden"}};
    add_workload("Deployment", "gateway", 1, 1, "");
    add_pod("gateway", "shop-gateway-x", 1, READY);
    answers[0] = (struct status_answer){"shop-gateway-x", "/health", SPAN_EMPTY, "pods/proxy is denied"};
    input.n_answers = 1;
    input.unknowns = unknowns;
    input.n_unknowns = 1;
    assert_healthy("\nhealthy\n");
    assert_shown("  shop-gateway-x                         not known: pods/proxy is denied\n");
    assert_shown("not known: what pods say (pods/proxy): 403: pods/proxy is forbidden\n");
}

static void without_workloads_nothing_is_healthy(void **state) {
    (void) state;
    static const struct status_unknown unknowns[] = {{"Deployment", "403"}};
    assert_first("push/shop: no deployment of this name is installed here");
    input.unknowns = unknowns;
    input.n_unknowns = 1;
    assert_first("push/shop: its workloads may not be listed, so nothing is known of it");
}

static void drift_and_warnings_of_check_are_shown(void **state) {
    (void) state;
    static const char *const warnings[] = {"CB1017 spec.redis.external.url: what goes to Redis can be read on the way"};
    add_workload("Deployment", "gateway", 1, 1, "");
    input.drifts = 0;
    input.warnings = warnings;
    input.n_warnings = 1;
    assert_healthy("\nhealthy\n");
    assert_shown("\ndrift: 0; warnings of check: 1\n  CB1017 spec.redis.external.url");
    input.drifts = 2;
    input.first_drift = "push/Deployment/shop-gateway spec.replicas";
    assert_healthy("\nhealthy, 1 warning\n");
    assert_shown("warning the spec: 2 values were changed beside it, first push/Deployment/shop-gateway spec.replicas; "
                 "callboard-operator check --drift");
}

static void figures_of_metrics_are_summed(void **state) {
    (void) state;
    double sum;
    struct span text =
        SPAN_LITERAL("# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\"} 4.5\nab 9\na_b{x=\"1\"} 9\na\na nothing\na 1");
    assert_true(status_metric(text, "a", NULL, &sum));
    assert_true(sum == 8.5);
    assert_true(status_metric(text, "a", "x=\"2\"", &sum));
    assert_true(sum == 4.5);
    assert_false(status_metric(text, "c", NULL, &sum));
    assert_false(status_metric(SPAN_EMPTY, "a", NULL, &sum));
}

static int begin(void **state) {
    (void) state;
    arena = arena_new();
    buffer_init(&out, 1 << 20);
    input = (struct status_input){.name = "shop", .namespace = "push", .drifts = -1, .answers = answers};
    input.objects = manifests_new(arena);
    return 0;
}

static int end(void **state) {
    (void) state;
    arena_destroy(&arena);
    buffer_finish(&out);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_well_one_is_shown_on_a_page),
        TEST(rates_are_of_the_page_before),
        TEST(who_is_primary_is_judged_first),
        TEST(one_silent_pod_is_no_reason_to_call_for_a_primary),
        TEST(what_stops_writes_is_an_error_and_what_the_next_failure_loses_a_warning),
        TEST(slots_of_nobody_are_an_error),
        TEST(what_programs_say_is_told),
        TEST(a_pod_that_is_not_ready_says_why),
        TEST(a_roll_is_a_warning_until_it_is_stuck_or_nobody_is_ready),
        TEST(certificates_and_claims_run_out),
        TEST(what_is_denied_is_not_known_and_no_error),
        TEST(without_workloads_nothing_is_healthy),
        TEST(drift_and_warnings_of_check_are_shown),
        TEST(figures_of_metrics_are_summed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
