/* GET /status of the agent: what its server is and how it is, for whoever reads the whole installation (the operator's
 * `status`). As /readyz it asks the server anew, but more of it, over a connection of its own. It holds no key, no
 * channel and no secret. Thread: that of the probes. */
#ifndef CALLBOARD_OPERATOR_AGENT_STATUS_H
#define CALLBOARD_OPERATOR_AGENT_STATUS_H

#include "operator/agent/agent_config.h"
#include "operator/redis/redis_dialer.h"
#include "operator/redis/server_health.h"

/* What else than INFO is known. */
struct agent_status_facts {
    const struct server_facts *server;
    const char *trouble; /* why it was not asked; "" */
    uint64_t ordinal;
    uint64_t disk_bytes; /* of the volume with the data; 0: not known */
    uint64_t disk_free_bytes;
};

/* Asks, and writes one JSON object. False: the server is not ready, and `reason` in it says why. */
bool agent_status_write(const struct agent_config *config, redis_dialer_t *dialer, const struct server_facts *facts,
                        const char *trouble, struct buffer *out);

/* Pure: a server of data. `cluster`: CLUSTER INFO, empty where there is none. */
bool agent_status_append_server(const struct agent_status_facts *facts, struct span info, struct span cluster,
                                struct buffer *out);
/* Pure: a Sentinel. `set`: the answer to SENTINEL MASTER; NULL: none came. */
bool agent_status_append_sentinel(const struct agent_status_facts *facts, const char *master_set,
                                  const struct redis_reply *set, struct buffer *out);

#endif
