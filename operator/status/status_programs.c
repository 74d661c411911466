/* Gateways and brokers, as they say themselves: /health is open, /metrics asks for the internal token and may be
 * missing. Partitions are counted as gateways count them: each is its broker's whose weight is the highest
 * (base/partition.h). */
#include "operator/status/status_parts.h"

#include "base/partition.h"

#include <string.h>

/* ---- what both have ---- */

/* The figure as a whole number, where the page has it. */
static void add_metric(manifest_t *row, const char *key, const struct status_answer *metrics, const char *name,
                       const char *label) {
    double sum;
    if (metrics != NULL && metrics->trouble == NULL && status_metric(metrics->text, name, label, &sum)) {
        manifest_set_int(row, key, (int64_t) sum);
    }
}

/* ids of findings whose severity is this one: "redis.eviction, tls.certificate". */
static const char *findings_of(arena_t *arena, const manifest_t *list, const char *severity) {
    const char *text = "";
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *item = manifest_at(list, i);
        if (strcmp(status_text_at(item, "severity"), severity) == 0) {
            text = arena_format(arena, "%s%s%s", text, text[0] == '\0' ? "" : ", ", status_text_at(item, "id"));
        }
    }
    return text;
}

static void judge_findings(struct status *self, const char *pod, const manifest_t *list) {
    static const char mend[] = "callboardctl doctor in this pod says what each means and how it is mended";
    const char *errors = findings_of(self->arena, list, "error");
    const char *warnings = findings_of(self->arena, list, "warning");
    if (errors[0] != '\0') {
        status_add_error(self, pod, arena_format(self->arena, "it finds %s", errors), mend);
    }
    if (warnings[0] != '\0') {
        status_add_warning(self, pod, arena_format(self->arena, "it finds %s", warnings), mend);
    }
}

static void judge_state(struct status *self, const char *pod, const char *state) {
    if (strcmp(state, "stalled") == 0) {
        status_add_error(self, pod, "a thread of it has not come round",
                         arena_format(self->arena, "kubectl delete pod -n %s %s: only this is mended by a restart",
                                      self->input->namespace, pod));
    } else if (strcmp(state, "draining") == 0 || strcmp(state, "starting") == 0) {
        status_add_warning(self, pod, arena_format(self->arena, "is %s", state), "");
    }
}

/* Counts that grow, by the seconds since the page before: rate of `key`. */
static void add_rate(struct status *self, manifest_t *row, const char *section, const char *key) {
    const manifest_t *before = self->input->before;
    const manifest_t *list = before == NULL ? NULL : manifest_get(before, section);
    int64_t passed_ms = self->input->now_ms - status_int_at(before, "time_ms", 0);
    for (size_t i = 0; list != NULL && passed_ms > 0 && i < manifest_count(list); i++) {
        const manifest_t *other = manifest_at(list, i);
        int64_t now = status_int_at(row, key, -1);
        int64_t then = status_int_at(other, key, -1);
        if (strcmp(status_text_at(other, "pod"), status_text_at(row, "pod")) == 0 && then >= 0 && now >= then) {
            manifest_set_int(row, arena_format(self->arena, "%s_per_s", key), (now - then) * 1000 / passed_ms);
        }
    }
}

/* NULL: it does not answer, and why stands in the row. */
static manifest_t *begin_row(struct status *self, manifest_t *row, const manifest_t *pod) {
    const char *name = status_text_at(pod, "metadata.name");
    const char *why;
    manifest_set_text(row, "pod", name);
    manifest_t *health = status_json_of(self, name, "/health", &why);
    if (health == NULL) {
        manifest_set_text(row, "trouble", why);
        return NULL;
    }
    manifest_set_text(row, "state", status_text_at(health, "status"));
    judge_state(self, name, status_text_at(health, "status"));
    return health;
}

/* ---- gateways ---- */

static bool add_gateway(struct status *self, manifest_t *list, const manifest_t *pod) {
    manifest_t *row = manifest_append_map(list);
    const char *name = status_text_at(pod, "metadata.name");
    const manifest_t *health = begin_row(self, row, pod);
    if (health == NULL) {
        return false;
    }
    const struct status_answer *metrics = status_answer_of(self, name, "/metrics");
    manifest_set_int(row, "sockets", status_int_at(health, "connections.local", 0));
    manifest_set_int(row, "dead", status_int_at(health, "connections.dead", 0));
    add_metric(row, "received", metrics, "callboard_websocket_messages_received_total", NULL);
    add_metric(row, "delivered", metrics, "callboard_gateway_deliveries_total", NULL);
    add_rate(self, row, "gateways", "received");
    add_rate(self, row, "gateways", "delivered");
    judge_findings(self, name, manifest_get(health, "findings"));
    /* Its words for Redis being away, or no broker: told once by who is nearer to it, where one answers. */
    return strcmp(status_text_at(health, "status"), "degraded") == 0;
}

void status_add_gateways(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "gateways");
    size_t n;
    size_t n_degraded = 0;
    const manifest_t **pods = status_pods(self, "gateway", &n);
    for (size_t i = 0; i < n; i++) {
        n_degraded += add_gateway(self, list, pods[i]);
    }
    if (n_degraded > 0) {
        status_add_error(
            self, "gateways",
            arena_format(self->arena, "%zu of %zu see no broker, or one whose Redis is away", n_degraded, n),
            "mend the brokers first; sockets stay open, publishes are refused until then");
    }
}

/* ---- brokers ---- */

static size_t first_broker(const manifest_t *list, unsigned partition) {
    size_t best = SIZE_MAX;
    uint64_t best_weight = 0;
    for (size_t i = 0; i < manifest_count(list); i++) {
        const char *id = status_text_at(manifest_at(list, i), "id");
        uint64_t weight = id[0] == '\0' ? 0 : partition_rank((uint32_t) partition, span_of_text(id));
        if (id[0] != '\0' && (best == SIZE_MAX || weight > best_weight)) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

/* Of those that answer. */
static void count_partitions(struct status *self, manifest_t *list, int64_t partitions) {
    int64_t *counts = arena_alloc(self->arena, (manifest_count(list) + 1) * sizeof *counts);
    for (unsigned i = 0; i < (unsigned) partitions; i++) {
        size_t broker = first_broker(list, i);
        if (broker != SIZE_MAX) {
            counts[broker]++;
        }
    }
    for (size_t i = 0; i < manifest_count(list); i++) {
        if (status_text_at(manifest_at(list, i), "id")[0] != '\0') {
            manifest_set_int(manifest_at(list, i), "partitions", counts[i]);
        }
    }
}

static bool add_broker(struct status *self, manifest_t *list, const manifest_t *pod, int64_t *partitions) {
    manifest_t *row = manifest_append_map(list);
    const char *name = status_text_at(pod, "metadata.name");
    const manifest_t *health = begin_row(self, row, pod);
    if (health == NULL) {
        return false;
    }
    const char *ignored;
    const struct status_answer *metrics = status_answer_of(self, name, "/metrics");
    const manifest_t *info = status_json_of(self, name, "/info", &ignored);
    manifest_set_text(row, "id", status_text_at(health, "broker"));
    manifest_set_int(row, "gateway_workers", status_int_at(health, "connections.gateway_workers", 0));
    manifest_set_text(row, "engine", status_text_at(health, "redis.mode"));
    if (info != NULL) {
        *partitions = status_int_at(info, "partitions", *partitions);
        manifest_set_int(row, "shards", status_int_at(info, "shards", 0));
        manifest_set_int(row, "channels", status_int_at(info, "channels", 0));
    }
    add_metric(row, "publishes", metrics, "callboard_broker_publishes_total", NULL);
    add_metric(row, "published", metrics, "callboard_broker_publishes_total", "result=\"ok\"");
    add_rate(self, row, "brokers", "publishes");
    judge_findings(self, name, manifest_find(health, "redis.findings"));
    bool is_redis = strcmp(status_text_at(health, "redis.mode"), "redis") == 0;
    bool is_away = (is_redis && !status_bool_at(health, "redis.connected")) || status_bool_at(health, "redis.fallback");
    if (is_away) {
        const char *reason = status_text_at(health, "redis.reason");
        status_add_error(self, name,
                         arena_format(self->arena, "does not reach Redis%s%s", reason[0] == '\0' ? "" : ": ", reason),
                         "publishes are refused until Redis is back; a restart of brokers mends nothing");
    }
    return true;
}

/* As the configuration says, until a broker does. */
static int64_t partitions_of(const struct status *self) {
    const manifest_t *map = status_find(self, "ConfigMap", arena_format(self->arena, "%s-broker", self->input->name));
    const manifest_t *data = map == NULL ? NULL : manifest_get(map, "data");
    const char *text = data == NULL ? NULL : manifest_text_of(manifest_get(data, "broker.yaml"));
    const char *at = text == NULL ? NULL : strstr(text, "partitions: ");
    uint64_t partitions = 0;
    if (at != NULL) {
        at += sizeof "partitions: " - 1;
        (void) span_parse_u64(span_of(at, strspn(at, "0123456789")), &partitions);
    }
    return partitions > PARTITIONS_MAX ? 0 : (int64_t) partitions;
}

void status_add_brokers(struct status *self) {
    manifest_t *list = manifest_add_list(self->page, "brokers");
    size_t n;
    const manifest_t **pods = status_pods(self, "broker", &n);
    int64_t partitions = partitions_of(self);
    for (size_t i = 0; i < n; i++) {
        (void) add_broker(self, list, pods[i], &partitions);
    }
    if (partitions > 0 && partitions <= PARTITIONS_MAX) {
        manifest_set_int(self->page, "partitions", partitions);
        count_partitions(self, list, partitions);
    }
}
