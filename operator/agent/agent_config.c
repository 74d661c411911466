/* See agent_config.h. A pod that is in no list (its ordinal lies behind it, as while a set grows) is an error here: it
 * would otherwise do nothing for ever. */
#include "operator/agent/agent_config.h"

#include "base/log.h"

static bool read_ordinal(struct agent_config *self, char ret_error[AGENT_ERROR_MAX]) {
    uint64_t ordinal = self->options.ordinal;
    if (ordinal == REDIS_NO_ORDINAL && !redis_pod_ordinal(self->options.pod_name, &ordinal)) {
        if (self->options.mode == REDIS_MODE_STANDALONE) {
            ordinal = 0;
        } else {
            snprintf(ret_error, AGENT_ERROR_MAX,
                     "which pod this is: --pod-name (POD_NAME) has to end in -N, or --ordinal has to be given");
            return false;
        }
    }
    self->ordinal = (unsigned) ordinal;
    return true;
}

static bool find_self(struct agent_config *self, char ret_error[AGENT_ERROR_MAX]) {
    bool is_sentinel = self->options.mode == REDIS_MODE_SENTINEL;
    const struct redis_pods *own = is_sentinel ? &self->sentinels : &self->peers;
    if (own->n == 0 && self->options.mode == REDIS_MODE_STANDALONE) {
        snprintf(self->self.host, sizeof self->self.host, "%s", self->options.host);
        self->self.port = AGENT_REDIS_PORT;
    } else if (self->ordinal < own->n) {
        self->self = own->pods[self->ordinal];
    } else {
        snprintf(ret_error, AGENT_ERROR_MAX, "pod %u is not in %s, which has %zu", self->ordinal,
                 is_sentinel ? "--sentinels" : "--peers", own->n);
        return false;
    }
    if (self->options.port != 0) {
        self->self.port = (uint16_t) self->options.port;
    }
    return true;
}

static bool check_lists(const struct agent_config *self, char ret_error[AGENT_ERROR_MAX]) {
    bool needs_sentinels = self->options.mode == REDIS_MODE_REPLICATED || self->options.mode == REDIS_MODE_SENTINEL;
    if (needs_sentinels && self->sentinels.n == 0) {
        snprintf(ret_error, AGENT_ERROR_MAX, "--mode %s needs --sentinels", redis_mode_name(self->options.mode));
        return false;
    }
    if (self->options.mode == REDIS_MODE_CLUSTER && self->peers.n < self->options.shards) {
        snprintf(ret_error, AGENT_ERROR_MAX, "--peers has %zu pods for --shards %u: a shard needs at least one",
                 self->peers.n, (unsigned) self->options.shards);
        return false;
    }
    return true;
}

bool agent_config_read(struct agent_config *self, int argc, char **argv, int first, int *ret_rest,
                       char ret_error[AGENT_ERROR_MAX]) {
    *self = (struct agent_config){.ordinal = 0};
    enum log_level level;
    if (!redis_options_read(&self->options, REDIS_OPTIONS_AGENT, "CALLBOARD_AGENT", argc, argv, first, ret_rest,
                            ret_error, AGENT_ERROR_MAX) ||
        !redis_pods_parse(&self->peers, self->options.peers, AGENT_REDIS_PORT, ret_error, AGENT_ERROR_MAX) ||
        !redis_pods_parse(&self->sentinels, self->options.sentinels, AGENT_SENTINEL_PORT, ret_error, AGENT_ERROR_MAX) ||
        !read_ordinal(self, ret_error) || !find_self(self, ret_error) || !check_lists(self, ret_error)) {
        return false;
    }
    if (!log_level_parse(span_of_text(self->options.log_level), &level)) {
        snprintf(ret_error, AGENT_ERROR_MAX, "--log-level: %s is none of debug, info, warning, error",
                 self->options.log_level);
        return false;
    }
    log_set_level(level);
    return true;
}

void agent_config_finish(struct agent_config *self) {
    redis_pods_finish(&self->peers);
    redis_pods_finish(&self->sentinels);
}
