/* See agent_start.h; the rules are in sentinel_plan.c. Bounded by --timeout: the pod is started again by the kubelet
 * then, with its back-off. A failover is asked for at most once in each down-after. */
#include "operator/agent/agent_start.h"

#include "base/clock.h"
#include "base/log.h"
#include "operator/redis/sentinel_observe.h"

#include <sys/stat.h>
#include <time.h>

enum { PATH_SIZE = 4096 };

/* A file of an earlier life. */
static bool has_file(const char *directory, const char *name) {
    char path[PATH_SIZE];
    struct stat facts;
    return (size_t) snprintf(path, sizeof path, "%s/%s", directory, name) < sizeof path && stat(path, &facts) == 0 &&
           (S_ISDIR(facts.st_mode) || facts.st_size > 0);
}

static bool has_data(const char *directory) {
    return has_file(directory, "appendonlydir") || has_file(directory, "dump.rdb") ||
           has_file(directory, "appendonly.aof");
}

static void sleep_ms(uint64_t ms) {
    struct timespec time = {.tv_sec = (time_t) (ms / 1000), .tv_nsec = (long) (ms % 1000) * 1000000};
    (void) nanosleep(&time, NULL);
}

static void ask_for_failover(const struct agent_config *config, redis_dialer_t *dialer, uint64_t *last_ms) {
    char error[RESP_ERROR_MAX] = "";
    uint64_t now = clock_monotonic_ms();
    if (*last_ms != 0 && now - *last_ms < config->options.down_after_ms) {
        return;
    }
    *last_ms = now;
    if (sentinel_failover(dialer, &config->sentinels, config->options.master_set, error, sizeof error)) {
        log_warning("failover_asked_for", log_text("set", config->options.master_set));
    } else {
        log_error("failover_refused", log_text("set", config->options.master_set), log_text("reason", error));
    }
}

static enum sentinel_start ask(const struct agent_config *config, redis_dialer_t *dialer, bool is_last_asking,
                               struct redis_pod *ret_primary, char ret_reason[SENTINEL_REASON_MAX]) {
    struct sentinel_asking asking;
    sentinel_asking_make(&asking, dialer, &config->peers, config->ordinal, &config->sentinels,
                         config->options.master_set);
    const struct sentinel_start_facts facts = {
        .has_data = has_data(config->options.data),
        .accept_empty = config->options.accept_empty_primary,
        .is_last_asking = is_last_asking,
    };
    enum sentinel_start start = sentinel_start_as(&asking.opinion, &asking.set, &facts, ret_primary, ret_reason);
    if (start == SENTINEL_START_WAIT && asking.trouble[0] != '\0') {
        size_t size = strlen(ret_reason);
        snprintf(ret_reason + size, SENTINEL_REASON_MAX - size, "; %.120s", asking.trouble);
    }
    sentinel_asking_finish(&asking);
    return start;
}

static enum agent_exit ask_until_known(const struct agent_config *config, redis_dialer_t *dialer,
                                       struct redis_pod *ret_primary, char ret_error[AGENT_ERROR_MAX]) {
    uint64_t end = clock_monotonic_ms() + config->options.timeout_s * 1000;
    uint64_t last_failover = 0;
    char told[SENTINEL_REASON_MAX] = "";
    for (;;) {
        char reason[SENTINEL_REASON_MAX];
        bool is_last = clock_monotonic_ms() + config->options.interval_ms >= end;
        *ret_primary = (struct redis_pod){.port = 0};
        enum sentinel_start start = ask(config, dialer, is_last, ret_primary, reason);
        if (strcmp(told, reason) != 0) {
            log_info("start_role", log_text("reason", reason));
            memcpy(told, reason, sizeof told);
        }
        if (start == SENTINEL_START_PRIMARY || start == SENTINEL_START_REPLICA) {
            return AGENT_DONE;
        }
        if (start == SENTINEL_START_FAILOVER) {
            ask_for_failover(config, dialer, &last_failover);
        }
        if (is_last) {
            snprintf(ret_error, AGENT_ERROR_MAX, "%s (asked for %llu s)", reason,
                     (unsigned long long) config->options.timeout_s);
            return start == SENTINEL_START_FAILOVER ? AGENT_REFUSED : AGENT_TIMEOUT;
        }
        sleep_ms(config->options.interval_ms);
    }
}

enum agent_exit agent_start_as(const struct agent_config *config, struct redis_pod *ret_primary,
                               char ret_error[AGENT_ERROR_MAX]) {
    redis_dialer_t *dialer = redis_dialer_new(&config->options, ret_error, AGENT_ERROR_MAX);
    if (dialer == NULL) {
        return AGENT_INVALID;
    }
    enum agent_exit result = ask_until_known(config, dialer, ret_primary, ret_error);
    redis_dialer_destroy(&dialer);
    return result;
}
