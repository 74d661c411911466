/* What loses data, or what the API server would refuse. One rule a function; each sees one deployment: its brokers'
 * configuration and its Redis, before and after. */
#include "operator/diff/diff_parts.h"

#include "operator/diff/diff_values.h"
#include "operator/spec/spec_amount.h"

#include <stdlib.h>
#include <string.h>

/* One deployment in one of both sets. */
struct side {
    const manifest_t *config; /* broker.yaml */
    const manifest_t *redis;  /* the StatefulSet; NULL: none of ours */
    const char *redis_conf;
};

struct deployment {
    struct diff_run *run;
    const char *brokers; /* the ConfigMap's name, for messages */
    struct side before;
    struct side after;
};

/* ---- finding them ---- */

static const char *label_of(const manifest_t *object, const char *label) {
    const manifest_t *labels = manifest_find(object, "metadata.labels");
    const char *text = labels == NULL ? NULL : manifest_text_of(manifest_get(labels, label));
    return text == NULL ? "" : text;
}

/* `beside`: an object of the same deployment, which is its namespace and its instance. */
static bool is_part(const manifest_t *object, const manifest_t *beside, const char *component) {
    static const char instance[] = "app.kubernetes.io/instance";
    return strcmp(diff_namespace_of(object), diff_namespace_of(beside)) == 0 &&
           strcmp(label_of(object, instance), label_of(beside, instance)) == 0 &&
           strcmp(label_of(object, "app.kubernetes.io/component"), component) == 0;
}

static const manifest_t *part_of(const manifests_t *list, const char *kind, const manifest_t *beside,
                                 const char *component) {
    for (size_t i = 0; i < manifests_count(list); i++) {
        const manifest_t *object = manifests_at(list, i);
        if (diff_is_kind(object, kind) && is_part(object, beside, component)) {
            return object;
        }
    }
    return NULL;
}

static const char *data_of(const manifest_t *map, const char *file) {
    const manifest_t *data = map == NULL ? NULL : manifest_get(map, "data");
    return data == NULL ? NULL : manifest_text_of(manifest_get(data, file));
}

static struct side side_of(arena_t *arena, const manifests_t *list, const manifest_t *brokers) {
    const char *config = data_of(part_of(list, "ConfigMap", brokers, "broker"), "broker.yaml");
    return (struct side){
        .config = diff_config_tree(arena, config),
        .redis = part_of(list, "StatefulSet", brokers, "redis"),
        .redis_conf = data_of(part_of(list, "ConfigMap", brokers, "redis"), "redis.conf"),
    };
}

/* ---- what they are ---- */

static const char *variable(const manifest_t *set, const char *name) {
    const manifest_t *list = set == NULL ? NULL : manifest_find(set, "spec.template.spec.containers.0.env");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const char *text = manifest_text_of(manifest_get(manifest_at(list, i), "name"));
        if (text != NULL && strcmp(text, name) == 0) {
            return manifest_text_of(manifest_get(manifest_at(list, i), "value"));
        }
    }
    return NULL;
}

static const char *url_of(const struct side *side) {
    const char *url = manifest_text_of(manifest_find(side->config, "redis.url"));
    return url == NULL ? "" : url;
}

static const char *mode_of(const struct side *side) {
    const char *mode = variable(side->redis, "CALLBOARD_AGENT_MODE");
    if (mode != NULL) {
        return mode;
    }
    return url_of(side)[0] == '\0' ? "embedded" : "external";
}

static const manifest_t *claim_of(const struct side *side) {
    return side->redis == NULL ? NULL : manifest_find(side->redis, "spec.volumeClaimTemplates.0");
}

static int64_t claim_bytes(const struct side *side) {
    const manifest_t *claim = claim_of(side);
    const char *text = claim == NULL ? NULL : manifest_text_of(manifest_find(claim, "spec.resources.requests.storage"));
    int64_t bytes = 0;
    return text != NULL && spec_memory_parse(span_of_text(text), &bytes) ? bytes : 0;
}

/* ---- the rules ---- */

static const char *named(const struct deployment *self, const manifest_t *object) {
    return object == NULL ? self->brokers : diff_object_name(self->run->diff->arena, object);
}

static void partitions(struct deployment *self) {
    const char *before = diff_text_of(self->run->diff->arena, manifest_find(self->before.config, "broker.partitions"));
    const char *after = diff_text_of(self->run->diff->arena, manifest_find(self->after.config, "broker.partitions"));
    if (before != NULL && after != NULL && strcmp(before, after) != 0) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_PARTITIONS, self->brokers,
                      arena_format(self->run->diff->arena,
                                   "broker.partitions %s becomes %s: what is stored is found by it no more", before,
                                   after));
    }
}

/* True: there is nothing more to compare. */
static bool mode(struct deployment *self) {
    const char *before = mode_of(&self->before);
    const char *after = mode_of(&self->after);
    bool is_other = strcmp(before, after) != 0;
    if (is_other) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_MODE, self->brokers,
                      arena_format(self->run->diff->arena, "Redis is %s and becomes %s: the new one begins empty",
                                   before, after));
    } else if (strcmp(before, "external") == 0 && strcmp(url_of(&self->before), url_of(&self->after)) != 0) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_MODE, self->brokers,
                      "redis.url names another server: what is stored stays with the old one");
    }
    return is_other;
}

static void volume(struct deployment *self) {
    const char *name = named(self, self->after.redis);
    int64_t before = claim_bytes(&self->before);
    int64_t after = claim_bytes(&self->after);
    if (before > 0 && after == 0) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_PERSISTENCE, name, "its volume goes: nothing outlives its pods");
    } else if (after > 0 && before > after) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_VOLUME_SHRINKS, name, "its volumes become smaller: no volume can");
    }
}

static void shards(struct deployment *self) {
    const char *before = variable(self->before.redis, "CALLBOARD_AGENT_SHARDS");
    const char *after = variable(self->after.redis, "CALLBOARD_AGENT_SHARDS");
    if (before != NULL && after != NULL && strtoll(after, NULL, 10) < strtoll(before, NULL, 10)) {
        diff_add_risk(
            self->run, DIAGNOSTIC_RISK_SHARDS, named(self, self->after.redis),
            arena_format(self->run->diff->arena, "%s shards become %s: the pods that go own slots", before, after));
    }
}

static void memory(struct deployment *self) {
    arena_t *arena = self->run->diff->arena;
    const char *before = diff_config_line(arena, self->before.redis_conf, "maxmemory");
    const char *after = diff_config_line(arena, self->after.redis_conf, "maxmemory");
    int64_t bytes_before;
    int64_t bytes_after;
    if (before != NULL && after != NULL && spec_memory_parse(span_of_text(before), &bytes_before) &&
        spec_memory_parse(span_of_text(after), &bytes_after) && bytes_after < bytes_before) {
        diff_add_risk(
            self->run, DIAGNOSTIC_RISK_MAXMEMORY, named(self, self->after.redis),
            arena_format(arena, "maxmemory %s becomes %s: where more is stored, writes are refused", before, after));
    }
}

static void eviction(struct deployment *self) {
    arena_t *arena = self->run->diff->arena;
    const char *before = diff_config_line(arena, self->before.redis_conf, "maxmemory-policy");
    const char *after = diff_config_line(arena, self->after.redis_conf, "maxmemory-policy");
    const char *append = diff_config_line(arena, self->before.redis_conf, "appendonly");
    const char *append_after = diff_config_line(arena, self->after.redis_conf, "appendonly");
    if (before != NULL && strcmp(before, "noeviction") == 0 && (after == NULL || strcmp(after, before) != 0)) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_DURABILITY, named(self, self->after.redis),
                      "maxmemory-policy is noeviction no more: whole histories are thrown away when memory is full");
    }
    if (append != NULL && strcmp(append, "yes") == 0 && (append_after == NULL || strcmp(append_after, "yes") != 0)) {
        diff_add_risk(self->run, DIAGNOSTIC_RISK_DURABILITY, named(self, self->after.redis),
                      "appendonly is off: a restart loses what was written since the last snapshot");
    }
}

/* ---- all ---- */

static void judge(struct diff_run *self, const manifest_t *brokers) {
    arena_t *arena = self->diff->arena;
    struct deployment deployment = {
        .run = self,
        .brokers = diff_object_name(arena, brokers),
        .before = side_of(arena, self->old_objects, brokers),
        .after = side_of(arena, self->new_objects, brokers),
    };
    if (deployment.before.config == NULL || deployment.after.config == NULL) {
        return; /* a whole deployment comes or goes, or the brokers' configuration is not ours */
    }
    partitions(&deployment);
    if (!mode(&deployment)) {
        volume(&deployment);
        shards(&deployment);
        memory(&deployment);
        eviction(&deployment);
    }
}

/* Once an object, however many of its fields cannot be changed. */
static void recreated(struct diff_run *self) {
    const struct diff *diff = self->diff;
    const char *last = "";
    for (size_t i = 0; i < diff->n_changes; i++) {
        const struct diff_change *change = &diff->changes[i];
        if (change->effect == DIFF_RECREATES && strcmp(change->object, last) != 0) {
            last = change->object;
            diff_add_risk(self, DIAGNOSTIC_RISK_RECREATE, last,
                          strstr(change->path, "volumeClaimTemplates") != NULL
                              ? "its claims cannot be changed: patch the claims that are there, then it needs delete "
                                "--cascade=orphan and re-create"
                          : strstr(last, "StatefulSet/") != NULL
                              ? "it cannot be changed: it needs delete --cascade=orphan and re-create"
                              : "it cannot be changed: it needs delete and re-create, and is away between");
        }
    }
}

/* What is gone with its whole deployment has no rule above. */
static void removed(struct diff_run *self) {
    for (size_t i = 0; i < manifests_count(self->old_objects); i++) {
        const manifest_t *object = manifests_at(self->old_objects, i);
        bool is_redis = diff_is_kind(object, "StatefulSet") && is_part(object, object, "redis");
        if (is_redis && part_of(self->new_objects, "ConfigMap", object, "broker") == NULL) {
            diff_add_risk(self, DIAGNOSTIC_RISK_MODE, diff_object_name(self->diff->arena, object),
                          "Redis goes with its deployment: its claims stay only where their retention says so");
        }
    }
}

void diff_find_risks(struct diff_run *self) {
    for (size_t i = 0; i < manifests_count(self->new_objects); i++) {
        const manifest_t *object = manifests_at(self->new_objects, i);
        if (data_of(object, "broker.yaml") != NULL) {
            judge(self, object);
        }
    }
    removed(self);
    recreated(self);
}
