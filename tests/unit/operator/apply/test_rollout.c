/* Verdicts on roll-outs, from workloads and pods as an API server has them. */
#include "operator/apply/rollout.h"
#include "operator/kube/kube_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static arena_t *arena;

static int set_up(void **state) {
    (void) state;
    arena = arena_new();
    return 0;
}

static int tear_down(void **state) {
    (void) state;
    arena_destroy(&arena);
    return 0;
}

static manifest_t *tree(const char *text) {
    const char *error = "";
    manifest_t *node = kube_json_read(arena, span_of_text(text), &error);
    if (node == NULL) {
        fail_msg("%s: %s", text, error);
    }
    return node;
}

static void assert_verdict(const char *kind, const char *spec, const char *status, enum rollout_state state,
                           const char *text) {
    const manifest_t *workload = tree(
        arena_format(arena, "{\"kind\": \"%s\", \"metadata\": {\"generation\": 2}, \"spec\": {%s}, \"status\": {%s}}",
                     kind, spec, status));
    struct rollout rollout = rollout_judge(arena, workload);
    assert_string_equal(rollout.text, text);
    assert_int_equal(rollout.state, state);
}

#define SEEN "\"observedGeneration\": 2, "

static void deployments_are_done_when_all_pods_are_new_and_available(void **state) {
    (void) state;
    static const char kind[] = "Deployment";
    static const char three[] = "\"replicas\": 3";
    assert_verdict(kind, three,
                   "\"observedGeneration\": 1, \"replicas\": 3, \"updatedReplicas\": 3, \"availableReplicas\": 3",
                   ROLLOUT_GOING, "its controller has not seen it yet");
    assert_verdict(kind, three, SEEN "\"replicas\": 4, \"updatedReplicas\": 1, \"availableReplicas\": 3", ROLLOUT_GOING,
                   "1 of 3 pods are of the new version");
    assert_verdict(kind, three, SEEN "\"replicas\": 4, \"updatedReplicas\": 3, \"availableReplicas\": 3", ROLLOUT_GOING,
                   "1 old pods have not ended yet");
    assert_verdict(kind, three, SEEN "\"replicas\": 3, \"updatedReplicas\": 3, \"availableReplicas\": 2", ROLLOUT_GOING,
                   "2 of 3 pods are available");
    assert_verdict(kind, three, SEEN "\"replicas\": 3, \"updatedReplicas\": 3, \"availableReplicas\": 3", ROLLOUT_DONE,
                   "3 of 3 pods are ready");
    assert_verdict(kind, "", SEEN "\"replicas\": 1, \"updatedReplicas\": 1, \"availableReplicas\": 1", ROLLOUT_DONE,
                   "1 of 1 pods are ready");
    assert_verdict(kind, "\"replicas\": 0", SEEN "\"replicas\": 0", ROLLOUT_DONE, "0 of 0 pods are ready");
    assert_verdict(kind, three,
                   SEEN "\"availableReplicas\": 1, \"conditions\": [{\"type\": \"Progressing\", \"status\": \"False\", "
                        "\"reason\": \"ProgressDeadlineExceeded\"}]",
                   ROLLOUT_STUCK, "1 of 3 pods are available, and its progressDeadlineSeconds are over");
    assert_verdict(
        kind, three,
        SEEN "\"conditions\": [{\"type\": \"ReplicaFailure\", \"status\": \"True\", \"message\": \"exceeded quota\"}]",
        ROLLOUT_GOING, "no pod can be made: exceeded quota");
}

static void sets_are_done_when_the_revision_is_everywhere(void **state) {
    (void) state;
    static const char kind[] = "StatefulSet";
    static const char three[] = "\"replicas\": 3";
    static const char rolling[] =
        SEEN "\"replicas\": 3, \"readyReplicas\": 3, \"availableReplicas\": 3, \"updatedReplicas\": 1, "
             "\"currentRevision\": \"a\", \"updateRevision\": \"b\"";
    assert_verdict(kind, three, SEEN "\"replicas\": 1, \"readyReplicas\": 1", ROLLOUT_GOING, "1 of 3 pods are ready");
    assert_verdict(kind, three, rolling, ROLLOUT_GOING, "1 of 3 pods are of the new revision");
    assert_verdict(kind, "\"replicas\": 3, \"updateStrategy\": {\"rollingUpdate\": {\"partition\": 2}}", rolling,
                   ROLLOUT_DONE, "3 of 3 pods are ready");
    assert_verdict(kind, "\"replicas\": 3, \"updateStrategy\": {\"type\": \"OnDelete\"}", rolling, ROLLOUT_DONE,
                   "3 of 3 pods are ready");
    assert_verdict(kind, three,
                   SEEN "\"replicas\": 3, \"readyReplicas\": 3, \"updatedReplicas\": 3, \"currentRevision\": \"a\", "
                        "\"updateRevision\": \"b\"",
                   ROLLOUT_GOING, "all pods are of the new revision, and its controller has still to say so");
    assert_verdict(kind, three,
                   SEEN "\"replicas\": 3, \"readyReplicas\": 3, \"availableReplicas\": 2, \"updatedReplicas\": 3, "
                        "\"currentRevision\": \"b\", \"updateRevision\": \"b\"",
                   ROLLOUT_GOING, "2 of 3 pods are available");
    assert_verdict(kind, three,
                   SEEN "\"replicas\": 3, \"readyReplicas\": 3, \"updatedReplicas\": 3, \"currentRevision\": \"b\", "
                        "\"updateRevision\": \"b\"",
                   ROLLOUT_DONE, "3 of 3 pods are ready");
}

static const char *trouble(const char *status) {
    manifests_t *pods = manifests_new(arena);
    manifests_append(pods, tree(arena_format(arena, "{\"metadata\": {\"name\": \"p-0\"}, \"status\": {%s}}", status)));
    return rollout_pods_trouble(arena, pods);
}

static void pods_say_why_they_are_not_ready(void **state) {
    (void) state;
    assert_string_equal(trouble("\"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]"), "");
    assert_string_equal(trouble("\"conditions\": [{\"type\": \"PodScheduled\", \"status\": \"False\", \"reason\": "
                                "\"Unschedulable\", \"message\": \"0/3 nodes are available\"}]"),
                        "p-0: Unschedulable: 0/3 nodes are available");
    assert_string_equal(trouble("\"containerStatuses\": [{\"name\": \"redis\", \"state\": {\"waiting\": {\"reason\": "
                                "\"ImagePullBackOff\", \"message\": \"Back-off pulling image\"}}}]"),
                        "p-0: container redis: ImagePullBackOff: Back-off pulling image");
    assert_string_equal(
        trouble("\"containerStatuses\": [{\"name\": \"broker\", \"restartCount\": 4, \"state\": {\"waiting\": "
                "{\"reason\": \"CrashLoopBackOff\"}}, \"lastState\": {\"terminated\": {\"reason\": "
                "\"OOMKilled\", \"exitCode\": 137}}}]"),
        "p-0: container broker: CrashLoopBackOff; it ended with OOMKilled (exit code 137)");
    assert_string_equal(
        trouble("\"initContainerStatuses\": [{\"name\": \"files\", \"state\": {\"terminated\": {\"reason\": "
                "\"Error\", \"exitCode\": 2}}}], \"containerStatuses\": [{\"name\": \"redis\", \"state\": "
                "{\"waiting\": {\"reason\": \"PodInitializing\"}}}]"),
        "p-0: container files: Error (exit code 2)");
    assert_string_equal(trouble("\"containerStatuses\": [{\"name\": \"redis\", \"state\": {\"waiting\": {\"reason\": "
                                "\"ContainerCreating\"}}}]"),
                        "p-0: its containers are being made");
    assert_string_equal(
        trouble("\"containerStatuses\": [{\"name\": \"redis\", \"ready\": false, \"state\": {\"running\": {}}}]"),
        "p-0: container redis: runs, and is not ready yet");
    assert_string_equal(
        trouble("\"containerStatuses\": [{\"name\": \"redis\", \"ready\": false, \"restartCount\": 2, \"state\": "
                "{\"running\": {}}, \"lastState\": {\"terminated\": {\"reason\": \"Error\", \"exitCode\": 1}}}]"),
        "p-0: container redis: runs, and is not ready yet (restarted 2 times, last after Error (exit code 1))");
    assert_string_equal(trouble("\"reason\": \"Evicted\", \"message\": \"low on memory\""),
                        "p-0: Evicted: low on memory");
    assert_string_equal(trouble("\"conditions\": 7, \"containerStatuses\": [3]"), "p-0: its containers are being made");
}

static void a_pod_that_says_nothing_is_named(void **state) {
    (void) state;
    manifests_t *pods = manifests_new(arena);
    manifests_append(pods, tree("{\"metadata\": {\"name\": \"p-0\"}, \"status\": {\"reason\": \"Evicted\"}}"));
    assert_null(rollout_pod_being_made(pods));
    manifests_append(pods,
                     tree("{\"metadata\": {\"name\": \"p-1\"}, \"status\": {\"containerStatuses\": [{\"name\": \"c\", "
                          "\"state\": {\"waiting\": {\"reason\": \"ContainerCreating\"}}}]}}"));
    assert_ptr_equal(rollout_pod_being_made(pods), manifests_at(pods, 1));
}

static void many_pods_are_cut(void **state) {
    (void) state;
    manifests_t *pods = manifests_new(arena);
    for (int i = 0; i < 5; i++) {
        manifests_append(pods, tree(arena_format(
                                   arena, "{\"metadata\": {\"name\": \"p-%d\"}, \"status\": {\"reason\": \"E\"}}", i)));
    }
    assert_string_equal(rollout_pods_trouble(arena, pods), "p-0: E; p-1: E; p-2: E; and 2 more");
}

static void the_last_warning_counts(void **state) {
    (void) state;
    manifests_t *events = manifests_new(arena);
    assert_string_equal(rollout_events_trouble(arena, events), "");
    manifests_append(events,
                     tree("{\"type\": \"Warning\", \"reason\": \"FailedCreate\", \"message\": \"exceeded quota\", "
                          "\"lastTimestamp\": \"2026-11-29T10:00:01Z\"}"));
    manifests_append(events,
                     tree("{\"type\": \"Warning\", \"reason\": \"Old\", \"message\": \"x\", \"lastTimestamp\": null, "
                          "\"metadata\": {\"creationTimestamp\": \"2026-11-29T09:00:00Z\"}}"));
    manifests_append(events, tree("{\"type\": \"Normal\", \"reason\": \"SuccessfulCreate\", \"lastTimestamp\": "
                                  "\"2026-11-29T11:00:00Z\"}"));
    assert_string_equal(rollout_events_trouble(arena, events), "FailedCreate: exceeded quota");
}

static void selectors_become_texts(void **state) {
    (void) state;
    assert_string_equal(
        rollout_selector(arena, tree("{\"spec\": {\"selector\": {\"matchLabels\": {\"a/b\": \"c\", \"d\": "
                                     "\"e\"}}}}")),
        "a/b=c,d=e");
    assert_string_equal(rollout_selector(arena, tree("{}")), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deployments_are_done_when_all_pods_are_new_and_available),
        cmocka_unit_test(sets_are_done_when_the_revision_is_everywhere),
        cmocka_unit_test(pods_say_why_they_are_not_ready),
        cmocka_unit_test(a_pod_that_says_nothing_is_named),
        cmocka_unit_test(many_pods_are_cut),
        cmocka_unit_test(the_last_warning_counts),
        cmocka_unit_test(selectors_become_texts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
