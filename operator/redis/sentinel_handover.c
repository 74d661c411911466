/* See sentinel_handover.h.
 *
 *   CLIENT PAUSE … WRITE at the primary → SENTINEL FAILOVER ─ taken ──▶ a replica is promoted; REPLICAOF ends it here
 *                                                           └ refused ▶ CLIENT UNPAUSE
 *
 * Sentinel promotes a replica and tells the old primary about a second later. Until then that one would take writes,
 * and the replicas that still follow it would confirm them: acknowledged, and gone when all of them follow the new one.
 *
 * Failures: the primary refuses the pause (its users.acl is of before) or does not answer → a warning, and the failover
 * all the same. It does not come about → the pause ends by itself. */
#include "operator/redis/sentinel_handover.h"

#include "base/log.h"
#include "operator/redis/sentinel_observe.h"

/* Longer than a failover takes (promotion and the next look of the Sentinels, a second each), and no longer than
 * clients bear. */
#define PAUSE_MS "4000"

static void call(redis_dialer_t *dialer, const struct redis_pod *pod, const char *word, const char *ms) {
    char error[RESP_ERROR_MAX] = "";
    resp_client_t *client = redis_dialer_open(dialer, REDIS_SERVICE_REDIS, pod, NULL, error, sizeof error);
    const struct redis_reply *reply = client == NULL ? NULL
                                      : ms == NULL   ? resp_client_call(client, "CLIENT", word)
                                                     : resp_client_call(client, "CLIENT", word, ms, "WRITE");
    if (!resp_reply_is_ok(reply)) {
        log_warning("writes_not_paused", log_text("redis", pod->host), log_text("command", word),
                    log_text("reason", client == NULL  ? error
                                       : reply == NULL ? resp_client_error(client)
                                                       : "refused; has its user +client|pause +client|unpause?"));
    }
    resp_client_destroy(&client);
}

bool sentinel_hand_over(redis_dialer_t *dialer, const struct redis_pods *sentinels, const struct redis_pods *pods,
                        const char *master_set, char *ret_error, size_t error_size) {
    const struct redis_pod *primary = NULL;
    struct redis_pod ignored;
    for (size_t i = 0; i < pods->n && primary == NULL; i++) {
        if (sentinel_observe_role(dialer, &pods->pods[i], &ignored) == SENTINEL_ROLE_PRIMARY) {
            primary = &pods->pods[i];
        }
    }
    if (primary != NULL) {
        call(dialer, primary, "PAUSE", PAUSE_MS);
    }
    bool is_taken = sentinel_failover(dialer, sentinels, master_set, ret_error, error_size);
    if (primary != NULL && !is_taken) {
        call(dialer, primary, "UNPAUSE", NULL);
    }
    return is_taken;
}
