/* Deployments and StatefulSets: how many pods they have, want and have renewed, and what each pod that is not ready
 * waits for. A roll under way is told and is no error, as long as somebody is ready. */
#include "operator/status/status_parts.h"

#include <string.h>

static const char *object_name(arena_t *arena, const manifest_t *object) {
    return arena_format(arena, "%s/%s", status_text_at(object, "kind"), status_text_at(object, "metadata.name"));
}

static void add_pod(struct status *self, manifest_t *list, const manifest_t *pod) {
    const char *mend;
    const char *reason = status_pod_reason(self->arena, pod, &mend);
    if (reason[0] == '\0') {
        return;
    }
    manifest_t *item = manifest_append_map(list);
    manifest_set_text(item, "name", status_text_at(pod, "metadata.name"));
    manifest_set_text(item, "reason", reason);
    manifest_set_text_if(item, "node", status_text_at(pod, "spec.nodeName"));
    manifest_set_text_if(item, "mend", mend);
}

static bool is_stuck(const manifest_t *workload) {
    const manifest_t *list = manifest_find(workload, "status.conditions");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *item = manifest_at(list, i);
        if (strcmp(status_text_at(item, "reason"), "ProgressDeadlineExceeded") == 0) {
            return true;
        }
    }
    return false;
}

/* The first pod that says why, else in general. */
static void tell_missing(struct status *self, const manifest_t *row, const char *what) {
    const manifest_t *pods = manifest_get(row, "not_ready");
    const manifest_t *pod = manifest_count(pods) == 0 ? NULL : manifest_at(pods, 0);
    const char *where = status_text_at(row, "object");
    if (pod == NULL) {
        status_add_error(self, where, what,
                         arena_format(self->arena, "kubectl describe -n %s %s", self->input->namespace, where));
        return;
    }
    status_add_error(
        self, where,
        arena_format(self->arena, "%s; %s: %s", what, status_text_at(pod, "name"), status_text_at(pod, "reason")),
        status_text_at(pod, "mend"));
}

static void judge(struct status *self, const manifest_t *workload, const manifest_t *row) {
    int64_t desired = status_int_at(row, "desired", 0);
    int64_t ready = status_int_at(row, "ready", 0);
    int64_t updated = status_int_at(row, "updated", 0);
    bool is_seen =
        status_int_at(workload, "status.observedGeneration", 0) >= status_int_at(workload, "metadata.generation", 0);
    bool rolls = !is_seen || updated < desired;
    if (desired == 0 || (ready >= desired && !rolls)) {
        return;
    }
    const char *counts =
        arena_format(self->arena, "%lld of %lld pods are ready", (long long) ready, (long long) desired);
    if (is_stuck(workload)) {
        tell_missing(self, row, arena_format(self->arena, "its roll does not go on, %s", counts));
    } else if (ready == 0) {
        tell_missing(self, row, "no pod is ready");
    } else if (rolls) {
        status_add_warning(self, status_text_at(row, "object"),
                           arena_format(self->arena, "is being rolled: %lld of %lld pods are renewed",
                                        (long long) updated, (long long) desired),
                           "");
    } else {
        tell_missing(self, row, counts);
    }
}

static void add_workload(struct status *self, manifest_t *list, const manifest_t *workload) {
    const char *component = status_component(workload);
    manifest_t *row = manifest_append_map(list);
    size_t n;
    const manifest_t **pods = status_pods(self, component, &n);
    manifest_set_text(row, "object", object_name(self->arena, workload));
    manifest_set_text(row, "component", component);
    manifest_set_int(row, "ready", status_int_at(workload, "status.readyReplicas", 0));
    manifest_set_int(row, "updated", status_int_at(workload, "status.updatedReplicas", 0));
    manifest_set_int(row, "desired", status_int_at(workload, "spec.replicas", 1));
    manifest_t *not_ready = manifest_add_list(row, "not_ready");
    for (size_t i = 0; i < n; i++) {
        add_pod(self, not_ready, pods[i]);
    }
    judge(self, workload, row);
}

void status_add_workloads(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "workloads");
    for (size_t i = 0; i < manifests_count(self->input->objects); i++) {
        const manifest_t *object = manifests_at(self->input->objects, i);
        if (status_is_kind(object, "Deployment") || status_is_kind(object, "StatefulSet")) {
            add_workload(self, list, object);
        }
    }
}
