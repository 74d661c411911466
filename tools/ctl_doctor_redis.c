/* See ctl_doctor_parts.h: each Redis that the settings name is surveyed over a link of the broker's own kind, and
 * judged as the broker judges it. */
#include "tools/ctl_doctor_parts.h"

#include "base/cgroup.h"
#include "broker/broker_config.h"
#include "broker/redis/redis_setup.h"
#include "broker/redis/redis_survey.h"

#include <stdio.h>

enum { COMMANDS_MAX = 64, REPLY_ELEMENTS_MAX = 100000, SHARDS_MAX = 16, WHERE_MAX = REDIS_URL_TEXT_MAX + 1 };
#define BYTES_MAX ((size_t) 1 << 20)

/* ---- one server ---- */

struct visit {
    uv_loop_t loop;
    uv_timer_t timer;
    redis_link_t *link;
    const char *partitions_key;
    struct redis_facts facts;
    bool is_over;
    bool has_facts;
    char reason[160]; /* where it has none */
};

static void on_link_closed(void *context) {
    (void) context;
}

static void end_visit(struct visit *self, const char *reason) {
    if (self->is_over) {
        return;
    }
    self->is_over = true;
    snprintf(self->reason, sizeof self->reason, "%s", reason);
    uv_close((uv_handle_t *) &self->timer, NULL);
    redis_link_close(self->link, on_link_closed, self);
}

static void on_surveyed(void *context, void *request, const struct redis_facts *facts) {
    struct visit *self = context;
    (void) request;
    if (facts != NULL && !self->is_over) {
        self->facts = *facts;
        self->has_facts = true;
        end_visit(self, "");
    }
}

static void on_up(void *context) {
    struct visit *self = context;
    if (!self->is_over) {
        redis_survey_start(self->link, self->partitions_key, on_surveyed, NULL);
        redis_link_flush(self->link);
    }
}

static void on_down(void *context, const char *reason) {
    end_visit(context, reason);
}

static void on_push(void *context, const struct redis_reply *reply) {
    (void) context;
    (void) reply;
}

static void on_late(uv_timer_t *timer) {
    end_visit(timer->data, "it did not answer in 2 s");
}

static void visit(struct visit *self, const struct redis_url *url, const char *partitions_key) {
    static const struct redis_link_events events = {on_up, on_down, on_push};
    *self = (struct visit){.partitions_key = partitions_key};
    const struct redis_link_options options = {.loop = &self->loop,
                                               .url = *url,
                                               .client_name = "callboardctl-doctor",
                                               .commands_max = COMMANDS_MAX,
                                               .bytes_max = BYTES_MAX,
                                               .reply_limits = {.bytes = BYTES_MAX, .elements = REPLY_ELEMENTS_MAX},
                                               .command_timeout_ms = DOCTOR_WAIT_MS,
                                               .events = &events,
                                               .context = self};
    uv_loop_init(&self->loop);
    uv_timer_init(&self->loop, &self->timer);
    self->timer.data = self;
    uv_timer_start(&self->timer, on_late, DOCTOR_WAIT_MS, 0);
    self->link = redis_link_new(&options);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    uv_loop_close(&self->loop);
}

static void tell_unreachable(struct doctor *self, const char *where, const struct redis_url *url, const char *reason) {
    doctor_add(self, DOCTOR_REDIS_REACH, FINDING_ERROR, where, "%s", reason);
    if (strstr(reason, "password") != NULL || strstr(reason, "AUTH") != NULL) {
        doctor_mend(self, "set redis.user and redis.password_file (or the environment's REDIS_URL) to what ACL LIST on "
                          "the server knows");
    } else if (url->path[0] != '\0') {
        doctor_mend(self, "is Redis running, with unixsocket %s, and may this user open it?", url->path);
    } else {
        doctor_mend(self, "is Redis running there, and may this machine reach it? redis-cli -h %s -p %u ping",
                    url->host, url->port);
    }
}

static void examine_server(struct doctor *self, const struct redis_url *url, struct redis_setup *setup,
                           const char *partitions_key) {
    struct visit server;
    visit(&server, url, setup->is_replica ? NULL : partitions_key);
    if (!server.has_facts) {
        tell_unreachable(self, setup->where, url, server.reason);
        return;
    }
    doctor_add(self, DOCTOR_REDIS_REACH, FINDING_FINE, setup->where, "it answers");
    redis_settings_judge(&server.facts, setup, &self->findings);
}

/* ---- what the settings name ---- */

static bool take_url(struct doctor *self, const struct doctor_source *source, struct redis_url *ret_url) {
    const struct broker_config *config = source->broker;
    char error[256];
    if (!redis_url_parse(span_of_text(config->redis_url), ret_url, error, sizeof error)) {
        doctor_add(self, DOCTOR_REDIS_REACH, FINDING_ERROR, source->where, "redis.url: %s", error);
        doctor_mend(self, "correct redis.url");
        return false;
    }
    if (config->redis_user[0] != '\0') {
        snprintf(ret_url->user, sizeof ret_url->user, "%s", config->redis_user);
    }
    if (config->redis_password[0] != '\0') {
        snprintf(ret_url->password, sizeof ret_url->password, "%s", config->redis_password);
    }
    return true;
}

static uint32_t shards_of(const struct broker_config *config) {
    unsigned cores = cgroup_cores(CGROUP_ROOT);
    return config->shards > 0 ? (uint32_t) config->shards : cores < SHARDS_MAX ? cores : SHARDS_MAX;
}

static void examine_source(struct doctor *self, const struct doctor_source *source) {
    struct redis_url url;
    char where[WHERE_MAX];
    char key[128];
    if (!take_url(self, source, &url)) {
        return;
    }
    redis_url_describe(&url, where, sizeof where);
    struct redis_setup setup = redis_setup_of(source->broker, &url, shards_of(source->broker), where);
    setup.keeps_history = setup.keeps_history || source->is_redis_only; /* not told: take it so */
    snprintf(key, sizeof key, "{%s}:partitions", source->broker->redis_prefix);
    examine_server(self, &url, &setup, key);
    explicit_bzero(url.password, sizeof url.password);
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
