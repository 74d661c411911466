/* Each server's settings are examined when it has become ready, and every redis.survey from then on: one shard of the
 * broker does it for all (finding_board.h), over the command link among its other commands. What is found is only told;
 * nothing here stops the engine: what it cannot work with is found by the node's own examination. */
#include "broker/redis/engine_redis_parts.h"

#include "base/clock.h"
#include "broker/redis/survey/redis_survey.h"

#include <stdio.h>

enum { AGAIN_MS = 10000, LOOK_MS = 10000, KEPT_SURVEYS = 3 };

static void on_surveyed(void *context, void *request, const struct redis_facts *facts) {
    struct redis_node *node = context;
    struct engine_redis *engine = node->engine;
    finding_board_t *board = engine->options.findings;
    char where[REDIS_ADDRESS_TEXT_MAX + 1];
    (void) request;
    node->is_surveyed = false;
    redis_address_describe(&node->address, where, sizeof where);
    if (facts == NULL) {
        finding_board_give_back(board, where);
        return;
    }
    struct findings findings = FINDINGS_EMPTY;
    struct redis_setup setup = engine->setup;
    setup.where = where;
    setup.n_partitions = node == engine->home ? setup.n_partitions : 0;
    redis_settings_judge(facts, &setup, &findings);
    uint64_t keep_ms = engine->survey_ms == 0 ? UINT64_MAX : KEPT_SURVEYS * engine->survey_ms + AGAIN_MS;
    finding_board_post(board, where, &findings, clock_monotonic_ms(), keep_ms);
}

static void survey(struct redis_node *node, uint64_t every_ms) {
    struct engine_redis *engine = node->engine;
    uint64_t now_ms = clock_monotonic_ms();
    char where[REDIS_ADDRESS_TEXT_MAX + 1];
    redis_address_describe(&node->address, where, sizeof where);
    node->looked_ms = now_ms;
    if (node->is_surveyed || !redis_node_is_up(node) ||
        !finding_board_claim(engine->options.findings, where, now_ms, every_ms)) {
        return;
    }
    char key[REDIS_PREFIX_MAX + 16];
    snprintf(key, sizeof key, "{%s}:partitions", engine->prefix);
    node->is_surveyed = true;
    redis_survey_start(node->command, node == engine->home ? key : NULL, on_surveyed, NULL);
}

void redis_watch_new(struct redis_node *node) {
    if (node->engine->options.findings != NULL) {
        survey(node, AGAIN_MS); /* not once for each shard that reconnects */
    }
}

void redis_watch_tick(struct engine_redis *self) {
    uint64_t now_ms = clock_monotonic_ms();
    if (self->options.findings == NULL || self->survey_ms == 0) {
        return;
    }
    list_for_each (link, &self->nodes) {
        struct redis_node *node = list_entry(link, struct redis_node, link);
        if (now_ms - node->looked_ms >= LOOK_MS || now_ms - node->looked_ms >= self->survey_ms) {
            survey(node, self->survey_ms);
        }
    }
}
