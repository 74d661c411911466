/* What goes into a plugin and what comes out of it, as JSON. */
#include "operator/kube/kube_exec.h"

#include "base/base64.h"
#include "operator/kube/kube_json.h"
#include "operator/kube/kube_time.h"
#include "operator/manifest/manifest_emit.h"

static const char *base64_of(arena_t *arena, const char *text) {
    struct buffer out = BUFFER_EMPTY;
    base64_encode(&out, span_of_text(text));
    const char *copy = arena_text_of(arena, buffer_span(&out));
    buffer_finish(&out);
    return copy;
}

static void set_cluster(arena_t *arena, manifest_t *cluster, const struct kube_access *access) {
    manifest_set_text(cluster, "server", access->server);
    manifest_set_text_if(cluster, "tls-server-name", access->tls_server_name);
    manifest_set_text_if(cluster, "proxy-url", access->proxy_url);
    if (access->skips_verification) {
        manifest_set_bool(cluster, "insecure-skip-tls-verify", true);
    }
    if (access->ca_pem != NULL) {
        manifest_set_text(cluster, "certificate-authority-data", base64_of(arena, access->ca_pem));
    }
    if (access->exec_config != NULL) {
        manifest_set(cluster, "config", manifest_copy(arena, access->exec_config));
    }
}

const char *kube_exec_info(arena_t *arena, const struct kube_access *access, bool is_interactive) {
    struct buffer text = BUFFER_EMPTY;
    manifest_t *info = manifest_map(arena);
    manifest_set_text(info, "apiVersion", access->exec->api_version);
    manifest_set_text(info, "kind", "ExecCredential");
    manifest_t *spec = manifest_add_map(info, "spec");
    manifest_set_bool(spec, "interactive", is_interactive);
    if (access->exec->provides_cluster_info) {
        set_cluster(arena, manifest_add_map(spec, "cluster"), access);
    }
    manifest_append_json(info, &text);
    const char *copy = arena_text_of(arena, buffer_span(&text));
    buffer_finish(&text);
    return copy;
}

static const char *text_or_null(const manifest_t *object, const char *path) {
    const char *text = kube_text_at(object, path);
    return text[0] == '\0' ? NULL : text;
}

const char *kube_exec_answer(arena_t *arena, const char *api_version, struct span text,
                             struct kube_exec_credential *ret_credential) {
    const char *error = NULL;
    *ret_credential = (struct kube_exec_credential){NULL, NULL, NULL, 0};
    const manifest_t *answer = kube_json_read(arena, text, &error);
    if (answer == NULL) {
        return arena_format(arena, "its output is no JSON (%s)", error);
    }
    if (strcmp(kube_text_at(answer, "kind"), "ExecCredential") != 0) {
        return "its output is no ExecCredential";
    }
    if (strcmp(kube_text_at(answer, "apiVersion"), api_version) != 0) {
        return arena_format(arena, "it answers with %s where the kubeconfig says apiVersion %s",
                            kube_text_at(answer, "apiVersion"), api_version);
    }
    ret_credential->token = text_or_null(answer, "status.token");
    ret_credential->client_certificate_pem = text_or_null(answer, "status.clientCertificateData");
    ret_credential->client_key_pem = text_or_null(answer, "status.clientKeyData");
    if ((ret_credential->client_certificate_pem == NULL) != (ret_credential->client_key_pem == NULL)) {
        return "it gives a certificate without its key, or the reverse";
    }
    if (ret_credential->token == NULL && ret_credential->client_certificate_pem == NULL) {
        return "it gives neither status.token nor status.clientCertificateData";
    }
    const char *expires = kube_text_at(answer, "status.expirationTimestamp");
    if (expires[0] != '\0' && !kube_time_parse(expires, &ret_credential->expires_ms)) {
        return "status.expirationTimestamp is no time as 2026-11-29T10:00:00Z";
    }
    return NULL;
}
