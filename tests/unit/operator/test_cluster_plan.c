/* The planner over states as text; ids are one letter, forty times. */
#include "base/memory.h"
#include "operator/redis/cluster_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PODS_MAX = 6 };

/* What a pod's table says, a node a part: "a0mM=0-8191" is node a at pod 0's address, master, Myself.
 *   first letter: the id; digit: at whose address (9: an old one, -: none); then flags:
 *   m master, s followed by an id letter: replica of it; M myself; f failed; h handshake; d link down; =a-b slots
 * Behind the nodes: #7 it has seven keys; !link its primary is not in sync with it; !dials it
 * dials its primary at an old address (and is not in sync); !state cluster_state is fail. */
struct plan_case {
    const char *name;
    unsigned shards;
    const char *pods[PODS_MAX];
    int actor;
    enum cluster_verdict verdict;
    const char *steps;  /* "0 MEET 1,…": pod and command; NULL: not looked at */
    const char *reason; /* a part of it */
};

static void append_node(struct buffer *out, const char *text, size_t size) {
    char flags[64] = "";
    char primary[CLUSTER_ID_LENGTH + 1] = "-";
    bool is_down = false;
    const char *slots = memchr(text, '=', size);
    size_t n = slots == NULL ? size : (size_t) (slots - text);
    for (size_t i = 2; i < n; i++) {
        const char *flag = "";
        switch (text[i]) {
        case 'm':
            flag = "master";
            break;
        case 'M':
            flag = "myself";
            break;
        case 'f':
            flag = "fail";
            break;
        case 'h':
            flag = "handshake";
            break;
        case 'd':
            is_down = true;
            break;
        case 's':
            flag = "slave";
            memset(primary, text[++i], CLUSTER_ID_LENGTH);
            primary[CLUSTER_ID_LENGTH] = '\0';
            break;
        default:
            fail_msg("no such flag: %.*s", (int) size, text);
        }
        snprintf(flags + strlen(flags), sizeof flags - strlen(flags), "%s%s",
                 flags[0] != '\0' && flag[0] != '\0' ? "," : "", flag);
    }
    for (size_t i = 0; i < CLUSTER_ID_LENGTH; i++) {
        buffer_append_char(out, text[0]);
    }
    buffer_append_format(out, text[1] == '-' ? " :0@0" : " 10.0.0.%c:6379@16379", text[1]);
    buffer_append_format(out, " %s %s 0 0 %d %s", flags[0] == '\0' ? "noflags" : flags, primary, slots == NULL ? 0 : 1,
                         is_down ? "disconnected" : "connected");
    if (slots != NULL) {
        buffer_append_format(out, " %.*s", (int) (size - n - 1), slots + 1);
    }
    buffer_append_char(out, '\n');
}

static void make_table(struct cluster_table *table, const char *nodes) {
    struct buffer text = BUFFER_EMPTY;
    while (*nodes != '\0') {
        size_t size = strcspn(nodes, " ");
        if (nodes[0] != '#' && nodes[0] != '!') {
            append_node(&text, nodes, size);
        }
        nodes += size + strspn(nodes + size, " ");
    }
    assert_true(cluster_table_parse(table, buffer_span(&text)));
    buffer_finish(&text);
}

static const char *const pod_names[PODS_MAX] = {"p0", "p1", "p2", "p3", "p4", "p5"};

static void fill_view(const struct plan_case *c, struct cluster_view *view, struct cluster_pod pods[PODS_MAX]) {
    *view = (struct cluster_view){.pods = pods, .n = 0, .shards = c->shards};
    memset(pods, 0, PODS_MAX * sizeof *pods);
    for (size_t i = 0; i < PODS_MAX; i++) {
        const char *state = c->pods[i];
        pods[i].name = pod_names[i];
        if (state == NULL) {
            continue;
        }
        view->n = i + 1;
        if (strcmp(state, "silent") == 0) {
            continue;
        }
        pods[i].answers = true;
        pods[i].port = 6379;
        snprintf(pods[i].host, sizeof pods[i].host, "10.0.0.%zu", i);
        make_table(&pods[i].table, state);
        const char *keys = strchr(state, '#');
        pods[i].keys = keys == NULL ? 0 : strtoull(keys + 1, NULL, 10);
        bool dials_elsewhere = strstr(state, "!dials") != NULL;
        pods[i].is_link_up = strstr(state, "!link") == NULL && !dials_elsewhere;
        snprintf(pods[i].dials, sizeof pods[i].dials, "%s", dials_elsewhere ? "10.0.0.9" : "");
        pods[i].is_state_ok = strstr(state, "!state") == NULL;
        pods[i].slots_ok = pods[i].is_state_ok ? CLUSTER_SLOTS : 0;
    }
}

static void describe(const struct cluster_plan *plan, struct buffer *out) {
    for (size_t i = 0; i < plan->n; i++) {
        struct cluster_step_words words;
        cluster_step_command(&plan->steps[i], &words);
        assert_string_equal(words.words[0], "CLUSTER");
        buffer_append_format(out, "%s%u", i == 0 ? "" : ", ", plan->steps[i].pod);
        for (size_t k = 1; words.words[k] != NULL; k++) {
            size_t size = strlen(words.words[k]);
            buffer_append_format(out, " %.*s", size == CLUSTER_ID_LENGTH ? 1 : (int) size, words.words[k]);
        }
    }
    buffer_append_char(out, '\0');
}

#define ALL    CLUSTER_ACTOR_ALL
#define HALF_0 "=0-8191"
#define HALF_1 "=8192-16383"

/* Two shards of two: A and B primaries, C replica of A, D of B, all well. */
#define WELL_0 "a0mM" HALF_0 " b1m" HALF_1 " c2sa d3sb"
#define WELL_1 "a0m" HALF_0 " b1mM" HALF_1 " c2sa d3sb"
#define WELL_2 "a0m" HALF_0 " b1m" HALF_1 " c2saM d3sb"
#define WELL_3 "a0m" HALF_0 " b1m" HALF_1 " c2sa d3sbM"

#define ID_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The same with two pods more. */
#define GROWN_0       WELL_0 " e4m f5m"
#define GROWN_1       WELL_1 " e4m f5m"
#define GROWN_2       WELL_2 " e4m f5m"
#define GROWN_3       WELL_3 " e4m f5m"
#define GROWN(others) "a0m" HALF_0 " b1m" HALF_1 " c2sa d3sb " others

static const struct plan_case cases[] = {
    {"forming waits for all", 2, {"a0mM", "b1mM", "silent", "d3mM"}, ALL, CLUSTER_WAIT, "", "p2 does not answer"},
    {"forming gives epochs and slots first",
     2,
     {"a0mM", "b1mM", "c2mM", "d3mM"},
     ALL,
     CLUSTER_STEPS,
     "0 SET-CONFIG-EPOCH 1, 1 SET-CONFIG-EPOCH 2, 2 SET-CONFIG-EPOCH 3, 3 SET-CONFIG-EPOCH 4, 0 ADDSLOTSRANGE 0 8191, "
     "1 ADDSLOTSRANGE 8192 16383",
     "forming"},
    {"an agent only commands its own server",
     2,
     {"a0mM", "b1mM", "c2mM", "d3mM"},
     1,
     CLUSTER_STEPS,
     "1 SET-CONFIG-EPOCH 2, 1 ADDSLOTSRANGE 8192 16383",
     "forming"},
    {"forming goes on where it was interrupted",
     2,
     {"a0mM" HALF_0, "b1mM", "c2mM", "d3mM"},
     1,
     CLUSTER_STEPS,
     "1 SET-CONFIG-EPOCH 2, 1 ADDSLOTSRANGE 8192 16383",
     "forming"},
    {"no epoch once it knows another",
     2,
     {"a0mM" HALF_0 " b1m", "b1mM a0m" HALF_0, "c2mM", "d3mM"},
     1,
     CLUSTER_STEPS,
     "1 ADDSLOTSRANGE 8192 16383",
     "forming"},
    {"an agent whose part is done waits",
     2,
     {"a0mM" HALF_0, "b1mM", "c2mM", "d3mM"},
     0,
     CLUSTER_WAIT,
     "",
     "waiting for other pods"},
    {"slots are not given to a pod with keys",
     2,
     {"a0mM"
      " #7",
      "b1mM", "c2mM", "d3mM"},
     ALL,
     CLUSTER_REFUSED,
     "",
     "it has keys"},
    {"half a range is nobody's: not what forming leaves",
     2,
     {"a0mM=0-100", "b1mM" HALF_1, "c2mM", "d3mM"},
     ALL,
     CLUSTER_REFUSED,
     "",
     "some of the slots"},
    {"slots given: introduce all, from one",
     2,
     {"a0mM" HALF_0, "b1mM" HALF_1, "c2mM", "d3mM"},
     ALL,
     CLUSTER_STEPS,
     "0 MEET 10.0.0.1 6379, 0 MEET 10.0.0.2 6379, 0 MEET 10.0.0.3 6379",
     "introducing"},
    {"a handshake under way is not begun again",
     2,
     {"a0mM" HALF_0 " 81h e2h f3h", "b1mM" HALF_1, "c2mM", "d3mM"},
     ALL,
     CLUSTER_WAIT,
     "",
     "to hear of"},
    {"all know each other: replicas follow by ordinal",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2m d3m", "a0m" HALF_0 " b1mM" HALF_1 " c2m d3m",
      "a0m" HALF_0 " b1m" HALF_1 " c2mM d3m", "a0m" HALF_0 " b1m" HALF_1 " c2m d3mM"},
     ALL,
     CLUSTER_STEPS,
     "2 REPLICATE a, 3 REPLICATE b",
     "replicas follow"},
    {"well", 2, {WELL_0, WELL_1, WELL_2, WELL_3}, ALL, CLUSTER_HEALTHY, "", "every slot"},
    {"a replica that dials its primary at an old address is told to follow it anew",
     2,
     {WELL_0, WELL_1, WELL_2 " !dials", WELL_3},
     ALL,
     CLUSTER_STEPS,
     "2 REPLICATE a",
     "replicas follow"},
    {"state ok is not well: a replica in its first sync",
     2,
     {WELL_0, WELL_1, WELL_2 " !link", WELL_3},
     ALL,
     CLUSTER_WAIT,
     "",
     "replica p2 to be in sync"},
    {"all came back at other addresses: MEET from one",
     2,
     {"a0mM" HALF_0 " b9mfd" HALF_1 " c9safd d9sbfd"
      " !state",
      "a9mfd" HALF_0 " b1mM" HALF_1 " c9safd d9sbfd"
      " !state",
      "a9mfd" HALF_0 " b9mfd" HALF_1 " c2saM d9sbfd"
      " !state",
      "a9mfd" HALF_0 " b9mfd" HALF_1 " c9safd d3sbM"
      " !state"},
     ALL,
     CLUSTER_STEPS,
     "0 MEET 10.0.0.1 6379, 0 MEET 10.0.0.2 6379, 0 MEET 10.0.0.3 6379",
     "introducing"},
    {"… and from each agent for itself",
     2,
     {"a0mM" HALF_0 " b9mfd" HALF_1 " c9safd d9sbfd"
      " !state",
      "a9mfd" HALF_0 " b1mM" HALF_1 " c9safd d9sbfd"
      " !state",
      "a9mfd" HALF_0 " b9mfd" HALF_1 " c2saM d9sbfd"
      " !state",
      "silent"},
     2,
     CLUSTER_STEPS,
     "2 MEET 10.0.0.0 6379, 2 MEET 10.0.0.1 6379",
     "introducing"},
    {"a dead primary: its replica is waited for, nothing is given away",
     2,
     {"silent", "a0mfd" HALF_0 " b1mM" HALF_1 " c2sa d3sb", "a0mfd" HALF_0 " b1m" HALF_1 " c2saM d3sb",
      "a0mfd" HALF_0 " b1m" HALF_1 " c2sa d3sbM"},
     ALL,
     CLUSTER_WAIT,
     "",
     "p2 to take over"},
    {"a primary came back empty: the heir is waited for first",
     2,
     {"e0mM b1m" HALF_1 " c2sa d3sb", "a9mfd" HALF_0 " e0m b1mM" HALF_1 " c2sa d3sb",
      "a9mfd" HALF_0 " e0m b1m" HALF_1 " c2saM d3sb", "a9mfd" HALF_0 " e0m b1m" HALF_1 " c2sa d3sbM"},
     ALL,
     CLUSTER_WAIT,
     "",
     "p2 to take over"},
    {"… then it follows the heir, by ordinal",
     2,
     {"e0mM b1m" HALF_1 " c2m" HALF_0 " d3sb", "a9mfd e0m b1mM" HALF_1 " c2m" HALF_0 " d3sb",
      "a9mfd e0m b1m" HALF_1 " c2mM" HALF_0 " d3sb", "a9mfd e0m b1m" HALF_1 " c2m" HALF_0 " d3sbM"},
     ALL,
     CLUSTER_STEPS,
     "0 REPLICATE c",
     "replicas follow"},
    {"… and what it was is forgotten by all that know it",
     2,
     {"e0scM b1m" HALF_1 " c2m" HALF_0 " d3sb", "a9mfd e0sc b1mM" HALF_1 " c2m" HALF_0 " d3sb",
      "a9mfd e0sc b1m" HALF_1 " c2mM" HALF_0 " d3sb", "a9mfd e0sc b1m" HALF_1 " c2m" HALF_0 " d3sbM"},
     ALL,
     CLUSTER_STEPS,
     "1 FORGET a, 2 FORGET a, 3 FORGET a",
     "forgetting"},
    {"a node without an address is one that is gone",
     2,
     {WELL_0 " e-sad", WELL_1, WELL_2, WELL_3},
     ALL,
     CLUSTER_STEPS,
     "0 FORGET e",
     "forgetting"},
    {"nothing is forgotten while a pod is silent",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sa d3sbfd", "a0m" HALF_0 " b1mM" HALF_1 " c2sa d3sbfd",
      "a0m" HALF_0 " b1m" HALF_1 " c2saM d3sbfd", "silent"},
     ALL,
     CLUSTER_WAIT,
     "",
     "p3 does not answer"},
    {"an empty pod with keys is no replica",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2m d3sb", "a0m" HALF_0 " b1mM" HALF_1 " c2m d3sb",
      "a0m" HALF_0 " b1m" HALF_1 " c2mM d3sb"
      " #3",
      "a0m" HALF_0 " b1m" HALF_1 " c2m d3sbM"},
     ALL,
     CLUSTER_REFUSED,
     "",
     "has 3 keys"},
    {"of two replicas of one shard the last one goes to the shard that has none",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sb d3sb", "a0m" HALF_0 " b1mM" HALF_1 " c2sb d3sb",
      "a0m" HALF_0 " b1m" HALF_1 " c2sbM d3sb", "a0m" HALF_0 " b1m" HALF_1 " c2sb d3sbM"},
     ALL,
     CLUSTER_STEPS,
     "3 REPLICATE a",
     "replicas follow"},
    {"… not while a pod is silent: it may be the one that is missing",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sb d3sb", "a0m" HALF_0 " b1mM" HALF_1 " c2sb d3sb",
      "a0m" HALF_0 " b1m" HALF_1 " c2sbM d3sb", "silent"},
     ALL,
     CLUSTER_WAIT,
     "",
     "p3 does not answer"},
    {"shards are what they are, not what ordinals say",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sb d3sa", "a0m" HALF_0 " b1mM" HALF_1 " c2sb d3sa",
      "a0m" HALF_0 " b1m" HALF_1 " c2sbM d3sa", "a0m" HALF_0 " b1m" HALF_1 " c2sb d3saM"},
     ALL,
     CLUSTER_HEALTHY,
     "",
     NULL},
    {"a replica of one that is a replica by now follows whom that follows",
     2,
     {"a0scM b1m" HALF_1 " c2m" HALF_0 " d3sa e4sb", "a0sc b1mM" HALF_1 " c2m" HALF_0 " d3sa e4sb",
      "a0sc b1m" HALF_1 " c2mM" HALF_0 " d3sa e4sb", "a0sc b1m" HALF_1 " c2m" HALF_0 " d3saM e4sb",
      "a0sc b1m" HALF_1 " c2m" HALF_0 " d3sa e4sbM"},
     ALL,
     CLUSTER_STEPS,
     "3 REPLICATE c",
     "replicas follow"},
    {"a replica whose primary is gone is free: it goes where one is missing",
     2,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sa d3se", "a0m" HALF_0 " b1mM" HALF_1 " c2sa d3se",
      "a0m" HALF_0 " b1m" HALF_1 " c2saM d3se", "a0m" HALF_0 " b1m" HALF_1 " c2sa d3seM"},
     ALL,
     CLUSTER_STEPS,
     "3 REPLICATE b",
     "replicas follow"},
    {"more shards are wanted: one of the free pods stays a primary, the others follow it",
     3,
     {GROWN_0, GROWN_1, GROWN_2, GROWN_3, GROWN("e4mM f5m"), GROWN("e4m f5mM")},
     ALL,
     CLUSTER_STEPS,
     "5 REPLICATE e",
     "replicas follow"},
    {"… and then all is well, as far as it goes",
     3,
     {"a0mM" HALF_0 " b1m" HALF_1 " c2sa d3sb e4m f5se", "a0m" HALF_0 " b1mM" HALF_1 " c2sa d3sb e4m f5se",
      "a0m" HALF_0 " b1m" HALF_1 " c2saM d3sb e4m f5se", "a0m" HALF_0 " b1m" HALF_1 " c2sa d3sbM e4m f5se",
      GROWN("e4mM f5se"), GROWN("e4m f5seM")},
     ALL,
     CLUSTER_HEALTHY,
     "",
     "1 of 3 shards wait for redis scale --shards 3"},
    {"… a shard that lost a replica comes first",
     3,
     {"a0mM" HALF_0 " b1m" HALF_1 " 72m d3sb e4m f5se", "a0m" HALF_0 " b1mM" HALF_1 " 72m d3sb e4m f5se",
      "a0m" HALF_0 " b1m" HALF_1 " 72mM d3sb e4m f5se", "a0m" HALF_0 " b1m" HALF_1 " 72m d3sbM e4m f5se",
      "a0m" HALF_0 " b1m" HALF_1 " 72m d3sb e4mM f5se", "a0m" HALF_0 " b1m" HALF_1 " 72m d3sb e4m f5seM"},
     ALL,
     CLUSTER_STEPS,
     "2 REPLICATE a",
     "replicas follow"},
    {"… and nobody is moved while a pod is silent",
     3,
     {GROWN_0, GROWN_1, GROWN_2, "silent", GROWN("e4mM f5m"), GROWN("e4m f5mM")},
     ALL,
     CLUSTER_WAIT,
     "",
     "p3 does not answer"},
    {"a pod that takes slots over is left alone",
     2,
     {GROWN_0, GROWN_1, GROWN_2, GROWN_3, GROWN("e4mM=[8-<-" ID_A "] f5se"), GROWN("e4m f5seM")},
     ALL,
     CLUSTER_HEALTHY,
     "",
     NULL},
    {"more pods than were asked for share the shards",
     2,
     {GROWN_0, GROWN_1, GROWN_2, GROWN_3, GROWN("e4mM f5m"), GROWN("e4m f5mM")},
     ALL,
     CLUSTER_STEPS,
     "4 REPLICATE a, 5 REPLICATE b",
     "replicas follow"},
    {"a list from before the cluster grew: nothing is lost, nothing is done",
     2,
     {"a0mM" HALF_0 " b1m=8192-12000 c2sa d3sb e4m=12001-16383 f5se",
      "a0m" HALF_0 " b1mM=8192-12000 c2sa d3sb e4m=12001-16383 f5se",
      "a0m" HALF_0 " b1m=8192-12000 c2saM d3sb e4m=12001-16383 f5se",
      "a0m" HALF_0 " b1m=8192-12000 c2sa d3sbM e4m=12001-16383 f5se"},
     ALL,
     CLUSTER_WAIT,
     "",
     "was made larger than this list"},
    {"a slot that was seen with neither, since it moved meanwhile, is not given away",
     2,
     {"a0mM=0-8190 b1m=8191-16383 c2sa d3sb", "a0m=0-8191 b1mM" HALF_1 " c2sa d3sb", WELL_2, WELL_3},
     ALL,
     CLUSTER_WAIT,
     "",
     "1 slots change hands"},
    {"two clusters are not merged", 1, {"a0mM=0-16383", "b1mM=0-16383"}, ALL, CLUSTER_REFUSED, "", "two clusters"},
    {"a moved slot told by both while they know each other is no conflict",
     2,
     {"a0mM=0-8192 b1m" HALF_1 " c2sa d3sb", WELL_1, WELL_2, WELL_3},
     ALL,
     CLUSTER_HEALTHY,
     "",
     NULL},
    {"slots of a node that is gone for good",
     2,
     {"a0mM b1m" HALF_1 " e9mfd" HALF_0, "a0m b1mM" HALF_1 " e9mfd" HALF_0},
     ALL,
     CLUSTER_REFUSED,
     "",
     "none of the pods"},
    {"… or perhaps of the one that is silent",
     2,
     {"silent", "a9mfd" HALF_0 " b1mM" HALF_1},
     ALL,
     CLUSTER_WAIT,
     "",
     "may be its own"},
    {"one shard",
     1,
     {"a0mM", "b1mM"},
     ALL,
     CLUSTER_STEPS,
     "0 SET-CONFIG-EPOCH 1, 1 SET-CONFIG-EPOCH 2, 0 ADDSLOTSRANGE 0 16383",
     NULL},
};

static void plans_each_state(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cluster_pod pods[PODS_MAX];
        struct cluster_view view;
        struct cluster_plan plan;
        struct buffer steps = BUFFER_EMPTY;
        fill_view(&cases[i], &view, pods);
        cluster_plan_make(&plan, &view, cases[i].actor);
        describe(&plan, &steps);
        if (plan.verdict != cases[i].verdict ||
            (cases[i].steps != NULL && strcmp(cases[i].steps, (const char *) steps.data) != 0) ||
            (cases[i].reason != NULL && strstr(plan.reason, cases[i].reason) == NULL)) {
            fail_msg("%s: verdict %d, steps \"%s\", reason: %s", cases[i].name, plan.verdict, (const char *) steps.data,
                     plan.reason);
        }
        buffer_finish(&steps);
        cluster_plan_finish(&plan);
        for (size_t k = 0; k < PODS_MAX; k++) {
            cluster_table_finish(&pods[k].table);
        }
    }
}

static void cuts_slots_as_redis_cli_does(void **state) {
    (void) state;
    struct cluster_slots middle = cluster_plan_slots(1, 3);
    assert_int_equal(middle.first, 5461);
    assert_int_equal(middle.last, 10922);
    for (unsigned shards = 1; shards <= 90; shards++) {
        unsigned next = 0;
        for (unsigned shard = 0; shard < shards; shard++) {
            struct cluster_slots range = cluster_plan_slots(shard, shards);
            assert_int_equal(range.first, next);
            assert_true(range.last >= range.first);
            next = range.last + 1u;
        }
        assert_int_equal(next, CLUSTER_SLOTS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_each_state),
        cmocka_unit_test(cuts_slots_as_redis_cli_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
