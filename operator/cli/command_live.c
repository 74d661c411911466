/* See command_live.h. Each kind that we render is listed once by our labels, in each namespace where a deployment is;
 * what is not in the lists (an override took the labels away, or listing is denied) is asked for by its name.
 *
 * Failures: a kind that the server does not have has no objects; denied both ways, or no answer, ends the command. */
#include "operator/cli/command_live.h"

#include "operator/diff/diff.h"
#include "operator/kube/kube_json.h"
#include "operator/render/render_kinds.h"

#include <string.h>

struct comparing {
    struct command_call *call;
    const char *command;
    kube_client_t *client;
    const manifests_t *wanted;
    manifests_t *listed;
    bool *is_taken; /* of `listed` */
    struct live *live;
};

static const char *namespace_of(const struct comparing *self, const manifest_t *object) {
    const char *namespace = kube_text_at(object, "metadata.namespace");
    return namespace[0] == '\0' ? kube_client_namespace(self->client) : namespace;
}

/* ---- lists ---- */

static bool has_been_listed(const struct comparing *self, size_t until, const char *namespace, const char *instance) {
    for (size_t i = 0; i < until; i++) {
        const manifest_t *object = manifests_at(self->wanted, i);
        if (strcmp(namespace_of(self, object), namespace) == 0 &&
            strcmp(kube_metadata_text(object, "labels", "app.kubernetes.io/instance"), instance) == 0) {
            return true;
        }
    }
    return false;
}

/* Denied: what is rendered is asked for by its name; what is rendered no more stays unseen, and that is told. */
static int list_kind(struct comparing *self, const struct render_kind *kind, const char *namespace,
                     const char *instance) {
    struct kube_answer answer;
    const char *selector =
        arena_format(self->call->arena, "app.kubernetes.io/part-of=callboard,app.kubernetes.io/instance=%s", instance);
    enum kube_result result = kube_list(self->client, kind->api_version, kind->kind, namespace, selector,
                                        self->call->arena, self->listed, &answer);
    if (result == KUBE_DENIED) {
        buffer_append_format(self->call->messages, "%s %s: %s; those that are rendered no more are not seen\n",
                             self->call->program, self->command, answer.message);
        return OPERATOR_DONE;
    }
    if (result == KUBE_OK || result == KUBE_NOT_FOUND) {
        return OPERATOR_DONE;
    }
    return command_cluster_fail(self->call, self->command, result, &answer);
}

static int list_deployment(struct comparing *self, const char *namespace, const char *instance) {
    size_t n;
    const struct render_kind *kinds = render_kinds(&n);
    int exit_code = OPERATOR_DONE;
    for (size_t i = 0; i < n && exit_code == OPERATOR_DONE; i++) {
        exit_code = list_kind(self, &kinds[i], namespace, instance);
    }
    return exit_code;
}

static int list_all(struct comparing *self) {
    int exit_code = OPERATOR_DONE;
    for (size_t i = 0; i < manifests_count(self->wanted) && exit_code == OPERATOR_DONE; i++) {
        const manifest_t *object = manifests_at(self->wanted, i);
        const char *instance = kube_metadata_text(object, "labels", "app.kubernetes.io/instance");
        const char *namespace = namespace_of(self, object);
        if (instance[0] != '\0' && !has_been_listed(self, i, namespace, instance)) {
            exit_code = list_deployment(self, namespace, instance);
        }
    }
    return exit_code;
}

/* ---- each object ---- */

static bool is_same(const struct comparing *self, const manifest_t *a, const manifest_t *b) {
    return strcmp(kube_text_at(a, "kind"), kube_text_at(b, "kind")) == 0 &&
           strcmp(kube_text_at(a, "metadata.name"), kube_text_at(b, "metadata.name")) == 0 &&
           strcmp(namespace_of(self, a), namespace_of(self, b)) == 0;
}

static const manifest_t *take_listed(struct comparing *self, const manifest_t *object) {
    for (size_t i = 0; i < manifests_count(self->listed); i++) {
        if (is_same(self, manifests_at(self->listed, i), object)) {
            self->is_taken[i] = true;
            return manifests_at(self->listed, i);
        }
    }
    return NULL;
}

static int compare_one(struct comparing *self, const manifest_t *object) {
    const manifest_t *found = take_listed(self, object);
    if (found == NULL) {
        struct kube_answer answer;
        enum kube_result result =
            kube_get(self->client, kube_text_at(object, "apiVersion"), kube_text_at(object, "kind"),
                     namespace_of(self, object), kube_text_at(object, "metadata.name"), self->call->arena, &answer);
        if (result != KUBE_OK && result != KUBE_NOT_FOUND) {
            return command_cluster_fail(self->call, self->command, result, &answer);
        }
        found = result == KUBE_OK ? answer.object : NULL;
    }
    live_compare(self->live, found, object);
    return OPERATOR_DONE;
}

int command_live_compare(struct command_call *call, const char *command, struct command_cluster *cluster,
                         const manifests_t *wanted, struct live *ret_live) {
    struct comparing self = {.call = call,
                             .command = command,
                             .client = cluster->client,
                             .wanted = wanted,
                             .listed = manifests_new(call->arena),
                             .live = ret_live};
    *ret_live = live_begin(call->arena);
    int exit_code = list_all(&self);
    self.is_taken = arena_alloc(call->arena, manifests_count(self.listed) + 1);
    for (size_t i = 0; i < manifests_count(wanted) && exit_code == OPERATOR_DONE; i++) {
        exit_code = compare_one(&self, manifests_at(wanted, i));
    }
    for (size_t i = 0; i < manifests_count(self.listed) && exit_code == OPERATOR_DONE; i++) {
        if (!self.is_taken[i]) {
            live_compare(ret_live, manifests_at(self.listed, i), NULL);
        }
    }
    manifests_sort(ret_live->objects);
    return exit_code;
}
