#include "operator/kube/kube_url.h"

#include "operator/kube/kube_json.h"

void kube_url_append_escaped(struct buffer *out, const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr(plain, *at) != NULL) {
            buffer_append_char(out, *at);
        } else {
            buffer_append_format(out, "%%%02X", (unsigned) (unsigned char) *at);
        }
    }
}

void kube_url_append_group(struct buffer *out, const char *api_version) {
    const char *slash = strchr(api_version, '/');
    if (slash == NULL) {
        buffer_append_text(out, "/api/");
        kube_url_append_escaped(out, api_version);
        return;
    }
    struct buffer group = BUFFER_EMPTY;
    buffer_append(&group, api_version, (size_t) (slash - api_version));
    buffer_append_char(&group, '\0');
    buffer_append_text(out, "/apis/");
    kube_url_append_escaped(out, (const char *) group.data);
    buffer_append_char(out, '/');
    kube_url_append_escaped(out, slash + 1);
    buffer_finish(&group);
}

static void append_segment(struct buffer *out, const char *segment) {
    buffer_append_char(out, '/');
    kube_url_append_escaped(out, segment);
}

void kube_url_append_path(struct buffer *out, const struct kube_place *place) {
    kube_url_append_group(out, place->api_version);
    if (place->resource->is_namespaced && place->namespace != NULL) {
        buffer_append_text(out, "/namespaces");
        append_segment(out, place->namespace);
    }
    append_segment(out, place->resource->plural);
    if (place->name != NULL) {
        append_segment(out, place->name);
    }
    if (place->subresource != NULL) {
        buffer_append_format(out, "/%s", place->subresource);
    }
}

void kube_url_append_query(struct buffer *out, const char *name, const char *value) {
    bool is_first = memchr(out->data, '?', out->size) == NULL;
    buffer_append_format(out, "%s%s=", is_first ? "?" : "&", name);
    kube_url_append_escaped(out, value);
}

bool kube_url_find_resource(const manifest_t *list, const char *kind, struct kube_resource *ret_resource) {
    const manifest_t *resources = manifest_get(list, "resources");
    for (size_t i = 0; resources != NULL && i < manifest_count(resources); i++) {
        const manifest_t *item = manifest_at(resources, i);
        const char *name = kube_text_at(item, "name");
        bool is_subresource = strchr(name, '/') != NULL;
        if (name[0] != '\0' && !is_subresource && strcmp(kube_text_at(item, "kind"), kind) == 0) {
            *ret_resource = (struct kube_resource){.plural = name,
                                                   .is_namespaced = manifest_bool_of(manifest_get(item, "namespaced"))};
            return true;
        }
    }
    return false;
}
