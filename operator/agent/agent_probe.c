/* See agent_probe.h. A probe costs the server two or three commands on a connection that stays open, and no fork. While
 * the server hangs, each probe ends after the command timeout, which the manifests keep below the kubelet's own. */
#include "operator/agent/agent_probe.h"

#include "base/log.h"
#include "base/memory.h"
#include "operator/agent/agent_http.h"
#include "operator/agent/agent_status.h"
#include "operator/redis/server_look.h"

struct agent_probe {
    const struct agent_config *config;
    redis_dialer_t *dialer;
    server_look_t *look;
    agent_http_t *http;
    char was_ready[SERVER_REASON_MAX]; /* told last */
};

static bool find_probe(struct span path, enum server_probe *ret_probe) {
    static const struct {
        const char *path;
        enum server_probe probe;
    } probes[] = {{"/livez", SERVER_PROBE_LIVE}, {"/readyz", SERVER_PROBE_READY}, {"/startupz", SERVER_PROBE_STARTED}};
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (span_equal_text(path, probes[i].path)) {
            *ret_probe = probes[i].probe;
            return true;
        }
    }
    return false;
}

static void write_body(char ret_body[AGENT_HTTP_BODY_MAX], bool is_ok, const char *reason, const char *trouble) {
    struct buffer body;
    buffer_init(&body, AGENT_HTTP_BODY_MAX - 1);
    buffer_append_format(&body, "{\"ok\":%s,\"reason\":", is_ok ? "true" : "false");
    buffer_append_json_string(&body, span_of_text(reason));
    if (trouble[0] != '\0') {
        buffer_append_text(&body, ",\"trouble\":");
        buffer_append_json_string(&body, span_of_text(trouble));
    }
    buffer_append_text(&body, "}\n");
    if (body.overflow) {
        snprintf(ret_body, AGENT_HTTP_BODY_MAX, "{\"ok\":%s}\n", is_ok ? "true" : "false");
    } else {
        snprintf(ret_body, AGENT_HTTP_BODY_MAX, "%.*s", (int) body.size, (const char *) body.data);
    }
    buffer_finish(&body);
}

/* Each change of readiness is told once. */
static void note_readiness(agent_probe_t *self, bool is_ok, const char *reason, const char *trouble) {
    if (strcmp(self->was_ready, reason) != 0) {
        snprintf(self->was_ready, sizeof self->was_ready, "%s", reason);
        log_info("readiness", log_bool("ready", is_ok), log_text("reason", reason), log_text("trouble", trouble));
    }
}

/* Always 200: what is wrong stands in it, and a 503 would be asked again on its way. */
static unsigned write_status(agent_probe_t *self, char ret_body[AGENT_HTTP_BODY_MAX]) {
    char trouble[RESP_ERROR_MAX];
    struct buffer body;
    buffer_init(&body, AGENT_HTTP_BODY_MAX - 1);
    struct server_facts facts = server_look(self->look, trouble);
    (void) agent_status_write(self->config, self->dialer, &facts, trouble, &body);
    bool fits = !body.overflow;
    snprintf(ret_body, AGENT_HTTP_BODY_MAX, "%.*s", fits ? (int) body.size : 3,
             fits ? (const char *) body.data : "{}\n");
    buffer_finish(&body);
    return 200;
}

static unsigned on_request(void *context, struct span path, char ret_body[AGENT_HTTP_BODY_MAX]) {
    agent_probe_t *self = context;
    enum server_probe probe;
    char reason[SERVER_REASON_MAX];
    char trouble[RESP_ERROR_MAX];
    if (span_equal_text(path, "/status")) {
        return write_status(self, ret_body);
    }
    if (!find_probe(path, &probe)) {
        write_body(ret_body, false, "no such path: /livez, /readyz, /startupz, /status", "");
        return 404;
    }
    struct server_facts facts = server_look(self->look, trouble);
    bool is_ok = server_probe_verdict(&facts, probe, reason);
    if (probe == SERVER_PROBE_READY) {
        note_readiness(self, is_ok, reason, trouble);
    }
    write_body(ret_body, is_ok, reason, trouble);
    return is_ok ? 200 : 503;
}

agent_probe_t *agent_probe_new(const struct agent_config *config, char ret_error[AGENT_ERROR_MAX]) {
    agent_probe_t *self = memory_alloc_zero(sizeof *self);
    self->config = config;
    self->dialer = redis_dialer_new(&config->options, ret_error, AGENT_ERROR_MAX);
    self->http = self->dialer == NULL
                     ? NULL
                     : agent_http_new(config->options.listen, on_request, self, ret_error, AGENT_ERROR_MAX);
    if (self->http == NULL) {
        agent_probe_destroy(&self);
        return NULL;
    }
    self->look = server_look_new(self->dialer, &config->options, &config->self, config->options.host, config->peers.n);
    return self;
}

void agent_probe_destroy(agent_probe_t **self_p) {
    agent_probe_t *self = *self_p;
    if (self == NULL) {
        return;
    }
    agent_http_destroy(&self->http);
    server_look_destroy(&self->look);
    redis_dialer_destroy(&self->dialer);
    memory_free(self);
    *self_p = NULL;
}

void agent_probe_turn(agent_probe_t *self, unsigned wait_ms) {
    agent_http_turn(self->http, wait_ms);
}

uint16_t agent_probe_port(const agent_probe_t *self) {
    return agent_http_port(self->http);
}
