/* What Redis pods and their configuration say: CLUSTER NODES, the answers of Sentinels and DNS, lists of pods,
 * templates, sentinel.conf and the kubelet's requests. The first byte chooses the reader; each ends inside its bounds.
 */
#include "base/check.h"
#include "operator/agent/agent_http.h"
#include "operator/agent/agent_template.h"
#include "operator/agent/sentinel_conf.h"
#include "operator/redis/cluster_plan.h"
#include "operator/redis/info_field.h"
#include "operator/redis/redis_pods.h"
#include "operator/redis/resolver.h"
#include "operator/redis/scale_plan.h"
#include "operator/redis/sentinel_observe.h"
#include "operator/redis/set_observe.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 4096, PODS = 3 };

static void scale(const struct cluster_view *view) {
    struct scale_plan plan;
    unsigned replicas = 0;
    (void) scale_plan_replicas_now(view, &replicas);
    check(scale_plan_is_still(view, view), "the same view");
    for (unsigned shards = 1; shards <= PODS; shards++) {
        const struct scale_goal goal = {.shards = shards, .accepts_few = true, .accepts_degraded = shards == 2};
        scale_plan_make(&plan, view, &goal);
        check(plan.reason[0] != '\0' && (plan.n > 0) == (plan.verdict == SCALE_STEPS) &&
                  (plan.n_moves > 0) == (plan.verdict == SCALE_MOVES),
              "a plan");
        for (size_t i = 0; i < plan.n; i++) {
            check(plan.steps[i].pod < PODS, "a step");
        }
        for (size_t i = 0; i < plan.n_moves; i++) {
            check(plan.moves[i].from < PODS && plan.moves[i].to < PODS && plan.moves[i].from != plan.moves[i].to,
                  "a move");
        }
        scale_plan_finish(&plan);
    }
}

/* Tables of three pods, split at NUL bytes; then plans are made of them. */
static void as_tables(struct span text) {
    static const char *const names[PODS] = {"a", "b", "c"};
    struct cluster_pod pods[PODS] = {{.answers = false}, {.answers = false}, {.answers = false}};
    struct cluster_view view = {.pods = pods, .n = PODS, .shards = 2};
    struct cluster_plan plan;
    for (size_t i = 0; i < PODS; i++) {
        const uint8_t *end = text.size == 0 ? NULL : memchr(text.data, '\0', text.size);
        size_t part = end == NULL ? text.size : (size_t) (end - text.data);
        pods[i].name = names[i];
        pods[i].port = 6379;
        snprintf(pods[i].host, sizeof pods[i].host, "10.0.0.%zu", i);
        pods[i].answers = cluster_table_parse(&pods[i].table, span_of(text.data, part));
        for (size_t k = 0; k < pods[i].table.n; k++) {
            check(cluster_node_slots(&pods[i].table, &pods[i].table.nodes[k]) <= (size_t) CLUSTER_SLOTS * CLUSTER_SLOTS,
                  "slots");
        }
        size_t taken = end == NULL ? part : part + 1;
        text = span_of(text.data + taken, text.size - taken);
    }
    for (int actor = CLUSTER_ACTOR_ALL; actor < PODS; actor++) {
        cluster_plan_make(&plan, &view, actor);
        check(plan.reason[0] != '\0' && (plan.n > 0) == (plan.verdict == CLUSTER_STEPS), "a plan");
        for (size_t i = 0; i < plan.n; i++) {
            check(plan.steps[i].pod < PODS && (actor < 0 || plan.steps[i].pod == (unsigned) actor), "a step");
        }
        cluster_plan_finish(&plan);
    }
    scale(&view);
    for (size_t i = 0; i < PODS; i++) {
        cluster_table_finish(&pods[i].table);
    }
}

static void as_replies(struct span bytes) {
    redis_reader_t *reader = redis_reader_new(&(struct redis_reply_limits){.bytes = 65536, .elements = 1000});
    const struct redis_reply *reply = NULL;
    bool is_fed = redis_reader_feed(reader, bytes);
    while (is_fed && redis_reader_next(reader, &reply) == REDIS_READ_REPLY) {
        struct sentinel_view view;
        struct redis_pod primary;
        if (sentinel_view_parse(reply, &view)) {
            check(view.host[0] != '\0' && view.port != 0, "a primary");
        }
        (void) sentinel_role_parse(reply, &primary);
    }
    redis_reader_destroy(&reader);
}

static bool read_secret(void *context, const char *name, struct buffer *out, char *ret_why, size_t why_size) {
    (void) context;
    snprintf(ret_why, why_size, "none");
    return buffer_append_text(out, name);
}

static void as_template(struct span text) {
    const struct agent_template_values values = {.pod_name = "redis-0",
                                                 .pod_namespace = "n",
                                                 .pod_ip = "10.0.0.1",
                                                 .pod_fqdn = "redis-0.redis",
                                                 .read_secret = read_secret};
    struct buffer out;
    char error[256] = "";
    buffer_init(&out, 0);
    bool is_filled = agent_template_fill(&out, text, &values, error, sizeof error);
    check(is_filled == (error[0] == '\0'), "says what is wrong");
    buffer_finish(&out);
}

static void as_text(struct span text) {
    char copy[TEXT_MAX];
    char address[IP_ADDRESS_TEXT];
    char error[256];
    struct redis_pods pods;
    snprintf(copy, sizeof copy, "%.*s", (int) (text.size < sizeof copy ? text.size : sizeof copy - 1),
             text.size == 0 ? "" : (const char *) text.data);
    if (redis_pods_parse(&pods, copy, 6379, error, sizeof error)) {
        check(pods.n <= REDIS_PODS_MAX, "pods");
        redis_pods_finish(&pods);
    }
    (void) resolver_hosts_line(text, "redis-0", address);
    (void) info_field_u64(text, "master_repl_offset", 0);
    struct set_server server = {.answers = false};
    set_server_read(&server, text);
    check(!server.answers || !server.is_loading, "a server that loads does not answer");
    (void) resolver_dns_answer(text, 1, address);
    (void) resolver_dns_answer(text, 28, address);
    struct span path;
    if (agent_http_parse(text, &path) == AGENT_HTTP_REQUEST) {
        check(path.size > 0 && path.data[0] == '/', "a path");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct span rest = span_of(data + 1, size - 1);
    struct buffer out = BUFFER_EMPTY;
    switch (data[0] % 5) {
    case 0:
        as_tables(rest);
        break;
    case 1:
        as_replies(rest);
        break;
    case 2:
        as_template(rest);
        break;
    case 3:
        as_text(rest);
        break;
    default:
        (void) sentinel_conf_merge(&out, SPAN_LITERAL("port 1\nsentinel monitor s a 1 2\n"), rest, "s");
        buffer_finish(&out);
    }
    return 0;
}
