/* /health is liveness: 200 while the loops turn, whatever else is wrong, for a restart mends nothing else. /ready is
 * 503 while starting or draining. /health/redis is 503 while Redis is away, or nobody can say. */
#include "gateway/transport/http_endpoints.h"

#include "base/clock.h"
#include "base/findings.h"
#include "gateway/transport/demo_files.h"

#include <stdio.h>

enum { CERTIFICATE_WARNING_S = 14 * 86400 };

static struct gateway_status read_status(void *context) {
    const struct http_endpoints *self = context;
    struct gateway_status status = {0};
    self->read_status(self->context, &status);
    return status;
}

static bool is_alive(const struct gateway_status *status) {
    return status->stalled_ms < HTTP_ENDPOINTS_STALLED_MS;
}

static bool is_redis_away(const struct gateway_status *status) {
    return status->brokers_alive == 0 || status->engine_degraded;
}

/* The brokers say: memory, and that this is not as it should be (redis.fallback). */
static bool is_fallback(const struct gateway_status *status) {
    return status->mode == WIRE_MODE_MEMORY && status->engine_degraded;
}

static const char *status_text(const struct gateway_status *status) {
    if (!is_alive(status)) {
        return "stalled";
    }
    if (status->is_draining) {
        return "draining";
    }
    if (!status->is_ready) {
        return "starting";
    }
    return is_redis_away(status) ? "degraded" : "ok";
}

static const char *mode_text(enum wire_mode mode) {
    switch (mode) {
    case WIRE_MODE_MEMORY:
        return "memory";
    case WIRE_MODE_REDIS:
        return "redis";
    }
    return "unknown";
}

static void append_bool(struct buffer *out, const char *name, bool value) {
    buffer_append_format(out, "\"%s\":%s", name, value ? "true" : "false");
}

/* The cluster's figure, or null while no broker has told it. */
static void append_total(struct buffer *out, const char *name, bool known, uint64_t value) {
    buffer_append_format(out, "\"%s\":", name);
    if (known) {
        buffer_append_u64_decimal(out, value);
    } else {
        buffer_append_text(out, "null");
    }
}

static void append_redis(struct buffer *out, const struct gateway_status *status) {
    bool connected = status->mode == WIRE_MODE_REDIS && !is_redis_away(status);
    buffer_append_text(out, "\"redis\":{");
    append_bool(out, "connected", connected);
    buffer_append_char(out, ',');
    append_bool(out, "pubsub_connected", connected);
    buffer_append_format(out, ",\"mode\":\"%s\"%s}", mode_text(status->mode),
                         is_fallback(status) ? ",\"fallback\":true" : "");
}

static void find_in_certificate(const struct gateway_status *status, struct findings *ret_findings) {
    if (!status->speaks_tls) {
        return;
    }
    if (status->certificate_refused) {
        findings_add(ret_findings, "tls.renewal", FINDING_WARNING, "public listener",
                     "the files of certificate and key have changed and do not serve: the old ones are shown");
        findings_mend(ret_findings, "see tls_renewal_refused in the log; what serves is taken up by itself");
    }
    int64_t left_s = status->certificate_expires_s - clock_wall_ms() / 1000;
    if (left_s >= CERTIFICATE_WARNING_S) {
        return;
    }
    static const char id[] = "tls.certificate";
    if (left_s <= 0) {
        findings_add(ret_findings, id, FINDING_ERROR, "public listener",
                     "the certificate has expired: clients refuse it");
    } else {
        findings_add(ret_findings, id, FINDING_WARNING, "public listener", "the certificate expires in %lld hours",
                     (long long) (left_s / 3600));
    }
    findings_mend(ret_findings, "put the new files where http.tls_certificate_file and http.tls_key_file point: "
                                "they are taken up by themselves, connections stay");
}

static void find_in_tokens(const struct gateway_status *status, struct findings *ret_findings) {
    static const char mend_fetching[] = "see jwks_fetch_failed in the log: the URL, its certificate, or the way there";
    if (status->token_keys_missing) {
        findings_add(ret_findings, "token.keys", FINDING_ERROR, "jwks_url",
                     "the issuer's keys were never fetched: tokens signed with them are refused");
        findings_mend(ret_findings, mend_fetching);
    } else if (status->token_keys_stale) {
        findings_add(ret_findings, "token.keys", FINDING_WARNING, "jwks_url",
                     "the issuer's keys were not fetched for three times jwks_refresh: the last good ones are in use");
        findings_mend(ret_findings, mend_fetching);
    }
    if (status->revocations_old) {
        findings_add(ret_findings, "token.revocations", FINDING_ERROR, "token.revocation_file",
                     "the file cannot be used: the last good list of revocations is in use");
        findings_mend(ret_findings, "see revocations_refused in the log for the line, and write the file again");
    }
}

/* What is wrong, or will soon be, and mends itself not. */
static void find(const struct gateway_status *status, struct findings *ret_findings) {
    find_in_certificate(status, ret_findings);
    find_in_tokens(status, ret_findings);
}

/* Ids and severities, where there are any; whole ones are for /info, which asks for the token. */
static void append_finding_ids(struct buffer *out, const struct gateway_status *status) {
    struct findings findings = FINDINGS_EMPTY;
    find(status, &findings);
    buffer_append_text(out, findings.n > 0 ? "\"findings\":[" : "");
    for (size_t i = 0; i < findings.n; i++) {
        buffer_append_format(out, "%s{\"id\":\"%s\",\"severity\":\"%s\"}", i == 0 ? "" : ",", findings.items[i].id,
                             finding_severity_text(findings.items[i].severity));
    }
    buffer_append_text(out, findings.n > 0 ? "]," : "");
    findings_finish(&findings);
}

static void append_findings(struct buffer *out, const struct gateway_status *status) {
    struct findings findings = FINDINGS_EMPTY;
    find(status, &findings);
    buffer_append_text(out, ",\"findings\":");
    findings_append_json(&findings, FINDING_WARNING, out);
    findings_finish(&findings);
}

static void append_health(struct buffer *out, const struct gateway_status *status) {
    buffer_append_format(out, "{\"status\":\"%s\",\"connections\":{", status_text(status));
    append_total(out, "total", status->totals_known, status->total_connections);
    buffer_append_format(out, ",\"local\":%u,\"alive\":%u,\"dead\":%u},", status->connections, status->alive,
                         status->dead);
    append_finding_ids(out, status);
    append_redis(out, status);
    buffer_append_text(out, "}\n");
}

static void answer_health(void *context, struct http_answer *answer) {
    struct gateway_status status = read_status(context);
    answer->status = is_alive(&status) ? 200 : 503;
    append_health(&answer->body, &status);
}

static void answer_ready(void *context, struct http_answer *answer) {
    struct gateway_status status = read_status(context);
    answer->status = is_alive(&status) && status.is_ready && !status.is_draining ? 200 : 503;
    append_health(&answer->body, &status);
}

static void answer_health_redis(void *context, struct http_answer *answer) {
    struct gateway_status status = read_status(context);
    answer->status = is_redis_away(&status) ? 503 : 200;
    buffer_append_format(&answer->body, "{\"status\":\"%s\",", is_redis_away(&status) ? "unavailable" : "ok");
    append_redis(&answer->body, &status);
    buffer_append_text(&answer->body, "}\n");
}

static void answer_stats(void *context, struct http_answer *answer) {
    struct gateway_status status = read_status(context);
    struct buffer *out = &answer->body;
    buffer_append_format(out, "{\"local_connections\":%u,\"local_users\":%u,", status.connections, status.users);
    append_bool(out, "redis_enabled", status.mode == WIRE_MODE_REDIS);
    buffer_append_text(out, is_fallback(&status) ? ",\"fallback\":true," : ",");
    append_total(out, "total_instances", status.totals_known, status.total_gateways);
    buffer_append_char(out, ',');
    append_total(out, "total_connections", status.totals_known, status.total_connections);
    buffer_append_text(out, "}\n");
}

/* What it is, and what it has to agree on with others: callboardctl doctor compares. */
static void answer_info(void *context, struct http_answer *answer) {
    struct gateway_status status = read_status(context);
    struct buffer *out = &answer->body;
    answer->content_type = "application/json";
    buffer_append_text(out, "{\"gateway\":");
    buffer_append_json_string(out, span_of_text(status.id == NULL ? "" : status.id));
    buffer_append_format(out,
                         ",\"version\":\"" CALLBOARD_VERSION "\",\"status\":\"%s\",\"mode\":\"%s\",\"workers\":%u,"
                         "\"websockets\":%u,\"connections_max\":%u,\"brokers_known\":%u,\"brokers_alive\":%u,\"stalled_"
                         "ms\":%llu,\"time_ms\":%lld,"
                         "\"namespaces_hash\":\"%016llx\",\"tls\":%s",
                         status_text(&status), mode_text(status.mode), status.workers, status.websockets,
                         status.connections_max, status.brokers_known, status.brokers_alive,
                         (unsigned long long) status.stalled_ms, (long long) clock_wall_ms(),
                         (unsigned long long) status.namespaces_hash, status.speaks_tls ? "true" : "false");
    append_findings(out, &status);
    buffer_append_text(out, "}\n");
}

static void answer_metrics(void *context, struct http_answer *answer) {
    const struct http_endpoints *self = context;
    answer->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(self->metrics, &answer->body);
}

void http_endpoints_init(struct http_endpoints *self, bool with_details, bool demo) {
    const struct http_endpoint all[] = {
        {"/health", answer_health, self, true},
        {"/ready", answer_ready, self, true},
        {"/ws/health", answer_health, self, false},
        {"/ws/stats", answer_stats, self, false},
        {"/health/redis", answer_health_redis, self, false},
        {"/metrics", answer_metrics, self, false},
        {"/info", answer_info, self, false},
    };
    enum { ALWAYS_OPEN = 3, WITH_DETAILS = 5 };
    memcpy(self->internal, all, sizeof(all));
    self->n_open = with_details ? WITH_DETAILS : ALWAYS_OPEN;
    memcpy(self->open, all, sizeof(self->open));
    self->demo = demo;
}

static int send_file(struct lws *wsi, const struct http_static_file *file) {
    int result;
    if (!http_service_accepts(wsi, &result)) {
        return result;
    }
    const struct http_answer answer = {.status = 200, .content_type = file->content_type};
    return http_service_send(wsi, &answer, span_of(file->data, file->size));
}

int http_endpoints_answer_public(const struct http_endpoints *self, struct lws *wsi, const char *path) {
    const struct http_static_file *file = self->demo ? demo_file_find(path) : NULL;
    return file != NULL ? send_file(wsi, file) : http_service_answer(wsi, path, self->open, self->n_open);
}
