/* Claims and certificates: what runs out. */
#include "operator/status/status_parts.h"

#include "operator/status/status_certificate.h"

#include <string.h>

enum { DAY_MS = 86400000, WARNING_DAYS = 14 };

/* ---- claims ---- */

/* The row of the Redis pod whose volume this claim is: data-shop-redis-0. */
static const manifest_t *server_of(const struct status *self, const char *claim) {
    const manifest_t *servers = manifest_find(self->page, "redis.servers");
    for (size_t i = 0; servers != NULL && i < manifest_count(servers); i++) {
        const char *pod = status_text_at(manifest_at(servers, i), "pod");
        if (strcmp(claim, arena_format(self->arena, "data-%s", pod)) == 0) {
            return manifest_at(servers, i);
        }
    }
    return NULL;
}

static void add_claim(struct status *self, manifest_t *list, const manifest_t *claim) {
    const char *name = status_text_at(claim, "metadata.name");
    const char *phase = status_text_at(claim, "status.phase");
    const char *asked = status_text_at(claim, "spec.resources.requests.storage");
    const char *has = status_text_at(claim, "status.capacity.storage");
    manifest_t *row = manifest_append_map(list);
    manifest_set_text(row, "claim", name);
    manifest_set_text(row, "phase", phase);
    manifest_set_text(row, "size", has[0] == '\0' ? asked : has);
    const manifest_t *server = server_of(self, name);
    int64_t size = status_int_at(server, "disk_bytes", 0);
    if (size > 0) {
        manifest_set_int(row, "used_percent", 100 - status_int_at(server, "disk_free_bytes", 0) * 100 / size);
    }
    if (strcmp(phase, "Lost") == 0) {
        status_add_error(self, name, "its volume is gone",
                         "restore a copy (docs/redis-pods.md), or make the claim anew");
    } else if (strcmp(phase, "Pending") == 0) {
        status_add_warning(self, name, "it has no volume yet",
                           arena_format(self->arena, "kubectl describe pvc -n %s %s: is the storage class right?",
                                        self->input->namespace, name));
    }
}

void status_add_claims(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "claims");
    for (size_t i = 0; i < manifests_count(self->input->objects); i++) {
        if (status_is_kind(manifests_at(self->input->objects, i), "PersistentVolumeClaim")) {
            add_claim(self, list, manifests_at(self->input->objects, i));
        }
    }
}

/* ---- certificates ---- */

static void add_certificate(struct status *self, manifest_t *list, const char *secret, const char *text) {
    int64_t expires_ms;
    manifest_t *row = manifest_append_map(list);
    manifest_set_text(row, "secret", secret);
    if (!status_certificate_expiry(text, &expires_ms)) {
        manifest_set_text(row, "trouble", "tls.crt is no certificate");
        status_add_error(self, secret, "its tls.crt is no certificate",
                         "put the chain in PEM there, the own one first");
        return;
    }
    int64_t days = (expires_ms - self->input->now_ms) / DAY_MS;
    manifest_set_int(row, "expires_ms", expires_ms);
    manifest_set_int(row, "days", days);
    static const char mend[] = "renew it in this Secret; programs take it up from there";
    if (expires_ms <= self->input->now_ms) {
        status_add_error(self, secret, "its certificate has expired", mend);
    } else if (days < WARNING_DAYS) {
        status_add_warning(
            self, secret,
            arena_format(self->arena, "its certificate expires in %lld day%s", (long long) days, days == 1 ? "" : "s"),
            mend);
    }
}

void status_add_certificates(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "certificates");
    for (size_t i = 0; i < manifests_count(self->input->objects); i++) {
        const manifest_t *object = manifests_at(self->input->objects, i);
        const manifest_t *data = status_is_kind(object, "Secret") ? manifest_get(object, "data") : NULL;
        const char *text = data == NULL ? NULL : manifest_text_of(manifest_get(data, "tls.crt"));
        if (text != NULL) {
            add_certificate(self, list, status_text_at(object, "metadata.name"), text);
        }
    }
}
