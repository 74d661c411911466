/* What a deployment is in Kubernetes: all objects of one spec, in Helm's install order. Pure: the same spec gives the
 * same objects. Secrets are referred to and never rendered; raw overrides are applied by the caller
 * (render_document.h), last. Thread: any. */
#ifndef CALLBOARD_OPERATOR_RENDER_RENDER_H
#define CALLBOARD_OPERATOR_RENDER_RENDER_H

#include "operator/manifest/manifest.h"
#include "operator/spec/spec.h"

struct render_options {
    const char *kubernetes_version; /* "1.30"; NULL: spec.kubernetes.version */
    const struct spec_texts *apis;  /* group/version; NULL: spec.kubernetes.apis; none: all are there */
};

/* Adds to `out`, whose arena must outlive the objects; sorts it. The spec was checked. */
void render_manifests(const struct spec *spec, const struct render_options *options, manifests_t *out);

#endif
