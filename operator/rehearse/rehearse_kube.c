/* See rehearse_kube.h. What a call takes from the API server lives in an arena that ends with the call: a rehearsal
 * asks for minutes.
 *
 * Failure modes: an eviction that a disruption budget forbids now (429) is waited for, not forced; a pod that has gone
 * meanwhile counts as evicted. */
#include "operator/rehearse/rehearse_kube.h"

#include "base/memory.h"
#include "operator/apply/rollout.h"

#include <stdio.h>
#include <time.h>

enum { STAMP_SIZE = 32 };

struct workload {
    char kind[16];
    char name[REHEARSE_KUBE_NAME_SIZE];
    char title[REHEARSE_KUBE_NAME_SIZE + 20];
    int rank;
};

struct rehearse_kube {
    kube_client_t *client;
    char selector[REHEARSE_KUBE_NAME_SIZE + 64];
    struct workload workloads[REHEARSE_WORKLOADS_MAX];
    size_t n;
};

rehearse_kube_t *rehearse_kube_new(const struct rehearse_kube_options *options) {
    rehearse_kube_t *self = memory_alloc_zero(sizeof *self);
    self->client = options->client;
    snprintf(self->selector, sizeof self->selector, "app.kubernetes.io/name=callboard,app.kubernetes.io/instance=%s",
             options->instance);
    return self;
}

void rehearse_kube_destroy(rehearse_kube_t **self_p) {
    memory_free(*self_p);
    *self_p = NULL;
}

static enum rehearse_kube_outcome fail(char ret_reason[REHEARSE_KUBE_REASON_SIZE], const char *why) {
    snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE, "%s", why);
    return REHEARSE_KUBE_FAILED;
}

static const char *name_of(const manifest_t *object) {
    const char *name = manifest_text_of(manifest_find(object, "metadata.name"));
    return name == NULL ? "" : name;
}

/* ---- workloads ---- */

static int rank_of(const manifest_t *object) {
    static const char *const order[] = {"gateway", "broker", "redis", "sentinel"};
    const char *component =
        manifest_text_of(manifest_get(manifest_find(object, "metadata.labels"), "app.kubernetes.io/component"));
    for (int i = 0; component != NULL && i < (int) (sizeof order / sizeof order[0]); i++) {
        if (strcmp(component, order[i]) == 0) {
            return i;
        }
    }
    return (int) (sizeof order / sizeof order[0]);
}

/* Sorted in. */
static void keep_workload(rehearse_kube_t *self, const manifest_t *object, const char *kind) {
    if (self->n == REHEARSE_WORKLOADS_MAX) {
        return;
    }
    struct workload workload = {.rank = rank_of(object)};
    snprintf(workload.kind, sizeof workload.kind, "%s", kind);
    snprintf(workload.name, sizeof workload.name, "%s", name_of(object));
    snprintf(workload.title, sizeof workload.title, "%s/%s", kind, workload.name);
    size_t at = self->n++;
    for (; at > 0 && self->workloads[at - 1].rank > workload.rank; at--) {
        self->workloads[at] = self->workloads[at - 1];
    }
    self->workloads[at] = workload;
}

static enum rehearse_kube_outcome look_at_kind(rehearse_kube_t *self, const char *kind, arena_t *arena,
                                               char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    struct kube_answer answer;
    manifests_t *found = manifests_new(arena);
    enum rehearse_kube_outcome outcome = REHEARSE_KUBE_DONE;
    if (kube_list(self->client, "apps/v1", kind, NULL, self->selector, arena, found, &answer) != KUBE_OK) {
        return fail(ret_reason, answer.message);
    }
    for (size_t i = 0; i < manifests_count(found); i++) {
        const manifest_t *object = manifests_at(found, i);
        struct rollout rollout = rollout_judge(arena, object);
        keep_workload(self, object, kind);
        if (rollout.state != ROLLOUT_DONE) {
            snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE, "%s/%s: %s", kind, name_of(object), rollout.text);
            outcome = REHEARSE_KUBE_WAIT;
        }
    }
    return outcome;
}

enum rehearse_kube_outcome rehearse_kube_look(rehearse_kube_t *self, char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    arena_t *arena = arena_new();
    self->n = 0;
    enum rehearse_kube_outcome deployments = look_at_kind(self, "Deployment", arena, ret_reason);
    enum rehearse_kube_outcome sets =
        deployments == REHEARSE_KUBE_FAILED ? deployments : look_at_kind(self, "StatefulSet", arena, ret_reason);
    arena_destroy(&arena);
    if (sets != REHEARSE_KUBE_FAILED && self->n == 0) {
        snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE,
                 "no Deployment and no StatefulSet in namespace %s has the labels %s",
                 kube_client_namespace(self->client), self->selector);
        return REHEARSE_KUBE_FAILED;
    }
    return sets == REHEARSE_KUBE_DONE ? deployments : sets;
}

size_t rehearse_kube_count(const rehearse_kube_t *self) {
    return self->n;
}

const char *rehearse_kube_name(const rehearse_kube_t *self, size_t workload) {
    return self->workloads[workload].title;
}

bool rehearse_kube_restart(rehearse_kube_t *self, size_t workload, char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    const struct workload *target = &self->workloads[workload];
    struct kube_answer answer;
    char stamp[STAMP_SIZE];
    time_t now = time(NULL);
    struct tm parts;
    arena_t *arena = arena_new();
    manifest_t *patch = manifest_map(arena);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    manifest_t *metadata = manifest_add_map(manifest_add_map(manifest_add_map(patch, "spec"), "template"), "metadata");
    manifest_set_text(manifest_add_map(metadata, "annotations"), "kubectl.kubernetes.io/restartedAt", stamp);
    bool is_done = kube_patch_merge(self->client, "apps/v1", target->kind, NULL, target->name, NULL, patch, 0, arena,
                                    &answer) == KUBE_OK;
    if (!is_done) {
        fail(ret_reason, answer.message);
    }
    arena_destroy(&arena);
    return is_done;
}

/* ---- nodes ---- */

static const char *node_of(const manifest_t *pod) {
    const char *node = manifest_text_of(manifest_find(pod, "spec.nodeName"));
    return node == NULL ? "" : node;
}

/* It has not ended, and counts for where it is. */
static bool is_there(const manifest_t *pod) {
    const char *phase = manifest_text_of(manifest_find(pod, "status.phase"));
    return phase == NULL || (strcmp(phase, "Succeeded") != 0 && strcmp(phase, "Failed") != 0);
}

static size_t count_on(const manifests_t *pods, const char *node) {
    size_t n = 0;
    for (size_t i = 0; i < manifests_count(pods); i++) {
        const manifest_t *pod = manifests_at(pods, i);
        n += is_there(pod) && strcmp(node_of(pod), node) == 0 ? 1 : 0;
    }
    return n;
}

/* The first one with most. */
static void pick_node(const manifests_t *pods, const char *wanted, char ret_node[REHEARSE_KUBE_NAME_SIZE]) {
    size_t most = 0;
    ret_node[0] = '\0';
    for (size_t i = 0; i < manifests_count(pods); i++) {
        const char *node = node_of(manifests_at(pods, i));
        size_t n = node[0] == '\0' || (wanted != NULL && strcmp(node, wanted) != 0) ? 0 : count_on(pods, node);
        if (n > most) {
            most = n;
            snprintf(ret_node, REHEARSE_KUBE_NAME_SIZE, "%s", node);
        }
    }
}

static enum rehearse_kube_outcome judge_node(rehearse_kube_t *self, const char *node, arena_t *arena,
                                             char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    struct kube_answer answer;
    if (kube_get(self->client, "v1", "Node", NULL, node, arena, &answer) != KUBE_OK) {
        return fail(ret_reason, answer.message);
    }
    if (manifest_bool_of(manifest_find(answer.object, "spec.unschedulable"))) {
        snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE, "node %s takes no pods as it is: it is cordoned", node);
        return REHEARSE_KUBE_WAIT;
    }
    return REHEARSE_KUBE_DONE;
}

enum rehearse_kube_outcome rehearse_kube_find_node(rehearse_kube_t *self, const char *wanted,
                                                   char ret_node[REHEARSE_KUBE_NAME_SIZE],
                                                   char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    struct kube_answer answer;
    arena_t *arena = arena_new();
    manifests_t *pods = manifests_new(arena);
    enum rehearse_kube_outcome outcome;
    ret_node[0] = '\0';
    if (kube_list(self->client, "v1", "Pod", NULL, self->selector, arena, pods, &answer) != KUBE_OK) {
        outcome = fail(ret_reason, answer.message);
    } else {
        pick_node(pods, wanted, ret_node);
        outcome = ret_node[0] != '\0' ? judge_node(self, ret_node, arena, ret_reason)
                  : wanted != NULL    ? fail(ret_reason, "no pod of it is on that node")
                                      : fail(ret_reason, "no pod of it is on any node");
    }
    arena_destroy(&arena);
    return outcome;
}

bool rehearse_kube_cordon(rehearse_kube_t *self, const char *node, bool is_cordoned,
                          char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    struct kube_answer answer;
    arena_t *arena = arena_new();
    manifest_t *patch = manifest_map(arena);
    manifest_t *spec = manifest_add_map(patch, "spec");
    manifest_set(spec, "unschedulable", is_cordoned ? manifest_bool(arena, true) : manifest_null(arena));
    bool is_done = kube_patch_merge(self->client, "v1", "Node", NULL, node, NULL, patch, 0, arena, &answer) == KUBE_OK;
    if (!is_done) {
        fail(ret_reason, answer.message);
    }
    arena_destroy(&arena);
    return is_done;
}

static enum kube_result evict(rehearse_kube_t *self, const manifest_t *pod, arena_t *arena,
                              struct kube_answer *ret_answer) {
    manifest_t *eviction = manifest_map(arena);
    manifest_set_text(eviction, "apiVersion", "policy/v1");
    manifest_set_text(eviction, "kind", "Eviction");
    manifest_t *metadata = manifest_add_map(eviction, "metadata");
    manifest_set_text(metadata, "name", name_of(pod));
    manifest_set_text(metadata, "namespace", kube_client_namespace(self->client));
    return kube_create(self->client, "v1", "Pod", "eviction", eviction, 0, arena, ret_answer);
}

static enum rehearse_kube_outcome empty(rehearse_kube_t *self, const manifests_t *pods, const char *node,
                                        arena_t *arena, size_t *ret_evicted,
                                        char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    enum rehearse_kube_outcome outcome = REHEARSE_KUBE_DONE;
    for (size_t i = 0; i < manifests_count(pods); i++) {
        const manifest_t *pod = manifests_at(pods, i);
        struct kube_answer answer;
        if (!is_there(pod) || strcmp(node_of(pod), node) != 0) {
            continue;
        }
        outcome = REHEARSE_KUBE_WAIT;
        if (manifest_find(pod, "metadata.deletionTimestamp") != NULL) {
            snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE, "pod %s is ending", name_of(pod));
            continue;
        }
        enum kube_result result = evict(self, pod, arena, &answer);
        *ret_evicted += result == KUBE_OK ? 1 : 0;
        if (result != KUBE_OK && result != KUBE_NOT_FOUND && result != KUBE_BUSY) {
            return fail(ret_reason, answer.message);
        }
        snprintf(ret_reason, REHEARSE_KUBE_REASON_SIZE, "pod %s %s", name_of(pod),
                 result == KUBE_BUSY ? "has to wait: its disruption budget lets none go now" : "is evicted");
    }
    return outcome;
}

enum rehearse_kube_outcome rehearse_kube_empty(rehearse_kube_t *self, const char *node, size_t *ret_evicted,
                                               char ret_reason[REHEARSE_KUBE_REASON_SIZE]) {
    struct kube_answer answer;
    arena_t *arena = arena_new();
    manifests_t *pods = manifests_new(arena);
    *ret_evicted = 0;
    enum rehearse_kube_outcome outcome =
        kube_list(self->client, "v1", "Pod", NULL, self->selector, arena, pods, &answer) != KUBE_OK
            ? fail(ret_reason, answer.message)
            : empty(self, pods, node, arena, ret_evicted, ret_reason);
    arena_destroy(&arena);
    return outcome;
}
