/* The other providers, a table row by row: product, how it is made, durability, what nobody promises, bounds, login.
 * What was not confirmed is told to be looked up. */
#include "operator/notes/notes_parts.h"

#define LAST_WRITES                                                                                                    \
    "replicas get a write after it was answered, so **a failover may lose the last acknowledged ones** of channels "   \
    "with `durability: fast`"
/* docs/durability.md */
#define HIDDEN                                                                                                         \
    "which server answers is hidden by the proxy, so brokers cannot see a failover for what it is: **namespaces with " \
    "`durability: safe` are refused** unless `redis.confirm: declared` in `broker.config` vouches for it, and `fast` " \
    "takes every cut of a connection for a "                                                                           \
    "failover (new epochs, clients read anew)"

struct provider {
    const char *title;
    const char *steps; /* Markdown */
    const char *durability;
    const char *missing; /* what nobody promises */
    const char *bounds;
    const char *login;
};

static const struct provider memorystore = {
    .title = "Google Memorystore",
    .steps =
        "- Valkey: `gcloud memorystore instances create` (modes cluster and cluster-disabled); Redis Cluster: `gcloud "
        "redis "
        "clusters create`; the classic product, `gcloud redis instances create`, ends at 7.2 and has snapshots only.\n"
        "- First a service connection policy: the discovery endpoint is reached by Private Service Connect.\n"
        "- `--engine-configs maxmemory-policy=noeviction`: its default, volatile-lru, throws histories away.\n"
        "- `--persistence-mode aof --aof-append-fsync always` (or `everysec`, `no`). The other flags: `gcloud … "
        "--help`.\n",
    .durability = "AOF or RDB by choice; the classic product RDB only. AOF `everysec` loses up to a second when a node "
                  "goes, `no` and RDB more.",
    .missing = LAST_WRITES ". Sharded topics are there in cluster mode only.",
    .bounds = "Connections a node, default and most: nano 5,000 / 5,000, standard-small 16,000 / 32,000, "
              "highmem-medium 32,000 / "
              "64,000, highmem-xlarge 64,000. 80 % of a node's memory are writable (5.2 of 6.5 GB). Scaling under "
              "writes costs memory. "
              "One database. Settable: maxmemory, maxmemory-clients, maxmemory-policy, notify-keyspace-events, "
              "slowlog, maxclients.",
    .login = "IAM tokens or none (the classic product: AUTH); TLS by transit encryption `server-authentication`.",
};

static const struct provider azure = {
    .title = "Azure Managed Redis",
    .steps = "- Azure Managed Redis, not Azure Cache for Redis: that ends (Enterprise 2027-03-31, the others "
             "2028-09-30) and new "
             "tenants cannot create it since April 2026.\n"
             "- The endpoint is `NAME.REGION.redis.azure.net` on port **10000**, with TLS. Port and policy cannot be "
             "changed later.\n"
             "- Policy OSS where `clusterMode` is true (the client follows shards), Enterprise (a proxy) or "
             "Non-clustered where it is "
             "not. Whether sharded topics gain by the OSS policy: look it up.\n"
             "- Eviction is set at creation: **NoEviction**.\n",
    .durability = "AOF or RDB for each database; RDB loses what came since the last file.",
    .missing = HIDDEN ".",
    .bounds = "Connections by SKU. Settable: policy, port and modules.",
    .login = "Entra tokens, renewed by AUTH before they end, by somebody beside the broker; access keys are optional.",
};

static const struct provider upstash = {
    .title = "Upstash",
    .steps = "- One TLS endpoint, an engine of its own that speaks the protocol up to 8.2.\n"
             "- Leave `clusterMode` off: there is no CLUSTER, SSUBSCRIBE or SPUBLISH.\n"
             "- A broker sends commands without being asked to (pings, topics, comparisons): look at the bill of a day "
             "before the plan is chosen.\n"
             "- Eviction is off by default (writes are refused when it is full): leave it so.\n",
    .durability = "Always on disk; replicas are asynchronous, and conflicts are settled by the last writer.",
    .missing = HIDDEN "; a conflict that the last writer won has lost the other's publications.",
    .bounds =
        "10,000 commands a second; connections by plan; 100 GB pay as you go. **Each command is billed**, also those "
        "that "
        "brokers send without being asked to. INFO has no replication section. Settable: notify-keyspace-events only.",
    .login = "Password, ACL.",
};

static const struct provider rediscloud = {
    .title = "Redis Cloud",
    .steps = "- Essentials or Pro. The endpoint is a proxy; the OSS Cluster API (`clusterMode: true`) can be turned on "
             "with Pro.\n"
             "- Eviction is volatile-lru: change it to no eviction.\n"
             "- Durability: AOF every write (Pro). AOF every second or snapshots lose more.\n"
             "- Sharded topics: RESP3 must be enabled on the database.\n",
    .durability =
        "None, AOF each second, AOF each write (Pro), or snapshots of 1, 6 or 12 hours; written on the replica.",
    .missing = HIDDEN ". What the replica had not got when it wrote is on no disk.",
    .bounds = "Connections by plan. **ROLE is not supported, INFO has other fields and is not there in scripts, "
              "CLUSTER MYID is "
              "missing, and the hashing policy \"standard\" is not that of Redis**: brokers prove by INFO in their "
              "script that the "
              "server is still the primary, so try it (`callboardctl doctor`) before anything depends on it.",
    .login = "Password, ACL, mTLS.",
};

static const struct provider other = {
    .title = "one that somebody else runs",
    .steps = "- Redis 6.2 or later, Valkey 7.2 or later; streams, scripts or functions, and in cluster mode sharded "
             "topics (7.0).\n"
             "- `maxmemory` set, and `maxmemory-policy noeviction`: any other policy throws whole histories away.\n"
             "- `appendonly yes`; `appendfsync always` where what was acknowledged must be on disk.\n"
             "- A user of its own with the keys and topics of the prefix, as docs/redis.md has it.\n",
    .durability =
        "What `appendfsync` says; replicas are acknowledged later, so a failover may lose the last writes unless "
        "`min-replicas-to-write` and namespaces with `durability: safe` say otherwise.",
    .missing =
        "nothing is known of it: `callboardctl doctor` tells what it lacks. Where CONFIG or INFO is denied, that "
        "is unknown, not fine.",
    .bounds =
        "`maxclients`, and descriptors for it: Redis lowers it silently where the limit of open files is smaller.",
    .login = "Password, ACL; TLS.",
};

static const struct provider *provider_of(const struct spec *spec) {
    switch ((enum spec_provider) spec->redis.external.provider) {
    case SPEC_PROVIDER_MEMORYSTORE:
        return &memorystore;
    case SPEC_PROVIDER_AZURE:
        return &azure;
    case SPEC_PROVIDER_UPSTASH:
        return &upstash;
    case SPEC_PROVIDER_REDISCLOUD:
        return &rediscloud;
    case SPEC_PROVIDER_OTHER:
    case SPEC_PROVIDER_ELASTICACHE:
        break;
    }
    return &other;
}

void notes_append_provider(const struct spec *spec, struct buffer *out) {
    const struct provider *provider = provider_of(spec);
    buffer_append_format(out,
                         "\n## Redis: %s\n\n%s- What is kept: %s\n- **Not guaranteed**: %s\n- Bounds: "
                         "%s\n- Who may enter: %s\n",
                         provider->title, provider->steps, provider->durability, provider->missing, provider->bounds,
                         provider->login);
    if (spec->redis.external.auth_iam) {
        buffer_append_text(out,
                           "- `auth.iam`: tokens end, so somebody beside the broker has to write new ones into the "
                           "password file.\n");
    }
    if (spec->network_policy.enabled && spec->network_policy.to.n == 0) {
        buffer_append_text(out, "- The NetworkPolicies let brokers out to nothing of it: name its network in "
                                "`networkPolicy.to`.\n");
    }
}
