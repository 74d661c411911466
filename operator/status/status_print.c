/* The page as text: a section each, one line a pod, and last the line for which somebody got up. What is not known is a
 * dash, and why stands below. */
#include "operator/status/status_parts.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

struct printing {
    const manifest_t *page;
    bool has_color;
    struct buffer *out;
};

static void append_colored(const struct printing *self, const char *color, const char *text) {
    buffer_append_format(self->out, "%s%s%s", self->has_color ? color : "", text, self->has_color ? NORMAL : "");
}

static const manifest_t *section(const struct printing *self, const char *path) {
    const manifest_t *list = manifest_find(self->page, path);
    return list != NULL && manifest_count(list) > 0 ? list : NULL;
}

/* A figure in a column, or a dash. */
static void append_count(const struct printing *self, const manifest_t *row, const char *key, int width) {
    if (manifest_get(row, key) == NULL) {
        buffer_append_format(self->out, " %*s", width, "-");
    } else {
        buffer_append_format(self->out, " %*" PRId64, width, status_int_at(row, key, 0));
    }
}

static void append_bytes(const struct printing *self, int64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    for (; bytes >= 10240 && unit < 4; unit++) {
        bytes /= 1024;
    }
    buffer_append_format(self->out, "%" PRId64 " %s", bytes, units[unit]);
}

static void append_time(const struct printing *self, int64_t ms) {
    time_t seconds = (time_t) (ms / 1000);
    struct tm parts;
    char text[32] = "";
    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    }
    buffer_append_text(self->out, text);
}

/* True: this row has nothing but why. */
static bool append_trouble(const struct printing *self, const manifest_t *row) {
    const char *trouble = status_text_at(row, "trouble");
    bool is_all = trouble[0] != '\0' && manifest_get(row, "state") == NULL && manifest_get(row, "role") == NULL &&
                  manifest_get(row, "quorum_reached") == NULL;
    if (is_all) {
        buffer_append_format(self->out, " not known: %s\n", trouble);
    }
    return is_all;
}

/* ---- sections ---- */

static void print_workloads(const struct printing *self) {
    const manifest_t *list = section(self, "workloads");
    if (list == NULL) {
        return;
    }
    buffer_append_format(self->out, "\n%-40s %7s %7s %7s\n", "WORKLOADS", "ready", "updated", "desired");
    for (size_t i = 0; i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        const manifest_t *pods = manifest_get(row, "not_ready");
        buffer_append_format(self->out, "  %-38s", status_text_at(row, "object"));
        append_count(self, row, "ready", 7);
        append_count(self, row, "updated", 7);
        append_count(self, row, "desired", 7);
        buffer_append_char(self->out, '\n');
        for (size_t k = 0; k < manifest_count(pods); k++) {
            const manifest_t *pod = manifest_at(pods, k);
            const char *node = status_text_at(pod, "node");
            buffer_append_format(self->out, "    %s: %s%s%s%s\n", status_text_at(pod, "name"),
                                 status_text_at(pod, "reason"), node[0] == '\0' ? "" : " (on ", node,
                                 node[0] == '\0' ? "" : ")");
        }
    }
}

/* 120345 (12/s) */
static void append_rate(const struct printing *self, const manifest_t *row, const char *key, const char *rate) {
    append_count(self, row, key, 12);
    if (manifest_get(row, rate) != NULL) {
        buffer_append_format(self->out, " (%" PRId64 "/s)", status_int_at(row, rate, 0));
    }
}

static void print_gateways(const struct printing *self) {
    const manifest_t *list = section(self, "gateways");
    if (list == NULL) {
        return;
    }
    buffer_append_format(self->out, "\n%-40s %9s %8s %12s %12s\n", "GATEWAYS", "", "sockets", "received", "delivered");
    for (size_t i = 0; i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "  %-38s", status_text_at(row, "pod"));
        if (append_trouble(self, row)) {
            continue;
        }
        buffer_append_format(self->out, " %9s", status_text_at(row, "state"));
        append_count(self, row, "sockets", 8);
        append_rate(self, row, "received", "received_per_s");
        append_rate(self, row, "delivered", "delivered_per_s");
        buffer_append_char(self->out, '\n');
    }
}

static void print_brokers(const struct printing *self) {
    const manifest_t *list = section(self, "brokers");
    if (list == NULL) {
        return;
    }
    buffer_append_format(self->out, "\n%-40s %9s %10s %6s %8s %8s %12s\n", "BROKERS", "", "partitions", "shards",
                         "workers", "channels", "publishes");
    for (size_t i = 0; i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "  %-38s", status_text_at(row, "pod"));
        if (append_trouble(self, row)) {
            continue;
        }
        buffer_append_format(self->out, " %9s", status_text_at(row, "state"));
        append_count(self, row, "partitions", 10);
        append_count(self, row, "shards", 6);
        append_count(self, row, "gateway_workers", 8);
        append_count(self, row, "channels", 8);
        append_rate(self, row, "publishes", "publishes_per_s");
        buffer_append_char(self->out, '\n');
    }
}

/* ---- Redis ---- */

static void append_place(const struct printing *self, const manifest_t *row) {
    if (strcmp(status_text_at(row, "role"), "replica") != 0) {
        buffer_append_text(self->out, " primary");
        if (manifest_get(row, "slots") != NULL) {
            buffer_append_format(self->out, ", %" PRId64 " slots", status_int_at(row, "slots", 0));
        }
        return;
    }
    buffer_append_format(self->out, " replica of %s", status_text_at(row, "primary"));
    if (!status_bool_at(row, "link_up")) {
        buffer_append_text(self->out, ", link down");
    } else if (status_bool_at(row, "syncing")) {
        buffer_append_text(self->out, ", in its first sync");
    } else if (manifest_get(row, "lag_bytes") != NULL) {
        buffer_append_text(self->out, ", ");
        append_bytes(self, status_int_at(row, "lag_bytes", 0));
        buffer_append_text(self->out, " behind");
    }
}

static void append_use(const struct printing *self, const manifest_t *row) {
    buffer_append_format(self->out, "; %" PRId64 " keys, ", status_int_at(row, "keys", 0));
    append_bytes(self, status_int_at(row, "memory_bytes", 0));
    if (status_int_at(row, "memory_max_bytes", 0) > 0) {
        buffer_append_text(self->out, " of ");
        append_bytes(self, status_int_at(row, "memory_max_bytes", 0));
    }
    buffer_append_format(self->out, "; aof %s, rdb %s", status_text_at(row, "aof"), status_text_at(row, "rdb"));
    int64_t size = status_int_at(row, "disk_bytes", 0);
    if (size > 0) {
        buffer_append_format(self->out, "; volume %" PRId64 " %% used",
                             100 - status_int_at(row, "disk_free_bytes", 0) * 100 / size);
    }
}

static void print_redis(const struct printing *self) {
    const manifest_t *list = section(self, "redis.servers");
    if (list == NULL) {
        return;
    }
    buffer_append_format(self->out, "\nREDIS (%s)\n", status_text_at(self->page, "redis.mode"));
    for (size_t i = 0; i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "  %-38s", status_text_at(row, "pod"));
        if (append_trouble(self, row)) {
            continue;
        }
        if (manifest_get(row, "role") == NULL) {
            buffer_append_format(self->out, " %s\n", status_text_at(row, "reason"));
            continue;
        }
        append_place(self, row);
        append_use(self, row);
        buffer_append_format(self->out, "%s%s\n", status_bool_at(row, "ok") ? "" : "; not ready: ",
                             status_bool_at(row, "ok") ? "" : status_text_at(row, "reason"));
    }
}

static void print_sentinels(const struct printing *self) {
    const manifest_t *list = section(self, "redis.sentinels");
    if (list == NULL) {
        return;
    }
    buffer_append_text(self->out, "\nSENTINELS\n");
    for (size_t i = 0; i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "  %-38s", status_text_at(row, "pod"));
        if (append_trouble(self, row)) {
            continue;
        }
        const char *primary = status_text_at(row, "primary");
        buffer_append_format(self->out, " names %s, knows %" PRId64 " replicas and %" PRId64 " Sentinels; quorum %s\n",
                             primary[0] == '\0' ? "nobody" : primary, status_int_at(row, "replicas", 0),
                             status_int_at(row, "sentinels", 0),
                             status_bool_at(row, "quorum_reached") ? "reached" : "not reached");
    }
}

/* ---- what runs out, and what is not known ---- */

static void print_claims(const struct printing *self) {
    const manifest_t *list = section(self, "claims");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "%s  %-38s %s %s", i == 0 ? "\nCLAIMS\n" : "", status_text_at(row, "claim"),
                             status_text_at(row, "phase"), status_text_at(row, "size"));
        if (manifest_get(row, "used_percent") != NULL) {
            buffer_append_format(self->out, ", %" PRId64 " %% used", status_int_at(row, "used_percent", 0));
        }
        buffer_append_char(self->out, '\n');
    }
}

static void print_certificates(const struct printing *self) {
    const manifest_t *list = section(self, "certificates");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *row = manifest_at(list, i);
        buffer_append_format(self->out, "%s  %-38s ", i == 0 ? "\nCERTIFICATES\n" : "", status_text_at(row, "secret"));
        if (manifest_get(row, "days") == NULL) {
            buffer_append_format(self->out, "%s\n", status_text_at(row, "trouble"));
            continue;
        }
        buffer_append_text(self->out, "until ");
        append_time(self, status_int_at(row, "expires_ms", 0));
        buffer_append_format(self->out, " (%" PRId64 " days)\n", status_int_at(row, "days", 0));
    }
}

static void print_spec(const struct printing *self) {
    if (manifest_get(self->page, "drifts") == NULL) {
        buffer_append_text(self->out, "\ndrift: not compared; -f SPEC does, and shows the warnings of check\n");
        return;
    }
    const manifest_t *warnings = manifest_get(self->page, "check");
    buffer_append_format(self->out, "\ndrift: %" PRId64 "; warnings of check: %zu\n",
                         status_int_at(self->page, "drifts", 0), manifest_count(warnings));
    for (size_t i = 0; i < manifest_count(warnings); i++) {
        buffer_append_format(self->out, "  %s\n", manifest_text_of(manifest_at(warnings, i)));
    }
}

static void print_unknown(const struct printing *self) {
    const manifest_t *list = section(self, "unknown");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        buffer_append_format(self->out, "%snot known: %s: %s\n", i == 0 ? "\n" : "",
                             status_text_at(manifest_at(list, i), "what"), status_text_at(manifest_at(list, i), "why"));
    }
}

/* ---- the verdict ---- */

static void append_finding(const struct printing *self, const manifest_t *item) {
    const char *mend = status_text_at(item, "mend");
    buffer_append_format(self->out, "%s: %s%s%s\n", status_text_at(item, "where"), status_text_at(item, "what"),
                         mend[0] == '\0' ? "" : "; ", mend);
}

static void print_findings(const struct printing *self) {
    const manifest_t *list = section(self, "findings");
    for (size_t i = 0; list != NULL && i < manifest_count(list); i++) {
        const manifest_t *item = manifest_at(list, i);
        bool is_error = strcmp(status_text_at(item, "severity"), "error") == 0;
        buffer_append_text(self->out, i == 0 ? "\n" : "");
        append_colored(self, is_error ? RED : YELLOW, is_error ? "error " : "warning ");
        append_finding(self, item);
    }
    buffer_append_char(self->out, '\n');
    if (status_is_healthy(self->page)) {
        append_colored(self, GREEN, "healthy");
        size_t n = list == NULL ? 0 : manifest_count(list);
        buffer_append_format(self->out, n == 0 ? "\n" : ", %zu warning%s\n", n, n == 1 ? "" : "s");
        return;
    }
    append_colored(self, RED, "not healthy");
    buffer_append_text(self->out, ", first ");
    append_finding(self, manifest_at(list, 0));
}

void status_print_text(const manifest_t *page, bool has_color, struct buffer *out) {
    struct printing self = {.page = page, .has_color = has_color, .out = out};
    const char *server = status_text_at(page, "server");
    buffer_append_format(out, "%s in %s%s%s%s, ", status_text_at(page, "name"), status_text_at(page, "namespace"),
                         server[0] == '\0' ? "" : " (", server, server[0] == '\0' ? "" : ")");
    append_time(&self, status_int_at(page, "time_ms", 0));
    buffer_append_char(out, '\n');
    print_workloads(&self);
    print_gateways(&self);
    print_brokers(&self);
    print_redis(&self);
    print_sentinels(&self);
    print_claims(&self);
    print_certificates(&self);
    print_spec(&self);
    print_unknown(&self);
    print_findings(&self);
}
