/* Names of objects and hosts: in one place, because configurations, policies and notes must say the same. */
#include "operator/render/render_parts.h"

#include <string.h>

const char *render_name(const struct render *self, const char *component) {
    return arena_format(self->arena, "%s-%s", self->spec->metadata.name, component);
}

const char *render_pods_name(const struct render *self, const char *component) {
    return arena_format(self->arena, "%s-%s-pods", self->spec->metadata.name, component);
}

const char *render_host(const struct render *self, const char *service) {
    const struct spec *spec = self->spec;
    return spec->metadata.namespace[0] == '\0'
               ? service
               : arena_format(self->arena, "%s.%s.svc.%s", service, spec->metadata.namespace,
                              spec->kubernetes.cluster_domain);
}

const char *render_pod_host(const struct render *self, const char *component, int64_t ordinal) {
    return arena_format(self->arena, "%s-%lld.%s", render_name(self, component), (long long) ordinal,
                        render_host(self, render_pods_name(self, component)));
}

bool render_has_api(const struct render *self, const char *group_version) {
    for (size_t i = 0; i < self->apis->n; i++) {
        if (strcmp(self->apis->items[i], group_version) == 0) {
            return true;
        }
    }
    return self->apis->n == 0;
}
