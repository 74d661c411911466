/* auth, tls, networkPolicy, podSecurity: secrets by reference, and who may talk to whom. */
#include "operator/spec/field_rows.h"

static const char *const pod_securities[] = {"restricted", "openshift", NULL}; /* enum spec_pod_security */

static const struct spec_field peer_fields[] = {
    ITEM(spec_peer, "cidr", SPEC_TEXT, cidr, RANGE(1, 64), FORMAT(CIDR), EFFECT(HOT), HELP("Addresses."),
         CHANGES("ipBlock of a rule")),
    ITEM(spec_peer, "namespaceLabels", SPEC_PAIRS, namespace_labels, .items_max = 16, FORMAT(WORD), RANGE(0, 63),
         EFFECT(HOT), HELP("Pods of the namespaces with these labels."), CHANGES("namespaceSelector of a rule")),
    ITEM(spec_peer, "podLabels", SPEC_PAIRS, pod_labels, .items_max = 16, FORMAT(WORD), RANGE(0, 63), EFFECT(HOT),
         HELP("Pods with these labels."), CHANGES("podSelector of a rule")),
    ITEM(spec_peer, "port", SPEC_COUNT, port, RANGE(0, 65535), DEFAULT("0"), EFFECT(HOT), HELP("One port. 0: any."),
         CHANGES("ports of a rule")),
};
static const struct spec_fields from_peers = {
    .title = "networkPolicy.from[]",
    .intro = "Who may reach the gateways' public port and the brokers' ports for services: one peer.",
    FIELDS_OF(peer_fields),
    .item_size = sizeof(struct spec_peer),
};
static const struct spec_fields to_peers = {
    .title = "networkPolicy.to[]",
    .intro = "What gateways and brokers may reach beside each other, Redis and DNS: one peer.",
    FIELDS_OF(peer_fields),
    .item_size = sizeof(struct spec_peer),
};

static const struct spec_field fields[] = {
    FIELD("auth.existingSecret", SPEC_TEXT, auth.existing_secret, FORMAT(NAME), DERIVED("<name>-auth"), EFFECT(ROLLS),
          HELP("The Secret with what is named below; callboard-operator secret makes one. It is never rendered."),
          CHANGES("volumes of gateway, broker and Redis pods")),
    FIELD("auth.keys.tokenSecret", SPEC_TEXT, auth.keys.token_secret, RANGE(1, 253), FORMAT(SECRET_KEY),
          DEFAULT("token-secret"), EFFECT(ROLLS), HELP("Its key with the secret that clients' tokens are signed with."),
          CHANGES("token.secret_file in the gateways' configuration")),
    FIELD("auth.keys.internalToken", SPEC_TEXT, auth.keys.internal_token, RANGE(1, 253), FORMAT(SECRET_KEY),
          DEFAULT("internal-token"), EFFECT(ROLLS), HELP("Its key with the bearer token of the internal listeners."),
          CHANGES("internal.token_file in both configurations, authorization of the PodMonitor")),
    FIELD("auth.keys.redisPassword", SPEC_TEXT, auth.keys.redis_password, RANGE(1, 253), FORMAT(SECRET_KEY),
          DEFAULT("redis-password"), EFFECT(ROLLS), HELP("Its key with the password for Redis."),
          CHANGES("redis.password_file in the brokers' configuration, users.acl")),
    FIELD("auth.keys.sentinelPassword", SPEC_TEXT, auth.keys.sentinel_password, RANGE(1, 253), FORMAT(SECRET_KEY),
          DEFAULT("sentinel-password"), EFFECT(ROLLS), HELP("Its key with the password for the Sentinels."),
          CHANGES("redis.sentinel_password_file in the brokers' configuration, sentinel.conf")),
    FIELD("auth.keys.exporterPassword", SPEC_TEXT, auth.keys.exporter_password, RANGE(1, 253), FORMAT(SECRET_KEY),
          DEFAULT("exporter-password"), EFFECT(ROLLS),
          HELP("Its key with the password of monitoring.exporter, whose user sees figures and no data."),
          CHANGES("REDIS_PASSWORD of the exporter's container, users.acl")),
    FIELD(
        "tls.secretName", SPEC_TEXT, tls.secret, FORMAT(NAME), EFFECT(ROLLS),
        HELP(
            "A Secret with tls.crt, tls.key and ca.crt for Redis and Sentinel inside: with it, or with issuerRef, they "
            "speak TLS."),
        CHANGES("tls-* in redis.conf and sentinel.conf, redis.url, volumes")),
    FIELD("tls.issuerRef.name", SPEC_TEXT, tls.issuer, FORMAT(NAME), EFFECT(ROLLS),
          HELP("An issuer of cert-manager that makes it."), CHANGES("a Certificate, and as tls.secretName")),
    FIELD("tls.issuerRef.kind", SPEC_TEXT, tls.issuer_kind, RANGE(1, 63), FORMAT(WORD), DEFAULT("Issuer"), EFFECT(HOT),
          HELP("Issuer or ClusterIssuer."), CHANGES("issuerRef of the Certificate")),
    FIELD("networkPolicy.enabled", SPEC_BOOL, network_policy.enabled, PROFILES("false", "true", "true", "true", "true"),
          DEFAULT("true"), EFFECT(HOT), HELP("Nobody but who is named may reach the pods, nor they anybody else."),
          CHANGES("the NetworkPolicies")),
    FIELD(
        "networkPolicy.from", SPEC_ITEM_LIST, network_policy.from, .items = &from_peers, .items_max = 64, EFFECT(HOT),
        HELP(
            "Who may reach the gateways' public port and the brokers' ports for services. Empty: the gateways anybody, "
            "the brokers only pods with the label callboard.dev/backend: \"true\"."),
        CHANGES("ingress of the NetworkPolicies")),
    FIELD(
        "networkPolicy.to", SPEC_ITEM_LIST, network_policy.to, .items = &to_peers, .items_max = 64, EFFECT(HOT),
        HELP("What gateways and brokers may reach beside each other, Redis and DNS: a key server, an external Redis."),
        CHANGES("egress of the NetworkPolicies")),
    FIELD("podSecurity", SPEC_CHOICE, pod_security, CHOICES(pod_securities), DEFAULT("restricted"), EFFECT(ROLLS),
          HELP("restricted: users and groups of our own. openshift: the platform picks them."),
          CHANGES("runAsUser, runAsGroup and fsGroup of every pod")),
};

const struct spec_fields spec_fields_security = {
    .title = "auth, tls, networkPolicy, podSecurity",
    .intro = "Secrets by reference, and who may talk to whom.",
    FIELDS_OF(fields),
};
