/* See ctl_doctor_parts.h: what one program's internal listener answers. /health says how it is and asks for no token;
 * /info says what it is. */
#include "tools/ctl_doctor_parts.h"

#include "base/clock.h"
#include "base/json_scan.h"
#include "broker/broker_config.h"
#include "broker/redis/survey/redis_settings.h"

#include <stdio.h>

enum { TEXT_MAX = 255, WHAT_MAX = 1023, CONNECTIONS_PERCENT = 80 };

/* ---- JSON ---- */

static bool parse(const struct ctl_page *page, struct json_value *ret_object) {
    const struct json_limits limits = JSON_LIMITS_DEFAULT;
    return json_scan(page->body, &limits, ret_object, NULL) == JSON_OK && ret_object->type == JSON_OBJECT;
}

/* "" where it is not there. */
static void read_text(struct json_value object, const char *name, char *ret_text, size_t size) {
    struct buffer text = BUFFER_EMPTY;
    json_decode_string(json_member(object, name), &text);
    snprintf(ret_text, size, "%.*s", (int) text.size, (const char *) text.data);
    buffer_finish(&text);
}

static uint64_t read_number(struct json_value object, const char *name) {
    uint64_t value = 0;
    json_to_u64(json_member(object, name), &value);
    return value;
}

static bool read_bool(struct json_value object, const char *name) {
    bool value = false;
    json_to_bool(json_member(object, name), &value);
    return value;
}

/* ---- pages ---- */

/* Whose page is it? A broker's names the broker; both have a status. */
static bool is_health_of(struct json_value health, bool is_broker) {
    char status[TEXT_MAX + 1];
    read_text(health, "status", status, sizeof status);
    return status[0] != '\0' && (json_member(health, "broker").type == JSON_STRING) == is_broker;
}

/* False: nobody is there, or somebody else, which is told. */
static bool get_health(struct doctor *self, bool is_broker, const char *base, struct ctl_page *ret_page,
                       struct json_value *ret_object) {
    enum doctor_check check = is_broker ? DOCTOR_BROKER_REACH : DOCTOR_GATEWAY_REACH;
    const char *program = is_broker ? "broker" : "gateway";
    ctl_page_get(ret_page, base, "/health", "");
    bool is_json = ret_page->status != 0 && parse(ret_page, ret_object);
    if (ret_page->status == 0) {
        doctor_add(self, check, FINDING_ERROR, base, "the %s does not answer: %s", program, ret_page->error);
        doctor_mend(self, "is it running there? Its log (its last line says why it ended), then internal.address and "
                          "internal.port, then the network in between");
    } else if (is_json && is_health_of(*ret_object, !is_broker)) {
        doctor_add(self, check, FINDING_ERROR, base, "this is a %s, not a %s", is_broker ? "gateway" : "broker",
                   program);
        doctor_mend(self, "name it with %s", is_broker ? "--gateway" : "--broker");
    } else if (!is_json || !is_health_of(*ret_object, is_broker)) {
        doctor_add(self, check, FINDING_ERROR, base, "something answers /health with %u, but no health of ours",
                   ret_page->status);
        doctor_mend(self, "name the internal listener (internal.port: 9000 of gateways, 9001 of brokers), not another "
                          "program's");
    } else {
        doctor_add(self, check, FINDING_FINE, base, "the %s answers", program);
        return true;
    }
    return false;
}

/* What /info says of the program itself, for comparing; false: it is not told. */
static bool get_info(struct doctor *self, enum doctor_check check, const char *base, const char *path,
                     const char *token, struct ctl_page *ret_page, struct json_value *ret_object,
                     struct doctor_said *ret_said) {
    uint64_t begun_us = clock_monotonic_us();
    ctl_page_get(ret_page, base, path, token);
    int64_t taken_ms = (int64_t) (clock_monotonic_us() - begun_us) / 1000;
    snprintf(ret_said->where, sizeof ret_said->where, "%s%.*s", base, (int) (strlen(path) - strlen("/info")), path);
    if (ret_page->status == 401) {
        doctor_add(self, check, FINDING_UNKNOWN, base, "%s asks for a token%s", path,
                   token[0] == '\0' ? "" : ", and this is another one");
        doctor_mend(self, "give internal.token of that program: --config FILE, or --token-file FILE");
        return false;
    }
    if (ret_page->status != 200 || !parse(ret_page, ret_object)) {
        doctor_add(self, check, FINDING_UNKNOWN, base, "%s is not answered (%u): another version?", path,
                   ret_page->status);
        doctor_mend(self, "use the callboardctl of that version, or upgrade the program");
        return false;
    }
    read_text(*ret_object, "version", ret_said->version, sizeof ret_said->version);
    read_text(*ret_object, "namespaces_hash", ret_said->namespaces_hash, sizeof ret_said->namespaces_hash);
    ret_said->partitions = read_number(*ret_object, "partitions");
    uint64_t time_ms = read_number(*ret_object, "time_ms");
    ret_said->clock_is_known = time_ms > 0;
    ret_said->clock_ahead_ms = (int64_t) time_ms - (clock_wall_ms() - taken_ms / 2);
    return true;
}

/* ---- a broker ---- */

static void judge_broker_health(struct doctor *self, const char *base, struct json_value health) {
    char status[TEXT_MAX + 1];
    struct json_value redis = json_member(health, "redis");
    read_text(health, "status", status, sizeof status);
    if (read_bool(redis, "fallback")) {
        doctor_add(self, DOCTOR_BROKER_HEALTH, FINDING_ERROR, base,
                   "it serves from its memory: Redis could not be reached when it started (redis.fallback)");
        doctor_mend(self, "bring Redis back: it returns to it by itself, with new epochs, and tells everyone; what is "
                          "published until then is not kept");
    } else if (strcmp(status, "ok") == 0) {
        doctor_add(self, DOCTOR_BROKER_HEALTH, FINDING_FINE, base, "ok");
    } else if (strcmp(status, "draining") == 0) {
        doctor_add(self, DOCTOR_BROKER_HEALTH, FINDING_WARNING, base, "it is draining: it ends soon");
        doctor_mend(self, "nothing, if somebody stops or restarts it; else look who sent SIGTERM");
    } else if (strcmp(status, "stalled") == 0) {
        doctor_add(self, DOCTOR_BROKER_HEALTH, FINDING_ERROR, base, "stalled: a thread has not come round for 10 s");
        doctor_mend(self, "keep a core (gcore PID) for the report, then restart it; gateways go to the other brokers");
    } else {
        doctor_add(self, DOCTOR_BROKER_HEALTH, FINDING_ERROR, base, "%s: Redis %s, pub/sub %s",
                   status[0] == '\0' ? "no status" : status,
                   read_bool(redis, "connected") ? "answers" : "does not answer",
                   read_bool(redis, "pubsub_connected") ? "answers" : "does not answer");
        doctor_mend(self, "look at Redis: the broker's log says why (redis_link_down), and the redis.* checks");
    }
}

static void judge_broker_info(struct doctor *self, const char *base, struct json_value info,
                              const struct broker_config *config) {
    char engine[TEXT_MAX + 1];
    read_text(info, "engine", engine, sizeof engine);
    const char *wanted = config == NULL ? engine : config->redis_url[0] == '\0' ? "memory" : "redis";
    uint64_t workers = read_number(info, "gateway_workers");
    if (strcmp(engine, wanted) != 0 && read_bool(info, "fallback")) {
        doctor_add(self, DOCTOR_BROKER_ENGINE, FINDING_ERROR, base,
                   "it keeps channels in %s for as long as Redis is away", engine);
        doctor_mend(self, "bring Redis back: it returns to it by itself");
    } else if (strcmp(engine, wanted) != 0) {
        doctor_add(self, DOCTOR_BROKER_ENGINE, FINDING_ERROR, base, "it keeps channels in %s, its settings say %s",
                   engine, wanted);
        doctor_mend(self, "restart it with these settings; redis.url is not applied by a reload");
    } else {
        doctor_add(self, DOCTOR_BROKER_ENGINE, FINDING_FINE, base, "channels are in %s", engine);
    }
    if (workers == 0) {
        doctor_add(self, DOCTOR_BROKER_LINKS, FINDING_WARNING, base, "no gateway is linked to it");
        doctor_mend(self,
                    "do the gateways know its address (brokers.endpoints) and its key (brokers.curve_broker_key), "
                    "and it theirs (broker.curve_allowed_dir)?");
    } else {
        doctor_add(self, DOCTOR_BROKER_LINKS, FINDING_FINE, base, "%llu gateway workers are linked",
                   (unsigned long long) workers);
    }
}

/* What the broker found out about its Redis servers itself. Ours counts where we could ask them, too. */
static void take_findings(struct doctor *self, const char *base, struct json_value info) {
    struct json_iterator iterator = json_iterate(json_member(info, "findings"));
    struct json_value name;
    struct json_value finding;
    while (json_next(&iterator, &name, &finding)) {
        char id[TEXT_MAX + 1];
        char severity[TEXT_MAX + 1];
        char where[TEXT_MAX + 1];
        char what[WHAT_MAX + 1];
        char mend[WHAT_MAX + 1];
        read_text(finding, "id", id, sizeof id);
        read_text(finding, "severity", severity, sizeof severity);
        read_text(finding, "where", where, sizeof where);
        read_text(finding, "what", what, sizeof what);
        read_text(finding, "mend", mend, sizeof mend);
        for (unsigned i = 0; i < REDIS_CHECKS_COUNT; i++) {
            const char *known = redis_check_id((enum redis_check) i);
            if (strcmp(known, id) == 0 && findings_find(&self->findings, known, where) == NULL) {
                findings_add(&self->findings, known, finding_severity_parse(severity), where, "%s (as %s sees it)",
                             what, base);
                findings_mend(&self->findings, "%s", mend);
            }
        }
    }
}

void doctor_check_broker_pages(struct doctor *self, const char *base, const char *path_prefix, const char *token,
                               const struct broker_config *config, struct doctor_said *ret_said) {
    struct ctl_page page;
    struct json_value object;
    char path[64];
    *ret_said = (struct doctor_said){.where = ""};
    if (path_prefix[0] == '\0') { /* an appliance's health is its gateway's */
        bool is_there = get_health(self, true, base, &page, &object);
        if (is_there) {
            judge_broker_health(self, base, object);
        }
        ctl_page_finish(&page);
        if (!is_there) {
            return;
        }
    }
    snprintf(path, sizeof path, "%s/info", path_prefix);
    if (get_info(self, DOCTOR_BROKER_ENGINE, base, path, token, &page, &object, ret_said)) {
        judge_broker_info(self, base, object, config);
        take_findings(self, base, object);
    }
    ctl_page_finish(&page);
}

/* ---- a gateway ---- */

static void judge_gateway_health(struct doctor *self, const char *base, struct json_value health) {
    char status[TEXT_MAX + 1];
    read_text(health, "status", status, sizeof status);
    if (read_bool(json_member(health, "redis"), "fallback")) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_ERROR, base,
                   "its broker serves from memory: Redis could not be reached when it started (redis.fallback)");
        doctor_mend(self, "bring Redis back: the broker returns to it by itself and tells everyone");
    } else if (strcmp(status, "ok") == 0) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_FINE, base, "ok, %llu connections",
                   (unsigned long long) read_number(json_member(health, "connections"), "local"));
    } else if (strcmp(status, "draining") == 0) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_WARNING, base, "it is draining: it ends soon");
        doctor_mend(self, "nothing, if somebody stops or restarts it; else look who sent SIGTERM");
    } else if (strcmp(status, "starting") == 0) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_ERROR, base, "starting: not every worker has met a broker yet");
        doctor_mend(self, "look at brokers.endpoints and at the brokers; where keys are used, at keys.match");
    } else if (strcmp(status, "stalled") == 0) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_ERROR, base, "stalled: a thread has not come round for 5 s");
        doctor_mend(self, "keep a core (gcore PID) for the report, then restart it; its clients come back elsewhere");
    } else {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, FINDING_ERROR, base, "%s: no broker is alive, or Redis does not answer",
                   status[0] == '\0' ? "no status" : status);
        doctor_mend(self, "look at the brokers' health first, then at Redis");
    }
}

static void judge_connections(struct doctor *self, const char *base, struct json_value info) {
    uint64_t now = read_number(info, "websockets");
    uint64_t most = read_number(info, "connections_max");
    if (most == 0) {
        return; /* it does not tell */
    }
    bool is_near = now * 100 >= most * CONNECTIONS_PERCENT;
    doctor_add(self, DOCTOR_GATEWAY_CONNECTIONS, is_near ? FINDING_WARNING : FINDING_FINE, base,
               "%llu of at most %llu connections%s", (unsigned long long) now, (unsigned long long) most,
               is_near ? ": newcomers are refused at the bound" : "");
    if (is_near) {
        doctor_mend(self,
                    "raise client.connections_max and the descriptors (LimitNOFILE=, ulimit -n), or add gateways");
    }
}

static void judge_gateway_info(struct doctor *self, const char *base, struct json_value info) {
    judge_connections(self, base, info);
    uint64_t known = read_number(info, "brokers_known");
    uint64_t alive = read_number(info, "brokers_alive");
    if (alive < known) {
        doctor_add(self, DOCTOR_GATEWAY_HEALTH, alive == 0 ? FINDING_ERROR : FINDING_WARNING, base,
                   "%llu of %llu brokers that it knows are alive", (unsigned long long) alive,
                   (unsigned long long) known);
        doctor_mend(self, "bring the others back, or take them out of brokers.endpoints");
    }
}

void doctor_check_gateway_pages(struct doctor *self, const char *base, const char *token,
                                struct doctor_said *ret_said) {
    struct ctl_page page;
    struct json_value object;
    *ret_said = (struct doctor_said){.where = ""};
    bool is_there = get_health(self, false, base, &page, &object);
    if (is_there) {
        judge_gateway_health(self, base, object);
    }
    ctl_page_finish(&page);
    if (!is_there) {
        return;
    }
    if (get_info(self, DOCTOR_CLUSTER_VERSIONS, base, "/info", token, &page, &object, ret_said)) {
        judge_gateway_info(self, base, object);
    }
    ctl_page_finish(&page);
}
