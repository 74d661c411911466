/* The backup: a CronJob of our own image that reads Redis as a replica would and writes a copy of each shard to a claim
 * (`callboard-operator redis backup`), under a user that may do that and no more. One run waits for the one before. */
#include "operator/render/render_parts.h"

#include "operator/spec/spec_derive.h"

enum {
    GRACE_MS = 30000,
    START_S = 3600, /* one that could not begin for so long is left to the next time */
    CPU = 100,
    MEMORY = 128 * 1024 * 1024,
};

static void add_option(manifest_t *command, const char *name, const char *value) {
    manifest_append_format(command, "--%s", name);
    if (value != NULL) {
        manifest_append_text(command, value);
    }
}

static void add_number(const struct render *self, manifest_t *command, const char *name, int64_t value) {
    add_option(command, name, arena_format(self->arena, "%lld", (long long) value));
}

static void add_command(const struct render *self, manifest_t *container) {
    static const char *const modes[] = {"", "standalone", "replicated", "cluster", ""}; /* enum spec_redis_mode */
    const struct spec *spec = self->spec;
    manifest_t *command = manifest_add_list(container, "command");
    manifest_append_text(command, "/usr/bin/callboard-operator");
    manifest_append_text(command, "redis");
    manifest_append_text(command, "backup");
    add_option(command, "mode", modes[spec->redis.mode]);
    add_option(command, "peers", render_pod_range(self, RENDER_REDIS, spec_redis_pods(spec), RENDER_REDIS_PORT));
    if (spec->redis.mode == SPEC_REDIS_CLUSTER) {
        add_number(self, command, "shards", spec->redis.cluster.shards);
    }
    add_option(command, "user", "backup");
    add_option(command, "password-file", "/secrets/redis-password");
    if (spec->tls.is_on) {
        add_option(command, "tls", NULL);
        add_option(command, "tls-ca-file", "/tls/ca.crt");
    }
    add_option(command, "to", "/backup");
    add_number(self, command, "keep", spec->backup.retention);
    add_option(command, "timeout", "1h");
}

static void add_volumes(const struct render *self, manifest_t *pod, manifest_t *container) {
    const struct spec *spec = self->spec;
    static const char *const authority[] = {"ca.crt", "ca.crt", NULL};
    const char *secrets[] = {spec->auth.keys.redis_password, "redis-password", NULL};
    render_mount(container, "secrets", "/secrets", true);
    render_add_secret_volume(pod, "secrets", spec->auth.existing_secret, secrets);
    if (spec->tls.is_on) {
        render_mount(container, "tls", "/tls", true);
        render_add_secret_volume(pod, "tls", spec->tls.secret, authority);
    }
    render_mount(container, "backup", "/backup", false);
    render_add_claim_volume(pod, "backup", spec->backup.target);
}

static void add_pod(const struct render *self, manifest_t *job) {
    const struct spec_resources resources = {.requests_cpu = CPU, .requests_memory = MEMORY, .limits_memory = MEMORY};
    manifest_t *pod = render_pod(self, job, RENDER_BACKUP, NULL, GRACE_MS);
    manifest_set_text(pod, "restartPolicy", "Never");
    manifest_t *container = render_container(self, pod, "containers", RENDER_BACKUP, NULL);
    add_command(self, container);
    render_set_resources(self, container, &resources);
    add_volumes(self, pod, container);
}

void render_backup(const struct render *self) {
    const struct spec *spec = self->spec;
    if (spec->backup.schedule[0] == '\0' || spec_redis_pods(spec) == 0) {
        return;
    }
    render_add_service_account(self, RENDER_BACKUP);
    manifest_t *object = render_add(self, "batch/v1", "CronJob", render_name(self, RENDER_BACKUP), RENDER_BACKUP);
    manifest_t *map = manifest_add_map(object, "spec");
    manifest_set_text(map, "schedule", spec->backup.schedule);
    manifest_set_text(map, "concurrencyPolicy", "Forbid");
    manifest_set_int(map, "startingDeadlineSeconds", START_S);
    manifest_set_int(map, "successfulJobsHistoryLimit", 3);
    manifest_set_int(map, "failedJobsHistoryLimit", 3);
    manifest_t *job = manifest_add_map(manifest_add_map(map, "jobTemplate"), "spec");
    manifest_set_int(job, "backoffLimit", 2);
    add_pod(self, job);
}
