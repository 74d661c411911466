#include "operator/redis/server_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define CLUSTER .mode = REDIS_MODE_CLUSTER, .expected_nodes = 6
#define UP      .has_answered = true, .is_pong = true, .knows_role = true

struct probe_case {
    struct server_facts facts;
    bool live;
    bool ready;
    bool started;
};

static const struct probe_case cases[] = {
    {{.has_answered = false}, false, false, false},
    {{.has_answered = true}, true, false, true}, /* NOAUTH, BUSY, MASTERDOWN: alive */
    {{.has_answered = true, .is_loading = true},
     true,
     false,
     false}, /* LOADING: alive, killing it would start it over */
    {{UP}, true, true, true},
    {{UP, .is_replica = true, .is_link_up = true}, true, true, true},
    {{UP, .is_replica = true}, true, false, true},
    {{UP, .is_replica = true, .is_link_up = true, .is_syncing = true}, true, false, true},
    {{UP, .mode = REDIS_MODE_SENTINEL}, true, false, true},
    {{UP, .mode = REDIS_MODE_SENTINEL, .has_quorum = true}, true, true, true},
    {{UP, CLUSTER}, true, false, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 5, .own_slots = 10}, true, false, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 6, .own_slots = 10}, true, true, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 7, .own_slots = 10}, true, true, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 6}, true, false, true}, /* neither slots nor a primary yet */
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 6, .is_spare = true},
     true,
     true,
     true}, /* of a shard to come */
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 5, .is_spare = true}, true, false, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 6, .is_replica = true, .is_link_up = true}, true, true, true},
    {{UP, CLUSTER, .knows_cluster = true, .known_nodes = 6, .is_replica = true}, true, false, true},
};

static void answers_each_probe(void **state) {
    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char reason[SERVER_REASON_MAX] = "";
        bool live = server_probe_verdict(&cases[i].facts, SERVER_PROBE_LIVE, reason);
        bool started = server_probe_verdict(&cases[i].facts, SERVER_PROBE_STARTED, reason);
        bool ready = server_probe_verdict(&cases[i].facts, SERVER_PROBE_READY, reason);
        if (live != cases[i].live || ready != cases[i].ready || started != cases[i].started || reason[0] == '\0') {
            fail_msg("case %zu: live %d ready %d started %d: %s", i, live, ready, started, reason);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_each_probe)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
