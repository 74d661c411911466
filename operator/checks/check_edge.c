/* The edge: what its kind needs, and what its class does to WebSockets. */
#include "operator/checks/check_rules.h"

#include "operator/spec/spec_amount.h"

static bool is_class(const struct check *check, const char *name) {
    return strcmp(check->spec->edge.class, name) == 0;
}

static void check_complete(const struct check *check) {
    const struct spec_edge *edge = &check->spec->edge;
    if (edge->kind == SPEC_EDGE_INGRESS && !check_is_set(check, "edge.hosts")) {
        check_tell(check, DIAGNOSTIC_EDGE_INCOMPLETE, "edge.kind", "an Ingress needs edge.hosts");
        check_mend(check, "set edge.hosts: [push.example.com]");
    }
    if (edge->kind == SPEC_EDGE_GATEWAY && !check_is_set(check, "edge.parentRefs")) {
        check_tell(check, DIAGNOSTIC_EDGE_INCOMPLETE, "edge.kind", "a route needs edge.parentRefs");
        check_mend(check, "set edge.parentRefs: [{name: …}]");
    }
}

/* Do the gateways themselves end TLS? */
static bool is_tls(const struct check *check) {
    const struct spec_listener *listener = check->spec->gateway.listeners.items;
    return check->spec->gateway.listeners.n > 0 && listener->tls_secret[0] != '\0';
}

static void check_no_effect(const struct check *check) {
    const struct {
        const char *path;
        bool is_used;
    } fields[] = {
        {"edge.class", check->spec->edge.kind == SPEC_EDGE_INGRESS || check->spec->edge.kind == SPEC_EDGE_GATEWAY ||
                           check->spec->edge.kind == SPEC_EDGE_LOAD_BALANCER},
        {"edge.hosts", check->spec->edge.kind == SPEC_EDGE_INGRESS || check->spec->edge.kind == SPEC_EDGE_GATEWAY ||
                           check_is_set(check, "edge.tls.issuerRef.name")},
        {"edge.parentRefs", check->spec->edge.kind == SPEC_EDGE_GATEWAY},
        {"edge.tls.secretName", check->spec->edge.kind == SPEC_EDGE_INGRESS},
        {"edge.tls.issuerRef.name", check->spec->edge.kind == SPEC_EDGE_INGRESS || is_tls(check)},
        {"edge.annotations", check->spec->edge.kind != SPEC_EDGE_NONE},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (!fields[i].is_used && check_is_set(check, fields[i].path)) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, fields[i].path, "changes nothing with this edge.kind");
            check_other(check, "edge.kind");
        }
    }
}

/* client.ping_interval of the gateways, from gateway.config, else the table's default. */
static int64_t ping_interval_ms(const struct check *check) {
    enum { BY_DEFAULT_MS = 25000 };
    const config_node_t *node = spec_node(check->document, "gateway.config.client.ping_interval");
    int64_t ms;
    bool is_set = node != NULL && node->kind == CONFIG_NODE_SCALAR &&
                  spec_duration_parse(span_of(node->text, node->text_size), &ms);
    return is_set ? ms : BY_DEFAULT_MS;
}

static void check_idle_timeout(const struct check *check) {
    const struct spec_edge *edge = &check->spec->edge;
    int64_t ping_ms = ping_interval_ms(check);
    if (edge->kind != SPEC_EDGE_NONE && edge->idle_timeout_ms < 2 * ping_ms) {
        check_tell(check, DIAGNOSTIC_IDLE_BELOW_PING, "edge.idleTimeout", "%s is less than twice the ping interval %s",
                   check_amount(check, SPEC_DURATION, edge->idle_timeout_ms),
                   check_amount(check, SPEC_DURATION, ping_ms));
        check_mend(check, "use at least %s", check_amount(check, SPEC_DURATION, 2 * ping_ms));
        check_other(check, "gateway.config.client.ping_interval");
    }
}

/* GKE knows no idle timeout: the longest lifetime is rendered, whatever stands here. The default is nobody's wish. */
static void check_lifetime(const struct check *check) {
    enum { BY_DEFAULT_MS = 60 * 60 * 1000, LIFETIME_MS = 24 * 60 * 60 * 1000 };
    const struct spec_edge *edge = &check->spec->edge;
    bool is_gke = (edge->kind == SPEC_EDGE_INGRESS && is_class(check, "gce")) ||
                  (edge->kind == SPEC_EDGE_GATEWAY && is_class(check, "gke"));
    if (is_gke && edge->idle_timeout_ms != BY_DEFAULT_MS && edge->idle_timeout_ms < LIFETIME_MS) {
        check_tell(check, DIAGNOSTIC_LIFETIME_TIMEOUT, "edge.idleTimeout",
                   "GKE has no idle timeout: a WebSocket is closed when it is 24h old, whatever stands here");
        check_other(check, "edge.class");
    }
}

static void check_class_limits(const struct check *check) {
    enum { ALB_MAX_MS = 4000 * 1000 };
    const struct spec_edge *edge = &check->spec->edge;
    if (edge->kind != SPEC_EDGE_INGRESS) {
        return;
    }
    if (is_class(check, "nginx")) {
        check_tell(check, DIAGNOSTIC_RETIRED_CONTROLLER, "edge.class", "ingress-nginx gets no fixes since March 2026");
    }
    if (is_class(check, "alb") && edge->idle_timeout_ms > ALB_MAX_MS) {
        check_tell(check, DIAGNOSTIC_OUT_OF_BOUNDS, "edge.idleTimeout", "an ALB takes at most 4000s");
        check_mend(check, "use 1h");
        check_other(check, "edge.class");
    }
}

static void check_certificate(const struct check *check) {
    if (check_is_set(check, "edge.tls.secretName") && check->spec->edge.hosts.n == 0 &&
        check->spec->edge.kind == SPEC_EDGE_INGRESS) {
        check_tell(check, DIAGNOSTIC_EDGE_INCOMPLETE, "edge.tls.secretName", "a certificate is for edge.hosts");
    }
    if (check_is_set(check, "edge.tls.issuerRef.name") && check->spec->edge.hosts.n == 0 && is_tls(check) &&
        check->spec->edge.kind != SPEC_EDGE_INGRESS) {
        check_tell(check, DIAGNOSTIC_EDGE_INCOMPLETE, "edge.tls.issuerRef.name", "a certificate is for edge.hosts");
        check_mend(check, "set edge.hosts: [push.example.com]");
    }
}

/* An IngressClass is an object, and its name has no slash. */
static void check_class_of_ingress(const struct check *check) {
    if (check->spec->edge.kind == SPEC_EDGE_INGRESS && strchr(check->spec->edge.class, '/') != NULL) {
        check_tell(check, DIAGNOSTIC_BAD_FORMAT, "edge.class", "\"%s\" is no name of an IngressClass",
                   check->spec->edge.class);
        check_mend(check, "only classes of load balancers have a prefix");
    }
}

check_rule_t *const check_rules_edge[] = {
    check_complete, check_class_of_ingress, check_no_effect,   check_idle_timeout,
    check_lifetime, check_class_limits,     check_certificate, NULL,
};
