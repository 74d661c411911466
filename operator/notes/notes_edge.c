/* Load balancers and DNS: what keeps WebSockets open in each class, and what a person sets beside the manifests. */
#include "operator/notes/notes_parts.h"
#include "operator/spec/spec_values.h"

#include <string.h>

static bool is_class(const struct spec *spec, const char *name) {
    return strcmp(spec->edge.class, name) == 0;
}

static void append_ingress(const struct spec *spec, struct buffer *out) {
    if (is_class(spec, "nginx")) {
        buffer_append_text(
            out,
            "- **ingress-nginx is retired and gets no fixes since March 2026.** Use another class or the Gateway "
            "API.\n- Each reload ends old workers after `worker-shutdown-timeout` (240 s) with all their sockets, "
            "pings or not: give these hosts a class of their own, so that nobody else's changes reload it.\n- A worker "
            "has 16,384 connections by default, and a WebSocket takes two of them.\n- `proxy-read-timeout` and "
            "`proxy-send-timeout` are rendered (default 60 s).\n");
    } else if (is_class(spec, "haproxy")) {
        buffer_append_text(out,
                           "- `haproxy.org/timeout-tunnel` is rendered: it is of haproxytech's controller; the other "
                           "HAProxy controller has another prefix, which goes into `edge.annotations`.\n");
    } else if (is_class(spec, "alb")) {
        buffer_append_text(
            out,
            "- Target type `ip`, idle timeout (at most 4,000 s), deregistration delay, health checks on the public "
            "port and `least_outstanding_requests` are rendered.\n- An ALB is internal unless "
            "`alb.ingress.kubernetes.io/scheme: internet-facing` stands in `edge.annotations`.\n- Label the namespace, "
            "or a roll is faster than the "
            "registration of new pods:\n\n  ```sh\n  kubectl label namespace ");
        buffer_append_text(out, spec->metadata.namespace[0] == '\0' ? "<NAMESPACE>" : spec->metadata.namespace);
        buffer_append_text(
            out, " elbv2.k8s.aws/pod-readiness-gate-inject=enabled\n  ```\n\n- The certificate of an ALB comes "
                 "from ACM by its host names, or by `alb.ingress.kubernetes.io/certificate-arn` in "
                 "`edge.annotations`: look it up in the controller's documentation.\n");
    } else if (is_class(spec, "gce")) {
        buffer_append_text(
            out, "- A BackendConfig with `timeoutSec` and connection draining is rendered: **the timeout is the "
                 "lifetime of a WebSocket, not its idle time** (default 30 s). Clients reconnect when it is over.\n");
    } else {
        buffer_append_text(out, "- This class is not known here: set its idle timeout above twice the ping interval in "
                                "`edge.annotations`.\n");
    }
}

static void append_gateway_api(const struct spec *spec, struct buffer *out) {
    buffer_append_text(
        out, "- The Gateway is yours: its listener's host names must meet `edge.hosts`, and from another "
             "namespace it must allow routes (`allowedRoutes`). It ends TLS.\n- `rules[].timeouts` of an HTTPRoute is "
             "extended: many implementations lack it.\n");
    if (strncmp(spec->edge.class, "gke", 3) == 0 || is_class(spec, "gce")) {
        buffer_append_text(out,
                           "- GKE **rejects** an HTTPRoute with timeouts: `GCPBackendPolicy` `default.timeoutSec` sets "
                           "it, and is a lifetime.\n");
    } else {
        buffer_append_text(
            out, "- Envoy Gateway, Istio: streams that are idle are cut; how soon by default (5 minutes, by "
                 "memory) look up, and keep it above twice the ping interval. On GKE use `GCPBackendPolicy`.\n");
    }
}

static void append_kind(const struct spec *spec, struct buffer *out) {
    switch ((enum spec_edge_kind) spec->edge.kind) {
    case SPEC_EDGE_NONE:
        buffer_append_format(
            out,
            "- `edge.kind: none`: nobody outside reaches the Service `%s-gateway`. What you put before it "
            "must keep WebSockets open, and needs no stickiness.\n",
            spec->metadata.name);
        break;
    case SPEC_EDGE_INGRESS:
        append_ingress(spec, out);
        break;
    case SPEC_EDGE_GATEWAY:
        append_gateway_api(spec, out);
        break;
    case SPEC_EDGE_LOAD_BALANCER:
        buffer_append_text(out,
                           "- A load balancer of the cloud: its own idle timeout goes into `edge.annotations`. "
                           "`externalTrafficPolicy: Local` keeps clients' addresses; only nodes with a gateway get "
                           "traffic.\n");
        break;
    }
}

/* Where networkPolicy.from names who may come, the balancer's own addresses have to be among them. */
static void append_policy(const struct spec *spec, struct buffer *out) {
    bool is_alb = spec->edge.kind == SPEC_EDGE_INGRESS && is_class(spec, "alb");
    bool is_gke = (spec->edge.kind == SPEC_EDGE_INGRESS && is_class(spec, "gce")) ||
                  (spec->edge.kind == SPEC_EDGE_GATEWAY && is_class(spec, "gke"));
    if (!spec->network_policy.enabled || spec->network_policy.from.n == 0 || (!is_alb && !is_gke)) {
        return;
    }
    buffer_append_format(
        out, "- `networkPolicy.from` must let the balancer in, for clients and for its health checks: %s.\n",
        is_alb ? "the ALB's subnets" : "35.191.0.0/16 and 130.211.0.0/22");
}

static void append_timeouts(const struct spec *spec, struct buffer *out) {
    buffer_append_text(
        out, "- **No stickiness**: any gateway resumes any session, and cookies only unbalance. Least connections "
             "where it exists.\n- Pings (`client.ping_interval`) stay below half of the smallest idle timeout on "
             "the way; here `edge.idleTimeout` is ");
    spec_append_duration(out, spec->edge.idle_timeout_ms);
    buffer_append_text(out, ".\n- A leaving pod waits ");
    spec_append_duration(out, spec->gateway.drain.propagation_ms);
    buffer_append_text(out, " for the load balancer to learn of it (they lag 1 to 15 s), closes its connections over ");
    spec_append_duration(out, spec->gateway.drain.window_ms);
    buffer_append_text(out, " and is killed after ");
    spec_append_duration(out, spec->gateway.drain.grace_ms);
    buffer_append_text(out, ": set the load balancer's deregistration or draining to about that window.\n"
                            "- A mesh: `appProtocol` is set on all ports; leave ZeroMQ and Redis out of it.\n");
}

static void append_names(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n## DNS\n\n");
    for (size_t i = 0; i < spec->edge.hosts.n; i++) {
        buffer_append_format(out, "- `%s` → the address of the load balancer (`kubectl get", spec->edge.hosts.items[i]);
        notes_append_namespace(spec, out);
        buffer_append_text(out,
                           spec->edge.kind == SPEC_EDGE_GATEWAY ? " httproute,gateway`).\n" : " ingress,service`).\n");
    }
    buffer_append_format(
        out,
        "- Inside, names end with `%s` (`kubernetes.clusterDomain`): nothing in a pod tells it for sure, so "
        "it must be your cluster's.\n- Egress rules let DNS out over UDP and TCP.\n",
        spec->kubernetes.cluster_domain);
}

void notes_append_edge(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n## Load balancer\n\n");
    append_kind(spec, out);
    append_policy(spec, out);
    append_timeouts(spec, out);
    append_names(spec, out);
}
