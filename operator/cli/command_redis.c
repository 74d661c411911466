/* redis form | heal | roll | scale | status | backup | restore: the work on Redis pods over RESP
 * (operator/redis/redis_work.h, operator/backup). What takes minutes tells its progress as it happens, so that goes to
 * stderr at once and not into the call's messages. */
#include "operator/backup/redis_backup.h"
#include "operator/backup/redis_restore.h"
#include "operator/cli/command_redis_access.h"
#include "operator/cli/commands.h"
#include "operator/redis/redis_work.h"

#include <signal.h>
#include <stdio.h>

/* Each is a row of operator/redis/redis_options.c, which has the bounds; a test compares the names. */
static const struct command_option options[] = {
    {"mode", "MODE", "what the pods are: cluster (if not said), replicated (Redis under Sentinel) or standalone"},
    {"peers", "LIST",
     "the Redis pods by ordinal: host[:port],…; redis-{0..5}.redis.ns.svc.cluster.local is six of them"},
    COMMAND_REDIS_ACCESS_OPTIONS,
    {"shards", "N", "primaries; at forming pod i is of shard i mod N; scale: as many as there shall be (3)"},
    {"max-lag-bytes", "BYTES", "roll: how far a replica may be behind its primary (1048576)"},
    {"ordinal", "N", "roll: this pod only, and without waiting for its return"},
    {"replicas-per-shard", "N", "scale: replicas of each shard; without: as many as the shards have now"},
    {"migrate-timeout-ms", "MS", "scale: how long one key may take on its way; stay below cluster-node-timeout (3000)"},
    {"accept", "CODES", "scale: go on in spite of what it refuses, as CB3102,CB3103"},
    {"to", "DIR", "backup: gets a folder of this copy; - writes one server's RDB to standard output"},
    {"keep", "N", "backup: copies that stay in --to, this one among them (7)"},
    {"from", "DIR", "restore: the folder of one copy"},
    {"resume", NULL, "restore: go on with one that was interrupted; keys that the target has stay as they are"},
    {"dry-run", NULL, "print the next commands as redis-cli would send them, and send none"},
    {NULL, NULL, NULL},
};

enum { SCALE_TIMEOUT_S = 3600 }; /* if not said: data take their time */

static void tell(void *context, const char *text) {
    const struct command_call *call = context;
    if (!call->is_quiet) {
        fprintf(stderr, "%s\n", text);
    }
}

static int run(struct command_call *call) {
    struct redis_work_call work = {.out = call->out, .tell = tell, .context = call};
    char error[512];
    if (call->n_arguments != 1) {
        return command_usage_error(call, "redis", "one action: form, heal, roll, scale, status, backup or restore");
    }
    redis_options_init(&work.options);
    work.options.mode = REDIS_MODE_CLUSTER;
    for (size_t i = 0; i < call->n_options; i++) {
        if (!redis_options_set(&work.options, REDIS_OPTIONS_OPERATOR, call->options[i].name, call->options[i].value,
                               error, sizeof error)) {
            return command_usage_error(call, "redis", "%s", error);
        }
    }
    if (!call->has_timeout && strcmp(call->arguments[0], "scale") == 0) {
        work.options.timeout_s = SCALE_TIMEOUT_S;
    } else if (call->timeout_ms > 0) {
        work.options.timeout_s = ((uint64_t) call->timeout_ms + 999) / 1000;
    }
    (void) signal(SIGPIPE, SIG_IGN); /* a cut TLS connection is an error, not an end */
    const char *action = call->arguments[0];
    return strcmp(action, "backup") == 0    ? redis_backup_run(&work)
           : strcmp(action, "restore") == 0 ? redis_restore_run(&work)
                                            : redis_work_run(&work, action);
}

const struct command command_redis = {
    .name = "redis",
    .arguments = "ACTION",
    .help =
        "form, heal, roll, scale, status, backup or restore: the work on Redis pods, which may be interrupted anywhere",
    .options = options,
    .run = run,
};
