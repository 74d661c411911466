/* See ctl_doctor_parts.h: what this machine and the session's limits allow. It speaks of where doctor runs: run it
 * beside the program, as its user, in its container. */
#include "tools/ctl_doctor_parts.h"

#include "base/cgroup.h"
#include "broker/broker_config.h"
#include "gateway/gateway_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

enum {
    CONNECTIONS_UNSET = 65536, /* as the gateway takes client.connections_max 0 */
    DESCRIPTORS_RESERVED = 64, /* as the gateway keeps back */
    SOMAXCONN_MIN = 1024,
    MIB = 1 << 20,
};

static void check_descriptors(struct doctor *self, const struct doctor_source *source) {
    int64_t wanted = source->gateway->connections_max;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    int64_t allowed = limit.rlim_cur == RLIM_INFINITY ? INT64_MAX : (int64_t) limit.rlim_cur;
    int64_t needed = (wanted == 0 ? CONNECTIONS_UNSET : wanted) + DESCRIPTORS_RESERVED;
    if (allowed >= needed) {
        doctor_add(self, DOCTOR_HOST_DESCRIPTORS, FINDING_FINE, source->where,
                   "RLIMIT_NOFILE allows the %" PRId64 " descriptors of client.connections_max", needed);
        return;
    }
    doctor_add(self, DOCTOR_HOST_DESCRIPTORS, wanted == 0 ? FINDING_NOTE : FINDING_WARNING, source->where,
               "RLIMIT_NOFILE is %" PRId64 " in this session: %" PRId64 " connections fit%s", allowed,
               allowed > DESCRIPTORS_RESERVED ? allowed - DESCRIPTORS_RESERVED : 0,
               wanted == 0 ? "" : ", fewer than client.connections_max");
    doctor_mend(self,
                "raise it to %" PRId64 " where the program is started: LimitNOFILE= of its systemd unit, ulimit -n",
                needed);
}

static void check_somaxconn(struct doctor *self, const struct doctor_source *source) {
    FILE *file = fopen("/proc/sys/net/core/somaxconn", "re");
    int value = 0;
    int n = file == NULL ? 0 : fscanf(file, "%d", &value);
    if (file != NULL) {
        fclose(file);
    }
    if (n != 1) {
        doctor_add(self, DOCTOR_HOST_SOMAXCONN, FINDING_UNKNOWN, source->where,
                   "net.core.somaxconn cannot be read on this machine");
        doctor_mend(self, "look it up with sysctl net.core.somaxconn; it should be 1024 or more");
    } else if (value < SOMAXCONN_MIN) {
        doctor_add(self, DOCTOR_HOST_SOMAXCONN, FINDING_WARNING, source->where,
                   "net.core.somaxconn is %d: in a storm of reconnects the kernel drops connections", value);
        doctor_mend(self, "sysctl -w net.core.somaxconn=4096, and in /etc/sysctl.d");
    } else {
        doctor_add(self, DOCTOR_HOST_SOMAXCONN, FINDING_FINE, source->where, "net.core.somaxconn is %d", value);
    }
}

/* What the broker's bounds add up to when all are reached. */
static int64_t broker_bytes(const struct broker_config *config, int64_t shards) {
    int64_t of_shards = shards * (config->tails_bytes_max + config->inbox_bytes);
    return of_shards + (config->redis_url[0] == '\0' ? config->memory_bytes_max : 0);
}

static void check_memory(struct doctor *self, const struct doctor_source *source) {
    const struct broker_config *config = source->broker;
    int64_t available = (int64_t) cgroup_memory_bytes(CGROUP_ROOT);
    unsigned cores = cgroup_cores(CGROUP_ROOT);
    int64_t shards = config->shards > 0 ? config->shards : cores < 16 ? (int64_t) cores : 16;
    int64_t needed = broker_bytes(config, shards);
    if (source->gateway != NULL) {
        needed += available / 4; /* queues to clients */
    }
    if (needed <= available) {
        doctor_add(self, DOCTOR_HOST_MEMORY, FINDING_FINE, source->where,
                   "all bounds together are %" PRId64 " MiB of %" PRId64 " MiB", needed / MIB, available / MIB);
        return;
    }
    doctor_add(self, DOCTOR_HOST_MEMORY, FINDING_WARNING, source->where,
               "the bounds of %" PRId64 " shard%s add up to %" PRId64 " MiB, this %s has %" PRId64 " MiB", shards,
               shards == 1 ? "" : "s", needed / MIB, "machine or control group", available / MIB);
    doctor_mend(self, "lower broker.tails_bytes%s, or give it more memory",
                config->redis_url[0] == '\0' ? ", broker.inbox_bytes or memory.bytes" : " or broker.inbox_bytes");
}

void doctor_check_host(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->is_redis_only) {
            continue;
        }
        if (source->gateway != NULL) {
            check_descriptors(self, source);
            check_somaxconn(self, source);
        }
        if (source->broker != NULL) {
            check_memory(self, source);
        }
    }
}
