/* apiVersion and kind to a place in the API. What a group has is asked once. */
#include "operator/kube/kube_client_parts.h"

#include "operator/kube/kube_json.h"
#include "operator/kube/kube_url.h"

static const manifest_t *known(const kube_client_t *self, const char *api_version) {
    for (size_t i = 0; i < self->n_groups; i++) {
        if (strcmp(self->groups[i].api_version, api_version) == 0) {
            return self->groups[i].resources;
        }
    }
    return NULL;
}

static void remember(kube_client_t *self, const char *api_version, const manifest_t *resources) {
    self->groups = arena_grow(self->arena, self->groups, self->n_groups * sizeof *self->groups,
                              (self->n_groups + 1) * sizeof *self->groups);
    self->groups[self->n_groups++] = (struct known_group){arena_text(self->arena, api_version), resources};
}

/* A group that is not there is remembered, too: a list without resources. */
static enum kube_result ask(kube_client_t *self, const char *api_version, arena_t *arena, struct kube_answer *answer,
                            const manifest_t **ret_resources) {
    struct buffer path = BUFFER_EMPTY;
    kube_url_append_group(&path, api_version);
    const struct kube_call call = {
        .method = "GET",
        .path = arena_text_of(arena, buffer_span(&path)),
        .asked = arena_format(arena, "what the cluster has of %s", api_version),
        .is_idempotent = true,
        .arena = arena,
        .answer = answer,
    };
    buffer_finish(&path);
    enum kube_result result = kube_client_call(self, &call);
    if (result == KUBE_OK || result == KUBE_NOT_FOUND) {
        const manifest_t *list = result == KUBE_OK ? answer->object : manifest_map(arena);
        *ret_resources = manifest_copy(self->arena, list);
        remember(self, api_version, *ret_resources);
        return KUBE_OK;
    }
    return result;
}

enum kube_result kube_discover(kube_client_t *self, const char *api_version, const char *kind, arena_t *arena,
                               struct kube_resource *ret_resource, struct kube_answer *ret_answer) {
    const manifest_t *resources = known(self, api_version);
    *ret_answer = (struct kube_answer){.reason = "", .message = ""};
    if (resources == NULL) {
        enum kube_result result = ask(self, api_version, arena, ret_answer, &resources);
        if (result != KUBE_OK) {
            return result;
        }
    }
    if (kube_url_find_resource(resources, kind, ret_resource)) {
        return KUBE_OK;
    }
    ret_answer->reason = "NoSuchKind";
    return kube_client_fail(ret_answer, KUBE_NOT_FOUND,
                            arena_format(arena, "the cluster has no %s of %s", kind, api_version));
}

/* "36+" of some providers is 36. */
enum kube_result kube_version(kube_client_t *self, arena_t *arena, const char **ret_version,
                              struct kube_answer *ret_answer) {
    const struct kube_call call = {
        .method = "GET",
        .path = "/version",
        .asked = "the version of the cluster",
        .is_idempotent = true,
        .arena = arena,
        .answer = ret_answer,
    };
    enum kube_result result = kube_client_call(self, &call);
    if (result == KUBE_OK) {
        const char *minor = kube_text_at(ret_answer->object, "minor");
        *ret_version = arena_format(arena, "%s.%.*s", kube_text_at(ret_answer->object, "major"),
                                    (int) strspn(minor, "0123456789"), minor);
    }
    return result;
}
