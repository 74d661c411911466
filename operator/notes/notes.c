/* The order of first steps and the Secrets; then a part a file. */
#include "operator/notes/notes.h"

#include "operator/notes/notes_parts.h"
#include "operator/plan/sizing.h"
#include "operator/plan/sizing_print.h"
#include "operator/spec/spec_derive.h"

static bool is_external(const struct spec *spec) {
    return spec->redis.mode == SPEC_REDIS_EXTERNAL;
}

void notes_append_namespace(const struct spec *spec, struct buffer *out) {
    if (spec->metadata.namespace[0] != '\0') {
        buffer_append_format(out, " -n %s", spec->metadata.namespace);
    }
}

/* ---- in which order ---- */

static void append_namespace_step(const struct spec *spec, struct buffer *out) {
    const char *name = spec->metadata.namespace[0] == '\0' ? "<NAMESPACE>" : spec->metadata.namespace;
    buffer_append_format(out,
                         "1. The namespace, where pods that break Pod Security are refused:\n\n   ```sh\n   kubectl "
                         "create namespace %s\n   kubectl label namespace %s "
                         "pod-security.kubernetes.io/enforce=restricted\n   ```\n",
                         name, name);
}

static void append_order(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "## In this order\n\n");
    append_namespace_step(spec, out);
    buffer_append_text(out, "2. The Secrets, once: another run makes others, which lock everybody out. They go to the "
                            "cluster or are sealed, never into a repository as they are.\n\n   ```sh\n   "
                            "callboard-operator secret SPEC | kubectl apply");
    notes_append_namespace(spec, out);
    buffer_append_text(out, " -f -\n   ```\n");
    buffer_append_text(out, is_external(spec) ? "3. Redis, as below, and the Secret with its password.\n"
                                              : "3. What the Secrets below need that `secret` does not make.\n");
    buffer_append_text(out, "4. The objects:\n\n   ```sh\n   callboard-operator check SPEC\n   callboard-operator "
                            "render SPEC | kubectl apply");
    notes_append_namespace(spec, out);
    buffer_append_text(out, " -f -\n   ```\n5. DNS and the load balancer, as below; then a client that publishes and "
                            "receives.\n");
}

/* ---- Secrets ---- */

static void append_redis_secrets(const struct spec *spec, struct buffer *out) {
    const struct spec_external *external = &spec->redis.external;
    if (is_external(spec) && external->auth_secret[0] != '\0') {
        buffer_append_format(out, "| `%s` | `%s` | you: the password that the provider gave |\n", external->auth_secret,
                             spec->auth.keys.redis_password);
    }
    if (is_external(spec) && external->tls_ca_secret[0] != '\0') {
        buffer_append_format(out, "| `%s` | `ca.crt` | you: the authority of the provider's certificate |\n",
                             external->tls_ca_secret);
    }
    if (!is_external(spec) && spec->tls.is_on) {
        buffer_append_format(out, "| `%s` | `tls.crt`, `tls.key`, `ca.crt` | %s |\n", spec->tls.secret,
                             spec->tls.issuer[0] != '\0' ? "cert-manager" : "you: for the names of the Redis pods");
    }
}

static void append_edge_secrets(const struct spec *spec, struct buffer *out) {
    const struct spec_listener *listener = spec->gateway.listeners.items;
    if (spec->edge.tls.secret[0] != '\0') {
        buffer_append_format(out, "| `%s` | `tls.crt`, `tls.key` | %s the certificate of the public names |\n",
                             spec->edge.tls.secret, spec->edge.tls.issuer[0] != '\0' ? "cert-manager:" : "you:");
    }
    if (listener->tls_secret[0] != '\0') {
        buffer_append_format(out, "| `%s` | `tls.crt`, `tls.key` | %s the gateways' own certificate |\n",
                             listener->tls_secret, spec_edge_has_certificate(spec) ? "cert-manager:" : "you:");
    }
}

static void append_secrets(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n## Secrets\n\n| Secret | keys | made by |\n| --- | --- | --- |\n");
    buffer_append_format(out, "| `%s` | `%s`, `%s`", spec->auth.existing_secret, spec->auth.keys.token_secret,
                         spec->auth.keys.internal_token);
    if (spec_redis_pods(spec) > 0) {
        buffer_append_format(out, ", `%s`", spec->auth.keys.redis_password);
    }
    if (spec->redis.mode == SPEC_REDIS_SENTINEL) {
        buffer_append_format(out, ", `%s`", spec->auth.keys.sentinel_password);
    }
    if (spec_has_exporter(spec)) {
        buffer_append_format(out, ", `%s`", spec->auth.keys.exporter_password);
    }
    buffer_append_format(
        out,
        " | `callboard-operator secret` |\n| `%s` | `broker.key`, `gateway.key`, their `.pub` | "
        "`callboard-operator secret` |\n| `%s-services` | `SERVICE.pub`, `SERVICE.rights` | you, where "
        "services use the backend API: `callboard-operator secret --service SERVICE` |\n",
        spec->broker.curve_secret, spec->broker.curve_secret);
    append_redis_secrets(spec, out);
    append_edge_secrets(spec, out);
    buffer_append_text(out, "\nWho signs clients' tokens needs the same token secret. `kubectl create secret "
                            "--from-file` keeps the line feed at a file's end; the programs trim it.\n");
}

/* ---- Redis ---- */

static void append_redis(const struct spec *spec, struct buffer *out) {
    if (spec->redis.mode == SPEC_REDIS_EMBEDDED) {
        buffer_append_text(out, "\n## Redis\n\nNone: the broker keeps histories in its memory, and nothing outlives "
                                "its pod. For a trial only.\n");
    } else if (!is_external(spec)) {
        notes_append_own_redis(spec, out);
    } else if (spec->redis.external.provider == SPEC_PROVIDER_ELASTICACHE) {
        notes_append_elasticache(spec, out);
    } else {
        notes_append_provider(spec, out);
    }
}

/* ---- what watches ---- */

static void append_monitoring(const struct spec *spec, struct buffer *out) {
    buffer_append_text(out, "\n## Monitoring\n\n");
    if (!spec->monitoring.pod_monitor) {
        buffer_append_text(out, "- `monitoring.podMonitor` is off: scrape port `internal` of gateways and brokers "
                                "yourself, with the internal token.\n");
    }
    if (!spec->monitoring.rules) {
        buffer_append_text(out, "- `monitoring.rules` is off: nobody is alarmed. The rules are in "
                                "k8s/monitoring/alerts.yml.\n");
    }
    if (spec->monitoring.pod_monitor || spec->monitoring.rules) {
        buffer_append_text(out, "- The Prometheus operator must be there, and select the objects by "
                                "`monitoring.labels`; kube-prometheus-stack wants the label `release`.\n");
    }
    if (spec->gateway.autoscaling.max > 0) {
        buffer_append_text(out, spec->gateway.autoscaling.provider == SPEC_SCALED_BY_KEDA
                                    ? "- KEDA must be installed: it gives the autoscaler the connections.\n"
                                    : "- prometheus-adapter (custom.metrics.k8s.io) must give the autoscaler the "
                                      "connections of pods; without it only CPU counts.\n");
        buffer_append_text(out, "- Budgets do not hold an autoscaler back: it deletes pods directly. New pods get new "
                                "connections only.\n");
    }
}

void notes_append(arena_t *arena, const struct spec *spec, struct buffer *out) {
    buffer_append_format(out,
                         "# %s: what is left to do\n\nPrinted by `callboard-operator notes SPEC`. What stands in "
                         "`<ANGLES>` is for you to fill in; no secret stands here.\n\n",
                         spec->metadata.name);
    append_order(spec, out);
    append_secrets(spec, out);
    append_redis(spec, out);
    notes_append_edge(spec, out);
    notes_append_nodes(spec, out);
    append_monitoring(spec, out);
    buffer_append_text(out, "\n## Capacity\n\n");
    sizing_print_markdown(arena, spec, sizing_of(arena, spec), out);
}
