/* What the API server fills in, by the end of the path where it does. Only what our objects may leave out or a person
 * may write beside them; indices and names in brackets are cut away before (spec.template.spec.containers[].image). */
#include "operator/diff/diff_parts.h"

#include "operator/spec/spec_amount.h"

#include <string.h>

static const struct {
    const char *end;
    const char *value;
} defaults[] = {
    {"ports[].protocol", "TCP"},
    {"httpGet.scheme", "HTTP"},
    {"Probe.successThreshold", "1"},
    {"Probe.failureThreshold", "3"},
    {"Probe.timeoutSeconds", "1"},
    {"Probe.periodSeconds", "10"},
    {"configMap.defaultMode", "420"},
    {"secret.defaultMode", "420"},
    {"configMap.optional", "false"},
    {"secret.optional", "false"},
    {"fieldRef.apiVersion", "v1"},
    {"volumeMounts[].readOnly", "false"},
    {"template.spec.restartPolicy", "Always"},
    {"template.spec.dnsPolicy", "ClusterFirst"},
    {"template.spec.schedulerName", "default-scheduler"},
    {"template.spec.terminationGracePeriodSeconds", "30"},
    {"template.spec.enableServiceLinks", "true"},
    {"template.spec.automountServiceAccountToken", "true"},
    {"ontainers[].terminationMessagePath", "/dev/termination-log"},
    {"ontainers[].terminationMessagePolicy", "File"},
    {"spec.revisionHistoryLimit", "10"},
    {"spec.progressDeadlineSeconds", "600"},
    {"spec.minReadySeconds", "0"},
    {"spec.podManagementPolicy", "OrderedReady"},
    {"spec.updateStrategy.type", "RollingUpdate"},
    {"updateStrategy.rollingUpdate.partition", "0"},
    {"persistentVolumeClaimRetentionPolicy.whenDeleted", "Retain"},
    {"persistentVolumeClaimRetentionPolicy.whenScaled", "Retain"},
    {"volumeClaimTemplates[].spec.volumeMode", "Filesystem"},
    {"spec.sessionAffinity", "None"},
    {"spec.publishNotReadyAddresses", "false"},
    {"spec.internalTrafficPolicy", "Cluster"},
    {"Service:spec.type", "ClusterIP"},
    {"spec.concurrencyPolicy", "Allow"},
    {"spec.suspend", "false"},
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

const char *diff_default_of(const char *path) {
    char stripped[512];
    strip(path, stripped, sizeof stripped);
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        if (ends_with(stripped, defaults[i].end)) {
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
