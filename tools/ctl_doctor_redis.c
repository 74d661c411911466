/* See ctl_doctor_parts.h: every Redis that the settings lead to is surveyed over a link of the broker's own kind, and
 * judged as the broker judges it. One server is asked itself; with Sentinel and Cluster first who the primaries are
 * (and each Sentinel whether it could do a failover), then each primary, then the replicas that it names. */
#include "tools/ctl_doctor_redis_parts.h"

#include "base/cgroup.h"
#include "base/memory.h"
#include "broker/broker_config.h"
#include "broker/redis/survey/redis_setup.h"
#include "tools/ctl_doctor_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHARDS_MAX = 16, SENTINELS_WANTED = 3, DOWN_AFTER_MAX_MS = 10000 };

/* What one source of settings names. */
struct round {
    struct doctor *doctor;
    const struct broker_config *config;
    struct doctor_redis server; /* with the login; its address changes */
    struct redis_setup setup;
    char partitions_key[128];
    struct redis_address seen[DOCTOR_NODES_MAX];
    size_t n_seen;
};

/* ---- one server ---- */

static void tell_unreachable(struct doctor *self, const char *where, const struct redis_url *url, const char *reason) {
    doctor_add(self, DOCTOR_REDIS_REACH, FINDING_ERROR, where, "%s", reason);
    if (strstr(reason, "password") != NULL || strstr(reason, "AUTH") != NULL) {
        doctor_mend(self,
                    "set redis.user and redis.password_file (or REDIS_URL in the environment) to what ACL LIST on "
                    "the server knows");
    } else if (url->path[0] != '\0') {
        doctor_mend(self, "is Redis running, with unixsocket %s, and may this user open it?", url->path);
    } else {
        doctor_mend(self, "is Redis running there, and may this machine reach it? redis-cli%s -h %s -p %u ping",
                    url->tls ? " --tls" : "", url->host, url->port);
    }
}

static bool is_seen(struct round *round, const struct redis_address *address) {
    for (size_t i = 0; i < round->n_seen; i++) {
        if (redis_address_equal(&round->seen[i], address)) {
            return true;
        }
    }
    if (round->n_seen < DOCTOR_NODES_MAX) {
        round->seen[round->n_seen++] = *address;
    }
    return false;
}

/* The server that round->server names now. */
static bool examine_server(struct round *round, const char *where, bool is_replica, struct redis_facts *ret_facts) {
    struct doctor *self = round->doctor;
    struct redis_setup setup = round->setup;
    char reason[DOCTOR_REASON_MAX + 1];
    setup.where = where;
    setup.is_replica = is_replica;
    setup.is_local = redis_setup_is_local(&round->server.url);
    bool has_answered =
        doctor_redis_survey(&round->server, is_replica ? NULL : round->partitions_key, ret_facts, reason);
    if (!has_answered) {
        tell_unreachable(self, where, &round->server.url, reason);
        return false;
    }
    doctor_add(self, DOCTOR_REDIS_REACH, FINDING_FINE, where, "it answers");
    redis_settings_judge(ret_facts, &setup, &self->findings);
    return true;
}

static void examine_replicas(struct round *round, const struct redis_facts *facts) {
    struct redis_facts *of_replica = memory_alloc_zero(sizeof *of_replica);
    for (size_t i = 0; i < facts->n_replica_addresses; i++) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        if (is_seen(round, &facts->replica_addresses[i])) {
            continue;
        }
        redis_url_set_address(&round->server.url, &facts->replica_addresses[i]);
        redis_address_describe(&facts->replica_addresses[i], where, sizeof where);
        examine_server(round, where, true, of_replica);
    }
    memory_free(of_replica);
}

/* ---- Sentinels ---- */

static void judge_sentinel(struct doctor *self, const char *where, const char *master, const char *answer) {
    unsigned usable = 0;
    if (strncmp(answer, "OK", 2) == 0 && sscanf(answer, "OK %u usable", &usable) == 1 && usable < SENTINELS_WANTED) {
        doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_WARNING, where, "only %u Sentinels: %s", usable, answer);
        doctor_mend(self, "run three or more, on machines that do not fail together");
    } else if (strncmp(answer, "OK", 2) == 0) {
        doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_FINE, where, "%s", answer);
    } else if (strncmp(answer, "NOQUORUM", 8) == 0) {
        doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_ERROR, where, "no failover is possible: %s", answer);
        doctor_mend(self, "bring the other Sentinels back; SENTINEL SENTINELS %s shows which this one misses", master);
    } else if (strstr(answer, "No such master") != NULL) {
        doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_ERROR, where, "it watches no primary named %s", master);
        doctor_mend(self, "correct the name at the end of redis.url; SENTINEL MASTERS shows what it watches");
    } else {
        doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_UNKNOWN, where, "SENTINEL CKQUORUM: %s", answer);
        doctor_mend(self,
                    "redis.sentinel_user and redis.sentinel_password are its login; ask it by hand: SENTINEL "
                    "CKQUORUM %s",
                    master);
    }
}

/* "…\ndown-after-milliseconds\n30000\n…" */
static void judge_down_after(struct doctor *self, const char *where, const char *master, const char *answer) {
    static const char name[] = "\ndown-after-milliseconds\n";
    const char *at = strstr(answer, name);
    unsigned long down_after_ms = at == NULL ? 0 : strtoul(at + sizeof name - 1, NULL, 10);
    if (down_after_ms == 0) {
        doctor_add(self, DOCTOR_REDIS_DOWN_AFTER, FINDING_UNKNOWN, where, "down-after-milliseconds cannot be read");
        doctor_mend(self, "look it up in sentinel.conf; it should be about 3000");
    } else if (down_after_ms > DOWN_AFTER_MAX_MS) {
        doctor_add(self, DOCTOR_REDIS_DOWN_AFTER, FINDING_NOTE, where,
                   "down-after-milliseconds is %lu: a dead primary is replaced after that at the earliest",
                   down_after_ms);
        doctor_mend(self, "SENTINEL SET %s down-after-milliseconds 3000 on every Sentinel", master);
    } else {
        doctor_add(self, DOCTOR_REDIS_DOWN_AFTER, FINDING_FINE, where, "down-after-milliseconds is %lu", down_after_ms);
    }
}

static void examine_sentinels(struct round *round) {
    struct doctor *self = round->doctor;
    const struct broker_config *config = round->config;
    struct doctor_redis sentinel = round->server;
    const char *const question[] = {"SENTINEL", "CKQUORUM", sentinel.url.master};
    snprintf(sentinel.url.user, sizeof sentinel.url.user, "%s", config->redis_sentinel_user);
    snprintf(sentinel.url.password, sizeof sentinel.url.password, "%s", config->redis_sentinel_password);
    sentinel.url.database = 0;
    for (size_t i = 0; i < sentinel.url.n_seeds; i++) {
        char where[REDIS_ADDRESS_TEXT_MAX + 1];
        char answer[DOCTOR_ANSWER_MAX + 1];
        char reason[DOCTOR_REASON_MAX + 1];
        redis_url_set_address(&sentinel.url, &sentinel.url.seeds[i]);
        redis_address_describe(&sentinel.url.seeds[i], where, sizeof where);
        if (doctor_redis_ask(&sentinel, 3, question, answer, reason)) {
            judge_sentinel(self, where, sentinel.url.master, answer);
            const char *const settings[] = {"SENTINEL", "MASTER", sentinel.url.master};
            if (doctor_redis_ask(&sentinel, 3, settings, answer, reason)) {
                judge_down_after(self, where, sentinel.url.master, answer);
            }
        } else {
            doctor_add(self, DOCTOR_REDIS_SENTINELS, FINDING_WARNING, where, "this Sentinel does not answer: %s",
                       reason);
            doctor_mend(self,
                        "is it running there? redis-cli -h %s -p %u ping; its login is redis.sentinel_user and "
                        "redis.sentinel_password",
                        sentinel.url.host, sentinel.url.port);
        }
    }
    round->server.has_left = round->server.has_left || sentinel.has_left;
    explicit_bzero(sentinel.url.password, sizeof sentinel.url.password);
}

/* ---- what the settings name ---- */

static void examine_one(struct round *round) {
    char where[REDIS_ADDRESS_TEXT_MAX + 1];
    struct redis_facts *facts = memory_alloc_zero(sizeof *facts);
    redis_address_describe(&round->server.url.seeds[0], where, sizeof where); /* as brokers name it */
    if (examine_server(round, where, false, facts)) {
        examine_replicas(round, facts);
    }
    memory_free(facts);
}

static void examine_named(struct round *round) {
    struct doctor *self = round->doctor;
    struct redis_address *primaries = memory_alloc_array(DOCTOR_NODES_MAX, sizeof *primaries);
    struct redis_facts *facts = memory_alloc_zero(sizeof *facts);
    char reason[DOCTOR_REASON_MAX + 1];
    char where[REDIS_URL_TEXT_MAX + 1];
    size_t n = doctor_redis_find(&round->server, round->config->redis_sentinel_user,
                                 round->config->redis_sentinel_password, primaries, reason);
    if (n == 0) {
        redis_url_describe(&round->server.url, where, sizeof where);
        doctor_add(self, DOCTOR_REDIS_REACH, FINDING_ERROR, where, "%s", reason);
        doctor_mend(self,
                    "are the servers that redis.url names running, and may this machine reach them? redis-cli -h "
                    "%s -p %u ping",
                    round->server.url.host, round->server.url.port);
    }
    for (size_t i = 0; i < n; i++) {
        is_seen(round, &primaries[i]);
    }
    for (size_t i = 0; i < n; i++) {
        redis_url_set_address(&round->server.url, &primaries[i]);
        redis_address_describe(&primaries[i], where, sizeof where);
        if (examine_server(round, where, false, facts)) {
            examine_replicas(round, facts);
        }
    }
    memory_free(facts);
    memory_free(primaries);
}

static bool refuse_source(struct doctor *self, const struct doctor_source *source, const char *error) {
    doctor_add(self, DOCTOR_REDIS_REACH, FINDING_ERROR, source->where, "%s", error);
    doctor_mend(self, "correct that setting; docs/config.md has all of them");
    return false;
}

static bool take_login(struct doctor *self, const struct doctor_source *source, struct doctor_redis *ret_server) {
    const struct broker_config *config = source->broker;
    struct redis_url *url = &ret_server->url;
    char error[512];
    if (!redis_url_parse(span_of_text(config->redis_url), url, error, sizeof error)) {
        return refuse_source(self, source, error);
    }
    if (config->redis_user[0] != '\0') {
        snprintf(url->user, sizeof url->user, "%s", config->redis_user);
    }
    if (config->redis_password[0] != '\0') {
        snprintf(url->password, sizeof url->password, "%s", config->redis_password);
    }
    if (!url->tls) {
        return true;
    }
    const struct redis_tls_options options = {.ca_file = config->redis_tls_ca_file,
                                              .certificate_file = config->redis_tls_certificate_file,
                                              .key_file = config->redis_tls_key_file,
                                              .server_name = config->redis_tls_server_name};
    ret_server->tls = redis_tls_new(&options, error, sizeof error);
    return ret_server->tls != NULL || refuse_source(self, source, error);
}

static uint32_t shards_of(const struct broker_config *config) {
    unsigned cores = cgroup_cores(CGROUP_ROOT);
    return config->shards > 0 ? (uint32_t) config->shards : cores < SHARDS_MAX ? cores : SHARDS_MAX;
}

static void examine_source(struct doctor *self, const struct doctor_source *source) {
    struct round *round = memory_alloc_zero(sizeof *round);
    round->doctor = self;
    round->config = source->broker;
    if (take_login(self, source, &round->server)) {
        round->setup = redis_setup_of(source->broker, &round->server.url, shards_of(source->broker), "");
        round->setup.keeps_history = round->setup.keeps_history || source->is_redis_only; /* not told: take it so */
        snprintf(round->partitions_key, sizeof round->partitions_key, "{%s}:partitions", source->broker->redis_prefix);
        if (round->server.url.kind == REDIS_URL_SENTINEL) {
            examine_sentinels(round);
        }
        (round->server.url.kind == REDIS_URL_STANDALONE ? examine_one : examine_named)(round);
        self->has_left = self->has_left || round->server.has_left;
    }
    redis_tls_destroy(&round->server.tls);
    explicit_bzero(round->server.url.password, sizeof round->server.url.password);
    memory_free(round);
}

/* Several brokers' settings mostly name the same one. */
static bool is_told_before(const struct doctor *self, size_t index) {
    for (size_t i = 0; i < index; i++) {
        const struct broker_config *config = self->sources[i].broker;
        if (config != NULL && strcmp(config->redis_url, self->sources[index].broker->redis_url) == 0) {
            return true;
        }
    }
    return false;
}

void doctor_check_redis(struct doctor *self) {
    for (size_t i = 0; i < self->n_sources; i++) {
        const struct doctor_source *source = &self->sources[i];
        if (source->broker != NULL && source->broker->redis_url[0] != '\0' && !is_told_before(self, i)) {
            examine_source(self, source);
        }
    }
}
