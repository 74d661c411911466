/* Who may talk to whom: a policy for each part, which denies all that it does not name.
 *
 *     anybody or networkPolicy.from ─▶ gateway ─▶ broker ◀─ services          redis ◀─▶ redis, sentinel ◀─▶ sentinel
 *                                                 broker ─▶ redis, sentinel    every part ─▶ DNS, UDP and TCP
 *                                                 backup ─▶ redis
 *
 * Kubelet probes need no rule. Internal ports are reached by every pod of the cluster and ask for the bearer token. */
#include "operator/render/render_parts.h"

#include <string.h>

enum { DNS_PORT = 53 };

static manifest_t *add_policy(const struct render *self, const char *component) {
    manifest_t *policy =
        render_add(self, "networking.k8s.io/v1", "NetworkPolicy", render_name(self, component), component);
    manifest_t *spec = manifest_add_map(policy, "spec");
    render_set_match(self, spec, "podSelector", component);
    manifest_t *types = manifest_add_list(spec, "policyTypes");
    manifest_append_text(types, "Ingress");
    manifest_append_text(types, "Egress");
    return spec;
}

static manifest_t *add_rule(manifest_t *spec, const char *direction) {
    return manifest_append_map(manifest_add_list(spec, direction));
}

static void add_port(manifest_t *rule, const char *protocol, int64_t port) {
    manifest_t *item = manifest_append_map(manifest_add_list(rule, "ports"));
    manifest_set_text(item, "protocol", protocol);
    manifest_set_int(item, "port", port);
}

/* Pods of one part of this deployment. */
static void add_component(const struct render *self, manifest_t *rule, const char *side, const char *component) {
    render_set_match(self, manifest_append_map(manifest_add_list(rule, side)), "podSelector", component);
}

static void add_labels(manifest_t *peer, const char *selector, const struct spec_pairs *labels) {
    if (labels->n > 0) {
        render_set_pairs(manifest_add_map(manifest_add_map(peer, selector), "matchLabels"), labels);
    }
}

static void add_peer(manifest_t *rule, const char *side, const struct spec_peer *peer) {
    manifest_t *item = manifest_append_map(manifest_add_list(rule, side));
    if (peer->cidr[0] != '\0') {
        manifest_set_text(manifest_add_map(item, "ipBlock"), "cidr", peer->cidr);
        return;
    }
    add_labels(item, "namespaceSelector", &peer->namespace_labels);
    add_labels(item, "podSelector", &peer->pod_labels);
}

static void add_dns(manifest_t *spec) {
    manifest_t *rule = add_rule(spec, "egress");
    add_port(rule, "UDP", DNS_PORT);
    add_port(rule, "TCP", DNS_PORT);
}

static void add_internal(manifest_t *spec, int64_t port) {
    manifest_t *rule = add_rule(spec, "ingress");
    manifest_add_map(manifest_append_map(manifest_add_list(rule, "from")), "namespaceSelector");
    add_port(rule, "TCP", port);
}

/* What the spec allows beside; a peer's own port narrows it. */
static void add_allowed(const struct render *self, manifest_t *spec) {
    const struct spec_peer *peers = self->spec->network_policy.to.items;
    for (size_t i = 0; i < self->spec->network_policy.to.n; i++) {
        manifest_t *rule = add_rule(spec, "egress");
        add_peer(rule, "to", &peers[i]);
        if (peers[i].port > 0) {
            add_port(rule, "TCP", peers[i].port);
        }
    }
}

/* Peers of networkPolicy.from at these ports; one with a port of its own at that only, if it is among them. */
static void add_guests(const struct render *self, manifest_t *spec, const int64_t *ports, size_t n_ports) {
    const struct spec_peer *peers = self->spec->network_policy.from.items;
    for (size_t i = 0; i < self->spec->network_policy.from.n; i++) {
        manifest_t *rule = NULL;
        for (size_t j = 0; j < n_ports; j++) {
            if (peers[i].port != 0 && peers[i].port != ports[j]) {
                continue;
            }
            if (rule == NULL) {
                rule = add_rule(spec, "ingress");
                add_peer(rule, "from", &peers[i]);
            }
            add_port(rule, "TCP", ports[j]);
        }
    }
}

static bool has_backup(const struct render *self) {
    return self->spec->backup.schedule[0] != '\0';
}

/* ---- the parts ---- */

static void add_gateway_policy(const struct render *self) {
    const struct spec_listener *listener = self->spec->gateway.listeners.items;
    manifest_t *spec = add_policy(self, RENDER_GATEWAY);
    if (self->spec->network_policy.from.n == 0) {
        add_port(add_rule(spec, "ingress"), "TCP", listener->port);
    } else {
        add_guests(self, spec, &listener->port, 1);
    }
    add_internal(spec, RENDER_GATEWAY_INTERNAL_PORT);
    add_dns(spec);
    manifest_t *brokers = add_rule(spec, "egress");
    add_component(self, brokers, "to", RENDER_BROKER);
    add_port(brokers, "TCP", self->spec->broker.ports.gateways);
    add_allowed(self, spec);
}

static void add_redis_egress(const struct render *self, manifest_t *spec) {
    manifest_t *rule = add_rule(spec, "egress");
    add_component(self, rule, "to", RENDER_REDIS);
    add_port(rule, "TCP", RENDER_REDIS_PORT);
}

/* An external one stands in networkPolicy.to: only who runs it knows its addresses. */
static void add_way_to_redis(const struct render *self, manifest_t *spec) {
    int mode = self->spec->redis.mode;
    if (mode == SPEC_REDIS_EMBEDDED || mode == SPEC_REDIS_EXTERNAL) {
        return;
    }
    add_redis_egress(self, spec);
    if (mode == SPEC_REDIS_SENTINEL) {
        manifest_t *sentinels = add_rule(spec, "egress");
        add_component(self, sentinels, "to", RENDER_SENTINEL);
        add_port(sentinels, "TCP", RENDER_SENTINEL_PORT);
    }
}

static void add_broker_policy(const struct render *self) {
    const struct spec_broker *broker = &self->spec->broker;
    const int64_t ports[] = {broker->ports.backend, broker->ports.backend_pull};
    manifest_t *spec = add_policy(self, RENDER_BROKER);
    manifest_t *gateways = add_rule(spec, "ingress");
    add_component(self, gateways, "from", RENDER_GATEWAY);
    add_port(gateways, "TCP", broker->ports.gateways);
    if (self->spec->network_policy.from.n == 0) {
        manifest_t *services = add_rule(spec, "ingress");
        manifest_t *peer = manifest_append_map(manifest_add_list(services, "from"));
        manifest_t *labels = manifest_add_map(manifest_add_map(peer, "podSelector"), "matchLabels");
        manifest_set_text(labels, "callboard.dev/backend", "true");
        add_port(services, "TCP", ports[0]);
        add_port(services, "TCP", ports[1]);
    } else {
        add_guests(self, spec, ports, 2);
    }
    add_internal(spec, broker->ports.internal);
    add_dns(spec);
    add_way_to_redis(self, spec);
    add_allowed(self, spec);
}

/* Redis and Sentinel speak to themselves and to each other; brokers speak to both. */
static void add_redis_policy(const struct render *self, const char *component, int64_t port) {
    bool is_cluster = self->spec->redis.mode == SPEC_REDIS_CLUSTER;
    bool has_sentinels = self->spec->redis.mode == SPEC_REDIS_SENTINEL;
    manifest_t *spec = add_policy(self, component);
    manifest_t *rule = add_rule(spec, "ingress");
    add_component(self, rule, "from", RENDER_BROKER);
    add_component(self, rule, "from", RENDER_REDIS);
    if (has_sentinels) {
        add_component(self, rule, "from", RENDER_SENTINEL);
    }
    if (has_backup(self) && port == RENDER_REDIS_PORT) {
        add_component(self, rule, "from", RENDER_BACKUP);
    }
    add_port(rule, "TCP", port);
    if (self->spec->monitoring.exporter[0] != '\0' && port == RENDER_REDIS_PORT) {
        add_internal(spec, RENDER_EXPORTER_PORT);
    }
    if (is_cluster) {
        manifest_t *bus = add_rule(spec, "ingress");
        add_component(self, bus, "from", RENDER_REDIS);
        add_port(bus, "TCP", RENDER_REDIS_PORT + 10000);
    }
    add_dns(spec);
    add_way_to_redis(self, spec);
    if (is_cluster) {
        manifest_t *bus = add_rule(spec, "egress");
        add_component(self, bus, "to", RENDER_REDIS);
        add_port(bus, "TCP", RENDER_REDIS_PORT + 10000);
    }
}

/* Nobody has anything to ask it. */
static void add_backup_policy(const struct render *self) {
    manifest_t *spec = add_policy(self, RENDER_BACKUP);
    add_dns(spec);
    add_redis_egress(self, spec);
}

static void add_redis_policies(const struct render *self) {
    int mode = self->spec->redis.mode;
    if (mode != SPEC_REDIS_EMBEDDED && mode != SPEC_REDIS_EXTERNAL) {
        add_redis_policy(self, RENDER_REDIS, RENDER_REDIS_PORT);
    }
    if (mode == SPEC_REDIS_SENTINEL) {
        add_redis_policy(self, RENDER_SENTINEL, RENDER_SENTINEL_PORT);
    }
    if (has_backup(self)) {
        add_backup_policy(self);
    }
}

void render_network(const struct render *self) {
    if (self->spec->network_policy.enabled) {
        add_gateway_policy(self);
        add_broker_policy(self);
        add_redis_policies(self);
    }
}
