/* Redis that the spec runs itself. */
#include "operator/notes/notes_parts.h"
#include "operator/plan/sizing.h"
#include "operator/spec/spec_derive.h"
#include "operator/spec/spec_values.h"

static void append_volumes(const struct spec *spec, struct buffer *out) {
    const struct spec_redis *redis = &spec->redis;
    if (redis->persistence.size == 0) {
        buffer_append_text(out, "- **No volumes: nothing outlives the pods.**\n");
        return;
    }
    buffer_append_text(out, "- Volumes of ");
    spec_append_memory(out, redis->persistence.size);
    buffer_append_format(out,
                         " each, of class %s: on a local disk `appendfsync: always` costs little, on a network "
                         "volume each fsync counts.\n",
                         redis->persistence.class[0] == '\0' ? "the cluster's default" : redis->persistence.class);
    buffer_append_format(out,
                         "- To grow them: claims of a StatefulSet cannot be changed in it. Raise the claims "
                         "(`kubectl patch pvc`, the class must allow it), delete the set but not its pods\n  "
                         "(`kubectl delete statefulset %s-redis --cascade=orphan`), raise "
                         "`redis.persistence.size`, and apply again.\n",
                         spec->metadata.name);
    buffer_append_text(out, redis->appendfsync == SPEC_FSYNC_ALWAYS
                                ? "- `appendfsync: always`: what was acknowledged is on the primary's disk.\n"
                                : "- `appendfsync` is not `always`: a node that loses power may lose about a second of "
                                  "what was acknowledged.\n");
}

static void append_mode(const struct spec *spec, struct buffer *out) {
    const struct spec_redis *redis = &spec->redis;
    switch ((enum spec_redis_mode) redis->mode) {
    case SPEC_REDIS_STANDALONE:
        buffer_append_text(out, "- One Redis: while it restarts nothing with history is published.\n");
        break;
    case SPEC_REDIS_SENTINEL:
        buffer_append_text(out, "- Sentinels decide by majority: put them on different nodes, in three zones where "
                                "there are three.\n");
        buffer_append_text(out, redis->min_replicas_to_write > 0
                                    ? "- `minReplicasToWrite` is set: a primary that is cut off refuses writes.\n"
                                    : "- `minReplicasToWrite` is 0: a primary that is cut off takes writes until it "
                                      "learns of the new one, and those are lost.\n");
        break;
    case SPEC_REDIS_CLUSTER:
        buffer_append_text(out, "- The agents in the pods form the cluster, and mend it when all pods came back with "
                                "other addresses (after about twice `nodeTimeout`). Then look:\n  `callboard-operator "
                                "redis form --dry-run` and `heal --dry-run` print what would be missing.\n"
                                "- Replicas are acknowledged after the primary answered: a failover may lose the last "
                                "writes.\n");
        break;
    case SPEC_REDIS_EMBEDDED:
    case SPEC_REDIS_EXTERNAL:
        break;
    }
}

void notes_append_own_redis(const struct spec *spec, struct buffer *out) {
    buffer_append_format(out, "\n## Redis: %lld pods of your own\n\n", (long long) spec_redis_pods(spec));
    append_volumes(spec, out);
    append_mode(spec, out);
    buffer_append_text(out,
                       "- `vm.overcommit_memory=1` on the nodes: rewriting the file forks, and without it the fork "
                       "may be refused. It is of the node, no pod can set it; Redis warns at its start.\n- Brokers "
                       "and Redis primaries on different nodes: both dying together costs channels their "
                       "continuity.\n- Memory is bounded by `maxmemory` with `noeviction`: when it is reached, "
                       "publications with history are refused, and nothing is thrown away.\n");
    if (spec->backup.schedule[0] == '\0') {
        buffer_append_text(out, "- No `backup.schedule`: nobody copies the data.\n");
    }
}
