/* Asks one Redis server what redis_facts.h wants to know, over a command link that is up: TIME, ROLE, INFO, the number
 * of partitions, then CONFIG GET (where the first one was not denied), SLOWLOG GET, CLUSTER INFO. About twenty small
 * commands in two pipelines among those of the link's owner; nothing is written, nothing waits for it, and what an ACL
 * denies is a fact less. Thread: the loop's. */
#ifndef CALLBOARD_BROKER_REDIS_SURVEY_H
#define CALLBOARD_BROKER_REDIS_SURVEY_H

#include "broker/redis/link/redis_link.h"
#include "broker/redis/survey/redis_facts.h"

/* The context is that of the link's options. facts: borrowed, and NULL where the link was cut before all answers came.
 */
typedef void (*redis_on_surveyed)(void *context, void *request, const struct redis_facts *facts);

/* Sends with the commands of this turn (the owner flushes); on_done is called once, later, out of the link.
 * partitions_key: where the number of partitions is kept, or NULL: not asked. */
void redis_survey_start(redis_link_t *link, const char *partitions_key, redis_on_surveyed on_done, void *request);

#endif
