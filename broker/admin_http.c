/* Small JSON answers from one broker_status each; nothing here waits for an actor, so a stuck one is told, not shared.
 */
#include "broker/admin_http.h"

#include "base/admin_operations.h"
#include "base/admin_page.h"
#include "base/clock.h"
#include "base/memory.h"

enum { STALLED_MS = 10000, ENDPOINTS = 4 };

struct admin_http {
    broker_t *broker;
    metrics_t *metrics;
    http_service_t *service;
    struct http_endpoint endpoints[ENDPOINTS];
    void (*on_closed)(void *context);
    void *closed_context;
};

static const char *mode_text(enum wire_mode mode) {
    return mode == WIRE_MODE_REDIS ? "redis" : "memory";
}

static const char *bool_text(bool value) {
    return value ? "true" : "false";
}

static void append_status(struct buffer *body, const broker_t *broker, const struct broker_status *status,
                          const char *word) {
    buffer_append_format(body, "{\"status\":\"%s\",\"broker\":", word);
    buffer_append_json_string(body, span_of_text(status->id));
    buffer_append_format(body, ",\"connections\":{\"gateway_workers\":%llu},", (unsigned long long) status->links);
    buffer_append_format(body, "\"redis\":{\"connected\":%s,\"pubsub_connected\":%s,\"mode\":\"%s\"%s",
                         bool_text(status->mode == WIRE_MODE_REDIS && status->engine_connected),
                         bool_text(status->mode == WIRE_MODE_REDIS && status->pubsub_connected),
                         mode_text(status->mode), status->stands_in ? ",\"fallback\":true" : "");
    if (status->engine_reason != NULL) {
        buffer_append_text(body, ",\"reason\":");
        buffer_append_json_string(body, span_of_text(status->engine_reason));
    }
    buffer_append_text(body, ",\"findings\":");
    finding_board_append_ids(broker_findings(broker), body);
    buffer_append_text(body, "}}\n");
}

static void answer_status(const struct admin_http *self, struct http_answer *answer, bool is_ready_check) {
    struct broker_status status;
    broker_read_status(self->broker, &status);
    bool stalled = status.stalled_ms > STALLED_MS;
    bool refused = stalled || (is_ready_check && status.draining);
    const char *word = stalled                                        ? "stalled"
                       : status.draining                              ? "draining"
                       : !status.engine_connected || status.stands_in ? "degraded"
                                                                      : "ok";
    answer->status = refused ? 503 : 200;
    answer->content_type = "application/json";
    append_status(&answer->body, self->broker, &status, word);
}

static void on_health(void *context, struct http_answer *answer) {
    answer_status(context, answer, false);
}

static void on_ready(void *context, struct http_answer *answer) {
    answer_status(context, answer, true);
}

static void append_figure(struct buffer *body, const char *name, uint64_t value) {
    buffer_append_format(body, ",\"%s\":%llu", name, (unsigned long long) value);
}

void admin_http_append_info(const broker_t *broker, struct buffer *body) {
    struct broker_status status;
    broker_read_status(broker, &status);
    buffer_append_text(body, "{\"broker\":");
    buffer_append_json_string(body, span_of_text(status.id));
    buffer_append_text(body, ",\"version\":\"" CALLBOARD_VERSION "\",\"endpoint\":");
    buffer_append_json_string(body, span_of_text(broker_endpoint(broker)));
    buffer_append_format(body, ",\"engine\":\"%s\",\"engine_connected\":%s,\"fallback\":%s,\"draining\":%s",
                         mode_text(status.mode), bool_text(status.engine_connected), bool_text(status.stands_in),
                         bool_text(status.draining));
    append_figure(body, "shards", status.shards);
    append_figure(body, "gateway_workers", status.links);
    append_figure(body, "channels", status.channels);
    append_figure(body, "subscriptions", status.subscriptions);
    append_figure(body, "requests_waiting", status.operations);
    append_figure(body, "brokers", status.brokers);
    append_figure(body, "gateways", status.gateways);
    append_figure(body, "connections", status.connections);
    append_figure(body, "users", status.users);
    append_figure(body, "stalled_ms", status.stalled_ms);
    append_figure(body, "partitions", broker_partitions(broker));
    append_figure(body, "time_ms", (uint64_t) clock_wall_ms());
    buffer_append_format(body, ",\"namespaces_hash\":\"%016llx\",\"findings\":",
                         (unsigned long long) namespace_set_hash(broker_namespaces(broker)));
    finding_board_append_json(broker_findings(broker), body);
    buffer_append_text(body, "}\n");
}

static void on_info(void *context, struct http_answer *answer) {
    const struct admin_http *self = context;
    answer->content_type = "application/json";
    admin_http_append_info(self->broker, &answer->body);
}

static void on_metrics(void *context, struct http_answer *answer) {
    const struct admin_http *self = context;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(self->metrics, &answer->body);
}

static void take_call(void *context, struct http_call *call) {
    struct admin_http *self = context;
    broker_call_by_hand(self->broker, call);
}

admin_http_t *admin_http_new(uv_loop_t *loop, const struct broker_config *config, broker_t *broker, metrics_t *metrics,
                             char *ret_error, size_t error_size) {
    admin_http_t *self = memory_alloc_zero(sizeof *self);
    self->broker = broker;
    self->metrics = metrics;
    self->endpoints[0] = (struct http_endpoint){"/health", on_health, self, true};
    self->endpoints[1] = (struct http_endpoint){"/ready", on_ready, self, true};
    self->endpoints[2] = (struct http_endpoint){"/info", on_info, self, false};
    self->endpoints[3] = (struct http_endpoint){"/metrics", on_metrics, self, false};
    struct http_service_options options = {.address = config->internal_address,
                                           .port = (int) config->internal_port,
                                           .bearer_token = config->internal_token,
                                           .endpoints = self->endpoints,
                                           .n_endpoints = ENDPOINTS,
                                           .metrics = metrics};
    struct http_service_calls calls =
        admin_operations_calls((enum admin_operations) config->internal_operations, config->internal_body_max,
                               config->internal_calls_max, config->internal_call_timeout_ms);
    calls.take = take_call;
    calls.context = self;
    options.calls = config->internal_operations == ADMIN_OPERATIONS_OFF ? NULL : &calls;
    bool is_ready = true;
    if (config->internal_admin) {
        options.pages = admin_page_endpoints(&options.n_pages, ret_error, error_size);
        is_ready = options.pages != NULL;
    }
    self->service = is_ready ? http_service_new(loop, &options, ret_error, error_size) : NULL;
    if (self->service == NULL) {
        memory_free(self);
        return NULL;
    }
    return self;
}

int admin_http_port(const admin_http_t *self) {
    return http_service_port(self->service);
}

static void on_service_closed(void *context) {
    admin_http_t *self = context;
    void (*on_closed)(void *) = self->on_closed;
    void *closed_context = self->closed_context;
    memory_free(self);
    if (on_closed != NULL) {
        on_closed(closed_context);
    }
}

void admin_http_close(admin_http_t **self_p, void (*on_closed)(void *context), void *context) {
    admin_http_t *self = *self_p;
    *self_p = NULL;
    if (self == NULL) {
        if (on_closed != NULL) {
            on_closed(context);
        }
        return;
    }
    self->on_closed = on_closed;
    self->closed_context = context;
    http_service_close(&self->service, on_service_closed, self);
}
