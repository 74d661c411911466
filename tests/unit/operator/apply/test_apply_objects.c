/* Objects of a cluster beside rendered ones: what counts as the same, whose they are, and what --prune would delete. */
#include "operator/apply/apply_objects.h"

#include "operator/apply/apply_claims.h"
#include "operator/kube/kube_json.h"
#include "operator/render/render_document.h"
#include "operator/render/render_kinds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* ---- the same ---- */

#define MANAGED(version, replicas, fields)                                                                             \
    "{\"metadata\": {\"name\": \"a\", \"resourceVersion\": \"" version "\", \"managedFields\": [{\"manager\": "        \
    "\"callboard-operator\", \"operation\": \"Apply\", \"time\": \"" version "\", \"fieldsV1\": {\"" fields            \
    "\": {}}}]}, "                                                                                                     \
    "\"spec\": {\"replicas\": " replicas "}, \"status\": {\"x\": " version "}}"

static void what_the_server_keeps_for_itself_is_no_difference(void **state) {
    (void) state;
    const manifest_t *live = tree(MANAGED("1", "3", "f:spec"));
    assert_true(apply_object_is_same(arena, live, tree(MANAGED("2", "3", "f:spec"))));
    assert_false(apply_object_is_same(arena, live, tree(MANAGED("2", "4", "f:spec"))));
    assert_false(apply_object_is_same(arena, live, tree(MANAGED("2", "3", "f:data")))); /* we would own other fields */
    assert_false(
        apply_object_is_same(arena, tree("{\"metadata\": {}}"), tree("{\"metadata\": {}}"))); /* none of ours yet */
    manifest_t *stripped = apply_object_stripped(arena, live);
    assert_true(manifest_equal(stripped, tree("{\"metadata\": {\"name\": \"a\"}, \"spec\": {\"replicas\": 3}}")));
}

static void narrowed_is_what_both_speak_of(void **state) {
    (void) state;
    const manifest_t *live =
        tree("{\"spec\": {\"a\": 1, \"given\": 2, \"list\": [{\"name\": \"x\", \"v\": 1, \"given\": 2}, "
             "{\"name\": \"old\", \"v\": 3}], \"texts\": [\"p\", \"q\"]}, \"status\": {}}");
    const manifest_t *wanted =
        tree("{\"spec\": {\"a\": 5, \"new\": 1, \"list\": [{\"name\": \"y\", \"v\": 7}, {\"name\": "
             "\"x\", \"v\": 2}], \"texts\": [\"p\"]}}");
    const manifest_t *expected =
        tree("{\"spec\": {\"a\": 1, \"list\": [{\"name\": \"x\", \"v\": 1}, {\"name\": \"old\", "
             "\"v\": 3}], \"texts\": [\"p\", \"q\"]}}");
    assert_true(manifest_equal(apply_object_narrowed(arena, live, wanted), expected));
}

/* ---- replicas ---- */

#define OWNER(manager) "{\"manager\": \"" manager "\", \"fieldsV1\": {\"f:spec\": {\"f:replicas\": {}}}}"
#define DEPLOYMENT(owners)                                                                                             \
    "{\"kind\": \"Deployment\", \"metadata\": {\"managedFields\": [" owners "]}, \"spec\": {\"replicas\": 5}}"

static int64_t replicas_beside(const char *wanted, const char *live) {
    manifest_t *object = tree(wanted);
    apply_object_keep_replicas(object, tree(live));
    return kube_int_at(object, "spec.replicas", -1);
}

static void replicas_stay_until_somebody_else_owns_them(void **state) {
    (void) state;
    static const char autoscaled[] = "{\"kind\": \"Deployment\", \"spec\": {}}";
    assert_int_equal(replicas_beside(autoscaled, DEPLOYMENT(OWNER("callboard-operator"))), 5);
    assert_int_equal(
        replicas_beside(autoscaled, DEPLOYMENT(OWNER("callboard-operator") ", " OWNER("kube-controller-manager"))), -1);
    assert_int_equal(replicas_beside(autoscaled, DEPLOYMENT(OWNER("kube-controller-manager"))), -1);
    assert_int_equal(replicas_beside(autoscaled, DEPLOYMENT("")), -1);
    assert_int_equal(replicas_beside("{\"kind\": \"Deployment\", \"spec\": {\"replicas\": 3}}",
                                     DEPLOYMENT(OWNER("callboard-operator"))),
                     3);
}

/* ---- claims ---- */

#define SET(replicas, storage)                                                                                         \
    "{\"metadata\": {\"name\": \"shop-redis\"}, \"spec\": {\"replicas\": " replicas                                    \
    ", \"volumeClaimTemplates\": [{\"metadata\": "                                                                     \
    "{\"name\": \"data\"}, \"spec\": {\"resources\": {\"requests\": {\"storage\": \"" storage "\"}}}}]}}"

static void claims_of_all_ordinals_grow(void **state) {
    (void) state;
    struct apply_claim *claims;
    assert_int_equal(apply_claims_grown(arena, tree(SET("2", "8Gi")), tree(SET("5", "16Gi")), &claims), 2);
    assert_string_equal(claims[1].name, "data-shop-redis-1");
    assert_string_equal(claims[1].storage, "16Gi");
    assert_true(manifest_equal(apply_claim_patch(arena, &claims[0]),
                               tree("{\"spec\": {\"resources\": {\"requests\": {\"storage\": \"16Gi\"}}}}")));
    assert_int_equal(apply_claims_grown(arena, tree(SET("2", "16Gi")), tree(SET("2", "8Gi")), &claims), 0);
    assert_int_equal(apply_claims_grown(arena, tree(SET("2", "1024Mi")), tree(SET("2", "1Gi")), &claims), 0);
    assert_int_equal(apply_claims_grown(arena, tree("{}"), tree(SET("2", "8Gi")), &claims), 0);
    assert_int_equal(apply_claims_grown(arena, tree(SET("-3", "8Gi")), tree(SET("2", "9Gi")), &claims), 0);
}

/* ---- whose ---- */

#define LABELLED(manager, instance)                                                                                    \
    "{\"metadata\": {\"labels\": {\"app.kubernetes.io/managed-by\": \"" manager                                        \
    "\", \"app.kubernetes.io/instance\": \"" instance "\"}}}"

static void another_owner_is_named(void **state) {
    (void) state;
    assert_null(apply_object_owner(arena, tree(LABELLED("callboard-operator", "shop")), "shop"));
    assert_null(apply_object_owner(arena, tree("{\"metadata\": {}}"), "shop"));
    assert_string_equal(apply_object_owner(arena, tree(LABELLED("Helm", "shop")), "shop"),
                        "Helm's (label app.kubernetes.io/managed-by)");
    assert_string_equal(apply_object_owner(arena, tree(LABELLED("callboard-operator", "other")), "shop"),
                        "of the instance other (label app.kubernetes.io/instance)");
}

/* ---- what is pruned ---- */

static void add(manifests_t *list, const char *kind, const char *name, const char *namespace, const char *instance,
                const char *more) {
    manifests_append(
        list,
        tree(arena_format(arena,
                          "{\"apiVersion\": \"v1\", \"kind\": \"%s\", \"metadata\": {\"name\": \"%s\", \"namespace\": "
                          "\"%s\", \"labels\": {\"app.kubernetes.io/managed-by\": \"callboard-operator\", "
                          "\"app.kubernetes.io/part-of\": \"callboard\", \"app.kubernetes.io/instance\": \"%s\"}%s}}",
                          kind, name, namespace, instance, more)));
}

static const char *pruned(const manifests_t *live, const manifests_t *rendered) {
    manifests_t *chosen = manifests_new(arena);
    const char *text = "";
    apply_choose_pruned(live, rendered, "push", "shop", chosen);
    for (size_t i = 0; i < manifests_count(chosen); i++) {
        text = arena_format(arena, "%s %s/%s", text, kube_text_at(manifests_at(chosen, i), "kind"),
                            kube_text_at(manifests_at(chosen, i), "metadata.name"));
    }
    return text;
}

static void only_what_is_ours_and_no_longer_rendered_is_pruned(void **state) {
    (void) state;
    manifests_t *live = manifests_new(arena);
    manifests_t *rendered = manifests_new(arena);
    add(rendered, "Service", "shop-gateway", "push", "shop", "");
    add(live, "PodDisruptionBudget", "shop-redis", "push", "shop", "");
    add(live, "ConfigMap", "shop-redis", "push", "shop", "");
    add(live, "Service", "shop-gateway", "push", "shop", ""); /* rendered */
    add(live, "ConfigMap", "other-redis", "push", "other", "");
    add(live, "ConfigMap", "shop-redis", "elsewhere", "shop", "");
    add(live, "Secret", "shop-auth", "push", "shop", "");
    add(live, "PersistentVolumeClaim", "data-shop-redis-0", "push", "shop", "");
    add(live, "ConfigMap", "owned", "push", "shop", ", \"ownerReferences\": [{\"kind\": \"Certificate\"}]");
    add(live, "ConfigMap", "going", "push", "shop", ", \"deletionTimestamp\": \"2026-11-29T10:00:00Z\"");
    manifests_append(live, tree("{\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"mine\", \"namespace\": \"push\", "
                                "\"labels\": {\"app.kubernetes.io/instance\": \"shop\"}}}"));
    assert_string_equal(pruned(live, rendered), " ConfigMap/shop-redis PodDisruptionBudget/shop-redis");
    assert_string_equal(pruned(manifests_new(arena), rendered), "");
}

/* ---- the kinds that are looked for ---- */

static bool is_known(const manifest_t *object) {
    size_t n;
    const struct render_kind *kinds = render_kinds(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(kinds[i].kind, kube_text_at(object, "kind")) == 0 &&
            strcmp(kinds[i].api_version, kube_text_at(object, "apiVersion")) == 0) {
            return true;
        }
    }
    return false;
}

/* Every example of k8s/specs. */
static const char *const specs[] = {"azure-istio",
                                    "cluster-gke-gateway",
                                    "dev",
                                    "elasticache-alb",
                                    "external-gateway-api",
                                    "ha-issuer",
                                    "ha-sentinel",
                                    "memorystore-gce",
                                    "redis-cluster",
                                    "rediscloud-loadbalancer",
                                    "small-standalone"};

static void render_example(const char *name, manifests_t *out) {
    struct buffer text = BUFFER_EMPTY;
    struct spec_documents documents;
    struct diagnostics diagnostics;
    struct spec_settings settings = {NULL, 0, "push"};
    const struct render_options options = {.kubernetes_version = NULL};
    const char *path = arena_format(arena, CALLBOARD_SOURCE_DIR "/k8s/specs/%s.yaml", name);
    FILE *stream = fopen(path, "re");
    assert_non_null(stream);
    char part[4096];
    size_t n;
    while ((n = fread(part, 1, sizeof part, stream)) > 0) {
        buffer_append(&text, part, n);
    }
    fclose(stream);
    spec_documents_init(&documents, arena);
    diagnostics_init(&diagnostics, arena);
    spec_documents_read(&documents, path, buffer_span(&text), &settings, &diagnostics);
    assert_int_equal(documents.n, 1);
    assert_true(render_document(documents.items[0], &options, &diagnostics, out));
    spec_documents_finish(&documents);
    buffer_finish(&text);
}

static void each_kind_that_is_rendered_is_looked_for(void **state) {
    (void) state;
    manifests_t *all = manifests_new(arena);
    for (size_t i = 0; i < sizeof specs / sizeof specs[0]; i++) {
        render_example(specs[i], all);
    }
    for (size_t i = 0; i < manifests_count(all); i++) {
        if (!is_known(manifests_at(all, i))) {
            fail_msg("render_kinds.c lacks %s of %s", kube_text_at(manifests_at(all, i), "kind"),
                     kube_text_at(manifests_at(all, i), "apiVersion"));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_keeps_for_itself_is_no_difference),
        cmocka_unit_test(narrowed_is_what_both_speak_of),
        cmocka_unit_test(replicas_stay_until_somebody_else_owns_them),
        cmocka_unit_test(claims_of_all_ordinals_grow),
        cmocka_unit_test(another_owner_is_named),
        cmocka_unit_test(only_what_is_ours_and_no_longer_rendered_is_pruned),
        cmocka_unit_test(each_kind_that_is_rendered_is_looked_for),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
