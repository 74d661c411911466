/* Certificates that cert-manager makes: one for Redis and Sentinel inside, by the names that brokers, agents and peers
 * call them; one for the gateways where they end TLS themselves. An Ingress asks for its own by an annotation
 * (render_edge.c). Where the cluster has no cert-manager nothing is rendered: the Secret then comes from elsewhere. */
#include "operator/render/render_parts.h"

#include "operator/spec/spec_derive.h"

struct certificate {
    const char *component; /* whose name it has */
    const char *secret;
    const char *issuer;
    const char *issuer_kind;
};

/* Renewed long before its end, which leaves time to mend what hinders it. Taken up without a restart (but Sentinel's).
 */
static const char duration[] = "8760h";
static const char renew_before[] = "4380h";

/* Its spec, whose dnsNames are still empty. */
static manifest_t *add_certificate(const struct render *self, const struct certificate *certificate) {
    manifest_t *object = render_add(self, "cert-manager.io/v1", "Certificate",
                                    render_name(self, certificate->component), certificate->component);
    manifest_t *spec = manifest_add_map(object, "spec");
    manifest_set_text(spec, "secretName", certificate->secret);
    manifest_set_text(spec, "duration", duration);
    manifest_set_text(spec, "renewBefore", renew_before);
    manifest_t *key = manifest_add_map(spec, "privateKey");
    manifest_set_text(key, "algorithm", "ECDSA");
    manifest_set_int(key, "size", 256);
    manifest_set_text(key, "rotationPolicy", "Always");
    manifest_t *usages = manifest_add_list(spec, "usages");
    manifest_append_text(usages, "digital signature");
    manifest_append_text(usages, "server auth");
    manifest_add_list(spec, "dnsNames");
    manifest_t *issuer = manifest_add_map(spec, "issuerRef");
    manifest_set_text(issuer, "group", "cert-manager.io");
    manifest_set_text(issuer, "kind", certificate->issuer_kind);
    manifest_set_text(issuer, "name", certificate->issuer);
    return spec;
}

/* A Service, and its pods by their own names. */
static void add_names(const struct render *self, manifest_t *names, const char *component) {
    const char *pods = render_host(self, render_pods_name(self, component));
    manifest_append_text(names, render_host(self, render_name(self, component)));
    manifest_append_text(names, pods);
    manifest_append_format(names, "*.%s", pods);
}

static void add_inside(const struct render *self) {
    const struct spec_tls *tls = &self->spec->tls;
    if (tls->issuer[0] == '\0' || spec_redis_pods(self->spec) == 0) {
        return;
    }
    const struct certificate certificate = {RENDER_REDIS, tls->secret, tls->issuer, tls->issuer_kind};
    manifest_t *spec = add_certificate(self, &certificate);
    manifest_append_text(manifest_get(spec, "usages"), "client auth"); /* replicas and peers show it, too */
    manifest_t *names = manifest_get(spec, "dnsNames");
    add_names(self, names, RENDER_REDIS);
    if (self->spec->redis.mode == SPEC_REDIS_SENTINEL) {
        add_names(self, names, RENDER_SENTINEL);
    }
}

static void add_outside(const struct render *self) {
    const struct spec_edge *edge = &self->spec->edge;
    const struct spec_listener *listener = self->spec->gateway.listeners.items;
    if (!spec_edge_has_certificate(self->spec)) {
        return;
    }
    const struct certificate certificate = {RENDER_GATEWAY, listener->tls_secret, edge->tls.issuer,
                                            edge->tls.issuer_kind};
    manifest_t *names = manifest_get(add_certificate(self, &certificate), "dnsNames");
    for (size_t i = 0; i < edge->hosts.n; i++) {
        manifest_append_text(names, edge->hosts.items[i]);
    }
}

void render_certificates(const struct render *self) {
    if (render_has_api(self, "cert-manager.io/v1")) {
        add_inside(self);
        add_outside(self);
    }
}
