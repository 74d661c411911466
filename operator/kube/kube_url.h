/* Where in the API an object is. Pure. Thread: any. */
#ifndef CALLBOARD_OPERATOR_KUBE_KUBE_URL_H
#define CALLBOARD_OPERATOR_KUBE_KUBE_URL_H

#include "operator/kube/kube_client.h"

struct kube_place {
    const char *api_version; /* v1, apps/v1 */
    const struct kube_resource *resource;
    const char *namespace;   /* NULL: all of them, or none */
    const char *name;        /* NULL: the collection */
    const char *subresource; /* NULL: none; may have slashes */
};

/* /apis/apps/v1/namespaces/shop/statefulsets/shop-redis */
void kube_url_append_path(struct buffer *out, const struct kube_place *place);
/* /apis/apps/v1, /api/v1 */
void kube_url_append_group(struct buffer *out, const char *api_version);
/* ?name=value, then &name=value; the value is escaped. */
void kube_url_append_query(struct buffer *out, const char *name, const char *value);
/* All but letters, digits and -._~ as %XX. */
void kube_url_append_escaped(struct buffer *out, const char *text);
/* The resource of this kind in the server's APIResourceList; false: it has none. The text is the tree's. */
bool kube_url_find_resource(const manifest_t *list, const char *kind, struct kube_resource *ret_resource);

#endif
