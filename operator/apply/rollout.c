/* The rules of `kubectl rollout status`, and from the pods what their conditions and containers say. */
#include "operator/apply/rollout.h"

#include "operator/kube/kube_json.h"

#include <string.h>

enum { TROUBLES_MAX = 3, MESSAGE_MAX = 300 };

static bool is_kind(const manifest_t *object, const char *kind) {
    return strcmp(kube_text_at(object, "kind"), kind) == 0;
}

bool rollout_is_awaited(const manifest_t *object) {
    return is_kind(object, "Deployment") || is_kind(object, "StatefulSet");
}

/* ---- workloads ---- */

static struct rollout going(const char *text) {
    return (struct rollout){ROLLOUT_GOING, text};
}

static struct rollout done(arena_t *arena, int64_t pods) {
    return (struct rollout){ROLLOUT_DONE,
                            arena_format(arena, "%lld of %lld pods are ready", (long long) pods, (long long) pods)};
}

static struct rollout counted(arena_t *arena, int64_t have, int64_t want, const char *what) {
    return going(arena_format(arena, "%lld of %lld pods are %s", (long long) have, (long long) want, what));
}

/* The condition of this type; NULL: none. */
static const manifest_t *condition_of(const manifest_t *object, const char *type) {
    const manifest_t *list = manifest_find(object, "status.conditions");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        if (strcmp(kube_text_at(manifest_at(list, i), "type"), type) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

static struct rollout judge_deployment(arena_t *arena, const manifest_t *workload, int64_t want) {
    int64_t all = kube_int_at(workload, "status.replicas", 0);
    int64_t updated = kube_int_at(workload, "status.updatedReplicas", 0);
    int64_t available = kube_int_at(workload, "status.availableReplicas", 0);
    const manifest_t *progress = condition_of(workload, "Progressing");
    const manifest_t *failure = condition_of(workload, "ReplicaFailure");
    if (failure != NULL && strcmp(kube_text_at(failure, "status"), "True") == 0) {
        return going(arena_format(arena, "no pod can be made: %.300s", kube_text_at(failure, "message")));
    }
    if (progress != NULL && strcmp(kube_text_at(progress, "reason"), "ProgressDeadlineExceeded") == 0) {
        return (struct rollout){ROLLOUT_STUCK, arena_format(arena,
                                                            "%lld of %lld pods are available, and its "
                                                            "progressDeadlineSeconds are over",
                                                            (long long) available, (long long) want)};
    }
    if (updated < want) {
        return counted(arena, updated, want, "of the new version");
    }
    if (all > updated) {
        return going(arena_format(arena, "%lld old pods have not ended yet", (long long) (all - updated)));
    }
    return available < updated ? counted(arena, available, updated, "available") : done(arena, want);
}

static struct rollout judge_set(arena_t *arena, const manifest_t *workload, int64_t want) {
    int64_t updated = kube_int_at(workload, "status.updatedReplicas", 0);
    int64_t ready = kube_int_at(workload, "status.readyReplicas", 0);
    int64_t available = kube_int_at(workload, "status.availableReplicas", ready);
    int64_t kept = kube_int_at(workload, "spec.updateStrategy.rollingUpdate.partition", 0);
    bool by_hand = strcmp(kube_text_at(workload, "spec.updateStrategy.type"), "OnDelete") == 0;
    int64_t to_update = want > kept ? want - kept : 0;
    const char *current = kube_text_at(workload, "status.currentRevision");
    const char *update = kube_text_at(workload, "status.updateRevision");
    if (kube_int_at(workload, "status.replicas", 0) < want || ready < want) {
        return counted(arena, ready, want, "ready");
    }
    if (!by_hand && strcmp(current, update) != 0 && updated < to_update) {
        return counted(arena, updated, to_update, "of the new revision");
    }
    if (!by_hand && kept == 0 && strcmp(current, update) != 0) {
        return going("all pods are of the new revision, and its controller has still to say so");
    }
    return available < want ? counted(arena, available, want, "available") : done(arena, want);
}

struct rollout rollout_judge(arena_t *arena, const manifest_t *workload) {
    int64_t want = kube_int_at(workload, "spec.replicas", 1);
    int64_t seen = kube_int_at(workload, "status.observedGeneration", 0);
    if (seen < kube_int_at(workload, "metadata.generation", 0)) {
        return going("its controller has not seen it yet");
    }
    return is_kind(workload, "Deployment") ? judge_deployment(arena, workload, want) : judge_set(arena, workload, want);
}

const char *rollout_selector(arena_t *arena, const manifest_t *workload) {
    const manifest_t *labels = manifest_find(workload, "spec.selector.matchLabels");
    const char *text = "";
    for (size_t i = 0; labels != NULL && i < manifest_count(labels); i++) {
        const char *value = manifest_text_of(manifest_at(labels, i));
        text = arena_format(arena, "%s%s%s=%s", text, i == 0 ? "" : ",", manifest_key_at(labels, i),
                            value == NULL ? "" : value);
    }
    return text;
}

/* ---- pods ---- */

static const char *with_message(arena_t *arena, const char *reason, const char *message) {
    bool is_long = strlen(message) > MESSAGE_MAX;
    return arena_format(arena, "%s%s%.*s%s", reason, message[0] == '\0' ? "" : ": ", (int) MESSAGE_MAX, message,
                        is_long ? "…" : "");
}

/* How it ended: OOMKilled (exit code 137). */
static const char *ended(arena_t *arena, const manifest_t *terminated) {
    const char *reason = kube_text_at(terminated, "reason");
    return arena_format(arena, "%s (exit code %lld)", reason[0] == '\0' ? "ended" : reason,
                        (long long) kube_int_at(terminated, "exitCode", 0));
}

/* NULL: nothing is wrong with it. */
static const char *container_trouble(arena_t *arena, const manifest_t *status, bool is_init) {
    const manifest_t *waiting = manifest_find(status, "state.waiting");
    const manifest_t *terminated = manifest_find(status, "state.terminated");
    const manifest_t *last = manifest_find(status, "lastState.terminated");
    const char *reason = waiting == NULL ? "" : kube_text_at(waiting, "reason");
    bool is_being_made = strcmp(reason, "ContainerCreating") == 0 || strcmp(reason, "PodInitializing") == 0;
    if (reason[0] != '\0' && !is_being_made) {
        const char *text = with_message(arena, reason, kube_text_at(waiting, "message"));
        return last == NULL ? text : arena_format(arena, "%s; it ended with %s", text, ended(arena, last));
    }
    if (terminated != NULL && kube_int_at(terminated, "exitCode", 0) != 0) {
        return with_message(arena, ended(arena, terminated), kube_text_at(terminated, "message"));
    }
    bool is_ready = manifest_bool_of(manifest_get(status, "ready"));
    if (!is_init && manifest_find(status, "state.running") != NULL && !is_ready) {
        int64_t restarts = kube_int_at(status, "restartCount", 0);
        return restarts == 0
                   ? "runs, and is not ready yet"
                   : arena_format(arena, "runs, and is not ready yet (restarted %lld times%s%s)", (long long) restarts,
                                  last == NULL ? "" : ", last after ", last == NULL ? "" : ended(arena, last));
    }
    return NULL;
}

static const char *containers_trouble(arena_t *arena, const manifest_t *pod, const char *path, bool is_init) {
    const manifest_t *list = manifest_find(pod, path);
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *status = manifest_at(list, i);
        const char *trouble = container_trouble(arena, status, is_init);
        if (trouble != NULL) {
            return arena_format(arena, "container %s: %s", kube_text_at(status, "name"), trouble);
        }
    }
    return NULL;
}

static const char being_made[] = "its containers are being made";

/* NULL: it is ready, or going away. */
static const char *pod_trouble(arena_t *arena, const manifest_t *pod) {
    const manifest_t *ready = condition_of(pod, "Ready");
    const manifest_t *scheduled = condition_of(pod, "PodScheduled");
    if (kube_text_at(pod, "metadata.deletionTimestamp")[0] != '\0' ||
        (ready != NULL && strcmp(kube_text_at(ready, "status"), "True") == 0)) {
        return NULL;
    }
    if (scheduled != NULL && strcmp(kube_text_at(scheduled, "status"), "False") == 0) {
        return with_message(arena, kube_text_at(scheduled, "reason"), kube_text_at(scheduled, "message"));
    }
    const char *trouble = containers_trouble(arena, pod, "status.initContainerStatuses", true);
    trouble = trouble != NULL ? trouble : containers_trouble(arena, pod, "status.containerStatuses", false);
    if (trouble != NULL) {
        return trouble;
    }
    const char *reason = kube_text_at(pod, "status.reason"); /* Evicted */
    return reason[0] != '\0' ? with_message(arena, reason, kube_text_at(pod, "status.message")) : being_made;
}

const char *rollout_pods_trouble(arena_t *arena, const manifests_t *pods) {
    const char *text = "";
    size_t n = 0;
    for (size_t i = 0; i < manifests_count(pods); i++) {
        const manifest_t *pod = manifests_at(pods, i);
        const char *trouble = pod_trouble(arena, pod);
        if (trouble != NULL && n < TROUBLES_MAX) {
            text = arena_format(arena, "%s%s%s: %s", text, n == 0 ? "" : "; ", kube_text_at(pod, "metadata.name"),
                                trouble);
        }
        n += trouble != NULL ? 1 : 0;
    }
    return n > TROUBLES_MAX ? arena_format(arena, "%s; and %zu more", text, n - TROUBLES_MAX) : text;
}

const manifest_t *rollout_pod_being_made(const manifests_t *pods) {
    const manifest_t *found = NULL;
    arena_t *scratch = arena_new();
    for (size_t i = 0; found == NULL && i < manifests_count(pods); i++) {
        const manifest_t *pod = manifests_at(pods, i);
        found = pod_trouble(scratch, pod) == being_made ? pod : NULL;
    }
    arena_destroy(&scratch);
    return found;
}

/* ---- events ---- */

/* Times of one form sort as texts. */
static const char *time_of(const manifest_t *event) {
    const char *time = kube_text_at(event, "lastTimestamp");
    return time[0] != '\0' ? time : kube_text_at(event, "metadata.creationTimestamp");
}

const char *rollout_events_trouble(arena_t *arena, const manifests_t *events) {
    const manifest_t *last = NULL;
    for (size_t i = 0; i < manifests_count(events); i++) {
        const manifest_t *event = manifests_at(events, i);
        bool is_warning = strcmp(kube_text_at(event, "type"), "Warning") == 0;
        if (is_warning && (last == NULL || strcmp(time_of(event), time_of(last)) >= 0)) {
            last = event;
        }
    }
    return last == NULL ? "" : with_message(arena, kube_text_at(last, "reason"), kube_text_at(last, "message"));
}
