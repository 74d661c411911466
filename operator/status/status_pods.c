/* Why a pod is not ready: the kubelet's and scheduler's own words, the worst first.
 *
 *     being deleted · nowhere to run · a container that waits (image, configuration, crashes) or was killed · its probe
 */
#include "operator/status/status_parts.h"

#include <string.h>

static const manifest_t *condition(const manifest_t *pod, const char *type) {
    const manifest_t *list = manifest_find(pod, "status.conditions");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        if (strcmp(status_text_at(manifest_at(list, i), "type"), type) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

static bool is_false(const manifest_t *item) {
    return item != NULL && strcmp(status_text_at(item, "status"), "False") == 0;
}

static const char *mend_of_waiting(arena_t *arena, const manifest_t *pod, const char *container, const char *reason) {
    const char *namespace = status_text_at(pod, "metadata.namespace");
    const char *name = status_text_at(pod, "metadata.name");
    if (strstr(reason, "Image") != NULL) {
        return "image.repository, image.tag, or a Secret of image.pullSecrets is wrong, or the registry is away";
    }
    if (strcmp(reason, "CreateContainerConfigError") == 0) {
        return "a Secret or ConfigMap, or a key of it, is missing: callboard-operator secret makes ours";
    }
    return arena_format(arena, "kubectl logs -n %s %s -c %s --previous", namespace, name, container);
}

static const char *of_container(arena_t *arena, const manifest_t *pod, const manifest_t *status,
                                const char **ret_mend) {
    const char *container = status_text_at(status, "name");
    const char *waiting = status_text_at(status, "state.waiting.reason");
    const char *ended = status_text_at(status, "lastState.terminated.reason");
    int64_t restarts = status_int_at(status, "restartCount", 0);
    if (strcmp(ended, "OOMKilled") == 0 && !status_bool_at(status, "ready")) {
        *ret_mend = "give it more memory (resources.limits.memory), or less to do";
        return arena_format(arena, "%s was killed for its memory (%lld restarts)", container, (long long) restarts);
    }
    if (waiting[0] != '\0' && strcmp(waiting, "PodInitializing") != 0 && strcmp(waiting, "ContainerCreating") != 0) {
        *ret_mend = mend_of_waiting(arena, pod, container, waiting);
        const char *message = status_text_at(status, "state.waiting.message");
        return arena_format(arena, "%s: %s%s%.160s", container, waiting, message[0] == '\0' ? "" : ": ", message);
    }
    return "";
}

static const char *of_containers(arena_t *arena, const manifest_t *pod, const char **ret_mend) {
    static const char *const lists[] = {"status.initContainerStatuses", "status.containerStatuses"};
    for (size_t k = 0; k < 2; k++) {
        const manifest_t *list = manifest_find(pod, lists[k]);
        for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
            const char *reason = of_container(arena, pod, manifest_at(list, i), ret_mend);
            if (reason[0] != '\0') {
                return reason;
            }
        }
    }
    return "";
}

const char *status_pod_reason(arena_t *arena, const manifest_t *pod, const char **ret_mend) {
    const manifest_t *scheduled = condition(pod, "PodScheduled");
    const manifest_t *ready = condition(pod, "Ready");
    *ret_mend = "";
    if (status_text_at(pod, "metadata.deletionTimestamp")[0] != '\0') {
        return "is being deleted";
    }
    if (is_false(scheduled)) {
        *ret_mend = "add nodes, or ask for less: requests, nodeSelector, spread, and the zone of its volume decide";
        return arena_format(arena, "no node takes it: %.200s", status_text_at(scheduled, "message"));
    }
    const char *reason = of_containers(arena, pod, ret_mend);
    if (reason[0] != '\0') {
        return reason;
    }
    if (ready != NULL && strcmp(status_text_at(ready, "status"), "True") == 0) {
        return "";
    }
    *ret_mend = arena_format(arena, "kubectl describe pod -n %s %s", status_text_at(pod, "metadata.namespace"),
                             status_text_at(pod, "metadata.name"));
    const char *message = ready == NULL ? "" : status_text_at(ready, "message");
    return message[0] == '\0' ? "is starting" : arena_format(arena, "%.200s", message);
}
