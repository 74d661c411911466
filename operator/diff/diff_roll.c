/* Whose pods are replaced, and for how long that goes on.
 *
 *     Deployment   a batch of maxSurge new pods starts, is ready for minReadySeconds, and as many old ones drain while
 *                  the next batch starts:   batches × pause + drain  …  batches × (start + pause) + grace
 *     StatefulSet  one after another:       pods × (drain + pause)   …  pods × (grace + start + pause)
 *
 * The drain of gateways is that of their configuration (drain.delay + drain.window); others may be gone at once. */
#include "operator/diff/diff_parts.h"

#include "operator/spec/spec_amount.h"

#include <stdlib.h>
#include <string.h>

static int64_t int_at(const manifest_t *node, const char *path, int64_t otherwise) {
    const manifest_t *value = manifest_find(node, path);
    return value == NULL || manifest_kind(value) != MANIFEST_INT ? otherwise : manifest_int_of(value);
}

/* ---- pods ---- */

/* An autoscaler of this workload says how many there may be at most. */
static int64_t pods_of(const struct diff_run *run, const manifest_t *workload) {
    const char *name = manifest_text_of(manifest_find(workload, "metadata.name"));
    int64_t pods = int_at(workload, "spec.replicas", 0);
    for (size_t i = 0; pods == 0 && i < manifests_count(run->new_objects); i++) {
        const manifest_t *scaler = manifests_at(run->new_objects, i);
        const char *target = manifest_text_of(manifest_find(scaler, "spec.scaleTargetRef.name"));
        bool is_beside = strcmp(diff_namespace_of(scaler), diff_namespace_of(workload)) == 0;
        if (is_beside && target != NULL && name != NULL && strcmp(target, name) == 0) {
            pods = int_at(scaler, "spec.maxReplicas", int_at(scaler, "spec.maxReplicaCount", 0));
        }
    }
    return pods == 0 ? 1 : pods;
}

/* maxSurge: 25% is rounded up. */
static int64_t surge_of(const manifest_t *deployment, int64_t pods) {
    const manifest_t *surge = manifest_find(deployment, "spec.strategy.rollingUpdate.maxSurge");
    const char *text = surge == NULL ? "25%" : manifest_text_of(surge);
    int64_t n = text == NULL ? manifest_int_of(surge) : (pods * strtoll(text, NULL, 10) + 99) / 100;
    return n < 1 ? 1 : n;
}

/* ---- times ---- */

static int64_t start_of(const manifest_t *pod) {
    const manifest_t *containers = manifest_get(pod, "containers");
    int64_t most = 0;
    for (size_t i = 0; containers != NULL && i < manifest_count(containers); i++) {
        const manifest_t *probe = manifest_get(manifest_at(containers, i), "startupProbe");
        int64_t budget = probe == NULL ? 0 : int_at(probe, "periodSeconds", 10) * int_at(probe, "failureThreshold", 3);
        most = budget > most ? budget : most;
    }
    return most;
}

/* The configuration that its pods mount; NULL: none. */
static manifest_t *gateway_config(const struct diff_run *run, const manifest_t *workload, const manifest_t *pod) {
    const manifest_t *volumes = manifest_get(pod, "volumes");
    for (size_t i = 0; volumes != NULL && i < manifest_count(volumes); i++) {
        const char *name = manifest_text_of(manifest_find(manifest_at(volumes, i), "configMap.name"));
        const manifest_t *map = name == NULL ? NULL : diff_find_beside(run->new_objects, workload, "ConfigMap", name);
        const manifest_t *data = map == NULL ? NULL : manifest_get(map, "data");
        const manifest_t *text = data == NULL ? NULL : manifest_get(data, "gateway.yaml");
        if (text != NULL) {
            return diff_config_tree(run->diff->arena, manifest_text_of(text));
        }
    }
    return NULL;
}

static int64_t seconds_at(const manifest_t *config, const char *path) {
    const char *text = config == NULL ? NULL : manifest_text_of(manifest_find(config, path));
    int64_t ms = 0;
    return text != NULL && spec_duration_parse(span_of_text(text), &ms) ? (ms + 999) / 1000 : 0;
}

static void set_bounds(struct diff_roll *roll) {
    if (roll->is_ordered) {
        roll->at_least_s = roll->pods * (roll->drain_s + roll->pause_s);
        roll->at_most_s = roll->pods * (roll->grace_s + roll->start_s + roll->pause_s);
        return;
    }
    int64_t batches = (roll->pods + roll->at_a_time - 1) / roll->at_a_time;
    roll->at_least_s = batches * roll->pause_s + roll->drain_s;
    roll->at_most_s = batches * (roll->start_s + roll->pause_s) + roll->grace_s;
}

static void add_roll(struct diff_run *self, const struct diff_pair *pair, bool is_ordered) {
    const manifest_t *workload = pair->new_object;
    const manifest_t *pod = manifest_find(workload, "spec.template.spec");
    const manifest_t *config = gateway_config(self, workload, pod);
    struct diff_roll roll = {
        .object = pair->name,
        .is_ordered = is_ordered,
        .pods = pods_of(self, workload),
        .at_a_time = 1,
        .start_s = start_of(pod),
        .pause_s = int_at(workload, "spec.minReadySeconds", 0),
        .drain_s = seconds_at(config, "drain.delay") + seconds_at(config, "drain.window"),
        .grace_s = int_at(pod, "terminationGracePeriodSeconds", 30),
    };
    if (!is_ordered) {
        roll.at_a_time = surge_of(workload, roll.pods);
        roll.connections = config == NULL ? 0 : roll.at_a_time * int_at(config, "client.connections_max", 0);
    }
    set_bounds(&roll);
    struct diff *diff = self->diff;
    diff->rolls = arena_grow(diff->arena, diff->rolls, diff->n_rolls * sizeof roll, (diff->n_rolls + 1) * sizeof roll);
    diff->rolls[diff->n_rolls++] = roll;
}

void diff_find_rolls(struct diff_run *self, const struct diff_pair *pair) {
    bool is_set = diff_is_kind(pair->new_object, "StatefulSet");
    bool is_workload = is_set || diff_is_kind(pair->new_object, "Deployment");
    for (size_t i = 0; is_workload && i < self->diff->n_changes; i++) {
        const struct diff_change *change = &self->diff->changes[i];
        if (change->effect == DIFF_ROLLS && strcmp(change->object, pair->name) == 0) {
            add_roll(self, pair, is_set);
            return;
        }
    }
}
