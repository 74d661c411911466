#include "operator/apply/apply_claims.h"

#include "operator/kube/kube_json.h"
#include "operator/spec/spec_amount.h"

#include <string.h>

enum { ORDINALS_MAX = 1000 };

static const char storage_path[] = "spec.resources.requests.storage";

/* The template of this name; NULL: there is none. */
static const manifest_t *template_of(const manifest_t *set, const char *name) {
    const manifest_t *list = manifest_find(set, "spec.volumeClaimTemplates");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        if (strcmp(kube_text_at(manifest_at(list, i), "metadata.name"), name) == 0) {
            return manifest_at(list, i);
        }
    }
    return NULL;
}

static int64_t bytes_of(const manifest_t *claim_template) {
    int64_t bytes = 0;
    const char *text = claim_template == NULL ? "" : kube_text_at(claim_template, storage_path);
    return spec_memory_parse(span_of_text(text), &bytes) ? bytes : 0;
}

size_t apply_claims_grown(arena_t *arena, const manifest_t *live, const manifest_t *wanted,
                          struct apply_claim **ret_claims) {
    const manifest_t *list = manifest_find(wanted, "spec.volumeClaimTemplates");
    int64_t replicas = kube_int_at(live, "spec.replicas", 1);
    int64_t first = kube_int_at(live, "spec.ordinals.start", 0);
    size_t n_ordinals = replicas < 0 ? 0 : replicas > ORDINALS_MAX ? ORDINALS_MAX : (size_t) replicas;
    size_t n_templates = list == NULL ? 0 : manifest_count(list);
    size_t n = 0;
    *ret_claims = arena_alloc(arena, (n_templates * n_ordinals + 1) * sizeof **ret_claims);
    for (size_t i = 0; i < n_templates; i++) {
        const manifest_t *after = manifest_at(list, i);
        const manifest_t *before = template_of(live, kube_text_at(after, "metadata.name"));
        bool grows = before != NULL && bytes_of(before) > 0 && bytes_of(after) > bytes_of(before);
        for (size_t k = 0; grows && k < n_ordinals; k++) {
            (*ret_claims)[n++] = (struct apply_claim){
                .name = arena_format(arena, "%s-%s-%lld", kube_text_at(after, "metadata.name"),
                                     kube_text_at(live, "metadata.name"), (long long) first + (long long) k),
                .storage = kube_text_at(after, storage_path),
            };
        }
    }
    return n;
}

manifest_t *apply_claim_patch(arena_t *arena, const struct apply_claim *claim) {
    manifest_t *patch = manifest_map(arena);
    manifest_t *resources = manifest_add_map(manifest_add_map(patch, "spec"), "resources");
    manifest_set_text(manifest_add_map(resources, "requests"), "storage", claim->storage);
    return patch;
}
