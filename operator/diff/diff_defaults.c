/* What the API server fills in, by the end of the path where it does. Only what our objects may leave out or a person
 * may write beside them; indices and names in brackets are cut away before (spec.template.spec.containers[].image).
 * tests/cluster/test_live.py holds it to a real server. What the server fills in as a list, or from another value
 * (policyTypes, a Service's targetPort), render writes out. */
#include "operator/diff/diff_parts.h"

#include "operator/spec/spec_amount.h"

#include <string.h>

static const struct {
    const char *kind; /* NULL: any */
    const char *end;
    const char *value;
} defaults[] = {
    {NULL, "ports[].protocol", "TCP"},
    {NULL, "httpGet.scheme", "HTTP"},
    {NULL, "Probe.successThreshold", "1"},
    {NULL, "Probe.failureThreshold", "3"},
    {NULL, "Probe.timeoutSeconds", "1"},
    {NULL, "Probe.periodSeconds", "10"},
    {NULL, "configMap.defaultMode", "420"},
    {NULL, "secret.defaultMode", "420"},
    {NULL, "projected.defaultMode", "420"},
    {NULL, "downwardAPI.defaultMode", "420"},
    {NULL, "serviceAccountToken.expirationSeconds", "3600"},
    {NULL, "configMap.optional", "false"},
    {NULL, "secret.optional", "false"},
    {NULL, "fieldRef.apiVersion", "v1"},
    {NULL, "volumeMounts[].readOnly", "false"},
    {NULL, "template.spec.restartPolicy", "Always"},
    {NULL, "template.spec.dnsPolicy", "ClusterFirst"},
    {NULL, "template.spec.schedulerName", "default-scheduler"},
    {NULL, "template.spec.terminationGracePeriodSeconds", "30"},
    {NULL, "template.spec.enableServiceLinks", "true"},
    {NULL, "template.spec.automountServiceAccountToken", "true"},
    {NULL, "ontainers[].terminationMessagePath", "/dev/termination-log"},
    {NULL, "ontainers[].terminationMessagePolicy", "File"},
    {NULL, "ontainers[].imagePullPolicy", "IfNotPresent"},
    {NULL, "spec.revisionHistoryLimit", "10"},
    {"Deployment", "spec.strategy.type", "RollingUpdate"},
    {"Deployment", "spec.strategy.rollingUpdate.maxSurge", "25%"},
    {"Deployment", "spec.strategy.rollingUpdate.maxUnavailable", "25%"},
    {NULL, "spec.progressDeadlineSeconds", "600"},
    {NULL, "spec.minReadySeconds", "0"},
    {NULL, "spec.podManagementPolicy", "OrderedReady"},
    {NULL, "spec.updateStrategy.type", "RollingUpdate"},
    {NULL, "updateStrategy.rollingUpdate.partition", "0"},
    {NULL, "persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain"},
    {NULL, "persistentVolumeClaimRetentionPolicy.whenScaled", "Retain"},
    {NULL, "volumeClaimTemplates[].spec.volumeMode", "Filesystem"},
    {NULL, "spec.sessionAffinity", "None"},
    {NULL, "spec.publishNotReadyAddresses", "false"},
    {NULL, "spec.internalTrafficPolicy", "Cluster"},
    {"Service", "spec.type", "ClusterIP"},
    {"Service", "spec.allocateLoadBalancerNodePorts", "true"},
    {"Service", "spec.externalTrafficPolicy", "Cluster"},
    {"PodMonitor", "relabelings[].action", "replace"},
    {NULL, "spec.concurrencyPolicy", "Allow"},
    {NULL, "spec.suspend", "false"},
    {"CronJob", "spec.successfulJobsHistoryLimit", "3"},
    {"CronJob", "spec.failedJobsHistoryLimit", "1"},
    {"HorizontalPodAutoscaler", "spec.minReplicas", "1"},
    {"HorizontalPodAutoscaler", "scaleUp.stabilizationWindowSeconds", "0"},
    {"HorizontalPodAutoscaler", "scaleUp.selectPolicy", "Max"},
    {"HorizontalPodAutoscaler", "scaleDown.selectPolicy", "Max"},
    {"HTTPRoute", "parentRefs[].group", "gateway.networking.k8s.io"},
    {"HTTPRoute", "parentRefs[].kind", "Gateway"},
    {"HTTPRoute", "backendRefs[].group", ""},
    {"HTTPRoute", "backendRefs[].kind", "Service"},
    {"HTTPRoute", "backendRefs[].weight", "1"},
};

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    size_t end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

/* containers[gateway] becomes containers[]. */
static void strip(const char *path, char *ret_path, size_t size) {
    size_t n = 0;
    bool is_inside = false;
    for (const char *at = path; *at != '\0' && n + 1 < size; at++) {
        is_inside = is_inside && *at != ']';
        if (!is_inside) {
            ret_path[n++] = *at;
        }
        is_inside = is_inside || *at == '[';
    }
    ret_path[n] = '\0';
}

const char *diff_default_of(const char *kind, const char *path) {
    char stripped[512];
    strip(path, stripped, sizeof stripped);
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        bool is_kind = defaults[i].kind == NULL || strcmp(defaults[i].kind, kind) == 0;
        if (is_kind && ends_with(stripped, defaults[i].end)) {
            return defaults[i].value;
        }
    }
    return NULL;
}

bool diff_is_same_amount(const char *path, const char *a, const char *b) {
    int64_t amount_a;
    int64_t amount_b;
    bool is_cpu = ends_with(path, "requests.cpu") || ends_with(path, "limits.cpu");
    bool is_memory = ends_with(path, "requests.memory") || ends_with(path, "limits.memory") ||
                     ends_with(path, "requests.storage") || ends_with(path, "sizeLimit");
    if (is_cpu) {
        return spec_cpu_parse(span_of_text(a), &amount_a) && spec_cpu_parse(span_of_text(b), &amount_b) &&
               amount_a == amount_b;
    }
    return is_memory && spec_memory_parse(span_of_text(a), &amount_a) &&
           spec_memory_parse(span_of_text(b), &amount_b) && amount_a == amount_b;
}
