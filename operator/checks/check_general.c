/* Names, image, Kubernetes, resources, backup. */
#include "operator/checks/check_rules.h"

#include "operator/spec/spec_derive.h"

#include <stdio.h>

/* Services are named by it, and their names begin with a letter (RFC 1035). */
static void check_name_begins_with_letter(const struct check *check) {
    const char *name = check->spec->metadata.name;
    if (name[0] >= '0' && name[0] <= '9') {
        check_tell(check, DIAGNOSTIC_BAD_FORMAT, "metadata.name", "\"%s\" begins with a digit", name);
        check_mend(check, "begin with a letter: names of Services do");
    }
}

static void check_latest(const struct check *check) {
    bool is_latest = strcmp(check->spec->image.tag, "latest") == 0 && check->spec->image.digest[0] == '\0';
    if (is_latest) {
        check_tell(check, DIAGNOSTIC_LATEST_TAG, "image.tag", "latest names another program after each restart");
        check_mend(check, "name a version, or set image.digest");
    }
}

static bool ends_with(const char *text, const char *end) {
    size_t size = strlen(text);
    return size >= strlen(end) && strcmp(text + size - strlen(end), end) == 0;
}

static void check_latest_of_others(const struct check *check) {
    const struct {
        const char *path;
        const char *image;
    } images[] = {{"redis.image", check->spec->redis.image}, {"monitoring.exporter", check->spec->monitoring.exporter}};
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
        const char *image = images[i].image;
        const char *slash = strrchr(image, '/');
        bool has_version = strchr(slash == NULL ? image : slash, ':') != NULL || strchr(image, '@') != NULL;
        if (image[0] != '\0' && (!has_version || ends_with(image, ":latest"))) {
            check_tell(check, DIAGNOSTIC_LATEST_TAG, images[i].path, "%s names no version", image);
            check_mend(check, "add a tag or a digest");
        }
    }
}

static void check_kubernetes_version(const struct check *check) {
    unsigned major = 0;
    unsigned minor = 0;
    bool is_old = sscanf(check->spec->kubernetes.version, "%5u.%5u", &major, &minor) == 2 &&
                  (major < 1 || (major == 1 && minor < 25));
    if (is_old) {
        check_tell(check, DIAGNOSTIC_KUBERNETES_TOO_OLD, "kubernetes.version", "%s is older than 1.25",
                   check->spec->kubernetes.version);
    }
}

static void check_limits(const struct check *check) {
    const struct spec *spec = check->spec;
    const struct {
        const char *path;
        const struct spec_resources *resources;
    } all[] = {{"gateway.resources", &spec->gateway.resources},
               {"broker.resources", &spec->broker.resources},
               {"redis.resources", &spec->redis.resources},
               {"redis.sentinel.resources", &spec->redis.sentinel.resources}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        const struct spec_resources *own = all[i].resources;
        bool is_memory = own->limits_memory < own->requests_memory;
        bool is_cpu = own->limits_cpu > 0 && own->limits_cpu < own->requests_cpu;
        const char *name = is_memory ? "memory" : "cpu";
        enum spec_type type = is_memory ? SPEC_MEMORY : SPEC_CPU;
        if (!is_memory && !is_cpu) {
            continue;
        }
        const char *limit = arena_format(check->document->arena, "%s.limits.%s", all[i].path, name);
        const char *request = arena_format(check->document->arena, "%s.requests.%s", all[i].path, name);
        check_tell(check, DIAGNOSTIC_LIMIT_BELOW_REQUEST, limit, "%s is below the %s that are asked for",
                   check_amount(check, type, is_memory ? own->limits_memory : own->limits_cpu),
                   check_amount(check, type, is_memory ? own->requests_memory : own->requests_cpu));
        check_other(check, request);
    }
}

static void check_backup(const struct check *check) {
    const struct spec_backup *backup = &check->spec->backup;
    if (backup->schedule[0] == '\0') {
        if (backup->target[0] != '\0') {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, "backup.target", "changes nothing without backup.schedule");
        }
        return;
    }
    if (spec_redis_pods(check->spec) == 0) {
        check_tell(check, DIAGNOSTIC_BACKUP_IMPOSSIBLE, "backup.schedule", "there is no Redis of ours to copy");
        check_mend(check, "leave backup out; a provider makes its own copies");
        check_other(check, "redis.mode");
    } else if (backup->target[0] == '\0') {
        check_tell(check, DIAGNOSTIC_BACKUP_IMPOSSIBLE, "backup.schedule", "no target says where the copies go");
        check_mend(check, "set backup.target to a PersistentVolumeClaim");
    }
}

/* What is only for a Redis that we run. */
static void check_without_redis(const struct check *check) {
    static const char *const paths[] = {"monitoring.exporter", "tls.secretName", "tls.issuerRef.name", NULL};
    for (size_t i = 0; paths[i] != NULL && spec_redis_pods(check->spec) == 0; i++) {
        if (check_is_set(check, paths[i])) {
            check_tell(check, DIAGNOSTIC_NO_EFFECT, paths[i], "changes nothing without a Redis of ours");
            check_other(check, "redis.mode");
        }
    }
}

static void check_issuer_or_secret(const struct check *check) {
    if (check_is_set(check, "tls.secretName") && check_is_set(check, "tls.issuerRef.name")) {
        check_tell(check, DIAGNOSTIC_BOTH_SET, "tls.secretName",
                   "a Secret has the certificate, and an issuer makes it");
        check_other(check, "tls.issuerRef.name");
    }
}

static void check_issuer_kinds(const struct check *check) {
    const struct {
        const char *path;
        const char *kind;
    } kinds[] = {{"tls.issuerRef.kind", check->spec->tls.issuer_kind},
                 {"edge.tls.issuerRef.kind", check->spec->edge.tls.issuer_kind}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].kind, "Issuer") != 0 && strcmp(kinds[i].kind, "ClusterIssuer") != 0) {
            check_tell(check, DIAGNOSTIC_NOT_A_CHOICE, kinds[i].path, "\"%s\" is not known here", kinds[i].kind);
            check_mend(check, "write Issuer or ClusterIssuer");
        }
    }
}

static const char *text_under(const config_node_t *map, const char *name) {
    for (size_t i = 0; i < map->n_children; i++) {
        if (strcmp(map->children[i]->name, name) == 0) {
            return map->children[i]->kind == CONFIG_NODE_SCALAR ? map->children[i]->text : "";
        }
    }
    return NULL;
}

static bool is_operation(const config_node_t *item, const char **ret_why) {
    static const char *const with_value[] = {"add", "replace", "test"};
    static const char *const with_from[] = {"move", "copy"};
    if (item->kind != CONFIG_NODE_MAP) {
        *ret_why = "an operation is a map of op, path and value";
        return item->kind == CONFIG_NODE_REFUSED;
    }
    const char *op = text_under(item, "op");
    const char *path = text_under(item, "path");
    if (path == NULL || path[0] != '/') {
        *ret_why = "path must be there, and begin with /";
        return false;
    }
    for (size_t i = 0; op != NULL && i < 3; i++) {
        if (strcmp(op, with_value[i]) == 0) {
            *ret_why = "value is needed";
            return text_under(item, "value") != NULL;
        }
        if (i < 2 && strcmp(op, with_from[i]) == 0) {
            *ret_why = "from is needed, and begins with /";
            const char *from = text_under(item, "from");
            return from != NULL && from[0] == '/';
        }
    }
    *ret_why = "op must be add, remove, replace, move, copy or test";
    return op != NULL && strcmp(op, "remove") == 0;
}

/* op, path, and what the operation needs. */
static void check_patches(const struct check *check) {
    const struct spec_override *overrides = check->spec->overrides.items;
    for (size_t i = 0; i < check->spec->overrides.n; i++) {
        spec_raw_t patch = overrides[i].patch;
        for (size_t k = 0; patch != NULL && k < patch->n_children; k++) {
            const char *why;
            if (!is_operation(patch->children[k], &why)) {
                const char *path = arena_format(check->document->arena, "overrides[%zu].patch[%zu]", i, k);
                check_tell(check, DIAGNOSTIC_BAD_PATCH, path, "%s", why);
            }
        }
    }
}

check_rule_t *const check_rules_general[] = {
    check_name_begins_with_letter,
    check_latest,
    check_latest_of_others,
    check_kubernetes_version,
    check_limits,
    check_backup,
    check_without_redis,
    check_issuer_or_secret,
    check_issuer_kinds,
    check_patches,
    NULL,
};
