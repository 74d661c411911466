/* The exporter beside each Redis: a sidecar of the user's image, which asks its own server only. Its user sees figures
 * and no data (render_redis_files.c); its password stands in the Secret, by reference, as one line: it runs in the pod
 * that the password is for, so both get a new one by the same restart.
 *
 * With TLS it calls its server by the pod's name, as that is what the certificate is made for. */
#include "operator/render/render_parts.h"

enum { CPU = 50, MEMORY = 64 * 1024 * 1024 };

static const char *address_of_redis(const struct render *self) {
    if (!self->spec->tls.is_on) {
        return arena_format(self->arena, "redis://127.0.0.1:%d", RENDER_REDIS_PORT);
    }
    return arena_format(self->arena, "rediss://$(POD_NAME).%s:%d", /* filled in by the kubelet */
                        render_host(self, render_pods_name(self, RENDER_REDIS)), RENDER_REDIS_PORT);
}

static void add_environment(const struct render *self, manifest_t *container) {
    const struct spec_auth *auth = &self->spec->auth;
    render_add_env_of_field(container, "POD_NAME", "metadata.name"); /* before what refers to it */
    render_add_env(container, "REDIS_ADDR", address_of_redis(self));
    render_add_env(container, "REDIS_USER", "exporter");
    render_add_env_of_secret(container, "REDIS_PASSWORD", auth->existing_secret, auth->keys.exporter_password);
    render_add_env(container, "REDIS_EXPORTER_CONFIG_COMMAND", "-"); /* not asked: it holds passwords */
    render_add_env(container, "REDIS_EXPORTER_WEB_LISTEN_ADDRESS",
                   arena_format(self->arena, ":%d", RENDER_EXPORTER_PORT));
    if (self->spec->tls.is_on) {
        render_add_env(container, "REDIS_EXPORTER_TLS_CA_CERT_FILE", "/exporter-tls/ca.crt");
    }
}

void render_add_exporter(const struct render *self, manifest_t *pod) {
    static const char *const authority[] = {"ca.crt", "ca.crt", NULL}; /* and not the server's key */
    const struct spec_resources resources = {.requests_cpu = CPU, .requests_memory = MEMORY, .limits_memory = MEMORY};
    manifest_t *container = render_container(self, pod, "containers", "exporter", self->spec->monitoring.exporter);
    add_environment(self, container);
    render_add_port(container, "metrics", RENDER_EXPORTER_PORT);
    render_set_resources(self, container, &resources);
    if (self->spec->tls.is_on) {
        render_mount(container, "exporter-tls", "/exporter-tls", true);
        render_add_secret_volume(pod, "exporter-tls", self->spec->tls.secret, authority);
    }
}
