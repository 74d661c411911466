/* How clients come in: the public Service, and before it an Ingress, an HTTPRoute or a load balancer. What keeps a
 * WebSocket open differs by class (operator.md 2.8); no class is told to stick: any gateway resumes any session. */
#include "operator/render/render_parts.h"

#include <string.h>

enum { ALB_IDLE_MAX_S = 4000, GKE_LIFETIME_S = 86400, DRAIN_MAX_S = 3600 /* both clouds' */ };

struct edge {
    const struct render *render;
    const struct spec_edge *spec;
    const char *name; /* of all its objects: that of the public Service */
    int64_t port;     /* of the Service */
    int64_t pod_port;
    bool is_tls; /* the gateways themselves speak it */
    int64_t idle_s;
    int64_t drain_s;
    const char *health_protocol; /* HTTP, HTTPS */
};

static bool is_class(const struct edge *self, const char *class) {
    return strcmp(self->spec->class, class) == 0;
}

static manifest_t *annotations_of(manifest_t *object) {
    return manifest_add_map(manifest_add_map(object, "metadata"), "annotations");
}

/* The user's own win. */
static void set_own_annotations(const struct edge *self, manifest_t *object) {
    if (self->spec->annotations.n > 0) {
        render_set_pairs(annotations_of(object), &self->spec->annotations);
    }
}

/* ---- the Service ---- */

static void add_service(const struct edge *self) {
    const struct render *render = self->render;
    manifest_t *service = render_add_service(render, self->name, RENDER_GATEWAY, false);
    bool is_balancer = self->spec->kind == SPEC_EDGE_LOAD_BALANCER;
    if (is_balancer) {
        manifest_t *spec = manifest_add_map(service, "spec");
        manifest_set_text(spec, "type", "LoadBalancer");
        manifest_set_text_if(spec, "loadBalancerClass", self->spec->class);
        manifest_set_text(spec, "externalTrafficPolicy", "Local"); /* the client's address stays, and no hop more */
        set_own_annotations(self, service);
    }
    if (self->spec->kind == SPEC_EDGE_INGRESS && is_class(self, "gce")) {
        manifest_t *annotations = annotations_of(service);
        manifest_set_text(annotations, "cloud.google.com/neg", "{\"ingress\": true}");
        manifest_set_format(annotations, "cloud.google.com/backend-config", "{\"default\": \"%s\"}", self->name);
        if (self->is_tls) {
            manifest_set_text(annotations, "cloud.google.com/app-protocols", "{\"websocket\": \"HTTPS\"}");
        }
    }
    manifest_t *item = manifest_append_map(manifest_find(service, "spec.ports"));
    manifest_set_text(item, "name", "websocket");
    manifest_set_text(item, "appProtocol", self->is_tls ? "https" : "http");
    manifest_set_text(item, "protocol", "TCP");
    manifest_set_int(item, "port", self->port);
    manifest_set_text(item, "targetPort", "websocket");
}

/* ---- Ingress ---- */

/* Balancers look for health on the public port, where they may come: they are no pods of the cluster, so the network
 * policies keep them from the internal one. */
static void set_alb_annotations(const struct edge *self, manifest_t *map) {
    manifest_set_text(map, "alb.ingress.kubernetes.io/target-type", "ip");
    manifest_set_format(map, "alb.ingress.kubernetes.io/load-balancer-attributes", "idle_timeout.timeout_seconds=%lld",
                        (long long) (self->idle_s < ALB_IDLE_MAX_S ? self->idle_s : ALB_IDLE_MAX_S));
    manifest_set_format(map, "alb.ingress.kubernetes.io/target-group-attributes",
                        "deregistration_delay.timeout_seconds=%lld,"
                        "load_balancing.algorithm.type=least_outstanding_requests",
                        (long long) self->drain_s);
    manifest_set_text(map, "alb.ingress.kubernetes.io/backend-protocol", self->health_protocol);
    manifest_set_text(map, "alb.ingress.kubernetes.io/healthcheck-protocol", self->health_protocol);
    manifest_set_text(map, "alb.ingress.kubernetes.io/healthcheck-path", "/ready");
    manifest_set_text(map, "alb.ingress.kubernetes.io/healthcheck-port", "traffic-port");
}

static void set_class_annotations(const struct edge *self, manifest_t *ingress) {
    manifest_t *map = annotations_of(ingress);
    long long idle_s = self->idle_s;
    if (is_class(self, "nginx")) {
        manifest_set_format(map, "nginx.ingress.kubernetes.io/proxy-read-timeout", "%lld", idle_s);
        manifest_set_format(map, "nginx.ingress.kubernetes.io/proxy-send-timeout", "%lld", idle_s);
        if (self->is_tls) {
            manifest_set_text(map, "nginx.ingress.kubernetes.io/backend-protocol", "HTTPS");
        }
    } else if (is_class(self, "haproxy")) {
        manifest_set_format(map, "haproxy.org/timeout-tunnel", "%llds", idle_s);
        if (self->is_tls) {
            manifest_set_text(map, "haproxy.org/server-ssl", "true");
        }
    } else if (is_class(self, "alb")) {
        set_alb_annotations(self, map);
    }
    if (self->spec->tls.issuer[0] != '\0') {
        bool is_cluster = strcmp(self->spec->tls.issuer_kind, "ClusterIssuer") == 0;
        manifest_set_text(map, is_cluster ? "cert-manager.io/cluster-issuer" : "cert-manager.io/issuer",
                          self->spec->tls.issuer);
    }
    set_own_annotations(self, ingress);
    if (manifest_count(map) == 0) {
        manifest_remove(manifest_get(ingress, "metadata"), "annotations");
    }
}

static void add_rule(const struct edge *self, manifest_t *rules, const char *host) {
    manifest_t *rule = manifest_append_map(rules);
    manifest_set_text_if(rule, "host", host);
    manifest_t *path = manifest_append_map(manifest_add_list(manifest_add_map(rule, "http"), "paths"));
    manifest_set_text(path, "path", "/");
    manifest_set_text(path, "pathType", "Prefix");
    manifest_t *service = manifest_add_map(manifest_add_map(path, "backend"), "service");
    manifest_set_text(service, "name", self->name);
    manifest_set_text(manifest_add_map(service, "port"), "name", "websocket");
}

static void add_ingress(const struct edge *self) {
    const struct spec_edge *spec = self->spec;
    manifest_t *ingress = render_add(self->render, "networking.k8s.io/v1", "Ingress", self->name, RENDER_GATEWAY);
    set_class_annotations(self, ingress);
    manifest_t *map = manifest_add_map(ingress, "spec");
    manifest_set_text_if(map, "ingressClassName", spec->class);
    if (spec->tls.secret[0] != '\0' || spec->tls.issuer[0] != '\0') {
        manifest_t *tls = manifest_append_map(manifest_add_list(map, "tls"));
        for (size_t i = 0; i < spec->hosts.n; i++) {
            manifest_append_text(manifest_add_list(tls, "hosts"), spec->hosts.items[i]);
        }
        manifest_set_text(tls, "secretName",
                          spec->tls.secret[0] != '\0' ? spec->tls.secret
                                                      : arena_format(self->render->arena, "%s-tls", self->name));
    }
    manifest_t *rules = manifest_add_list(map, "rules");
    for (size_t i = 0; i < spec->hosts.n; i++) {
        add_rule(self, rules, spec->hosts.items[i]);
    }
    if (spec->hosts.n == 0) {
        add_rule(self, rules, "");
    }
}

/* What GKE calls a timeout is how long a WebSocket may live at all. */
static void add_backend_config(const struct edge *self) {
    manifest_t *config = render_add(self->render, "cloud.google.com/v1", "BackendConfig", self->name, RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(config, "spec");
    manifest_set_int(spec, "timeoutSec", GKE_LIFETIME_S);
    manifest_set_int(manifest_add_map(spec, "connectionDraining"), "drainingTimeoutSec", self->drain_s);
    manifest_t *check = manifest_add_map(spec, "healthCheck");
    manifest_set_text(check, "type", self->health_protocol);
    manifest_set_text(check, "requestPath", "/ready");
    manifest_set_int(check, "port", self->pod_port);
}

/* ---- Gateway API ---- */

static void add_parent(const struct spec_parent_ref *parent, manifest_t *list) {
    manifest_t *item = manifest_append_map(list);
    manifest_set_text(item, "group", "gateway.networking.k8s.io");
    manifest_set_text(item, "kind", "Gateway");
    manifest_set_text_if(item, "namespace", parent->namespace);
    manifest_set_text(item, "name", parent->name);
    manifest_set_text_if(item, "sectionName", parent->section);
    if (parent->port > 0) {
        manifest_set_int(item, "port", parent->port);
    }
}

/* Timeouts of a route are "extended": only where the class is known to take them. GKE refuses a route that has any. */
static bool takes_route_timeouts(const struct edge *self) {
    return is_class(self, "envoy") || is_class(self, "istio");
}

static void add_route(const struct edge *self) {
    const struct spec_edge *spec = self->spec;
    const struct spec_parent_ref *parents = spec->parent_refs.items;
    manifest_t *route =
        render_add(self->render, "gateway.networking.k8s.io/v1", "HTTPRoute", self->name, RENDER_GATEWAY);
    set_own_annotations(self, route);
    manifest_t *map = manifest_add_map(route, "spec");
    for (size_t i = 0; i < spec->parent_refs.n; i++) {
        add_parent(&parents[i], manifest_add_list(map, "parentRefs"));
    }
    for (size_t i = 0; i < spec->hosts.n; i++) {
        manifest_append_text(manifest_add_list(map, "hostnames"), spec->hosts.items[i]);
    }
    manifest_t *rule = manifest_append_map(manifest_add_list(map, "rules"));
    manifest_t *path = manifest_add_map(manifest_append_map(manifest_add_list(rule, "matches")), "path");
    manifest_set_text(path, "type", "PathPrefix");
    manifest_set_text(path, "value", "/");
    manifest_t *backend = manifest_append_map(manifest_add_list(rule, "backendRefs"));
    manifest_set_text(backend, "group", "");
    manifest_set_text(backend, "kind", "Service");
    manifest_set_text(backend, "name", self->name);
    manifest_set_int(backend, "port", self->port);
    manifest_set_int(backend, "weight", 1);
    if (takes_route_timeouts(self)) {
        manifest_set_text(manifest_add_map(rule, "timeouts"), "request", "0s");
    }
}

static void set_target(const struct edge *self, manifest_t *spec) {
    manifest_t *target = manifest_add_map(spec, "targetRef");
    manifest_set_text(target, "group", "");
    manifest_set_text(target, "kind", "Service");
    manifest_set_text(target, "name", self->name);
}

static void add_gke_policy(const struct edge *self) {
    manifest_t *policy =
        render_add(self->render, "networking.gke.io/v1", "GCPBackendPolicy", self->name, RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(policy, "spec");
    manifest_t *defaults = manifest_add_map(spec, "default");
    manifest_set_int(defaults, "timeoutSec", GKE_LIFETIME_S);
    manifest_set_int(manifest_add_map(defaults, "connectionDraining"), "drainingTimeoutSec", self->drain_s);
    set_target(self, spec);
}

/* Without one GKE asks for /, which is no page of a gateway's, and sends it nobody. */
static void add_gke_health(const struct edge *self) {
    manifest_t *policy =
        render_add(self->render, "networking.gke.io/v1", "HealthCheckPolicy", self->name, RENDER_GATEWAY);
    manifest_t *spec = manifest_add_map(policy, "spec");
    manifest_t *config = manifest_add_map(manifest_add_map(spec, "default"), "config");
    manifest_set_text(config, "type", self->health_protocol);
    manifest_t *check = manifest_add_map(config, self->is_tls ? "httpsHealthCheck" : "httpHealthCheck");
    manifest_set_text(check, "portSpecification", "USE_SERVING_PORT");
    manifest_set_text(check, "requestPath", "/ready");
    set_target(self, spec);
}

void render_edge(const struct render *render) {
    const struct spec_gateway *gateway = &render->spec->gateway;
    const struct spec_listener *listener = gateway->listeners.items;
    bool is_tls = listener->tls_secret[0] != '\0';
    int64_t drain_s = (gateway->drain.propagation_ms + gateway->drain.window_ms + 999) / 1000;
    const struct edge self = {
        .render = render,
        .spec = &render->spec->edge,
        .name = render_name(render, RENDER_GATEWAY),
        .port = is_tls ? 443 : 80,
        .pod_port = listener->port,
        .is_tls = is_tls,
        .idle_s = render->spec->edge.idle_timeout_ms / 1000,
        .drain_s = drain_s < DRAIN_MAX_S ? drain_s : DRAIN_MAX_S,
        .health_protocol = is_tls ? "HTTPS" : "HTTP",
    };
    add_service(&self);
    switch ((enum spec_edge_kind) self.spec->kind) {
    case SPEC_EDGE_NONE:
    case SPEC_EDGE_LOAD_BALANCER:
        break;
    case SPEC_EDGE_INGRESS:
        add_ingress(&self);
        if (is_class(&self, "gce")) {
            add_backend_config(&self);
        }
        break;
    case SPEC_EDGE_GATEWAY:
        if (render_has_api(render, "gateway.networking.k8s.io/v1")) {
            add_route(&self);
            if (is_class(&self, "gke")) {
                add_gke_policy(&self);
                add_gke_health(&self);
            }
        }
        break;
    }
}
