/* The verbs: each finds its place in the API by discovery, and makes one call of it (a list: one a page). */
#include "operator/kube/kube_client_parts.h"

#include "operator/kube/kube_json.h"
#include "operator/kube/kube_url.h"

enum { PAGE_ITEMS = 500, LIST_MEMORY_MAX = 512 * 1024 * 1024 };

/* What one of them is about. */
struct subject {
    const char *api_version;
    const char *kind;
    const char *namespace;
    const char *name;
    const char *subresource;
};

/* A call that is being put together. */
struct draft {
    kube_client_t *client;
    struct kube_resource resource;
    struct buffer path;
    struct kube_call call;
};

static const char *text_or(const char *text, const char *fallback) {
    return text == NULL || text[0] == '\0' ? fallback : text;
}

/* "apply statefulsets/shop-redis in shop" */
static const char *asked_of(arena_t *arena, const char *verb, const struct subject *subject,
                            const struct kube_place *place) {
    const char *kind = place->resource->plural;
    bool has_namespace = place->resource->is_namespaced && place->namespace != NULL;
    return arena_format(arena, "%s %s%s%s%s%s%s%s", verb, kind, subject->name == NULL ? "" : "/",
                        subject->name == NULL ? "" : subject->name, subject->subresource == NULL ? "" : "/",
                        subject->subresource == NULL ? "" : subject->subresource, has_namespace ? " in " : "",
                        has_namespace ? place->namespace : "");
}

static enum kube_result begin(struct draft *self, kube_client_t *client, const char *verb,
                              const struct subject *subject, arena_t *arena, struct kube_answer *answer) {
    *self = (struct draft){.client = client, .path = BUFFER_EMPTY};
    enum kube_result result =
        kube_discover(client, subject->api_version, subject->kind, arena, &self->resource, answer);
    if (result != KUBE_OK) {
        return result;
    }
    bool is_everywhere = subject->namespace != NULL && strcmp(subject->namespace, "*") == 0;
    const struct kube_place place = {
        .api_version = subject->api_version,
        .resource = &self->resource,
        .namespace = is_everywhere ? NULL : text_or(subject->namespace, kube_client_namespace(client)),
        .name = subject->name,
        .subresource = subject->subresource,
    };
    kube_url_append_path(&self->path, &place);
    self->call = (struct kube_call){
        .method = "GET",
        .asked = asked_of(arena, verb, subject, &place),
        .is_idempotent = true,
        .arena = arena,
        .answer = answer,
    };
    return KUBE_OK;
}

static enum kube_result finish(struct draft *self) {
    self->call.path = arena_text_of(self->call.arena, buffer_span(&self->path));
    buffer_finish(&self->path);
    return kube_client_call(self->client, &self->call);
}

static void add_flags(struct draft *self, unsigned flags) {
    if ((flags & KUBE_DRY_RUN) != 0) {
        kube_url_append_query(&self->path, "dryRun", "All");
    }
}

/* ---- reading ---- */

enum kube_result kube_get(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                          const char *name, arena_t *arena, struct kube_answer *ret_answer) {
    const struct subject subject = {api_version, kind, namespace, name, NULL};
    struct draft draft;
    enum kube_result result = begin(&draft, self, "get", &subject, arena, ret_answer);
    return result == KUBE_OK ? finish(&draft) : result;
}

/* A list that is being read, page by page. */
struct listing {
    kube_client_t *client;
    const struct subject *subject;
    const char *label_selector; /* NULL: all */
    const char *field_selector; /* NULL: all */
    arena_t *arena;
    manifests_t *items;
    const char *next; /* of the last page; "": that was all */
    size_t bytes;
    struct kube_answer *answer;
};

static enum kube_result ask_page(struct listing *self) {
    struct draft draft;
    enum kube_result result = begin(&draft, self->client, "list", self->subject, self->arena, self->answer);
    if (result != KUBE_OK) {
        return result;
    }
    kube_url_append_query(&draft.path, "limit", arena_format(self->arena, "%d", PAGE_ITEMS));
    if (self->label_selector != NULL) {
        kube_url_append_query(&draft.path, "labelSelector", self->label_selector);
    }
    if (self->field_selector != NULL) {
        kube_url_append_query(&draft.path, "fieldSelector", self->field_selector);
    }
    if (self->next[0] != '\0') {
        kube_url_append_query(&draft.path, "continue", self->next);
    }
    return finish(&draft);
}

static enum kube_result take_page(struct listing *self) {
    const manifest_t *items = manifest_get(self->answer->object, "items");
    size_t n = items == NULL || manifest_kind(items) != MANIFEST_LIST ? 0 : manifest_count(items);
    if (manifests_count(self->items) + n > KUBE_LIST_ITEMS_MAX ||
        arena_bytes(self->arena) - self->bytes > LIST_MEMORY_MAX) {
        return kube_client_fail(self->answer, KUBE_UNREACHABLE,
                                arena_format(self->arena, "list %s: there are more than %d, or they are too large",
                                             self->subject->kind, KUBE_LIST_ITEMS_MAX));
    }
    for (size_t i = 0; i < n; i++) {
        manifest_t *item = manifest_at(items, i);
        if (manifest_kind(item) == MANIFEST_MAP) { /* a list says once what its items are */
            manifest_set_text(item, "apiVersion", self->subject->api_version);
            manifest_set_text(item, "kind", self->subject->kind);
            manifests_append(self->items, item);
        }
    }
    self->next = kube_text_at(self->answer->object, "metadata.continue");
    return KUBE_OK;
}

static enum kube_result list_all(struct listing *self) {
    enum kube_result result = KUBE_OK;
    self->items = manifests_new(self->arena);
    self->next = "";
    do {
        result = ask_page(self);
        result = result == KUBE_OK ? take_page(self) : result;
    } while (result == KUBE_OK && self->next[0] != '\0');
    return result;
}

static enum kube_result run_listing(struct listing *self, manifests_t *out) {
    enum { GONE = 410 };
    self->bytes = arena_bytes(self->arena);
    enum kube_result result = list_all(self);
    if (result != KUBE_OK && self->answer->status == GONE) { /* the pages grew too old: once more from the first */
        result = list_all(self);
    }
    for (size_t i = 0; result == KUBE_OK && i < manifests_count(self->items); i++) {
        manifests_append(out, manifests_at(self->items, i));
    }
    return result;
}

enum kube_result kube_list(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                           const char *label_selector, arena_t *arena, manifests_t *out,
                           struct kube_answer *ret_answer) {
    const struct subject subject = {api_version, kind, namespace, NULL, NULL};
    struct listing listing = {
        .client = self, .subject = &subject, .label_selector = label_selector, .arena = arena, .answer = ret_answer};
    return run_listing(&listing, out);
}

enum kube_result kube_list_events(kube_client_t *self, const char *namespace, const char *uid, arena_t *arena,
                                  manifests_t *out, struct kube_answer *ret_answer) {
    const struct subject subject = {"v1", "Event", namespace, NULL, NULL};
    struct listing listing = {.client = self,
                              .subject = &subject,
                              .field_selector = arena_format(arena, "involvedObject.uid=%s", uid),
                              .arena = arena,
                              .answer = ret_answer};
    return run_listing(&listing, out);
}

/* ---- writing ---- */

static struct subject subject_of(const manifest_t *object) {
    return (struct subject){
        .api_version = kube_text_at(object, "apiVersion"),
        .kind = kube_text_at(object, "kind"),
        .namespace = kube_text_at(object, "metadata.namespace"),
        .name = kube_text_at(object, "metadata.name"),
    };
}

enum kube_result kube_apply(kube_client_t *self, const manifest_t *object, unsigned flags, arena_t *arena,
                            struct kube_answer *ret_answer) {
    const struct subject subject = subject_of(object);
    struct draft draft;
    enum kube_result result = begin(&draft, self, "apply", &subject, arena, ret_answer);
    if (result != KUBE_OK) {
        return result;
    }
    kube_url_append_query(&draft.path, "fieldManager", KUBE_FIELD_MANAGER);
    kube_url_append_query(&draft.path, "fieldValidation", "Strict");
    if ((flags & KUBE_FORCE) != 0) {
        kube_url_append_query(&draft.path, "force", "true");
    }
    add_flags(&draft, flags);
    draft.call.method = "PATCH";
    draft.call.content_type = "application/apply-patch+yaml"; /* JSON is YAML */
    draft.call.body = object;
    return finish(&draft);
}

enum kube_result kube_patch_merge(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                                  const char *name, const char *subresource, const manifest_t *patch, unsigned flags,
                                  arena_t *arena, struct kube_answer *ret_answer) {
    const struct subject subject = {api_version, kind, namespace, name, subresource};
    struct draft draft;
    enum kube_result result = begin(&draft, self, "patch", &subject, arena, ret_answer);
    if (result != KUBE_OK) {
        return result;
    }
    kube_url_append_query(&draft.path, "fieldManager", KUBE_FIELD_MANAGER);
    add_flags(&draft, flags);
    draft.call.method = "PATCH";
    draft.call.content_type = "application/merge-patch+json";
    draft.call.body = patch;
    return finish(&draft);
}

enum kube_result kube_create(kube_client_t *self, const char *api_version, const char *kind, const char *subresource,
                             const manifest_t *object, unsigned flags, arena_t *arena, struct kube_answer *ret_answer) {
    struct subject subject = subject_of(object);
    struct draft draft;
    if (subresource == NULL) {
        subject.name = NULL; /* a collection gets it */
    } else {
        subject.api_version = api_version;
        subject.kind = kind;
        subject.subresource = subresource;
    }
    enum kube_result result = begin(&draft, self, "create", &subject, arena, ret_answer);
    if (result != KUBE_OK) {
        return result;
    }
    kube_url_append_query(&draft.path, "fieldManager", KUBE_FIELD_MANAGER);
    add_flags(&draft, flags);
    draft.call.method = "POST";
    draft.call.content_type = "application/json";
    draft.call.body = object;
    draft.call.is_idempotent = false;
    draft.call.is_eviction = subresource != NULL && strcmp(subresource, "eviction") == 0;
    return finish(&draft);
}

enum kube_result kube_delete(kube_client_t *self, const char *api_version, const char *kind, const char *namespace,
                             const char *name, enum kube_propagation propagation, const char *uid, unsigned flags,
                             arena_t *arena, struct kube_answer *ret_answer) {
    static const char *const policies[] = {"Background", "Foreground", "Orphan"};
    const struct subject subject = {api_version, kind, namespace, name, NULL};
    struct draft draft;
    enum kube_result result = begin(&draft, self, "delete", &subject, arena, ret_answer);
    if (result != KUBE_OK) {
        return result;
    }
    manifest_t *options = manifest_map(arena);
    manifest_set_text(options, "apiVersion", "v1");
    manifest_set_text(options, "kind", "DeleteOptions");
    manifest_set_text(options, "propagationPolicy", policies[propagation]);
    if (uid != NULL) {
        manifest_set_text(manifest_add_map(options, "preconditions"), "uid", uid);
    }
    if ((flags & KUBE_DRY_RUN) != 0) { /* beside a body, the query is not looked at */
        manifest_append_text(manifest_add_list(options, "dryRun"), "All");
    }
    draft.call.method = "DELETE";
    draft.call.content_type = "application/json";
    draft.call.body = options;
    return finish(&draft);
}

/* ---- what is no object ---- */

enum kube_result kube_proxy_get(kube_client_t *self, const char *namespace, const char *pod, unsigned port,
                                const char *path, const char *header, arena_t *arena, struct span *ret_text,
                                struct kube_answer *ret_answer) {
    const struct subject subject = {"v1", "Pod", namespace, arena_format(arena, "%s:%u", pod, port),
                                    arena_format(arena, "proxy%s", path)};
    struct draft draft;
    enum kube_result result = begin(&draft, self, "get", &subject, arena, ret_answer);
    if (result != KUBE_OK) {
        return result;
    }
    draft.call.ret_text = ret_text;
    draft.call.header = header;
    return finish(&draft);
}
