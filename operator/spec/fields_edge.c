/* edge: how clients come into the cluster. */
#include "operator/spec/field_rows.h"

static const char *const kinds[] = {"none", "ingress", "gateway", "loadBalancer", NULL}; /* enum spec_edge_kind */

static const struct spec_field parent_fields[] = {
    ITEM(spec_parent_ref, "name", SPEC_TEXT, name, FORMAT(NAME), .is_required = true, EFFECT(HOT),
         HELP("The Gateway that the route is attached to."), CHANGES("spec.parentRefs of the HTTPRoute")),
    ITEM(spec_parent_ref, "namespace", SPEC_TEXT, namespace, FORMAT(LABEL), EFFECT(HOT),
         HELP("Its namespace, where it is another; its listener must allow routes from here."),
         CHANGES("spec.parentRefs of the HTTPRoute")),
    ITEM(spec_parent_ref, "sectionName", SPEC_TEXT, section, FORMAT(LABEL), EFFECT(HOT), HELP("One listener of it."),
         CHANGES("spec.parentRefs of the HTTPRoute")),
    ITEM(spec_parent_ref, "port", SPEC_COUNT, port, RANGE(0, 65535), DEFAULT("0"), EFFECT(HOT),
         HELP("One port of it. 0: any."), CHANGES("spec.parentRefs of the HTTPRoute")),
};
static const struct spec_fields parents = {
    .title = "edge.parentRefs[]",
    .intro = "One Gateway of the Gateway API.",
    FIELDS_OF(parent_fields),
    .item_size = sizeof(struct spec_parent_ref),
};

static const struct spec_field fields[] = {
    FIELD("edge.kind", SPEC_CHOICE, edge.kind, CHOICES(kinds), DEFAULT("none"), EFFECT(RECREATE),
          HELP("none: a Service inside the cluster, and no more. ingress: an Ingress. gateway: an HTTPRoute of the "
               "Gateway API. loadBalancer: a Service of that type."),
          CHANGES("the Ingress, the HTTPRoute, or the type of the public Service")),
    FIELD("edge.class", SPEC_TEXT, edge.class, RANGE(0, 253), FORMAT(CLASS), EFFECT(RECREATE),
          HELP("Which controller: nginx, haproxy, alb, gce or another class's name. It decides the annotations that "
               "keep WebSockets open."),
          CHANGES("spec.ingressClassName or spec.loadBalancerClass, and annotations")),
    FIELD("edge.hosts", SPEC_TEXT_LIST, edge.hosts, .items_max = 64, FORMAT(HOST), RANGE(1, 253), EFFECT(HOT),
          HELP("Host names that clients use."), CHANGES("rules of the Ingress, spec.hostnames of the HTTPRoute")),
    FIELD("edge.tls.secretName", SPEC_TEXT, edge.tls.secret, FORMAT(NAME), EFFECT(HOT),
          HELP("The Secret with the certificate for these hosts."), CHANGES("spec.tls of the Ingress")),
    FIELD("edge.tls.issuerRef.name", SPEC_TEXT, edge.tls.issuer, FORMAT(NAME), EFFECT(HOT),
          HELP("An issuer of cert-manager that makes it."), CHANGES("an annotation of the Ingress, or a Certificate")),
    FIELD("edge.tls.issuerRef.kind", SPEC_TEXT, edge.tls.issuer_kind, RANGE(1, 63), FORMAT(WORD),
          DEFAULT("ClusterIssuer"), EFFECT(HOT), HELP("Issuer or ClusterIssuer."),
          CHANGES("an annotation of the Ingress, or a Certificate")),
    FIELD("edge.idleTimeout", SPEC_DURATION, edge.idle_timeout_ms, RANGE(30 * SECOND, 24 * HOUR), DEFAULT("1h"),
          EFFECT(HOT),
          HELP("How long a connection may be silent at the edge. At least twice client.ping_interval of the gateways."),
          CHANGES("annotations of the class, or the timeouts of the policy beside the route")),
    FIELD("edge.annotations", SPEC_PAIRS, edge.annotations, .items_max = 64, RANGE(0, 4096), EFFECT(HOT),
          HELP("Further annotations; they win over ours."),
          CHANGES("metadata.annotations of the Ingress, HTTPRoute or public Service")),
    FIELD("edge.parentRefs", SPEC_ITEM_LIST, edge.parent_refs, .items = &parents, .items_max = 8, EFFECT(HOT),
          HELP("With kind: gateway: which Gateways."), CHANGES("spec.parentRefs of the HTTPRoute")),
};

const struct spec_fields spec_fields_edge = {
    .title = "edge",
    .intro = "How clients come into the cluster.",
    FIELDS_OF(fields),
};
