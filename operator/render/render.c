/* The order of the parts does not matter: manifests_sort has the last word. */
#include "operator/render/render.h"

#include "operator/render/render_parts.h"

#include <stdlib.h>
#include <string.h>

/* "1.30" or "v1.30.2"; it was checked. */
static unsigned minor_of(const char *version) {
    const char *dot = strchr(version, '.');
    return dot == NULL ? 0 : (unsigned) strtoul(dot + 1, NULL, 10);
}

void render_manifests(const struct spec *spec, const struct render_options *options, manifests_t *out) {
    const char *version = options->kubernetes_version == NULL ? spec->kubernetes.version : options->kubernetes_version;
    const struct render self = {
        .spec = spec,
        .out = out,
        .arena = manifests_arena(out),
        .minor = minor_of(version),
        .apis = options->apis == NULL ? &spec->kubernetes.apis : options->apis,
    };
    render_gateway(&self);
    render_scaling(&self);
    render_edge(&self);
    render_broker(&self);
    render_redis(&self);
    render_network(&self);
    render_monitoring(&self);
    render_backup(&self);
    render_certificates(&self);
    manifests_sort(out);
}
