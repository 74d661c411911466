/* init: a spec to begin with. The fields that people change first, each with its help; a line behind a # shows the
 * profile's default, or an example where there is none. All of it comes from the tables, so it stays true. */
#include "operator/cli/commands.h"
#include "operator/spec/spec_table.h"
#include "operator/yaml_comment.h"
#include "operator/yaml_plain.h"

enum { ALL = 0xFF, WIDTH = 110 };
#define ONLY(profile) (1U << SPEC_PROFILE_##profile)

static const struct line {
    const char *path;
    unsigned profiles;
    const char *example; /* written as it is; NULL: the default of the profile */
    bool is_live;        /* not behind a # */
} lines[] = {
    {"image.repository", ALL, NULL, false},
    {"gateway.replicas", ALL, NULL, false},
    {"gateway.autoscaling.max", ONLY(HA) | ONLY(CLUSTER) | ONLY(ELASTICACHE), NULL, false},
    {"gateway.connectionsMax", ALL, NULL, false},
    {"gateway.resources.requests.cpu", ALL, NULL, false},
    {"gateway.resources.requests.memory", ALL, NULL, false},
    {"gateway.allowedOrigins", ALL, "[https://app.example.com]", false},
    {"edge.kind", ALL, "ingress", false},
    {"edge.class", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), "haproxy", false},
    {"edge.class", ONLY(ELASTICACHE), "alb", false},
    {"edge.hosts", ALL, "[push.example.com]", false},
    {"edge.tls.secretName", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), "push-example-com-tls", false},
    {"edge.idleTimeout", ALL, NULL, false},
    {"broker.replicas", ALL, NULL, false},
    {"broker.partitions", ALL, NULL, false},
    {"broker.namespaces", ALL, "[{name: chat, history_size: 100, history_ttl: 24h, allow_subscribe_for_client: true}]",
     false},
    {"redis.mode", ALL, NULL, true},
    {"redis.replicas", ONLY(HA), NULL, false},
    {"redis.resources.requests.memory", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), NULL, false},
    {"redis.persistence.class", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), "standard", false},
    {"redis.appendfsync", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), NULL, false},
    {"redis.minReplicasToWrite", ONLY(HA), "1", false},
    {"redis.sentinel.replicas", ONLY(HA), NULL, false},
    {"redis.sentinel.downAfter", ONLY(HA), NULL, false},
    {"redis.cluster.shards", ONLY(CLUSTER), NULL, false},
    {"redis.cluster.replicasPerShard", ONLY(CLUSTER), NULL, false},
    {"redis.external.provider", ONLY(ELASTICACHE), NULL, true},
    {"redis.external.endpoint", ONLY(ELASTICACHE), "callboard.xxxxxx.clustercfg.euc1.cache.amazonaws.com:6379", true},
    {"redis.external.clusterMode", ONLY(ELASTICACHE), NULL, false},
    {"redis.external.auth.secretRef.name", ONLY(ELASTICACHE), "callboard-auth", false},
    {"redis.external.durability", ONLY(ELASTICACHE), "sync", true},
    {"redis.external.nodeType", ONLY(ELASTICACHE), NULL, false},
    {"auth.existingSecret", ALL, "callboard-auth", false},
    {"scheduling.spread.node", ALL, NULL, false},
    {"scheduling.nodes", ALL, "6", false},
    {"networkPolicy.enabled", ALL, NULL, false},
    {"networkPolicy.to", ONLY(ELASTICACHE), "[{cidr: 10.0.0.0/16, port: 6379}]", true},
    {"monitoring.podMonitor", ALL, "true", false},
    {"monitoring.rules", ALL, "true", false},
    {"backup.schedule", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), "\"0 3 * * *\"", false},
    {"backup.target", ONLY(SMALL) | ONLY(HA) | ONLY(CLUSTER), "callboard-backup", false},
    {"workload.gateway.connections", ALL, "500", false},
    {"workload.publishRate", ALL, "100", false},
    {"kubernetes.version", ALL, NULL, false},
};

/* Headers of the sections that this path enters, where the one before was not in them. */
static size_t append_sections(struct buffer *out, const char *path, const char *before) {
    size_t depth = 1;
    for (const char *at = path; strchr(at, '.') != NULL; at = strchr(at, '.') + 1, depth++) {
        size_t size = (size_t) (strchr(at, '.') - path) + 1;
        if (strncmp(path, before, size) != 0) {
            yaml_append_indent(out, depth);
            buffer_append_format(out, "%.*s:\n", (int) strcspn(at, "."), at);
        }
    }
    return depth;
}

static void append_value(struct buffer *out, const struct spec_field *field, const char *text) {
    bool is_quoted = (field->type == SPEC_TEXT || field->type == SPEC_CHOICE) &&
                     yaml_plain_of(span_of_text(text)) != YAML_PLAIN_TEXT;
    buffer_append_format(out, is_quoted ? "\"%s\"" : "%s", text);
}

static void append_line(struct buffer *out, const struct line *line, int profile, const char *before) {
    const struct spec_field *field = spec_find_field(span_of_text(line->path));
    const char *text = line->example != NULL ? line->example : spec_default_of(field, profile);
    const char *dot = strrchr(line->path, '.');
    size_t depth = append_sections(out, line->path, before);
    yaml_append_comment(out, depth, WIDTH, field->help);
    yaml_append_indent(out, depth);
    buffer_append_format(out, "%s%s: ", line->is_live ? "" : "#", dot == NULL ? line->path : dot + 1);
    if (line->example != NULL) {
        buffer_append_text(out, text);
    } else {
        append_value(out, field, text);
    }
    buffer_append_char(out, '\n');
}

static void append_spec(struct buffer *out, int profile) {
    const char *name = spec_profile_name(profile);
    buffer_append_format(
        out,
        "# A deployment of Callboard, profile %s. A line behind a # shows the default, or an example: take the "
        "# away to set it.\n"
        "# callboard-operator explain FIELD tells more, callboard-operator check FILE what is wrong.\n"
        "apiVersion: callboard.dev/v1alpha1\nkind: Callboard\nmetadata:\n  name: callboard\nspec:\n"
        "  profile: %s\n",
        name, name);
    const char *before = "";
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if ((lines[i].profiles & (1U << profile)) != 0) {
            append_line(out, &lines[i], profile, before);
            before = lines[i].path;
        }
    }
}

static int run(struct command_call *call) {
    const char *wanted = command_option(call, "profile");
    if (wanted == NULL) {
        wanted = "small";
    }
    if (call->n_arguments + call->n_files > 0) {
        return command_usage_error(call, "init", "it takes no spec");
    }
    for (int profile = 0; profile < SPEC_PROFILES; profile++) {
        if (strcmp(spec_profile_name(profile), wanted) == 0) {
            append_spec(call->out, profile);
            return OPERATOR_DONE;
        }
    }
    return command_usage_error(call, "init", "there is no profile %s; there are dev, small, ha, cluster, elasticache",
                               wanted);
}

static const struct command_option options[] = {
    {"profile", "NAME", "dev, small, ha, cluster or elasticache; small where none is given"},
    {NULL, NULL, NULL},
};

const struct command command_init = {
    .name = "init",
    .arguments = "",
    .help = "print a spec to begin with",
    .options = options,
    .run = run,
};
