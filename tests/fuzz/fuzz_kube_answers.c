/* What an API server or a plugin may answer: it is refused, or becomes a tree that printed and read again is the same,
 * and everything that is asked of such a tree ends. */
#include "base/check.h"
#include "operator/apply/apply_objects.h"
#include "operator/apply/rollout.h"
#include "operator/kube/kube_exec.h"
#include "operator/kube/kube_http.h"
#include "operator/kube/kube_json.h"
#include "operator/kube/kube_status.h"
#include "operator/kube/kube_time.h"
#include "operator/kube/kube_url.h"
#include "operator/manifest/manifest_emit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(arena_t *arena, const manifest_t *tree) {
    struct kube_field_conflict *conflicts;
    struct kube_resource resource;
    const manifest_t *items = manifest_get(tree, "items");
    (void) kube_status_conflicts(arena, tree, &conflicts);
    (void) kube_url_find_resource(tree, "Pod", &resource);
    for (int status = 200; status < 600; status += 1) {
        (void) kube_status_result(status, tree);
    }
    check(kube_status_message(arena, "get x", 409, tree)[0] != '\0', "a message");
    check(rollout_judge(arena, tree).text != NULL, "a verdict");
    manifests_t *list = manifests_new(arena);
    for (size_t i = 0; items != NULL && i < manifest_count(items) && i < 8; i++) {
        manifests_append(list, manifest_at(items, i));
    }
    (void) rollout_pods_trouble(arena, list);
    (void) rollout_selector(arena, tree);
    (void) apply_object_owner(arena, tree, "shop");
    (void) apply_object_narrowed(arena, tree, tree);
}

static void read_tree(arena_t *arena, struct span text) {
    const char *error = NULL;
    const manifest_t *tree = kube_json_read(arena, text, &error);
    check((tree == NULL) == (error != NULL), "a tree or an error");
    if (tree == NULL) {
        return;
    }
    struct buffer out = BUFFER_EMPTY;
    manifest_append_json(tree, &out);
    const manifest_t *again = kube_json_read(arena, buffer_span(&out), &error);
    check(again != NULL && manifest_equal(tree, again), "the same again");
    buffer_finish(&out);
    if (manifest_kind(tree) == MANIFEST_MAP) {
        judge(arena, tree);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_of(data, size);
    struct kube_exec_credential credential;
    struct buffer warning = BUFFER_EMPTY;
    arena_t *arena = arena_new();
    int64_t ms;
    read_tree(arena, text);
    const char *why = kube_exec_answer(arena, "client.authentication.k8s.io/v1", text, &credential);
    check(why != NULL || credential.token != NULL || credential.client_key_pem != NULL, "a credential");
    (void) kube_time_parse(arena_text_of(arena, text), &ms);
    (void) kube_http_warning_text(text, &warning);
    buffer_finish(&warning);
    arena_destroy(&arena);
    return 0;
}
