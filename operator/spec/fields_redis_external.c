/* redis.external: a Redis that somebody else runs. */
#include "operator/spec/field_rows.h"

static const char *const providers[] = {"other",   "elasticache", "memorystore", "azure",
                                        "upstash", "rediscloud",  NULL};                  /* enum spec_provider */
static const char *const durabilities[] = {"default", "disabled", "async", "sync", NULL}; /* enum spec_durability */

#define NOTE_ONLY CHANGES("the commands in notes; no manifest")

static const struct spec_field fields[] = {
    FIELD("redis.external.provider", SPEC_CHOICE, redis.external.provider, CHOICES(providers),
          PROFILES(NULL, NULL, NULL, NULL, "elasticache"), DEFAULT("other"), EFFECT(HOT),
          HELP("Who runs it: decides what check knows of its limits, and what notes says."), NOTE_ONLY),
    FIELD(
        "redis.external.url", SPEC_TEXT, redis.external.url, RANGE(1, 2048), FORMAT(REDIS_URL), EFFECT(DATA),
        HELP("redis://, redis+sentinel:// or redis+cluster:// (rediss:// with TLS), without a password. Or endpoint."),
        CHANGES("redis.url in the brokers' configuration")),
    FIELD("redis.external.endpoint", SPEC_TEXT, redis.external.endpoint, RANGE(1, 255), FORMAT(HOST_PORT), EFFECT(DATA),
          HELP("host:port: the configuration endpoint in cluster mode, else the primary endpoint. Or url."),
          CHANGES("redis.url in the brokers' configuration")),
    FIELD("redis.external.clusterMode", SPEC_BOOL, redis.external.cluster_mode,
          PROFILES(NULL, NULL, NULL, NULL, "true"), DEFAULT("false"), EFFECT(DATA),
          HELP("Behind endpoint is a Redis Cluster."), CHANGES("redis.url in the brokers' configuration")),
    FIELD("redis.external.tls.enabled", SPEC_BOOL, redis.external.tls, DEFAULT("true"), EFFECT(ROLLS),
          HELP("endpoint speaks TLS. With url its scheme says so."),
          CHANGES("redis.url in the brokers' configuration")),
    FIELD("redis.external.tls.caSecret", SPEC_TEXT, redis.external.tls_ca_secret, FORMAT(NAME), EFFECT(ROLLS),
          HELP("A Secret whose ca.crt signed its certificate. Not set: the system's authorities."),
          CHANGES("redis.tls_ca_file in the brokers' configuration, a volume")),
    FIELD("redis.external.auth.secretRef.name", SPEC_TEXT, redis.external.auth_secret, FORMAT(NAME), EFFECT(ROLLS),
          HELP("A Secret with the password, under the key auth.keys.redisPassword."),
          CHANGES("redis.password_file in the brokers' configuration, a volume")),
    FIELD("redis.external.auth.user", SPEC_TEXT, redis.external.auth_user, RANGE(1, 255), FORMAT(WORD), EFFECT(ROLLS),
          HELP("The user (ACL). Not set: the default user."), CHANGES("redis.user in the brokers' configuration")),
    FIELD(
        "redis.external.auth.iam", SPEC_BOOL, redis.external.auth_iam, DEFAULT("false"), EFFECT(ROLLS),
        HELP(
            "Tokens of the provider's IAM in place of a password. They live 15 minutes, and somebody beside the broker "
            "has to write them into the password file."),
        CHANGES("redis.password_file in the brokers' configuration, notes")),
    FIELD("redis.external.durability", SPEC_CHOICE, redis.external.durability, CHOICES(durabilities),
          DEFAULT("default"), EFFECT(DATA),
          HELP("ElastiCache: its transaction log. sync: what was acknowledged survives."),
          CHANGES("--durability in notes; no manifest")),
    FIELD("redis.external.name", SPEC_TEXT, redis.external.name, RANGE(1, 40), FORMAT(LABEL), EFFECT(NOTHING),
          DERIVED("<name>"), HELP("What the provider calls it."), NOTE_ONLY),
    FIELD("redis.external.region", SPEC_TEXT, redis.external.region, RANGE(1, 63), FORMAT(WORD), EFFECT(NOTHING),
          HELP("Where it runs."), NOTE_ONLY),
    FIELD("redis.external.nodeType", SPEC_TEXT, redis.external.node_type, RANGE(1, 63), FORMAT(WORD),
          PROFILES(NULL, NULL, NULL, NULL, "cache.r7g.large"), EFFECT(NOTHING),
          HELP("Size of a node, as the provider names it."), NOTE_ONLY),
    FIELD("redis.external.shards", SPEC_COUNT, redis.external.shards, RANGE(1, 500), DEFAULT("1"),
          PROFILES(NULL, NULL, NULL, NULL, "3"), EFFECT(NOTHING), HELP("Shards that it has or shall have."), NOTE_ONLY),
    FIELD("redis.external.replicasPerShard", SPEC_COUNT, redis.external.replicas_per_shard, RANGE(0, 5), DEFAULT("1"),
          EFFECT(NOTHING), HELP("Replicas of each."), NOTE_ONLY),
    FIELD("redis.external.multiAz", SPEC_BOOL, redis.external.multi_az, DEFAULT("true"), EFFECT(NOTHING),
          HELP("They stand in several zones."), NOTE_ONLY),
    FIELD("redis.external.subnetGroup", SPEC_TEXT, redis.external.subnet_group, RANGE(1, 255), FORMAT(WORD),
          EFFECT(NOTHING), HELP("ElastiCache: the subnets."), NOTE_ONLY),
    FIELD("redis.external.securityGroups", SPEC_TEXT_LIST, redis.external.security_groups, .items_max = 8, RANGE(1, 63),
          FORMAT(WORD), EFFECT(NOTHING), HELP("ElastiCache: who may reach it."), NOTE_ONLY),
    FIELD("redis.external.userGroup", SPEC_TEXT, redis.external.user_group, RANGE(1, 40), FORMAT(WORD), EFFECT(NOTHING),
          HELP("ElastiCache: the user group (RBAC)."), NOTE_ONLY),
};

const struct spec_fields spec_fields_redis_external = {
    .title = "redis.external",
    .intro = "With mode external: a Redis that somebody else runs.",
    FIELDS_OF(fields),
};
